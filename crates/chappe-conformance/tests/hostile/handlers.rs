//! Handlers that do what they should not, or what few do.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;

use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_handshake::bind::BindTempAuthKey;
use chappe_server::{
    Clock, Context, Handler, KeyState, KeyStatus, QueryResponse, RawCall, Reply, Router, ServerConnection,
};
use chappe_session::server::{Policy, SaltSchedule};
use chappe_session::{MonoTime, Now};
use chappe_tl::Serializable as _;
use chappe_transport::AckRequest;

use crate::pen::ANSWER;
use crate::server::{Hostile, World};
use crate::{QUERY, key};

/// A connection, and a frame of the client that comes over it while a query of another connection is handled.
type Elsewhere = Arc<Mutex<Option<(ServerConnection, Vec<u8>)>>>;

/// Moves the session of its query to another connection.
#[derive(Clone, Default)]
struct Moving(Elsewhere);

impl Handler for Moving {
    fn query(&self, context: &Context<'_>, _: &[u8]) -> QueryResponse {
        if let Some((connection, frame)) = self.0.lock().unwrap().as_mut() {
            let mut rng = Drbg::from_seed([8; 32]);
            connection.handle_payload(context.now, &mut frame.clone(), AckRequest::No, &mut rng);
        }
        QueryResponse::Answer(ANSWER.to_vec())
    }
}

#[test]
fn an_answer_wakes_the_connection_that_the_session_moved_to_while_the_handler_ran() {
    let handler = Moving::default();
    let mut world = World::serving(Policy::Strict, handler.clone());
    let mut owner = Hostile::new(7);
    let mut first = world.connect();
    let frame = owner.query(&world, &QUERY);
    world.show(&mut first, frame);
    let wakes = Arc::new(AtomicUsize::new(0));
    let second = {
        let wakes = Arc::clone(&wakes);
        let wake = move || {
            wakes.fetch_add(1, Ordering::Relaxed);
        };
        world.engine.connect(([127, 0, 0, 1], 2).into(), chappe_framing::TransportTail::None, wake)
    };
    let query = owner.query(&world, &QUERY);
    let ping = owner.query(&world, &[&0x7abe_77ec_u32.to_le_bytes()[..], &[1; 8]].concat());
    *handler.0.lock().unwrap() = Some((second, ping));
    assert!(world.show(&mut first, query).frames.is_empty(), "the session is elsewhere");
    let (mut second, _) = handler.0.lock().unwrap().take().unwrap();
    assert_eq!(wakes.load(Ordering::Relaxed), 1, "no input of that connection caused the answer");
    let said = world.drain(&mut second);
    assert!(owner.read(&said).iter().any(|(_, body)| body.ends_with(&ANSWER)), "{said:?}");
}

/// Panics at every query but one.
struct Panicking;

impl Handler for Panicking {
    fn query(&self, _: &Context<'_>, body: &[u8]) -> QueryResponse {
        assert_eq!(body, QUERY, "a mistake in an application");
        QueryResponse::Answer(ANSWER.to_vec())
    }
}

#[test]
fn a_query_whose_handler_panics_is_answered_and_others_are_served() {
    let mut world = World::serving(Policy::Strict, Panicking);
    let mut owner = Hostile::new(7);
    let mut connection = world.connect();
    let frame = owner.query(&world, &[1; 4]);
    let said = world.show(&mut connection, frame);
    assert_eq!(said.end, None);
    let text = b"INTERNAL_SERVER_ERROR";
    let has_text = |body: &[u8]| body.windows(text.len()).any(|part| part == text);
    assert!(owner.read(&said).iter().any(|(_, body)| has_text(body)), "{said:?}");
    assert!(!connection.is_busy(), "nothing is left to be answered");
    world.survives("a handler that panics");
}

#[test]
fn the_body_of_a_query_is_not_copied() {
    let mut world = World::new();
    let mut owner = Hostile::new(7);
    let mut connection = world.connect();
    for len in [4, 512 << 10] {
        let mut frames = [(); 2].map(|()| owner.query(&world, &vec![1; len]));
        let now = world.now();
        for (round, frame) in frames.iter_mut().enumerate() {
            let cost = allocation_counter::measure(|| {
                connection.handle_payload(now, frame, AckRequest::No, &mut world.rng);
            });
            assert!(round == 0 || cost.bytes_total < 2048, "{len}: {} bytes", cost.bytes_total);
        }
    }
}

/// Knows no method at all.
struct Nothing;

impl Handler for Nothing {
    fn query(&self, _: &Context<'_>, _: &[u8]) -> QueryResponse {
        QueryResponse::Error { code: 400, message: "METHOD_INVALID".into() }
    }
}

