//! What reading refuses, what it forgives, and what its errors say.

use chappe_tl::DecodeError;
use chappe_tl::deserialize::{Cursor, DecodeOptions};
use chappe_tl::{Blob, Deserializable, RawVec, Serializable};

#[test]
fn an_announced_16_mib_string_in_8_bytes_is_refused() {
    let bytes = [0xfe, 0xff, 0xff, 0xff, b'a', b'b', b'c', b'd'];
    match Vec::<u8>::from_bytes(&bytes) {
        Err(DecodeError::UnexpectedEof { place, needed, remaining }) => {
            assert_eq!((place.offset, needed, remaining), (0, 16_777_220, 8));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_count_that_the_rest_cannot_hold_is_refused() {
    for (count, most) in [(i32::MAX, 1), (2, 1), (-1, 1), (i32::MIN, 1)] {
        let mut bytes = count.to_bytes();
        bytes.extend([0; 12]);
        match RawVec::<i64>::from_bytes(&bytes) {
            Err(DecodeError::BadCount { place, count: found, most: limit }) => {
                assert_eq!((place.offset, found, limit), (0, count, most));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_string_that_is_not_utf8_is_replaced_and_counted() {
    let bytes = vec![vec![0xff_u8, b'a'], b"fine".to_vec(), vec![0xc3]].to_bytes();
    let mut cursor = Cursor::from_slice(&bytes);
    let strings = Vec::<String>::deserialize(&mut cursor);
    assert_eq!(
        strings.as_deref(),
        Ok(&["\u{fffd}a".to_owned(), "fine".to_owned(), "\u{fffd}".to_owned()][..])
    );
    assert_eq!(cursor.lossy_strings(), 2);
    assert_eq!(cursor.finish(), Ok(()));
}

#[test]
fn strict_reading_refuses_a_string_that_is_not_utf8_and_says_where() {
    let bytes = [b"\x03abc".as_slice(), b"\x03d\xffe"].concat();
    let mut cursor = Cursor::with_options(&bytes, DecodeOptions::strict());
    assert_eq!(String::deserialize(&mut cursor).as_deref(), Ok("abc"));
    match String::deserialize(&mut cursor) {
        Err(DecodeError::InvalidUtf8 { place, valid_up_to }) => {
            assert_eq!((place.offset, valid_up_to), (5, 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cursor.pos(), 4, "a read that fails leaves the position where it was");
}

#[test]
fn strict_reading_refuses_what_nobody_should_write() {
    let long_form = [0xfe, 3, 0, 0, b'a', b'b', b'c', 0];
    let padded = [1, b'a', 2, 3];
    assert_eq!(Vec::<u8>::from_bytes(&long_form).as_deref(), Ok(b"abc".as_slice()));
    assert_eq!(Vec::<u8>::from_bytes(&padded).as_deref(), Ok(b"a".as_slice()));
    let strict = |bytes| Vec::<u8>::from_bytes_with(bytes, DecodeOptions::strict());
    assert!(matches!(strict(&long_form), Err(DecodeError::LongStringForm { len: 3, .. })));
    assert!(matches!(strict(&padded), Err(DecodeError::NonZeroPadding { .. })));
}

#[test]
fn the_bytes_of_an_unknown_object_can_be_kept() {
    let bytes = [0xef, 0xbe, 0xad, 0xde, 1, 2, 3, 4];
    let error = bool::from_bytes(&bytes).unwrap_err();
    assert_eq!(error.unknown_object(&bytes), Some((0xdead_beef, &bytes[..])));
    assert_eq!(error.to_string(), "constructor deadbeef is not one of Bool at byte 0");
}

#[test]
fn a_vector_of_large_elements_takes_memory_only_as_they_come() {
    /// 1000 bytes of memory for 4 bytes of encoding.
    struct Wide(#[expect(dead_code, reason = "only its size matters")] [u8; 1000]);
    impl Deserializable for Wide {
        fn deserialize(buf: chappe_tl::deserialize::Buffer<'_, '_>) -> chappe_tl::deserialize::Result<Self> {
            match buf.read_u32()? {
                0 => Ok(Self([0; 1000])),
                id => Err(buf.unknown_id("Wide", id)),
            }
        }
    }
    // The first element is fine, the second one is not: the other 99 998 must not have cost anything.
    let mut bytes = 100_000_i32.to_bytes();
    bytes.extend([0; 4]);
    bytes.extend(vec![0xff; 4 * 99_999]);
    assert!(RawVec::<Wide>::from_bytes(&bytes).is_err());
    let few = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let read = RawVec::<Wide>::from_bytes(&few).map(|wide| wide.0.len());
    assert_eq!(read, Ok(3));
}

#[test]
fn a_blob_takes_everything_that_is_left() {
    let mut cursor = Cursor::from_slice(&[1, 0, 0, 0, 2, 3, 4]);
    assert_eq!(cursor.read_i32(), Ok(1));
    assert_eq!(Blob::deserialize(&mut cursor), Ok(Blob(vec![2, 3, 4])));
    assert!(cursor.is_empty());
}
