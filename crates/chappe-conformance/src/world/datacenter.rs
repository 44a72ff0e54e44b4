//! The datacenter: the real engine of `chappe-server` behind simulated sockets.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chappe_crypto::AuthKey;
use chappe_crypto::rsa::PrivateKey;
use chappe_handshake::ServerOptions;
use chappe_server::driver::{ConnectionLimit, Conversation, Scratch, WriteAction};
use chappe_server::{Engine, EngineOptions, KeyState, KeyStatus, ListenOptions, Output};
use chappe_session::server::ServerConfig;
use chappe_session::{MonoTime, Now, UnixTime};
use chappe_transport::TransportErrorCode;

use super::dice::Dice;
use super::ledger::{Application, Ledger, update};
use super::pipe::{Buffer, End, Half, Pipe, SEND_BUFFER, lock};
use super::{START, shifted};
use crate::vectors;

/// The datacenter, and what its operator does to it.
pub(super) struct Datacenter {
    engine: Arc<Engine>,
    limit: Arc<ConnectionLimit>,
    pub(super) ledger: Arc<Ledger>,
    config: ServerConfig,
    salt_secret: [u8; 32],
    /// Of the wall clock, against the true time, in nanoseconds.
    pub(super) clock_error: i64,
    /// New connections are refused until then.
    pub(super) refuses: Option<(u64, TransportErrorCode)>,
    pub(super) updates: u64,
    dice: Dice,
}

/// The server's end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    conversation: Conversation,
    scratch: Box<Scratch>,
    is_woken: Arc<AtomicBool>,
    /// What the socket has not taken yet, and since when.
    pending: Buffer,
    pending_since: u64,
    /// It answers nothing but this.
    refusal: Option<TransportErrorCode>,
    closes: bool,
}

/// Why the server's end of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// The engine closed it without a word: the timer of a ping, or a frame that cannot be read.
    Closed,
    /// The engine sent a transport error.
    Refused(TransportErrorCode),
    /// It was silent, slow, or spoke nothing that is served.
    Failed,
    /// The client closed it.
    Left,
}

/// Returns the private key whose public half clients trust.
pub(super) fn private_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = vectors::load("rsa_fingerprints").entry("test_key");
        PrivateKey::from_pem(key.text("pem_pkcs1_private")).expect("the key of the vectors is a key")
    })
}

impl Datacenter {
    pub(super) fn new(config: ServerConfig, mut dice: Dice) -> Self {
        let ledger = Arc::<Ledger>::default();
        let salt_secret = dice.bytes();
        let engine = engine(&config, salt_secret, &ledger, &mut dice);
        let limit = Arc::new(ConnectionLimit::new(ListenOptions::datacenter(), dice.drbg()));
        let (clock_error, refuses, updates) = (0, None, 0);
        Self { engine, limit, ledger, config, salt_secret, clock_error, refuses, updates, dice }
    }

    /// Both clocks of the server.
    pub(super) const fn now(&self, time: u64) -> Now {
        Now::new(MonoTime::from_nanos(time), UnixTime::from_nanos(shifted(START + time, self.clock_error)))
    }

    pub(super) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(super) fn add_key(&self, key: AuthKey) {
        self.engine.add_key(KeyState::new(key, KeyStatus::Permanent));
    }

    /// It forgets its sessions and temporary keys; permanent keys are on its disk.
    pub(super) fn restart(&mut self) {
        self.ledger.begin_epoch();
        let engine = engine(&self.config, self.salt_secret, &self.ledger, &mut self.dice);
        for key in self.engine.keys() {
            if key.kind() == KeyStatus::Permanent {
                engine.add_key(KeyState::new(key.auth_key().clone(), KeyStatus::Permanent));
            }
        }
        self.engine = engine;
    }

    /// It loses all keys.
    pub(super) fn forget_keys(&self) {
        for key in self.engine.keys() {
            self.engine.forget_key(key.auth_key().id());
        }
    }

    /// Accepts a connection.
    pub(super) fn accept(&mut self, time: u64) -> Option<Peer> {
        let address: SocketAddr = ([192, 0, 2, 7], 5000).into();
        let permit = self.limit.admit(address.ip()).ok()?;
        let is_woken = Arc::new(AtomicBool::new(false));
        let waker = {
            let is_woken = Arc::clone(&is_woken);
            Arc::new(move || is_woken.store(true, Ordering::Relaxed))
        };
        let conversation =
            Conversation::new(Arc::clone(&self.engine), permit, address, waker, self.now(time));
        Some(Peer {
            conversation,
            scratch: Box::new(Scratch::new(self.dice.drbg())),
            is_woken,
            pending: Buffer::default(),
            pending_since: time,
            refusal: self.refuses.filter(|(until, _)| time < *until).map(|(_, code)| code),
            closes: false,
        })
    }

    /// Sends an update to every session, as a datacenter does for all clients of an account. Returns to how many, and how many
    /// of these have a connection.
    pub(super) fn push(&mut self) -> (usize, usize) {
        let mut sessions: Vec<_> = self.engine.keys().iter().flat_map(|key| key.sessions()).collect();
        sessions.sort_by_key(|session| session.session_id().to_raw());
        self.updates += 1;
        let body = update(self.updates);
        sessions.retain(|session| session.push(&body).is_ok());
        let connected = sessions.iter().filter(|session| session.is_connected()).count();
        (sessions.len(), connected)
    }
}

