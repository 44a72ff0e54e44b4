//! Both halves of the creation of a key, with somebody between them who knows all secrets.
//!
//! The input says which messages of an exchange are changed, and how; what is encrypted is changed inside and
//! encrypted again. Whatever happens, the server makes a key with an honest client afterwards.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use chappe_crypto::dh::PrimeCache;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_crypto::{AuthKey, hash, ige, nonce};
use chappe_framing::{FrameBuf, UnixTime};
use chappe_handshake::{
    ClientHandshake, ClientOptions, Dc, KeyKind, Peer, Progress, Reply, ServerHandshakes, ServerOptions,
};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions};
use rand_core::Rng;

use super::{Seeded, Target};
use crate::vectors;

/// Client and server against each other.
pub(super) const PAIR: Target = Target {
    name: "handshake_pair",
    about: "both halves of the key exchange, their messages changed inside and outside the encryption",
    run: pair,
    seeds,
    max_len: 512,
};

const NOW: UnixTime = UnixTime::from_secs(1_707_425_105);
const PEER: Peer = Peer(1);
/// Length of a plain envelope's header.
const HEADER: usize = 20;

/// A change of some bytes.
#[derive(Arbitrary, Clone, Debug)]
enum Change {
    Flip { at: u16, bit: u8 },
    Word { at: u16, value: u32 },
    Cut { len: u16 },
    Append { bytes: [u8; 4], times: u8 },
    Swap { at: u16, with: u16 },
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len().max(1);
        match *self {
            Self::Flip { at, bit } => {
                if let Some(byte) = bytes.get_mut(usize::from(at) % len) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Word { at, value } => {
                let at = (usize::from(at) % len) & !3;
                let end = bytes.len().min(at + 4);
                if at < end {
                    bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                }
            }
            Self::Cut { len: left } => bytes.truncate(usize::from(left) % (len + 1)),
            Self::Append { bytes: more, times } => {
                for _ in 0..times % 64 {
                    bytes.extend_from_slice(&more);
                }
            }
            Self::Swap { at, with } if !bytes.is_empty() => {
                bytes.swap(usize::from(at) % len, usize::from(with) % len);
            }
            Self::Swap { .. } => {}
        }
    }
}

/// What happens to one message of the exchange.
#[derive(Arbitrary, Clone, Debug)]
enum Fate {
    Honest,
    /// The whole frame is changed.
    Frame(Change),
    /// The object is changed, and its envelope made right again.
    Object(Change),
    /// What is encrypted in it is changed and encrypted again, its hash made right.
    Inside(Change),
    /// The same, and the hash is left wrong.
    InsideWrongHash(Change),
    /// It comes twice.
    Twice,
    /// One of an earlier message comes first.
    EarlierFirst,
    /// The one who should get it never does.
    Lost,
}

/// The whole of an input.
#[derive(Arbitrary, Debug)]
struct Script {
    seed: u64,
    retries: u8,
    fates: [Fate; 8],
}

fn pair(input: &[u8]) {
    let Ok(script) = Script::arbitrary(&mut Unstructured::new(input)) else { return };
    let mut options = ServerOptions::strict(vec![private_key().clone()], vec![Dc::production(2)]);
    options.rate = None;
    options.max_exchanges = 8;
    options.faults.factors = Some((0x5a30_0d4b, 0x6a26_db65));
    options.faults.retries = script.retries % 3;
    let mut server = ServerHandshakes::new(options).expect("the options are in order");
    let attacked = exchange(&mut server, &script.fates, script.seed);
    if let Some((client, served)) = attacked {
        assert!(served.contains(&client), "the client has a key that the server did not make");
    }
    let honest: [Fate; 8] = core::array::from_fn(|_| Fate::Honest);
    let (client, served) = exchange(&mut server, &honest, !script.seed).expect("an honest exchange succeeds");
    assert_eq!(served, [client]);
    assert!(server.len() <= 8);
}

