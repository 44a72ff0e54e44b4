//! The layers between a socket and the stream of frames: TLS, WebSocket, both, or none.
//!
//! A [`Stack`] has no socket. Bytes of the socket go in and bytes of the stream come out, and the other way round. The
//! writing half of a connection owns the stack ([`Carried`]), because both layers also send on their own: WebSocket answers
//! a ping with a pong, TLS a key update with another. The reading half lends it for what it reads.

#[cfg(feature = "websocket")]
use chappe_crypto::rng::Drbg;
use chappe_transport::ReadBuf;

use crate::error::LinkError;

#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsOptions};
#[cfg(feature = "websocket")]
use crate::websocket::WebSocket;

/// Room for one read from the socket where the stack is not empty.
pub const ONE_READ: usize = 16 * 1024;

/// The layers of one connection, the outer one first.
#[derive(Debug, Default)]
pub struct Stack {
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    #[cfg(feature = "websocket")]
    websocket: Option<WebSocket>,
    /// A WebSocket message on its way into TLS.
    #[cfg(all(feature = "tls", feature = "websocket"))]
    framed: Vec<u8>,
}

#[cfg_attr(
    not(all(feature = "tls", feature = "websocket")),
    allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "without layers, bytes pass through")
)]
impl Stack {
    /// Adds TLS to the host of this name, as the outer layer; its first bytes are appended to `out`.
    ///
    /// # Errors
    ///
    /// [`LinkError::Tls`] if `host` is not a name that certificates are made for.
    #[cfg(feature = "tls")]
    pub fn start_tls(
        &mut self,
        options: &TlsOptions,
        host: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        self.tls = Some(Tls::start(options, host, out)?);
        Ok(())
    }

    /// Returns whether TLS has not yet proved who the peer is.
    #[cfg(feature = "tls")]
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::is_handshaking)
    }

    /// Adds WebSocket as the inner layer, on the client's side, where the upgrade ended; `masks` draws the masks.
    /// Follow with [`receive_early`](Self::receive_early) if bytes came with the answer.
    #[cfg(feature = "websocket")]
    pub fn start_websocket_client(&mut self, masks: Drbg) {
        self.websocket = Some(WebSocket::client(masks));
    }

    /// Adds WebSocket as the inner layer, on the server's side, where the upgrade ended. Follow with
    /// [`receive_early`](Self::receive_early) if bytes came with the request.
    #[cfg(feature = "websocket")]
    pub fn start_websocket_server(&mut self) {
        self.websocket = Some(WebSocket::server());
    }

    /// Handles bytes that came with the last message of the upgrade, so that TLS has decrypted them already.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    #[cfg(feature = "websocket")]
    pub fn receive_early(
        &mut self,
        frames: &[u8],
        into: &mut ReadBuf,
        out: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        self.receive_inner(frames, into, out)
    }

    /// Returns whether the socket's bytes are those of the stream.
    pub const fn is_empty(&self) -> bool {
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

    /// Handles bytes of the socket. The bytes of the stream go to `into`; bytes that the layers send on their own are
    /// appended to `out`.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] if the peer closed a layer; otherwise the bytes are malformed, or the stream's buffer is full.
    pub fn receive(&mut self, raw: &[u8], into: &mut ReadBuf, out: &mut Vec<u8>) -> Result<(), LinkError> {
        #[cfg(feature = "tls")]
        if let Some(mut tls) = self.tls.take() {
            let plain = tls.receive(raw, out);
            self.tls = Some(tls);
            return self.receive_inner(&plain?, into, out);
        }
        self.receive_inner(raw, into, out)
    }

    /// Appends to `out` the bytes to write for bytes of the stream.
    ///
    /// # Errors
    ///
    /// A layer is closed or broken.
    pub fn send(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            #[cfg(feature = "tls")]
            if let Some(tls) = &mut self.tls {
                self.framed.clear();
                websocket.send(bytes, &mut self.framed)?;
                let sent = tls.send(&self.framed, out);
                // Give back the memory of a large frame.
                self.framed.truncate(ONE_READ);
                self.framed.shrink_to(ONE_READ);
                return sent;
            }
            return websocket.send(bytes, out);
        }
        self.send_outer(bytes, out)
    }

    /// Returns whether part of a WebSocket message has arrived that the stream cannot see yet.
    pub const fn is_partial(&self) -> bool {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &self.websocket {
            return websocket.is_partial();
        }
        false
    }

    /// Appends to `out` the layers' closing bytes: a WebSocket close frame, TLS `close_notify`.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &mut self.websocket {
            let mut framed = Vec::new();
            websocket.close(&mut framed);
            // A broken layer has no closing bytes.
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

/// A stack and the bytes that it has to write.
#[derive(Debug, Default)]
pub struct Carried {
    stack: Stack,
    /// Bytes that the socket has not accepted yet, in order.
    pub out: Vec<u8>,
}

impl Carried {
    /// Takes a stack. Nothing waits to be written.
    pub const fn new(stack: Stack) -> Self {
        Self { stack, out: Vec::new() }
    }

    /// Handles bytes of the socket.
    ///
    /// # Errors
    ///
    /// As [`Stack::receive`].
    pub fn receive(&mut self, raw: &[u8], into: &mut ReadBuf) -> Result<(), LinkError> {
        self.stack.receive(raw, into, &mut self.out)
    }

    /// See [`Stack::is_partial`].
    pub const fn is_partial(&self) -> bool {
        self.stack.is_partial()
    }

    /// Queues bytes of the stream.
    ///
    /// # Errors
    ///
    /// As [`Stack::send`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.stack.send(bytes, &mut self.out)
    }

    /// Queues the closing bytes.
    pub fn close(&mut self) {
        self.stack.close(&mut self.out);
    }

    /// Drops the `count` bytes that the socket accepted.
    pub fn written(&mut self, count: usize) {
        self.out.drain(..count);
        if self.out.is_empty() {
            // Give back the memory of a large frame.
            self.out.shrink_to(ONE_READ);
        }
    }
}
