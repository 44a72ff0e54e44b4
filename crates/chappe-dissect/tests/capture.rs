//! Captures of whole conversations: written, shuffled, damaged, and read.

#![cfg(feature = "capture")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run with std")]

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::OnceLock;

use chappe_crypto::Side;
use chappe_dissect::capture::{
    CaptureDissector, CaptureError, CaptureWriter, LinkType, Packet, PacketReader,
};
use chappe_dissect::{Content, Dissector, Keys, Record};
use chappe_framing::UnixTime;
use common::{Transport, at, conversation, key, names, secret};
use proptest::prelude::*;

/// The records of a capture.
fn read(file: &[u8]) -> Result<Vec<Record>, CaptureError> {
    let mut reader = PacketReader::new(file)?;
    let mut capture = dissector();
    let mut records = Vec::new();
    while let Some(packet) = reader.next_packet()? {
        capture.handle_packet(&packet);
        records.extend(std::iter::from_fn(|| capture.poll_record()));
    }
    capture.finish();
    records.extend(std::iter::from_fn(|| capture.poll_record()));
    Ok(records)
}

fn dissector() -> CaptureDissector {
    let mut keys = Keys::new();
    keys.insert(key());
    let secrets = [common::TLS_SECRET, common::PADDED_SECRET].map(secret).to_vec();
    CaptureDissector::new(Dissector::new(keys).with_secrets(secrets))
}

fn ends(version: u8) -> (SocketAddr, SocketAddr) {
    let texts = match version {
        4 => ("10.0.0.1:50000", "149.154.167.50:443"),
        _ => ("[2001:db8::1]:50000", "[2001:67c:4e8:f002::a]:443"),
    };
    (texts.0.parse().expect("an address"), texts.1.parse().expect("an address"))
}

/// A capture of [`conversation`].
fn written(transport: &Transport, version: u8) -> Vec<u8> {
    let (client, server) = ends(version);
    let mut writer = CaptureWriter::new(Vec::new()).expect("memory");
    let mut connection = writer.open(at(0).time, client, server).expect("memory");
    let wire = conversation(transport);
    for (number, (from, bytes)) in wire.iter().enumerate() {
        for piece in bytes.chunks(100) {
            writer.write(&mut connection, at(number).time, *from, piece).expect("memory");
        }
    }
    for from in [Side::Client, Side::Server] {
        writer.close(&mut connection, at(wire.len()).time, from).expect("memory");
    }
    writer.into_inner()
}

/// The header of a file and its packets.
fn split(file: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (header, mut rest) = file.split_at(24);
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let (packet, later) = rest.split_at(16 + len);
        packets.push(packet);
        rest = later;
    }
    (header, packets)
}

fn joined(header: &[u8], packets: &[&[u8]]) -> Vec<u8> {
    [header, &packets.concat()].concat()
}

fn messages(records: &[Record]) -> Vec<String> {
    let is_message = |record: &&Record| matches!(record.content, Content::Message(_));
    let messages = records.iter().filter(is_message).map(|record| record.line(&names).to_string());
    // Times differ if packets are exchanged.
    messages.map(|line| line.split(" after ").next().unwrap_or_default()[15..].to_owned()).collect()
}

#[test]
fn a_capture_of_every_transport_is_read() {
    for transport in Transport::all() {
        for version in [4, 6] {
            let found = read(&written(&transport, version)).expect("a capture");
            assert!(matches!(found[0].content, Content::Transport(_)), "{transport:?}: {found:?}");
            assert_eq!(messages(&found).len(), 13, "{transport:?}");
            assert!(found.iter().all(|record| record.at.packet > 3 && record.connection.0 == 1));
            assert!(!found.iter().any(|record| matches!(record.content, Content::Lost { .. })));
        }
    }
}

#[test]
fn packets_out_of_order_and_sent_again_make_no_difference() {
    let file = written(&Transport::Obfuscated(chappe_transport::Framing::Abridged), 4);
    // An answer that arrives in front of its query does not know it.
    let without_query = |records: &[Record]| -> BTreeSet<String> {
        messages(records)
            .iter()
            .map(|line| line.split(" to ").next().unwrap_or_default().to_owned())
            .collect()
    };
    let expected = without_query(&read(&file).expect("a capture"));
    let (header, packets) = split(&file);
    let (opening, data) = packets.split_at(3);
    let data = &data[..data.len() - 2];
    let mut shuffled = opening.to_vec();
    for group in data.chunks(8) {
        shuffled.extend(group.iter().rev());
        shuffled.extend(group);
    }
    let found = read(&joined(header, &shuffled)).expect("a capture");
    assert_eq!(without_query(&found), expected);
}

#[test]
fn a_packet_that_is_missing_costs_the_messages_in_it() {
    let file = written(&Transport::Plain(chappe_transport::Framing::Full), 4);
    let whole = messages(&read(&file).expect("a capture"));
    let (header, packets) = split(&file);
    for missing in 4..packets.len() - 2 {
        let mut rest = packets.clone();
        rest.remove(missing);
        let found = read(&joined(header, &rest)).expect("a capture");
        assert!(found.iter().any(|record| matches!(record.content, Content::Lost { .. })), "{missing}");
        let seen = messages(&found);
        assert!(seen.len() + 5 > whole.len(), "packet {missing}: {seen:#?}");
    }
}

