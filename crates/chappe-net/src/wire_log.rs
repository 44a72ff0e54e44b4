//! What a client sends and receives, message by message.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_crypto::{AuthKey, QuickAckToken, Side};
use chappe_dissect::{ConnectionId, Dissector, Keys, Moment, Record};
use chappe_framing::UnixTime;
use chappe_transport::{Incoming, TransportErrorCode};

/// Most connections whose numbers are remembered.
const MAX_CONNECTIONS: usize = 1024;

/// Most bytes of envelopes that wait for the driver of a client.
const MAX_WAITING: usize = 16 << 20;

/// Shows the messages of a client as [`Record`]s, opened, with the query of each answer.
///
/// `chappe tap` prints the same records. Set one with
/// [`ConnectOptions::with_wire_log`](crate::ConnectOptions::with_wire_log). Records contain everything that users send and
/// receive, so a log of them is as secret as the session. Each envelope is copied and opened a second time, by the driver. A client
/// without a wire log compares one pointer for each envelope.
///
/// ```no_run
/// use chappe_net::{ConnectOptions, WireLog};
///
/// let names = |_: u32| None; // or `chappe::api::name_for_id`
/// let log = WireLog::new(move |record| eprintln!("{}", record.line(&names)));
/// let options = ConnectOptions::production(2).with_wire_log(log);
/// ```
#[derive(Clone)]
pub struct WireLog(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    show: Box<dyn Fn(&Record) + Send + Sync>,
}

struct State {
    dissector: Dissector,
    /// Numbers of connections, by client and connection: several clients may share a log.
    numbers: BTreeMap<(u64, u64), u64>,
    last: u64,
}

impl WireLog {
    /// Creates a log that passes each record to `show`.
    ///
    /// The driver of the client calls `show`, outside of the client's locks, and does nothing else meanwhile: `show` may
    /// start calls, but must not wait for their answers. Up to 16 MiB of envelopes wait while it runs; those beyond are
    /// dropped and shown as [`Content::Lost`](chappe_dissect::Content::Lost).
    pub fn new(show: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        let state = State { dissector: Dissector::new(Keys::new()), numbers: BTreeMap::new(), last: 0 };
        Self(Arc::new(Inner { state: Mutex::new(state), show: Box::new(show) }))
    }

    /// Shows what a client has seen.
    fn show(&self, client: u64, waiting: Waiting) {
        let mut state = lock(&self.0.state);
        for seen in waiting.seen {
            state.dissect(client, seen);
            while let Some(record) = state.dissector.poll_record() {
                (self.0.show)(&record);
            }
        }
    }
}

/// What a client has seen, on its way from the engine to the driver.
#[derive(Debug)]
pub(crate) struct WireQueue {
    log: WireLog,
    client: u64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    seen: VecDeque<Seen>,
    /// Bytes of the envelopes.
    bytes: usize,
    /// The driver was told that there is something.
    is_told: bool,
}

/// Something that a client has seen.
#[derive(Debug)]
enum Seen {
    Key(AuthKey),
    OnWire { connection: u64, from: Side, time: UnixTime, what: OnWire },
}

#[derive(Debug)]
enum OnWire {
    Envelope(Vec<u8>),
    QuickAck(QuickAckToken),
    Error(TransportErrorCode),
    /// Envelopes that found no room.
    Lost {
        len: u64,
    },
}

impl WireQueue {
    pub(crate) fn new(log: WireLog, client: u64) -> Self {
        Self { log, client, waiting: Mutex::default() }
    }

    pub(crate) fn push_key(&self, key: &AuthKey) {
        lock(&self.waiting).seen.push_back(Seen::Key(key.clone()));
    }

    /// An envelope is sent.
    pub(crate) fn push_sent(&self, connection: u64, time: UnixTime, envelope: &[u8]) {
        self.push(connection, Side::Client, time, envelope);
    }

    /// Something arrived.
    pub(crate) fn push_received(&self, connection: u64, time: UnixTime, incoming: &Incoming<'_>) {
        let from = Side::Server;
        let what = match incoming {
            Incoming::Envelope { payload, .. } => return self.push(connection, from, time, payload),
            Incoming::QuickAck(token) => OnWire::QuickAck(*token),
            Incoming::Error(code) => OnWire::Error(*code),
        };
        let mut waiting = lock(&self.waiting);
        waiting.bytes += size_of::<Seen>();
        if waiting.bytes <= MAX_WAITING {
            waiting.seen.push_back(Seen::OnWire { connection, from, time, what });
        }
    }

