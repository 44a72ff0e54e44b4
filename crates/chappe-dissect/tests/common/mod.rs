//! Conversations between a client and a server, as the bytes that somebody in the middle sees.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run with std")]

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, QuickAckToken, Side};
use chappe_dissect::{Beginning, ConnectionId, Dissector, Keys, Moment, Record};
use chappe_framing::{
    ContainerWriter, Deflater, EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, Padding,
    SeqNo, ServerSalt, SessionId, UnixTime, write_plain, write_rpc_result_header,
};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{functions, types};
use chappe_transport::http::{Cors, Persistence, request_head_into, response_head_into};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, Connection, ConnectionLimits,
    Connector, Framing, ProxySecret, ReadBuf, websocket,
};

pub(crate) const GET_CONFIG: u32 = 0xc4f9_186b;
pub(crate) const CONFIG: u32 = 0xcc1a_241e;
/// The time of the first message.
pub(crate) const BEGIN: u64 = 1_707_425_104;

pub(crate) fn key() -> AuthKey {
    AuthKey::from_bytes([0x5a; 256])
}

pub(crate) fn secret(text: &str) -> ProxySecret {
    ProxySecret::parse(text).expect("a valid secret")
}

/// Bytes in the order in which they were sent.
pub(crate) type Wire = Vec<(Side, Vec<u8>)>;

/// How a conversation is carried.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Plain(Framing),
    Obfuscated(Framing),
    Secret(&'static str),
    WebSocket,
    Http,
}

impl Transport {
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::Plain(Framing::Abridged),
            Self::Plain(Framing::Intermediate),
            Self::Plain(Framing::PaddedIntermediate),
            Self::Plain(Framing::Full),
            Self::Obfuscated(Framing::Abridged),
            Self::Obfuscated(Framing::Intermediate),
            Self::Obfuscated(Framing::PaddedIntermediate),
            Self::Secret(PLAIN_SECRET),
            Self::Secret(PADDED_SECRET),
            Self::Secret(TLS_SECRET),
            Self::WebSocket,
            Self::Http,
        ]
    }
}

pub(crate) const PLAIN_SECRET: &str = "00112233445566778899aabbccddeeff";
pub(crate) const PADDED_SECRET: &str = "dd00112233445566778899aabbccddeeff";
pub(crate) const TLS_SECRET: &str = "ee00112233445566778899aabbccddeeff7777772e6578616d706c652e636f6d";

/// Sends what a client and a server write.
pub(crate) struct Carrier {
    ends: Option<(Connection, Connection)>,
    messages: bool,
    pub(crate) wire: Wire,
    rng: Drbg,
}

impl Carrier {
    pub(crate) fn new(transport: &Transport) -> Self {
        let mut carrier =
            Self { ends: None, messages: false, wire: Wire::new(), rng: Drbg::from_seed([1; 32]) };
        let connector = match transport {
            Transport::Plain(framing) => Connector::plain(*framing),
            Transport::Obfuscated(framing) => Connector::obfuscated(*framing, None).expect("it has a tag"),
            Transport::Secret(text) => Connector::proxy(&secret(text), chappe_transport::DcId::production(2)),
            Transport::WebSocket => {
                carrier.upgrade();
                Connector::obfuscated(Framing::Intermediate, None).expect("it has a tag")
            }
            Transport::Http => return carrier,
        };
        let config = match transport {
            Transport::Secret(text) => AcceptConfig::proxy(vec![secret(text)]),
            _ => AcceptConfig::datacenter(),
        };
        carrier.connect(&connector, &config);
        carrier
    }

    fn upgrade(&mut self) {
        let mut request = Vec::new();
        websocket::request_into(&mut request, "venus.web.telegram.org", websocket::PATH, &[7; 16])
            .expect("names are usable");
        let head = chappe_transport::http::RequestHead::parse(&request, &ConnectionLimits::DEFAULT);
        let upgrade =
            websocket::Upgrade::from_request(&head.expect("a head").expect("whole")).expect("complete");
        let response = upgrade.response().into_bytes();
        self.wire.push((Side::Client, request));
        self.wire.push((Side::Server, response));
        self.messages = true;
    }

