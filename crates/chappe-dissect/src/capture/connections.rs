//! From packets to records.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chappe_crypto::Side;

use super::assembler::{Assembler, Piece};
use super::packet::{Packet, Segment};
use crate::dissector::{Dissector, MAX_CONNECTIONS};
use crate::recent::Recent;
use crate::record::{ConnectionId, Moment, Record};
use crate::stream::Beginning;

/// Most bytes of all connections that wait for earlier ones.
const MAX_WAITING: usize = 64 << 20;

/// The addresses of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who connected. If the beginning is missing, the end with the higher port.
    pub client: SocketAddr,
    /// Whom it connected to.
    pub server: SocketAddr,
}

/// Follows the connections of TCP in a capture, and dissects them.
///
/// Call [`handle_packet`](Self::handle_packet) with each packet, and take records with [`poll_record`](Self::poll_record)
/// after each, then call [`finish`](Self::finish) and take the last ones.
#[derive(Debug)]
pub struct CaptureDissector {
    dissector: Dissector,
    connections: Recent<(SocketAddr, SocketAddr), Connection>,
    ends: BTreeMap<ConnectionId, Ends>,
    last: u64,
    waiting: usize,
    segments: u64,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    client: SocketAddr,
    from_client: Assembler,
    from_server: Assembler,
    /// Who has said that it sends nothing more.
    client_is_done: bool,
    server_is_done: bool,
    is_closed: bool,
}

impl CaptureDissector {
    /// Follows connections for this dissector.
    pub const fn new(dissector: Dissector) -> Self {
        Self {
            dissector,
            connections: Recent::new(),
            ends: BTreeMap::new(),
            last: 0,
            waiting: 0,
            segments: 0,
        }
    }

    /// Returns the dissector, to add keys to it.
    pub const fn dissector_mut(&mut self) -> &mut Dissector {
        &mut self.dissector
    }

    /// Returns the number of connections so far.
    pub const fn connections(&self) -> u64 {
        self.last
    }

    /// Returns the number of packets that were segments of TCP.
    pub const fn segments(&self) -> u64 {
        self.segments
    }

    /// Returns the addresses of a connection, unless it is forgotten.
    pub fn ends(&self, connection: ConnectionId) -> Option<Ends> {
        self.ends.get(&connection).copied()
    }

    /// Returns the next record.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.dissector.poll_record()
    }

    /// Takes a packet. One that is no segment of TCP is skipped.
    pub fn handle_packet(&mut self, packet: &Packet<'_>) {
        let Some(segment) = Segment::of(packet) else { return };
        self.segments += 1;
        let at = Moment { time: packet.time, packet: packet.number };
        let key = (segment.from.min(segment.to), segment.from.max(segment.to));
        let opens = segment.is_syn && segment.ack.is_none();
        let known = self.connections.get_mut(key);
        // A hello that is sent again is none of a new connection.
        let begins = match &known {
            None => !segment.payload.is_empty() || segment.is_syn,
            Some(known) => opens && known.is_closed,
        };
        if begins {
            self.begin(key, &segment);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_closed {
            return;
        }
        let before = connection.waiting();
        connection.handle(&segment, at, &mut self.dissector);
        self.waiting = self.waiting - before + connection.waiting();
        while self.waiting > MAX_WAITING || self.connections.len() > MAX_CONNECTIONS {
            self.end_oldest(at);
        }
    }

    /// The capture is over: what waits for bytes that are missing is dissected without them.
    pub fn finish(&mut self) {
        while self.connections.len() > 0 {
            self.end_oldest(Moment::default());
        }
    }

    fn begin(&mut self, key: (SocketAddr, SocketAddr), segment: &Segment<'_>) {
        let Segment { from, to, .. } = *segment;
        let from_client = match (segment.is_syn, segment.ack) {
            (true, ack) => ack.is_none(),
            (false, _) => from.port() >= to.port(),
        };
        let (client, server) = if from_client { (from, to) } else { (to, from) };
        self.last += 1;
        let id = ConnectionId(self.last);
        self.ends.insert(id, Ends { client, server });
        if self.ends.len() > 2 * MAX_CONNECTIONS {
            self.ends.pop_first();
        }
        let beginning = if segment.is_syn { Beginning::Seen } else { Beginning::Missed };
        self.dissector.open(id, beginning);
        self.connections.remove(key);
        self.connections.get_or_insert(key, || Connection {
            id,
            client,
            from_client: Assembler::default(),
            from_server: Assembler::default(),
            client_is_done: false,
            server_is_done: false,
            is_closed: false,
        });
    }

    fn end_oldest(&mut self, at: Moment) {
        if let Some((_, mut connection)) = self.connections.pop_oldest() {
            self.waiting -= connection.waiting();
            connection.close(at, &mut self.dissector);
        }
    }
}

impl Connection {
    const fn waiting(&self) -> usize {
        self.from_client.waiting_bytes() + self.from_server.waiting_bytes()
    }

    fn handle(&mut self, segment: &Segment<'_>, at: Moment, dissector: &mut Dissector) {
        let Self { id, from_client, from_server, .. } = self;
        let from = if segment.from == self.client { Side::Client } else { Side::Server };
        let (sent, received) = match from {
            Side::Client => (from_client, from_server),
            Side::Server => (from_server, from_client),
        };
        let seq = if segment.is_syn { segment.seq.wrapping_add(1) } else { segment.seq };
        if segment.is_syn && !sent.has_begun() {
            sent.begin(seq);
        }
        sent.handle(seq, segment.payload, &mut |piece| pass(dissector, *id, from, at, &piece));
        if let Some(ack) = segment.ack {
            received.handle_ack(ack, &mut |piece| pass(dissector, *id, from.peer(), at, &piece));
        }
        if segment.is_fin {
            sent.handle_end(seq.wrapping_add(segment.payload.len() as u32));
            let done = if from == Side::Client { &mut self.client_is_done } else { &mut self.server_is_done };
            *done = true;
        }
        if segment.is_reset || self.client_is_done && self.server_is_done && self.waiting() == 0 {
            self.close(at, dissector);
        }
    }

    /// Dissects what waits, with the gaps in it, and forgets the connection's bytes.
    fn close(&mut self, at: Moment, dissector: &mut Dissector) {
        if self.is_closed {
            return;
        }
        let id = self.id;
        self.from_client.finish(&mut |piece| pass(dissector, id, Side::Client, at, &piece));
        self.from_server.finish(&mut |piece| pass(dissector, id, Side::Server, at, &piece));
        dissector.close(id);
        self.is_closed = true;
    }
}

fn pass(dissector: &mut Dissector, id: ConnectionId, from: Side, at: Moment, piece: &Piece<'_>) {
    match piece {
        Piece::Bytes(bytes) => dissector.handle_bytes(id, from, at, bytes),
        Piece::Gap(len) => dissector.handle_gap(id, from, at, *len),
    }
}
