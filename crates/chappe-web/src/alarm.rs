//! The timer of the driver.

use std::sync::Arc;
use std::time::Duration;

use js_sys::Function;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::js;
use crate::signal::Signal;

/// Longest time that a timer of a browser takes, which counts milliseconds in 31 bits. With a longer one it would ring at once.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// Sets the signal of the driver after a while, over `setTimeout`.
pub(crate) struct Alarm {
    set_timeout: Function,
    clear_timeout: Function,
    ring: Closure<dyn FnMut()>,
    /// The number of the timer that runs.
    running: Option<JsValue>,
}

impl Alarm {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        let function = |name| js::global(name).expect("pages and workers have it").unchecked_into();
        Self {
            set_timeout: function("setTimeout"),
            clear_timeout: function("clearTimeout"),
            ring: Closure::new(move || signal.set()),
            running: None,
        }
    }

    /// Replaces the time at which the alarm rings; `None` for never.
    pub(crate) fn set(&mut self, after: Option<Duration>) {
        if let Some(running) = self.running.take() {
            // It throws for no number of a timer, whether or not it has rung.
            let _ = self.clear_timeout.call1(&JsValue::UNDEFINED, &running);
        }
        let Some(after) = after else { return };
        // Rounded up: an alarm that rings early only has to be set again.
        let milliseconds = after.min(LONGEST).as_secs_f64() * 1000.0;
        let set = self.set_timeout.call2(
            &JsValue::UNDEFINED,
            self.ring.as_ref(),
            &JsValue::from_f64(milliseconds.ceil()),
        );
        self.running = set.ok();
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // A timer must not call what is gone.
        self.set(None);
    }
}
