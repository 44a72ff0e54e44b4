//! The `ClientHello` as data: a template that a program can replace without a new release of this crate.
//!
//! Filters look for hellos that current browsers do not send, so the caller can choose the list of parts. The shapes of
//! current browsers are in [`profile`](super::profile).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{RANDOM, key_share};
use crate::error::{TransportError, TransportMisuse};
use crate::secret::Domain;

/// Length up to which [`HelloPart::Padding`] fills the record, as browsers do.
const PADDED_RECORD: usize = 517;

/// Number of the padding extension.
const PADDING_EXTENSION: [u8; 2] = [0x00, 0x15];

/// Number of independent GREASE values in a hello.
const GREASE_SLOTS: usize = 8;

/// Maximum nesting of parts.
const MAX_DEPTH: usize = 16;

/// Maximum length of a TLS record, header included.
const MAX_RECORD: usize = 5 + (1 << 14);

/// One piece of a `ClientHello` record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelloPart {
    /// These bytes.
    Literal(Cow<'static, [u8]>),
    /// This many zero bytes, at most 16 KiB.
    Zero(u16),
    /// This many random bytes, at most 16 KiB.
    Random(u16),
    /// Two equal random bytes `?a ?a`; the same slot (0 to 7) gives the same value within a hello. Neighbouring
    /// slots 0 and 1, 2 and 3 and so on differ.
    Grease(u8),
    /// The domain of the secret.
    Domain,
    /// An x25519 public key: a point of the prime-order subgroup, 32 bytes.
    X25519,
    /// A P-256 public key: an uncompressed point, 65 bytes.
    P256,
    /// An ML-KEM-768 encapsulation key: 1184 bytes with coefficients in range.
    MlKem768,
    /// Two length bytes, big endian, and these parts.
    Scope(Vec<Self>),
    /// These groups in random order.
    Permutation(Vec<Vec<Self>>),
    /// One of these groups, chosen at random for each hello.
    Choice(Vec<Vec<Self>>),
    /// A padding extension that fills the record up to 517 bytes, or nothing if the record is that long.
    Padding,
}

impl HelloPart {
    /// Returns a literal of bytes known at compile time.
    pub const fn literal(bytes: &'static [u8]) -> Self {
        Self::Literal(Cow::Borrowed(bytes))
    }
}

/// A whole `ClientHello` record as a list of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloTemplate {
    parts: Vec<HelloPart>,
}

impl HelloTemplate {
    /// Creates a template from the parts of a record, from its first byte `16` on. The record must contain 32 zero bytes at
    /// offset 11, in place of the digest, then `20` and a session id of 32 bytes.
    pub const fn new(parts: Vec<HelloPart>) -> Self {
        Self { parts }
    }

    /// Returns the hello of the current Chrome, [`HelloProfile::CHROME`](super::profile::HelloProfile::CHROME).
    pub fn browser() -> Self {
        super::profile::HelloProfile::CHROME.template()
    }

    /// Returns the parts.
    pub fn parts(&self) -> &[HelloPart] {
        &self.parts
    }

    /// Renders a record whose random is zero. Sign it with [`sign_client_hello`](super::sign_client_hello).
    ///
    /// # Errors
    ///
    /// [`TransportMisuse::BadHelloTemplate`] if the record is not a handshake record of one `ClientHello`, has no
    /// room for the digest, exceeds the maximum length of a record, or nests deeper than 16.
    pub fn render<R: CryptoRng + ?Sized>(
        &self,
        domain: &Domain,
        rng: &mut R,
    ) -> Result<Vec<u8>, TransportError> {
        let grease = draw_grease(rng);
        let mut renderer = Renderer { out: Vec::with_capacity(2048), domain, grease, rng };
        renderer.put_all(&self.parts, 0)?;
        let out = renderer.out;
        let shape = out.len() > RANDOM.end && out[RANDOM] == [0; 32];
        let heads = out.starts_with(&[0x16, 0x03]) && out.get(5) == Some(&0x01);
        if shape && heads && whole_record(&out) {
            Ok(out)
        } else {
            Err(TransportMisuse::BadHelloTemplate.into())
        }
    }
}

struct Renderer<'a, R: ?Sized> {
    out: Vec<u8>,
    domain: &'a Domain,
    grease: [u8; GREASE_SLOTS],
    rng: &'a mut R,
}

