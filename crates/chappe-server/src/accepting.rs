//! The beginning of a server's connection, until the transport is detected.

use core::mem;

use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_transport::Disguise;
use chappe_transport::{AcceptContext, AcceptRefusal, AcceptStep, Acceptor, DcId, ReadBuf};

use crate::connection_limit::ConnectionPermit;
use chappe_carrier::LinkError;
use chappe_carrier::{FrameReader, FrameWriter, join_over};
use chappe_carrier::{ONE_READ, Stack};

/// A connection whose transport is not detected yet.
#[derive(Debug)]
pub(crate) struct Accepting {
    acceptor: Acceptor,
    stack: Stack,
    buf: ReadBuf,
    raw: Vec<u8>,
    /// Something was written to the client, which no other server would have.
    has_answered: bool,
}

/// What is known of a connection after some bytes.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made once for each connection, and matched at once")]
pub(crate) enum Accepted {
    /// More bytes are needed.
    Incomplete(Accepting),
    /// A stream of frames.
    Stream { writer: FrameWriter, reader: FrameReader, dc: Option<DcId>, disguise: Disguise },
    /// HTTP requests; the buffer holds the first one, or its beginning.
    Http(ReadBuf),
    /// The client speaks nothing that is served. Nothing was written to it, and these are all bytes that it sent.
    Refused(AcceptRefusal, Vec<u8>),
}

impl Accepting {
    pub(crate) fn new(permit: &ConnectionPermit) -> Self {
        let buf = ReadBuf::new(&permit.options().accept.limits);
        Self { acceptor: Acceptor::new(), stack: Stack::default(), buf, raw: Vec::new(), has_answered: false }
    }

    /// Returns room to read into.
    pub(crate) fn space(&mut self) -> Result<&mut [u8], LinkError> {
        if self.stack.is_empty() {
            return Ok(self.buf.space()?);
        }
        self.raw.resize(ONE_READ, 0);
        Ok(&mut self.raw)
    }

    /// Returns the bytes of a client to which nothing was written yet.
    pub(crate) fn unanswered(&self) -> Option<&[u8]> {
        (!self.has_answered).then(|| self.buf.raw())
    }

    /// Gives back memory that holds nothing.
    pub(crate) fn release_memory(&mut self) {
        self.buf.release();
        self.raw = Vec::new();
    }

    /// Handles `count` bytes that were read; what to write is appended to `out`.
    pub(crate) fn commit(
        mut self,
        count: usize,
        now: UnixTime,
        permit: &ConnectionPermit,
        rng: &mut Drbg,
        out: &mut Vec<u8>,
    ) -> Result<Accepted, LinkError> {
        if self.stack.is_empty() {
            self.buf.commit(count);
        } else {
            let raw = mem::take(&mut self.raw);
            self.stack.receive(&raw[..count.min(raw.len())], &mut self.buf, out)?;
        }
        let config = &permit.options().accept;
        loop {
            let acceptor = mem::take(&mut self.acceptor);
            let accept = permit.with_replays(|replays| {
                let unix_time = now.to_tl_int() as u32;
                acceptor.handle(&mut self.buf, &mut AcceptContext { config, unix_time, replays }, rng)
            })?;
            match accept {
                AcceptStep::Incomplete(next) => {
                    self.acceptor = next;
                    return Ok(Accepted::Incomplete(self));
                }
                AcceptStep::Answer { bytes, next } => {
                    self.stack.send(&bytes, out)?;
                    self.has_answered = true;
                    self.acceptor = next;
                }
                AcceptStep::Ready(found) => {
                    let (writer, reader) = join_over(found.connection, self.buf, self.stack);
                    return Ok(Accepted::Stream { writer, reader, dc: found.dc, disguise: found.disguise });
                }
                AcceptStep::Http => return Ok(Accepted::Http(self.buf)),
                #[cfg(feature = "websocket")]
                AcceptStep::WebSocket(upgrade) => self.on_upgrade(&upgrade, out)?,
                #[cfg(not(feature = "websocket"))]
                AcceptStep::WebSocket(_) => return Err(LinkError::Refused(AcceptRefusal::NotAllowed)),
                AcceptStep::Refused(refusal) => {
                    return match self.unanswered() {
                        Some(bytes) => Ok(Accepted::Refused(refusal, bytes.to_vec())),
                        None => Err(LinkError::Refused(refusal)),
                    };
                }
            }
        }
    }

    #[cfg(feature = "websocket")]
    fn on_upgrade(
        &mut self,
        upgrade: &chappe_transport::websocket::Upgrade,
        out: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        if !self.stack.is_empty() {
            // No client nests WebSockets.
            return Err(LinkError::Refused(AcceptRefusal::NotAllowed));
        }
        out.extend_from_slice(upgrade.response().as_bytes());
        self.has_answered = true;
        // Bytes behind the head of the request are WebSocket frames.
        let frames = self.buf.raw().to_vec();
        self.buf.consume_raw(frames.len());
        self.stack.start_websocket_server();
        self.acceptor = Acceptor::inside_websocket();
        self.stack.receive_early(&frames, &mut self.buf, out)
    }
}
