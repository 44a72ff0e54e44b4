//! A client's session, and the pen of a server that writes whatever it likes.

use core::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    Container, EncryptedHeader, EncryptedWriter, FrameBuf, MSG_CONTAINER, MessageHeader, MsgId,
    MsgIdGenerator, MsgOrigin, Padding, SeqNo, ServerSalt, SessionId, TransportTail, UnixTime,
    constructor_id, open, write_rpc_result_header,
};
use chappe_session::client::{
    CallFailure, CallId, ClientConfig, ClientSession, Event, KeyMaterial, ReceiveError, SavedState,
    SendOptions,
};
use chappe_session::{MonoTime, Now, SessionLimits};

use crate::{QUERY, START};

/// The answer to the query.
pub(crate) const ANSWER: [u8; 4] = 0x9972_75b5_u32.to_le_bytes();

/// The client, and what the server knows of it.
pub(crate) struct Pen {
    pub(crate) client: ClientSession,
    pub(crate) key: AuthKey,
    pub(crate) session: SessionId,
    pub(crate) millis: u64,
    ids: MsgIdGenerator,
    rng: Drbg,
    seq_no: i32,
}

/// A message that the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) msg_id: MsgId,
    pub(crate) body: Vec<u8>,
    pub(crate) frame: Vec<u8>,
}

/// An event that owns what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Answer(CallId, Vec<u8>),
    Error(CallId),
    Failed(CallId, CallFailure),
    Update(Vec<u8>),
    Other(String),
}

impl Pen {
    pub(crate) fn new() -> Self {
        Self::with(SessionLimits::default())
    }

    pub(crate) fn with(limits: SessionLimits) -> Self {
        let key = crate::key(9);
        let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
        let mut material = KeyMaterial::from_handshake(key.clone(), 42, 0, START as i64);
        material.clock = chappe_session::client::ClockTrust::Measured;
        let mut client = ClientSession::new(ClientConfig::default().with_limits(limits), material, now);
        client.handle_connected(now, TransportTail::None);
        let rng = Drbg::from_seed([3; 32]);
        let mut pen = Self {
            client,
            key,
            session: SessionId::from_raw(0),
            millis: 0,
            ids: MsgIdGenerator::new(),
            rng,
            seq_no: 1,
        };
        // The first packet draws the session.
        pen.honest_call();
        pen
    }

    pub(crate) fn now(&self) -> Now {
        let passed = Duration::from_millis(self.millis);
        Now::new(MonoTime::from_duration(passed), UnixTime::from_secs(START).saturating_add(passed))
    }

    pub(crate) fn call(&mut self) -> CallId {
        self.call_with(SendOptions::default())
    }

    pub(crate) fn call_with(&mut self, options: SendOptions) -> CallId {
        self.client.send_bytes(self.now(), &QUERY, options).unwrap()
    }

