//! The connections of an engine and the sockets beneath them.
//!
//! A connection carries frames. It has one socket, or over HTTP up to [`LANES`]: since a session that waits for news keeps
//! a request open (`http_wait`), calls need other sockets. Which one carries a payload means nothing to either side.
//!
//! Spec: <https://core.telegram.org/mtproto/transports#http>.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use chappe_carrier::{Address, FrameReader, LANES, LinkError, QUEUE, may_repeat};
use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, TransportTail};
use chappe_session::{MonoTime, Now};
use chappe_transport::{AckRequest, Framing, TransportErrorCode};

use super::action::{Action, ReadBuffer, SocketId, WriteBuffer};
use super::link::{Link, Progress, Request};
use crate::options::DialOptions;

/// Numbers the connections of an engine, those that were only tried included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(u64);

impl ConnectionId {
    /// Returns the number.
    pub(super) const fn get(self) -> u64 {
        self.0
    }
}

/// Memory that the spare buffer of frames keeps: a part of a file on its way up.
const KEPT_FRAME: usize = 1 << 20;

/// The connections of an engine.
#[derive(Debug)]
pub(crate) struct Links {
    connections: Vec<Connection>,
    sockets: Vec<Link>,
    /// Connections and sockets made so far.
    last_id: u64,
    actions: VecDeque<Action>,
    /// Last bytes for sockets that are being closed.
    farewells: Vec<(SocketId, WriteBuffer)>,
    spare: Option<FrameBuf>,
    /// Bytes that all sockets read so far.
    read: u64,
    /// Bytes that all sockets wrote so far.
    written: u64,
    rng: Drbg,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    target: Address,
    options: Arc<DialOptions>,
    /// It was reported that frames can be sent.
    is_up: bool,
    /// Over HTTP: payloads that wait for a socket.
    queue: VecDeque<Request>,
    /// Over HTTP: the socket that carried the last question of a key exchange. Some servers keep exchanges by connection.
    exchange: Option<SocketId>,
}

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum Input {
    /// Nothing.
    Nothing,
    /// Frames can be sent.
    Up { connection: ConnectionId, tail: TransportTail },
    /// It could not be made or was lost; [`Links::close`] forgets it.
    Down { connection: ConnectionId, error: LinkError },
    /// Frames may have arrived; [`Links::put_back`] takes the buffer.
    Frames { connection: ConnectionId, socket: SocketId, frames: Box<FrameReader> },
    /// Over HTTP, a payload arrived, or a status instead of one.
    Answer { connection: ConnectionId, outcome: Result<Vec<u8>, TransportErrorCode> },
}

impl Links {
    pub(crate) const fn new(rng: Drbg) -> Self {
        Self {
            connections: Vec::new(),
            sockets: Vec::new(),
            last_id: 0,
            actions: VecDeque::new(),
            farewells: Vec::new(),
            spare: None,
            read: 0,
            written: 0,
            rng,
        }
    }

    /// Returns whether another frame can be sent over a connection now.
    pub(crate) fn can_send(&self, connection: ConnectionId) -> bool {
        match self.connections.iter().find(|known| known.id == connection) {
            Some(known) if known.is_http() => known.is_up && known.queue.len() < QUEUE,
            Some(_) => self.link_of(connection).is_some_and(Link::can_send),
            None => false,
        }
    }

    /// Returns how many bytes all sockets read and wrote so far.
    pub(crate) const fn bytes(&self) -> (u64, u64) {
        (self.read, self.written)
    }

    /// Returns the address of a connection and its proxy.
    pub(crate) fn peer(&self, connection: ConnectionId) -> Option<(Address, Option<String>)> {
        let known = self.connections.iter().find(|known| known.id == connection)?;
        Some((known.target.clone(), known.options.proxy.as_ref().map(|proxy| proxy.address().to_owned())))
    }

    /// Returns whether a connection carries requests of HTTP.
    pub(crate) fn is_http(&self, connection: ConnectionId) -> bool {
        self.connections.iter().any(|known| known.id == connection && known.is_http())
    }

