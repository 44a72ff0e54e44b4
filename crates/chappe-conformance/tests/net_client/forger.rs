//! A relay that knows the key: it puts messages of its own between those of a datacenter, on real sockets.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    Container, EncryptedHeader, EncryptedWriter, FrameBuf, MSG_CONTAINER, MessageHeader, MsgId, Padding,
    SeqNo, ServerSalt, SessionId, TransportTail, constructor_id, open,
};

/// What the relay knows when it strikes.
pub(crate) struct Known {
    pub(crate) key: AuthKey,
    pub(crate) session: SessionId,
    /// The last frame that the client sent, and the last query in it.
    pub(crate) question: Vec<u8>,
    pub(crate) query: MsgId,
    /// The frame that the datacenter answers with, and its id.
    pub(crate) answer: Vec<u8>,
    pub(crate) answer_id: MsgId,
}

/// Makes the bytes that come before an answer, length and all.
pub(crate) type Attack = fn(&Known) -> Vec<u8>;

/// The relay. It speaks the intermediate transport.
pub(crate) struct Forger {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    key: Mutex<Option<AuthKey>>,
    seen: Mutex<Option<(SessionId, Vec<u8>, MsgId)>>,
    attacks: Mutex<VecDeque<Attack>>,
    accepted: AtomicUsize,
}

impl Forger {
    pub(crate) fn before(datacenter: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let relay = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(datacenter) else { continue };
                relay.accepted.fetch_add(1, Ordering::SeqCst);
                let (up, back) = (client.try_clone(), server.try_clone());
                let (Ok(up), Ok(back)) = (up, back) else { continue };
                let (listening, striking) = (Arc::clone(&relay), Arc::clone(&relay));
                thread::spawn(move || pass_up(up, back, &listening));
                thread::spawn(move || pass_down(server, client, &striking));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells the relay the key.
    pub(crate) fn know(&self, key: AuthKey) {
        *lock(&self.shared.key) = Some(key);
    }

    /// Lets the next answer come behind an attack.
    pub(crate) fn strike(&self, attack: Attack) {
        lock(&self.shared.attacks).push_back(attack);
    }

    /// Returns whether every attack was made.
    pub(crate) fn is_done(&self) -> bool {
        lock(&self.shared.attacks).is_empty()
    }

    /// Returns how many connections were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a frame with its length in front.
fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).ok()?;
    let mut payload = vec![0; u32::from_le_bytes(len) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some(payload)
}

/// Puts the length in front of a payload.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes()[..], payload].concat()
}

fn pass_up(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    let mut prefix = [0; 4];
    let mut is_open = client.read_exact(&mut prefix).is_ok() && server.write_all(&prefix).is_ok();
    while is_open {
        let Some(payload) = read(&mut client) else { break };
        listen(shared, &payload);
        is_open = server.write_all(&frame(&payload)).is_ok();
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// Learns the session and the last query of the client.
fn listen(shared: &Shared, payload: &[u8]) {
    let Some(key) = lock(&shared.key).clone() else { return };
    let mut plain = payload.to_vec();
    let Ok(opened) = open(&key, Side::Client, TransportTail::None, &mut plain) else { return };
    let query = match constructor_id(opened.body()) {
        Ok(MSG_CONTAINER) => Container::new_checked(opened.body(), opened.msg_id(), Side::Client)
            .ok()
            .and_then(|container| {
                container.iter().filter(|message| message.header.seq_no.to_raw() & 1 == 1).last()
            })
            .map(|message| message.header.msg_id),
        _ => Some(opened.msg_id()),
    };
    if let Some(query) = query {
        *lock(&shared.seen) = Some((opened.session_id(), payload.to_vec(), query));
    }
}

fn pass_down(mut server: TcpStream, mut client: TcpStream, shared: &Shared) {
    while let Some(payload) = read(&mut server) {
        if let Some(known) = known(shared, &payload)
            && let Some(attack) = lock(&shared.attacks).pop_front()
            && client.write_all(&attack(&known)).is_err()
        {
            break;
        }
        if client.write_all(&frame(&payload)).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

fn known(shared: &Shared, payload: &[u8]) -> Option<Known> {
    let key = lock(&shared.key).clone()?;
    let (session, question, query) = lock(&shared.seen).clone()?;
    let mut plain = payload.to_vec();
    let opened = open(&key, Side::Server, TransportTail::None, &mut plain).ok()?;
    // Only an answer to this very query.
    let is_answer = opened.body().windows(8).any(|word| word == query.to_bytes());
    let answer_id = opened.msg_id();
    is_answer.then(|| Known { key, session, question, query, answer: payload.to_vec(), answer_id })
}

impl Known {
    /// An id that no other message of the datacenter has.
    pub(crate) fn fresh_id(&self) -> MsgId {
        MsgId::from_raw(self.answer_id.to_raw() ^ 1 << 12)
    }

    /// Seals a body as the datacenter would, for any session and under any id.
    pub(crate) fn seal(&self, session_id: SessionId, msg_id: MsgId, body: &[u8]) -> Vec<u8> {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(body);
        let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(1) };
        let header = EncryptedHeader { salt: ServerSalt::from_raw(1), session_id, message };
        let mut rng = Drbg::from_seed([9; 32]);
        writer.seal(&self.key, Side::Server, header, Padding::Minimum, &mut rng).expect("it can be sent");
        frame(buf.as_slice())
    }

    /// Says something in the client's session.
    pub(crate) fn say(&self, body: &[u8]) -> Vec<u8> {
        self.seal(self.session, self.fresh_id(), body)
    }
}
