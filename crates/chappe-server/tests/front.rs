//! A proxy behind a load balancer, and in front of the site that it imitates.
#![cfg(all(feature = "blocking", feature = "tokio"))]
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a test over sockets"
)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::PrivateKey;
use chappe_handshake::ServerOptions;
use chappe_server::{
    Address, Context, Engine, EngineOptions, Handler, ListenOptions, QueryResponse, ServerCounters, blocking,
    tokio as on_tokio,
};
use chappe_session::server::ServerConfig;
use chappe_transport::{AcceptConfig, ConnectStep, Connector, DcId, ProxySecret, ReadBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Generous: only a fault lets it pass.
const PATIENCE: Duration = Duration::from_secs(60);

struct Nobody;

impl Handler for Nobody {
    fn query(&self, _: &Context<'_>, _: &[u8]) -> QueryResponse {
        QueryResponse::Later
    }
}

fn engine() -> Arc<Engine> {
    let mut rng = Drbg::from_seed([1; 32]);
    let handshake = ServerOptions::lenient(vec![PrivateKey::generate(&mut rng).unwrap()]);
    Engine::new(EngineOptions::new(handshake, ServerConfig::default()), Nobody, &mut rng).unwrap()
}

fn secret() -> ProxySecret {
    ProxySecret::parse("ee00112233445566778899aabbccddeeff6578616d706c652e636f6d").unwrap()
}

fn proxy_options() -> ListenOptions {
    ListenOptions::datacenter().with_accept(AcceptConfig::proxy(vec![secret()])).with_remembered_headers(1000)
}

/// A server of either kind.
enum Server {
    Tokio(on_tokio::Server),
    Blocking(blocking::Server),
}

impl Server {
    fn local_addr(&self) -> SocketAddr {
        match self {
            Self::Tokio(server) => server.local_addr(),
            Self::Blocking(server) => server.local_addr(),
        }
    }

    fn counters(&self) -> ServerCounters {
        match self {
            Self::Tokio(server) => server.counters(),
            Self::Blocking(server) => server.counters(),
        }
    }
}

/// Starts a server of each kind.
async fn listen(options: ListenOptions) -> [Server; 2] {
    let blocking = blocking::Server::listen("127.0.0.1:0", options.clone(), engine()).unwrap();
    let tokio = on_tokio::Server::listen("127.0.0.1:0", options, engine()).await.unwrap();
    [Server::Tokio(tokio), Server::Blocking(blocking)]
}

/// A site that answers every connection with its name, once it has read `len` bytes, and returns what it read.
async fn site() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().into();
    (listener, address)
}

/// Sends bytes to a proxy that hands them on, and returns what the site read, after checking that its answer arrives.
async fn handed_on(server: &Server, site: &TcpListener, sent: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
    client.write_all(sent).await.unwrap();
    let (mut served, _) = timeout(PATIENCE, site.accept()).await.expect("it is handed on").unwrap();
    let mut read = vec![0; sent.len()];
    timeout(PATIENCE, served.read_exact(&mut read)).await.unwrap().unwrap();
    // Both directions go on, until each side has ended.
    client.write_all(b"more").await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, served.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"more");
    served.write_all(b"I am the site").await.unwrap();
    drop(served);
    let mut answer = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"I am the site");
    read
}

fn hello(secret: &ProxySecret) -> (Vec<u8>, ConnectStep) {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as u32;
    let mut out = Vec::new();
    let mut rng = Drbg::from_os().unwrap();
    let step = Connector::proxy(secret, DcId::production(2)).start(now, &mut rng, &mut out).unwrap();
    (out, step)
}

/// Connects with the secret and returns whether the answer is the proxy's.
async fn is_served(socket: &mut TcpStream, hello: &[u8], step: ConnectStep) -> bool {
    socket.write_all(hello).await.unwrap();
    let ConnectStep::FakeTls(mut state) = step else { panic!("it is fake TLS") };
    let mut buf = ReadBuf::new(&chappe_transport::ConnectionLimits::DEFAULT);
    loop {
        let space = buf.space().unwrap();
        match timeout(PATIENCE, socket.read(space)).await.expect("an answer or an end") {
            Ok(0) | Err(_) => return false,
            Ok(count) => buf.commit(count),
        }
        match state.handle(&mut buf).unwrap() {
            ConnectStep::FakeTls(next) => state = next,
            ConnectStep::Ready(_) => return true,
        }
    }
}

