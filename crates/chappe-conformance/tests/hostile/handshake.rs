//! The creation of a key, with a server or a client that cheats.

use core::time::Duration;
use std::time::Instant;

use chappe_conformance::fuzz::Seeded;
use chappe_conformance::vectors;
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::KeyRing;
use chappe_framing::{FrameBuf, MonoTime, MsgId, Now, PlainMessage, UnixTime, write_plain_bytes};
use chappe_handshake::{
    ClientHandshake, ClientOptions, DcId, PeerId, Progress, QueryReply, ServerHandshakes, ServerOptions,
    TransportErrorCode,
};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};

use crate::{WORDS, private_key};

const NOW: Now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_105));
const PEER: PeerId = PeerId(1);

/// What a refused message may cost at most while it is worked on, in bytes.
const COST: u64 = 1 << 20;

fn client(rng: &mut Drbg) -> ClientHandshake {
    let mut keys = KeyRing::empty();
    keys.add(private_key().public_key().clone());
    let options = ClientOptions::new(keys, DcId::production(2));
    ClientHandshake::begin(options, NOW, rng).unwrap()
}

fn server() -> ServerHandshakes {
    let mut options = ServerOptions::strict(vec![private_key()], vec![DcId::production(2)]);
    options.rate = None;
    options.max_exchanges = 16;
    ServerHandshakes::new(options).unwrap()
}

fn wrap(object: &[u8], origin: i64) -> Vec<u8> {
    let mut buf = FrameBuf::new();
    write_plain_bytes(&mut buf, MsgId::from_raw(1_707_425_105 << 32 | origin), object).unwrap();
    buf.as_slice().to_vec()
}

fn from_server(object: &[u8]) -> Vec<u8> {
    wrap(object, 1)
}

fn from_client(object: &[u8]) -> Vec<u8> {
    wrap(object, 4)
}

/// Asks the server; `None` if it refuses.
fn ask(
    server: &mut ServerHandshakes,
    question: &[u8],
    rng: &mut Drbg,
) -> Result<Vec<u8>, Option<TransportErrorCode>> {
    let mut out = FrameBuf::new();
    match server.handle_frame(NOW, PEER, question, &mut out, rng) {
        QueryReply::Answer => {}
        QueryReply::Key(candidate) => {
            candidate.accept();
        }
        QueryReply::Refuse(refusal) => return Err(refusal.code),
    }
    Ok(out.as_slice().to_vec())
}

fn object_of(frame: &[u8]) -> Vec<u8> {
    use chappe_crypto::Side::{Client, Server};
    let message =
        PlainMessage::new_checked(frame, Client).or_else(|_| PlainMessage::new_checked(frame, Server));
    message.unwrap().body().to_vec()
}

/// An honest exchange with the server from its beginning to its end.
fn honest(server: &mut ServerHandshakes, seed: u64) {
    let (mut ours, mut theirs) = (Seeded::rng(seed), Seeded::rng(seed + 1));
    let mut client = client(&mut ours);
    let mut out = FrameBuf::new();
    while client.poll_transmit(NOW, &mut out) {
        let answer = ask(server, out.as_slice(), &mut theirs).expect("an honest question is answered");
        if let Progress::Done(_) = client.handle_frame(NOW, &answer, &mut ours).unwrap() {
            return;
        }
    }
    panic!("the exchange had no end");
}

/// The three questions of an honest exchange and their answers, made with the generators of `seed`.
fn transcript(seed: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut server, mut ours, mut theirs) = (server(), Seeded::rng(seed), Seeded::rng(seed + 1));
    let mut client = client(&mut ours);
    let mut steps = Vec::new();
    let mut out = FrameBuf::new();
    while client.poll_transmit(NOW, &mut out) {
        let answer = ask(&mut server, out.as_slice(), &mut theirs).unwrap();
        steps.push((out.as_slice().to_vec(), answer.clone()));
        let _ = client.handle_frame(NOW, &answer, &mut ours).unwrap();
    }
    steps
}

/// A client of the transcript that waits for answer number `step`.
fn client_at(steps: &[(Vec<u8>, Vec<u8>)], step: usize, seed: u64) -> (ClientHandshake, Drbg) {
    let mut rng = Seeded::rng(seed);
    let mut client = client(&mut rng);
    let mut out = FrameBuf::new();
    for (question, answer) in &steps[..step] {
        assert!(client.poll_transmit(NOW, &mut out));
        assert_eq!(object_of(out.as_slice()), object_of(question));
        let _ = client.handle_frame(NOW, answer, &mut rng).unwrap();
    }
    assert!(client.poll_transmit(NOW, &mut out));
    (client, rng)
}

