//! Events of a session until they are handed out, the same at both halves.
//!
//! Events borrow the frame they came in, or the scratch that packed objects were unpacked to. While a frame is worked
//! on, only places are recorded, so nothing is copied or allocated for them.

use alloc::vec::Vec;

use zeroize::Zeroize;

use crate::gzip::KEPT_SCRATCH;

/// Where the bytes of an event are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    /// In the body that came with the frame.
    Frame { start: u32, len: u32 },
    /// In the scratch of the log.
    Scratch { start: u32, len: u32 },
}

impl Span {
    /// The bytes `from..` of the span.
    pub(crate) const fn skip(self, from: usize) -> Self {
        match self {
            Self::Frame { start, len } => Self::Frame { start: start + from as u32, len: len - from as u32 },
            Self::Scratch { start, len } => {
                Self::Scratch { start: start + from as u32, len: len - from as u32 }
            }
        }
    }

    /// The `len` bytes from `from` on.
    pub(crate) const fn part(self, from: usize, len: usize) -> Self {
        match self.skip(from) {
            Self::Frame { start, .. } => Self::Frame { start, len: len as u32 },
            Self::Scratch { start, .. } => Self::Scratch { start, len: len as u32 },
        }
    }

    /// Returns the bytes.
    #[inline]
    pub(crate) fn of<'a>(self, frame: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        let (bytes, start, len) = match self {
            Self::Frame { start, len } => (frame, start, len),
            Self::Scratch { start, len } => (scratch, start, len),
        };
        // The span was taken from these very bytes; it is empty if the caller mixed frames up.
        bytes.get(start as usize..start as usize + len as usize).unwrap_or_default()
    }
}

/// Events recorded as `R` and not yet handed out.
#[derive(Debug)]
pub(crate) struct EventLog<R> {
    pub(crate) records: Vec<R>,
    pub(crate) scratch: Vec<u8>,
    /// The records were handed out and are dropped when the next one comes.
    handed_out: bool,
}

impl<R> EventLog<R> {
    pub(crate) const fn new() -> Self {
        Self { records: Vec::new(), scratch: Vec::new(), handed_out: false }
    }

    /// Drops what was handed out.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.handed_out {
            self.clear();
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.handed_out = false;
        self.records.clear();
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_SCRATCH);
    }

    #[inline]
    pub(crate) fn push(&mut self, record: R) {
        self.begin();
        if self.records.len() == self.records.capacity() {
            self.grow();
        }
        self.records.push(record);
    }

    /// Grows by doubling from one: most sessions have one event at a time, and `Vec` would begin with four.
    #[cold]
    fn grow(&mut self) {
        self.records.reserve_exact(self.records.len().max(1));
    }

    /// Hands everything out.
    pub(crate) fn take<'a>(&'a mut self, frame: &'a [u8]) -> Recorded<'a, R> {
        self.begin();
        self.handed_out = true;
        Recorded { records: self.records.iter(), frame, scratch: &self.scratch }
    }

    /// Returns how many events wait.
    pub(crate) const fn len(&self) -> usize {
        self.records.len()
    }

    /// Gives the memory back if no event waits.
    pub(crate) fn release(&mut self) {
        if self.handed_out || (self.records.is_empty() && self.scratch.is_empty()) {
            *self = Self::new();
        }
    }

    /// Returns whether the log has memory for scratch, or for more than so many records.
    pub(crate) const fn keeps_more_than(&self, records: usize) -> bool {
        self.scratch.capacity() > 0 || self.records.capacity() > records
    }
}

impl<R> Drop for EventLog<R> {
    fn drop(&mut self) {
        // What was unpacked may hold secrets of the user.
        self.scratch.zeroize();
    }
}

/// The records that were handed out, and the bytes they speak of.
#[derive(Debug)]
pub(crate) struct Recorded<'a, R> {
    records: core::slice::Iter<'a, R>,
    frame: &'a [u8],
    scratch: &'a [u8],
}

impl<'a, R: Copy> Recorded<'a, R> {
    /// Returns the next record.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<R> {
        self.records.next().copied()
    }

    /// Returns the number of records that are left.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns the bytes of a span.
    #[inline]
    pub(crate) fn bytes(&self, span: Span) -> &'a [u8] {
        span.of(self.frame, self.scratch)
    }
}
