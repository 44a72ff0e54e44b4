//! The dissector: bytes of connections in, records out.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use chappe_crypto::{QuickAckToken, Side};
use chappe_transport::{ConnectionLimits, ProxySecret, TransportErrorCode};

use crate::half::Found;
use crate::keys::Keys;
use crate::recent::Recent;
use crate::record::{ConnectionId, Content, Moment, Record, Unreadable};
use crate::sessions::Sessions;
use crate::stream::{Beginning, Stream};

/// Most connections that are followed; the one that was silent longest is given up.
pub const MAX_CONNECTIONS: usize = 16 * 1024;

/// Default bound of the bytes that wait for the rest of their frames, of all connections together: 256 MiB.
pub const DEFAULT_MAX_MEMORY: usize = 256 << 20;

/// Reads the bytes of connections, as an observer between client and server sees them, and returns what they mean.
///
/// Call [`handle_bytes`](Self::handle_bytes) for each piece of a connection in its order,
/// [`handle_gap`](Self::handle_gap) where bytes were not seen, and take records with
/// [`poll_record`](Self::poll_record) after each call until there are no more.
///
/// The order of the two directions relative to each other matters little: what a server sends waits until the first bytes of
/// the client tell the transport.
#[derive(Debug)]
pub struct Dissector {
    keys: Keys,
    secrets: Vec<ProxySecret>,
    limits: ConnectionLimits,
    max_memory: usize,
    streams: Recent<ConnectionId, Stream>,
    /// Memory of all streams.
    memory: usize,
    sessions: Sessions,
    records: VecDeque<Record>,
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) at: Moment,
    pub(crate) connection: ConnectionId,
    pub(crate) from: Side,
}

impl Source {
    pub(crate) const fn record(self, content: Content) -> Record {
        let Self { at, connection, from } = self;
        Record { at, connection, from, content }
    }
}

/// What happens on a connection.
enum Happening<'a> {
    Bytes(&'a [u8]),
    Gap(u64),
}

impl Dissector {
    /// Creates a dissector that opens envelopes with these keys.
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            secrets: Vec::new(),
            limits: ConnectionLimits::DEFAULT,
            max_memory: DEFAULT_MAX_MEMORY,
            streams: Recent::new(),
            memory: 0,
            sessions: Sessions::default(),
            records: VecDeque::new(),
        }
    }

    /// Sets the proxy secrets to try on obfuscated connections and hellos of TLS.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Vec<ProxySecret>) -> Self {
        self.secrets = secrets;
        self
    }

    /// Sets the bound of the bytes that wait for the rest of their frames. Beyond it, the connection that was silent longest
    /// is given up. Default [`DEFAULT_MAX_MEMORY`].
    #[must_use]
    pub const fn with_max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = bytes;
        self
    }

    /// Returns the keys, to add some that became known.
    pub const fn keys_mut(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// Returns the number of bytes that connections occupy.
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// A connection began, or was seen for the first time. One with the same number is forgotten.
    pub fn open(&mut self, connection: ConnectionId, beginning: Beginning) {
        self.close(connection);
        self.streams.get_or_insert(connection, || Stream::new(beginning, self.limits));
        if self.streams.len() > MAX_CONNECTIONS {
            self.give_up_oldest(None);
        }
    }

    /// Bytes of a connection were seen. Those of a connection that was not opened are ignored.
    pub fn handle_bytes(&mut self, connection: ConnectionId, from: Side, at: Moment, bytes: &[u8]) {
        self.handle(Source { at, connection, from }, &Happening::Bytes(bytes));
    }

    /// `len` bytes of a connection are missing.
    pub fn handle_gap(&mut self, connection: ConnectionId, from: Side, at: Moment, len: u64) {
        if len > 0 {
            self.handle(Source { at, connection, from }, &Happening::Gap(len));
        }
    }

    /// A connection ended.
    pub fn close(&mut self, connection: ConnectionId) {
        if let Some(stream) = self.streams.remove(connection) {
            self.memory -= stream.memory();
        }
    }

    /// An envelope was seen, without a transport around it. It is opened in place.
    pub fn handle_envelope(&mut self, connection: ConnectionId, from: Side, at: Moment, envelope: &mut [u8]) {
        let source = Source { at, connection, from };
        self.sessions.handle_envelope(source, envelope, &self.keys, &mut self.records);
    }

    /// Envelopes of `len` bytes together were not seen, where there is no transport around them.
    pub fn handle_lost_envelopes(&mut self, connection: ConnectionId, from: Side, at: Moment, len: u64) {
        self.records.push_back(Source { at, connection, from }.record(Content::Lost { len }));
    }

    /// A quick acknowledgement was seen, without a transport around it.
    pub fn handle_quick_ack(&mut self, connection: ConnectionId, at: Moment, token: QuickAckToken) {
        let source = Source { at, connection, from: Side::Server };
        let msg_id = self.sessions.acknowledged(token);
        self.records.push_back(source.record(Content::QuickAck { token, msg_id }));
    }

    /// A transport error was seen, without a transport around it.
    pub fn handle_transport_error(&mut self, connection: ConnectionId, at: Moment, code: TransportErrorCode) {
        let source = Source { at, connection, from: Side::Server };
        self.records.push_back(source.record(Content::TransportError(code)));
    }

    /// Returns the next record.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    fn handle(&mut self, source: Source, happening: &Happening<'_>) {
        let Some(stream) = self.streams.get_mut(source.connection) else { return };
        if let Happening::Gap(len) = happening
            && !stream.half(source.from).is_dead()
        {
            self.records.push_back(source.record(Content::Lost { len: *len }));
        }
        let before = stream.memory();
        let mut run = Run {
            stream,
            source,
            secrets: &self.secrets,
            limits: &self.limits,
            keys: &self.keys,
            sessions: &mut self.sessions,
            records: &mut self.records,
        };
        run.handle(happening);
        self.memory = self.memory - before + stream.memory();
        while self.memory > self.max_memory && self.streams.len() > 0 {
            self.give_up_oldest(Some(source));
        }
    }

    /// Frees the memory of the connection that was silent longest.
    fn give_up_oldest(&mut self, source: Option<Source>) {
        let Some((connection, stream)) = self.streams.pop_oldest() else { return };
        self.memory -= stream.memory();
        if let Some(source) = source {
            let record = Source { connection, ..source }.record(Content::Unreadable(Unreadable::OutOfMemory));
            self.records.push_back(record);
        }
    }
}

