//! The two published transcripts.

use chappe_conformance::script::Script;
use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::dh::{DhError, PrimeCache};
use chappe_framing::UnixTime;
use chappe_handshake::{
    ClientHandshake, ClientOptions, HandshakeError, InvalidAnswer, Progress, step1_with, step2_with,
    step3_with,
};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, types};

use crate::{at, from_server, object_of};

/// Appends random bytes to an object until it has the length that the transcript documents.
fn with_documented_tail(message: &Entry) -> Vec<u8> {
    let mut body = message.bytes("body");
    body.resize(message.number("documented_message_length"), 0xa5);
    body
}

#[test]
fn the_transcript_of_2024_is_repeated() {
    let sample = vectors::load("handshake_samples").entry("sample_2024");
    let messages = sample.list("messages");
    // The temporary key of RSA_PAD was not published; any that gives a number below the modulus will do.
    let mut script = sample.bytes("nonce");
    script.extend(sample.bytes("new_nonce"));
    script.extend(sample.bytes("random_padding_bytes"));
    script.extend([0; 32]);
    script.extend(sample.bytes("b"));
    script.extend(sample.bytes("client_padding"));
    let mut rng = Script::new(script);

    let now = at(UnixTime::from_secs(sample.number("server_time")));
    let mut client = ClientHandshake::begin(ClientOptions::production(2), now, &mut rng).unwrap();
    assert_eq!(client.last_request(), messages[0].bytes("body"));
    let res_pq = from_server(&with_documented_tail(&messages[1]));
    assert!(matches!(client.handle_frame(now, &res_pq, &mut rng), Ok(Progress::ServerKnown)));
    let published = messages[2].bytes("body");
    // All but the last 256 bytes, which depend on the unpublished key, are the published ones.
    assert_eq!(client.last_request().len(), published.len());
    assert_eq!(client.last_request()[..published.len() - 256], published[..published.len() - 256]);
    let params = from_server(&with_documented_tail(&messages[3]));
    assert!(matches!(client.handle_frame(now, &params, &mut rng), Ok(Progress::ParamsAgreed)));
    assert_eq!(client.last_request(), messages[4].bytes("body"));
    let answer = from_server(&with_documented_tail(&messages[5]));
    let Ok(Progress::Done(finished)) = client.handle_frame(now, &answer, &mut rng) else {
        panic!("the transcript ends with a key");
    };
    assert!(rng.is_used_up());
    assert_eq!(finished.auth_key, sample.array("auth_key"));
    assert_eq!(finished.key().id().as_bytes(), &sample.array("auth_key_id_le_bytes"));
    assert_eq!(finished.first_salt.to_le_bytes(), sample.array("server_salt_le_bytes"));
    assert_eq!(finished.time_offset, 0);
    assert_eq!(object_of(&answer)[..52], messages[5].bytes("body"));
}

#[test]
fn the_transcript_of_2013_is_understood_and_its_generator_refused() {
    let sample = vectors::load("handshake_samples").entry("sample_2013");
    let mut script = sample.bytes("nonce");
    script.extend(sample.bytes("new_nonce"));
    script.extend([0x5a; 92 + 32]);
    let mut rng = Script::new(script);
    let (nonce, server_nonce) = (sample.array("nonce"), sample.array("server_nonce"));

    let (_, state) = step1_with(&mut rng);
    let pq = sample.number::<u64>("pq_dec").to_be_bytes().to_vec();
    let options = ClientOptions::production(2);
    let fingerprint = options.keys.iter().next().unwrap().fingerprint().to_raw();
    let server_public_key_fingerprints = vec![fingerprint];
    let answer = types::ResPq { nonce, server_nonce, pq, server_public_key_fingerprints };
    let (request, state) = step2_with(state, enums::ResPq::ResPq(answer), &options, &mut rng).unwrap();
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    assert_eq!(number(&request.p), sample.number::<u64>("p_dec"));
    assert_eq!(number(&request.q), sample.number::<u64>("q_dec"));

    // The answer decrypts, its hash is right, and g = 2 does not go with this prime.
    let encrypted_answer = sample.bytes("encrypted_answer");
    let answer = types::ServerDhParamsOk { nonce, server_nonce, encrypted_answer };
    let answer = enums::ServerDhParams::from_bytes(&enums::ServerDhParams::Ok(answer).to_bytes()).unwrap();
    let now = UnixTime::from_secs(sample.number("server_time"));
    let refused = step3_with(state, answer, now, &mut PrimeCache::default(), &mut rng).map(|_| ());
    let expected = DhError::GeneratorNotResidue { generator: 2 };
    assert!(
        matches!(refused, Err(HandshakeError::InvalidAnswer(InvalidAnswer::DhParams(error))) if error == expected),
        "{refused:?}"
    );
}
