//! Obfuscation, alone and through connections, against `obfuscated2.json`.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read is a failed test")]

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::rng::Drbg;
use chappe_transport::parts::{Obfuscation, identity};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, Connection, ConnectionLimits, DcId, Framing, Incoming,
    ProxySecret, ReadBuf, SecretKey, Side,
};

fn entries() -> Vec<Entry> {
    let entries = vectors::load("obfuscated2").list("vectors");
    assert_eq!(entries.len(), 8);
    entries
}

fn framing(entry: &Entry) -> Framing {
    Framing::from_tag(entry.array("protocol_tag")).unwrap()
}

fn secret(entry: &Entry) -> Option<ProxySecret> {
    let secret = entry.value("secret").as_str().map(|text| ProxySecret::parse(text).unwrap());
    let key = entry.value("secret_key_16").as_str().map(|text| hex::decode(text).unwrap());
    assert_eq!(secret.as_ref().map(|secret| secret.key().as_bytes().to_vec()), key, "{entry:?}");
    secret
}

fn dc(entry: &Entry) -> Option<DcId> {
    (!entry.value("dc_id").is_null()).then(|| DcId::from_header(entry.number::<i16>("dc_id").to_le_bytes()))
}

fn client(entry: &Entry) -> (Obfuscation, [u8; 64]) {
    let secret = secret(entry);
    let key = secret.as_ref().map(ProxySecret::key);
    let random = entry.array("random_64");
    Obfuscation::client_from_random(&random, framing(entry), dc(entry), key).unwrap().unwrap()
}

#[test]
fn sec_143_tag_and_dc_are_written_before_encryption_and_nothing_else_is_replaced() {
    for entry in entries() {
        let (_, header) = client(&entry);
        assert_eq!(header, entry.array("init_sent"), "{entry:?}");
        assert_eq!(header[..56], entry.bytes("random_64")[..56], "{entry:?}");
        assert_eq!(header[56..], entry.bytes("init_encrypted")[56..], "{entry:?}");
        assert_eq!(identity(&header), &entry.bytes("init_sent")[8..56]);
    }
}

#[test]
fn both_sides_make_the_same_streams_of_a_header() {
    for entry in entries() {
        let secret = secret(&entry);
        let key = secret.as_ref().map(ProxySecret::key);
        let (mut client, header) = client(&entry);
        let (mut server, framing_read, dc_read) = Obfuscation::accept(&header, key).unwrap();
        assert_eq!(framing_read, framing(&entry), "{entry:?}");
        let before = entry.bytes("init_before_encryption");
        assert_eq!(dc_read.to_header().unwrap(), before[60..62], "{entry:?}");
        if let Some(dc) = dc(&entry) {
            assert_eq!(dc_read, dc, "{entry:?}");
        }

        let mut up = entry.bytes("first_client_frame_plain");
        client.outgoing.apply(&mut up);
        assert_eq!(up, entry.bytes("first_client_frame_encrypted"), "{entry:?}");
        server.incoming.apply(&mut up);
        assert_eq!(up, entry.bytes("first_client_frame_plain"), "{entry:?}");

        let mut down = entry.bytes("first_server_frame_plain");
        server.outgoing.apply(&mut down);
        assert_eq!(down, entry.bytes("first_server_frame_encrypted"), "{entry:?}");
        client.incoming.apply(&mut down);
        assert_eq!(down, entry.bytes("first_server_frame_plain"), "{entry:?}");
    }
}

