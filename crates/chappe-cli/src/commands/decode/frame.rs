//! Envelopes, and frames around them.

use chappe::crypto::Side;
use chappe::framing::{
    MIN_FRAME_LEN, OUTER_HEADER_LEN, PLAIN_HEADER_LEN, PlainMessage, TransportTail, auth_key_id, open,
};
use chappe::transport::parts::{Decoded, Decoder};
use chappe::transport::{AckRequest, ConnectionLimits, Framing, TransportErrorCode};
use data_encoding::HEXLOWER;

use super::found::Found;
use super::{Known, SIDES};

/// Length of a block of the cipher.
const BLOCK: usize = 16;

/// A plain envelope.
pub(super) fn plain(bytes: &[u8], known: &Known) -> Option<Found> {
    let (side, message) = SIDES
        .into_iter()
        .find_map(|side| PlainMessage::new_checked(bytes, side).ok().map(|found| (side, found)))?;
    let found = Found::new("plain_envelope", format!("plain envelope of a {}", name(side)))
        .at(0, "auth_key_id", 0)
        .at(8, "msg_id", message.msg_id())
        .at(16, "length", message.body().len());
    Some(found.containing(body(message.body(), PLAIN_HEADER_LEN, known)))
}

/// An encrypted envelope whose key is known.
pub(super) fn opened(bytes: &[u8], known: &Known) -> Option<Found> {
    let key = known.keys.get(auth_key_id(bytes).ok()?)?;
    let mut first_problem = None;
    for side in SIDES {
        let mut frame = bytes.to_vec();
        let message = match open(key, side, TransportTail::Padded, &mut frame) {
            Ok(message) => message,
            Err(error) => {
                first_problem.get_or_insert(error);
                continue;
            }
        };
        let padding = bytes.len() - message.body_range().end;
        let found = Found::new("encrypted_envelope", format!("encrypted envelope of a {}", name(side)))
            .at(0, "auth_key_id", key.id())
            .at(8, "msg_key", digits(&bytes[8..OUTER_HEADER_LEN]))
            .at(24, "server_salt", message.salt().to_raw())
            .at(32, "session_id", message.session_id().to_raw())
            .at(40, "msg_id", message.msg_id())
            .at(48, "seq_no", message.seq_no().to_raw())
            .at(52, "length", message.body().len())
            .at(message.body_range().end, "padding", format_args!("{padding} bytes"));
        return Some(found.containing(body(message.body(), message.body_range().start, known)));
    }
    let mut found = Found::new("encrypted_envelope", "encrypted envelope that its key does not open").at(
        0,
        "auth_key_id",
        key.id(),
    );
    found.problem = first_problem.map(|error| error.to_string());
    Some(found)
}

/// What has the length of an encrypted envelope: the least certain meaning of all.
pub(super) fn sealed(bytes: &[u8]) -> Option<Found> {
    let len = bytes.len();
    let is_envelope = len >= MIN_FRAME_LEN && (len - OUTER_HEADER_LEN).is_multiple_of(BLOCK);
    is_envelope.then(|| {
        let found = Found::new("sealed_envelope", "encrypted envelope, if anything, whose key was not given");
        found
            .at(0, "auth_key_id", digits(&bytes[..8]))
            .at(8, "msg_key", digits(&bytes[8..OUTER_HEADER_LEN]))
            .at(OUTER_HEADER_LEN, "encrypted", format_args!("{} bytes", len - OUTER_HEADER_LEN))
    })
}

/// A transport error: a negative number.
pub(super) fn error(bytes: &[u8]) -> Option<Found> {
    let code = i32::from_le_bytes(bytes.try_into().ok()?);
    (-999..0).contains(&code).then(|| {
        let found = Found::new("transport_error", "transport error").at(0, "code", code);
        match TransportErrorCode::from_raw(code) {
            TransportErrorCode::Other(_) => found,
            known => found.with("meaning", known),
        }
    })
}

/// One or several whole frames of a framing, without its prefix.
pub(super) fn framed(bytes: &[u8], known: &Known) -> Option<Found> {
    let framings = [Framing::Full, Framing::Intermediate, Framing::PaddedIntermediate, Framing::Abridged];
    framings
        .into_iter()
        .find_map(|framing| SIDES.into_iter().find_map(|side| frames(framing, side, bytes, known)))
}

fn frames(framing: Framing, side: Side, bytes: &[u8], known: &Known) -> Option<Found> {
    let mut decoder = Decoder::new(framing, side, ConnectionLimits::DEFAULT);
    if framing == Framing::Full {
        decoder.set_next_seq_no(u32::from_le_bytes(*bytes.get(4..8)?.first_chunk()?));
    }
    let mut found = Found::new("frames", format!("frames of the transport {}", framing_name(framing)));
    let mut at = 0;
    while at < bytes.len() {
        let Ok(Decoded::Frame { payload, used, ack }) = decoder.next_frame(&bytes[at..]) else { return None };
        let content = &bytes[at..][payload.clone()];
        let inner = plain(content, known)
            .or_else(|| opened(content, known))
            .or_else(|| error(content).filter(|_| side == Side::Server))
            .or_else(|| sealed(content).filter(|_| framing != Framing::PaddedIntermediate))?;
        found = found.at(
            at,
            "frame",
            format_args!("{} bytes of payload at {:04x}", payload.len(), at + payload.start),
        );
        if ack == AckRequest::Quick {
            found = found.with("quick_ack", "requested");
        }
        found = found.containing(inner);
        at += used;
    }
    Some(found)
}

/// The object in an envelope.
fn body(bytes: &[u8], offset: usize, known: &Known) -> Found {
    let mut found = Found::object(&known.names.explore(bytes, None));
    found.title = format!("TL object at {offset:04x}");
    found
}

pub(super) const fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

const fn framing_name(framing: Framing) -> &'static str {
    match framing {
        Framing::Abridged => "abridged",
        Framing::Intermediate => "intermediate",
        Framing::PaddedIntermediate => "padded intermediate",
        Framing::Full => "full",
    }
}

pub(super) fn digits(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}
