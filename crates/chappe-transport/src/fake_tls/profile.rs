//! The shapes of current browsers' hellos, as data with a date.
//!
//! A filter compares a hello with those that browsers send, by fingerprints such as JA3 and JA4 and by lengths. The shapes are
//! those of the releases named here; the tests compute their fingerprints and compare them with published ones. A release
//! that changes its hello needs a new profile, and a program can pass its own parts without waiting for one.
//!
//! Sources: the hellos recorded by curl-impersonate (<https://github.com/lexiforest/curl-impersonate>, `tests/signatures`), and
//! the code of `BoringSSL` and NSS for the lengths of the encrypted hello.

use alloc::vec;
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::hello::{HelloPart, HelloTemplate};

/// The shape of a browser's hello.
///
/// The length depends on the domain and, in Chrome, on the length drawn for the encrypted hello. Keys, random bytes, GREASE
/// and the order of extensions, where the browser permutes them, are drawn for each hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HelloProfile {
    /// Name and release of the browser.
    pub name: &'static str,
    /// Year and month of the release.
    pub date: &'static str,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Chrome,
    Firefox,
    Safari,
}

impl HelloProfile {
    /// Chrome: permuted extensions between GREASE, a post-quantum and an x25519 share, and signatures of ML-DSA.
    pub const CHROME: Self = Self { name: "Chrome 150", date: "2026-07", shape: Shape::Chrome };

    /// Firefox: extensions in a fixed order, no GREASE, and a share of P-256 as well.
    pub const FIREFOX: Self = Self { name: "Firefox 144", date: "2025-10", shape: Shape::Firefox };

    /// Safari: extensions in a fixed order between GREASE, no encrypted hello, and suites of TLS 1.0.
    pub const SAFARI: Self = Self { name: "Safari 26.0.1", date: "2025-09", shape: Shape::Safari };

    /// Every profile.
    pub const ALL: [Self; 3] = [Self::CHROME, Self::FIREFOX, Self::SAFARI];

    /// Draws one of [`ALL`](Self::ALL), each equally likely.
    pub fn draw<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let index = (u64::from(rng.next_u32()) * Self::ALL.len() as u64) >> 32;
        Self::ALL[index as usize]
    }

    /// Returns the parts of the hello.
    pub fn template(&self) -> HelloTemplate {
        match self.shape {
            Shape::Chrome => hello(
                vec![HelloPart::Grease(0), HelloPart::literal(CHROME_SUITES)],
                vec![
                    grease_extension(2, &[0x00, 0x00]),
                    HelloPart::Permutation(chrome_extensions()),
                    grease_extension(3, &[0x00, 0x01, 0x00]),
                    HelloPart::Padding,
                ],
            ),
            Shape::Firefox => hello(vec![HelloPart::literal(FIREFOX_SUITES)], firefox_extensions().concat()),
            Shape::Safari => {
                let mut extensions = vec![grease_extension(2, &[0x00, 0x00])];
                extensions.extend(safari_extensions().concat());
                extensions.extend([grease_extension(3, &[0x00, 0x01, 0x00]), HelloPart::Padding]);
                hello(vec![HelloPart::Grease(0), HelloPart::literal(SAFARI_SUITES)], extensions)
            }
        }
    }
}

/// A record with these suites and extensions.
fn hello(suites: Vec<HelloPart>, extensions: Vec<HelloPart>) -> HelloTemplate {
    HelloTemplate::new(vec![
        HelloPart::literal(&[0x16, 0x03, 0x01]),
        HelloPart::Scope(vec![
            // Handshake type, and the first of three length bytes.
            HelloPart::literal(&[0x01, 0x00]),
            HelloPart::Scope(vec![
                HelloPart::literal(&[0x03, 0x03]),
                HelloPart::Zero(32),
                HelloPart::literal(&[32]),
                HelloPart::Random(32),
                HelloPart::Scope(suites),
                // Compression: none.
                HelloPart::literal(&[0x01, 0x00]),
                HelloPart::Scope(extensions),
            ]),
        ]),
    ])
}

