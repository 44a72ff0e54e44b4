//! `Debug` of what the drivers and the embedded datacenter show: clients, connections, servers, options.

use core::net::SocketAddr;
use std::sync::Arc;

use chappe_carrier::Negotiation;
use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, TransportTail};
use chappe_handshake::{ClientOptions, DcId, ServerOptions};
use chappe_loopback::api::Account;
use chappe_loopback::{Cloud, FaultScript, Loopback, Options};
use chappe_net::store::{MemoryStore, Zeroizing};
use chappe_net::{ConnectOptions, Credentials, DataCenter, DataCenters, DialOptions, Proxy, blocking, tokio};
use chappe_server::directory::{Directory, KeySealer, MemoryDirectory};
use chappe_server::{Context, Engine, EngineOptions, Handler, KeyState, KeyStatus, QueryResponse};
use chappe_session::client::{ClientConfig, ClientSession, KeyMaterial, SendOptions};
use chappe_session::server::ServerConfig;
use chappe_tl_api::functions;
use chappe_transport::{AckRequest, Connector, Framing, ProxySecret};

use crate::search::{Secrets, secret};
use crate::texts::{START, now, private_key};

/// Prints what it is called with.
struct Printing;

impl Handler for Printing {
    fn query(&self, context: &Context<'_>, _: &[u8]) -> QueryResponse {
        let secrets = Secrets::new();
        secrets.hidden_by("chappe_server::Context", context);
        secrets.hidden_by("chappe_server::Attached", context.session);
        secrets.hidden_by("chappe_server::KeyState", &**context.key());
        QueryResponse::Answer(vec![7; 4])
    }
}

#[test]
pub(crate) fn sec_005_no_debug_of_a_server_shows_a_key() {
    let secrets = Secrets::new();
    let mut rng = Drbg::from_seed([4; 32]);
    let mut options =
        EngineOptions::new(ServerOptions::lenient(vec![private_key()]), ServerConfig::default());
    options.salt_secret = Some(secret());
    secrets.hidden_by("chappe_server::EngineOptions", &options);
    let engine: Arc<Engine> = Engine::new(options, Printing, &mut rng).unwrap();
    let auth_key = chappe_crypto::AuthKey::from_bytes(secret());
    engine.add_key(KeyState::new(auth_key.clone(), KeyStatus::Permanent));
    let mut connection = engine.connect(SocketAddr::from(([127, 0, 0, 1], 1)), TransportTail::None, || ());
    let material = KeyMaterial::from_handshake(auth_key, 1, 0, START as i64);
    let mut client = ClientSession::new(ClientConfig::default(), material, now());
    client.handle_connected(now(), TransportTail::None);
    client.send_bytes(now(), &0xc4f9_186b_u32.to_le_bytes(), SendOptions::default()).unwrap();
    let mut out = FrameBuf::new();
    // The first question learns the salt, the second reaches the handler.
    for _ in 0..4 {
        while client.poll_transmit(now(), &mut rng, &mut out).is_some() {
            connection.handle_payload(now(), out.as_mut_slice(), AckRequest::No, &mut rng);
        }
        while connection.poll_output(now(), &mut rng, &mut out).is_some() {
            client.handle_frame(now(), out.as_mut_slice()).unwrap().for_each(drop);
        }
    }
    secrets.hidden_by("chappe_server::ServerConnection", &connection);
    secrets.hidden_by("chappe_server::Engine", &*engine);
    assert_eq!(client.pending_calls(), 0, "it was answered");
}