    fn push(&self, connection: u64, from: Side, time: UnixTime, envelope: &[u8]) {
        let mut waiting = lock(&self.waiting);
        let size = envelope.len() + size_of::<Seen>();
        if waiting.bytes.saturating_add(size) <= MAX_WAITING {
            waiting.bytes += size;
            let what = OnWire::Envelope(envelope.to_vec());
            waiting.seen.push_back(Seen::OnWire { connection, from, time, what });
            return;
        }
        // From here on everything is dropped until the driver comes, so that one record tells of it.
        waiting.bytes = MAX_WAITING;
        let envelope_len = envelope.len() as u64;
        if let Some(Seen::OnWire { what: OnWire::Lost { len }, .. }) = waiting.seen.back_mut() {
            *len += envelope_len;
            return;
        }
        let what = OnWire::Lost { len: envelope_len };
        waiting.seen.push_back(Seen::OnWire { connection, from, time, what });
    }

    /// Returns whether the driver must be told that something waits.
    pub(crate) fn must_tell(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        !waiting.seen.is_empty() && !mem::replace(&mut waiting.is_told, true)
    }

    /// Shows what waits. Called by the driver, without the lock of the engine.
    pub(crate) fn drain(&self) {
        let waiting = mem::take(&mut *lock(&self.waiting));
        if !waiting.seen.is_empty() {
            self.log.show(self.client, waiting);
        }
    }
}

impl State {
    fn dissect(&mut self, client: u64, seen: Seen) {
        let (connection, from, time, what) = match seen {
            Seen::Key(key) => {
                self.dissector.keys_mut().insert(key);
                return;
            }
            Seen::OnWire { connection, from, time, what } => (connection, from, time, what),
        };
        let (id, at) = (self.number((client, connection)), Moment { time, packet: 0 });
        match what {
            OnWire::Envelope(mut envelope) => self.dissector.handle_envelope(id, from, at, &mut envelope),
            OnWire::QuickAck(token) => self.dissector.handle_quick_ack(id, at, token),
            OnWire::Error(code) => self.dissector.handle_transport_error(id, at, code),
            OnWire::Lost { len } => self.dissector.handle_lost_envelopes(id, from, at, len),
        }
    }

    fn number(&mut self, of: (u64, u64)) -> ConnectionId {
        if let Some(known) = self.numbers.get(&of) {
            return ConnectionId(*known);
        }
        if self.numbers.len() >= MAX_CONNECTIONS {
            self.numbers.pop_first();
        }
        self.last += 1;
        self.numbers.insert(of, self.last);
        ConnectionId(self.last)
    }
}

impl fmt::Debug for WireLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireLog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chappe_dissect::Content;

    use super::*;

    #[test]
    fn what_finds_no_room_is_told_as_lost_and_later_traffic_is_shown_again() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&seen);
        let log = WireLog::new(move |record| lock(&shown).push((record.from, record.content.clone())));
        let queue = WireQueue::new(log, 1);
        let envelope = vec![1; MAX_WAITING / 2];
        assert!(!queue.must_tell(), "nothing waits");
        for from in [Side::Client, Side::Server, Side::Client] {
            queue.push(7, from, UnixTime::EPOCH, &envelope);
        }
        let token = QuickAckToken::from_raw(5);
        queue.push_received(7, UnixTime::EPOCH, &Incoming::QuickAck(token));
        assert!(queue.must_tell() && !queue.must_tell(), "the driver is told once");
        queue.drain();
        queue.push(7, Side::Client, UnixTime::EPOCH, &envelope[..100]);
        assert!(queue.must_tell(), "the driver came by");
        queue.drain();
        let seen = lock(&seen);
        let [(_, first), (from, Content::Lost { len }), (_, last)] = &seen[..] else { panic!("{seen:?}") };
        assert!(matches!(first, Content::Sealed { len, .. } if *len == envelope.len()));
        assert_eq!((*from, *len), (Side::Server, 2 * envelope.len() as u64));
        assert!(matches!(last, Content::Sealed { len: 100, .. }));
    }
}
