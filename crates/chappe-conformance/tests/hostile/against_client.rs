//! A server that knows the key and uses it to say what no server should.

use chappe_framing::{FrameError, MalformedFrame, MsgId, MsgOrigin, PeerMisbehaved, SessionId, UnixTime};
use chappe_session::client::{ReceiveError, Repeat, SendOptions};
use chappe_types::Rule;

use crate::pen::{ANSWER, Pen, Seen, result_of};
use crate::{QUERY, START, container, gzip_packed, lies, service_objects};

const COPY: u32 = 0xe060_46b2;
const GZIP: u32 = 0x3072_cfa1;
const CONTAINER: u32 = 0x73f1_f8dc;

/// What a refused frame may cost at most while it is worked on, in bytes.
const COST: u64 = 1 << 20;

#[test]
fn every_word_of_every_service_message_may_be_a_lie() {
    let mut pen = Pen::new();
    for (name, object) in service_objects() {
        for lie in lies(&object).chain([object.clone()]) {
            let mut refused = false;
            let cost = allocation_counter::measure(|| refused = pen.say(&lie).is_err());
            assert!(cost.bytes_max <= COST, "{name}: {} bytes for {lie:02x?}", cost.bytes_max);
            if refused {
                pen.reconnect();
            }
        }
        pen.sent();
        pen.survives(&name);
    }
}

#[test]
fn a_service_message_cut_anywhere_or_with_a_word_too_many_does_no_harm() {
    let mut pen = Pen::new();
    for (name, object) in service_objects() {
        for len in (4..object.len()).step_by(4) {
            let _ = pen.say(&object[..len]);
        }
        let _ = pen.say(&[&object[..], &[0; 4]].concat());
        pen.sent();
        pen.survives(&name);
    }
}

#[test]
fn every_length_of_the_envelope_and_of_a_container_may_be_a_lie() {
    let mut pen = Pen::new();
    let msg_id = pen.next_id().to_raw();
    let low = |step: i64| msg_id - (step << 8);
    let update = [0x44; 8];
    let body = container(3, &[(low(3), 1, 8, &update), (low(2), 3, 8, &update), (low(1), 5, 8, &update)]);
    let mut plain = 1_i64.to_le_bytes().to_vec();
    plain.extend_from_slice(&pen.session.to_raw().to_le_bytes());
    plain.extend_from_slice(&msg_id.to_le_bytes());
    plain.extend_from_slice(&6_u32.to_le_bytes());
    plain.extend_from_slice(&(body.len() as u32).to_le_bytes());
    plain.extend_from_slice(&body);
    plain.extend_from_slice(&[0x11; 16]);
    for (at, len) in [(28, body.len() as u32), (36, 3), (52, 8), (76, 8), (100, 8)] {
        for lie in crate::WORDS.into_iter().chain([len.wrapping_sub(4), len - 1, len + 1, len + 4, len + 12])
        {
            if lie == len {
                continue;
            }
            let mut lying = plain.clone();
            lying[at..at + 4].copy_from_slice(&lie.to_le_bytes());
            let frame = pen.seal(&lying);
            let cost = allocation_counter::measure(|| {
                let seen = pen.show(frame);
                // A longer or shorter body that still leaves lawful padding is another message, not a lie.
                let padding = (plain.len() as u32).next_multiple_of(16).checked_sub(32 + lie % (1 << 30));
                let is_lawful =
                    at == 28 && lie % 4 == 0 && padding.is_some_and(|len| (12..=1024).contains(&len));
                assert!(seen.is_err() || is_lawful, "{at} {lie:#x}: {seen:?}");
                assert!(
                    !matches!(seen, Ok(events) if !events.is_empty()),
                    "{at} {lie:#x}: nothing of it is used"
                );
            });
            assert!(cost.bytes_max <= COST, "{at} {lie:#x}: {} bytes", cost.bytes_max);
            pen.reconnect();
        }
    }
    pen.survives("lengths");
}

