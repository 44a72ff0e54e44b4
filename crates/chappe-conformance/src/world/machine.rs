//! The client's machine: its clocks, its sleep, its disk.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use chappe_crypto::AuthKeyId;
use chappe_net::store::{KeyStore, Slot, StoreError, Zeroizing};
use chappe_session::client::SavedState;
use chappe_session::{MonoTime, Now, UnixTime};

use super::pipe::lock;
use super::{SECOND, START, shifted};

/// Both clocks, as the client reads them.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    mono: AtomicU64,
    wall: AtomicU64,
}

impl Clocks {
    pub(super) fn now(&self) -> Now {
        let wall = UnixTime::from_nanos(self.wall.load(Ordering::Relaxed));
        Now::new(MonoTime::from_nanos(self.mono.load(Ordering::Relaxed)), wall)
    }
}

/// Whether the monotonic clock goes on while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InSleep {
    /// As on Linux and macOS.
    StandsStill,
    /// As on Windows.
    GoesOn,
}

/// Where the client runs.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// The process does not run before.
    away_until: u64,
    /// The machine sleeps: its system does nothing either.
    is_asleep: bool,
    /// Since when the monotonic clock stands still.
    stands_since: Option<u64>,
    /// How long it stood still before.
    stood_still: u64,
    /// Of the wall clock against the true time, in nanoseconds.
    pub(super) wall_error: i64,
    /// Of the wall clock, in millionths.
    pub(super) drift: i64,
    /// When it woke up last.
    pub(super) woke_at: u64,
}

impl Machine {
    /// Sets the clocks that the client reads.
    pub(super) fn tell(&self, time: u64, clocks: &Clocks) {
        clocks.mono.store(self.mono(time), Ordering::Relaxed);
        let drift = time as i64 / 1_000_000 * self.drift;
        let wall = shifted(START + time, self.wall_error.saturating_add(drift));
        clocks.wall.store(wall, Ordering::Relaxed);
    }

    /// Returns the monotonic clock.
    pub(super) const fn mono(&self, time: u64) -> u64 {
        let time = match self.stands_since {
            Some(since) => since,
            None => time,
        };
        1000 * SECOND + time - self.stood_still
    }

    /// Returns when the monotonic clock shows `at`.
    pub(super) const fn when(&self, at: MonoTime) -> u64 {
        (at.as_nanos() + self.stood_still).saturating_sub(1000 * SECOND)
    }

    pub(super) fn sleep(&mut self, time: u64, length: u64, clock: InSleep) {
        self.away_until = self.away_until.max(time + length);
        self.is_asleep = true;
        if matches!(clock, InSleep::StandsStill) && self.stands_since.is_none() {
            self.stands_since = Some(time);
        }
    }

    pub(super) fn pause(&mut self, time: u64, length: u64) {
        self.away_until = self.away_until.max(time + length);
    }

    /// Returns whether the process runs.
    pub(super) const fn is_running(&self, time: u64) -> bool {
        self.away_until <= time
    }

    pub(super) const fn is_asleep(&self, time: u64) -> bool {
        self.is_asleep && !self.is_running(time)
    }

    /// Returns when the process runs again.
    pub(super) fn next_at(&self, time: u64) -> Option<u64> {
        (!self.is_running(time)).then_some(self.away_until)
    }

    /// Notes that it runs again; returns whether it was away.
    pub(super) const fn wake(&mut self, time: u64) -> bool {
        if self.away_until == 0 || self.away_until > time {
            return false;
        }
        if let Some(since) = self.stands_since.take() {
            self.stood_still += time - since;
        }
        (self.woke_at, self.away_until, self.is_asleep) = (time, 0, false);
        true
    }
}

/// What happened to the file while no client used it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The file ends after so many bytes.
    Cut(usize),
    /// A bit has changed.
    Flip(usize),
    /// It is what it was when it was first saved.
    Restored,
}

/// A disk with one file, as a store of keys.
#[derive(Debug, Default)]
pub(super) struct Disk(Mutex<File>);

#[derive(Debug, Default)]
struct File {
    state: Option<Vec<u8>>,
    aside: Vec<Vec<u8>>,
    first: Option<Vec<u8>>,
    is_full: bool,
    saves: u64,
}

impl Disk {
    pub(super) fn set_full(&self, is_full: bool) {
        lock(&self.0).is_full = is_full;
    }

    /// Damages the file; returns whether there is one.
    pub(super) fn damage(&self, damage: Damage) -> bool {
        let mut file = lock(&self.0);
        let first = file.first.clone();
        let Some(state) = &mut file.state else { return false };
        match damage {
            Damage::Cut(len) => state.truncate(len),
            Damage::Flip(bit) => {
                let bit = bit % (state.len() * 8).max(1);
                if let Some(byte) = state.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Damage::Restored => file.state = first,
        }
        true
    }

    /// Returns the key in the file, if it can be read.
    pub(super) fn key(&self) -> Option<AuthKeyId> {
        lock(&self.0).state.as_deref().and_then(key_of)
    }

    /// Returns whether a key is in the file or was kept aside.
    pub(super) fn holds(&self, key: AuthKeyId) -> bool {
        let file = lock(&self.0);
        file.state.iter().chain(&file.aside).any(|state| key_of(state) == Some(key))
    }

    pub(super) fn saves(&self) -> u64 {
        lock(&self.0).saves
    }
}

fn key_of(state: &[u8]) -> Option<AuthKeyId> {
    // Bits of what surrounds the key may have changed.
    let state = SavedState::import(state).ok().or_else(|| SavedState::salvage(state))?;
    Some(state.key.auth_key.id())
}

impl KeyStore for Disk {
    fn load(&self, _slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(lock(&self.0).state.clone().map(Zeroizing::new))
    }

    fn save(&self, _slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        let mut file = lock(&self.0);
        if file.is_full {
            return Err(StoreError::other("no space left on device"));
        }
        file.saves += 1;
        file.first.get_or_insert_with(|| state.to_vec());
        file.state = Some(state.to_vec());
        Ok(())
    }

    fn remove(&self, _slot: Slot) -> Result<(), StoreError> {
        lock(&self.0).state = None;
        Ok(())
    }

    fn keep_aside(&self, _slot: Slot) -> Result<Option<String>, StoreError> {
        let mut file = lock(&self.0);
        if file.is_full {
            return Err(StoreError::other("no space left on device"));
        }
        let Some(state) = file.state.clone() else { return Ok(None) };
        file.aside.push(state);
        Ok(Some("aside".into()))
    }
}
