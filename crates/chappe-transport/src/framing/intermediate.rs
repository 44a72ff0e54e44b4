//! Intermediate and padded intermediate: four length bytes, little endian.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports#intermediate> and `#padded-intermediate`.

use alloc::vec::Vec;

use chappe_crypto::{QuickAckToken, Side};
use rand_core::CryptoRng;

use super::{AckRequest, Affixes, Head, MAX_PADDING, check_len};
use crate::error::{MalformedStream, TransportError, TransportMisuse};

const HEAD: usize = 4;

/// In a client's length: a quick ack is requested. In a server's: this is a quick ack, not a length.
const ACK_BIT: u32 = 1 << 31;

/// Maximum number of random bytes behind the token of a padded quick ack.
pub(super) const MAX_ACK_PADDING: usize = 8;

pub(super) fn encode(len: usize, ack: AckRequest) -> Result<Affixes, TransportError> {
    let announced = u32::try_from(len).ok().filter(|announced| announced & ACK_BIT == 0);
    let announced = announced.ok_or(TransportMisuse::PayloadLength { len })?;
    let flag = if ack == AckRequest::Quick { ACK_BIT } else { 0 };
    Ok(Affixes::with_head(&(announced | flag).to_le_bytes()))
}

pub(super) fn encode_padded<R: CryptoRng + ?Sized>(
    len: usize,
    ack: AckRequest,
    max_padding: usize,
    rng: &mut R,
) -> Result<Affixes, TransportError> {
    let padding = random_below_16(max_padding, rng);
    let mut affixes = encode(len + padding, ack)?;
    rng.fill_bytes(&mut affixes.tail[..padding]);
    affixes.tail_len = padding as u8;
    Ok(affixes)
}

/// Appends the frame that carries a quick ack on the padded transport: −1, the token, random bytes.
pub(super) fn quick_ack_into<R: CryptoRng + ?Sized>(
    out: &mut Vec<u8>,
    token: u32,
    max_padding: usize,
    rng: &mut R,
) {
    let padding = random_below_16(max_padding, rng);
    let mut random = [0; MAX_PADDING];
    rng.fill_bytes(&mut random[..padding]);
    out.extend_from_slice(&(8 + padding as u32).to_le_bytes());
    // -1 in the place of an error code marks a quick acknowledgement.
    out.extend_from_slice(&[0xff; 4]);
    out.extend_from_slice(&token.to_le_bytes());
    out.extend_from_slice(&random[..padding]);
}

pub(super) fn head(input: &[u8], from: Side, max: usize) -> Result<Head, TransportError> {
    let head = padded_head(input, from, max)?;
    match head {
        Head::Frame { len, .. } if !len.is_multiple_of(4) => {
            Err(MalformedStream::FrameUnaligned { len }.into())
        }
        _ => Ok(head),
    }
}

/// A server's quick ack is an ordinary frame here, but a bare token is distinguished from a length nevertheless, as the
/// official client does.
pub(super) fn padded_head(input: &[u8], from: Side, max: usize) -> Result<Head, TransportError> {
    let Some(head) = input.first_chunk::<HEAD>() else {
        return Ok(Head::Incomplete { needed: HEAD });
    };
    let word = u32::from_le_bytes(*head);
    // A client sets this bit to request a quick acknowledgement; a server sets it in the acknowledgement.
    // <https://core.telegram.org/mtproto/mtproto-transports#quick-ack>
    if word & ACK_BIT != 0 && from == Side::Server {
        return Ok(Head::QuickAck { token: QuickAckToken::from_raw(word), used: HEAD });
    }
    let (len, ack) = split_length(word);
    check_len(len, max)?;
    Ok(Head::Frame { head: HEAD, len, tail: 0, ack })
}

const fn split_length(word: u32) -> (usize, AckRequest) {
    let ack = if word & ACK_BIT == 0 { AckRequest::No } else { AckRequest::Quick };
    ((word & !ACK_BIT) as usize, ack)
}

/// A number from 0 to `max`, which is at most 15, each equally likely.
fn random_below_16<R: CryptoRng + ?Sized>(max: usize, rng: &mut R) -> usize {
    // The high half of a product instead of a remainder: no division, and no bias that matters for padding.
    let bound = max.min(MAX_PADDING) as u64 + 1;
    ((u64::from(rng.next_u32()) * bound) >> 32) as usize
}
