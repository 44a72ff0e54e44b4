//! Queries and their answers, until these are acknowledged, dropped or too many.

use chappe_framing::{FrameBuf, MsgId, RpcResult, TransportTail};
use chappe_session::server::{Policy, RespondError, ServerConfig, ServerEvent};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::Rng as _;

use crate::pair::{GET_CONFIG, Pair, SESSION, Sent, after, at, container, now};

#[test]
fn a_query_is_shown_answered_and_forgotten_when_acknowledged() {
    let mut pair = Pair::new(Policy::Strict);
    let shown = pair.send(0, at(0), 1, &GET_CONFIG);
    assert_eq!(shown, [(at(0), GET_CONFIG.to_vec())]);
    assert_eq!(pair.server.running_queries(), 1);
    pair.server.respond_error(at(0), 400, "NO").unwrap();
    let answers = pair.answers(0);
    assert_eq!(answers.len(), 2);
    let enums::NewSession::Created(created) = enums::NewSession::from_bytes(&answers[0].body).unwrap();
    assert_eq!((created.first_msg_id, created.unique_id), (at(0).to_raw(), 77), "SEC-90");
    assert_eq!(created.server_salt, pair.salt.to_raw());
    assert_eq!(RpcResult::new_checked(&answers[1].body).unwrap().req_msg_id(), at(0));
    assert_eq!(answers.iter().map(|sent| sent.seq_no).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((pair.server.unacked(), pair.server.running_queries()), (2, 0));

    let msg_ids = answers.iter().map(|sent| sent.msg_id.to_raw()).collect();
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids }).to_bytes();
    pair.send(1, at(1), 2, &acks);
    assert_eq!(pair.server.unacked(), 0);
}

#[test]
fn sec_076_a_repeated_query_is_not_shown_again_but_its_answer_is_sent_again() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    pair.server.respond_error(at(0), 400, "NO").unwrap();
    let first = pair.answers(0);
    assert!(pair.send(1, at(0), 1, &GET_CONFIG).is_empty());
    let again = pair.answers(1);
    let result = again.iter().find(|sent| RpcResult::new_checked(&sent.body).is_ok()).unwrap();
    assert_eq!(result.msg_id, first[1].msg_id, "under the same id, in a container");
}

#[test]
fn a_large_answer_is_announced_instead_of_repeated() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    let mut large = vec![0; 8192];
    chappe_crypto::rand_core::Rng::fill_bytes(&mut pair.rng, &mut large);
    pair.server.respond_bytes(at(0), &large).unwrap();
    let first = pair.answers(0);
    pair.send(1, at(0), 1, &GET_CONFIG);
    let again = pair.answers(1);
    let info = again.iter().find_map(|sent| enums::MsgDetailedInfo::from_bytes(&sent.body).ok());
    let Some(enums::MsgDetailedInfo::MsgDetailedInfo(info)) = info else { panic!("{again:?}") };
    assert_eq!((info.msg_id, info.answer_msg_id), (at(0).to_raw(), first[1].msg_id.to_raw()));

    let ask = enums::MsgResendReq::MsgResendReq(types::MsgResendReq { msg_ids: vec![info.answer_msg_id] });
    pair.send(2, at(2), 2, &ask.to_bytes());
    assert!(pair.answers(2).iter().any(|sent| sent.msg_id.to_raw() == info.answer_msg_id));
}

#[test]
fn an_answer_is_dropped_on_request_in_each_of_the_three_ways() {
    let mut pair = Pair::new(Policy::Strict);
    let drop_of = |msg_id: MsgId| functions::RpcDropAnswer { req_msg_id: msg_id.to_raw() }.to_bytes();
    let outcome = |pair: &mut Pair, about: MsgId| {
        let answers = pair.answers(0);
        let result = answers.iter().find_map(|sent| {
            RpcResult::new_checked(&sent.body).ok().filter(|result| result.req_msg_id() == about)
        });
        enums::RpcDropAnswer::from_bytes(result.unwrap().result()).unwrap()
    };
    pair.send(0, after(at(0), 1), 1, &GET_CONFIG);
    pair.send(0, after(at(0), 2), 3, &drop_of(after(at(0), 1)));
    assert_eq!(outcome(&mut pair, after(at(0), 2)), enums::RpcDropAnswer::RpcAnswerDroppedRunning);
    assert_eq!(pair.server.running_queries(), 0);

    pair.send(0, after(at(0), 3), 5, &GET_CONFIG);
    pair.server.respond_error(after(at(0), 3), 400, "NO").unwrap();
    pair.send(0, after(at(0), 4), 7, &drop_of(after(at(0), 3)));
    let dropped = outcome(&mut pair, after(at(0), 4));
    assert!(matches!(dropped, enums::RpcDropAnswer::RpcAnswerDropped(_)));

    pair.send(0, after(at(0), 5), 9, &drop_of(MsgId::from_raw(4)));
    assert_eq!(outcome(&mut pair, after(at(0), 5)), enums::RpcDropAnswer::RpcAnswerUnknown);
}

