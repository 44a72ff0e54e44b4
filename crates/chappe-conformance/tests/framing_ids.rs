//! Message identifiers and sequence numbers against `msg_id_seq_no.json`.

use chappe_conformance::vectors;
use chappe_framing::{MsgId, MsgIdGenerator, MsgOrigin, SeqNo, SeqNoCounter, UnixTime};

#[test]
fn ids_of_given_times_are_those_of_the_vectors() {
    for case in vectors::load("msg_id_seq_no").list("msg_ids") {
        let nanos = case.number::<u64>("unix_seconds") * 1_000_000_000 + case.number::<u64>("nanoseconds");
        let time = UnixTime::from_nanos(nanos);
        for (origin, field) in [
            (MsgOrigin::Client, "client"),
            (MsgOrigin::Response, "server_response"),
            (MsgOrigin::Notification, "server_notification"),
        ] {
            // Ids after 2038 do not fit a signed number; the vectors give them unsigned.
            let expected = MsgId::from_raw(case.number::<i128>(field) as i64);
            assert_eq!(MsgId::at(time, origin), expected, "{case:?} {field}");
            assert_eq!(MsgIdGenerator::new().next(time, origin), expected, "{case:?} {field}");
            assert_eq!(expected.origin(), Some(origin));
            assert_eq!(expected.unix_seconds(), case.number::<u32>("unixtime_from_id"));
        }
    }
}

#[test]
fn sec_071_an_id_from_a_client_must_be_divisible_by_four() {
    for case in vectors::load("msg_id_seq_no").list("server_checks") {
        let id = MsgId::from_raw(case.number("msg_id"));
        let refused = case.text("expect") == "bad_msg_notification 18";
        assert_eq!(id.origin() != Some(MsgOrigin::Client), refused, "{case:?}");
    }
}

#[test]
fn sec_083_ids_increase_strictly_whatever_the_clock_does() {
    let mut ids = MsgIdGenerator::new();
    let mut last = MsgId::from_raw(0);
    for seconds in [1_707_425_104, 1_707_425_104, 1_707_425_103, 0, 1_707_425_104, 2_147_483_648, 1] {
        let id = ids.next(UnixTime::from_secs(seconds), MsgOrigin::Client);
        assert!(id > last, "{id} {last}");
        assert_eq!(id.to_raw() % 4, 0);
        assert_ne!(id.to_raw() as u32, 0, "the low half must not be empty");
        last = id;
    }
}

#[test]
fn seq_nos_count_content_related_messages_twice() {
    let mut counter = SeqNoCounter::new();
    for case in vectors::load("msg_id_seq_no").list("seq_no_sequence") {
        let seq_no = if case.flag("content_related") {
            counter.next_content_related()
        } else {
            counter.next_unrelated()
        };
        assert_eq!(seq_no, SeqNo::from_raw(case.number("seq_no")), "{case:?}");
        assert_eq!(seq_no.is_content_related(), case.flag("content_related"));
    }
}
