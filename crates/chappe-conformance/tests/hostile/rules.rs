//! Rules of the checklist that hold for a whole client or server rather than for one part of it.

use chappe_framing::{FrameError, MsgId, PeerMisbehaved, SessionId, UnixTime};
use core::time::Duration;

use chappe_session::client::{ClientConfig, ClientSession, Event, KeyMaterial, ReceiveError, SendOptions};
use chappe_session::{MonoTime, Now};
use chappe_tl::Deserializable as _;
use chappe_tl_mtproto::enums;
use chappe_types::Rule;

use crate::pen::{ANSWER, Pen, Seen, result_of};
use crate::server::{End, Hostile, World};
use crate::{QUERY, START, key};

#[test]
fn sec_092_messages_of_one_session_never_reach_another_under_the_same_key() {
    let mut world = World::new();
    let (mut one, mut two) = (Hostile::new(7), Hostile::new(8));
    let (mut first, mut second) = (world.connect(), world.connect());
    for _ in 0..5 {
        let question = one.query(&world, &QUERY);
        let said = world.show(&mut first, question);
        // `read` also checks the session of every frame.
        assert!(one.read(&said).iter().any(|(_, body)| body.ends_with(&ANSWER)));
        assert!(world.drain(&mut second).frames.is_empty(), "nothing of it went to the other connection");
        let question = two.query(&world, &QUERY);
        let said = world.show(&mut second, question);
        assert!(two.read(&said).iter().any(|(_, body)| body.ends_with(&ANSWER)));
        assert!(world.drain(&mut first).frames.is_empty());
    }
    // An update for one session goes to its connection alone.
    let sessions = world.engine.key(key(1).id(), world.now().unix).unwrap().sessions();
    let of_one = sessions.iter().find(|session| session.session_id() == one.session).unwrap();
    of_one.push(&[0x44; 8]).unwrap();
    assert!(world.drain(&mut second).frames.is_empty());
    let pushed = world.drain(&mut first);
    assert!(one.read(&pushed).iter().any(|(_, body)| body == &[0x44; 8]));
    // Both over one connection: each still gets its own.
    let mut shared = world.connect();
    let question = one.query(&world, &QUERY);
    world.show(&mut shared, question);
    let question = two.query(&world, &QUERY);
    let said = world.show(&mut shared, question);
    assert!(two.read(&said).iter().any(|(_, body)| body.ends_with(&ANSWER)));
    // A client refuses what is for another session of its key, and closes.
    let mut pen = Pen::new();
    pen.session = SessionId::from_raw(pen.session.to_raw() ^ 1);
    let error = pen.say(&[0x44; 8]).unwrap_err();
    assert_eq!(
        error,
        ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::ForeignSession { got: pen.session }))
    );
    assert_eq!(pen.events(), []);
    pen.survives("a foreign session");
}

#[test]
fn sec_099_a_result_of_another_type_fails_its_query_and_no_other() {
    let mut pen = Pen::new();
    let calls: Vec<_> = (0..3).map(|_| pen.call()).collect();
    let queries = pen.queries();
    let of = |bytes: &[u8]| enums::FutureSalts::from_bytes(bytes);
    // Another constructor, an unknown one, the right one with something behind it, and half of it.
    let right = [&0xae50_0895_u32.to_le_bytes()[..], &[0; 16]].concat();
    assert!(of(&right).is_ok());
    let wrong = [ANSWER.to_vec(), vec![0x77; 20], [&right[..], &[0; 4]].concat(), right[..16].to_vec()];
    for body in &wrong {
        assert!(of(body).is_err(), "{body:02x?}");
    }
    for ((call, query), body) in calls.iter().zip(&queries).zip(&wrong) {
        // Whatever the result is, it ends its own query, and what it is read as is the caller's type.
        assert_eq!(pen.answer(query.msg_id, body).unwrap(), [Seen::Answer(*call, body.clone())]);
    }
    assert_eq!(pen.client.pending_calls(), 0);
    pen.survives("results of other types");
}

#[test]
fn sec_100_a_result_from_another_connection_answers_nothing() {
    // Two datacenters, each with a key and a session of its own; the second answers what was asked of the first.
    let (mut asked, mut other) = (Pen::new(), Pen::new());
    let call = asked.call();
    let query = asked.queries().remove(0).msg_id;
    let waiting = other.call();
    let own = other.queries().remove(0).msg_id;
    let stranger = if query == own { MsgId::from_raw(own.to_raw() + 4000) } else { query };
    assert_eq!(other.answer(stranger, &ANSWER).unwrap(), [], "it is no query of this connection");
    assert_eq!(other.client.counters().refused.of(Rule::new(98)), 1);
    assert!(other.client.is_pending(waiting) && asked.client.is_pending(call));
    // The frame itself, carried over by somebody: it is of another session.
    let msg_id = other.next_id();
    other.session = SessionId::from_raw(other.session.to_raw() ^ 1);
    let frame = other.frame(msg_id, 1, &result_of(query, &ANSWER));
    let error = asked.show(frame).unwrap_err();
    assert_eq!(
        error,
        ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::ForeignSession { got: other.session }))
    );
    assert!(asked.client.is_pending(call));
    asked.survives("a stranger's answer");
}

