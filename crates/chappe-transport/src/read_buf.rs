//! The read buffer of a driver.
//!
//! Its bytes are first *raw*, as received, then *ready*, with records unwrapped and obfuscation decrypted in place, then
//! dropped. Frames are ranges of the buffer. Bytes move only when room is short, and then at most once per read.
//!
//! **Invariant:** the buffer grows with the bytes that arrived, never with an announced length (`SEC-138`).

use alloc::vec::Vec;
use core::{fmt, mem};

use crate::error::{StreamRefusal, TransportError};
use crate::limits::ConnectionLimits;

/// Minimum room for a read, unless the bound is near.
const MIN_READ: usize = 4 * 1024;

/// Size of the first allocation. Most messages are smaller; a larger buffer is kept until the connection is idle.
const INITIAL: usize = MIN_READ;

/// Bytes that were read and not consumed yet: `start..ready` is ready, `ready..end` is raw.
pub struct ReadBuf {
    bytes: Vec<u8>,
    start: usize,
    ready: usize,
    end: usize,
    max: usize,
}

impl ReadBuf {
    /// Creates an empty buffer for at most [`ConnectionLimits::max_buffered`] bytes. Allocates nothing.
    pub const fn new(limits: &ConnectionLimits) -> Self {
        Self { bytes: Vec::new(), start: 0, ready: 0, end: 0, max: limits.max_buffered() }
    }

    /// Returns the number of raw and ready bytes.
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns room to read into; follow with [`commit`](Self::commit).
    ///
    /// # Errors
    ///
    /// [`StreamRefusal::BufferFull`] if the bound is reached. This cannot happen if
    /// all frames are taken out before each read.
    pub fn space(&mut self) -> Result<&mut [u8], TransportError> {
        self.make_room()?;
        Ok(&mut self.bytes[self.end..])
    }

    /// Records that `count` bytes were read into [`space`](Self::space), at most its length.
    pub fn commit(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
    }

    /// Appends bytes that were read elsewhere, such as a WebSocket message.
    ///
    /// # Errors
    ///
    /// [`StreamRefusal::BufferFull`] if the bound is reached.
    pub fn extend_from_slice(&mut self, mut bytes: &[u8]) -> Result<(), TransportError> {
        while !bytes.is_empty() {
            let space = self.space()?;
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            self.commit(now.len());
            bytes = later;
        }
        Ok(())
    }

    /// Returns the raw bytes, as received.
    pub fn raw(&self) -> &[u8] {
        &self.bytes[self.ready..self.end]
    }

