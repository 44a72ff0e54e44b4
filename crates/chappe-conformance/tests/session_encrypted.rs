//! `Session` and `EncryptedSession`: packing, unpacking, and what they learn on the way.

#![allow(clippy::unwrap_used, reason = "a message that cannot be made or read fails the test")]

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    ContainerWriter, Deflater, EncryptedHeader, EncryptedWriter, FrameBuf, FrameError, MessageHeader, MsgId,
    MsgOrigin, Padding, PeerMisbehaved, SeqNo, ServerSalt, SessionId, TransportTail, UnixTime, open,
    write_rpc_result_header,
};
use chappe_session::{EncryptedSession, Message, Session, SessionLimits, UnpackError};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, functions, types};

const NOW: UnixTime = UnixTime::from_secs(1_707_425_104);
const KEY: [u8; 256] = [0x5a; 256];
const SALT: i64 = 0x1122_3344;

fn rng() -> Drbg {
    Drbg::from_seed([9; 32])
}

fn session() -> EncryptedSession {
    EncryptedSession::with_rng(KEY, SALT, 0, &mut rng())
}

/// A frame of the server with one message.
fn from_server(session: SessionId, msg_id: MsgId, seq_no: i32, body: &[u8]) -> Vec<u8> {
    let mut buf = FrameBuf::new();
    let mut writer = EncryptedWriter::begin(&mut buf);
    writer.body().append(body);
    let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw(seq_no) };
    let header = EncryptedHeader { salt: ServerSalt::from_raw(7), session_id: session, message };
    writer.seal(&AuthKey::from_bytes(KEY), Side::Server, header, Padding::Minimum, &mut rng()).unwrap();
    buf.as_slice().to_vec()
}

fn at(seconds: u64, origin: MsgOrigin) -> MsgId {
    MsgId::at(UnixTime::from_secs(seconds), origin)
}

fn response() -> MsgId {
    at(NOW.as_secs(), MsgOrigin::Response)
}

fn pack(session: &mut EncryptedSession) -> MsgId {
    session.pack_into(&functions::Ping { ping_id: 1 }, NOW, &mut rng(), &mut FrameBuf::new()).unwrap()
}

fn bad_salt(question: MsgId, salt: i64) -> Vec<u8> {
    enums::BadMsgNotification::BadServerSalt(types::BadServerSalt {
        bad_msg_id: question.to_raw(),
        bad_msg_seqno: 1,
        error_code: 48,
        new_server_salt: salt,
    })
    .to_bytes()
}

fn bad_msg(question: MsgId, error_code: i32) -> Vec<u8> {
    enums::BadMsgNotification::BadMsgNotification(types::BadMsgNotification {
        bad_msg_id: question.to_raw(),
        bad_msg_seqno: 1,
        error_code,
    })
    .to_bytes()
}

#[test]
fn a_message_in_the_clear_is_laid_out_as_the_handshake_wants_it() {
    let mut session = Session::new();
    let message = session.pack_at(&functions::ReqPqMulti { nonce: [3; 16] }, NOW);
    let bytes = message.to_plaintext_bytes();
    assert_eq!(bytes[..8], [0; 8]);
    assert_eq!(bytes[8..16], message.msg_id.to_le_bytes());
    assert_eq!(bytes[16..20], 20_u32.to_le_bytes());
    assert_eq!(bytes[20..24], 0xbe7e_8ef1_u32.to_le_bytes());
    assert_eq!(bytes[24..], [3; 16]);
}

#[test]
fn what_is_packed_opens_with_the_same_key_and_numbers_count_as_they_should() {
    let mut session = session();
    let mut out = FrameBuf::new();
    let mut last = MsgId::from_raw(0);
    for seq_no in [1, 3, 5] {
        let id = session.pack_into(&functions::Ping { ping_id: 8 }, NOW, &mut rng(), &mut out).unwrap();
        assert!(id > last, "ids grow although the clock stands still");
        last = id;
        let opened = open(session.auth_key(), Side::Client, TransportTail::None, out.as_mut_slice()).unwrap();
        assert_eq!(opened.salt().to_raw(), SALT);
        assert_eq!(opened.session_id(), session.session_id());
        assert_eq!((opened.msg_id(), opened.seq_no().to_raw()), (id, seq_no));
        assert_eq!(opened.body(), functions::Ping { ping_id: 8 }.to_bytes());
    }
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids: vec![5] });
    session.pack_into(&acks, NOW, &mut rng(), &mut out).unwrap();
    let opened = open(session.auth_key(), Side::Client, TransportTail::None, out.as_mut_slice()).unwrap();
    assert_eq!(opened.seq_no().to_raw(), 6, "acknowledgements have even numbers");
}

