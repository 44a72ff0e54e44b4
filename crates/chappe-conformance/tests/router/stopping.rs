//! Calls that end before their handlers do.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use chappe_net::InvokeOptions;
use chappe_server::{Dispatcher, Router};
use tokio::sync::Notify;

use crate::rig::{Add, Rig, Wait, refusal, until, waiting};

/// Counts itself while it exists.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A handler of `wait` that never ends, and how many of them there are.
fn endless() -> (impl Fn() -> Dispatcher, Arc<AtomicUsize>) {
    let running = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&running);
    let dispatcher = move || {
        let count = Arc::clone(&count);
        Router::new()
            .on(move |_, _: Wait| {
                let here = Counted::new(&count);
                async move {
                    let _here = here;
                    core::future::pending::<()>().await;
                    Ok(0)
                }
            })
            .on(|_, call: Add| async move { Ok(call.a) })
            .into_handler()
    };
    (dispatcher, running)
}

#[test]
fn a_handler_ends_when_its_client_drops_the_call() {
    let (dispatcher, running) = endless();
    for rig in Rig::both(dispatcher) {
        let client = rig.client();
        let call = client.invoke(&Wait(1));
        let follower = client.invoke_with(&Add { a: 1, b: 1 }, &InvokeOptions::default().after(&call));
        until("the handler runs", || running.load(Ordering::SeqCst) == 1);
        call.cancel();
        until("the handler is gone", || running.load(Ordering::SeqCst) == 0);
        follower.wait().expect("the client repeats what was answered with MSG_WAIT_FAILED");
        assert_eq!(rig.engine.metrics().client_errors, 1);
        until("nothing is left", || rig.engine.metrics().calls_under_way == 0);
        assert_eq!(rig.engine.metrics().dropped, 1);
        client.invoke(&Add { a: 1, b: 1 }).wait().expect("the session goes on");
    }
}

#[test]
fn handlers_end_with_their_session() {
    let (dispatcher, running) = endless();
    for rig in Rig::both(dispatcher) {
        let client = rig.client();
        let calls: Vec<_> = (0..10).map(|number| client.invoke(&Wait(number))).collect();
        until("the handlers run", || running.load(Ordering::SeqCst) == 10);
        let id = rig.engine.keys()[0].auth_key().id();
        assert!(rig.engine.forget_key(id), "the session ends with its key");
        until("the handlers are gone", || running.load(Ordering::SeqCst) == 0);
        until("nothing is left", || rig.engine.metrics().calls_under_way == 0);
        assert_eq!(rig.engine.metrics().sessions_ended, 1);
        drop(calls);
    }
}

#[test]
fn a_server_that_shuts_down_sends_the_answers_of_calls_that_run() {
    let ready = Arc::new(Notify::new());
    for mut rig in Rig::both(|| waiting(&ready).into_handler()) {
        let client = rig.client();
        let call = client.invoke(&Wait(11));
        until("the handler runs", || rig.engine.metrics().calls_under_way == 1);
        let finish = {
            let ready = Arc::clone(&ready);
            std::thread::spawn(move || {
                // Only so that the shutdown is likely to have begun; either order must do.
                std::thread::sleep(core::time::Duration::from_millis(50));
                ready.notify_one();
            })
        };
        assert!(rig.shut_down(), "everything ended in time");
        finish.join().expect("no panic");
        assert_eq!(call.wait().expect("an answer"), 11);
    }
}

#[test]
fn a_handler_that_panics_answers_and_others_go_on() {
    let router = || {
        Router::new()
            .on(|_, call: Wait| async move {
                if call.0 > 0 {
                    tokio_free_yield().await;
                }
                assert!(call.0 > 100, "a mistake in an application");
                Ok(call.0)
            })
            .on(|_, call: Add| {
                assert!(call.a > 100, "a mistake in an application");
                async move { Ok(call.a) }
            })
            .into_handler()
    };
    for rig in Rig::both(router) {
        let client = rig.client();
        let error = |answer| refusal::<i32>(answer);
        let internal = (500, "INTERNAL_SERVER_ERROR".to_owned());
        assert_eq!(error(client.invoke(&Wait(0)).wait()), internal, "at once");
        assert_eq!(error(client.invoke(&Wait(1)).wait()), internal, "after it has waited");
        assert_eq!(refusal(client.invoke(&Add { a: 1, b: 1 }).wait()), internal, "before there is a future");
        assert_eq!(client.invoke(&Wait(101)).wait().expect("an answer"), 101);
        assert_eq!(rig.engine.counters().panics, 3);
        until("nothing is left", || rig.engine.metrics().calls_under_way == 0);
    }
}

/// Is ready when it is polled for the second time.
async fn tokio_free_yield() {
    let mut is_second = false;
    core::future::poll_fn(|context| {
        if core::mem::replace(&mut is_second, true) {
            return core::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        core::task::Poll::Pending
    })
    .await;
}
