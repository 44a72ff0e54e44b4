//! One connection, frame by frame, for programs with a session of their own.

use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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

/// Most bytes that wait for the socket; one frame may wait however long it is.
const MOST_WAITING: usize = 4 << 20;

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
/// The connection is closed when the stream is dropped; frames that were accepted are written before, as far as the peer
/// takes them within [`DialOptions::write_timeout`].
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
    /// Bytes in the outbox.
    waiting: usize,
    /// How long a stream that was dropped may write.
    patience: Duration,
    waiter: Option<Waker>,
    /// Somebody waits until everything is written.
    awaits_flush: bool,
    /// When the wait ends without a frame.
    deadline: Option<MonoTime>,
    wakers: Wakers,
}

#[derive(Debug)]
enum State {
    Opening,
    Up,
    /// The stream was dropped. What waits is written until this time.
    Closing(MonoTime),
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
    /// Begins to connect; the caller must run the driver.
    pub(crate) fn start(
        target: SocketAddr,
        options: &DialOptions,
        rng: &mut Drbg,
        clock: Clock,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<(Self, Driver), LinkError> {
        options.validate().map_err(io::Error::from)?;
        let shared = Shared::new(|now, _| Pipe::new(now, target, options, rng.fork()), clock, wake);
        let driver = Driver::new(Arc::clone(&shared) as Arc<Shared<dyn Machine>>, None, Unreadable::Refuse);
        let (frames, payload) = (None, None);
        let stream = Self { shared, frames, payload, current: Vec::new(), framing: None, peer: target };
        Ok((stream, driver))
    }

    /// Waits until frames can be sent.
    pub(crate) async fn connected(mut self) -> Result<Self, LinkError> {
        core::future::poll_fn(|context| self.shared.with(|pipe, _| pipe.poll_up(context))).await?;
        self.framing = self.shared.with(|pipe, _| pipe.links.framing(pipe.connection));
        Ok(self)
    }

    /// Sends an envelope and empties its buffer. What the socket does not take at once is kept, up to 4 MiB; a peer that
    /// takes nothing for [`DialOptions::write_timeout`] loses the connection.
    ///
    /// HTTP has no quick acknowledgements, so `ack` means nothing there.
    ///
    /// # Errors
    ///
    /// [`LinkError::Congested`] if so much waits that the frame was not accepted: it is left as it is;
    /// [`flush`](Self::flush) waits until there is room. Otherwise the envelope is not one that a transport carries, or the
    /// connection is lost.
    pub fn send(&mut self, frame: &mut FrameBuf, ack: AckRequest) -> Result<(), LinkError> {
        self.shared.prompt(|pipe, now| {
            pipe.push(frame, ack)?;
            pipe.transmit(now);
            pipe.check()
        })
    }

    /// Waits until the socket has taken everything that was sent. May be cancelled.
    pub fn flush(&mut self) -> Flush<'_> {
        Flush { shared: &self.shared }
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
        let deadline = self.shared.now().mono + patience;
        loop {
            if let Some(incoming) = self.take()? {
                return Ok(handle(incoming));
            }
            let left = deadline.since(self.shared.now().mono);
            if !self.read_more(left).wait()? {
                return Err(LinkError::TimedOut { waiting_for: Wait::Frame, after: patience });
            }
        }
    }

    /// Returns the clock of the connection's driver.
    pub(crate) fn clock(&self) -> impl Fn() -> Now + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.now()
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
        self.shared.command(Pipe::close);
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

impl Drop for ReadMore<'_> {
    fn drop(&mut self) {
        self.shared.with(|pipe, _| pipe.forget_waiter());
    }
}

/// Waits until everything is written; see [`Stream::flush`].
#[derive(Debug)]
#[must_use = "nothing is waited for unless this is"]
pub struct Flush<'s> {
    shared: &'s Arc<Shared<Pipe>>,
}

