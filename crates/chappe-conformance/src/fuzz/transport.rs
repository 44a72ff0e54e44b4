//! Streams of bytes: framings, the beginning of a connection at a server, HTTP.

use chappe_transport::http::{Request, RequestHead, Response};
use chappe_transport::websocket::{Upgrade, check_response};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, Connection, ConnectionLimits,
    Connector, DcId, Framing, Incoming, ProxySecret, QuickAckToken, ReadBuf, ReplayFilter, Side,
};
use rand_core::Rng as _;

use super::{Seeded, Target};
use crate::vectors;

/// Frames of all framings, from either side, in pieces.
pub(super) const DECODER: Target = Target {
    name: "transport_decoder",
    about: "each framing, from either side, whole and in pieces",
    run: decoder,
    seeds: decoder_seeds,
    max_len: 4096,
};

/// The first bytes of a connection.
pub(super) const ACCEPT: Target = Target {
    name: "transport_accept",
    about: "detection on accept, obfuscation and fake TLS with known secrets, in pieces",
    run: accept,
    seeds: accept_seeds,
    max_len: 4096,
};

/// Requests and answers of HTTP, the WebSocket upgrade.
pub(super) const HTTP: Target = Target {
    name: "transport_http",
    about: "HTTP requests and answers, WebSocket upgrades",
    run: http,
    seeds: http_seeds,
    max_len: 4096,
};

const NOW: u32 = 1_700_000_000;
pub(super) const LIMITS: ConnectionLimits = ConnectionLimits::DEFAULT.with_max_frame(1 << 16);

/// What came out of a stream, in order, and how it ended.
pub(super) type Seen = (Vec<(Vec<u8>, u32)>, Option<String>);

/// Feeds a stream in pieces of at most `piece` bytes.
pub(super) fn receive(connection: &mut Connection, bytes: &[u8], piece: usize) -> Seen {
    let mut buf = ReadBuf::new(&LIMITS);
    let mut seen = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        if let Err(error) = buf.extend_from_slice(piece) {
            return (seen, Some(error.to_string()));
        }
        loop {
            match connection.receiver.receive(&mut buf) {
                Ok(None) => break,
                Ok(Some(incoming)) => seen.push(owned(incoming)),
                Err(error) => return (seen, Some(error.to_string())),
            }
            assert!(seen.len() <= bytes.len(), "each thing that comes out takes at least a byte");
        }
    }
    assert!(buf.len() <= bytes.len());
    (seen, None)
}

fn owned(incoming: Incoming<'_>) -> (Vec<u8>, u32) {
    match incoming {
        Incoming::Envelope { payload, ack } => (payload.to_vec(), u32::from(ack == AckRequest::Quick)),
        Incoming::QuickAck(token) => (Vec::new(), 2 ^ token.to_raw()),
        Incoming::Error(code) => (Vec::new(), 3 ^ code.to_raw() as u32),
    }
}

fn decoder(input: &[u8]) {
    let Some(([mode, piece], bytes)) = input.split_first_chunk() else { return };
    let framing = Framing::ALL[usize::from(mode & 3)];
    let side = if mode & 4 == 0 { Side::Client } else { Side::Server };
    let connection = || Connection::plain(framing, side, LIMITS);
    let whole = receive(&mut connection(), bytes, bytes.len());
    let pieces = receive(&mut connection(), bytes, usize::from(*piece));
    assert_eq!(whole, pieces, "{framing:?} {side:?}: pieces make no difference");
}

pub(super) fn decoder_seeds() -> Vec<Vec<u8>> {
    let mut rng = Seeded::rng(1);
    let mut seeds = Vec::new();
    for mode in 0..8 {
        let framing = Framing::ALL[usize::from(mode & 3_u8)];
        // The writer is the other side of the one that reads.
        let side = if mode & 4 == 0 { Side::Server } else { Side::Client };
        let mut seed = vec![mode, 5];
        let mut writer = Connection::plain(framing, side, LIMITS);
        for len in [40, 24, 600] {
            let mut envelope = vec![7; len];
            rng.fill_bytes(&mut envelope[..16]);
            let ack = if side == Side::Client && len == 24 { AckRequest::Quick } else { AckRequest::No };
            if writer.sender.encode_into(&mut seed, &envelope, ack, &mut rng).is_err() {
                writer
                    .sender
                    .encode_into(&mut seed, &envelope, AckRequest::No, &mut rng)
                    .expect("a small envelope fits");
            }
            if side == Side::Server {
                writer.sender.quick_ack_into(&mut seed, QuickAckToken::from_raw(0xdead_beef), &mut rng);
            }
        }
        seeds.push(seed);
    }
    for entry in vectors::load("transport_frames").list("frames") {
        if entry.has("frame") {
            seeds.push([&[0, 9][..], &entry.bytes("frame")].concat());
        }
    }
    seeds
}

