//! `Debug` and error texts of the types of the protocol crates that hold a secret, or are made beside one.

use chappe_conformance::vectors;
use chappe_crypto::dh::{Exponent, Group};
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::PrivateKey;
use chappe_crypto::{AuthKey, MsgKey, Side, cdn, ctr, ige, kdf, message, nonce, secret_chat, srp};
use chappe_framing::{
    EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, OpenFrame, Padding, SealFrame, SeqNo,
    ServerSalt, SessionId, TransportTail, UnixTime, open, open_many, seal_many,
};
use chappe_import::{self, ImportError, gramjs, mtcute, pyrogram, telethon};
use chappe_net::DialOptions;
use chappe_net::store::{FileStore, KeyStore, MemoryStore, Slot, StoreError};
use chappe_server::ListenOptions;
use chappe_session::client::{
    ClientConfig, ClientInfo, ClientSession, InitConnection, KeyMaterial, SavedState, TemporaryKey,
};
use chappe_session::server::{SaltSchedule, ServerConfig, ServerSession};
use chappe_session::{EncryptedSession, MonoTime, Now};
use chappe_transport::parts::Obfuscation;
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, Connector, DcId, ProxyLink,
    ProxySecret, ReadBuf, SecretKey,
};

use crate::search::{Secrets, base64, secret};

pub(crate) const START: u64 = 1_707_425_104;

pub(crate) fn now() -> Now {
    Now::new(MonoTime::ZERO, UnixTime::from_secs(START))
}

pub(crate) fn private_key() -> PrivateKey {
    let key = vectors::load("rsa_fingerprints").entry("test_key");
    PrivateKey::from_pem(key.text("pem_pkcs1_private")).unwrap()
}

#[test]
pub(crate) fn sec_005_no_debug_of_the_crypto_crate_shows_a_secret() {
    let secrets = Secrets::new().and(b"correct horse battery");
    let key = AuthKey::from_bytes(secret());
    secrets.hidden_by("chappe_crypto::AuthKey", &key);
    secrets.hidden_by("chappe_crypto::dh::Exponent", &Exponent::from_bytes(secret()));
    secrets.hidden_by("chappe_crypto::rng::Drbg", &Drbg::from_seed(secret()));
    secrets.hidden_by("chappe_crypto::ctr::Ctr", &ctr::Ctr::new(&secret(), &secret()));
    let mut data = secret::<32>();
    let stream = ige::IgeStream::new(&secret(), &secret(), &mut data).unwrap();
    secrets.hidden_by("chappe_crypto::ige::IgeStream", &stream);
    let file_key = cdn::CdnFileKey::new(&secret::<32>(), &secret::<16>()).unwrap();
    secrets.hidden_by("chappe_crypto::cdn::CdnFileKey", &file_key);
    secrets.hidden_by(
        "chappe_crypto::secret_chat::EncryptedFileKey",
        &secret_chat::EncryptedFileKey::new(secret(), secret()),
    );
    secrets.hidden_by(
        "chappe_crypto::message::SealJob",
        &message::SealJob::new(&key, Side::Client, &mut secret::<64>()),
    );
    let msg_key = MsgKey::from_bytes([1; 16]);
    secrets.hidden_by(
        "chappe_crypto::message::OpenJob",
        &message::OpenJob::new(&key, Side::Client, msg_key, &mut secret::<64>()),
    );
    for aes in [kdf::aes_v2(&key, Side::Client, &msg_key), nonce::tmp_aes(&secret(), &[1; 16])] {
        Secrets::new().and(&aes.key[..]).and(&aes.iv[..]).hidden_by("chappe_crypto::kdf::AesKeyIv", &aes);
    }
    let mut rng = Drbg::from_seed([1; 32]);
    let group = Group::known(3).unwrap();
    let (exponent, public) = group.key_pair(&mut rng).unwrap();
    let agreed = group.shared_secret(&exponent, &public);
    let agreement = group.agree_with(&exponent, &public).unwrap();
    Secrets::new().and(&agreed[..]).hidden_by("chappe_crypto::dh::Agreement", &agreement);
    let parameters = srp::Parameters { group: &group, salt1: b"one", salt2: b"two" };
    let password = b"correct horse battery";
    let verifier = srp::verifier(password, &parameters);
    let all = Secrets::new().and(password).and(&verifier[..]);
    let challenge = srp::Challenge::new(&parameters, &verifier, &mut rng).unwrap();
    all.hidden_by("chappe_crypto::srp::Challenge", &challenge);
    let server_public = *challenge.public();
    all.hidden_by(
        "chappe_crypto::srp::Proof",
        &srp::prove(password, &parameters, &server_public, &mut rng).unwrap(),
    );
    all.hidden_by("chappe_crypto::srp::NewPassword", &srp::new_password(password, &parameters, &mut rng));
    let rsa = private_key();
    let pem = rsa.to_pem().unwrap();
    let text = format!("{rsa:?} {rsa:#?}");
    let lines = pem.lines().filter(|line| line.len() > 40);
    lines.for_each(|line| assert!(!text.contains(&line[..40]), "{text}"));
    let vectors = vectors::load("rsa_fingerprints").entry("test_key");
    for name in ["d_hex", "p_hex", "q_hex", "d", "p", "q"] {
        if vectors.has(name) {
            Secrets::new().and(&vectors.bytes(name)).hidden_by("chappe_crypto::rsa::PrivateKey", &rsa);
        }
    }
    let sealed = rsa.public_key().encrypt_pad(&secret::<128>(), &mut rng).unwrap();
    secrets.hidden_by("chappe_crypto::rsa::Decrypted", &rsa.decrypt_either(&sealed, &mut rng).unwrap());
    let mut chat = [&[0; secret_chat::ENVELOPE_LEN][..], &64_u32.to_le_bytes(), &secret::<76>()].concat();
    secret_chat::seal(&key, secret_chat::Party::Creator, &mut chat).unwrap();
    let envelope = secret_chat::Envelope::new_checked(&mut chat).unwrap();
    secrets.hidden_by("chappe_crypto::secret_chat::Envelope", &envelope);
    let mut data = secret::<64>();
    let large = kdf::msg_key_large(&key, Side::Client, &data);
    secrets.hidden_by("chappe_crypto::kdf::MsgKeyLarge", &large);
    let sealed = message::seal(&key, Side::Client, &mut data).unwrap();
    secrets.hidden_by("chappe_crypto::message::Sealed", &sealed);
}

