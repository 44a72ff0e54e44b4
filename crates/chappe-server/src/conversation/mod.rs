//! A server's connection from its first byte to its last, without its socket: bytes in, bytes out.

mod output;

use core::mem;
use core::time::Duration;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use chappe_carrier::{FrameReader, FrameWriter, LinkError, Wait};
use chappe_framing::TransportTail;
use chappe_session::{MonoTime, Now};
use chappe_transport::{AckRequest, Framing, Incoming, TransportErrorCode};

use crate::accepting::{Accepted, Accepting};
use crate::connection_limit::ConnectionPermit;
use crate::counters::add;
use crate::http::HttpSide;
use crate::scratch::Scratch;
use crate::{Engine, ServerConnection};

/// What a driver does next.
#[derive(Debug)]
#[must_use]
pub enum WriteAction<'a> {
    /// Wait for bytes, for the waker or for the time.
    Wait,
    /// Write all of these bytes, then ask again.
    Bytes(&'a [u8]),
    /// Close the connection.
    Close,
}

/// One connection, without its socket.
///
/// Input: read into [`space`](Self::space) and call [`handle_read`](Self::handle_read), or call
/// [`handle_timeout`](Self::handle_timeout) once [`poll_timeout`](Self::poll_timeout) has passed. Output: after each
/// input, and each time that the waker is called, call [`poll_write`](Self::poll_write) until it returns
/// [`WriteAction::Wait`], then [`release_memory`](Self::release_memory). All of these calls take one [`Scratch`], which
/// may serve another connection after `release_memory`.
///
/// Do not read while there are bytes to write: a client that does not read must not be able to queue more answers.
/// Read what has arrived before a call of `handle_timeout`: a ping can wait in the socket while an answer is written.
pub struct Conversation {
    engine: Arc<Engine>,
    permit: ConnectionPermit,
    peer: SocketAddr,
    waker: Arc<dyn Fn() + Send + Sync>,
    state: State,
    phase: Phase,
    /// The driver has written the bytes in [`Scratch::out`].
    is_written: bool,
    admitted_at: MonoTime,
    /// When the connection was admitted, or when the last whole payload came.
    last: MonoTime,
    partial: Option<Partial>,
    /// What a client sent that was refused before anything was written to it.
    refused: Option<Vec<u8>>,
}

/// A payload that is not complete.
#[derive(Clone, Copy, Debug)]
struct Partial {
    /// When its first byte came.
    since: MonoTime,
    /// Bytes that came since.
    received: usize,
}

/// What the connection speaks.
#[derive(Debug)]
enum State {
    Accepting(Box<Accepting>),
    Stream(Box<StreamState>),
    Http(Box<HttpState>),
    /// While one state is replaced by another, and after an error.
    Ended,
}

/// A stream of frames.
#[derive(Debug)]
struct StreamState {
    writer: FrameWriter,
    reader: FrameReader,
    machine: ServerConnection,
}

/// HTTP requests and responses.
#[derive(Debug)]
struct HttpState {
    side: HttpSide,
    machine: ServerConnection,
}

/// How the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Answers that are due are still sent; then it closes.
    Draining,
    /// Closes once the bytes in [`Scratch::out`] are written.
    Closing,
}

impl Conversation {
    /// Begins with a connection that was just admitted. `waker` is called, from any thread, when there is something to
    /// write that no input asked for.
    pub fn new(
        engine: Arc<Engine>,
        permit: ConnectionPermit,
        peer: SocketAddr,
        waker: Arc<dyn Fn() + Send + Sync>,
        now: Now,
    ) -> Self {
        add(&permit.tally().accepted, 1);
        let state = State::Accepting(Box::new(Accepting::new(&permit)));
        permit.on_eviction(Arc::clone(&waker));
        let (phase, admitted_at) = (Phase::Serving, now.mono);
        Self {
            engine,
            permit,
            peer,
            waker,
            state,
            phase,
            is_written: false,
            admitted_at,
            last: admitted_at,
            partial: None,
            refused: None,
        }
    }