    /// Returns the raw bytes for work in place, such as opening the envelope in an HTTP body.
    pub fn raw_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.ready..self.end]
    }

    /// Drops `count` raw bytes from the front, for a driver that reads HTTP heads itself.
    ///
    /// Call it only while nothing is ready.
    pub fn consume_raw(&mut self, count: usize) {
        debug_assert_eq!(self.start, self.ready, "raw bytes are behind the ready ones");
        self.start = self.ready.saturating_add(count).min(self.end);
        self.ready = self.start;
    }

    /// Frees memory beyond the first allocation if the buffer is empty.
    pub fn shrink(&mut self) {
        if self.is_empty() && self.bytes.len() > INITIAL {
            self.bytes.truncate(INITIAL);
            self.bytes.shrink_to_fit();
            (self.start, self.ready, self.end) = (0, 0, 0);
        }
    }

    /// Frees all memory if the buffer is empty, for an idle connection.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.bytes = Vec::new();
            (self.start, self.ready, self.end) = (0, 0, 0);
        }
    }

    /// Returns the size of its memory in bytes.
    pub const fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Exchanges its memory for `memory` if it is empty, and returns whether it did. The content of `memory` is lost.
    ///
    /// This lets many connections share a few buffers: each borrows one while it has bytes to process.
    pub fn exchange(&mut self, memory: &mut Vec<u8>) -> bool {
        let is_empty = self.is_empty();
        if is_empty {
            mem::swap(&mut self.bytes, memory);
            (self.start, self.ready, self.end) = (0, 0, 0);
        }
        is_empty
    }

    pub(crate) fn ready(&self) -> &[u8] {
        &self.bytes[self.start..self.ready]
    }

    pub(crate) fn ready_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.ready]
    }

    /// Drops `count` ready bytes from the front and returns them for the last time.
    pub(crate) fn take_ready(&mut self, count: usize) -> &mut [u8] {
        let start = self.start;
        self.start = start.saturating_add(count).min(self.ready);
        &mut self.bytes[start..self.start]
    }

    /// Makes the raw bytes ready: `work` changes them in place and returns how many remain at the front.
    pub(crate) fn make_ready(
        &mut self,
        work: impl FnOnce(&mut [u8]) -> Result<usize, TransportError>,
    ) -> Result<(), TransportError> {
        let raw = &mut self.bytes[self.ready..self.end];
        let kept = if raw.is_empty() { 0 } else { work(raw)?.min(raw.len()) };
        self.ready += kept;
        self.end = self.ready;
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), TransportError> {
        if self.is_empty() {
            (self.start, self.ready, self.end) = (0, 0, 0);
        }
        if self.bytes.len() - self.end >= MIN_READ {
            return Ok(());
        }
        // The consumed bytes in front pay for the move, except when growing is not allowed.
        if self.start >= self.len() || self.bytes.len().saturating_mul(2) > self.max {
            self.move_to_front();
        }
        if self.bytes.len() - self.end < MIN_READ && self.bytes.len() < self.max {
            let wanted = self.bytes.len().saturating_mul(2).max(INITIAL).min(self.max);
            self.bytes.resize(wanted, 0);
        }
        if self.end == self.bytes.len() {
            return Err(StreamRefusal::BufferFull { max: self.max }.into());
        }
        Ok(())
    }

    fn move_to_front(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        self.ready -= self.start;
        self.end -= self.start;
        self.start = 0;
    }
}

impl fmt::Debug for ReadBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuf")
            .field("ready", &(self.ready - self.start))
            .field("raw", &(self.end - self.ready))
            .field("allocated", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_what_arrives_and_stops_at_the_bound() {
        let limits = ConnectionLimits::DEFAULT.with_max_frame(100_000);
        let mut buf = ReadBuf::new(&limits);
        let mut held = 0;
        while let Ok(space) = buf.space() {
            space.fill(0xa5);
            let count = space.len();
            buf.commit(count);
            held += count;
            assert!(buf.bytes.len() <= (held * 2).max(INITIAL));
        }
        assert_eq!(held, limits.max_buffered());
        assert_eq!(buf.space(), Err(StreamRefusal::BufferFull { max: limits.max_buffered() }.into()));
    }

    #[test]
    fn an_idle_buffer_holds_nothing_and_works_on() {
        let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        buf.extend_from_slice(&[7; 100]).expect("it fits");
        buf.release();
        assert_eq!(buf.raw(), [7; 100], "what waits stays");
        buf.consume_raw(100);
        buf.release();
        assert_eq!(buf.bytes.capacity(), 0);
        buf.extend_from_slice(&[8; 5]).expect("it fits");
        assert_eq!(buf.raw(), [8; 5]);
    }

    #[test]
    fn memory_is_exchanged_only_where_nothing_waits() {
        let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        let mut memory = alloc::vec![0xa5; 9000];
        assert!(buf.exchange(&mut memory) && memory.is_empty());
        assert_eq!(buf.space().expect("there is room").len(), 9000);
        buf.extend_from_slice(&[7; 5]).expect("it fits");
        assert!(!buf.exchange(&mut memory) && memory.is_empty());
        buf.consume_raw(5);
        assert!(buf.exchange(&mut memory));
        assert_eq!((memory.len(), buf.bytes.len()), (9000, 0));
        buf.extend_from_slice(&[8; 3]).expect("it fits");
        assert_eq!(buf.raw(), [8; 3]);
    }

    #[test]
    fn consumed_bytes_make_room_again() {
        let limits = ConnectionLimits::DEFAULT.with_max_frame(1000);
        let mut buf = ReadBuf::new(&limits);
        for round in 0..100_u8 {
            buf.extend_from_slice(&[round; 5000]).expect("it fits");
            assert_eq!(buf.raw(), [round; 5000]);
            buf.consume_raw(5000);
        }
        assert!(buf.bytes.len() <= 32 * 1024, "{buf:?}");
    }
}
