//! What the datacenter answers.

use chappe_crypto::rng::Drbg;
use chappe_handshake::{DcId, KeyKind};
use chappe_loopback::api::Account;
use chappe_loopback::{Loopback, Options};
use chappe_server::Router;
use chappe_tl::{Blob, Identifiable, Serializable};
use chappe_tl_api::{enums, functions, types};
use chappe_tl_mtproto::functions::{GetFutureSalts, PingDelayDisconnect, RpcDropAnswer};
use chappe_tl_mtproto::types as service;
use chappe_transport::{AckRequest, Framing};

use crate::client::{Client, connect, make_key_for, plain};

fn init<X>(query: X) -> functions::InitConnection<'static, X> {
    functions::InitConnection {
        api_id: 1,
        device_model: "test",
        system_version: "1",
        app_version: "1",
        system_lang_code: "en",
        lang_pack: "",
        lang_code: "en",
        proxy: None,
        params: None,
        query,
    }
}

#[test]
fn wrappers_come_off_in_any_order() {
    let dc = Loopback::start().expect("a port is free");
    let mut client = Client::start(&dc);
    let query = || functions::help::GetConfig {};
    let layer = |query| functions::InvokeWithLayer { layer: 200, query };
    client.call(&layer(init(query()))).expect("the usual order");
    let without = functions::InvokeWithoutUpdates { query: init(query()) };
    client.call(&functions::InvokeWithLayer { layer: 200, query: without }).expect("Telethon's order");
    let inside = init(functions::InvokeWithoutUpdates { query: query() });
    client.call(&functions::InvokeWithLayer { layer: 200, query: inside }).expect("mtcute's order");
    let after = functions::InvokeAfterMsgs { msg_ids: &[1, 2], query: init(query()) };
    client.call(&functions::InvokeAfterMsg { msg_id: 1, query: after }).expect("order before all");
}

#[test]
fn nesting_without_end_is_an_error_for_the_caller_alone() {
    let dc = Loopback::start().expect("a port is free");
    let mut client = Client::start(&dc);
    let mut query = functions::help::GetConfig {}.to_bytes();
    for _ in 0..10_000 {
        query = functions::InvokeWithoutUpdates { query: Blob(query) }.to_bytes();
    }
    let refused = client.call(&Blob(query)).expect_err("nobody nests so deep");
    assert_eq!(refused.code, 400);
    client.call(&functions::help::GetConfig {}).expect("the connection goes on");
}

#[test]
fn sec_110_an_unknown_function_gets_an_error_and_the_connection_stays() {
    let dc = Loopback::start().expect("a port is free");
    let mut client = Client::start(&dc);
    let refused = client.call(&Blob(vec![0xa5; 16])).expect_err("there is no such function");
    assert_eq!((refused.code, refused.message.as_str()), (400, "METHOD_INVALID"));
    client.call(&functions::help::GetConfig {}).expect("the connection goes on");
}

#[test]
fn what_needs_a_login_says_so() {
    let dc = Loopback::start().expect("a port is free");
    let mut client = Client::start(&dc);
    let me = functions::users::GetUsers { id: &[enums::InputUser::UserSelf] };
    let query = client.send(&me, AckRequest::No);
    let refused = client.answer(query).expect_err("nobody is logged in");
    assert_eq!((refused.code, refused.message.as_str()), (401, "AUTH_KEY_UNREGISTERED"));
}

#[test]
fn a_login_can_be_carried_to_another_key_once() {
    let account = Account { id: 77, first_name: "Ignace".into(), username: "chappe_bot".into() };
    let dc = Options::new().bot("77:secret", account).start().expect("a port is free");
    let (mut first, mut second) = (Client::start(&dc), Client::start(&dc));
    let log_in = functions::auth::ImportBotAuthorization {
        flags: 0,
        api_id: 1,
        api_hash: "",
        bot_auth_token: "77:secret",
    };
    let query = first.send(&log_in, AckRequest::No);
    first.answer(query).expect("the token is known");

    let exported = first.call(&functions::auth::ExportAuthorization { dc_id: 2 }).expect("logged in");
    let import = functions::auth::ImportAuthorization { id: exported.get().id, bytes: exported.get().bytes };
    let query = second.send(&import, AckRequest::No);
    second.answer(query).expect("good for one use");
    second.call(&functions::updates::GetState {}).expect("logged in");
    let query = second.send(&import, AckRequest::No);
    second.answer(query).expect_err("good for one use only");
}

