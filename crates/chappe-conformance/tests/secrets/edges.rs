//! `Debug` of the crates at the edge: what a proxy, a directory of keys and a reader of captures show.

use std::sync::Arc;

use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_dissect::capture::CaptureDissector;
use chappe_dissect::{Dissector, Keys};
use chappe_framing::UnixTime;
use chappe_handshake::DcId;
use chappe_net::{Credentials, DialOptions, KeyLogFile, Opening, Proxy};
use chappe_proxy::{Config, Settings};
use chappe_server::KeyStatus;
use chappe_server::directory::{Found, KeyDirectory as _, KeyRecord, KeySealer, MemoryDirectory};
use chappe_transport::{Connection, ConnectionLimits, Connector, Framing, ProxySecret, Relay, Side};

use crate::search::{Secrets, secret};

const PASSWORD: &str = "of-a-proxy-on-the-way";

#[test]
pub(crate) fn sec_005_no_debug_of_a_proxy_shows_the_secret_of_a_user() {
    let digits = hex::encode(secret::<16>());
    let text = format!(
        "domain = \"www.example.com\"\n[[users]]\nname = \"alice\"\nsecret = \"{digits}\"\n\
         [upstream]\nproxy = \"socks5://name:{PASSWORD}@192.0.2.1:1080\"\n"
    );
    let config = Config::parse(&text).unwrap();
    let secrets = Secrets::new().and(PASSWORD.as_bytes());
    secrets.hidden_by("chappe_proxy::Config", &config);
    secrets.hidden_by("chappe_proxy::Upstream", &config.upstream);
    secrets.hidden_by("chappe_proxy::SecretText", config.upstream.proxy.as_ref().unwrap());
    secrets.hidden_by("chappe_proxy::UserConfig", &config.users[0]);
    secrets.hidden_by("chappe_proxy::Secret", &config.users[0].secret);
    secrets.hidden_by("chappe_proxy::Settings", &Settings::new(&config).unwrap());
    let connection = |side| Connection::plain(Framing::Abridged, side, ConnectionLimits::DEFAULT);
    let (up, _) = Relay::join(connection(Side::Server), connection(Side::Client));
    secrets.hidden_by("chappe_transport::Relay", &up);
}

#[test]
pub(crate) fn sec_005_no_debug_of_a_directory_shows_a_key() {
    let secrets = Secrets::new();
    let record = KeyRecord {
        auth_key: AuthKey::from_bytes(secret()),
        status: KeyStatus::Permanent,
        dc: None,
        first_salt: None,
        unused_until: None,
    };
    secrets.hidden_by("chappe_server::directory::KeyRecord", &record);
    secrets.hidden_by("chappe_server::directory::KeySealer", &KeySealer::new(&secret()));
    // A plain one holds the key itself.
    let key = KeySealer::plain().seal(&record);
    secrets.hidden_by("chappe_server::directory::SealedKey", &key);
    let found = Found { key: key.clone(), permanent: Some(key.clone()) };
    secrets.hidden_by("chappe_server::directory::Found", &found);
    let directory = MemoryDirectory::default();
    let runtime = ::tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(directory.insert(key)).unwrap());
    secrets.hidden_by("chappe_server::directory::MemoryDirectory", &directory);
}

#[test]
pub(crate) fn sec_005_no_debug_of_a_reader_of_traffic_shows_a_key() {
    let secrets = Secrets::new();
    let mut keys = Keys::new();
    keys.insert(AuthKey::from_bytes(secret()));
    secrets.hidden_by("chappe_dissect::Keys", &keys);
    let dissector = || Dissector::new(keys.clone()).with_secrets(vec![ProxySecret::plain(secret())]);
    secrets.hidden_by("chappe_dissect::Dissector", &dissector());
    secrets.hidden_by("chappe_dissect::capture::CaptureDissector", &CaptureDissector::new(dissector()));
    secrets.hidden_by("chappe_net::KeyLogFile", &KeyLogFile::from_env());
}

#[test]
pub(crate) fn sec_005_no_debug_of_an_opening_shows_the_password_of_a_proxy() {
    let mut dialling = DialOptions::new(Connector::proxy(&ProxySecret::plain(secret()), DcId::production(2)));
    let credentials = Some(Credentials::new("name", PASSWORD));
    dialling.proxy = Some(Proxy::Socks5 { address: "127.0.0.1:1".into(), credentials });
    let (target, now, mut rng) =
        (([127, 0, 0, 1], 443).into(), UnixTime::from_secs(1), Drbg::from_seed([5; 32]));
    let mut opening = Opening::start(Arc::new(dialling), &target, now, &mut rng).unwrap();
    // The proxy asks for name and password, which wait to be written then.
    opening.handle(&[5, 2], now, &mut rng).unwrap();
    Secrets::new().and(PASSWORD.as_bytes()).hidden_by("chappe_net::Opening", &opening);
}