fn engine(
    config: &ServerConfig,
    salt_secret: [u8; 32],
    ledger: &Arc<Ledger>,
    dice: &mut Dice,
) -> Arc<Engine> {
    let mut handshake = ServerOptions::lenient(vec![private_key().clone()]);
    // Every client of a simulation comes from one address.
    handshake.rate = None;
    let options = EngineOptions::new(handshake, config.clone()).with_salt_secret(Some(salt_secret));
    Engine::new(options, Application(Arc::clone(ledger)), &mut dice.drbg()).expect("the options are good")
}

impl Peer {
    /// Returns when time must be told.
    pub(super) fn next_at(&self) -> u64 {
        if self.is_clogged() {
            return self.pending_since + nanos(self.conversation.write_timeout());
        }
        self.conversation.poll_timeout().as_nanos()
    }

    /// Does all that can be done at present. Returns whether something was, or why the connection ends.
    pub(super) fn serve(&mut self, now: Now, up: &mut Half, down: &mut Half) -> Result<bool, Farewell> {
        let time = now.mono.as_nanos();
        let was_clogged = self.is_clogged();
        let mut has_worked = self.flush(time, down);
        if was_clogged && !self.is_clogged() {
            // There may be more to write.
            self.is_woken.store(true, Ordering::Relaxed);
        }
        if self.is_clogged() {
            if self.pending_since + nanos(self.conversation.write_timeout()) <= time {
                self.conversation.count_slow_reader();
                return Err(Farewell::Failed);
            }
            return Ok(has_worked);
        }
        if self.is_woken.swap(false, Ordering::Relaxed) {
            self.write(now, down)?;
            has_worked = true;
        }
        while !self.is_clogged() && !self.closes && !up.arrived.is_empty() {
            has_worked = true;
            let space = self.conversation.space(&mut self.scratch).map_err(|_| Farewell::Failed)?;
            let count = up.arrived.fill(space);
            self.conversation.handle_read(now, &mut self.scratch, count).map_err(|_| Farewell::Failed)?;
            if let Some(code) = self.refusal {
                self.refuse(now, code, down)?;
            }
            self.write(now, down)?;
        }
        // What has arrived is read before time is judged: a ping may be among it.
        if !self.is_clogged() && self.conversation.poll_timeout() <= now.mono {
            self.conversation.handle_timeout(now).map_err(|_| Farewell::Failed)?;
            self.write(now, down)?;
        }
        match up.ended {
            Some(_) if up.arrived.is_empty() && !self.is_clogged() => Err(Farewell::Left),
            _ => Ok(has_worked),
        }
    }

    fn is_clogged(&self) -> bool {
        !self.pending.is_empty()
    }

    fn refuse(&mut self, now: Now, code: TransportErrorCode, down: &mut Half) -> Result<(), Farewell> {
        let wrote = self.conversation.write(now, Output::Error(code), &mut self.scratch);
        if let Ok(WriteAction::Bytes(bytes)) = wrote
            && !bytes.is_empty()
        {
            self.pending.push(bytes);
            self.flush(now.mono.as_nanos(), down);
            return Err(Farewell::Refused(code));
        }
        Ok(())
    }

    /// Writes until there is nothing left, or the socket takes no more.
    fn write(&mut self, now: Now, down: &mut Half) -> Result<(), Farewell> {
        let time = now.mono.as_nanos();
        while !self.is_clogged() {
            let output =
                self.conversation.poll_output(now, &mut self.scratch).map_err(|_| Farewell::Failed)?;
            let action = match output {
                Some(output) => {
                    self.closes |= matches!(output, Output::Close | Output::Error(_));
                    self.conversation.write(now, output, &mut self.scratch).map_err(|_| Farewell::Failed)?
                }
                None => self.conversation.poll_bytes(&self.scratch),
            };
            match action {
                WriteAction::Bytes(bytes) => {
                    self.pending.push(bytes);
                    self.pending_since = time;
                }
                WriteAction::Wait => {
                    self.conversation.release_memory(&mut self.scratch);
                    return Ok(());
                }
                WriteAction::Close => {
                    return Err(match output {
                        Some(Output::Error(code)) => Farewell::Refused(code),
                        _ => Farewell::Closed,
                    });
                }
            }
            self.flush(time, down);
            if let Some(Output::Error(code)) = output {
                return Err(Farewell::Refused(code));
            }
        }
        Ok(())
    }

    /// Moves what is pending to the socket.
    fn flush(&mut self, time: u64, down: &Half) -> bool {
        let mut unsent = lock(&down.unsent);
        let count = self.pending.len().min(SEND_BUFFER.saturating_sub(unsent.len()));
        if count == 0 {
            return false;
        }
        unsent.push(&self.pending.bytes()[..count]);
        self.pending.consume(count);
        self.pending_since = time;
        true
    }
}

/// The server's end of a pipe is over.
pub(super) fn end(pipe: &mut Pipe, why: Farewell) {
    let is_read = pipe.up.arrived.is_empty();
    pipe.peer = None;
    if pipe.down.ended.is_none() {
        pipe.down.closing = Some(if is_read || why == Farewell::Left { End::Finished } else { End::Reset });
    }
}

fn nanos(duration: Duration) -> u64 {
    MonoTime::from_duration(duration).as_nanos()
}