#[test]
fn a_binding_is_answered_as_clients_know_it_whatever_the_handler_knows() {
    let mut world = World::serving(Policy::Strict, Nothing);
    let expires_at = world.now().unix.saturating_add(Duration::from_secs(3600));
    let kind = KeyStatus::Temporary { expires_at, bound_to: None };
    world.engine.add_key(KeyState::new(key(5), kind));
    let mut client = Hostile::new(7);
    client.key = key(5);
    client.salt = SaltSchedule::new([9; 32]).current(client.key.id(), world.now().unix);
    let mut connection = world.connect();
    let mut seq_no = -1;
    let mut bind = |world: &mut World, permanent: &AuthKey, cut: usize| {
        let (msg_id, mut rng) = (client.next_id(world), Drbg::from_seed([3; 32]));
        let (id, session) = (client.key.id(), client.session);
        let request = BindTempAuthKey::new(permanent, id, session, expires_at, msg_id, &mut rng);
        let mut body = request.unwrap().to_bytes();
        body.truncate(body.len() - cut);
        seq_no += 2;
        let frame = client.frame(msg_id, seq_no, &body);
        let said = world.show(&mut connection, frame);
        client.read(&said).into_iter().map(|(_, body)| body).collect::<Vec<_>>()
    };
    let has = |bodies: &[Vec<u8>], text: &[u8]| {
        bodies.iter().any(|body| body.windows(text.len()).any(|part| part == text))
    };
    let lost = bind(&mut world, &key(77), 0);
    assert!(has(&lost, b"ENCRYPTED_MESSAGE_INVALID"), "the permanent key is gone: {lost:?}");
    world.millis += 10;
    assert!(has(&bind(&mut world, &key(1), 4), b"ENCRYPTED_MESSAGE_INVALID"), "it is cut off");
    world.millis += 10;
    let bound = bind(&mut world, &key(1), 0);
    assert!(bound.iter().any(|body| body.ends_with(&ANSWER)), "boolTrue: {bound:?}");
    let state = world.engine.key(key(5).id(), world.now().unix).unwrap();
    assert_eq!(state.permanent_id(), Some(key(1).id()));
}

#[test]
fn a_session_does_not_destroy_itself_and_a_connection_that_has_ended_takes_nothing() {
    let mut world = World::new();
    let mut owner = Hostile::new(7);
    let mut connection = world.connect();
    let destroy = |id: i64| [&0xe751_2126_u32.to_le_bytes()[..], &id.to_le_bytes()].concat();
    let frame = owner.query(&world, &destroy(7));
    let said = world.show(&mut connection, frame);
    let none = 0x62d3_50c9_u32.to_le_bytes();
    assert!(owner.read(&said).iter().any(|(_, body)| body.starts_with(&none)), "destroy_session_none");
    let frame = owner.query(&world, &QUERY);
    assert!(!world.show(&mut connection, frame).frames.is_empty(), "the session goes on");

    let executed = world.executed();
    let mut stranger = owner.query(&world, &QUERY);
    stranger[0] ^= 1;
    assert!(world.show(&mut connection, stranger).end.is_some());
    let frame = owner.query(&world, &QUERY);
    let said = world.show(&mut connection, frame);
    assert_eq!((world.executed(), said.frames.len(), said.end), (executed, 0, None));
}

#[test]
fn what_calls_take_is_measured_with_the_clock_of_the_engine() {
    let seconds = Arc::new(AtomicU64::new(100));
    let clock = {
        let seconds = Arc::clone(&seconds);
        Clock::new(move || {
            let passed = Duration::from_secs(seconds.load(Ordering::Relaxed));
            Now::new(MonoTime::from_duration(passed), chappe_framing::UnixTime::EPOCH)
        })
    };
    let router = Router::new().fallback(move |call: RawCall| {
        seconds.fetch_add(3, Ordering::Relaxed);
        async move { Ok(Reply::from(call.body)) }
    });
    let mut world = World::configured(Policy::Strict, router.into_handler(), |options| options.clock = clock);
    let (mut owner, mut connection) = (Hostile::new(7), world.connect());
    let frame = owner.query(&world, &QUERY);
    world.show(&mut connection, frame);
    let metrics = world.engine.metrics();
    assert_eq!((metrics.call_seconds.count(), metrics.call_seconds.sum()), (1, 3.0));
    world.make_key([192, 0, 2, 7].into());
    let metrics = world.engine.metrics();
    assert_eq!((metrics.handshake_seconds.count(), metrics.handshake_seconds.sum()), (2, 0.0));
}
