//! Types that borrow from an arena, for a schema of one's own with shapes that the schemas of Telegram have not.

use chappe_tl::table::{Arena, Decoded, Family};
use chappe_tl::{EncodeError, RemoteCall, Serializable};

/// What `shapes.tl` says.
mod shapes {
    include!(concat!(env!("OUT_DIR"), "/shapes.rs"));
}

use shapes::{AnyCall, enums, functions, types};

/// Decodes a value in both ways, writes it again, and returns it as it is printed.
fn again<T>(bytes: &[u8]) -> String
where
    T: Family,
    for<'a> T::Of<'a>: Serializable + core::fmt::Debug,
{
    let arena = Arena::new();
    let object = arena.decode::<T>(bytes).expect("it was just written");
    assert_eq!(object.to_bytes(), bytes);
    let kept = Decoded::<T>::from_vec(bytes.to_vec()).expect("it was just written");
    assert_eq!(kept.to_bytes(), bytes);
    format!("{object:?}")
}

const POINT: types::Point = types::Point { x: 1, y: 2.5 };

const READING: types::Reading<'_> = types::Reading {
    sensor: "attic",
    value: 21.5,
    exact: true,
    unit: Some("K"),
    ok: Some(false),
    big: Some([7; 32]),
};

#[test]
fn bare_objects_stand_in_structs_in_vectors_and_behind_flags() {
    let more = [POINT, types::Point { x: 2, ..POINT }];
    let path = types::Path { start: POINT, more: &more, end: Some(&POINT) };
    let bytes = enums::Path::from(&path).to_bytes();
    // An id, a word of flags, and four points of 12 bytes without ids, of which two are in a vector without id.
    assert_eq!(bytes.len(), 4 + 4 + 12 + (4 + 24) + 12);
    let point = "point { x: 1, y: 2.5 }";
    assert_eq!(
        again::<enums::Path<'_>>(&bytes),
        format!("path {{ start: {point}, more: [{point}, point {{ x: 2, y: 2.5 }}], end: Some({point}) }}")
    );
    assert_eq!(again::<enums::Point>(&enums::Point::from(POINT).to_bytes()), point);
}

#[test]
fn vectors_stand_in_vectors() {
    let events = [enums::Event::Reading(&READING), enums::Event::Tick];
    let grid = types::Grid {
        cells: &[&[1, 2], &[]],
        names: &[&["a", "bc"]],
        points: Some(&[POINT]),
        events: &[&events, &events[1..]],
        paths: &[&[POINT, POINT], &[]],
    };
    let printed = again::<enums::Grid<'_>>(&enums::Grid::from(&grid).to_bytes());
    assert!(
        printed.contains("cells: [[1, 2], []], names: [[\"a\", \"bc\"]], points: Some([point"),
        "{printed}"
    );
    assert!(printed.contains("tick], [tick]]"), "{printed}");
}

#[test]
fn flags_of_several_words_say_what_is_there() {
    let without = types::Reading { exact: false, unit: None, ok: None, big: None, ..READING };
    for reading in [READING, without, types::Reading { ok: Some(true), ..without }] {
        let printed = again::<enums::Event<'_>>(&enums::Event::Reading(&reading).to_bytes());
        assert_eq!(printed, format!("{reading:?}"));
    }
    let lone = types::Lone { key: [9; 16] };
    assert_eq!(
        again::<enums::Lone>(&enums::Lone::from(lone).to_bytes()),
        format!("lone {{ key: {:?} }}", [9; 16])
    );
    assert_eq!(again::<enums::Empty>(&enums::Empty::Empty.to_bytes()), "empty");
}

#[test]
fn calls_are_read_without_knowing_which_they_are() {
    fn answer<C: RemoteCall>(_: &C) -> usize {
        size_of::<C::Return>()
    }
    let events = [enums::Event::Tick];
    let send = functions::Send { events: &events };
    assert_eq!(again::<AnyCall<'_>>(&send.to_bytes()), "send { events: [tick] }");
    let wrap = functions::Wrap { from: Some(3), note: Some("n"), more: Some(&[4, 5]), query: send };
    let printed = again::<AnyCall<'_>>(&wrap.to_bytes());
    assert!(
        printed.starts_with("wrap { from: Some(3), note: Some(\"n\"), more: Some([4, 5]), query: "),
        "{printed}"
    );
    assert_eq!(answer(&wrap), answer(&send));
    assert_eq!(
        shapes::name_for_id(u32::from_le_bytes(*wrap.to_bytes().first_chunk().expect("an id"))),
        Some("wrap")
    );
}

#[test]
fn fields_of_one_bit_are_set_together_in_generic_functions_too() {
    let query = functions::Send { events: &[] };
    let torn = functions::Wrap { from: Some(3), note: None, more: None, query };
    let error = torn.serialize(&mut Vec::new()).expect_err("one of two");
    assert!(matches!(error, EncodeError::PartialFlagGroup(group) if group.bit() == 5), "{error}");
    assert_eq!(error.to_string(), "wrap: only some of the fields of flags.5 are set");
    let none = functions::Wrap { from: None, ..torn };
    assert!(again::<AnyCall<'_>>(&none.to_bytes()).starts_with("wrap { from: None, note: None, more: None"));
}
