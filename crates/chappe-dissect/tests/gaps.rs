//! Bytes that a capture does not have, connections whose beginning it does not have, and bytes that are not MTProto.

#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run with std")]

mod common;

use std::collections::BTreeSet;

use chappe_crypto::Side;
use chappe_dissect::{Beginning, ConnectionId, Content, Dissector, Record, Unreadable};
use chappe_transport::{AckRequest, Framing};
use common::{Carrier, Transport, Wire, at, body, conversation, dissector, drain, sealed};
use proptest::prelude::*;

const ID: ConnectionId = ConnectionId(1);

/// Ids of the messages in records.
fn msg_ids(records: &[Record]) -> BTreeSet<String> {
    records
        .iter()
        .filter_map(|record| match &record.content {
            Content::Message(message) => Some(message.msg_id.to_string()),
            _ => None,
        })
        .collect()
}

/// Sends `count` calls of 50 words each.
fn calls(transport: &Transport, count: u64) -> Wire {
    let mut carrier = Carrier::new(transport);
    for number in 1..=count {
        let (frame, _) = sealed(Side::Client, number, 1, &body(0x1234_0000 + number as u32, 50));
        carrier.send(Side::Client, &frame, AckRequest::No);
    }
    carrier.wire
}

/// The records of the client's bytes, of which `len` at `from` are missing.
fn with_gap(wire: &Wire, from: usize, len: usize) -> Vec<Record> {
    let mut dissector = dissector();
    for (side, bytes) in wire.iter().filter(|(side, _)| *side == Side::Server) {
        dissector.handle_bytes(ID, *side, at(0), bytes);
    }
    let bytes: Vec<u8> =
        wire.iter().filter(|(side, _)| *side == Side::Client).flat_map(|(_, bytes)| bytes.clone()).collect();
    dissector.handle_bytes(ID, Side::Client, at(0), &bytes[..from]);
    dissector.handle_gap(ID, Side::Client, at(1), len as u64);
    for piece in bytes[from + len..].chunks(33) {
        dissector.handle_bytes(ID, Side::Client, at(2), piece);
    }
    drain(&mut dissector)
}

#[test]
fn after_a_gap_every_later_message_is_read() {
    let framings = [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate, Framing::Full];
    let plain = framings.map(Transport::Plain);
    let obfuscated =
        [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate].map(Transport::Obfuscated);
    for transport in plain.into_iter().chain(obfuscated) {
        let wire = calls(&transport, 6);
        let sizes: Vec<usize> = wire.iter().map(|(_, bytes)| bytes.len()).collect();
        // The prefix or header, the first frame and one call are seen whole; then bytes of the next calls are missing.
        let begin: usize = sizes[..2].iter().sum();
        let end_of = |call: usize| -> usize { sizes[..=call].iter().sum() };
        for (from, len) in [(begin, 1), (begin + 2, 3), (begin + 40, 1), (begin + 40, 250), (begin + 1, 600)]
        {
            let found = with_gap(&wire, from, len);
            let whole = (2..=6).filter(|call| end_of(call - 1) >= from + len || end_of(*call) <= from);
            let seen = msg_ids(&found);
            for call in whole {
                let msg_id = common::msg_id(Side::Client, call as u64).to_string();
                assert!(
                    seen.contains(&msg_id),
                    "{transport:?}: {len} bytes at {from}: call {call} in {found:#?}"
                );
            }
            assert!(found.iter().any(|record| record.content == Content::Lost { len: len as u64 }));
        }
    }
}

#[test]
fn inside_of_fake_tls_and_websocket_a_gap_within_a_record_is_survived_and_another_is_told() {
    for transport in [Transport::Secret(common::TLS_SECRET), Transport::WebSocket] {
        let wire = calls(&transport, 4);
        let client: Vec<usize> =
            wire.iter().filter(|(side, _)| *side == Side::Client).map(|(_, bytes)| bytes.len()).collect();
        // The hello or the upgrade, the header with the first frame, then the calls.
        let begin: usize = client[..2].iter().sum();
        let found = with_gap(&wire, begin + 60, 20);
        let seen = msg_ids(&found);
        for call in 2..=4 {
            assert!(
                seen.contains(&common::msg_id(Side::Client, call).to_string()),
                "{transport:?}: {found:#?}"
            );
        }
        let found = with_gap(&wire, begin + 1, client[2]);
        assert_eq!(
            found.last().map(|record| &record.content),
            Some(&Content::Unreadable(Unreadable::TooMuchLost))
        );
    }
}

#[test]
fn requests_of_http_are_found_again() {
    let wire = calls(&Transport::Http, 4);
    let found = with_gap(&wire, wire[0].1.len() + 10, wire[1].1.len() - 10);
    let seen = msg_ids(&found);
    for call in 3..=4 {
        assert!(seen.contains(&common::msg_id(Side::Client, call).to_string()), "{found:#?}");
    }
}

