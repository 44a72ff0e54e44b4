//! A warm session allocates nothing for a message, out or in, and takes little memory while idle.

extern crate alloc;

use alloc::sync::Arc;
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
        Self::with(Arc::new(ClientConfig::default()))
    }

    fn with(config: Arc<ClientConfig>) -> Self {
        let key = AuthKey::from_bytes([0x5a; 256]);
        let material = KeyMaterial::from_handshake(key.clone(), 42, 0, START as i64);
        let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
        let mut client = ClientSession::new(config, material, now);
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

    fn now(&self) -> Now {
        let time = Duration::from_millis(self.millis);
        Now::new(MonoTime::from_duration(time), UnixTime::from_secs(START).saturating_add(time))
    }

    /// Nothing happens for 50 seconds.
    fn rest(&mut self) {
        self.millis += 50_000;
        let now = self.now();
        self.client.handle_timeout(now);
        while self.client.poll_transmit(now, &mut self.rng, &mut self.out).is_some() {}
        self.client.handle_timeout(now);
        self.client.poll_timeout();
    }

    /// One call, sent and answered.
    fn round(&mut self) {
        self.millis += 1;
        let now = self.now();
        let unix = now.unix;
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

/// A session with what happened to it, and the bytes it keeps: itself and all it points to.
fn kept(config: &Arc<ClientConfig>, live: impl FnOnce(&mut Pair)) -> u64 {
    let mut kept = None;
    let info = allocation_counter::measure(|| {
        let mut pair = Pair::with(Arc::clone(config));
        live(&mut pair);
        kept = Some(Box::new(pair.client));
    });
    drop(kept);
    u64::try_from(info.bytes_current).expect("more was taken than given back")
}

#[test]
fn a_session_takes_1_kib_while_idle_and_5_kib_with_a_full_window() {
    // The configuration is one for all sessions of a program.
    let config = Arc::new(ClientConfig::default());
    let fresh = kept(&config, |_| {});
    let idle = kept(&config, |pair| {
        (0..5).for_each(|_| pair.round());
        pair.rest();
    });
    let window = ClientConfig::default().limits.received_ids;
    let full = kept(&config, |pair| (0..1_000).for_each(|_| pair.round()));
    let full_idle = kept(&config, |pair| {
        (0..1_000).for_each(|_| pair.round());
        pair.rest();
    });
    println!(
        "fresh {fresh}, idle after five calls {idle}, after 1000 calls {full}, idle after these {full_idle}"
    );
    assert!(fresh <= 1024 && idle <= 1024, "idle: {fresh}, {idle} bytes");
    assert!(full <= 5 * 1024, "with a window of {window} ids: {full} bytes");
    assert!(full_idle <= 5 * 1024 && window >= 400, "{full_idle} bytes, {window} ids");
}