    fn connect(&mut self, connector: &Connector, config: &AcceptConfig) {
        let now = BEGIN as u32;
        let mut context = AcceptContext { config, unix_time: now, replays: None };
        let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        let mut first = Vec::new();
        let step = connector.start(now, &mut self.rng, &mut first).expect("a valid profile");
        buf.extend_from_slice(&first).expect("there is room");
        let (client, acceptor) = match step {
            ConnectStep::Ready(client) => (client, Acceptor::new()),
            ConnectStep::FakeTls(expecting) => {
                self.wire.push((Side::Client, std::mem::take(&mut first)));
                let step = Acceptor::new().handle(&mut buf, &mut context, &mut self.rng);
                let AcceptStep::Answer { bytes, next } = step.expect("a hello") else { panic!("no answer") };
                let mut answer = ReadBuf::new(&ConnectionLimits::DEFAULT);
                answer.extend_from_slice(&bytes).expect("there is room");
                self.wire.push((Side::Server, bytes));
                let ConnectStep::Ready(client) = expecting.handle(&mut answer).expect("the answer is signed")
                else {
                    panic!("the answer is whole")
                };
                (client, next)
            }
        };
        let mut client = client;
        // A frame, so that the server can tell full from the rest and fake TLS has its header.
        let frame = plain_frame(&functions::ReqPqMulti { nonce: [1; 16] }, 0);
        client.sender.encode_into(&mut first, &frame, AckRequest::No, &mut self.rng).expect("a frame");
        let already = buf.len();
        buf.extend_from_slice(&first[already..]).expect("there is room");
        let acceptor = if self.messages { Acceptor::inside_websocket() } else { acceptor };
        let step = acceptor.handle(&mut buf, &mut context, &mut self.rng).expect("a transport");
        let AcceptStep::Ready(accepted) = step else { panic!("not accepted: {step:?}") };
        self.push(Side::Client, first);
        self.ends = Some((client, accepted.connection));
    }

    fn push(&mut self, from: Side, bytes: Vec<u8>) {
        let bytes = if self.messages { websocket_frame(from, &bytes) } else { bytes };
        self.wire.push((from, bytes));
    }

    /// Sends an envelope.
    pub(crate) fn send(&mut self, from: Side, envelope: &[u8], ack: AckRequest) {
        let mut out = Vec::new();
        match &mut self.ends {
            Some((client, server)) => {
                let end = if from == Side::Client { client } else { server };
                end.sender.encode_into(&mut out, envelope, ack, &mut self.rng).expect("a frame");
            }
            None if from == Side::Client => {
                request_head_into(&mut out, "venus.web.telegram.org", "/api", envelope.len())
                    .expect("usable");
                out.extend_from_slice(envelope);
            }
            None => {
                response_head_into(&mut out, envelope.len(), Persistence::KeepAlive, Cors::Omit);
                out.extend_from_slice(envelope);
            }
        }
        self.push(from, out);
    }

    pub(crate) fn quick_ack(&mut self, token: QuickAckToken) {
        let mut out = Vec::new();
        let Some((_, server)) = &mut self.ends else { return };
        server.sender.quick_ack_into(&mut out, token, &mut self.rng);
        self.push(Side::Server, out);
    }
}