#[test]
fn a_container_goes_out_and_comes_in() {
    let mut session = session();
    let ping = functions::Ping { ping_id: 8 }.to_bytes();
    let mut ids = Vec::new();
    let mut out = FrameBuf::new();
    let bodies = [&ping[..], &ping[..]];
    let id = session.pack_container_into(bodies, NOW, &mut rng(), &mut out, &mut ids).unwrap();
    assert!(ids[0] < ids[1] && ids[1] < id);

    let mut buf = FrameBuf::new();
    let mut container = ContainerWriter::begin(&mut buf);
    for (n, inner) in [101_i64, 105].into_iter().enumerate() {
        let header =
            MessageHeader { msg_id: MsgId::from_raw(inner), seq_no: SeqNo::from_raw(2 * n as i32 + 1) };
        container.push(header, &ping).unwrap();
    }
    container.finish();
    let mut frame = from_server(session.session_id(), response(), 4, buf.as_slice());
    let mut seen = Vec::new();
    session.unpack_each(NOW, &mut frame, |message| seen.push(message.msg_id.to_raw())).unwrap();
    assert_eq!(seen, [101, 105]);
    session.pack_acks_into(NOW, &mut rng(), &mut out).unwrap().unwrap();
    let opened = open(session.auth_key(), Side::Client, TransportTail::None, out.as_mut_slice()).unwrap();
    let acks = enums::MsgsAck::MsgsAck(types::MsgsAck { msg_ids: vec![101, 105] }).to_bytes();
    assert_eq!(opened.body(), acks, "inner messages are acknowledged by their own ids");
}

#[test]
fn sec_076_a_message_is_taken_once_whether_alone_or_in_a_container() {
    let mut session = session();
    let ping = functions::Ping { ping_id: 8 }.to_bytes();
    let frame = from_server(session.session_id(), response(), 1, &ping);
    assert!(session.unpack_with(NOW, &mut frame.clone()).is_ok());
    let again = session.unpack_with(NOW, &mut frame.clone()).unwrap_err();
    assert_eq!(again, UnpackError::Duplicate { msg_id: response() });

    let mut buf = FrameBuf::new();
    let mut container = ContainerWriter::begin(&mut buf);
    container.push(MessageHeader { msg_id: response(), seq_no: SeqNo::from_raw(1) }, &ping).unwrap();
    container.finish();
    let later = at(NOW.as_secs() + 1, MsgOrigin::Notification);
    let mut frame = from_server(session.session_id(), later, 2, buf.as_slice());
    let mut count = 0;
    session.unpack_each(NOW, &mut frame, |_| count += 1).unwrap();
    assert_eq!(count, 0, "the message inside was seen alone before");
}

#[test]
fn sec_080_old_and_future_messages_are_refused() {
    let mut session = session();
    let ping = functions::Ping { ping_id: 8 }.to_bytes();
    for (seconds, expect_old) in [(NOW.as_secs() - 301, true), (NOW.as_secs() + 31, false)] {
        let msg_id = at(seconds, MsgOrigin::Notification);
        let mut frame = from_server(session.session_id(), msg_id, 1, &ping);
        let error = session.unpack_with(NOW, &mut frame).unwrap_err();
        let expected =
            if expect_old { UnpackError::TooOld { msg_id } } else { UnpackError::TooNew { msg_id } };
        assert_eq!(error, expected);
    }
}

#[test]
fn sec_076_what_is_older_than_the_memory_of_ids_is_refused() {
    let mut session = session();
    let ping = functions::Ping { ping_id: 8 }.to_bytes();
    let mut take = |seconds, nth: i64| {
        let msg_id = MsgId::from_raw(at(seconds, MsgOrigin::Notification).to_raw() + 4 * nth);
        let mut frame = from_server(session.session_id(), msg_id, 1, &ping);
        (session.unpack_with(NOW, &mut frame).map(drop), msg_id)
    };
    let remembered = i64::try_from(SessionLimits::default().received_ids).expect("a small number");
    for nth in 0..=remembered {
        assert_eq!(take(NOW.as_secs(), nth).0, Ok(()));
    }
    // Not too old by the clock, but it is no longer known whether it came before.
    let (result, msg_id) = take(NOW.as_secs() - 100, 0);
    assert_eq!(result, Err(UnpackError::TooOld { msg_id }));
}

#[test]
fn sec_081_a_wrong_clock_is_repaired_by_the_message_that_the_window_would_refuse() {
    for code in [16, 17] {
        let mut session = session();
        let question = pack(&mut session);
        let right = if code == 16 { NOW.as_secs() + 5000 } else { NOW.as_secs() - 5000 };
        let notice = bad_msg(question, code);
        let mut frame = from_server(session.session_id(), at(right, MsgOrigin::Response), 0, &notice);
        session.unpack_with(NOW, &mut frame).unwrap();
        assert_eq!(i64::from(session.time_offset), right as i64 - NOW.as_secs() as i64);
    }
}

#[test]
fn sec_082_and_sec_089_complaints_about_messages_never_sent_are_ignored() {
    let mut session = session();
    let question = pack(&mut session);
    let foreign = MsgId::from_raw(question.to_raw() + 4);
    let mut frame = from_server(session.session_id(), response(), 0, &bad_salt(foreign, 99));
    session.unpack_with(NOW, &mut frame).unwrap();
    assert_eq!(session.salt, SALT);
    let stamp = at(NOW.as_secs() + 20, MsgOrigin::Response);
    let mut frame = from_server(session.session_id(), stamp, 0, &bad_msg(foreign, 16));
    session.unpack_with(NOW, &mut frame).unwrap();
    assert_eq!(session.time_offset, 0);
}

