//! What stands between a socket and the stream of bytes: TLS, WebSocket, both, or neither.
//!
//! A [`Stack`] has no socket: bytes of the socket go in and bytes of the stream come out, and the other way round.
//! Once a connection stands its two halves share one ([`Shared`]), since both layers answer by themselves now and
//! then: a ping with a pong, a request for new keys with new keys.

#[cfg(feature = "websocket")]
mod boundary;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websocket;

use std::sync::{Mutex, MutexGuard, PoisonError};

use chappe_transport::ReadBuf;

use crate::error::LinkError;

#[cfg(feature = "tls")]
pub(crate) use tls::Tls;
#[cfg(feature = "tls")]
pub use tls::TlsOptions;
#[cfg(feature = "websocket")]
pub(crate) use websocket::WebSocket;

/// Room for one read from the socket where something stands in between.
pub(crate) const ONE_READ: usize = 16 * 1024;

/// The layers of one connection, the outer one first.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Option<WebSocket>,
    /// A message between both layers.
    #[cfg(all(feature = "tls", feature = "websocket"))]
    framed: Vec<u8>,
}

#[cfg_attr(
    not(all(feature = "tls", feature = "websocket")),
    allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "without a layer there is nothing to do")
)]
impl Stack {
    /// Says whether the socket's bytes are those of the stream.
    pub(crate) const fn is_empty(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return false;
        }
        #[cfg(feature = "websocket")]
        if self.websocket.is_some() {
            return false;
        }
        true
    }

    /// Takes bytes of the socket apart: what they hold for the stream goes `into` its buffer, what the layers answer
    /// by themselves is appended to `out`.
    pub(crate) fn receive(
        &mut self,
        raw: &[u8],
        into: &mut ReadBuf,
        out: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        #[cfg(feature = "tls")]
        if let Some(mut tls) = self.tls.take() {
            let plain = tls.receive(raw, out);
            self.tls = Some(tls);
            return self.receive_inner(&plain?, into, out);
        }
        self.receive_inner(raw, into, out)
    }

    /// Appends to `out` what to write for bytes of the stream.
    pub(crate) fn send(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            #[cfg(feature = "tls")]
            if let Some(tls) = &mut self.tls {
                self.framed.clear();
                websocket.send(bytes, &mut self.framed)?;
                let sent = tls.send(&self.framed, out);
                // One large frame is no reason to hold its memory for ever.
                self.framed.truncate(ONE_READ);
                self.framed.shrink_to(ONE_READ);
                return sent;
            }
            return websocket.send(bytes, out);
        }
        self.send_outer(bytes, out)
    }

    /// Says whether something has begun to arrive that has not ended, and that the stream does not know of.
    pub(crate) const fn is_partial(&self) -> bool {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &self.websocket {
            return websocket.is_partial();
        }
        false
    }

    /// Appends to `out` the layers' words of farewell.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            let mut framed = Vec::new();
            websocket.close(&mut framed);
            // A layer that is broken has nothing more to say.
            let _ = self.send_outer(&framed, out);
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.close(out);
        }
        #[cfg(not(any(feature = "tls", feature = "websocket")))]
        let _ = out;
    }

    fn receive_inner(
        &mut self,
        plain: &[u8],
        into: &mut ReadBuf,
        out: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            let mut answers = Vec::new();
            let received = websocket.receive(plain, into, &mut answers);
            if !answers.is_empty() {
                self.send_outer(&answers, out)?;
            }
            return received;
        }
        let _ = out;
        Ok(into.extend_from_slice(plain)?)
    }

    fn send_outer(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.send(bytes, out);
        }
        out.extend_from_slice(bytes);
        Ok(())
    }
}

/// A stack that both halves of a connection use, and the bytes that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<Carried>);

#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) stack: Stack,
    /// What the socket has not taken yet, in its order.
    pub(crate) out: Vec<u8>,
}

impl Shared {
    pub(crate) fn new(stack: Stack) -> Self {
        Self(Mutex::new(Carried { stack, out: Vec::new() }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Carried> {
        // Nothing panics while it is held but the libraries beneath; a layer that broke refuses what follows.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carried {
    /// Takes bytes of the socket apart.
    pub(crate) fn receive(&mut self, raw: &[u8], into: &mut ReadBuf) -> Result<(), LinkError> {
        self.stack.receive(raw, into, &mut self.out)
    }

    /// See [`Stack::is_partial`].
    pub(crate) const fn is_partial(&self) -> bool {
        self.stack.is_partial()
    }

    /// Lets bytes of the stream wait to be written.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.stack.send(bytes, &mut self.out)
    }

    /// Lets the words of farewell wait to be written.
    pub(crate) fn close(&mut self) {
        self.stack.close(&mut self.out);
    }

    /// Drops what the socket took.
    pub(crate) fn written(&mut self, count: usize) {
        self.out.drain(..count);
        if self.out.is_empty() {
            // One large frame is no reason to hold its memory for ever.
            self.out.shrink_to(ONE_READ);
        }
    }
}
