//! What a type with large variants costs when it is sent by someone who wants it to cost much.

use chappe_tl::{Deserializable, Serializable};
use private_schema::telemetry::enums::telemetry::{Event, Receipt};
use private_schema::telemetry::{functions, types};

#[test]
fn small_constructors_of_a_type_with_large_variants_take_less_than_20_bytes_per_byte() {
    let ticks = vec![Event::Tick; 200_000];
    let bytes = functions::telemetry::Send { events: ticks }.to_bytes();
    let call = functions::telemetry::Send::from_bytes(&bytes).expect("ticks are valid");
    assert_eq!(call.events.len(), 200_000);
    let memory = call.events.capacity() * size_of::<Event>();
    assert!(memory < 20 * bytes.len(), "{memory} bytes of memory for {} received", bytes.len());
}

#[test]
fn objects_that_hold_themselves_are_refused_when_they_nest_too_deep() {
    let test = || {
        let batch: u32 = chappe_tl::deserialize::Cursor::from_slice(
            &Event::from(types::telemetry::Batch { of: Event::Tick, note: String::new() }).to_bytes(),
        )
        .peek_u32()
        .expect("it has an id");
        let mut bytes = Vec::new();
        for _ in 0..100_000 {
            bytes.extend(batch.to_le_bytes());
        }
        assert!(Event::from_bytes(&bytes).is_err());
    };
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(test);
    thread.expect("a thread can be started").join().expect("256 KiB of stack are enough");
}

#[test]
fn a_flags_word_is_read_where_it_stands() {
    let receipt = types::telemetry::Accepted { id: 7, late: true, until: Some(9) };
    let bytes = receipt.to_bytes();
    assert_eq!(bytes, [7, 0, 0, 0, 0, 0, 0, 0, 0b1_1000, 0, 0, 0, 9, 0, 0, 0]);
    assert_eq!(types::telemetry::Accepted::from_bytes(&bytes).as_ref(), Ok(&receipt));
    let boxed = Receipt::from(receipt.clone());
    assert_eq!(types::telemetry::Accepted::try_from(boxed), Ok(receipt));
}
