//! Rows SEC-44 to SEC-60 of the checklist, one by one, as a client observes them.

use core::time::Duration;

use chappe_crypto::AuthKeyId;
use chappe_crypto::{hash, ige, nonce};
use chappe_framing::{FrameBuf, FrameError, UnixTime};
use chappe_handshake::{
    ClientHandshake, ClientOptions, ConfigError, CreatedKey, Dc, DcPolicy, Error, KeyKind, Peer, Progress,
    RateLimit, Reason, Refusal, Reply, ServerHandshakes, ServerOptions, Tolerance, TransportCode,
};
use chappe_tl::deserialize::Cursor;
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{PEER, client_options, from_client, object_of, private_key, public_key, server, server_options};

const NOW: UnixTime = UnixTime::from_secs(1_707_425_105);

/// What a server answered.
enum Answer {
    Object(Vec<u8>),
    Key(CreatedKey, Vec<u8>),
}

/// A server and a source of randomness.
struct Rig {
    server: ServerHandshakes,
    rng: ChaCha20Rng,
    now: UnixTime,
}

impl Rig {
    fn new(options: ServerOptions) -> Self {
        Self { server: server(options), rng: ChaCha20Rng::from_seed([0x31; 32]), now: NOW }
    }

    fn ask(&mut self, object: &[u8]) -> Result<Answer, Refusal> {
        self.ask_as(PEER, object)
    }

    fn ask_as(&mut self, peer: Peer, object: &[u8]) -> Result<Answer, Refusal> {
        let mut out = FrameBuf::new();
        let created =
            match self.server.handle_frame(self.now, peer, &from_client(object), &mut out, &mut self.rng) {
                Reply::Answer => None,
                Reply::Key(candidate) => Some(candidate.accept()),
                Reply::Refuse(refusal) => return Err(refusal),
            };
        let object = object_of(out.as_slice());
        Ok(match created {
            Some(created) => Answer::Key(created, object),
            None => Answer::Object(object),
        })
    }

    fn object(&mut self, query: &impl Serializable) -> Vec<u8> {
        match self.ask(&query.to_bytes()) {
            Ok(Answer::Object(object) | Answer::Key(_, object)) => object,
            Err(refusal) => panic!("{refusal}"),
        }
    }

    fn refused(&mut self, query: &impl Serializable) -> Refusal {
        match self.ask(&query.to_bytes()) {
            Err(refusal) => refusal,
            Ok(_) => panic!("the query was answered"),
        }
    }

    /// Starts an exchange: returns the server's first answer.
    fn start(&mut self) -> types::ResPq {
        let mut nonce = [0; 16];
        self.rng.fill_bytes(&mut nonce);
        let answer = self.object(&functions::ReqPqMulti { nonce });
        let enums::ResPq::ResPq(answer) = enums::ResPq::from_bytes(&answer).expect("it is a resPQ");
        assert_eq!(answer.nonce, nonce);
        answer
    }

    /// An honest second query, but for what `change` does to its inner data.
    fn params_query(
        &mut self,
        first: &types::ResPq,
        change: impl FnOnce(types::PQInnerDataDc) -> enums::PQInnerData,
    ) -> functions::ReqDhParams {
        let inner = change(Self::inner_data(first)).to_bytes();
        let encrypted = public_key().encrypt_pad(&inner, &mut self.rng).expect("it is short enough");
        let types::PQInnerDataDc { p, q, nonce, server_nonce, .. } = Self::inner_data(first);
        let public_key_fingerprint = public_key().fingerprint().to_raw();
        let encrypted_data = encrypted.to_vec();
        functions::ReqDhParams { nonce, server_nonce, p, q, public_key_fingerprint, encrypted_data }
    }

    fn inner_data(first: &types::ResPq) -> types::PQInnerDataDc {
        let (p, q) = chappe_crypto::factorize::from_bytes(&first.pq).expect("pq is a product");
        let bytes = |factor: u64| factor.to_be_bytes()[4..].to_vec();
        types::PQInnerDataDc {
            pq: first.pq.clone(),
            p: bytes(p),
            q: bytes(q),
            nonce: first.nonce,
            server_nonce: first.server_nonce,
            new_nonce: [0x42; 32],
            dc: 2,
        }
    }

