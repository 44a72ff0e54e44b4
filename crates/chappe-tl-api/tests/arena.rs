//! Decoding into an arena: what users do, and what hostile servers might.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::alloc::System;

use chappe_tl::__private::View;
use chappe_tl::DecodeError;
use chappe_tl::deserialize::{DecodeOptions, Place};
use chappe_tl::table::{Arena, Decoded, OwnedAnswer};
use chappe_tl::{Deserializable, EncodeError, FlagGroup, Identifiable, RemoteCall, Serializable};
use chappe_tl_api::{LAYER, One, enums, functions, name_for_id, types};

/// Counts the allocations of the thread that asks, so that tests beside each other do not disturb.
struct Counting;

thread_local! {
    static ALLOCATIONS: AtomicUsize = const { AtomicUsize::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.fetch_add(1, Relaxed));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.with(|count| count.load(Relaxed));
    let result = work();
    (result, ALLOCATIONS.with(|count| count.load(Relaxed)) - before)
}

fn short_message<'a>(
    text: &'a str,
    entities: &'a [enums::MessageEntity<'a>],
) -> types::UpdateShortMessage<'a> {
    types::UpdateShortMessage {
        out: true,
        mentioned: false,
        media_unread: false,
        silent: true,
        id: 7,
        user_id: 1 << 40,
        message: text,
        pts: 1,
        pts_count: 2,
        date: 3,
        fwd_from: None,
        via_bot_id: Some(-1),
        reply_to: None,
        entities: Some(entities),
        ttl_period: None,
    }
}

fn bytes_of_message(text: &str) -> Vec<u8> {
    let entities = [
        enums::MessageEntity::Bold(types::MessageEntityBold { offset: 0, length: 2 }),
        enums::MessageEntity::Url(types::MessageEntityUrl { offset: 2, length: 3 }),
    ];
    enums::Updates::UpdateShortMessage(&short_message(text, &entities)).to_bytes()
}

#[test]
fn an_answer_is_read_field_by_field() {
    let bytes = bytes_of_message("h\u{e9}llo");
    let arena = Arena::new();
    let enums::Updates::UpdateShortMessage(short) = arena.decode::<enums::Updates<'_>>(&bytes).unwrap()
    else {
        panic!("another variant");
    };
    assert_eq!((short.out, short.mentioned, short.silent), (true, false, true));
    assert_eq!((short.id, short.user_id, short.via_bot_id), (7, 1 << 40, Some(-1)));
    assert_eq!(short.message, "h\u{e9}llo");
    assert_eq!(short.entities.map(<[_]>::len), Some(2));
    assert!(short.fwd_from.is_none() && short.reply_to.is_none() && short.ttl_period.is_none());
    let text = format!("{short:?}");
    assert!(text.starts_with("updateShortMessage { out: true, mentioned: false"), "{text}");
    assert!(text.contains("via_bot_id: Some(-1)") && text.contains("ttl_period: None"), "{text}");
}

#[test]
fn objects_are_equal_if_all_their_fields_are() {
    let one = short_message("a", &[]);
    let other = short_message("a", &[]);
    assert_eq!(one, other);
    assert_ne!(one, types::UpdateShortMessage { ttl_period: Some(0), ..other });
    assert_ne!(one, types::UpdateShortMessage { message: "b", ..other });
    assert_ne!(one, types::UpdateShortMessage { entities: None, ..other });
    let copy = one;
    assert_eq!(one, copy);
    assert_ne!(enums::InputPeer::Empty, enums::InputPeer::PeerSelf);
}

#[test]
fn a_request_is_a_literal() {
    let peer = enums::InputPeer::User(types::InputPeerUser { user_id: 5, access_hash: 7 });
    let request = functions::messages::ReadHistory { peer, max_id: 9 };
    let bytes = request.to_bytes();
    assert_eq!(bytes[..4], functions::messages::ReadHistory::CONSTRUCTOR_ID.to_le_bytes());
    assert_eq!(name_for_id(functions::messages::ReadHistory::CONSTRUCTOR_ID), Some("messages.readHistory"));
    assert_eq!(bytes.len(), request.serialized_len());
    let (bytes, count) = allocations_of(|| request.to_bytes());
    assert_eq!(count, 1, "the length is known before");
    let mut buffer = Vec::with_capacity(64);
    let (_, count) = allocations_of(|| request.serialize(&mut buffer));
    assert_eq!((count, &buffer), (0, &bytes));
}