#[test]
fn the_salt_of_bad_server_salt_is_recorded() {
    let mut session = session();
    let question = pack(&mut session);
    let mut frame = from_server(session.session_id(), response(), 0, &bad_salt(question, 99));
    let message = session.unpack_with(NOW, &mut frame).unwrap();
    assert_eq!(message.body, bad_salt(question, 99));
    assert_eq!(session.salt, 99);
}

#[test]
fn sec_068_a_message_of_another_session_is_refused() {
    let mut session = session();
    let other = SessionId::from_raw(session.session_id().to_raw() ^ 1);
    let mut frame = from_server(other, response(), 1, &functions::Ping { ping_id: 8 }.to_bytes());
    let error = session.unpack_with(NOW, &mut frame).unwrap_err();
    assert_eq!(
        error,
        UnpackError::Frame(FrameError::Misbehaved(PeerMisbehaved::ForeignSession { got: other }))
    );
}

#[test]
fn sec_070_a_message_with_a_clients_id_is_refused() {
    let mut session = session();
    let msg_id = at(NOW.as_secs(), MsgOrigin::Client);
    let ping = functions::Ping { ping_id: 8 }.to_bytes();
    let mut frame = from_server(session.session_id(), msg_id, 1, &ping);
    let error = session.unpack_with(NOW, &mut frame).unwrap_err();
    assert_eq!(error, UnpackError::Frame(FrameError::Misbehaved(PeerMisbehaved::BadOrigin { msg_id })));
}

#[test]
fn packed_objects_are_shown_unpacked_inside_a_result_too() {
    let mut session = session();
    let question = pack(&mut session);
    let object = vec![0x41; 4000];
    let mut deflater = Deflater::new();
    let packed = deflater.pack(&object).unwrap().to_vec();

    let mut frame = from_server(session.session_id(), response(), 1, &packed);
    let mut bodies = Vec::new();
    session.unpack_each(NOW, &mut frame, |message| bodies.push(message.body.to_vec())).unwrap();
    let mut result = Vec::new();
    write_rpc_result_header(&mut result, question);
    result.extend_from_slice(&packed);
    let next = MsgId::from_raw(response().to_raw() + 4);
    let mut frame = from_server(session.session_id(), next, 3, &result);
    session.unpack_each(NOW, &mut frame, |message| bodies.push(message.body.to_vec())).unwrap();
    assert_eq!(bodies[0], object);
    assert_eq!(bodies[1][..12], result[..12]);
    assert_eq!(bodies[1][12..], object);
}

#[test]
fn the_calls_of_a_readme_work_as_they_stand_there() {
    let mut session = EncryptedSession::new(KEY, SALT, 3);
    let request = functions::GetFutureSalts { num: 3 };
    let wire_bytes: Vec<u8> = session.pack(&request);
    assert_eq!(wire_bytes[..8], *AuthKey::from_bytes(KEY).id().as_bytes());
    let (_, msg_id): (Vec<u8>, i64) = session.pack_with_msg_id(&request);
    assert_ne!(session.pack_serializable(&request), wire_bytes);
    let (_, ids) = session.pack_container(&[request.to_bytes(), request.to_bytes()]).unwrap();
    assert!(msg_id < ids[0] && ids[0] < ids[1]);
    session.salt = 5;
    let stamp = MsgId::at(UnixTime::now().saturating_offset(3_000_000_000), MsgOrigin::Response);
    let mut raw = from_server(session.session_id(), stamp, 1, &request.to_bytes());
    let message: Message = session.unpack(&mut raw).unwrap();
    assert_eq!((message.salt, message.body), (7, request.to_bytes()));
    let framed = Session::new().pack(&functions::ReqPqMulti { nonce: [1; 16] }).to_plaintext_bytes();
    assert_eq!(framed.len(), 40);
}

#[test]
fn hostile_frames_never_panic() {
    use chappe_crypto::rand_core::Rng;
    let mut session = session();
    let mut rng = rng();
    for round in 0..2000_usize {
        let mut body = vec![0; 4 * (1 + round % 40)];
        rng.fill_bytes(&mut body);
        let ids = [0x73f1_f8dc_u32, 0x3072_cfa1, 0xf35c_6d01, 0xedab_447b, 0x62d6_b459, 0xae50_0895];
        body[..4].copy_from_slice(&ids[round % ids.len()].to_le_bytes());
        if round % 3 == 0 && body.len() >= 8 {
            body[4..8].copy_from_slice(&0x1cb5_c415_u32.to_le_bytes());
        }
        let stamp = MsgId::from_raw(response().to_raw() + 4 * round as i64);
        let mut frame = from_server(session.session_id(), stamp, 1, &body);
        let _ = session.unpack_each(NOW, &mut frame, |_| {});
    }
}
