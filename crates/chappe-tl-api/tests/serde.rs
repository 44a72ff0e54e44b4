//! The types of the API as JSON.
#![cfg(feature = "serde")]

use chappe_tl::Serializable;
use chappe_tl::table::Decoded;
use chappe_tl_api::{enums, functions, types};

type Updates = Decoded<enums::Updates<'static>>;

fn update() -> Vec<u8> {
    let entities = [enums::MessageEntity::Url(types::MessageEntityUrl { offset: 2, length: 3 })];
    let short = types::UpdateShortMessage {
        out: true,
        mentioned: false,
        media_unread: false,
        silent: false,
        id: 7,
        user_id: 1 << 40,
        message: "h\u{e9}llo",
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
fn an_answer_goes_through_json_and_back() {
    let bytes = update();
    let updates = Updates::from_vec(bytes.clone()).unwrap();
    let json = serde_json::to_value(&updates).unwrap();
    assert_eq!(json, serde_json::to_value(updates.get()).unwrap(), "an owner is written as what it owns");
    let back: Updates = serde_json::from_value(json).unwrap();
    assert_eq!(back.to_bytes(), bytes);
    assert_eq!(back, updates);
}

#[test]
fn fields_are_named_as_in_the_schema() {
    let json = serde_json::to_string(&Updates::from_vec(update()).unwrap()).unwrap();
    assert!(json.starts_with(r#"{"_":"updateShortMessage","out":true,"mentioned":false"#), "{json}");
    assert!(json.contains(r#""via_bot_id":-1,"entities":[{"_":"messageEntityUrl","offset":2,"length":3}]"#));
    assert!(!json.contains("fwd_from"), "what is not there is left out");
    let peer = enums::InputPeer::PeerSelf;
    let call = serde_json::to_string(&functions::messages::ReadHistory { peer, max_id: 9 }).unwrap();
    assert_eq!(call, r#"{"_":"messages.readHistory","peer":{"_":"inputPeerSelf"},"max_id":9}"#);
}

#[test]
fn json_that_is_no_object_is_refused() {
    let refused = |json: &str| serde_json::from_str::<Updates>(json).unwrap_err().to_string();
    assert!(refused("{}").contains("constructor"));
    assert!(refused(r#"{"_":"message"}"#).contains("Updates has no constructor `message`"));
    assert!(refused(r#"{"_":"updateShortMessage","id":1}"#).contains("is missing"));
    assert!(refused(r#"{"_":"updatesTooLong","id":1}"#).contains("no field `id`"));
    // Two fields share a bit, and only one of them is there (SEC-117).
    let half = r#"{"_":"messageFwdHeader","date":1,"saved_from_peer":{"_":"peerUser","user_id":5}}"#;
    let error = serde_json::from_str::<Decoded<enums::MessageFwdHeader<'static>>>(half).unwrap_err();
    assert!(error.to_string().contains("only some of the fields"), "{error}");
}
