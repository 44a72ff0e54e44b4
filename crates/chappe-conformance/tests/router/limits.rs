//! How many calls run at the same time.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use chappe_net::InvokeOptions;
use chappe_server::{CallLimits, Dispatcher, Router};
use tokio::sync::Semaphore;

use crate::rig::{Rig, Wait, refusal, until};

/// Handlers of `wait` that end when the test allows it, how many run, and the most that ran at once.
#[derive(Clone)]
struct Gate {
    allowed: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self { allowed: Arc::new(Semaphore::new(0)), running: Arc::default(), most: Arc::default() }
    }

    fn dispatcher(&self) -> Dispatcher {
        let gate = self.clone();
        let handler = move |_, call: Wait| {
            let gate = gate.clone();
            async move {
                let running = gate.running.fetch_add(1, Ordering::SeqCst) + 1;
                gate.most.fetch_max(running, Ordering::SeqCst);
                gate.allowed.acquire().await.expect("never closed").forget();
                gate.running.fetch_sub(1, Ordering::SeqCst);
                Ok(call.0)
            }
        };
        Router::new().on(handler).into_handler()
    }
}

#[test]
fn calls_of_one_session_beyond_its_limit_wait_and_those_of_others_do_not() {
    let gate = Gate::new();
    let limits = CallLimits::default().with(|limits| limits.per_session = 3);
    for rig in Rig::both(|| gate.dispatcher().with_limits(limits)) {
        let (client, other) = (rig.client(), rig.client());
        let calls: Vec<_> = (0..20).map(|number| client.invoke(&Wait(number))).collect();
        until("all have come", || rig.engine.metrics().calls_under_way == 20);
        until("three run", || gate.running.load(Ordering::SeqCst) == 3);
        let elsewhere = other.invoke(&Wait(99));
        until("that of the other session runs", || gate.running.load(Ordering::SeqCst) == 4);
        gate.allowed.add_permits(21);
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.wait().expect("an answer"), number as i32);
        }
        assert_eq!(elsewhere.wait().expect("an answer"), 99);
        assert_eq!(gate.most.load(Ordering::SeqCst), 4);
    }
}

#[test]
fn calls_beyond_the_limit_of_the_server_are_told_to_wait() {
    let gate = Gate::new();
    let rig =
        Rig::start(gate.dispatcher().with_limits(CallLimits::default().with(|limits| limits.in_all = 2)));
    let (client, other) = (rig.client(), rig.client());
    let running = [client.invoke(&Wait(1)), other.invoke(&Wait(2))];
    until("both run", || gate.running.load(Ordering::SeqCst) == 2);
    let third = client.invoke(&Wait(3));
    until("it was refused", || rig.engine.metrics().client_errors >= 1);
    gate.allowed.add_permits(3);
    for (call, number) in running.into_iter().zip([1, 2]) {
        assert_eq!(call.wait().expect("an answer"), number);
    }
    match third.wait() {
        Ok(number) => assert_eq!(number, 3, "the client has repeated it"),
        refused => assert_eq!(refusal(refused), (420, "FLOOD_WAIT_1".into())),
    }
}

#[test]
fn bytes_of_calls_are_bounded_too() {
    let gate = Gate::new();
    let router = {
        let gate = gate.clone();
        Router::new().fallback(move |call| {
            let gate = gate.clone();
            async move {
                gate.running.fetch_add(1, Ordering::SeqCst);
                gate.allowed.acquire().await.expect("never closed").forget();
                Ok(call.body.into())
            }
        })
    };
    let limits = CallLimits::default().with(|limits| limits.bytes = 100_000);
    let rig = Rig::start(router.into_handler().with_limits(limits));
    let client = rig.client();
    let body = vec![0xa5; 60_000];
    let first = client.invoke_bytes(&body, &InvokeOptions::default());
    until("it runs", || gate.running.load(Ordering::SeqCst) == 1);
    let second = client.invoke_bytes(&body, &InvokeOptions::default());
    until("it was refused", || rig.engine.metrics().client_errors >= 1);
    gate.allowed.add_permits(2);
    assert_eq!(first.wait().expect("an answer"), body);
    drop(second);
}
