//! Containers and packed queries.

use chappe_framing::{Deflater, FrameError, PeerMisbehaved};
use chappe_session::server::{Policy, ServerError};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, types};

use crate::pair::{GET_CONFIG, Pair, SESSION, after, at, container, now};

#[test]
fn sec_093_a_broken_container_is_refused_whole_with_code_64() {
    let mut pair = Pair::new(Policy::Lenient);
    let good = container(&[(after(at(0), -2), 1, &GET_CONFIG), (after(at(0), -1), 3, &GET_CONFIG)]);
    let mut cut = good.clone();
    cut.truncate(good.len() - 4);
    assert!(pair.send(0, at(0), 4, &cut).is_empty(), "not even its first message");
    assert_eq!(pair.complaint(0, at(0)), Some(64));
    let nested = container(&[]);
    let outer = [&good[..4], &1_u32.to_le_bytes()[..], &after(at(0), 1).to_raw().to_le_bytes()[..]].concat();
    let nested = [&outer[..], &0_u32.to_le_bytes(), &8_u32.to_le_bytes(), &nested].concat();
    assert!(pair.send(0, after(at(0), 2), 4, &nested).is_empty());
    assert_eq!(pair.complaint(0, after(at(0), 2)), Some(64), "SEC-94");
    let higher = container(&[(after(at(0), 9), 1, &GET_CONFIG)]);
    assert!(pair.send(0, after(at(0), 3), 4, &higher).is_empty());
    assert_eq!(pair.complaint(0, after(at(0), 3)), Some(64), "SEC-95");
}

#[test]
fn sec_095_a_message_repeated_in_a_container_is_skipped_and_the_others_are_not() {
    let mut pair = Pair::new(Policy::Lenient);
    pair.send(0, at(0), 1, &GET_CONFIG);
    let again = container(&[(at(0), 1, &GET_CONFIG), (after(at(0), 1), 3, &GET_CONFIG)]);
    let shown = pair.send(0, after(at(0), 2), 4, &again);
    assert_eq!(shown.iter().map(|query| query.0).collect::<Vec<_>>(), [after(at(0), 1)]);
}

#[test]
fn sec_096_a_container_under_a_used_id_gets_code_19_from_a_strict_server() {
    for (policy, code) in [(Policy::Strict, Some(19)), (Policy::Lenient, None)] {
        let mut pair = Pair::new(policy);
        pair.send(0, at(0), 1, &GET_CONFIG);
        let body = container(&[(after(at(0), -1), 1, &GET_CONFIG)]);
        assert!(pair.send(0, at(0), 2, &body).is_empty());
        assert_eq!(pair.complaint(0, at(0)), code);
    }
}

#[test]
fn sec_090_a_new_session_begins_with_the_lowest_message_of_its_first_container() {
    let mut pair = Pair::new(Policy::Lenient);
    let inner = [after(at(0), 2), after(at(0), 1)];
    let body = container(&[(inner[0], 1, &GET_CONFIG), (inner[1], 3, &GET_CONFIG)]);
    assert_eq!(pair.send(0, after(at(0), 3), 4, &body).len(), 2);
    let answers = pair.answers(0);
    let created = answers.iter().find_map(|sent| {
        let enums::NewSession::Created(created) = enums::NewSession::from_bytes(&sent.body).ok()?;
        Some(created.first_msg_id)
    });
    assert_eq!(created, Some(inner[1].to_raw()));

    let ids = vec![after(at(0), 3).to_raw()];
    let ask = enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: ids }).to_bytes();
    pair.send(0, after(at(0), 4), 5, &ask);
    let info = pair.answers(0).iter().find_map(|sent| {
        let enums::MsgsStateInfo::MsgsStateInfo(info) = enums::MsgsStateInfo::from_bytes(&sent.body).ok()?;
        Some(info.info)
    });
    assert_eq!(info, Some(vec![4 | 16]), "the container was received and needs no acknowledgement");
}

