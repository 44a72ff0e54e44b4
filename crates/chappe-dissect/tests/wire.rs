//! What a dissector tells of whole conversations, on every transport.

mod common;

use chappe_crypto::Side;
use chappe_dissect::{Beginning, ConnectionId, Content, Dissector, Keys, Record, Unreadable};
use chappe_transport::Framing;
use common::{Transport, Wire, at, conversation, dissector, drain, lines};

const ID: ConnectionId = ConnectionId(1);

/// The records of a conversation whose bytes arrive in pieces of `step`.
fn records(wire: &Wire, step: usize) -> Vec<Record> {
    let mut dissector = dissector();
    for (number, (from, bytes)) in wire.iter().enumerate() {
        for piece in bytes.chunks(step) {
            dissector.handle_bytes(ID, *from, at(number), piece);
        }
    }
    drain(&mut dissector)
}

/// What [`conversation`] contains, without the line about the transport.
const EXPECTED: &str = "\
#1 client  req_pq_multi, msg_id 65c53d5000000000, 20 bytes, plain
#1 server  resPQ, msg_id 65c53d5000000005, 64 bytes, plain
#1 client  msg_container of 3, msg_id 65c53d5000000014, seq_no 4
#1 client    msgs_ack 65c53d5000000005, msg_id 65c53d5000000008, seq_no 0
#1 client    help.getConfig, msg_id 65c53d500000000c, seq_no 1, 4 bytes
#1 client    #12345678, msg_id 65c53d5000000010, seq_no 3, 36 bytes
#1 server  quick ack TOKEN for 65c53d5000000014
#1 server  rpc_result config to help.getConfig 65c53d500000000c after TIME, msg_id 65c53d5000000019, seq_no 1, 1600 bytes in gzip of 56
#1 server  rpc_result rpc_error 420 FLOOD_WAIT_3 to #12345678 65c53d5000000010 after TIME, msg_id 65c53d500000001d, seq_no 3, 24 bytes
#1 client  #87654321, msg_id 65c53d5000000020, seq_no 5, 80 bytes
#1 client  #87654321, msg_id 65c53d5000000024, seq_no 7, 80 bytes, sent before as 65c53d5000000020
#1 server  rpc_result #99999999 to #87654321 65c53d5000000024 after TIME, msg_id 65c53d5000000029, seq_no 5, 12 bytes
#1 server  rpc_result #99999999 to #87654321 65c53d5000000024 after TIME, msg_id 65c53d5000000029, seq_no 5, 12 bytes, repeated
#1 server  pong to #87654321 65c53d5000000024 after TIME, msg_id 65c53d500000002d, seq_no 6, 20 bytes
";

/// Replaces what differs between transports and runs: times and tokens. Drops the time of day.
fn normal(line: &str) -> String {
    let words = line.split(' ').skip(1).collect::<Vec<_>>().join(" ");
    let words = match words.split_once(" after ") {
        Some((before, rest)) if rest.contains(" ms") => {
            let behind = rest.split_once(" ms").map_or("", |(_, behind)| behind);
            format!("{before} after TIME{behind}")
        }
        _ => words,
    };
    match words.split_once("quick ack ") {
        Some((before, rest)) => format!("{before}quick ack TOKEN{}", &rest[8..]),
        None => words,
    }
}

#[test]
fn every_transport_gives_the_same_messages_however_the_bytes_are_split() {
    for transport in Transport::all() {
        let wire = conversation(&transport);
        for step in [1, 7, 1448, usize::MAX] {
            let found = records(&wire, step);
            assert!(matches!(found[0].content, Content::Transport(_)), "{transport:?}: {:?}", found[0]);
            let lines: String = lines(&found[1..]).iter().map(|line| normal(line) + "\n").collect();
            // Full and HTTP have no quick acknowledgements.
            let quick = !matches!(transport, Transport::Http | Transport::Plain(Framing::Full));
            let expected: String =
                EXPECTED.split_inclusive('\n').filter(|line| quick || !line.contains("quick ack")).collect();
            assert_eq!(lines, expected, "{transport:?} in pieces of {step}");
        }
    }
}

#[test]
fn the_transport_is_named() {
    let first = |transport| {
        let found = records(&conversation(&transport), usize::MAX);
        normal(&lines(&found[..1])[0])
    };
    assert_eq!(first(Transport::Plain(Framing::Full)), "#1 client  transport full");
    assert!(
        first(Transport::Obfuscated(Framing::Abridged))
            .starts_with("#1 client  transport abridged, obfuscated")
    );
    assert_eq!(
        first(Transport::Secret(common::TLS_SECRET)),
        "#1 client  transport padded intermediate, obfuscated, in fake TLS, with secret 1, datacenter 2"
    );
    assert_eq!(first(Transport::Http), "#1 client  transport HTTP");
    assert!(first(Transport::WebSocket).contains("in WebSocket"));
}

#[test]
fn the_order_of_the_directions_does_not_matter() {
    for transport in Transport::all() {
        let wire = conversation(&transport);
        let mut dissector = dissector();
        // All of the server's bytes were captured in front of the client's.
        for side in [Side::Server, Side::Client] {
            for (_, bytes) in wire.iter().filter(|(from, _)| *from == side) {
                dissector.handle_bytes(ID, side, at(0), bytes);
            }
        }
        let found = drain(&mut dissector);
        let messages = found.iter().filter(|record| matches!(record.content, Content::Message(_)));
        assert_eq!(messages.count(), 13, "{transport:?}");
    }
}

#[test]
fn without_the_key_envelopes_are_counted_and_without_the_secret_nothing_is_guessed() {
    let run = |transport: &Transport, dissector: &mut Dissector| {
        dissector.open(ID, Beginning::Seen);
        for (number, (from, bytes)) in conversation(transport).iter().enumerate() {
            dissector.handle_bytes(ID, *from, at(number), bytes);
        }
        drain(dissector)
    };
    let plain = Transport::Plain(Framing::Abridged);
    let sealed = run(&plain, &mut Dissector::new(Keys::new()));
    let count = |records: &[Record]| {
        records.iter().filter(|record| matches!(record.content, Content::Sealed { error: None, .. })).count()
    };
    assert_eq!(count(&sealed), 8);
    for (secret, reason) in
        [(common::PLAIN_SECRET, Unreadable::Unrecognised), (common::TLS_SECRET, Unreadable::Tls)]
    {
        let found = run(&Transport::Secret(secret), &mut Dissector::new(Keys::new()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].content, Content::Unreadable(reason));
    }
}

#[test]
fn a_key_that_becomes_known_opens_what_follows() {
    let wire = conversation(&Transport::Plain(Framing::Intermediate));
    let mut dissector = Dissector::new(Keys::new());
    dissector.open(ID, Beginning::Seen);
    for (number, (from, bytes)) in wire.iter().enumerate() {
        if number == wire.len() - 1 {
            dissector.keys_mut().insert(common::key());
        }
        dissector.handle_bytes(ID, *from, at(number), bytes);
    }
    let found = drain(&mut dissector);
    assert!(matches!(found[found.len() - 2].content, Content::Sealed { .. }));
    assert!(matches!(found[found.len() - 1].content, Content::Message(_)));
}
