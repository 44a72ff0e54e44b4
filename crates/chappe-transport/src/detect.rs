//! Telling from the first bytes of a connection what is spoken on it.
//!
//! Spec: <https://core.telegram.org/mtproto/mtproto-transports>; a server never sends a prefix of its own.

use crate::fake_tls::server::CLIENT_HANDSHAKE;
use crate::framing::Framing;
use crate::obfuscation::HEADER_LEN;

/// What the first bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// Too few bytes to tell; never more than [`HEADER_LEN`] are needed.
    Incomplete {
        /// How many there must be at least.
        needed: usize,
    },
    /// A framing that is not hidden, behind a prefix of `prefix_len` bytes that is to be dropped.
    Plain {
        /// The framing.
        framing: Framing,
        /// Length of the prefix in bytes; none for full.
        prefix_len: usize,
    },
    /// HTTP, perhaps a WebSocket upgrade.
    Http,
    /// A TLS `ClientHello`: fake TLS, or a probe.
    ClientHello,
    /// None of the others: the 64 bytes of an obfuscation header.
    Obfuscated,
}

/// Methods whose first four bytes mean HTTP.
const METHODS: [[u8; 4]; 4] = [*b"POST", *b"GET ", *b"HEAD", *b"OPTI"];

/// Looks at the first bytes of a connection.
///
/// It asks for one byte, then 4, 8, 11 where TLS is likely, and 64. The caller sets a time limit, of 10 seconds
/// say, for a peer that does not send them (`SEC-136`).
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
        // No obfuscation header begins with these, so the hello of the usual length needs no second look.
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

/// A hello longer than usual begins like one obfuscation header in 2^24, so its next bytes are compared too.
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