#[test]
fn connections_read_the_frames_of_the_vectors_byte_by_byte() {
    let mut rng = Drbg::from_seed([3; 32]);
    for entry in entries() {
        let secret = secret(&entry);
        // Fake TLS is another layer around what these vectors hold.
        let usable = secret.map(|secret| match secret.domain() {
            Some(_) => ProxySecret::padded(*secret.key().as_bytes()),
            None => secret,
        });
        let config = match usable {
            Some(secret) => AcceptConfig::proxy(vec![ProxySecret::plain([9; 16]), secret]),
            None => AcceptConfig::datacenter(),
        };
        let mut context = AcceptContext { config: &config, unix_time: 0, replays: None };
        let mut buf = ReadBuf::new(&config.limits);
        let mut acceptor = Acceptor::new();
        let header = entry.bytes("init_sent");
        for byte in &header[..63] {
            buf.extend_from_slice(&[*byte]).unwrap();
            acceptor = match acceptor.handle(&mut buf, &mut context, &mut rng).unwrap() {
                AcceptStep::Incomplete(acceptor) => acceptor,
                other => panic!("{entry:?}: {other:?}"),
            };
        }
        buf.extend_from_slice(&header[63..]).unwrap();
        let AcceptStep::Ready(accepted) = acceptor.handle(&mut buf, &mut context, &mut rng).unwrap() else {
            panic!("{entry:?} is not accepted");
        };
        assert_eq!(accepted.secret, config.secrets.len().checked_sub(1), "{entry:?}");
        let mut server = accepted.connection;
        check_receiver(&mut server, &mut buf, &entry, "first_client_frame");

        let (streams, _) = client(&entry);
        let mut client =
            Connection::obfuscated(framing(&entry), Side::Client, ConnectionLimits::DEFAULT, streams);
        check_receiver(
            &mut client,
            &mut ReadBuf::new(&ConnectionLimits::DEFAULT),
            &entry,
            "first_server_frame",
        );
    }
}

fn check_receiver(connection: &mut Connection, buf: &mut ReadBuf, entry: &Entry, field: &str) {
    let plain = entry.bytes(&format!("{field}_plain"));
    let encrypted = entry.bytes(&format!("{field}_encrypted"));
    let head = if framing(entry) == Framing::Abridged { 1 } else { 4 };
    let (last, first) = encrypted.split_last().unwrap();
    for byte in first {
        buf.extend_from_slice(&[*byte]).unwrap();
        assert_eq!(connection.receiver.receive(buf), Ok(None), "{entry:?}");
    }
    buf.extend_from_slice(&[*last]).unwrap();
    let Ok(Some(Incoming::Envelope { payload, .. })) = connection.receiver.receive(buf) else {
        panic!("{entry:?}: {field} is not read");
    };
    // A plain envelope says how long it is, whatever padding follows.
    let len = 20 + u32::from_le_bytes(*plain[head + 16..].first_chunk().unwrap()) as usize;
    assert_eq!(*payload, plain[head..head + len], "{entry:?} {field}");
}

#[test]
fn sec_141_headers_that_look_like_another_transport_are_drawn_again() {
    let entries = vectors::load("obfuscated2").list("forbidden_starts");
    assert_eq!(entries.len(), 9);
    for entry in entries {
        let mut random = [0x5a; 64];
        random[..8].copy_from_slice(&entry.bytes("first_bytes"));
        let key = SecretKey::from_bytes([1; 16]);
        for key in [None, Some(&key)] {
            let made = Obfuscation::client_from_random(&random, Framing::Intermediate, None, key);
            assert!(matches!(made, Ok(None)), "{entry:?}");
        }
    }
}

#[test]
fn sec_144_a_header_made_with_another_secret_is_garbage() {
    let mut rng = Drbg::from_seed([4; 32]);
    for entry in entries() {
        let config = AcceptConfig::proxy(vec![ProxySecret::plain([1; 16]), ProxySecret::padded([2; 16])]);
        let mut context = AcceptContext { config: &config, unix_time: 0, replays: None };
        let mut buf = ReadBuf::new(&config.limits);
        buf.extend_from_slice(&entry.bytes("init_sent")).unwrap();
        let accept = Acceptor::new().handle(&mut buf, &mut context, &mut rng);
        let refused = AcceptStep::Refused(chappe_transport::AcceptRefusal::UnknownProtocol);
        assert_eq!(format!("{accept:?}"), format!("{:?}", Ok::<_, ()>(refused)), "{entry:?}");
        assert_eq!(buf.raw(), entry.bytes("init_sent"), "nothing is consumed");
    }
}