#[test]
fn a_request_is_written_with_the_fields_that_matter() {
    let peer = enums::InputPeer::PeerSelf;
    let short =
        functions::messages::SendMessage { peer, message: "text", random_id: 7, ..Default::default() };
    assert_eq!((short.entities, short.silent, short.schedule_date), (None, false, None));
    let bytes = short.to_bytes();
    assert_eq!(bytes.len(), 4 + 4 + 4 + 8 + 8);
    let empty = functions::messages::SendMessage::default();
    assert_eq!((empty.peer, empty.message, empty.random_id), (enums::InputPeer::Empty, "", 0));
}

#[test]
fn the_answer_of_a_wrapper_is_that_of_its_query() {
    fn return_of<C: RemoteCall>(_: &C) -> &'static str {
        core::any::type_name::<C::Return>()
    }
    let wrapped = functions::InvokeWithLayer { layer: LAYER, query: functions::help::GetConfig {} };
    assert_eq!(return_of(&wrapped), return_of(&wrapped.query));
    assert!(return_of(&wrapped.query).contains("Config"));
    assert_eq!(
        return_of(&functions::users::GetUsers { id: &[] }),
        core::any::type_name::<Decoded<&[enums::User<'_>]>>()
    );
}

#[cfg(feature = "server")]
#[test]
fn a_server_takes_a_call_apart() {
    use chappe_tl::table::RawObject;
    use chappe_tl_api::AnyCall;

    let query = functions::messages::ReadHistory { peer: enums::InputPeer::PeerSelf, max_id: 1 };
    let bytes = functions::InvokeWithLayer { layer: LAYER, query }.to_bytes();
    let arena = Arena::new();
    let AnyCall::InvokeWithLayer(functions::InvokeWithLayer { layer, query: RawObject(inner) }) =
        arena.decode::<AnyCall<'_>>(&bytes).unwrap()
    else {
        panic!("another call");
    };
    assert_eq!(*layer, LAYER);
    match arena.decode::<AnyCall<'_>>(inner).unwrap() {
        AnyCall::MessagesReadHistory(call) => assert_eq!(**call, query),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_owned_answer_outlives_its_buffer_and_crosses_threads() {
    fn answer<C: RemoteCall<Return: OwnedAnswer>>(_: &C, bytes: &[u8]) -> C::Return {
        C::Return::from_bytes(bytes).unwrap()
    }
    let bytes = bytes_of_message("text");
    let call = functions::messages::DeleteChatUser {
        revoke_history: false,
        chat_id: 1,
        user_id: enums::InputUser::UserSelf,
    };
    let owned = answer(&call, &bytes);
    drop(bytes);
    let clone = owned.clone();
    let thread = std::thread::spawn(move || format!("{:?}", clone.get()));
    assert_eq!(thread.join().unwrap(), format!("{owned:?}"));
    assert!(matches!(owned.get(), enums::Updates::UpdateShortMessage(short) if short.message == "text"));
}

#[test]
fn a_warm_arena_does_not_allocate() {
    let bytes = bytes_of_message("some text");
    let mut arena = Arena::new();
    arena.decode::<enums::Updates<'_>>(&bytes).unwrap();
    arena.reset();
    let (_, count) = allocations_of(|| arena.decode::<enums::Updates<'_>>(&bytes).map(|_| ()));
    assert_eq!(count, 0);
}

#[test]
fn several_objects_share_an_arena() {
    let arena = Arena::new();
    let inputs: Vec<Vec<u8>> = (0..500).map(|index| bytes_of_message(&index.to_string())).collect();
    let objects: Vec<_> =
        inputs.iter().map(|bytes| arena.decode::<enums::Updates<'_>>(bytes).unwrap()).collect();
    for (index, object) in objects.iter().enumerate() {
        let enums::Updates::UpdateShortMessage(short) = object else { panic!("another variant") };
        assert_eq!(short.message, index.to_string());
    }
}

#[test]
fn sec_114_an_unknown_constructor_says_what_it_is_and_where_it_begins() {
    let mut bytes = bytes_of_message("text");
    let entities = bytes.len() - 24;
    bytes[entities..entities + 4].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
    let error = Arena::new().decode::<enums::Updates<'_>>(&bytes).unwrap_err();
    let place = Place { ty: "updateShortMessage", field: "entities", offset: entities };
    assert_eq!(
        error,
        DecodeError::UnexpectedConstructor { id: 0xdead_beef, name: None, wanted: "MessageEntity", place }
    );
    assert_eq!(error.unknown_object(&bytes), Some((0xdead_beef, &bytes[entities..])));
}

#[test]
fn an_unexpected_constructor_is_named_if_the_schema_has_it() {
    let bytes = enums::Updates::TooLong.to_bytes();
    let name = |error: DecodeError| match error {
        DecodeError::UnexpectedConstructor { name, .. } => name,
        other => panic!("{other}"),
    };
    let arena = Arena::new();
    let error = arena.decode::<enums::User<'_>>(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "constructor updatesTooLong#e317af7e is not one of User at byte 0");
    // In a vector, and instead of one: the tables of a vector are its own.
    let users = [&[0x15, 0xc4, 0xb5, 0x1c, 1, 0, 0, 0][..], &bytes, &[0; 64]].concat();
    assert_eq!(name(arena.decode::<&[enums::User<'_>]>(&users).unwrap_err()), Some("updatesTooLong"));
    assert_eq!(name(arena.decode::<&[enums::User<'_>]>(&bytes).unwrap_err()), Some("updatesTooLong"));
    assert_eq!(name(Decoded::<enums::User<'_>>::from_vec(bytes).unwrap_err()), Some("updatesTooLong"));
    assert_eq!(name(arena.decode::<enums::User<'_>>(&[1, 2, 3, 4]).unwrap_err()), None);
}

#[test]
fn a_string_that_is_not_utf8_costs_a_character_and_not_the_object() {
    let mut bytes = bytes_of_message("textual");
    let at = bytes.windows(7).position(|window| window == b"textual").unwrap();
    bytes[at] = 0xff;
    let mut arena = Arena::new();
    let enums::Updates::UpdateShortMessage(short) = arena.decode::<enums::Updates<'_>>(&bytes).unwrap()
    else {
        panic!("another variant");
    };
    assert_eq!(short.message, "\u{fffd}extual");
    assert_eq!(arena.replaced_strings(), 1);
    let owned = Decoded::<enums::Updates<'_>>::from_vec(bytes.clone()).unwrap();
    assert_eq!(owned.replaced_strings(), 1);
    arena.reset();
    assert_eq!(arena.replaced_strings(), 0);
    let error = arena.decode_with::<enums::Updates<'_>>(&bytes, DecodeOptions::strict()).unwrap_err();
    let place = Place { ty: "updateShortMessage", field: "message", offset: at };
    assert_eq!(error, DecodeError::InvalidUtf8 { place, valid_up_to: 0 });
}

#[test]
fn sec_115_bytes_after_an_object_are_an_error() {
    let mut bytes = bytes_of_message("text");
    let len = bytes.len();
    bytes.extend([0; 4]);
    let error = Arena::new().decode::<enums::Updates<'_>>(&bytes).unwrap_err();
    assert_eq!(
        error,
        DecodeError::TrailingBytes { place: Place { offset: len, ..Place::default() }, count: 4 }
    );
    let owned = Decoded::<enums::Updates<'_>>::from_vec(bytes.clone()).map(|_| ()).unwrap_err();
    assert_eq!(owned, error);
    let arena = Arena::new();
    let prefix = arena.decode_prefix::<enums::Updates<'_>>(&bytes, DecodeOptions::default()).unwrap();
    assert_eq!(prefix.1, len);
}

#[test]
fn sec_116_nesting_without_end_is_an_error_on_a_small_stack() {
    // textBold#6724abc4 text:RichText = RichText;
    let bold = types::TextBold::CONSTRUCTOR_ID.to_le_bytes();
    let bytes = bold.repeat(100_000);
    let work = move || {
        let error = Arena::new().decode::<enums::RichText<'_>>(&bytes).unwrap_err();
        assert!(
            matches!(error, DecodeError::TooDeep { limit: 64, place } if place.offset == 64 * 4),
            "{error}"
        );
        // As deep as it may be, it fits the stack.
        let mut allowed = bytes[..63 * 4].to_vec();
        enums::RichText::TextEmpty.serialize(&mut allowed).unwrap();
        let arena = Arena::new();
        let text = arena.decode::<enums::RichText<'_>>(&allowed).unwrap();
        assert_eq!(text.to_bytes(), allowed);
        assert_eq!(format!("{text:?}").matches("textBold").count(), 63);
    };
    std::thread::Builder::new().stack_size(256 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn many_small_constructors_of_a_type_with_huge_ones_stay_small() {
    let count = 200_000;
    let update = enums::Update::Config;
    let updates = vec![update; count];
    let bytes = updates.as_slice().to_bytes();
    assert_eq!(bytes.len(), 8 + 4 * count);
    let arena = Arena::new();
    assert_eq!(arena.decode::<&[enums::Update<'_>]>(&bytes).unwrap().len(), count);
    assert!(arena.capacity() < 20 * bytes.len(), "{} bytes for {}", arena.capacity(), bytes.len());
}

#[test]
fn no_type_needs_twenty_bytes_of_memory_for_each_byte_received() {
    for ty in &chappe_tl_api::TYPES {
        for one in ty.lines() {
            // Unless it has no field that is always there, a struct may be large: its conditional fields are references and
            // strings at most, and 400 of its bytes come with 20 received ones. What counts is what a vector multiplies.
            let size = ty.size();
            assert!(size < 20 * ty.least(), "{}: {size} bytes for {}", one.name(), ty.least());
        }
    }
}

#[test]
fn sec_113_lengths_are_believed_only_if_the_bytes_are_there() {
    let mut bytes = 0x1cb5_c415_u32.to_le_bytes().to_vec();
    bytes.extend(i32::MAX.to_le_bytes());
    bytes.extend([0; 64]);
    let arena = Arena::new();
    let error = arena.decode::<&[enums::Update<'_>]>(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::BadCount { count: i32::MAX, most: 16, .. }), "{error}");
    assert!(arena.capacity() < 1 << 16);
    // The least user has 12 bytes (userEmpty): six of them do not fit 64 bytes.
    bytes[4..8].copy_from_slice(&6_i32.to_le_bytes());
    let error = arena.decode::<&[enums::User<'_>]>(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::BadCount { count: 6, most: 5, .. }), "{error}");
    bytes[4..8].copy_from_slice(&(-1_i32).to_le_bytes());
    assert!(matches!(arena.decode::<&[i64]>(&bytes), Err(DecodeError::BadCount { count: -1, .. })));

    let announced = [254, 0xff, 0xff, 0xff, 1, 2, 3, 4];
    let error = arena.decode::<&[u8]>(&announced).unwrap_err();
    assert!(matches!(error, DecodeError::UnexpectedEof { needed: 0x0100_0004, remaining: 8, .. }), "{error}");
    assert!(matches!(arena.decode::<&str>(&[255, 0, 0, 0]), Err(DecodeError::BadStringPrefix { .. })));
}

#[test]
fn sec_117_what_has_no_encoding_is_refused() {
    let text = "x".repeat(1 << 24);
    let check = functions::account::CheckUsername { username: &text };
    assert_eq!(check.try_to_bytes(), Err(EncodeError::StringTooLong { len: 1 << 24 }));
    assert_eq!(check.to_bytes(), Vec::<u8>::new());
}

#[test]
fn strict_reading_refuses_what_nobody_should_write() {
    let arena = Arena::new();
    let decode = |bytes: &[u8]| {
        arena
            .decode_with::<&str>(bytes, DecodeOptions::strict())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(decode(&[1, b'a', 0, 0]), Ok(()));
    assert!(decode(&[1, b'a', 0, 1]).unwrap_err().contains("padding"));
    assert!(decode(&[254, 1, 0, 0, b'a', 0, 0, 0]).unwrap_err().contains("long form"));
}

#[test]
fn sec_117_fields_that_share_a_bit_are_written_together_or_not_at_all() {
    // Read, not written as literals: other layers have other fields.
    let date = 1_i32.to_le_bytes();
    let empty = [&types::MessageFwdHeader::CONSTRUCTOR_ID.to_le_bytes()[..], &[0; 4], &date].concat();
    let channel = [&types::PeerChannel::CONSTRUCTOR_ID.to_le_bytes()[..], &5_i64.to_le_bytes()].concat();
    let arena = Arena::new();
    let peer = arena.decode::<enums::Peer>(&channel).unwrap();
    let header = arena.decode::<enums::MessageFwdHeader<'_>>(&empty).unwrap();
    let half = types::MessageFwdHeader { saved_from_peer: Some(peer), ..***header };
    let expected = EncodeError::PartialFlagGroup(FlagGroup::new(&"messageFwdHeader flags", 1, 4));
    assert_eq!(half.try_to_bytes(), Err(expected));
    assert_eq!(One(&half).try_to_bytes(), Err(expected));
    assert_eq!(View::new(&half).try_to_bytes(), Err(expected), "by the table as well");
    let whole = types::MessageFwdHeader { saved_from_msg_id: Some(7), ..half };
    assert_eq!(whole.try_to_bytes().map(|bytes| bytes.len()), Ok(4 + 4 + 12 + 4));
}