/// What happened on one connection, and what it is handled with.
struct Run<'a> {
    stream: &'a mut Stream,
    source: Source,
    secrets: &'a [ProxySecret],
    limits: &'a ConnectionLimits,
    keys: &'a Keys,
    sessions: &'a mut Sessions,
    records: &'a mut VecDeque<Record>,
}

impl Run<'_> {
    fn handle(&mut self, happening: &Happening<'_>) {
        let from = self.source.from;
        let half = self.stream.half(from);
        let pushed = match happening {
            Happening::Bytes(bytes) => half.push(bytes),
            Happening::Gap(len) => half.push_gap(*len),
        };
        if let Err(reason) = pushed {
            half.kill();
            self.records.push_back(self.source.record(Content::Unreadable(reason)));
        }
        match self.stream.recognise(self.secrets, self.limits) {
            Ok(None) => self.drain(from),
            Ok(Some(transport)) => {
                let source = Source { from: Side::Client, ..self.source };
                self.records.push_back(source.record(Content::Transport(transport)));
                self.drain(Side::Client);
                self.drain(Side::Server);
            }
            Err(reason) => {
                self.records.push_back(self.source.record(Content::Unreadable(reason)));
                self.drain(from);
            }
        }
    }

    /// Takes everything out that has arrived in one direction.
    fn drain(&mut self, from: Side) {
        let source = Source { from, ..self.source };
        let half = self.stream.half(from);
        let is_known = |id| self.keys.get(id).is_some();
        while let Some(found) = half.next(&is_known) {
            let content = match found {
                Found::Envelope(range) => {
                    let envelope = &mut half.bytes_mut()[range];
                    self.sessions.handle_envelope(source, envelope, self.keys, self.records);
                    continue;
                }
                Found::QuickAck(token) => {
                    Content::QuickAck { token, msg_id: self.sessions.acknowledged(token) }
                }
                Found::Error(code) => Content::TransportError(code),
                Found::Resynchronised { skipped } => Content::Resynchronised { skipped },
                Found::Unreadable(reason) => Content::Unreadable(reason),
            };
            self.records.push_back(source.record(content));
        }
    }
}
