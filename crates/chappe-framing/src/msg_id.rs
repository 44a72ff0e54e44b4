//! Message identifiers and their generation.
//!
//! [`MsgIdGenerator`] makes ids from the caller's time. They increase strictly, even if the clock steps back.
//!
//! Not here: the session's window of received ids and its limits on their age.
//!
//! Spec: <https://core.telegram.org/mtproto/description#message-identifier-msg-id>.

use crate::UnixTime;

/// Identifier of a message within a session.
///
/// The upper 32 bits are the sender's Unix time in seconds, the lower 32 bits the fraction of that second. The two lowest
/// bits name the writer of the message. On the wire: 8 bytes, little endian.
///
/// Ids compare as unsigned numbers, so that their order survives 2038.
/// <https://core.telegram.org/mtproto/description#message-identifier-msg-id>
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsgId(u64);

/// The writer of a message, from the two lowest bits of its [`MsgId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MsgOrigin {
    /// A client: the id is divisible by 4.
    Client,
    /// A server that answers a message of the client: the id is 1 modulo 4.
    Response,
    /// A server that sends a message that answers none: the id is 3 modulo 4.
    Notification,
}

impl MsgId {
    /// Takes the `long` of the wire.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw as u64)
    }

    /// Returns the `long` of the wire.
    pub const fn to_raw(self) -> i64 {
        self.0 as i64
    }

    /// Takes the 8 bytes of the wire, little endian.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// Returns the 8 bytes of the wire, little endian.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// Makes the id of a time, without regard to earlier ids.
    ///
    /// The low 32 bits are never all zero: "the lower 32 bits must not be empty".
    pub const fn at(time: UnixTime, origin: MsgOrigin) -> Self {
        Self(with_fraction(timestamp(time) | origin.low_bits()))
    }

    /// Returns who wrote the message, or `None` if the low bits are not ones a peer may send.
    pub const fn origin(self) -> Option<MsgOrigin> {
        match self.0 & LOW_BITS {
            0b00 => Some(MsgOrigin::Client),
            0b01 => Some(MsgOrigin::Response),
            0b11 => Some(MsgOrigin::Notification),
            _ => None,
        }
    }

    /// Returns the sender's Unix time in whole seconds.
    pub const fn unix_seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Returns the sender's time, fraction included, to about a nanosecond.
    pub const fn time(self) -> UnixTime {
        let fraction = ((self.0 & 0xffff_ffff) * 1_000_000_000) >> 32;
        UnixTime::from_nanos(self.unix_seconds() as u64 * 1_000_000_000 + fraction)
    }
}

impl core::fmt::Debug for MsgId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "MsgId({self})")
    }
}

impl core::fmt::Display for MsgId {
    /// Writes 16 hexadecimal digits; the first eight are the time in seconds.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl MsgOrigin {
    const fn low_bits(self) -> u64 {
        match self {
            Self::Client => 0b00,
            Self::Response => 0b01,
            Self::Notification => 0b11,
        }
    }

    /// Returns whether a server wrote the message.
    pub const fn is_server(self) -> bool {
        matches!(self, Self::Response | Self::Notification)
    }
}

/// Makes the ids of one direction of one session: each is greater than all before (SEC-83).
///
/// If the clock stands still or steps back, the next id is just above the last one. Seconds after 2106 do not fit an id;
/// from then on the generator only counts up.
#[derive(Clone, Debug, Default)]
pub struct MsgIdGenerator {
    last: u64,
    /// The time of the last call.
    asked_at: UnixTime,
}

impl MsgIdGenerator {
    /// Starts without a last id.
    pub const fn new() -> Self {
        Self { last: 0, asked_at: UnixTime::EPOCH }
    }

    /// Goes on after an id that was made elsewhere: all ids are greater.
    pub const fn after(last: MsgId) -> Self {
        Self { last: last.0, asked_at: UnixTime::EPOCH }
    }

    /// Returns the last id, or `None` before the first.
    pub const fn last(&self) -> Option<MsgId> {
        if self.last == 0 { None } else { Some(MsgId(self.last)) }
    }

