//! Queries repeated, too often, or by too many.

use core::time::Duration;

use chappe_framing::Now;
use chappe_handshake::{PeerId, RateLimit, RefusalReason, TransportErrorCode};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, functions};

use super::{Answer, NOW, Rig, assert_not_found, strict};
use crate::server_options;

/// Returns a reading of both clocks this long after the start.
fn after(seconds: u64) -> Now {
    let time = Duration::from_secs(seconds);
    Now::new(NOW.mono + time, NOW.unix.saturating_add(time))
}

#[test]
fn sec_058_identical_queries_get_identical_answers_and_others_none() {
    let mut rig = strict();
    let first = rig.start();
    let again = rig.object(&functions::ReqPqMulti { nonce: first.nonce });
    assert_eq!(enums::ResPq::ResPq(first.clone()).to_bytes(), again);

    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    let answer = rig.object(&query);
    assert_eq!(rig.object(&query), answer);
    // A tail of random bytes, as some clients write it, does not make it another query.
    let with_tail = [query.to_bytes(), vec![0xa5; 20]].concat();
    let Ok(Answer::Object(repeated)) = rig.ask(&with_tail) else { panic!("it is answered") };
    assert_eq!(repeated, answer);
    assert_eq!(rig.object(&functions::ReqPqMulti { nonce: first.nonce }), again, "late repeats as well");

    let last = rig.last_query(&first, 12, |_| {});
    let done = rig.object(&last);
    assert_eq!(rig.object(&last), done, "no second key is made");
    assert_eq!(rig.object(&query), answer);

    // The same nonces with other parameters are another query.
    let other = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_not_found(&rig.refused(&other), &RefusalReason::UnknownExchange);
    assert_not_found(&rig.refused(&last), &RefusalReason::UnknownExchange);
}

#[test]
fn sec_058_answers_are_remembered_for_ten_minutes() {
    let mut rig = strict();
    let first = rig.start();
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    rig.object(&query);
    assert_eq!(rig.server.poll_timeout(), Some(after(600).mono));
    rig.now = after(599);
    rig.object(&query);
    rig.now = after(600);
    assert_not_found(&rig.refused(&query), &RefusalReason::UnknownExchange);
    assert!(rig.server.is_empty());
    assert_eq!(rig.server.poll_timeout(), None);
}

#[test]
fn sec_059_a_peer_that_asks_too_often_is_told_so() {
    let rate = RateLimit::default().with(|rate| {
        rate.interval = Duration::from_secs(1);
        rate.burst = 4;
        rate.max_peers = 10;
    });
    let mut rig = Rig::new(server_options().with_rate(Some(rate)));
    let first = rig.start();
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    rig.object(&query);
    for _ in 0..10 {
        rig.object(&query);
    }
    rig.start();
    rig.start();
    let refusal = rig.refused(&functions::ReqPqMulti { nonce: [9; 16] });
    assert_eq!(
        (refusal.reason, refusal.code),
        (RefusalReason::TooOften, Some(TransportErrorCode::TooManyConnections))
    );
    let other = rig.ask_as(PeerId(2), &functions::ReqPqMulti { nonce: [9; 16] }.to_bytes());
    assert!(matches!(other, Ok(Answer::Object(_))), "others are served");
    rig.now = after(1);
    rig.start();
}

#[test]
fn sec_059_too_often_does_not_destroy_the_exchange() {
    let rate = RateLimit::default().with(|rate| {
        rate.interval = Duration::from_secs(1);
        rate.burst = 1;
        rate.max_peers = 10;
    });
    let mut rig = Rig::new(server_options().with_rate(Some(rate)));
    let first = rig.start();
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_eq!(rig.refused(&query).reason, RefusalReason::TooOften);
    rig.now = after(1);
    rig.object(&query);
}

#[test]
fn sec_060_a_flood_of_probes_evicts_the_oldest() {
    let mut rig = Rig::new(server_options().with_max_exchanges(100));
    let first = rig.start();
    let firsts: Vec<_> = (0..1000).map(|_| rig.start()).collect();
    assert_eq!(rig.server.len(), 100);
    let evicted = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_not_found(&rig.refused(&evicted), &RefusalReason::UnknownExchange);
    let kept = rig.params_query(&firsts[950], enums::PQInnerData::Dc);
    rig.object(&kept);
}
