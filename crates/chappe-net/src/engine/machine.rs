//! What drivers drive: an engine, or a connection frame by frame.

use std::io;
use std::sync::Arc;

use chappe_session::Now;

use super::{Action, Engine, Input, Links, Logs, ReadBuffer, SocketId, Wakers, WriteBuffer};
use crate::store::StoreError;
use crate::store::handle::Loaded;

/// What to do at once, where that needs no driver.
#[derive(Debug)]
pub(crate) enum Prompted {
    /// Write to this socket.
    Write(SocketId),
    /// Nothing, and the driver wakes up in time.
    Nothing,
    /// Something that only the driver can do, or that cannot wait until it wakes up.
    NeedsDriver,
}

/// Bytes that moved between the engine and a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moved {
    Read(usize),
    Written(usize),
}

/// Something that owns connections down to the bytes of their sockets.
pub(crate) trait Machine: Send {
    /// Returns the connections.
    fn links(&mut self) -> &mut Links;

    /// Handles what the bytes of a socket led to.
    fn handle_input(&mut self, now: Now, input: Input);

    /// Bytes moved, whether or not they make a frame.
    fn handle_moved(&mut self, _now: Now, _socket: SocketId, _moved: Moved) {}

    /// The slot in the store is claimed; returns whether it is still wanted.
    fn handle_claimed(&mut self) -> bool {
        false
    }

    /// The store gave its key, or none.
    fn handle_loaded(&mut self, _now: Now, _loaded: Result<Loaded, StoreError>) {}

    /// The state was saved or removed, or could not be.
    fn handle_stored(&mut self, _now: Now, _result: Result<(), StoreError>) {}

    /// The driver has ended: it was told to, or it was stopped.
    fn handle_driver_ended(&mut self);

    /// Returns what the driver does next.
    fn poll_action(&mut self, now: Now) -> Action;

    /// Returns what can be done at once, outside of the driver's turn.
    fn poll_prompted(&mut self, now: Now) -> Prompted;

    /// Returns whom to wake once the lock is free.
    fn take_wakers(&mut self) -> Wakers;

    /// Returns the logs that are written once the lock is free.
    fn logs(&self) -> Option<Arc<Logs>> {
        None
    }

    /// A socket is connected. Returns whether it is still wanted.
    fn handle_connected(&mut self, now: Now, socket: SocketId) -> bool {
        let is_wanted = self.links().is_known(socket);
        let input = self.links().handle_connected(now, socket);
        self.handle_input(now, input);
        is_wanted
    }

    /// A socket could not be connected.
    fn handle_connect_failed(&mut self, now: Now, socket: SocketId, error: io::Error) {
        let input = self.links().handle_connect_failed(now, socket, error);
        self.handle_input(now, input);
    }

    /// Takes a read buffer back.
    fn end_read(&mut self, now: Now, socket: SocketId, buffer: ReadBuffer, read: io::Result<usize>) {
        if let Ok(count @ 1..) = read {
            self.handle_moved(now, socket, Moved::Read(count));
        }
        let input = self.links().end_read(now, socket, buffer, read);
        self.handle_input(now, input);
    }

    /// Takes a write buffer back.
    fn end_write(&mut self, now: Now, socket: SocketId, buffer: WriteBuffer, written: io::Result<usize>) {
        // Bytes that find room in the socket's buffer prove nothing: a dead link accepts them too. If the buffer was full,
        // it has room again only because bytes left it.
        let was_full = buffer.is_resumed() || self.links().is_stalled(socket);
        if let Ok(count @ 1..) = written
            && was_full
        {
            self.handle_moved(now, socket, Moved::Written(count));
        }
        let input = self.links().end_write(now, socket, buffer, written);
        self.handle_input(now, input);
    }
}

impl Machine for Engine {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    fn handle_input(&mut self, now: Now, input: Input) {
        self.on_input(now, input);
    }

    fn handle_moved(&mut self, now: Now, socket: SocketId, moved: Moved) {
        self.on_moved(now, socket, moved);
    }

    fn handle_claimed(&mut self) -> bool {
        self.on_claimed()
    }

    fn handle_loaded(&mut self, now: Now, loaded: Result<Loaded, StoreError>) {
        self.on_loaded(now, loaded);
    }

    fn handle_stored(&mut self, now: Now, result: Result<(), StoreError>) {
        self.on_stored(now, result);
    }

    fn handle_driver_ended(&mut self) {
        self.end_driver();
    }

    fn poll_action(&mut self, now: Now) -> Action {
        self.next_action(now)
    }

    fn poll_prompted(&mut self, now: Now) -> Prompted {
        self.next_prompted(now)
    }

    fn take_wakers(&mut self) -> Wakers {
        self.sink.take_wakers()
    }

    fn logs(&self) -> Option<Arc<Logs>> {
        self.logs.clone()
    }
}
