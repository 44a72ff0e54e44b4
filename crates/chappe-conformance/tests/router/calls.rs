//! Calls and their answers.

use std::sync::Arc;

use chappe_net::{InvokeOptions, Update};
use chappe_server::{Answer, Call, CallContext, Router, RpcError};
use chappe_tl::{Blob, Serializable as _};
use chappe_tl_api::functions::{help, langpack};
use chappe_tl_api::{enums, types};
use tokio::sync::Notify;

use crate::rig::{Add, Rig, Wait, refusal, waiting};

#[test]
fn functions_of_the_api_and_of_a_private_schema_are_answered() {
    let router = || {
        Router::new()
            .on(|_, call: Add| async move {
                call.a.checked_add(call.b).ok_or_else(|| RpcError::new(400, "SUM_TOO_LARGE"))
            })
            .on(|_, _: help::GetNearestDc| async {
                let nearest = types::NearestDc { country: "FR", this_dc: 2, nearest_dc: 4 };
                Ok(Answer::new(&enums::NearestDc::from(nearest)))
            })
            .on(|_, call: Call<langpack::GetStrings<'static>>| async move {
                let strings: Vec<_> = call
                    .get()
                    .keys
                    .iter()
                    .map(|key| enums::LangPackString::Deleted(types::LangPackStringDeleted { key }))
                    .collect();
                Ok(Answer::new(&&strings[..]))
            })
            .into_handler()
    };
    for rig in Rig::both(router) {
        let client = rig.client();
        assert_eq!(client.invoke(&Add { a: 40, b: 2 }).wait().expect("an answer"), 42);
        let refused = refusal(client.invoke(&Add { a: i64::MAX, b: 2 }).wait());
        assert_eq!(refused, (400, "SUM_TOO_LARGE".into()));
        let nearest = client.invoke(&help::GetNearestDc {}).wait().expect("an answer");
        assert_eq!((nearest.get().country, nearest.get().nearest_dc), ("FR", 4));
        let call = langpack::GetStrings { lang_pack: "tdesktop", lang_code: "fr", keys: &["a", "b"] };
        let strings = client.invoke(&call).wait().expect("an answer");
        assert_eq!(strings.get().len(), 2);
    }
}

#[test]
fn what_no_handler_is_for_and_what_cannot_be_decoded_are_errors() {
    let rig = Rig::start(Router::new().on(|_, call: Add| async move { Ok(call.a) }).into_handler());
    let client = rig.client();
    let raw = |bytes: Vec<u8>| client.invoke_bytes(&bytes, &InvokeOptions::default()).wait();
    assert_eq!(refusal(raw(vec![0xa5; 8])), (400, "METHOD_INVALID".into()));
    let add = Add { a: 1, b: 2 }.to_bytes();
    assert_eq!(refusal(raw(add[..12].to_vec())), (400, "INPUT_FETCH_ERROR".into()));
    assert_eq!(refusal(raw([&add[..], &[0; 4]].concat())), (400, "INPUT_REQUEST_TOO_LONG".into()));
    assert_eq!(client.invoke(&Add { a: 7, b: 0 }).wait().expect("the connection goes on"), 7);
}

#[test]
fn a_fallback_sees_the_rest_and_merged_routers_answer_together() {
    let other = Router::new()
        .on(|_, call: Add| async move { Ok(call.a - call.b) })
        .fallback(|call| async move { Ok(call.body.into()) });
    let router = Router::new().on(|_, call: Add| async move { Ok(call.a + call.b) }).merge(other);
    let rig = Rig::start(router.into_handler());
    let client = rig.client();
    assert_eq!(client.invoke(&Add { a: 9, b: 4 }).wait().expect("an answer"), 5);
    let unknown = Blob(vec![0xa5; 8]);
    assert_eq!(client.invoke_object(&unknown).wait().expect("an answer"), unknown.0);
}

#[test]
fn wrappers_are_removed_and_told() {
    let router = Router::new().on_raw(0x4444_4444, |call| async move {
        let ctx = &call.context;
        let device = ctx.device().map(|device| (device.device_model.clone(), device.lang_code.clone()));
        Ok(format!("{} {device:?} {}", ctx.layer(), ctx.is_without_updates()).to_bytes().into())
    });
    let rig = Rig::start(router.into_handler());
    let client = rig.client();
    let ask = |query: Blob| {
        let told = client.invoke_object(&query).wait().expect("an answer");
        <String as chappe_tl::Deserializable>::from_bytes(&told).expect("a string")
    };
    let query = || Blob(0x4444_4444_u32.to_le_bytes().to_vec());
    assert_eq!(ask(query()), "0 None false");
    let init = chappe_tl_api::functions::InitConnection {
        api_id: 7,
        device_model: "Telegraph",
        system_version: "1",
        app_version: "1",
        system_lang_code: "fr",
        lang_pack: "",
        lang_code: "fr-FR",
        proxy: None,
        params: Some(&enums::Jsonvalue::JsonNull),
        query: chappe_tl_api::functions::InvokeWithoutUpdates { query: query() },
    };
    let wrapped = chappe_tl_api::functions::InvokeWithLayer { layer: 200, query: init };
    let known = "200 Some((\"Telegraph\", \"fr-FR\"))";
    assert_eq!(ask(Blob(wrapped.to_bytes())), format!("{known} true"));
    assert_eq!(ask(query()), format!("{known} false"), "what was said holds for the key");
    let later = chappe_tl_api::functions::InvokeWithLayer { layer: 201, query: query() };
    assert_eq!(ask(Blob(later.to_bytes())), "201 Some((\"Telegraph\", \"fr-FR\")) false");
}