    /// Returns the framing of a connection; HTTP has none.
    pub(crate) fn framing(&self, connection: ConnectionId) -> Option<Framing> {
        self.link_of(connection).and_then(Link::framing)
    }

    /// Returns the connection of a socket.
    pub(crate) fn connection_of(&self, socket: SocketId) -> Option<ConnectionId> {
        self.sockets.iter().find(|link| link.id == socket).map(|link| link.connection)
    }

    /// Returns whether a socket is still wanted.
    pub(crate) fn is_known(&self, socket: SocketId) -> bool {
        self.sockets.iter().any(|link| link.id == socket)
    }

    /// Returns whether a socket took nothing when it was last written to.
    pub(crate) fn is_stalled(&self, socket: SocketId) -> bool {
        self.sockets.iter().any(|link| link.id == socket && link.is_stalled())
    }

    /// Returns whether the sockets have taken everything.
    pub(crate) fn is_flushed(&self) -> bool {
        self.connections.iter().all(|known| known.queue.is_empty())
            && self.sockets.iter().all(Link::is_flushed)
    }

    fn link_of(&self, connection: ConnectionId) -> Option<&Link> {
        self.sockets.iter().find(|link| link.connection == connection)
    }

    fn link(&mut self, socket: SocketId) -> Option<&mut Link> {
        self.sockets.iter_mut().find(|link| link.id == socket)
    }
}

/// Input.
impl Links {
    /// A socket is connected; an error to the connection's owner if it can not go on.
    pub(crate) fn handle_connected(&mut self, now: Now, socket: SocketId) -> Input {
        let Some(place) = self.sockets.iter().position(|link| link.id == socket) else {
            return Input::Nothing;
        };
        let connection = self.sockets[place].connection;
        let Some(target) =
            self.connections.iter().find(|known| known.id == connection).map(|known| &known.target)
        else {
            return Input::Nothing;
        };
        self.actions.push_back(Action::Read(socket));
        let progress = self.sockets[place].handle_connected(now, target, &mut self.rng);
        self.on_progress(now, socket, progress)
    }

    /// A socket could not be connected.
    pub(crate) fn handle_connect_failed(&mut self, now: Now, socket: SocketId, error: io::Error) -> Input {
        match self.link(socket).map(|link| link.on_connect_failed(error)) {
            Some(error) => self.on_lost(now, socket, error),
            None => Input::Nothing,
        }
    }

    /// Lends room to read into; `None` if nothing more is to be read.
    pub(crate) fn begin_read(&mut self, socket: SocketId) -> Option<ReadBuffer> {
        self.link(socket)?.begin_read()
    }

    /// Takes the room back with what was read.
    pub(crate) fn end_read(
        &mut self,
        now: Now,
        socket: SocketId,
        buffer: ReadBuffer,
        read: io::Result<usize>,
    ) -> Input {
        self.read += read.as_ref().map_or(0, |count| *count as u64);
        let Some(place) = self.sockets.iter().position(|link| link.id == socket) else {
            return Input::Nothing;
        };
        let progress = self.sockets[place].handle_read(now, buffer, read, &mut self.rng);
        self.on_progress(now, socket, progress)
    }

    /// Takes a buffer back whose frames were handled.
    pub(crate) fn put_back(&mut self, socket: SocketId, frames: Box<FrameReader>) {
        if let Some(link) = self.link(socket) {
            link.put_back(ReadBuffer(super::action::Room::Stream(frames)));
        }
    }

    /// The same, and requests more.
    pub(crate) fn read_again(&mut self, socket: SocketId, frames: Box<FrameReader>) {
        if self.is_known(socket) {
            self.put_back(socket, frames);
            self.actions.push_back(Action::Read(socket));
        }
    }

