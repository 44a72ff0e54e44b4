//! The shape of a fake-TLS server's answer, as data: that of the site which the proxy imitates.
//!
//! An answer is what a server of TLS 1.3 sends: its hello, a change of ciphers, and encrypted records, which are random here.
//! A filter that visits the site sees its lengths, its cipher suite and the group of its key share, and can compare.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::server::{ClientHello, SESSION_ID_LEN, exactly, take, take_prefixed};
use super::{APPLICATION_DATA, CHANGE_CIPHER_SPEC, RANDOM, RECORD_HEADER, SERVER_HANDSHAKE, key_share};

/// Lengths of a record that imitates a certificate: 1 to 4 KiB.
const DEFAULT_DATA: DataRecord = DataRecord { min: 1024, max: 4096 };

/// Longest record that is sent: 16 KiB of plaintext, the content type and the tag of an AEAD, RFC 8446 section 5.2.
const MAX_DATA: u16 = (1 << 14) + 256;

/// Most records of encrypted data that a profile has.
const MAX_RECORDS: usize = 8;

/// Most bytes of a site's answer from which a profile is read.
const MAX_FLIGHT: usize = 64 * 1024;

/// Groups of a key share.
const X25519: [u8; 2] = [0x00, 0x1d];
const X25519_ML_KEM_768: [u8; 2] = [0x11, 0xec];

/// Length of an ML-KEM-768 ciphertext.
const CIPHERTEXT: usize = 1088;

/// Numbers of extensions.
const SUPPORTED_VERSIONS: [u8; 2] = [0x00, 0x2b];
const KEY_SHARE: [u8; 2] = [0x00, 0x33];

/// The lengths of one record of encrypted data, each equally likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRecord {
    /// The least number of bytes, without the header.
    pub min: u16,
    /// The greatest number of bytes, without the header; at most 16 640.
    pub max: u16,
}

/// The shape of a server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerProfile {
    /// Cipher suites by preference. If none is offered, or for an empty list, it is the first that the client offers.
    pub suites: Cow<'static, [[u8; 2]]>,
    /// Whether the hybrid group of X25519 and ML-KEM-768 is used if the client offers it: a hello of 1215 bytes.
    pub is_hybrid: bool,
    /// Whether the key share comes in front of the version, as from `BoringSSL`, or behind it, as from OpenSSL and Go.
    pub is_share_first: bool,
    /// The records of encrypted data; at most 8 are sent. **Official clients accept exactly one.**
    pub data: Cow<'static, [DataRecord]>,
}

impl Default for AnswerProfile {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl AnswerProfile {
    /// The shape of the official proxy: the client's first suite, x25519, and one record of 1 to 4 KiB.
    pub const DEFAULT: Self = Self {
        suites: Cow::Borrowed(&[]),
        is_hybrid: false,
        is_share_first: true,
        data: Cow::Borrowed(&[DEFAULT_DATA]),
    };

    /// Reads the shape of a site's answer to a hello of a browser, from its first byte on. The records of encrypted data are
    /// those that are complete; a proxy for official clients then [joins](Self::with_one_record) them.
    ///
    /// Returns `None` if it is no answer of TLS 1.3 with a group that is known, or has no complete record of data.
    pub fn of_answer(answer: &[u8]) -> Option<Self> {
        let mut rest = answer.get(..answer.len().min(MAX_FLIGHT))?;
        let hello = rest.strip_prefix(&SERVER_HANDSHAKE)?;
        rest = hello;
        let mut body =
            exactly(take_prefixed(&mut rest, 2)?.strip_prefix(&[0x02])?, 3)?.strip_prefix(&[0x03, 0x03])?;
        take(&mut body, RANDOM.end - RANDOM.start)?;
        take_prefixed(&mut body, 1)?;
        let suite = take(&mut body, 2)?.try_into().ok()?;
        take(&mut body, 1)?;
        let mut extensions = exactly(body, 2)?;
        let (mut order, mut group) = (Vec::new(), None);
        while !extensions.is_empty() {
            let number: [u8; 2] = take(&mut extensions, 2)?.try_into().ok()?;
            let content = take_prefixed(&mut extensions, 2)?;
            if number == KEY_SHARE {
                group = content.first_chunk::<2>().copied();
            }
            order.push(number);
        }
        let at = |number| order.iter().position(|found| *found == number);
        let (versions, share) = (at(SUPPORTED_VERSIONS)?, at(KEY_SHARE)?);
        let is_hybrid = match group? {
            X25519 => false,
            X25519_ML_KEM_768 => true,
            _ => return None,
        };
        let mut data = Vec::new();
        while let Some((kind, after)) = rest.split_first_chunk::<3>() {
            rest = after;
            let Some(content) = take_prefixed(&mut rest, 2) else { break };
            if *kind == APPLICATION_DATA && data.len() < MAX_RECORDS {
                let len = u16::try_from(content.len()).ok().filter(|len| *len <= MAX_DATA)?;
                data.push(DataRecord { min: len, max: len });
            }
        }
        if data.is_empty() {
            return None;
        }
        Some(Self {
            suites: Cow::Owned(Vec::from([suite])),
            is_hybrid,
            is_share_first: share < versions,
            data: Cow::Owned(data),
        })
    }

