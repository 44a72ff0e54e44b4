//! A client that has a key and uses it to say what no client should.

use chappe_framing::{MsgId, MsgOrigin, ServerSalt, SessionId, TransportTail, UnixTime};
use chappe_server::{KeyState, KeyStatus};
use chappe_session::Now;
use chappe_session::server::{Policy, SaltSchedule, ServerConfig, ServerSession};
use chappe_types::Rule;

use crate::server::{End, Hostile, World};
use crate::{QUERY, START, Say, WORDS, container, gzip_packed, key, lies, service_objects};

/// What a refused frame may cost at most while it is worked on, in bytes.
const COST: u64 = 1 << 20;

/// The transport error for whom the server does not know.
const NOT_FOUND: Option<End> = Some(End::Error(-404));
/// A connection that ends without a word.
const CLOSED: Option<End> = Some(End::Silent);

#[test]
fn every_word_of_every_service_message_may_be_a_lie() {
    for policy in [Policy::Strict, Policy::Lenient] {
        let mut world = World::with(policy);
        let mut hostile = Hostile::new(7);
        let mut connection = world.connect();
        for (number, (name, object)) in service_objects().into_iter().enumerate() {
            // Lies to a lenient server are the same; a part of them is enough.
            let step = if policy == Policy::Strict { 1 } else { 5 };
            for lie in lies(&object).chain([object.clone()]).skip(number % step).step_by(step) {
                world.millis += 1;
                let frame = hostile.query(&world, &lie);
                let mut said = None;
                let cost = allocation_counter::measure(|| said = Some(world.show(&mut connection, frame)));
                assert!(cost.bytes_max <= COST, "{name}: {} bytes for {lie:02x?}", cost.bytes_max);
                if said.unwrap().end.is_some() {
                    hostile.session = SessionId::from_raw(hostile.session.to_raw() + 1);
                    connection = world.connect();
                }
                if name.starts_with("destroy_auth_key") {
                    // It does what it says.
                    world.engine.add_key(KeyState::new(key(1), KeyStatus::Permanent));
                }
            }
            world.survives(&name);
        }
    }
}

#[test]
fn every_length_of_the_envelope_and_of_a_container_may_be_a_lie() {
    let mut world = World::new();
    let mut hostile = Hostile::new(7);
    let body_of = |outer: i64| {
        let low = |step: i64| outer - (step << 8);
        container(3, &[(low(3), 1, 4, &QUERY), (low(2), 3, 4, &QUERY), (low(1), 5, 4, &QUERY)])
    };
    for (at, len) in [(28, 68_u32), (36, 3), (52, 4), (72, 4), (92, 4)] {
        for lie in WORDS.into_iter().chain([len - 1, len + 1, len + 4, len + 8, len + 16]) {
            if lie == len {
                continue;
            }
            world.millis += 1;
            let outer = hostile.next_id(&world).to_raw();
            let body = body_of(outer);
            assert_eq!(body.len(), 68);
            let mut plain = hostile.salt.to_raw().to_le_bytes().to_vec();
            plain.extend_from_slice(&hostile.session.to_raw().to_le_bytes());
            plain.extend_from_slice(&outer.to_le_bytes());
            plain.extend_from_slice(&6_u32.to_le_bytes());
            plain.extend_from_slice(&68_u32.to_le_bytes());
            plain.extend_from_slice(&body);
            plain.extend_from_slice(&[0x11; 12]);
            plain[at..at + 4].copy_from_slice(&lie.to_le_bytes());
            let frame = hostile.seal(&plain);
            let mut connection = world.connect();
            let mut said = None;
            let before = world.executed();
            let cost = allocation_counter::measure(|| said = Some(world.show(&mut connection, frame)));
            let said = said.unwrap();
            assert!(cost.bytes_max <= COST, "{at} {lie:#x}: {} bytes", cost.bytes_max);
            assert_eq!(world.executed(), before, "{at} {lie:#x}: nothing of it is executed");
            let is_refused = said.end == CLOSED || hostile.codes(&said) == [64];
            assert!(is_refused, "{at} {lie:#x}: {said:?}");
            hostile.session = SessionId::from_raw(hostile.session.to_raw() + 1);
        }
    }
    world.survives("lengths");
}