    /// Brings an exchange to its last step: returns the server's parameters.
    fn meet(&mut self) -> (types::ResPq, types::ServerDhInnerData) {
        let first = self.start();
        let query = self.params_query(&first, enums::PQInnerData::Dc);
        let answer = self.object(&query);
        let answer = enums::ServerDhParams::from_bytes(&answer).expect("it is an answer");
        let enums::ServerDhParams::Ok(answer) = answer else { panic!("it is ok") };
        let key = nonce::tmp_aes(&[0x42; 32], &first.server_nonce);
        let mut data = answer.encrypted_answer;
        ige::decrypt(&key.key, &key.iv, &mut data).expect("whole blocks");
        let mut cursor = Cursor::from_slice(&data[20..]);
        let inner = enums::ServerDhInnerData::deserialize(&mut cursor).expect("it is an object");
        assert_eq!(data[..20], hash::sha1(&[&data[20..20 + cursor.pos()]]));
        assert!(data.len() - 20 - cursor.pos() < 16);
        let enums::ServerDhInnerData::ServerDhInnerData(inner) = inner;
        (first, inner)
    }

    /// An honest third query, but for what `change` does to its inner data and its padding.
    fn last_query(
        &mut self,
        first: &types::ResPq,
        padding: usize,
        change: impl FnOnce(&mut types::ClientDhInnerData),
    ) -> functions::SetClientDhParams {
        let (nonce, server_nonce) = (first.nonce, first.server_nonce);
        let group = &self.server.options().group;
        let (_, g_b) = group.key_pair(&mut self.rng).expect("a value in range is found");
        let mut inner =
            types::ClientDhInnerData { nonce, server_nonce, retry_id: 0, g_b: g_b.as_bytes().to_vec() };
        change(&mut inner);
        let object = enums::ClientDhInnerData::ClientDhInnerData(inner).to_bytes();
        let mut data = [&hash::sha1(&[&object])[..], &object, &vec![0xa5; padding]].concat();
        let key = nonce::tmp_aes(&[0x42; 32], &first.server_nonce);
        ige::encrypt(&key.key, &key.iv, &mut data).expect("the padding fills the last block");
        functions::SetClientDhParams { nonce, server_nonce, encrypted_data: data }
    }
}

fn strict() -> Rig {
    Rig::new(server_options())
}

fn lenient() -> Rig {
    Rig::new(ServerOptions { rate: None, ..ServerOptions::lenient(vec![private_key()]) })
}

fn assert_not_found(refusal: &Refusal, reason: &Reason) {
    assert_eq!((&refusal.reason, refusal.code), (reason, TransportCode::NotFound));
    assert_eq!(refusal.code.to_raw(), Some(-404));
}

#[test]
fn an_honest_exchange_by_hand_gives_a_key() {
    let mut rig = strict();
    let (first, _) = rig.meet();
    let query = rig.last_query(&first, 12, |_| {});
    let Ok(Answer::Key(created, _)) = rig.ask(&query.to_bytes()) else { panic!("there is a key") };
    assert_eq!((created.dc, created.expires_at, created.created_at), (Some(2), None, NOW));
}

#[test]
fn sec_044_queries_of_unknown_exchanges_or_out_of_order_are_refused() {
    let mut rig = strict();
    let first = rig.start();
    let mut unknown = rig.params_query(&first, enums::PQInnerData::Dc);
    unknown.server_nonce[0] ^= 1;
    assert_not_found(&rig.refused(&unknown), &Reason::UnknownExchange);
    let mut unknown = rig.params_query(&first, enums::PQInnerData::Dc);
    unknown.nonce[0] ^= 1;
    assert_not_found(&rig.refused(&unknown), &Reason::UnknownExchange);
    let early = rig.last_query(&first, 12, |_| {});
    assert_not_found(&rig.refused(&early), &Reason::UnknownExchange);
    assert!(rig.server.is_empty(), "a query out of order ends the exchange");
}

