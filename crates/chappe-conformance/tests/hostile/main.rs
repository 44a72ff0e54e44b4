//! Peers that attack: a hostile server against our client, a hostile client against our server, and somebody between
//! them. They know every key they could know.
//!
//! After each attack: nothing panicked, nothing went on forever, no more memory was taken than the limits allow, the
//! keys are still there, and an honest call is answered.
#![allow(clippy::unwrap_used, reason = "what the attacker itself cannot make or read fails the test")]

extern crate alloc;

mod against_client;
mod against_client_floods;
mod against_server;
mod budgets;
mod deadlines;
mod defects;
mod handlers;
mod handshake;
mod handshake_floods;
mod keys;
mod outlets;
mod pen;
mod replays;
mod rules;
mod server;
mod single_checks;
mod stream;

use std::fs;
use std::path::Path;

use chappe_conformance::fuzz::Seeded;
use chappe_conformance::tl_values::Values;
use chappe_crypto::AuthKey;
use chappe_crypto::rsa::PrivateKey;
use chappe_tl_parser::Schema;
use rand_core::Rng as _;

/// The second in which all of this happens.
const START: u64 = 1_707_425_104;

/// The constructor id of a query, which is all that its body is.
const QUERY: [u8; 4] = 0xc4f9_186b_u32.to_le_bytes();

/// Makes message number so and so of a flood.
type Say<'a> = &'a dyn Fn(usize) -> Vec<u8>;

/// Numbers that lengths and counts go wrong at.
const WORDS: [u32; 18] = [
    0,
    1,
    2,
    3,
    5,
    0xff,
    0x3ff,
    0x401,
    0x1001,
    0xffff,
    0x00ff_ffff,
    0x0100_0000,
    0x3fff_ffff,
    0x4000_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffc,
    0xffff_ffff,
];

/// Returns the key pair of the vectors.
fn private_key() -> PrivateKey {
    let key = chappe_conformance::vectors::load("rsa_fingerprints").entry("test_key");
    PrivateKey::from_pem(key.text("pem_pkcs1_private")).unwrap()
}

/// Returns a key. Its bytes are not all the same: both directions would have the same keys then.
fn key(number: u64) -> AuthKey {
    let mut bytes = [0; 256];
    Seeded::rng(number).fill_bytes(&mut bytes);
    AuthKey::from_bytes(bytes)
}

/// Returns a value of every constructor and function of the service schema, with its name.
fn service_objects() -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tl-schema/mtproto.tl");
    let text = fs::read_to_string(path).unwrap();
    let schema: Schema = chappe_tl_parser::parse("mtproto.tl", &text).unwrap();
    let objects = schema.definitions().iter().enumerate();
    let made = objects.map(|(number, one)| {
        (one.name.to_string(), Values::new(&schema, Seeded::rng(number as u64)).boxed(one))
    });
    made.filter(|(_, object)| object.len() < 400).collect()
}

/// Returns every variant of an object in which one word is another: whatever length or count stands in it, some
/// variant lies about it. The constructor id stays.
fn lies(object: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let words = (1..object.len() / 4).flat_map(|word| WORDS.map(|value| (word, value)));
    words.map(|(word, value)| {
        let mut lie = object.to_vec();
        lie[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
        lie
    })
}

/// Packs with gzip whatever it is, also what `Deflater` would leave alone.
fn gzip_packed(object: &[u8]) -> Vec<u8> {
    let deflated = miniz_oxide::deflate::compress_to_vec(object, 6);
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    stream.extend_from_slice(&deflated);
    stream.extend_from_slice(&crc32fast::hash(object).to_le_bytes());
    stream.extend_from_slice(&(object.len() as u32).to_le_bytes());
    let mut packed = 0x3072_cfa1_u32.to_le_bytes().to_vec();
    chappe_tl::Serializable::serialize(&stream, &mut packed).unwrap();
    packed
}

/// Builds a container by hand: nothing is checked, and its count and lengths are what the caller says.
fn container(count: u32, messages: &[(i64, i32, u32, &[u8])]) -> Vec<u8> {
    let mut body = 0x73f1_f8dc_u32.to_le_bytes().to_vec();
    body.extend_from_slice(&count.to_le_bytes());
    for (msg_id, seq_no, len, content) in messages {
        body.extend_from_slice(&msg_id.to_le_bytes());
        body.extend_from_slice(&seq_no.to_le_bytes());
        body.extend_from_slice(&len.to_le_bytes());
        body.extend_from_slice(content);
    }
    body
}
