//! What a listener is made of, for your own sockets and runtimes.
//!
//! For each accepted socket, ask a [`ConnectionLimit`] for a permit, make a [`Conversation`] with it, and move bytes as its
//! documentation says. Start [`HandshakeThreads`], so that making keys delays nothing else, and for an engine with a directory
//! run the tasks of a [`DirectoryWorker`](crate::directory::DirectoryWorker). `blocking::Server` and
//! `tokio::Server` do nothing else.

use core::time::Duration;

use chappe_carrier::LinkError;
use chappe_session::{MonoTime, Now};

pub use crate::connection_limit::{ConnectionLimit, ConnectionPermit};
pub use crate::conversation::{Conversation, WriteAction};
#[cfg(feature = "tokio")]
pub use crate::front::{hand_on, read_proxy_header};
pub use crate::handshake_workers::{HandshakeThreads, HandshakeWorker};
pub use crate::scratch::{Scratch, ScratchPool};

/// A connection without its socket, as a listener drives it.
///
/// [`Conversation`] implements it. A wrapper of a conversation can see and change what goes in and out; the embedded
/// datacenter of `chappe-loopback` loses and repeats envelopes that way.
pub trait Machine: Send + 'static {
    /// See [`Conversation::write_timeout`].
    fn write_timeout(&self) -> Duration;

    /// See [`Conversation::space`].
    ///
    /// # Errors
    ///
    /// The connection must be closed.
    fn space<'a>(&'a mut self, scratch: &mut Scratch) -> Result<&'a mut [u8], LinkError>;

    /// See [`Conversation::handle_read`].
    ///
    /// # Errors
    ///
    /// The connection must be closed.
    fn handle_read(&mut self, now: Now, scratch: &mut Scratch, count: usize) -> Result<(), LinkError>;

    /// See [`Conversation::handle_timeout`].
    ///
    /// # Errors
    ///
    /// The connection must be closed.
    fn handle_timeout(&mut self, now: Now) -> Result<(), LinkError>;

    /// See [`Conversation::take_refused`]. Returns `None` unless a machine knows such clients.
    fn take_refused(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// See [`Conversation::wants_input`].
    fn wants_input(&self) -> bool {
        true
    }

    /// See [`Conversation::count_slow_reader`].
    fn count_slow_reader(&self);

    /// See [`Conversation::drain`].
    fn drain(&mut self);

    /// See [`Conversation::release_memory`].
    fn release_memory(&mut self, scratch: &mut Scratch);

    /// See [`Conversation::poll_write`].
    ///
    /// # Errors
    ///
    /// The connection must be closed.
    fn poll_write<'a>(&'a mut self, now: Now, scratch: &'a mut Scratch)
    -> Result<WriteAction<'a>, LinkError>;

    /// See [`Conversation::poll_timeout`].
    fn poll_timeout(&self) -> MonoTime;
}

impl Machine for Conversation {
    fn write_timeout(&self) -> Duration {
        self.write_timeout()
    }

    fn space<'a>(&'a mut self, scratch: &mut Scratch) -> Result<&'a mut [u8], LinkError> {
        self.space(scratch)
    }

    fn handle_read(&mut self, now: Now, scratch: &mut Scratch, count: usize) -> Result<(), LinkError> {
        self.handle_read(now, scratch, count)
    }

    fn handle_timeout(&mut self, now: Now) -> Result<(), LinkError> {
        self.handle_timeout(now)
    }

    fn take_refused(&mut self) -> Option<Vec<u8>> {
        self.take_refused()
    }

    fn wants_input(&self) -> bool {
        self.wants_input()
    }

    fn count_slow_reader(&self) {
        self.count_slow_reader();
    }

    fn drain(&mut self) {
        self.drain();
    }

    fn release_memory(&mut self, scratch: &mut Scratch) {
        self.release_memory(scratch);
    }

    fn poll_write<'a>(
        &'a mut self,
        now: Now,
        scratch: &'a mut Scratch,
    ) -> Result<WriteAction<'a>, LinkError> {
        self.poll_write(now, scratch)
    }

    fn poll_timeout(&self) -> MonoTime {
        self.poll_timeout()
    }
}
