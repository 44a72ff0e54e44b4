//! One connection, frame by frame, for programs with a session of their own.

use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chappe_carrier::{FrameReader, LinkError, Wait};
use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;
use chappe_session::{MonoTime, Now};
use chappe_transport::{AckRequest, Framing, Incoming, TransportErrorCode};

use crate::block_on::block_on;
use crate::driver::{Clock, Driver, Shared};
use crate::engine::{Action, ConnectionId, Input, Links, Machine, Prompted, SocketId, Wakers};
use crate::options::DialOptions;
use crate::store::handle::Unreadable;

/// A connection that can send and receive envelopes.
///
/// `tokio::dial` and `blocking::dial` make it. What is received can be awaited or waited for with either.
///
/// ```text
/// loop {
///     while let Some(incoming) = stream.take()? { /* handle it */ }
///     stream.read_more(patience).await?; // or `.wait()`
/// }
/// ```
///
/// The connection is closed when the stream is dropped.
pub struct Stream {
    shared: Arc<Shared<Pipe>>,
    frames: Option<(SocketId, Box<FrameReader>)>,
    payload: Option<Result<Vec<u8>, TransportErrorCode>>,
    /// What was handed out last.
    current: Vec<u8>,
    framing: Option<Framing>,
    peer: SocketAddr,
}

/// A machine without a session: one connection, whose frames wait to be taken.
#[derive(Debug)]
pub(crate) struct Pipe {
    links: Links,
    connection: ConnectionId,
    state: State,
    /// A buffer with frames. Nothing more is read until it is given back.
    frames: Option<(SocketId, Box<FrameReader>)>,
    /// Over HTTP, what arrived.
    payloads: VecDeque<Result<Vec<u8>, TransportErrorCode>>,
    outbox: VecDeque<(FrameBuf, AckRequest)>,
    waiter: Option<Waker>,
    /// When the wait ends without a frame.
    deadline: Option<MonoTime>,
    wakers: Wakers,
}

#[derive(Debug)]
enum State {
    Opening,
    Up,
    /// `None` once the error was told.
    Over(Option<LinkError>),
}

/// What a pipe has for its stream.
enum Found {
    Frames(SocketId, Box<FrameReader>),
    Payload(Result<Vec<u8>, TransportErrorCode>),
    Nothing,
}

impl Stream {
    /// Begins to connect; somebody must drive the driver.
    pub(crate) fn start(
        target: SocketAddr,
        options: &DialOptions,
        rng: &mut Drbg,
        clock: Clock,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> (Self, Driver) {
        let shared = Shared::new(|now| Pipe::new(now, target, options, rng.fork()), clock, wake);
        let driver = Driver::new(Arc::clone(&shared) as Arc<Shared<dyn Machine>>, None, Unreadable::Refuse);
        let (frames, payload) = (None, None);
        let stream = Self { shared, frames, payload, current: Vec::new(), framing: None, peer: target };
        (stream, driver)
    }

    /// Waits until frames can be sent.
    pub(crate) async fn connected(mut self) -> Result<Self, LinkError> {
        core::future::poll_fn(|context| self.shared.with(|pipe, _| pipe.poll_up(context))).await?;
        self.framing = self.shared.with(|pipe, _| pipe.links.framing(pipe.connection));
        Ok(self)
    }

    /// Sends an envelope and empties its buffer. What the socket does not take at once is kept; a peer that takes nothing
    /// for [`DialOptions::write_timeout`] loses the connection.
    ///
    /// Over HTTP nobody can ask for a quick acknowledgement, so `ack` means nothing there.
    ///
    /// # Errors
    ///
    /// The envelope is not one that a transport carries, or the connection is lost.
    pub fn send(&mut self, frame: &mut FrameBuf, ack: AckRequest) -> Result<(), LinkError> {
        let frame = mem::take(frame);
        self.shared.prompt(|pipe, now| {
            pipe.outbox.push_back((frame, ack));
            pipe.transmit(now);
            pipe.check()
        })
    }

    /// Returns the next thing that arrived whole, or `None` if more must be read.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes, or why the connection ended.
    pub fn take(&mut self) -> Result<Option<Incoming<'_>>, LinkError> {
        if self.frames.is_none() {
            match self.shared.with(|pipe, _| pipe.take())? {
                Found::Frames(socket, frames) => self.frames = Some((socket, frames)),
                Found::Payload(payload) => self.payload = Some(payload),
                Found::Nothing => {}
            }
        }
        if let Some((_, frames)) = &mut self.frames {
            return Ok(frames.take()?);
        }
        Ok(self.payload.take().map(|payload| match payload {
            Ok(payload) => {
                self.current = payload;
                Incoming::Envelope { payload: &mut self.current, ack: AckRequest::No }
            }
            Err(code) => Incoming::Error(code),
        }))
    }

