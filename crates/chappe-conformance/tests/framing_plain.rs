//! The plain envelope against `envelope_plain.json` and rows SEC-09 to SEC-13 of the checklist.

use chappe_conformance::vectors;
use chappe_crypto::Side;
use chappe_framing::{
    FrameBuf, FrameError, MalformedFrame, MsgId, PeerMisbehaved, PlainMessage, write_plain, write_plain_bytes,
};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{functions, types};

fn frame(msg_id: i64, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 8];
    frame.extend_from_slice(&msg_id.to_le_bytes());
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

#[test]
fn plain_messages_are_written_as_in_the_vectors() {
    let case = &vectors::load("envelope_plain").list("vectors")[0];
    let mut buf = FrameBuf::new();
    buf.append(&[0xa5; 7]);
    let nonce = case.bytes("body")[4..].try_into().unwrap();
    let msg_id = MsgId::from_raw(case.number("msg_id"));
    write_plain(&mut buf, msg_id, &functions::ReqPqMulti { nonce }).unwrap();
    assert_eq!(buf.as_slice(), case.bytes("packet"));
    write_plain_bytes(&mut buf, msg_id, &case.bytes("body")).unwrap();
    assert_eq!(buf.as_slice(), case.bytes("packet"));
}

#[test]
fn sec_012_bytes_behind_the_object_are_tolerated_in_plain_messages() {
    for case in vectors::load("envelope_plain").list("vectors") {
        let packet = case.bytes("packet");
        let message = PlainMessage::new_checked(&packet, Side::Client).unwrap();
        assert_eq!(message.msg_id(), MsgId::from_raw(case.number("msg_id")));
        assert!(message.body().starts_with(&case.bytes("body")), "{case:?}");
        let object: functions::ReqPqMulti = message.object().unwrap();
        assert_eq!(object.to_bytes(), case.bytes("body"), "{case:?}");
    }
}

#[test]
fn sec_012_a_truncated_object_is_refused() {
    let case = &vectors::load("envelope_plain").list("vectors")[0];
    let body = case.bytes("body");
    for len in 4..body.len() {
        let packet = frame(4, &body[..len]);
        let message = PlainMessage::new_checked(&packet, Side::Client).unwrap();
        assert!(
            matches!(
                message.object::<functions::ReqPqMulti>(),
                Err(FrameError::Malformed(MalformedFrame::Tl(_)))
            ),
            "{len}"
        );
    }
}

#[test]
fn sec_010_a_wrong_length_is_refused() {
    for case in vectors::load("envelope_plain").list("negative") {
        let refused = PlainMessage::new_checked(&case.bytes("packet"), Side::Client).unwrap_err();
        match case.text("expect") {
            "bad_length" => assert!(
                matches!(refused, FrameError::Malformed(MalformedFrame::BadBodyLen { .. })),
                "{case:?} {refused}"
            ),
            "too_short" => assert!(
                matches!(refused, FrameError::Malformed(MalformedFrame::TooShort { .. })),
                "{case:?} {refused}"
            ),
            other => panic!("{other}"),
        }
    }
    for claimed in [0, 3, -1, i32::MIN, i32::MAX] {
        let mut packet = frame(4, &[0xf1, 0x8e, 0x7e, 0xbe]);
        packet[16..20].copy_from_slice(&claimed.to_le_bytes());
        let refused = PlainMessage::new_checked(&packet, Side::Client).unwrap_err();
        assert_eq!(refused, FrameError::Malformed(MalformedFrame::BadBodyLen { claimed, available: 4 }));
    }
}

#[test]
fn sec_009_only_objects_of_the_handshake_travel_in_plain_form() {
    let ping = frame(5, &0x7abe_77ec_u32.to_le_bytes());
    let rpc_result = frame(5, &0xf35c_6d01_u32.to_le_bytes());
    for side in [Side::Client, Side::Server] {
        for packet in [&ping, &rpc_result] {
            let id = u32::from_le_bytes(packet[20..24].try_into().unwrap());
            let refused = PlainMessage::new_checked(packet, side).unwrap_err();
            assert_eq!(refused, FrameError::Misbehaved(PeerMisbehaved::NotAHandshakeObject { id }));
        }
    }
}

#[test]
fn sec_013_a_side_does_not_accept_its_own_kind_of_message() {
    use chappe_tl::Identifiable;
    let request = frame(5, &functions::ReqDhParams::CONSTRUCTOR_ID.to_le_bytes());
    let answer = frame(4, &types::DhGenOk::CONSTRUCTOR_ID.to_le_bytes());
    let refused = |frame: &[u8], from, id| {
        let error = PlainMessage::new_checked(frame, from).expect_err("it is of the other side");
        assert_eq!(error, FrameError::Misbehaved(PeerMisbehaved::NotAHandshakeObject { id }));
    };
    refused(&request, Side::Server, functions::ReqDhParams::CONSTRUCTOR_ID);
    refused(&answer, Side::Client, types::DhGenOk::CONSTRUCTOR_ID);
    assert!(PlainMessage::new_checked(&request, Side::Client).is_ok());
}

#[test]
fn sec_011_an_answer_has_an_id_that_is_one_modulo_four() {
    use chappe_tl::Identifiable;
    let object = types::ResPq::CONSTRUCTOR_ID.to_le_bytes();
    for low in 0..4 {
        let packet = frame((1 << 32) | low, &object);
        let msg_id = MsgId::from_raw((1 << 32) | low);
        let expected = if low == 1 {
            Ok(msg_id)
        } else {
            Err(FrameError::Misbehaved(PeerMisbehaved::BadOrigin { msg_id }))
        };
        let read = PlainMessage::new_checked(&packet, Side::Server).map(|message| message.msg_id());
        assert_eq!(read, expected, "{low}");
    }
}

#[test]
fn a_servers_view_does_not_mind_the_id_of_a_request() {
    use chappe_tl::Identifiable;
    let object = functions::ReqPqMulti::CONSTRUCTOR_ID.to_le_bytes();
    for msg_id in [0, 1, 2, 3, -1] {
        assert!(PlainMessage::new_checked(&frame(msg_id, &object), Side::Client).is_ok(), "{msg_id}");
    }
}

#[test]
fn an_encrypted_frame_is_not_a_plain_one() {
    let mut packet = frame(4, &[0xf1, 0x8e, 0x7e, 0xbe]);
    packet[3] = 1;
    assert!(matches!(
        PlainMessage::new_checked(&packet, Side::Client),
        Err(FrameError::Misbehaved(PeerMisbehaved::NotPlain { .. }))
    ));
}
