//! How a datacenter is named inside the encrypted part of `req_DH_params`.
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key#presenting-proof-of-work-server-authentication>, field `dc`.

use core::fmt;

/// A datacenter as the field `dc` names it: its id, `+10000` for the test environment, negative for
/// connections that carry media only (SEC-25).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dc {
    id: u16,
    environment: Environment,
    traffic: Traffic,
}

/// Which of the two separate worlds a datacenter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// The public one.
    Production,
    /// The one for tests, with keys and accounts of its own.
    Test,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// Everything.
    Any,
    /// Files only. CDN datacenters are not named this way.
    MediaOnly,
}

impl Dc {
    /// Names a public datacenter.
    pub const fn production(id: u16) -> Self {
        Self { id, environment: Environment::Production, traffic: Traffic::Any }
    }

    /// Names a datacenter of the test environment.
    pub const fn test(id: u16) -> Self {
        Self { id, environment: Environment::Test, traffic: Traffic::Any }
    }

    /// Returns the same datacenter for a connection that carries media only.
    #[must_use]
    pub const fn media_only(self) -> Self {
        Self { traffic: Traffic::MediaOnly, ..self }
    }

    /// Takes the `int` of the wire.
    pub const fn from_raw(raw: i32) -> Option<Self> {
        let traffic = if raw < 0 { Traffic::MediaOnly } else { Traffic::Any };
        let (id, environment) = match raw.unsigned_abs() {
            id @ 0..TEST_OFFSET => (id, Environment::Production),
            id @ TEST_OFFSET..=0xffff => (id - TEST_OFFSET, Environment::Test),
            _ => return None,
        };
        Some(Self { id: id as u16, environment, traffic })
    }

    /// Returns the `int` of the wire.
    pub const fn to_raw(self) -> i32 {
        let id = match self.environment {
            Environment::Production => self.id as i32,
            Environment::Test => self.id as i32 + TEST_OFFSET as i32,
        };
        match self.traffic {
            Traffic::Any => id,
            Traffic::MediaOnly => -id,
        }
    }

    /// Returns the id, as in `dcOption`.
    pub const fn id(self) -> u16 {
        self.id
    }

    /// Returns the environment.
    pub const fn environment(self) -> Environment {
        self.environment
    }

    /// Returns what the connection is for.
    pub const fn traffic(self) -> Traffic {
        self.traffic
    }
}

const TEST_OFFSET: u32 = 10_000;

impl fmt::Display for Dc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = match self.environment {
            Environment::Production => "",
            Environment::Test => "test ",
        };
        let traffic = match self.traffic {
            Traffic::Any => "",
            Traffic::MediaOnly => " (media)",
        };
        write!(f, "{environment}DC {}{traffic}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_025_test_ids_are_offset_and_media_ids_negative() {
        assert_eq!(Dc::production(2).to_raw(), 2);
        assert_eq!(Dc::test(2).to_raw(), 10_002);
        assert_eq!(Dc::production(4).media_only().to_raw(), -4);
        assert_eq!(Dc::test(3).media_only().to_raw(), -10_003);
        for raw in [0, 2, -4, 9_999, 10_002, -10_003, 0xffff, -0xffff] {
            assert_eq!(Dc::from_raw(raw).map(Dc::to_raw), Some(raw), "{raw}");
        }
        assert_eq!(Dc::from_raw(0x1_0000), None);
        assert_eq!(Dc::from_raw(i32::MIN), None);
    }
}
