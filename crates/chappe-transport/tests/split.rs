//! Any split of any sequence of frames gives the same frames, on every transport, for both sides.

mod common;

use chappe_transport::{
    AckRequest, Connection, ConnectionLimits, Framing, Incoming, QuickAckToken, ReadBuf, Receiver, Sender,
    Side, TransportErrorCode,
};
use common::{buf, connect, envelope, kinds, rng};
use proptest::prelude::*;

/// What one side sends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Envelope(Vec<u8>, AckRequest),
    QuickAck(u32),
    Error(i32),
}

fn envelopes() -> impl Strategy<Value = Vec<u8>> {
    let encrypted = (1..600_usize, any::<u8>()).prop_map(|(blocks, filler)| envelope(blocks, filler));
    let plain = (1..50_usize, any::<u8>()).prop_map(|(words, filler)| {
        let mut envelope = vec![0; 20];
        envelope[16..].copy_from_slice(&(4 * words as u32).to_le_bytes());
        envelope.resize(20 + 4 * words, filler);
        envelope
    });
    prop_oneof![4 => encrypted, 1 => plain]
}

fn items(side: Side) -> impl Strategy<Value = Vec<Item>> {
    let ack = prop_oneof![Just(AckRequest::No), Just(AckRequest::Quick)];
    let envelope = (envelopes(), ack).prop_map(move |(envelope, ack)| {
        Item::Envelope(envelope, if side == Side::Client { ack } else { AckRequest::No })
    });
    let item = match side {
        Side::Client => envelope.boxed(),
        Side::Server => prop_oneof![
            6 => envelope,
            1 => any::<u32>().prop_map(|token| Item::QuickAck(token | 1 << 31)),
            1 => (2..i32::MAX).prop_map(|code| Item::Error(-code)),
        ]
        .boxed(),
    };
    prop::collection::vec(item, 0..12)
}

fn send(sender: &mut Sender, items: &[Item], seed: u64) -> (Vec<u8>, Vec<Item>) {
    let (mut wire, mut sent) = (Vec::new(), Vec::new());
    let mut rng = rng(seed);
    sender.set_max_padding(15);
    for item in items {
        match item {
            Item::Envelope(envelope, ack) => {
                sender.encode_into(&mut wire, envelope, *ack, &mut rng).expect("it fits");
                let ack = if sender.framing().has_quick_acks() { *ack } else { AckRequest::No };
                sent.push(Item::Envelope(envelope.clone(), ack));
            }
            Item::QuickAck(token) => {
                sender.quick_ack_into(&mut wire, QuickAckToken::from_raw(*token), &mut rng);
                sent.extend(sender.framing().has_quick_acks().then(|| item.clone()));
            }
            Item::Error(code) => {
                sender.error_into(&mut wire, TransportErrorCode::from_raw(*code), &mut rng).expect("it fits");
                sent.push(item.clone());
            }
        }
    }
    (wire, sent)
}

fn drain(receiver: &mut Receiver, buf: &mut ReadBuf, got: &mut Vec<Item>) {
    while let Some(incoming) = receiver.receive(buf).expect("it is well formed") {
        got.push(match incoming {
            Incoming::Envelope { payload, ack } => Item::Envelope(payload.to_vec(), ack),
            Incoming::QuickAck(token) => Item::QuickAck(token.to_raw()),
            Incoming::Error(code) => Item::Error(code.to_raw()),
        });
    }
}

