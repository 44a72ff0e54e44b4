//! A whole server without sockets, an honest client of it, and the pen of a hostile one that knows its own key.

use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::KeyRing;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    Container, EncryptedHeader, EncryptedWriter, FrameBuf, MSG_CONTAINER, MessageHeader, MsgId,
    MsgIdGenerator, MsgOrigin, Padding, SeqNo, ServerSalt, SessionId, TransportTail, UnixTime,
    constructor_id, open,
};
use chappe_handshake::{ClientHandshake, ClientOptions, DcId, Progress, ServerOptions};
use chappe_server::{
    Context, Engine, EngineOptions, Handler, KeyState, KeyStatus, Output, QueryResponse, ServerConnection,
};
use chappe_session::client::{ClientConfig, ClientSession, Event, KeyMaterial, SendOptions};
use chappe_session::server::{Policy, SaltSchedule, ServerConfig};
use chappe_session::{MonoTime, Now};
use chappe_transport::AckRequest;

use crate::pen::ANSWER;
use crate::{QUERY, START, key, private_key};

/// Counts the queries and answers each alike.
#[derive(Clone, Default)]
pub(crate) struct Counting(pub(crate) Arc<AtomicUsize>);

impl Handler for Counting {
    fn query(&self, _: &Context<'_>, body: &[u8]) -> QueryResponse {
        self.0.fetch_add(1, Ordering::Relaxed);
        if body == QUERY { QueryResponse::Answer(ANSWER.to_vec()) } else { error(400, "METHOD_INVALID") }
    }
}

fn error(code: i32, message: &str) -> QueryResponse {
    QueryResponse::Error { code, message: message.to_owned() }
}

/// The server.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) queries: Counting,
    pub(crate) rng: Drbg,
    pub(crate) millis: u64,
}

/// Messages that a session of it may hold for a client.
pub(crate) const UNACKED: usize = 512;

/// What came out of a connection.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) frames: Vec<Vec<u8>>,
    /// How it ended the connection, if it did.
    pub(crate) end: Option<End>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Silent,
    Error(i32),
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Policy::Strict)
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let queries = Counting::default();
        Self { queries: queries.clone(), ..Self::serving(policy, queries) }
    }

    /// A server with another handler.
    pub(crate) fn serving(policy: Policy, handler: impl Handler) -> Self {
        Self::configured(policy, handler, |_| ())
    }

    /// A server with other options.
    pub(crate) fn configured(
        policy: Policy,
        handler: impl Handler,
        change: impl FnOnce(&mut EngineOptions),
    ) -> Self {
        let mut rng = Drbg::from_seed([4; 32]);
        let mut handshake = ServerOptions::lenient(vec![private_key()]);
        handshake.rate = None;
        let session = ServerConfig::default().with(|config| {
            config.policy = policy;
            config.unacked_messages = UNACKED;
        });
        let mut options = EngineOptions::new(handshake, session);
        options.salt_secret = Some([9; 32]);
        change(&mut options);
        let engine = Engine::new(options, handler, &mut rng).unwrap();
        for seed in [1, 2] {
            engine.add_key(KeyState::new(key(seed), KeyStatus::Permanent));
        }
        Self { engine, queries: Counting::default(), rng, millis: 0 }
    }

    pub(crate) fn now(&self) -> Now {
        let passed = Duration::from_millis(self.millis);
        Now::new(MonoTime::from_duration(passed), UnixTime::from_secs(START).saturating_add(passed))
    }

    pub(crate) fn connect(&self) -> ServerConnection {
        self.connect_from([127, 0, 0, 1].into())
    }

    pub(crate) fn connect_from(&self, address: IpAddr) -> ServerConnection {
        self.engine.connect(SocketAddr::new(address, 1), TransportTail::None, || ())
    }

    /// A client at this address makes a key.
    pub(crate) fn make_key(&mut self, address: IpAddr) -> AuthKey {
        let mut keys = KeyRing::empty();
        keys.add(private_key().public_key().clone());
        let options = ClientOptions::new(keys, DcId::production(2));
        let mut client = ClientHandshake::begin(options, self.now(), &mut self.rng).unwrap();
        let mut connection = self.connect_from(address);
        let mut out = FrameBuf::new();
        while client.poll_transmit(self.now(), &mut out) {
            let said = self.show(&mut connection, out.as_slice().to_vec());
            assert_eq!(said.end, None, "an honest client was sent away");
            let progress = client.handle_frame(self.now(), &said.frames[0], &mut self.rng).unwrap();
            if let Progress::Done(created) = progress {
                return AuthKey::from_bytes(created.auth_key);
            }
        }
        panic!("the exchange had no end");
    }

    /// Hands a payload to a connection and takes everything out that it has to say.
    pub(crate) fn show(&mut self, connection: &mut ServerConnection, mut payload: Vec<u8>) -> Said {
        let now = self.now();
        connection.handle_payload(now, &mut payload, AckRequest::No, &mut self.rng);
        self.drain(connection)
    }

    pub(crate) fn drain(&mut self, connection: &mut ServerConnection) -> Said {
        let now = self.now();
        let mut said = Said::default();
        let mut out = FrameBuf::new();
        for _ in 0..2_000 {
            match connection.poll_output(now, &mut self.rng, &mut out) {
                Some(Output::Frame) => said.frames.push(out.as_slice().to_vec()),
                Some(Output::QuickAck(_)) => {}
                Some(Output::Error(code)) => said.end = Some(End::Error(code.to_raw())),
                Some(Output::Close) => said.end = Some(End::Silent),
                None => return said,
            }
        }
        panic!("the server talks without end");
    }

    pub(crate) fn executed(&self) -> usize {
        self.queries.0.load(Ordering::Relaxed)
    }

    /// Somebody else, on another connection and under another key, is served.
    pub(crate) fn survives(&mut self, was: &str) {
        self.millis += 10;
        for seed in [1, 2] {
            self.honest_call(&key(seed), was);
        }
    }

    pub(crate) fn honest_call(&mut self, key: &AuthKey, was: &str) {
        let now = self.now();
        let material = KeyMaterial::from_handshake(key.clone(), 1, 0, now.unix.as_secs() as i64);
        let mut client = ClientSession::new(ClientConfig::default(), material, now);
        client.handle_connected(now, TransportTail::None);
        let call = client.send_bytes(now, &QUERY, SendOptions::default()).unwrap();
        let mut connection = self.connect();
        let mut out = FrameBuf::new();
        for _ in 0..10 {
            let mut frames = Vec::new();
            while client.poll_transmit(now, &mut self.rng, &mut out).is_some() {
                let said = self.show(&mut connection, out.as_slice().to_vec());
                assert_eq!(said.end, None, "{was}: an honest client was sent away");
                frames.extend(said.frames);
            }
            for mut frame in frames {
                let events = client.handle_frame(now, &mut frame).expect("an honest server is in order");
                for event in events {
                    if let Event::Answer { call: answered, body } = event {
                        assert_eq!((answered, body), (call, &ANSWER[..]), "{was}");
                        return;
                    }
                }
            }
        }
        panic!("{was}: an honest call was not answered");
    }
}

