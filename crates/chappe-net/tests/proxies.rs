//! Dialling through proxies of every kind, by both drivers, against a server that gives every envelope back.
#![cfg(all(feature = "blocking", feature = "tokio"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;
use chappe_net::{Credentials, DialOptions, LinkError, Proxy, ProxyError, blocking, tokio as net_tokio};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, Connection, ConnectionLimits, Connector,
    DcId, Framing, Incoming, ProxySecret, ReadBuf,
};

const ENVELOPE: [u8; 40] = [7; 40];

const SECRETS: [&str; 3] = [
    "00112233445566778899aabbccddeeff",
    "dd00112233445566778899aabbccddeeff",
    "ee00112233445566778899aabbccddeeff6578616d706c652e636f6d",
];

/// Runs `serve` for each connection, in a thread of its own.
fn listen(serve: impl Fn(TcpStream) -> std::io::Result<()> + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(socket));
        }
    });
    address
}

fn echo_server(config: AcceptConfig) -> SocketAddr {
    listen(move |socket| echo(socket, &config))
}

fn echo(mut socket: TcpStream, config: &AcceptConfig) -> std::io::Result<()> {
    let mut rng = Drbg::from_os().expect("randomness");
    let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
    let mut connection = accept(&mut socket, config, &mut buf, &mut rng)?;
    loop {
        let mut out = Vec::new();
        while let Some(Incoming::Envelope { payload, .. }) =
            connection.receiver.receive(&mut buf).expect("whole frames")
        {
            let sender = &mut connection.sender;
            sender.encode_into(&mut out, payload, AckRequest::No, &mut rng).expect("an envelope");
        }
        socket.write_all(&out)?;
        read(&mut socket, &mut buf)?;
    }
}