    /// Joins the records of encrypted data to one of the same length together, for official clients.
    #[must_use]
    pub fn with_one_record(mut self) -> Self {
        let total = |len: fn(&DataRecord) -> u16| {
            let sum: usize = self.data.iter().map(|record| RECORD_HEADER + usize::from(len(record))).sum();
            sum.saturating_sub(RECORD_HEADER).min(usize::from(MAX_DATA)) as u16
        };
        let one = DataRecord { min: total(|record| record.min), max: total(|record| record.max) };
        self.data = Cow::Owned(Vec::from([one]));
        self
    }

    /// Appends an answer whose random is zero. Returns `None` if the client offers no suite of TLS 1.3.
    pub(super) fn put<R: CryptoRng + ?Sized>(
        &self,
        out: &mut Vec<u8>,
        client: &ClientHello<'_>,
        rng: &mut R,
    ) -> Option<()> {
        let suite = client.suite(&self.suites)?;
        let is_hybrid = self.is_hybrid && client.offers_hybrid();
        let share = share(is_hybrid, rng);
        put_hello(out, client.session_id(), suite, &share, self.is_share_first);
        out.extend_from_slice(&CHANGE_CIPHER_SPEC);
        let default = [DEFAULT_DATA];
        let data = if self.data.is_empty() { &default } else { &self.data[..] };
        for record in data.iter().take(MAX_RECORDS) {
            put_data(out, *record, rng);
        }
        Some(())
    }
}

/// Returns the body of a `key_share`: group, length, key.
fn share<R: CryptoRng + ?Sized>(is_hybrid: bool, rng: &mut R) -> Vec<u8> {
    let mut share = Vec::with_capacity(4 + CIPHERTEXT + 32);
    if is_hybrid {
        share.extend_from_slice(&X25519_ML_KEM_768);
        share.extend_from_slice(&((CIPHERTEXT + 32) as u16).to_be_bytes());
        // A ciphertext of ML-KEM is any bytes: its coefficients are compressed to powers of two.
        let at = share.len();
        share.resize(at + CIPHERTEXT, 0);
        rng.fill_bytes(&mut share[at..]);
    } else {
        share.extend_from_slice(&X25519);
        share.extend_from_slice(&32_u16.to_be_bytes());
    }
    share.extend_from_slice(&key_share::x25519(rng));
    share
}

/// Appends the record of a server's hello, with a zero random.
fn put_hello(
    out: &mut Vec<u8>,
    session_id: &[u8; SESSION_ID_LEN],
    suite: [u8; 2],
    share: &[u8],
    is_share_first: bool,
) {
    let extensions = 6 + 4 + share.len();
    let body = 2 + 32 + 1 + SESSION_ID_LEN + 2 + 1 + 2 + extensions;
    out.extend_from_slice(&SERVER_HANDSHAKE);
    out.extend_from_slice(&(body as u16 + 4).to_be_bytes());
    out.extend_from_slice(&[0x02, 0x00]);
    out.extend_from_slice(&(body as u16).to_be_bytes());
    out.extend_from_slice(&[0x03, 0x03]);
    out.extend_from_slice(&[0; RANDOM.end - RANDOM.start]);
    out.push(SESSION_ID_LEN as u8);
    out.extend_from_slice(session_id);
    out.extend_from_slice(&suite);
    // No compression.
    out.push(0x00);
    out.extend_from_slice(&(extensions as u16).to_be_bytes());
    let put_share = |out: &mut Vec<u8>| {
        out.extend_from_slice(&KEY_SHARE);
        out.extend_from_slice(&(share.len() as u16).to_be_bytes());
        out.extend_from_slice(share);
    };
    if is_share_first {
        put_share(out);
    }
    // Version 1.3.
    out.extend_from_slice(&SUPPORTED_VERSIONS);
    out.extend_from_slice(&[0x00, 0x02, 0x03, 0x04]);
    if !is_share_first {
        put_share(out);
    }
}

fn put_data<R: CryptoRng + ?Sized>(out: &mut Vec<u8>, record: DataRecord, rng: &mut R) {
    let max = record.max.min(MAX_DATA);
    let spread = u32::from(max.saturating_sub(record.min));
    let len = record.min.min(max) + (rng.next_u32() % (spread + 1)) as u16;
    out.extend_from_slice(&APPLICATION_DATA);
    out.extend_from_slice(&len.to_be_bytes());
    let at = out.len();
    out.resize(at + usize::from(len), 0);
    rng.fill_bytes(&mut out[at..]);
}