#[test]
fn a_connection_that_had_begun_before_is_read_from_the_first_known_key_on() {
    for framing in Framing::ALL {
        let wire = calls(&Transport::Plain(framing), 3);
        let bytes: Vec<u8> = wire.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let mut dissector = dissector();
        dissector.open(ID, Beginning::Missed);
        dissector.handle_bytes(ID, Side::Client, at(0), &bytes[wire[0].1.len() + 100..]);
        let found = drain(&mut dissector);
        let seen = msg_ids(&found);
        for call in 2..=3 {
            assert!(
                seen.contains(&common::msg_id(Side::Client, call).to_string()),
                "{framing:?}: {found:#?}"
            );
        }
    }
    let wire = calls(&Transport::Obfuscated(Framing::Abridged), 3);
    let mut dissector = dissector();
    dissector.open(ID, Beginning::Missed);
    dissector.handle_bytes(ID, Side::Client, at(0), &wire[1].1);
    assert_eq!(drain(&mut dissector)[0].content, Content::Unreadable(Unreadable::NoBeginning));
}

#[test]
fn frames_that_never_end_do_not_take_more_memory_than_allowed() {
    let mut dissector = dissector().with_max_memory(4 << 20);
    for number in 0..64 {
        let connection = ConnectionId(number);
        dissector.open(connection, Beginning::Seen);
        dissector.handle_bytes(connection, Side::Client, at(0), &[0xee, 0xee, 0xee, 0xee, 0, 0, 0x80, 0]);
        for _ in 0..10 {
            dissector.handle_bytes(connection, Side::Client, at(0), &vec![1; 40_000]);
            assert!(dissector.memory() <= 4 << 20);
        }
    }
    let lost = drain(&mut dissector);
    assert!(lost.iter().any(|record| record.content == Content::Unreadable(Unreadable::OutOfMemory)));
}

/// A change of what was captured.
#[derive(Clone, Debug)]
enum Damage {
    Gap { at: usize, len: usize },
    Flip { at: usize, bit: u8 },
    Insert { at: usize, bytes: Vec<u8> },
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0..4000_usize;
    prop_oneof![
        (place.clone(), 1..2000_usize).prop_map(|(at, len)| Damage::Gap { at, len }),
        (place.clone(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        (place, prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
    ]
}

fn play(dissector: &mut Dissector, side: Side, bytes: &[u8], damages: &[Damage]) {
    let mut rest = bytes;
    for damage in damages {
        match damage {
            Damage::Gap { at: place, len } => {
                let (now, later) = rest.split_at((*place).min(rest.len()));
                dissector.handle_bytes(ID, side, at(0), now);
                dissector.handle_gap(ID, side, at(0), *len as u64);
                rest = &later[(*len).min(later.len())..];
            }
            Damage::Flip { at: place, bit } => {
                let (now, later) = rest.split_at((*place).min(rest.len()));
                let mut now = now.to_vec();
                if let Some(last) = now.last_mut() {
                    *last ^= 1 << bit;
                }
                dissector.handle_bytes(ID, side, at(0), &now);
                rest = later;
            }
            Damage::Insert { at: place, bytes } => {
                let (now, later) = rest.split_at((*place).min(rest.len()));
                dissector.handle_bytes(ID, side, at(0), now);
                dissector.handle_bytes(ID, side, at(0), bytes);
                rest = later;
            }
        }
    }
    dissector.handle_bytes(ID, side, at(0), rest);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn damaged_connections_neither_panic_nor_forge_messages(
        transport in 0..Transport::all().len(),
        begun in any::<bool>(),
        client in prop::collection::vec(damage(), 0..4),
        server in prop::collection::vec(damage(), 0..4),
    ) {
        let wire = conversation(&Transport::all()[transport]);
        let of = |side| wire.iter().filter(|(from, _)| *from == side).flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<u8>>();
        let mut whole = dissector();
        play(&mut whole, Side::Client, &of(Side::Client), &[]);
        play(&mut whole, Side::Server, &of(Side::Server), &[]);
        let expected = msg_ids(&drain(&mut whole));

        let mut dissector = dissector();
        dissector.open(ID, if begun { Beginning::Seen } else { Beginning::Missed });
        play(&mut dissector, Side::Client, &of(Side::Client), &client);
        play(&mut dissector, Side::Server, &of(Side::Server), &server);
        let records = drain(&mut dissector);
        for record in &records {
            let _ = record.line(&common::names).to_string();
            if let Content::Message(message) = &record.content
                && message.seq_no.is_some()
            {
                prop_assert!(expected.contains(&message.msg_id.to_string()));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        begun in any::<bool>(),
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300), 0..3_u64), 0..20),
        prefix in prop::sample::select(vec![&[0xef_u8][..], &[0xee; 4], &[0xdd; 4], b"POST /api HTTP/1.1\r\nContent-Length: 9\r\n\r\n", &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], b""]),
    ) {
        let mut dissector = dissector();
        dissector.open(ID, if begun { Beginning::Seen } else { Beginning::Missed });
        dissector.handle_bytes(ID, Side::Client, at(0), prefix);
        for (client, bytes, gap) in pieces {
            let side = if client { Side::Client } else { Side::Server };
            dissector.handle_bytes(ID, side, at(0), &bytes);
            dissector.handle_gap(ID, side, at(0), gap.saturating_sub(1) << 40);
        }
        for record in drain(&mut dissector) {
            let _ = record.line(&common::names).to_string();
        }
    }
}