#[test]
fn padding_of_every_length_but_the_lawful_ones_is_refused() {
    let mut pen = Pen::new();
    for padding in (0..12).chain([1025, 1028, 1036, 4096]) {
        let body_len = 16 * 8 - padding % 16;
        let body_len = (body_len - body_len % 4) as u32;
        let mut plain = 1_i64.to_le_bytes().to_vec();
        plain.extend_from_slice(&pen.session.to_raw().to_le_bytes());
        plain.extend_from_slice(&pen.next_id().to_bytes());
        plain.extend_from_slice(&[1, 0, 0, 0]);
        plain.extend_from_slice(&body_len.to_le_bytes());
        plain.resize(32 + body_len as usize + padding, 0x44);
        let whole = plain.len().is_multiple_of(16);
        let frame = pen.seal(&plain);
        let seen = pen.show(frame);
        assert!(seen.is_err() || !whole, "{padding}: {seen:?}");
    }
    pen.survives("padding");
}

/// Puts an object into another one, which may have an id.
type Wrap<'a> = &'a dyn Fn(i64, Vec<u8>) -> Vec<u8>;

/// Objects inside one another, the innermost an update.
fn nested(levels: usize, msg_id: i64, wrap: impl Fn(i64, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    (0..levels).fold(vec![0x44; 8], |inner, level| wrap(msg_id - ((level as i64 + 1) << 2), inner))
}

#[test]
fn nothing_nests_without_end() {
    let in_container = |id: i64, inner: Vec<u8>| container(1, &[(id, 1, inner.len() as u32, &inner)]);
    let in_copy = |id: i64, inner: Vec<u8>| {
        let mut copy = COPY.to_le_bytes().to_vec();
        copy.extend_from_slice(&id.to_le_bytes());
        copy.extend_from_slice(&1_u32.to_le_bytes());
        copy.extend_from_slice(&(inner.len() as u32).to_le_bytes());
        copy.extend_from_slice(&inner);
        copy
    };
    let in_gzip = |_: i64, inner: Vec<u8>| gzip_packed(&inner);
    let in_result = |id: i64, inner: Vec<u8>| result_of(MsgId::from_raw(id & !3), &inner);
    let cases: [(&str, usize, Wrap<'_>, Option<u32>); 12] = [
        ("container", 2, &in_container, Some(CONTAINER)),
        ("containers", 3_000, &in_container, Some(CONTAINER)),
        ("copy", 2, &in_copy, Some(COPY)),
        ("copies", 20_000, &in_copy, Some(COPY)),
        ("gzip", 2, &in_gzip, Some(GZIP)),
        ("gzips", 40, &in_gzip, Some(GZIP)),
        ("results", 1_000, &in_result, None),
        ("container in copy", 1, &|id, inner| in_copy(id, in_container(id - 4, inner)), Some(CONTAINER)),
        (
            "gzip in gzip in container",
            1,
            &|id, inner| in_container(id, gzip_packed(&gzip_packed(&inner))),
            Some(GZIP),
        ),
        (
            "container in gzip in container",
            1,
            &|id, inner| in_container(id, gzip_packed(&in_container(id - 4, inner))),
            Some(CONTAINER),
        ),
        ("copies and gzips in turn", 9, &|id, inner| in_copy(id, gzip_packed(&inner)), Some(GZIP)),
        (
            "gzip in result in gzip",
            1,
            &|id, inner| gzip_packed(&in_result(id, gzip_packed(&inner))),
            Some(GZIP),
        ),
    ];
    for (name, levels, wrap, refused) in cases {
        let mut pen = Pen::new();
        let msg_id = MsgId::at(UnixTime::from_secs(START + 2), MsgOrigin::Response);
        let body = nested(levels, msg_id.to_raw(), wrap);
        let frame = pen.frame(msg_id, 1, &body);
        let len = frame.len() as u64;
        let cost = allocation_counter::measure(|| match (pen.show(frame), refused) {
            (
                Err(ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::Nested { id }))),
                Some(expected),
            ) => {
                assert_eq!(id, expected, "{name}");
            }
            (Ok(seen), None) => assert_eq!(seen, [], "{name}"),
            (seen, _) => panic!("{name}: {seen:?}"),
        });
        assert!(cost.bytes_max <= COST + len, "{name}: {} bytes", cost.bytes_max);
        assert_eq!(pen.events(), [], "{name}: nothing of it is used");
        pen.survives(name);
    }
}

