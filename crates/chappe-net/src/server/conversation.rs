//! A server's connection from its first byte to its last, without its socket: bytes in, bytes out.
//!
//! Both servers, blocking and tokio, are thin around this. Order of calls: read into [`space`](Conversation::space)
//! and [`handle_read`](Conversation::handle_read), or [`handle_timeout`](Conversation::handle_timeout) once
//! [`poll_timeout`](Conversation::poll_timeout) has passed; after each, and after each call of the waker,
//! [`poll_write`](Conversation::poll_write) until it gives nothing. A connection that is not read while it is
//! written to keeps its client from asking more than it takes.

use core::mem;
use core::time::Duration;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, TransportTail};
use chappe_session::{MonoTime, Now};
use chappe_transport::http::Persistence;
use chappe_transport::{AckRequest, ErrorCode, Framing, Incoming};

use super::arrival::{Arrival, Arrived};
use super::counters::add;
use super::faults::{Fault, Faults};
use super::http::HttpSide;
use super::{Engine, Output, ServerConnection};
use crate::carrier::Shared;
use crate::error::{LinkError, Wait};
use crate::gate::Place;
use crate::link::{Ingoing, Outgoing};

/// What a driver is to do next.
#[derive(Debug)]
pub(crate) enum Write<'a> {
    /// Wait for bytes, for the waker or for the time.
    Nothing,
    /// Write these.
    Bytes(Cow<'a, [u8]>),
    /// Wait this long, and do nothing meanwhile.
    Pause(Duration),
    /// Close the connection.
    End,
}

/// One connection.
pub(crate) struct Conversation {
    engine: Arc<Engine>,
    faults: Arc<dyn Faults>,
    place: Place,
    peer: SocketAddr,
    waker: Arc<dyn Fn() + Send + Sync>,
    rng: Drbg,
    state: State,
    /// Bytes for the socket.
    out: Vec<u8>,
    frame: FrameBuf,
    /// An envelope that waits for the next one, by [`Fault::Swap`].
    swapped: Option<FrameBuf>,
    /// An envelope that comes late, by [`Fault::Delay`].
    delayed: Option<FrameBuf>,
    /// When it was let in, or when the last whole payload came.
    last: MonoTime,
    /// Since when a payload is under way.
    partial_since: Option<MonoTime>,
    is_draining: bool,
    is_ending: bool,
}

#[derive(Debug)]
enum State {
    Arriving(Box<Arrival>),
    Stream(Box<Talk>),
    Http(Box<(HttpSide, ServerConnection)>),
    /// Only while one state becomes another, or after an error.
    Over,
}

/// A stream of frames.
#[derive(Debug)]
struct Talk {
    outgoing: Outgoing,
    ingoing: Ingoing,
    machine: ServerConnection,
}

impl Conversation {
    pub(crate) fn new(
        engine: Arc<Engine>,
        faults: Arc<dyn Faults>,
        place: Place,
        peer: SocketAddr,
        waker: Arc<dyn Fn() + Send + Sync>,
        now: Now,
        rng: Drbg,
    ) -> Self {
        add(&place.tally().accepted, 1);
        let state = State::Arriving(Box::new(Arrival::new(&place)));
        Self {
            engine,
            faults,
            place,
            peer,
            waker,
            rng,
            state,
            out: Vec::new(),
            frame: FrameBuf::new(),
            swapped: None,
            delayed: None,
            last: now.mono,
            partial_since: None,
            is_draining: false,
            is_ending: false,
        }
    }

    /// Returns how long a client may refuse to read.
    pub(crate) fn write_timeout(&self) -> Duration {
        self.place.options().write_timeout
    }

    /// Returns room to read into.
    pub(crate) fn space(&mut self) -> Result<&mut [u8], LinkError> {
        match &mut self.state {
            State::Arriving(arrival) => arrival.space(),
            State::Stream(talk) => Ok(talk.ingoing.space()?),
            State::Http(http) => Ok(http.0.buf.space()?),
            State::Over => Err(LinkError::Closed),
        }
    }

