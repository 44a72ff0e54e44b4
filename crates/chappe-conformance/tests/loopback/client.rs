//! A client for these tests: a handshake and one session over a blocking socket.

use core::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::KeyRing;
use chappe_crypto::{AuthKey, QuickAckToken};
use chappe_framing::{FrameBuf, MsgId, Now, RpcOutcome, RpcResult, UnixTime, constructor_id};
use chappe_handshake::{ClientHandshake, ClientOptions, DcId, Finished, KeyKind, Progress};
use chappe_loopback::Loopback;
use chappe_net::Stream;
use chappe_net::blocking::dial;
use chappe_net::{DialOptions, LinkError};
use chappe_session::EncryptedSession;
use chappe_session::TransportTail;
use chappe_tl::{Deserializable, RemoteCall, Serializable};
use chappe_transport::{AckRequest, Connector, Framing, Incoming};
use chappe_types::RpcError;

/// How long these tests wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) session: EncryptedSession,
    pub(crate) rng: Drbg,
    frame: FrameBuf,
}

/// A message that came: its id and its object.
pub(crate) type Received = (MsgId, Vec<u8>);

pub(crate) fn plain(framing: Framing) -> Connector {
    Connector::plain(framing)
}

pub(crate) fn connect(dc: &Loopback, connector: Connector, rng: &mut Drbg) -> Stream {
    dial(dc.address(), &DialOptions::new(connector), rng).expect("the datacenter listens")
}

/// Makes a key over a connection.
pub(crate) fn make_key(dc: &Loopback, stream: &mut Stream, kind: KeyKind, rng: &mut Drbg) -> Finished {
    make_key_for(dc, dc.dc(), stream, kind, rng)
}

/// The same, for a datacenter of another number.
pub(crate) fn make_key_for(
    dc: &Loopback,
    id: DcId,
    stream: &mut Stream,
    kind: KeyKind,
    rng: &mut Drbg,
) -> Finished {
    let mut keys = KeyRing::empty();
    keys.add(dc.public_key().clone());
    let options = ClientOptions::new(keys, id).with_kind(kind);
    let mut handshake = ClientHandshake::begin(options, Now::from_system(), rng).expect("good options");
    let mut frame = FrameBuf::new();
    loop {
        frame.clear();
        while handshake.poll_transmit(Now::from_system(), &mut frame) {
            stream.send(&mut frame, AckRequest::No).expect("the datacenter reads");
        }
        let answer = stream.receive(PATIENCE, |incoming| match incoming {
            Incoming::Envelope { payload, .. } => payload.to_vec(),
            other => panic!("{other:?} instead of an answer"),
        });
        let answer = answer.expect("the datacenter answers");
        let progress = handshake.handle_frame(Now::from_system(), &answer, rng).expect("a good answer");
        if let Progress::Done(finished) = progress {
            return finished;
        }
    }
}

impl Client {
    /// Connects over abridged, makes a permanent key and begins a session.
    pub(crate) fn start(dc: &Loopback) -> Self {
        Self::start_over(dc, plain(Framing::Abridged))
    }

    pub(crate) fn start_over(dc: &Loopback, connector: Connector) -> Self {
        let mut rng = Drbg::from_os().expect("the system has randomness");
        let mut stream = connect(dc, connector, &mut rng);
        let finished = make_key(dc, &mut stream, KeyKind::Permanent, &mut rng);
        Self::with_key(stream, &finished, rng)
    }

    pub(crate) fn with_key(stream: Stream, finished: &Finished, mut rng: Drbg) -> Self {
        let (salt, offset) = (finished.first_salt, finished.time_offset);
        let mut session = EncryptedSession::with_rng(finished.auth_key, salt, offset, &mut rng);
        if stream.framing() == Framing::PaddedIntermediate {
            session.set_transport_tail(TransportTail::Padded);
        }
        Self::with_session(stream, session, rng)
    }

    pub(crate) fn with_session(stream: Stream, session: EncryptedSession, rng: Drbg) -> Self {
        Self { stream, session, rng, frame: FrameBuf::new() }
    }

    pub(crate) fn key(&self) -> AuthKey {
        self.session.auth_key().clone()
    }

    /// Sends an object; returns the id it went under.
    pub(crate) fn send(&mut self, object: &impl Serializable, ack: AckRequest) -> MsgId {
        self.frame.clear();
        let (now, rng) = (UnixTime::now(), &mut self.rng);
        let msg_id = self.session.pack_into(object, now, rng, &mut self.frame).expect("it can be sent");
        self.stream.send(&mut self.frame, ack).expect("the datacenter reads");
        msg_id
    }

    /// The same at a time, which the message's id then says.
    pub(crate) fn send_at(&mut self, now: UnixTime, object: &impl Serializable) -> MsgId {
        self.frame.clear();
        let rng = &mut self.rng;
        let msg_id = self.session.pack_into(object, now, rng, &mut self.frame).expect("it can be sent");
        self.stream.send(&mut self.frame, AckRequest::No).expect("the datacenter reads");
        msg_id
    }

    /// Receives one frame and returns its messages.
    pub(crate) fn receive(&mut self) -> Result<Vec<Received>, LinkError> {
        let session = &mut self.session;
        self.stream.receive(PATIENCE, |incoming| match incoming {
            Incoming::Envelope { payload, .. } => {
                let mut messages = Vec::new();
                let opened = session.unpack_each(UnixTime::now(), payload, |message| {
                    messages.push((message.msg_id, message.body.to_vec()));
                });
                // A repeated frame has no messages for us; anything else is wrong.
                if let Err(error) = opened {
                    assert!(matches!(error, chappe_session::UnpackError::Duplicate { .. }), "{error}");
                }
                messages
            }
            other => panic!("{other:?} instead of a frame"),
        })
    }

    /// Receives until an object of this constructor comes.
    pub(crate) fn receive_object(&mut self, id: u32) -> Vec<u8> {
        loop {
            for (_, body) in self.receive().expect("the datacenter goes on") {
                if constructor_id(&body) == Ok(id) {
                    return body;
                }
            }
        }
    }

    /// Receives the quick ack that was asked for.
    pub(crate) fn receive_quick_ack(&mut self) -> QuickAckToken {
        loop {
            let token = self.stream.receive(PATIENCE, |incoming| match incoming {
                Incoming::QuickAck(token) => Some(token),
                _ => None,
            });
            if let Some(token) = token.expect("the datacenter goes on") {
                return token;
            }
        }
    }

    /// Calls a function and waits for its answer.
    pub(crate) fn call<C: RemoteCall>(&mut self, call: &C) -> Result<C::Return, RpcError> {
        let query = self.send(call, AckRequest::No);
        self.answer(query).map(|result| C::Return::from_bytes(&result).expect("a result of the right type"))
    }

    /// Waits for the answer to a query.
    pub(crate) fn answer(&mut self, query: MsgId) -> Result<Vec<u8>, RpcError> {
        loop {
            for (_, body) in self.receive().expect("the datacenter goes on") {
                let Ok(result) = RpcResult::new_checked(&body) else { continue };
                if result.req_msg_id() == query {
                    return match result.outcome().expect("a whole result") {
                        RpcOutcome::Error(error) => Err(error),
                        _ => Ok(result.result().to_vec()),
                    };
                }
            }
        }
    }
}
