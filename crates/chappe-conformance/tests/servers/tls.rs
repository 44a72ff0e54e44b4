//! TLS in front of a server.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_net::{
    Carrier, ConnectOptions, DialOptions, Endpoint, LinkError, TlsOptions, Update, blocking,
    tokio as net_tokio,
};
use chappe_server::ListenOptions;
use chappe_transport::{Connector, Framing};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{
    Client, Query, Running, Server, answer_all, handshake, key_material, start_tokio, wait_for,
};

/// A certificate for `localhost` and its key, made for this test.
const CERTIFICATE: &[u8] = include_bytes!("localhost.cert.pem");
const KEY: &[u8] = include_bytes!("localhost.key.pem");

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate")
}

/// Takes TLS off, in front of `server`.
fn terminator(server: SocketAddr) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("the suites").with_no_client_auth();
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = Arc::new(builder.with_single_cert(vec![certificate()], key).expect("they fit"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).expect("a good configuration");
            thread::spawn(move || relay(rustls::StreamOwned::new(tls, socket), server));
        }
    });
    address
}

/// Carries bytes to and fro, by turns.
fn relay(
    mut client: rustls::StreamOwned<rustls::ServerConnection, TcpStream>,
    server: SocketAddr,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let turn = Some(Duration::from_millis(2));
    client.sock.set_read_timeout(turn)?;
    server.set_read_timeout(turn)?;
    let mut bytes = [0; 4096];
    loop {
        let count = read(&mut client, &mut bytes)?;
        server.write_all(&bytes[..count])?;
        let count = read(&mut server, &mut bytes)?;
        client.write_all(&bytes[..count])?;
        client.flush()?;
    }
}

fn read(from: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    match from.read(bytes) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(0),
        read => read,
    }
}

fn trusting() -> TlsOptions {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("the suites");
    TlsOptions::new(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn over(carrier: Carrier) -> DialOptions {
    let connector = Connector::obfuscated(Framing::Abridged, None).expect("abridged has a tag");
    DialOptions::new(connector).with_carrier(carrier)
}

#[test]
fn https_and_wss_go_through_tls() {
    let running = start_tokio(&ListenOptions::datacenter());
    let address = terminator(running.address());
    let mut carriers = vec![Carrier::Https(Endpoint::http("localhost"), trusting())];
    carriers.push(Carrier::WebSocketTls(Endpoint::websocket("localhost"), trusting()));
    for carrier in carriers {
        let mut client = Client::dial(address, &over(carrier));
        client.learn_salt();
        client.echo(8);
    }
}

#[test]
fn http_wait_over_tls_brings_what_comes_later_to_either_client() {
    let running = Arc::new(start_tokio(&ListenOptions::datacenter()));
    let address = terminator(running.address());
    let options = || {
        let carrier = Carrier::Https(Endpoint::http("localhost"), trusting());
        ConnectOptions::at(address, over(carrier), handshake()).with_key(key_material())
    };
    let client = blocking::connect(options()).expect("a connection");
    let mut updates = client.updates();
    let later = client.invoke_object(&Query::Later);
    bring_news(&running);
    assert_eq!(later.wait().expect("an answer"), b"done");
    while !matches!(updates.wait().expect("the update"), Update::Object(object) if object.bytes == NEWS) {}
    client.close().wait();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = net_tokio::connect(options()).await.expect("a connection");
        let mut updates = client.updates();
        let later = client.invoke_object(&Query::Later);
        let server = Arc::clone(&running);
        tokio::task::spawn_blocking(move || bring_news(&server)).await.expect("no panic");
        assert_eq!(later.await.expect("an answer"), b"done");
        while !matches!(updates.recv().await.expect("the update"), Update::Object(object) if object.bytes == NEWS)
        {}
        client.close().await;
    });
}

const NEWS: &[u8] = b"news....";

/// Answers the query that waits, and sends every session that is there an update.
fn bring_news(running: &Running) {
    wait_for("the query", || !running.waiting.lock().expect("no panic").is_empty());
    answer_all(&running.waiting);
    let Server::Tokio(server, _) = &running.server else { panic!("it was started so") };
    for session in server.engine().keys().iter().flat_map(|key| key.sessions()) {
        session.push(NEWS).expect("the session takes it");
    }
}

#[test]
fn a_certificate_that_nobody_trusts_or_of_another_host_is_refused() {
    let running = start_tokio(&ListenOptions::datacenter());
    let address = terminator(running.address());
    let mut rng = Drbg::from_os().expect("randomness");
    for carrier in [
        Carrier::Https(Endpoint::http("localhost"), TlsOptions::default()),
        Carrier::Https(Endpoint::http("example.com"), trusting()),
    ] {
        let error = blocking::dial(address, &over(carrier), &mut rng).map(drop).expect_err("no connection");
        assert!(matches!(&error, LinkError::Tls(reason) if reason.contains("certificate")), "{error}");
    }
}
