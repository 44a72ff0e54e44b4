//! Servers whose keys are in a directory: look-ups, restarts, outages, and clients of keys that are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::KeyRing;
use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::{FrameBuf, UnixTime};
use chappe_handshake::{ClientOptions, DcId};
use chappe_net::store::MemoryStore;
use chappe_net::{ConnectOptions, DialOptions, blocking};
use chappe_server::KeyStatus;
use chappe_server::directory::{
    Directory, DirectoryError, DirectoryFuture, Found, KeyDirectory, KeyRecord, KeySealer, MemoryDirectory,
    SealedKey,
};
use chappe_session::EncryptedSession;
use chappe_session::server::SaltSchedule;
use chappe_transport::{AckRequest, Connector, Framing, Incoming, TransportErrorCode};

use crate::support::{Client, PATIENCE, Query, Running, auth_key, both_with, private_key, wait_for};

/// A directory in memory that can be slow or out of reach, and counts.
#[derive(Default)]
struct Played {
    keys: MemoryDirectory,
    look_ups: AtomicUsize,
    /// Permanent keys that clients have made.
    made: AtomicUsize,
    is_down: AtomicBool,
    /// Look-ups wait while it is locked.
    gate: tokio::sync::Mutex<()>,
}

impl Played {
    fn require_up(&self) -> Result<(), DirectoryError> {
        let is_down = self.is_down.load(Ordering::SeqCst);
        if is_down { Err(DirectoryError::unavailable("it is down")) } else { Ok(()) }
    }
}

impl KeyDirectory for Played {
    fn look_up(&self, id: AuthKeyId) -> DirectoryFuture<'_, Option<Found>> {
        Box::pin(async move {
            self.look_ups.fetch_add(1, Ordering::SeqCst);
            drop(self.gate.lock().await);
            self.require_up()?;
            self.keys.look_up(id).await
        })
    }

    fn insert(&self, key: SealedKey) -> DirectoryFuture<'_, bool> {
        let record = sealer().open(&key).expect("it is sealed with this secret");
        if record.status == KeyStatus::Permanent {
            self.made.fetch_add(1, Ordering::SeqCst);
        }
        self.keys.insert(key)
    }

    fn replace(&self, expected: SealedKey, new: SealedKey) -> DirectoryFuture<'_, bool> {
        self.keys.replace(expected, new)
    }

    fn forget(&self, id: AuthKeyId) -> DirectoryFuture<'_, ()> {
        Box::pin(async move {
            self.require_up()?;
            self.keys.forget(id).await
        })
    }

    fn bound_to(&self, permanent: AuthKeyId) -> DirectoryFuture<'_, Vec<AuthKeyId>> {
        self.keys.bound_to(permanent)
    }
}

fn sealer() -> KeySealer {
    KeySealer::new(&[8; 32])
}

fn record(auth_key: AuthKey, status: KeyStatus) -> KeyRecord {
    KeyRecord { auth_key, status, dc: None, first_salt: None, unused_until: None }
}

/// A directory with the key of [`Client`].
fn with_key() -> Arc<Played> {
    let played = Arc::<Played>::default();
    assert!(now(played.insert(sealer().seal(&record(auth_key(), KeyStatus::Permanent)))));
    played
}

/// Returns the value of a future that waits for nothing.
fn now<T>(future: DirectoryFuture<'_, T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future).expect("it answers")
}

fn servers(played: &Arc<Played>) -> [Running; 2] {
    both_with(|| Directory::new(Arc::clone(played) as Arc<dyn KeyDirectory>, sealer()))
}

fn dial(running: &Running) -> Client {
    Client::dial(running.address(), &DialOptions::new(Connector::plain(Framing::Intermediate)))
}