    /// Handles `count` bytes that were read; none means that the client closed the connection.
    pub(crate) fn handle_read(&mut self, now: Now, count: usize) -> Result<(), LinkError> {
        if count == 0 {
            return Err(LinkError::Closed);
        }
        add(&self.place.tally().bytes_in, count);
        match mem::replace(&mut self.state, State::Over) {
            State::Arriving(arrival) => self.on_arrival(now, *arrival, count)?,
            State::Stream(mut talk) => {
                talk.ingoing.commit(count)?;
                self.state = State::Stream(talk);
            }
            State::Http(mut http) => {
                http.0.buf.commit(count);
                self.state = State::Http(http);
            }
            State::Over => return Err(LinkError::Closed),
        }
        self.take_in(now)
    }

    /// Says that time has passed.
    ///
    /// # Errors
    ///
    /// [`LinkError::TimedOut`] if the client was silent, or slow, for too long.
    pub(crate) fn handle_timeout(&mut self, now: Now) -> Result<(), LinkError> {
        let (at, waiting_for, after) = self.patience();
        if at <= now.mono {
            let tally = self.place.tally();
            let counter = match waiting_for {
                Wait::FirstBytes => &tally.unknown,
                Wait::Frame => &tally.slow_senders,
                _ => &tally.idle,
            };
            add(counter, 1);
            return Err(LinkError::TimedOut { waiting_for, after });
        }
        if let Some(machine) = self.machine() {
            machine.handle_timeout(now);
        }
        Ok(())
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(crate) fn poll_timeout(&self) -> MonoTime {
        let (patience, ..) = self.patience();
        let (held, machine) = match &self.state {
            State::Http(http) => (http.0.held_until(), http.1.poll_timeout()),
            State::Stream(talk) => (None, talk.machine.poll_timeout()),
            State::Arriving(_) | State::Over => (None, None),
        };
        [held, machine].into_iter().flatten().fold(patience, Ord::min)
    }

    /// Says what to do next.
    pub(crate) fn poll_write(&mut self, now: Now) -> Result<Write<'_>, LinkError> {
        self.take_answers();
        if self.out.is_empty() && !self.is_ending {
            match self.state {
                State::Stream(_) => return self.poll_stream(now),
                State::Http(_) => self.poll_http(now)?,
                State::Arriving(_) if self.is_draining => self.is_ending = true,
                State::Arriving(_) | State::Over => {}
            }
        }
        Ok(self.write_out())
    }

    /// Finishes what was begun, and nothing else: call this, read no more, and write until the end comes.
    pub(crate) fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Says that the client did not read.
    pub(crate) fn on_slow_reader(&self) {
        add(&self.place.tally().slow_readers, 1);
    }

    /// Gives memory back, since nothing happens. A thread has more of its own than this is worth.
    #[cfg(feature = "tokio")]
    pub(crate) fn release(&mut self) {
        match &mut self.state {
            State::Stream(talk) => {
                talk.outgoing.shrink();
                talk.ingoing.release();
            }
            State::Http(http) => http.0.buf.release(),
            State::Arriving(_) | State::Over => {}
        }
        self.frame = FrameBuf::new();
        self.out = Vec::new();
    }

    /// Returns until when something must have come, what, and how long that was allowed to take.
    fn patience(&self) -> (MonoTime, Wait, Duration) {
        let options = self.place.options();
        let (since, wait, after) = match (&self.state, self.partial_since) {
            (State::Arriving(_), _) => (self.last, Wait::FirstBytes, options.first_bytes_timeout),
            (_, Some(since)) => (since, Wait::Frame, options.frame_timeout),
            (_, None) => (self.last, Wait::Anything, options.idle_timeout),
        };
        (since + after, wait, after)
    }

    fn machine(&mut self) -> Option<&mut ServerConnection> {
        match &mut self.state {
            State::Stream(talk) => Some(&mut talk.machine),
            State::Http(http) => Some(&mut http.1),
            State::Arriving(_) | State::Over => None,
        }
    }

    fn on_arrival(&mut self, now: Now, arrival: Arrival, count: usize) -> Result<(), LinkError> {
        let tally = Arc::clone(self.place.tally());
        let arrived = arrival.commit(count, now.unix, &self.place, &mut self.rng, &mut self.out);
        let arrived = arrived.inspect_err(|_| add(&tally.unknown, 1))?;
        self.state = match arrived {
            Arrived::Nothing(arrival) => State::Arriving(Box::new(arrival)),
            Arrived::Stream { outgoing, ingoing, dc, disguise } => {
                add(&tally.streams, 1);
                tracing::debug!(framing = ?outgoing.framing(), ?disguise, ?dc, "connection detected");
                // A padded transport leaves up to 15 bytes behind a frame; the decoder removed what it could.
                let tail = match outgoing.framing() {
                    Framing::PaddedIntermediate => TransportTail::Padded,
                    _ => TransportTail::None,
                };
                let machine = self.connect(tail);
                State::Stream(Box::new(Talk { outgoing, ingoing, machine }))
            }
            Arrived::Http(buf) => {
                add(&tally.http, 1);
                tracing::debug!("connection speaks http");
                let side = HttpSide::new(buf, self.place.options().accept.limits);
                State::Http(Box::new((side, self.connect(TransportTail::None).over_http())))
            }
        };
        Ok(())
    }

