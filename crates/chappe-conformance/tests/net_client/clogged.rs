//! Somebody on the way takes nothing, or says nothing, in both modules.

use core::time::Duration;
use std::time::Instant;

use chappe_net::tokio::connect;
use chappe_net::{
    Blame, ConnectError, ConnectOptions, InvokeError, InvokeOptions, PendingCall, Proxy, blocking,
};
use chappe_tl_api::functions;

use crate::world::{Cutter, Hole, World};

/// More than the sockets of both ends hold.
const PARTS: i32 = 28;

/// How long a peer may refuse to take what is written. A call in haste must not wait so long.
const PATIENCE: Duration = Duration::from_secs(2);

fn options(world: &World, cutter: &Cutter) -> ConnectOptions {
    let mut options = world.options_at(cutter.address());
    options.candidates[0].dialling.write_timeout = PATIENCE;
    options
}

fn part(number: i32) -> functions::upload::SaveFilePart<'static> {
    static BYTES: [u8; 512 << 10] = [7; 512 << 10];
    functions::upload::SaveFilePart { file_id: 1, file_part: number, bytes: &BYTES }
}

fn in_haste() -> InvokeOptions {
    InvokeOptions::default().timeout(Duration::from_millis(60))
}

/// The parts are on their way, and are not taken: time goes on, and another connection brings them there.
fn check(cutter: &Cutter, parts: Vec<PendingCall<bool>>, hasty: PendingCall<impl Sized>, asked: Instant) {
    let error = hasty.wait().map(drop).expect_err("nobody heard it");
    assert!(matches!(error, InvokeError::TimedOut { .. }), "{error:?}");
    assert!(asked.elapsed() < PATIENCE, "the clock stood still while somebody wrote: {:?}", asked.elapsed());
    for part in parts {
        assert!(part.wait().expect("an answer over the next connection"));
    }
    cutter.listen();
}

#[test]
fn a_thread_whose_datacenter_takes_nothing_still_looks_at_the_time() {
    let world = World::start();
    let cutter = Cutter::before(world.address());
    let client = blocking::connect(options(&world, &cutter)).expect("a connection");
    cutter.deafen();
    let unpacked = InvokeOptions::default().unpacked();
    let parts = (0..PARTS).map(|number| client.invoke_with(&part(number), &unpacked)).collect();
    let asked = Instant::now();
    check(&cutter, parts, client.invoke_with(&functions::help::GetNearestDc {}, &in_haste()), asked);
    assert!(client.status().connections > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_task_whose_datacenter_takes_nothing_still_looks_at_the_time() {
    let world = World::start();
    let cutter = Cutter::before(world.address());
    let client = connect(options(&world, &cutter)).await.expect("a connection");
    cutter.deafen();
    let unpacked = InvokeOptions::default().unpacked();
    let parts = (0..PARTS).map(|number| client.invoke_with(&part(number), &unpacked)).collect();
    let asked = Instant::now();
    let hasty = client.invoke_with(&functions::help::GetNearestDc {}, &in_haste());
    tokio::task::block_in_place(|| check(&cutter, parts, hasty, asked));
    assert!(client.status().connections > 1);
}

/// Connects through proxies that accept and say nothing.
fn silent_proxies(connect: impl Fn(ConnectOptions) -> std::sync::Arc<ConnectError>) {
    let world = World::start();
    let hole = Hole::open();
    for proxy in [Proxy::socks5(hole.address().to_string()), Proxy::http_connect(hole.address().to_string())]
    {
        let mut options = world.options();
        options.candidates[0].dialling.proxy = Some(proxy);
        options.candidates[0].dialling.proxy_timeout = Duration::from_millis(15);
        options.backoff.first_attempts = 2;
        let error = connect(options);
        assert_eq!(error.blame(), Blame::Proxy, "{error}");
    }
}

#[test]
fn a_proxy_that_accepts_and_says_nothing_is_blamed_by_a_thread() {
    silent_proxies(|options| blocking::connect(options).expect_err("nobody answers"));
}

#[test]
fn a_proxy_that_accepts_and_says_nothing_is_blamed_by_a_task() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    silent_proxies(|options| runtime.block_on(connect(options)).expect_err("nobody answers"));
}
