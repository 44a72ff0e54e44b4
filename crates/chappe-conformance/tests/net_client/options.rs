//! Options of any value: a client connects and is served, or the option is refused by name.

use core::time::Duration;
use std::sync::Arc;

use chappe_crypto::rng::Drbg;
use chappe_net::store::{MemoryStore, Slot, load_state};
use chappe_net::{
    Address, Blame, ConnectError, ConnectOptions, Credentials, InvokeError, LinkError, Proxy, blocking,
    tokio::connect,
};
use chappe_session::client::KeyMaterial;
use chappe_tl_api::functions::help::GetNearestDc;
use rand_core::Rng as _;

use crate::world::World;

/// One random change, and the name of the option that it changes.
type Change = (&'static str, fn(&mut ConnectOptions, &mut Draw));

/// Draws values, and remembers whether one of them is too short to count on.
struct Draw {
    rng: Drbg,
    is_tight: bool,
}

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        self.rng.next_u32() % bound
    }

    fn time(&mut self) -> Duration {
        let times = [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1),
            Duration::from_secs(5),
            Duration::from_secs(86_400 * 365),
            Duration::from_secs(u64::MAX),
            Duration::MAX,
        ];
        let time = times[self.below(times.len() as u32) as usize];
        self.is_tight |= time < Duration::from_secs(1);
        time
    }

    fn count(&mut self) -> usize {
        let counts = [0, 1, 16, 5000, 1 << 20];
        counts[self.below(counts.len() as u32) as usize]
    }
}

const CHANGES: [Change; 34] = [
    ("timing.connect", |options, draw| options.timing.connect = draw.time()),
    ("timing.stagger", |options, draw| options.timing.stagger = draw.time()),
    ("timing.proof", |options, draw| options.timing.proof = draw.time()),
    ("timing.call", |options, draw| options.timing.call = Some(draw.time())),
    ("timing.give_up", |options, draw| options.timing.give_up = Some(draw.time())),
    ("timing.close", |options, draw| options.timing.close = draw.time()),
    ("backoff.first", |options, draw| options.backoff.first = draw.time()),
    ("backoff.max", |options, draw| options.backoff.max = draw.time()),
    ("backoff.min_interval", |options, draw| options.backoff.min_interval = draw.time()),
    ("backoff.per_minute", |options, draw| options.backoff.per_minute = draw.count()),
    ("backoff.first_attempts", |options, draw| options.backoff.first_attempts = draw.count() as u32),
    ("backoff.flood_failures", |options, draw| options.backoff.flood_failures = draw.count() as u32),
    ("liveness.keep_alive", |options, draw| options.liveness.keep_alive = draw.time()),
    ("liveness.busy_ping", |options, draw| options.liveness.busy_ping = draw.time()),
    ("liveness.dead_after", |options, draw| options.liveness.dead_after = draw.time()),
    ("liveness.disconnect_delay", |options, draw| options.liveness.disconnect_delay = draw.time()),
    ("limits.received_ids", |options, draw| options.limits.received_ids = draw.count()),
    ("limits.pending_calls", |options, draw| options.limits.pending_calls = draw.count()),
    ("limits.pending_bytes", |options, draw| options.limits.pending_bytes = draw.count()),
    ("limits.container_messages", |options, draw| options.limits.container_messages = draw.count()),
    ("limits.body_bytes", |options, draw| options.limits.body_bytes = draw.count()),
    ("limits.received_bytes", |options, draw| options.limits.received_bytes = draw.count()),
    ("limits.unpacked_bytes", |options, draw| options.limits.unpacked_bytes = draw.count()),
    ("limits.acks", |options, draw| options.limits.acks = draw.count()),
    ("limits.salts", |options, draw| options.limits.salts = draw.count()),
    ("limits.events", |options, draw| options.limits.events = draw.count()),
    ("updates", |options, draw| {
        (options.updates.count, options.updates.bytes) = (draw.count(), draw.count());
    }),
    ("temporary_keys", |options, draw| {
        // Long enough a life works, but making a second key takes long; so all of these are refused.
        let lives = [Duration::ZERO, Duration::from_secs(60), Duration::from_secs(3600), Duration::MAX];
        options.temporary_keys = Some(lives[draw.below(4) as usize]);
    }),
    ("candidates[0].address", |options, draw| {
        let addresses = ["127.0.0.1", ":443", "host.example:0", "https://host.example:443", "::1:443", ""];
        options.candidates[0].address = match draw.below(7) as usize {
            6 => Address::of("127.0.0.1", 0),
            place => Address::Name(addresses[place].into()),
        };
    }),
    ("candidates[0].dialling.proxy", |options, draw| {
        let addresses = ["127.0.0.1", ":1080", "proxy.example:0", "socks5://127.0.0.1:1080", "::1:1080", ""];
        let address = addresses[draw.below(6) as usize];
        options.candidates[0].dialling.proxy = Some(Proxy::socks5(address));
    }),
    ("candidates[0].dialling.proxy.credentials", |options, draw| {
        // A name of no bytes, and one with a colon.
        let (name, proxy) = match draw.below(2) {
            0 => ("", Proxy::socks5("127.0.0.1:1080")),
            _ => ("a:b", Proxy::http_connect("127.0.0.1:1080")),
        };
        let proxy = proxy.with_credentials(Credentials::new(name, "secret"));
        options.candidates[0].dialling.proxy = Some(proxy);
    }),
    ("candidates[0].dialling.connect_timeout", |options, draw| {
        options.candidates[0].dialling.connect_timeout = draw.time();
    }),
    ("candidates[0].dialling.hello_timeout", |options, draw| {
        options.candidates[0].dialling.hello_timeout = draw.time();
    }),
    ("candidates[0].dialling.write_timeout", |options, draw| {
        options.candidates[0].dialling.write_timeout = draw.time();
    }),
];

