//! The framings against `transport_frames.json`.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read is a failed test")]

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::hash::sha256;
use chappe_crypto::rand_core::{Infallible, TryCryptoRng, TryRng};
use chappe_crypto::rng::Drbg;
use chappe_transport::parts::{Decoded, Decoder, Detected, Encoder, detect};
use chappe_transport::{
    AckRequest, Connection, ConnectionLimits, Framing, Incoming, QuickAckToken, ReadBuf, Side,
    TransportErrorCode,
};

/// Gives the padding of a vector: first its length, then its bytes.
struct Padding {
    words: Vec<u32>,
    bytes: Vec<u8>,
}

impl Padding {
    /// The encoder scales a word to one of `max + 1` lengths.
    fn new(bytes: &[u8], max: usize) -> Self {
        let word = ((bytes.len() as u64) << 32).div_ceil(max as u64 + 1);
        Self { words: vec![u32::try_from(word).unwrap()], bytes: bytes.to_vec() }
    }
}

impl TryRng for Padding {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.words.pop().expect("one length is drawn"))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("padding is drawn by words and bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.bytes);
        Ok(())
    }
}

impl TryCryptoRng for Padding {}

fn framing(name: &str) -> Framing {
    match name {
        "abridged" => Framing::Abridged,
        "intermediate" => Framing::Intermediate,
        "padded_intermediate" => Framing::PaddedIntermediate,
        "full" => Framing::Full,
        other => panic!("unknown transport {other}"),
    }
}

/// Reads the field, or makes the bytes its rule describes: `det('label',length)`.
fn payload(entry: &Entry) -> Vec<u8> {
    if entry.has("payload") {
        return entry.bytes("payload");
    }
    let rule =
        entry.text("payload_rule").strip_prefix("det('").and_then(|rule| rule.strip_suffix(')')).unwrap();
    let (label, len) = rule.split_once("',").unwrap();
    vectors::det(|bytes| sha256(&[bytes]), label, len.parse().unwrap())
}

fn sides(entry: &Entry) -> Vec<Side> {
    match entry.text("direction") {
        "both" => vec![Side::Client, Side::Server],
        "c2s" => vec![Side::Client],
        other => panic!("unknown direction {other}"),
    }
}

/// Writes as many frames as come before the one numbered `seq_no`.
fn advance(encoder: &mut Encoder, decoder: &mut Decoder, seq_no: u32) {
    for _ in 0..seq_no {
        let mut frame = Vec::new();
        let mut rng = Drbg::from_seed([0; 32]);
        encoder.encode_into(&mut frame, &[0; 24], AckRequest::No, &mut rng).unwrap();
        assert!(matches!(decoder.next_frame(&frame), Ok(Decoded::Frame { .. })));
    }
}

#[test]
fn every_frame_is_written_and_read() {
    let entries = vectors::load("transport_frames").list("frames");
    assert_eq!(entries.len(), 30);
    for entry in &entries {
        for side in sides(entry) {
            check_frame(entry, side);
        }
    }
}

fn check_frame(entry: &Entry, side: Side) {
    let framing = framing(entry.text("transport"));
    let payload = payload(entry);
    assert_eq!(payload.len(), entry.number::<usize>("payload_length"), "{entry:?}");
    let asked = entry.name().ends_with("_quick_ack_request");
    let ack = if asked { AckRequest::Quick } else { AckRequest::No };
    let pad_len = if entry.has("padding_length") { entry.number("padding_length") } else { 0 };
    // The one padded frame that is not given in full is padded by rule.
    let by_rule = || vectors::det(|bytes| sha256(&[bytes]), &format!("frame-pad{}", payload.len()), pad_len);
    let stated = if entry.has("frame") { entry.bytes("frame") } else { by_rule() };
    let pad = &stated[stated.len() - pad_len..];

    let mut encoder = Encoder::new(framing, side, ConnectionLimits::DEFAULT);
    let mut decoder = Decoder::new(framing, side, ConnectionLimits::DEFAULT);
    encoder.set_max_padding(15);
    if framing == Framing::Full {
        advance(&mut encoder, &mut decoder, entry.number("tcp_seqno"));
    }
    let max = if payload.len() == 4 { 11 } else { 15 };
    let mut frame = vec![0xa5; 3];
    encoder.encode_into(&mut frame, &payload, ack, &mut Padding::new(pad, max)).unwrap();
    let frame = &frame[3..];
    assert_eq!(frame.len(), entry.number::<usize>("frame_length"), "{entry:?}");
    assert_eq!(sha256(&[frame]), entry.array("frame_sha256"), "{entry:?}");
    assert!(frame.starts_with(&entry.bytes("frame_prefix")), "{entry:?}");

    // One byte short it is incomplete; with more behind it, it ends where it should.
    let short = decoder.next_frame(&frame[..frame.len() - 1]);
    assert_eq!(short, Ok(Decoded::Incomplete { needed: frame.len() }), "{entry:?}");
    let longer = [frame, &[0xa5; 9]].concat();
    let Ok(Decoded::Frame { payload: range, used, ack: read_ack }) = decoder.next_frame(&longer) else {
        panic!("{entry:?} is not read");
    };
    assert_eq!((used, read_ack), (frame.len(), ack), "{entry:?}");
    assert_eq!(longer[range.start..range.start + payload.len()], payload, "{entry:?}");
    assert_eq!(range.len(), payload.len() + pad_len, "{entry:?}");
}

