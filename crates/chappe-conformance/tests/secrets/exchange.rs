//! `Debug` of every state of a key's creation, on either side.

use chappe_crypto::AuthKey;
use chappe_crypto::dh::PrimeCache;
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::KeyRing;
use chappe_framing::{FrameBuf, MonoTime, MsgId, Now, SessionId, UnixTime, write_plain_bytes};
use chappe_handshake::bind::{BindContext, BindTempAuthKey};
use chappe_handshake::{
    ClientHandshake, ClientOptions, DcId, ExpectResPq, FrameStep, Outcome, PeerId, Progress, QueryReply,
    Retry, ServerHandshakes, ServerOptions,
};
use chappe_tl::{Deserializable as _, Serializable as _};
use chappe_tl_mtproto::enums;

use crate::search::{Secrets, secret, show};
use crate::texts::{START, private_key};

/// The client's half over frames, and the server's.
fn exchange_over_frames(options: ClientOptions, server_options: ServerOptions, kept: &mut Kept) {
    let time = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
    let Kept { client_rng, server_rng, texts, .. } = kept;
    let mut client = ClientHandshake::begin(options, time, client_rng).unwrap();
    client_rng.blocks.clear();
    let mut server = ServerHandshakes::new(server_options).unwrap();
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    let mut is_done = false;
    while !is_done {
        assert!(client.poll_transmit(time, &mut question));
        let step = server.begin_frame(time, PeerId(1), question.as_slice(), &mut answer, server_rng);
        texts.push(show("chappe_handshake::FrameStep", &step));
        let reply = match step {
            FrameStep::Answer => QueryReply::Answer,
            FrameStep::Refuse(refusal) => QueryReply::Refuse(refusal),
            FrameStep::Work(work) => {
                texts.push(show("chappe_handshake::Work", &work));
                let done = work.run(server_rng);
                texts.push(show("chappe_handshake::WorkDone", &done));
                server.finish(time, done, &mut answer)
            }
        };
        texts.push(show("chappe_handshake::QueryReply", &reply));
        if let QueryReply::Key(candidate) = reply {
            texts.push(show("chappe_handshake::KeyCandidate", &candidate));
            texts.push(show("chappe_handshake::CreatedKey", &candidate.accept()));
        }
        texts.push(show("chappe_handshake::ServerHandshakes", &server));
        texts.push(show("chappe_handshake::ClientHandshake", &client));
        let progress = client.handle_frame(time, answer.as_slice(), client_rng).unwrap();
        texts.push(show("chappe_handshake::Progress", &progress));
        texts.push(show("chappe_handshake::ClientHandshake", &client));
        if let Progress::Done(finished) = progress {
            texts.push(show("chappe_handshake::Finished", &finished));
            kept.keys.push(finished.key());
            is_done = true;
        }
    }
}

/// The client's half step by step, with one further attempt.
fn exchange_by_steps(options: &ClientOptions, server_options: ServerOptions, kept: &mut Kept) {
    let time = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
    let mut retries = 1;
    let Kept { client_rng, server_rng, texts, .. } = kept;
    let mut server = ServerHandshakes::new(server_options).unwrap();
    let mut ask = |question: &[u8]| {
        let (mut frame, mut answer) = (FrameBuf::new(), FrameBuf::new());
        write_plain_bytes(&mut frame, MsgId::from_raw(4), question).unwrap();
        match server.handle_frame(time, PeerId(1), frame.as_slice(), &mut answer, server_rng) {
            QueryReply::Answer => {}
            QueryReply::Key(candidate) if retries > 0 => {
                retries -= 1;
                candidate.retry();
            }
            QueryReply::Key(candidate) => drop(candidate.accept()),
            QueryReply::Refuse(refusal) => panic!("{refusal}"),
        }
        answer.as_slice()[20..].to_vec()
    };
    let (request, state) = ExpectResPq::begin(client_rng);
    client_rng.blocks.clear();
    texts.push(show("chappe_handshake::ExpectResPq", &state));
    let answer = enums::ResPq::from_bytes(&ask(&request.to_bytes())).unwrap();
    let (request, state) = state.handle(answer, options, client_rng).unwrap();
    texts.push(show("chappe_handshake::ExpectServerDhParams", &state));
    let answer = enums::ServerDhParams::from_bytes(&ask(&request.to_bytes())).unwrap();
    let (mut request, mut state) =
        state.handle(answer, time.unix, &mut PrimeCache::default(), client_rng).unwrap();
    loop {
        texts.push(show("chappe_handshake::ExpectDhGen", &state));
        let answer = enums::SetClientDhParamsAnswer::from_bytes(&ask(&request.to_bytes())).unwrap();
        let outcome = state.handle(answer, client_rng).unwrap();
        texts.push(show("chappe_handshake::Outcome", &outcome));
        match outcome {
            Outcome::Done(finished) => {
                kept.keys.push(finished.key());
                return;
            }
            Outcome::Retry(retry) => {
                texts.push(show("chappe_handshake::Retry", &*retry));
                Retry { request, state } = *retry;
            }
        }
    }
}

