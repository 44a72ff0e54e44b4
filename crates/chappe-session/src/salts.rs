//! Server salts a client knows, and when each is valid.
//!
//! [`SaltTable`] holds the salt in use and those announced by `future_salts`. A salt is used from its
//! `valid_since` on; more are requested before the last one ends.
//!
//! Not here: where a salt comes from. The caller takes it only from an authenticated answer to a recent query of
//! its own (SEC-89).
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#request-for-several-future-salts>.

use alloc::vec::Vec;

use chappe_framing::ServerSalt;

/// Seconds for which the server keeps one salt, and the previous one after it.
pub(crate) const SALT_LIFETIME: i64 = 1800;

/// A salt with the time in which the server takes it, in Unix seconds of the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedSalt {
    /// First second in which the salt is valid.
    pub valid_since: i64,
    /// Last second in which the salt is valid.
    pub valid_until: i64,
    /// The salt itself.
    pub salt: ServerSalt,
}

/// The salts of one `auth_key` as its client knows them.
#[derive(Clone, Debug)]
pub(crate) struct SaltTable {
    /// Ascending by `valid_since`; the first is in use.
    salts: Vec<TimedSalt>,
    capacity: usize,
}

impl SaltTable {
    /// Creates a table with the salt that follows from the handshake, or the last one known.
    ///
    /// `capacity` bounds how many salts are kept; at least one is.
    pub(crate) fn new(first: ServerSalt, server_seconds: i64, capacity: usize) -> Self {
        let mut table = Self { salts: Vec::with_capacity(1), capacity: capacity.max(1) };
        table.supersede(first, server_seconds);
        table
    }

    /// Creates a table from salts kept by [`SaltTable::as_slice`] of an earlier run.
    ///
    /// An empty list gives a table with salt 0, which the server corrects at once.
    pub(crate) fn from_salts(salts: impl IntoIterator<Item = TimedSalt>, capacity: usize) -> Self {
        let mut table = Self { salts: Vec::new(), capacity: capacity.max(1) };
        table.salts.extend(salts.into_iter().take(table.capacity));
        table.salts.shrink_to_fit();
        table.salts.sort_by_key(|salt| salt.valid_since);
        if table.salts.is_empty() {
            // `bad_server_salt` brings the right one with the first answer.
            // <https://core.telegram.org/mtproto/description#server-salt>
            table.salts.push(TimedSalt { valid_since: 0, valid_until: 0, salt: ServerSalt::from_raw(0) });
        }
        table
    }

    /// Returns all salts, the one in use first.
    pub(crate) fn as_slice(&self) -> &[TimedSalt] {
        &self.salts
    }

    /// Returns the salt that is in use at a time.
    pub(crate) fn current(&self, server_seconds: i64) -> ServerSalt {
        let begun = self.salts.iter().skip(1).take_while(|next| next.valid_since <= server_seconds).last();
        // `new`, `from_salts` and `advance` all leave at least one.
        begun.or(self.salts.first()).map_or(ServerSalt::from_raw(0), |salt| salt.salt)
    }

    /// Returns the salt to send with, and drops those whose time is over.
    #[inline]
    pub(crate) fn advance(&mut self, server_seconds: i64) -> ServerSalt {
        while self.salts.get(1).is_some_and(|next| next.valid_since <= server_seconds) {
            self.salts.remove(0);
        }
        self.salts.first().map_or(ServerSalt::from_raw(0), |salt| salt.salt)
    }

    /// Replaces all salts by the one that the server demands: those that it refuses are of no use.
    pub(crate) fn supersede(&mut self, salt: ServerSalt, server_seconds: i64) {
        self.salts.clear();
        // Its end is unknown. The server accepts a salt for another half hour after its own time, so this is safe.
        self.salts.push(TimedSalt {
            valid_since: server_seconds,
            valid_until: server_seconds.saturating_add(SALT_LIFETIME),
            salt,
        });
    }

    /// Takes in announced salts; those that ended, end before they begin, or exceed the capacity are left out.
    ///
    /// Returns how many are known afterwards, the one in use included.
    pub(crate) fn extend(
        &mut self,
        announced: impl IntoIterator<Item = TimedSalt>,
        server_seconds: i64,
    ) -> usize {
        for salt in announced {
            if salt.valid_until > server_seconds && salt.valid_since < salt.valid_until {
                self.insert(salt);
            }
        }
        self.advance(server_seconds);
        self.salts.len()
    }

    fn insert(&mut self, new: TimedSalt) {
        if let Some(known) = self.salts.iter_mut().find(|known| known.salt == new.salt) {
            known.valid_until = new.valid_until;
            return;
        }
        let place = self.salts.partition_point(|known| known.valid_since <= new.valid_since);
        if place < self.capacity {
            self.salts.truncate(self.capacity - 1);
            self.salts.insert(place, new);
        }
    }

    /// Returns whether more salts should be requested: none waits behind the current one, or the last ends within
    /// `margin` seconds.
    #[inline]
    pub(crate) fn runs_low(&self, server_seconds: i64, margin: i64) -> bool {
        self.salts.len() < 2
            || self.salts.last().is_none_or(|last| last.valid_until <= server_seconds.saturating_add(margin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(valid_since: i64, raw: i64) -> TimedSalt {
        TimedSalt { valid_since, valid_until: valid_since + SALT_LIFETIME, salt: ServerSalt::from_raw(raw) }
    }

    fn table() -> SaltTable {
        let mut table = SaltTable::new(ServerSalt::from_raw(7), 1000, 4);
        table.extend([timed(5000, 9), timed(3000, 8)], 1000);
        table
    }

    #[test]
    fn a_salt_is_used_from_its_first_second_on() {
        let mut table = table();
        for (seconds, salt) in [(2999, 7), (3000, 8), (9000, 9)] {
            assert_eq!(table.current(seconds).to_raw(), salt);
            assert_eq!(table.advance(seconds).to_raw(), salt);
        }
        assert_eq!(table.as_slice().len(), 1);
    }

    #[test]
    fn what_the_server_demands_supersedes_what_it_announced() {
        let mut table = table();
        table.supersede(ServerSalt::from_raw(1), 1000);
        assert_eq!(table.current(9000).to_raw(), 1);
        assert!(table.runs_low(1000, 60));
    }

    #[test]
    fn sec_088_the_table_is_bounded_and_sorted_and_keeps_the_nearest() {
        let mut table = table();
        assert_eq!(table.extend((0..100).map(|n| timed(2000 + n, 100 + n)), 1000), 4);
        assert_eq!(table.as_slice()[3].valid_since, 2002);
        assert!(table.as_slice().is_sorted_by_key(|salt| salt.valid_since));
    }

    #[test]
    fn ended_and_senseless_salts_are_left_out() {
        let mut table = SaltTable::new(ServerSalt::from_raw(7), 10_000, 8);
        let backwards = TimedSalt { valid_since: 20_000, valid_until: 15_000, salt: ServerSalt::from_raw(4) };
        assert_eq!(table.extend([timed(1000, 3), backwards], 10_000), 1);
        // It would take the place of the one in use, which is older still.
        let mut table = SaltTable::new(ServerSalt::from_raw(7), 1000, 8);
        table.extend([timed(2000, 3)], 10_000);
        assert_eq!(table.current(10_000).to_raw(), 7);
    }

    #[test]
    fn a_salt_announced_again_is_not_stored_twice() {
        let mut table = table();
        assert_eq!(table.extend([timed(3000, 8), timed(5000, 9)], 1000), 3);
    }
}
