//! How far an exchange has come, for a display.

use core::fmt;
use std::time::Duration;

use chappe_handshake::Progress;

/// One step of an exchange: a question, its answer, and what checking that took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is known now.
    pub stage: Stage,
    /// From sending the question to the arrival of the answer.
    pub waited: Duration,
    /// Time it took to check the answer and to make the next question.
    pub worked: Duration,
}

/// What a step of an exchange has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// `resPQ` repeats our nonce, offers a key that we know, and its `pq` has two prime factors.
    ServerKnown,
    /// `server_DH_params_ok` is from the owner of that key, and its parameters are safe.
    ParamsAgreed,
    /// `dh_gen_retry` is from the same server: it wants another exponent.
    RetryAsked,
    /// `dh_gen_ok` proves that the server has the same key.
    KeyCreated,
}

impl Stage {
    /// Returns the stage that a frame led to, or `None` if it was a repetition.
    pub(crate) const fn after(progress: &Progress) -> Option<Self> {
        match progress {
            Progress::ServerKnown => Some(Self::ServerKnown),
            Progress::ParamsAgreed => Some(Self::ParamsAgreed),
            Progress::RetryAsked => Some(Self::RetryAsked),
            Progress::Done(_) => Some(Self::KeyCreated),
            Progress::Repeated => None,
        }
    }

    /// Returns the name of the object that the server sent.
    pub const fn answer(self) -> &'static str {
        match self {
            Self::ServerKnown => "resPQ",
            Self::ParamsAgreed => "server_DH_params_ok",
            Self::RetryAsked => "dh_gen_retry",
            Self::KeyCreated => "dh_gen_ok",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.answer())
    }
}
