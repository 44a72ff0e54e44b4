//! Fake TLS against `fake_tls.json`.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read is a failed test")]

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::hash::sha256;
use chappe_crypto::rng::Drbg;
use chappe_transport::parts::{
    ClientHello, MAX_RECORD_PAYLOAD, RecordReader, RecordWriter, check_client_hello, check_server_answer,
    sign_client_hello, sign_server_answer,
};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptRefusal, AcceptStep, Acceptor, ConnectionLimits, HelloNames,
    HelloRefusal, ProxySecret, ReadBuf, ReplayFilter, SecretKey, Side, TimeWindow, TransportError,
};
use chappe_transport::{MalformedStream, StreamRefusal};

fn file() -> Entry {
    vectors::load("fake_tls")
}

fn key(file: &Entry) -> SecretKey {
    SecretKey::from_bytes(file.array("secret"))
}

#[test]
fn the_secret_is_read() {
    let file = file();
    let secret = ProxySecret::parse(file.text("full_secret")).unwrap();
    assert_eq!(*secret.key().as_bytes(), file.array("secret"));
    assert_eq!(secret.domain().unwrap().as_str(), file.text("domain"));
    assert_eq!(*secret.to_hex(), file.text("full_secret"));
}

#[test]
fn the_hello_is_signed_and_checked() {
    let file = file();
    let mut hello = file.bytes("client_hello_zeroed");
    sign_client_hello(&mut hello, &key(&file), file.number("timestamp")).unwrap();
    assert_eq!(hello, file.bytes("client_hello_sent"));
    assert_eq!(hello[11..43], file.bytes("client_random"));
    let mixed: Vec<u8> =
        file.bytes("client_digest").iter().zip(&hello[11..43]).map(|(digest, sent)| digest ^ sent).collect();
    assert_eq!(mixed[..28], [0; 28]);
    assert_eq!(mixed[28..], file.number::<u32>("timestamp").to_le_bytes());

    assert_eq!(check_client_hello(&hello, &key(&file)), Some(file.number("timestamp")));
    assert_eq!(check_client_hello(&hello, &SecretKey::from_bytes([0; 16])), None);
    for at in (0..hello.len()).filter(|at| !(39..43).contains(at)) {
        let mut changed = hello.clone();
        changed[at] ^= 0x40;
        assert_eq!(check_client_hello(&changed, &key(&file)), None, "byte {at}");
    }
}

#[test]
fn the_answer_is_signed_and_checked_at_its_last_byte() {
    let file = file();
    let mut answer = file.bytes("server_response_zeroed");
    let random = file.array("client_random");
    sign_server_answer(&mut answer, &key(&file), &random).unwrap();
    assert_eq!(answer, file.bytes("server_response_sent"));
    assert_eq!(answer[11..43], file.bytes("server_random"));
    let parts = file.entry("server_response_parts");
    let names = ["server_hello_record", "change_cipher_spec_record", "application_record"];
    assert_eq!(names.map(|name| parts.number::<usize>(name)).iter().sum::<usize>(), answer.len());

    for len in 0..answer.len() {
        let checked = check_server_answer(&answer[..len], &key(&file), &random, &ConnectionLimits::DEFAULT);
        assert_eq!(checked, Ok(None), "{len} bytes");
    }
    let longer = [&answer[..], &[0x17, 0x03, 0x03]].concat();
    let checked = check_server_answer(&longer, &key(&file), &random, &ConnectionLimits::DEFAULT);
    assert_eq!(checked, Ok(Some(answer.len())));
}

#[test]
fn sec_147_an_answer_with_any_bit_changed_is_refused() {
    let file = file();
    let answer = file.bytes("server_response_sent");
    let random = file.array("client_random");
    let hello: usize = file.entry("server_response_parts").number("server_hello_record");
    for at in 0..answer.len() {
        let mut changed = answer.clone();
        changed[at] ^= 0x01;
        let checked = check_server_answer(&changed, &key(&file), &random, &ConnectionLimits::DEFAULT);
        let is_frame = matches!(at, 0..5) || (hello..hello + 11).contains(&at);
        let expected = match checked {
            Err(TransportError::Refused(StreamRefusal::ServerHelloDigest)) => true,
            // A record of another kind or length is refused at once, or leaves the answer incomplete.
            Err(TransportError::Malformed(MalformedStream::ServerHello)) | Ok(None) => is_frame,
            _ => false,
        };
        assert!(expected, "byte {at}: {checked:?}");
    }
    let other = SecretKey::from_bytes([1; 16]);
    let checked = check_server_answer(&answer, &other, &random, &ConnectionLimits::DEFAULT);
    assert_eq!(checked, Err(TransportError::Refused(StreamRefusal::ServerHelloDigest)));
}