    /// Takes the buffer of a connection that has just come up: frames may have come with its last answer.
    pub(crate) fn take_frames(&mut self, connection: ConnectionId) -> Input {
        let link = self.sockets.iter_mut().find(|link| link.connection == connection && link.is_up());
        match link.and_then(|link| Some((link.id, link.begin_read()?))) {
            Some((socket, ReadBuffer(super::action::Room::Stream(frames)))) => {
                Input::Frames { connection, socket, frames }
            }
            _ => Input::Nothing,
        }
    }

    /// Lends what is to be written; `None` if there is nothing or another thread writes.
    pub(crate) fn begin_write(&mut self, socket: SocketId) -> Option<WriteBuffer> {
        if let Some(place) = self.farewells.iter().position(|(closing, _)| *closing == socket) {
            return Some(self.farewells.swap_remove(place).1);
        }
        self.link(socket)?.begin_write()
    }

    /// The driver wanted to write while another thread did: it is told again if something is left.
    pub(crate) fn write_later(&mut self, socket: SocketId) {
        if let Some(link) = self.link(socket) {
            link.write_later();
        }
    }

    /// Takes the buffer back with what the socket took of it.
    pub(crate) fn end_write(
        &mut self,
        now: Now,
        socket: SocketId,
        buffer: WriteBuffer,
        written: io::Result<usize>,
    ) -> Input {
        self.written += written.as_ref().map_or(0, |count| *count as u64);
        let Some(link) = self.link(socket) else {
            self.give_back(buffer.into_frame());
            return Input::Nothing;
        };
        match link.end_write(now, buffer, written) {
            Ok(frame) => {
                if let Some(frame) = frame {
                    self.give_back(frame);
                }
                self.assign(now);
                Input::Nothing
            }
            Err(error) => self.on_lost(now, socket, error),
        }
    }

    /// Time has passed. To be called until it gives nothing.
    pub(crate) fn handle_timeout(&mut self, now: Now) -> Input {
        let late = self.sockets.iter().find_map(|link| Some((link.id, link.check_time(now.mono)?)));
        match late {
            Some((socket, error)) => self.on_lost(now, socket, error),
            None => Input::Nothing,
        }
    }

    fn on_progress(&mut self, now: Now, socket: SocketId, progress: Result<Progress, LinkError>) -> Input {
        let Some(link) = self.sockets.iter().find(|link| link.id == socket) else {
            return Input::Nothing;
        };
        let (connection, tail) = (link.connection, link.tail());
        match progress {
            Err(error) => self.on_lost(now, socket, error),
            Ok(Progress::Nothing) => Input::Nothing,
            Ok(Progress::Frames(frames)) => Input::Frames { connection, socket, frames },
            Ok(Progress::Up) => {
                let is_first = self
                    .connections
                    .iter_mut()
                    .find(|known| known.id == connection)
                    .is_some_and(|known| !std::mem::replace(&mut known.is_up, true));
                self.assign(now);
                if is_first { Input::Up { connection, tail } } else { Input::Nothing }
            }
            Ok(Progress::Answer { outcome, closes }) => {
                if closes {
                    self.forget(socket);
                }
                self.assign(now);
                match outcome {
                    // The server had nothing to say: what it owes comes with another answer.
                    Ok(None) => Input::Nothing,
                    Ok(Some(payload)) => Input::Answer { connection, outcome: Ok(payload) },
                    Err(code) => Input::Answer { connection, outcome: Err(code) },
                }
            }
        }
    }

    /// A socket cannot be used any more. Over HTTP the others may go on without it.
    fn on_lost(&mut self, now: Now, socket: SocketId, error: LinkError) -> Input {
        let Some(link) = self.link(socket) else { return Input::Nothing };
        let (connection, was_up, request) = (link.connection, link.is_up(), link.take_request());
        self.forget(socket);
        let known = self.connections.iter_mut().find(|known| known.id == connection);
        if let Some(known) = known.filter(|known| known.is_http() && was_up) {
            match request {
                // Servers close idle sockets. Another is made when it is needed.
                None => return Input::Nothing,
                // The server may have closed the socket just then. A payload that comes twice has the same `msg_id` and
                // is recognised.
                Some(request) if may_repeat(&error) && !request.is_repeated => {
                    known.queue.push_front(Request { is_repeated: true, ..request });
                    self.assign(now);
                    return Input::Nothing;
                }
                Some(_) => {}
            }
        }
        Input::Down { connection, error }
    }
}

