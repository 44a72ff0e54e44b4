//! Checks of one line each that no other test covers.

use chappe_framing::{FrameError, PeerMisbehaved, SessionId, TransportTail};
use chappe_session::SessionLimits;
use chappe_session::client::ReceiveError;
use chappe_session::server::{SaltSchedule, ServerConfig, ServerSession};
use chappe_transport::StreamRefusal;
use chappe_transport::http::HttpError;
use chappe_transport::http::RequestHead;
use chappe_transport::parts::ClientHello;
use chappe_transport::websocket::Upgrade;
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, ConnectionLimits as Bounds,
    Connector, DcId, ProxyLink, ProxySecret, ReadBuf, ReplayFilter, SecretError, TransportError,
};
use chappe_types::Rule;

use crate::pen::Pen;
use crate::server::{Hostile, World};
use crate::{START, key};

#[test]
fn requests_to_send_more_than_8192_messages_again_are_ignored() {
    let world = World::new();
    let salts = SaltSchedule::new([9; 32]);
    let mut session = ServerSession::new(ServerConfig::default(), key(1), SessionId::from_raw(7), salts, 1);
    session.handle_connected(world.now(), TransportTail::None);
    let mut hostile = Hostile::new(7);
    for (count, refused) in [(8192_u32, 0), (8193, 1)] {
        let mut body = [0x7d86_1a08_u32, 0x1cb5_c415, count].map(u32::to_le_bytes).concat();
        body.resize(12 + 8 * count as usize, 1);
        let mut frame = hostile.query(&world, &body);
        let _ = session.handle_frame(world.now(), &mut frame).unwrap();
        assert_eq!(session.counters().refused.of(Rule::new(103)), refused, "{count}");
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_before_it_is_decrypted() {
    let mut pen = Pen::with(SessionLimits::default().with(|limits| limits.received_bytes = 256));
    let error = pen.say(&[0x44; 400]).unwrap_err();
    assert_eq!(
        error,
        ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::UnpackedTooLarge { limit: 256 }))
    );
    pen.survives("a large frame");
}

#[test]
fn a_pong_to_no_ping_is_counted_as_such() {
    let mut pen = Pen::new();
    let before = pen.client.counters().refused.of(Rule::new(108));
    let pong = [&0x3477_73c5_u32.to_le_bytes()[..], &[4; 8], &[5; 8]].concat();
    assert_eq!(pen.say(&pong).unwrap(), []);
    assert_eq!(pen.client.counters().refused.of(Rule::new(108)), before + 1);
}

#[test]
fn a_link_without_end_is_not_read() {
    let link = "tg://proxy?server=example.com&port=443&secret=00112233445566778899aabbccddeeff";
    assert!(ProxyLink::parse(link).is_ok());
    let long = format!("{link}&more={}", "a".repeat(1 << 20));
    assert_eq!(ProxyLink::parse(&long).unwrap_err(), SecretError::Link);
}

#[test]
fn the_key_of_a_websocket_upgrade_has_sixteen_bytes() {
    for (key, is_right) in [
        ("AQIDBAUGBwgJCgsMDQ4PEA==", true),
        ("AQIDBAUGBwgJCgsMDQ4P", false),
        ("AQIDBAUGBwgJCgsMDQ4PEBE=", false),
    ] {
        let request = format!(
            "GET /apiws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        let head = RequestHead::parse(request.as_bytes(), &Bounds::DEFAULT).unwrap().unwrap();
        match Upgrade::from_request(&head) {
            Ok(_) => assert!(is_right, "{key}"),
            Err(error) => assert!(!is_right && error == HttpError::Upgrade, "{key}: {error}"),
        }
    }
}

#[test]
fn an_obfuscated_header_recorded_inside_fake_tls_is_refused_behind_a_fresh_hello() {
    let secret = ProxySecret::parse("ee00112233445566778899aabbccddeeff6578616d706c652e636f6d").unwrap();
    let config = AcceptConfig::proxy(vec![secret.clone()]);
    let connector = Connector::proxy(&secret, DcId::production(2));
    let mut replays = ReplayFilter::new(100);
    let mut recorded = Vec::new();
    for round in 0..2_u64 {
        let mut rng = chappe_conformance::fuzz::Seeded::rng(round);
        let (mut hello, mut server) = (Vec::new(), ReadBuf::new(&Bounds::DEFAULT));
        let ConnectStep::FakeTls(waiting) = connector.start(START as u32, &mut rng, &mut hello).unwrap()
        else {
            panic!("this secret demands fake TLS");
        };
        assert!(ClientHello::new_checked(&hello).is_ok());
        server.extend_from_slice(&hello).unwrap();
        let mut context =
            AcceptContext { config: &config, unix_time: START as u32, replays: Some(&mut replays) };
        let AcceptStep::Answer { bytes, next } =
            Acceptor::new().handle(&mut server, &mut context, &mut rng).unwrap()
        else {
            panic!("each hello is a fresh one");
        };
        if round == 0 {
            let mut client = ReadBuf::new(&Bounds::DEFAULT);
            client.extend_from_slice(&bytes).unwrap();
            let ConnectStep::Ready(mut link) = waiting.handle(&mut client).unwrap() else {
                panic!("it was whole")
            };
            link.sender.encode_into(&mut recorded, &[7; 40], AckRequest::No, &mut rng).unwrap();
        }
        server.extend_from_slice(&recorded).unwrap();
        let accepted = next.handle(&mut server, &mut context, &mut rng);
        match round {
            0 => assert!(matches!(accepted, Ok(AcceptStep::Ready(_)))),
            _ => assert!(
                matches!(accepted, Err(TransportError::Refused(StreamRefusal::Replayed))),
                "{accepted:?}"
            ),
        }
    }
}