/// Lets a client see an answer that is refused: it costs little, and the exchange is over.
fn is_refused(mut client: ClientHandshake, mut rng: Drbg, answer: &[u8], what: &str) {
    let cost = allocation_counter::measure(|| {
        let begun = Instant::now();
        let result = client.handle_frame(NOW, answer, &mut rng);
        assert!(result.is_err(), "{what}: {result:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{what} took {:?}", begun.elapsed());
    });
    assert!(cost.bytes_max <= COST, "{what}: {} bytes", cost.bytes_max);
    assert!(client.is_over() && !client.poll_transmit(NOW, &mut FrameBuf::new()), "{what}");
}

#[test]
fn an_encrypted_answer_of_any_wrong_length_is_refused() {
    let steps = transcript(1);
    let Ok(enums::ServerDhParams::Ok(params)) = enums::ServerDhParams::from_bytes(&object_of(&steps[1].1))
    else {
        panic!("the server agreed");
    };
    let lengths = [0, 1, 4, 15, 16, 17, 20, 31, 32, 36, 48, 576, 588, 591, 593, 608, 4096, 65_536, 1 << 20];
    for len in lengths {
        let mut answer = params.clone();
        answer.encrypted_answer.resize(len, 0xa5);
        let (client, rng) = client_at(&steps, 1, 1);
        let object = enums::ServerDhParams::Ok(answer).to_bytes();
        // The object itself is as long as it is.
        let (mut client, mut rng) = (client, rng);
        let result = client.handle_frame(NOW, &from_server(&object), &mut rng);
        assert!(result.is_err() && client.is_over(), "{len}: {result:?}");
    }
    honest(&mut server(), 50);
}

#[test]
fn a_pq_of_any_awkward_kind_is_refused_and_keeps_nobody_busy() {
    let steps = transcript(1);
    let enums::ResPq::ResPq(answer) = enums::ResPq::from_bytes(&object_of(&steps[0].1)).unwrap();
    let small = (0..=64_u64)
        .filter(|pq| ![6, 10, 14, 15, 21, 22, 26, 33, 34, 35, 38, 39, 46, 51, 55, 57, 58, 62].contains(pq));
    let large = [
        65_537,
        4_611_686_018_427_387_847,
        9_223_372_036_854_775_783,
        18_446_744_073_709_551_557,
        u64::MAX,
        1 << 62,
        1 << 63,
        // A square of a prime, a cube, a product of three, an even number.
        2_147_483_647 * 2_147_483_647,
        2_097_143 * 2_097_143 * 2_097_143,
        65_537 * 65_539 * 65_543,
        2 * 4_294_967_291,
    ];
    let mut bytes: Vec<Vec<u8>> = small.chain(large).map(|pq| pq.to_be_bytes().to_vec()).collect();
    bytes.extend([vec![], vec![0], vec![0; 8], vec![0xff; 9], vec![7; 64], vec![1; 300]]);
    for pq in bytes {
        let (client, rng) = client_at(&steps, 0, 1);
        let answer = enums::ResPq::ResPq(types::ResPq { pq: pq.clone(), ..answer.clone() });
        is_refused(client, rng, &from_server(&answer.to_bytes()), &format!("pq {pq:02x?}"));
    }
    // Each test of two small primes either works or is refused; none panics.
    for pq in [15_u64, 21, 33, 35, 39, 51, 55, 57] {
        let (mut client, mut rng) = client_at(&steps, 0, 1);
        let answer = enums::ResPq::ResPq(types::ResPq { pq: pq.to_be_bytes().to_vec(), ..answer.clone() });
        let _ = client.handle_frame(NOW, &from_server(&answer.to_bytes()), &mut rng);
    }
}