    /// Returns the next id.
    #[inline]
    pub const fn next(&mut self, now: UnixTime, origin: MsgOrigin) -> MsgId {
        // The next multiple of 4 above the last id, with the bits of the writer: ids increase even if the clock does not.
        let after_last = ((self.last & !LOW_BITS) | origin.low_bits()).wrapping_add(STEP);
        // The messages of one packet have the same time and need one division together.
        let is_same_time = now.as_nanos() == self.asked_at.as_nanos();
        let by_clock = if is_same_time { 0 } else { timestamp(now) | origin.low_bits() };
        self.asked_at = now;
        self.last = with_fraction(if by_clock > self.last { by_clock } else { after_last });
        MsgId(self.last)
    }
}

const LOW_BITS: u64 = 0b11;
const STEP: u64 = 4;

/// `unixtime · 2^32`, rounded down to a multiple of 4.
const fn timestamp(time: UnixTime) -> u64 {
    let seconds = time.as_secs();
    // The id has 32 bits of seconds; later times would wrap to ids that servers refuse as too old.
    let seconds = if seconds > u32::MAX as u64 { u32::MAX as u64 } else { seconds };
    // Nanoseconds to units of 2^-32 seconds. The product needs 62 bits.
    let fraction = ((time.subsec_nanos() as u64) << 32) / 1_000_000_000;
    (seconds << 32) | (fraction & !LOW_BITS)
}

/// Avoids zero in the low 32 bits, which the specification forbids: such an id is only a count of seconds.
const fn with_fraction(id: u64) -> u64 {
    if id as u32 == 0 { id | STEP } else { id }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGINS: [MsgOrigin; 3] = [MsgOrigin::Client, MsgOrigin::Response, MsgOrigin::Notification];

    #[test]
    fn a_clock_that_steps_back_does_not_make_ids_step_back() {
        let mut ids = MsgIdGenerator::new();
        let first = ids.next(UnixTime::from_secs(1_000), MsgOrigin::Client);
        let second = ids.next(UnixTime::from_secs(999), MsgOrigin::Client);
        assert_eq!(second.to_raw(), first.to_raw() + 4);
        assert_eq!(ids.last(), Some(second));
    }

    #[test]
    fn a_bump_across_a_second_leaves_the_low_half_non_zero() {
        let mut ids = MsgIdGenerator { last: (7 << 32) - 4, ..MsgIdGenerator::new() };
        let id = ids.next(UnixTime::EPOCH, MsgOrigin::Client);
        assert_eq!(id.to_raw(), (7 << 32) + 4);
    }

    #[test]
    fn a_generator_goes_on_after_an_id_that_was_made_elsewhere() {
        let last = MsgIdGenerator::new().next(UnixTime::from_secs(1_000), MsgOrigin::Notification);
        let next = MsgIdGenerator::after(last).next(UnixTime::from_secs(1_000), MsgOrigin::Response);
        assert_eq!((next > last, next.origin()), (true, Some(MsgOrigin::Response)));
    }

    #[test]
    fn two_is_nobodys_origin() {
        assert_eq!(MsgId::from_raw(2).origin(), None);
    }

    proptest! {
        #[test]
        fn ids_increase_and_tell_their_origin(
            steps in proptest::collection::vec((any::<u32>(), 0..1_000_000_000_u32, 0..3_usize), 1..100),
        ) {
            let mut ids = MsgIdGenerator::new();
            let mut last = None;
            for (seconds, nanos, origin) in steps {
                let now = UnixTime::from_nanos(u64::from(seconds) * 1_000_000_000 + u64::from(nanos));
                let id = ids.next(now, ORIGINS[origin]);
                prop_assert!(last < Some(id), "{last:?} {id}");
                prop_assert_eq!(id.origin(), Some(ORIGINS[origin]));
                prop_assert_ne!(id.to_raw() & 0xffff_ffff, 0);
                last = Some(id);
            }
        }

        #[test]
        fn the_time_of_an_id_is_the_time_it_was_made(nanos in 0..(u64::from(u32::MAX) * 1_000_000_000)) {
            let time = UnixTime::from_nanos(nanos);
            let back = MsgId::at(time, MsgOrigin::Client).time();
            prop_assert!(back.offset_from(time).abs() <= 2, "{back:?} {time:?}");
        }
    }
}
