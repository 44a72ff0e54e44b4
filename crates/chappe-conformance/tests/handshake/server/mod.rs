//! Rows SEC-44 to SEC-60 of the checklist, one by one, as a client observes them.

mod exchange;
mod first_step;
mod floods;
mod halves;
mod inner_data;

use chappe_crypto::{hash, ige, nonce};
use chappe_framing::{FrameBuf, Now, UnixTime};
use chappe_handshake::{
    CreatedKey, PeerId, QueryRefusal, QueryReply, RefusalReason, ServerHandshakes, ServerOptions,
    TransportErrorCode,
};
use chappe_tl::deserialize::Cursor;
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{PEER, at, from_client, object_of, private_key, public_key, server, server_options};

const NOW: Now = at(UnixTime::from_secs(1_707_425_105));

/// What a server answered.
enum Answer {
    Object(Vec<u8>),
    Key(CreatedKey, Vec<u8>),
}

/// A server and a source of randomness.
struct Rig {
    server: ServerHandshakes,
    rng: ChaCha20Rng,
    now: Now,
    /// How many keys the server still rejects.
    retries: u8,
    /// Whether the server refuses every key.
    refuses: bool,
}

impl Rig {
    fn new(options: ServerOptions) -> Self {
        Self {
            server: server(options),
            rng: ChaCha20Rng::from_seed([0x31; 32]),
            now: NOW,
            retries: 0,
            refuses: false,
        }
    }

    fn ask(&mut self, object: &[u8]) -> Result<Answer, QueryRefusal> {
        self.ask_as(PEER, object)
    }

    fn ask_as(&mut self, peer: PeerId, object: &[u8]) -> Result<Answer, QueryRefusal> {
        let mut out = FrameBuf::new();
        let created =
            match self.server.handle_frame(self.now, peer, &from_client(object), &mut out, &mut self.rng) {
                QueryReply::Answer => None,
                QueryReply::Key(candidate) if self.retries > 0 => {
                    self.retries -= 1;
                    candidate.retry();
                    None
                }
                QueryReply::Key(candidate) if self.refuses => {
                    candidate.fail();
                    None
                }
                QueryReply::Key(candidate) => Some(candidate.accept()),
                QueryReply::Refuse(refusal) => return Err(refusal),
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

    fn refused(&mut self, query: &impl Serializable) -> QueryRefusal {
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
    Rig::new(ServerOptions::lenient(vec![private_key()]).with_rate(None))
}

fn assert_not_found(refusal: &QueryRefusal, reason: &RefusalReason) {
    assert_eq!((&refusal.reason, refusal.code), (reason, Some(TransportErrorCode::UnknownAuthKey)));
    assert_eq!(refusal.code.map(TransportErrorCode::to_raw), Some(-404));
}
