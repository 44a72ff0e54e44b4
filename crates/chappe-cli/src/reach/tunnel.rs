//! Pings over an encrypted session and a connection, one at a time.

use std::time::{Duration, Instant};

use chappe::EncryptedSession;
use chappe::authentication::Finished;
use chappe::crypto::rng::Drbg;
use chappe::framing::{FrameBuf, UnixTime, constructor_id};
use chappe::mtproto::{enums, functions, types};
use chappe::net::Stream;
use chappe::session::UnpackError;
use chappe::tl::{Deserializable as _, Identifiable as _};
use chappe::transport::{AckRequest, Incoming};

use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// How often a ping is repeated because its salt or number was not right.
const MAX_REPEATS: usize = 3;

/// A session and the connection it uses.
pub(crate) struct Tunnel {
    stream: Stream,
    session: EncryptedSession,
    out: FrameBuf,
    timeout: Duration,
}

/// What a message says about a ping.
#[derive(Clone, Copy)]
enum Answer {
    Pong,
    /// The ping must be sent again: the session has learned the salt or the time.
    Repeat {
        code: i32,
    },
}

impl Tunnel {
    /// Starts a session under the key that was made.
    pub(crate) fn new(stream: Stream, finished: &Finished, timeout: Duration, rng: &mut Drbg) -> Self {
        let (key, salt) = (finished.key(), finished.first_salt);
        let session = EncryptedSession::with_rng(key, salt, finished.time_offset, rng);
        Self { stream, session, out: FrameBuf::new(), timeout }
    }

    /// Sends a ping, waits for its pong, and returns how long that took.
    pub(crate) fn ping(&mut self, ping_id: i64, rng: &mut Drbg) -> Result<Duration> {
        let mut last = 0;
        for _ in 0..=MAX_REPEATS {
            self.acknowledge(rng)?;
            let ping = functions::Ping { ping_id };
            let msg_id = self
                .session
                .pack_into(&ping, UnixTime::now(), rng, &mut self.out)
                .or_blame(Blame::Machine, "cannot make a message")?;
            let sent = Instant::now();
            self.stream.send(&mut self.out, AckRequest::No)?;
            match self.wait_for(msg_id.to_raw())? {
                Answer::Pong => return Ok(sent.elapsed()),
                Answer::Repeat { code } => last = code,
            }
        }
        Err(Failure::new(Blame::Server, format!("the datacenter refuses every message with code {last}")))
    }

    fn acknowledge(&mut self, rng: &mut Drbg) -> Result<()> {
        let packed = self.session.pack_acks_into(UnixTime::now(), rng, &mut self.out);
        if packed.or_blame(Blame::Machine, "cannot make a message")?.is_some() {
            self.stream.send(&mut self.out, AckRequest::No)?;
        }
        Ok(())
    }

    fn wait_for(&mut self, msg_id: i64) -> Result<Answer> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let session = &mut self.session;
            let received = self.stream.receive(left, |incoming| match incoming {
                Incoming::Envelope { payload, .. } => read(session, payload, msg_id),
                Incoming::Error(code) => {
                    Err(Failure::new(Blame::Server, format!("the datacenter answers with {code}")))
                }
                Incoming::QuickAck(_) => Ok(None),
            })?;
            if let Some(answer) = received? {
                return Ok(answer);
            }
        }
    }
}

/// Opens a frame and looks in it for what concerns the message `msg_id`.
fn read(session: &mut EncryptedSession, frame: &mut [u8], msg_id: i64) -> Result<Option<Answer>> {
    let mut found = None;
    let unpacked = session.unpack_each(UnixTime::now(), frame, |message| {
        found = found.or(answer(message.body, msg_id));
    });
    match unpacked {
        Ok(()) => Ok(found),
        Err(UnpackError::Frame(error)) => Err(Failure::of(Blame::Protocol, &error)),
        // Old or repeated: of no interest.
        Err(_) => Ok(None),
    }
}

fn answer(body: &[u8], msg_id: i64) -> Option<Answer> {
    match constructor_id(body).ok()? {
        types::Pong::CONSTRUCTOR_ID => {
            let enums::Pong::Pong(pong) = enums::Pong::from_bytes(body).ok()?;
            (pong.msg_id == msg_id).then_some(Answer::Pong)
        }
        types::BadServerSalt::CONSTRUCTOR_ID | types::BadMsgNotification::CONSTRUCTOR_ID => {
            let (about, code) = match enums::BadMsgNotification::from_bytes(body).ok()? {
                enums::BadMsgNotification::BadServerSalt(bad) => (bad.bad_msg_id, bad.error_code),
                enums::BadMsgNotification::BadMsgNotification(bad) => (bad.bad_msg_id, bad.error_code),
            };
            (about == msg_id).then_some(Answer::Repeat { code })
        }
        // new_session_created, updates, acknowledgements.
        _ => None,
    }
}