impl<R: CryptoRng + ?Sized> Renderer<'_, R> {
    fn put_all(&mut self, parts: &[HelloPart], depth: usize) -> Result<(), TransportError> {
        if depth > MAX_DEPTH {
            return Err(TransportMisuse::BadHelloTemplate.into());
        }
        for part in parts {
            self.put(part, depth)?;
            if self.out.len() > MAX_RECORD {
                return Err(TransportMisuse::BadHelloTemplate.into());
            }
        }
        Ok(())
    }

    fn put(&mut self, part: &HelloPart, depth: usize) -> Result<(), TransportError> {
        match part {
            HelloPart::Literal(bytes) => self.out.extend_from_slice(bytes),
            HelloPart::Zero(count) => self.out.resize(self.out.len() + usize::from(*count), 0),
            HelloPart::Random(count) => self.put_random(usize::from(*count)),
            HelloPart::Grease(slot) => {
                let value = self.grease.get(usize::from(*slot)).ok_or(TransportMisuse::BadHelloTemplate)?;
                self.out.extend_from_slice(&[*value; 2]);
            }
            HelloPart::Domain => self.out.extend_from_slice(self.domain.as_str().as_bytes()),
            HelloPart::X25519 => self.out.extend_from_slice(&key_share::x25519(self.rng)),
            HelloPart::P256 => self.out.extend_from_slice(&key_share::p256(self.rng)),
            HelloPart::MlKem768 => key_share::ml_kem_768(&mut self.out, self.rng),
            HelloPart::Scope(parts) => self.put_scope(parts, depth)?,
            HelloPart::Permutation(groups) => self.put_permutation(groups, depth)?,
            HelloPart::Choice(groups) => {
                let chosen = below(groups.len(), self.rng);
                self.put_all(groups.get(chosen).ok_or(TransportMisuse::BadHelloTemplate)?, depth + 1)?;
            }
            HelloPart::Padding => self.put_padding(),
        }
        Ok(())
    }

    fn put_random(&mut self, count: usize) {
        let from = self.out.len();
        self.out.resize(from + count, 0);
        self.rng.fill_bytes(&mut self.out[from..]);
    }

    fn put_scope(&mut self, parts: &[HelloPart], depth: usize) -> Result<(), TransportError> {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 2]);
        self.put_all(parts, depth + 1)?;
        let len = u16::try_from(self.out.len() - at - 2)
            .map_err(|_| TransportError::Misuse(TransportMisuse::BadHelloTemplate))?;
        self.out[at..at + 2].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    fn put_permutation(&mut self, groups: &[Vec<HelloPart>], depth: usize) -> Result<(), TransportError> {
        let mut order: Vec<usize> = (0..groups.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, below(last + 1, self.rng));
        }
        order.into_iter().try_for_each(|index| self.put_all(&groups[index], depth + 1))
    }

    fn put_padding(&mut self) {
        let head = PADDING_EXTENSION.len() + 2;
        let Some(zeros) = PADDED_RECORD.checked_sub(self.out.len() + head).filter(|zeros| *zeros > 0) else {
            return;
        };
        self.out.extend_from_slice(&PADDING_EXTENSION);
        self.out.extend_from_slice(&(zeros as u16).to_be_bytes());
        self.out.resize(self.out.len() + zeros, 0);
    }
}

/// Draws the GREASE values `?a` of one hello. Neighbours differ, because browsers do not repeat an extension.
fn draw_grease<R: CryptoRng + ?Sized>(rng: &mut R) -> [u8; GREASE_SLOTS] {
    let mut grease = [0; GREASE_SLOTS];
    rng.fill_bytes(&mut grease);
    for value in &mut grease {
        *value = *value & 0xf0 | 0x0a;
    }
    for pair in grease.chunks_exact_mut(2) {
        if pair[0] == pair[1] {
            pair[1] ^= 0x10;
        }
    }
    grease
}

/// Draws a number below `bound`; 0 if there is none.
fn below<R: CryptoRng + ?Sized>(bound: usize, rng: &mut R) -> usize {
    ((u64::from(rng.next_u32()) * bound as u64) >> 32) as usize
}

/// Returns whether the record's and the handshake's lengths reach exactly to the end.
fn whole_record(record: &[u8]) -> bool {
    let Some(&[_, _, _, high, low, _, top, middle, bottom]) = record.first_chunk::<9>() else {
        return false;
    };
    let handshake = u32::from_be_bytes([0, top, middle, bottom]) as usize;
    usize::from(u16::from_be_bytes([high, low])) + 5 == record.len() && handshake + 9 == record.len()
}
