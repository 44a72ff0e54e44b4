//! Replays, age and salts against `msg_id_seq_no.json` and rows SEC-76 to SEC-89 of the checklist.

use chappe_conformance::vectors;
use chappe_framing::{MsgId, ServerSalt, UnixTime};
use chappe_session::SessionLimits;
use chappe_session::salts::{SaltTable, TimedSalt};
use chappe_session::window::{Age, AgeLimits, DuplicateWindow, Seen};

#[test]
fn sec_076_and_sec_077_the_window_answers_as_in_the_vectors() {
    let file = vectors::load("msg_id_seq_no");
    let case = file.entry("duplicate_window");
    let mut window = DuplicateWindow::<()>::new(case.number("capacity"));
    for step in case.list("sequence") {
        let expect = step.text("expect");
        let seen = window.insert(MsgId::from_raw(step.number("msg_id")), ());
        let expected = match expect {
            _ if expect.starts_with("accept") => Seen::Fresh,
            _ if expect.contains("duplicate") => Seen::Duplicate,
            _ => Seen::TooOld,
        };
        assert_eq!(seen, expected, "{expect}");
    }
}

#[test]
fn sec_078_the_default_window_holds_at_least_400_ids_and_no_more_than_it_says() {
    let limits = SessionLimits::default();
    assert!(limits.received_ids >= 400);
    let mut window = DuplicateWindow::<()>::new(limits.received_ids);
    for raw in 0..10_000 {
        window.insert(MsgId::from_raw(4 * raw + 1), ());
    }
    assert_eq!(window.len(), limits.received_ids);
}

#[test]
fn sec_079_ages_are_judged_as_in_the_vectors() {
    let file = vectors::load("msg_id_seq_no");
    let mut judged = 0;
    for case in file.list("server_checks") {
        let now = UnixTime::from_secs(case.number("server_now"));
        let age = AgeLimits::SPEC.check(MsgId::from_raw(case.number("msg_id")), now);
        let expected = match case.text("expect") {
            "accept" => Age::Plausible,
            "bad_msg_notification 16" => Age::TooOld,
            "bad_msg_notification 17" => Age::TooNew,
            _ => continue,
        };
        assert_eq!(age, expected, "{}", case.name());
        judged += 1;
    }
    assert_eq!(judged, 5);
}

#[test]
fn sec_088_announced_salts_are_sorted_and_bounded() {
    let timed = |valid_since: i64| TimedSalt {
        valid_since,
        valid_until: valid_since + 1800,
        salt: ServerSalt::from_raw(valid_since),
    };
    let mut table = SaltTable::new(ServerSalt::from_raw(1), 1000, 64);
    table.extend((0..10_000).rev().map(|n| timed(2000 + n)), 1000);
    let since: Vec<_> = table.as_slice().iter().map(|salt| salt.valid_since).collect();
    assert!(since.is_sorted());
    assert_eq!(since.len(), 64);
}