pub(super) fn secrets() -> Vec<ProxySecret> {
    let tls = "ee00112233445566778899aabbccddeeff6578616d706c652e636f6d";
    let tls = ProxySecret::parse(tls).expect("it is well formed");
    vec![ProxySecret::plain([3; 16]), ProxySecret::padded([5; 16]), tls]
}

/// Every way to begin: plain framings, obfuscated ones, with each secret.
fn connectors() -> Vec<(Connector, AcceptConfig)> {
    let dc = DcId::production(2);
    let datacenter = || AcceptConfig::datacenter().with_limits(LIMITS);
    let mut all: Vec<_> =
        Framing::ALL.iter().map(|framing| (Connector::plain(*framing), datacenter())).collect();
    for framing in [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate] {
        all.push((Connector::obfuscated(framing, None).expect("it has a tag"), datacenter()));
    }
    for secret in &secrets() {
        all.push((Connector::proxy(secret, dc), AcceptConfig::proxy(secrets()).with_limits(LIMITS)));
    }
    all
}

/// First byte: how to begin; 0x80 set: the bytes are the very first ones. Second: the size of pieces.
fn accept(input: &[u8]) {
    let Some(([mode, piece], bytes)) = input.split_first_chunk() else { return };
    let kinds = connectors();
    let (connector, config) = &kinds[usize::from(mode & 0x7f) % kinds.len()];
    if mode & 0x80 == 0 {
        begun(connector, config, bytes, usize::from(*piece));
    } else {
        let mut replays = ReplayFilter::new(4);
        let replays = (mode & 0x40 != 0).then_some(&mut replays);
        let mut context = AcceptContext { config, unix_time: NOW, replays };
        let acceptor = if mode & 0x20 == 0 { Acceptor::new() } else { Acceptor::inside_websocket() };
        listen(acceptor, &mut context, &mut bytes.chunks(usize::from(*piece).max(1)));
    }
}

