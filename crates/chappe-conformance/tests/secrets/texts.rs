//! `Debug` and error texts of every public type that holds a secret, or is made beside one.
//!
//! A text gives a secret away if four bytes of it in a row stand there as hex, as a list of decimal numbers, or as base64.

use core::fmt::Debug;
use std::collections::BTreeSet;

use chappe_conformance::vectors;
use chappe_crypto::dh::{Exponent, Group};
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_crypto::{AuthKey, MsgKey, Side, cdn, ctr, ige, kdf, message, nonce, secret_chat, srp};
use chappe_framing::{EncryptedWriter, FrameBuf, ServerSalt, SessionId, TransportTail, UnixTime, open};
use chappe_handshake::{
    ClientHandshake, ClientOptions, Dc, ExpectResPq, KeyKind, Peer, Progress, Reply, ServerHandshakes,
    ServerOptions,
};
use chappe_net::import::{self, ImportError, pyrogram, telethon};
use chappe_net::store::{FileStore, KeyStore, MemoryStore, Slot, StoreError};
use chappe_net::{DialOptions, ListenOptions};
use chappe_session::client::{
    ClientConfig, ClientInfo, ClientSession, InitConnection, KeyMaterial, SavedState, TemporaryKey,
};
use chappe_session::server::{KeyEntry, KeyTable, SaltSchedule, ServerConfig, ServerSession};
use chappe_session::{EncryptedSession, MonoTime, Now};
use chappe_transport::{Connector, DcId, ProxySecret};

const START: u64 = 1_707_425_104;

/// A secret of any length that no other text holds by chance.
fn secret<const N: usize>() -> [u8; N] {
    core::array::from_fn(|place| ((place * 151 + 87) ^ (place >> 3)) as u8)
}

fn now() -> Now {
    Now::new(MonoTime::ZERO, UnixTime::from_secs(START))
}

/// Everything that is secret in a test, in every form in which a text may show it.
struct Secrets {
    /// Of four bytes in a row, lower case and without spaces.
    forms: BTreeSet<String>,
    /// Base64 of twelve bytes in a row.
    digits: BTreeSet<String>,
}

impl Secrets {
    fn new() -> Self {
        let reversed: Vec<u8> = secret::<256>().iter().rev().copied().collect();
        Self::of([&secret::<256>()[..], &reversed])
    }

    fn of<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let none = Self { forms: BTreeSet::new(), digits: BTreeSet::new() };
        secrets.into_iter().fold(none, Self::and)
    }

    fn and(mut self, secret: &[u8]) -> Self {
        for window in secret.windows(4) {
            let list = |separator: &str, number: fn(&u8) -> String| {
                window.iter().map(number).collect::<Vec<_>>().join(separator)
            };
            self.forms.extend([
                hex::encode(window),
                list(",", u8::to_string),
                list(",", |byte| format!("{byte:x}")),
                list(",", |byte| format!("0x{byte:02x}")),
                list("", |byte| format!("\\x{byte:02x}")),
            ]);
        }
        for window in secret.windows(12) {
            let standard = base64(window);
            self.digits.insert(standard.replace('+', "-").replace('/', "_"));
            self.digits.insert(standard);
        }
        self
    }

    /// Returns how a text gives a secret away.
    fn shown_by(&self, text: &str) -> Option<&str> {
        let squeezed: String = text.split_whitespace().collect();
        let lower = squeezed.to_lowercase();
        let form = self.forms.iter().find(|form| lower.contains(form.as_str()));
        form.or_else(|| self.digits.iter().find(|form| squeezed.contains(form.as_str()))).map(String::as_str)
    }

    fn hidden_by(&self, name: &str, value: &dyn Debug) {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert_eq!(self.shown_by(&text), None, "{name}: {text}");
        }
    }

    fn hidden_by_error(&self, error: &dyn core::error::Error) {
        let text = error.to_string();
        assert_eq!(self.shown_by(&text), None, "{text}");
        self.hidden_by(&text, &error);
    }
}

/// Base64 of whole groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

fn private_key() -> PrivateKey {
    let key = vectors::load("rsa_fingerprints").entry("test_key");
    PrivateKey::from_pem(key.text("pem_pkcs1_private")).unwrap()
}

