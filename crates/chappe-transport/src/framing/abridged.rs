//! Abridged: one length byte in 4-byte words, or `7f` and three of them.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports#abridged>.

use chappe_crypto::{QuickAckToken, Side};

use super::{AckRequest, Affixes, Head, check_len};
use crate::error::{MalformedStream, TransportError, TransportMisuse};

/// The first byte of the long form, and the first word count that needs it.
const LONG: u8 = 0x7f;

/// In a client's first byte: a quick ack is requested. In a server's: this is a quick ack.
const ACK_BIT: u8 = 0x80;

/// Maximum number of words that three length bytes can express.
const MAX_WORDS: usize = (1 << 24) - 1;

const SHORT_HEAD: usize = 1;
const LONG_HEAD: usize = 4;
const ACK_LEN: usize = 4;

pub(super) fn encode(len: usize, ack: AckRequest) -> Result<Affixes, TransportError> {
    let words = len / 4;
    if words > MAX_WORDS {
        return Err(TransportMisuse::PayloadLength { len }.into());
    }
    let flag = if ack == AckRequest::Quick { ACK_BIT } else { 0 };
    let [low, middle, high, _] = (words as u32).to_le_bytes();
    // Lengths of 127 words and more do not fit beside the acknowledgement bit.
    Ok(if words < usize::from(LONG) {
        Affixes::with_head(&[low | flag])
    } else {
        Affixes::with_head(&[LONG | flag, low, middle, high])
    })
}

pub(super) fn head(input: &[u8], from: Side, max: usize) -> Result<Head, TransportError> {
    let Some(&first) = input.first() else {
        return Ok(Head::Incomplete { needed: SHORT_HEAD });
    };
    if first & ACK_BIT != 0 && from == Side::Server {
        return Ok(quick_ack(input));
    }
    let ack = if first & ACK_BIT == 0 { AckRequest::No } else { AckRequest::Quick };
    let short = first & !ACK_BIT;
    if short != LONG {
        let len = usize::from(short) * 4;
        check_len(len, max)?;
        return Ok(Head::Frame { head: SHORT_HEAD, len, tail: 0, ack });
    }
    let Some(&[_, low, middle, high]) = input.first_chunk::<LONG_HEAD>() else {
        return Ok(Head::Incomplete { needed: LONG_HEAD });
    };
    let words = u32::from_le_bytes([low, middle, high, 0]);
    if words < u32::from(LONG) {
        return Err(MalformedStream::OverlongLength { words }.into());
    }
    // At most 2^26 bytes: no overflow on any platform.
    let len = words as usize * 4;
    check_len(len, max)?;
    Ok(Head::Frame { head: LONG_HEAD, len, tail: 0, ack })
}

/// The token is sent with its bytes reversed, so that its bit 31 comes first.
fn quick_ack(input: &[u8]) -> Head {
    match input.first_chunk::<ACK_LEN>() {
        Some(bytes) => {
            // Abridged reverses the token, so that its highest bit is in the first byte.
            // <https://core.telegram.org/mtproto/mtproto-transports#quick-ack>
            Head::QuickAck { token: QuickAckToken::from_raw(u32::from_be_bytes(*bytes)), used: ACK_LEN }
        }
        None => Head::Incomplete { needed: ACK_LEN },
    }
}