    /// Waits for bytes for as long as `patience` allows, and gives whether some came. Everything that arrived must have been
    /// [taken](Self::take). May be cancelled: nothing that was read is lost.
    pub fn read_more(&mut self, patience: Duration) -> ReadMore<'_> {
        if let Some((socket, frames)) = self.frames.take() {
            self.shared.command(|pipe, _| pipe.links.read_again(socket, frames));
        }
        let deadline = self.shared.now().mono + patience;
        ReadMore { shared: &self.shared, deadline }
    }

    /// Blocks until something has arrived whole, and hands it to `handle`.
    ///
    /// # Errors
    ///
    /// [`LinkError::TimedOut`] after `patience`, or as [`take`](Self::take).
    pub fn receive<T>(
        &mut self,
        patience: Duration,
        handle: impl FnOnce(Incoming<'_>) -> T,
    ) -> Result<T, LinkError> {
        let begun = Instant::now();
        loop {
            if let Some(incoming) = self.take()? {
                return Ok(handle(incoming));
            }
            if !self.read_more(patience.saturating_sub(begun.elapsed())).wait()? {
                return Err(LinkError::TimedOut { waiting_for: Wait::Frame, after: patience });
            }
        }
    }

    /// Returns the framing. HTTP has none; what is returned for it leaves no padding behind frames, as HTTP does.
    pub fn framing(&self) -> Framing {
        self.framing.unwrap_or(Framing::Full)
    }

    /// Returns the peer's address: the datacenter's, or an `MTProxy`'s.
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.command(|pipe, _| pipe.end(LinkError::Closed));
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("peer", &self.peer)
            .field("framing", &self.framing)
            .finish_non_exhaustive()
    }
}

/// Waits for bytes; see [`Stream::read_more`].
#[derive(Debug)]
#[must_use = "nothing is waited for unless this is"]
pub struct ReadMore<'s> {
    shared: &'s Arc<Shared<Pipe>>,
    deadline: MonoTime,
}

impl ReadMore<'_> {
    /// Blocks until bytes came, or the time is over; gives which.
    ///
    /// # Errors
    ///
    /// As [`Stream::take`].
    pub fn wait(self) -> Result<bool, LinkError> {
        block_on(self)
    }
}

impl Future for ReadMore<'_> {
    type Output = Result<bool, LinkError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let deadline = self.deadline;
        // The driver wakes up at the deadline: it must hear of it.
        self.shared.command(|pipe, now| pipe.poll_more(now, deadline, context))
    }
}

impl Pipe {
    fn new(now: Now, target: SocketAddr, options: &DialOptions, rng: Drbg) -> Self {
        let mut links = Links::new(rng);
        let connection = links.dial(now, target.into(), Arc::new(options.clone()));
        Self {
            links,
            connection,
            state: State::Opening,
            frames: None,
            payloads: VecDeque::new(),
            outbox: VecDeque::new(),
            waiter: None,
            deadline: None,
            wakers: Wakers::default(),
        }
    }

