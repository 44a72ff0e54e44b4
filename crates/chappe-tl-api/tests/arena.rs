//! Decoding into an arena: what users do, and what hostile servers might.

use chappe_tl::deserialize::{Error, Options};
use chappe_tl::table::{Arena, Decoded};
use chappe_tl::{Deserializable, EncodeError, RemoteCall, Serializable};
use chappe_tl_api::{AnyCall, LAYER, enums, functions, name_for_id, types};

fn message() -> Vec<u8> {
    let text = "h\u{e9}llo";
    let entities = [
        enums::MessageEntity::Bold(types::MessageEntityBold { offset: 0, length: 2 }),
        enums::MessageEntity::Url(types::MessageEntityUrl { offset: 2, length: 3 }),
    ];
    let short = types::UpdateShortMessage {
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
        entities: Some(&entities),
        ttl_period: None,
    };
    enums::Updates::UpdateShortMessage(&short).to_bytes()
}

#[test]
fn an_answer_is_read_field_by_field() {
    let bytes = message();
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
}
