//! Traffic of others, live and in captures.

use core::fmt::Write as _;
use core::net::SocketAddr;

use chappe_crypto::Side;
use chappe_dissect::capture::{CaptureDissector, CaptureWriter, LinkType, Packet, PacketReader};
use chappe_dissect::{Beginning, ConnectionId, Dissector, Keys, Moment, Record};
use chappe_framing::UnixTime;
use chappe_transport::{AckRequest, Connection, Framing};

use super::envelope::{encrypted_seeds, key, seal};
use super::transport::{LIMITS, accept_seeds, http_seeds, secrets};
use super::{Seeded, Target};

/// Bytes of connections, with gaps.
pub(super) const STREAM: Target = Target {
    name: "dissect_stream",
    about: "both directions of two connections with gaps, and envelopes by themselves",
    run: stream,
    seeds: stream_seeds,
    max_len: 4096,
};

/// Files and packets.
pub(super) const CAPTURE: Target = Target {
    name: "dissect_capture",
    about: "files of the formats pcap and pcapng, and packets of every kind of link",
    run: capture,
    seeds: capture_seeds,
    max_len: 8192,
};

/// Most bytes that the dissector may keep.
const MEMORY: usize = 1 << 13;

/// Kinds of links, known and unknown.
const LINKS: [u32; 11] = [0, 1, 9, 12, 101, 105, 108, 113, 228, 229, 276];

/// Bits of the first byte of a step.
const SERVER: u8 = 1;
const OTHER_CONNECTION: u8 = 8;
/// What a step is: bytes, a gap, an envelope with the plaintext, an envelope as it is.
const GAP: u8 = 2;
const PLAINTEXT: u8 = 4;
const ENVELOPE: u8 = 6;

fn dissector() -> Dissector {
    let mut keys = Keys::new();
    keys.insert(key().clone());
    Dissector::new(keys).with_secrets(secrets()).with_max_memory(MEMORY)
}

/// First byte: 1 says that the beginning of the connections was missed. Then steps: what they are, their length, bytes.
fn stream(input: &[u8]) {
    let Some((mode, mut rest)) = input.split_first() else { return };
    let beginning = if mode & 1 == 0 { Beginning::Seen } else { Beginning::Missed };
    let mut dissector = dissector();
    dissector.open(ConnectionId(0), beginning);
    dissector.open(ConnectionId(1), Beginning::Seen);
    while let Some(([kind, low, high], behind)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, behind) = behind.split_at(len.min(behind.len()));
        let from = if kind & SERVER == 0 { Side::Client } else { Side::Server };
        let id = ConnectionId(u64::from(kind & OTHER_CONNECTION != 0));
        let at = Moment { time: UnixTime::from_secs(1_700_000_000), packet: rest.len() as u64 };
        rest = behind;
        match kind & ENVELOPE {
            GAP => {
                // A gap has no bytes of its own.
                dissector.handle_gap(id, from, at, len as u64);
                print(&mut dissector);
                dissector.handle_bytes(id, from, at, bytes);
            }
            PLAINTEXT => dissector.handle_envelope(id, from, at, &mut seal(key(), from, bytes)),
            ENVELOPE => dissector.handle_envelope(id, from, at, &mut bytes.to_vec()),
            _ => dissector.handle_bytes(id, from, at, bytes),
        }
        print(&mut dissector);
        assert!(dissector.memory() <= MEMORY, "{} bytes are kept", dissector.memory());
    }
    dissector.close(ConnectionId(0));
    dissector.close(ConnectionId(1));
    assert_eq!(dissector.memory(), 0, "connections that ended keep nothing");
}

/// Prints the records as text and as fields.
fn print(dissector: &mut Dissector) {
    while let Some(record) = dissector.poll_record() {
        look(&record);
    }
}

fn look(record: &Record) {
    let names = |id: u32| id.is_multiple_of(2).then_some("a name");
    let mut text = String::new();
    write!(text, "{}", record.line(&names)).expect("writing to a string does not fail");
    assert!(!text.contains('\n'), "a record is one line: {text:?}");
    record.fields(&names, &mut |field| text += field.name);
}

/// First byte: the kind of link and, with 0x80 set, that packets come by themselves: length, bytes. Otherwise the rest is a
/// file.
fn capture(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else { return };
    let mut capture = CaptureDissector::new(dissector());
    if mode & 0x80 == 0 {
        let Ok(mut reader) = PacketReader::new(bytes) else { return };
        while let Ok(Some(packet)) = reader.next_packet() {
            capture.handle_packet(&packet);
            take(&mut capture);
        }
        assert!(reader.position() <= bytes.len() as u64);
        assert!(reader.packets() <= bytes.len() as u64 / 8, "a packet has a header");
    } else {
        let link = LinkType(LINKS[usize::from(mode & 0x7f) % LINKS.len()]);
        let (mut rest, mut number) = (bytes, 0);
        while let Some(([low, high], behind)) = rest.split_first_chunk() {
            let len = usize::from(u16::from_le_bytes([*low, *high]));
            let (data, behind) = behind.split_at(len.min(behind.len()));
            (rest, number) = (behind, number + 1);
            capture.handle_packet(&Packet::new(number, UnixTime::EPOCH, link, data));
            take(&mut capture);
        }
    }
    capture.finish();
    take(&mut capture);
    assert!(capture.dissector_mut().memory() <= MEMORY);
}

