//! Rows SEC-14 to SEC-43 of the checklist, one by one, as far as a client observes them.

use chappe_conformance::script::Script;
use chappe_crypto::dh::{DhError, Exponent, Group, KNOWN_PRIME, PrimeCache};
use chappe_crypto::kdf::AesKeyIv;
use chappe_crypto::nonce::{self, HashNumber};
use chappe_crypto::rsa::KeyRing;
use chappe_crypto::{AuthKey, factorize, hash, ige};
use chappe_framing::{FrameBuf, FrameError, UnixTime};
use chappe_handshake::{
    ClientHandshake, ClientOptions, Dc, Error, ExpectDhGen, ExpectResPq, ExpectServerDhParams,
    HANDSHAKE_TIMEOUT, KeyKind, MAX_RETRIES, Outcome, Progress, Retry, step1_with, step2_with, step3_with,
};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{client_options, from_server, private_key, public_key};

const NOW: UnixTime = UnixTime::from_secs(1_707_425_105);
const PQ: u64 = 0x5a30_0d4b * 0x6a26_db65;
const SERVER_NONCE: [u8; 16] = [0x51; 16];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0x17; 32])
}

/// An honest `resPQ`.
fn res_pq(nonce: [u8; 16]) -> types::ResPq {
    types::ResPq {
        nonce,
        server_nonce: SERVER_NONCE,
        pq: PQ.to_be_bytes().to_vec(),
        server_public_key_fingerprints: vec![public_key().fingerprint().to_raw()],
    }
}

/// Lets a client handle a `resPQ` that was changed.
fn answer_res_pq(change: impl FnOnce(&mut types::ResPq)) -> Result<functions::ReqDhParams, Error> {
    let mut rng = rng();
    let (request, state) = step1_with(&mut rng);
    let mut answer = res_pq(request.nonce);
    change(&mut answer);
    step2_with(state, enums::ResPq::ResPq(answer), &client_options(), &mut rng).map(|(request, _)| request)
}

/// A server that knows the secrets of an exchange and may misuse them.
struct Server {
    nonce: [u8; 16],
    new_nonce: [u8; 32],
    inner: enums::PQInnerData,
    exponent: Exponent,
    group: Group,
}

impl Server {
    /// Brings a client to where it waits for `server_DH_params`.
    fn meet(options: &ClientOptions, rng: &mut ChaCha20Rng) -> (Self, ExpectServerDhParams) {
        let (request, state): (_, ExpectResPq) = step1_with(rng);
        let nonce = request.nonce;
        let answer = enums::ResPq::ResPq(res_pq(nonce));
        let (request, state) = step2_with(state, answer, options, rng).expect("the answer is honest");
        let data = private_key().decrypt_pad(&request.encrypted_data, rng).expect("RSA_PAD is right");
        let mut cursor = chappe_tl::deserialize::Cursor::from_slice(&data[..]);
        let inner = enums::PQInnerData::deserialize(&mut cursor).expect("the inner data is an object");
        let new_nonce = match &inner {
            enums::PQInnerData::Dc(inner) => inner.new_nonce,
            enums::PQInnerData::TempDc(inner) => inner.new_nonce,
            other => panic!("{other:?} has no datacenter"),
        };
        let group = Group::known(3).expect("3 is a generator");
        (Self { nonce, new_nonce, inner, exponent: Exponent::random(rng), group }, state)
    }

    fn inner_data(&self) -> types::ServerDhInnerData {
        let g_a = self.group.public_value(&self.exponent).expect("the value is in range");
        types::ServerDhInnerData {
            nonce: self.nonce,
            server_nonce: SERVER_NONCE,
            g: 3,
            dh_prime: KNOWN_PRIME.to_vec(),
            g_a: g_a.as_bytes().to_vec(),
            server_time: NOW.to_tl_int(),
        }
    }

    fn tmp_aes(&self) -> AesKeyIv {
        nonce::tmp_aes(&self.new_nonce, &SERVER_NONCE)
    }

