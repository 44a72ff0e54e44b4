//! Salts as a server hands them out: computed, not stored.
//!
//! A salt is an HMAC of the key's id and the half hour it belongs to. All machines that know the secret agree on it, and
//! nothing is stored per key. The salt of the last half hour stays valid.
//!
//! Spec: <https://core.telegram.org/mtproto/description#server-salt>.

use chappe_crypto::{AuthKeyId, hash};
use chappe_framing::{MsgId, ServerSalt, UnixTime};
use chappe_tl::RawVec;
use chappe_tl_mtproto::types;
use zeroize::Zeroizing;

use crate::salts::{SALT_LIFETIME, TimedSalt};

/// The most salts in one `future_salts`, as the specification says.
const MAX_FUTURE: usize = 64;

/// The salts of all keys of a server.
#[derive(Clone)]
pub struct SaltSchedule {
    secret: Zeroizing<[u8; 32]>,
}

impl SaltSchedule {
    /// Takes the secret that all salts are computed from: 32 random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret: Zeroizing::new(secret) }
    }

    /// Returns the salt in use at a time.
    pub fn current(&self, key: AuthKeyId, now: UnixTime) -> ServerSalt {
        self.of_period(key, period(now))
    }

    /// Returns whether a salt is valid at a time: it is in use, or was until less than 1800 s ago (SEC-87).
    pub fn is_valid(&self, key: AuthKeyId, now: UnixTime, salt: ServerSalt) -> bool {
        let period = period(now);
        salt == self.of_period(key, period)
            || period.checked_sub(1).is_some_and(|last| salt == self.of_period(key, last))
    }

    /// Returns the salts from now on, the one in use first; at least 1, at most 64.
    pub fn future(
        &self,
        key: AuthKeyId,
        now: UnixTime,
        count: i32,
    ) -> impl ExactSizeIterator<Item = TimedSalt> {
        let count = usize::try_from(count).unwrap_or(1).clamp(1, MAX_FUTURE);
        let first = period(now);
        (0..count).map(move |ahead| {
            let period = first + ahead as i64;
            let valid_since = period * SALT_LIFETIME;
            let valid_until = valid_since + 2 * SALT_LIFETIME;
            TimedSalt { valid_since, valid_until, salt: self.of_period(key, period) }
        })
    }

    fn of_period(&self, key: AuthKeyId, period: i64) -> ServerSalt {
        let digest = hash::hmac_sha256(&self.secret[..], &[key.as_bytes(), &period.to_le_bytes()]);
        let [a, b, c, d, e, f, g, h, ..] = digest;
        ServerSalt::from_raw(i64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl core::fmt::Debug for SaltSchedule {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SaltSchedule").finish_non_exhaustive()
    }
}

/// The salts that one session takes.
#[derive(Debug)]
pub(super) struct SessionSalts {
    schedule: SaltSchedule,
    key: AuthKeyId,
    /// The salt that follows from the handshake, and until when it is taken.
    first: Option<(ServerSalt, UnixTime)>,
}

impl SessionSalts {
    pub(super) const fn new(schedule: SaltSchedule, key: AuthKeyId) -> Self {
        Self { schedule, key, first: None }
    }

    /// Also takes a salt that is not of the schedule, until `until`.
    pub(super) fn with_first(self, salt: ServerSalt, until: UnixTime) -> Self {
        Self { first: Some((salt, until)), ..self }
    }

    pub(super) fn current(&self, now: UnixTime) -> ServerSalt {
        self.schedule.current(self.key, now)
    }

    pub(super) fn accept(&self, now: UnixTime, salt: ServerSalt) -> bool {
        let is_first = self.first.is_some_and(|(first, until)| first == salt && now <= until);
        is_first || self.schedule.is_valid(self.key, now, salt)
    }

    /// Returns the answer to `get_future_salts`.
    pub(super) fn future(&self, now: UnixTime, req_msg_id: MsgId, count: i32) -> types::FutureSalts {
        let salts = self.schedule.future(self.key, now, count);
        let future_salt = |salt: TimedSalt| types::FutureSalt {
            // The fields are unsigned on the wire: TL has no other type for a time.
            valid_since: salt.valid_since as u32 as i32,
            valid_until: salt.valid_until as u32 as i32,
            salt: salt.salt.to_raw(),
        };
        types::FutureSalts {
            req_msg_id: req_msg_id.to_raw(),
            now: now.to_tl_int(),
            salts: RawVec(salts.map(future_salt).collect()),
        }
    }
}

fn period(now: UnixTime) -> i64 {
    now.as_secs() as i64 / SALT_LIFETIME
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: AuthKeyId = AuthKeyId::from_raw(7);

    #[test]
    fn sec_087_a_salt_is_valid_in_its_half_hour_and_the_next_and_no_longer() {
        let salts = SaltSchedule::new([1; 32]);
        let start = UnixTime::from_secs(1800 * 1000);
        let salt = salts.current(KEY, start);
        for (seconds, valid) in [(0, true), (1799, true), (1800, true), (3599, true), (3600, false)] {
            let now = UnixTime::from_secs(1800 * 1000 + seconds);
            assert_eq!(salts.is_valid(KEY, now, salt), valid, "{seconds}");
        }
        assert!(!salts.is_valid(AuthKeyId::from_raw(8), start, salt), "salts belong to a key");
    }

    #[test]
    fn what_is_announced_is_what_will_be_used() {
        let salts = SaltSchedule::new([1; 32]);
        let now = UnixTime::from_secs(1_707_425_104);
        for announced in salts.future(KEY, now, 64) {
            let then = UnixTime::from_secs(announced.valid_since as u64);
            assert_eq!(salts.current(KEY, then), announced.salt);
        }
        assert_eq!(salts.future(KEY, now, i32::MAX).len(), 64);
        assert_eq!(salts.future(KEY, now, -1).len(), 1);
    }
}