#[test]
fn nothing_nests_without_end() {
    let wrap = |levels: usize, outer: i64| {
        (0..levels).fold(QUERY.to_vec(), |inner, level| {
            container(1, &[(outer - 4 * (level as i64 + 1), 1, inner.len() as u32, &inner)])
        })
    };
    let gzips = |levels: usize| (0..levels).fold(QUERY.to_vec(), |inner, _| gzip_packed(&inner));
    for levels in [2, 50, 3_000] {
        let mut world = World::new();
        let mut hostile = Hostile::new(7);
        let mut connection = world.connect();
        let outer = MsgId::at(UnixTime::from_secs(START + 1), MsgOrigin::Client);
        let frame = hostile.frame(outer, 0, &wrap(levels, outer.to_raw()));
        let len = frame.len() as u64;
        let mut said = None;
        let cost = allocation_counter::measure(|| said = Some(world.show(&mut connection, frame)));
        let said = said.unwrap();
        assert!(cost.bytes_max <= COST + len, "{levels}: {} bytes", cost.bytes_max);
        assert_eq!((said.end, hostile.codes(&said)), (None, vec![64]), "{levels}");
        assert_eq!(world.executed(), 0);
        world.survives("nested containers");
    }
    for (name, body) in [
        ("gzip in gzip", gzips(2)),
        ("gzips", gzips(30)),
        ("a container in gzip", gzip_packed(&wrap(1, (START as i64) << 32))),
    ] {
        let mut world = World::new();
        let mut hostile = Hostile::new(7);
        let mut connection = world.connect();
        let frame = hostile.query(&world, &body);
        let said = world.show(&mut connection, frame);
        assert_eq!((said.end, world.executed()), (CLOSED, 0), "{name}");
        world.survives(name);
    }
}

#[test]
fn a_bomb_costs_no_more_than_the_limit_and_nothing_afterwards() {
    let mut world = World::new();
    let mut hostile = Hostile::new(7);
    let bomb = gzip_packed(&vec![0; 64 << 20]);
    let largest = gzip_packed(&vec![0x11; (16 << 20) - 4]);
    for (body, expected) in [(&bomb, CLOSED), (&largest, None)] {
        let mut connection = world.connect();
        let frame = hostile.query(&world, body);
        let cost = allocation_counter::measure(|| {
            assert_eq!(world.show(&mut connection, frame).end, expected);
            drop(connection);
        });
        assert!(cost.bytes_max <= 3 * (16 << 20), "{} bytes", cost.bytes_max);
        assert!(cost.bytes_current <= 256 << 10, "{} bytes stay when the client is gone", cost.bytes_current);
    }
    world.survives("bombs");
}

#[test]
fn a_replay_executes_nothing_twice() {
    let mut world = World::new();
    let mut hostile = Hostile::new(7);
    let msg_id = hostile.next_id(&world);
    let frame = hostile.frame(msg_id, 1, &QUERY);
    for round in 0..40 {
        // On the same connection, and on others.
        let mut connection = world.connect();
        for _ in 0..3 {
            assert_eq!(world.show(&mut connection, frame.clone()).end, None, "{round}");
        }
        assert_eq!(world.executed(), 1, "{round}");
    }
    // The same message inside containers.
    let mut connection = world.connect();
    for _ in 0..3 {
        let outer = hostile.next_id(&world);
        let inner = (msg_id.to_raw(), 1, 4, &QUERY[..]);
        let frame = hostile.frame(outer, 2, &container(2, &[inner, inner]));
        world.show(&mut connection, frame);
    }
    assert_eq!(world.executed(), 1);
    // Ten minutes later it is too old, whatever is remembered.
    world.millis += 600_000;
    let said = world.show(&mut connection, frame);
    assert_eq!((world.executed(), hostile.codes(&said)), (1, vec![16]));
    world.survives("replays");
}

#[test]
fn what_the_server_said_is_not_taken_back_by_it() {
    let mut world = World::new();
    let mut hostile = Hostile::new(7);
    let mut connection = world.connect();
    let frame = hostile.query(&world, &QUERY);
    let said = world.show(&mut connection, frame);
    for frame in said.frames {
        let mut connection = world.connect();
        assert_eq!(world.show(&mut connection, frame).end, CLOSED);
    }
    world.survives("reflection");
}