/// Whether an error is a time-out, which a value too short to count on explains.
fn is_late(error: &ConnectError) -> bool {
    matches!(
        error.cause(),
        ConnectError::TimedOut { .. }
            | ConnectError::Link(LinkError::TimedOut { .. })
            | ConnectError::Session(_)
    )
}

/// Makes a key that all cases share.
fn key(world: &World) -> KeyMaterial {
    let store = Arc::new(MemoryStore::new());
    blocking::connect(world.options().with_store(store.clone())).expect("a connection").close().wait();
    load_state(&store, Slot::production(2)).expect("it is whole").expect("it was saved").key
}

#[tokio::test]
async fn any_option_works_or_is_refused_by_name() {
    let world = World::start();
    let key = key(&world);
    for seed in 0..150_u8 {
        let mut draw = Draw { rng: Drbg::from_seed([seed; 32]), is_tight: false };
        let mut options = world.options().with_key(key.clone());
        let mut changed = Vec::new();
        for _ in 0..=draw.below(2) {
            let (name, change) = CHANGES[draw.below(CHANGES.len() as u32) as usize];
            change(&mut options, &mut draw);
            changed.push(name);
        }
        let context = format!("seed {seed}: {changed:?} of {options:?}");
        let client = match connect(options).await {
            Ok(client) => client,
            Err(error) => {
                match &*error {
                    ConnectError::InvalidOption(error) => {
                        // One option can be refused because of another one that is larger.
                        let is_named = changed.iter().any(|name| error.option.starts_with(name));
                        let of_liveness = error.option.starts_with("liveness");
                        let is_related =
                            of_liveness && changed.iter().any(|name| name.starts_with("liveness"));
                        assert!(is_named || is_related, "{error}; {context}");
                    }
                    error => assert!(draw.is_tight && is_late(error), "{}; {context}", error.report()),
                }
                continue;
            }
        };
        match client.invoke(&GetNearestDc {}).await {
            Ok(_) => {}
            Err(InvokeError::TimedOut { .. }) => assert!(draw.is_tight, "{context}"),
            Err(InvokeError::Connection(error)) => assert!(draw.is_tight && is_late(&error), "{context}"),
            Err(error) => panic!("{}; {context}", error.report()),
        }
        client.close().await;
    }
}

#[test]
fn an_option_that_cannot_work_is_the_callers_and_is_refused_at_once() {
    let world = World::start();
    let refused = |change: fn(&mut ConnectOptions)| {
        let mut options = world.options();
        change(&mut options);
        let error = blocking::connect(options).expect_err("it cannot work");
        assert_eq!((error.blame(), error.is_fatal()), (Blame::Caller, true));
        match &*error {
            ConnectError::InvalidOption(error) => error.option.clone(),
            error => panic!("{error}"),
        }
    };
    let proxied = refused(|options| *options = options.clone().with_proxy(&Proxy::socks5("127.0.0.1")));
    assert_eq!(proxied, "candidates[0].dialling.proxy");
    assert_eq!(refused(|options| options.timing.connect = Duration::ZERO), "timing.connect");
    assert_eq!(refused(|options| options.temporary_keys = Some(Duration::from_secs(600))), "temporary_keys");
    assert_eq!(world.datacenter().engine().keys().len(), 0, "nothing was dialled");
}

#[test]
fn a_runtime_that_is_missing_or_lacks_time_or_input_and_output_is_an_error() {
    let world = World::start();
    let refused = |error: Arc<ConnectError>| match &*error {
        ConnectError::InvalidOption(error) => assert_eq!(error.option, "runtime", "{error}"),
        error => panic!("{error}"),
    };
    let mut without = core::pin::pin!(connect(world.options()));
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    match without.as_mut().poll(&mut context) {
        core::task::Poll::Ready(Err(error)) => refused(error),
        other => panic!("{other:?}"),
    }
    let builder = tokio::runtime::Builder::new_current_thread;
    for runtime in [builder().build(), builder().enable_io().build(), builder().enable_time().build()] {
        let runtime = runtime.expect("a runtime");
        refused(runtime.block_on(connect(world.options())).expect_err("it lacks something"));
    }
}
