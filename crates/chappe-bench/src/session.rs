//! Messages through a session: out and in, alone and ten in a container.
//!
//! Every case starts from a warm session. A round trip in memory cannot be avoided on the way in, since a frame opens
//! once: the cases "in" contain sealing by the same server for all.

use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgIdGenerator, MsgOrigin,
    Padding, SeqNoCounter, ServerSalt, SessionId, TransportTail, UnixTime, write_rpc_result_header,
};
use chappe_session::client::{ClientConfig, ClientSession, KeyMaterial, SendOptions};
use chappe_session::{Limits, MonoTime, Now};

use crate::harness::{Case, Settings, measure};
use crate::report::Report;

const PEERS: &[&str] = &[];
const NOTES: &str = "\
Bodies of 100 bytes. A call is accepted, sent, answered and its answer handed out; sealing of the answer by the server's
side is part of every case. What is pending besides does not change the time.
";
const START: u64 = 1_707_425_104;
const BODY: [u8; 100] = [0x21; 100];

/// A client's session and the pen of its server.
struct Pair {
    client: ClientSession,
    key: AuthKey,
    rng: Drbg,
    nanos: u64,
    out: FrameBuf,
    answer: FrameBuf,
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
    session: SessionId,
}

impl Pair {
    fn new(pending: usize) -> Self {
        let key = AuthKey::from_bytes([0x5a; 256]);
        let limits = Limits { ask_state_after: Duration::from_secs(1 << 30), ..Limits::default() };
        let config = ClientConfig { limits, padding: Padding::Minimum, ..ClientConfig::default() };
        let material = KeyMaterial::from_handshake(key.clone(), 42, 0, START as i64);
        let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(START));
        let mut client = ClientSession::new(config, material, now);
        client.handle_connected(now, TransportTail::None);
        let mut pair = Self {
            client,
            key,
            rng: Drbg::from_seed([1; 32]),
            nanos: 0,
            out: FrameBuf::new(),
            answer: FrameBuf::new(),
            ids: MsgIdGenerator::new(),
            seq: SeqNoCounter::new(),
            session: SessionId::from_raw(1),
        };
        pair.send(pending);
        for _ in 0..600 {
            pair.round(1);
        }
        pair
    }

    fn now(&mut self) -> Now {
        self.nanos += 1_000;
        Now::new(MonoTime::from_nanos(self.nanos), UnixTime::from_nanos(START * 1_000_000_000 + self.nanos))
    }

    /// Accepts and sends calls that will never be answered.
    fn send(&mut self, count: usize) {
        let now = self.now();
        for _ in 0..count {
            self.client.send_bytes(now, &BODY, SendOptions::default()).expect("within the limits");
        }
        while self.client.poll_transmit(now, &mut self.rng, &mut self.out).is_some() {}
    }

    /// Accepts `count` calls, sends them in one packet, and answers them in one.
    fn round(&mut self, count: usize) {
        let now = self.now();
        let mut calls = [None; 16];
        for slot in calls.iter_mut().take(count) {
            *slot = self.client.send_bytes(now, &BODY, SendOptions::default()).ok();
        }
        while self.client.poll_transmit(now, &mut self.rng, &mut self.out).is_some() {}
        self.session = self.client.session_id().unwrap_or(self.session);
        let mut writer = EncryptedWriter::begin(&mut self.answer);
        let (ids, seq) = (&mut self.ids, &mut self.seq);
        let mut next = |content: bool| MessageHeader {
            msg_id: ids.next(now.unix, MsgOrigin::Response),
            seq_no: if content { seq.next_content_related() } else { seq.next_unrelated() },
        };
        let questions = calls.iter().flatten().filter_map(|call| self.client.msg_id(*call));
        let message = if count == 1 {
            for question in questions {
                write_rpc_result_header(writer.body(), question);
                writer.body().append(&BODY);
            }
            next(true)
        } else {
            let mut container = ContainerWriter::begin(writer.body());
            for question in questions {
                let written = container.push_with(next(true), |out| {
                    write_rpc_result_header(out, question);
                    out.append(&BODY);
                    Ok(())
                });
                written.expect("ten messages fit");
            }
            container.finish();
            next(false)
        };
        let header = EncryptedHeader { salt: ServerSalt::from_raw(1), session_id: self.session, message };
        writer.seal(&self.key, Side::Server, header, Padding::Minimum, &mut self.rng).expect("it is whole");
        let events = self.client.handle_frame(now, self.answer.as_mut_slice()).expect("it opens");
        assert_eq!(events.count(), count);
    }
}

/// Measures everything.
pub fn run(settings: &Settings) -> Report {
    let mut report = Report::new("Sessions", PEERS, NOTES);
    if settings.wants("calls") {
        let mut pairs: Vec<(usize, Pair)> =
            [1, 100, 10_000].map(|pending| (pending, Pair::new(pending))).into();
        let cases = pairs.iter_mut().map(|(pending, pair)| {
            Case::new(format!("one call, {pending} pending"), 1, move || pair.round(1))
        });
        report.group(measure(settings, "Calls: cost beside pending ones", cases.collect()));
        let mut pair = Pair::new(1);
        let cases = vec![Case::new("ten calls in a container", 1, move || pair.round(10))];
        report.group(measure(settings, "Calls: ten at a time", cases));
    }
    report
}
