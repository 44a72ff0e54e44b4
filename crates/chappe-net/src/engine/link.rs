//! One socket, from the moment it is asked for to its last byte.
//!
//! A [`Link`] has no socket: what was read goes in, what is to be written comes out. Not here: which frames travel
//! ([`Engine`](super::Engine)), and several sockets for one connection ([`Links`](super::links::Links)).

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use chappe_carrier::{
    Address, FrameReader, FrameWriter, HttpAnswer, HttpLane, Interception, LinkError, Wait,
};
use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, TransportTail};
use chappe_session::{MonoTime, Now};
use chappe_transport::http::Persistence;
use chappe_transport::{AckRequest, Framing, TransportErrorCode};
use zeroize::Zeroizing;

use super::action::{ReadBuffer, Room, SocketId, WriteBuffer};
use super::links::ConnectionId;
use super::opening::{Opened, Opening, timed_out, unreachable};
use crate::options::DialOptions;

/// A socket and the machines of its bytes.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: SocketId,
    /// The connection that it belongs to.
    pub(super) connection: ConnectionId,
    options: Arc<DialOptions>,
    stage: Stage,
    /// When the present stage will have taken too long, and what it waits for.
    deadline: Option<(MonoTime, Wait, Duration)>,
    writing: Writing,
    /// Something was read.
    has_read: bool,
}

#[derive(Debug)]
enum Stage {
    Connecting,
    Opening(Box<Opening>),
    /// `None` while a driver reads into it.
    Stream(Box<FrameWriter>, Option<Box<FrameReader>>),
    Http(Box<HttpLink>),
}

/// A connection of HTTP: one request at a time.
#[derive(Debug)]
struct HttpLink {
    lane: HttpLane,
    request: Option<Request>,
}

/// A payload over HTTP, until it is answered.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) payload: Vec<u8>,
    /// It was sent before, over a connection that ended without an answer.
    pub(super) is_repeated: bool,
}

#[derive(Debug, Default)]
struct Writing {
    /// What the socket has not taken yet.
    pending: Option<WriteBuffer>,
    /// What came up while the buffer was out; it follows behind.
    next: Zeroizing<Vec<u8>>,
    /// Somebody writes: the buffer is out.
    is_claimed: bool,
    /// The driver was told to write until nothing is left.
    is_announced: bool,
    /// Since when the socket takes nothing.
    stalled_since: Option<MonoTime>,
}

/// What bytes that were read led to.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing to report.
    Nothing,
    /// The link stands: frames or requests may be sent.
    Up,
    /// Frames may have arrived.
    Frames(Box<FrameReader>),
    /// A request was answered; the link may be used again unless it `closes`.
    Answer { outcome: Result<Option<Vec<u8>>, TransportErrorCode>, closes: bool },
}

impl Link {
    /// Makes a link whose socket is being connected.
    pub(super) fn new(id: SocketId, connection: ConnectionId, options: Arc<DialOptions>, now: Now) -> Self {
        let patience = options.connect_timeout;
        let deadline = Some((now.mono + patience, Wait::Connect, patience));
        Self {
            id,
            connection,
            options,
            stage: Stage::Connecting,
            deadline,
            writing: Writing::default(),
            has_read: false,
        }
    }

