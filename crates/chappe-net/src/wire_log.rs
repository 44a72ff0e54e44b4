//! What a client sends and receives, message by message.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_crypto::{AuthKey, Side};
use chappe_dissect::{ConnectionId, Dissector, Keys, Moment, Record};
use chappe_framing::UnixTime;
use chappe_transport::Incoming;

/// Most connections whose numbers are remembered.
const MAX_CONNECTIONS: usize = 1024;

/// Shows the messages of a client as [`Record`]s, opened, with the query of each answer.
///
/// `chappe tap` prints the same records. Set one with
/// [`ConnectOptions::with_wire_log`](crate::ConnectOptions::with_wire_log). Records contain everything that users send and
/// receive, so a log of them is as secret as the session. Each frame is opened a second time: a client without a wire log pays
/// nothing.
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

/// A connection of a client.
pub(crate) type Of = (u64, u64);

impl WireLog {
    /// Creates a log that passes each record to `show`. The client waits for it, and its calls with it.
    pub fn new(show: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        let state = State { dissector: Dissector::new(Keys::new()), numbers: BTreeMap::new(), last: 0 };
        Self(Arc::new(Inner { state: Mutex::new(state), show: Box::new(show) }))
    }

    pub(crate) fn on_key(&self, key: &AuthKey) {
        lock(&self.0.state).dissector.keys_mut().insert(key.clone());
    }

    /// An envelope is sent.
    pub(crate) fn on_sent(&self, of: Of, time: UnixTime, envelope: &[u8]) {
        let at = Moment { time, packet: 0 };
        // The envelope is opened in place, and the socket needs it sealed.
        let mut copy = envelope.to_vec();
        self.show(of, |dissector, id| dissector.handle_envelope(id, Side::Client, at, &mut copy));
    }

    /// Something arrived.
    pub(crate) fn on_received(&self, of: Of, time: UnixTime, incoming: &Incoming<'_>) {
        let at = Moment { time, packet: 0 };
        self.show(of, |dissector, id| match incoming {
            Incoming::Envelope { payload, .. } => {
                dissector.handle_envelope(id, Side::Server, at, &mut payload.to_vec());
            }
            Incoming::QuickAck(token) => dissector.handle_quick_ack(id, at, *token),
            Incoming::Error(code) => dissector.handle_transport_error(id, at, *code),
        });
    }

    fn show(&self, of: Of, dissect: impl FnOnce(&mut Dissector, ConnectionId)) {
        let mut state = lock(&self.0.state);
        let id = state.number(of);
        dissect(&mut state.dissector, id);
        while let Some(record) = state.dissector.poll_record() {
            (self.0.show)(&record);
        }
    }
}

impl State {
    fn number(&mut self, of: Of) -> ConnectionId {
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
