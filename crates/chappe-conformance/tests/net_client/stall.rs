//! An hour without an answer, in no time: the clock of the runtime is stopped and runs ahead when all wait.

use core::time::Duration;

use chappe_net::tokio::connect;
use chappe_net::{BackOff, InvokeError, InvokeOptions};
use chappe_session::client::CallFailure;
use chappe_tl_api::functions;
use tokio::time::{pause, resume, sleep, timeout};

use crate::world::{Cutter, World};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_hour_of_silence_ends_calls_as_the_options_say_and_the_client_comes_back() {
    let world = World::start();
    let cutter = Cutter::before(world.address());
    let mut options = world.options_at(cutter.address());
    options.backoff = BackOff::default();
    options.timing.call = None;
    let client = connect(options).await.expect("a connection");
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");

    cutter.stall(true);
    let before = cutter.accepted();
    let patient = client.invoke(&functions::help::GetNearestDc {});
    let minute = InvokeOptions::default().timeout(Duration::from_secs(60));
    let hasty = client.invoke_with(&functions::help::GetNearestDc {}, &minute);
    pause();
    sleep(HOUR).await;
    assert!(hasty.is_finished() && !patient.is_finished());
    let error = hasty.await.expect_err("a minute is over");
    assert!(matches!(error, InvokeError::TimedOut { .. }), "{error:?}");
    assert!(!client.status().is_connected, "the silence was noticed");
    let attempts = cutter.accepted() - before;
    assert!((30..=200).contains(&attempts), "{attempts} attempts: no flood");

    resume();
    cutter.stall(false);
    client.refresh();
    // The runtime's clock has run an hour ahead of the datacenter's. Ids step back with it, which ends the session, and with
    // that nobody can be asked whether the call was executed.
    let error =
        timeout(Duration::from_secs(30), patient).await.expect("it ends").expect_err("it may have run");
    assert!(matches!(error, InvokeError::Failed(CallFailure::Uncertain)), "{error:?}");
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer in the end");
}
