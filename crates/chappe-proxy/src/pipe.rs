//! Two sockets and the relay between them.
//!
//! Each direction reads at most one window, and reads again when all of it is written: a slow reader stops its writer. A
//! connection on which nothing passes holds no buffer.

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut as _;
use chappe_carrier::{Carried, LinkError, Wait};
use chappe_transport::{Connection, ReadBuf, Relay};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::buffers::Buffers;
use crate::config::ProxyLimits;
use crate::upstream::Datacenter;
use crate::user::{Direction, UserPermit};

/// Both directions of a connection.
pub(crate) struct Pipe {
    client: TcpStream,
    datacenter: TcpStream,
    up: Half,
    down: Half,
    /// WebSocket and TLS between the socket and the stream of the datacenter, which few proxies use.
    layers: Option<Box<Layers>>,
    idle: Duration,
    write: Duration,
    active_at: Instant,
}

/// One direction.
struct Half {
    relay: Relay,
    /// What was read and translated; `written` bytes of it are written.
    buffer: Vec<u8>,
    written: usize,
    /// Since when the reader takes nothing.
    stalled_at: Option<Instant>,
}

struct Layers {
    carried: Carried,
    read: ReadBuf,
}

impl Pipe {
    /// Joins a client and its datacenter; `read` holds bytes that the client sent behind its header.
    pub(crate) fn join(
        client: (TcpStream, Connection, ReadBuf),
        datacenter: Datacenter,
        limits: &ProxyLimits,
    ) -> Result<Self, LinkError> {
        let (client, accepted, mut read) = client;
        let Datacenter { socket, connection, read: mut answered, stack } = datacenter;
        let (up, down) = Relay::join(accepted, connection);
        let (mut up, mut down) = (Half::new(up), Half::new(down));
        up.relay.pass_buffered(&mut read, &mut up.buffer, &mut Vec::new())?;
        down.relay.pass_buffered(&mut answered, &mut down.buffer, &mut Vec::new())?;
        let mut layers = None;
        if !stack.is_empty() {
            let mut carried = Carried::new(stack);
            carried.send(&up.buffer)?;
            up.buffer.clear();
            layers = Some(Box::new(Layers { carried, read: answered }));
        }
        Ok(Self {
            client,
            datacenter: socket,
            up,
            down,
            layers,
            idle: Duration::from_secs(limits.idle),
            write: Duration::from_secs(limits.write),
            active_at: Instant::now(),
        })
    }

    /// Returns how many bytes of the client wait that it sent behind its header.
    pub(crate) fn begun(&self) -> usize {
        let carried = self.layers.as_ref().map_or(0, |layers| layers.carried.out.len());
        self.up.buffer.len() + carried
    }

    /// Passes bytes until one side ends. `permit` counts them, and ends the connection if it allows no more.
    pub(crate) async fn run(mut self, buffers: &Buffers, permit: &UserPermit) -> Result<End, LinkError> {
        let mut alarm = pin!(sleep(self.idle));
        poll_fn(|cx| {
            let moved = self.poll(cx, buffers, permit);
            if moved.is_ready() {
                return moved;
            }
            self.poll_alarm(cx, alarm.as_mut())
        })
        .await
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        permit: &UserPermit,
    ) -> Poll<Result<End, LinkError>> {
        let now = Instant::now();
        if let Poll::Ready(end) = self.poll_down(cx, buffers, permit, now)? {
            return Poll::Ready(Ok(end));
        }
        // Behind the other, which can have made answers of a layer.
        let was_full = self.is_full(buffers);
        let end = self.poll_up(cx, buffers, permit, now);
        if was_full && !self.is_full(buffers) {
            cx.waker().wake_by_ref();
        }
        end
    }

    /// Returns whether so many answers of a layer wait that the datacenter must read some first.
    fn is_full(&self, buffers: &Buffers) -> bool {
        self.layers.as_ref().is_some_and(|layers| layers.carried.out.len() > buffers.window())
    }

