//! A server, and the pen of a client that writes whatever a test wants.

use core::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    Container, ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, MSG_CONTAINER, MessageHeader,
    MsgId, MsgOrigin, Padding, SeqNo, ServerSalt, SessionId, TransportTail, UnixTime, constructor_id, open,
};
use chappe_session::server::{Policy, SaltSchedule, ServerConfig, ServerEvent, ServerSession};
use chappe_session::{MonoTime, Now};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, types};

pub const START: u64 = 1_707_425_104;
pub const SESSION: SessionId = SessionId::from_raw(0x55);
pub const GET_CONFIG: [u8; 4] = 0xc4f9_186b_u32.to_le_bytes();

pub fn key() -> AuthKey {
    AuthKey::from_bytes([0x5a; 256])
}

pub fn now(seconds: u64) -> Now {
    Now::new(MonoTime::from_duration(Duration::from_secs(seconds)), UnixTime::from_secs(START + seconds))
}

/// A server, and the pen of a client that writes whatever a test wants.
pub struct Pair {
    pub server: ServerSession,
    pub salt: ServerSalt,
    pub rng: Drbg,
}

/// A message that the server sent.
#[derive(Debug)]
pub struct Sent {
    pub msg_id: MsgId,
    pub seq_no: i32,
    pub body: Vec<u8>,
}

impl Pair {
    pub fn new(policy: Policy) -> Self {
        Self::with(ServerConfig::default().with(|config| config.policy = policy))
    }

    pub fn with(config: ServerConfig) -> Self {
        let salts = SaltSchedule::new([1; 32]);
        let salt = salts.current(key().id(), now(0).unix);
        let mut server = ServerSession::new(config, key(), SESSION, salts, 77);
        server.handle_connected(now(0), TransportTail::None);
        Self { server, salt, rng: Drbg::from_seed([3; 32]) }
    }

    pub fn frame(&mut self, session_id: SessionId, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<u8> {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(body);
        let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(seq_no) };
        let header = EncryptedHeader { salt: self.salt, session_id, message };
        writer.seal(&key(), Side::Client, header, Padding::Minimum, &mut self.rng).unwrap();
        buf.as_slice().to_vec()
    }

    /// Sends a message at a second; returns the queries shown.
    pub fn send(&mut self, second: u64, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<(MsgId, Vec<u8>)> {
        let mut frame = self.frame(SESSION, msg_id, seq_no, body);
        let events = self.server.handle_frame(now(second), &mut frame).unwrap();
        events
            .filter_map(|event| match event {
                ServerEvent::Query { msg_id, body, .. } => Some((msg_id, body.to_vec())),
                _ => None,
            })
            .collect()
    }

    /// Everything the server says at a second, containers opened.
    pub fn answers(&mut self, second: u64) -> Vec<Sent> {
        let mut out = FrameBuf::new();
        let mut sent = Vec::new();
        while self.server.poll_transmit(now(second), &mut self.rng, &mut out).is_some() {
            let opened = open(&key(), Side::Server, TransportTail::None, out.as_mut_slice()).unwrap();
            opened.require_origin(Side::Server).unwrap();
            let mut push = |header: MessageHeader, body: &[u8]| {
                sent.push(Sent {
                    msg_id: header.msg_id,
                    seq_no: header.seq_no.to_raw(),
                    body: body.to_vec(),
                });
            };
            if constructor_id(opened.body()).unwrap() == MSG_CONTAINER {
                let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Server).unwrap();
                container.iter().for_each(|message| push(message.header, message.body));
            } else {
                push(opened.header(), opened.body());
            }
        }
        sent
    }

    /// Acknowledges messages of the server, beyond the ids of all that was sent in this second.
    pub fn acknowledge(&mut self, second: u64, sent: &[MsgId]) {
        for (list, ids) in (1_i64..).zip(sent.chunks(8192)) {
            let msg_ids = ids.iter().map(|id| id.to_raw()).collect();
            let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids }).to_bytes();
            self.send(second, after(at(second), 100_000 + list), 2, &acks);
        }
    }

    /// The code of the only complaint about a message, if there is one.
    pub fn complaint(&mut self, second: u64, about: MsgId) -> Option<i32> {
        let codes: Vec<i32> = self
            .answers(second)
            .iter()
            .filter_map(|sent| match enums::BadMsgNotification::from_bytes(&sent.body).ok()? {
                enums::BadMsgNotification::BadMsgNotification(bad) if bad.bad_msg_id == about.to_raw() => {
                    Some(bad.error_code)
                }
                enums::BadMsgNotification::BadServerSalt(bad) if bad.bad_msg_id == about.to_raw() => {
                    Some(bad.error_code)
                }
                _ => None,
            })
            .collect();
        assert!(codes.len() <= 1, "{codes:?}");
        codes.first().copied()
    }
}

pub fn at(second: u64) -> MsgId {
    MsgId::at(UnixTime::from_secs(START + second), MsgOrigin::Client)
}

pub fn after(msg_id: MsgId, steps: i64) -> MsgId {
    MsgId::from_raw(msg_id.to_raw() + 4 * steps)
}

pub fn container(messages: &[(MsgId, i32, &[u8])]) -> Vec<u8> {
    let mut buf = FrameBuf::new();
    let mut writer = ContainerWriter::begin(&mut buf);
    for (msg_id, seq_no, body) in messages {
        writer.push(MessageHeader { msg_id: *msg_id, seq_no: SeqNo::from_raw(*seq_no) }, body).unwrap();
    }
    writer.finish();
    buf.as_slice().to_vec()
}