#[test]
fn sec_045_p_and_q_must_be_the_issued_factors() {
    let changes: [fn(&mut functions::ReqDhParams); 5] = [
        |query| core::mem::swap(&mut query.p, &mut query.q),
        |query| query.p[3] ^= 2,
        |query| query.q[3] ^= 2,
        |query| query.p.insert(0, 0),
        |query| query.q.clear(),
    ];
    for change in changes {
        let mut rig = strict();
        let first = rig.start();
        let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
        change(&mut query);
        assert_not_found(&rig.refused(&query), &Reason::WrongFactors);
        assert!(rig.server.is_empty());
    }
}

#[test]
fn sec_046_the_fingerprint_must_be_announced() {
    let mut rig = strict();
    let first = rig.start();
    assert_eq!(first.server_public_key_fingerprints, [public_key().fingerprint().to_raw()]);
    let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
    query.public_key_fingerprint ^= 1;
    let fingerprint = query.public_key_fingerprint;
    assert_not_found(&rig.refused(&query), &Reason::UnknownFingerprint { fingerprint });
}

#[test]
fn sec_047_whatever_does_not_decrypt_is_refused_alike() {
    let changes: [fn(&mut Vec<u8>); 6] = [
        |data| data.truncate(255),
        |data| data.push(0),
        |data| data.clear(),
        |data| data.fill(0xff),
        |data| data.fill(0),
        |data| data[100] ^= 1,
    ];
    for rig in [strict, lenient] {
        for change in changes {
            let mut rig = rig();
            let first = rig.start();
            let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
            change(&mut query.encrypted_data);
            assert_not_found(&rig.refused(&query), &Reason::Undecryptable);
        }
    }
}

#[test]
fn sec_049_the_inner_data_must_repeat_the_outer_message() {
    let changes: [fn(&mut types::PQInnerDataDc); 5] = [
        |inner| inner.nonce[0] ^= 1,
        |inner| inner.server_nonce[0] ^= 1,
        |inner| inner.pq[0] ^= 1,
        |inner| core::mem::swap(&mut inner.p, &mut inner.q),
        |inner| inner.q.insert(0, 0),
    ];
    for change in changes {
        let mut rig = strict();
        let first = rig.start();
        let query = rig.params_query(&first, |mut inner| {
            change(&mut inner);
            enums::PQInnerData::Dc(inner)
        });
        assert_not_found(&rig.refused(&query), &Reason::InnerMismatch);
    }
}

fn without_dc(inner: types::PQInnerDataDc) -> types::PQInnerData {
    let types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, .. } = inner;
    types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce }
}

#[test]
fn sec_049_inner_data_without_a_datacenter_is_for_lenient_servers() {
    let old = |inner| enums::PQInnerData::PQInnerData(without_dc(inner));
    let mut rig = strict();
    let first = rig.start();
    let query = rig.params_query(&first, old);
    assert_not_found(&rig.refused(&query), &Reason::UnexpectedInnerData);
    let mut rig = lenient();
    let first = rig.start();
    let query = rig.params_query(&first, old);
    rig.object(&query);
    let query = rig.last_query(&first, 12, |_| {});
    let Ok(Answer::Key(created, _)) = rig.ask(&query.to_bytes()) else { panic!("there is a key") };
    assert_eq!(created.dc, None);
}

/// `encrypted^e mod n` by square and multiply, on numbers of 256 bytes: for the form of encryption
/// that our own client never uses.
fn raw_rsa(message: &[u8; 256]) -> Vec<u8> {
    use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
    use crypto_bigint::{BoxedUint, Odd};
    let key = public_key();
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 2048).expect("2048 bits");
    let modulus = Odd::new(number(key.modulus())).expect("the modulus is odd");
    let base = BoxedMontyForm::new(number(message), &BoxedMontyParams::new_vartime(modulus));
    base.pow(&number(key.exponent())).retrieve().to_be_bytes().to_vec()
}

