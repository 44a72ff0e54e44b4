//! After an exchange and after sessions have ended, no secret of theirs is left in the memory of the process.
//!
//! One test, since it searches all that the process has; it runs in a process of its own, because other tests exchange the
//! same keys and are not over yet.

use core::convert::Infallible;
use core::hint::black_box;
use core::time::Duration;
use std::process::Command;
use std::thread;

use chappe_carrier::{Credentials, Negotiation, Proxy};
use chappe_conformance::vectors;
use chappe_crypto::rand_core::{TryCryptoRng, TryRng, utils};
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_crypto::{AuthKey, nonce};
use chappe_framing::{FrameBuf, SessionId, TransportTail, UnixTime};
use chappe_handshake::{
    ClientHandshake, ClientOptions, CreatedKey, DcId, Finished, PeerId, Progress, QueryReply,
    ServerHandshakes, ServerOptions,
};
use chappe_net::store::{FileStore, KeyStore, MemoryStore, Slot, Zeroizing, load_state};
use chappe_session::client::{ClientConfig, ClientSession, KeyMaterial, SendOptions};
use chappe_session::server::{SaltSchedule, ServerConfig, ServerEvent, ServerSession};
use chappe_session::{EncryptedSession, MonoTime, Now};
use chappe_transport::{ConnectionLimits, ReadBuf};
use rand_core::Rng as _;

use crate::scan::{Finding, Secrets};

const START: u64 = 1_707_425_104;
const MASK: u8 = 0x5a;

/// Everything that is looked for.
const NAMES: [&str; 8] = [
    "auth_key",
    "exponent of the client",
    "exponent of the server",
    "imported key",
    "new_nonce or temp_key",
    "password of a proxy",
    "temporary AES iv",
    "temporary AES key",
];

fn now(seconds: u64) -> Now {
    Now::new(MonoTime::from_duration(Duration::from_secs(seconds)), UnixTime::from_secs(START + seconds))
}

/// A generator that remembers, masked, what it gave out in blocks of 16 bytes and more.
struct Recorder {
    rng: Drbg,
    drawn: Vec<Vec<u8>>,
}

impl Recorder {
    fn new(seed: u8) -> Self {
        Self { rng: Drbg::from_seed([seed; 32]), drawn: Vec::new() }
    }

    /// Hands every block of one length to `take`, unmasked for as long as that takes.
    fn each(&self, len: usize, mut take: impl FnMut(&[u8])) {
        for block in self.drawn.iter().filter(|block| block.len() == len) {
            let mut block: Vec<u8> = block.iter().map(|byte| byte ^ MASK).collect();
            take(&block);
            block.fill(0);
            black_box(&block);
        }
    }
}

impl TryRng for Recorder {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.rng.try_fill_bytes(dst)?;
        if dst.len() >= 16 {
            self.drawn.push(dst.iter().map(|byte| byte ^ MASK).collect());
        }
        Ok(())
    }
}

impl TryCryptoRng for Recorder {}

/// One exchange in memory.
fn handshake(client_rng: &mut Recorder, server_rng: &mut Recorder) -> (Box<Finished>, CreatedKey) {
    let key = vectors::load("rsa_fingerprints").entry("test_key");
    let key = PrivateKey::from_pem(key.text("pem_pkcs1_private")).unwrap();
    let mut keys = KeyRing::empty();
    keys.add(key.public_key().clone());
    let options = ClientOptions::new(keys, DcId::production(2));
    let time = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
    let mut client = ClientHandshake::begin(options, time, client_rng).unwrap();
    let options = ServerOptions::strict(vec![key], vec![DcId::production(2)]).with_rate(None);
    let mut server = ServerHandshakes::new(options).unwrap();
    let mut created = None;
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    loop {
        assert!(client.poll_transmit(time, &mut question));
        match server.handle_frame(time, PeerId(1), question.as_slice(), &mut answer, server_rng) {
            QueryReply::Answer => {}
            QueryReply::Key(candidate) => created = Some(candidate.accept()),
            QueryReply::Refuse(refusal) => panic!("{refusal}"),
        }
        if let Progress::Done(finished) = client.handle_frame(time, answer.as_slice(), client_rng).unwrap() {
            return (Box::new(finished), created.unwrap());
        }
    }
}