#[test]
pub(crate) fn sec_005_no_debug_of_a_client_or_a_datacenter_shows_a_key() {
    let server = Options::new()
        .private_key(private_key())
        .faults(&FaultScript::new())
        .bot(String::from_utf8_lossy(TOKEN), account());
    let in_clear = || Secrets::of([TOKEN, PASSWORD]);
    in_clear().hidden_by("chappe_loopback::Options", &server);
    let directory = Directory::new(Arc::new(MemoryDirectory::default()), KeySealer::new(&secret()));
    let keeping = Options::new().directory(directory, secret());
    Secrets::new().hidden_by("chappe_loopback::Options", &keeping);
    let cloud = Cloud::new();
    cloud.add_bot(String::from_utf8_lossy(TOKEN), account());
    cloud.add_user("123", account());
    cloud.set_password(account().id, Some(&String::from_utf8_lossy(PASSWORD)));
    in_clear().hidden_by("chappe_loopback::Cloud", &cloud);
    let running: Loopback = server.start().unwrap();

    let mut keys = chappe_crypto::rsa::KeyRing::empty();
    keys.add(private_key().public_key().clone());
    let handshake = ClientOptions::new(keys, DcId::production(2));
    let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
    let mut options = ConnectOptions::at(running.address(), dialling.clone(), handshake);
    options = options.with_store(Arc::new(MemoryStore::new()));
    proxied(&in_clear(), &options);
    let client = blocking::connect(options.clone()).unwrap();
    client.invoke(&functions::help::GetNearestDc {}).wait().unwrap();
    let drawn: Vec<_> =
        running.engine().keys().iter().map(|key| key.auth_key().as_bytes().to_vec()).collect();
    let secrets = Secrets::of(drawn.iter().map(Vec::as_slice));
    secrets.hidden_by("chappe_net::ConnectOptions", &options);
    secrets.hidden_by("chappe_net::Client", &client);
    secrets.hidden_by("chappe_net::Status", &client.status());
    secrets.hidden_by("chappe_loopback::Loopback", &running);
    let datacenter = DataCenter::new(blocking::start, options.clone());
    secrets.hidden_by("chappe_net::DataCenter", &datacenter);
    let template = options.clone();
    let datacenters = DataCenters::new(blocking::start, move |_| template.clone());
    secrets.hidden_by("chappe_net::DataCenters", &datacenters);
    let mut rng = Drbg::from_seed([3; 32]);
    let stream = blocking::dial(running.address(), &dialling, &mut rng).unwrap();
    secrets.hidden_by("chappe_net::Stream", &stream);
    // A slot has one client at a time.
    client.close().wait();
    of_tokio(&secrets, options, &dialling, &running);
}

/// Credentials and secrets of proxies, alone and in options.
fn proxied(secrets: &Secrets, options: &ConnectOptions) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let credentials = Credentials::new("name", text(PASSWORD));
    secrets.hidden_by("chappe_carrier::Credentials", &credentials);
    let proxy = Proxy::Socks5 { address: "127.0.0.1:1".into(), credentials: Some(credentials) };
    secrets.hidden_by("chappe_carrier::Proxy", &proxy);
    let target = ([127, 0, 0, 1], 443).into();
    let negotiation = Negotiation::start(&proxy, &target, &mut Zeroizing::default()).unwrap();
    secrets.hidden_by("chappe_carrier::Negotiation", &negotiation);
    let mut options = options.clone();
    let mut dialling = DialOptions::new(Connector::proxy(&ProxySecret::plain(secret()), DcId::production(2)));
    dialling.proxy = Some(proxy);
    options.candidates[0].dialling = dialling;
    Secrets::new().and(PASSWORD).hidden_by("chappe_net::Candidate", &options.candidates[0]);
    Secrets::new().and(PASSWORD).hidden_by("chappe_net::ConnectOptions", &options);
}

fn of_tokio(secrets: &Secrets, options: ConnectOptions, dialling: &DialOptions, running: &Loopback) {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = tokio::connect(options.clone()).await.unwrap();
        let call = client.invoke(&functions::help::GetNearestDc {});
        secrets.hidden_by("chappe_net::PendingCall", &call);
        call.await.unwrap();
        secrets.hidden_by("chappe_net::Client", &client);
        secrets.hidden_by("chappe_net::Updates", &client.updates());
        secrets.hidden_by("chappe_net::DataCenter", &DataCenter::new(tokio::start, options.clone()));
        let datacenters = DataCenters::new(tokio::start, move |_| options.clone());
        secrets.hidden_by("chappe_net::DataCenters", &datacenters);
        let mut rng = Drbg::from_seed([3; 32]);
        let stream = tokio::dial(running.address(), dialling, &mut rng).await.unwrap();
        secrets.hidden_by("chappe_net::Stream", &stream);
    });
}

fn account() -> Account {
    Account { id: 1, first_name: "Ignace".into(), username: "chappe_bot".into() }
}

/// A bot's token and a proxy's password: eight letters in a row of either would be found.
const TOKEN: &[u8] = b"110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const PASSWORD: &[u8] = b"Rfc1929-likes-plain-words";
