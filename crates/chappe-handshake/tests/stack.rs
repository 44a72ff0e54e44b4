//! What a handshake needs of a stack: each half runs in a thread that has no more. An overflow ends the process.
#![cfg(not(target_family = "wasm"))]

use std::sync::mpsc;
use std::thread;

use chappe_crypto::rsa::{KeyRing, PrivateKey, PublicKey};
use chappe_framing::{FrameBuf, MonoTime, Now, UnixTime};
use chappe_handshake::{
    ClientHandshake, ClientOptions, DcId, PeerId, Progress, QueryReply, ServerHandshakes, ServerOptions,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// Stack of the client's half in KiB, for a build without optimisation; 112 were enough on x86-64.
const CLIENT_KIB: usize = 144;

/// Stack of the server's half in KiB, for a build without optimisation; 88 were enough on x86-64.
const SERVER_KIB: usize = 112;

/// Returns a size of stack in bytes. A measurement can set another one: `CHAPPE_CLIENT_KIB=40 cargo test …`.
fn stack(name: &str, kib: usize) -> usize {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(kib) << 10
}

fn now() -> Now {
    Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_104))
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

/// Makes a key; gives questions to `ask` and gets the answers from `answers`.
fn client(key: PublicKey, ask: &mpsc::Sender<Vec<u8>>, answers: &mpsc::Receiver<Vec<u8>>) -> [u8; 256] {
    let mut keys = KeyRing::empty();
    keys.add(key);
    let mut rng = rng(2);
    let options = ClientOptions::new(keys, DcId::production(2));
    let mut client = ClientHandshake::begin(options, now(), &mut rng).expect("the options are in order");
    let mut question = FrameBuf::new();
    loop {
        client.poll_transmit(now(), &mut question);
        ask.send(question.as_slice().to_vec()).expect("the server is there");
        let answer = answers.recv().expect("the server answers");
        if let Progress::Done(finished) =
            client.handle_frame(now(), &answer, &mut rng).expect("the server is honest")
        {
            return *finished.key().as_bytes();
        }
    }
}

/// Answers until the key is made.
fn server(key: PrivateKey, questions: &mpsc::Receiver<Vec<u8>>, answer: &mpsc::Sender<Vec<u8>>) -> [u8; 256] {
    let options = ServerOptions::strict(vec![key], vec![DcId::production(2)]);
    let mut server = ServerHandshakes::new(options).expect("the options are in order");
    let (mut rng, mut out, mut created) = (rng(3), FrameBuf::new(), None);
    for question in questions {
        match server.handle_frame(now(), PeerId(1), &question, &mut out, &mut rng) {
            QueryReply::Answer => {}
            QueryReply::Key(candidate) => created = Some(candidate.accept()),
            QueryReply::Refuse(refusal) => panic!("{refusal}"),
        }
        answer.send(out.as_slice().to_vec()).expect("the client is there");
    }
    *created.expect("the exchange ends with a key").auth_key.as_bytes()
}

#[test]
fn each_half_of_a_handshake_needs_little_stack() {
    let private = PrivateKey::generate(&mut rng(1)).expect("a key can be made");
    let public = private.public_key().clone();
    let (ask, questions) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let client = thread::Builder::new()
        .stack_size(stack("CHAPPE_CLIENT_KIB", CLIENT_KIB))
        .spawn(move || client(public, &ask, &answers));
    let server = thread::Builder::new()
        .stack_size(stack("CHAPPE_SERVER_KIB", SERVER_KIB))
        .spawn(move || server(private, &questions, &answer));
    let [client, server] = [client, server].map(|thread| thread.expect("there are threads").join());
    assert_eq!(client.expect("it ends"), server.expect("it ends"), "the halves have different keys");
}
