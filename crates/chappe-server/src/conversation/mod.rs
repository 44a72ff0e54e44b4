//! A server's connection from its first byte to its last, without its socket: bytes in, bytes out.
//!
//! Both servers, blocking and tokio, are thin around this. Order of calls: read into [`space`](Conversation::space)
//! and [`handle_read`](Conversation::handle_read), or [`handle_timeout`](Conversation::handle_timeout) once
//! [`poll_timeout`](Conversation::poll_timeout) has passed; after each, and after each call of the waker,
//! [`poll_write`](Conversation::poll_write) until it gives nothing; then [`rest`](Conversation::rest). A connection that
//! is not read while it is written to keeps its client from asking more than it takes. All of them use one kit, which
//! after `rest` may be given to another connection.

mod output;

use core::mem;
use core::time::Duration;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use chappe_framing::{FrameBuf, TransportTail};
use chappe_session::{MonoTime, Now};
use chappe_transport::{AckRequest, Framing, Incoming, TransportErrorCode};

use crate::arrival::{Arrival, Arrived};
use crate::counters::add;
use crate::faults::Faults;
use crate::gate::Place;
use crate::http::HttpSide;
use crate::kit::Kit;
use crate::{Engine, ServerConnection};
use chappe_carrier::{FrameReader, FrameWriter};
use chappe_carrier::{LinkError, Wait};

/// What a driver is to do next.
#[derive(Debug)]
pub enum Write<'a> {
    /// Wait for bytes, for the waker or for the time.
    Nothing,
    /// Write all of these.
    Bytes(&'a [u8]),
    /// Wait this long, and do nothing meanwhile.
    Pause(Duration),
    /// Close the connection.
    End,
}

/// One connection.
pub struct Conversation {
    engine: Arc<Engine>,
    faults: Arc<dyn Faults>,
    place: Place,
    peer: SocketAddr,
    waker: Arc<dyn Fn() + Send + Sync>,
    state: State,
    /// What lay in the kit to be written has been.
    is_written: bool,
    /// An envelope that waits for the next one, by [`Fault::Swap`](crate::Fault::Swap).
    swapped: Option<Box<FrameBuf>>,
    /// An envelope that comes late, by [`Fault::Delay`](crate::Fault::Delay).
    delayed: Option<Box<FrameBuf>>,
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
    outgoing: FrameWriter,
    ingoing: FrameReader,
    machine: ServerConnection,
}

impl Conversation {
    /// Begins with a connection that was just admitted; `waker` is called, from any thread, when it has something to
    /// write that no input asked for.
    pub fn new(
        engine: Arc<Engine>,
        faults: Arc<dyn Faults>,
        place: Place,
        peer: SocketAddr,
        waker: Arc<dyn Fn() + Send + Sync>,
        now: Now,
    ) -> Self {
        add(&place.tally().accepted, 1);
        let state = State::Arriving(Box::new(Arrival::new(&place)));
        Self {
            engine,
            faults,
            place,
            peer,
            waker,
            state,
            is_written: false,
            swapped: None,
            delayed: None,
            last: now.mono,
            partial_since: None,
            is_draining: false,
            is_ending: false,
        }
    }

    /// Returns how long a client may refuse to read.
    pub fn write_timeout(&self) -> Duration {
        self.place.options().write_timeout
    }

    /// Returns room to read into.
    ///
    /// # Errors
    ///
    /// A frame is longer than the limit, or the connection has ended.
    pub fn space(&mut self, kit: &mut Kit) -> Result<&mut [u8], LinkError> {
        match &mut self.state {
            State::Arriving(arrival) => arrival.space(),
            State::Stream(talk) => {
                talk.ingoing.borrow(&mut kit.input, &mut kit.raw);
                Ok(talk.ingoing.space()?)
            }
            State::Http(http) => {
                let buf = &mut http.0.buf;
                if buf.memory() == 0 {
                    buf.exchange(&mut kit.input);
                }
                Ok(buf.space()?)
            }
            State::Over => Err(LinkError::Closed),
        }
    }

    /// Handles `count` bytes that were read; 0 means that the client closed the connection.
    ///
    /// # Errors
    ///
    /// The client closed the connection, or speaks nothing that is served; the connection must be closed.
    pub fn handle_read(&mut self, now: Now, kit: &mut Kit, count: usize) -> Result<(), LinkError> {
        if count == 0 {
            return Err(LinkError::Closed);
        }
        add(&self.place.tally().bytes_in, count);
        match mem::replace(&mut self.state, State::Over) {
            State::Arriving(arrival) => self.on_arrival(now, kit, *arrival, count)?,
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
        self.take_in(now, kit)
    }

    /// Says that time has passed.
    ///
    /// # Errors
    ///
    /// [`LinkError::TimedOut`] if the client was silent, or slow, for too long.
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), LinkError> {
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
    pub fn poll_timeout(&self) -> MonoTime {
        let (patience, ..) = self.patience();
        let (held, machine) = match &self.state {
            State::Http(http) => (http.0.held_until(), http.1.poll_timeout()),
            State::Stream(talk) => (None, talk.machine.poll_timeout()),
            State::Arriving(_) | State::Over => (None, None),
        };
        [held, machine].into_iter().flatten().fold(patience, Ord::min)
    }

    /// Finishes what was begun, and nothing else: call this, read no more, and write until the end comes.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Says that the client did not read.
    pub fn on_slow_reader(&self) {
        add(&self.place.tally().slow_readers, 1);
    }

    /// Gives memory back, since everything was written and nothing is known to come. What waits for its rest stays here.
    pub fn rest(&mut self, kit: &mut Kit) {
        match &mut self.state {
            State::Stream(talk) => {
                talk.outgoing.shrink();
                talk.ingoing.give_back(&mut kit.input, &mut kit.raw);
            }
            State::Http(http) => {
                http.0.buf.exchange(&mut kit.input);
                http.0.buf.release();
            }
            State::Arriving(arrival) => arrival.rest(),
            State::Over => {}
        }
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

    fn on_arrival(
        &mut self,
        now: Now,
        kit: &mut Kit,
        arrival: Arrival,
        count: usize,
    ) -> Result<(), LinkError> {
        let tally = Arc::clone(self.place.tally());
        let arrived = arrival.commit(count, now.unix, &self.place, &mut kit.rng, &mut kit.out);
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
    fn take_in(&mut self, now: Now, kit: &mut Kit) -> Result<(), LinkError> {
        let Kit { rng, out, .. } = kit;
        let mut payloads = 0;
        let is_whole = match &mut self.state {
            State::Stream(talk) => {
                while let Some(incoming) = talk.ingoing.take()? {
                    // Clients have no other words.
                    if let Incoming::Envelope { payload, ack } = incoming {
                        payloads += 1;
                        talk.machine.handle_payload(now, payload, ack, rng);
                    }
                }
                talk.ingoing.is_whole()
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
                            side.fail(TransportErrorCode::UnknownAuthKey, out);
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
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("peer", &self.peer)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
