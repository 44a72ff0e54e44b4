//! Detection of the transport from the first bytes of a connection.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports>; a server never sends a prefix of its own.

use crate::fake_tls::server::CLIENT_HANDSHAKE;
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
/// Needs one byte, then 4, 8, 11 if TLS is likely, and 64. The caller limits the time to wait for them, for example to 10
/// seconds (`SEC-136`).
pub fn detect(input: &[u8]) -> Detected {
    let Some(&first) = input.first() else {
        return Detected::Incomplete { needed: 1 };
    };
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
        _ if METHODS.contains(word) => return Detected::Http,
        _ => {}
    }
    let Some(&[.., a, b, c, d]) = input.first_chunk::<8>() else {
        return Detected::Incomplete { needed: 8 };
    };
    if [a, b, c, d] == [0; 4] {
        return Detected::Plain { framing: Framing::Full, prefix_len: 0 };
    }
    if input.starts_with(&CLIENT_HANDSHAKE) {
        return long_hello(input);
    }
    obfuscated(input)
}

/// One obfuscation header in 2^24 begins like a hello of unusual length, so the next bytes are compared, too.
fn long_hello(input: &[u8]) -> Detected {
    let Some(&[_, _, _, high, low, kind, top, middle, bottom, major, minor]) = input.first_chunk::<11>()
    else {
        return Detected::Incomplete { needed: 11 };
    };
    let record = u32::from(u16::from_be_bytes([high, low]));
    let handshake = u32::from_be_bytes([0, top, middle, bottom]);
    if kind == 0x01 && [major, minor] == [0x03, 0x03] && handshake + 4 == record {
        return Detected::ClientHello;
    }
    obfuscated(input)
}

const fn obfuscated(input: &[u8]) -> Detected {
    if input.len() < HEADER_LEN { Detected::Incomplete { needed: HEADER_LEN } } else { Detected::Obfuscated }
}