#[test]
fn wrong_keys_sessions_parities_and_times_get_the_answers_of_the_specification() {
    let mut world = World::new();
    let mut show = |change: &dyn Fn(&mut Hostile), msg_id: MsgId| {
        let mut hostile = Hostile::new(7);
        change(&mut hostile);
        let mut connection = world.connect();
        let frame = hostile.frame(msg_id, 1, &QUERY);
        let said = world.show(&mut connection, frame);
        let end = said.end;
        (end, if end.is_none() { hostile.codes(&said) } else { Vec::new() })
    };
    let at = |seconds: u64| MsgId::at(UnixTime::from_secs(seconds), MsgOrigin::Client);
    let low = |bits: i64| MsgId::from_raw(at(START).to_raw() | bits);
    assert_eq!(show(&|hostile| hostile.key = key(99), at(START)), (NOT_FOUND, vec![]), "an unknown key");
    assert_eq!(show(&|hostile| hostile.session = SessionId::from_raw(0), at(START)), (NOT_FOUND, vec![]));
    for bits in 1..4 {
        assert_eq!(show(&|_| (), low(bits)), (None, vec![18]), "{bits}");
    }
    for (seconds, code) in [(0, 16), (1, 16), (START - 301, 16), (START + 31, 17), (4_102_444_800, 17)] {
        assert_eq!(show(&|_| (), at(seconds)), (None, vec![code]), "{seconds}");
    }
    for raw in [-4, i64::MIN, i64::MAX - 3, 4] {
        let (end, codes) = show(&|_| (), MsgId::from_raw(raw));
        assert!(end.is_none() && matches!(codes[..], [16 | 17]), "{raw:#x}: {codes:?}");
    }
    assert_eq!(show(&|hostile| hostile.salt = ServerSalt::from_raw(5), at(START)), (None, vec![48]));
    assert_eq!(world.executed(), 0, "none of them was executed");
    world.survives("wrong numbers");
}

#[test]
fn frames_cut_or_damaged_anywhere_end_the_connection_without_a_word() {
    let mut world = World::new();
    let mut hostile = Hostile::new(7);
    let frame = hostile.query(&world, &QUERY);
    for len in 8..frame.len() {
        let mut connection = world.connect();
        assert_eq!(world.show(&mut connection, frame[..len].to_vec()).end, CLOSED, "{len}");
    }
    for bit in 64..frame.len() * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let mut connection = world.connect();
        assert_eq!(world.show(&mut connection, damaged).end, CLOSED, "bit {bit}");
    }
    assert_eq!(world.executed(), 0);
    let mut connection = world.connect();
    world.show(&mut connection, frame);
    assert_eq!(world.executed(), 1, "the frame itself is still good");
    world.survives("damage");
}

/// What a session may hold for a client that takes everything and acknowledges nothing, in bytes.
const HELD: i64 = 1 << 20;

