//! Names of datacenters.
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key#presenting-proof-of-work-server-authentication>, field `dc`.

use core::fmt;

/// A datacenter, as handshakes and obfuscation headers name it.
///
/// The wire has one number: the id, plus 10000 for the test environment, negative for connections that carry media
/// only (SEC-25).
///
/// ```
/// use chappe_types::DcId;
///
/// assert_eq!(DcId::production(2).to_raw(), 2);
/// assert_eq!(DcId::test(2).media_only().to_raw(), -10_002);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DcId {
    number: u16,
    environment: Environment,
    traffic: Traffic,
}

/// The two separate sets of datacenters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// The public one.
    Production,
    /// The one for tests, with its own keys and accounts.
    Test,
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// Everything.
    Any,
    /// Files only. CDN datacenters are not named this way.
    MediaOnly,
}

impl DcId {
    /// Names a public datacenter.
    pub const fn production(number: u16) -> Self {
        Self { number, environment: Environment::Production, traffic: Traffic::Any }
    }

    /// Names a datacenter of the test environment.
    pub const fn test(number: u16) -> Self {
        Self { number, environment: Environment::Test, traffic: Traffic::Any }
    }

    /// Returns the same datacenter for a connection that carries media only.
    #[must_use]
    pub const fn media_only(self) -> Self {
        Self { traffic: Traffic::MediaOnly, ..self }
    }

    /// Takes the `int` of the field `dc` in a handshake, or returns `None` if no datacenter has it.
    pub const fn from_raw(raw: i32) -> Option<Self> {
        let traffic = if raw < 0 { Traffic::MediaOnly } else { Traffic::Any };
        let (number, environment) = match raw.unsigned_abs() {
            number @ 0..TEST_OFFSET => (number, Environment::Production),
            number @ TEST_OFFSET..=0xffff => (number - TEST_OFFSET, Environment::Test),
            _ => return None,
        };
        Some(Self { number: number as u16, environment, traffic })
    }

    /// Returns the `int` of the field `dc` in a handshake.
    pub const fn to_raw(self) -> i32 {
        let number = match self.environment {
            Environment::Production => self.number as i32,
            Environment::Test => self.number as i32 + TEST_OFFSET as i32,
        };
        match self.traffic {
            Traffic::Any => number,
            Traffic::MediaOnly => -number,
        }
    }

    /// Takes the two bytes of an obfuscation header.
    pub const fn from_header(raw: [u8; 2]) -> Self {
        Self::from_raw(i16::from_le_bytes(raw) as i32).expect("every i16 is in the range of from_raw")
    }

    /// Returns the two bytes of an obfuscation header, or `None` for a number that does not fit into them.
    pub const fn to_header(self) -> Option<[u8; 2]> {
        let raw = self.to_raw();
        if raw == raw as i16 as i32 { Some((raw as i16).to_le_bytes()) } else { None }
    }

    /// Returns the number, as in `dcOption`.
    pub const fn number(self) -> u16 {
        self.number
    }

    /// Returns the environment.
    pub const fn environment(self) -> Environment {
        self.environment
    }

    /// Returns what the connection carries.
    pub const fn traffic(self) -> Traffic {
        self.traffic
    }
}

const TEST_OFFSET: u32 = 10_000;

impl fmt::Display for DcId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = match self.environment {
            Environment::Production => "",
            Environment::Test => "test ",
        };
        let traffic = match self.traffic {
            Traffic::Any => "",
            Traffic::MediaOnly => " (media)",
        };
        write!(f, "{environment}DC {}{traffic}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_025_test_ids_are_offset_and_media_ids_negative() {
        assert_eq!(DcId::production(2).to_raw(), 2);
        assert_eq!(DcId::test(2).to_raw(), 10_002);
        assert_eq!(DcId::production(4).media_only().to_raw(), -4);
        assert_eq!(DcId::test(3).media_only().to_raw(), -10_003);
        for raw in [0, 2, -4, 9_999, 10_002, -10_003, 0xffff, -0xffff] {
            assert_eq!(DcId::from_raw(raw).map(DcId::to_raw), Some(raw), "{raw}");
        }
        assert_eq!(DcId::from_raw(0x1_0000), None);
        assert_eq!(DcId::from_raw(i32::MIN), None);
    }

    #[test]
    fn an_obfuscation_header_holds_any_two_bytes() {
        for raw in i16::MIN..=i16::MAX {
            let bytes = raw.to_le_bytes();
            assert_eq!(DcId::from_header(bytes).to_header(), Some(bytes), "{raw}");
        }
        assert_eq!(DcId::production(u16::MAX).to_header(), None);
    }
}