#[test]
pub(crate) fn sec_005_no_error_of_opening_shows_a_secret() {
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
pub(crate) fn sec_005_no_debug_of_a_session_shows_its_key() {
    let secrets = Secrets::new();
    let auth_key = AuthKey::from_bytes(secret());
    let material = || KeyMaterial::from_handshake(secret::<256>(), 42, 0, START as i64);
    secrets.hidden_by("chappe_session::client::KeyMaterial", &material());
    let first_salt = ServerSalt::from_raw(1);
    let temporary = TemporaryKey { auth_key: auth_key.clone(), first_salt, expires_at: START as i64 + 9 };
    secrets.hidden_by("chappe_session::client::TemporaryKey", &temporary);
    let client = ClientSession::new(ClientConfig::default(), material(), now());
    secrets.hidden_by("chappe_session::client::ClientSession", &client);
    let state = client.export(now(), &secret::<64>());
    secrets.hidden_by("chappe_session::client::SavedState", &SavedState::import(&state).unwrap());
    for len in (0..state.len()).step_by(7) {
        secrets.hidden_by_error(&SavedState::import(&state[..len]).unwrap_err());
    }
    let salts = || SaltSchedule::new(secret());
    secrets.hidden_by("chappe_session::server::SaltSchedule", &salts());
    let session_id = SessionId::from_raw(1);
    let server = ServerSession::new(ServerConfig::default(), auth_key.clone(), session_id, salts(), 77);
    secrets.hidden_by("chappe_session::server::ServerSession", &server);
    let plain = EncryptedSession::with_rng(secret::<256>(), 1, 0, &mut Drbg::from_seed([1; 32]));
    secrets.hidden_by("chappe_session::EncryptedSession", &plain);
    let info = ClientInfo::default().with_api_id(1);
    secrets.hidden_by("chappe_session::client::InitConnection", &InitConnection::new(1, &info).unwrap());
    let mut frame = FrameBuf::new();
    let mut writer = EncryptedWriter::begin(&mut frame);
    writer.body().append(&secret::<64>());
    secrets.hidden_by("chappe_framing::EncryptedWriter", &writer);
    let message = MessageHeader { msg_id: MsgId::from_raw(4), seq_no: SeqNo::from_raw(1) };
    let header = EncryptedHeader { salt: ServerSalt::from_raw(1), session_id, message };
    let mut rng = Drbg::from_seed([8; 32]);
    let prepared = writer.prepare(header, Padding::Minimum, &mut rng).unwrap();
    secrets.hidden_by("chappe_framing::Prepared", &prepared);
    let mut job = SealFrame::new(prepared, &auth_key, Side::Client);
    secrets.hidden_by("chappe_framing::SealFrame", &job);
    seal_many(core::slice::from_mut(&mut job));
    secrets.hidden_by("chappe_framing::FrameBuf", &frame);
    let mut job = OpenFrame::new(&auth_key, Side::Client, TransportTail::None, frame.as_mut_slice());
    open_many(core::slice::from_mut(&mut job));
    secrets.hidden_by("chappe_framing::OpenFrame", &job);
    let config = ClientConfig::default().with_init(Some(InitConnection::new(1, &info).unwrap()));
    secrets.hidden_by("chappe_session::client::ClientConfig", &config);
}

#[test]
pub(crate) fn sec_005_no_debug_of_a_connection_shows_the_secret_of_its_proxy() {
    let secrets = Secrets::new();
    let tail = b"example.org";
    let fake_tls: Vec<u8> = [&[0xee], &secret::<16>()[..], tail].concat();
    let padded: Vec<u8> = [&[0xdd], &secret::<16>()[..]].concat();
    for bytes in [secret::<16>().to_vec(), padded, fake_tls] {
        let proxy = ProxySecret::from_bytes(&bytes).unwrap();
        secrets.hidden_by("chappe_transport::ProxySecret", &proxy);
        let connector = Connector::proxy(&proxy, DcId::production(2));
        secrets.hidden_by("chappe_transport::Connector", &connector);
        secrets.hidden_by("chappe_net::DialOptions", &DialOptions::new(connector.clone()));
        let mut out = Vec::new();
        let connect = connector.start(START as u32, &mut Drbg::from_seed([1; 32]), &mut out).unwrap();
        secrets.hidden_by("chappe_transport::ConnectStep", &connect);
        accepted(&secrets, &proxy, connect, &out);
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
    let link = format!("tg://proxy?server=a.b&port=443&secret={}", hex::encode(secret::<16>()));
    secrets.hidden_by("chappe_transport::ProxyLink", &ProxyLink::parse(&link).unwrap());
    let socks = "tg://socks?server=127.0.0.1&port=1&user=me&pass=correct horse battery";
    let socks = chappe_transport::SocksLink::parse(socks).unwrap();
    Secrets::new().and(b"correct horse battery").hidden_by("chappe_transport::SocksLink", &socks);
    let key = SecretKey::from_bytes(secret());
    secrets.hidden_by("chappe_transport::SecretKey", &key);
    let framing = chappe_transport::Framing::Intermediate;
    let mut rng = Drbg::from_seed([2; 32]);
    let (obfuscation, _) = Obfuscation::client(framing, None, Some(&key), &mut rng).unwrap();
    secrets.hidden_by_unlisted(&obfuscation);
    secrets.hidden_by_unlisted(&obfuscation.outgoing);
    secrets.hidden_by("chappe_server::ListenOptions", &ListenOptions::datacenter());
}

/// The proxy's side of a beginning, and both connections.
fn accepted(secrets: &Secrets, proxy: &ProxySecret, connect: ConnectStep, opening: &[u8]) {
    let config = AcceptConfig::proxy(vec![proxy.clone()]);
    secrets.hidden_by("chappe_transport::AcceptConfig", &config);
    let mut rng = Drbg::from_seed([3; 32]);
    let mut context = AcceptContext { config: &config, unix_time: START as u32, replays: None };
    secrets.hidden_by("chappe_transport::AcceptContext", &context);
    let (mut buf, mut back) = (ReadBuf::new(&config.limits), ReadBuf::new(&config.limits));
    buf.extend_from_slice(opening).unwrap();
    let mut accept = Acceptor::new().handle(&mut buf, &mut context, &mut rng).unwrap();
    secrets.hidden_by("chappe_transport::AcceptStep", &accept);
    let mut ready = connect;
    if let AcceptStep::Answer { bytes, next } = accept {
        secrets.hidden_by("chappe_transport::Acceptor", &next);
        let ConnectStep::FakeTls(waiting) = ready else { panic!("only fake TLS is answered") };
        secrets.hidden_by("chappe_transport::ExpectServerHello", &waiting);
        back.extend_from_slice(&bytes).unwrap();
        ready = waiting.handle(&mut back).unwrap();
        accept = next.handle(&mut buf, &mut context, &mut rng).unwrap();
        secrets.hidden_by("chappe_transport::AcceptStep", &accept);
        let AcceptStep::Incomplete(next) = accept else { panic!("the header is not there yet") };
        secrets.hidden_by("chappe_transport::Acceptor", &next);
        let ConnectStep::Ready(mut link) = ready else { panic!("the answer was whole") };
        let mut out = Vec::new();
        link.sender.encode_into(&mut out, &[7; 40], AckRequest::No, &mut rng).unwrap();
        ready = ConnectStep::Ready(link);
        buf.extend_from_slice(&out).unwrap();
        accept = next.handle(&mut buf, &mut context, &mut rng).unwrap();
    }
    secrets.hidden_by("chappe_transport::ReadBuf", &buf);
    let (AcceptStep::Ready(accepted), ConnectStep::Ready(link)) = (accept, ready) else {
        panic!("both are ready")
    };
    secrets.hidden_by("chappe_transport::Accepted", &accepted);
    for connection in [&accepted.connection, &link] {
        secrets.hidden_by("chappe_transport::Connection", connection);
        secrets.hidden_by("chappe_transport::Receiver", &connection.receiver);
        secrets.hidden_by("chappe_transport::Sender", &connection.sender);
    }
}

#[test]
pub(crate) fn sec_005_no_store_and_no_importer_shows_a_key() {
    let secrets = Secrets::new();
    let slot = Slot::production(2);
    let session = telethon::from_row(2, "149.154.167.51", 443, &secret::<256>()).unwrap();
    secrets.hidden_by("chappe_import::ImportedSession", &session);
    let row = pyrogram::Row { dc_id: 2, auth_key: Some(&secret::<256>()), ..pyrogram::Row::default() };
    secrets.hidden_by("chappe_import::pyrogram::Row", &row);
    let row = mtcute::Row { dc: 2, key: &secret::<256>(), dc_main: None, current_user: None };
    secrets.hidden_by("chappe_import::mtcute::Row", &row);
    let auth_key = format!("{{\"type\":\"Buffer\",\"data\":{:?}}}", secret::<256>());
    let files = gramjs::StoreFiles { auth_key: &auth_key, dc_id: "2", server_address: "\"\"", port: "443" };
    secrets.hidden_by("chappe_import::gramjs::StoreFiles", &files);
    // The local key of the fixtures of old versions, from the script that wrote them.
    let local_key: [u8; 256] = core::array::from_fn(|place| (place * 17 + 3) as u8);
    Secrets::new().and(&local_key).hidden_by("chappe_import::tdata::Folder", &old_tdata());
    let memory = MemoryStore::new();
    memory.save(slot, &session.to_state()).unwrap();
    secrets.hidden_by("chappe_net::store::MemoryStore", &memory);
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("texts");
    let files = FileStore::open(&folder).unwrap();
    secrets.hidden_by("chappe_net::store::FileStore", &files);
    for len in [1, 100, 255] {
        let error = telethon::from_row(2, "", 0, &secret::<256>()[..len]).unwrap_err();
        assert_eq!(error, ImportError::KeyLength { len });
        secrets.hidden_by_error(&error);
    }
    let text = base64(&secret::<252>());
    for len in (0..text.len()).step_by(9) {
        for prefix in ["", "1", "A"] {
            if let Err(error) = chappe_import::from_string(&format!("{prefix}{}", &text[..len])) {
                secrets.hidden_by_error(&error);
            }
        }
    }
    let damaged = session.to_state();
    memory.save(slot, &damaged[..300]).unwrap();
    let error: StoreError = chappe_net::store::load_state(&memory, slot).unwrap_err();
    secrets.hidden_by_error(&error);
}

/// The folder of an old version of Telegram Desktop, unlocked.
fn old_tdata() -> chappe_import::tdata::Folder {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sessions/fixtures");
    let text = std::fs::read_to_string(fixtures.join("tdata-opentele2.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let folders = file["folders"].as_array().unwrap();
    let folder = folders.iter().find(|folder| folder["form"] == "1.9, no passcode").unwrap();
    let map = folder["files"]["D877F783D5D3EF8C/maps"].as_str().unwrap();
    chappe_import::tdata::Folder::unlock_legacy(&hex::decode(map).unwrap(), "").unwrap()
}