    /// Encrypts an object with its hash in front and `padding` bytes behind.
    fn encrypt(&self, object: &[u8], padding: usize) -> Vec<u8> {
        let mut data = [&hash::sha1(&[object])[..], object, &vec![0xa5; padding]].concat();
        let key = self.tmp_aes();
        ige::encrypt(&key.key, &key.iv, &mut data).expect("the padding fills the last block");
        data
    }

    fn params(&self, inner: types::ServerDhInnerData) -> enums::ServerDhParams {
        let object = enums::ServerDhInnerData::ServerDhInnerData(inner).to_bytes();
        let padding = (20 + object.len()).next_multiple_of(16) - 20 - object.len();
        self.params_of(self.encrypt(&object, padding))
    }

    fn params_of(&self, encrypted_answer: Vec<u8>) -> enums::ServerDhParams {
        let (nonce, server_nonce) = (self.nonce, SERVER_NONCE);
        enums::ServerDhParams::Ok(types::ServerDhParamsOk { nonce, server_nonce, encrypted_answer })
    }

    /// Decrypts what the client sent as its half, and computes the key.
    fn agree(&self, request: &functions::SetClientDhParams) -> (types::ClientDhInnerData, AuthKey) {
        let key = self.tmp_aes();
        let mut data = request.encrypted_data.clone();
        ige::decrypt(&key.key, &key.iv, &mut data).expect("whole blocks");
        let object = &data[20..];
        let mut cursor = chappe_tl::deserialize::Cursor::from_slice(object);
        let inner = enums::ClientDhInnerData::deserialize(&mut cursor).expect("the inner data is an object");
        assert_eq!(data[..20], hash::sha1(&[&object[..cursor.pos()]]));
        let enums::ClientDhInnerData::ClientDhInnerData(inner) = inner;
        let g_b = self.group.check_public(&inner.g_b).expect("g_b is in range");
        (inner, AuthKey::from_bytes(*self.group.shared_secret(&self.exponent, &g_b)))
    }

    fn hash(&self, number: HashNumber, key: &AuthKey) -> [u8; 16] {
        nonce::new_nonce_hash_n(&self.new_nonce, number, &key.aux_hash())
    }

    fn ok(&self, new_nonce_hash1: [u8; 16]) -> enums::SetClientDhParamsAnswer {
        let (nonce, server_nonce) = (self.nonce, SERVER_NONCE);
        enums::SetClientDhParamsAnswer::DhGenOk(types::DhGenOk { nonce, server_nonce, new_nonce_hash1 })
    }

    fn retry(&self, new_nonce_hash2: [u8; 16]) -> enums::SetClientDhParamsAnswer {
        let (nonce, server_nonce) = (self.nonce, SERVER_NONCE);
        enums::SetClientDhParamsAnswer::DhGenRetry(types::DhGenRetry { nonce, server_nonce, new_nonce_hash2 })
    }

    fn fail(&self, new_nonce_hash3: [u8; 16]) -> enums::SetClientDhParamsAnswer {
        let (nonce, server_nonce) = (self.nonce, SERVER_NONCE);
        enums::SetClientDhParamsAnswer::DhGenFail(types::DhGenFail { nonce, server_nonce, new_nonce_hash3 })
    }
}

/// Lets a client handle `server_dh_params` of a server that changed its inner data.
fn answer_params(change: impl FnOnce(&mut types::ServerDhInnerData)) -> Result<(), Error> {
    let mut rng = rng();
    let (server, state) = Server::meet(&client_options(), &mut rng);
    let mut inner = server.inner_data();
    change(&mut inner);
    step3_with(state, server.params(inner), NOW, &mut PrimeCache::default(), &mut rng).map(|_| ())
}

/// Brings a client to where it waits for the last answer.
fn meet_at_the_end(rng: &mut ChaCha20Rng) -> (Server, functions::SetClientDhParams, ExpectDhGen) {
    let (server, state) = Server::meet(&client_options(), rng);
    let params = server.params(server.inner_data());
    let (request, state) =
        step3_with(state, params, NOW, &mut PrimeCache::default(), rng).expect("the parameters are honest");
    (server, request, state)
}