#[test]
fn one_look_up_serves_all_clients_of_a_key_and_the_next_need_none() {
    for at in 0..2 {
        let played = with_key();
        let running = &servers(&played)[at];
        let gate = played.gate.blocking_lock();
        let mut clients: Vec<_> = (0..8).map(|_| dial(running)).collect();
        for client in &mut clients {
            client.send(&Query::Echo(1));
        }
        running.wait_for("every frame", |counters| counters.payloads_in == 8);
        wait_for("the look-up", || played.look_ups.load(Ordering::SeqCst) == 1);
        drop(gate);
        for client in &mut clients {
            client.receive().expect("bad_server_salt");
            client.echo(3);
        }
        dial(running).learn_salt();
        assert_eq!(played.look_ups.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_key_of_nobody_is_refused_and_one_that_cannot_be_looked_up_is_not() {
    for at in 0..2 {
        let played = Arc::<Played>::default();
        let running = &servers(&played)[at];
        let mut client = dial(running);
        client.send(&Query::Echo(1));
        assert_eq!(client.end(), Some(TransportErrorCode::UnknownAuthKey), "there is no such key");
        played.is_down.store(true, Ordering::SeqCst);
        let mut client = dial(running);
        client.send(&Query::Echo(1));
        // The client would give its key up if it were told that it is unknown.
        assert_eq!(client.end(), None, "the directory is down");
        assert_eq!(running.engine().counters().look_ups, 1);
        // Nothing remains of the failure.
        played.is_down.store(false, Ordering::SeqCst);
        assert!(now(played.insert(sealer().seal(&record(auth_key(), KeyStatus::Permanent)))));
        let mut client = dial(running);
        client.learn_salt();
        client.echo(1);
    }
}

#[test]
fn clients_of_a_known_key_are_served_while_the_directory_is_out_of_reach() {
    for at in 0..2 {
        let played = with_key();
        let recheck = |played: &Arc<Played>| {
            let directory = Directory::new(Arc::clone(played) as Arc<dyn KeyDirectory>, sealer());
            directory.with_recheck_after(Duration::ZERO)
        };
        let running = &both_with(|| recheck(&played))[at];
        let mut client = dial(running);
        client.learn_salt();
        played.is_down.store(true, Ordering::SeqCst);
        let asked = played.look_ups.load(Ordering::SeqCst);
        for value in 0..20 {
            client.echo(value);
        }
        wait_for("a further look-up", || played.look_ups.load(Ordering::SeqCst) > asked);
        client.echo(99);
        // Once it is back, and another process has forgotten the key, the key is not used any longer.
        played.is_down.store(false, Ordering::SeqCst);
        now(played.keys.forget(auth_key().id()));
        client.send(&Query::Echo(1));
        wait_for("the end of the key", || running.engine().keys().is_empty());
        let mut client = dial(running);
        client.send(&Query::Echo(1));
        assert_eq!(client.end(), Some(TransportErrorCode::UnknownAuthKey), "it was forgotten");
    }
}

#[test]
fn what_an_earlier_process_may_have_executed_is_not_executed_again() {
    for at in 0..2 {
        let played = with_key();
        let mut rng = Drbg::from_os().expect("randomness");
        let salt = SaltSchedule::new([4; 32]).current(auth_key().id(), UnixTime::now()).to_raw();
        let mut session = EncryptedSession::with_rng(auth_key(), salt, 0, &mut rng);
        // A process that is gone has executed the query, and somebody on the path has recorded it.
        let mut recorded = FrameBuf::new();
        let executed = session.pack_into(&Query::Later, UnixTime::now(), &mut rng, &mut recorded);
        executed.expect("it can be sent");
        let running = &servers(&played)[at];
        let mut client = dial(running);
        client.learn_salt();
        client.stream.send(&mut recorded, AckRequest::No).expect("the server reads");
        // A later frame is handled later.
        // The complaint about it is for the session that it was recorded from.
        let is_told =
            client.stream.receive(PATIENCE, |incoming| matches!(incoming, Incoming::Envelope { .. }));
        assert!(is_told.expect("a complaint"));
        client.echo(1);
        assert!(running.waiting.lock().expect("no panic").is_empty(), "it was not executed");
    }
}

/// The options of a client that makes its keys itself.
fn connect_options(running: &Running, store: &Arc<MemoryStore>) -> ConnectOptions {
    let mut keys = KeyRing::empty();
    keys.add(private_key().public_key().clone());
    let handshake = ClientOptions::new(keys, DcId::production(2));
    let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
    let options =
        ConnectOptions::at(running.address(), dialling, handshake).with_store(Arc::clone(store) as _);
    options.with_forward_secrecy()
}

#[test]
fn a_client_with_a_temporary_key_goes_on_with_another_process() {
    let played = Arc::<Played>::default();
    let [first, second] = servers(&played);
    for order in [[&first, &second], [&second, &first]] {
        let (store, made_before) = (Arc::<MemoryStore>::default(), played.made.load(Ordering::SeqCst));
        for running in order {
            let client = blocking::connect(connect_options(running, &store)).expect("the server listens");
            let answer = client.invoke(&Query::Echo(7)).wait().expect("an answer");
            assert_eq!(answer, 1 | 7 << 32);
            client.close().wait();
            let made = played.made.load(Ordering::SeqCst) - made_before;
            assert_eq!(made, 1, "one permanent key serves for both processes");
        }
    }
}

#[test]
fn one_temporary_key_is_bound_to_one_permanent_key_by_all_processes() {
    let played = Arc::<Played>::default();
    let [first, _second] = servers(&played);
    let store = Arc::<MemoryStore>::default();
    let client = blocking::connect(connect_options(&first, &store)).expect("the server listens");
    client.invoke(&Query::Echo(7)).wait().expect("an answer");
    let temporary = first.engine().keys().into_iter().find(|key| key.kind() != KeyStatus::Permanent);
    let temporary = temporary.expect("the client has bound one");
    let permanent = temporary.permanent_id().expect("it is bound");
    assert_eq!(now(played.bound_to(permanent)), [temporary.auth_key().id()]);
    let found = now(played.look_up(permanent)).expect("the permanent key");
    assert_eq!(found.key.expires_at, None, "a key that is bound to is in use");
    let found = now(played.look_up(temporary.auth_key().id())).expect("the temporary key");
    let opened = sealer().open(&found.key).expect("it is sealed with this secret");
    assert_eq!(opened.status, temporary.kind());
}
