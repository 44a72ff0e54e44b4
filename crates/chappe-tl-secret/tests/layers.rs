//! What peers of every layer send.

use chappe_tl::{Deserializable, Identifiable, Serializable};
use chappe_tl_secret::{LAYER, enums, name_for_id, types};

#[test]
fn every_layer_of_a_message_is_read() {
    let media = || enums::DecryptedMessageMedia::from(types::DecryptedMessageMediaEmpty {});
    let messages: [enums::DecryptedMessage; 4] = [
        types::DecryptedMessageLayer8 {
            random_id: 1,
            random_bytes: vec![2; 16],
            message: "8".to_owned(),
            media: media(),
        }
        .into(),
        types::DecryptedMessageLayer17 { random_id: 1, ttl: 2, message: "17".to_owned(), media: media() }
            .into(),
        types::DecryptedMessageLayer45 {
            random_id: 1,
            ttl: 2,
            message: "45".to_owned(),
            media: None,
            entities: Some(vec![types::MessageEntityBold { offset: 0, length: 2 }.into()]),
            via_bot_name: None,
            reply_to_random_id: Some(3),
        }
        .into(),
        types::DecryptedMessage {
            no_webpage: true,
            silent: false,
            random_id: 1,
            ttl: 2,
            message: "73".to_owned(),
            media: Some(media()),
            entities: None,
            via_bot_name: None,
            reply_to_random_id: None,
            grouped_id: Some(4),
        }
        .into(),
    ];
    for message in messages {
        assert_eq!(enums::DecryptedMessage::from_bytes(&message.to_bytes()), Ok(message));
    }
}

#[test]
fn ids_are_those_of_the_published_schema() {
    assert_eq!(types::DecryptedMessageLayer8::CONSTRUCTOR_ID, 0x1f81_4f1f);
    assert_eq!(types::DecryptedMessage::CONSTRUCTOR_ID, 0x91cc_4674);
    assert_eq!(types::DecryptedMessageMediaDocument::CONSTRUCTOR_ID, 0x6abd_9782);
    assert_eq!(name_for_id(0xb095_434b), Some("decryptedMessageMediaDocumentLayer8"));
    assert_eq!(LAYER, 216);
}
