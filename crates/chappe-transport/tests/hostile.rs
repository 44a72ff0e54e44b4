//! Bytes that no honest peer sends.

mod common;

use chappe_transport::http::Request;
use chappe_transport::http::RequestHead;
use chappe_transport::http::Response;
use chappe_transport::parts::{
    ClientHello, Decoded, Decoder, Encoder, Payload, RecordReader, RecordWriter, unpadded_len,
};
use chappe_transport::websocket::Upgrade;
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, Connection, ConnectionLimits, Framing,
    Incoming, ProxyLink, ProxySecret, QuickAckToken, ReadBuf, Side, TransportError, TransportErrorCode,
};
use chappe_transport::{MalformedStream, StreamRefusal, TransportMisuse};
use common::{NOW, buf, envelope, fake_tls_secret, kinds, rng};
use proptest::prelude::*;

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn decode(framing: Framing, from: Side, input: &[u8]) -> Result<Decoded, TransportError> {
    Decoder::new(framing, from, ConnectionLimits::DEFAULT).next_frame(input)
}

#[test]
fn sec_129_lengths_are_positive_limited_and_whole_words() {
    let max = ConnectionLimits::DEFAULT.max_frame;
    for from in SIDES {
        for framing in [Framing::Intermediate, Framing::PaddedIntermediate] {
            assert_eq!(
                decode(framing, from, &[0; 4]),
                Err(TransportError::Malformed(MalformedStream::EmptyFrame))
            );
            let huge = decode(framing, from, &0x7fff_ffff_u32.to_le_bytes());
            assert_eq!(
                huge,
                Err(TransportError::Malformed(MalformedStream::FrameTooLong { len: 0x7fff_ffff, max }))
            );
        }
        let odd = |framing| decode(framing, from, &[0x1d, 0, 0, 0]);
        assert_eq!(
            odd(Framing::Intermediate),
            Err(TransportError::Malformed(MalformedStream::FrameUnaligned { len: 29 }))
        );
        assert_eq!(odd(Framing::PaddedIntermediate), Ok(Decoded::Incomplete { needed: 33 }));
        assert_eq!(
            decode(Framing::Abridged, from, &[0]),
            Err(TransportError::Malformed(MalformedStream::EmptyFrame))
        );
        let huge = decode(Framing::Abridged, from, &[0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(
            huge,
            Err(TransportError::Malformed(MalformedStream::FrameTooLong { len: 0x3ff_fffc, max }))
        );
        assert_eq!(
            decode(Framing::Full, from, &[12, 0, 0, 0]),
            Err(TransportError::Malformed(MalformedStream::EmptyFrame))
        );
        let huge = decode(Framing::Full, from, &0x7fff_fffc_u32.to_le_bytes());
        assert_eq!(
            huge,
            Err(TransportError::Malformed(MalformedStream::FrameTooLong { len: 0x7fff_fff0, max }))
        );
    }
}

#[test]
fn sec_129_the_limit_is_the_callers_and_exact() {
    let limits = ConnectionLimits::DEFAULT.with_max_frame(1024);
    for framing in Framing::ALL {
        let mut rng = rng(1);
        let mut encoder = Encoder::new(framing, Side::Client, limits);
        let mut frame = Vec::new();
        let refused = encoder.encode_into(&mut frame, &[1; 1028], AckRequest::No, &mut rng);
        assert_eq!(refused, Err(TransportError::Misuse(TransportMisuse::PayloadLength { len: 1028 })));
        assert!(frame.is_empty());
        encoder.encode_into(&mut frame, &[1; 1024], AckRequest::No, &mut rng).expect("it fits");
        let decoded = Decoder::new(framing, Side::Client, limits).next_frame(&frame);
        assert!(matches!(decoded, Ok(Decoded::Frame { .. })), "{framing:?}: {decoded:?}");
        let smaller = limits.with_max_frame(1020);
        let decoded = Decoder::new(framing, Side::Client, smaller).next_frame(&frame);
        assert_eq!(
            decoded,
            Err(TransportError::Malformed(MalformedStream::FrameTooLong { len: 1024, max: 1020 })),
            "{framing:?}"
        );
    }
}

#[test]
fn sec_130_the_abridged_long_form_is_for_127_words_and_more() {
    for from in SIDES {
        for words in [0, 1, 126] {
            let overlong = decode(Framing::Abridged, from, &[0x7f, words, 0, 0]);
            assert_eq!(
                overlong,
                Err(TransportError::Malformed(MalformedStream::OverlongLength { words: words.into() }))
            );
        }
        let needed = 4 + 127 * 4;
        assert_eq!(decode(Framing::Abridged, from, &[0x7f, 127, 0, 0]), Ok(Decoded::Incomplete { needed }));
    }
}

#[test]
fn sec_131_full_frames_have_crc_number_and_room_for_both() {
    let mut rng = rng(1);
    for from in SIDES {
        let mut encoder = Encoder::new(Framing::Full, from, ConnectionLimits::DEFAULT);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        encoder.encode_into(&mut first, &envelope(1, 1), AckRequest::No, &mut rng).expect("it fits");
        encoder.encode_into(&mut second, &envelope(1, 1), AckRequest::No, &mut rng).expect("it fits");
        assert_eq!(
            decode(Framing::Full, from, &second),
            Err(TransportError::Malformed(MalformedStream::BadSeqNo { got: 1, expected: 0 }))
        );
        for len in [0, 4, 8] {
            assert_eq!(
                decode(Framing::Full, from, &[len, 0, 0, 0]),
                Err(TransportError::Malformed(MalformedStream::FrameTooShort { len: len.into() }))
            );
        }
        assert_eq!(
            decode(Framing::Full, from, &[26, 0, 0, 0]),
            Err(TransportError::Malformed(MalformedStream::FrameUnaligned { len: 26 }))
        );
        for bit in 64..first.len() * 8 {
            let mut changed = first.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let decoded = decode(Framing::Full, from, &changed);
            assert!(
                matches!(decoded, Err(TransportError::Malformed(MalformedStream::BadCrc { .. }))),
                "bit {bit}: {decoded:?}"
            );
        }
        // The same frame twice is a jump too.
        let mut decoder = Decoder::new(Framing::Full, from, ConnectionLimits::DEFAULT);
        assert!(matches!(decoder.next_frame(&first), Ok(Decoded::Frame { .. })));
        assert_eq!(
            decoder.next_frame(&first),
            Err(TransportError::Malformed(MalformedStream::BadSeqNo { got: 0, expected: 1 }))
        );
        assert!(matches!(decoder.next_frame(&second), Ok(Decoded::Frame { .. })));
    }
}

#[test]
fn sec_132_short_payloads_are_never_envelopes() {
    let classify = Payload::classify;
    for framing in Framing::ALL {
        for len in 0..4 {
            let short = Err(TransportError::Malformed(MalformedStream::ShortPayload { len }));
            assert_eq!(classify(&vec![0xff; len], Side::Server, framing), short);
        }
        for len in 4..24 {
            let starting = |first: i32| [&first.to_le_bytes()[..], &[0xa5; 20]].concat()[..len].to_vec();
            let short = Err(TransportError::Malformed(MalformedStream::ShortPayload { len }));
            // A word, and on the padded transport up to 15 bytes of padding behind it.
            let max = if framing == Framing::PaddedIntermediate { 19 } else { 15 };
            let is_word = len <= max;
            let error =
                |code| if is_word { Ok(Payload::Error(TransportErrorCode::from_raw(code))) } else { short };
            assert_eq!(classify(&starting(-404), Side::Server, framing), error(-404), "{len}");
            assert_eq!(classify(&starting(7), Side::Server, framing), short, "{len}");
            let nop = if is_word { Ok(Payload::Nop) } else { short };
            assert_eq!(classify(&starting(0), Side::Server, framing), nop, "{len}");
            assert_eq!(classify(&starting(0), Side::Client, framing), nop, "{len}");
            assert_eq!(classify(&starting(-404), Side::Client, framing), short, "{len}");

            let token = Ok(Payload::QuickAck(QuickAckToken::from_raw(0xa5a5_a5a5)));
            let padded = framing == Framing::PaddedIntermediate && (8..=16).contains(&len);
            let expected = if padded { token } else { error(-1) };
            assert_eq!(classify(&starting(-1), Side::Server, framing), expected, "{len}");
        }
    }
    // An auth_key_id whose first half is negative is no error, however short the envelope.
    let negative = vec![0xff; 24];
    assert_eq!(classify(&negative, Side::Server, Framing::Abridged), Ok(Payload::Encrypted));
}

#[test]
fn sec_133_an_unknown_token_disturbs_nothing() {
    for framing in [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate] {
        let mut server = Connection::plain(framing, Side::Server, ConnectionLimits::DEFAULT);
        let mut client = Connection::plain(framing, Side::Client, ConnectionLimits::DEFAULT);
        let (mut wire, mut rng, mut buf) = (Vec::new(), rng(1), buf());
        let token = QuickAckToken::from_raw(0xdead_beef);
        server.sender.quick_ack_into(&mut wire, token, &mut rng);
        server.sender.encode_into(&mut wire, &envelope(1, 3), AckRequest::No, &mut rng).expect("it fits");
        buf.extend_from_slice(&wire).expect("it fits");
        assert_eq!(client.receiver.receive(&mut buf), Ok(Some(Incoming::QuickAck(token))));
        assert!(matches!(client.receiver.receive(&mut buf), Ok(Some(Incoming::Envelope { .. }))));
    }
}

#[test]
fn sec_134_a_transport_error_is_a_value_and_nothing_more() {
    for raw in [-404, -429, -444, -403, -1, i32::MIN] {
        let code = TransportErrorCode::from_raw(raw);
        assert_eq!(code.to_raw(), raw);
        let mut client = Connection::plain(Framing::Intermediate, Side::Client, ConnectionLimits::DEFAULT);
        let mut buf = buf();
        buf.extend_from_slice(&[&[4, 0, 0, 0], &raw.to_le_bytes()[..]].concat()).expect("it fits");
        assert_eq!(client.receiver.receive(&mut buf), Ok(Some(Incoming::Error(code))));
    }
}

#[test]
fn sec_136_a_silent_or_endless_beginning_is_bounded() {
    let config = AcceptConfig::datacenter();
    let mut rng = rng(1);
    // Nothing of these is ever accepted, and each comes to an end within its limit.
    let endless: [(&[u8], usize); 5] = [
        (b"\x5a", 64),
        (b"GET ", config.limits.max_http_head),
        // No hello after all, one of the usual length, one that announces more than is allowed.
        (b"\x16\x03\x01\xff\xff\x01", 64),
        (b"\x16\x03\x01\x02", 5 + 0x025a),
        (b"\x16\x03\x01\x20\x00\x01\x00\x1f\xfc\x03\x03", 11),
    ];
    for (beginning, limit) in endless {
        let mut context = AcceptContext { config: &config, unix_time: NOW, replays: None };
        let mut buf = ReadBuf::new(&config.limits);
        let mut acceptor = Acceptor::new();
        let mut bytes = beginning.iter().copied().chain(core::iter::repeat(0x5a));
        let end = (1..10_000).find(|_| {
            buf.extend_from_slice(&[bytes.next().expect("it is endless")]).expect("it fits");
            match core::mem::take(&mut acceptor).handle(&mut buf, &mut context, &mut rng) {
                Ok(AcceptStep::Incomplete(next)) => acceptor = next,
                Ok(AcceptStep::Ready(accepted)) => panic!("{accepted:?}"),
                _ => return true,
            }
            false
        });
        assert!(end.is_some_and(|end: usize| end <= limit), "{beginning:?} {end:?}");
    }
}

#[test]
fn sec_138_a_huge_announced_frame_takes_no_memory_before_it_arrives() {
    for (connector, _) in kinds().into_iter().take(4) {
        let mut server = Connection::plain(connector.framing(), Side::Server, ConnectionLimits::DEFAULT);
        let mut buf = buf();
        let announced: &[u8] = match connector.framing() {
            Framing::Abridged => &[0x7f, 0xff, 0xff, 0x3f],
            _ => &[0xf0, 0xff, 0xff, 0x00],
        };
        buf.extend_from_slice(announced).expect("it fits");
        assert_eq!(server.receiver.receive(&mut buf), Ok(None));
        assert!(buf.space().expect("there is room").len() <= 16 * 1024, "{buf:?}");
    }
    let limits = ConnectionLimits::DEFAULT.with_max_frame(10_000);
    let mut buf = ReadBuf::new(&limits);
    let full = buf.extend_from_slice(&vec![0; limits.max_buffered() + 1]);
    assert_eq!(full, Err(TransportError::Refused(StreamRefusal::BufferFull { max: limits.max_buffered() })));
}

#[test]
fn sec_148_only_application_data_records_pass() {
    for from in [Side::Client, Side::Server] {
        for kind in 0..=255 {
            for version in [[3, 1], [3, 3], [3, 4]] {
                let mut record = [kind, version[0], version[1], 0, 1, 1];
                let header = [kind, version[0], version[1]];
                let unwrapped = RecordReader::new(from).unwrap(&mut record);
                let expected = match header {
                    [0x17, 3, 3] => Ok(1),
                    [0x14, 3, 3] => Ok(0),
                    _ => Err(TransportError::Malformed(MalformedStream::UnexpectedRecord { header })),
                };
                assert_eq!(unwrapped, expected, "{from:?} {header:?}");
            }
        }
    }
    let refused = Err(TransportError::Malformed(MalformedStream::UnexpectedRecord { header: [0x14, 3, 3] }));
    let change = [0x14, 3, 3, 0, 1, 1];
    let twice = &mut [change, change].concat();
    assert_eq!(RecordReader::new(Side::Client).unwrap(twice), refused);
    let late = &mut [&[0x17, 3, 3, 0, 1, 9][..], &change].concat();
    assert_eq!(RecordReader::new(Side::Client).unwrap(late), refused);
    for side in [Side::Client, Side::Server] {
        let other_body = &mut [0x14, 3, 3, 0, 1, 2];
        assert_eq!(RecordReader::new(side).unwrap(other_body), refused);
        let longer = &mut [0x14, 3, 3, 0, 2, 1, 1];
        assert_eq!(RecordReader::new(side).unwrap(longer), refused);
    }
    // A server's mean nothing, and come in between. They are bounded all the same.
    let data = [0x17, 3, 3, 0, 1, 9];
    let between = &mut [&change.repeat(32)[..], &data, &change.repeat(32), &data].concat();
    let mut reader = RecordReader::new(Side::Server);
    assert_eq!(reader.unwrap(between), Ok(2));
    assert_eq!(between[..2], [9, 9]);
    assert_eq!(reader.unwrap(&mut change.repeat(33)), refused);
    let empty = [&change.repeat(32)[..], &[0x17, 3, 3, 0, 0], &change].concat();
    assert_eq!(RecordReader::new(Side::Server).unwrap(&mut empty.clone()), refused);
    // Cut anywhere.
    let stream = [&change[..], &data, &change, &change, &data].concat();
    for cut in 0..=stream.len() {
        let (mut first, mut second) = (stream[..cut].to_vec(), stream[cut..].to_vec());
        let mut reader = RecordReader::new(Side::Server);
        let kept =
            [reader.unwrap(&mut first).expect("it is allowed"), reader.unwrap(&mut second).expect("as well")];
        assert_eq!([&first[..kept[0]], &second[..kept[1]]].concat(), [9, 9], "{cut}");
    }
}

#[test]
fn records_of_any_length_and_empty_ones_are_read() {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for len in [0, 1, 2878, 16384 + 256, 65535, 0, 3] {
        stream.extend_from_slice(&[0x17, 3, 3]);
        stream.extend_from_slice(&(len as u16).to_be_bytes());
        stream.resize(stream.len() + len, len as u8);
        expected.resize(expected.len() + len, len as u8);
    }
    let kept = RecordReader::new(Side::Server).unwrap(&mut stream).expect("they are well formed");
    assert_eq!(stream[..kept], expected);
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), max in 0..400_usize) {
        for framing in Framing::ALL {
            for from in SIDES {
                let limits = ConnectionLimits::DEFAULT.with_max_frame(max);
                if let Ok(Decoded::Frame { payload, used, .. }) =
                    Decoder::new(framing, from, limits).next_frame(&bytes)
                {
                    prop_assert!(payload.end <= used && used <= bytes.len());
                }
                let _ = Payload::classify(&bytes, from, framing);
            }
        }
        prop_assert!(unpadded_len(&bytes) <= bytes.len());
    }

    #[test]
    fn arbitrary_streams_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        piece in 1..200_usize,
    ) {
        for framing in Framing::ALL {
            for side in SIDES {
                let mut connection = Connection::plain(framing, side, ConnectionLimits::DEFAULT);
                let mut buf = buf();
                for piece in bytes.chunks(piece) {
                    buf.extend_from_slice(piece).expect("it fits");
                    while let Ok(Some(_)) = connection.receiver.receive(&mut buf) {}
                }
            }
        }
    }

    #[test]
    fn arbitrary_beginnings_never_panic(
        beginning in prop::sample::select(vec![
            &b""[..], b"\xef", b"\xee\xee\xee\xee", b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03", b"\x16\x03\x01\x02",
            b"GET /apiws HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", b"POST ",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..1200),
        piece in 1..200_usize,
    ) {
        let mut proxy = AcceptConfig::proxy(vec![fake_tls_secret()]);
        proxy.without_secret = true;
        for config in [AcceptConfig::datacenter(), proxy] {
            let mut context = AcceptContext { config: &config, unix_time: NOW, replays: None };
            let (mut buf, mut rng) = (buf(), rng(1));
            let mut acceptor = Acceptor::new();
            for piece in [beginning, &bytes].concat().chunks(piece) {
                buf.extend_from_slice(piece).expect("it fits");
                match acceptor.handle(&mut buf, &mut context, &mut rng) {
                    Ok(AcceptStep::Incomplete(next)) => acceptor = next,
                    _ => break,
                }
            }
        }
    }

    #[test]
    fn arbitrary_records_hellos_and_heads_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = RequestHead::parse(&bytes, &ConnectionLimits::DEFAULT).map(|head| head.map(|head| Upgrade::from_request(&head)));
        let _ = Request::parse(&bytes, &ConnectionLimits::DEFAULT);
        let _ = Response::parse(&bytes, &ConnectionLimits::DEFAULT);
        let _ = ClientHello::new_checked(&bytes);
        let _ = RecordReader::new(Side::Client).unwrap(&mut bytes.clone());
        RecordWriter::server().wrap(&mut bytes, 700);
    }

    #[test]
    fn arbitrary_texts_never_panic(text in any::<String>(), hex in "[0-9a-fA-F]{0,500}") {
        for text in [text.as_str(), hex.as_str()] {
            let _ = ProxySecret::parse(text);
            let _ = ProxyLink::parse(text);
            let _ = ProxyLink::parse(&format!("tg://proxy?server={text}&port=443&secret={text}"));
        }
    }

    #[test]
    fn a_hello_with_any_byte_changed_never_panics(at in 0..1700_usize, to in any::<u8>(), cut in 0..1700_usize) {
        let mut hello = Vec::new();
        let connector = chappe_transport::Connector::proxy(&fake_tls_secret(), chappe_transport::DcId::production(2));
        connector.start(NOW, &mut rng(7), &mut hello).expect("it starts");
        let len = hello.len();
        hello[at % len] = to;
        let _ = ClientHello::new_checked(&hello);
        let _ = ClientHello::new_checked(&hello[..cut % len]);
    }
}
