//! A client, the pen of its server, and what tests ask of both.

pub use core::time::Duration;

pub use chappe_crypto::rng::Drbg;
pub use chappe_crypto::{AuthKey, Side};
pub use chappe_framing::{
    Container, ContainerWriter, Deflater, EncryptedHeader, EncryptedWriter, FrameBuf, FrameError,
    MSG_CONTAINER, MessageHeader, MsgId, MsgIdGenerator, MsgOrigin, Padding, SeqNo, ServerSalt, SessionId,
    TransportTail, UnixTime, constructor_id, open, write_rpc_result_header,
};
pub use chappe_session::client::{
    AuthorizationTrouble, CallFailure, CallId, ClientConfig, ClientInfo, ClientSession, DropOutcome, Event,
    ForwardSecrecy, InitConnection, KeyMaterial, Packing, ReceiveError, ReconnectReason, Repeat, SavedState,
    SendError, SendOptions, StateError, TemporaryKey,
};
pub use chappe_session::liveness::LivenessPolicy;
pub use chappe_session::{MonoTime, Now, SessionLimits};
pub use chappe_tl::{Deserializable, Serializable};
pub use chappe_tl_mtproto::{enums, functions, types};

pub const START: u64 = 1_707_425_104;
pub const GET_CONFIG: [u8; 4] = 0xc4f9_186b_u32.to_le_bytes();
pub const BOOL_TRUE: [u8; 4] = 0x9972_75b5_u32.to_le_bytes();

pub fn key() -> AuthKey {
    AuthKey::from_bytes([0x5a; 256])
}

pub fn mono(seconds: u64) -> MonoTime {
    MonoTime::from_duration(Duration::from_secs(seconds))
}

/// A client, and the pen of its server.
pub struct Pair {
    pub client: ClientSession,
    pub key: AuthKey,
    pub ids: MsgIdGenerator,
    pub rng: Drbg,
    pub second: u64,
    /// The client's wall clock against the server's, in seconds.
    pub error: i64,
    pub seq_no: i32,
    pub session: SessionId,
}

/// A message of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub msg_id: MsgId,
    pub seq_no: i32,
    pub body: Vec<u8>,
    pub container: Option<MsgId>,
    pub salt: i64,
}

/// An event that owns what it says.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Answer(CallId, Vec<u8>),
    Error(CallId, i32, String),
    Update(Vec<u8>),
    Other(Event<'static>),
}

impl Pair {
    pub fn new() -> Self {
        Self::with(ClientConfig::default(), 0)
    }

    pub fn with(config: ClientConfig, error: i64) -> Self {
        let first = Now::new(MonoTime::ZERO, UnixTime::from_secs(START.saturating_add_signed(error)));
        let offset = 0;
        let mut material = KeyMaterial::from_handshake(key(), 42, offset, START as i64);
        material.clock = chappe_session::client::ClockTrust::Guess;
        let mut client = ClientSession::new(config, material, first);
        client.handle_connected(first, TransportTail::None);
        Self {
            client,
            key: key(),
            ids: MsgIdGenerator::new(),
            rng: Drbg::from_seed([3; 32]),
            second: 0,
            error,
            seq_no: 1,
            session: SessionId::from_raw(0),
        }
    }

    pub fn now(&self) -> Now {
        let wall = (START + self.second).saturating_add_signed(self.error);
        Now::new(mono(self.second), UnixTime::from_secs(wall))
    }

    pub fn server_time(&self) -> UnixTime {
        UnixTime::from_secs(START + self.second)
    }

    pub fn call(&mut self) -> CallId {
        self.call_with(SendOptions::default())
    }

    pub fn call_with(&mut self, options: SendOptions) -> CallId {
        self.client.send_bytes(self.now(), &GET_CONFIG, options).unwrap()
    }