#[test]
fn sec_047_the_old_rsa_form_is_for_lenient_servers() {
    for (mut rig, accepted) in [(strict(), false), (lenient(), true)] {
        let first = rig.start();
        let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
        let object = enums::PQInnerData::PQInnerData(without_dc(Rig::inner_data(&first))).to_bytes();
        let mut message = [0x5a; 256];
        message[0] = 0;
        message[1..21].copy_from_slice(&hash::sha1(&[&object]));
        message[21..21 + object.len()].copy_from_slice(&object);
        query.encrypted_data = raw_rsa(&message);
        if !accepted {
            assert_not_found(&rig.refused(&query), &Reason::Undecryptable);
            continue;
        }
        rig.object(&query);
        // With a wrong hash it is as undecryptable as anything else.
        let first = rig.start();
        let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
        message[5] ^= 1;
        query.encrypted_data = raw_rsa(&message);
        assert_not_found(&rig.refused(&query), &Reason::Undecryptable);
    }
}

#[test]
fn sec_050_another_datacenter_is_refused_with_its_own_code() {
    for dc in [0, 1, 3, -2, 10_002, i32::MIN] {
        let mut rig = strict();
        let first = rig.start();
        let change = |inner| enums::PQInnerData::Dc(types::PQInnerDataDc { dc, ..inner });
        let query = rig.params_query(&first, change);
        let refusal = rig.refused(&query);
        assert_eq!((refusal.reason, refusal.code.to_raw()), (Reason::WrongDc { dc }, Some(-444)));
        let mut rig = lenient();
        let first = rig.start();
        let query = rig.params_query(&first, change);
        rig.object(&query);
    }
    let dcs = DcPolicy::Only(vec![Dc::production(4), Dc::production(4).media_only()]);
    let mut rig = Rig::new(ServerOptions { dcs, ..server_options() });
    let first = rig.start();
    let query =
        rig.params_query(&first, |inner| enums::PQInnerData::Dc(types::PQInnerDataDc { dc: -4, ..inner }));
    rig.object(&query);
}

#[test]
fn sec_051_the_lifetime_of_a_temporary_key_is_bounded() {
    const MONTH: i32 = 30 * 24 * 3600;
    for (expires_in, accepted) in [
        (1, true),
        (86_400, true),
        (MONTH, true),
        (0, false),
        (-1, false),
        (MONTH + 1, false),
        (i32::MAX, false),
    ] {
        let mut rig = strict();
        let first = rig.start();
        let query = rig.params_query(&first, |inner| {
            let types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, dc } = inner;
            enums::PQInnerData::TempDc(types::PQInnerDataTempDc {
                pq,
                p,
                q,
                nonce,
                server_nonce,
                new_nonce,
                dc,
                expires_in,
            })
        });
        if !accepted {
            assert_not_found(&rig.refused(&query), &Reason::BadExpiry { expires_in });
            continue;
        }
        rig.object(&query);
        let query = rig.last_query(&first, 12, |_| {});
        let Ok(Answer::Key(created, _)) = rig.ask(&query.to_bytes()) else { panic!("there is a key") };
        let lifetime = Duration::from_secs(u64::from(expires_in.unsigned_abs()));
        assert_eq!(created.expires_at, Some(NOW.saturating_add(lifetime)));
    }
}

#[test]
fn sec_052_the_clients_half_must_be_in_order() {
    for padding in [12, 28] {
        let mut rig = strict();
        let (first, _) = rig.meet();
        let query = rig.last_query(&first, padding, |_| {});
        match padding {
            12 => drop(rig.object(&query)),
            _ => assert_not_found(&rig.refused(&query), &Reason::BadClientData),
        }
    }
    let changes: [fn(&mut Vec<u8>); 6] = [
        Vec::clear,
        |data| data.truncate(16),
        |data| data.truncate(320),
        |data| data.truncate(335),
        |data| data[0] ^= 1,
        |data| data[200] ^= 1,
    ];
    for change in changes {
        let mut rig = strict();
        let (first, _) = rig.meet();
        let mut query = rig.last_query(&first, 12, |_| {});
        change(&mut query.encrypted_data);
        assert_not_found(&rig.refused(&query), &Reason::BadClientData);
    }
    let mut rig = strict();
    let (first, _) = rig.meet();
    let query = rig.last_query(&first, 12, |inner| inner.nonce[0] ^= 1);
    assert_not_found(&rig.refused(&query), &Reason::InnerMismatch);
}