#[test]
fn sec_013_an_answer_of_another_state_is_refused() {
    let object = |nonce| {
        let hash = [0; 16];
        [
            types_bytes(enums::ResPq::ResPq(res_pq(nonce))),
            types_bytes(enums::ServerDhParams::Fail(types::ServerDhParamsFail {
                nonce,
                server_nonce: SERVER_NONCE,
                new_nonce_hash: hash,
            })),
            types_bytes(enums::SetClientDhParamsAnswer::DhGenOk(types::DhGenOk {
                nonce,
                server_nonce: SERVER_NONCE,
                new_nonce_hash1: hash,
            })),
        ]
    };
    for early in [1, 2] {
        let mut rng = rng();
        let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
        let nonce = client.last_request()[4..].try_into().unwrap();
        let result = client.handle_frame(NOW, &from_server(&object(nonce)[early]), &mut rng);
        let answer = object(nonce)[early].clone();
        let id = u32::from_le_bytes(answer[..4].try_into().unwrap());
        assert!(matches!(result, Err(Error::UnexpectedAnswer { id: got }) if got == id), "{result:?}");
        assert!(client.is_over());
        assert!(!client.poll_transmit(NOW, &mut FrameBuf::new()), "nothing more is asked");
        let other = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
        assert_ne!(other.last_request()[4..20], nonce, "another attempt has another nonce");
    }
}

fn types_bytes(object: impl Serializable) -> Vec<u8> {
    object.to_bytes()
}

#[test]
fn sec_014_the_nonce_of_res_pq_must_be_ours() {
    for byte in 0..16 {
        let mut sent = [0; 16];
        let refused = answer_res_pq(|answer| {
            answer.nonce[byte] ^= 1;
            sent = answer.nonce;
        });
        let Err(Error::InvalidNonce { got, mut expected }) = refused else { panic!("{refused:?}") };
        expected[byte] ^= 1;
        assert_eq!((got, expected), (sent, sent));
    }
    assert!(answer_res_pq(|_| {}).is_ok());
}

#[test]
fn sec_015_the_server_nonce_must_stay_the_same() {
    let mut rng = rng();
    let (server, state) = Server::meet(&client_options(), &mut rng);
    let enums::ServerDhParams::Ok(mut answer) = server.params(server.inner_data()) else {
        panic!("it is ok")
    };
    answer.server_nonce[15] ^= 1;
    let answer = enums::ServerDhParams::Ok(answer);
    let refused = step3_with(state, answer, NOW, &mut PrimeCache::default(), &mut rng).map(|_| ());
    let Err(Error::InvalidServerNonce { got, expected }) = refused else { panic!("{refused:?}") };
    assert_eq!((got[..15].to_vec(), got[15], expected), (vec![0x51; 15], 0x50, SERVER_NONCE));

    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let enums::SetClientDhParamsAnswer::DhGenOk(mut answer) = server.ok(server.hash(HashNumber::Ok, &key))
    else {
        panic!("it is ok")
    };
    answer.server_nonce[0] ^= 1;
    let refused = state.handle(enums::SetClientDhParamsAnswer::DhGenOk(answer), &mut rng);
    assert!(matches!(refused, Err(Error::InvalidServerNonce { .. })), "{refused:?}");
}

#[test]
fn sec_016_the_nonce_of_later_messages_must_be_ours() {
    let mut rng = rng();
    let (server, state) = Server::meet(&client_options(), &mut rng);
    let enums::ServerDhParams::Ok(mut answer) = server.params(server.inner_data()) else {
        panic!("it is ok")
    };
    answer.nonce[0] ^= 1;
    let answer = enums::ServerDhParams::Ok(answer);
    let refused = step3_with(state, answer, NOW, &mut PrimeCache::default(), &mut rng).map(|_| ());
    let Err(Error::InvalidNonce { got, expected }) = refused else { panic!("{refused:?}") };
    assert_eq!(expected, server.nonce);
    assert_eq!((got[0], &got[1..]), (expected[0] ^ 1, &expected[1..]));
}

