//! Envelopes with the key known, and what they carry: containers, packed objects, results.

use chappe_framing::{
    AcceptedFormat, Container, ContainerWriter, Deflater, EncryptedHeader, EncryptedWriter, FrameBuf,
    FrameError, GzipPacked, INNER_HEADER_LEN, Inflater, MalformedFrame, MessageHeader, MsgId, Padding,
    PlainMessage, RpcOutcome, RpcResult, SeqNo, ServerSalt, SessionId, TransportTail, constructor_id, open,
    write_plain_bytes, write_rpc_result_header,
};
use std::sync::OnceLock;

use chappe_crypto::{AuthKey, Side, message};
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::Rng as _;

use super::{Seeded, Target};
use crate::vectors;

/// Envelopes without a key.
pub(super) const PLAIN: Target = Target {
    name: "envelope_plain",
    about: "plain envelopes from either side, and the object in them",
    run: plain_envelope,
    seeds: plain_seeds,
    max_len: 2048,
};

/// Envelopes whose plaintext is the input.
pub(super) const ENCRYPTED: Target = Target {
    name: "envelope_encrypted",
    about: "encrypted envelopes: as they come, and with the input as their plaintext",
    run: encrypted,
    seeds: encrypted_seeds,
    max_len: 4096,
};

/// The walk over containers, packed objects and results.
pub(super) const CONTAINER: Target = Target {
    name: "container_gzip",
    about: "containers, packed objects in them, results in these",
    run: container,
    seeds: container_seeds,
    max_len: 4096,
};

/// Most bytes that an object may unpack to here.
const UNPACKED: usize = 1 << 20;
/// The id of the message that carries the input; ids inside must be lower.
const OUTER: MsgId = MsgId::from_raw(0x65c5_0000_0000_0001 | 0x7000_0000);

pub(super) fn key() -> &'static AuthKey {
    static KEY: OnceLock<AuthKey> = OnceLock::new();
    KEY.get_or_init(|| {
        // Not the same byte everywhere: both directions would have the same keys.
        let mut bytes = [0; 256];
        Seeded::rng(7).fill_bytes(&mut bytes);
        AuthKey::from_bytes(bytes)
    })
}

fn plain_envelope(input: &[u8]) {
    for side in [Side::Client, Side::Server] {
        let Ok(message) = PlainMessage::new_checked(input, side) else { continue };
        assert!(message.body().len() >= 4 && message.body().len() <= input.len());
        assert_eq!(message.constructor_id(), constructor_id(message.body()).expect("four bytes at least"));
        let _ = message.object_and_bytes::<functions::ReqDhParams>();
        let _ = message.object::<functions::SetClientDhParams>();
        let _ = message.object::<enums::ResPq>();
        let _ = message.object::<enums::ServerDhParams>();
        if let Ok((_, bytes)) = message.object_and_bytes::<enums::SetClientDhParamsAnswer>() {
            assert!(bytes.len() <= message.body().len());
        }
    }
}

fn plain_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let runs = vectors::load("handshake_full").entry("runs");
    for run in ["permanent_key_dc2", "two_retries_then_ok", "dh_gen_fail"] {
        for step in runs.entry(run).list("steps") {
            let origin = if step.text("direction") == "c2s" { 4 } else { 1 };
            let mut buf = FrameBuf::new();
            let msg_id = MsgId::from_raw(1_707_425_105 << 32 | origin);
            write_plain_bytes(&mut buf, msg_id, &step.bytes("body")).expect("it is short");
            seeds.push(buf.as_slice().to_vec());
        }
    }
    seeds
}

/// Encrypts `plaintext`, header and padding included, as `from` would; the last bytes fill the last block.
pub(super) fn seal(key: &AuthKey, from: Side, plaintext: &[u8]) -> Vec<u8> {
    let mut bytes = plaintext.to_vec();
    bytes.resize(bytes.len().next_multiple_of(16).max(INNER_HEADER_LEN), 0);
    let sealed = message::seal(key, from, &mut bytes).expect("whole blocks");
    [&key.id().as_bytes()[..], sealed.msg_key.as_bytes(), &bytes].concat()
}

/// First byte: 1 says that the rest is a frame; otherwise it is the plaintext of one.
fn encrypted(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else { return };
    let from = if mode & 2 == 0 { Side::Client } else { Side::Server };
    let tail = if mode & 4 == 0 { TransportTail::None } else { TransportTail::Padded };
    let mut frame = if mode & 1 == 1 { bytes.to_vec() } else { seal(key(), from, bytes) };
    if mode & 8 != 0 {
        frame.extend_from_slice(&bytes[..bytes.len().min(15)]);
    }
    let whole = frame.clone();
    match open(key(), from, tail, &mut frame) {
        Ok(opened) => {
            let padding = whole.len() - 24 - INNER_HEADER_LEN - opened.body().len();
            assert!((12..=1024 + 15).contains(&padding), "{padding}");
            assert_eq!(opened.body().len() % 4, 0);
            let _ = (opened.require_named_session(), opened.require_origin(from));
            let (body, msg_id) = (opened.body().to_vec(), opened.msg_id());
            walk(&body, msg_id, from);
            // No other caller takes it.
            let mut reflected = whole;
            let back = open(key(), from.peer(), tail, &mut reflected);
            assert!(back.is_err(), "a message was taken by the side that wrote it");
        }
        Err(FrameError::Malformed(MalformedFrame::MsgKeyMismatch)) => {
            assert!(mode & 1 == 1 || mode & 8 != 0, "what was sealed with the key opens");
            assert!(frame[24..24 + 16].iter().all(|byte| *byte == 0), "what must not be used is wiped");
        }
        Err(_) => {}
    }
}