    /// Returns whether frames or requests may be sent.
    pub(super) const fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Stream(..) | Stage::Http(_))
    }

    /// Returns whether the socket has taken everything.
    pub(super) fn is_flushed(&self) -> bool {
        let writing = &self.writing;
        writing.pending.is_none() && !writing.is_claimed && writing.next.is_empty()
    }

    /// Returns whether another frame may be sent: the one before is with the socket.
    pub(super) fn can_send(&self) -> bool {
        let is_free = self.is_flushed();
        match &self.stage {
            Stage::Stream(..) => is_free,
            Stage::Http(http) => is_free && http.request.is_none(),
            Stage::Connecting | Stage::Opening(_) => false,
        }
    }

    /// Returns whether the transport leaves padding behind frames.
    pub(super) const fn tail(&self) -> TransportTail {
        match &self.stage {
            Stage::Stream(outgoing, _) => match outgoing.framing() {
                Framing::PaddedIntermediate => TransportTail::Padded,
                Framing::Abridged | Framing::Intermediate | Framing::Full => TransportTail::None,
            },
            _ => TransportTail::None,
        }
    }

    /// Returns the framing; HTTP has none.
    pub(super) const fn framing(&self) -> Option<Framing> {
        match &self.stage {
            Stage::Stream(outgoing, _) => Some(outgoing.framing()),
            _ => None,
        }
    }
}

/// Input.
impl Link {
    /// The socket is connected.
    pub(super) fn handle_connected(
        &mut self,
        now: Now,
        target: &Address,
        rng: &mut Drbg,
    ) -> Result<Progress, LinkError> {
        let opening = Opening::start(Arc::clone(&self.options), target, now.unix, rng)?;
        self.on_opening(now, opening)
    }

    /// Returns the error for a socket that could not be connected.
    pub(super) fn on_connect_failed(&self, error: io::Error) -> LinkError {
        let after = self.options.connect_timeout;
        let error = match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                LinkError::TimedOut { waiting_for: Wait::Connect, after }
            }
            _ => error.into(),
        };
        unreachable(&self.options, error)
    }

    /// Handles what was read. No bytes mean that the peer closed the connection.
    pub(super) fn handle_read(
        &mut self,
        now: Now,
        buffer: ReadBuffer,
        read: io::Result<usize>,
        rng: &mut Drbg,
    ) -> Result<Progress, LinkError> {
        let count = match read {
            Ok(0) => return Err(self.on_end(None)),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                self.put_back(buffer);
                return Ok(Progress::Nothing);
            }
            Err(error) => return Err(self.on_end(Some(error))),
        };
        match (&mut self.stage, buffer.0) {
            (Stage::Stream(outgoing, _), Room::Stream(mut ingoing)) => {
                if !mem::replace(&mut self.has_read, true) {
                    check_first(ingoing.space()?, count)?;
                }
                ingoing.commit(count, outgoing)?;
                self.fill();
                Ok(Progress::Frames(ingoing))
            }
            (Stage::Opening(opening), Room::Raw(mut bytes)) => {
                if opening.awaits_stream() && !mem::replace(&mut self.has_read, true) {
                    check_first(&mut bytes, count)?;
                }
                opening.handle(&bytes[..count.min(bytes.len())], now.unix, rng)?;
                let Stage::Opening(opening) = mem::replace(&mut self.stage, Stage::Connecting) else {
                    return Ok(Progress::Nothing);
                };
                self.on_opening(now, *opening)
            }
            (Stage::Http(http), Room::Raw(bytes)) => {
                let mut out = Vec::new();
                let answer = http.lane.handle(&bytes[..count.min(bytes.len())], &mut out);
                self.write(&out);
                let Some(HttpAnswer { outcome, persistence }) = answer? else { return Ok(Progress::Nothing) };
                let Stage::Http(http) = &mut self.stage else { return Ok(Progress::Nothing) };
                http.request = None;
                let closes = persistence == Persistence::Close;
                Ok(Progress::Answer { outcome, closes })
            }
            // A buffer of an earlier stage that came back late.
            _ => Ok(Progress::Nothing),
        }
    }

    fn on_end(&self, error: Option<io::Error>) -> LinkError {
        let awaits_stream = match &self.stage {
            Stage::Opening(opening) => opening.awaits_stream(),
            Stage::Stream(..) => true,
            Stage::Connecting | Stage::Http(_) => false,
        };
        let is_closed = error.as_ref().is_none_or(|error| error.kind() == io::ErrorKind::ConnectionReset);
        if awaits_stream && is_closed && !self.has_read && self.options.connector.has_secret() {
            return LinkError::NoAnswer;
        }
        match &self.stage {
            Stage::Opening(opening) => opening.on_end(error),
            _ => error.map_or(LinkError::Closed, LinkError::Io),
        }
    }

    /// Goes on with an opening, which may have ended.
    fn on_opening(&mut self, now: Now, mut opening: Opening) -> Result<Progress, LinkError> {
        let out = opening.take_output();
        self.write(&out);
        if let Some((wait, patience)) = opening.awaits() {
            // Each stage has its own patience; bytes within one do not prolong it, since anybody can make them.
            if !matches!(self.deadline, Some((_, known, _)) if known == wait) {
                self.deadline = Some((now.mono + patience, wait, patience));
            }
            self.stage = Stage::Opening(Box::new(opening));
            return Ok(Progress::Nothing);
        }
        self.deadline = None;
        self.stage = match opening.finish()? {
            Opened::Stream(outgoing, ingoing) => Stage::Stream(Box::new(outgoing), Some(Box::new(ingoing))),
            Opened::Http(lane) => Stage::Http(Box::new(HttpLink { lane, request: None })),
        };
        Ok(Progress::Up)
    }
}