#[test]
fn sec_017_a_server_without_a_known_key_is_refused() {
    for offered in [vec![], vec![1], vec![1, 2, 3]] {
        let refused = answer_res_pq(|answer| answer.server_public_key_fingerprints.clone_from(&offered));
        match refused {
            Err(Error::UnknownFingerprints { fingerprints }) => {
                assert_eq!(fingerprints, offered);
                assert!(Error::UnknownFingerprints { fingerprints }.is_fatal(), "another attempt is no use");
            }
            other => panic!("{other:?}"),
        }
    }
    let chosen = answer_res_pq(|answer| answer.server_public_key_fingerprints.insert(0, 7)).unwrap();
    assert_eq!(chosen.public_key_fingerprint, public_key().fingerprint().to_raw());
}

#[test]
fn sec_018_a_key_of_another_ring_is_not_used() {
    let mut rng = rng();
    let (production, test) = (KeyRing::production(), KeyRing::test());
    for (own, foreign) in [(&production, &test), (&test, &production)] {
        let (request, state) = step1_with(&mut rng);
        let mut answer = res_pq(request.nonce);
        answer.server_public_key_fingerprints =
            foreign.iter().map(|key| key.fingerprint().to_raw()).collect();
        let options = ClientOptions { keys: own.clone(), ..client_options() };
        let refused = step2_with(state, enums::ResPq::ResPq(answer), &options, &mut rng).map(|_| ());
        let Err(Error::UnknownFingerprints { fingerprints }) = refused else { panic!("{refused:?}") };
        assert_eq!(fingerprints, foreign.iter().map(|key| key.fingerprint().to_raw()).collect::<Vec<_>>());
    }
}

#[test]
fn sec_021_pq_must_be_a_product_of_two_distinct_primes() {
    let bytes = |number: u64| number.to_be_bytes().to_vec();
    for pq in [
        vec![],
        vec![0],
        vec![1],
        bytes(15_485_863),
        bytes(2 * 15_485_863),
        bytes(65_537 * 65_537),
        bytes(3 * 5 * 7),
        bytes(u64::MAX),
        vec![1; 9],
    ] {
        let refused = answer_res_pq(|answer| answer.pq.clone_from(&pq));
        assert!(matches!(refused, Err(Error::InvalidPq(_))), "{pq:?} {refused:?}");
    }
    let request = answer_res_pq(|_| {}).unwrap();
    assert_eq!((request.p, request.q), (vec![0x5a, 0x30, 0x0d, 0x4b], vec![0x6a, 0x26, 0xdb, 0x65]));
}

