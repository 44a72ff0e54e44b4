//! Types for what schemas outside of Telegram's API have.

use chappe_tl::DecodeError;
use chappe_tl::table::{Arena, Decoded};
use chappe_tl::{Deserializable, EncodeError, Int512, MAX_EMPTY_ELEMENTS, RawVec, RemoteCall, Serializable};

/// What `oddities.tl` says.
mod oddities {
    include!(concat!(env!("OUT_DIR"), "/oddities.rs"));
}

use private_schema::telemetry;

/// What `ton.tl` says.
mod ton {
    include!(concat!(env!("OUT_DIR"), "/ton.rs"));
}

/// The same as `oddities`, borrowed from an arena.
mod borrowed {
    include!(concat!(env!("OUT_DIR"), "/oddities_arena.rs"));
}

/// What `parameterless.tl` says.
mod parameterless {
    include!(concat!(env!("OUT_DIR"), "/parameterless.rs"));
}

use oddities::{AnyCall, enums, functions, types};

fn again<T: Serializable + Deserializable + PartialEq + core::fmt::Debug>(value: &T) -> Vec<u8> {
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    bytes
}

#[test]
fn numbers_that_no_field_depends_on_are_fields() {
    let page = types::Page { offset: 5, limit: 100, query: "q".to_owned() };
    assert_eq!(again(&page)[..8], [5, 0, 0, 0, 100, 0, 0, 0]);
    let mixed = types::Mixed { x: None, count: u32::MAX, more: vec![1, 2] };
    assert_eq!(again(&mixed)[..8], [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    again(&types::Mixed { x: Some(3), ..mixed });
}

#[test]
fn built_in_types_under_other_names_carry_their_values() {
    let error = types::Error {
        code: 404,
        message: "no".to_owned(),
        big: 1 << 40,
        secret: vec![1],
        digest: Int512([9; 64]),
    };
    let bytes = again(&error);
    assert_eq!(bytes.len(), 4 + 4 + 8 + 4 + 64);
    assert_eq!(bytes[..4], 404_i32.to_le_bytes());
}

#[test]
fn vectors_of_what_takes_no_bytes_are_read_back() {
    let nothing = |count| vec![types::Nothing {}; count];
    let nothings = types::Nothings { f1: nothing(3), f2: RawVec(nothing(0)), after: 7 };
    assert_eq!(again(&nothings).len(), 8 + 4 + 4);
    let most = types::Nothings { f1: nothing(MAX_EMPTY_ELEMENTS - 1), f2: RawVec(nothing(1)), after: 7 };
    let bytes = again(&most);
    // One more, in the other vector.
    let mut more = bytes;
    more[8] = 2;
    match types::Nothings::from_bytes(&more) {
        Err(DecodeError::BadCount { count: 2, most: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
    let over = types::Nothings { f1: nothing(MAX_EMPTY_ELEMENTS + 1), ..nothings };
    assert_eq!(over.try_to_bytes(), Err(EncodeError::TooManyEmptyElements { len: MAX_EMPTY_ELEMENTS + 1 }));
}

#[test]
fn a_vector_of_units_with_ids_may_be_long() {
    let units = vec![enums::Nothing::Nothing; MAX_EMPTY_ELEMENTS + 1];
    again(&units);
}

#[test]
fn namespaces_may_nest_and_have_the_names_of_modules() {
    let stats = types::engine::validator::Stats { x: 1 };
    let boxed = enums::engine::validator::Stats::Stats(stats.clone());
    let member = types::engine::validator::group::Member { of: stats, boxed };
    again(&enums::engine::validator::group::Member::from(member));
    let one = types::types_::One { x: 2 };
    again(&types::mod_::Two { x: one.clone(), y: one.into() });
    again(&enums::layout_::Three::Three);
}

#[test]
fn names_of_the_prelude_and_recursion_are_no_obstacle() {
    again(&enums::Sized::from(types::Sized { y: types::Option { x: 4 }.into() }));
    again(&enums::Clone::Clone);
    let leaf = types::Node { name: "leaf".to_owned(), children: vec![] };
    let root = types::Node { name: "root".to_owned(), children: vec![leaf.clone().into(), leaf.into()] };
    again(&types::Holder { node: root });
}

#[test]
fn functions_may_have_several_type_parameters() {
    fn answer<C: RemoteCall<Return = R>, R>(_: &C) -> usize {
        size_of::<R>()
    }
    let get =
        functions::types_::Get { page: types::Page { offset: 1, limit: 2, query: String::new() }.into() };
    let any = functions::Any { query: get.clone() };
    assert_eq!(answer(&any), size_of::<enums::types_::One>());
    let both = functions::Both { query: get.clone() };
    assert_eq!(answer::<_, Vec<enums::types_::One>>(&both), size_of::<Vec<()>>());
    let each = telemetry::functions::telemetry::Each { one: any.clone(), other: vec![get] };
    assert_eq!(answer::<_, Vec<enums::types_::One>>(&each), size_of::<Vec<()>>());
    assert!(matches!(AnyCall::from_bytes(&any.to_bytes()), Ok(AnyCall::Any(_))));
}

#[test]
fn both_styles_write_the_same() {
    let bytes = types::Page { offset: 5, limit: u32::MAX, query: "q".to_owned() }.to_bytes();
    let page = borrowed::types::Page { offset: 5, limit: u32::MAX, query: "q" };
    assert_eq!(page.to_bytes(), bytes);
    assert_eq!(format!("{page:?}"), "page { offset: 5, limit: 4294967295, query: \"q\" }");

    let mixed = enums::Mixed::from(types::Mixed { x: Some(-1), count: 7, more: vec![1, u32::MAX] });
    let arena = Arena::new();
    let bytes = mixed.to_bytes();
    let read = arena.decode::<borrowed::enums::Mixed<'_>>(&bytes).expect("it was just written");
    assert_eq!((read.x, read.count, read.more), (Some(-1), 7, &[1, u32::MAX][..]));
    assert_eq!(read.to_bytes(), bytes);

    let error = types::Error {
        code: 404,
        message: "no".to_owned(),
        big: 1 << 40,
        secret: vec![1],
        digest: Int512([9; 64]),
    };
    let bytes = enums::Error::from(error.clone()).to_bytes();
    let read = arena.decode::<borrowed::enums::Error<'_>>(&bytes).expect("it was just written");
    assert_eq!((read.code, read.digest, read.secret), (404, error.digest, &[1][..]));
    assert_eq!(read.to_bytes(), bytes);
}

#[test]
fn an_arena_reads_vectors_of_what_takes_no_bytes_up_to_the_same_limit() {
    let nothing = |count| vec![types::Nothing {}; count];
    let most = types::Nothings { f1: nothing(MAX_EMPTY_ELEMENTS - 1), f2: RawVec(nothing(1)), after: 7 };
    let mut bytes = enums::Nothings::from(most).to_bytes();
    let arena = Arena::new();
    let read = arena.decode::<borrowed::enums::Nothings<'_>>(&bytes).expect("it was just written");
    assert_eq!((read.f1.len(), read.f2.len(), read.after), (MAX_EMPTY_ELEMENTS - 1, 1, 7));
    assert_eq!(read.to_bytes(), bytes);
    bytes[12] = 2;
    match arena.decode::<borrowed::enums::Nothings<'_>>(&bytes) {
        Err(DecodeError::BadCount { count: 2, most: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
    let nothing = vec![borrowed::types::Nothing {}; MAX_EMPTY_ELEMENTS + 1];
    let over = borrowed::types::Nothings { f1: &nothing, f2: &[], after: 7 };
    assert_eq!(over.try_to_bytes(), Err(EncodeError::TooManyEmptyElements { len: MAX_EMPTY_ELEMENTS + 1 }));
}

#[test]
fn an_arena_holds_types_that_contain_themselves() {
    let leaf = types::Node { name: "leaf".to_owned(), children: vec![] };
    let root = types::Node { name: "root".to_owned(), children: vec![leaf.clone().into(), leaf.into()] };
    let bytes = enums::Holder::from(types::Holder { node: root }).to_bytes();
    let read = Decoded::<borrowed::enums::Holder<'_>>::from_vec(bytes.clone()).expect("it was just written");
    assert_eq!(read.get().node.children[1].name, "leaf");
    assert_eq!(read.to_bytes(), bytes);
    let sized = borrowed::types::Sized { y: borrowed::types::Option { x: 4 }.into() };
    assert_eq!(sized.to_bytes(), types::Sized { y: types::Option { x: 4 }.into() }.to_bytes());
    assert_eq!(borrowed::enums::Clone::Clone.to_bytes(), enums::Clone::Clone.to_bytes());
}

#[test]
fn structs_whose_fields_can_be_empty_have_a_default() {
    let mixed = borrowed::types::Mixed { count: 3, ..Default::default() };
    assert_eq!(mixed.to_bytes(), types::Mixed { count: 3, ..Default::default() }.to_bytes());
    let every = borrowed::types::Every::default();
    assert_eq!(every.to_bytes(), every_owned().to_bytes());
    assert_eq!(every.holder.children, []);
    assert_eq!(enums::Clone::default(), enums::Clone::Clone);
}

fn every_owned() -> types::Every {
    types::Every {
        holder: types::Node::default(),
        page: types::Page::default().into(),
        digest: Int512::default(),
        small: 0,
        yes: false,
        text: String::new(),
        pages: RawVec(vec![]),
        maybe: None,
        unit: enums::Clone::Clone,
    }
}

#[test]
fn functions_without_parameters_are_calls() {
    let bytes = parameterless::functions::ns::Ask {}.to_bytes();
    let arena = Arena::new();
    let call = arena.decode::<parameterless::AnyCall<'_>>(&bytes).expect("it is a call");
    assert!(matches!(call, parameterless::AnyCall::NsAsk));
    assert_eq!(call.to_bytes(), bytes);
}

#[test]
fn bits_of_a_word_that_no_field_depends_on_are_kept_where_they_mean_something() {
    use ton::functions::LookupBlock;
    let id = ton::types::Block { id: 9 };
    // Bit 0 looks the block up by its number; bit 2 belongs to a field that is not there.
    let lookup = LookupBlock { mode: 0b101, id, lt: Some(7), utime: None, want_proof: true };
    let bytes = lookup.to_bytes();
    assert_eq!(bytes[4..8], 0b100_0011_u32.to_le_bytes());
    let read = LookupBlock::from_bytes(&bytes).expect("it was just written");
    assert_eq!(read, LookupBlock { mode: 1, ..lookup });
}

#[test]
fn constructors_of_one_type_may_differ_in_their_namespace_only() {
    let raw = types::raw::AccountState { x: 1 };
    let wallet = types::wallet::v3::AccountState { y: 1 };
    assert_eq!(enums::AccountState::from(raw.clone()), enums::AccountState::RawAccountState(raw));
    again(&enums::AccountState::WalletV3AccountState(wallet));
}
