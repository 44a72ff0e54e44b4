//! Obfuscation ("obfuscated2"): a stream without recognisable bytes.
//!
//! A client begins with 64 bytes that look random. The keys of two AES-256-CTR streams, one for each direction, are derived
//! from them. The encrypted bytes 56..64 name the framing and the datacenter. The transport's own prefix is not sent.
//!
//! Obfuscation gives no confidentiality: without a proxy secret in the keys, a reader of the 64 bytes can decrypt the
//! stream.
//!
//! **Invariant:** a header is used for one connection (`SEC-142`). It is drawn from fresh randomness and cannot be stored,
//! and a stream only moves forward.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation>.

use alloc::boxed::Box;
use core::fmt;

use chappe_crypto::ctr::Ctr;
use chappe_crypto::hash::sha256;
use chappe_types::DcId;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{TransportError, TransportMisuse};
use crate::framing::Framing;
use crate::secret::SecretKey;

/// Length of the header at the beginning of a client's stream.
pub(crate) const HEADER_LEN: usize = 64;

mod field {
    use core::ops::Range;
    /// Must differ from the beginnings of other transports.
    pub(super) const FIRST: Range<usize> = 0..4;
    pub(super) const SECOND: Range<usize> = FIRST.end..8;
    pub(super) const KEY: Range<usize> = SECOND.end..40;
    pub(super) const IV: Range<usize> = KEY.end..56;
    pub(super) const TAG: Range<usize> = IV.end..60;
    pub(super) const DC: Range<usize> = TAG.end..62;
    /// The encrypted part; the rest is sent as drawn (`SEC-143`).
    pub(super) const ENCRYPTED: Range<usize> = TAG.start..super::HEADER_LEN;
    /// The bytes from which the keys are derived, which identify a connection.
    pub(super) const IDENTITY: Range<usize> = KEY.start..IV.end;
}

/// Beginnings that servers interpret as another transport (`SEC-141`).
const FORBIDDEN_FIRST: [[u8; 4]; 7] =
    [*b"HEAD", *b"POST", *b"GET ", *b"OPTI", [0xdd; 4], [0xee; 4], [0x16, 0x03, 0x01, 0x02]];

/// The two cipher streams of an obfuscated connection.
///
/// Not `Clone`: a stream that is used twice reveals the XOR of two plaintexts.
pub struct Obfuscation {
    /// Encrypts this side's output.
    pub outgoing: Keystream,
    /// Decrypts this side's input.
    pub incoming: Keystream,
}

impl Obfuscation {
    /// Draws a header for `framing` and returns the client's streams and the bytes to send.
    ///
    /// With `dc` the header names the datacenter, which proxies require; without it these bytes are random. Headers that look
    /// like another transport are drawn again (`SEC-141`).
    ///
    /// # Errors
    ///
    /// [`TransportMisuse::FullCannotBeObfuscated`].
    pub fn client<R: CryptoRng + ?Sized>(
        framing: Framing,
        dc: Option<DcId>,
        secret: Option<&SecretKey>,
        rng: &mut R,
    ) -> Result<(Self, [u8; HEADER_LEN]), TransportError> {
        let mut random = Zeroizing::new([0; HEADER_LEN]);
        loop {
            rng.fill_bytes(&mut *random);
            if let Some(made) = Self::client_from_random(&random, framing, dc, secret)? {
                return Ok(made);
            }
        }
    }

