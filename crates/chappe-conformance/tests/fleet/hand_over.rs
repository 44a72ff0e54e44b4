//! What a process of a fleet leaves to the others: answers that clients have not acknowledged, and keys that are forgotten.
//!
//! The processes are engines of one program here, so that a client can stop at any point.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, MsgId, RpcResult, UnixTime};
use chappe_server::directory::{KeyDirectory as _, KeyRecord, KeySealer};
use chappe_server::tokio::Server;
use chappe_server::{Engine, KeyStatus, ListenOptions};
use chappe_server_redis::RedisDirectory;
use chappe_session::EncryptedSession;
use chappe_session::server::SaltSchedule;
use chappe_tl::{Blob, Serializable};
use chappe_tl_mtproto::functions::Ping;
use tokio::runtime::Runtime;

use crate::clients::PATIENCE;
use crate::process::{RUN, Setup, executions};
use crate::programs::{Folder, Program};

/// Two processes and the store between them.
struct Pair {
    setup: Setup,
    runtime: Runtime,
    members: Vec<(Arc<Engine>, Server)>,
    _folder: Folder,
}

impl Pair {
    fn start(redis: &Program) -> Self {
        let folder = Folder::new("hand-over");
        let (redis, lease) = (redis.port(), Duration::from_secs(20));
        let setup = Setup { redis, lease, log: folder.path().join("log") };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let start = async || {
            let (engine, options) = (setup.engine().await, ListenOptions::datacenter());
            let server = Server::listen("127.0.0.1:0", options, Arc::clone(&engine)).await;
            (engine, server.expect("a free port"))
        };
        let members = (0..2).map(|_| runtime.block_on(start())).collect();
        Self { setup, runtime, members, _folder: folder }
    }

    /// Stores a key as if a client had made and used it.
    fn store(&self, key: &AuthKey, status: KeyStatus) {
        let url = format!("redis://127.0.0.1:{}/", self.setup.redis);
        let auth_key = key.clone();
        let record = KeyRecord { auth_key, status, dc: None, first_salt: None, unused_until: None };
        let sealed = KeySealer::new(&[7; 32]).seal(&record);
        let inserted = self.runtime.block_on(async {
            let directory = RedisDirectory::connect(&url, "fleet").await.expect("Redis runs");
            directory.insert(sealed).await
        });
        assert!(inserted.expect("Redis runs"));
    }
}

/// A client that acknowledges nothing.
struct Silent {
    session: EncryptedSession,
    rng: Drbg,
    answered: Vec<MsgId>,
}

impl Silent {
    fn new(key: &AuthKey) -> Self {
        let mut rng = Drbg::from_os().expect("randomness");
        let salt = SaltSchedule::new([8; 32]).current(key.id(), UnixTime::now());
        let session = EncryptedSession::with_rng(key.clone(), salt.to_raw(), 0, &mut rng);
        Self { session, rng, answered: Vec::new() }
    }

    fn send(&mut self, socket: &mut TcpStream, call: &impl Serializable) -> MsgId {
        let mut frame = FrameBuf::new();
        let sent = self.session.pack_into(call, UnixTime::now(), &mut self.rng, &mut frame);
        let len = (frame.len() as u32).to_le_bytes();
        // That a connection has ended is seen when it is read.
        let _ = socket.write_all(&[&len, frame.as_slice()].concat());
        sent.expect("it is short")
    }

    /// Reads a frame and notes the answers in it. Returns whether there was one.
    fn receive(&mut self, socket: &mut TcpStream) -> bool {
        let mut len = [0; 4];
        if socket.read_exact(&mut len).is_err() {
            return false;
        }
        let mut frame = vec![0; u32::from_le_bytes(len) as usize];
        let answered = &mut self.answered;
        socket.read_exact(&mut frame).is_ok()
            && self
                .session
                .unpack_each(UnixTime::now(), &mut frame, |message| {
                    answered.extend(RpcResult::new_checked(message.body).map(|result| result.req_msg_id()));
                })
                .is_ok()
    }

    fn receive_answer(&mut self, socket: &mut TcpStream, query: MsgId) {
        while !self.answered.contains(&query) {
            assert!(self.receive(socket), "the connection ended without an answer");
        }
    }

    /// Connects until the process serves the session.
    fn reach(&mut self, address: SocketAddr) -> TcpStream {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut socket = TcpStream::connect(address).expect("it listens");
            socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
            socket.write_all(&[0xee; 4]).expect("it reads");
            self.send(&mut socket, &Ping { ping_id: 1 });
            if self.receive(&mut socket) {
                return socket;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{address} does not serve the session");
    }
}

fn key(number: u8) -> AuthKey {
    AuthKey::from_bytes(core::array::from_fn(|at| number.wrapping_mul(31) ^ at as u8))
}

#[test]
fn an_answer_that_was_not_acknowledged_comes_from_the_next_owner_and_its_query_runs_once() {
    let Some(redis) = Program::redis() else { return };
    let mut pair = Pair::start(&redis);
    pair.store(&key(1), KeyStatus::Permanent);
    let mut client = Silent::new(&key(1));
    let mut connection = client.reach(pair.members[0].1.local_addr());
    let call = Blob([RUN.to_le_bytes(), 5_u32.to_le_bytes()].concat());
    let query = client.send(&mut connection, &call);
    client.receive_answer(&mut connection, query);
    drop(connection);

    let (engine, server) = pair.members.remove(0);
    pair.runtime.block_on(async {
        server.shutdown(PATIENCE).await;
        engine.leave_fleet().await;
    });
    client.answered.clear();
    let mut connection = client.reach(pair.members[0].1.local_addr());
    client.receive_answer(&mut connection, query);
    assert_eq!(executions(&pair.setup.log).get(&5), Some(&1));
}

#[test]
fn temporary_keys_that_one_process_drops_end_in_all() {
    let Some(redis) = Program::redis() else { return };
    let pair = Pair::start(&redis);
    let (permanent, temporary) = (key(1), key(2));
    let expires_at = UnixTime::now().saturating_add(Duration::from_secs(3600));
    pair.store(&permanent, KeyStatus::Permanent);
    pair.store(&temporary, KeyStatus::Temporary { expires_at, bound_to: Some(permanent.id()) });
    let mut client = Silent::new(&temporary);
    let _connection = client.reach(pair.members[0].1.local_addr());
    let is_known = || pair.members[0].0.key(temporary.id(), UnixTime::now()).is_some();
    assert!(is_known());
    pair.members[1].0.drop_temporary_keys(permanent.id(), &[], UnixTime::now());
    let deadline = Instant::now() + PATIENCE;
    while is_known() {
        assert!(Instant::now() < deadline, "the other process uses it still");
        thread::sleep(Duration::from_millis(10));
    }
}
