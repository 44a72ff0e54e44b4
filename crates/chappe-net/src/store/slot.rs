//! What a state is found by.

use core::fmt;

use chappe_types::{DcId, Environment};

/// One place in a store: a datacenter, and what the key is for.
///
/// The environments have nothing in common (`SEC-152`). Whether a connection carries media only makes no difference: the
/// key is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Of all traffic.
    dc: DcId,
    purpose: Purpose,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Everything of the account, files included: all connections to a datacenter share this key.
    Account,
    /// Parts of public files from a CDN datacenter, which knows nothing of the account.
    Cdn,
}

impl Slot {
    /// Names the account's key for a public datacenter.
    pub const fn production(dc: u16) -> Self {
        Self { dc: DcId::production(dc), purpose: Purpose::Account }
    }

    /// Names the account's key for a datacenter of the test environment.
    pub const fn test(dc: u16) -> Self {
        Self { dc: DcId::test(dc), purpose: Purpose::Account }
    }

    /// Returns the slot of the same datacenter for a CDN key.
    #[must_use]
    pub const fn cdn(self) -> Self {
        Self { purpose: Purpose::Cdn, ..self }
    }

    /// Names the account's key for a datacenter.
    pub const fn of(dc: DcId) -> Self {
        match dc.environment() {
            Environment::Production => Self::production(dc.number()),
            Environment::Test => Self::test(dc.number()),
        }
    }

    /// Returns the datacenter.
    pub const fn dc(self) -> DcId {
        self.dc
    }

    /// Returns what the key is for.
    pub const fn purpose(self) -> Purpose {
        self.purpose
    }
}

impl fmt::Display for Slot {
    /// Writes `production-2-account`: unique for the slot, and fit for names of files and keys of databases.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = match self.dc.environment() {
            Environment::Production => "production",
            Environment::Test => "test",
        };
        let purpose = match self.purpose {
            Purpose::Account => "account",
            Purpose::Cdn => "cdn",
        };
        write!(f, "{environment}-{}-{purpose}", self.dc.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_name_whether_or_not_the_connection_is_for_media() {
        assert_eq!(Slot::production(2).to_string(), "production-2-account");
        assert_eq!(Slot::test(203).cdn().to_string(), "test-203-cdn");
        assert_eq!(Slot::of(DcId::test(3).media_only()), Slot::test(3));
    }
}
