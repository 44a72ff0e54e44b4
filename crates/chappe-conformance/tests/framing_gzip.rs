//! `gzip_packed` against `tl_misc.json` and row SEC-97 of the checklist.

use chappe_conformance::vectors::{self, Entry};
use chappe_framing::{
    AcceptedFormat, Deflater, FrameError, GZIP_PACKED, GzipPacked, Inflater, MalformedFrame, PeerMisbehaved,
};
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const LIMIT: usize = 16 << 20;

fn vector(list: &str, name: &str) -> Entry {
    let cases = vectors::load("tl_misc").list(list);
    cases.into_iter().find(|case| case.name() == name).unwrap_or_else(|| panic!("no case {name}"))
}

fn unpack(object: &[u8], accepted: AcceptedFormat, limit: usize) -> Result<Vec<u8>, FrameError> {
    let packed = GzipPacked::new_checked(object)?;
    Inflater::new(accepted).unpack(&packed, limit).map(<[u8]>::to_vec)
}

fn strict(object: &[u8]) -> Result<Vec<u8>, FrameError> {
    unpack(object, AcceptedFormat::Gzip, LIMIT)
}

/// Wraps compressed bytes as `gzip_packed`.
fn object(stream: &[u8]) -> Vec<u8> {
    let mut object = GZIP_PACKED.to_le_bytes().to_vec();
    let len = (stream.len() as u32).to_le_bytes();
    object.extend_from_slice(&[254, len[0], len[1], len[2]]);
    object.extend_from_slice(stream);
    object.resize(object.len().next_multiple_of(4), 0);
    object
}

/// Makes a gzip stream by hand, with the optional header fields that `flags` names.
fn gzip(data: &[u8], flags: u8, fields: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
    stream.extend_from_slice(fields);
    stream.extend(compress_to_vec(data, 6));
    stream.extend_from_slice(&crc32(data).to_le_bytes());
    stream.extend_from_slice(&(data.len() as u32).to_le_bytes());
    stream
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn compressible(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7 % 50) as u8).collect()
}

#[test]
fn the_object_of_the_vectors_unpacks() {
    let case = vector("vectors", "gzip_packed");
    assert_eq!(strict(&case.bytes("serialized")), Ok(case.bytes("uncompressed")));
}

#[test]
fn what_is_packed_unpacks_again() {
    let mut inflater = Inflater::new(AcceptedFormat::Gzip);
    let mut deflater = Deflater::new();
    for len in [256, 300, 1000, 70_000, 1_000_000, 400] {
        let data = compressible(len);
        let packed = deflater.pack(&data).expect("the data is compressible");
        assert!(packed.len() <= len / 10 * 9, "{len}");
        assert_eq!(packed.len() % 4, 0);
        let view = GzipPacked::new_checked(packed).unwrap();
        assert!(view.packed_data().starts_with(&[0x1f, 0x8b, 8]), "a real gzip stream");
        assert_eq!(inflater.unpack(&view, LIMIT), Ok(&data[..]), "{len}");
    }
}

#[test]
fn both_forms_of_the_length_are_written_and_read() {
    // Runs pack into a few dozen bytes (short form), this noise of two letters into more than 254.
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    let noise: Vec<u8> = (0..4000).map(|_| (rng.next_u32() & 1) as u8).collect();
    let mut deflater = Deflater::new();
    for (data, short) in [(vec![1; 1000], true), (noise, false)] {
        let packed = deflater.pack(&data).unwrap();
        assert_eq!(packed[4] != 254, short);
        assert_eq!(strict(packed), Ok(data));
    }
}

#[test]
fn data_that_does_not_get_smaller_is_left_alone() {
    let mut deflater = Deflater::new();
    let mut noise = vec![0; 100_000];
    ChaCha20Rng::from_seed([1; 32]).fill_bytes(&mut noise);
    for len in [0, 4, 20, 100, 1000, 100_000] {
        assert_eq!(deflater.pack(&noise[..len]), None, "{len}");
    }
    assert!(deflater.pack(&compressible(1000)).is_some(), "a refusal leaves the packer usable");
}

#[test]
fn sec_097_the_damaged_objects_of_the_vectors_are_refused() {
    let bad_crc = vector("negative", "gzip_bad_crc").bytes("data");
    assert_eq!(strict(&bad_crc), Err(FrameError::Malformed(MalformedFrame::BadChecksum)));
    let truncated = vector("negative", "gzip_truncated").bytes("data");
    assert_eq!(strict(&truncated), Err(FrameError::Malformed(MalformedFrame::BadCompression)));
}

#[test]
fn sec_097_a_bomb_stops_at_the_limit() {
    let bomb = object(&gzip(&vec![0; 64 << 20], 0, &[]));
    assert!(bomb.len() < 100_000);
    assert_eq!(strict(&bomb), Err(FrameError::Misbehaved(PeerMisbehaved::UnpackedTooLarge { limit: LIMIT })));
}

#[test]
fn sec_097_the_limit_itself_is_still_accepted() {
    let data = compressible(5000);
    let packed = object(&gzip(&data, 0, &[]));
    for limit in [4999, 5000, 5001] {
        let result = unpack(&packed, AcceptedFormat::Gzip, limit);
        match limit {
            4999 => {
                assert_eq!(result, Err(FrameError::Misbehaved(PeerMisbehaved::UnpackedTooLarge { limit })));
            }
            _ => assert_eq!(result.as_ref(), Ok(&data)),
        }
    }
}

#[test]
fn sec_097_a_wrong_size_or_checksum_is_refused() {
    let good = gzip(&compressible(500), 0, &[]);
    for at in good.len() - 8..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert_eq!(strict(&object(&bad)), Err(FrameError::Malformed(MalformedFrame::BadChecksum)), "{at}");
    }
}