/// A call and its answer, between the full machines and between the plain ones; then everything is dropped.
fn sessions(finished: &Finished, created: CreatedKey) {
    let mut rng = Drbg::from_seed([9; 32]);
    let material = KeyMaterial::from_handshake(finished.key(), finished.first_salt, 0, START as i64);
    let mut client = ClientSession::new(ClientConfig::default(), material, now(0));
    client.handle_connected(now(0), TransportTail::None);
    let call = client.send_bytes(now(0), &0xc4f9_186b_u32.to_le_bytes(), SendOptions::default()).unwrap();
    let mut frame = FrameBuf::new();
    client.poll_transmit(now(0), &mut rng, &mut frame).unwrap();

    let salts = SaltSchedule::new([1; 32]);
    let session_id: SessionId = client.session_id().unwrap();
    let mut server = ServerSession::new(ServerConfig::default(), created.auth_key, session_id, salts, 77);
    let mut bytes = frame.as_slice().to_vec();
    server.handle_connected(now(0), TransportTail::None);
    let query = server.handle_frame(now(0), &mut bytes).unwrap().find_map(|event| match event {
        ServerEvent::Query { msg_id, .. } => Some(msg_id),
        _ => None,
    });
    if let Some(query) = query {
        server.respond_bytes(query, &[7; 64]).unwrap();
    }
    while server.poll_transmit(now(0), &mut rng, &mut frame).is_some() {
        let mut bytes = frame.as_slice().to_vec();
        client.handle_frame(now(0), &mut bytes).unwrap().for_each(drop);
    }
    assert!(client.msg_id(call).is_some() || !client.is_pending(call));

    let mut plain = EncryptedSession::new(finished.key(), finished.first_salt, 0);
    black_box(plain.pack_serializable(&chappe_tl_mtproto::functions::Ping { ping_id: 1 }));
    stores(&client);
}

/// A state saved, loaded and checked, in memory and in files, and the same for a key of another library.
fn stores(client: &ClientSession) {
    let slot = Slot::production(2);
    let state = client.export(now(0), b"extra");
    let memory = MemoryStore::new();
    memory.save(slot, &state).unwrap();
    memory.save(slot, &state).unwrap();
    assert!(load_state(&memory, slot).unwrap().is_some());
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory-secrets");
    let files = FileStore::open(&folder).unwrap();
    files.save(slot, &state).unwrap();
    assert!(load_state(&files, slot).unwrap().is_some());
    files.remove(slot).unwrap();
}

