//! The actions that an engine asks of its driver, and the buffers that it lends for them.

use core::fmt;
use std::io;
use std::time::Duration;

use chappe_carrier::{Address, FrameReader};
use chappe_framing::FrameBuf;
use chappe_session::MonoTime;
use zeroize::Zeroize as _;

use crate::store::handle::Work;

/// Numbers the sockets of an engine. No number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub(super) u64);

/// What a driver does next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Connect a socket and report what came of it.
    Connect {
        /// Names the socket from now on.
        socket: SocketId,
        /// Where to. The driver looks a name up each time.
        address: Address,
        /// The engine gives the socket up after this time; a driver that cannot be interrupted stops then.
        timeout: Duration,
    },
    /// Read from a socket until its buffer is not handed out again.
    Read(SocketId),
    /// Write to a socket until nothing is left, waiting where it takes nothing.
    Write(SocketId),
    /// Close a socket, or stop connecting it.
    Close(SocketId),
    /// Load, save or remove the state in the store. The driver goes on meanwhile.
    Store(StoreTask),
    /// Nothing now. Ask again at this time, or when the engine wakes the driver.
    WaitUntil(Option<MonoTime>),
    /// Nothing any more.
    Finished,
}

/// What is to be done with the store of keys; [`Driver::store`](crate::Driver::store) makes a job of it.
#[derive(Debug)]
pub struct StoreTask(pub(crate) Task);

#[derive(Debug)]
pub(crate) enum Task {
    /// Wait until no other client of the process has the slot. [`Driver`](crate::Driver) does it by itself.
    Claim,
    /// Load the state.
    Load,
    /// Save the state, or remove it.
    Run(Work),
}

/// Bytes on their way to a socket.
///
/// The engine lends them for one system call, which happens outside of its lock.
#[derive(Debug)]
pub(crate) struct WriteBuffer {
    /// `None` once its memory was taken out.
    frame: Option<FrameBuf>,
    written: usize,
    /// It may hold the password of a proxy, and is wiped.
    is_secret: bool,
}

impl WriteBuffer {
    pub(super) const fn new(frame: FrameBuf) -> Self {
        Self { frame: Some(frame), written: 0, is_secret: false }
    }

    /// Takes bytes of an opening, which are wiped.
    pub(super) fn secret(bytes: &[u8]) -> Self {
        let mut frame = FrameBuf::with_capacity(bytes.len());
        frame.append(bytes);
        Self { frame: Some(frame), written: 0, is_secret: true }
    }

    /// Returns the bytes to write.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.frame.as_ref().and_then(|frame| frame.as_slice().get(self.written..)).unwrap_or_default()
    }

    /// Returns whether the socket took a part of the bytes before.
    pub(super) const fn is_resumed(&self) -> bool {
        self.written > 0
    }

    /// Notes that the socket took so many bytes; returns whether nothing is left.
    pub(super) fn advance(&mut self, count: usize) -> bool {
        self.written = self.written.saturating_add(count);
        self.bytes().is_empty()
    }

    /// Returns the memory, for another frame.
    pub(super) fn into_frame(mut self) -> FrameBuf {
        self.wipe();
        self.frame.take().unwrap_or_default()
    }

    fn wipe(&mut self) {
        if self.is_secret
            && let Some(frame) = &mut self.frame
        {
            frame.as_mut_slice().zeroize();
        }
    }
}

impl Drop for WriteBuffer {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Room to read into.
///
/// The engine lends it for one system call, which happens outside of its lock.
pub struct ReadBuffer(pub(super) Room);

pub(super) enum Room {
    /// The buffer in which frames are opened in place.
    Stream(Box<FrameReader>),
    /// Memory of its own, while a connection is opened and for HTTP.
    Raw(Vec<u8>),
}

/// Room for one read where frames are not opened in place.
pub(super) const ONE_READ: usize = 4 * 1024;

impl ReadBuffer {
    /// Returns the room.
    ///
    /// # Errors
    ///
    /// Fails if the peer sent more than the limits of the transport allow.
    pub fn space(&mut self) -> io::Result<&mut [u8]> {
        match &mut self.0 {
            Room::Stream(ingoing) => ingoing.space().map_err(io::Error::other),
            Room::Raw(bytes) => {
                bytes.resize(ONE_READ, 0);
                Ok(bytes)
            }
        }
    }

    /// Returns whether it has memory that holds nothing.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_idle(&self) -> bool {
        matches!(&self.0, Room::Stream(ingoing) if ingoing.is_idle())
    }

    /// Gives that memory back.
    #[cfg(feature = "tokio")]
    pub(crate) fn release(&mut self) {
        if let Room::Stream(ingoing) = &mut self.0 {
            ingoing.release();
        }
    }
}

impl fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuffer").finish_non_exhaustive()
    }
}
