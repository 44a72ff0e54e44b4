//! Both halves of the creation of a key, with somebody between them who knows all secrets.
//!
//! The input says which messages of an exchange are changed, and how; what is encrypted is changed inside and
//! encrypted again. Whatever happens, the server serves an honest client afterwards.
//!
//! Most of the time goes into powers, so none is computed without need: an exchange ends with the first lie that is
//! found out, who stands between the two knows the secrets from what the client draws, and the honest client makes its key
//! after one input in eight, and after the others gets its first answer.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use chappe_crypto::dh::PrimeCache;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_crypto::{AuthKey, hash, ige, nonce};
use chappe_framing::{FrameBuf, MonoTime, Now, UnixTime};
use chappe_handshake::{
    ClientHandshake, ClientOptions, DcId, KeyKind, PeerId, Progress, QueryReply, ServerHandshakes,
    ServerOptions,
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

const NOW: Now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_105));
const PEER: PeerId = PeerId(1);
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
    /// Which of the sequences of randomness is drawn.
    seed: u8,
    retries: u8,
    is_temporary: bool,
    is_lenient: bool,
    fates: [Fate; 8],
}

/// How many sequences of randomness there are.
const SEEDS: u8 = 4;

fn pair(input: &[u8]) {
    let Ok(script) = Script::arbitrary(&mut Unstructured::new(input)) else { return };
    let keys = vec![private_key().clone()];
    let mut options = if script.is_lenient {
        ServerOptions::lenient(keys)
    } else {
        ServerOptions::strict(keys, vec![DcId::production(2)])
    };
    options.rate = None;
    options.max_exchanges = 8;
    let mut server = ServerHandshakes::new(options).expect("the options are in order");
    let kind = if script.is_temporary { KeyKind::Temporary { expires_in: 3600 } } else { KeyKind::Permanent };
    let seed = u64::from(script.seed % SEEDS);
    let attacked = exchange(&mut server, &script.fates, kind, script.retries % 3, seed);
    if let Some((client, served)) = attacked {
        assert!(served.contains(&client), "the client has a key that the server did not make");
    }
    let honest = u64::from(SEEDS);
    if input.iter().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(*byte)) % 8 == 0 {
        let made = exchange(&mut server, &[], KeyKind::Permanent, 0, honest);
        let (client, served) = made.expect("an honest exchange succeeds");
        assert_eq!(served, [client]);
    } else {
        greet(&mut server, honest);
    }
    assert!(server.len() <= 8);
}

/// Begins an honest exchange, up to where it costs a power.
fn greet(server: &mut ServerHandshakes, seed: u64) {
    let (mut client_rng, mut server_rng) = (Seeded::rng(2 * seed), Seeded::rng(2 * seed + 1));
    let mut client = ClientHandshake::begin(client_options(KeyKind::Permanent), NOW, &mut client_rng)
        .expect("the options are in order");
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    assert!(client.poll_transmit(NOW, &mut question), "the first question waits");
    let reply = server.handle_frame(NOW, PEER, question.as_slice(), &mut answer, &mut server_rng);
    assert!(matches!(reply, QueryReply::Answer), "an honest client is answered");
    let progress = client.handle_frame(NOW, answer.as_slice(), &mut client_rng);
    assert!(matches!(progress, Ok(Progress::ServerKnown)), "and takes the answer");
}

fn client_options(kind: KeyKind) -> ClientOptions {
    let mut keys = KeyRing::empty();
    keys.add(private_key().public_key().clone());
    ClientOptions::new(keys, DcId::production(2)).with_kind(kind)
}

/// Draws what a client of this sequence draws first: its nonce, then `new_nonce`.
fn new_nonce(seed: u64) -> [u8; 32] {
    let (mut rng, mut nonce, mut new_nonce) = (Seeded::rng(2 * seed), [0; 16], [0; 32]);
    rng.fill_bytes(&mut nonce);
    rng.fill_bytes(&mut new_nonce);
    new_nonce
}

/// Plays an exchange; returns the client's key and those that the server made, if the client has one.
fn exchange(
    server: &mut ServerHandshakes,
    fates: &[Fate],
    kind: KeyKind,
    mut retries: u8,
    seed: u64,
) -> Option<(AuthKey, Vec<AuthKey>)> {
    let (mut client_rng, mut server_rng) = (Seeded::rng(2 * seed), Seeded::rng(2 * seed + 1));
    let client =
        ClientHandshake::begin(client_options(kind), NOW, &mut client_rng).expect("the options are in order");
    let mut client = client.with_primes(primes().clone());
    let mut between = Between { seen: Vec::new(), new_nonce: new_nonce(seed), server_nonce: None };
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
                QueryReply::Answer => true,
                QueryReply::Key(candidate) if retries > 0 => {
                    retries -= 1;
                    candidate.retry();
                    true
                }
                QueryReply::Key(candidate) => {
                    made.push(candidate.accept().auth_key);
                    true
                }
                QueryReply::Refuse(_) => false,
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
struct Between {
    seen: Vec<Vec<u8>>,
    new_nonce: [u8; 32],
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

    /// Learns what the server drew.
    fn listen(&mut self, object: &[u8]) {
        if let Ok(enums::ResPq::ResPq(answer)) = enums::ResPq::from_bytes(object) {
            self.server_nonce = Some(answer.server_nonce);
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

    /// Changes an object that follows its SHA-1, in AES-IGE.
    fn change_sealed(&self, sealed: &mut Vec<u8>, change: &Change, is_hash_right: bool) {
        let Some(server_nonce) = self.server_nonce else { return };
        let aes = nonce::tmp_aes(&self.new_nonce, &server_nonce);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_between_the_two_knows_new_nonce() {
        let mut options = ServerOptions::strict(vec![private_key().clone()], vec![DcId::production(2)]);
        options.rate = None;
        let mut server = ServerHandshakes::new(options).expect("the options are in order");
        let mut client_rng = Seeded::rng(2);
        let mut client = ClientHandshake::begin(client_options(KeyKind::Permanent), NOW, &mut client_rng)
            .expect("the options are in order");
        let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
        assert!(client.poll_transmit(NOW, &mut question));
        let reply = server.handle_frame(NOW, PEER, question.as_slice(), &mut answer, &mut Seeded::rng(3));
        assert!(matches!(reply, QueryReply::Answer));
        let progress = client.handle_frame(NOW, answer.as_slice(), &mut client_rng);
        assert!(matches!(progress, Ok(Progress::ServerKnown)));
        let request = functions::ReqDhParams::from_bytes(client.last_request()).expect("it asks for this");
        let data = private_key().decrypt_pad(&request.encrypted_data, &mut Seeded::rng(9));
        let data = data.expect("the client is honest");
        assert!(data.windows(32).any(|window| window == new_nonce(1)));
    }
}