#[test]
fn the_format_pcapng_is_read_in_both_byte_orders() {
    let file = written(&Transport::Plain(chappe_transport::Framing::Intermediate), 4);
    let expected = messages(&read(&file).expect("a capture"));
    for big in [false, true] {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let block = |kind: u32, body: &[u8]| {
            let padded = body.len().next_multiple_of(4);
            let mut block = [&word(kind)[..], &word(padded as u32 + 12), body].concat();
            block.resize(8 + padded, 0);
            block.extend(word(padded as u32 + 12));
            block
        };
        let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let section = [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &[0xff; 8]].concat();
        // The link type, and nanoseconds as the unit of time.
        let interface =
            [&half(101)[..], &half(0), &word(0), &half(9), &half(1), &[9, 0, 0, 0], &word(0)].concat();
        let mut ng = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
        for packet in split(&file).1 {
            let field =
                |at: usize| u64::from(u32::from_le_bytes(packet[at..at + 4].try_into().expect("four bytes")));
            let nanos = field(0) * 1_000_000_000 + field(4);
            let len = word(field(8) as u32);
            let head = [word(0), word((nanos >> 32) as u32), word(nanos as u32), len, len].concat();
            ng.extend(block(6, &[&head[..], &packet[16..]].concat()));
        }
        let found = read(&ng).expect("a capture");
        assert_eq!(messages(&found), expected, "big endian: {big}");
        let last = found.iter().rev().find(|record| matches!(record.content, Content::Message(_)));
        assert_eq!(
            last.expect("a message").at.time,
            read(&file).expect("a capture").last().expect("one").at.time
        );
    }
}

#[test]
fn other_files_and_files_that_are_cut_are_told() {
    assert!(matches!(read(b"no capture at all, but text"), Err(CaptureError::UnknownFormat)));
    assert!(matches!(read(b""), Err(CaptureError::UnknownFormat)));
    let file = written(&Transport::Http, 4);
    assert!(
        matches!(read(&file[..file.len() - 1]), Err(CaptureError::Truncated { at }) if at == file.len() as u64 - 1)
    );
    let mut lying = file.clone();
    lying[32..36].fill(0xff);
    assert!(read(&lying).is_err());
}

#[test]
fn a_connection_without_its_opening_has_the_lower_port_as_server() {
    let file = written(&Transport::Plain(chappe_transport::Framing::Intermediate), 4);
    let (header, packets) = split(&file);
    let found = read(&joined(header, &packets[3..])).expect("a capture");
    // The plain handshake in front of the first encrypted message cannot be found.
    assert_eq!(messages(&found).len(), 11, "{found:#?}");
    assert!(found.iter().any(|record| record.from == Side::Server));
}

#[test]
fn openings_without_end_are_forgotten_again() {
    let mut capture = dissector();
    for number in 0..40_000_u32 {
        let mut packet = Vec::new();
        let [_, a, b, c] = number.to_be_bytes();
        etherparse::PacketBuilder::ipv4([10, a, b, c], [1, 1, 1, 1], 64)
            .tcp(50_000, 443, 7, 1000)
            .syn()
            .write(&mut packet, &[])
            .expect("it fits");
        capture.handle_packet(&Packet::new(u64::from(number), UnixTime::EPOCH, LinkType::RAW, &packet));
    }
    assert_eq!(capture.connections(), 40_000);
    assert!(capture.dissector_mut().memory() < 1 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Packets are lost, exchanged and repeated; bytes of headers and payloads change; the file is cut.
    #[test]
    fn damaged_captures_are_read_without_a_panic(
        transport in 0..Transport::all().len(),
        drops in prop::collection::btree_set(0..60_usize, 0..10),
        swaps in prop::collection::vec((0..60_usize, 0..60_usize), 0..20),
        flips in prop::collection::vec((24..6000_usize, any::<u8>()), 0..20),
        cut in 0..6000_usize,
    ) {
        static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        let files = FILES.get_or_init(|| Transport::all().iter().map(|transport| written(transport, 4)).collect());
        let (header, packets) = split(&files[transport]);
        let mut packets: Vec<&[u8]> =
            packets.iter().enumerate().filter(|(at, _)| !drops.contains(at)).map(|(_, packet)| *packet).collect();
        for (one, other) in swaps {
            if !packets.is_empty() {
                let len = packets.len();
                packets.swap(one % len, other % len);
            }
        }
        let mut damaged = joined(header, &packets);
        for (at, mask) in flips {
            if let Some(byte) = damaged.get_mut(at) {
                *byte ^= mask;
            }
        }
        damaged.truncate(damaged.len().saturating_sub(cut / 10));
        if let Ok(records) = read(&damaged) {
            for record in records {
                let _ = record.line(&names).to_string();
            }
        }
    }

    #[test]
    fn any_file_is_read_without_a_panic(ng in any::<bool>(), bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let start: &[u8] = if ng {
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0]
        } else {
            &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]
        };
        let _ = read(&[start, &bytes].concat());
    }
}