#[test]
fn sec_097_packed_queries_are_shown_unpacked_and_bombs_refused() {
    let mut pair = Pair::new(Policy::Strict);
    let object = [&GET_CONFIG[..], &[0; 2000]].concat();
    let mut deflater = Deflater::new();
    let packed = deflater.pack(&object).unwrap().to_vec();
    assert_eq!(pair.send(0, at(0), 1, &packed), [(at(0), object)]);
    let bomb = deflater.pack(&vec![0; 17 << 20]).unwrap().to_vec();
    let mut frame = pair.frame(SESSION, after(at(0), 1), 3, &bomb);
    let error = pair.server.handle_frame(now(0), &mut frame).unwrap_err();
    assert_eq!(
        error,
        ServerError::Frame(FrameError::Misbehaved(PeerMisbehaved::UnpackedTooLarge { limit: 16 << 20 }))
    );
    let again = pair.send(0, after(at(0), 2), 5, &GET_CONFIG);
    assert_eq!(again.len(), 1, "the session goes on");
}

#[test]
fn only_a_lenient_server_unpacks_zlib() {
    let mut gzip = Deflater::new();
    let body = [GET_CONFIG; 64].concat();
    let packed = gzip.pack(&body).expect("it shrinks").to_vec();
    // gzip_packed: id, length in one byte or four, header of 10 bytes, deflated, checksum and length of 8.
    let at_data = if packed[4] == 254 { 8 } else { 5 };
    let len = if packed[4] == 254 {
        usize::from(packed[5]) | usize::from(packed[6]) << 8
    } else {
        usize::from(packed[4])
    };
    let deflated = &packed[at_data + 10..at_data + len - 8];
    let adler = body.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let mut zlib = vec![0x78, 0x01];
    zlib.extend_from_slice(deflated);
    zlib.extend_from_slice(&(adler.1 << 16 | adler.0).to_be_bytes());
    let mut query = packed[..4].to_vec();
    zlib.serialize(&mut query).unwrap();
    for (policy, is_taken) in [(Policy::Strict, false), (Policy::Lenient, true)] {
        let mut pair = Pair::new(policy);
        let mut frame = pair.frame(SESSION, at(0), 1, &query);
        let taken = pair.server.handle_frame(now(0), &mut frame).map(Iterator::count);
        assert_eq!(taken.is_ok(), is_taken, "{policy:?}");
    }
}

#[test]
fn a_query_in_front_of_one_that_does_not_unpack_is_taken_when_it_comes_again() {
    let mut pair = Pair::new(Policy::Strict);
    let mut broken = Deflater::new().pack(&[7; 400]).unwrap().to_vec();
    let middle = broken.len() / 2;
    broken[middle..].fill(0xff);
    let both = container(&[(at(0), 1, &GET_CONFIG), (after(at(0), 1), 3, &broken)]);
    let mut frame = pair.frame(SESSION, after(at(0), 2), 4, &both);
    assert!(pair.server.handle_frame(now(0), &mut frame).is_err());
    assert_eq!(pair.server.running_queries(), 0, "nobody was shown it");
    let ids = vec![at(0).to_raw()];
    let request = enums::MsgsStateReq::MsgsStateReq(types::MsgsStateReq { msg_ids: ids }).to_bytes();
    pair.send(1, at(1), 4, &request);
    let states =
        pair.answers(1).into_iter().find_map(|sent| match enums::MsgsStateInfo::from_bytes(&sent.body) {
            Ok(enums::MsgsStateInfo::MsgsStateInfo(info)) => Some(info.info),
            Err(_) => None,
        });
    assert_eq!(states, Some(vec![2]), "it was not received");
    assert_eq!(pair.send(2, at(0), 1, &GET_CONFIG), [(at(0), GET_CONFIG.to_vec())]);
    assert_eq!(pair.send(2, at(0), 1, &GET_CONFIG), [], "once");
}
