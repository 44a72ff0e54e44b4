//! Our server half, ready for clients that send objects or frames.

use anyhow::{Result, bail};
use chappe_crypto::{
    Side,
    rng::Drbg,
    rsa::{PrivateKey, PublicKey},
};
use chappe_framing::{FrameBuf, MsgIdGenerator, MsgOrigin, Now, PlainMessage, UnixTime, write_plain_bytes};
use chappe_handshake::{PeerId, QueryReply, ServerHandshakes, ServerOptions};

use super::Costs;

/// The key of Telegram's production datacenters, which all clients know.
const PRODUCTION: i64 = -0x2f62_e27a_219b_027b;

/// The server, its key and its last answer.
pub struct Server {
    handshakes: ServerHandshakes,
    public: PublicKey,
    rng: Drbg,
    msg_ids: MsgIdGenerator,
    answer: FrameBuf,
    accepted: Option<[u8; 256]>,
}

impl Server {
    /// Makes a key and announces it behind that of Telegram's datacenters.
    pub fn new() -> Result<Self> {
        let mut rng = Drbg::from_os()?;
        let private = PrivateKey::generate(&mut rng)?;
        let public = private.public_key().clone();
        let mut options = ServerOptions::lenient(vec![private]);
        options.rate = None;
        Ok(Self {
            handshakes: ServerHandshakes::new(options)?,
            public,
            rng,
            msg_ids: MsgIdGenerator::new(),
            answer: FrameBuf::new(),
            accepted: None,
        })
    }

    /// The public half of the key that is really there.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Lets the server draw the same numbers as for another client.
    pub fn reseed(&mut self, seed: u64) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        (self.rng, self.accepted) = (Drbg::from_seed(bytes), None);
    }

    /// Returns whether this is the key that was accepted last.
    pub fn has_accepted(&self, key: &[u8; 256]) -> bool {
        self.accepted.as_ref() == Some(key)
    }

    /// Answers a frame with a frame.
    pub fn handle_frame(&mut self, frame: &[u8], costs: &mut Costs) -> Result<&[u8]> {
        let now = Now::from_system();
        let Self { handshakes, rng, answer, accepted, .. } = self;
        costs.at_server(|| match handshakes.handle_frame(now, PeerId(1), frame, answer, rng) {
            QueryReply::Answer => Ok(()),
            QueryReply::Key(candidate) => {
                *accepted = Some(*candidate.accept().auth_key.as_bytes());
                Ok(())
            }
            QueryReply::Refuse(refusal) => bail!("the server refused: {refusal}"),
        })?;
        announce_production_key(&mut self.answer)?;
        Ok(self.answer.as_slice())
    }

    /// Answers an object with an object.
    pub fn handle_object(&mut self, object: &[u8], costs: &mut Costs) -> Result<Vec<u8>> {
        let mut question = FrameBuf::new();
        let msg_id = self.msg_ids.next(UnixTime::now(), MsgOrigin::Client);
        write_plain_bytes(&mut question, msg_id, object)?;
        let answer = self.handle_frame(question.as_slice(), costs)?;
        Ok(PlainMessage::new_checked(answer, Side::Server)?.body().to_vec())
    }
}

/// Puts the fingerprint of the production key in front of ours if the answer is a `resPQ`. Peers require it.
fn announce_production_key(answer: &mut FrameBuf) -> Result<()> {
    const RES_PQ: u32 = 0x0516_2463;
    let Ok(message) = PlainMessage::new_checked(answer.as_slice(), Side::Server) else { return Ok(()) };
    if !message.body().starts_with(&RES_PQ.to_le_bytes()) {
        return Ok(());
    }
    let (msg_id, mut body) = (message.msg_id(), message.body().to_vec());
    // The vector of fingerprints ends the object: its count, then the one of our only key.
    let count = body.len() - 12;
    body[count] += 1;
    body.splice(count + 4..count + 4, PRODUCTION.to_le_bytes());
    write_plain_bytes(answer, msg_id, &body)?;
    Ok(())
}