#[tokio::test]
async fn sec_149_whoever_is_refused_is_handed_on_with_every_byte() {
    let (listener, address) = site().await;
    for server in listen(proxy_options().with_mask(Some(address))).await {
        let other = ProxySecret::fake_tls([7; 16], secret().domain().unwrap().clone());
        let (known, step) = hello(&secret());
        for sent in [b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec(), hello(&other).0, vec![0x5a; 64]]
        {
            assert_eq!(handed_on(&server, &listener, &sent).await, sent);
        }
        // A client that knows the secret is served, and a replayed recording of it is forwarded.
        let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
        assert!(is_served(&mut client, &known, step).await);
        assert_eq!(handed_on(&server, &listener, &known).await, known);
        assert_eq!((server.counters().handed_on, server.counters().unknown), (4, 4));
    }
}

#[tokio::test]
async fn a_client_that_sends_too_little_is_handed_on_after_the_time_limit() {
    let (listener, address) = site().await;
    let options =
        proxy_options().with_mask(Some(address)).with_first_bytes_timeout(Duration::from_millis(50));
    for server in listen(options).await {
        assert_eq!(handed_on(&server, &listener, &hello(&secret()).0[..100]).await.len(), 100);
        assert_eq!(server.counters().handed_on, 1);
    }
}

#[tokio::test]
async fn clients_that_are_handed_on_count_for_the_limits() {
    let (listener, address) = site().await;
    let options = proxy_options().with_mask(Some(address)).with_max_connections_per_address(1);
    for server in listen(options).await {
        let mut first = TcpStream::connect(server.local_addr()).await.unwrap();
        first.write_all(&[0x5a; 64]).await.unwrap();
        let (mut served, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        // The next client from there takes its place, and the site loses it.
        assert_eq!(handed_on(&server, &listener, &[0x5b; 64]).await, [0x5b; 64]);
        let mut sent = Vec::new();
        let _ = timeout(PATIENCE, served.read_to_end(&mut sent)).await.expect("it ends");
        assert_eq!(sent, [0x5a; 64]);
        let _ = timeout(PATIENCE, first.read_to_end(&mut Vec::new())).await.expect("it ends");
    }
}

#[tokio::test]
async fn without_a_site_the_connection_is_closed() {
    for server in listen(proxy_options()).await {
        let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
        client.write_all(&[0x5a; 64]).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it is closed");
        assert!(answer.is_empty());
        assert_eq!(server.counters().handed_on, 0);
    }
}

#[tokio::test]
async fn a_load_balancer_names_the_client_that_the_limits_count() {
    let options = proxy_options()
        .with_load_balancers([IpAddr::from([127, 0, 0, 1])])
        .with_max_connections_per_address(1);
    for server in listen(options).await {
        let connect = |header: &'static [u8]| {
            let address: SocketAddr = server.local_addr();
            async move {
                let mut socket = TcpStream::connect(address).await.unwrap();
                let (hello, step) = hello(&secret());
                // In one piece: what is behind the header belongs to the client.
                let first = [header, &hello].concat();
                let is_served = is_served(&mut socket, &first, step).await;
                (socket, is_served)
            }
        };
        let first = connect(b"PROXY TCP4 192.0.2.1 198.51.100.1 1000 443\r\n").await;
        let second = connect(b"PROXY TCP4 192.0.2.2 198.51.100.1 1000 443\r\n").await;
        assert!(first.1 && second.1);
        assert_eq!(server.counters().unauthenticated, 0, "they are two clients");
        // The limit is one connection of each client: the newer one takes the place of the first.
        let again = connect(b"PROXY TCP4 192.0.2.1 198.51.100.1 1001 443\r\n").await;
        assert!(again.1);
        assert_eq!(server.counters().unauthenticated, 1);
        let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x03\xc6\x33\x64\x01\x03\xe8\x01\xbb";
        assert!(connect(binary).await.1);
        assert!(!connect(b"").await.1, "a header is required");
        assert!(!connect(b"PROXY TCP4 192.0.2.9 nonsense\r\n").await.1);
    }
}

#[tokio::test]
async fn a_header_from_elsewhere_is_not_taken() {
    for server in listen(proxy_options().with_load_balancers([IpAddr::from([192, 0, 2, 1])])).await {
        let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
        let (hello, step) = hello(&secret());
        let first = [b"PROXY TCP4 192.0.2.9 198.51.100.1 1000 443\r\n", &hello[..]].concat();
        assert!(!is_served(&mut socket, &first, step).await);
        let (hello, step) = self::hello(&secret());
        let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
        assert!(is_served(&mut socket, &hello, step).await);
    }
}