#[test]
fn a_client_that_never_stops_and_never_acknowledges_fills_nothing() {
    let id = |id: u32, number: usize| [&id.to_le_bytes()[..], &(4 * number as u64).to_le_bytes()].concat();
    let floods: [(&str, Say<'_>); 9] = [
        ("answers to be dropped", &|number| id(0x58e4_a740, number)),
        ("pings", &|number| id(0x7abe_77ec, number)),
        ("requests for salts", &|_| [&0xb921_bd04_u32.to_le_bytes()[..], &64_u32.to_le_bytes()].concat()),
        ("sessions to be destroyed", &|number| id(0xe751_2126, number)),
        ("keys to be destroyed, which there are none of", &|number| id(0xd143_5161, number)),
        ("questions about states", &|number| {
            let ids: Vec<u8> = (0..60).flat_map(|at| (4 * (number + at) as u64).to_le_bytes()).collect();
            [&0xda69_fb52_u32.to_le_bytes()[..], &0x1cb5_c415_u32.to_le_bytes(), &60_u32.to_le_bytes(), &ids]
                .concat()
        }),
        ("requests to send again", &|number| {
            let ids: Vec<u8> = (0..60).flat_map(|at| (4 * (number + at) as u64 + 1).to_le_bytes()).collect();
            [&0x7d86_1a08_u32.to_le_bytes()[..], &0x1cb5_c415_u32.to_le_bytes(), &60_u32.to_le_bytes(), &ids]
                .concat()
        }),
        ("queries", &|_| QUERY.to_vec()),
        ("queries that nobody knows", &|number| id(0x1234_5678, number)),
    ];
    for policy in [Policy::Strict, Policy::Lenient] {
        // What a lenient server does otherwise concerns queries.
        let from = if policy == Policy::Strict { 0 } else { 7 };
        for (name, flood) in floods.into_iter().skip(from) {
            let mut world = World::with(policy);
            let mut hostile = Hostile::new(7);
            let mut connection = world.connect();
            let cost = allocation_counter::measure(|| {
                for number in 0..900 {
                    if number % 8 == 0 {
                        world.millis += 1;
                    }
                    let frame = hostile.query(&world, &flood(number));
                    if world.show(&mut connection, frame).end.is_some() {
                        connection = world.connect();
                    }
                }
            });
            assert!(cost.bytes_current <= HELD, "{name}: {} bytes stay", cost.bytes_current);
            world.survives(name);
        }
    }
}

#[test]
fn answers_to_be_dropped_are_held_in_bounded_number_like_any_others() {
    let world = World::new();
    let now: Now = world.now();
    let config = ServerConfig::default().with(|config| config.unacked_messages = 64);
    let salts = SaltSchedule::new([9; 32]);
    let mut session = ServerSession::new(config, key(1), SessionId::from_raw(7), salts, 1);
    session.handle_connected(now, TransportTail::None);
    let mut hostile = Hostile::new(7);
    for number in 0..300_u64 {
        let body = [&0x58e4_a740_u32.to_le_bytes()[..], &(4 * number).to_le_bytes()].concat();
        let mut frame = hostile.query(&world, &body);
        let _ = session.handle_frame(now, &mut frame).unwrap();
    }
    // The announcement of the session is one more.
    assert!(session.unacked() <= 65, "{session:?}");
    assert!(session.counters().refused.of(Rule::new(175)) > 200);
}

#[test]
fn sessions_without_number_make_room_for_each_other() {
    let mut world = World::new();
    let mut connection = world.connect();
    let cost = allocation_counter::measure(|| {
        for session in 1..2_000 {
            // Sessions that begin faster than the budget allows are refused.
            world.millis += 100;
            let mut hostile = Hostile::new(session);
            let frame = hostile.query(&world, &QUERY);
            assert_eq!(world.show(&mut connection, frame).end, None);
        }
    });
    let held = world.engine.key(key(1).id(), world.now().unix).unwrap().sessions().len();
    assert!(held <= 64, "{held} sessions");
    assert!(cost.bytes_current <= HELD, "{} bytes stay", cost.bytes_current);
    world.survives("sessions");
}

#[test]
fn a_container_of_a_thousand_of_anything_is_bounded_work() {
    let error = gzip_packed(&[0x55; 64]);
    let bodies: [&[u8]; 3] = [&QUERY, &error, &[0xec, 0x77, 0xbe, 0x7a, 1, 0, 0, 0, 0, 0, 0, 0]];
    for body in bodies {
        let mut world = World::new();
        let mut hostile = Hostile::new(7);
        let mut connection = world.connect();
        for round in 0..8 {
            world.millis += 100;
            let outer = MsgId::at(world.now().unix, MsgOrigin::Client);
            let first = outer.to_raw() - 4 * 1024;
            let messages: Vec<_> = (0..1020_i64)
                .map(|at| (first + 4 * at, 2 * (1020 * round + at) as i32 + 1, body.len() as u32, body))
                .collect();
            let frame = hostile.frame(outer, 2040 * (round as i32 + 1), &container(1020, &messages));
            let cost = allocation_counter::measure(|| {
                let _ = world.show(&mut connection, frame);
            });
            assert!(cost.bytes_current <= HELD, "{} bytes stay", cost.bytes_current);
        }
        world.survives("containers");
    }
}