const CHROME_SUITES: &[u8] = &[
    0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc,
    0xa8, 0xc0, 0x13, 0xc0, 0x14, 0x00, 0x9c, 0x00, 0x9d, 0x00, 0x2f, 0x00, 0x35,
];

const FIREFOX_SUITES: &[u8] = &[
    0x13, 0x01, 0x13, 0x03, 0x13, 0x02, 0xc0, 0x2b, 0xc0, 0x2f, 0xcc, 0xa9, 0xcc, 0xa8, 0xc0, 0x2c, 0xc0,
    0x30, 0xc0, 0x0a, 0xc0, 0x09, 0xc0, 0x13, 0xc0, 0x14, 0x00, 0x9c, 0x00, 0x9d, 0x00, 0x2f, 0x00, 0x35,
];

const SAFARI_SUITES: &[u8] = &[
    0x13, 0x02, 0x13, 0x03, 0x13, 0x01, 0xc0, 0x2c, 0xc0, 0x2b, 0xcc, 0xa9, 0xc0, 0x30, 0xc0, 0x2f, 0xcc,
    0xa8, 0xc0, 0x0a, 0xc0, 0x09, 0xc0, 0x14, 0xc0, 0x13, 0x00, 0x9d, 0x00, 0x9c, 0x00, 0x35, 0x00, 0x2f,
    0xc0, 0x08, 0xc0, 0x12, 0x00, 0x0a,
];

/// ML-DSA-44, -65 and -87, then ECDSA, RSA-PSS and RSA with SHA-256, -384 and -512.
const CHROME_SIGNATURES: &[u8] = &[
    0x09, 0x04, 0x09, 0x05, 0x09, 0x06, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, 0x05, 0x03, 0x08, 0x05, 0x05,
    0x01, 0x08, 0x06, 0x06, 0x01,
];

const FIREFOX_SIGNATURES: &[u8] = &[
    0x04, 0x03, 0x05, 0x03, 0x06, 0x03, 0x08, 0x04, 0x08, 0x05, 0x08, 0x06, 0x04, 0x01, 0x05, 0x01, 0x06,
    0x01, 0x02, 0x03, 0x02, 0x01,
];

/// One of them is there twice.
const SAFARI_SIGNATURES: &[u8] = &[
    0x04, 0x03, 0x08, 0x04, 0x04, 0x01, 0x05, 0x03, 0x08, 0x05, 0x08, 0x05, 0x05, 0x01, 0x08, 0x06, 0x06,
    0x01, 0x02, 0x01,
];

/// Lengths of the payload of an encrypted hello that `BoringSSL` draws from: 128 bytes or up to three blocks of 32 more, and
/// a tag of 16.
const CHROME_ECH: [u16; 4] = [144, 176, 208, 240];

/// The length of the same in Firefox.
const FIREFOX_ECH: u16 = 239;

/// Numbers of extensions.
const SERVER_NAME: &[u8] = &[0x00, 0x00];
const STATUS_REQUEST: &[u8] = &[0x00, 0x05];
const SUPPORTED_GROUPS: &[u8] = &[0x00, 0x0a];
const EC_POINT_FORMATS: &[u8] = &[0x00, 0x0b];
const SIGNATURE_ALGORITHMS: &[u8] = &[0x00, 0x0d];
const ALPN: &[u8] = &[0x00, 0x10];
const CERTIFICATE_TIMESTAMP: &[u8] = &[0x00, 0x12];
const EXTENDED_MASTER_SECRET: &[u8] = &[0x00, 0x17];
const COMPRESS_CERTIFICATE: &[u8] = &[0x00, 0x1b];
const RECORD_SIZE_LIMIT: &[u8] = &[0x00, 0x1c];
const DELEGATED_CREDENTIALS: &[u8] = &[0x00, 0x22];
const SESSION_TICKET: &[u8] = &[0x00, 0x23];
const SUPPORTED_VERSIONS: &[u8] = &[0x00, 0x2b];
const PSK_MODES: &[u8] = &[0x00, 0x2d];
const KEY_SHARE: &[u8] = &[0x00, 0x33];
const APPLICATION_SETTINGS: &[u8] = &[0x44, 0xcd];
const ENCRYPTED_HELLO: &[u8] = &[0xfe, 0x0d];
const RENEGOTIATION_INFO: &[u8] = &[0xff, 0x01];