#[test]
fn sec_053_the_first_attempt_has_retry_id_zero_and_the_next_that_of_the_rejected_key() {
    let mut rig = strict();
    let (first, _) = rig.meet();
    let query = rig.last_query(&first, 12, |inner| inner.retry_id = 5);
    assert_not_found(&rig.refused(&query), &Reason::WrongRetryId);

    for honest in [true, false] {
        let mut options = server_options();
        options.faults.retries = 1;
        let mut rig = Rig::new(options);
        let (first, inner) = rig.meet();
        let group = rig.server.options().group.clone();
        let (exponent, g_b) = group.key_pair(&mut rig.rng).unwrap();
        let query = rig.last_query(&first, 12, |inner| inner.g_b = g_b.as_bytes().to_vec());
        let answer = enums::SetClientDhParamsAnswer::from_bytes(&rig.object(&query)).unwrap();
        assert!(matches!(answer, enums::SetClientDhParamsAnswer::DhGenRetry(_)), "{answer:?}");
        let shared = group.shared_secret(&exponent, &group.check_public(&inner.g_a).unwrap());
        let aux_hash = chappe_crypto::AuthKey::from_bytes(*shared).aux_hash();
        let retry_id = if honest { i64::from_le_bytes(aux_hash) } else { 0 };
        let query = rig.last_query(&first, 12, |inner| inner.retry_id = retry_id);
        if honest {
            rig.object(&query);
        } else {
            assert_not_found(&rig.refused(&query), &Reason::WrongRetryId);
        }
    }
}

#[test]
fn sec_054_the_clients_public_value_must_be_in_range() {
    let prime = chappe_crypto::dh::KNOWN_PRIME;
    let mut p_minus_1 = prime;
    p_minus_1[255] -= 1;
    for g_b in [vec![], vec![1], p_minus_1.to_vec(), prime.to_vec(), vec![0xff; 248], vec![0xff; 256]] {
        let mut rig = strict();
        let (first, _) = rig.meet();
        let padding = |len: usize| {
            let field = (if len < 254 { 1 } else { 4 } + len).next_multiple_of(4);
            (20 + 44 + field).next_multiple_of(16) - (20 + 44 + field)
        };
        let padding = padding(g_b.len());
        let query = rig.last_query(&first, padding, |inner| inner.g_b = g_b);
        assert_not_found(&rig.refused(&query), &Reason::BadPublicValue);
    }
}

#[test]
fn sec_055_a_server_starts_only_with_usable_parameters() {
    assert_eq!(ServerHandshakes::new(ServerOptions::lenient(vec![])).err(), Some(ConfigError::NoKeys));
    let none = ServerOptions { max_exchanges: 0, ..server_options() };
    assert_eq!(ServerHandshakes::new(none).err(), Some(ConfigError::NoRoom));
    for factors in [(0, 0), (4, 6), (7, 7), (2, 3), (1, 7)] {
        let mut options = server_options();
        options.faults.factors = Some(factors);
        assert_eq!(ServerHandshakes::new(options).err(), Some(ConfigError::BadFactors), "{factors:?}");
    }
    // A group that a client would refuse cannot even be made.
    let refused = chappe_crypto::dh::Group::known(2);
    assert_eq!(refused, Err(chappe_crypto::dh::DhError::GeneratorNotResidue { generator: 2 }));
    let (_, inner) = strict().meet();
    assert_eq!((inner.g, inner.g_a.len(), inner.dh_prime.len()), (3, 256, 256));
}