#[test]
fn a_single_copy_is_taken_like_its_original() {
    let mut pen = Pen::new();
    let original = pen.next_id();
    let mut copy = COPY.to_le_bytes().to_vec();
    copy.extend_from_slice(&original.to_bytes());
    copy.extend_from_slice(&1_u32.to_le_bytes());
    copy.extend_from_slice(&8_u32.to_le_bytes());
    copy.extend_from_slice(&[0x44; 8]);
    assert_eq!(pen.say(&copy).unwrap(), [Seen::Update(vec![0x44; 8])]);
    assert_eq!(pen.say(&copy).unwrap(), [], "and counts as seen");
    // A copy of something that a client would have said is none of a server's.
    let msg_id = MsgId::from_raw(original.to_raw() & !3);
    copy[4..12].copy_from_slice(&msg_id.to_bytes());
    assert_eq!(
        pen.say(&copy),
        Err(ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::BadOrigin { msg_id })))
    );
    pen.survives("copies");
}

#[test]
fn a_bomb_costs_no_more_than_the_limit_and_nothing_afterwards() {
    let bomb = gzip_packed(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100 << 10);
    let mut pen = Pen::new();
    let limit = 16 << 20;
    let shapes: [Vec<u8>; 2] = [bomb.clone(), result_of(MsgId::from_raw(4), &bomb)];
    for shape in shapes {
        let cost = allocation_counter::measure(|| {
            let seen = pen.say(&shape);
            assert!(
                matches!(
                    seen,
                    Err(ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::UnpackedTooLarge { .. })))
                ),
                "{seen:?}"
            );
        });
        assert!(cost.bytes_max <= 3 * limit, "{} bytes", cost.bytes_max);
        assert!(cost.bytes_current <= 256 << 10, "{} bytes stay", cost.bytes_current);
    }
    // Many small ones in one frame share the limit.
    let part = gzip_packed(&vec![0; 1 << 20]);
    let now = MsgId::at(UnixTime::from_secs(START + 5), MsgOrigin::Response);
    let messages: Vec<_> =
        (0..40).map(|step| (now.to_raw() - (40 - step) * 4, 1, part.len() as u32, &part[..])).collect();
    let body = container(40, &messages);
    let frame = pen.frame(now, 2, &body);
    let cost = allocation_counter::measure(|| assert!(pen.show(frame).is_err()));
    assert!(cost.bytes_max <= 3 * limit + (8 << 20), "{} bytes", cost.bytes_max);
    assert_eq!(pen.events().len(), 16, "what fitted was handled before");
    pen.survives("bombs");
}

#[test]
fn what_came_before_a_fault_in_the_same_frame_is_told_with_its_own_bytes() {
    let mut pen = Pen::new();
    let call = pen.call();
    let query = pen.queries().remove(0).msg_id;
    let broken = [&GZIP.to_le_bytes()[..], &[4, 0x1f, 0x8b, 8, 0, 0, 0, 0]].concat();
    pen.millis += 10;
    let msg_id = pen.next_id();
    let low = |step: i64| msg_id.to_raw() - 4 * step;
    let answer = result_of(query, &[0x77; 8]);
    let messages =
        [(low(2), 1, answer.len() as u32, &answer[..]), (low(1), 3, broken.len() as u32, &broken[..])];
    let frame = pen.frame(msg_id, 4, &container(2, &messages));
    assert_eq!(
        pen.show(frame),
        Err(ReceiveError::Frame(FrameError::Malformed(MalformedFrame::BadCompression)))
    );
    // The next frame has other bytes at the same place.
    let seen = pen.say(&[0x44; 64]).unwrap();
    assert_eq!(seen, [Seen::Answer(call, vec![0x77; 8]), Seen::Update(vec![0x44; 64])]);
    pen.survives("a fault behind an answer");
}

