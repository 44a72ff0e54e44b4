//! Service messages: sessions announced, states told, times to wait.

use chappe_crypto::Side;
use chappe_framing::{ServerSalt, TransportTail, open};
use chappe_session::HttpWait;
use chappe_session::server::{Policy, ServerEvent};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};

use crate::pair::{GET_CONFIG, Pair, SESSION, after, at, container, key, now};

#[test]
fn sec_090_a_new_session_is_announced_once_and_with_its_first_message() {
    let mut pair = Pair::new(Policy::Strict);
    let mut announced = |second: u64, seq_no: i32| -> Vec<i64> {
        pair.send(second, at(second), seq_no, &GET_CONFIG);
        let answers = pair.answers(second);
        let announcements = answers.iter().filter_map(|sent| enums::NewSession::from_bytes(&sent.body).ok());
        announcements.map(|enums::NewSession::Created(created)| created.first_msg_id).collect()
    };
    assert_eq!(announced(0, 1), [at(0).to_raw()]);
    assert!(announced(1, 3).is_empty());
}

#[test]
fn sec_103_lists_of_more_than_8192_ids_are_ignored() {
    let mut pair = Pair::new(Policy::Strict);
    let ask =
        |count| enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: vec![1; count] }).to_bytes();
    pair.send(0, at(0), 0, &ask(8193));
    pair.send(0, after(at(0), 1), 0, &ask(8192));
    let answers = pair.answers(0);
    let infos: Vec<_> =
        answers.iter().filter_map(|sent| enums::MsgsStateInfo::from_bytes(&sent.body).ok()).collect();
    let [enums::MsgsStateInfo::MsgsStateInfo(info)] = &infos[..] else { panic!("{}", infos.len()) };
    assert_eq!((info.req_msg_id, info.info.len()), (after(at(0), 1).to_raw(), 8192));
}

#[test]
fn sec_103_more_than_8192_acknowledgements_at_once_are_ignored() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    pair.server.respond_error(at(0), 400, "NO").unwrap();
    let sent: Vec<_> = pair.answers(0).iter().map(|sent| sent.msg_id.to_raw()).collect();
    assert!(!sent.is_empty());
    for (step, count) in [(1, 8193), (2, 8192)] {
        let mut msg_ids = vec![1; count];
        msg_ids[..sent.len()].copy_from_slice(&sent);
        let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids }).to_bytes();
        pair.send(0, after(at(0), step), 2, &acks);
        assert_eq!(pair.server.unacked() == 0, count == 8192, "{count}");
    }
}

#[test]
fn states_are_told_truthfully() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, after(at(0), 10), 1, &GET_CONFIG);
    pair.send(0, after(at(0), 30), 3, &GET_CONFIG);
    pair.server.respond_error(after(at(0), 10), 400, "NO").unwrap();
    pair.answers(0);
    let asked = [1, 10, 20, 30, 99].map(|steps| after(at(0), steps).to_raw()).to_vec();
    let ask = enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: asked }).to_bytes();
    pair.send(0, after(at(0), 40), 4, &ask);
    let answers = pair.answers(0);
    let info = answers.iter().find_map(|sent| enums::MsgsStateInfo::from_bytes(&sent.body).ok());
    let Some(enums::MsgsStateInfo::MsgsStateInfo(info)) = info else { panic!("{answers:?}") };
    assert_eq!(info.info.iter().map(|status| status & 7).collect::<Vec<_>>(), [1, 4, 2, 4, 3]);
    assert_eq!(info.info[1] & 64, 64, "the first was answered");
    assert_eq!(info.info[3] & 0x60, 0x20, "the second is running");
}

#[test]
fn sec_175_a_thousand_requests_for_salts_in_one_container_cost_few_salts() {
    let mut pair = Pair::new(Policy::Lenient);
    let ask = functions::GetFutureSalts { num: 64 }.to_bytes();
    let requests: Vec<_> = (0..1000).map(|step| (after(at(0), step), 2, &ask[..])).collect();
    pair.send(0, after(at(0), 1000), 2, &container(&requests));
    let lens: Vec<usize> = pair
        .answers(0)
        .iter()
        .filter_map(|sent| enums::FutureSalts::from_bytes(&sent.body).ok())
        .map(|enums::FutureSalts::FutureSalts(list)| list.salts.0.len())
        .collect();
    assert_eq!(lens[..16], [64; 16]);
    assert!(lens.len() > 16 && lens[16..].iter().all(|len| *len == 1), "{lens:?}");
    pair.send(10, at(10), 2, &ask);
    let answers = pair.answers(10);
    let again = answers.iter().find_map(|sent| enums::FutureSalts::from_bytes(&sent.body).ok());
    let Some(enums::FutureSalts::FutureSalts(again)) = again else { panic!("{answers:?}") };
    assert_eq!(again.salts.0.len(), 64, "ten seconds later the next list is whole");
}

#[test]
fn sec_105_a_request_for_unknown_messages_is_answered_with_states_and_nothing_is_sent_again() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    let created = pair.answers(0);
    let msg_ids = vec![created[0].msg_id.to_raw(), 12345];
    let ask = enums::MsgResendReq::MsgResendReq(types::MsgResendReq { msg_ids });
    pair.send(0, after(at(0), 1), 2, &ask.to_bytes());
    let answers = pair.answers(0);
    assert_eq!(answers.len(), 1);
    assert!(enums::MsgsStateInfo::from_bytes(&answers[0].body).is_ok());
}

#[test]
fn sec_109_a_client_cannot_set_a_long_time_to_disconnect() {
    let mut pair = Pair::new(Policy::Strict);
    let ping = functions::PingDelayDisconnect { ping_id: 5, disconnect_delay: i32::MAX };
    pair.send(0, at(0), 1, &ping.to_bytes());
    assert!(!pair.server.should_close(now(511)));
    assert!(pair.server.should_close(now(512)));
    let ping = functions::PingDelayDisconnect { ping_id: 5, disconnect_delay: 10 };
    pair.send(1, at(1), 3, &ping.to_bytes());
    assert!(pair.server.should_close(now(11)));
}

#[test]
fn sec_109_http_wait_is_shown_within_the_bounds_of_a_server() {
    let mut pair = Pair::new(Policy::Strict);
    let wait = types::HttpWait { max_delay: -1, wait_after: 70_000, max_wait: 25_000 };
    let mut frame = pair.frame(SESSION, at(0), 0, &enums::HttpWait::HttpWait(wait).to_bytes());
    let shown = pair.server.handle_frame(now(0), &mut frame).unwrap().find_map(|event| match event {
        ServerEvent::HttpWait(wait) => Some(wait),
        _ => None,
    });
    assert_eq!(shown, Some(HttpWait { max_delay: 0, wait_after: 60_000, max_wait: 25_000 }));
}

#[test]
fn a_quick_acknowledgement_is_given_for_what_was_accepted_and_for_nothing_else() {
    let mut pair = Pair::new(Policy::Strict);
    for (second, salt_is_right) in [(0, true), (1, false)] {
        let mut frame = pair.frame(SESSION, at(second), 1, &GET_CONFIG);
        if !salt_is_right {
            pair.salt = ServerSalt::from_raw(1);
            frame = pair.frame(SESSION, at(second), 3, &GET_CONFIG);
        }
        let mut opened_as = frame.clone();
        let token = open(&key(), Side::Client, TransportTail::None, &mut opened_as).unwrap().quick_ack();
        let events = pair.server.handle_frame(now(second), &mut frame).unwrap();
        assert_eq!(events.quick_ack(), salt_is_right.then_some(token));
    }
}
