//! Which rule of the security checklist an error stands for.

use chappe_types::Rule;

use crate::Error;

impl Error {
    /// Returns the rule that the peer's answer broke, or `None` if the peer refused or was silent, or the fault is our
    /// own.
    pub const fn rule(&self) -> Option<Rule> {
        Some(Rule::new(match self {
            Self::Frame(_) => 9,
            Self::UnexpectedAnswer { .. } => 13,
            Self::InvalidNonce { .. } => 14,
            Self::InvalidServerNonce { .. } => 15,
            Self::UnknownFingerprints { .. } => 17,
            Self::InvalidPq(_) => 21,
            Self::EncryptedResponseNotPadded { .. } => 26,
            Self::InvalidDhInnerData => 27,
            Self::InvalidDhParams(_) => 30,
            Self::InvalidNewNonceHash { .. } => 37,
            _ => return None,
        }))
    }
}
