//! A WebSocket of the page, as the engine's socket.
//!
//! Messages carry one stream of bytes in each direction; their borders mean nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use chappe_net::{ReadBuffer, Socket, SocketId, Sockets};
use chappe_transport::websocket::{CLOSE_CODE, SUBPROTOCOL};
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::{BinaryType, CloseEvent, Event, MessageEvent, WebSocket};

use crate::js;
use crate::signal::Signal;

/// Bytes that the browser may hold unsent. A ping waits behind them: at 20 KiB/s for less than two seconds.
const MOST_UNSENT: u32 = 32 << 10;

/// Bytes that arrived and were not read yet. A WebSocket cannot be told to wait, so one that brings more is given up: the
/// engine reads until it has everything, and falls behind only if the page is stopped.
const MOST_UNREAD: usize = 32 << 20;

/// What happened to a WebSocket.
pub(crate) enum Happened {
    Opened,
    Arrived(Vec<u8>),
    Closed(String),
}

/// What happened to the sockets of a driver and was not handled yet.
#[derive(Clone, Default)]
pub(crate) struct Events(Rc<RefCell<VecDeque<(SocketId, Happened)>>>);

impl Events {
    pub(crate) fn take(&self) -> Option<(SocketId, Happened)> {
        self.0.borrow_mut().pop_front()
    }
}

/// The half that is written to.
struct Writer(WebSocket);

impl Socket for Writer {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.ready_state() != WebSocket::OPEN {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if self.0.buffered_amount() > MOST_UNSENT {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.send_with_u8_array(bytes).map_err(|thrown| io::Error::other(js::describe(&thrown)))?;
        Ok(bytes.len())
    }
}

/// A WebSocket and what arrived over it.
pub(crate) struct PageSocket {
    id: SocketId,
    sockets: Sockets,
    socket: WebSocket,
    /// Called by the browser, which must not be told of them once they are gone.
    _handlers: Handlers,
    is_connected: bool,
    unread: Unread,
    /// Lent by the engine to be read into.
    room: Option<ReadBuffer>,
    /// The connection has ended, for this reason.
    ended: Option<String>,
}

struct Handlers {
    opened: Closure<dyn FnMut(Event)>,
    arrived: Closure<dyn FnMut(MessageEvent)>,
    closed: Closure<dyn FnMut(CloseEvent)>,
}

impl PageSocket {
    /// Begins to connect.
    ///
    /// # Errors
    ///
    /// The URL is malformed, or the page may not use it.
    pub(crate) fn connect(
        id: SocketId,
        url: &str,
        sockets: Sockets,
        events: &Events,
        signal: &Arc<Signal>,
    ) -> io::Result<Self> {
        let socket = WebSocket::new_with_str(url, SUBPROTOCOL)
            .map_err(|thrown| io::Error::new(io::ErrorKind::InvalidInput, js::describe(&thrown)))?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let tell = {
            let (events, signal) = (events.clone(), Arc::clone(signal));
            move |happened| {
                events.0.borrow_mut().push_back((id, happened));
                signal.set();
            }
        };
        let opened = tell.clone();
        let arrived = tell.clone();
        let handlers = Handlers {
            opened: Closure::new(move |_: Event| opened(Happened::Opened)),
            arrived: Closure::new(move |event: MessageEvent| {
                // Text is no part of the stream: an empty message.
                let data = event.data().dyn_into::<ArrayBuffer>();
                arrived(Happened::Arrived(
                    data.map(|data| Uint8Array::new(&data).to_vec()).unwrap_or_default(),
                ));
            }),
            closed: Closure::new(move |event: CloseEvent| tell(Happened::Closed(reason(&event)))),
        };
        // An error is always followed by the end, which says the same.
        socket.set_onopen(Some(handlers.opened.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(handlers.arrived.as_ref().unchecked_ref()));
        socket.set_onclose(Some(handlers.closed.as_ref().unchecked_ref()));
        Ok(Self {
            id,
            sockets,
            socket,
            _handlers: handlers,
            is_connected: false,
            unread: Unread::default(),
            room: None,
            ended: None,
        })
    }

    /// Handles what happened. Returns whether the socket is still of use.
    pub(crate) fn handle(&mut self, happened: Happened) -> bool {
        match happened {
            Happened::Opened => {
                self.is_connected = true;
                return self.sockets.connected(self.id, Arc::new(Writer(self.socket.clone())));
            }
            Happened::Arrived(bytes) => {
                if !self.unread.push(bytes) {
                    self.ended = Some(format!("more than {MOST_UNREAD} bytes arrived at once"));
                }
            }
            Happened::Closed(reason) if !self.is_connected => {
                self.sockets
                    .connect_failed(self.id, io::Error::new(io::ErrorKind::ConnectionRefused, reason));
                return false;
            }
            Happened::Closed(reason) => self.ended = Some(reason),
        }
        self.feed();
        true
    }

    /// Goes on reading.
    pub(crate) fn resume(&mut self) {
        if self.room.is_none() {
            self.room = self.sockets.begin_read(self.id);
        }
        self.feed();
    }

    /// Gives the engine what arrived, as far as it lends room for it, and then the end.
    fn feed(&mut self) {
        while let Some(mut room) = self.room.take() {
            let read = match room.space() {
                Err(error) => Err(error),
                Ok(space) => match (self.unread.read(space), &self.ended) {
                    (0, None) => {
                        self.room = Some(room);
                        return;
                    }
                    (0, Some(_)) => Ok(0),
                    (count, _) => Ok(count),
                },
            };
            self.room = self.sockets.end_read(self.id, room, read);
        }
    }
}

impl Drop for PageSocket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        // It throws for another code or a long reason only.
        let _ = self.socket.close_with_code(CLOSE_CODE);
    }
}

