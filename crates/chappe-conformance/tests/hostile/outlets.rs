//! Which connection a session sends to, and which one has a timer for it.

use core::time::Duration;

use chappe_framing::FrameBuf;
use chappe_server::{Context, Handler, QueryResponse};
use chappe_session::server::{Policy, SaltSchedule};
use chappe_transport::AckRequest;

use crate::QUERY;
use crate::server::{Hostile, World};

/// Answers nothing yet.
struct Later;

impl Handler for Later {
    fn query(&self, _: &Context<'_>, _: &[u8]) -> QueryResponse {
        QueryResponse::Later
    }
}

/// `ping_delay_disconnect`: the connection may be closed after so many seconds.
fn disconnect_after(seconds: i32) -> Vec<u8> {
    [&0xf342_7b8c_u32.to_le_bytes()[..], &7_u64.to_le_bytes(), &seconds.to_le_bytes()].concat()
}

#[test]
fn a_connection_that_a_session_has_left_has_no_timer_for_it() {
    let mut world = World::new();
    let mut owner = Hostile::new(7);
    let (mut left, mut used) = (world.connect(), world.connect());
    let frame = owner.query(&world, &QUERY);
    world.show(&mut left, frame);
    assert!(left.poll_timeout().is_some(), "its answer waits for an acknowledgement");
    let frame = owner.query(&world, &disconnect_after(60));
    world.show(&mut used, frame);
    assert_eq!(left.poll_timeout(), None, "a driver would wake for it again and again, and do nothing");
    world.millis += 60_000;
    left.handle_timeout(world.now());
    assert_eq!(world.drain(&mut left).end, None, "the client wanted the other connection closed");
    used.handle_timeout(world.now());
    assert!(world.drain(&mut used).end.is_some());
}

#[test]
fn the_timer_of_a_session_that_was_left_does_not_close_the_connection_of_the_next() {
    let mut world = World::new();
    let (mut left, mut next) = (Hostile::new(7), Hostile::new(8));
    let mut connection = world.connect();
    let frame = left.query(&world, &disconnect_after(60));
    world.show(&mut connection, frame);
    world.millis += 30_000;
    let frame = next.query(&world, &disconnect_after(60));
    world.show(&mut connection, frame);
    world.millis += 30_000;
    connection.handle_timeout(world.now());
    assert_eq!(world.drain(&mut connection).end, None, "the client pings under its new session");
    let due = connection.poll_timeout().filter(|at| *at <= world.now().mono);
    assert_eq!(due, None, "and nothing is left that a driver would wake for");
    world.millis += 30_000;
    connection.handle_timeout(world.now());
    assert!(world.drain(&mut connection).end.is_some());
}

#[test]
fn a_connection_over_http_without_a_request_has_no_timer_that_it_cannot_serve() {
    let mut world = World::serving(Policy::Strict, Later);
    let mut owner = Hostile::new(7);
    let mut connection = world.connect().over_http();
    // One request, one response: the first has the announcement of the session, the second is empty.
    for is_empty in [false, true] {
        let (now, mut frame) = (world.now(), owner.query(&world, &QUERY));
        connection.handle_payload(now, &mut frame, AckRequest::No, &mut world.rng);
        let output = connection.poll_output(now, &mut world.rng, &mut FrameBuf::new());
        assert_eq!(output.is_none(), is_empty);
        connection.release();
    }
    world.millis += 3_600_000;
    connection.handle_timeout(world.now());
    let due = connection.poll_timeout().filter(|at| *at <= world.now().mono + Duration::from_millis(1));
    assert_eq!(due, None, "the acknowledgement of the query waits for a request");
    owner.salt = SaltSchedule::new([9; 32]).current(owner.key.id(), world.now().unix);
    let frame = owner.query(&world, &QUERY);
    assert!(!world.show(&mut connection, frame).frames.is_empty(), "the next request gets its response");
}
