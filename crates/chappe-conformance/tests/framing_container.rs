//! Containers and results against `tl_misc.json` and rows SEC-93 to SEC-95 of the checklist.

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::Side;
use chappe_framing::{
    Container, ContainerWriter, FrameBuf, FrameError, MAX_MESSAGES_SENT, MSG_CONTAINER, MalformedFrame,
    MessageHeader, MsgId, PeerMisbehaved, RpcOutcome, RpcResult, SeqNo, WriteError, write_rpc_result_header,
};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, types};
use chappe_types::RpcError;

/// An id above all that the vectors hold.
const CONTAINER_ID: MsgId = MsgId::from_raw(0x65c5_3d51_0000_0000);
const GET_CONFIG: [u8; 4] = 0xc4f9_186b_u32.to_le_bytes();

fn vector(list: &str, name: &str) -> Entry {
    let cases = vectors::load("tl_misc").list(list);
    cases.into_iter().find(|case| case.name() == name).unwrap_or_else(|| panic!("no case {name}"))
}

fn message(msg_id: i64, body: &[u8]) -> Vec<u8> {
    let mut bytes = msg_id.to_le_bytes().to_vec();
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn container(count: i32, messages: &[Vec<u8>]) -> Vec<u8> {
    [&MSG_CONTAINER.to_le_bytes()[..], &count.to_le_bytes()[..], &messages.concat()].concat()
}

fn header(msg_id: i64, seq_no: i32) -> MessageHeader {
    MessageHeader { msg_id: MsgId::from_raw(msg_id), seq_no: SeqNo::from_raw(seq_no) }
}

#[test]
fn a_container_is_written_and_read_as_in_the_vectors() {
    let expected = vector("vectors", "msg_container_2").bytes("serialized");
    let first = header(0x65c5_3d50_0000_0004, 1);
    let second = header(0x65c5_3d50_0000_0008, 2);
    let ping = [&0x7abe_77ec_u32.to_le_bytes()[..], &7_i64.to_le_bytes()[..]].concat();

    let mut buf = FrameBuf::new();
    let mut writer = ContainerWriter::begin(&mut buf);
    writer.push(first, &GET_CONFIG).unwrap();
    writer
        .push_with(second, |buf| {
            buf.append(&ping);
            Ok(())
        })
        .unwrap();
    assert_eq!((writer.len(), writer.byte_len()), (2, expected.len()));
    assert_eq!(writer.highest(), Some(second.msg_id));
    assert_eq!(writer.finish(), 2);
    assert_eq!(buf.as_slice(), expected);

    let container = Container::new_checked(&expected, CONTAINER_ID, Side::Client).unwrap();
    let messages: Vec<_> = container.iter().map(|message| (message.header, message.body)).collect();
    assert_eq!(messages, [(first, &GET_CONFIG[..]), (second, &ping[..])]);
}

#[test]
fn an_empty_container_is_valid() {
    let expected = vector("vectors", "msg_container_empty").bytes("serialized");
    let mut buf = FrameBuf::new();
    assert_eq!(ContainerWriter::begin(&mut buf).finish(), 0);
    assert_eq!(buf.as_slice(), expected);
    assert!(Container::new_checked(&expected, CONTAINER_ID, Side::Server).unwrap().is_empty());
}

#[test]
fn sec_093_the_malformed_containers_of_the_vectors_are_refused() {
    let mut seen = 0;
    for case in vectors::load("tl_misc").list("negative") {
        if case.text("tl") == "msg_container" {
            let bytes = case.bytes("data");
            let error = Container::new_checked(&bytes, CONTAINER_ID, Side::Client).expect_err(case.name());
            let is_expected = match case.name() {
                "container_in_container" => {
                    matches!(error, FrameError::Misbehaved(PeerMisbehaved::Nested { .. }))
                }
                "container_count_too_big" => {
                    matches!(error, FrameError::Malformed(MalformedFrame::TooShort { .. }))
                }
                _ => matches!(error, FrameError::Malformed(MalformedFrame::BadBodyLen { .. })),
            };
            assert!(is_expected, "{case:?}: {error}");
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn sec_093_lengths_and_counts_that_do_not_fit_are_refused() {
    let good = message(4, &GET_CONFIG);
    let check = |bytes: &[u8]| Container::new_checked(bytes, CONTAINER_ID, Side::Client).map(|_| ());
    assert_eq!(check(&container(1, core::slice::from_ref(&good))), Ok(()));
    for count in [-1, i32::MIN, i32::MAX, 1025] {
        let refused = check(&container(count, core::slice::from_ref(&good)));
        assert_eq!(refused, Err(FrameError::Malformed(MalformedFrame::BadContainerCount { claimed: count })));
    }
    let left_over = check(&container(0, core::slice::from_ref(&good)));
    assert_eq!(left_over, Err(FrameError::Malformed(MalformedFrame::TrailingBytes { len: 20 })));
    let one_missing = check(&container(2, core::slice::from_ref(&good)));
    assert_eq!(one_missing, Err(FrameError::Malformed(MalformedFrame::TooShort { len: 0, min: 16 })));
    for claimed in [0_i32, 1, 5, 8, -4, i32::MIN, i32::MAX] {
        let mut bad = good.clone();
        bad[12..16].copy_from_slice(&claimed.to_le_bytes());
        let refused = check(&container(1, &[bad]));
        assert_eq!(refused, Err(FrameError::Malformed(MalformedFrame::BadBodyLen { claimed, available: 4 })));
    }
    let whole = container(1, &[good]);
    for len in 0..whole.len() {
        let refused = check(&whole[..len]).expect_err("it is cut");
        let expected = match len {
            24..28 => {
                matches!(refused, FrameError::Malformed(MalformedFrame::BadBodyLen { claimed: 4, available }) if available == len - 24)
            }
            _ => {
                matches!(refused, FrameError::Malformed(MalformedFrame::TooShort { len: got, min }) if got < min && got <= len)
            }
        };
        assert!(expected, "{len} bytes: {refused}");
    }
}

#[test]
fn sec_093_1024_messages_are_accepted_and_1025_are_not() {
    let messages: Vec<_> = (1..=1025).map(|i| message(4 * i, &GET_CONFIG)).collect();
    let check = |count: usize| {
        let bytes = container(i32::try_from(count).unwrap(), &messages[..count]);
        Container::new_checked(&bytes, CONTAINER_ID, Side::Client).map(|container| container.len())
    };
    assert_eq!(check(1024), Ok(1024));
    assert_eq!(check(1025), Err(FrameError::Malformed(MalformedFrame::BadContainerCount { claimed: 1025 })));
}

#[test]
fn a_writer_stops_at_1020_messages() {
    let mut buf = FrameBuf::new();
    let mut writer = ContainerWriter::begin(&mut buf);
    for i in 1..=MAX_MESSAGES_SENT {
        writer.push(header(4 * i as i64, 1), &GET_CONFIG).unwrap();
    }
    let next = header(8000, 1);
    assert_eq!(writer.push(next, &GET_CONFIG), Err(WriteError::ContainerFull));
    let unused = writer.push_with(next, |_| panic!("there is no room to write to"));
    assert_eq!(unused, Err(WriteError::ContainerFull));
    assert_eq!(writer.finish(), 1020);
    let container = Container::new_checked(buf.as_slice(), CONTAINER_ID, Side::Client).unwrap();
    assert_eq!(container.iter().count(), 1020);
}

#[test]
fn a_message_that_cannot_be_written_leaves_the_container_as_it_was() {
    let mut buf = FrameBuf::new();
    let mut writer = ContainerWriter::begin(&mut buf);
    writer.push(header(4, 1), &GET_CONFIG).unwrap();
    let before = writer.byte_len();
    let odd = writer.push_with(header(8, 3), |buf| {
        buf.append(&[1, 2, 3]);
        Ok(())
    });
    assert_eq!(odd, Err(WriteError::UnsendableBody { len: 3 }));
    assert_eq!(writer.push(header(8, 3), &[]), Err(WriteError::UnsendableBody { len: 0 }));
    assert_eq!(writer.byte_len(), before);
    assert_eq!(writer.highest(), Some(MsgId::from_raw(4)));
    assert_eq!(writer.finish(), 1);
}

#[test]
fn sec_094_a_container_in_a_container_is_refused() {
    let inner = container(0, &[]);
    let outer = container(1, &[message(4, &inner)]);
    let refused = Container::new_checked(&outer, CONTAINER_ID, Side::Client).map(|_| ());
    assert_eq!(refused, Err(FrameError::Misbehaved(PeerMisbehaved::Nested { id: MSG_CONTAINER })));
    let mut buf = FrameBuf::new();
    let mut writer = ContainerWriter::begin(&mut buf);
    assert_eq!(writer.push(header(4, 1), &inner), Err(WriteError::NestedContainer));
    writer.finish();
}

#[test]
fn sec_095_inner_ids_are_below_the_containers_and_of_the_right_side() {
    let check = |inner: i64, from| {
        let bytes = container(1, &[message(inner, &GET_CONFIG)]);
        Container::new_checked(&bytes, MsgId::from_raw(1000), from).map(|_| ())
    };
    for inner in [996, 997, 998, 999, 1000, 1001, 1002, 1003, 1004, -4] {
        let msg_id = MsgId::from_raw(inner);
        for (from, is_right) in [(Side::Client, inner % 4 == 0), (Side::Server, inner % 2 == 1)] {
            let expected = match inner {
                1000.. | ..0 => Err(FrameError::Misbehaved(PeerMisbehaved::InnerIdNotLower { msg_id })),
                _ if !is_right => Err(FrameError::Misbehaved(PeerMisbehaved::BadOrigin { msg_id })),
                _ => Ok(()),
            };
            assert_eq!(check(inner, from), expected, "{inner} from {from:?}");
        }
    }
    // One bad message spoils the whole container.
    let bytes = container(2, &[message(4, &GET_CONFIG), message(1000, &GET_CONFIG)]);
    let refused = Container::new_checked(&bytes, MsgId::from_raw(1000), Side::Client).map(|_| ());
    assert_eq!(
        refused,
        Err(FrameError::Misbehaved(PeerMisbehaved::InnerIdNotLower { msg_id: MsgId::from_raw(1000) }))
    );
}

#[test]
fn an_rpc_result_with_an_error_is_written_and_read_as_in_the_vectors() {
    let expected = vector("vectors", "rpc_result_error").bytes("serialized");
    let req_msg_id = MsgId::from_raw(0x65c5_3d50_0000_0004);
    let object = types::RpcError { error_code: 420, error_message: "FLOOD_WAIT_17".into() };
    let mut buf = FrameBuf::new();
    write_rpc_result_header(&mut buf, req_msg_id);
    enums::RpcError::RpcError(object).serialize(&mut buf).unwrap();
    assert_eq!(buf.as_slice(), expected);
    let result = RpcResult::new_checked(&expected).unwrap();
    assert_eq!(result.req_msg_id(), req_msg_id);
    assert_eq!(
        result.outcome(),
        Ok(RpcOutcome::Error(RpcError { code: 420, message: "FLOOD_WAIT_17".into() }))
    );
    for len in 0..expected.len() {
        let cut = RpcResult::new_checked(&expected[..len]).and_then(|result| result.outcome().map(|_| ()));
        assert!(cut.is_err(), "{len}");
    }
}

#[test]
fn an_rpc_result_of_message_zero_is_refused() {
    let mut bytes = vector("vectors", "rpc_result_error").bytes("serialized");
    bytes[4..12].fill(0);
    assert_eq!(RpcResult::new_checked(&bytes), Err(FrameError::Misbehaved(PeerMisbehaved::ZeroRequest)));
}