#[test]
fn every_word_and_every_length_of_every_answer_may_be_a_lie() {
    let steps = transcript(1);
    for step in 0..3 {
        let honest = &steps[step].1;
        for word in 0..honest.len() / 4 {
            // Behind the lengths stands ciphertext, of which any part is like any other.
            if step == 1 && word > 20 && word % 48 != 0 {
                continue;
            }
            for value in WORDS.into_iter().step_by(if word < 6 || word == 14 { 2 } else { 6 }) {
                let mut lie = honest.clone();
                lie[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
                // Of the envelope, the id but for its lowest bits means nothing to a client.
                if lie == *honest || (2..4).contains(&word) {
                    continue;
                }
                let (mut client, mut rng) = client_at(&steps, step, 1);
                let mut progress = None;
                let cost =
                    allocation_counter::measure(|| progress = Some(client.handle_frame(NOW, &lie, &mut rng)));
                assert!(cost.bytes_max <= COST, "{step} {word} {value:#x}: {} bytes", cost.bytes_max);
                // The server's nonce and the fingerprints it has besides are its own to choose.
                let is_free = step == 0;
                assert!(is_free || progress.unwrap().is_err(), "{step} {word} {value:#x} was accepted");
            }
        }
        for len in 0..honest.len() {
            if len < 40 || len % 64 == 0 {
                let (client, rng) = client_at(&steps, step, 1);
                is_refused(client, rng, &honest[..len], &format!("{len} bytes of answer {step}"));
            }
        }
    }
}

#[test]
fn every_bad_answer_of_the_vectors_leaves_room_for_an_honest_exchange() {
    let mut server = server();
    for (number, case) in vectors::load("handshake_negative").list("client_must_reject").iter().enumerate() {
        let steps = transcript(1);
        let step = match case.text("replaces") {
            "resPQ" => 0,
            "server_DH_params_ok" => 1,
            _ => 2,
        };
        let (client, rng) = client_at(&steps, step, 1);
        is_refused(client, rng, &from_server(&case.bytes("body")), case.name());
        if number % 12 == 0 {
            honest(&mut server, 100 + number as u64);
        }
    }
    for case in vectors::load("handshake_negative").list("server_must_reject") {
        let refused = ask(&mut server, &from_client(&case.bytes("body")), &mut Seeded::rng(7));
        assert_eq!(refused, Err(Some(TransportErrorCode::UnknownAuthKey)), "{}", case.name());
    }
    honest(&mut server, 300);
}

#[test]
fn every_word_and_every_length_of_every_question_may_be_a_lie() {
    let steps = transcript(1);
    let mut server = server();
    for (step, (question, _)) in steps.iter().enumerate() {
        for word in 0..question.len() / 4 {
            if word > 30 && word % 16 != 0 {
                continue;
            }
            for value in WORDS.into_iter().step_by(if word < 12 { 1 } else { 6 }) {
                let mut lie = question.clone();
                lie[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
                let mut rng = Seeded::rng(2);
                let cost = allocation_counter::measure(|| {
                    let _ = ask(&mut server, &steps[0].0, &mut rng);
                    if step == 2 {
                        let _ = ask(&mut server, &steps[1].0, &mut rng);
                    }
                    let _ = ask(&mut server, &lie, &mut rng);
                });
                assert!(cost.bytes_max <= COST, "{step} {word} {value:#x}: {} bytes", cost.bytes_max);
            }
        }
        for len in (0..question.len()).filter(|len| *len < 90 || len % 32 == 0) {
            assert!(
                ask(&mut server, &question[..len], &mut Seeded::rng(2)).is_err(),
                "{len} bytes of {step}"
            );
        }
        assert!(server.len() <= 16);
        honest(&mut server, 400 + step as u64);
    }
}

#[test]
fn encrypted_data_of_any_length_is_refused() {
    let steps = transcript(1);
    let mut server = server();
    let request = functions::ReqDhParams::from_bytes(&object_of(&steps[1].0)).unwrap();
    let last = functions::SetClientDhParams::from_bytes(&object_of(&steps[2].0)).unwrap();
    for len in [0, 1, 16, 20, 255, 257, 272, 4096, 1 << 20] {
        let mut rng = Seeded::rng(2);
        ask(&mut server, &steps[0].0, &mut rng).unwrap();
        let request = functions::ReqDhParams { encrypted_data: vec![0xa5; len], ..request.clone() };
        assert_eq!(
            ask(&mut server, &from_client(&request.to_bytes()), &mut rng),
            Err(Some(TransportErrorCode::UnknownAuthKey)),
            "{len}"
        );
        let mut rng = Seeded::rng(2);
        ask(&mut server, &steps[0].0, &mut rng).unwrap();
        let _ = ask(&mut server, &steps[1].0, &mut rng);
        let last = functions::SetClientDhParams { encrypted_data: vec![0xa5; len], ..last.clone() };
        assert_eq!(
            ask(&mut server, &from_client(&last.to_bytes()), &mut rng),
            Err(Some(TransportErrorCode::UnknownAuthKey)),
            "{len}"
        );
    }
    honest(&mut server, 500);
}

#[test]
fn exchanges_begun_without_number_make_room_for_each_other() {
    let mut server = server();
    let cost = allocation_counter::measure(|| {
        for nonce in 0..5_000_u128 {
            let question = functions::ReqPqMulti { nonce: nonce.to_le_bytes() }.to_bytes();
            ask(&mut server, &from_client(&question), &mut Seeded::rng(nonce as u64)).unwrap();
        }
    });
    assert!(server.len() <= 16);
    assert!(cost.bytes_current <= 64 << 10, "{} bytes stay", cost.bytes_current);
    honest(&mut server, 600);
}