/// Groups, and the GREASE value of one, which is the same in the list and among the shares.
const X25519_ML_KEM_768: &[u8] = &[0x11, 0xec];
const X25519: &[u8] = &[0x00, 0x1d];
const P256: &[u8] = &[0x00, 0x17];
const GREASE_GROUP: HelloPart = HelloPart::Grease(4);

/// An extension.
type Extension = Vec<HelloPart>;

fn extension(number: &'static [u8], body: Vec<HelloPart>) -> Extension {
    vec![HelloPart::literal(number), HelloPart::Scope(body)]
}

fn literal(number: &'static [u8], body: &'static [u8]) -> Extension {
    extension(number, vec![HelloPart::literal(body)])
}

/// An extension whose body is a list with a length.
fn list(number: &'static [u8], body: Vec<HelloPart>) -> Extension {
    extension(number, vec![HelloPart::Scope(body)])
}

/// An extension of GREASE, with its length and body: a group in one part.
fn grease_extension(slot: u8, rest: &'static [u8]) -> HelloPart {
    HelloPart::Choice(vec![vec![HelloPart::Grease(slot), HelloPart::literal(rest)]])
}

/// A list of one host name.
fn server_name() -> Extension {
    list(SERVER_NAME, vec![HelloPart::literal(&[0x00]), HelloPart::Scope(vec![HelloPart::Domain])])
}

fn supported_groups(has_grease: bool, groups: &'static [u8]) -> Extension {
    let grease = has_grease.then_some(GREASE_GROUP);
    list(SUPPORTED_GROUPS, grease.into_iter().chain([HelloPart::literal(groups)]).collect())
}

fn signatures(algorithms: &'static [u8]) -> Extension {
    list(SIGNATURE_ALGORITHMS, vec![HelloPart::literal(algorithms)])
}

/// Versions 1.3 and 1.2. The length takes one byte.
fn supported_versions(has_grease: bool) -> Extension {
    if has_grease {
        let versions = HelloPart::literal(&[0x03, 0x04, 0x03, 0x03]);
        extension(SUPPORTED_VERSIONS, vec![HelloPart::literal(&[6]), HelloPart::Grease(6), versions])
    } else {
        literal(SUPPORTED_VERSIONS, &[4, 0x03, 0x04, 0x03, 0x03])
    }
}

/// The hybrid and the classic share, with one byte of a GREASE group in front or a share of P-256 behind.
fn key_shares(has_grease: bool, has_p256: bool) -> Extension {
    let mut shares = Vec::new();
    if has_grease {
        shares.extend([GREASE_GROUP, HelloPart::literal(&[0x00, 0x01, 0x00])]);
    }
    shares.extend([
        HelloPart::literal(X25519_ML_KEM_768),
        HelloPart::Scope(vec![HelloPart::MlKem768, HelloPart::X25519]),
        HelloPart::literal(X25519),
        HelloPart::Scope(vec![HelloPart::X25519]),
    ]);
    if has_p256 {
        shares.extend([HelloPart::literal(P256), HelloPart::Scope(vec![HelloPart::P256])]);
    }
    list(KEY_SHARE, shares)
}

/// An encrypted hello that no server can open: outer, HKDF-SHA256 with an AEAD, one configuration byte, an encapsulated key
/// and a payload.
fn encrypted_hello(aead: HelloPart, payload: HelloPart) -> Extension {
    let body = vec![
        HelloPart::literal(&[0x00, 0x00, 0x01, 0x00]),
        aead,
        HelloPart::Random(1),
        HelloPart::Scope(vec![HelloPart::X25519]),
        HelloPart::Scope(vec![payload]),
    ];
    extension(ENCRYPTED_HELLO, body)
}

fn one_of(parts: impl IntoIterator<Item = HelloPart>) -> HelloPart {
    HelloPart::Choice(parts.into_iter().map(|part| vec![part]).collect())
}

