//! A datacenter that misbehaves on purpose.

use core::time::Duration;
use std::time::Instant;

use chappe_loopback::{Fault, FaultScript, Misbehaviour, Options};
use chappe_net::blocking::dial;
use chappe_net::{DialOptions, LinkError};
use chappe_tl::Identifiable;
use chappe_tl_api::functions;
use chappe_tl_mtproto::types;
use chappe_transport::{AckRequest, Incoming, TransportErrorCode};

use crate::client::{Client, PATIENCE};

fn start() -> (chappe_loopback::Loopback, FaultScript) {
    let faults = FaultScript::new();
    let dc = Options::new().faults(&faults).start().expect("a port is free");
    (dc, faults)
}

/// A client past its first call, so that the next envelope is the answer to its next call.
fn settled(dc: &chappe_loopback::Loopback) -> Client {
    let mut client = Client::start(dc);
    client.call(&functions::help::GetNearestDc {}).expect("an answer");
    client
}

#[test]
fn a_repeated_envelope_is_refused_by_the_session() {
    let (dc, faults) = start();
    let mut client = settled(&dc);
    faults.next(Fault::Duplicate);
    client.call(&functions::help::GetNearestDc {}).expect("an answer");
    assert_eq!(client.receive().expect("the repetition"), []);
    client.call(&functions::help::GetNearestDc {}).expect("an answer");
}

#[test]
fn a_delay_delays() {
    let (dc, faults) = start();
    let mut client = settled(&dc);
    faults.next(Fault::Delay(Duration::from_millis(300)));
    let before = Instant::now();
    client.call(&functions::help::GetNearestDc {}).expect("an answer");
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[test]
fn swapped_envelopes_come_in_the_other_order() {
    let (dc, faults) = start();
    let mut client = settled(&dc);
    faults.next(Fault::Swap);
    let held = client.send(&functions::help::GetNearestDc {}, AckRequest::No);
    // The first answer must be held back before the second query is read, or both go in one envelope.
    while !faults.is_used_up() {
        std::thread::yield_now();
    }
    let other = client.send(&functions::help::GetNearestDc {}, AckRequest::No);
    client.answer(other).expect("the later answer");
    client.answer(held).expect("the one that was held back");
}

#[test]
fn a_connection_can_end_at_any_byte() {
    let (dc, faults) = start();
    for count in [0, 1, 3, 40] {
        let mut client = settled(&dc);
        faults.next(Fault::CloseAfter(count));
        client.send(&functions::help::GetNearestDc {}, AckRequest::No);
        let end = client.receive();
        assert!(matches!(end, Err(LinkError::Closed | LinkError::Io(_))), "{count}: {end:?}");
    }
}

#[test]
fn transport_errors_come_as_asked() {
    let (dc, faults) = start();
    for code in [-404, -429, -444, -500] {
        let mut client = settled(&dc);
        faults.next(Fault::Error(TransportErrorCode::from_raw(code)));
        client.send(&functions::help::GetNearestDc {}, AckRequest::No);
        let came = client.stream.receive(PATIENCE, |incoming| match incoming {
            Incoming::Error(code) => code.to_raw(),
            other => panic!("{other:?} instead of an error"),
        });
        assert_eq!(came.expect("an error comes"), code);
    }
}

#[test]
fn every_bad_msg_code_can_be_provoked() {
    let (dc, faults) = start();
    let mut client = settled(&dc);
    for code in [16, 17, 18, 19, 20, 32, 33, 34, 35, 64, 99] {
        faults.next_query(Misbehaviour::BadMsg { code });
        client.send(&functions::help::GetNearestDc {}, AckRequest::No);
        let body = client.receive_object(types::BadMsgNotification::CONSTRUCTOR_ID);
        assert_eq!(body[body.len() - 4..], code.to_le_bytes());
    }
}

#[test]
fn a_wrong_salt_is_learned() {
    let (dc, faults) = start();
    let mut client = settled(&dc);
    faults.next_query(Misbehaviour::BadServerSalt { new_salt: 4711 });
    client.send(&functions::help::GetNearestDc {}, AckRequest::No);
    client.receive_object(types::BadServerSalt::CONSTRUCTOR_ID);
    assert_eq!(client.session.salt, 4711);
    // It was a lie; the truth follows.
    client.send(&functions::help::GetNearestDc {}, AckRequest::No);
    client.receive_object(types::BadServerSalt::CONSTRUCTOR_ID);
    client.call(&functions::help::GetNearestDc {}).expect("an answer");
}

#[test]
fn errors_for_callers_and_silence() {
    let (dc, faults) = start();
    let mut client = settled(&dc);
    faults.next_query(Misbehaviour::Silence);
    faults.next_query(Misbehaviour::RpcError { code: 420, message: "FLOOD_WAIT_3".into() });
    client.send(&functions::help::GetNearestDc {}, AckRequest::No);
    let refused = client.call(&functions::help::GetNearestDc {}).expect_err("by the script");
    assert_eq!((refused.code, refused.message.as_str()), (420, "FLOOD_WAIT_3"));
}

#[test]
fn connections_can_be_refused_for_a_while() {
    let (dc, faults) = start();
    faults.refuse_connections(true);
    let mut rng = chappe_crypto::rng::Drbg::from_os().expect("the system has randomness");
    let connector = crate::client::plain(chappe_transport::Framing::Abridged);
    // The connection is reset at once: dialling may see it, or else the first read does.
    let refused = match dial(dc.address(), &DialOptions::new(connector), &mut rng) {
        Ok(mut stream) => stream.receive(PATIENCE, |_| ()).is_err(),
        Err(_) => true,
    };
    assert!(refused);
    faults.refuse_connections(false);
    settled(&dc);
}
