//! Every transport on one port.

use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;
use chappe_handshake::KeyKind;
use chappe_loopback::Loopback;
use chappe_net::blocking::dial;
use chappe_net::{Carrier, DialOptions, Endpoint, LinkError};
use chappe_tl_api::functions;
use chappe_tl_mtproto::functions::Ping;
use chappe_transport::{AckRequest, Connector, Framing, Incoming, TransportErrorCode};

use crate::client::{Client, PATIENCE, connect, make_key, plain};

fn all_connectors() -> Vec<Connector> {
    let hidden = [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate];
    let hidden = hidden.map(|framing| Connector::obfuscated(framing, None).expect("a framing with a tag"));
    Framing::ALL.map(plain).into_iter().chain(hidden).collect()
}

#[test]
fn every_transport_makes_a_key_and_gets_its_configuration() {
    let dc = Loopback::start().expect("a port is free");
    for connector in all_connectors() {
        let mut client = Client::start_over(&dc, connector.clone());
        let config = client.call(&functions::help::GetConfig {}).expect("an answer");
        let config = config.get();
        assert_eq!(config.this_dc, i32::from(dc.dc().number()), "{connector:?}");
        assert_eq!(config.dc_options[0].port, i32::from(dc.address().port()));
    }
}

#[test]
fn websocket_and_http_on_the_same_port_make_a_key_and_get_their_configuration() {
    let dc = Loopback::start().expect("a port is free");
    let hidden = Connector::obfuscated(Framing::PaddedIntermediate, None).expect("a framing with a tag");
    let carriers =
        [Carrier::WebSocket(Endpoint::websocket("localhost")), Carrier::Http(Endpoint::http("localhost"))];
    for carrier in carriers {
        let options = DialOptions::new(hidden.clone()).with_carrier(carrier);
        let mut rng = Drbg::from_os().expect("the system has randomness");
        let mut stream = dial(dc.address(), &options, &mut rng).expect("the datacenter listens");
        let finished = make_key(&dc, &mut stream, KeyKind::Permanent, &mut rng);
        let mut client = Client::with_key(stream, &finished, rng);
        let config = client.call(&functions::help::GetConfig {}).expect("an answer");
        assert_eq!(config.get().this_dc, i32::from(dc.dc().number()));
    }
    let counters = dc.counters();
    assert_eq!((counters.streams, counters.unknown), (1, 0));
    assert!(counters.http >= 1);
}

#[test]
fn a_key_is_good_on_the_next_connection() {
    let dc = Loopback::start().expect("a port is free");
    let mut rng = Drbg::from_os().expect("the system has randomness");
    let mut stream = connect(&dc, plain(Framing::Intermediate), &mut rng);
    let finished = make_key(&dc, &mut stream, KeyKind::Permanent, &mut rng);
    drop(stream);
    let stream = connect(&dc, plain(Framing::Full), &mut rng);
    let mut client = Client::with_key(stream, &finished, rng);
    client.call(&functions::help::GetNearestDc {}).expect("an answer");
}

#[test]
fn a_quick_ack_comes_where_it_was_asked_for() {
    let dc = Loopback::start().expect("a port is free");
    for framing in [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate] {
        let mut client = Client::start_over(&dc, plain(framing));
        client.send(&Ping { ping_id: 1 }, AckRequest::Quick);
        assert_ne!(client.receive_quick_ack().to_raw() & 1 << 31, 0, "{framing:?}");
    }
}

#[test]
fn sec_061_an_unknown_key_gets_404_and_the_connection_ends() {
    let dc = Loopback::start().expect("a port is free");
    let mut rng = Drbg::from_os().expect("the system has randomness");
    let mut stream = connect(&dc, plain(Framing::Intermediate), &mut rng);
    let mut frame = FrameBuf::new();
    frame.append(&[7; 88]);
    stream.send(&mut frame, AckRequest::No).expect("the datacenter reads");
    let code = stream.receive(PATIENCE, |incoming| match incoming {
        Incoming::Error(code) => code,
        other => panic!("{other:?} instead of an error"),
    });
    assert_eq!(code.expect("an error comes"), TransportErrorCode::UnknownAuthKey);
    assert!(matches!(stream.receive(PATIENCE, |_| ()), Err(LinkError::Closed | LinkError::Io(_))));
}

#[test]
fn sec_135_a_wrong_msg_key_under_a_known_key_closes_without_a_word() {
    let dc = Loopback::start().expect("a port is free");
    let mut client = Client::start(&dc);
    let mut frame = FrameBuf::new();
    frame.append(client.key().id().as_bytes());
    frame.append(&[7; 80]);
    client.stream.send(&mut frame, AckRequest::No).expect("the datacenter reads");
    let end = client.stream.receive(PATIENCE, |incoming| format!("{incoming:?}"));
    assert!(matches!(end, Err(LinkError::Closed | LinkError::Io(_))), "{end:?}");
}