/// Cuts `wire` into pieces of the given lengths, over and over.
fn deliver(receiver: &mut Receiver, buf: &mut ReadBuf, mut wire: &[u8], pieces: &[usize]) -> Vec<Item> {
    let mut got = Vec::new();
    drain(receiver, buf, &mut got);
    for piece in pieces.iter().cycle() {
        if wire.is_empty() {
            break;
        }
        let (now, later) = wire.split_at((*piece).min(wire.len()));
        buf.extend_from_slice(now).expect("it fits");
        drain(receiver, buf, &mut got);
        wire = later;
    }
    got
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        prop::collection::vec(1..40_usize, 1..20),
        prop::collection::vec(1..9000_usize, 1..9)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sec_137_any_split_gives_the_same_frames(
        up in items(Side::Client),
        down in items(Side::Server),
        pieces in pieces(),
        seed in any::<u64>(),
    ) {
        for (connector, config) in kinds() {
            let first = envelope(2, 9);
            let mut pair = connect(&connector, &config, seed, &first);
            prop_assert_eq!(pair.client.framing(), pair.server.connection.framing());

            let (wire, mut sent) = send(&mut pair.client.sender, &up, seed);
            sent.insert(0, Item::Envelope(first, AckRequest::No));
            let receiver = &mut pair.server.connection.receiver;
            prop_assert_eq!(deliver(receiver, &mut pair.server_buf, &wire, &pieces), sent);
            prop_assert!(pair.server_buf.is_empty());

            let (wire, sent) = send(&mut pair.server.connection.sender, &down, seed);
            let receiver = &mut pair.client.receiver;
            prop_assert_eq!(deliver(receiver, &mut pair.client_buf, &wire, &pieces), sent);
            prop_assert!(pair.client_buf.is_empty());
        }
    }

    #[test]
    fn writing_around_a_payload_gives_the_same_bytes_as_appending(
        envelopes in prop::collection::vec(envelopes(), 1..6),
        seed in any::<u64>(),
    ) {
        for (connector, config) in kinds() {
            // Two connections with the same randomness.
            let mut a = connect(&connector, &config, seed, &envelope(1, 1)).client.sender;
            let mut b = connect(&connector, &config, seed, &envelope(1, 1)).client.sender;
            let (mut rng_a, mut rng_b) = (rng(seed), rng(seed));
            let mut scratch = Vec::new();
            for envelope in &envelopes {
                let mut appended = Vec::new();
                a.encode_into(&mut appended, envelope, AckRequest::Quick, &mut rng_a).expect("it fits");

                let affixes = b.encode(envelope, AckRequest::Quick, &mut rng_b).expect("it fits");
                let mut frame = [affixes.head(), envelope, affixes.tail()].concat();
                b.obfuscate(&mut frame);
                prop_assert_eq!(b.wrap(&frame, &mut scratch), appended);
            }
        }
    }
}

#[test]
fn ranges_of_a_callers_buffer_say_the_same_as_the_read_buf() {
    for framing in Framing::ALL {
        let mut client = Connection::plain(framing, Side::Client, ConnectionLimits::DEFAULT);
        let mut server = Connection::plain(framing, Side::Server, ConnectionLimits::DEFAULT);
        let envelopes = [envelope(3, 7), envelope(200, 8), envelope(1, 9)];
        let items = envelopes.clone().map(|envelope| Item::Envelope(envelope, AckRequest::No));
        let (mut wire, _) = send(&mut client.sender, &items, 1);
        assert_eq!(server.receiver.feed(&mut wire), Ok(wire.len()));
        let mut at = 0;
        for expected in &envelopes {
            let received = server.receiver.next_frame(&wire[at..]).expect("it is well formed");
            let chappe_transport::ReceivedFrame::Envelope { payload, used, .. } = received else {
                panic!("{framing:?}: {received:?}");
            };
            assert_eq!(wire[at..][payload], **expected, "{framing:?}");
            at += used;
        }
        assert_eq!(at, wire.len());
    }
}

#[test]
fn nothing_in_it_means_nothing() {
    for framing in Framing::ALL {
        let mut server = Connection::plain(framing, Side::Server, ConnectionLimits::DEFAULT);
        let mut client = Connection::plain(framing, Side::Client, ConnectionLimits::DEFAULT);
        let mut wire = Vec::new();
        let mut rng = rng(1);
        for len in [4, 8, 12] {
            let nop = vec![0; len];
            server.sender.encode_into(&mut wire, &nop, AckRequest::No, &mut rng).expect("it fits");
        }
        server.sender.encode_into(&mut wire, &envelope(1, 2), AckRequest::No, &mut rng).expect("it fits");
        let got = deliver(&mut client.receiver, &mut buf(), &wire, &[1]);
        assert_eq!(got, [Item::Envelope(envelope(1, 2), AckRequest::No)], "{framing:?}");
    }
}