/// Commands.
impl Links {
    /// Begins to connect; `target` is the datacenter's address or an `MTProxy`'s.
    pub(crate) fn dial(&mut self, now: Now, target: Address, options: Arc<DialOptions>) -> ConnectionId {
        self.last_id += 1;
        let id = ConnectionId(self.last_id);
        let queue = VecDeque::new();
        self.connections.push(Connection { id, target, options, is_up: false, queue, exchange: None });
        self.open_socket(now, id);
        id
    }

    /// Closes a connection, or stops making it.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.connections.retain(|known| known.id != connection);
        while let Some(socket) = self.link_of(connection).map(|link| link.id) {
            if let Some(farewell) = self.link(socket).and_then(Link::farewell) {
                self.farewells.push((socket, farewell));
            }
            self.forget(socket);
        }
    }

    /// Returns a buffer for a frame.
    pub(crate) fn take_buffer(&mut self) -> FrameBuf {
        self.spare.take().unwrap_or_default()
    }

    /// Takes a buffer back that is not needed.
    pub(crate) fn give_back(&mut self, mut frame: FrameBuf) {
        // One large frame is no reason to hold its memory indefinitely.
        frame.clear();
        frame.shrink_to(KEPT_FRAME);
        self.spare = Some(frame);
    }

    /// Sends an envelope over a connection that [`can_send`](Self::can_send).
    ///
    /// # Errors
    ///
    /// The envelope is not one that a transport carries, or a layer beneath is broken.
    pub(crate) fn send(
        &mut self,
        now: Now,
        connection: ConnectionId,
        frame: FrameBuf,
        ack: AckRequest,
    ) -> Result<(), LinkError> {
        let known = self.connections.iter_mut().find(|known| known.id == connection);
        if let Some(known) = known.filter(|known| known.is_http()) {
            // HTTP has no quick acknowledgements, so `ack` means nothing there.
            known.queue.push_back(Request { payload: frame.as_slice().to_vec(), is_repeated: false });
            self.give_back(frame);
            self.assign(now);
            return Ok(());
        }
        let link = self.sockets.iter_mut().find(|link| link.connection == connection);
        link.ok_or(LinkError::Closed)?.send(frame, ack, &mut self.rng)
    }

    fn open_socket(&mut self, now: Now, connection: ConnectionId) {
        let Some(known) = self.connections.iter().find(|known| known.id == connection) else { return };
        self.last_id += 1;
        let (socket, options) = (SocketId(self.last_id), Arc::clone(&known.options));
        let address = match &options.proxy {
            None => known.target.clone(),
            Some(proxy) => Address::Name(proxy.address().to_owned()),
        };
        let timeout = options.connect_timeout;
        self.actions.push_back(Action::Connect { socket, address, timeout });
        self.sockets.push(Link::new(socket, connection, options, now));
    }

    fn forget(&mut self, socket: SocketId) {
        self.sockets.retain(|link| link.id != socket);
        self.actions.push_back(Action::Close(socket));
    }

    /// Over HTTP, gives payloads that wait to sockets that are free, and makes others if there are none.
    fn assign(&mut self, now: Now) {
        for place in 0..self.connections.len() {
            let known = &mut self.connections[place];
            if !known.is_up || known.queue.is_empty() {
                continue;
            }
            let id = known.id;
            while let Some(request) = known.queue.front() {
                // The questions of one exchange take the same socket, and other payloads another one, if they can.
                let is_question = request.payload.starts_with(&[0; 8]);
                let free = self.sockets.iter_mut().filter(|link| link.connection == id && link.can_send());
                let Some(link) = free.min_by_key(|link| (known.exchange == Some(link.id)) != is_question)
                else {
                    break;
                };
                if is_question {
                    known.exchange = Some(link.id);
                }
                let Some(request) = known.queue.pop_front() else { break };
                if link.request(request).is_err() {
                    // A layer beneath is broken, and the next read says so.
                    break;
                }
            }
            let (waiting, lanes) =
                (known.queue.len(), self.sockets.iter().filter(|link| link.connection == id));
            let (all, coming) =
                lanes.fold((0, 0), |(all, coming), link| (all + 1, coming + usize::from(!link.is_up())));
            for _ in all..LANES.min(all + waiting.saturating_sub(coming)) {
                self.open_socket(now, id);
            }
        }
    }
}