#[test]
fn what_was_uploaded_comes_back() {
    const PART: usize = 256 * 1024;
    let dc = Loopback::start().expect("a port is free");
    let mut client = Client::start(&dc);
    let part = |number: u8| -> Vec<u8> { (0..PART).map(|i| (i % 251) as u8 ^ number).collect() };
    for number in 0..4_u8 {
        let (file_part, bytes) = (i32::from(number), &part(number)[..]);
        let save = functions::upload::SaveBigFilePart { file_id: 5, file_part, file_total_parts: 4, bytes };
        assert!(client.call(&save).expect("a good part"));
    }
    let location =
        types::InputDocumentFileLocation { id: 5, access_hash: 0, file_reference: &[], thumb_size: "" };
    for number in 0..4_u8 {
        let get = functions::upload::GetFile {
            precise: false,
            cdn_supported: false,
            location: enums::InputFileLocation::InputDocumentFileLocation(&location),
            offset: i64::from(number) * PART as i64,
            limit: PART as i32,
        };
        let file = client.call(&get).expect("the file is there");
        let enums::upload::File::File(file) = file.get() else { panic!("{file:?}") };
        assert!(file.bytes == part(number), "part {number}");
    }
}

#[test]
fn a_closure_answers_a_function_of_ones_own() {
    let dc = Options::new()
        .router(Router::new().on_raw(0x1234_5678, |call| async move {
            assert!(call.context.permanent_key_id().is_some());
            Ok(call.body.into())
        }))
        .start()
        .expect("a port is free");
    let mut client = Client::start(&dc);
    let call = Blob(vec![0x78, 0x56, 0x34, 0x12, 1, 2, 3, 4]);
    assert_eq!(client.call(&call), Ok(call.clone()));
}

#[test]
fn an_update_reaches_every_connected_session() {
    let dc = Loopback::start().expect("a port is free");
    let mut clients = [Client::start(&dc), Client::start(&dc)];
    for client in &mut clients {
        client.call(&functions::help::GetNearestDc {}).expect("an answer");
    }
    let update = enums::Updates::TooLong.to_bytes();
    assert_eq!(dc.push(&update), 2);
    for client in &mut clients {
        assert_eq!(client.receive_object(0xe317_af7e), update);
    }
}

#[test]
fn service_calls_are_answered_outside_of_results() {
    let dc = Loopback::start().expect("a port is free");
    let mut client = Client::start(&dc);
    client.send(&PingDelayDisconnect { ping_id: 5, disconnect_delay: 75 }, AckRequest::No);
    client.receive_object(service::Pong::CONSTRUCTOR_ID);
    client.send(&GetFutureSalts { num: 64 }, AckRequest::No);
    client.receive_object(service::FutureSalts::CONSTRUCTOR_ID);
    let answer = client.call(&RpcDropAnswer { req_msg_id: 4 }).expect("an answer");
    assert_eq!(answer, chappe_tl_mtproto::enums::RpcDropAnswer::RpcAnswerUnknown);
}

#[test]
fn a_client_is_told_the_datacenter_that_its_key_was_made_for() {
    let dc = Loopback::start().expect("a port is free");
    for id in [DcId::production(4), DcId::test(2), DcId::production(4).media_only()] {
        let mut rng = Drbg::from_os().expect("the system has randomness");
        let mut stream = connect(&dc, plain(Framing::Abridged), &mut rng);
        let finished = make_key_for(&dc, id, &mut stream, KeyKind::Permanent, &mut rng);
        let mut client = Client::with_key(stream, &finished, rng);
        let config = client.call(&functions::help::GetConfig {}).expect("an answer");
        assert_eq!(config.get().this_dc, i32::from(id.number()), "{id:?}");
        let nearest = client.call(&functions::help::GetNearestDc {}).expect("an answer");
        assert_eq!(nearest.get().this_dc, i32::from(id.number()), "{id:?}");
    }
}