    /// Returns the error that ended the connection.
    fn check(&mut self) -> Result<(), LinkError> {
        match &mut self.state {
            State::Over(error) => Err(error.take().unwrap_or(LinkError::Closed)),
            State::Opening | State::Up => Ok(()),
        }
    }

    fn poll_up(&mut self, context: &Context<'_>) -> Poll<Result<(), LinkError>> {
        if matches!(self.state, State::Opening) {
            self.waiter = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(self.check())
    }

    fn poll_more(
        &mut self,
        now: Now,
        deadline: MonoTime,
        context: &Context<'_>,
    ) -> Poll<Result<bool, LinkError>> {
        self.deadline = None;
        if self.frames.is_some() || !self.payloads.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if let Err(error) = self.check() {
            return Poll::Ready(Err(error));
        }
        if deadline <= now.mono {
            return Poll::Ready(Ok(false));
        }
        (self.deadline, self.waiter) = (Some(deadline), Some(context.waker().clone()));
        Poll::Pending
    }

    fn take(&mut self) -> Result<Found, LinkError> {
        if let Some((socket, frames)) = self.frames.take() {
            return Ok(Found::Frames(socket, frames));
        }
        if let Some(payload) = self.payloads.pop_front() {
            return Ok(Found::Payload(payload));
        }
        self.check().map(|()| Found::Nothing)
    }

    fn transmit(&mut self, now: Now) {
        while self.links.can_send(self.connection)
            && let Some((frame, ack)) = self.outbox.pop_front()
        {
            if let Err(error) = self.links.send(now, self.connection, frame, ack) {
                self.end(error);
            }
        }
    }

    fn end(&mut self, error: LinkError) {
        if !matches!(self.state, State::Over(_)) {
            self.state = State::Over(Some(error));
            self.links.close(self.connection);
        }
        self.tell();
    }

    fn tell(&mut self) {
        self.wakers.extend(self.waiter.take());
    }
}

impl Machine for Pipe {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    fn handle_input(&mut self, _now: Now, input: Input) {
        match input {
            Input::Nothing => {}
            Input::Up { connection, .. } => {
                self.state = State::Up;
                self.tell();
                // The last bytes of a proxy or an upgrade may have brought frames along.
                if let Input::Frames { socket, frames, .. } = self.links.take_frames(connection) {
                    if frames.is_empty() {
                        self.links.put_back(socket, frames);
                    } else {
                        self.frames = Some((socket, frames));
                    }
                }
            }
            Input::Down { error, .. } => self.end(error),
            Input::Frames { socket, frames, .. } => {
                self.frames = Some((socket, frames));
                self.tell();
            }
            Input::Answer { outcome, .. } => {
                self.payloads.push_back(outcome);
                self.tell();
            }
        }
    }

    fn handle_driver_ended(&mut self) {
        self.end(LinkError::Closed);
    }

    fn poll_action(&mut self, now: Now) -> Action {
        loop {
            match self.links.handle_timeout(now) {
                Input::Nothing => break,
                input => self.handle_input(now, input),
            }
        }
        if self.deadline.is_some_and(|deadline| deadline <= now.mono) {
            self.deadline = None;
            self.tell();
        }
        self.transmit(now);
        if let Some(action) = self.links.poll_action() {
            return action;
        }
        match self.state {
            State::Over(_) => Action::Finished,
            State::Opening | State::Up => {
                Action::WaitUntil(self.links.poll_timeout().into_iter().chain(self.deadline).min())
            }
        }
    }

    fn poll_prompted(&mut self, now: Now) -> Prompted {
        self.transmit(now);
        match self.links.poll_prompted() {
            _ if self.links.needs_driver() || !matches!(self.state, State::Up) => Prompted::NeedsDriver,
            Some(socket) => Prompted::Write(socket),
            None => Prompted::Nothing,
        }
    }

    fn take_wakers(&mut self) -> Wakers {
        mem::take(&mut self.wakers)
    }
}