#[test]
fn a_replay_shows_nothing_twice() {
    let mut pen = Pen::new();
    let msg_id = pen.next_id();
    let update = [0x44; 8];
    let frame = pen.frame(msg_id, 1, &update);
    assert_eq!(pen.show(frame.clone()).unwrap().len(), 1);
    for _ in 0..50 {
        assert_eq!(pen.show(frame.clone()).unwrap(), [], "the whole frame");
    }
    // The same message in a container under a new id, twice in it, and in another container.
    for _ in 0..3 {
        let outer = pen.next_id();
        let inner = (msg_id.to_raw(), 1, 8, &update[..]);
        let frame = pen.frame(outer, 2, &container(2, &[inner, inner]));
        assert_eq!(pen.show(frame).unwrap(), []);
    }
    // An answer given twice ends the call once.
    let call = pen.call();
    let query = pen.queries().remove(0).msg_id;
    assert_eq!(pen.answer(query, &ANSWER).unwrap(), [Seen::Answer(call, ANSWER.to_vec())]);
    assert_eq!(pen.answer(query, &[0x55; 8]).unwrap(), []);
    pen.survives("replays");
}

#[test]
fn a_replay_is_refused_even_when_the_window_has_forgotten_it() {
    let mut pen = Pen::new();
    let first = pen.next_id();
    let frame = pen.frame(first, 1, &[0x44; 8]);
    assert_eq!(pen.show(frame.clone()).unwrap().len(), 1);
    for _ in 0..600 {
        pen.say(&[0x45; 8]).unwrap();
    }
    // It may have been missed, as far as the client can tell. One report covers every replay.
    assert_eq!(pen.show(frame.clone()).unwrap(), [Seen::Other("UpdatesMayBeMissing".into())]);
    for _ in 0..50 {
        assert_eq!(pen.show(frame.clone()).unwrap(), []);
    }
    assert_eq!(pen.client.counters().refused.of(Rule::new(77)), 51);
    pen.survives("an old replay");
}

#[test]
fn a_reflected_frame_is_refused() {
    let mut pen = Pen::new();
    pen.call();
    let own = pen.sent().remove(0).frame;
    assert_eq!(
        pen.show(own),
        Err(ReceiveError::Frame(FrameError::Malformed(MalformedFrame::MsgKeyMismatch)))
    );
    pen.survives("reflection");
}

#[test]
fn foreign_sessions_wrong_parity_and_ids_from_1970_and_2100_are_not_listened_to() {
    let mut pen = Pen::new();
    let session = pen.session;
    for other in [0, session.to_raw() ^ 1, !session.to_raw(), -1] {
        pen.session = SessionId::from_raw(other);
        let seen = pen.say(&[0x44; 8]);
        assert!(
            matches!(
                seen,
                Err(ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::ForeignSession { .. })))
            ),
            "{seen:?}"
        );
        pen.session = session;
    }
    pen.survives("foreign sessions");
    for low in [0, 2] {
        let msg_id = MsgId::from_raw(pen.next_id().to_raw() & !3 | low);
        let frame = pen.frame(msg_id, 1, &[0x44; 8]);
        assert_eq!(
            pen.show(frame),
            Err(ReceiveError::Frame(FrameError::Misbehaved(PeerMisbehaved::BadOrigin { msg_id })))
        );
    }
    pen.survives("parity");
    for seconds in [0, 1, 86_400, START - 301, START + 31, 4_102_444_800, u64::from(u32::MAX)] {
        for body in [&[0x44; 8][..], &QUERY] {
            let msg_id = MsgId::at(UnixTime::from_secs(seconds), MsgOrigin::Notification);
            let frame = pen.frame(msg_id, 1, body);
            assert_eq!(pen.show(frame).unwrap(), [], "{seconds}");
        }
    }
    for raw in [1, 3, -1, -3, i64::MAX, i64::MIN + 1, i64::MIN + 3] {
        let frame = pen.frame(MsgId::from_raw(raw), 1, &[0x44; 8]);
        assert_eq!(pen.show(frame).unwrap(), [], "{raw:#x}");
    }
    pen.survives("ids from elsewhere");
    assert_eq!(pen.client.time_offset(pen.now()), 0, "none of them set the clock");
}

