//! WebSocket frames, by `tungstenite`, over bytes in memory.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc6455>, <https://core.telegram.org/mtproto/transports#websocket>.

use std::io::{self, Read, Write};

use chappe_crypto::rng::Drbg;
use chappe_transport::ReadBuf;
use rand_core::Rng as _;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, FrameHeader};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use crate::error::LinkError;
use crate::frames::{Frames, Piece};

/// Bytes that tungstenite reserves for each read.
const READ_BUFFER: usize = 4096;

/// Longest frame that tungstenite sees: it handles control frames only.
const MAX_CONTROL: usize = 125;

/// Bytes that are unmasked at once.
const UNMASKED: usize = 1024;

/// One connection after the upgrade.
#[derive(Debug)]
pub(crate) struct WebSocket {
    context: WebSocketContext,
    /// Draws the masks of a client; servers have none.
    masks: Option<Box<Drbg>>,
    frames: Frames,
}

impl WebSocket {
    /// Begins after a client's upgrade; `masks` draws the masks of frames.
    pub(crate) fn client(masks: Drbg) -> Self {
        Self::new(Role::Client, Some(masks))
    }

    /// Begins after a server's upgrade.
    pub(crate) fn server() -> Self {
        Self::new(Role::Server, None)
    }

    fn new(role: Role, masks: Option<Drbg>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_CONTROL))
            .max_frame_size(Some(MAX_CONTROL));
        let context = WebSocketContext::new(role, Some(config));
        let frames = Frames::new(masks.is_none());
        Self { context, masks: masks.map(Box::new), frames }
    }

    /// Returns whether only part of a message has arrived.
    pub(crate) const fn is_partial(&self) -> bool {
        self.frames.is_inside()
    }

    /// Appends the content of binary messages to `into`, as it comes. Control frames to send are appended to `out`.
    pub(crate) fn receive(
        &mut self,
        mut raw: &[u8],
        into: &mut ReadBuf,
        out: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        while let Some(piece) =
            self.frames.next(&mut raw).map_err(|error| LinkError::WebSocket(error.into()))?
        {
            match piece {
                Piece::Data { bytes, mask: [0, 0, 0, 0] } => into.extend_from_slice(bytes)?,
                Piece::Data { bytes, mask } => {
                    let mut unmasked = [0; UNMASKED];
                    for part in bytes.chunks(UNMASKED) {
                        let unmasked = &mut unmasked[..part.len()];
                        unmasked.copy_from_slice(part);
                        // Whole chunks are whole words, so that each begins with the mask.
                        apply_mask(unmasked, mask);
                        into.extend_from_slice(unmasked)?;
                    }
                }
                Piece::Control(frame) => control(&mut self.context, frame, out)?,
            }
        }
        Ok(())
    }

    /// Appends bytes to `out` as one binary message.
    ///
    /// tungstenite writes only the header: its own messages own their bytes, which would cost one more copy.
    pub(crate) fn send(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
        if !self.context.can_write() {
            return Err(LinkError::Closed);
        }
        let mask = self.masks.as_deref_mut().map(|masks| masks.next_u32().to_ne_bytes());
        let opcode = OpCode::Data(Data::Binary);
        let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
        header.format(bytes.len() as u64, out).map_err(|error| refused(&error))?;
        let start = out.len();
        out.extend_from_slice(bytes);
        if let Some(mask) = mask {
            apply_mask(&mut out[start..], mask);
        }
        Ok(())
    }

    /// Appends a close frame with code 1000.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        let mut pipe = Pipe { incoming: &[], outgoing: out };
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // Fails if the peer closed first; then there is nothing to send.
        let _ = self.context.close(&mut pipe, Some(frame));
    }
}

/// Handles a control frame. What answers it is appended to `out`.
fn control(context: &mut WebSocketContext, frame: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
    let mut pipe = Pipe { incoming: frame, outgoing: out };
    loop {
        match context.read(&mut pipe) {
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            // Datacenters always send code 1000 without a reason, so neither is reported.
            Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                return Err(LinkError::Closed);
            }
            Ok(Message::Binary(_) | Message::Text(_) | Message::Frame(_)) => {
                return Err(LinkError::WebSocket("a message instead of a control frame".into()));
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(refused(&error)),
        }
    }
}

/// Masks the payload of a frame, eight bytes at a time.
fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

fn refused(error: &Error) -> LinkError {
    LinkError::WebSocket(error.to_string())
}

/// tungstenite's socket: bytes that were read, and room for bytes to write.
struct Pipe<'a> {
    incoming: &'a [u8],
    outgoing: &'a mut Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = into.len().min(self.incoming.len());
        let (now, later) = self.incoming.split_at(count);
        into[..count].copy_from_slice(now);
        self.incoming = later;
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

#[cfg(test)]
mod tests {
    use chappe_transport::ConnectionLimits;

    use super::*;

    /// What an end reads of what the other has sent in pieces of `step` bytes.
    fn exchanged(from: &mut WebSocket, to: &mut WebSocket, sent: &[u8], step: usize) -> Vec<u8> {
        let (mut wire, mut answers) = (Vec::new(), Vec::new());
        from.send(sent, &mut wire).expect("it is open");
        let mut into = ReadBuf::new(&ConnectionLimits::DEFAULT);
        for (at, piece) in wire.chunks(step).enumerate() {
            to.receive(piece, &mut into, &mut answers).expect("frames in order");
            assert_eq!(to.is_partial(), (at + 1) * step < wire.len());
        }
        assert!(answers.is_empty());
        into.raw().to_vec()
    }

    #[test]
    fn what_one_end_sends_the_other_reads_whatever_the_pieces() {
        let mut client = WebSocket::client(Drbg::from_seed([1; 32]));
        let mut server = WebSocket::server();
        for len in [1, 3, 125, 126, 1021, 70_000] {
            let bytes: Vec<u8> = (0..len).map(|at: usize| (at % 251) as u8).collect();
            let step = 1 + len / 3;
            assert_eq!(exchanged(&mut client, &mut server, &bytes, step), bytes);
            assert_eq!(exchanged(&mut server, &mut client, &bytes, step), bytes);
        }
    }

    #[test]
    fn a_client_masks_each_message_anew_and_a_server_none() {
        let mut client = WebSocket::client(Drbg::from_seed([1; 32]));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        client.send(&[7; 12], &mut first).expect("it is open");
        client.send(&[7; 12], &mut second).expect("it is open");
        assert_ne!(first[2..6], second[2..6]);
        assert_ne!(first[6..], [7; 12]);
        let mut plain = Vec::new();
        WebSocket::server().send(&[7; 12], &mut plain).expect("it is open");
        assert_eq!(plain, [&[0x82, 12][..], &[7; 12]].concat());
    }
}
