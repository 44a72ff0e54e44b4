//! Server salts and session ids.

use rand_core::CryptoRng;

/// Random number of the server that each message of a client must carry. It prevents the replay of old messages and allows
/// the server to correct a client's clock.
///
/// On the wire: 8 bytes, little endian.
/// <https://core.telegram.org/mtproto/description#server-salt>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerSalt(i64);

impl ServerSalt {
    /// Takes the `long` of the wire.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// Returns the `long` of the wire.
    pub const fn to_raw(self) -> i64 {
        self.0
    }
}

/// Random number of the client that distinguishes its sessions under one `auth_key`.
///
/// On the wire: 8 bytes, little endian. Servers refuse zero (SEC-69).
/// <https://core.telegram.org/mtproto/description#session>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(i64);

impl SessionId {
    /// Takes the `long` of the wire.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// Returns the `long` of the wire.
    pub const fn to_raw(self) -> i64 {
        self.0
    }

    /// Returns whether this is zero, which names no session.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Draws an id that is not zero.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        loop {
            let raw = rng.next_u64() as i64;
            if raw != 0 {
                return Self(raw);
            }
        }
    }
}
