//! A lock between the tabs and workers of one site.

use js_sys::futures::JsFuture;
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::AbortSignal;

use crate::js;

/// How long another tab may take to let go, in milliseconds. A page that is loaded again is still there for a moment.
const PATIENCE: u32 = 5000;

/// A lock of `navigator.locks`. It is let go when this is dropped, and by the browser when the page is gone.
#[derive(Debug)]
pub(super) struct Lock {
    release: Function,
}

impl Lock {
    /// Waits for a lock; `None` if another page or worker holds it.
    ///
    /// # Errors
    ///
    /// The page is not secure: browsers have locks for HTTPS and for this machine alone.
    pub(super) async fn acquire(name: &str) -> Result<Option<Self>, JsValue> {
        let locks = js::property(&js::global("navigator")?, "locks")?;
        if locks.is_undefined() {
            return Err(js_sys::Error::new("the page was not loaded over HTTPS").into());
        }
        let mut release = None;
        // The lock is held until this is resolved.
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        let options = Object::new();
        Reflect::set(&options, &"signal".into(), &AbortSignal::timeout_with_u32(PATIENCE))?;
        let acquired: Promise = Promise::new(&mut |resolve: Function, reject: Function| {
            let held = held.clone();
            let granted = Closure::once_into_js(move |_: JsValue| -> Promise {
                // Calling the function of a promise throws nothing.
                let _ = resolve.call0(&JsValue::UNDEFINED);
                held
            });
            let requested = js::call(&locks, "request", &[&name.into(), &options, &granted]);
            let refused = requested.and_then(|promise| js::call(&promise, "catch", &[&reject]));
            if let Err(thrown) = refused {
                let _ = reject.call1(&JsValue::UNDEFINED, &thrown);
            }
        });
        match JsFuture::from(acquired).await {
            Ok(_) => Ok(release.map(|release| Self { release })),
            Err(thrown) if is_timeout(&thrown) => Ok(None),
            Err(thrown) => Err(thrown),
        }
    }
}

fn is_timeout(thrown: &JsValue) -> bool {
    let error = thrown.dyn_ref::<js_sys::Error>();
    error.is_some_and(|error| ["TimeoutError", "AbortError"].iter().any(|name| error.name() == *name))
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.release.call0(&JsValue::UNDEFINED);
    }
}
