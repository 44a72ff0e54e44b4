//! Clients that go on whatever happens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chappe_crypto::AuthKeyId;
use chappe_crypto::rsa::KeyRing;
use chappe_framing::SessionId;
use chappe_handshake::{ClientOptions, DcId};
use chappe_net::{Client, ConnectOptions, DialOptions, InvokeOptions, Update, blocking};
use chappe_server::fleet::SessionName;
use chappe_transport::{Connector, Framing};

use crate::balancer::Balancer;
use crate::process::{NAME, RUN, RUN_SLOWLY, private_key};

/// What a client knows at the end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) answered: BTreeSet<u32>,
    pub(crate) failed: BTreeSet<u32>,
    /// Numbers of the updates that came, in order.
    pub(crate) updates: Vec<u32>,
}

/// A client that calls until it is told to stop.
pub(crate) struct Caller {
    client: Client,
    is_over: Arc<AtomicBool>,
    calling: JoinHandle<Outcome>,
}

/// How long a call, or what must happen after all, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn connect(balancer: &Balancer) -> Client {
    let mut keys = KeyRing::empty();
    keys.add(private_key().public_key().clone());
    let handshake = ClientOptions::new(keys, DcId::production(2));
    let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
    let options = ConnectOptions::at(balancer.address(), dialling, handshake);
    blocking::connect(options).expect("some process serves")
}

fn call(client: &Client, constructor: u32, number: u32) -> Option<Vec<u8>> {
    let body = [constructor.to_le_bytes(), number.to_le_bytes()].concat();
    client.invoke_bytes(&body, &InvokeOptions::default().timeout(PATIENCE)).wait().ok()
}

/// Returns the session of a client.
pub(crate) fn name_of(client: &Client) -> SessionName {
    let answer = call(client, NAME, 0).expect("some process serves");
    let raw = |at: usize| i64::from_le_bytes(answer[at..at + 8].try_into().expect("eight bytes"));
    SessionName { key: AuthKeyId::from_raw(raw(0)), session: SessionId::from_raw(raw(8)) }
}

impl Caller {
    /// Starts a client. `numbers` gives each call a number of its own.
    pub(crate) fn start(balancer: &Balancer, numbers: &Arc<AtomicU32>) -> Self {
        let client = connect(balancer);
        let is_over = Arc::<AtomicBool>::default();
        let (calls, numbers, ends) = (client.clone(), Arc::clone(numbers), Arc::clone(&is_over));
        let calling = thread::spawn(move || {
            let mut updates = calls.updates();
            let mut outcome = Outcome::default();
            while !ends.load(Ordering::SeqCst) {
                let number = numbers.fetch_add(1, Ordering::SeqCst);
                let constructor = if number % 7 == 0 { RUN_SLOWLY } else { RUN };
                let is_answered = call(&calls, constructor, number).is_some();
                let numbers = if is_answered { &mut outcome.answered } else { &mut outcome.failed };
                numbers.insert(number);
            }
            let deadline = Instant::now() + Duration::from_secs(2);
            while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                match updates.wait_timeout(left) {
                    chappe_net::Waited::Update(Update::Object(object)) => {
                        let number = object.bytes[4..8].try_into().expect("four bytes");
                        outcome.updates.push(u32::from_le_bytes(number));
                    }
                    chappe_net::Waited::Update(_) => {}
                    _ => break,
                }
            }
            outcome
        });
        Self { client, is_over, calling }
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Ends the calls once one more was answered, and returns what came of all.
    pub(crate) fn end(self) -> Outcome {
        let name = name_of(&self.client);
        assert_ne!(name.session.to_raw(), 0, "it is served at the end");
        self.is_over.store(true, Ordering::SeqCst);
        self.calling.join().expect("no panic")
    }
}
