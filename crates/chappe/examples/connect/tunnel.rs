//! Calls over an encrypted session and a socket: ask, wait, match the answer, ask again if told so.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use chappe::EncryptedSession;
use chappe::api::LAYER;
use chappe::api::functions::{InitConnection, InvokeWithLayer};
use chappe::authentication::Finished;
use chappe::crypto::AuthKey;
use chappe::crypto::rng::Drbg;
use chappe::framing::{FrameBuf, MsgId, RPC_RESULT, RpcOutcome, RpcResult, UnixTime, constructor_id};
use chappe::mtproto::{enums, types};
use chappe::net::Stream;
use chappe::session::UnpackError;
use chappe::tl::{Deserializable as _, Identifiable as _, RemoteCall};
use chappe::transport::{AckRequest, Incoming};
use chappe::types::RpcError;

use crate::args::Args;

/// How often a call is repeated because its salt or number was not right.
const MAX_REPEATS: usize = 3;

/// What a new session begins with.
pub(crate) struct Credentials {
    key: AuthKey,
    salt: i64,
    time_offset: i32,
}

impl From<&Finished> for Credentials {
    fn from(finished: &Finished) -> Self {
        Self { key: finished.key(), salt: finished.first_salt, time_offset: finished.time_offset }
    }
}

impl Credentials {
    /// Takes over what a session has learned.
    pub(crate) const fn follow(&mut self, tunnel: &Tunnel) {
        self.salt = tunnel.session.salt;
        self.time_offset = tunnel.session.time_offset;
    }
}

/// A session and the connection it uses.
pub(crate) struct Tunnel {
    stream: Stream,
    pub(crate) session: EncryptedSession,
    out: FrameBuf,
    patience: Duration,
    api_id: i32,
    is_introduced: bool,
}

/// What a message says about a question.
enum Answer {
    Object(Vec<u8>),
    Error(RpcError),
    Repeat { code: i32 },
}

impl Tunnel {
    /// Starts a session.
    pub(crate) fn new(stream: Stream, credentials: &Credentials, args: &Args, rng: &mut Drbg) -> Self {
        let Credentials { key, salt, time_offset } = credentials;
        let session = EncryptedSession::with_rng(key.clone(), *salt, *time_offset, rng);
        let (out, patience) = (FrameBuf::new(), args.patience());
        Self { stream, session, out, patience, api_id: args.api_id, is_introduced: false }
    }

    /// Gives the connection back.
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Makes a call of the API. The first one introduces us.
    pub(crate) fn call<R: RemoteCall>(&mut self, call: R, rng: &mut Drbg) -> Result<R::Return> {
        if self.is_introduced {
            return self.ask(&call, rng);
        }
        let query = InitConnection {
            api_id: self.api_id,
            device_model: "example",
            system_version: std::env::consts::OS,
            app_version: env!("CARGO_PKG_VERSION"),
            system_lang_code: "en",
            lang_pack: "",
            lang_code: "en",
            proxy: None,
            params: None,
            query: call,
        };
        let answer = self.ask(&InvokeWithLayer { layer: LAYER, query }, rng)?;
        self.is_introduced = true;
        Ok(answer)
    }

    /// Makes a call as it is.
    pub(crate) fn ask<R: RemoteCall>(&mut self, call: &R, rng: &mut Drbg) -> Result<R::Return> {
        self.ask_with(rng, |session, rng, out| Ok(session.pack_into(call, UnixTime::now(), rng, out)?))
    }

    /// Makes a call that is built anew each time it is sent.
    pub(crate) fn ask_with<T: chappe::tl::Deserializable>(
        &mut self,
        rng: &mut Drbg,
        mut pack: impl FnMut(&mut EncryptedSession, &mut Drbg, &mut FrameBuf) -> Result<MsgId>,
    ) -> Result<T> {
        let mut last = 0;
        for _ in 0..=MAX_REPEATS {
            self.acknowledge(rng)?;
            let question = pack(&mut self.session, rng, &mut self.out)?;
            self.stream.send(&mut self.out, AckRequest::No)?;
            match self.wait_for(question)? {
                Answer::Object(object) => return T::from_bytes(&object).context("the answer cannot be read"),
                Answer::Error(error) => bail!("the datacenter answers {error}"),
                // The session has taken the salt or the time over.
                Answer::Repeat { code } => last = code,
            }
        }
        bail!("the datacenter refuses every message with code {last}")
    }

    fn acknowledge(&mut self, rng: &mut Drbg) -> Result<()> {
        let packed = self.session.pack_acks_into(UnixTime::now(), rng, &mut self.out)?;
        if packed.is_some() {
            self.stream.send(&mut self.out, AckRequest::No)?;
        }
        Ok(())
    }

    fn wait_for(&mut self, question: MsgId) -> Result<Answer> {
        let deadline = Instant::now() + self.patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let session = &mut self.session;
            let received = self.stream.receive(left, |incoming| match incoming {
                Incoming::Envelope { payload, .. } => read(session, payload, question),
                Incoming::Error(code) => Err(anyhow!("the datacenter answers with {code}")),
                Incoming::QuickAck(_) => Ok(None),
            });
            if let Some(answer) = received.context("no answer")?? {
                return Ok(answer);
            }
        }
    }
}

/// Opens a frame and looks in it for an answer.
fn read(session: &mut EncryptedSession, frame: &mut [u8], question: MsgId) -> Result<Option<Answer>> {
    let mut found = Ok(None);
    let unpacked =
        session.unpack_each(UnixTime::now(), frame, |message| match answer(message.body, question) {
            Ok(None) => {}
            other => found = other,
        });
    match unpacked {
        Ok(()) => found,
        Err(UnpackError::Frame(error)) => Err(error).context("the datacenter sent something else"),
        // Old or repeated: of no interest.
        Err(_) => Ok(None),
    }
}

/// Returns whether and how a message answers `question`.
fn answer(body: &[u8], question: MsgId) -> Result<Option<Answer>> {
    let (ours, object) = (question.to_raw(), || Ok(Some(Answer::Object(body.to_vec()))));
    let repeat = |msg_id, code| Ok((msg_id == ours).then_some(Answer::Repeat { code }));
    match constructor_id(body)? {
        RPC_RESULT => {
            let result = RpcResult::new_checked(body)?;
            Ok(match result.outcome()? {
                _ if result.req_msg_id() != question => None,
                RpcOutcome::Error(error) => Some(Answer::Error(error)),
                RpcOutcome::Object(object) => Some(Answer::Object(object.to_vec())),
                RpcOutcome::Packed(_) => bail!("packed twice"),
            })
        }
        types::Pong::CONSTRUCTOR_ID => {
            let enums::Pong::Pong(pong) = enums::Pong::from_bytes(body)?;
            if pong.msg_id == ours { object() } else { Ok(None) }
        }
        types::FutureSalts::CONSTRUCTOR_ID => {
            let enums::FutureSalts::FutureSalts(salts) = enums::FutureSalts::from_bytes(body)?;
            if salts.req_msg_id == ours { object() } else { Ok(None) }
        }
        types::BadServerSalt::CONSTRUCTOR_ID | types::BadMsgNotification::CONSTRUCTOR_ID => {
            match enums::BadMsgNotification::from_bytes(body)? {
                enums::BadMsgNotification::BadServerSalt(bad) => repeat(bad.bad_msg_id, bad.error_code),
                enums::BadMsgNotification::BadMsgNotification(bad) => repeat(bad.bad_msg_id, bad.error_code),
            }
        }
        // new_session_created, updates, acknowledgements.
        _ => Ok(None),
    }
}