#[test]
fn the_search_finds_what_a_careless_text_would_show() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only shown")]
    struct Careless {
        key: Vec<u8>,
    }
    let secrets = Secrets::new();
    let key = secret::<32>();
    let careless = Careless { key: key.to_vec() };
    let digits = base64(&key[1..31]);
    for text in [
        format!("{careless:?}"),
        format!("{careless:#?}"),
        format!("{careless:x?}"),
        hex::encode(key),
        hex::encode_upper(&key[7..11]),
        format!("key {digits}"),
        digits.replace('+', "-").replace('/', "_"),
        format!("{:02X?}", key.iter().rev().collect::<Vec<_>>()),
        key.escape_ascii().to_string(),
    ] {
        assert!(secrets.shown_by(&text).is_some(), "{text}");
    }
    assert_eq!(secrets.shown_by("auth_key 1f0c, 256 bytes, 87"), None);
}

#[test]
fn sec_005_no_debug_of_the_crypto_crate_shows_a_secret() {
    let secrets = Secrets::new().and(b"correct horse battery");
    let key = AuthKey::from_bytes(secret());
    secrets.hidden_by("AuthKey", &key);
    secrets.hidden_by("Exponent", &Exponent::from_bytes(secret()));
    secrets.hidden_by("Drbg", &Drbg::from_seed(secret()));
    secrets.hidden_by("Ctr", &ctr::Ctr::new(&secret(), &secret()));
    secrets.hidden_by("ige::Stream", &ige::Stream::new(&secret(), &secret(), &mut secret::<32>()));
    secrets.hidden_by("cdn::FileKey", &cdn::FileKey::new(&secret::<32>(), &secret::<16>()));
    secrets.hidden_by("secret_chat::FileKey", &secret_chat::FileKey::new(secret(), secret()));
    secrets.hidden_by("SealJob", &message::SealJob::new(&key, Side::Client, &mut secret::<64>()));
    let msg_key = MsgKey::from_bytes([1; 16]);
    secrets.hidden_by("OpenJob", &message::OpenJob::new(&key, Side::Client, msg_key, &mut secret::<64>()));
    for aes in [kdf::aes_v2(&key, Side::Client, &msg_key), nonce::tmp_aes(&secret(), &[1; 16])] {
        Secrets::new().and(&aes.key[..]).and(&aes.iv[..]).hidden_by("AesKeyIv", &aes);
    }
    let mut rng = Drbg::from_seed([1; 32]);
    let group = Group::known(3).unwrap();
    let (exponent, public) = group.key_pair(&mut rng).unwrap();
    let agreed = group.shared_secret(&exponent, &public);
    let agreement = group.agree_with(&exponent, &public).unwrap();
    Secrets::new().and(&agreed[..]).hidden_by("Agreement", &agreement);
    let parameters = srp::Parameters { group: &group, salt1: b"one", salt2: b"two" };
    let password = b"correct horse battery";
    let verifier = srp::verifier(password, &parameters);
    let all = Secrets::new().and(password).and(&verifier[..]);
    let challenge = srp::Challenge::new(&parameters, &verifier, &mut rng).unwrap();
    all.hidden_by("Challenge", &challenge);
    let server_public = *challenge.public();
    all.hidden_by("Proof", &srp::prove(password, &parameters, &server_public, &mut rng));
    all.hidden_by("NewPassword", &srp::new_password(password, &parameters, &mut rng));
    let rsa = private_key();
    let pem = rsa.to_pem().unwrap();
    let text = format!("{rsa:?} {rsa:#?}");
    let lines = pem.lines().filter(|line| line.len() > 40);
    lines.for_each(|line| assert!(!text.contains(&line[..40]), "{text}"));
    let vectors = vectors::load("rsa_fingerprints").entry("test_key");
    for name in ["d_hex", "p_hex", "q_hex", "d", "p", "q"] {
        if vectors.has(name) {
            Secrets::new().and(&vectors.bytes(name)).hidden_by("PrivateKey", &rsa);
        }
    }
}

#[test]
fn sec_005_no_error_of_opening_shows_a_secret() {
    let secrets = Secrets::new();
    let key = AuthKey::from_bytes(secret());
    for len in [0, 8, 23, 24, 40, 72, 88, 104] {
        let mut frame = [&[0x11; 8], &secret::<104>()[..]].concat()[..len].to_vec();
        if let Err(error) = open(&key, Side::Server, TransportTail::None, &mut frame) {
            secrets.hidden_by_error(&error);
        }
        if let Some(id) = frame.get_mut(..8) {
            id.copy_from_slice(key.id().as_bytes());
            secrets.hidden_by_error(&open(&key, Side::Server, TransportTail::None, &mut frame).unwrap_err());
        }
        let mut data = secret::<104>()[..len].to_vec();
        let msg_key = MsgKey::from_bytes([1; 16]);
        secrets.hidden_by_error(&message::open(&key, Side::Server, &msg_key, &mut data).unwrap_err());
    }
    secrets.hidden_by_error(&AuthKey::from_slice(&secret::<255>()).unwrap_err());
}

