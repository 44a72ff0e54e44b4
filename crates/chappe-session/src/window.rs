//! The window of received message ids: which were seen, which are new, and which are too old to tell.
//!
//! [`DuplicateWindow`] keeps the highest ids in order and grows on demand, so that an idle session holds
//! nothing. Ids arrive nearly always in ascending order, which costs one comparison; the rest is a binary
//! search. Ids inside containers go into the same window.
//!
//! [`AgeLimits`] compares the time in an id with a clock.
//!
//! Spec: <https://core.telegram.org/mtproto/security_guidelines#checking-msg-id>.

use alloc::collections::VecDeque;
use core::time::Duration;

use chappe_framing::{MsgId, UnixTime};

/// What the window knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Not seen before.
    Fresh,
    /// Seen before: its body must not be handled again (SEC-76).
    Duplicate,
    /// Lower than everything remembered while the window is full, so it may have been seen (SEC-77).
    TooOld,
}

/// The last received message ids of one direction of one session, each with a note of type `S`.
///
/// A client needs no notes; a server notes what became of each message, for `msgs_state_info`.
#[derive(Clone, Debug)]
pub(crate) struct DuplicateWindow<S = ()> {
    /// Ascending by id.
    ids: VecDeque<(MsgId, S)>,
    capacity: usize,
}

impl<S> DuplicateWindow<S> {
    /// Creates an empty window that will remember up to `capacity` ids.
    ///
    /// The specification asks for at least 400 (SEC-78); at least one is kept whatever `capacity` says.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { ids: VecDeque::new(), capacity: if capacity == 0 { 1 } else { capacity } }
    }

    /// Returns how many ids are remembered.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns the lowest id remembered.
    pub(crate) fn lowest(&self) -> Option<MsgId> {
        self.ids.front().map(|entry| entry.0)
    }

    /// Returns the highest id remembered.
    pub(crate) fn highest(&self) -> Option<MsgId> {
        self.ids.back().map(|entry| entry.0)
    }

    /// Looks an id up without remembering it.
    pub(crate) fn check(&self, id: MsgId) -> Seen {
        match self.place(id) {
            Ok(_) => Seen::Duplicate,
            // Below a full window an id may have been seen and forgotten, so it is refused: a replay must not pass.
            Err(0) if self.is_full() => Seen::TooOld,
            Err(_) => Seen::Fresh,
        }
    }

    /// Remembers an id with a note unless it was seen; forgets the lowest when full.
    ///
    /// An id below everything remembered is still [`Seen::Fresh`] while the window has room, so that
    /// messages arriving out of order right after a start are not lost.
    #[inline]
    pub(crate) fn insert(&mut self, id: MsgId, note: S) -> Seen {
        let place = match self.place(id) {
            Ok(_) => return Seen::Duplicate,
            Err(0) if self.is_full() => return Seen::TooOld,
            Err(place) => place,
        };
        let from_back = self.ids.len() - place;
        if self.is_full() {
            self.ids.pop_front();
        } else if self.ids.len() == self.ids.capacity() {
            self.grow();
        }
        match from_back {
            0 => self.ids.push_back((id, note)),
            1 => {
                // Each message of a container: the container's own id stays the highest.
                if let Some(back) = self.ids.back_mut() {
                    let highest = core::mem::replace(back, (id, note));
                    self.ids.push_back(highest);
                }
            }
            _ => self.ids.insert(self.ids.len() - from_back, (id, note)),
        }
        Seen::Fresh
    }

    /// Returns the note of an id.
    pub(crate) fn note(&self, id: MsgId) -> Option<&S> {
        self.place(id).ok().map(|place| &self.ids[place].1)
    }

    /// Returns the note of an id, to change it.
    pub(crate) fn note_mut(&mut self, id: MsgId) -> Option<&mut S> {
        self.place(id).ok().map(|place| &mut self.ids[place].1)
    }

    /// Returns the nearest remembered neighbours of an id, with their notes: the highest below and the lowest above.
    #[expect(clippy::type_complexity, reason = "two options of an entry, named by the function")]
    pub(crate) fn neighbours(&self, id: MsgId) -> (Option<&(MsgId, S)>, Option<&(MsgId, S)>) {
        let (below, above) = match self.place(id) {
            Ok(place) => (place, place + 1),
            Err(place) => (place, place),
        };
        (below.checked_sub(1).and_then(|place| self.ids.get(place)), self.ids.get(above))
    }

    fn is_full(&self) -> bool {
        self.ids.len() >= self.capacity
    }

    /// Takes memory for as many again, but never for more than the window will hold.
    #[cold]
    fn grow(&mut self) {
        let len = self.ids.len();
        self.ids.reserve_exact(len.max(8).min(self.capacity - len));
    }

    /// Position of an id, or where it belongs.
    #[inline]
    fn place(&self, id: MsgId) -> Result<usize, usize> {
        let len = self.ids.len();
        match (self.ids.back(), self.ids.get(len.wrapping_sub(2))) {
            (Some(highest), _) if highest.0 < id => Err(len),
            // The id of a container is above those of its messages and is seen before them.
            (Some(highest), Some(second)) if second.0 < id && id < highest.0 => Err(len - 1),
            _ => self.ids.binary_search_by(|entry| entry.0.cmp(&id)),
        }
    }
}

