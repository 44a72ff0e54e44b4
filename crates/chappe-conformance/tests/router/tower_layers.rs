//! Layers of tower around a router.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use chappe_server::{Dispatcher, RawCall, Router, RpcError};
use tower::timeout::error::Elapsed;
use tower::{BoxError, ServiceBuilder};

use crate::rig::{Add, Rig, Wait, refusal};

#[test]
fn layers_see_calls_and_answers() {
    let seen = Arc::<AtomicUsize>::default();
    let router = Router::new()
        .on(|_, call: Add| async move { Ok(call.a + call.b) })
        .on(|_, _: Wait| core::future::pending::<Result<i32, RpcError>>());
    let service = {
        let seen = Arc::clone(&seen);
        ServiceBuilder::new()
            .map_err(|error: BoxError| match error.downcast::<Elapsed>() {
                Ok(_) => RpcError::new(500, "CALL_TOOK_TOO_LONG").into(),
                Err(error) => error,
            })
            .concurrency_limit(8)
            .timeout(Duration::from_millis(200))
            .map_request(move |call: RawCall| {
                seen.fetch_add(1, Ordering::SeqCst);
                call
            })
            .service(router.into_service())
    };
    let rig = Rig::start(Dispatcher::of_service(service));
    let client = rig.client();
    assert_eq!(client.invoke(&Add { a: 40, b: 2 }).wait().expect("an answer"), 42);
    assert_eq!(refusal(client.invoke(&Wait(0)).wait()), (500, "CALL_TOOK_TOO_LONG".into()));
    let unknown = client.invoke_bytes(&[1; 4], &chappe_net::InvokeOptions::default());
    assert_eq!(refusal(unknown.wait()), (400, "METHOD_INVALID".into()), "errors of the router pass");
    assert!(seen.load(Ordering::SeqCst) >= 3);
}