#[test]
fn the_first_write_and_a_long_one_have_the_stated_records() {
    let file = file();
    let first = file.entry("first_client_write");
    let payload = first.bytes("payload");
    let header = *payload.first_chunk::<64>().unwrap();
    let mut writer = RecordWriter::client(header);
    let mut out = [&[0xa5, 0xa5], &payload[64..]].concat();
    writer.wrap(&mut out, 2);
    assert_eq!(out[2..], first.bytes("wire"));

    let split = file.entry("split_write");
    assert_eq!(split.number::<usize>("record_payload_limit"), MAX_RECORD_PAYLOAD);
    assert_eq!(split.text("payload_rule"), "det('faketls-big',6000)");
    let payload = vectors::det(|bytes| sha256(&[bytes]), "faketls-big", 6000);
    // The first write is done: no more is put in front.
    let mut wire = payload.clone();
    writer.wrap(&mut wire, 0);
    assert_eq!(sha256(&[&wire]), split.array("wire_sha256"));
    assert!(wire.starts_with(&split.bytes("wire_prefix")));
    let mut at = 0;
    for len in split.value("record_lengths").as_array().unwrap() {
        let record = usize::from(u16::from_be_bytes([wire[at + 3], wire[at + 4]]));
        assert_eq!(record as u64, len.as_u64().unwrap());
        at += 5 + record;
    }
    assert_eq!(at, wire.len());

    let mut reader = RecordReader::new(Side::Client);
    let mut stream = [first.bytes("wire"), wire].concat();
    let kept = reader.unwrap(&mut stream).unwrap();
    assert_eq!(stream[..kept], [first.bytes("payload"), payload].concat());
}

#[test]
fn every_negative_case_fails_as_stated() {
    let file = file();
    let entries = file.list("negative");
    assert_eq!(entries.len(), 4);
    for entry in entries {
        match entry.name() {
            "server_random_bit_flip" | "server_first_record_not_handshake" => refused_answer(&file, &entry),
            "timestamp_too_old_for_server" => old_hello(&file, &entry),
            "replayed_client_random" => replayed_hello(&file),
            other => panic!("unknown case {other}"),
        }
    }
}

fn refused_answer(file: &Entry, entry: &Entry) {
    let answer = entry.bytes("server_response");
    let random = file.array("client_random");
    assert!(
        check_server_answer(&answer, &key(file), &random, &ConnectionLimits::DEFAULT).is_err(),
        "{entry:?}"
    );
}

fn old_hello(file: &Entry, entry: &Entry) {
    let mut hello = file.bytes("client_hello_zeroed");
    sign_client_hello(&mut hello, &key(file), entry.number("client_timestamp")).unwrap();
    let hello = ClientHello::new_checked(&hello).unwrap();
    let secrets = [ProxySecret::parse(file.text("full_secret")).unwrap()];
    let verified =
        hello.verify(&secrets, &HelloNames::Secret, entry.number("server_time"), TimeWindow::OFFICIAL);
    assert_eq!(verified, Err(HelloRefusal::TooLate));
}

fn replayed_hello(file: &Entry) {
    let config = AcceptConfig::proxy(vec![ProxySecret::parse(file.text("full_secret")).unwrap()]);
    let mut replays = ReplayFilter::new(10);
    let mut rng = Drbg::from_seed([5; 32]);
    let mut accept = || {
        let replays = Some(&mut replays);
        let mut context = AcceptContext { config: &config, unix_time: file.number("timestamp"), replays };
        let mut buf = ReadBuf::new(&config.limits);
        buf.extend_from_slice(&file.bytes("client_hello_sent")).unwrap();
        let accept = Acceptor::new().handle(&mut buf, &mut context, &mut rng).unwrap();
        (accept, buf.len())
    };
    let (AcceptStep::Answer { bytes, .. }, 0) = accept() else { panic!("the first hello is answered") };
    let random = file.array("client_random");
    let checked = check_server_answer(&bytes, &key(file), &random, &ConnectionLimits::DEFAULT);
    assert_eq!(checked, Ok(Some(bytes.len())));
    let (AcceptStep::Refused(refusal), kept) = accept() else { panic!("the second one is refused") };
    assert_eq!(refusal, AcceptRefusal::ClientHello(HelloRefusal::Replayed));
    assert_eq!(kept, file.bytes("client_hello_sent").len(), "the site behind gets the hello");
}