/// Plays an exchange; returns the client's key and those that the server made, if the client has one.
fn exchange(server: &mut ServerHandshakes, fates: &[Fate], seed: u64) -> Option<(AuthKey, Vec<AuthKey>)> {
    let (mut client_rng, mut server_rng) = (Seeded::rng(seed), Seeded::rng(seed ^ 1));
    let mut keys = KeyRing::empty();
    keys.add(private_key().public_key().clone());
    let options = ClientOptions { keys, dc: Dc::production(2), kind: KeyKind::Permanent };
    let client = ClientHandshake::begin(options, NOW, &mut client_rng).expect("the options are in order");
    let mut client = client.with_primes(primes().clone());
    let mut between = Between::default();
    let mut fates = fates.iter().chain(core::iter::repeat(&Fate::Honest));
    let mut made = Vec::new();
    let mut buf = FrameBuf::new();
    for _ in 0..16 {
        if !client.poll_transmit(NOW, &mut buf) {
            return None;
        }
        let mut answers = Vec::new();
        for question in between.pass(buf.as_slice(), fates.next()?) {
            let mut out = FrameBuf::new();
            let is_answered = match server.handle_frame(NOW, PEER, &question, &mut out, &mut server_rng) {
                Reply::Answer => true,
                Reply::Key(candidate) => {
                    made.push(candidate.accept().auth_key);
                    true
                }
                Reply::Refuse(_) => false,
            };
            if is_answered {
                answers.push(out.as_slice().to_vec());
            }
        }
        let answer = answers.pop()?;
        for answer in between.pass(&answer, fates.next()?) {
            match client.handle_frame(NOW, &answer, &mut client_rng) {
                Ok(Progress::Done(finished)) => return Some((finished.key().clone(), made)),
                Ok(_) => {}
                Err(_) => {
                    assert!(client.is_over(), "after an error the exchange is over");
                    assert!(!client.poll_transmit(NOW, &mut buf), "and nothing is sent any more");
                    return None;
                }
            }
        }
    }
    panic!("an exchange has few steps")
}

/// Who stands between the two and knows what they know.
#[derive(Default)]
struct Between {
    seen: Vec<Vec<u8>>,
    new_nonce: Option<[u8; 32]>,
    server_nonce: Option<[u8; 16]>,
}

impl Between {
    fn pass(&mut self, frame: &[u8], fate: &Fate) -> Vec<Vec<u8>> {
        self.listen(&frame[HEADER..]);
        let mut changed = frame.to_vec();
        let mut passed = Vec::new();
        match fate {
            Fate::Honest => {}
            Fate::Frame(change) => change.apply(&mut changed),
            Fate::Object(change) => {
                let mut object = changed.split_off(HEADER);
                change.apply(&mut object);
                changed[16..HEADER].copy_from_slice(&(object.len() as u32).to_le_bytes());
                changed.extend_from_slice(&object);
            }
            Fate::Inside(change) => self.change_inside(&mut changed, change, true),
            Fate::InsideWrongHash(change) => self.change_inside(&mut changed, change, false),
            Fate::Twice => passed.push(frame.to_vec()),
            Fate::EarlierFirst => passed.extend(self.seen.first().cloned()),
            Fate::Lost => return Vec::new(),
        }
        self.seen.push(frame.to_vec());
        passed.push(changed);
        passed
    }

    /// Learns what the exchange draws, as only its two sides could.
    fn listen(&mut self, object: &[u8]) {
        if let Ok(enums::ResPq::ResPq(answer)) = enums::ResPq::from_bytes(object) {
            self.server_nonce = Some(answer.server_nonce);
        }
        if let Ok(request) = functions::ReqDhParams::from_bytes(object)
            && let Ok(data) = private_key().decrypt_pad(&request.encrypted_data, &mut Seeded::rng(9))
        {
            // Constructor id, pq, p, q, two nonces: 4 + 12 + 8 + 8 + 32.
            self.new_nonce = data.get(64..96).and_then(|bytes| bytes.try_into().ok());
        }
    }

