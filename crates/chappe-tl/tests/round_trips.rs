//! Whatever is written is read back, whole, and nothing else is.

use chappe_tl::deserialize::DecodeOptions;
use chappe_tl::{Deserializable, EncodeError, MAX_STRING_LEN, RawVec, Serializable, SliceSink};
use proptest::prelude::*;

fn round_trip<T: Serializable + Deserializable + PartialEq + core::fmt::Debug>(
    value: &T,
) -> Result<(), TestCaseError> {
    let bytes = value.to_bytes();
    prop_assert_eq!(bytes.len(), value.serialized_len());
    prop_assert_eq!(bytes.len() % 4, 0);
    prop_assert!(bytes.len() >= T::LEAST_LEN);
    let read = T::from_bytes_with(&bytes, DecodeOptions::strict());
    prop_assert_eq!(read.as_ref(), Ok(value));
    let mut space = vec![0xa5; bytes.len()];
    let mut sink = SliceSink::new(&mut space);
    prop_assert_eq!(value.serialize(&mut sink), Ok(()));
    prop_assert_eq!(sink.written(), Some(&bytes[..]));
    for len in 0..bytes.len() {
        prop_assert!(T::from_bytes(&bytes[..len]).is_err(), "{} of {} bytes were enough", len, bytes.len());
    }
    let longer = [&bytes[..], &[0; 4]].concat();
    prop_assert!(T::from_bytes(&longer).is_err(), "four bytes more were not noticed");
    Ok(())
}

proptest! {
    #[test]
    fn numbers(int in any::<i32>(), nat in any::<u32>(), long in any::<i64>(), flag in any::<bool>()) {
        round_trip(&int)?;
        round_trip(&nat)?;
        round_trip(&long)?;
        round_trip(&flag)?;
    }

    #[test]
    fn doubles_keep_every_bit(bits in any::<u64>()) {
        let read = f64::from_bytes(&f64::from_bits(bits).to_bytes()).map(f64::to_bits);
        prop_assert_eq!(read, Ok(bits));
    }

    #[test]
    fn verbatim(short in any::<[u8; 16]>(), long in any::<[u8; 32]>()) {
        round_trip(&short)?;
        round_trip(&long)?;
    }

    #[test]
    fn bytes_and_strings(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,100}") {
        round_trip(&bytes)?;
        round_trip(&text)?;
    }

    #[test]
    fn vectors(
        boxed in prop::collection::vec(any::<i64>(), 0..9),
        nested in prop::collection::vec(prop::collection::vec(".{0,9}", 0..4), 0..4),
        bare in prop::collection::vec(any::<i32>(), 0..9),
    ) {
        round_trip(&boxed)?;
        round_trip(&nested)?;
        round_trip(&RawVec(bare))?;
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Vec::<Vec<String>>::from_bytes(&bytes);
        let _ = RawVec::<bool>::from_bytes(&bytes);
        let _ = String::from_bytes_with(&bytes, DecodeOptions::strict());
    }
}

#[test]
fn the_longest_string_is_encoded_and_one_byte_more_is_not() {
    let longest = vec![0xab_u8; MAX_STRING_LEN];
    let bytes = longest.to_bytes();
    assert_eq!(bytes.len(), 16_777_220);
    assert_eq!(Vec::<u8>::from_bytes(&bytes), Ok(longest));
    let too_long = vec![0xab_u8; MAX_STRING_LEN + 1];
    assert_eq!(too_long.try_to_bytes(), Err(EncodeError::StringTooLong { len: MAX_STRING_LEN + 1 }));
    assert_eq!(too_long.to_bytes(), Vec::<u8>::new());
}
