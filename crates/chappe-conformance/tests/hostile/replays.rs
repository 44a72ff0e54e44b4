//! Frames that somebody on the path has recorded and sends again, without knowing the key.

use alloc::collections::BTreeSet;

use chappe_framing::{ServerSalt, SessionId};

use crate::pen::ANSWER;
use crate::server::{Hostile, World};
use crate::{QUERY, key};

/// Sessions that a server keeps for one key.
const SESSIONS: i64 = 64;

/// Sends a frame over a connection of its own, which stays open.
fn replay(world: &mut World, frame: &[u8]) {
    let mut connection = world.connect();
    world.show(&mut connection, frame.to_vec());
    core::mem::forget(connection);
}

fn has_answer(owner: &Hostile, said: &crate::server::Said) -> bool {
    owner.read(said).iter().any(|(_, body)| body.ends_with(&ANSWER))
}

#[test]
fn recorded_frames_of_old_sessions_do_not_push_out_one_in_use_and_nothing_runs_twice() {
    let mut world = World::new();
    let mut recorded = Vec::new();
    for session in 0..SESSIONS {
        let mut ended = Hostile::new(100 + session);
        let frame = ended.query(&world, &QUERY);
        let mut connection = world.connect();
        world.show(&mut connection, frame.clone());
        recorded.push(frame);
        world.millis += 10;
    }
    let mut owner = Hostile::new(7);
    let mut live = world.connect();
    let query = owner.query(&world, &QUERY);
    assert!(has_answer(&owner, &world.show(&mut live, query.clone())));
    let executed = world.executed();
    assert_eq!(executed, 65);
    world.millis += 1000;

    for frame in &recorded {
        replay(&mut world, frame);
    }
    replay(&mut world, &query);
    assert_eq!(world.executed(), executed, "nothing ran twice");
    let next = owner.query(&world, &QUERY);
    let said = world.show(&mut live, next);
    assert!(has_answer(&owner, &said), "the session in use goes on: {said:?}");
    let mut new = Hostile::new(8);
    let (frame, mut connection) = (new.query(&world, &QUERY), world.connect());
    assert!(has_answer(&new, &world.show(&mut connection, frame)), "and there is room for another");
    world.survives("recorded frames");
}

#[test]
fn a_session_that_makes_room_leaves_nothing_behind_that_runs_again() {
    let mut world = World::new();
    let mut first = Hostile::new(99);
    let query = first.query(&world, &QUERY);
    let mut connection = world.connect();
    world.show(&mut connection, query.clone());
    drop(connection);
    for session in 0..SESSIONS {
        world.millis += 10;
        let mut other = Hostile::new(100 + session);
        let frame = other.query(&world, &QUERY);
        let mut connection = world.connect();
        assert!(has_answer(&other, &world.show(&mut connection, frame)));
    }
    let executed = world.executed();
    let mut connection = world.connect();
    let said = world.show(&mut connection, query);
    assert_eq!((world.executed(), said.end), (executed, None));
    assert_eq!(first.codes(&said), [20], "it may have run before");
}

#[test]
fn a_recorded_frame_does_not_move_a_session_to_another_connection() {
    let mut world = World::new();
    let mut owner = Hostile::new(7);
    let mut live = world.connect();
    let query = owner.query(&world, &QUERY);
    let right = core::mem::replace(&mut owner.salt, ServerSalt::from_raw(1));
    let refused = owner.query(&world, &QUERY);
    owner.salt = right;
    world.show(&mut live, query.clone());

    let mut thief = world.connect();
    assert!(world.show(&mut thief, query).frames.is_empty());
    assert_eq!(
        owner.codes(&world.show(&mut thief, refused)),
        [48],
        "the complaint goes where the frame came from"
    );
    let session = world.engine.key(key(1).id(), world.now().unix).expect("it is known").sessions().remove(0);
    session.push(&ANSWER).expect("there is room");
    assert!(world.drain(&mut thief).frames.is_empty());
    assert_eq!(world.drain(&mut live).frames.len(), 1, "the owner gets what is sent");
}

#[test]
fn a_frame_that_is_refused_begins_no_session() {
    let mut world = World::new();
    let mut owner = Hostile::new(7);
    let right = core::mem::replace(&mut owner.salt, ServerSalt::from_raw(1));
    let mut connection = world.connect();
    let frame = owner.query(&world, &QUERY);
    let said = world.show(&mut connection, frame);
    assert_eq!(owner.codes(&said), [48]);
    let state = world.engine.key(key(1).id(), world.now().unix).expect("it is known");
    assert!(state.sessions().is_empty());
    owner.salt = right;
    let again = owner.query(&world, &QUERY);
    assert!(has_answer(&owner, &world.show(&mut connection, again)), "and the client goes on");
    assert_eq!(state.sessions()[0].session_id(), SessionId::from_raw(7));
}

#[test]
fn sec_083_messages_of_a_session_have_different_ids_also_those_sent_before_it_was_kept() {
    let mut world = World::new();
    let mut owner = Hostile::new(7);
    let right = core::mem::replace(&mut owner.salt, ServerSalt::from_raw(1));
    let mut ids = Vec::new();
    // All of it happens within one reading of the clock.
    for _ in 0..3 {
        let (frame, mut connection) = (owner.query(&world, &QUERY), world.connect());
        let said = world.show(&mut connection, frame);
        assert_eq!(owner.codes(&said), [48]);
        ids.extend(owner.read(&said).into_iter().map(|(msg_id, _)| msg_id));
    }
    owner.salt = right;
    let (frame, mut connection) = (owner.query(&world, &QUERY), world.connect());
    let said = world.show(&mut connection, frame);
    assert!(has_answer(&owner, &said));
    ids.extend(owner.read(&said).into_iter().map(|(msg_id, _)| msg_id));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    assert!(ids[3..].iter().all(|id| *id > ids[2]), "{ids:?}");
}
