//! The core of a proxy: two connections joined to one stream in each direction.
//!
//! Where both ends use the same framing, bytes are decrypted, encrypted and put into records where they are, and nothing else
//! is looked at. Otherwise the framing is translated as the bytes pass. Neither holds a frame.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use crate::error::TransportError;
use crate::framing::Framing;
use crate::read_buf::ReadBuf;
use crate::reframer::Reframer;
use crate::stream::{Connection, Receiver, Sender};

/// One direction of a relay: bytes read from one connection become bytes to write to the other.
///
/// A driver reads at most as much as it can write later, calls [`pass`](Self::pass), writes, and reads again when everything is
/// written: a reader that is slow stops its writer.
///
/// ```
/// use chappe_transport::{AckRequest, Connector, ConnectStep, DcId, Framing, ProxySecret, Relay};
/// # use chappe_transport::{AcceptConfig, AcceptContext, AcceptStep, Acceptor, ConnectionLimits, ReadBuf};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::from_seed([1; 32]);
/// let secret = ProxySecret::plain([7; 16]);
/// # let mut wire = Vec::new();
/// # let ConnectStep::Ready(mut client) = Connector::proxy(&secret, DcId::production(2)).start(0, &mut rng, &mut wire)? else { unreachable!() };
/// # client.sender.encode_into(&mut wire, &[7; 40], AckRequest::No, &mut rng)?;
/// # let mut read = ReadBuf::new(&ConnectionLimits::DEFAULT);
/// # read.extend_from_slice(&wire)?;
/// # let config = AcceptConfig::proxy(vec![secret]);
/// # let mut context = AcceptContext { config: &config, unix_time: 0, replays: None };
/// # let AcceptStep::Ready(accepted) = Acceptor::new().handle(&mut read, &mut context, &mut rng)? else { unreachable!() };
/// // `accepted` is a client; the datacenter is called without a secret.
/// let mut out = Vec::new();
/// let connector = Connector::obfuscated(Framing::Abridged, accepted.dc)?;
/// let ConnectStep::Ready(datacenter) = connector.start(0, &mut rng, &mut out)? else { unreachable!() };
/// let (mut up, _down) = Relay::join(accepted.connection, datacenter);
/// // What the client sent behind its header, then everything that it sends later.
/// up.pass_buffered(&mut read, &mut out, &mut Vec::new())?;
/// assert_eq!(out.len(), 64 + 1 + 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Relay {
    receiver: Receiver,
    sender: Sender,
    /// Boxed, because few relays have one.
    reframer: Option<Box<Reframer>>,
}

impl Relay {
    /// Joins a client that was accepted and a connection to its datacenter. Returns the direction towards the datacenter, then
    /// the one towards the client.
    pub fn join(client: Connection, datacenter: Connection) -> (Self, Self) {
        let direction = |receiver: Receiver, sender: Sender| {
            let (from, to) = (receiver.framing(), sender.framing());
            // Full numbers its frames, so each end has numbers of its own.
            let is_same = from == to && from != Framing::Full;
            let reframer = (!is_same).then(|| Box::new(Reframer::new()));
            Self { receiver, sender, reframer }
        };
        (direction(client.receiver, datacenter.sender), direction(datacenter.receiver, client.sender))
    }

    /// Returns whether the framing is translated, which needs the second buffer of [`pass`](Self::pass).
    pub const fn is_translated(&self) -> bool {
        self.reframer.is_some()
    }

    /// Turns `bytes`, as they were read from one end, into the bytes to write to the other. There are none if all of them
    /// belong to something that is incomplete.
    ///
    /// `scratch` is memory that is used where the framing is translated; its content is lost. The result is at most three times
    /// as long as the input, and some dozen bytes.
    ///
    /// # Errors
    ///
    /// The stream is malformed. Close both connections.
    pub fn pass(&mut self, bytes: &mut Vec<u8>, scratch: &mut Vec<u8>) -> Result<(), TransportError> {
        let kept = self.receiver.feed(bytes)?;
        bytes.truncate(kept);
        self.send(bytes, 0, scratch)
    }

    /// Appends to `out` what is to be written for the bytes in `buf`, which is empty afterwards. An accepted client has sent them
    /// behind its header, or they come from a layer that collects there.
    ///
    /// # Errors
    ///
    /// As [`pass`](Self::pass).
    pub fn pass_buffered(
        &mut self,
        buf: &mut ReadBuf,
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        buf.make_ready(|raw| self.receiver.feed(raw))?;
        let from = out.len();
        out.extend_from_slice(buf.ready());
        let len = buf.ready().len();
        buf.take_ready(len);
        self.send(out, from, scratch)
    }

    /// Encrypts the stream in `bytes[from..]` for the other end.
    fn send(
        &mut self,
        bytes: &mut Vec<u8>,
        from: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        if let Some(reframer) = &mut self.reframer {
            scratch.clear();
            scratch.extend_from_slice(&bytes[..from]);
            let (decoder, encoder) = (&mut self.receiver.decoder, &mut self.sender.encoder);
            reframer.pass(decoder, encoder, &bytes[from..], scratch)?;
            mem::swap(bytes, scratch);
        }
        if bytes.len() > from {
            self.sender.hide(bytes, from);
        }
        Ok(())
    }
}