    /// From the client to the datacenter.
    fn poll_up(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        permit: &UserPermit,
        now: Instant,
    ) -> Poll<Result<End, LinkError>> {
        loop {
            ready!(self.up.poll_write(cx, &self.datacenter, now))?;
            self.up.release(buffers);
            if let Some(layers) = &mut self.layers
                && !layers.carried.out.is_empty()
            {
                self.up.buffer = mem::take(&mut layers.carried.out);
                continue;
            }
            let Some(mut bytes) = ready!(poll_read(cx, &self.client, buffers))? else {
                return Poll::Ready(Ok(End::Client));
            };
            self.active_at = now;
            if !permit.count(Direction::Up, bytes.len()) {
                return Poll::Ready(Ok(End::Limit));
            }
            self.up.pass(&mut bytes, buffers)?;
            match &mut self.layers {
                None => self.up.buffer = bytes,
                Some(layers) => {
                    layers.carried.send(&bytes)?;
                    buffers.give(bytes);
                }
            }
        }
    }

    /// From the datacenter to the client.
    fn poll_down(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        permit: &UserPermit,
        now: Instant,
    ) -> Poll<Result<End, LinkError>> {
        loop {
            ready!(self.down.poll_write(cx, &self.client, now))?;
            self.down.release(buffers);
            // A datacenter that sends pings and does not read may not queue more answers.
            if self.is_full(buffers) {
                return Poll::Pending;
            }
            let Some(mut bytes) = ready!(poll_read(cx, &self.datacenter, buffers))? else {
                return Poll::Ready(Ok(End::Datacenter));
            };
            self.active_at = now;
            match &mut self.layers {
                None => self.down.pass(&mut bytes, buffers)?,
                Some(layers) => {
                    layers.carried.receive(&bytes, &mut layers.read)?;
                    bytes.clear();
                    self.down.relay.pass_buffered(&mut layers.read, &mut bytes, &mut Vec::new())?;
                    layers.read.release();
                }
            }
            if !permit.count(Direction::Down, bytes.len()) {
                return Poll::Ready(Ok(End::Limit));
            }
            self.down.buffer = bytes;
        }
    }

    /// Ends a connection that is silent, or whose reader takes nothing.
    fn poll_alarm(&self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Poll<Result<End, LinkError>> {
        let stalled_at = [self.up.stalled_at, self.down.stalled_at].into_iter().flatten().min();
        let (deadline, waiting_for, after) = match stalled_at {
            Some(stalled_at) => (stalled_at + self.write, Wait::Write, self.write),
            None => (self.active_at + self.idle, Wait::Anything, self.idle),
        };
        // Most deadlines move into the future: the timer fires at the old one and is set anew then.
        if deadline < alarm.deadline() {
            alarm.as_mut().reset(deadline);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(Err(LinkError::TimedOut { waiting_for, after }));
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// How a connection ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client closed it.
    Client,
    /// The datacenter closed it.
    Datacenter,
    /// The user's limit is used up.
    Limit,
}

impl Half {
    fn new(relay: Relay) -> Self {
        Self { relay, buffer: Vec::new(), written: 0, stalled_at: None }
    }

    /// Translates bytes that were read.
    fn pass(&mut self, bytes: &mut Vec<u8>, buffers: &Buffers) -> Result<(), LinkError> {
        if !self.relay.is_translated() {
            return Ok(self.relay.pass(bytes, &mut Vec::new())?);
        }
        let mut scratch = buffers.take();
        let passed = self.relay.pass(bytes, &mut scratch);
        buffers.give(scratch);
        Ok(passed?)
    }

    /// Writes what waits. Ready once nothing does.
    fn poll_write(&mut self, cx: &mut Context<'_>, to: &TcpStream, now: Instant) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let Poll::Ready(is_ready) = to.poll_write_ready(cx) else {
                self.stalled_at.get_or_insert(now);
                return Poll::Pending;
            };
            is_ready?;
            match to.try_write(&self.buffer[self.written..]) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.written += count;
                    self.stalled_at = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn release(&mut self, buffers: &Buffers) {
        self.written = 0;
        if self.buffer.capacity() > 0 {
            buffers.give(mem::take(&mut self.buffer));
        }
    }
}

/// Reads at most a window. Ready with `None` at the end of the stream, and pending if there is nothing.
fn poll_read(cx: &mut Context<'_>, from: &TcpStream, buffers: &Buffers) -> Poll<io::Result<Option<Vec<u8>>>> {
    loop {
        ready!(from.poll_read_ready(cx))?;
        let mut buffer = buffers.take();
        match from.try_read_buf(&mut (&mut buffer).limit(buffers.window())) {
            Ok(0) => {
                buffers.give(buffer);
                return Poll::Ready(Ok(None));
            }
            Ok(_) => return Poll::Ready(Ok(Some(buffer))),
            Err(error) => {
                buffers.give(buffer);
                if error.kind() != io::ErrorKind::WouldBlock {
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}