    fn change_inside(&self, frame: &mut Vec<u8>, change: &Change, is_hash_right: bool) {
        let mut object = frame.split_off(HEADER);
        self.change_object(&mut object, change, is_hash_right);
        frame[16..HEADER].copy_from_slice(&(object.len() as u32).to_le_bytes());
        frame.extend_from_slice(&object);
    }

    fn change_object(&self, object: &mut Vec<u8>, change: &Change, is_hash_right: bool) {
        if let Ok(mut request) = functions::ReqDhParams::from_bytes(object) {
            if let Ok(data) = private_key().decrypt_pad(&request.encrypted_data, &mut Seeded::rng(9)) {
                let mut data = data.to_vec();
                change.apply(&mut data);
                data.truncate(144);
                if let Ok(sealed) = private_key().public_key().encrypt_pad(&data, &mut Seeded::rng(10)) {
                    request.encrypted_data = sealed.to_vec();
                }
            }
            *object = request.to_bytes();
        } else if let Ok(enums::ServerDhParams::Ok(mut params)) = enums::ServerDhParams::from_bytes(object) {
            self.change_sealed(&mut params.encrypted_answer, change, is_hash_right);
            *object = enums::ServerDhParams::Ok(params).to_bytes();
        } else if let Ok(mut request) = functions::SetClientDhParams::from_bytes(object) {
            self.change_sealed(&mut request.encrypted_data, change, is_hash_right);
            *object = request.to_bytes();
        } else {
            change.apply(object);
        }
    }

    /// Changes an object that stands behind its SHA-1, in AES-IGE.
    fn change_sealed(&self, sealed: &mut Vec<u8>, change: &Change, is_hash_right: bool) {
        let (Some(new_nonce), Some(server_nonce)) = (self.new_nonce, self.server_nonce) else { return };
        let aes = nonce::tmp_aes(&new_nonce, &server_nonce);
        ige::decrypt(&aes.key, &aes.iv, sealed).expect("what an honest side sealed has whole blocks");
        let mut object = sealed.split_off(20);
        change.apply(&mut object);
        let end = object_len(&object).unwrap_or(object.len());
        let digest = hash::sha1(&[&object[..end]]);
        *sealed = if is_hash_right { digest.to_vec() } else { vec![0; 20] };
        sealed.extend_from_slice(&object);
        sealed.resize(sealed.len().next_multiple_of(16), 0x11);
        ige::encrypt(&aes.key, &aes.iv, sealed).expect("whole blocks");
    }
}

/// Length of an inner object without its padding.
fn object_len(object: &[u8]) -> Option<usize> {
    let mut cursor = chappe_tl::deserialize::Cursor::from_slice(object);
    if enums::ServerDhInnerData::deserialize(&mut cursor).is_ok() {
        return Some(cursor.pos());
    }
    let mut cursor = chappe_tl::deserialize::Cursor::from_slice(object);
    enums::ClientDhInnerData::deserialize(&mut cursor).ok().map(|_| cursor.pos())
}

fn private_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = vectors::load("rsa_fingerprints").entry("test_key");
        PrivateKey::from_pem(key.text("pem_pkcs1_private")).expect("the key of the vectors is a key")
    })
}

/// What is known about primes; changed ones are few, and each costs a test.
fn primes() -> &'static PrimeCache {
    static PRIMES: OnceLock<PrimeCache> = OnceLock::new();
    PRIMES.get_or_init(PrimeCache::default)
}

fn seeds() -> Vec<Vec<u8>> {
    let mut rng = Seeded::rng(11);
    let make = |number: u64| {
        let mut seed = vec![0; 96 + (number as usize % 4) * 32];
        rng.fill_bytes(&mut seed);
        seed
    };
    (0..48).map(make).collect()
}