/// A generator that remembers what it gave out.
struct Drawn {
    rng: Drbg,
    blocks: Vec<Vec<u8>>,
}

impl chappe_crypto::rand_core::TryRng for Drawn {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.rng.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.rng.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        self.rng.try_fill_bytes(dst)?;
        self.blocks.push(dst.to_vec());
        Ok(())
    }
}

impl chappe_crypto::rand_core::TryCryptoRng for Drawn {}

/// What exchanges drew, and how they were printed.
struct Kept {
    client_rng: Drawn,
    server_rng: Drawn,
    texts: Vec<String>,
    keys: Vec<AuthKey>,
}

#[test]
pub(crate) fn sec_005_no_state_of_an_exchange_shows_a_secret() {
    let mut keys = KeyRing::empty();
    let rsa = private_key();
    keys.add(rsa.public_key().clone());
    let options = ClientOptions::new(keys, DcId::production(2));
    let server_options = ServerOptions::strict(vec![rsa], vec![DcId::production(2)]).with_rate(None);
    let drawn = |seed| Drawn { rng: Drbg::from_seed([seed; 32]), blocks: Vec::new() };
    let texts = vec![
        show("chappe_handshake::ClientOptions", &options),
        show("chappe_handshake::ServerOptions", &server_options),
    ];
    let mut kept = Kept { client_rng: drawn(4), server_rng: drawn(5), texts, keys: Vec::new() };
    exchange_by_steps(&options, server_options.clone(), &mut kept);
    exchange_over_frames(options, server_options, &mut kept);
    // The blocks of 16 bytes travel in the clear.
    let secret = |blocks: Vec<Vec<u8>>| blocks.into_iter().filter(|block| block.len() >= 32);
    let drawn = secret(kept.client_rng.blocks).chain(secret(kept.server_rng.blocks));
    let drawn: Vec<_> = drawn.chain(kept.keys.iter().map(|key| key.as_bytes().to_vec())).collect();
    assert!(drawn.len() >= 12, "{} secrets", drawn.len());
    let secrets = Secrets::of(drawn.iter().map(Vec::as_slice));
    for text in kept.texts {
        assert_eq!(secrets.shown_by(&text), None, "{text}");
    }
    binding();
}

/// A temporary key bound to a permanent one.
fn binding() {
    let permanent = AuthKey::from_bytes(secret());
    let (msg_id, session_id) = (MsgId::from_raw(4), SessionId::from_raw(1));
    let ends = UnixTime::from_secs(START + 60);
    let key_id = AuthKey::from_bytes([7; 256]).id();
    let request =
        BindTempAuthKey::new(&permanent, key_id, session_id, ends, msg_id, &mut Drbg::from_seed([6; 32]))
            .unwrap();
    let context = BindContext {
        msg_id,
        session_id,
        key_id,
        key_expires_at: Some(ends),
        bound_to: None,
        permanent: Some(&permanent),
    };
    let secrets = Secrets::new();
    secrets.hidden_by("chappe_framing::bind::BindTempAuthKey", &request);
    secrets.hidden_by("chappe_framing::bind::BindContext", &context);
}