/// A frame of WebSocket; a client's is masked.
fn websocket_frame(from: Side, content: &[u8]) -> Vec<u8> {
    let masked = from == Side::Client;
    let mask = if masked { [1, 2, 3, 4] } else { [0; 4] };
    let mut frame = vec![0x82, if masked { 0xfe } else { 0x7e }];
    frame.extend((content.len() as u16).to_be_bytes());
    if masked {
        frame.extend(mask);
    }
    frame.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

pub(crate) fn msg_id(from: Side, number: u64) -> MsgId {
    let low = u64::from(from == Side::Server);
    MsgId::from_raw(((BEGIN << 32) + number * 4 + low) as i64)
}

pub(crate) fn plain_frame(object: &impl Serializable, number: u64) -> Vec<u8> {
    let mut buf = FrameBuf::new();
    write_plain(&mut buf, msg_id(Side::Client, number), object).expect("it can be written");
    buf.as_slice().to_vec()
}

/// Seals a body.
pub(crate) fn sealed(from: Side, number: u64, seq_no: i32, body: &[u8]) -> (Vec<u8>, QuickAckToken) {
    let mut buf = FrameBuf::new();
    let mut writer = EncryptedWriter::begin(&mut buf);
    writer.body().append(body);
    let message = MessageHeader { msg_id: msg_id(from, number), seq_no: SeqNo::from_raw(seq_no) };
    let header =
        EncryptedHeader { salt: ServerSalt::from_raw(42), session_id: SessionId::from_raw(77), message };
    let mut rng = Drbg::from_seed([number as u8; 32]);
    let token = writer.seal(&key(), from, header, Padding::Minimum, &mut rng).expect("a valid body");
    (buf.as_slice().to_vec(), token)
}

/// A body that is `words` long.
pub(crate) fn body(constructor: u32, words: usize) -> Vec<u8> {
    let mut body = constructor.to_le_bytes().to_vec();
    body.resize(4 * words, 0x11);
    body
}

pub(crate) fn result(req: MsgId, object: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_rpc_result_header(&mut out, req);
    out.extend_from_slice(object);
    out
}

pub(crate) fn container(messages: &[(MsgId, i32, Vec<u8>)]) -> Vec<u8> {
    let mut buf = FrameBuf::new();
    let mut writer = ContainerWriter::begin(&mut buf);
    for (msg_id, seq_no, body) in messages {
        let header = MessageHeader { msg_id: *msg_id, seq_no: SeqNo::from_raw(*seq_no) };
        writer.push(header, body).expect("a valid message");
    }
    writer.finish();
    buf.as_slice().to_vec()
}

/// Everything that a conversation can have: the handshake, a container, gzip, an error, a resend, an update, acks.
pub(crate) fn conversation(transport: &Transport) -> Wire {
    use Side::{Client, Server};
    let mut carrier = Carrier::new(transport);
    if carrier.ends.is_none() {
        carrier.send(Client, &plain_frame(&functions::ReqPqMulti { nonce: [1; 16] }, 0), AckRequest::No);
    }
    let res_pq = types::ResPq {
        nonce: [1; 16],
        server_nonce: [2; 16],
        pq: vec![3; 8],
        server_public_key_fingerprints: vec![4],
    };
    let mut buf = FrameBuf::new();
    let res_pq = chappe_tl_mtproto::enums::ResPq::ResPq(res_pq);
    write_plain(&mut buf, msg_id(Server, 1), &res_pq).expect("it can be written");
    carrier.send(Server, buf.as_slice(), AckRequest::No);

    // Two calls in a container, of which the token is requested.
    let acks = types::MsgsAck { msg_ids: vec![msg_id(Server, 1).to_raw()] };
    let acks = chappe_tl_mtproto::enums::MsgsAck::MsgsAck(acks).to_bytes();
    let calls = container(&[
        (msg_id(Client, 2), 0, acks),
        (msg_id(Client, 3), 1, body(GET_CONFIG, 1)),
        (msg_id(Client, 4), 3, body(0x1234_5678, 9)),
    ]);
    let (frame, token) = sealed(Client, 5, 4, &calls);
    carrier.send(Client, &frame, AckRequest::Quick);
    carrier.quick_ack(token);
    // One is answered in gzip, the other refused.
    let packed = packed(&body(CONFIG, 400));
    carrier.send(Server, &sealed(Server, 6, 1, &result(msg_id(Client, 3), &packed)).0, AckRequest::No);
    let refused = types::RpcError { error_code: 420, error_message: "FLOOD_WAIT_3".into() };
    let refused = chappe_tl_mtproto::enums::RpcError::RpcError(refused).to_bytes();
    carrier.send(Server, &sealed(Server, 7, 3, &result(msg_id(Client, 4), &refused)).0, AckRequest::No);
    // A call is sent, then again under another id; the answer to the first is repeated.
    let call = body(0x8765_4321, 20);
    carrier.send(Client, &sealed(Client, 8, 5, &call).0, AckRequest::No);
    carrier.send(Client, &sealed(Client, 9, 7, &call).0, AckRequest::No);
    let answer = sealed(Server, 10, 5, &result(msg_id(Client, 9), &body(0x9999_9999, 3))).0;
    carrier.send(Server, &answer, AckRequest::No);
    carrier.send(Server, &answer, AckRequest::No);
    let pong = types::Pong { msg_id: msg_id(Client, 9).to_raw(), ping_id: 5 };
    let pong = chappe_tl_mtproto::enums::Pong::Pong(pong).to_bytes();
    carrier.send(Server, &sealed(Server, 11, 6, &pong).0, AckRequest::No);
    carrier.wire
}

pub(crate) fn packed(object: &[u8]) -> Vec<u8> {
    Deflater::new().pack(object).expect("it shrinks").to_vec()
}

pub(crate) fn dissector() -> Dissector {
    let mut keys = Keys::new();
    keys.insert(key());
    let secrets = [TLS_SECRET, PADDED_SECRET].map(secret).to_vec();
    let mut dissector = Dissector::new(keys).with_secrets(secrets);
    dissector.open(ConnectionId(1), Beginning::Seen);
    dissector
}

pub(crate) fn at(number: usize) -> Moment {
    let time = UnixTime::from_nanos(BEGIN * 1_000_000_000 + number as u64 * 1_500_000);
    Moment { time, packet: number as u64 + 1 }
}

pub(crate) fn drain(dissector: &mut Dissector) -> Vec<Record> {
    std::iter::from_fn(|| dissector.poll_record()).collect()
}

pub(crate) fn names(id: u32) -> Option<&'static str> {
    match id {
        GET_CONFIG => Some("help.getConfig"),
        CONFIG => Some("config"),
        _ => None,
    }
}

pub(crate) fn lines(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.line(&names).to_string()).collect()
}