#[test]
fn sec_173_a_client_that_attacks_harms_no_other_session_of_the_process() {
    let mut world = World::new();
    let mut hostile = Hostile::new(7);
    let (_, objects): (Vec<String>, Vec<Vec<u8>>) = crate::service_objects().into_iter().unzip();
    // One honest session stays open all the time.
    let mut honest = Hostile::new(99);
    honest.key = key(2);
    honest.salt =
        chappe_session::server::SaltSchedule::new([9; 32]).current(key(2).id(), UnixTime::from_secs(START));
    let mut open = world.connect();
    let mut served = 0;
    for (number, object) in objects.iter().enumerate() {
        let mut connection = world.connect();
        for lie in crate::lies(object).step_by(7) {
            world.millis += 1;
            let frame = hostile.query(&world, &lie);
            if world.show(&mut connection, frame).end.is_some() {
                connection = world.connect();
            }
        }
        let before = world.executed();
        let question = honest.query(&world, &QUERY);
        let said = world.show(&mut open, question);
        assert_eq!(said.end, None, "{number}");
        served += usize::from(honest.read(&said).iter().any(|(_, body)| body.ends_with(&ANSWER)));
        assert_eq!(world.executed(), before + 1);
        hostile.session = SessionId::from_raw(100 + number as i64);
        world.engine.add_key(chappe_server::KeyState::new(key(1), chappe_server::KeyStatus::Permanent));
    }
    assert_eq!(served, objects.len(), "every honest query was answered in the same session");
    world.survives("everything");
}

#[test]
fn sec_176_answers_to_guesses_are_the_same_whatever_is_wrong() {
    let mut world = World::new();
    let mut end = |payload: Vec<u8>| {
        let mut connection = world.connect();
        let said = world.show(&mut connection, payload);
        assert!(said.frames.is_empty());
        said.end.expect("the connection ends")
    };
    // Under a key that is there: whatever does not decrypt ends without a word, however long it is.
    let probe = Hostile::new(7);
    for len in [64, 80, 96, 1040] {
        let mut guess = probe.key.id().as_bytes().to_vec();
        guess.resize(8 + len, 0xa5);
        assert_eq!(end(guess), End::Silent, "{len}");
    }
    // Under one that is not: always -404, whether the id is far from any other or differs in a bit.
    for bit in 0..64 {
        let mut guess = probe.key.id().as_bytes().to_vec();
        guess[bit / 8] ^= 1 << (bit % 8);
        guess.resize(8 + 80, 0xa5);
        assert_eq!(end(guess), End::Error(-404), "{bit}");
    }
    // Behind a right msg_key: wrong lengths, paddings, sessions of others end alike.
    for (len, padding) in [(5_u32, 16), (u32::MAX, 16), (0x7fff_fffc, 16), (16, 0), (16, 1040)] {
        let mut plain = vec![0; 32];
        plain[8] = 7;
        plain[28..32].copy_from_slice(&len.to_le_bytes());
        plain.resize(32 + 16 + padding, 0x11);
        let frame = probe.seal(&plain);
        assert_eq!(end(frame), End::Silent, "{len:#x} {padding}");
    }
    // During the exchange: guessed nonces, unknown steps and data that does not decrypt look alike.
    let runs = chappe_conformance::vectors::load("handshake_full").entry("runs").entry("permanent_key_dc2");
    for step in runs.list("steps").iter().filter(|step| step.text("direction") == "c2s").skip(1) {
        let body = step.bytes("body");
        for at in [4, 20, body.len() - 1] {
            let mut guess = body.clone();
            guess[at] ^= 1;
            let mut buf = chappe_framing::FrameBuf::new();
            let msg_id = MsgId::from_raw((START as i64) << 32 | 4);
            chappe_framing::write_plain_bytes(&mut buf, msg_id, &guess).unwrap();
            assert_eq!(end(buf.as_slice().to_vec()), End::Error(-404), "{} {at}", step.name());
        }
    }
    world.survives("probing");
}

#[test]
fn sec_177_timers_follow_the_monotonic_clock_and_jumps_of_the_wall_clock_are_survived() {
    let wall = |seconds: i64| UnixTime::from_secs(START.saturating_add_signed(seconds));
    let at =
        |millis: u64, jump: i64| Now::new(MonoTime::from_duration(Duration::from_millis(millis)), wall(jump));
    let steady = at(0, 0);
    let material = KeyMaterial::from_handshake(key(9), 42, 0, START as i64);
    let mut client = ClientSession::new(ClientConfig::default(), material, steady);
    client.handle_connected(steady, chappe_framing::TransportTail::None);
    let mut rng = chappe_conformance::fuzz::Seeded::rng(1);
    let mut out = chappe_framing::FrameBuf::new();
    let options = SendOptions::default().with_timeout(Some(Duration::from_secs(60)));
    let call = client.send_bytes(steady, &QUERY, options).unwrap();
    while client.poll_transmit(steady, &mut rng, &mut out).is_some() {}
    let mut last = client.msg_id(call).unwrap();
    let deadline = client.poll_timeout().unwrap();
    for jump in [86_400, -86_400, 400_000_000, -400_000_000, -(START as i64), 4_000_000_000] {
        let now = at(10, jump);
        client.handle_timeout(now);
        assert_eq!(client.events().count(), 0, "{jump}: nothing is late");
        assert!(client.is_pending(call) && client.is_connected(), "{jump}");
        assert!(client.poll_timeout().unwrap() <= deadline, "{jump}: no timer was put off");
        // Ids go on by the time that passed, not by the jump.
        let next = client.send_bytes(now, &QUERY, SendOptions::default()).unwrap();
        while client.poll_transmit(now, &mut rng, &mut out).is_some() {}
        let id = client.msg_id(next).unwrap();
        assert!(id > last, "{jump}");
        assert!(id.unix_seconds().abs_diff(START as u32) <= 1, "{jump}: {id}");
        last = id;
    }
    // The timer itself runs out by monotonic time, however the wall clock stands.
    let late = at(60_001, -86_400);
    client.handle_timeout(late);
    let failed = client
        .events()
        .filter(|event| matches!(event, Event::CallFailed { call: failed, .. } if *failed == call));
    assert_eq!(failed.count(), 1);
}