    /// Creates the header from 64 random bytes, or returns `None` if they must be drawn again.
    ///
    /// Do not use the bytes for a second connection.
    ///
    /// # Errors
    ///
    /// [`TransportMisuse::FullCannotBeObfuscated`].
    pub fn client_from_random(
        random: &[u8; HEADER_LEN],
        framing: Framing,
        dc: Option<DcId>,
        secret: Option<&SecretKey>,
    ) -> Result<Option<(Self, [u8; HEADER_LEN])>, TransportError> {
        let tag = framing.tag().ok_or(TransportMisuse::FullCannotBeObfuscated)?;
        // A server tells transports apart by the first bytes, so random ones must not look like another transport's.
        // <https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation>
        if looks_like_another_transport(random) {
            return Ok(None);
        }
        let mut header = *random;
        header[field::TAG].copy_from_slice(&tag);
        if let Some(bytes) = dc.and_then(DcId::to_header) {
            header[field::DC].copy_from_slice(&bytes);
        }
        let mut outgoing = Keystream::derive(&header, secret);
        // Each direction has its own keystream. The one of the server comes from the same bytes in reverse order.
        let incoming = Keystream::derive(&reversed(&header), secret);
        let mut encrypted = header;
        outgoing.apply(&mut encrypted);
        // Key and IV travel in the clear; only the bytes behind them are encrypted. The keystream has passed all 64.
        header[field::ENCRYPTED].copy_from_slice(&encrypted[field::ENCRYPTED]);
        Ok(Some((Self { outgoing, incoming }, header)))
    }

    /// Decrypts a client's header and returns the server's streams, or `None` if it contains no tag.
    ///
    /// Try several secrets in turn (`SEC-144`). The datacenter may be random: do not check it on direct connections.
    pub fn accept(header: &[u8; HEADER_LEN], secret: Option<&SecretKey>) -> Option<(Self, Framing, DcId)> {
        let mut incoming = Keystream::derive(header, secret);
        let mut opened = Zeroizing::new(*header);
        // All 64 bytes pass the keystream, though only the last 8 are used: the stream goes on behind the header.
        incoming.apply(&mut *opened);
        let framing = Framing::from_tag(*opened[field::TAG].first_chunk()?)?;
        let dc = DcId::from_header(*opened[field::DC].first_chunk()?);
        let outgoing = Keystream::derive(&reversed(header), secret);
        Some((Self { outgoing, incoming }, framing, dc))
    }
}

impl fmt::Debug for Obfuscation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Obfuscation { .. }")
    }
}

/// One direction of an obfuscated connection: AES-256-CTR.
///
/// The cipher is boxed: its 680 bytes would be part of connections without obfuscation, too.
pub struct Keystream(Box<Ctr>);

impl Keystream {
    fn derive(header: &[u8; HEADER_LEN], secret: Option<&SecretKey>) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let mut iv = Zeroizing::new([0; 16]);
        key.copy_from_slice(&header[field::KEY]);
        iv.copy_from_slice(&header[field::IV]);
        if let Some(secret) = secret {
            // With the secret in the key, an observer cannot decrypt the stream by the header alone.
            *key = sha256(&[&*key, secret.as_bytes()]);
        }
        Self(Box::new(Ctr::new(&key, &iv)))
    }

    /// Encrypts or decrypts the next bytes of the stream in place.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply(bytes);
    }

    /// Skips `len` bytes of the stream, which the reader of a capture did not see.
    pub fn skip(&mut self, len: u64) {
        self.0.skip(len);
    }
}

impl fmt::Debug for Keystream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keystream { .. }")
    }
}

/// Returns the part of a header that identifies a replay: bytes 8..56, from which the keys are derived (`SEC-145`).
pub fn identity(header: &[u8; HEADER_LEN]) -> &[u8] {
    &header[field::IDENTITY]
}

fn looks_like_another_transport(header: &[u8; HEADER_LEN]) -> bool {
    header[0] == 0xef
        || FORBIDDEN_FIRST.iter().any(|first| header[field::FIRST] == *first)
        // A plain connection in full framing begins with its length and sequence number 0.
        || header[field::SECOND] == [0; 4]
}

fn reversed(header: &[u8; HEADER_LEN]) -> Zeroizing<[u8; HEADER_LEN]> {
    let mut reversed = *header;
    reversed.reverse();
    let kept = Zeroizing::new(reversed);
    reversed.zeroize();
    kept
}
