//! The colours. Each has a meaning, and no text depends on it.

use anstyle::{AnsiColor, Style};

/// In order.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Doubtful.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Names of things, headings.
pub(crate) const NAME: Style = Style::new().bold();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
