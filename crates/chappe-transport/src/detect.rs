//! Detection of the transport from the first bytes of a connection.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports>; a server never sends a prefix of its own.

use crate::fake_tls::split;
use crate::framing::Framing;
use crate::obfuscation::HEADER_LEN;

/// The transport that the first bytes indicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// More bytes are needed, at most 64.
    Incomplete {
        /// The minimum number of bytes for the next attempt.
        needed: usize,
    },
    /// A framing without obfuscation, after a prefix of `prefix_len` bytes to drop.
    Plain {
        /// The framing.
        framing: Framing,
        /// Length of the prefix in bytes; none for full.
        prefix_len: usize,
    },
    /// HTTP, which may be a WebSocket upgrade.
    Http,
    /// A TLS `ClientHello`: fake TLS, or a probe.
    ClientHello,
    /// Anything else: the 64 bytes of an obfuscation header.
    Obfuscated,
}

/// First four bytes of the methods of HTTP.
const METHODS: [[u8; 4]; 4] = [*b"POST", *b"GET ", *b"HEAD", *b"OPTI"];

/// Detects the transport from the first bytes of a connection.
///
/// Needs one byte, then 4, 8, a few more if TLS is likely, and 64. The caller limits the time to wait for them, for example to 10
/// seconds (`SEC-136`).
pub fn detect(input: &[u8]) -> Detected {
    let Some(&first) = input.first() else {
        return Detected::Incomplete { needed: 1 };
    };
    // 0xef is not the first byte of any other transport: no length begins so, and obfuscation avoids it.
    // <https://core.telegram.org/mtproto/mtproto-transports#abridged>
    if first == 0xef {
        return Detected::Plain { framing: Framing::Abridged, prefix_len: 1 };
    }
    let Some(word) = input.first_chunk::<4>() else {
        return Detected::Incomplete { needed: 4 };
    };
    match word {
        [0xee, 0xee, 0xee, 0xee] => return Detected::Plain { framing: Framing::Intermediate, prefix_len: 4 },
        [0xdd, 0xdd, 0xdd, 0xdd] => {
            return Detected::Plain { framing: Framing::PaddedIntermediate, prefix_len: 4 };
        }
        // No obfuscation header begins with these bytes, so a hello of the usual length needs no further check.
        [0x16, 0x03, 0x01, 0x02] => return Detected::ClientHello,
        // One obfuscation header in 2^24 begins like a hello of another length, or like a part of one, so the next bytes are
        // compared, too.
        [0x16, 0x03, 0x01..=0x03, _] => match split::start(input) {
            split::Start::Hello => return Detected::ClientHello,
            split::Start::Incomplete(needed) if input.len() < HEADER_LEN => {
                return Detected::Incomplete { needed };
            }
            _ => {}
        },
        _ if METHODS.contains(word) => return Detected::Http,
        _ => {}
    }
    let Some(&[.., a, b, c, d]) = input.first_chunk::<8>() else {
        return Detected::Incomplete { needed: 8 };
    };
    // Full framing has no tag. Its first frame has sequence number 0, which obfuscation avoids at this place.
    if [a, b, c, d] == [0; 4] {
        return Detected::Plain { framing: Framing::Full, prefix_len: 0 };
    }
    obfuscated(input)
}

const fn obfuscated(input: &[u8]) -> Detected {
    if input.len() < HEADER_LEN { Detected::Incomplete { needed: HEADER_LEN } } else { Detected::Obfuscated }
}