/// Output.
impl Links {
    /// Returns what the driver must do; again after each input and command, until there is nothing.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        self.sockets.iter_mut().find_map(|link| link.poll_write().then_some(Action::Write(link.id)))
    }

    /// Returns whether [`poll_action`](Self::poll_action) has something that only a driver can do: anything but a write that
    /// need not wait.
    pub(crate) fn needs_driver(&self) -> bool {
        !self.actions.is_empty() || self.sockets.iter().any(|link| link.wants_write() && link.is_stalled())
    }

    /// Returns a socket for which something waits to be written at once.
    pub(crate) fn poll_prompted(&self) -> Option<SocketId> {
        self.sockets.iter().find(|link| link.wants_write() && !link.is_stalled()).map(|link| link.id)
    }

    /// Returns when time must be told.
    pub(crate) fn poll_timeout(&self) -> Option<MonoTime> {
        self.sockets.iter().filter_map(Link::poll_timeout).min()
    }
}

impl Connection {
    fn is_http(&self) -> bool {
        self.options.carrier.http().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chappe_carrier::{Endpoint, Proxy};
    use chappe_framing::UnixTime;
    use chappe_transport::{Connector, DcId, Domain, Framing, ProxySecret};

    use super::*;
    use crate::options::Carrier;

    const NOW: Now = Now::new(MonoTime::ZERO, UnixTime::EPOCH);

    /// A connection over HTTP whose first socket is connected.
    fn over_http() -> (Links, ConnectionId, SocketId) {
        let mut options = DialOptions::new(Connector::plain(Framing::Intermediate));
        options.carrier = Carrier::Http(Endpoint::http("localhost"));
        let mut links = Links::new(Drbg::from_seed([1; 32]));
        let connection = links.dial(NOW, ([127, 0, 0, 1], 80).into(), Arc::new(options));
        let socket = connect(&mut links);
        (links, connection, socket)
    }

    /// Connects the next socket that is wanted.
    fn connect(links: &mut Links) -> SocketId {
        loop {
            match links.poll_action().expect("it connects") {
                Action::Connect { socket, .. } => {
                    links.handle_connected(NOW, socket);
                    return socket;
                }
                Action::Read(_) | Action::Write(_) | Action::Close(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn send(links: &mut Links, connection: ConnectionId, payload: [u8; 4]) {
        let mut frame = links.take_buffer();
        frame.append(&payload);
        links.send(NOW, connection, frame, AckRequest::No).expect("it can be sent");
    }

    /// Takes what a socket writes and returns the end of it, the payload.
    fn written(links: &mut Links, socket: SocketId) -> Option<[u8; 4]> {
        let buffer = links.begin_write(socket)?;
        let payload = buffer.bytes().last_chunk().copied();
        let count = buffer.bytes().len();
        links.end_write(NOW, socket, buffer, Ok(count));
        payload
    }

    fn read(links: &mut Links, socket: SocketId, bytes: &[u8]) -> Input {
        let mut room = links.begin_read(socket).expect("it reads");
        room.space().expect("there is room")[..bytes.len()].copy_from_slice(bytes);
        links.end_read(NOW, socket, room, Ok(bytes.len()))
    }

    #[test]
    fn payloads_over_http_stay_apart_and_in_their_order() {
        let (mut links, connection, first) = over_http();
        for number in 0..6 {
            assert!(links.can_send(connection));
            send(&mut links, connection, [number; 4]);
        }
        assert_eq!(written(&mut links, first), Some([0; 4]));
        assert_eq!(written(&mut links, first), None, "one request at a time");
        let others: Vec<SocketId> = (1..LANES).map(|_| connect(&mut links)).collect();
        for (number, socket) in (1..).zip(&others) {
            assert_eq!(written(&mut links, *socket), Some([number; 4]));
        }
        let answer = read(&mut links, first, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback");
        assert!(matches!(answer, Input::Answer { outcome: Ok(payload), .. } if payload == b"back"));
        assert_eq!(written(&mut links, first), Some([4; 4]));
        while let Some(action) = links.poll_action() {
            assert!(!matches!(action, Action::Connect { .. }), "four sockets are enough");
        }
    }

    #[test]
    fn the_questions_of_an_exchange_take_one_socket() {
        const BACK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback";
        let (mut links, connection, first) = over_http();
        let send = |links: &mut Links, payload: &[u8]| {
            let mut frame = links.take_buffer();
            frame.append(payload);
            links.send(NOW, connection, frame, AckRequest::No).expect("it can be sent");
        };
        let question = |number: u8| [&[0; 8][..], &[number; 4]].concat();
        // A long poll is on the first socket, so the exchange begins on the second.
        send(&mut links, &[7; 12]);
        assert_eq!(written(&mut links, first), Some([7; 4]));
        send(&mut links, &question(1));
        let second = connect(&mut links);
        assert_eq!(written(&mut links, second), Some([1; 4]));
        read(&mut links, first, BACK);
        read(&mut links, second, BACK);
        // Both are free.
        send(&mut links, &question(2));
        assert_eq!((written(&mut links, first), written(&mut links, second)), (None, Some([2; 4])));
        read(&mut links, second, BACK);
        send(&mut links, &[8; 12]);
        assert_eq!((written(&mut links, first), written(&mut links, second)), (Some([8; 4]), None));
        send(&mut links, &question(3));
        assert_eq!(written(&mut links, second), Some([3; 4]));
    }

    #[test]
    fn requests_are_forwarded_by_a_proxy_without_connect() {
        let mut options = DialOptions::new(Connector::plain(Framing::Intermediate));
        options.carrier = Carrier::Http(Endpoint::http("localhost"));
        options.proxy = Some(Proxy::http_forward("127.0.0.1:3128"));
        assert!(options.validate().is_ok());
        let mut links = Links::new(Drbg::from_seed([1; 32]));
        let connection = links.dial(NOW, ([127, 0, 0, 1], 80).into(), Arc::new(options.clone()));
        let Some(Action::Connect { socket, address, .. }) = links.poll_action() else {
            panic!("it connects")
        };
        assert_eq!(address.to_string(), "127.0.0.1:3128", "the proxy is dialled");
        links.handle_connected(NOW, socket);
        send(&mut links, connection, [7; 4]);
        let buffer = links.begin_write(socket).expect("there is no exchange before the request");
        assert!(buffer.bytes().starts_with(b"POST http://127.0.0.1:80/api HTTP/1.1\r\n"));
        let count = buffer.bytes().len();
        links.end_write(NOW, socket, buffer, Ok(count));
        let answer = read(&mut links, socket, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback");
        assert!(matches!(answer, Input::Answer { outcome: Ok(payload), .. } if payload == b"back"));
        options.carrier = Carrier::Tcp;
        assert!(options.validate().is_err(), "a stream cannot be forwarded");
    }

    #[test]
    fn a_request_whose_socket_was_closed_is_sent_once_more_and_no_oftener() {
        let (mut links, connection, first) = over_http();
        send(&mut links, connection, [7; 4]);
        assert_eq!(written(&mut links, first), Some([7; 4]));
        let room = links.begin_read(first).expect("it reads");
        assert!(matches!(links.end_read(NOW, first, room, Ok(0)), Input::Nothing));
        let second = connect(&mut links);
        assert_eq!(written(&mut links, second), Some([7; 4]));
        let room = links.begin_read(second).expect("it reads");
        let lost = links.end_read(NOW, second, room, Ok(0));
        assert!(matches!(lost, Input::Down { error: LinkError::Closed, .. }), "{lost:?}");
    }

    #[test]
    fn a_proxy_that_closes_without_a_word_is_told_from_the_network() {
        let secret = ProxySecret::padded([7; 16]);
        let fake_tls = ProxySecret::fake_tls([7; 16], Domain::new("example.com").expect("it is a name"));
        let plain = Connector::obfuscated(Framing::Intermediate, None).expect("it has a tag");
        for (connector, has_secret) in [
            (Connector::proxy(&secret, DcId::production(2)), true),
            (Connector::proxy(&fake_tls, DcId::production(2)), true),
            (plain, false),
        ] {
            for (end, is_closed) in [
                (Ok(0), true),
                (Err(io::ErrorKind::ConnectionReset.into()), true),
                (Err(io::ErrorKind::NetworkUnreachable.into()), false),
            ] {
                let mut links = Links::new(Drbg::from_seed([1; 32]));
                links.dial(NOW, ([127, 0, 0, 1], 443).into(), Arc::new(DialOptions::new(connector.clone())));
                let socket = connect(&mut links);
                while written(&mut links, socket).is_some() {}
                let room = links.begin_read(socket).expect("it reads");
                let Input::Down { error, .. } = links.end_read(NOW, socket, room, end) else {
                    panic!("it ended")
                };
                assert_eq!(matches!(error, LinkError::NoAnswer), has_secret && is_closed, "{error:?}");
            }
        }
        // After a first byte, the proxy knows the secret.
        let mut links = Links::new(Drbg::from_seed([1; 32]));
        let connector = Connector::proxy(&secret, DcId::production(2));
        links.dial(NOW, ([127, 0, 0, 1], 443).into(), Arc::new(DialOptions::new(connector)));
        let socket = connect(&mut links);
        while written(&mut links, socket).is_some() {}
        let Input::Frames { frames, .. } = read(&mut links, socket, &[7]) else {
            panic!("a byte of a frame")
        };
        links.put_back(socket, frames);
        let room = links.begin_read(socket).expect("it reads");
        let lost = links.end_read(NOW, socket, room, Ok(0));
        assert!(matches!(lost, Input::Down { error: LinkError::Closed, .. }), "{lost:?}");
    }

    #[test]
    fn a_socket_that_takes_a_little_is_not_given_up_and_one_that_takes_nothing_is() {
        let mut links = Links::new(Drbg::from_seed([1; 32]));
        let options = Arc::new(DialOptions::new(Connector::plain(Framing::Intermediate)));
        let patience = options.write_timeout;
        let connection = links.dial(NOW, ([127, 0, 0, 1], 443).into(), options);
        let socket = connect(&mut links);
        while written(&mut links, socket).is_some() {}
        let mut frame = links.take_buffer();
        frame.append(&[7; 4096]);
        links.send(NOW, connection, frame, AckRequest::No).expect("it can be sent");
        let mut now = NOW;
        for _ in 0..10 {
            let buffer = links.begin_write(socket).expect("something is left");
            assert!(matches!(links.end_write(now, socket, buffer, Ok(1)), Input::Nothing));
            let buffer = links.begin_write(socket).expect("something is left");
            let blocked = Err(io::ErrorKind::WouldBlock.into());
            assert!(matches!(links.end_write(now, socket, buffer, blocked), Input::Nothing));
            now = Now::new(now.mono + patience.saturating_sub(Duration::from_millis(1)), now.unix);
            assert!(matches!(links.handle_timeout(now), Input::Nothing), "a byte is progress");
        }
        now = Now::new(now.mono + Duration::from_millis(1), now.unix);
        assert!(matches!(links.handle_timeout(now), Input::Down { error: LinkError::TimedOut { .. }, .. }));
    }
}
