//! Frames of WebSocket by `tungstenite`, over bytes in memory.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc6455>, <https://core.telegram.org/mtproto/transports#websocket>.

use std::io::{self, Read, Write};

use chappe_transport::{Limits, ReadBuf, Side};
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use crate::error::LinkError;

/// What the library reserves at once for incoming bytes.
const READ_BUFFER: usize = 4096;

/// Longest message that a client may send to a server. The library makes room for an announced length, so it must
/// not be that of the longest frame; clients send what fits in a container of a MiB.
const MAX_FROM_CLIENT: usize = 2 << 20;

/// Frame headers around a message from a server.
const OVERHEAD: usize = 64;

/// One connection after its upgrade.
#[derive(Debug)]
pub(crate) struct WebSocket {
    context: WebSocketContext,
    incoming: Vec<u8>,
}

impl WebSocket {
    /// Begins where the upgrade ended.
    pub(crate) fn new(side: Side, limits: &Limits) -> Self {
        let (role, longest) = match side {
            Side::Client => (Role::Client, limits.max_frame.saturating_add(OVERHEAD)),
            Side::Server => (Role::Server, limits.max_frame.saturating_add(OVERHEAD).min(MAX_FROM_CLIENT)),
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(longest))
            .max_frame_size(Some(longest));
        Self { context: WebSocketContext::new(role, Some(config)), incoming: Vec::new() }
    }

    /// Puts the content of binary messages `into` the stream; pongs and the like are appended to `out`.
    pub(crate) fn receive(
        &mut self,
        raw: &[u8],
        into: &mut ReadBuf,
        out: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        self.incoming.extend_from_slice(raw);
        let mut pipe = Pipe { incoming: &mut self.incoming, outgoing: out };
        loop {
            match self.context.read(&mut pipe) {
                Ok(Message::Binary(bytes)) => into.extend_from_slice(&bytes)?,
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                // The code is always 1000, and the reason says nothing.
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    return Err(LinkError::Closed);
                }
                Ok(Message::Text(_) | Message::Frame(_)) => {
                    return Err(LinkError::WebSocket("a message that is not binary".into()));
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(refused(&error)),
            }
        }
    }

    /// Appends bytes to `out` as one binary message.
    pub(crate) fn send(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
        let mut pipe = Pipe { incoming: &mut self.incoming, outgoing: out };
        let message = Message::Binary(bytes.to_vec().into());
        let written = self.context.write(&mut pipe, message).and_then(|()| self.context.flush(&mut pipe));
        written.map_err(|error| refused(&error))
    }

    /// Appends a close frame with code 1000.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        let mut pipe = Pipe { incoming: &mut self.incoming, outgoing: out };
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // If it was closed already, nothing is left to be said.
        let _ = self.context.close(&mut pipe, Some(frame));
    }
}

fn refused(error: &Error) -> LinkError {
    LinkError::WebSocket(error.to_string())
}

/// The library's socket: what was read, and room for what is to be written.
struct Pipe<'a> {
    incoming: &'a mut Vec<u8>,
    outgoing: &'a mut Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = into.len().min(self.incoming.len());
        into[..count].copy_from_slice(&self.incoming[..count]);
        self.incoming.drain(..count);
        if self.incoming.is_empty() {
            *self.incoming = Vec::new();
        }
        Ok(count)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
