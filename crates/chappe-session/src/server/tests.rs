use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, MsgIdGenerator, MsgOrigin, Padding, SeqNo};

use super::*;
use crate::counted::steps_of;
use crate::service::Status;

/// Steps that one answer may take on its way: a few binary searches.
const FEW: usize = 64;

#[test]
fn each_of_very_many_answers_costs_a_few_steps_until_it_is_acknowledged() {
    let config = ServerConfig::default();
    let count = config.unacked_messages;
    let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_104));
    let mut ids = MsgIdGenerator::new();
    let queries: Vec<MsgId> = (0..count).map(|_| ids.next(now.unix, MsgOrigin::Client)).collect();
    let key = AuthKey::from_bytes([0x5a; 256]);
    let mut session = ServerSession::new(config, key, SessionId::from_raw(5), SaltSchedule::new([1; 32]), 77);
    session.handle_connected(now, TransportTail::None);
    let mut rng = Drbg::from_seed([1; 32]);
    let mut out = FrameBuf::new();
    let steps = steps_of(|| {
        for query in &queries {
            session.state.inbox.acks.push(
                *query,
                now.mono,
                session.state.config.ack_delay,
                crate::MAX_IDS_PER_LIST,
            );
            session.respond_error(*query, 400, "NO").expect("there is room");
        }
        while session.poll_transmit(now, &mut rng, &mut out).is_some() {
            session.poll_timeout();
        }
        let late = Now::new(MonoTime::ZERO + session.state.config.resend_after, now.unix);
        session.handle_timeout(late);
        while session.poll_transmit(late, &mut rng, &mut out).is_some() {
            session.poll_timeout();
        }
    });
    assert_eq!(session.counters().resent, count as u64);
    assert!(steps <= FEW * count, "{steps} steps for {count} answers");
}

const NOW: Now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_104));

/// An id of a client, so many steps after now.
fn id(steps: i64) -> MsgId {
    MsgId::from_raw(MsgId::at(NOW.unix, MsgOrigin::Client).to_raw() + 4 * steps)
}

/// Shows a session one message; returns what it shows, and everything that it sends then.
fn shown(session: &mut ServerSession, msg_id: MsgId, body: &[u8]) -> (Vec<MsgId>, Vec<u8>) {
    let (mut rng, mut out) = (Drbg::from_seed([2; 32]), FrameBuf::new());
    let mut writer = EncryptedWriter::begin(&mut out);
    writer.body().append(body);
    let salt = SaltSchedule::new([1; 32]).current(session.key.id(), NOW.unix);
    let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(1) };
    let header = EncryptedHeader { salt, session_id: session.session_id, message };
    writer.seal(&session.key, Side::Client, header, Padding::Minimum, &mut rng).expect("it is short");
    let mut queries = Vec::new();
    for event in session.handle_frame(NOW, out.as_mut_slice()).expect("a good frame") {
        if let ServerEvent::Query { msg_id, .. } = event {
            queries.push(msg_id);
        }
    }
    let mut sent = Vec::new();
    while session.poll_transmit(NOW, &mut rng, &mut out).is_some() {
        let key = session.key.clone();
        let opened =
            open(&key, Side::Server, TransportTail::None, out.as_mut_slice()).expect("its own frame");
        sent.extend_from_slice(opened.body());
    }
    (queries, sent)
}

/// A session that another process began, and whose messages up to `id(100)` are that process's.
fn continued() -> ServerSession {
    let (config, key) = (ServerConfig::default(), AuthKey::from_bytes([0x5a; 256]));
    let salts = SaltSchedule::new([1; 32]);
    let mut session =
        ServerSession::new(config, key, SessionId::from_raw(5), salts, 77).continued_after(id(100));
    session.handle_connected(NOW, TransportTail::None);
    session
}

fn says(sent: &[u8], text: &str) -> bool {
    sent.windows(text.len()).any(|part| part == text.as_bytes())
}

const SOME_QUERY: [u8; 8] = [0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0];

#[test]
fn a_query_of_an_earlier_owner_is_answered_and_not_shown() {
    let mut session = continued();
    for old in [1, 100] {
        let (queries, sent) = shown(&mut session, id(old), &SOME_QUERY);
        assert!(queries.is_empty() && says(&sent, QUERY_SETTLED.1), "{old}");
    }
    let (queries, sent) = shown(&mut session, id(101), &SOME_QUERY);
    assert_eq!(queries, [id(101)]);
    let new_session_created = 0x9ec2_0908_u32.to_le_bytes();
    assert!(!sent.windows(4).any(|part| part == new_session_created), "the client knows the session");
}

#[test]
fn the_answer_of_an_earlier_owner_is_given_if_there_is_one() {
    let mut session = continued();
    session.respond_tagged(id(7), b"answered".to_vec(), 9).expect("there is room");
    let (queries, sent) = shown(&mut session, id(7), &SOME_QUERY);
    assert!(queries.is_empty() && says(&sent, "answered") && !says(&sent, QUERY_SETTLED.1));
    let unacked = session.take_unacked();
    let kept = Unacked::Answer { query: id(7), object: b"answered".to_vec(), tag: Some(9) };
    assert_eq!(unacked, [kept]);
    assert_eq!(session.unacked_bytes(), 0, "and nothing is left");
}

#[test]
fn the_state_of_messages_tells_those_of_an_earlier_owner_from_those_that_did_not_come() {
    let mut session = continued();
    let asked = [id(7), id(150)].map(MsgId::to_raw);
    let request = crate::service::encode(&types::MsgsStateReq { msg_ids: asked.to_vec() });
    let (_, sent) = shown(&mut session, id(200), &request);
    assert!(says(&sent, QUERY_SETTLED.1), "the client waits for an answer");
    let received = Status::RECEIVED | Status::ANSWERED;
    let info = [2, received, Status::NOT_RECEIVED];
    assert!(sent.windows(3).any(|part| part == info), "{sent:02x?}");
}
