//! Fake TLS: traffic to a proxy that imitates a visit to a web site.
//!
//! The client sends a `ClientHello` whose random is a digest keyed with the proxy secret. The server answers with a hello, a
//! change of ciphers and one record of random bytes. Application data records around an obfuscated, padded stream follow.
//!
//! - [`hello`]: the `ClientHello` as replaceable data, because filters learn old ones;
//! - [`server`]: the server's checks and its answer;
//! - [`record`]: the data phase.
//!
//! It is not TLS and gives no security: only the digest authenticates the peer, and all checks of the inner protocol still
//! apply (`SEC-150`).

pub(crate) mod hello;
mod key_share;
pub(crate) mod record;
pub(crate) mod server;

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
    let Some(len) = server_answer_len(input, limits.max_server_hello)? else {
        return Ok(None);
    };
    let Some(answer) = input.get(..len) else {
        return Ok(None);
    };
    let malformed = TransportError::Malformed(MalformedStream::ServerHello);
    let (head, rest) = answer.split_at_checked(RANDOM.start).ok_or(malformed)?;
    let (random, tail) = rest.split_first_chunk::<32>().ok_or(malformed)?;
    let digest = hmac_sha256(key.as_bytes(), &[client_random, head, &[0; 32], tail]);
    if ct::eq(&digest, random) { Ok(Some(len)) } else { Err(StreamRefusal::ServerHelloDigest.into()) }
}

/// Returns the length of the three records as far as they are known. Rejects the first byte that does not fit.
fn server_answer_len(input: &[u8], max: usize) -> Result<Option<usize>, TransportError> {
    let Some(hello) = record_len(input, 0, SERVER_HANDSHAKE, max)? else {
        return Ok(None);
    };
    if hello < RANDOM.end {
        return Err(MalformedStream::ServerHello.into());
    }
    let change = hello + CHANGE_CIPHER_SPEC.len();
    if !expect(input, hello, &CHANGE_CIPHER_SPEC)? {
        return Ok(None);
    }
    record_len(input, change, APPLICATION_DATA, max)
}

/// Returns the end of the record that begins at `at`, if its header is complete.
fn record_len(input: &[u8], at: usize, kind: [u8; 3], max: usize) -> Result<Option<usize>, TransportError> {
    if !expect(input, at, &kind)? {
        return Ok(None);
    }
    let Some(&[high, low]) = input.get(at + 3..).and_then(|rest| rest.first_chunk()) else {
        return Ok(None);
    };
    let end = at + RECORD_HEADER + usize::from(u16::from_be_bytes([high, low]));
    if end > max {
        return Err(MalformedStream::ServerHello.into());
    }
    Ok(Some(end))
}

/// Returns whether `literal` is at `at`; `false` means that it may still arrive.
fn expect(input: &[u8], at: usize, literal: &[u8]) -> Result<bool, TransportError> {
    let there = input.get(at..).unwrap_or_default();
    let known = there.len().min(literal.len());
    if there[..known] != literal[..known] {
        return Err(MalformedStream::ServerHello.into());
    }
    Ok(known == literal.len())
}
