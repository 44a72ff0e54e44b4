//! A relay between every kind of client and every kind of datacenter.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use chappe_transport::{
    AckRequest, Connection, ConnectionLimits, Framing, Incoming, MalformedStream, QuickAckToken, ReadBuf,
    Relay, Side, TransportError, TransportErrorCode,
};
use common::{Pair, buf, connect, envelope, kinds, rng};

/// What arrives at an end, as values.
#[derive(Debug, PartialEq, Eq)]
enum Arrived {
    Envelope(Vec<u8>, AckRequest),
    QuickAck(QuickAckToken),
    Error(TransportErrorCode),
}

fn receive(connection: &mut Connection, buf: &mut ReadBuf) -> Vec<Arrived> {
    let mut arrived = Vec::new();
    while let Some(incoming) = connection.receiver.receive(buf).expect("the relay writes what can be read") {
        arrived.push(match incoming {
            Incoming::Envelope { payload, ack } => Arrived::Envelope(payload.to_vec(), ack),
            Incoming::QuickAck(token) => Arrived::QuickAck(token),
            Incoming::Error(code) => Arrived::Error(code),
        });
    }
    arrived
}

/// Passes a stream in pieces of this length, and returns what is written at the other end.
fn pass(relay: &mut Relay, wire: &[u8], piece: usize) -> Vec<u8> {
    let (mut out, mut scratch) = (Vec::new(), vec![0xa5; 9]);
    for piece in wire.chunks(piece) {
        let mut bytes = piece.to_vec();
        relay.pass(&mut bytes, &mut scratch).expect("the stream is well formed");
        assert!(bytes.len() <= 3 * piece.len() + 128, "it holds no more than the start of a frame");
        out.extend(bytes);
    }
    out
}

/// Joins a client and a datacenter. Returns their ends and the relays between them.
fn joined(client: Pair, datacenter: Pair) -> (Connection, Connection, Relay, Relay) {
    let (mut up, down) = Relay::join(client.server.connection, datacenter.client);
    let (mut wire, mut read) = (Vec::new(), client.server_buf);
    let mut inside = datacenter.server.connection;
    // Of the datacenter's own client, which is replaced by the relay.
    let mut server_buf = datacenter.server_buf;
    assert_eq!(receive(&mut inside, &mut server_buf), [Arrived::Envelope(envelope(1, 2), AckRequest::No)]);
    // What the client sent in one piece with its header.
    up.pass_buffered(&mut read, &mut wire, &mut Vec::new()).unwrap();
    assert!(read.is_empty());
    server_buf.extend_from_slice(&wire).unwrap();
    assert_eq!(receive(&mut inside, &mut server_buf), [Arrived::Envelope(envelope(1, 1), AckRequest::No)]);
    assert!(server_buf.is_empty());
    (client.client, inside, up, down)
}

