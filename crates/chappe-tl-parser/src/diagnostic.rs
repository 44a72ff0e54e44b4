//! Diagnostics of a schema.

use core::fmt;

/// The most errors that one run reports, and the most warnings. Further ones are counted.
pub const MAX_DIAGNOSTICS: usize = 100;

/// The longest part of a line that a diagnostic shows, in characters.
const MAX_EXCERPT: usize = 160;

/// How many characters of a longer line stand in front of the position.
const LEAD: usize = 60;

/// Whether a schema with this problem can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can.
    Warning,
}

/// One problem of a schema.
///
/// Displayed like a compiler error: position and message, the line, a mark below the position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The file name that was passed to the parser.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The line itself; of a line longer than 160 characters the part around the position.
    pub source_line: String,
    /// What was expected and what was found.
    pub message: String,
    /// Whether the schema can be read nevertheless.
    pub severity: Severity,
    /// Where the mark stands, in characters from the start of `source_line`.
    mark: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        writeln!(f, "{}", self.message)?;
        let number = self.line.to_string();
        writeln!(f, "{number} | {}", self.source_line)?;
        let margin = " ".repeat(number.len());
        let lead: String =
            self.source_line.chars().take(self.mark).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "{margin} | {lead}^")
    }
}

/// All errors of a schema, sorted by position; of more than [`MAX_DIAGNOSTICS`], the first ones and the number of the others.
///
/// Formatted with `{:?}` they look as with `{}`: that is how `main` of a build script prints what it returns.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostics {
    shown: Vec<Diagnostic>,
    omitted: usize,
}

impl Diagnostics {
    /// Returns the number of problems, at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.shown.len() + self.omitted
    }

    /// Returns them in the order of the file, at most [`MAX_DIAGNOSTICS`].
    pub fn iter(&self) -> core::slice::Iter<'_, Diagnostic> {
        self.shown.iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = core::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\nand {omitted} more"),
        }
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line of its own, behind the `Error: ` that the standard library prints.
        write!(f, "\n{self}")
    }
}

impl core::error::Error for Diagnostics {}

/// The problems that were found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    errors: Vec<Diagnostic>,
    omitted: usize,
    warnings: Vec<Diagnostic>,
}

impl Problems {
    /// Adds an error at a byte offset.
    pub(crate) fn error(&mut self, source: &Source<'_>, offset: usize, message: impl Into<String>) {
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.errors.push(source.at(offset, message.into(), Severity::Error));
        }
    }

    /// Adds a warning at a byte offset.
    pub(crate) fn warning(&mut self, source: &Source<'_>, offset: usize, message: impl Into<String>) {
        if self.warnings.len() < MAX_DIAGNOSTICS {
            self.warnings.push(source.at(offset, message.into(), Severity::Warning));
        }
    }

    /// Returns whether there is no error.
    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Returns whether no further error is reported.
    pub(crate) fn is_full(&self) -> bool {
        self.errors.len() >= MAX_DIAGNOSTICS
    }

    /// Returns the warnings, or fails if there are errors.
    pub(crate) fn finish(mut self) -> Result<Vec<Diagnostic>, Diagnostics> {
        self.errors.sort_by_key(|one| (one.line, one.column));
        self.warnings.sort_by_key(|one| (one.line, one.column));
        if self.is_empty() {
            Ok(self.warnings)
        } else {
            Err(Diagnostics { shown: self.errors, omitted: self.omitted })
        }
    }
}

/// The text of a schema with its name.
pub(crate) struct Source<'a> {
    file: &'a str,
    pub(crate) text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { file, text, line_starts: core::iter::once(0).chain(breaks).collect() }
    }

    /// Returns a diagnostic at a byte offset.
    fn at(&self, offset: usize, message: String, severity: Severity) -> Diagnostic {
        let line = self.line_of(offset);
        let start = self.line_starts[line];
        let end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let source_line = self.text[start..end].trim_end_matches('\r');
        let before = self.text[start..offset].chars().count();
        let (source_line, mark) = excerpt(source_line, before);
        Diagnostic {
            file: self.file.to_owned(),
            line: line + 1,
            column: before + 1,
            source_line,
            message,
            severity,
            mark,
        }
    }

    /// Returns the line of a byte offset, counted from 0.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) - 1
    }
}

/// Returns the part of a line around a position, and where the position is in it.
fn excerpt(line: &str, before: usize) -> (String, usize) {
    if line.chars().nth(MAX_EXCERPT).is_none() {
        return (line.to_owned(), before);
    }
    let from = before.saturating_sub(LEAD);
    let mut text: String = line.chars().skip(from).take(MAX_EXCERPT).collect();
    if line.chars().nth(from + MAX_EXCERPT).is_some() {
        text.push('…');
    }
    if from == 0 { (text, before) } else { (format!("…{text}"), before - from + 1) }
}