#[test]
fn sec_005_no_state_of_an_exchange_shows_a_secret() {
    let mut keys = KeyRing::empty();
    let rsa = private_key();
    keys.add(rsa.public_key().clone());
    let options = ClientOptions { keys, dc: Dc::production(2), kind: KeyKind::Permanent };
    let server_options =
        ServerOptions { rate: None, ..ServerOptions::strict(vec![rsa], vec![Dc::production(2)]) };
    let time = UnixTime::from_secs(START);
    let mut rng = Drawn { rng: Drbg::from_seed([4; 32]), blocks: Vec::new() };
    let mut server_rng = Drawn { rng: Drbg::from_seed([5; 32]), blocks: Vec::new() };
    let mut texts = vec![format!("{options:?} {server_options:?}")];
    let (_, expect) = ExpectResPq::begin(&mut rng);
    texts.push(format!("{expect:?}"));
    rng.blocks.clear();
    let mut client = ClientHandshake::begin(options, time, &mut rng).unwrap();
    let mut server = ServerHandshakes::new(server_options).unwrap();
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    let mut auth_key = None;
    while auth_key.is_none() {
        assert!(client.poll_transmit(time, &mut question));
        let reply = server.handle_frame(time, Peer(1), question.as_slice(), &mut answer, &mut server_rng);
        texts.push(format!("{reply:?}"));
        if let Reply::Key(candidate) = reply {
            texts.push(format!("{candidate:?}"));
            texts.push(format!("{:?}", candidate.accept()));
        }
        texts.push(format!("{server:?} {server:#?} {client:?} {client:#?}"));
        let progress = client.handle_frame(time, answer.as_slice(), &mut rng).unwrap();
        texts.push(format!("{progress:?} {progress:#?} {client:?} {client:#?}"));
        if let Progress::Done(finished) = progress {
            texts.push(format!("{finished:?}"));
            auth_key = Some(finished.key());
        }
    }
    // The first block of 16 bytes of either side travels in the clear.
    let secret = |blocks: Vec<Vec<u8>>| blocks.into_iter().filter(|block| block.len() >= 32);
    let drawn = secret(rng.blocks).chain(secret(server_rng.blocks));
    let drawn: Vec<_> = drawn.chain([auth_key.unwrap().as_bytes().to_vec()]).collect();
    assert!(drawn.len() >= 6, "{} secrets", drawn.len());
    let secrets = Secrets::of(drawn.iter().map(Vec::as_slice));
    for text in texts {
        assert_eq!(secrets.shown_by(&text), None, "{text}");
    }
}

/// A generator that remembers what it gave out.
struct Drawn {
    rng: Drbg,
    blocks: Vec<Vec<u8>>,
}

impl chappe_crypto::rand_core::TryRng for Drawn {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.rng.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.rng.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        self.rng.try_fill_bytes(dst)?;
        self.blocks.push(dst.to_vec());
        Ok(())
    }
}

impl chappe_crypto::rand_core::TryCryptoRng for Drawn {}

