//! Rows SEC-14 to SEC-43 of the checklist, one by one, as far as a client observes them.

mod dh_params;
mod end;
mod exchange;
mod requests;
mod res_pq;

use chappe_crypto::dh::{Exponent, Group, KNOWN_PRIME, PrimeCache};
use chappe_crypto::kdf::AesKeyIv;
use chappe_crypto::nonce::HashNumber;
use chappe_crypto::{AuthKey, hash, ige, nonce};
use chappe_framing::{Now, UnixTime};
use chappe_handshake::{
    ClientOptions, ExpectDhGen, ExpectResPq, ExpectServerDhParams, HandshakeError, step1_with, step2_with,
    step3_with,
};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{at, client_options, private_key, public_key};

const NOW: Now = at(UnixTime::from_secs(1_707_425_105));
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
fn answer_res_pq(change: impl FnOnce(&mut types::ResPq)) -> Result<functions::ReqDhParams, HandshakeError> {
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
            server_time: NOW.unix.to_tl_int(),
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
fn answer_params(change: impl FnOnce(&mut types::ServerDhInnerData)) -> Result<(), HandshakeError> {
    let mut rng = rng();
    let (server, state) = Server::meet(&client_options(), &mut rng);
    let mut inner = server.inner_data();
    change(&mut inner);
    step3_with(state, server.params(inner), NOW.unix, &mut PrimeCache::default(), &mut rng).map(|_| ())
}

/// Brings a client to where it waits for the last answer.
fn meet_at_the_end(rng: &mut ChaCha20Rng) -> (Server, functions::SetClientDhParams, ExpectDhGen) {
    let (server, state) = Server::meet(&client_options(), rng);
    let params = server.params(server.inner_data());
    let (request, state) = step3_with(state, params, NOW.unix, &mut PrimeCache::default(), rng)
        .expect("the parameters are honest");
    (server, request, state)
}
