//! Our client's session.

use std::time::Duration;

use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, MsgId, Padding, SessionId, TransportTail};
use chappe_session::client::{
    CallId, ClientConfig, ClientSession, ForwardSecrecy, KeyMaterial, Packing, SendOptions,
};
use chappe_session::{Now, SessionLimits};

use super::pen::{BODY, KEY, Pen};

/// A session, warm, with calls that will never be answered beside those that are measured.
pub struct Ours {
    client: ClientSession,
    pen: Pen,
    rng: Drbg,
    out: FrameBuf,
    calls: Vec<CallId>,
    frames: Vec<Vec<u8>>,
}

impl Ours {
    pub fn new(pending: usize) -> Self {
        let limits =
            SessionLimits::default().with(|limits| limits.ask_state_after = Duration::from_secs(1 << 30));
        let config = ClientConfig::default()
            .with_limits(limits)
            .with_padding(Padding::Minimum)
            .with_forward_secrecy(ForwardSecrecy::Off);
        let now = Now::from_system();
        let key = KeyMaterial::from_handshake(AuthKey::from_bytes(KEY), 42, 0, now.unix.as_secs() as i64);
        let mut client = ClientSession::new(config, key, now);
        client.handle_connected(now, TransportTail::None);
        let rng = Drbg::from_seed([1; 32]);
        let (pen, out) = (Pen::new(), FrameBuf::new());
        let mut ours = Self { client, pen, rng, out, calls: Vec::new(), frames: Vec::new() };
        ours.show_speed();
        (0..pending).for_each(|_| ours.send(1));
        ours.calls.clear();
        for _ in 0..600 {
            ours.send(1);
            ours.settle();
        }
        ours
    }

    /// Shows the client that the link is fast, so that it holds no call back.
    fn show_speed(&mut self) {
        let (now, part) = (Now::from_system(), [&BODY[..], &vec![0; 64 << 10]].concat());
        let options = SendOptions::default().with_packing(Packing::Never);
        self.calls.push(self.client.send_bytes(now, &part, options).expect("within the limits"));
        self.flush(now);
        self.settle();
    }

    /// Accepts some calls and sends them in one packet.
    pub fn send(&mut self, count: usize) {
        let now = Now::from_system();
        for _ in 0..count {
            let sent = self.client.send_bytes(now, &BODY, SendOptions::default());
            self.calls.push(sent.expect("within the limits"));
        }
        self.flush(now);
    }

    /// Answers what was sent since the last time, all at once.
    pub fn settle(&mut self) {
        let now = Now::from_system();
        let (session, questions) = (self.session(), self.questions());
        self.calls.clear();
        if questions.is_empty() {
            return;
        }
        let frame = self.pen.answer(now.unix, session, &questions);
        let events = self.client.handle_frame(now, frame).expect("it opens");
        assert_eq!(events.count(), questions.len());
        // What is owed for the answers goes out here, and not with the next call that is measured: peers are sent
        // nothing between their calls, and owe nothing.
        self.client.flush_acks(now);
        self.flush(now);
    }

    fn flush(&mut self, now: Now) {
        while self.client.poll_transmit(now, &mut self.rng, &mut self.out).is_some() {}
    }

    /// Makes frames with `each` answers, to be received later.
    pub fn prepare(&mut self, frames: usize, each: usize) {
        self.frames.resize(frames, Vec::new());
        for _ in 0..frames {
            self.send(each);
        }
        let now = Now::from_system();
        let (session, questions) = (self.session(), self.questions());
        self.calls.clear();
        for (frame, questions) in self.frames.iter_mut().zip(questions.chunks(each)) {
            frame.clear();
            frame.extend_from_slice(self.pen.answer(now.unix, session, questions));
        }
    }

    /// Receives the frames that were prepared.
    pub fn receive(&mut self) -> usize {
        let mut answers = 0;
        for frame in &mut self.frames {
            let events = self.client.handle_frame(Now::from_system(), frame).expect("it opens");
            answers += events.count();
        }
        answers
    }

    fn session(&self) -> SessionId {
        self.client.session_id().unwrap_or(SessionId::from_raw(1))
    }

    fn questions(&self) -> Vec<MsgId> {
        self.calls.iter().filter_map(|call| self.client.msg_id(*call)).collect()
    }
}