/// Describes why a WebSocket has ended. A browser tells a page no more than a number, on purpose.
fn reason(event: &CloseEvent) -> String {
    match event.reason() {
        reason if reason.is_empty() => format!("the WebSocket ended with code {}", event.code()),
        reason => format!("the WebSocket ended with code {}: {reason}", event.code()),
    }
}

/// Messages that were not read yet, as one stream.
#[derive(Default)]
struct Unread {
    messages: VecDeque<Vec<u8>>,
    /// Bytes of the first message that were read.
    read: usize,
    len: usize,
}

impl Unread {
    /// Appends a message; returns whether there was room for it.
    fn push(&mut self, message: Vec<u8>) -> bool {
        if message.len() > MOST_UNREAD - self.len {
            return false;
        }
        if !message.is_empty() {
            self.len += message.len();
            self.messages.push_back(message);
        }
        true
    }

    /// Moves what fits into `space`, and returns how much that was.
    fn read(&mut self, space: &mut [u8]) -> usize {
        let mut count = 0;
        while let Some(message) = self.messages.front() {
            let left = &message[self.read..];
            let fits = left.len().min(space.len() - count);
            if fits == 0 {
                break;
            }
            space[count..count + fits].copy_from_slice(&left[..fits]);
            count += fits;
            self.read += fits;
            if self.read == message.len() {
                self.messages.pop_front();
                self.read = 0;
            }
        }
        self.len -= count;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_stream_whatever_room_there_is() {
        let bytes: Vec<u8> = (0..=255).collect();
        for room in 1..40 {
            let mut unread = Unread::default();
            for message in [&bytes[..1], &[], &bytes[1..100], &bytes[100..103], &bytes[103..]] {
                assert!(unread.push(message.to_vec()));
            }
            let (mut space, mut found) = ([0xa5; 40], Vec::new());
            loop {
                match unread.read(&mut space[..room]) {
                    0 => break,
                    count => found.extend_from_slice(&space[..count]),
                }
            }
            assert!(found == bytes, "room for {room}");
            assert_eq!(unread.len, 0);
        }
    }

    #[test]
    fn a_page_that_does_not_read_holds_a_bounded_number_of_bytes() {
        let mut unread = Unread::default();
        let message = vec![7; MOST_UNREAD / 4];
        for _ in 0..4 {
            assert!(unread.push(message.clone()));
        }
        assert!(!unread.push(vec![7]), "one byte too many");
        let mut space = vec![0; MOST_UNREAD];
        assert_eq!(unread.read(&mut space), MOST_UNREAD);
        assert!(unread.push(vec![7]), "there is room again");
    }
}