#[test]
fn sec_022_no_pq_keeps_the_client_busy() {
    // The largest prime below 2^63, and products whose smaller factor is as large as can be.
    let start = std::time::Instant::now();
    for pq in [9_223_372_036_854_775_783, 3_037_000_493 * 3_037_000_453, 13, 11, 9, 7, 5, 3] {
        let _ = factorize(pq);
        let _ = answer_res_pq(|answer| answer.pq = pq.to_be_bytes().to_vec());
    }
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[test]
fn sec_024_encrypted_data_has_256_bytes() {
    for seed in 0..40 {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let (request, state) = step1_with(&mut rng);
        let answer = enums::ResPq::ResPq(res_pq(request.nonce));
        let (request, _) = step2_with(state, answer, &client_options(), &mut rng).unwrap();
        assert_eq!(request.encrypted_data.len(), 256);
    }
}

#[test]
fn sec_023_and_sec_025_the_inner_data_names_the_datacenter() {
    let mut rng = rng();
    for (dc, raw) in [(Dc::production(2), 2), (Dc::test(2), 10_002), (Dc::production(4).media_only(), -4)] {
        for kind in [KeyKind::Permanent, KeyKind::Temporary { expires_in: 3600 }] {
            let options = ClientOptions { dc, kind, ..client_options() };
            let (server, _) = Server::meet(&options, &mut rng);
            assert!(server.inner.to_bytes().len() <= 144);
            match (&server.inner, kind) {
                (enums::PQInnerData::Dc(inner), KeyKind::Permanent) => assert_eq!(inner.dc, raw),
                (enums::PQInnerData::TempDc(inner), KeyKind::Temporary { .. }) => {
                    assert_eq!((inner.dc, inner.expires_in), (raw, 3600));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn an_impossible_lifetime_is_refused_before_anything_is_sent() {
    for expires_in in [0, 1 << 31, u32::MAX] {
        let options = client_options().temporary(expires_in);
        let refused = ClientHandshake::begin(options, NOW, &mut rng()).map(|_| ());
        assert!(matches!(refused, Err(Error::InvalidExpiry { seconds }) if seconds == expires_in));
    }
}

#[test]
fn sec_026_an_answer_that_is_not_whole_blocks_is_refused() {
    for len in [0, 1, 4, 15, 16, 20, 21, 588, 591, 593] {
        let mut rng = rng();
        let (server, state) = Server::meet(&client_options(), &mut rng);
        let answer = server.params_of(vec![1; len]);
        let refused = step3_with(state, answer, NOW, &mut PrimeCache::default(), &mut rng).map(|_| ());
        let expected = matches!(refused, Err(Error::EncryptedResponseNotPadded { len: got }) if got == len);
        assert!(expected, "{len}: {refused:?}");
    }
}

#[test]
fn sec_027_the_hash_of_the_answer_must_be_right() {
    let mut rng = rng();
    let (server, _) = Server::meet(&client_options(), &mut rng);
    let enums::ServerDhParams::Ok(good) = server.params(server.inner_data()) else { panic!("it is ok") };
    for at in (0..good.encrypted_answer.len()).step_by(7) {
        let mut rng = self::rng();
        let (server, state) = Server::meet(&client_options(), &mut rng);
        let enums::ServerDhParams::Ok(mut answer) = server.params(server.inner_data()) else {
            panic!("it is ok")
        };
        answer.encrypted_answer[at] ^= 1;
        let answer = enums::ServerDhParams::Ok(answer);
        let refused = step3_with(state, answer, NOW, &mut PrimeCache::default(), &mut rng).map(|_| ());
        assert!(matches!(refused, Err(Error::InvalidDhInnerData)), "{at}: {refused:?}");
    }
}

#[test]
fn sec_028_at_most_15_bytes_follow_the_inner_object() {
    for padding in [8, 24, 40] {
        let mut rng = rng();
        let (server, state) = Server::meet(&client_options(), &mut rng);
        let object = enums::ServerDhInnerData::ServerDhInnerData(server.inner_data()).to_bytes();
        assert_eq!(object.len(), 564);
        let answer = server.params_of(server.encrypt(&object, padding));
        let result = step3_with(state, answer, NOW, &mut PrimeCache::default(), &mut rng).map(|_| ());
        match padding {
            8 => assert!(result.is_ok(), "{result:?}"),
            _ => assert!(matches!(result, Err(Error::InvalidDhInnerData)), "{padding}: {result:?}"),
        }
    }
}

#[test]
fn sec_029_the_nonces_inside_must_be_ours() {
    let refused = answer_params(|inner| inner.nonce[3] ^= 1);
    let Err(Error::InvalidNonce { got, expected }) = refused else { panic!("{refused:?}") };
    assert_eq!(got[3], expected[3] ^ 1);
    let refused = answer_params(|inner| inner.server_nonce[3] ^= 1);
    let Err(Error::InvalidServerNonce { got, expected }) = refused else { panic!("{refused:?}") };
    assert_eq!((got[3], expected), (0x50, SERVER_NONCE));
    assert!(answer_params(|_| {}).is_ok());
}

fn dh_error(result: Result<(), Error>) -> DhError {
    match result {
        Err(Error::InvalidDhParams(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sec_030_the_prime_must_have_2048_bits() {
    let short = dh_error(answer_params(|inner| inner.dh_prime = KNOWN_PRIME[1..].to_vec()));
    assert!(matches!(short, DhError::PrimeSize { bits: 2033..=2040 }), "{short:?}");
    let half = dh_error(answer_params(|inner| inner.dh_prime[0] &= 0x7f));
    assert!(matches!(half, DhError::PrimeSize { bits: 2041..=2047 }), "{half:?}");
    let long = dh_error(answer_params(|inner| inner.dh_prime.push(1)));
    assert_eq!(long, DhError::PrimeSize { bits: 2056 });
}

#[test]
fn sec_031_the_prime_must_be_safe() {
    // Not the published prime any more, and with overwhelming odds no prime at all; 4 is a generator
    // of whatever it is, so nothing but the primality tests can refuse it.
    let refused = dh_error(answer_params(|inner| {
        inner.dh_prime[200] ^= 1;
        inner.g = 4;
    }));
    assert!(matches!(refused, DhError::NotPrime | DhError::NotSafePrime), "{refused:?}");
}

#[test]
fn sec_032_the_generator_must_fit_the_prime() {
    for g in [-1, 0, 1, 2, 5, 6, 8, i32::MIN, i32::MAX] {
        let refused = dh_error(answer_params(|inner| inner.g = g));
        let expected = match g {
            2 | 5 | 6 => DhError::GeneratorNotResidue { generator: g },
            _ => DhError::GeneratorRange { generator: g },
        };
        assert_eq!(refused, expected);
    }
}

#[test]
fn sec_033_and_sec_034_the_servers_public_value_must_be_in_range() {
    let mut p_minus_1 = KNOWN_PRIME;
    p_minus_1[255] -= 1;
    for g_a in [vec![], vec![0; 256], vec![1], p_minus_1.to_vec(), KNOWN_PRIME.to_vec()] {
        let refused = dh_error(answer_params(|inner| inner.g_a = g_a));
        assert_eq!(refused, DhError::ValueOutOfGroup);
    }
    for g_a in [vec![0xff; 248], {
        let mut near = KNOWN_PRIME;
        near[255] -= 9;
        near.to_vec()
    }] {
        let refused = dh_error(answer_params(|inner| inner.g_a = g_a));
        assert_eq!(refused, DhError::ValueOutOfSafeRange);
    }
    let refused = dh_error(answer_params(|inner| inner.g_a.insert(0, 1)));
    assert_eq!(refused, DhError::ValueTooLong { got: 257 });
}

#[test]
fn sec_002_and_sec_035_each_attempt_has_an_exponent_of_its_own_in_range() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (first, key) = server.agree(&request);
    let Outcome::Retry(retry) =
        state.handle(server.retry(server.hash(HashNumber::Retry, &key)), &mut rng).unwrap()
    else {
        panic!("it is a retry")
    };
    // `agree` checks the range of both values.
    let (second, _) = server.agree(&retry.request);
    assert_ne!(first.g_b, second.g_b);
}

#[test]
fn sec_036_the_key_has_256_bytes() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (inner, key) = server.agree(&request);
    assert_eq!(inner.g_b.len(), 256);
    let answer = server.ok(server.hash(HashNumber::Ok, &key));
    let Outcome::Done(finished) = state.handle(answer, &mut rng).unwrap() else { panic!("it is done") };
    assert_eq!(finished.auth_key.len(), 256);
    assert_eq!(finished.key(), key);
}

#[test]
fn sec_037_dh_gen_ok_must_prove_knowledge_of_the_key() {
    for wrong in 0..3 {
        let mut rng = rng();
        let (server, request, state) = meet_at_the_end(&mut rng);
        let (_, key) = server.agree(&request);
        let hash = match wrong {
            0 => [0; 16],
            1 => server.hash(HashNumber::Retry, &key),
            _ => server.hash(HashNumber::Ok, &AuthKey::from_bytes([1; 256])),
        };
        let refused = state.handle(server.ok(hash), &mut rng).map(|_| ());
        assert!(matches!(refused, Err(Error::InvalidNewNonceHash { got }) if got == hash), "{refused:?}");
    }
}

#[test]
fn sec_038_retries_are_authenticated_chained_and_limited() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let forged = state.handle(server.retry(server.hash(HashNumber::Ok, &key)), &mut rng).map(|_| ());
    assert!(matches!(forged, Err(Error::InvalidNewNonceHash { .. })), "{forged:?}");

    let (server, mut request, mut state) = meet_at_the_end(&mut rng);
    let mut expected_id = 0;
    for _ in 0..MAX_RETRIES {
        let (inner, key) = server.agree(&request);
        assert_eq!(inner.retry_id, expected_id);
        expected_id = i64::from_le_bytes(key.aux_hash());
        let answer = server.retry(server.hash(HashNumber::Retry, &key));
        let Outcome::Retry(retry) = state.handle(answer, &mut rng).unwrap() else { panic!("it is a retry") };
        Retry { request, state } = *retry;
    }
    let (inner, key) = server.agree(&request);
    assert_eq!(inner.retry_id, expected_id);
    let sixth = state.handle(server.retry(server.hash(HashNumber::Retry, &key)), &mut rng).map(|_| ());
    assert!(matches!(sixth, Err(Error::TooManyRetries)), "{sixth:?}");
}

#[test]
fn sec_039_failures_are_believed_only_with_their_hash() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let forged = state.handle(server.fail(server.hash(HashNumber::Ok, &key)), &mut rng).map(|_| ());
    assert!(matches!(forged, Err(Error::InvalidNewNonceHash { .. })), "{forged:?}");
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let genuine = state.handle(server.fail(server.hash(HashNumber::Fail, &key)), &mut rng).map(|_| ());
    assert!(matches!(genuine, Err(Error::DhGenFail)), "{genuine:?}");

    for genuine in [false, true] {
        let (server, state) = Server::meet(&client_options(), &mut rng);
        let hash = if genuine { nonce::new_nonce_hash(&server.new_nonce) } else { [9; 16] };
        let answer = types::ServerDhParamsFail {
            nonce: server.nonce,
            server_nonce: SERVER_NONCE,
            new_nonce_hash: hash,
        };
        let answer = enums::ServerDhParams::Fail(answer);
        match step3_with(state, answer, NOW, &mut PrimeCache::default(), &mut rng).map(|_| ()) {
            Err(Error::DhParamsFail) if genuine => {}
            Err(Error::InvalidNewNonceHash { .. }) if !genuine => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn sec_040_both_inner_messages_start_from_the_same_iv() {
    // `Server::agree` decrypts the client's message with the IV that the server's was made with.
    let mut rng = rng();
    let (server, request, _state) = meet_at_the_end(&mut rng);
    assert_eq!(server.agree(&request).0.nonce, server.nonce);
}

#[test]
fn sec_041_the_first_salt_is_the_xor_of_the_nonces() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let answer = server.ok(server.hash(HashNumber::Ok, &key));
    let Outcome::Done(finished) = state.handle(answer, &mut rng).unwrap() else { panic!("it is done") };
    let xor: Vec<u8> = (0..8).map(|i| server.new_nonce[i] ^ SERVER_NONCE[i]).collect();
    assert_eq!(finished.salt().to_raw().to_le_bytes(), *xor);
}

#[test]
fn sec_042_a_request_is_resent_byte_for_byte_and_a_new_exchange_has_new_nonces() {
    let mut rng = rng();
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
    let (mut first, mut second) = (FrameBuf::new(), FrameBuf::new());
    assert!(client.poll_transmit(NOW, &mut first));
    client.resend();
    assert!(client.poll_transmit(NOW, &mut second));
    assert_eq!(crate::object_of(first.as_slice()), crate::object_of(second.as_slice()));
    let other = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
    assert_ne!(client.last_request(), other.last_request());
}

#[test]
fn sec_043_an_exchange_has_a_deadline() {
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng()).unwrap();
    let deadline = NOW.saturating_add(HANDSHAKE_TIMEOUT);
    assert_eq!(client.poll_timeout(), Some(deadline));
    assert!(client.handle_timeout(NOW).is_ok());
    assert!(matches!(client.handle_timeout(deadline), Err(Error::TimedOut)));
    assert!(client.is_over());
    assert!(!client.poll_transmit(deadline, &mut FrameBuf::new()));
    assert!(client.handle_timeout(deadline).is_ok(), "it is told once");
    let sooner = UnixTime::from_secs(NOW.as_secs() + 1);
    let client = ClientHandshake::begin(client_options(), NOW, &mut rng()).unwrap().with_deadline(sooner);
    assert_eq!(client.poll_timeout(), Some(sooner));
}

#[test]
fn sec_001_a_source_that_repeats_itself_ends_the_exchange() {
    // With such randomness no exponent gives a value in range, and no number for RSA is drawn for ever.
    let mut script = vec![7; 16 + 32 + 92 + 32];
    script.extend([0; 256 * 8]);
    let mut broken = Script::new(script);
    let (request, state) = step1_with(&mut broken);
    let answer = enums::ResPq::ResPq(res_pq(request.nonce));
    let (request, state) = step2_with(state, answer, &client_options(), &mut broken).unwrap();
    let new_nonce = [7; 32];
    let group = Group::known(3).unwrap();
    let (exponent, _) = group.key_pair(&mut rng()).unwrap();
    let inner = enums::PQInnerData::PQInnerData(types::PQInnerData {
        pq: vec![],
        p: vec![],
        q: vec![],
        nonce: request.nonce,
        server_nonce: SERVER_NONCE,
        new_nonce,
    });
    let server = Server { nonce: request.nonce, new_nonce, inner, exponent, group };
    let params = server.params(server.inner_data());
    let refused = step3_with(state, params, NOW, &mut PrimeCache::default(), &mut broken).map(|_| ());
    assert!(matches!(refused, Err(Error::NoRandomness)), "{refused:?}");
}

#[test]
fn sec_005_secrets_are_not_shown() {
    let mut rng = rng();
    let (server, request, state) = meet_at_the_end(&mut rng);
    let (_, key) = server.agree(&request);
    let shown = format!("{state:?}");
    let answer = server.ok(server.hash(HashNumber::Ok, &key));
    let outcome = state.handle(answer, &mut rng).unwrap();
    let all = format!("{shown} {outcome:?}");
    let secret = format!("{:?}", &key.as_bytes()[..8]);
    assert!(!all.contains(secret.trim_matches(['[', ']'])), "{all}");
    assert!(!all.contains("auth_key: ["), "{all}");
}

#[test]
fn the_same_answer_twice_is_ignored_once() {
    let mut rng = rng();
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
    let nonce = client.last_request()[4..].try_into().unwrap();
    let answer = from_server(&enums::ResPq::ResPq(res_pq(nonce)).to_bytes());
    assert!(matches!(client.handle_frame(NOW, &answer, &mut rng), Ok(Progress::ServerKnown)));
    let request = client.last_request().to_vec();
    assert!(matches!(client.handle_frame(NOW, &answer, &mut rng), Ok(Progress::Repeated)));
    assert_eq!(client.last_request(), request);
}

#[test]
fn frames_that_are_no_handshake_end_the_exchange() {
    for frame in [vec![], vec![0; 19], vec![1; 100], from_server(&0x7abe_77ec_u32.to_le_bytes())] {
        let mut rng = rng();
        let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
        let refused = client.handle_frame(NOW, &frame, &mut rng);
        let expected = matches!(
            refused,
            Err(Error::Frame(
                FrameError::TooShort { .. }
                    | FrameError::NotPlain { .. }
                    | FrameError::NotAHandshakeObject { .. }
            ))
        );
        assert!(expected, "{refused:?}");
    }
}

#[test]
fn arbitrary_bytes_do_not_panic_a_client() {
    let mut noise = ChaCha20Rng::from_seed([2; 32]);
    for round in 0..500_usize {
        let mut rng = rng();
        let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
        let mut object = vec![0; 4 + round % 300];
        noise.fill_bytes(&mut object);
        object[..4].copy_from_slice(&0x0516_2463_u32.to_le_bytes());
        let _ = client.handle_frame(NOW, &from_server(&object), &mut rng);
    }
}