/// How far the time of a message may be from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgeLimits {
    /// Oldest acceptable message.
    pub past: Duration,
    /// Farthest acceptable message from the future.
    pub future: Duration,
}

impl AgeLimits {
    chappe_types::with!();
}

impl AgeLimits {
    /// The limits of the specification: 300 seconds old, 30 seconds in the future.
    ///
    /// The past is the longer way: a message waits on its way and in queues, while only a wrong clock makes one come from
    /// the future. See <https://core.telegram.org/mtproto/security_guidelines#checking-msg-id>.
    pub const SPEC: Self = Self { past: Duration::from_secs(300), future: Duration::from_secs(30) };

    /// Compares the time in an id with the server's time.
    pub(crate) fn check(&self, id: MsgId, server_time: UnixTime) -> Age {
        let sent = id.time().as_nanos();
        let now = server_time.as_nanos();
        if sent.saturating_add(self.past.as_nanos() as u64) < now {
            Age::TooOld
        } else if now.saturating_add(self.future.as_nanos() as u64) < sent {
            Age::TooNew
        } else {
            Age::Plausible
        }
    }
}

/// The result of [`AgeLimits::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Within the window.
    Plausible,
    /// Older than the window allows.
    TooOld,
    /// Farther in the future than the window allows.
    TooNew,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(raw: i64) -> MsgId {
        MsgId::from_raw(raw)
    }

    #[test]
    fn sec_078_memory_is_taken_only_on_demand_and_never_beyond_the_capacity() {
        let mut window = DuplicateWindow::<()>::new(500);
        assert_eq!(window.ids.capacity(), 0);
        for raw in 0..5_000 {
            assert_eq!(window.insert(id(4 * raw + 1), ()), Seen::Fresh);
        }
        assert_eq!(window.ids.len(), 500);
        assert_eq!(window.ids.capacity(), 500, "not rounded up to a power of two");
    }

    #[test]
    fn arrival_in_descending_order_loses_nothing_while_there_is_room() {
        let mut window = DuplicateWindow::<()>::new(100);
        for raw in (1..=100).rev() {
            assert_eq!(window.insert(id(raw), ()), Seen::Fresh);
        }
        assert_eq!(window.insert(id(0), ()), Seen::TooOld);
        for raw in 1..=100 {
            assert_eq!(window.check(id(raw)), Seen::Duplicate);
        }
    }

    #[test]
    fn a_full_window_forgets_the_lowest_id_and_no_other() {
        let mut window = DuplicateWindow::new(3);
        for raw in [10, 30, 40] {
            window.insert(id(raw), raw);
        }
        assert_eq!(window.insert(id(20), 20), Seen::Fresh);
        assert_eq!(window.note(id(10)), None);
        assert_eq!(window.lowest(), Some(id(20)));
        assert_eq!(window.note(id(30)), Some(&30));
    }

    #[test]
    fn an_id_below_a_full_window_is_too_old_whether_looked_up_or_inserted() {
        let mut window = DuplicateWindow::new(2);
        for raw in [10, 20] {
            window.insert(id(raw), ());
        }
        assert_eq!((window.check(id(5)), window.insert(id(5), ())), (Seen::TooOld, Seen::TooOld));
        assert_eq!(window.check(id(15)), Seen::Fresh);
    }

    #[test]
    fn an_age_at_its_limit_is_plausible() {
        use chappe_framing::MsgOrigin;
        let sent = MsgId::at(UnixTime::from_secs(1_000_000), MsgOrigin::Notification);
        let time = sent.time();
        let limits = AgeLimits::SPEC;
        let tick = Duration::from_nanos(1);
        assert_eq!(limits.check(sent, time.saturating_add(limits.past)), Age::Plausible);
        assert_eq!(limits.check(sent, time.saturating_add(limits.past + tick)), Age::TooOld);
        assert_eq!(limits.check(sent, time.saturating_sub(limits.future)), Age::Plausible);
        assert_eq!(limits.check(sent, time.saturating_sub(limits.future + tick)), Age::TooNew);
    }

    #[test]
    fn neighbours_are_the_nearest_ids() {
        let mut window = DuplicateWindow::new(8);
        for raw in [10, 20, 30] {
            window.insert(id(raw), ());
        }
        let raw = |near: MsgId| {
            let (below, above) = window.neighbours(near);
            (below.map(|entry| entry.0.to_raw()), above.map(|entry| entry.0.to_raw()))
        };
        assert_eq!(raw(id(20)), (Some(10), Some(30)));
        assert_eq!(raw(id(5)), (None, Some(10)));
        assert_eq!(raw(id(35)), (Some(30), None));
    }
}