    /// Everything the client sends now, containers opened.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let mut out = FrameBuf::new();
        let mut sent = Vec::new();
        let mut frames = 0;
        while self.client.poll_transmit(self.now(), &mut self.rng, &mut out).is_some() {
            frames += 1;
            assert!(frames < 100, "the client sends without end");
            let frame = out.as_slice().to_vec();
            let opened = open(&self.key, Side::Client, TransportTail::None, out.as_mut_slice()).unwrap();
            self.session = opened.session_id();
            let mut push = |msg_id, body: &[u8]| {
                sent.push(Sent { msg_id, body: body.to_vec(), frame: frame.clone() });
            };
            if constructor_id(opened.body()).unwrap() == MSG_CONTAINER {
                let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Client).unwrap();
                container.iter().for_each(|message| push(message.header.msg_id, message.body));
            } else {
                push(opened.msg_id(), opened.body());
            }
        }
        sent
    }

    /// The messages that carry the test's only query.
    pub(crate) fn queries(&mut self) -> Vec<Sent> {
        self.sent().into_iter().filter(|sent| sent.body.ends_with(&QUERY)).collect()
    }

    /// The next id of an honest server.
    pub(crate) fn next_id(&mut self) -> MsgId {
        let now = self.now().unix;
        self.ids.next(now, MsgOrigin::Response)
    }

    pub(crate) fn frame(&mut self, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<u8> {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(body);
        let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(seq_no) };
        let header = EncryptedHeader { salt: ServerSalt::from_raw(1), session_id: self.session, message };
        writer.seal(&self.key, Side::Server, header, Padding::Minimum, &mut self.rng).unwrap();
        buf.as_slice().to_vec()
    }

    /// Makes a frame of a plaintext, header included; it may say what it likes.
    pub(crate) fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut bytes = plaintext.to_vec();
        bytes.resize(bytes.len().next_multiple_of(16), 0x11);
        let sealed = chappe_crypto::message::seal(&self.key, Side::Server, &mut bytes).unwrap();
        [&self.key.id().as_bytes()[..], sealed.msg_key.as_bytes(), &bytes].concat()
    }

    pub(crate) fn show(&mut self, mut frame: Vec<u8>) -> Result<Vec<Seen>, ReceiveError> {
        let now = self.now();
        Ok(own(self.client.handle_frame(now, &mut frame)?))
    }

    /// Says something under the next id.
    pub(crate) fn say(&mut self, body: &[u8]) -> Result<Vec<Seen>, ReceiveError> {
        let msg_id = self.next_id();
        self.seq_no += 2;
        let frame = self.frame(msg_id, self.seq_no, body);
        self.show(frame)
    }

    pub(crate) fn answer(&mut self, query: MsgId, result: &[u8]) -> Result<Vec<Seen>, ReceiveError> {
        self.say(&result_of(query, result))
    }

    pub(crate) fn pass(&mut self, millis: u64) -> Vec<Seen> {
        self.millis += millis;
        let now = self.now();
        self.client.handle_timeout(now);
        own(self.client.events())
    }

    /// Events that wait.
    pub(crate) fn events(&mut self) -> Vec<Seen> {
        own(self.client.events())
    }

    pub(crate) fn reconnect(&mut self) -> Vec<Seen> {
        let now = self.now();
        self.client.handle_disconnected(now);
        self.client.handle_connected(now, TransportTail::None);
        own(self.client.events())
    }

    /// A call is made and answered; what came before is over.
    pub(crate) fn honest_call(&mut self) {
        let call = self.call();
        for _ in 0..20 {
            let sent = self.sent();
            // Every question of the client is left alone but this one.
            let id = self.client.msg_id(call);
            if let Some(query) = sent.iter().find(|sent| Some(sent.msg_id) == id) {
                let seen = self.answer(query.msg_id, &ANSWER).expect("an honest answer is in order");
                assert!(seen.contains(&Seen::Answer(call, ANSWER.to_vec())), "{seen:?}");
                assert!(!self.client.is_pending(call));
                return;
            }
            self.pass(1000);
        }
        panic!("an honest call was never sent: {:?}", self.client);
    }

    /// The attack is over: a new connection if need be, an honest call, and the key is where it was.
    pub(crate) fn survives(&mut self, was: &str) {
        self.millis += 10;
        self.reconnect();
        self.honest_call();
        let saved = self.client.export(self.now(), b"");
        let saved = SavedState::import(&saved).unwrap();
        assert!(saved.key.auth_key == self.key, "{was}: the key was lost");
        assert!(!self.client.is_terminated(), "{was}");
    }
}

/// An `rpc_result`.
pub(crate) fn result_of(query: MsgId, result: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    write_rpc_result_header(&mut body, query);
    body.extend_from_slice(result);
    body
}

fn own<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Seen> {
    let own = |event: Event<'a>| match event {
        Event::Answer { call, body } => Seen::Answer(call, body.to_vec()),
        Event::CallError { call, .. } => Seen::Error(call),
        Event::CallFailed { call, failure } => Seen::Failed(call, failure),
        Event::Update { body, .. } => Seen::Update(body.to_vec()),
        other => Seen::Other(format!("{other:?}")),
    };
    events.map(own).collect()
}
