//! Fake TLS: traffic to a proxy that imitates a visit to a web site.
//!
//! The client sends a `ClientHello` whose random is a digest keyed with the proxy secret. The server answers with a hello, a
//! change of ciphers and one record of random bytes. Application data records around an obfuscated, padded stream follow.
//!
//! - [`hello`]: the `ClientHello` as replaceable data, because filters learn old ones;
//! - [`profile`]: the shapes of current browsers;
//! - [`server`]: the server's checks and its answer;
//! - [`record`]: the data phase.
//!
//! It is not TLS and gives no security: only the digest authenticates the peer, and all checks of the inner protocol still
//! apply (`SEC-150`).

pub(crate) mod answer;
pub(crate) mod hello;
mod key_share;
pub(crate) mod profile;
pub(crate) mod record;
pub(crate) mod server;
pub(crate) mod split;

use core::ops::Range;

use chappe_crypto::{ct, hash::hmac_sha256};

use crate::error::{MalformedStream, StreamRefusal, TransportError, TransportMisuse};
use crate::limits::ConnectionLimits;
use crate::secret::SecretKey;

/// Length of a record's header: content type, version, length.
pub(crate) const RECORD_HEADER: usize = 5;

/// Position of the random of a hello in its record, on both sides.
pub(crate) const RANDOM: Range<usize> = 11..43;

/// The part of the client's random that is only the digest. The rest is combined with the time.
const DIGEST_LEN: usize = 28;

const APPLICATION_DATA: [u8; 3] = [0x17, 0x03, 0x03];
const SERVER_HANDSHAKE: [u8; 3] = [0x16, 0x03, 0x03];
const CHANGE_CIPHER_SPEC: [u8; 6] = [0x14, 0x03, 0x03, 0x00, 0x01, 0x01];

/// Writes the digest of a `ClientHello` record and the time (Unix seconds) to its random.
///
/// # Errors
///
/// [`TransportMisuse::BadHelloTemplate`] if the record is too short to hold a random.
pub fn sign_client_hello(record: &mut [u8], key: &SecretKey, unix_time: u32) -> Result<(), TransportError> {
    record.get_mut(RANDOM).ok_or(TransportMisuse::BadHelloTemplate)?.fill(0);
    let mut digest = hmac_sha256(key.as_bytes(), &[record]);
    for (byte, time) in digest[DIGEST_LEN..].iter_mut().zip(unix_time.to_le_bytes()) {
        *byte ^= time;
    }
    record[RANDOM].copy_from_slice(&digest);
    Ok(())
}

/// Checks a whole `ClientHello` record against a secret and returns the time it claims, in Unix seconds.
///
/// The digest is compared in constant time. Returns `None` if it does not match.
pub fn check_client_hello(record: &[u8], key: &SecretKey) -> Option<u32> {
    let (head, rest) = record.split_at_checked(RANDOM.start)?;
    let (random, tail) = rest.split_first_chunk::<32>()?;
    let digest = hmac_sha256(key.as_bytes(), &[head, &[0; 32], tail]);
    if !ct::eq(&digest[..DIGEST_LEN], &random[..DIGEST_LEN]) {
        return None;
    }
    let word = |bytes: &[u8; 32]| bytes.last_chunk::<4>().map(|word| u32::from_le_bytes(*word));
    Some(word(&digest)? ^ word(random)?)
}

/// Writes the digest of a server's whole answer, three records, to the random of its hello.
///
/// # Errors
///
/// [`MalformedStream::ServerHello`] if the answer is too short to hold a random.
pub fn sign_server_answer(
    answer: &mut [u8],
    key: &SecretKey,
    client_random: &[u8; 32],
) -> Result<(), TransportError> {
    answer.get_mut(RANDOM).ok_or(MalformedStream::ServerHello)?.fill(0);
    let digest = hmac_sha256(key.as_bytes(), &[client_random, answer]);
    answer[RANDOM].copy_from_slice(&digest);
    Ok(())
}