#[test]
fn a_dropped_answer_is_not_sent_again() {
    let mut pair = Pair::new(Policy::Strict);
    let query = after(at(0), 1);
    let is_answer =
        |sent: &Sent| RpcResult::new_checked(&sent.body).is_ok_and(|result| result.req_msg_id() == query);
    pair.send(0, query, 1, &GET_CONFIG);
    pair.server.respond_error(query, 400, "NO").unwrap();
    assert!(pair.answers(0).iter().any(is_answer));
    let drop = functions::RpcDropAnswer { req_msg_id: query.to_raw() }.to_bytes();
    pair.send(1, at(1), 3, &drop);
    pair.server.handle_disconnected(now(1));
    pair.server.handle_connected(now(2), TransportTail::None);
    let again = pair.answers(2);
    assert!(!again.is_empty(), "the outcome of the drop is");
    assert!(!again.iter().any(is_answer), "{again:?}");
}

#[test]
fn what_was_not_acknowledged_is_sent_again_on_a_new_connection() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    pair.server.push_bytes(&GET_CONFIG).unwrap();
    let content = |sent: Vec<Sent>| -> Vec<_> {
        sent.iter().filter(|sent| sent.seq_no & 1 == 1).map(|sent| (sent.msg_id, sent.seq_no)).collect()
    };
    let first = content(pair.answers(0));
    assert!(pair.answers(1).is_empty());
    pair.server.handle_disconnected(now(1));
    pair.server.push_bytes(&GET_CONFIG).unwrap();
    assert!(pair.answers(1).is_empty(), "nobody is there");
    pair.server.handle_connected(now(2), TransportTail::None);
    let again = content(pair.answers(2));
    assert_eq!(again[..2], first);
    assert_eq!(again.len(), 3);
}

#[test]
fn an_update_is_sent_until_it_is_acknowledged() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    pair.answers(0);
    let update = [0x1111_2222_u32.to_le_bytes(), [7; 4]].concat();
    pair.server.push_bytes(&update).unwrap();
    let first = pair.answers(1);
    let pushed = first.iter().find(|sent| sent.body == update).unwrap();
    assert_eq!((pushed.msg_id.to_raw() & 3, pushed.seq_no & 1), (3, 1), "unasked, and to be acknowledged");
    let (msg_id, seq_no) = (pushed.msg_id, pushed.seq_no);
    pair.server.handle_timeout(now(31));
    let again = pair.answers(31);
    let repeated = again.iter().find(|sent| sent.body == update).unwrap();
    assert_eq!((repeated.msg_id, repeated.seq_no), (msg_id, seq_no), "under its old id, in a container");
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids: vec![msg_id.to_raw()] });
    pair.send(32, at(32), 2, &acks.to_bytes());
    pair.server.handle_timeout(now(90));
    assert!(!pair.answers(90).iter().any(|sent| sent.body == update));
}

#[test]
fn sec_175_a_client_that_acknowledges_nothing_is_not_served_without_end() {
    let mut pair = Pair::new(Policy::Strict);
    let large = vec![1; 1 << 20];
    let refused = (0..100).find_map(|_| pair.server.push_bytes(&large).err());
    let full = RespondError::TooMuchUnacked { messages: 32, bytes: 32 << 20 };
    assert_eq!(refused, Some(full), "what it was sent is there still, and no more");
    // One that acknowledges is served again, in the same session.
    let sent: Vec<i64> = pair.answers(0).iter().map(|sent| sent.msg_id.to_raw()).collect();
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids: sent }).to_bytes();
    pair.send(1, at(1), 0, &acks);
    assert_eq!(pair.server.unacked(), 1, "the announcement of the session is left");
    assert_eq!(pair.server.push_bytes(&large).err(), None);
}

#[test]
fn bodies_that_no_message_may_have_are_not_sent() {
    let mut pair = Pair::new(Policy::Strict);
    for len in [0, 1, 3, 5, 7] {
        let refused = pair.server.push_bytes(&vec![1; len]).err();
        assert_eq!(refused, Some(RespondError::BodyLength { len }));
    }
    assert_eq!(pair.server.unacked(), 0);
}