/// Reading and writing.
impl Link {
    /// Lends room to read into; `None` if it is lent already or the socket is not connected.
    pub(super) fn begin_read(&mut self) -> Option<ReadBuffer> {
        match &mut self.stage {
            Stage::Connecting => None,
            Stage::Opening(_) | Stage::Http(_) => Some(ReadBuffer(Room::Raw(Vec::new()))),
            Stage::Stream(_, ingoing) => Some(ReadBuffer(Room::Stream(ingoing.take()?))),
        }
    }

    /// Takes a buffer back.
    pub(super) fn put_back(&mut self, buffer: ReadBuffer) {
        if let (Stage::Stream(_, place), Room::Stream(ingoing)) = (&mut self.stage, buffer.0) {
            *place = Some(ingoing);
        }
    }

    /// Frames an envelope; its buffer is what the socket gets.
    pub(super) fn send(
        &mut self,
        mut frame: FrameBuf,
        ack: AckRequest,
        rng: &mut Drbg,
    ) -> Result<(), LinkError> {
        let Stage::Stream(outgoing, _) = &mut self.stage else {
            return Err(LinkError::Closed);
        };
        outgoing.encode_in_place(&mut frame, ack, rng)?;
        self.writing.pending = Some(WriteBuffer::new(frame));
        Ok(())
    }

    /// Sends a payload as a request of HTTP.
    pub(super) fn request(&mut self, request: Request) -> Result<(), LinkError> {
        let Stage::Http(http) = &mut self.stage else {
            return Err(LinkError::Closed);
        };
        let bytes = http.lane.request(&request.payload)?;
        http.request = Some(request);
        self.write(&bytes);
        Ok(())
    }

    /// Takes the request out that has no answer.
    pub(super) const fn take_request(&mut self) -> Option<Request> {
        match &mut self.stage {
            Stage::Http(http) => http.request.take(),
            _ => None,
        }
    }

    /// Returns whether the driver must be told to write; it is told once, until nothing is left.
    pub(super) const fn poll_write(&mut self) -> bool {
        let is_due = self.wants_write();
        self.writing.is_announced |= is_due;
        is_due
    }

    /// The driver must be told again if something is left to write.
    pub(super) const fn write_later(&mut self) {
        self.writing.is_announced = false;
    }

    /// Lends what is to be written; `None` if there is nothing or another thread writes.
    pub(super) fn begin_write(&mut self) -> Option<WriteBuffer> {
        let pending = self.writing.pending.take()?;
        self.writing.is_claimed = true;
        Some(pending)
    }