/// Remembers the key of a session string and imports it.
fn imported(secrets: &mut Secrets) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sessions/fixtures");
    let text = std::fs::read_to_string(folder.join("mtcute-0.30.3.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let session = chappe_import::from_string(file["entries"][0]["text"].as_str().unwrap()).unwrap();
    secrets.add("imported key", session.auth_key.as_bytes());
    let store = MemoryStore::new();
    store.save(Slot::production(2), &session.to_state()).unwrap();
    assert!(load_state(&store, Slot::production(2)).unwrap().is_some());
}

/// Shows a password to proxies of both kinds.
fn through_proxies(secrets: &mut Secrets) {
    let mut password = Zeroizing::new([0_u8; 24]);
    Drbg::from_seed([11; 32]).fill_bytes(&mut password[..]);
    // Text: the lower half of ASCII without its control characters.
    password.iter_mut().for_each(|byte| *byte = b'0' + (*byte & 0x3f));
    secrets.add("password of a proxy", &password[..]);
    let text = || core::str::from_utf8(&password[..]).unwrap().to_owned();
    let target = ([149, 154, 167, 51], 443).into();
    let mut input = ReadBuf::new(&ConnectionLimits::DEFAULT);
    for proxy in [Proxy::socks5("localhost:1080"), Proxy::http_connect("localhost:8080")] {
        let proxy = proxy.with_credentials(Credentials::new("me", text()));
        let mut out = Zeroizing::default();
        let mut negotiation = Negotiation::start(&proxy, &target, &mut out).unwrap();
        // SOCKS5 asks for name and password; to HTTP this is the beginning of nothing.
        input.extend_from_slice(&[5, 2]).unwrap();
        let _ = negotiation.handle(&mut input, &mut out);
        assert!(out.len() > 24, "the password was sent");
    }
}

/// What one run leaves to look for.
fn collect(secrets: &mut Secrets, client: &Recorder, server: &Recorder, key: &AuthKey) {
    let mut server_nonce = [0; 16];
    server.each(16, |block| server_nonce.copy_from_slice(block));
    client.each(32, |block| {
        secrets.add("new_nonce or temp_key", block);
        let mut new_nonce: [u8; 32] = block.try_into().unwrap();
        let aes = nonce::tmp_aes(&new_nonce, &server_nonce);
        secrets.add("temporary AES key", &aes.key[..]);
        secrets.add("temporary AES iv", &aes.iv[..]);
        new_nonce.fill(0);
        black_box(&new_nonce);
    });
    client.each(256, |block| secrets.add("exponent of the client", block));
    // The last block of this length is the exponent. One before it can blind the RSA operation: it is worth nothing once
    // that is over, and the crate `rsa` leaves a part of it behind.
    let mut left = server.drawn.iter().filter(|block| block.len() == 256).count();
    server.each(256, |block| {
        left -= 1;
        if left == 0 {
            secrets.add("exponent of the server", block);
        }
    });
    secrets.add("auth_key", key.as_bytes());
}

/// Does everything once, and returns what to look for.
fn live_and_die() -> Secrets {
    let mut secrets = Secrets::default();
    let (mut client, mut server) = (Recorder::new(1), Recorder::new(2));
    let (finished, created) = handshake(&mut client, &mut server);
    collect(&mut secrets, &client, &server, &created.auth_key);
    let in_use = secrets.find_off_stack();
    assert!(in_use.iter().any(|found| found.0 == "auth_key"), "a key in use is found");
    let others: Vec<_> = in_use.iter().filter(|found| found.0 != "auth_key").collect();
    assert!(others.is_empty(), "left of the exchange: {others:?}");
    sessions(&finished, created);
    imported(&mut secrets);
    through_proxies(&mut secrets);
    secrets
}

/// The system's library keeps the first 16 KiB of a stack for the next thread, and gives back the rest.
fn below_the_first_pages() -> Secrets {
    fn down(levels: usize) -> Secrets {
        let page = black_box([0_u8; 4096]);
        let secrets = if levels == 0 { live_and_die() } else { down(levels - 1) };
        black_box(&page);
        secrets
    }
    down(16)
}

/// Writes over what the calls before left on the stack, as deep as they can have gone.
#[inline(never)]
fn overwrite_stack(levels: usize) {
    let page = black_box([0x11_u8; 4096]);
    if levels > 0 {
        overwrite_stack(levels - 1);
    }
    black_box(&page);
}

/// What is found on the stack of the thread that did it, while that lives, once the stack was used again.
fn left_on_a_thread_that_lives() -> Vec<Finding> {
    let work = || {
        let secrets = live_and_die();
        // What would be found before this is for the compiler to decide: mostly copies of the auth_key.
        overwrite_stack(32);
        secrets.find()
    };
    thread::spawn(work).join().unwrap()
}

/// Is set in the process that searches its memory.
const ALONE: &str = "CHAPPE_TEST_ALONE";

#[test]
fn sec_004_no_secret_is_left_in_memory_after_an_exchange_and_after_sessions() {
    if std::env::var_os(ALONE).is_some() {
        return search();
    }
    let name = "memory::sec_004_no_secret_is_left_in_memory_after_an_exchange_and_after_sessions";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "the test was found under its name: {said}");
}

fn search() {
    assert_eq!(left_on_a_thread_that_lives(), [], "left on a stack of which 128 KiB were written over");
    // On a thread of its own: what compilers leave on a stack ends with it, and everything else is looked at.
    let secrets = thread::spawn(below_the_first_pages).join().unwrap();
    assert_eq!(secrets.names(), NAMES, "the exchange drew what was expected");
    assert_eq!(secrets.find(), [], "secrets that are left, and where");

    // The control: a copy of each secret that is freed without being wiped.
    for name in NAMES {
        let copy = black_box(secrets.copy_of(name));
        // Behind the copy something stays in use, so that its place is not joined to the free memory beyond.
        let behind = black_box(vec![1_u8; 4096]);
        drop(copy);
        assert!(secrets.find().iter().any(|found| found.0 == name), "a leaked {name} is found");
        drop(behind);
    }
}