fn accept(
    socket: &mut TcpStream,
    config: &AcceptConfig,
    buf: &mut ReadBuf,
    rng: &mut Drbg,
) -> std::io::Result<Connection> {
    let mut acceptor = Acceptor::new();
    loop {
        read(socket, buf)?;
        let unix_time = chappe_framing::UnixTime::now().to_tl_int() as u32;
        let mut context = AcceptContext { config, unix_time, replays: None };
        loop {
            match acceptor.handle(buf, &mut context, rng).expect("a transport") {
                AcceptStep::Ready(ready) => return Ok(ready.connection),
                AcceptStep::Answer { bytes, next } => {
                    socket.write_all(&bytes)?;
                    acceptor = next;
                }
                AcceptStep::Incomplete(next) => {
                    acceptor = next;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn read(socket: &mut TcpStream, buf: &mut ReadBuf) -> std::io::Result<()> {
    let count = socket.read(buf.space().expect("everything was taken out"))?;
    buf.commit(count);
    if count == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// A SOCKS5 proxy that lets `me` with the password `key` through, and a `CONNECT` proxy; each on its own port.
fn socks5_proxy() -> SocketAddr {
    listen(|mut client| {
        let mut greeting = [0; 4];
        client.read_exact(&mut greeting)?;
        assert_eq!(greeting, [5, 2, 0, 2]);
        client.write_all(&[5, 2])?;
        let mut credentials = [0; 8];
        client.read_exact(&mut credentials)?;
        let is_known = credentials == *b"\x01\x02me\x03key";
        client.write_all(&[1, u8::from(!is_known)])?;
        let mut request = [0; 10];
        client.read_exact(&mut request)?;
        assert_eq!(request[..4], [5, 1, 0, 1]);
        let ip: [u8; 4] = request[4..8].try_into().expect("four bytes");
        let target = SocketAddr::from((ip, u16::from_be_bytes([request[8], request[9]])));
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        relay(client, target)
    })
}

fn http_proxy() -> SocketAddr {
    listen(|mut client| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("ASCII");
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).expect("a target");
        client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")?;
        relay(client, target.parse().expect("an address"))
    })
}

fn relay(client: TcpStream, target: SocketAddr) -> std::io::Result<()> {
    let server = TcpStream::connect(target)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    let (mut from, mut to) = (server, client);
    std::io::copy(&mut from, &mut to)?;
    Ok(())
}

fn frame() -> FrameBuf {
    let mut frame = FrameBuf::new();
    frame.append(&ENVELOPE);
    frame
}

/// Sends an envelope by each driver and gets it back.
async fn goes_through(target: SocketAddr, options: &DialOptions) {
    let mut rng = Drbg::from_os().expect("randomness");
    let mut stream = net_tokio::dial(target, options, &mut rng).await.expect("a connection");
    stream.send(&mut frame(), AckRequest::No).expect("it is written");
    let back = loop {
        if let Some(incoming) = stream.take().expect("whole frames") {
            break matches!(incoming, Incoming::Envelope { payload, .. } if *payload == ENVELOPE);
        }
        stream.read_more(Duration::from_secs(10)).await.expect("it comes back");
    };
    assert!(back);

    let mut stream = blocking::dial(target, options, &mut rng).expect("a connection");
    stream.send(&mut frame(), AckRequest::No).expect("it is written");
    let back = stream.receive(
        Duration::from_secs(10),
        |incoming| matches!(incoming, Incoming::Envelope { payload, .. } if *payload == ENVELOPE),
    );
    assert!(back.expect("it comes back"));
}

/// Dials by each driver and returns both errors.
async fn does_not_go_through(target: SocketAddr, options: &DialOptions) -> [LinkError; 2] {
    let mut rng = Drbg::from_os().expect("randomness");
    [
        net_tokio::dial(target, options, &mut rng).await.map(drop).expect_err("no connection"),
        blocking::dial(target, options, &mut rng).map(drop).expect_err("no connection"),
    ]
}

fn proxies() -> [Proxy; 2] {
    let socks5 = Proxy::socks5(socks5_proxy().to_string());
    [socks5.with_credentials(Credentials::new("me", "key")), Proxy::http_connect(http_proxy().to_string())]
}

#[tokio::test]
async fn socks5_and_http_connect_carry_a_stream() {
    let target = echo_server(AcceptConfig::datacenter());
    for proxy in proxies() {
        for framing in [Framing::Abridged, Framing::Full] {
            let plain = DialOptions::new(Connector::plain(framing));
            goes_through(target, &plain.with_proxy(Some(proxy.clone()))).await;
        }
    }
}

#[tokio::test]
async fn mtproxy_with_every_kind_of_secret_is_spoken_directly_and_through_another_proxy() {
    let secrets = SECRETS.map(|text| ProxySecret::parse(text).expect("a secret"));
    let target = echo_server(AcceptConfig::proxy(secrets.to_vec()));
    let [socks5, _] = proxies();
    for secret in &secrets {
        let direct = DialOptions::new(Connector::proxy(secret, DcId::production(2)));
        goes_through(target, &direct).await;
        goes_through(target, &direct.with_proxy(Some(socks5.clone()))).await;
    }
}

#[tokio::test]
async fn what_a_proxy_does_wrong_is_blamed_on_it() {
    let target = echo_server(AcceptConfig::datacenter());
    let plain = DialOptions::new(Connector::plain(Framing::Intermediate));
    let through = |proxy: Proxy| plain.clone().with_proxy(Some(proxy));

    let credentials = Credentials::new("me", "KEY");
    let wrong = Proxy::socks5(socks5_proxy().to_string()).with_credentials(credentials);
    for error in does_not_go_through(target, &through(wrong)).await {
        assert!(matches!(error, LinkError::Proxy(ProxyError::CredentialsRefused)), "{error:?}");
    }
    let silent = listen(|_socket| {
        thread::park();
        Ok(())
    });
    let silent =
        through(Proxy::http_connect(silent.to_string())).with_proxy_timeout(Duration::from_millis(30));
    for error in does_not_go_through(target, &silent).await {
        assert!(matches!(error, LinkError::Proxy(ProxyError::TimedOut { .. })), "{error:?}");
    }
    let rude = listen(|mut socket| socket.read_exact(&mut [0]));
    for error in does_not_go_through(target, &through(Proxy::socks5(rude.to_string()))).await {
        assert!(
            matches!(error, LinkError::Proxy(ProxyError::Closed | ProxyError::Unreachable(_))),
            "{error:?}"
        );
    }
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    for error in does_not_go_through(target, &through(Proxy::socks5(closed.to_string()))).await {
        assert!(matches!(error, LinkError::Proxy(ProxyError::Unreachable(_))), "{error:?}");
    }
}

#[tokio::test]
async fn an_option_that_cannot_work_fails_a_dial_by_its_name_before_a_socket_is_made() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let plain = || DialOptions::new(Connector::plain(Framing::Intermediate));
    for (options, name) in [
        (plain().with_proxy(Some(Proxy::socks5("127.0.0.1"))), "`proxy`"),
        (plain().with_proxy(Some(Proxy::http_connect("http://proxy.example:80"))), "`proxy`"),
        (plain().with_connect_timeout(Duration::ZERO), "`connect_timeout`"),
    ] {
        for error in does_not_go_through(nobody, &options).await {
            let LinkError::Io(error) = error else { panic!("{error:?}") };
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn a_runtime_without_time_or_input_and_output_fails_a_dial() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let options = DialOptions::new(Connector::plain(Framing::Intermediate));
    let builder = tokio::runtime::Builder::new_current_thread;
    for runtime in [builder().build(), builder().enable_io().build(), builder().enable_time().build()] {
        let mut rng = Drbg::from_os().expect("randomness");
        let dialled = runtime.expect("a runtime").block_on(net_tokio::dial(nobody, &options, &mut rng));
        let error = dialled.map(drop).expect_err("it lacks something");
        assert!(error.to_string().contains("`runtime`"), "{error}");
    }
}
