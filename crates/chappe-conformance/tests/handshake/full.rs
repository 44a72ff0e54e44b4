//! The six complete runs of `handshake_full.json`, from either side, byte for byte.

use chappe_crypto::dh::PrimeCache;
use chappe_framing::{FrameBuf, UnixTime};
use chappe_handshake::{
    ClientHandshake, ExpectResPq, Finished, HandshakeError, Progress, QueryReply, Step3, finish_with,
    step1_with, step2_with, step3_with,
};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::enums;

use crate::{PEER, Run, at, from_client, from_server, object_of, server};

const RUNS: [&str; 6] = [
    "permanent_key_dc2",
    "temporary_key_dc2_24h",
    "permanent_key_test_dc2",
    "temporary_key_media_dc4",
    "two_retries_then_ok",
    "dh_gen_fail",
];

/// Plays the client's half against the answers of the vectors; returns how it ended.
fn play_client(run: &Run) -> Result<Finished, HandshakeError> {
    let now = UnixTime::from_secs(1_707_425_100);
    let mut rng = run.client_script();
    let mut client = ClientHandshake::begin(run.client_options(), at(now), &mut rng)?;
    let mut buf = FrameBuf::new();
    let mut answers = run.bodies("s2c").into_iter();
    for request in run.bodies("c2s") {
        assert!(client.poll_transmit(at(now), &mut buf));
        assert_eq!(object_of(buf.as_slice()), request, "{}", run.common.name());
        assert!(!client.poll_transmit(at(now), &mut buf), "one request at a time");
        let answer = from_server(&answers.next().expect("each request has an answer"));
        if let Progress::Done(finished) = client.handle_frame(at(now), &answer, &mut rng)? {
            assert!(rng.is_used_up());
            return Ok(finished);
        }
    }
    panic!("the run has an end");
}

#[test]
fn the_client_repeats_every_run_byte_for_byte() {
    for name in RUNS {
        let run = Run::load(name);
        let played = play_client(&run);
        let Some(result) = &run.result else {
            assert!(matches!(played, Err(HandshakeError::DhGenFail)), "{name}: {played:?}");
            continue;
        };
        let finished = played.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(finished.auth_key, result.array("auth_key"), "{name}");
        assert_eq!(finished.key().id().as_bytes(), &result.array("auth_key_id_le_bytes"), "{name}");
        assert_eq!(finished.key().aux_hash(), result.array("aux_hash_le_bytes"), "{name}");
        assert_eq!(finished.first_salt.to_le_bytes(), result.array("server_salt_le_bytes"), "{name}");
        assert_eq!(finished.time_offset, 5, "{name}");
        let expires_at = run.common.has("expires_in").then(|| {
            UnixTime::from_secs(run.server_time().as_secs() + run.common.number::<u64>("expires_in"))
        });
        assert_eq!(finished.expires_at(), expires_at, "{name}");
    }
}

/// Removes from `resPQ` the key that the vectors announce, whose private half is unknown: a server announces its own.
fn without_foreign_keys(answer: Vec<u8>) -> Vec<u8> {
    let Ok(enums::ResPq::ResPq(mut res_pq)) = enums::ResPq::from_bytes(&answer) else { return answer };
    res_pq.server_public_key_fingerprints.retain(|key| *key != 0x0101_0101_0101_0101);
    enums::ResPq::ResPq(res_pq).to_bytes()
}

#[test]
fn the_server_repeats_every_run_byte_for_byte() {
    for name in RUNS {
        let run = Run::load(name);
        let mut retries = if name == "two_retries_then_ok" { 2 } else { 0 };
        let mut server = server(run.server_options());
        let mut rng = run.server_script();
        let mut buf = FrameBuf::new();
        let mut created = None;
        for (question, answer) in run.bodies("c2s").into_iter().zip(run.bodies("s2c")) {
            match server.handle_frame(
                at(run.server_time()),
                PEER,
                &from_client(&question),
                &mut buf,
                &mut rng,
            ) {
                QueryReply::Answer => {}
                QueryReply::Key(candidate) if retries > 0 => {
                    retries -= 1;
                    candidate.retry();
                }
                QueryReply::Key(candidate) if run.result.is_none() => candidate.fail(),
                QueryReply::Key(candidate) => created = Some(candidate.accept()),
                QueryReply::Refuse(refusal) => panic!("{name}: {refusal}"),
            }
            assert_eq!(object_of(buf.as_slice()), without_foreign_keys(answer), "{name}");
        }
        assert!(rng.is_used_up(), "{name}");
        assert_eq!(created.is_some(), run.result.is_some(), "{name}");
        if let (Some(created), Some(result)) = (created, &run.result) {
            assert_eq!(created.auth_key.as_bytes(), &result.array("auth_key"), "{name}");
            assert_eq!(created.first_salt.to_raw().to_le_bytes(), result.array("server_salt_le_bytes"));
            assert_eq!(created.dc, Some(run.common.number("dc")), "{name}");
            assert_eq!(created.expires_at.is_some(), run.common.has("expires_in"), "{name}");
        }
    }
}

#[test]
fn the_four_functions_give_what_the_machine_gives() {
    let run = Run::load("two_retries_then_ok");
    let mut rng = run.client_script();
    let (questions, answers) = (run.bodies("c2s"), run.bodies("s2c"));
    let (request, state): (_, ExpectResPq) = step1_with(&mut rng);
    assert_eq!(request.to_bytes(), questions[0]);
    let res_pq = enums::ResPq::from_bytes(&answers[0]).unwrap();
    let (request, state) = step2_with(state, res_pq, &run.client_options(), &mut rng).unwrap();
    assert_eq!(request.to_bytes(), questions[1]);
    let params = enums::ServerDhParams::from_bytes(&answers[1]).unwrap();
    let (now, mut primes) = (run.server_time(), PrimeCache::default());
    let (request, mut state): (_, Step3) = step3_with(state, params, now, &mut primes, &mut rng).unwrap();
    assert_eq!(request.to_bytes(), questions[2]);
    for (answer, next_question) in answers[2..4].iter().zip(&questions[3..]) {
        let answer = enums::SetClientDhParamsAnswer::from_bytes(answer).unwrap();
        let Err(HandshakeError::DhGenRetry(retry)) = finish_with(state, answer, &mut rng) else {
            panic!("the server asked for another attempt");
        };
        assert_eq!(retry.request.to_bytes(), *next_question);
        state = retry.state;
    }
    let answer = enums::SetClientDhParamsAnswer::from_bytes(&answers[4]).unwrap();
    let finished = finish_with(state, answer, &mut rng).unwrap();
    assert_eq!(finished.auth_key, run.result.unwrap().array("auth_key"));
    assert_eq!(finished.time_offset, 0);
}