impl Flush<'_> {
    /// Blocks until the socket has taken everything.
    ///
    /// # Errors
    ///
    /// As [`Stream::take`].
    pub fn wait(self) -> Result<(), LinkError> {
        block_on(self)
    }
}

impl Future for Flush<'_> {
    type Output = Result<(), LinkError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.shared.with(|pipe, _| pipe.poll_flushed(context))
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        self.shared.with(|pipe, _| pipe.forget_waiter());
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
            waiting: 0,
            patience: options.write_timeout,
            waiter: None,
            awaits_flush: false,
            deadline: None,
            wakers: Wakers::default(),
        }
    }

    /// Returns the error that ended the connection.
    fn check(&mut self) -> Result<(), LinkError> {
        match &mut self.state {
            State::Over(error) => Err(error.take().unwrap_or(LinkError::Closed)),
            State::Opening | State::Up | State::Closing(_) => Ok(()),
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

    /// Accepts a frame, and leaves an empty one in its place.
    fn push(&mut self, frame: &mut FrameBuf, ack: AckRequest) -> Result<(), LinkError> {
        if self.waiting > 0 && self.waiting + frame.len() > MOST_WAITING {
            return Err(LinkError::Congested);
        }
        self.waiting += frame.len();
        self.outbox.push_back((mem::take(frame), ack));
        Ok(())
    }

    /// Returns whether the socket has taken everything.
    fn is_flushed(&self) -> bool {
        self.outbox.is_empty() && self.links.is_flushed()
    }

    fn poll_flushed(&mut self, context: &Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        if self.is_flushed() {
            return Poll::Ready(Ok(()));
        }
        (self.waiter, self.awaits_flush) = (Some(context.waker().clone()), true);
        Poll::Pending
    }

    /// Wakes the tasks that wait until everything is written.
    fn tell_flushed(&mut self) {
        if self.awaits_flush && self.is_flushed() {
            self.tell();
        }
    }

    /// The wait ended or was dropped.
    fn forget_waiter(&mut self) {
        (self.waiter, self.awaits_flush, self.deadline) = (None, false, None);
    }

    /// The stream was dropped: ends once everything is written.
    fn close(&mut self, now: Now) {
        if matches!(self.state, State::Up) && !self.is_flushed() {
            self.state = State::Closing(now.mono + self.patience);
        } else if !matches!(self.state, State::Closing(_)) {
            self.end(LinkError::Closed);
        }
    }

    fn transmit(&mut self, now: Now) {
        while self.links.can_send(self.connection)
            && let Some((frame, ack)) = self.outbox.pop_front()
        {
            self.waiting -= frame.len();
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
        self.awaits_flush = false;
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
            // The reader is gone.
            Input::Frames { .. } | Input::Answer { .. } if matches!(self.state, State::Closing(_)) => {}
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
        self.tell_flushed();
        if let State::Closing(until) = self.state
            && (until <= now.mono || self.is_flushed())
        {
            self.end(LinkError::Closed);
        }
        if let Some(action) = self.links.poll_action() {
            return action;
        }
        let closing = match self.state {
            State::Over(_) => return Action::Finished,
            State::Closing(until) => Some(until),
            State::Opening | State::Up => None,
        };
        let others = [self.links.poll_timeout(), self.deadline, closing];
        Action::WaitUntil(others.into_iter().flatten().min())
    }

    fn poll_prompted(&mut self, now: Now) -> Prompted {
        self.transmit(now);
        self.tell_flushed();
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

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::io;
    use std::task::Wake;

    use chappe_transport::Connector;

    use super::*;
    use crate::driver::Socket;

    /// A socket that takes so many bytes and no more.
    #[derive(Default)]
    struct Narrow {
        room: AtomicUsize,
        taken: AtomicUsize,
    }

    impl Socket for Narrow {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.room.load(Ordering::SeqCst).min(bytes.len());
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room.fetch_sub(count, Ordering::SeqCst);
            self.taken.fetch_add(count, Ordering::SeqCst);
            Ok(count)
        }
    }

    /// A stream over a socket that takes the first bytes of the transport and nothing else.
    fn stream() -> (Stream, Driver, SocketId, Arc<Narrow>) {
        let options = DialOptions::new(Connector::plain(Framing::Intermediate));
        let (clock, wake): (Clock, Box<dyn Fn() + Send + Sync>) =
            (Box::new(Now::from_system), Box::new(|| {}));
        let mut rng = Drbg::from_seed([1; 32]);
        let (stream, driver) = Stream::start(([127, 0, 0, 1], 443).into(), &options, &mut rng, clock, wake)
            .expect("good options");
        let Action::Connect { socket, .. } = driver.poll_action() else { panic!("it connects first") };
        let narrow = Arc::new(Narrow { room: AtomicUsize::new(4), taken: AtomicUsize::new(0) });
        assert!(driver.sockets().connected(socket, Arc::clone(&narrow) as Arc<dyn Socket>));
        run(&driver, socket);
        (block_on(stream.connected()).expect("it stands"), driver, socket, narrow)
    }

    /// Does what the driver is asked for; returns whether it has ended.
    fn run(driver: &Driver, socket: SocketId) -> bool {
        loop {
            match driver.poll_action() {
                Action::Write(socket) => drop(driver.sockets().flush(socket)),
                Action::Close(_) => driver.sockets().close(socket),
                Action::WaitUntil(_) => return false,
                Action::Finished => return true,
                _ => {}
            }
        }
    }

    fn frame() -> FrameBuf {
        let mut frame = FrameBuf::new();
        frame.append(&[7; 1024]);
        frame
    }

    #[test]
    fn frames_that_nobody_takes_are_refused_in_the_end_and_stay_with_the_caller() {
        let (mut stream, driver, socket, narrow) = stream();
        let mut frames = 0;
        let refused = loop {
            assert!(frames < 100_000, "there is no bound");
            let mut frame = frame();
            if stream.send(&mut frame, AckRequest::No).is_err() {
                break frame;
            }
            frames += 1;
        };
        assert_eq!(refused.len(), 1024);
        // What was accepted is written in the end.
        narrow.room.store(usize::MAX, Ordering::SeqCst);
        driver.sockets().flush(socket);
        run(&driver, socket);
        assert_eq!(narrow.taken.load(Ordering::SeqCst), 4 + frames * (4 + 1024));
        stream.send(&mut frame(), AckRequest::No).expect("there is room again");
    }

    #[test]
    fn frames_that_wait_when_a_stream_is_dropped_are_written() {
        let (mut stream, driver, socket, narrow) = stream();
        for _ in 0..5 {
            stream.send(&mut frame(), AckRequest::No).expect("there is room");
        }
        run(&driver, socket);
        drop(stream);
        assert!(!run(&driver, socket), "something waits to be written");
        narrow.room.store(usize::MAX, Ordering::SeqCst);
        driver.sockets().flush(socket);
        assert!(run(&driver, socket), "everything was written");
        assert_eq!(narrow.taken.load(Ordering::SeqCst), 4 + 5 * (4 + 1024));
    }

    /// A waker that counts its clones.
    struct Counted;

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_wait_for_bytes_that_is_dropped_leaves_nothing_behind() {
        let (mut stream, driver, socket, _) = stream();
        let counted = Arc::new(Counted);
        let waker = Waker::from(Arc::clone(&counted));
        let mut wait = stream.read_more(Duration::from_secs(60));
        assert!(Pin::new(&mut wait).poll(&mut Context::from_waker(&waker)).is_pending());
        drop((wait, waker));
        assert_eq!(Arc::strong_count(&counted), 1, "the waker stays");
        run(&driver, socket);
        assert!(matches!(driver.poll_action(), Action::WaitUntil(None)), "the time-out stays");
    }
}
