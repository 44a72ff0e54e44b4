//! Both clocks of a browser.

use std::cell::OnceCell;
use std::time::Duration;

use chappe_session::{MonoTime, Now, UnixTime};
use wasm_bindgen::JsCast as _;
use web_sys::Performance;

use crate::js;

/// Reads both clocks: `performance.now` and `Date.now`.
pub(crate) fn now() -> Now {
    thread_local! {
        static PERFORMANCE: OnceCell<Performance> = const { OnceCell::new() };
    }
    let read = |cell: &OnceCell<Performance>| cell.get_or_init(performance).now();
    let mono = MonoTime::from_duration(milliseconds(PERFORMANCE.with(read)));
    Now::new(mono, UnixTime::from_secs(0).saturating_add(milliseconds(js_sys::Date::now())))
}

fn performance() -> Performance {
    js::global("performance").expect("pages and workers have it").unchecked_into()
}

/// Converts a number of milliseconds. One that is no time at all, which no browser returns, is 0.
fn milliseconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count / 1000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_milliseconds_is_a_time() {
        assert_eq!(milliseconds(1234.5), Duration::from_micros(1_234_500));
        for odd in [-1.0, f64::NAN, f64::INFINITY, f64::MAX] {
            assert_eq!(milliseconds(odd), Duration::ZERO);
        }
    }
}
