//! Methods that every server has, and what a server tells its application.

use core::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;

use chappe_handshake::DcId;
use chappe_server::{CallContext, Datacenter, Datacenters, Logins, Router, RpcError, ServerEvent};
use chappe_tl_api::functions::{auth, help};

use crate::rig::{Add, Rig, refusal, until};

#[test]
fn the_configuration_names_the_datacenter_of_the_key_and_all_addresses() {
    let address = "127.0.0.1:443".parse().expect("an address");
    let list = vec![
        Datacenter::new(DcId::production(2), address),
        Datacenter::new(DcId::production(4).media_only(), address),
        Datacenter::cdn(DcId::production(203), address),
    ];
    let router = Router::new().datacenters(Datacenters::new(DcId::production(2), list));
    let rig = Rig::start(router.into_handler());
    for dc in [2, 4] {
        let options = rig.options(DcId::production(dc));
        let client = chappe_net::blocking::connect(options).expect("a connection");
        let config = client.invoke(&help::GetConfig {}).wait().expect("an answer");
        assert_eq!(config.get().this_dc, i32::from(dc));
        let told: Vec<_> = config
            .get()
            .dc_options
            .iter()
            .map(|option| (option.id, option.media_only, option.cdn, option.ip_address, option.port))
            .collect();
        assert_eq!(
            told,
            [
                (2, false, false, "127.0.0.1", 443),
                (4, true, false, "127.0.0.1", 443),
                (203, false, true, "127.0.0.1", 443)
            ]
        );
        let nearest = client.invoke(&help::GetNearestDc {}).wait().expect("an answer");
        assert_eq!((nearest.get().this_dc, nearest.get().nearest_dc), (i32::from(dc), 2));
    }
}

#[test]
fn temporary_keys_are_bound_and_dropped() {
    let router = Router::new()
        .drop_temp_auth_keys()
        .on(|_, call: Add| async move { Ok(call.a + call.b) })
        .into_handler();
    let rig = Rig::start(router);
    let options = rig.options(DcId::production(2)).with_forward_secrecy();
    let client = chappe_net::blocking::connect(options).expect("a connection");
    client.invoke(&Add { a: 1, b: 2 }).wait().expect("the key is bound");
    let bound = |event: &ServerEvent| match event {
        ServerEvent::KeyBound { temporary, permanent } => Some((*temporary, *permanent)),
        _ => None,
    };
    let (temporary, permanent) = {
        let events = rig.events.lock().expect("no panic");
        events.iter().find_map(bound).expect("the application is told")
    };
    let now = chappe_framing::UnixTime::now();
    assert!(rig.engine.key(temporary, now).is_some() && rig.engine.key(permanent, now).is_some());
    let keep = [temporary.to_raw()];
    assert!(client.invoke(&auth::DropTempAuthKeys { except_auth_keys: &keep }).wait().expect("an answer"));
    assert!(rig.engine.key(temporary, now).is_some(), "the client has named it");
    // The answer cannot be sent under a key that is gone.
    drop(client.invoke(&auth::DropTempAuthKeys { except_auth_keys: &[] }));
    until("it is gone", || rig.engine.key(temporary, now).is_none());
    assert!(rig.engine.key(permanent, now).is_some());
}

#[test]
fn a_login_moves_to_another_key_once() {
    let logins = Logins::new();
    let imported = Arc::new(AtomicI64::new(0));
    let router = {
        let imported = Arc::clone(&imported);
        Router::new()
            .export_authorization(&logins, |ctx: CallContext| async move {
                if ctx.dc() == Some(DcId::production(2)) {
                    Ok(77)
                } else {
                    Err(RpcError::new(401, "AUTH_KEY_UNREGISTERED"))
                }
            })
            .import_authorization(&logins, move |_, user| {
                let imported = Arc::clone(&imported);
                async move {
                    imported.store(user, Ordering::SeqCst);
                    Ok(true)
                }
            })
    };
    let rig = Rig::start(router.into_handler());
    let first = rig.client();
    let second = chappe_net::blocking::connect(rig.options(DcId::production(4))).expect("a connection");
    let refused = refusal(second.invoke(&auth::ExportAuthorization { dc_id: 2 }).wait().map(drop));
    assert_eq!(refused, (401, "AUTH_KEY_UNREGISTERED".into()));
    let exported = first.invoke(&auth::ExportAuthorization { dc_id: 4 }).wait().expect("an answer");
    let (id, bytes) = (exported.get().id, exported.get().bytes);
    let import = auth::ImportAuthorization { id, bytes };
    let refused = refusal(first.invoke_object(&import).wait());
    assert_eq!(refused, (400, "AUTH_BYTES_INVALID".into()), "it is for another datacenter");
    second.invoke_object(&import).wait().expect("it is good");
    assert_eq!(imported.load(Ordering::SeqCst), 77);
    assert_eq!(refusal(second.invoke_object(&import).wait()), (400, "AUTH_BYTES_INVALID".into()));
    let events = rig.events.lock().expect("no panic");
    let moved = events
        .iter()
        .filter(|event| matches!(event, ServerEvent::LoginMoved { user_id: 77, from, to } if from != to));
    assert_eq!(moved.count(), 1);
}

#[test]
fn the_application_is_told_of_keys_and_sessions_and_counts_agree() {
    let rig = Rig::start(Router::new().on(|_, call: Add| async move { Ok(call.a + call.b) }).into_handler());
    let client = rig.client();
    client.invoke(&Add { a: 1, b: 2 }).wait().expect("an answer");
    let key = rig.engine.keys()[0].auth_key().id();
    rig.engine.forget_key(key);
    let events = rig.events.lock().expect("no panic").clone();
    assert!(
        matches!(&events[0], ServerEvent::KeyMade { key_id, expires_at: None, dc: Some(dc) } if (*key_id, *dc) == (key, DcId::production(2)))
    );
    assert!(matches!(&events[1], ServerEvent::SessionBegan { .. }));
    assert!(matches!(&events[2], ServerEvent::SessionEnded { .. }));
    let metrics = rig.engine.metrics();
    assert_eq!((metrics.permanent_keys_made, metrics.keys), (1, 0));
    assert_eq!((metrics.sessions_begun, metrics.sessions_ended, metrics.sessions()), (1, 1, 0));
    assert_eq!((metrics.queries, metrics.results, metrics.client_errors), (1, 1, 0));
    assert_eq!((metrics.query_bytes.count(), metrics.query_bytes.sum()), (1, 20.0));
    assert_eq!((metrics.result_bytes.count(), metrics.result_bytes.sum()), (1, 8.0));
    assert_eq!(metrics.call_seconds.count(), 1);
    assert!(metrics.handshake_seconds.count() >= 2, "RSA, then Diffie-Hellman");
}