fn take(capture: &mut CaptureDissector) {
    while let Some(record) = capture.poll_record() {
        look(&record);
        let _ = capture.ends(record.connection);
    }
}

/// Whole connections: what each side sends, in order.
fn connections() -> Vec<Vec<(Side, Vec<u8>)>> {
    let mut all: Vec<Vec<(Side, Vec<u8>)>> = Vec::new();
    for seed in accept_seeds().iter().filter(|seed| seed[0] & 0x80 != 0) {
        all.push(vec![(Side::Client, seed[2..].to_vec())]);
    }
    all.push(
        http_seeds()
            .into_iter()
            .zip([Side::Client, Side::Server])
            .map(|(bytes, from)| (from, bytes))
            .collect(),
    );
    let mut rng = Seeded::rng(12);
    for framing in Framing::ALL {
        let mut ends = [Side::Client, Side::Server].map(|side| Connection::plain(framing, side, LIMITS));
        let mut prefix = Vec::new();
        prefix.extend_from_slice(match framing {
            Framing::Abridged => &[0xef],
            Framing::Intermediate => &[0xee; 4],
            Framing::PaddedIntermediate => &[0xdd; 4],
            Framing::Full => &[],
        });
        let mut wire = vec![(Side::Client, prefix)];
        for seed in encrypted_seeds().iter().filter(|seed| seed[0] & 1 == 1) {
            let from = if seed[0] & 2 == 0 { Side::Client } else { Side::Server };
            let end = &mut ends[usize::from(from == Side::Server)];
            let mut bytes = Vec::new();
            end.sender.encode_into(&mut bytes, &seed[1..], AckRequest::No, &mut rng).expect("it fits");
            wire.push((from, bytes));
        }
        all.push(wire);
    }
    all
}

fn stream_seeds() -> Vec<Vec<u8>> {
    let step = |kind: u8, bytes: &[u8]| {
        let len = u16::try_from(bytes.len()).expect("seeds are short").to_le_bytes();
        [&[kind, len[0], len[1]][..], bytes].concat()
    };
    let side = |from: Side| if from == Side::Server { SERVER } else { 0 };
    let mut seeds = Vec::new();
    for wire in connections() {
        for beginning in [0, 1] {
            let mut seed = vec![beginning];
            for (from, bytes) in &wire {
                seed.extend(step(side(*from), bytes));
            }
            // A gap, and the same again.
            seed.extend(step(GAP, &wire[0].1));
            seeds.push(seed);
        }
    }
    for seed in encrypted_seeds() {
        let kind = if seed[0] & 1 == 1 { ENVELOPE } else { PLAINTEXT };
        let kind = kind | if seed[0] & 2 == 0 { 0 } else { SERVER };
        seeds.push([&[0][..], &step(kind, &seed[1..])].concat());
    }
    seeds
}

fn capture_seeds() -> Vec<Vec<u8>> {
    let ends: [SocketAddr; 2] =
        ["10.0.0.1:50000", "[2001:db8::1]:443"].map(|text| text.parse().expect("an address"));
    let mut seeds = Vec::new();
    for wire in connections() {
        for server in ends {
            let client = SocketAddr::new(server.ip(), 50_001);
            let time = UnixTime::from_secs(1_700_000_000);
            let mut writer = CaptureWriter::new(Vec::new()).expect("memory");
            let mut connection = writer.open(time, client, server).expect("memory");
            for (from, bytes) in &wire {
                writer.write(&mut connection, time, *from, bytes).expect("memory");
            }
            writer.close(&mut connection, time, Side::Client).expect("memory");
            let file = writer.into_inner();
            seeds.push([&[0][..], &enhanced(&file)].concat());
            seeds.push([&[0x80 | 4][..], &packets(&file).concat()].concat());
            seeds.push([&[0][..], &file].concat());
        }
    }
    seeds
}

/// The packets of a file, each behind its length in two bytes.
fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = PacketReader::new(file).expect("it was just written");
    let mut all = Vec::new();
    while let Some(packet) = reader.next_packet().expect("it was just written") {
        let len = u16::try_from(packet.data.len()).expect("seeds are short").to_le_bytes();
        all.push([&len[..], packet.data].concat());
    }
    all
}

/// The same packets in the format pcapng.
fn enhanced(file: &[u8]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let len = (12 + padded as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &len, body, &vec![0; padded - body.len()], &len].concat()
    };
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let mut out = block(0x0a0d_0d0a, &section);
    out.extend(block(1, &[101, 0, 0, 0, 0, 0, 4, 0]));
    for packet in packets(file) {
        let data = &packet[2..];
        let len = (data.len() as u32).to_le_bytes();
        out.extend(block(6, &[&[0; 12][..], &len, &len, data].concat()));
    }
    out
}