#[test]
fn an_id_inside_a_container_may_not_be_higher_or_of_the_other_side() {
    let mut pen = Pen::new();
    for (name, step) in [("the same", 0_i64), ("higher", 4), ("the client's", -1), ("of nobody", -3)] {
        let outer = pen.next_id();
        let inner = outer.to_raw() + step;
        let good = (outer.to_raw() - 64, 1, 8, &[0x44; 8][..]);
        let frame = pen.frame(outer, 2, &container(2, &[good, (inner, 1, 8, &[0x45; 8])]));
        let seen = pen.show(frame);
        assert!(seen.is_err(), "{name}: {seen:?}");
        assert_eq!(pen.events(), [], "{name}: no message of it counts");
    }
    pen.survives("ids in containers");
}

#[test]
fn frames_cut_or_damaged_anywhere_are_refused() {
    let mut pen = Pen::new();
    let msg_id = pen.next_id();
    let frame = pen.frame(msg_id, 1, &[0x44; 40]);
    for len in 0..frame.len() {
        assert!(pen.show(frame[..len].to_vec()).is_err(), "{len}");
    }
    for bit in 0..frame.len() * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(pen.show(damaged).is_err(), "bit {bit}");
    }
    assert_eq!(pen.events(), []);
    assert_eq!(pen.show(frame).unwrap().len(), 1, "the frame itself is still good");
    pen.survives("damage");
}

#[test]
fn answers_to_nothing_and_malformed_results_answer_nothing() {
    let mut pen = Pen::new();
    let call = pen.call_with(SendOptions::default().with_repeat(Repeat::Never));
    let query = pen.queries().remove(0).msg_id;
    for other in [query.to_raw() + 4, query.to_raw() - 4, 1, -4, i64::MIN] {
        assert_eq!(pen.answer(MsgId::from_raw(other), &ANSWER).unwrap(), [], "{other:#x}");
    }
    assert!(pen.answer(MsgId::from_raw(0), &ANSWER).is_err(), "query 0");
    pen.reconnect();
    let header = result_of(query, &[]);
    for len in [4, 8, 12] {
        assert!(pen.say(&header[..len]).is_err(), "a result of {len} bytes");
    }
    // An error with texts that end early, are long, or are no text.
    let error = |text: &[u8]| [&0x2144_ca19_u32.to_le_bytes()[..], &400_u32.to_le_bytes(), text].concat();
    for text in [&[8, b'A', b'B', b'C'][..], &[254, 0xff, 0xff, 0xff], &[253, 0, 0, 0], &[]] {
        assert!(pen.answer(query, &error(text)).is_err(), "{text:02x?}");
    }
    assert!(pen.client.is_pending(call), "none of this ended the call");
    assert_eq!(pen.answer(query, &error(&[3, 0xff, 0xfe, 0xfd])).unwrap(), [Seen::Error(call)]);
    pen.survives("results");
}

#[test]
fn the_same_message_from_a_client_is_not_taken_from_a_server() {
    // What only a client says is ignored, whatever it asks.
    let mut pen = Pen::new();
    let ids = [0x7abe_77ec_u32, 0xf342_7b8c, 0xb921_bd04, 0x58e4_a740, 0xe751_2126, 0xd143_5160, 0x9299_359f];
    for id in ids {
        let body = [&id.to_le_bytes()[..], &[0; 8]].concat();
        for len in [4, 8, 12] {
            let _ = pen.say(&body[..len]);
        }
    }
    pen.survives("questions of a client");
}
