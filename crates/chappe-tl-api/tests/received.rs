//! Functions as a server receives them.
#![cfg(all(feature = "server", feature = "functions"))]

use chappe_tl::table::Decoded;
use chappe_tl::{DecodeError, Deserializable as _};
use chappe_tl::{Identifiable as _, Serializable as _};
use chappe_tl_api::functions::{help, messages, upload};
use chappe_tl_api::{enums, types};

#[test]
fn a_function_that_borrows_is_decoded_with_its_memory() {
    let peer = enums::InputPeer::User(types::InputPeerUser { user_id: 5, access_hash: 7 });
    let call = messages::SetTyping {
        peer,
        top_msg_id: None,
        action: enums::SendMessageAction::SendMessageTypingAction,
    };
    let decoded = Decoded::<messages::SetTyping<'static>>::from_vec(call.to_bytes()).expect("a good call");
    assert_eq!(*decoded.get(), call);
    let part = upload::SaveFilePart { file_id: 1, file_part: 2, bytes: b"content" };
    let decoded =
        Decoded::<upload::SaveFilePart<'static>>::from_bytes(&part.to_bytes()).expect("a good call");
    assert_eq!(decoded.get().bytes, b"content");
}

#[test]
fn a_function_that_borrows_nothing_is_a_value() {
    assert_eq!(help::GetConfig::from_bytes(&help::GetConfig {}.to_bytes()), Ok(help::GetConfig {}));
    let call = help::GetAppConfig { hash: -7 };
    assert_eq!(help::GetAppConfig::from_bytes(&call.to_bytes()), Ok(call));
    assert_eq!(help::GetAppConfig::LEAST_LEN, 8);
}

#[test]
fn another_function_and_trailing_bytes_are_refused() {
    let other = help::GetNearestDc {}.to_bytes();
    assert!(matches!(
        help::GetConfig::from_bytes(&other),
        Err(DecodeError::UnexpectedConstructor { id: help::GetNearestDc::CONSTRUCTOR_ID, .. })
    ));
    let long = [help::GetConfig {}.to_bytes(), vec![0; 4]].concat();
    assert!(matches!(help::GetConfig::from_bytes(&long), Err(DecodeError::TrailingBytes { count: 4, .. })));
    assert!(help::GetAppConfig::from_bytes(&help::GetAppConfig { hash: 1 }.to_bytes()[..4]).is_err());
}