fn chrome_extensions() -> Vec<Extension> {
    vec![
        server_name(),
        literal(STATUS_REQUEST, &[0x01, 0x00, 0x00, 0x00, 0x00]),
        // X25519MLKEM768, x25519, P-256, P-384.
        supported_groups(true, &[0x11, 0xec, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x18]),
        literal(EC_POINT_FORMATS, &[0x01, 0x00]),
        signatures(CHROME_SIGNATURES),
        literal(ALPN, b"\x00\x0c\x02h2\x08http/1.1"),
        literal(CERTIFICATE_TIMESTAMP, &[]),
        literal(EXTENDED_MASTER_SECRET, &[]),
        literal(SESSION_TICKET, &[]),
        // Brotli.
        literal(COMPRESS_CERTIFICATE, &[0x02, 0x00, 0x02]),
        supported_versions(true),
        literal(PSK_MODES, &[0x01, 0x01]),
        key_shares(true, false),
        literal(APPLICATION_SETTINGS, b"\x00\x03\x02h2"),
        // AES-128-GCM.
        encrypted_hello(HelloPart::literal(&[0x01]), one_of(CHROME_ECH.map(HelloPart::Random))),
        literal(RENEGOTIATION_INFO, &[0x00]),
    ]
}

fn firefox_extensions() -> Vec<Extension> {
    vec![
        server_name(),
        literal(EXTENDED_MASTER_SECRET, &[]),
        literal(RENEGOTIATION_INFO, &[0x00]),
        // X25519MLKEM768, x25519, P-256, P-384, P-521, ffdhe2048, ffdhe3072.
        supported_groups(
            false,
            &[0x11, 0xec, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x18, 0x00, 0x19, 0x01, 0x00, 0x01, 0x01],
        ),
        literal(EC_POINT_FORMATS, &[0x01, 0x00]),
        literal(SESSION_TICKET, &[]),
        literal(ALPN, b"\x00\x0c\x02h2\x08http/1.1"),
        literal(STATUS_REQUEST, &[0x01, 0x00, 0x00, 0x00, 0x00]),
        literal(DELEGATED_CREDENTIALS, &[0x00, 0x08, 0x04, 0x03, 0x05, 0x03, 0x06, 0x03, 0x02, 0x03]),
        literal(CERTIFICATE_TIMESTAMP, &[]),
        key_shares(false, true),
        supported_versions(false),
        signatures(FIREFOX_SIGNATURES),
        literal(PSK_MODES, &[0x01, 0x01]),
        // 16 385 bytes.
        literal(RECORD_SIZE_LIMIT, &[0x40, 0x01]),
        // Zlib, Brotli, Zstandard.
        literal(COMPRESS_CERTIFICATE, &[0x06, 0x00, 0x01, 0x00, 0x02, 0x00, 0x03]),
        // AES-128-GCM or ChaCha20-Poly1305.
        encrypted_hello(
            one_of([HelloPart::literal(&[0x01]), HelloPart::literal(&[0x03])]),
            HelloPart::Random(FIREFOX_ECH),
        ),
    ]
}

fn safari_extensions() -> Vec<Extension> {
    vec![
        server_name(),
        literal(EXTENDED_MASTER_SECRET, &[]),
        literal(RENEGOTIATION_INFO, &[0x00]),
        // X25519MLKEM768, x25519, P-256, P-384, P-521.
        supported_groups(true, &[0x11, 0xec, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x18, 0x00, 0x19]),
        literal(EC_POINT_FORMATS, &[0x01, 0x00]),
        literal(ALPN, b"\x00\x0c\x02h2\x08http/1.1"),
        literal(STATUS_REQUEST, &[0x01, 0x00, 0x00, 0x00, 0x00]),
        signatures(SAFARI_SIGNATURES),
        literal(CERTIFICATE_TIMESTAMP, &[]),
        key_shares(true, false),
        literal(PSK_MODES, &[0x01, 0x01]),
        supported_versions(true),
        // Zlib.
        literal(COMPRESS_CERTIFICATE, &[0x02, 0x00, 0x01]),
    ]
}