#[test]
fn sec_056_a_key_whose_id_is_taken_is_not_given_out() {
    let mut rig = strict();
    let mut client_rng = ChaCha20Rng::from_seed([3; 32]);
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut client_rng).unwrap();
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    let mut rejected: Vec<AuthKeyId> = Vec::new();
    let mut accepted = None;
    loop {
        assert!(client.poll_transmit(NOW, &mut question));
        match rig.server.handle_frame(NOW, PEER, question.as_slice(), &mut answer, &mut rig.rng) {
            Reply::Answer => {}
            Reply::Key(candidate) if rejected.len() < 3 => {
                rejected.push(candidate.auth_key().id());
                candidate.retry();
            }
            Reply::Key(candidate) => accepted = Some(candidate.accept().auth_key.id()),
            Reply::Refuse(refusal) => panic!("{refusal}"),
        }
        if let Progress::Done(finished) =
            client.handle_frame(NOW, answer.as_slice(), &mut client_rng).unwrap()
        {
            assert_eq!(Some(finished.key().id()), accepted);
            assert!(!rejected.contains(&finished.key().id()));
            break;
        }
    }
    assert_eq!(rejected.len(), 3);
}

#[test]
fn sec_057_nothing_revives_an_exchange_that_failed() {
    let mut rig = strict();
    let (first, _) = rig.meet();
    let bad = rig.last_query(&first, 12, |inner| inner.retry_id = 5);
    rig.refused(&bad);
    let good = rig.last_query(&first, 12, |_| {});
    assert_not_found(&rig.refused(&good), &Reason::UnknownExchange);
    let params = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_not_found(&rig.refused(&params), &Reason::UnknownExchange);
}

#[test]
fn sec_058_identical_queries_get_identical_answers_and_others_none() {
    let mut rig = strict();
    let first = rig.start();
    let again = rig.object(&functions::ReqPqMulti { nonce: first.nonce });
    assert_eq!(enums::ResPq::ResPq(first.clone()).to_bytes(), again);

    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    let answer = rig.object(&query);
    assert_eq!(rig.object(&query), answer);
    // A tail of random bytes, as some clients write it, does not make it another query.
    let with_tail = [query.to_bytes(), vec![0xa5; 20]].concat();
    let Ok(Answer::Object(repeated)) = rig.ask(&with_tail) else { panic!("it is answered") };
    assert_eq!(repeated, answer);
    assert_eq!(rig.object(&functions::ReqPqMulti { nonce: first.nonce }), again, "late repeats as well");

    let last = rig.last_query(&first, 12, |_| {});
    let done = rig.object(&last);
    assert_eq!(rig.object(&last), done, "no second key is made");
    assert_eq!(rig.object(&query), answer);

    // The same nonces with other parameters are another query.
    let other = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_not_found(&rig.refused(&other), &Reason::UnknownExchange);
    assert_not_found(&rig.refused(&last), &Reason::UnknownExchange);
}

#[test]
fn sec_058_answers_are_remembered_for_ten_minutes() {
    let mut rig = strict();
    let first = rig.start();
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    rig.object(&query);
    assert_eq!(rig.server.poll_timeout(), Some(NOW.saturating_add(Duration::from_secs(600))));
    rig.now = NOW.saturating_add(Duration::from_secs(599));
    rig.object(&query);
    rig.now = NOW.saturating_add(Duration::from_secs(600));
    assert_not_found(&rig.refused(&query), &Reason::UnknownExchange);
    assert!(rig.server.is_empty());
    assert_eq!(rig.server.poll_timeout(), None);
}

#[test]
fn sec_059_a_peer_that_asks_too_often_is_told_so() {
    let rate = RateLimit { interval: Duration::from_secs(1), burst: 4, max_peers: 10 };
    let mut rig = Rig::new(ServerOptions { rate: Some(rate), ..server_options() });
    let first = rig.start();
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    rig.object(&query);
    for _ in 0..10 {
        rig.object(&query);
    }
    rig.start();
    rig.start();
    let refusal = rig.refused(&functions::ReqPqMulti { nonce: [9; 16] });
    assert_eq!((refusal.reason, refusal.code.to_raw()), (Reason::TooOften, Some(-429)));
    let other = rig.ask_as(Peer(2), &functions::ReqPqMulti { nonce: [9; 16] }.to_bytes());
    assert!(matches!(other, Ok(Answer::Object(_))), "others are served");
    rig.now = NOW.saturating_add(Duration::from_secs(1));
    rig.start();
}