pub(super) fn encrypted_seeds() -> Vec<Vec<u8>> {
    let mut rng = Seeded::rng(6);
    let mut seeds = Vec::new();
    for (number, body) in container_seeds().into_iter().enumerate() {
        let from = if number % 2 == 0 { Side::Client } else { Side::Server };
        let message = MessageHeader { msg_id: OUTER, seq_no: SeqNo::from_raw(1) };
        let header =
            EncryptedHeader { salt: ServerSalt::from_raw(7), session_id: SessionId::from_raw(9), message };
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(&body[1..]);
        if writer.seal(key(), from, header, Padding::Minimum, &mut rng).is_err() {
            continue;
        }
        let side = if from == Side::Client { 0 } else { 2 };
        seeds.push([&[1 | side][..], buf.as_slice()].concat());
        open(key(), from, TransportTail::None, buf.as_mut_slice()).expect("it was just sealed");
        seeds.push([&[side][..], &buf.as_slice()[24..]].concat());
    }
    seeds
}

/// Walks over everything that an object may contain.
fn walk(object: &[u8], msg_id: MsgId, from: Side) {
    let Ok(container) = Container::new_checked(object, msg_id, from) else { return read(object, 0) };
    assert!(container.len() <= 1024);
    let bytes: usize = container.iter().map(|message| 16 + message.body.len()).sum();
    assert_eq!(bytes + 8, object.len(), "nothing is left over");
    for message in &container {
        assert!(message.header.msg_id < msg_id);
        read(message.body, 0);
    }
}

fn read(object: &[u8], depth: usize) {
    assert!(depth <= 2, "packed objects do not nest");
    if let Ok(packed) = GzipPacked::new_checked(object) {
        for accepted in [AcceptedFormat::Gzip, AcceptedFormat::GzipOrZlib] {
            if let Ok(unpacked) = Inflater::new(accepted).unpack(&packed, UNPACKED) {
                assert!(unpacked.len() <= UNPACKED);
                read(unpacked, depth + 1);
            }
        }
    }
    if let Ok(result) = RpcResult::new_checked(object)
        && let Ok(RpcOutcome::Packed(_)) = result.outcome()
    {
        read(result.result(), depth);
    }
}

fn container(input: &[u8]) {
    let Some((mode, object)) = input.split_first() else { return };
    let from = if mode & 1 == 0 { Side::Client } else { Side::Server };
    walk(object, OUTER, from);
}

fn container_seeds() -> Vec<Vec<u8>> {
    let result = |object: &[u8]| {
        let mut body = Vec::new();
        write_rpc_result_header(&mut body, MsgId::from_raw(0x65c5_0000_0000_0004));
        body.extend_from_slice(object);
        body
    };
    let pack = |object: &[u8]| Deflater::new().pack(object).expect("it is repetitive").to_vec();
    let large = vec![0x11; 4000];
    let ack = chappe_tl::Serializable::to_bytes(&enums::MsgsAck::MsgsAck(types::MsgsAck {
        msg_ids: vec![4, 8, 12],
    }));
    let objects =
        [ack, result(&[7; 8]), pack(&large), result(&pack(&large)), pack(&result(&large)), vec![1; 4]];
    let mut seeds = Vec::new();
    for mode in [0_u8, 1] {
        let mut buf = FrameBuf::new();
        let mut container = ContainerWriter::begin(&mut buf);
        for (number, object) in objects.iter().enumerate() {
            let low = i64::from(mode);
            let msg_id = MsgId::from_raw(0x65c5_0000_0000_0000 | (number as i64 + 1) << 8 | low);
            let header = MessageHeader { msg_id, seq_no: SeqNo::from_raw(2 * number as i32 + 1) };
            container.push(header, object).expect("it fits");
        }
        container.finish();
        seeds.push([&[mode][..], buf.as_slice()].concat());
        seeds.extend(objects.iter().map(|object| [&[mode][..], object].concat()));
    }
    let misc = vectors::load("tl_misc");
    let negative = misc.list("negative");
    let damaged = negative.iter().filter(|entry| entry.value("data").is_string());
    seeds.extend(damaged.map(|entry| [&[1][..], &entry.bytes("data")].concat()));
    seeds
}