#[test]
fn beyond_the_limit_of_running_queries_only_the_excess_is_refused_and_all_else_passes() {
    let mut pair = Pair::with(ServerConfig::default().with(|config| config.running_queries = 2));
    for step in 0..2 {
        assert_eq!(pair.send(0, after(at(0), step), 1, &GET_CONFIG).len(), 1);
    }
    let msg_ids = pair.answers(0).iter().map(|sent| sent.msg_id.to_raw()).collect();
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids }).to_bytes();
    let ping = functions::Ping { ping_id: 8 }.to_bytes();
    let ask = enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: vec![at(0).to_raw()] });
    let excess = after(at(1), 3);
    let body = container(&[
        (at(1), 2, &acks),
        (after(at(1), 1), 2, &ping),
        (after(at(1), 2), 2, &ask.to_bytes()),
        (excess, 3, &GET_CONFIG),
    ]);
    let mut frame = pair.frame(SESSION, after(at(1), 9), 4, &body);
    let shown = pair
        .server
        .handle_frame(now(1), &mut frame)
        .map(|events| events.filter(|event| matches!(event, ServerEvent::Query { .. })).count());
    assert_eq!(shown, Ok(0), "the frame is taken, and the query is not shown");
    assert_eq!((pair.server.running_queries(), pair.server.unacked()), (2, 1), "acknowledgements count");
    let answers = pair.answers(1);
    assert!(answers.iter().any(|sent| enums::Pong::from_bytes(&sent.body).is_ok()), "{answers:?}");
    assert!(answers.iter().any(|sent| enums::MsgsStateInfo::from_bytes(&sent.body).is_ok()), "{answers:?}");
    let refused = answers.iter().find_map(|sent| {
        let result =
            RpcResult::new_checked(&sent.body).ok().filter(|result| result.req_msg_id() == excess)?;
        enums::RpcError::from_bytes(result.result()).ok()
    });
    let Some(enums::RpcError::RpcError(error)) = refused else { panic!("{answers:?}") };
    assert_eq!((error.error_code, &*error.error_message), (420, "FLOOD_WAIT_1"));
    assert_eq!(pair.send(1, excess, 3, &GET_CONFIG), [], "it was answered");

    pair.server.respond_error(at(0), 400, "NO").unwrap();
    assert_eq!(pair.send(2, at(2), 5, &GET_CONFIG).len(), 1, "there is room again");
}

#[test]
fn a_query_that_runs_is_never_unknown_and_never_shown_again_whatever_came_since() {
    let mut pair = Pair::new(Policy::Strict);
    assert_eq!(pair.send(0, at(0), 1, &GET_CONFIG).len(), 1);
    let ping = functions::Ping { ping_id: 8 }.to_bytes();
    for step in 1..=500 {
        pair.send(1, after(at(1), step), 2, &ping);
        pair.answers(1);
    }
    let ask =
        enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: vec![at(0).to_raw()] }).to_bytes();
    let state = |pair: &mut Pair, second: u64| {
        pair.send(second, at(second), 2, &ask);
        pair.answers(second).iter().find_map(|sent| {
            match enums::MsgsStateInfo::from_bytes(&sent.body).ok()? {
                enums::MsgsStateInfo::MsgsStateInfo(info) => Some(info.info),
            }
        })
    };
    assert_eq!(state(&mut pair, 11), Some(vec![4 | 32]), "received, and being worked on");
    assert_eq!(pair.send(12, at(0), 1, &GET_CONFIG), [], "it runs already");
    assert_eq!(pair.complaint(12, at(0)), None, "a new id would let it run twice");
    assert_eq!(pair.send(400, at(0), 1, &GET_CONFIG), [], "it runs still");
    assert_eq!(pair.complaint(400, at(0)), None);

    pair.server.respond_error(at(0), 400, "NO").unwrap();
    pair.answers(400);
    assert_eq!(state(&mut pair, 401), Some(vec![4 | 64]), "answered, and the answer is not acknowledged");
}

#[test]
fn an_answer_that_is_given_away_is_copied_once_into_the_packet() {
    const LEN: usize = 1 << 20;
    let mut pair = Pair::new(Policy::Lenient);
    let mut frame = FrameBuf::with_capacity(LEN + 2048);
    let mut allocated = Vec::new();
    for second in 0..2 {
        assert_eq!(pair.send(second, at(second), 1, &GET_CONFIG).len(), 1);
        // No packer shrinks it.
        let mut answer = vec![0; LEN];
        pair.rng.fill_bytes(&mut answer);
        let info = allocation_counter::measure(|| {
            pair.server.respond_vec(at(second), answer).unwrap();
            while pair.server.poll_transmit(now(second), &mut pair.rng, &mut frame).is_some() {}
        });
        assert!(frame.len() > LEN, "it went last");
        allocated.push(info.bytes_total);
    }
    assert!(allocated[1] < 4096, "{allocated:?} bytes");
}

#[test]
fn an_answer_goes_out_as_it_came_whatever_it_looks_like() {
    let mut pair = Pair::new(Policy::Strict);
    pair.send(0, at(0), 1, &GET_CONFIG);
    let created = types::NewSessionCreated { first_msg_id: 1, unique_id: 2, server_salt: 3 };
    let object = enums::NewSession::Created(created).to_bytes();
    pair.server.respond_bytes(at(0), &object).unwrap();
    let answers = pair.answers(0);
    assert_eq!(RpcResult::new_checked(&answers[1].body).unwrap().result(), object, "no salt is filled in");
}
