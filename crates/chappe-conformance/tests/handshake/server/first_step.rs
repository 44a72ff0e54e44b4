//! Servers that compute first answers instead of remembering them.

use core::time::Duration;

use chappe_framing::Now;
use chappe_handshake::{PeerId, RateLimit, RefusalReason};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, functions};

use super::{Answer, NOW, Rig, assert_not_found};
use crate::{PEER, server_options};

fn computing(options: chappe_handshake::ServerOptions) -> Rig {
    let mut rig = Rig::new(options);
    rig.server = crate::server(rig.server.options().clone()).with_first_step_secret([5; 32]);
    rig
}

fn after(seconds: u64) -> Now {
    let time = Duration::from_secs(seconds);
    Now::new(NOW.mono + time, NOW.unix.saturating_add(time))
}

#[test]
fn sec_060_first_queries_need_no_memory_and_are_not_counted() {
    let rate = RateLimit::default().with(|rate| rate.burst = 1);
    let mut rig = computing(server_options().with_rate(Some(rate)));
    let first = rig.start();
    (0..1000).for_each(|_| drop(rig.start()));
    assert!(rig.server.is_empty());
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    rig.object(&query);
    assert_eq!(rig.server.len(), 1);
}

#[test]
fn sec_058_identical_queries_get_identical_answers() {
    let mut rig = computing(server_options());
    let first = rig.start();
    let again = rig.object(&functions::ReqPqMulti { nonce: first.nonce });
    assert_eq!(enums::ResPq::ResPq(first.clone()).to_bytes(), again);
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    let answer = rig.object(&query);
    assert_eq!(rig.object(&query), answer);
    let last = rig.last_query(&first, 12, |_| {});
    let done = rig.object(&last);
    assert_eq!(rig.object(&last), done, "no second key is made");
    let other = rig.params_query(&first, enums::PQInnerData::Dc);
    assert_not_found(&rig.refused(&other), &RefusalReason::UnknownExchange);
    assert_not_found(&rig.refused(&last), &RefusalReason::UnknownExchange);
}

#[test]
fn sec_057_an_exchange_that_failed_is_not_begun_again() {
    let mut rig = computing(server_options());
    let first = rig.start();
    let honest = rig.params_query(&first, enums::PQInnerData::Dc);
    let mut swapped = honest.clone();
    core::mem::swap(&mut swapped.p, &mut swapped.q);
    assert_not_found(&rig.refused(&swapped), &RefusalReason::WrongFactors);
    assert_not_found(&rig.refused(&honest), &RefusalReason::UnknownExchange);

    let first = rig.start();
    let honest = rig.params_query(&first, enums::PQInnerData::Dc);
    let mut noise = honest.clone();
    noise.encrypted_data[200] ^= 1;
    assert_not_found(&rig.refused(&noise), &RefusalReason::Undecryptable);
    assert_not_found(&rig.refused(&honest), &RefusalReason::UnknownExchange);
}

#[test]
fn sec_044_a_name_that_was_not_given_out_is_unknown() {
    let mut rig = computing(server_options());
    let first = rig.start();
    let mut other = first.clone();
    other.server_nonce[15] ^= 1;
    let query = rig.params_query(&other, enums::PQInnerData::Dc);
    assert_not_found(&rig.refused(&query), &RefusalReason::UnknownExchange);
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    let elsewhere = rig.ask_as(PeerId(PEER.0 + 1), &query.to_bytes());
    assert_not_found(&elsewhere.err().expect("it began nothing"), &RefusalReason::UnknownExchange);
    rig.now = after(660);
    assert_not_found(&rig.refused(&query), &RefusalReason::UnknownExchange);
    rig.now = NOW;
    rig.object(&query);
}

#[test]
fn one_peer_pushes_out_only_its_own_exchanges() {
    let options = server_options().with_max_exchanges(8).with_max_exchanges_per_peer(2).with_rate(None);
    let mut rig = computing(options);
    let first = rig.start();
    let query = rig.params_query(&first, enums::PQInnerData::Dc);
    rig.object(&query);
    for number in 0..10_u8 {
        let begun = rig.ask_as(PeerId(77), &functions::ReqPqMulti { nonce: [number; 16] }.to_bytes());
        let Ok(Answer::Object(begun)) = begun else { panic!("it is answered") };
        let enums::ResPq::ResPq(begun) =
            chappe_tl::Deserializable::from_bytes(&begun).expect("it is a resPQ");
        let query = rig.params_query(&begun, enums::PQInnerData::Dc).to_bytes();
        assert!(matches!(rig.ask_as(PeerId(77), &query), Ok(Answer::Object(_))));
    }
    assert_eq!(rig.server.len(), 3);
    let last = rig.last_query(&first, 12, |_| {});
    assert!(matches!(rig.ask(&last.to_bytes()), Ok(Answer::Key(..))));
}
