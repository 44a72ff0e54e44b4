//! A warm session allocates nothing for a message, out or in, and takes little memory while idle.

use core::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgIdGenerator, MsgOrigin, Padding,
    SeqNoCounter, ServerSalt, TransportTail, UnixTime, write_rpc_result_header,
};
use chappe_session::client::{ClientConfig, ClientSession, KeyMaterial, SendOptions};
use chappe_session::{MonoTime, Now};

const START: u64 = 1_707_425_104;
const BODY: [u8; 100] = [0x21; 100];

struct Pair {
    client: ClientSession,
    key: AuthKey,
    rng: Drbg,
    millis: u64,
    out: FrameBuf,
    answer: FrameBuf,
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
}

impl Pair {
    fn new() -> Self {
        let key = AuthKey::from_bytes([0x5a; 256]);
        let material = KeyMaterial::from_handshake(key.clone(), 42, 0, START as i64);
        let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
        let mut client = ClientSession::new(ClientConfig::default(), material, now);
        client.handle_connected(now, TransportTail::None);
        Self {
            client,
            key,
            rng: Drbg::from_seed([1; 32]),
            millis: 0,
            out: FrameBuf::new(),
            answer: FrameBuf::new(),
            ids: MsgIdGenerator::new(),
            seq: SeqNoCounter::new(),
        }
    }

    /// One call, sent and answered.
    fn round(&mut self) {
        self.millis += 1;
        let time = Duration::from_millis(self.millis);
        let unix = UnixTime::from_secs(START).saturating_add(time);
        let now = Now::new(MonoTime::from_duration(time), unix);
        let call = self.client.send_bytes(now, &BODY, SendOptions::default()).expect("it goes as planned");
        while self.client.poll_transmit(now, &mut self.rng, &mut self.out).is_some() {}
        let question = self.client.msg_id(call).expect("it goes as planned");
        let mut writer = EncryptedWriter::begin(&mut self.answer);
        write_rpc_result_header(writer.body(), question);
        writer.body().append(&BODY);
        let header = EncryptedHeader {
            salt: ServerSalt::from_raw(1),
            session_id: self.client.session_id().expect("it goes as planned"),
            message: MessageHeader {
                msg_id: self.ids.next(unix, MsgOrigin::Response),
                seq_no: self.seq.next_content_related(),
            },
        };
        writer
            .seal(&self.key, Side::Server, header, Padding::Minimum, &mut self.rng)
            .expect("it goes as planned");
        let events = self.client.handle_frame(now, self.answer.as_mut_slice()).expect("it goes as planned");
        assert_eq!(events.count(), 1);
        self.client.handle_timeout(now);
        self.client.poll_timeout();
    }
}

#[test]
fn a_warm_session_allocates_nothing_for_a_call_and_its_answer() {
    let mut pair = Pair::new();
    for _ in 0..3_000 {
        pair.round();
    }
    let info = allocation_counter::measure(|| {
        for _ in 0..1_000 {
            pair.round();
        }
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn an_idle_session_and_one_with_a_full_window_take_little_memory() {
    let mut kept = None;
    let idle = allocation_counter::measure(|| kept = Some(Box::new(Pair::new().client)));
    drop(kept);
    let mut kept = None;
    let full = allocation_counter::measure(|| {
        let mut pair = Pair::new();
        for _ in 0..1_000 {
            pair.round();
        }
        kept = Some(Box::new(pair.client));
    });
    drop(kept);
    println!("idle {} bytes, with a full window {} bytes", idle.bytes_current, full.bytes_current);
    assert!(idle.bytes_current <= 2048, "idle: {} bytes", idle.bytes_current);
    assert!(full.bytes_current <= 12 * 1024, "with a full window: {} bytes", full.bytes_current);
}
