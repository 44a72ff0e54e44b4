//! One connection: the buffers of both sockets, and what is on the wire between them.

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chappe_net::{ReadBuffer, Socket, SocketId};

use super::datacenter::Peer;

/// What a socket takes while the line is busy.
pub(super) const SEND_BUFFER: usize = 64 << 10;

/// What a socket keeps that its program does not read.
const RECEIVE_BUFFER: usize = 256 << 10;

/// Bytes in order.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Moves as many bytes to the front of `space` as fit; returns how many.
    pub(super) fn fill(&mut self, space: &mut [u8]) -> usize {
        let count = self.len().min(space.len());
        space[..count].copy_from_slice(&self.bytes()[..count]);
        self.consume(count);
        count
    }
}

/// How a sender ends its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Reset,
}

/// Bytes on the wire.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) arrives_at: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) end: Option<End>,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) unsent: Arc<Mutex<Buffer>>,
    pub(super) wire: VecDeque<Segment>,
    pub(super) arrived: Buffer,
    /// The end has arrived; it follows the bytes.
    pub(super) ended: Option<End>,
    /// The end follows what is unsent.
    pub(super) closing: Option<End>,
    /// Bytes that went onto the wire.
    pub(super) carried: u64,
}

impl Half {
    fn new() -> Self {
        Self {
            unsent: Arc::default(),
            wire: VecDeque::new(),
            arrived: Buffer::default(),
            ended: None,
            closing: None,
            carried: 0,
        }
    }

    /// Returns whether the sender's system has something for the line, and the receiver room for it.
    pub(super) fn wants_line(&self) -> bool {
        self.arrived.len() < RECEIVE_BUFFER && (self.closing.is_some() || !lock(&self.unsent).is_empty())
    }

    /// Takes what arrived by `time`; returns whether something did.
    pub(super) fn receive(&mut self, time: u64) -> bool {
        let mut has_arrived = false;
        while self.wire.front().is_some_and(|segment| segment.arrives_at <= time)
            && let Some(segment) = self.wire.pop_front()
        {
            has_arrived = true;
            self.arrived.push(&segment.bytes);
            self.ended = segment.end;
        }
        has_arrived
    }

    /// Nothing of this direction arrives before `time`.
    pub(super) fn hold_back(&mut self, time: u64) {
        self.wire.iter_mut().for_each(|segment| segment.arrives_at = segment.arrives_at.max(time));
    }

    fn lose(&mut self) {
        self.wire.clear();
        self.closing = None;
    }
}

/// A connection of the client's machine.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) socket: SocketId,
    pub(super) up: Half,
    pub(super) down: Half,
    /// When the socket of the client is connected, until it is; `None` for never.
    pub(super) connects_at: Option<u64>,
    pub(super) is_connected: bool,
    /// Whether it leads to a login page.
    pub(super) is_captive: bool,
    /// Nothing of it arrives any more, and neither end is told.
    pub(super) is_dead: bool,
    pub(super) died_at: u64,
    /// When bytes last went onto the wire.
    pub(super) used_at: u64,
    /// When bytes last arrived at either end.
    pub(super) moved_at: u64,
    pub(super) opened_at: u64,
    /// The room that the client lends to its socket.
    pub(super) reading: Option<ReadBuffer>,
    /// The client waits until the socket takes bytes.
    pub(super) is_blocked: bool,
    /// The client closed its end, or its process ended.
    pub(super) is_left: bool,
    pub(super) handle: Option<Arc<Handle>>,
    pub(super) peer: Option<Peer>,
    /// Something happened to it that is no fault of its ends.
    pub(super) is_disturbed: bool,
}

impl Pipe {
    pub(super) fn new(socket: SocketId, connects_at: Option<u64>, is_captive: bool, time: u64) -> Self {
        Self {
            socket,
            up: Half::new(),
            down: Half::new(),
            connects_at,
            is_connected: false,
            is_captive,
            is_dead: false,
            died_at: 0,
            used_at: time,
            moved_at: time,
            opened_at: time,
            reading: None,
            is_blocked: false,
            is_left: false,
            handle: None,
            peer: None,
            is_disturbed: false,
        }
    }

    /// From now on its bytes vanish.
    pub(super) fn die(&mut self, time: u64) {
        if !self.is_dead {
            (self.is_dead, self.is_disturbed, self.died_at) = (true, true, time);
            self.up.lose();
            self.down.lose();
        }
    }

    /// Something on the path ends it, and both ends are told.
    pub(super) fn reset(&mut self) {
        self.is_disturbed = true;
        for half in [&mut self.up, &mut self.down] {
            half.lose();
            lock(&half.unsent).clear();
            half.ended = Some(End::Reset);
        }
        if let Some(handle) = &self.handle {
            handle.is_reset.store(true, Ordering::Relaxed);
        }
    }

    /// The client's end is gone.
    pub(super) fn leave(&mut self, end: End) {
        self.is_left = true;
        self.reading = None;
        if end == End::Reset {
            lock(&self.up.unsent).clear();
        }
        self.up.closing = Some(end);
    }

    /// Returns whether neither end has anything to do with it any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_left && self.peer.is_none()
    }
}

/// The client's socket, as its engine writes to it.
#[derive(Debug)]
pub(super) struct Handle {
    unsent: Arc<Mutex<Buffer>>,
    /// What it takes at most.
    capacity: usize,
    is_reset: AtomicBool,
}

impl Handle {
    pub(super) fn new(pipe: &Pipe, capacity: usize) -> Arc<Self> {
        Arc::new(Self { unsent: Arc::clone(&pipe.up.unsent), capacity, is_reset: AtomicBool::new(false) })
    }

    /// Returns whether it takes bytes.
    pub(super) fn has_room(&self) -> bool {
        self.is_reset.load(Ordering::Relaxed) || lock(&self.unsent).len() < self.capacity
    }
}

impl Socket for Handle {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_reset.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let mut unsent = lock(&self.unsent);
        let count = bytes.len().min(self.capacity.saturating_sub(unsent.len()));
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        unsent.push(&bytes[..count]);
        Ok(count)
    }
}

pub(super) fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}