#[test]
fn every_client_reaches_every_datacenter_through_pieces_of_any_length() {
    let mut rng = rng(7);
    for (outer, config) in kinds() {
        for (inner, inner_config) in kinds() {
            for piece in [1, 7, 100_000] {
                let ends = (
                    connect(&outer, &config, 1, &envelope(1, 1)),
                    connect(&inner, &inner_config, 2, &envelope(1, 2)),
                );
                let (mut client, mut datacenter, mut up, mut down) = joined(ends.0, ends.1);
                let sent = [
                    envelope(0, 3),
                    envelope(200, 4),
                    [vec![0; 16], vec![20, 0, 0, 0], vec![5; 20]].concat(),
                ];
                let mut wire = Vec::new();
                for (index, sent) in sent.iter().enumerate() {
                    let ack = if index == 1 { AckRequest::Quick } else { AckRequest::No };
                    client.sender.encode_into(&mut wire, sent, ack, &mut rng).unwrap();
                }
                let mut arrived = buf();
                arrived.extend_from_slice(&pass(&mut up, &wire, piece)).unwrap();
                let can_ack = outer.framing().has_quick_acks() && inner.framing().has_quick_acks();
                let ack = if can_ack { AckRequest::Quick } else { AckRequest::No };
                let expected = [
                    Arrived::Envelope(sent[0].clone(), AckRequest::No),
                    Arrived::Envelope(sent[1].clone(), ack),
                    Arrived::Envelope(sent[2].clone(), AckRequest::No),
                ];
                assert_eq!(receive(&mut datacenter, &mut arrived), expected, "{outer:?} {inner:?} {piece}");
                assert!(arrived.is_empty());

                let mut wire = Vec::new();
                let token = QuickAckToken::from_raw(0xdead_beef);
                datacenter.sender.set_max_padding(15);
                datacenter.sender.quick_ack_into(&mut wire, token, &mut rng);
                datacenter.sender.encode_into(&mut wire, &sent[1], AckRequest::No, &mut rng).unwrap();
                datacenter
                    .sender
                    .error_into(&mut wire, TransportErrorCode::UnknownAuthKey, &mut rng)
                    .unwrap();
                let mut arrived = buf();
                arrived.extend_from_slice(&pass(&mut down, &wire, piece)).unwrap();
                let mut expected = vec![Arrived::Envelope(sent[1].clone(), AckRequest::No)];
                if can_ack {
                    expected.insert(0, Arrived::QuickAck(token));
                }
                expected.push(Arrived::Error(TransportErrorCode::UnknownAuthKey));
                assert_eq!(receive(&mut client, &mut arrived), expected, "{outer:?} {inner:?} {piece}");
                assert!(arrived.is_empty());
            }
        }
    }
}

fn plain(from: Framing, to: Framing) -> (Relay, Relay) {
    let limits = ConnectionLimits::DEFAULT;
    Relay::join(Connection::plain(from, Side::Server, limits), Connection::plain(to, Side::Client, limits))
}

#[test]
fn sec_138_a_long_frame_passes_before_its_end_has_come() {
    let (mut up, _) = plain(Framing::Intermediate, Framing::Full);
    let mut bytes = [&(1_u32 << 23).to_le_bytes()[..], &[7; 1000]].concat();
    up.pass(&mut bytes, &mut Vec::new()).unwrap();
    assert_eq!(bytes.len(), 8 + 1000);
}

#[test]
fn a_wrong_checksum_ends_the_relay_behind_its_frame() {
    let mut rng = rng(1);
    let (_, mut down) = plain(Framing::Abridged, Framing::Full);
    let mut writer = Connection::plain(Framing::Full, Side::Server, ConnectionLimits::DEFAULT);
    let mut wire = Vec::new();
    writer.sender.encode_into(&mut wire, &envelope(3, 1), AckRequest::No, &mut rng).unwrap();
    writer.sender.encode_into(&mut wire, &envelope(3, 1), AckRequest::No, &mut rng).unwrap();
    *wire.last_mut().unwrap() ^= 1;
    let refused = down.pass(&mut wire, &mut Vec::new());
    assert!(matches!(refused, Err(TransportError::Malformed(MalformedStream::BadCrc { .. }))), "{refused:?}");
}

#[test]
fn what_no_framing_can_carry_is_refused() {
    let (mut up, _) = plain(Framing::PaddedIntermediate, Framing::Abridged);
    // A plain envelope whose body is not made of whole words.
    let mut bytes = [&42_u32.to_le_bytes()[..], &[0; 16], &[21, 0, 0, 0], &[7; 22]].concat();
    let refused = up.pass(&mut bytes, &mut Vec::new());
    assert_eq!(refused, Err(MalformedStream::FrameUnaligned { len: 41 }.into()));
    let (mut up, _) = plain(Framing::Intermediate, Framing::Abridged);
    let refused = up.pass(&mut [12, 0, 0, 0].repeat(4), &mut Vec::new());
    assert_eq!(refused, Err(MalformedStream::ShortPayload { len: 12 }.into()));
}