    /// Takes the buffer back with what the socket took of it; returns its memory once nothing is left.
    pub(super) fn end_write(
        &mut self,
        now: Now,
        mut buffer: WriteBuffer,
        written: io::Result<usize>,
    ) -> Result<Option<FrameBuf>, LinkError> {
        let writing = &mut self.writing;
        writing.is_claimed = false;
        match written {
            Ok(0) if !buffer.bytes().is_empty() => return Err(LinkError::Closed),
            Ok(count) => {
                // Any progress is progress: a slow peer is not a dead one.
                writing.stalled_since = None;
                if buffer.advance(count) {
                    writing.is_announced = false;
                    self.fill();
                    return Ok(Some(buffer.into_frame()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                writing.stalled_since.get_or_insert(now.mono);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        writing.pending = Some(buffer);
        Ok(None)
    }

    /// Returns whether the socket takes nothing at present.
    pub(super) const fn is_stalled(&self) -> bool {
        self.writing.stalled_since.is_some()
    }

    /// Returns whether bytes wait for which no write was requested.
    pub(super) const fn wants_write(&self) -> bool {
        let writing = &self.writing;
        writing.pending.is_some() && !writing.is_claimed && !writing.is_announced
    }

    /// Returns the last bytes of the layers beneath, such as TLS's `close_notify`, if they can still be written.
    pub(super) fn farewell(&mut self) -> Option<WriteBuffer> {
        if self.writing.is_claimed || self.writing.pending.is_some() {
            return None;
        }
        if let Stage::Stream(outgoing, _) = &mut self.stage {
            outgoing.carrier_mut()?.close();
        }
        self.fill();
        self.begin_write()
    }

    /// Adds bytes to what waits to be written.
    fn write(&mut self, bytes: &[u8]) {
        let next = &mut self.writing.next;
        if next.capacity() - next.len() < bytes.len() {
            // Memory that a vector gives back when it grows is not wiped.
            let mut grown = Zeroizing::new(Vec::with_capacity(next.len() + bytes.len()));
            grown.extend_from_slice(next);
            *next = grown;
        }
        next.extend_from_slice(bytes);
        self.fill();
    }

    /// Moves what is to be written next to where the socket gets it from.
    fn fill(&mut self) {
        if self.writing.pending.is_some() || self.writing.is_claimed {
            return;
        }
        let mut bytes = mem::take(&mut self.writing.next);
        if let Stage::Stream(outgoing, _) = &mut self.stage
            && let Some(carried) = outgoing.carrier_mut()
        {
            bytes.extend_from_slice(&carried.out);
            let count = carried.out.len();
            carried.written(count);
        }
        if !bytes.is_empty() {
            self.writing.pending = Some(WriteBuffer::secret(&bytes));
        }
    }
}

/// Fails if the first bytes of a connection are of another protocol.
fn check_first(bytes: &mut [u8], count: usize) -> Result<(), LinkError> {
    match Interception::of(&bytes[..count.min(bytes.len())]) {
        Some(by) => Err(LinkError::Intercepted(by)),
        None => Ok(()),
    }
}

/// Time.
impl Link {
    /// Returns when the link must be looked at again.
    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        let stalled = self.writing.stalled_since.map(|since| since + self.options.write_timeout);
        self.deadline.map(|(at, ..)| at).into_iter().chain(stalled).min()
    }

    /// Returns the error if the link has taken too long.
    pub(super) fn check_time(&self, now: MonoTime) -> Option<LinkError> {
        if let Some((at, wait, after)) = self.deadline
            && at <= now
        {
            return Some(match wait {
                Wait::Connect => unreachable(&self.options, LinkError::TimedOut { waiting_for: wait, after }),
                wait => timed_out(wait, after),
            });
        }
        let patience = self.options.write_timeout;
        let is_late = self.writing.stalled_since.is_some_and(|since| since + patience <= now);
        is_late.then_some(LinkError::TimedOut { waiting_for: Wait::Write, after: patience })
    }
}