#[test]
fn sec_097_bytes_behind_the_stream_are_refused() {
    for extra in [1, 4, 18] {
        let mut stream = gzip(&compressible(500), 0, &[]);
        stream.extend(core::iter::repeat_n(0, extra));
        assert_eq!(
            strict(&object(&stream)),
            Err(FrameError::Malformed(MalformedFrame::TrailingBytes { len: extra }))
        );
    }
    // A second member would be legal gzip, but no object consists of two.
    let twice = [gzip(&compressible(500), 0, &[]), gzip(&compressible(500), 0, &[])].concat();
    assert!(matches!(
        strict(&object(&twice)),
        Err(FrameError::Malformed(MalformedFrame::TrailingBytes { .. }))
    ));
    let mut behind = object(&gzip(&compressible(500), 0, &[]));
    behind.extend_from_slice(&[0; 4]);
    assert_eq!(strict(&behind), Err(FrameError::Malformed(MalformedFrame::TrailingBytes { len: 4 })));
}

#[test]
fn sec_097_a_stream_cut_anywhere_is_refused() {
    let good = gzip(&compressible(500), 0, &[]);
    for len in 0..good.len() {
        assert_eq!(
            strict(&object(&good[..len])),
            Err(FrameError::Malformed(MalformedFrame::BadCompression)),
            "{len}"
        );
    }
    let whole = object(&good);
    for len in 0..whole.len() {
        assert!(
            matches!(strict(&whole[..len]), Err(FrameError::Malformed(MalformedFrame::TooShort { .. }))),
            "{len}"
        );
    }
}

#[test]
fn sec_097_packed_in_packed_is_refused() {
    let inner = object(&gzip(&compressible(500), 0, &[]));
    let outer = object(&gzip(&inner, 0, &[]));
    assert_eq!(strict(&outer), Err(FrameError::Misbehaved(PeerMisbehaved::Nested { id: GZIP_PACKED })));
}

#[test]
fn optional_fields_of_the_header_are_skipped() {
    let data = compressible(300);
    let (extra, name, comment) = (1 << 2, 1 << 3, 1 << 4);
    assert_eq!(strict(&object(&gzip(&data, name, b"file\0"))).as_ref(), Ok(&data));
    let all = gzip(&data, extra | name | comment, b"\x03\0abcname\0comment\0");
    assert_eq!(strict(&object(&all)).as_ref(), Ok(&data));
    assert!(strict(&object(&gzip(&data, 1 << 5, &[]))).is_err(), "reserved flags are not understood");
    let endless = [0x1f, 0x8b, 8, name, 0, 0, 0, 0, 0, 3, 1, 1, 1, 1];
    assert_eq!(strict(&object(&endless)), Err(FrameError::Malformed(MalformedFrame::BadCompression)));
}

#[test]
fn the_checksum_of_the_header_is_checked() {
    let data = compressible(300);
    let header = [0x1f, 0x8b, 8, 1 << 1, 0, 0, 0, 0, 0, 3];
    let sum = (crc32(&header) as u16).to_le_bytes();
    assert_eq!(strict(&object(&gzip(&data, 1 << 1, &sum))).as_ref(), Ok(&data));
    let wrong = [sum[0] ^ 1, sum[1]];
    assert_eq!(
        strict(&object(&gzip(&data, 1 << 1, &wrong))),
        Err(FrameError::Malformed(MalformedFrame::BadChecksum))
    );
}

#[test]
fn zlib_is_read_only_where_it_is_accepted() {
    let data = compressible(3000);
    let stream = compress_to_vec_zlib(&data, 6);
    let packed = object(&stream);
    assert_eq!(strict(&packed), Err(FrameError::Malformed(MalformedFrame::BadCompression)));
    let lenient = |object: &[u8], limit| unpack(object, AcceptedFormat::GzipOrZlib, limit);
    assert_eq!(lenient(&packed, LIMIT).as_ref(), Ok(&data));
    assert_eq!(lenient(&object(&gzip(&data, 0, &[])), LIMIT).as_ref(), Ok(&data));
    assert_eq!(
        lenient(&packed, 2999),
        Err(FrameError::Misbehaved(PeerMisbehaved::UnpackedTooLarge { limit: 2999 }))
    );
    let mut bad = stream.clone();
    *bad.last_mut().unwrap() ^= 1;
    assert_eq!(lenient(&object(&bad), LIMIT), Err(FrameError::Malformed(MalformedFrame::BadChecksum)));
    let mut long = stream.clone();
    long.push(0);
    assert_eq!(
        lenient(&object(&long), LIMIT),
        Err(FrameError::Malformed(MalformedFrame::TrailingBytes { len: 1 }))
    );
    for len in 0..stream.len() {
        assert!(lenient(&object(&stream[..len]), LIMIT).is_err(), "{len}");
    }
}

#[test]
fn arbitrary_bytes_do_not_panic() {
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let mut inflater = Inflater::new(AcceptedFormat::GzipOrZlib);
    for round in 0..3000_usize {
        let mut stream = vec![0; round % 200];
        rng.fill_bytes(&mut stream);
        let prefix: &[u8] = if round % 2 == 0 { &[0x1f, 0x8b, 8, 0] } else { &[0x78, 0x9c] };
        let len = prefix.len().min(stream.len());
        stream[..len].copy_from_slice(&prefix[..len]);
        let object = object(&stream);
        let _ = inflater.unpack(&GzipPacked::new_checked(&object).unwrap(), 100_000);
    }
}