/// A client that writes whatever it likes, under key 1.
pub(crate) struct Hostile {
    pub(crate) key: AuthKey,
    pub(crate) session: SessionId,
    pub(crate) salt: ServerSalt,
    ids: MsgIdGenerator,
    rng: Drbg,
    seq_no: i32,
}

impl Hostile {
    pub(crate) fn new(session: i64) -> Self {
        let salt = SaltSchedule::new([9; 32]).current(key(1).id(), UnixTime::from_secs(START));
        let session = SessionId::from_raw(session);
        let (ids, rng) = (MsgIdGenerator::new(), Drbg::from_seed([6; 32]));
        Self { key: key(1), session, salt, ids, rng, seq_no: -1 }
    }

    pub(crate) fn next_id(&mut self, world: &World) -> MsgId {
        self.ids.next(world.now().unix, MsgOrigin::Client)
    }

    pub(crate) fn frame(&mut self, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<u8> {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(body);
        let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(seq_no) };
        let header = EncryptedHeader { salt: self.salt, session_id: self.session, message };
        writer.seal(&self.key, Side::Client, header, Padding::Minimum, &mut self.rng).unwrap();
        buf.as_slice().to_vec()
    }

    /// Makes a frame of a plaintext, header included; it may say what it likes.
    pub(crate) fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut bytes = plaintext.to_vec();
        bytes.resize(bytes.len().next_multiple_of(16), 0x11);
        let sealed = chappe_crypto::message::seal(&self.key, Side::Client, &mut bytes).unwrap();
        [&self.key.id().as_bytes()[..], sealed.msg_key.as_bytes(), &bytes].concat()
    }

    /// A frame under the next id and an odd number.
    pub(crate) fn query(&mut self, world: &World, body: &[u8]) -> Vec<u8> {
        let msg_id = self.next_id(world);
        self.seq_no += 2;
        self.frame(msg_id, self.seq_no, body)
    }

    /// Opens what the server said: ids and bodies, containers taken apart.
    pub(crate) fn read(&self, said: &Said) -> Vec<(MsgId, Vec<u8>)> {
        let mut messages = Vec::new();
        for frame in &said.frames {
            let mut frame = frame.clone();
            let opened = open(&self.key, Side::Server, TransportTail::None, &mut frame).unwrap();
            assert_eq!(opened.session_id(), self.session);
            if constructor_id(opened.body()).unwrap() == MSG_CONTAINER {
                let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Server).unwrap();
                messages.extend(container.iter().map(|inner| (inner.header.msg_id, inner.body.to_vec())));
            } else {
                messages.push((opened.msg_id(), opened.body().to_vec()));
            }
        }
        messages
    }

    /// The codes of complaints in what the server said.
    pub(crate) fn codes(&self, said: &Said) -> Vec<u32> {
        let complaints = [0xa7ef_f811_u32, 0xedab_447b].map(u32::to_le_bytes);
        let code = |body: &Vec<u8>| u32::from_le_bytes(body[16..20].try_into().unwrap());
        let messages = self.read(said).into_iter();
        messages
            .filter(|(_, body)| complaints.iter().any(|id| body.starts_with(id)))
            .map(|(_, body)| code(&body))
            .collect()
    }
}
