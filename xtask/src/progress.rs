//! Progress lines, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Interval of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// Shows `what` with the elapsed time until the returned bar is dropped or cleared.
///
/// Prints nothing if standard error is not a terminal.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// Counts steps of `what` up to `len`.
pub(crate) fn steps(what: &str, len: usize) -> ProgressBar {
    let bar = ProgressBar::new(len as u64).with_prefix(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}