#[test]
fn sec_059_too_often_does_not_destroy_the_exchange() {
    let rate = RateLimit { interval: Duration::from_secs(1), burst: 1, max_peers: 10 };
    let mut rig = Rig::new(ServerOptions { rate: Some(rate), ..server_options() });
    let first = rig.start();
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_eq!(rig.refused(&query).reason, Reason::TooOften);
    rig.now = NOW.saturating_add(Duration::from_secs(1));
    rig.object(&query);
}

#[test]
fn sec_060_a_flood_of_probes_evicts_the_oldest() {
    let mut rig = Rig::new(ServerOptions { max_exchanges: 100, ..server_options() });
    let first = rig.start();
    let firsts: Vec<_> = (0..1000).map(|_| rig.start()).collect();
    assert_eq!(rig.server.len(), 100);
    let evicted = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_not_found(&rig.refused(&evicted), &Reason::UnknownExchange);
    let kept = rig.params_query(&firsts[950], enums::PQInnerData::Dc);
    rig.object(&kept);
}

#[test]
fn the_older_first_query_is_answered_as_well() {
    let mut rig = strict();
    let old = rig.object(&functions::ReqPq { nonce: [4; 16] });
    assert_eq!(rig.object(&functions::ReqPqMulti { nonce: [4; 16] }), old);
}

#[test]
fn sec_012_truncated_queries_are_refused_and_sec_009_foreign_ones_close_the_connection() {
    let mut rig = strict();
    let (first, _) = rig.meet();
    let query = rig.last_query(&first, 12, |_| {}).to_bytes();
    for len in (4..query.len()).step_by(9) {
        let Err(refusal) = rig.ask(&query[..len]) else { panic!("{len} bytes were answered") };
        assert_eq!(refusal.code, TransportCode::NotFound, "{len}");
        assert!(matches!(refusal.reason, Reason::Frame(FrameError::Tl(_))), "{refusal}");
    }
    let Err(refusal) = rig.ask(&0x7abe_77ec_u32.to_le_bytes()) else { panic!("a plain ping was answered") };
    assert_eq!(refusal.code, TransportCode::Close);
}

#[test]
fn arbitrary_bytes_do_not_panic_a_server() {
    let mut rig = lenient();
    let ids = [0x6046_9778_u32, 0xbe7e_8ef1, 0xd712_e4be, 0xf504_5f1f];
    for round in 0..2000_usize {
        let mut object = vec![0; 4 + round % 400];
        rig.rng.fill_bytes(&mut object);
        object[..4].copy_from_slice(&ids[round % 4].to_le_bytes());
        let _ = rig.ask(&object);
    }
}

#[test]
fn a_client_of_ours_gets_a_key_from_strict_and_lenient_servers_and_no_other_datacenter_from_strict_ones() {
    for (mut rig, dc, accepted) in [(strict(), 2, true), (strict(), 3, false), (lenient(), 3, true)] {
        let options = ClientOptions { dc: Dc::production(dc), kind: KeyKind::Permanent, ..client_options() };
        let mut client = ClientHandshake::begin(options, NOW, &mut rig.rng).unwrap();
        let result = loop {
            let request = client.last_request().to_vec();
            let answer = match rig.ask(&request) {
                Ok(Answer::Object(object) | Answer::Key(_, object)) => crate::from_server(&object),
                Err(refusal) => break Err(refusal),
            };
            match client.handle_frame(NOW, &answer, &mut rig.rng) {
                Ok(Progress::Done(finished)) => break Ok(finished),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(result.is_ok(), accepted, "{result:?}");
    }
    assert_eq!(lenient().server.options().tolerance, Tolerance::Lenient);
}

#[test]
fn a_server_that_gives_up_says_so_with_proof() {
    let mut options = server_options();
    options.faults.fail = true;
    let mut rig = Rig::new(options);
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut rig.rng).unwrap();
    let error = loop {
        let request = client.last_request().to_vec();
        let Ok(Answer::Object(answer)) = rig.ask(&request) else { panic!("it is answered without a key") };
        if let Err(error) = client.handle_frame(NOW, &crate::from_server(&answer), &mut rig.rng) {
            break error;
        }
    };
    assert!(matches!(error, Error::DhGenFail), "{error}");
}
