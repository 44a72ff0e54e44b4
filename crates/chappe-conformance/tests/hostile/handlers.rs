//! Handlers that do what they should not, or what few do.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use chappe_crypto::rng::Drbg;
use chappe_server::{Context, Handler, ServerConnection, Verdict};
use chappe_session::server::Policy;
use chappe_transport::AckRequest;

use crate::QUERY;
use crate::pen::ANSWER;
use crate::server::{Hostile, World};

/// A connection, and a frame of the client that comes over it while a query of another connection is handled.
type Elsewhere = Arc<Mutex<Option<(ServerConnection, Vec<u8>)>>>;

/// Moves the session of its query to another connection.
#[derive(Clone, Default)]
struct Moving(Elsewhere);

impl Handler for Moving {
    fn query(&self, context: &Context<'_>, _: &[u8]) -> Verdict {
        if let Some((connection, frame)) = self.0.lock().unwrap().as_mut() {
            let mut rng = Drbg::from_seed([8; 32]);
            connection.handle_payload(context.now, &mut frame.clone(), AckRequest::No, &mut rng);
        }
        Verdict::Answer(ANSWER.to_vec())
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
    fn query(&self, _: &Context<'_>, body: &[u8]) -> Verdict {
        assert_eq!(body, QUERY, "a mistake in an application");
        Verdict::Answer(ANSWER.to_vec())
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