    /// Everything the client sends now, containers opened.
    pub fn sent(&mut self) -> Vec<Sent> {
        let mut out = FrameBuf::new();
        let mut sent = Vec::new();
        while self.client.poll_transmit(self.now(), &mut self.rng, &mut out).is_some() {
            let opened = open(&self.key, Side::Client, TransportTail::None, out.as_mut_slice()).unwrap();
            opened.require_named_session().unwrap();
            opened.require_origin(Side::Client).unwrap();
            self.session = opened.session_id();
            let salt = opened.salt().to_raw();
            let mut push = |header: MessageHeader, body: &[u8], container| {
                let (msg_id, seq_no) = (header.msg_id, header.seq_no.to_raw());
                sent.push(Sent { msg_id, seq_no, body: body.to_vec(), container, salt });
            };
            if constructor_id(opened.body()).unwrap() == MSG_CONTAINER {
                let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Client).unwrap();
                container
                    .iter()
                    .for_each(|message| push(message.header, message.body, Some(opened.msg_id())));
            } else {
                push(opened.header(), opened.body(), None);
            }
        }
        sent
    }

    /// The messages that carry the test's only query.
    pub fn queries(&mut self) -> Vec<Sent> {
        self.sent().into_iter().filter(|sent| sent.body.ends_with(&GET_CONFIG)).collect()
    }

    pub fn frame(&mut self, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<u8> {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(body);
        let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(seq_no) };
        let header = EncryptedHeader { salt: ServerSalt::from_raw(1), session_id: self.session, message };
        writer.seal(&self.key, Side::Server, header, Padding::Minimum, &mut self.rng).unwrap();
        buf.as_slice().to_vec()
    }

    pub fn take(&mut self, mut frame: Vec<u8>) -> Result<Vec<Seen>, ReceiveError> {
        let now = self.now();
        Ok(own(self.client.handle_frame(now, &mut frame)?))
    }

    /// The server says something that needs an acknowledgement.
    pub fn say(&mut self, body: &[u8]) -> Vec<Seen> {
        let (msg_id, seq_no) = (self.ids.next(self.server_time(), MsgOrigin::Response), self.seq_no);
        self.seq_no += 2;
        let frame = self.frame(msg_id, seq_no, body);
        self.take(frame).unwrap()
    }

    pub fn answer(&mut self, query: MsgId, result: &[u8]) -> Vec<Seen> {
        let mut body = Vec::new();
        write_rpc_result_header(&mut body, query);
        body.extend_from_slice(result);
        self.say(&body)
    }

    /// Shows the client that the link is fast, so that it holds nothing back.
    pub fn show_speed(&mut self) {
        let body = [&GET_CONFIG[..], &vec![0x77; 64 << 10]].concat();
        let options = SendOptions::default().with_packing(Packing::Never);
        self.client.send_bytes(self.now(), &body, options).unwrap();
        let sent = self.sent();
        let part = sent.iter().find(|sent| sent.body.len() == body.len()).unwrap().msg_id;
        self.answer(part, &BOOL_TRUE);
    }

    pub fn refuse(&mut self, query: MsgId, code: i32, message: &str) -> Vec<Seen> {
        let mut body = Vec::new();
        let error = types::RpcError { error_code: code, error_message: message.into() };
        write_rpc_result_header(&mut body, query);
        chappe_tl_mtproto::enums::RpcError::RpcError(error).serialize(&mut body).unwrap();
        self.say(&body)
    }

    pub fn complain(&mut self, about: MsgId, code: i32) -> Vec<Seen> {
        let bad =
            types::BadMsgNotification { bad_msg_id: about.to_raw(), bad_msg_seqno: 1, error_code: code };
        self.say(&enums::BadMsgNotification::BadMsgNotification(bad).to_bytes())
    }

    pub fn bad_salt(&mut self, about: MsgId, salt: i64) -> Vec<Seen> {
        let bad = types::BadServerSalt {
            bad_msg_id: about.to_raw(),
            bad_msg_seqno: 1,
            error_code: 48,
            new_server_salt: salt,
        };
        self.say(&enums::BadMsgNotification::BadServerSalt(bad).to_bytes())
    }

    /// Time passes while the server answers pings; returns what else was sent.
    pub fn live(&mut self, seconds: u64) -> Vec<Sent> {
        self.live_and_see(seconds).1
    }

    /// The same, with what the client reported meanwhile.
    pub fn live_and_see(&mut self, seconds: u64) -> (Vec<Seen>, Vec<Sent>) {
        let (mut seen, mut others) = (Vec::new(), Vec::new());
        for _ in 0..seconds {
            seen.extend(self.pass(1));
            for sent in self.sent() {
                match functions::PingDelayDisconnect::from_bytes(&sent.body) {
                    Ok(ping) => {
                        let pong = types::Pong { msg_id: sent.msg_id.to_raw(), ping_id: ping.ping_id };
                        seen.extend(self.say(&enums::Pong::Pong(pong).to_bytes()));
                    }
                    Err(_) => others.push(sent),
                }
            }
        }
        (seen, others)
    }

    pub fn pass(&mut self, seconds: u64) -> Vec<Seen> {
        self.second += seconds;
        let now = self.now();
        self.client.handle_timeout(now);
        own(self.client.events())
    }
}

pub fn own<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Seen> {
    let own = |event: Event<'a>| match event {
        Event::Answer { call, body } => Seen::Answer(call, body.to_vec()),
        Event::CallError { call, error } => Seen::Error(call, error.code, error.message.into()),
        Event::Update { body, .. } => Seen::Update(body.to_vec()),
        Event::CallFailed { call, failure } => Seen::Other(Event::CallFailed { call, failure }),
        Event::QuickAcked { call } => Seen::Other(Event::QuickAcked { call }),
        Event::UpdatesMayBeMissing => Seen::Other(Event::UpdatesMayBeMissing),
        Event::TimeCorrected { offset_seconds } => Seen::Other(Event::TimeCorrected { offset_seconds }),
        Event::NeedTemporaryKey => Seen::Other(Event::NeedTemporaryKey),
        Event::TemporaryKeyBound => Seen::Other(Event::TemporaryKeyBound),
        Event::Reconnect(reason) => Seen::Other(Event::Reconnect(reason)),
        Event::Authorization(trouble) => Seen::Other(Event::Authorization(trouble)),
        Event::SessionDestroyed { session_id, existed } => {
            Seen::Other(Event::SessionDestroyed { session_id, existed })
        }
        Event::KeyDestroyed(destruction) => Seen::Other(Event::KeyDestroyed(destruction)),
        other => panic!("{other:?}"),
    };
    events.map(own).collect()
}

pub fn failed(call: CallId, failure: CallFailure) -> Seen {
    Seen::Other(Event::CallFailed { call, failure })
}

pub fn new_session(first: MsgId, unique_id: i64, salt: i64) -> Vec<u8> {
    let created = types::NewSessionCreated { first_msg_id: first.to_raw(), unique_id, server_salt: salt };
    enums::NewSession::Created(created).to_bytes()
}

pub fn state_info(request: MsgId, info: &[u8]) -> Vec<u8> {
    let info = types::MsgsStateInfo { req_msg_id: request.to_raw(), info: info.to_vec() };
    enums::MsgsStateInfo::MsgsStateInfo(info).to_bytes()
}

pub fn state_request(sent: &[Sent]) -> Option<(MsgId, Vec<i64>)> {
    sent.iter().find_map(|sent| {
        let enums::MsgsStateReq::MsgsStateReq(request) = enums::MsgsStateReq::from_bytes(&sent.body).ok()?;
        Some((sent.msg_id, request.msg_ids))
    })
}