    fn connect(&self, tail: TransportTail) -> ServerConnection {
        let waker = Arc::clone(&self.waker);
        self.engine.connect(self.peer, tail, move || waker())
    }

    /// Gives everything that arrived whole to the machine.
    fn take_in(&mut self, now: Now) -> Result<(), LinkError> {
        let Self { state, rng, out, .. } = self;
        let mut payloads = 0;
        let is_whole = match state {
            State::Stream(talk) => {
                while let Some(incoming) = talk.ingoing.take()? {
                    // Clients have no other words.
                    if let Incoming::Envelope { payload, ack } = incoming {
                        payloads += 1;
                        talk.machine.handle_payload(now, payload, ack, rng);
                    }
                }
                talk.ingoing.is_empty()
            }
            State::Http(http) => {
                let (side, machine) = http.as_mut();
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
                            side.fail(ErrorCode::UnknownAuthKey, out);
                            self.is_ending = true;
                            return Ok(());
                        }
                    }
                    if let Some(wait) = machine.take_http_wait() {
                        side.hold(now.mono, wait);
                    }
                }
                side.is_open() || side.buf.is_empty()
            }
            State::Arriving(_) | State::Over => return Ok(()),
        };
        if payloads > 0 {
            add(&self.place.tally().payloads_in, payloads);
            self.last = now.mono;
            self.partial_since = None;
        }
        self.partial_since = if is_whole { None } else { self.partial_since.or(Some(now.mono)) };
        Ok(())
    }

    /// Takes over what stands in between has to say by itself.
    fn take_answers(&mut self) {
        if let State::Stream(talk) = &self.state
            && let Some(shared) = talk.outgoing.carrier()
        {
            take_carried(shared, &mut self.out);
        }
    }

    fn write_out(&mut self) -> Write<'_> {
        if !self.out.is_empty() {
            add(&self.place.tally().bytes_out, self.out.len());
            return Write::Bytes(Cow::Owned(mem::take(&mut self.out)));
        }
        if self.is_ending { Write::End } else { Write::Nothing }
    }

    fn poll_stream(&mut self, now: Now) -> Result<Write<'_>, LinkError> {
        if let Some(mut late) = self.delayed.take() {
            self.encode(&mut late)?;
            return Ok(self.write_out());
        }
        let State::Stream(talk) = &mut self.state else { return Ok(Write::Nothing) };
        let (number, is_direct) = (talk.machine.number(), talk.outgoing.carrier().is_none());
        match talk.machine.poll_output(now, &mut self.rng, &mut self.frame) {
            None if self.is_draining && !talk.machine.is_busy() => self.end(),
            None => return Ok(Write::Nothing),
            Some(Output::QuickAck(token)) => {
                let bytes = talk.outgoing.quick_ack(token, &mut self.rng)?;
                self.out.extend_from_slice(bytes);
            }
            Some(Output::Error(code)) => self.end_with(code)?,
            Some(Output::Close) => self.end(),
            Some(Output::Frame) => {
                let fault = self.faults.outgoing(number);
                if fault.is_none() && self.swapped.is_none() && is_direct {
                    return self.write_frame();
                }
                if let Some(pause) = self.send_frame(fault.as_ref())? {
                    return Ok(Write::Pause(pause));
                }
            }
        }
        self.take_answers();
        if self.out.is_empty() && !self.is_ending {
            // A fault swallowed the envelope; there may be more.
            return Ok(Write::Bytes(Cow::Borrowed(&[])));
        }
        Ok(self.write_out())
    }

    /// Has the envelope in `frame` written where it lies.
    fn write_frame(&mut self) -> Result<Write<'_>, LinkError> {
        let State::Stream(talk) = &mut self.state else { return Err(LinkError::Closed) };
        let bytes = talk.outgoing.encode(&mut self.frame, AckRequest::No, &mut self.rng)?;
        let tally = self.place.tally();
        add(&tally.payloads_out, 1);
        add(&tally.bytes_out, bytes.len());
        Ok(Write::Bytes(Cow::Borrowed(bytes)))
    }

    /// Sends the envelope in `frame` with the fault that is due; says if there is a pause before it.
    fn send_frame(&mut self, fault: Option<&Fault>) -> Result<Option<Duration>, LinkError> {
        let mut frame = mem::take(&mut self.frame);
        if let Some(fault) = fault {
            tracing::debug!(?fault, "injected");
        }
        match fault {
            None => {
                self.encode(&mut frame)?;
                if let Some(mut swapped) = self.swapped.take() {
                    self.encode(&mut swapped)?;
                }
            }
            Some(Fault::Drop) => {}
            Some(Fault::Delay(time)) => {
                self.delayed = Some(frame);
                return Ok(Some(*time));
            }
            Some(Fault::Duplicate) => {
                let mut again = frame.clone();
                self.encode(&mut frame)?;
                self.encode(&mut again)?;
            }
            Some(Fault::Swap) => {
                self.swapped = Some(frame);
                return Ok(None);
            }
            Some(Fault::CloseAfter(count)) => {
                self.encode(&mut frame)?;
                self.take_answers();
                self.out.truncate(*count);
                self.is_ending = true;
                self.state = State::Over;
            }
            Some(Fault::Error(code)) => self.end_with(*code)?,
        }
        self.frame = frame;
        Ok(None)
    }

    /// Frames an envelope; the bytes wait in `out` or in what stands in between.
    fn encode(&mut self, frame: &mut FrameBuf) -> Result<(), LinkError> {
        let State::Stream(talk) = &mut self.state else { return Err(LinkError::Closed) };
        let bytes = talk.outgoing.encode(frame, AckRequest::No, &mut self.rng)?;
        self.out.extend_from_slice(bytes);
        add(&self.place.tally().payloads_out, 1);
        Ok(())
    }

    fn end_with(&mut self, code: ErrorCode) -> Result<(), LinkError> {
        if let State::Stream(talk) = &mut self.state {
            let bytes = talk.outgoing.error(code, &mut self.rng)?;
            self.out.extend_from_slice(bytes);
        }
        self.end();
        Ok(())
    }

    /// Ends the connection once everything is written.
    fn end(&mut self) {
        self.is_ending = true;
        if let State::Stream(talk) = &self.state
            && let Some(shared) = talk.outgoing.carrier()
        {
            shared.lock().close();
        }
        self.take_answers();
    }

    fn poll_http(&mut self, now: Now) -> Result<(), LinkError> {
        loop {
            let State::Http(http) = &mut self.state else { return Ok(()) };
            let (side, machine) = http.as_mut();
            if !side.is_open() {
                self.is_ending |= self.is_draining;
                return Ok(());
            }
            let persistence = match machine.poll_output(now, &mut self.rng, &mut self.frame) {
                Some(Output::QuickAck(_)) => continue,
                Some(Output::Frame) => match self.faults.outgoing(machine.number()) {
                    Some(Fault::Drop) => continue,
                    Some(Fault::CloseAfter(count)) => {
                        side.respond(self.frame.as_slice(), &mut self.out);
                        self.out.truncate(count);
                        Persistence::Close
                    }
                    Some(Fault::Error(code)) => {
                        side.fail(code, &mut self.out);
                        Persistence::Close
                    }
                    // Order and number of responses are those of the requests, whatever goes wrong.
                    _ => {
                        add(&self.place.tally().payloads_out, 1);
                        side.respond(self.frame.as_slice(), &mut self.out)
                    }
                },
                Some(Output::Error(code)) => {
                    side.fail(code, &mut self.out);
                    Persistence::Close
                }
                Some(Output::Close) => Persistence::Close,
                None if side.is_due(now.mono) || self.is_draining => side.respond(&[], &mut self.out),
                None => return Ok(()),
            };
            machine.release();
            if persistence == Persistence::Close {
                self.is_ending = true;
                return Ok(());
            }
            self.take_in(now)?;
        }
    }
}

/// Moves what waits to be written.
fn take_carried(shared: &Shared, out: &mut Vec<u8>) {
    let mut carried = shared.lock();
    if out.is_empty() {
        mem::swap(out, &mut carried.out);
    } else {
        out.append(&mut carried.out);
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