    /// Returns how long a client may refuse to read.
    pub fn write_timeout(&self) -> Duration {
        self.permit.options().write_timeout
    }

    /// Returns whether the client speaks HTTP, where each request has exactly one response.
    pub const fn is_http(&self) -> bool {
        matches!(self.state, State::Http(_))
    }

    /// Returns whether to read. While it returns `false`, a look-up in the directory is under way, and the waker is called
    /// at its end.
    pub fn wants_input(&self) -> bool {
        match &self.state {
            State::Stream(stream) => !stream.machine.is_waiting(),
            State::Http(http) => !http.machine.is_waiting(),
            State::Accepting(_) | State::Ended => true,
        }
    }

    /// Returns room to read into.
    ///
    /// # Errors
    ///
    /// A frame is longer than the limit, or the connection has ended.
    pub fn space<'a>(&'a mut self, scratch: &mut Scratch) -> Result<&'a mut [u8], LinkError> {
        match &mut self.state {
            State::Accepting(accepting) => accepting.space(),
            State::Stream(stream) => {
                stream.reader.borrow(&mut scratch.input, &mut scratch.raw);
                Ok(stream.reader.space()?)
            }
            State::Http(http) => {
                let buf = &mut http.side.buf;
                if buf.memory() == 0 {
                    buf.exchange(&mut scratch.input);
                }
                Ok(buf.space()?)
            }
            State::Ended => Err(LinkError::Closed),
        }
    }

    /// Handles `count` bytes that were read; 0 means that the client closed the connection.
    ///
    /// # Errors
    ///
    /// The client closed the connection, or speaks nothing that is served; the connection must be closed.
    pub fn handle_read(&mut self, now: Now, scratch: &mut Scratch, count: usize) -> Result<(), LinkError> {
        if count == 0 {
            return Err(LinkError::Closed);
        }
        add(&self.permit.tally().bytes_in, count);
        if let Some(partial) = &mut self.partial {
            partial.received += count;
        }
        match mem::replace(&mut self.state, State::Ended) {
            State::Accepting(accepting) => self.on_accepting(now, scratch, *accepting, count)?,
            State::Stream(mut stream) => {
                stream.reader.commit(count, &mut stream.writer)?;
                self.state = State::Stream(stream);
            }
            State::Http(mut http) => {
                http.side.buf.commit(count);
                self.state = State::Http(http);
            }
            State::Ended => return Err(LinkError::Closed),
        }
        self.handle_payloads(now, scratch)
    }

    /// Handles the passing of time.
    ///
    /// # Errors
    ///
    /// [`LinkError::TimedOut`] if the client was silent, or slow, for too long.
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), LinkError> {
        let (at, waiting_for, after) = self.deadline();
        if at <= now.mono {
            let tally = self.permit.tally();
            let counter = match waiting_for {
                Wait::FirstBytes => &tally.unknown,
                Wait::Authentication => &tally.unauthenticated,
                Wait::Frame => &tally.slow_senders,
                _ => &tally.idle,
            };
            add(counter, 1);
            if let State::Accepting(accepting) = &self.state {
                self.refused = accepting.unanswered().map(<[u8]>::to_vec);
            }
            return Err(LinkError::TimedOut { waiting_for, after });
        }
        if let Some(machine) = self.machine() {
            machine.handle_timeout(now);
        }
        Ok(())
    }

    /// Returns all bytes of a client that was refused before anything was written to it, after
    /// [`handle_read`](Self::handle_read) or [`handle_timeout`](Self::handle_timeout) failed. A proxy hands such a client on to
    /// the site that it imitates (`SEC-149`).
    pub fn take_refused(&mut self) -> Option<Vec<u8>> {
        self.refused.take().inspect(|_| add(&self.permit.tally().handed_on, 1))
    }

    /// Returns whether [`take_refused`](Self::take_refused) has something.
    #[cfg(feature = "blocking")]
    pub(crate) const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Returns whether the place among the connections was given to another one.
    #[cfg(feature = "blocking")]
    pub(crate) fn is_evicted(&self) -> bool {
        self.permit.is_evicted()
    }

    /// Counts a client that did not read within [`write_timeout`](Self::write_timeout).
    pub fn count_slow_reader(&self) {
        add(&self.permit.tally().slow_readers, 1);
    }

    /// Ends the connection in order. Call this, read no more, and write until [`WriteAction::Close`].
    pub fn drain(&mut self) {
        if self.phase == Phase::Serving {
            self.phase = Phase::Draining;
        }
    }

    /// Gives memory back to `scratch`. Part of a frame that has arrived stays in the connection.
    pub fn release_memory(&mut self, scratch: &mut Scratch) {
        match &mut self.state {
            State::Accepting(accepting) => accepting.release_memory(),
            State::Stream(stream) => {
                stream.writer.shrink();
                stream.reader.give_back(&mut scratch.input, &mut scratch.raw);
            }
            State::Http(http) => {
                http.side.buf.exchange(&mut scratch.input);
                http.side.buf.release();
            }
            State::Ended => {}
        }
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). Ask again after each input.
    pub fn poll_timeout(&self) -> MonoTime {
        let (deadline, ..) = self.deadline();
        let (held, machine) = match &self.state {
            State::Http(http) => (http.side.held_until(), http.machine.poll_timeout()),
            State::Stream(stream) => (None, stream.machine.poll_timeout()),
            State::Accepting(_) | State::Ended => (None, None),
        };
        [held, machine].into_iter().flatten().fold(deadline, Ord::min)
    }

    /// Returns until when something must have come, what, and how long that may take.
    fn deadline(&self) -> (MonoTime, Wait, Duration) {
        let options = self.permit.options();
        let (since, wait, after) = match (&self.state, self.partial) {
            (State::Accepting(_), _) => (self.last, Wait::FirstBytes, options.first_bytes_timeout),
            (_, Some(Partial { since, received })) => {
                let nanos = received as u64 * 1_000_000_000 / u64::from(options.frame_rate.max(1));
                (since, Wait::Frame, options.frame_timeout + Duration::from_nanos(nanos))
            }
            (_, None) => (self.last, Wait::Anything, options.idle_timeout),
        };
        let deadline = (since + after, wait, after);
        let machine = match &self.state {
            State::Stream(stream) => Some(&stream.machine),
            State::Http(http) => Some(&http.machine),
            State::Accepting(_) | State::Ended => None,
        };
        match machine {
            Some(machine) if !machine.is_authenticated() => {
                let after = options.authentication_timeout;
                let proof = (self.admitted_at + after, Wait::Authentication, after);
                if proof.0 < deadline.0 { proof } else { deadline }
            }
            _ => deadline,
        }
    }

    fn machine(&mut self) -> Option<&mut ServerConnection> {
        match &mut self.state {
            State::Stream(stream) => Some(&mut stream.machine),
            State::Http(http) => Some(&mut http.machine),
            State::Accepting(_) | State::Ended => None,
        }
    }

    fn on_accepting(
        &mut self,
        now: Now,
        scratch: &mut Scratch,
        accepting: Accepting,
        count: usize,
    ) -> Result<(), LinkError> {
        let tally = Arc::clone(self.permit.tally());
        let accepted = accepting.commit(count, now.unix, &self.permit, &mut scratch.rng, &mut scratch.out);
        let accepted = accepted.inspect_err(|_| add(&tally.unknown, 1))?;
        self.state = match accepted {
            Accepted::Incomplete(accepting) => State::Accepting(Box::new(accepting)),
            Accepted::Stream { writer, reader, dc, disguise } => {
                add(&tally.streams, 1);
                tracing::debug!(framing = ?writer.framing(), ?disguise, ?dc, "connection detected");
                // A padded transport leaves up to 15 bytes behind a frame; the decoder removed what it could.
                let tail = match writer.framing() {
                    Framing::PaddedIntermediate => TransportTail::Padded,
                    _ => TransportTail::None,
                };
                let machine = self.connect(tail);
                State::Stream(Box::new(StreamState { writer, reader, machine }))
            }
            Accepted::Http(buf) => {
                add(&tally.http, 1);
                tracing::debug!("connection speaks http");
                let side = HttpSide::new(buf, self.permit.options().accept.limits);
                let machine = self.connect(TransportTail::None).over_http();
                State::Http(Box::new(HttpState { side, machine }))
            }
            Accepted::Refused(refusal, bytes) => {
                add(&tally.unknown, 1);
                self.refused = Some(bytes);
                return Err(LinkError::Refused(refusal));
            }
        };
        Ok(())
    }

    fn connect(&self, tail: TransportTail) -> ServerConnection {
        let waker = Arc::clone(&self.waker);
        self.engine.connect(self.peer, tail, move || waker())
    }

    /// Hands all payloads that have arrived to the machine.
    fn handle_payloads(&mut self, now: Now, scratch: &mut Scratch) -> Result<(), LinkError> {
        let Scratch { rng, out, .. } = scratch;
        let mut payloads = 0;
        let is_whole = match &mut self.state {
            State::Stream(stream) => {
                while !stream.machine.is_waiting()
                    && let Some(incoming) = stream.reader.take()?
                {
                    // Quick acks and transport errors come from servers only; a client's are ignored.
                    if let Incoming::Envelope { payload, ack } = incoming {
                        payloads += 1;
                        stream.machine.handle_payload(now, payload, ack, rng);
                    }
                }
                stream.reader.is_whole(&stream.writer)
            }
            State::Http(http) => {
                let HttpState { side, machine } = http.as_mut();
                loop {
                    let mut handle = |payload: &mut [u8]| {
                        payloads += 1;
                        machine.handle_payload(now, payload, AckRequest::No, rng);
                    };
                    match side.next_request(out, &mut handle) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            tracing::debug!(%error, "request refused");
                            side.fail(TransportErrorCode::UnknownAuthKey, out);
                            self.phase = Phase::Closing;
                            return Ok(());
                        }
                    }
                    if let Some(wait) = machine.take_http_wait() {
                        side.hold(now.mono, wait);
                    }
                }
                side.is_open() || side.buf.is_empty()
            }
            State::Accepting(_) | State::Ended => return Ok(()),
        };
        self.look_at_partial(now, is_whole);
        if payloads > 0 {
            add(&self.permit.tally().payloads_in, payloads);
            self.last = now.mono;
            self.partial = None;
            self.note_authenticated();
        }
        let begun = Partial { since: now.mono, received: 0 };
        self.partial = if is_whole { None } else { self.partial.or(Some(begun)) };
        Ok(())
    }
}

impl Conversation {
    /// Goes on with the payloads that waited for the directory, if it has answered.
    fn resume(&mut self, now: Now, scratch: &mut Scratch) -> Result<(), LinkError> {
        if self.machine().is_some_and(|machine| machine.resume(now, &mut scratch.rng)) {
            self.note_authenticated();
            self.handle_payloads(now, scratch)?;
        }
        Ok(())
    }

    fn note_authenticated(&mut self) {
        if self.machine().is_some_and(|machine| machine.is_authenticated()) {
            self.permit.authenticated();
        }
    }

    /// Lets the machine look at a payload that is not complete.
    fn look_at_partial(&mut self, now: Now, is_whole: bool) {
        match &mut self.state {
            _ if is_whole => {}
            State::Stream(stream) => stream.machine.handle_partial(now, stream.reader.partial_payload()),
            State::Http(http) => http.machine.handle_partial(now, http.side.partial_payload()),
            State::Accepting(_) | State::Ended => {}
        }
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("peer", &self.peer)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