/// Pushes an update to its own session and asks about it, before and after it has waited.
async fn push_and_ask(ctx: CallContext, again: Arc<Notify>) -> Result<i32, RpcError> {
    let ask = || {
        ctx.session().push(&[7; 8]).map_err(|_| RpcError::new(500, "NO_ROOM"))?;
        Ok::<_, RpcError>(ctx.session().is_connected())
    };
    let before = ask()?;
    again.notified().await;
    Ok(i32::from(before) + i32::from(ask()?))
}

#[test]
fn a_handler_may_push_to_its_own_session_and_ask_about_it_at_any_time() {
    let again = Arc::new(Notify::new());
    let router = || {
        let again = Arc::clone(&again);
        Router::new().on(move |ctx, _: Wait| push_and_ask(ctx, Arc::clone(&again))).into_handler()
    };
    for rig in Rig::both(router) {
        let client = rig.client();
        let mut updates = client.updates();
        let call = client.invoke(&Wait(0));
        let is_pushed =
            |update: Option<Update>| matches!(update, Some(Update::Object(object)) if object.bytes == [7; 8]);
        while !is_pushed(updates.wait()) {}
        again.notify_one();
        assert_eq!(call.wait().expect("an answer"), 2, "connected both times");
        while !is_pushed(updates.wait()) {}
    }
}

#[test]
fn a_slow_call_delays_no_other_and_is_answered_when_it_is_ready() {
    let ready = Arc::new(Notify::new());
    let router = || waiting(&ready).on(|_, call: Add| async move { Ok(call.a + call.b) }).into_handler();
    for rig in Rig::both(router) {
        let client = rig.client();
        let slow = client.invoke(&Wait(5));
        for a in 0..20 {
            assert_eq!(client.invoke(&Add { a, b: 1 }).wait().expect("an answer"), a + 1);
        }
        assert_eq!(rig.engine.metrics().calls_under_way, 1);
        assert!(!slow.is_finished());
        ready.notify_one();
        assert_eq!(slow.wait().expect("an answer"), 5);
    }
}

#[test]
fn a_call_after_another_runs_once_that_has_ended_and_fails_if_it_failed() {
    let (ready, order) = (Arc::new(Notify::new()), Arc::new(std::sync::Mutex::new(Vec::new())));
    let router = {
        let (ready, order) = (Arc::clone(&ready), Arc::clone(&order));
        Router::new().on(move |_, call: Wait| {
            let (ready, order) = (Arc::clone(&ready), Arc::clone(&order));
            async move {
                if call.0 % 2 == 1 {
                    ready.notified().await;
                }
                order.lock().expect("no panic").push(call.0);
                if call.0 == 3 { Err(RpcError::new(400, "NO_THREE")) } else { Ok(call.0) }
            }
        })
    };
    let rig = Rig::start(router.into_handler());
    let client = rig.client();
    let first = client.invoke(&Wait(1));
    let second = client.invoke_with(&Wait(2), &InvokeOptions::default().after(&first));
    assert_eq!(client.invoke(&Wait(4)).wait().expect("an answer"), 4);
    assert_eq!(*order.lock().expect("no panic"), [4], "one waits for the test, the other for that one");
    ready.notify_one();
    assert_eq!((first.wait().expect("an answer"), second.wait().expect("an answer")), (1, 2));
    assert_eq!(*order.lock().expect("no panic"), [4, 1, 2]);

    let third = client.invoke(&Wait(3));
    let follower = client.invoke_with(&Wait(6), &InvokeOptions::default().after(&third));
    client.invoke(&Wait(8)).wait().expect("an answer");
    ready.notify_one();
    assert_eq!(refusal(third.wait()), (400, "NO_THREE".into()));
    assert_eq!(follower.wait().expect("the client repeats what was answered with MSG_WAIT_FAILED"), 6);
    assert_eq!(rig.engine.metrics().client_errors, 2);
    assert_eq!(*order.lock().expect("no panic"), [4, 1, 2, 8, 3, 6], "it ran once");
}
