//! A client that goes on calling while its server is stopped and started.
//!
//! ```sh
//! cargo run --release --example survivor
//! ```
//!
//! The server is the embedded datacenter. Ends with status 0 if every call was answered.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chappe::api::functions::help::GetNearestDc;
use chappe::crypto::rng::Drbg;
use chappe::crypto::rsa::PrivateKey;
use chappe::loopback::{Loopback, Options};
use chappe::net::{Client, Gap, Update, tokio::connect};
use chappe::server::KeyState;
use tokio::task::{JoinSet, spawn_blocking};

const CALLERS: usize = 8;
const RESTARTS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let rsa_key = PrivateKey::generate(&mut Drbg::from_os()?)?;
    let mut server = Options::new().private_key(rsa_key.clone()).start()?;
    let client = connect(server.connect_options()).await?;
    let mut updates = client.updates();
    let deadline = Instant::now() + Duration::from_secs(3);

    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            let mut answered = 0_u32;
            while Instant::now() < deadline {
                client.invoke(&GetNearestDc {}).await?;
                answered += 1;
            }
            Ok::<_, chappe::net::InvokeError>(answered)
        });
    }

    for restart in 1..=RESTARTS {
        tokio::time::sleep(Duration::from_millis(300)).await;
        // However long the client pauses before it tries again: it is connected before the next stop.
        client.invoke(&GetNearestDc {}).await?;
        println!("restart {restart}: {}", seen(&client));
        let rsa_key = rsa_key.clone();
        server = spawn_blocking(move || restarted(server, rsa_key)).await??;
    }

    client.invoke(&GetNearestDc {}).await?;

    let mut answered = 0;
    while let Some(caller) = callers.join_next().await {
        answered += caller?.context("a call was lost")?;
    }
    println!("end: {}", seen(&client));
    println!("{answered} calls, all answered");
    let status = client.status();
    ensure!(status.connections > RESTARTS as u64, "the client was connected again after each restart");

    // The server forgot its sessions, and the client says so instead of losing updates silently.
    client.close().await;
    let mut gaps = 0;
    while let Some(update) = updates.recv().await {
        gaps += usize::from(update == Update::Gap(Gap::NewSession));
    }
    println!("{gaps} gaps in the updates were reported");
    ensure!(gaps > 0, "a new session of the server is a gap");
    Ok(())
}

fn seen(client: &Client) -> String {
    let status = client.status();
    format!("connected: {}, connections so far: {}", status.is_connected, status.connections)
}

/// Stops the server for a while. What it keeps are its keys, as a real one does.
fn restarted(server: Loopback, rsa_key: PrivateKey) -> Result<Loopback> {
    let (address, keys) = (server.address(), server.engine().keys());
    server.stop();
    std::thread::sleep(Duration::from_millis(200));
    let server = Options::new().private_key(rsa_key).listen(address).start()?;
    for key in keys {
        server.engine().add_key(KeyState::new(key.auth_key().clone(), key.kind()));
    }
    Ok(server)
}