/// Checks a server's whole answer at the beginning of `input` (`SEC-147`).
///
/// The answer is what servers of TLS 1.3 send: a hello, further handshake records and changes of ciphers, and records of
/// application data. The official proxy and clients know exactly one record of each kind. Other proxies send more under one
/// digest, and a browser would accept all of them. The digest tells which record of application data is the last.
///
/// Returns its length, or `None` if it is incomplete. Only the digest of the answer is trusted.
///
/// # Errors
///
/// [`MalformedStream::ServerHello`] if the records are not the expected ones or too long;
/// [`StreamRefusal::ServerHelloDigest`] if the answer was not made with `key` for this client.
pub fn check_server_answer(
    input: &[u8],
    key: &SecretKey,
    client_random: &[u8; 32],
    limits: &ConnectionLimits,
) -> Result<Option<usize>, TransportError> {
    AnswerCheck::default().check(input, key, client_random, limits)
}

/// Most records of a server's answer. Real servers send up to eight.
const MAX_ANSWER_RECORDS: usize = 16;

/// How far the records of an answer were checked. Each digest is computed once, however slowly the bytes arrive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnswerCheck {
    /// The end of the last record that was looked at.
    end: usize,
    records: usize,
    has_data: bool,
}

impl AnswerCheck {
    /// Looks at the bytes that have arrived since the last call, as [`check_server_answer`].
    pub(crate) fn check(
        &mut self,
        input: &[u8],
        key: &SecretKey,
        client_random: &[u8; 32],
        limits: &ConnectionLimits,
    ) -> Result<Option<usize>, TransportError> {
        while let Some(record) = self.next_record(input, limits.max_server_hello)? {
            let Some(answer) = input.get(..record.end) else { return Ok(None) };
            self.end = record.end;
            self.records += 1;
            self.has_data |= record.is_data;
            if record.is_data && is_signed(answer, key, client_random) {
                return Ok(Some(record.end));
            }
        }
        // Servers that send several records send them at once. Nothing behind one means that it was the last.
        if self.has_data && self.end == input.len() {
            return Err(StreamRefusal::ServerHelloDigest.into());
        }
        Ok(None)
    }

    /// Returns the next record, as far as its header has arrived. Rejects the first byte that does not fit.
    fn next_record(&self, input: &[u8], max: usize) -> Result<Option<Record>, TransportError> {
        let malformed = TransportError::Malformed(MalformedStream::ServerHello);
        let rest = input.get(self.end..).unwrap_or_default();
        let Some(&kind) = rest.first() else { return Ok(None) };
        let is_allowed = match kind {
            HANDSHAKE => !self.has_data,
            CHANGE => self.records > 0 && !self.has_data,
            DATA => self.records > 0,
            _ => false,
        };
        if !is_allowed || self.records == MAX_ANSWER_RECORDS {
            let is_other = self.has_data;
            return Err(if is_other { StreamRefusal::ServerHelloDigest.into() } else { malformed });
        }
        let header = &rest[1..rest.len().min(RECORD_HEADER)];
        let version = &header[..header.len().min(2)];
        if version != &[0x03, 0x03][..version.len()] {
            return Err(malformed);
        }
        let Some(&[high, low]) = header.last_chunk().filter(|_| header.len() == RECORD_HEADER - 1) else {
            return Ok(None);
        };
        let end = self.end + RECORD_HEADER + usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(RECORD_HEADER..).unwrap_or_default();
        let is_change =
            end == self.end + CHANGE_CIPHER_SPEC.len() && body.first().is_none_or(|byte| *byte == 1);
        if end > max || kind == CHANGE && !is_change || self.records == 0 && end < RANDOM.end {
            return Err(malformed);
        }
        Ok(Some(Record { end, is_data: kind == DATA }))
    }
}

struct Record {
    end: usize,
    is_data: bool,
}

/// Content types of records.
const CHANGE: u8 = CHANGE_CIPHER_SPEC[0];
const HANDSHAKE: u8 = SERVER_HANDSHAKE[0];
const DATA: u8 = APPLICATION_DATA[0];

/// Compares the digest of an answer in constant time.
fn is_signed(answer: &[u8], key: &SecretKey, client_random: &[u8; 32]) -> bool {
    let Some((head, rest)) = answer.split_at_checked(RANDOM.start) else { return false };
    let Some((random, tail)) = rest.split_first_chunk::<32>() else { return false };
    ct::eq(&hmac_sha256(key.as_bytes(), &[client_random, head, &[0; 32], tail]), random)
}
