//! Requests as users write them: few fields, and vectors whose length is known at run time.
#![cfg(feature = "api-server")]
#![allow(clippy::unwrap_used, reason = "tests")]

use chappe::api::{AnyCall, enums, functions, types};
use chappe::tl::Serializable;
use chappe::tl::table::Arena;

#[test]
fn a_request_has_only_the_fields_that_matter() {
    let peer = enums::InputPeer::PeerSelf;
    let send = functions::messages::SendMessage { peer, message: "text", random_id: 1, ..Default::default() };
    let arena = Arena::new();
    let bytes = send.to_bytes();
    let read = arena.decode::<AnyCall<'_>>(&bytes).unwrap();
    let AnyCall::MessagesSendMessage(read) = read else { panic!("{read:?}") };
    assert_eq!((read.message, read.silent, read.reply_markup), ("text", false, None));
    assert_eq!(read.peer, enums::InputPeer::PeerSelf);
}

#[test]
fn a_keyboard_of_any_size_is_made_in_one_pass() {
    let arena = Arena::new();
    let labels: Vec<String> = (0..7).map(|number| format!("button {number}")).collect();
    let button = |label: &String| {
        let data = arena.text(&format!("press {label}")).as_bytes();
        let callback = types::InlineButtonTypeCallback { requires_password: false, data };
        let r#type = enums::InlineButtonType::Callback(callback);
        let text = arena.text(label);
        enums::KeyboardInlineButton::from(arena.value(types::KeyboardInlineButton {
            style: None,
            text,
            r#type,
        }))
    };
    let row = |labels: &[String]| -> enums::KeyboardInlineButtonRow<'_> {
        types::KeyboardInlineButtonRow { buttons: arena.collect(labels.iter().map(button)) }.into()
    };
    let rows = arena.collect(labels.chunks(3).map(row));
    let keyboard = types::ReplyInlineMarkup { rows, ..Default::default() };
    let keyboard = enums::ReplyMarkup::ReplyInlineMarkup(keyboard);
    let edit =
        functions::messages::EditMessage { id: 1, reply_markup: Some(&keyboard), ..Default::default() };

    let (bytes, arena) = (edit.to_bytes(), Arena::new());
    let read = arena.decode::<AnyCall<'_>>(&bytes).unwrap();
    let AnyCall::MessagesEditMessage(read) = read else { panic!("{read:?}") };
    let Some(enums::ReplyMarkup::ReplyInlineMarkup(keyboard)) = read.reply_markup else { panic!("{read:?}") };
    let texts: Vec<Vec<&str>> =
        keyboard.rows.iter().map(|row| row.buttons.iter().map(|button| button.text).collect()).collect();
    assert_eq!(texts.concat(), labels);
    assert_eq!(texts.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
}
