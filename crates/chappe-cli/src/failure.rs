//! Why a command failed, and who has to act.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

/// What a command that did its work found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing is wrong: exit code 0.
    Done,
    /// A problem or a difference, which has been printed: exit code 1.
    Found,
}

impl Status {
    /// Returns [`Found`](Self::Found) if there is a finding.
    pub(crate) const fn found(is_found: bool) -> Self {
        if is_found { Self::Found } else { Self::Done }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Done => Self::SUCCESS,
            Status::Found => Self::from(1),
        }
    }
}

/// Who has to act on a failure. Each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Blame {
    /// The command line or an input file is wrong.
    Input,
    /// The network or the other end does not answer.
    Network,
    /// The server refused the request.
    Server,
    /// The other end broke the protocol.
    Protocol,
    /// This machine: files, ports, permissions.
    Machine,
}

impl Blame {
    /// Returns the exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Input => 2,
            Self::Network => 3,
            Self::Server => 4,
            Self::Protocol => 5,
            Self::Machine => 6,
        }
    }
}

/// The result of a command and of its parts.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failure of a command: who has to act, and one line of text.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) blame: Blame,
    message: String,
}

impl Failure {
    /// Makes a failure of a line of text: lower case, no dot.
    pub(crate) fn new(blame: Blame, message: impl Into<String>) -> Self {
        Self { blame, message: message.into() }
    }

    /// Makes a failure that the user can correct.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(Blame::Input, message)
    }

    /// Makes a failure of an error and its causes.
    pub(crate) fn of(blame: Blame, error: &dyn Error) -> Self {
        Self::new(blame, chain(error))
    }

    /// Puts what was attempted in front.
    pub(crate) fn while_doing(self, what: impl fmt::Display) -> Self {
        Self { blame: self.blame, message: format!("{what}: {}", self.message) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of a line may come from elsewhere, with line breaks and escape sequences in them.
        for c in self.message.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// Gives errors of libraries to a culprit.
pub(crate) trait OrBlame<T> {
    /// Blames `blame`, with what was attempted in front of the error and its causes.
    fn or_blame(self, blame: Blame, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: Error> OrBlame<T> for std::result::Result<T, E> {
    fn or_blame(self, blame: Blame, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::of(blame, &error).while_doing(what))
    }
}

/// Writes an error and its causes in one line, without those that the text before them repeats.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line = line + ": " + &text;
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{Blame, Failure};

    #[test]
    fn a_failure_is_one_line_whatever_it_quotes() {
        let failure = Failure::new(Blame::Input, "a\nb\u{1b}[2J").while_doing("reading");
        assert_eq!(failure.to_string(), "reading: a\\nb\\u{1b}[2J");
    }
}