#[test]
fn sec_005_no_debug_of_a_session_shows_its_key() {
    let secrets = Secrets::new();
    let auth_key = AuthKey::from_bytes(secret());
    let material = || KeyMaterial::from_handshake(secret::<256>(), 42, 0, START as i64);
    secrets.hidden_by("KeyMaterial", &material());
    let first_salt = ServerSalt::from_raw(1);
    let temporary = TemporaryKey { auth_key: auth_key.clone(), first_salt, expires_at: START as i64 + 9 };
    secrets.hidden_by("TemporaryKey", &temporary);
    let client = ClientSession::new(ClientConfig::default(), material(), now());
    secrets.hidden_by("ClientSession", &client);
    let state = client.export(now(), &secret::<64>()).unwrap();
    secrets.hidden_by("SavedState", &SavedState::import(&state).unwrap());
    for len in (0..state.len()).step_by(7) {
        secrets.hidden_by_error(&SavedState::import(&state[..len]).unwrap_err());
    }
    let salts = || SaltSchedule::new(secret());
    secrets.hidden_by("SaltSchedule", &salts());
    let session_id = SessionId::from_raw(1);
    let server = ServerSession::new(ServerConfig::default(), auth_key.clone(), session_id, salts(), 77);
    secrets.hidden_by("ServerSession", &server);
    let plain = EncryptedSession::with_rng(secret::<256>(), 1, 0, &mut Drbg::from_seed([1; 32]));
    secrets.hidden_by("EncryptedSession", &plain);
    let entry =
        KeyEntry { key: auth_key, kind: chappe_session::server::KeyKind::Permanent, first_salt: None };
    secrets.hidden_by("KeyEntry", &entry);
    let mut table = KeyTable::new(4);
    table.insert(entry, now().unix);
    secrets.hidden_by("KeyTable", &table);
    let info = ClientInfo { api_id: 1, ..ClientInfo::default() };
    secrets.hidden_by("InitConnection", &InitConnection::new(1, &info).unwrap());
    let mut frame = FrameBuf::new();
    let mut writer = EncryptedWriter::begin(&mut frame);
    writer.body().append(&secret::<64>());
    secrets.hidden_by("EncryptedWriter", &writer);
    secrets.hidden_by("FrameBuf", &frame);
}

#[test]
fn sec_005_no_debug_of_a_connection_shows_the_secret_of_its_proxy() {
    let secrets = Secrets::new();
    let tail = b"example.org";
    let fake_tls: Vec<u8> = [&[0xee], &secret::<16>()[..], tail].concat();
    let padded: Vec<u8> = [&[0xdd], &secret::<16>()[..]].concat();
    for bytes in [secret::<16>().to_vec(), padded, fake_tls] {
        let proxy = ProxySecret::from_bytes(&bytes).unwrap();
        secrets.hidden_by("ProxySecret", &proxy);
        let connector = Connector::proxy(&proxy, DcId::from_raw(2));
        secrets.hidden_by("Connector", &connector);
        secrets.hidden_by("DialOptions", &DialOptions::new(connector.clone()));
        let mut out = Vec::new();
        let connect = connector.start(START as u32, &mut Drbg::from_seed([1; 32]), &mut out);
        secrets.hidden_by("Connect", &connect);
        for len in (0..bytes.len()).filter(|len| *len != 16) {
            if let Err(error) = ProxySecret::from_bytes(&bytes[..len]) {
                secrets.hidden_by_error(&error);
            }
            let hex = hex::encode(&bytes);
            if let Err(error) = ProxySecret::parse(&hex[..len]) {
                secrets.hidden_by_error(&error);
            }
        }
    }
    secrets.hidden_by("ListenOptions", &ListenOptions::data_centre());
}

#[test]
fn sec_005_no_store_and_no_importer_shows_a_key() {
    let secrets = Secrets::new();
    let slot = Slot::production(2);
    let session = telethon::from_row(2, "149.154.167.51", 443, &secret::<256>()).unwrap();
    secrets.hidden_by("ImportedSession", &session);
    let row = pyrogram::Row { dc_id: 2, auth_key: Some(&secret::<256>()), ..pyrogram::Row::default() };
    secrets.hidden_by("pyrogram::Row", &row);
    let memory = MemoryStore::new();
    memory.save(slot, &session.to_state()).unwrap();
    secrets.hidden_by("MemoryStore", &memory);
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("texts");
    let files = FileStore::open(&folder).unwrap();
    secrets.hidden_by("FileStore", &files);
    for len in [1, 100, 255] {
        let error = telethon::from_row(2, "", 0, &secret::<256>()[..len]).unwrap_err();
        assert_eq!(error, ImportError::KeyLength { len });
        secrets.hidden_by_error(&error);
    }
    let text = base64(&secret::<252>());
    for len in (0..text.len()).step_by(9) {
        for prefix in ["", "1", "A"] {
            if let Err(error) = import::from_string(&format!("{prefix}{}", &text[..len])) {
                secrets.hidden_by_error(&error);
            }
        }
    }
    let damaged = session.to_state();
    memory.save(slot, &damaged[..300]).unwrap();
    let error: StoreError = chappe_net::store::load_state(&memory, slot).unwrap_err();
    secrets.hidden_by_error(&error);
}