#[test]
fn the_prefixes_are_the_stated_ones() {
    let prefixes = vectors::load("transport_frames").entry("client_connection_prefix");
    for name in ["abridged", "intermediate", "padded_intermediate", "full"] {
        assert_eq!(framing(name).prefix(), prefixes.bytes(name), "{name}");
    }
}

#[test]
fn every_quick_ack_is_written_and_read() {
    let entries = vectors::load("transport_frames").list("quick_ack_responses");
    assert_eq!(entries.len(), 3);
    for entry in entries {
        let framing = framing(entry.text("transport"));
        let token = QuickAckToken::from_raw(entry.number("token_u32"));
        assert_eq!(token.to_raw().to_le_bytes(), *entry.bytes("token_le_bytes"));
        let pad = if entry.has("padding") { entry.bytes("padding") } else { Vec::new() };
        let mut encoder = Encoder::new(framing, Side::Server, ConnectionLimits::DEFAULT);
        encoder.set_max_padding(15);
        let mut frame = Vec::new();
        encoder.quick_ack_into(&mut frame, token, &mut Padding::new(&pad, 8));
        assert_eq!(frame, entry.bytes("frame"), "{entry:?}");

        let mut client = Connection::plain(framing, Side::Client, ConnectionLimits::DEFAULT);
        let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        for byte in &frame {
            assert_eq!(client.receiver.receive(&mut buf), Ok(None), "{entry:?}");
            buf.extend_from_slice(&[*byte]).unwrap();
        }
        assert_eq!(client.receiver.receive(&mut buf), Ok(Some(Incoming::QuickAck(token))), "{entry:?}");
        assert!(buf.is_empty(), "{entry:?}");
    }
}

#[test]
fn every_transport_error_is_written_and_read() {
    let entries = vectors::load("transport_frames").list("transport_errors");
    assert_eq!(entries.len(), 4);
    let cases = [
        (Framing::Abridged, "abridged", 0),
        (Framing::Intermediate, "intermediate", 0),
        (Framing::PaddedIntermediate, "padded_intermediate_pad_0", 0),
        (Framing::PaddedIntermediate, "padded_intermediate_pad_11", 11),
        (Framing::Full, "full_seq0", 0),
    ];
    for entry in entries {
        let code = TransportErrorCode::from_raw(entry.number("code"));
        assert_eq!(code.to_raw(), entry.number::<i32>("code"));
        assert_eq!(code.to_payload(), *entry.bytes("payload"));
        for (framing, field, pad_len) in cases {
            let stated = entry.bytes(field);
            let pad = &stated[stated.len() - pad_len..];
            let mut server = Connection::plain(framing, Side::Server, ConnectionLimits::DEFAULT);
            server.sender.set_max_padding(15);
            let mut frame = Vec::new();
            server.sender.error_into(&mut frame, code, &mut Padding::new(pad, 11)).unwrap();
            assert_eq!(frame, stated, "{entry:?} {field}");

            let mut client = Connection::plain(framing, Side::Client, ConnectionLimits::DEFAULT);
            let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
            buf.extend_from_slice(&frame).unwrap();
            assert_eq!(
                client.receiver.receive(&mut buf),
                Ok(Some(Incoming::Error(code))),
                "{entry:?} {field}"
            );
        }
    }
}

#[test]
fn every_bad_frame_is_refused() {
    let entries = vectors::load("transport_frames").list("negative");
    assert_eq!(entries.len(), 8);
    for entry in entries {
        assert!(entry.text("expect").starts_with("close connection"));
        for side in [Side::Client, Side::Server] {
            let mut decoder = Decoder::new(framing(entry.text("transport")), side, ConnectionLimits::DEFAULT);
            let decoded = decoder.next_frame(&entry.bytes("frame"));
            assert!(decoded.is_err(), "{entry:?}: {decoded:?}");
        }
    }
}

#[test]
fn every_beginning_is_detected_at_its_last_byte_and_no_earlier() {
    let entries = vectors::load("transport_frames").list("server_detection");
    assert_eq!(entries.len(), 10);
    for entry in entries {
        let first = entry.bytes("first_bytes");
        let plain = |framing, prefix_len| Detected::Plain { framing, prefix_len };
        let expected = match entry.text("detected") {
            "abridged" => plain(Framing::Abridged, 1),
            "intermediate" => plain(Framing::Intermediate, 4),
            "padded_intermediate" => plain(Framing::PaddedIntermediate, 4),
            "full (bytes 4..8 are zero)" => plain(Framing::Full, 0),
            "http" | "http (possibly websocket upgrade)" => Detected::Http,
            "tls ClientHello (fake-TLS proxy)" => Detected::ClientHello,
            "obfuscated2 (read 64 bytes)" => Detected::Incomplete { needed: 64 },
            other => panic!("unknown transport {other}"),
        };
        for len in 0..first.len() {
            assert!(matches!(detect(&first[..len]), Detected::Incomplete { .. }), "{entry:?} {len}");
        }
        assert_eq!(detect(&first), expected, "{entry:?}");
        if expected == (Detected::Incomplete { needed: 64 }) {
            let header = [&first[..], &[0x5a; 56]].concat();
            assert_eq!(detect(&header), Detected::Obfuscated, "{entry:?}");
        }
    }
}