/// Lets a server find out what is spoken; returns how far it came.
fn listen(
    mut acceptor: Acceptor,
    context: &mut AcceptContext<'_>,
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> (Vec<u8>, Option<(Connection, ReadBuf)>) {
    let mut rng = Seeded::rng(2);
    let mut buf = ReadBuf::new(&context.config.limits);
    let mut answer = Vec::new();
    loop {
        match acceptor.handle(&mut buf, context, &mut rng) {
            Ok(AcceptStep::Incomplete(next)) => acceptor = next,
            Ok(AcceptStep::Answer { bytes, next }) => {
                assert!(answer.is_empty(), "a server answers once");
                answer = bytes;
                acceptor = next;
                continue;
            }
            Ok(AcceptStep::Ready(mut accepted)) => {
                let rest: Vec<u8> = pieces.flatten().copied().collect();
                if buf.extend_from_slice(&rest).is_ok() {
                    while let Ok(Some(_)) = accepted.connection.receiver.receive(&mut buf) {}
                }
                return (answer, Some((accepted.connection, buf)));
            }
            _ => return (answer, None),
        }
        let Some(piece) = pieces.next() else { return (answer, None) };
        if buf.extend_from_slice(piece).is_err() {
            return (answer, None);
        }
    }
}

/// A client that begins as it should and then sends the input, hidden as it should be.
fn begun(connector: &Connector, config: &AcceptConfig, bytes: &[u8], piece: usize) {
    let mut rng = Seeded::rng(3);
    let mut opening = Vec::new();
    let mut connect = connector.start(NOW, &mut rng, &mut opening).expect("it starts");
    let mut context = AcceptContext { config, unix_time: NOW, replays: None };
    if let ConnectStep::FakeTls(waiting) = connect {
        let (answer, _) = listen(Acceptor::new(), &mut context, &mut opening.chunks(997));
        let mut buf = ReadBuf::new(&LIMITS);
        buf.extend_from_slice(&answer).expect("it fits");
        connect = waiting.handle(&mut buf).expect("our own answer is in order");
    }
    let ConnectStep::Ready(mut client) = connect else { panic!("the answer was whole") };
    let mut hidden = bytes.to_vec();
    client.sender.obfuscate(&mut hidden);
    let mut scratch = Vec::new();
    let wrapped = client.sender.wrap(&hidden, &mut scratch);
    // A client of fake TLS waits for the answer; before it nothing may follow the hello.
    let mut pieces = opening.chunks(piece.max(1)).chain(wrapped.chunks(piece.max(1)));
    let (_, accepted) = listen(Acceptor::new(), &mut context, &mut pieces);
    let is_enough = bytes.len() >= 8;
    assert!(
        accepted.is_some() || !is_enough || matches!(connector.framing(), Framing::Full),
        "{connector:?}"
    );
}

pub(super) fn accept_seeds() -> Vec<Vec<u8>> {
    let mut rng = Seeded::rng(4);
    let mut seeds = Vec::new();
    for (number, (connector, _)) in connectors().into_iter().enumerate() {
        let mut frames = Vec::new();
        let mut writer = Connection::plain(connector.framing(), Side::Client, LIMITS);
        for filler in 1..4 {
            let envelope = [filler; 40];
            writer.sender.encode_into(&mut frames, &envelope, AckRequest::No, &mut rng).expect("it fits");
        }
        seeds.push([&[number as u8, 7][..], &frames].concat());
        let mut wire = vec![0x80 | number as u8, 200];
        connector.start(NOW, &mut rng, &mut wire).expect("it starts");
        wire.extend(frames);
        seeds.push(wire);
    }
    for text in ["GET /apiws HTTP/1.1\r\nHost: a\r\n", "POST /api HTTP/1.1\r\nContent-Length: 40\r\n\r\n"] {
        seeds.push([&[0x80, 3][..], text.as_bytes()].concat());
    }
    for upgrade in http_seeds() {
        seeds.push([&[0x80, 50][..], &upgrade].concat());
    }
    seeds
}

fn http(input: &[u8]) {
    let limits = ConnectionLimits::DEFAULT.with_max_frame(1 << 16);
    if let Ok(Some(head)) = RequestHead::parse(input, &limits) {
        assert!(head.len() <= input.len());
        let _ = (head.method(), head.path(), head.origin(), head.persistence());
        if head.asks_for_websocket()
            && let Ok(upgrade) = Upgrade::from_request(&head)
        {
            assert!(upgrade.response().ends_with("\r\n\r\n"));
        }
    }
    let _ = Request::parse(input, &limits);
    let _ = Response::parse(input, &limits);
    if let Ok(Some(len)) = check_response(input, &[7; 16], &limits) {
        assert!(len <= input.len());
    }
    // What is whole stays whole when more follows, and what is cut is not.
    if let Ok(Some(head)) = RequestHead::parse(input, &limits) {
        let len = head.len();
        assert!(matches!(RequestHead::parse(&input[..len], &limits), Ok(Some(again)) if again.len() == len));
    }
}

pub(super) fn http_seeds() -> Vec<Vec<u8>> {
    use chappe_transport::http::{
        Cors, Persistence, error_response_into, request_head_into, response_head_into,
    };
    let mut seeds = Vec::new();
    let mut request = Vec::new();
    if request_head_into(&mut request, "example.com", "/api", 40).is_ok() {
        request.extend([7; 40]);
        seeds.push(request);
    }
    let mut response = Vec::new();
    response_head_into(&mut response, 40, Persistence::KeepAlive, Cors::Allow);
    response.extend([7; 40]);
    seeds.push(response);
    let mut error = Vec::new();
    error_response_into(&mut error, chappe_transport::TransportErrorCode::UnknownAuthKey, Cors::Allow);
    seeds.push(error);
    let mut upgrade = Vec::new();
    if chappe_transport::websocket::request_into(&mut upgrade, "example.com", "/apiws", &[7; 16]).is_ok() {
        seeds.push(upgrade);
    }
    seeds
}
