//! Calls per second.

use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::rig::{Client, Running};
use crate::harness::{Group, Settings};
use crate::report::Report;

/// Connections, each with a thread.
const CLIENTS: usize = 4;

/// Calls that are under way on each.
const AT_ONCE: usize = 64;

/// How often they are made in a round.
const BATCHES: usize = 40;

pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let running = Running::start()?;
    let clients = (0..CLIENTS).map(|_| Client::connect(running.address()));
    let mut clients = clients.collect::<Result<Vec<_>>>()?;
    let mut nanos = Vec::new();
    for _ in 0..settings.rounds().max(5) {
        let begun = Instant::now();
        thread::scope(|scope| {
            let work = |client: &'_ mut Client| (0..BATCHES).try_for_each(|_| client.calls(AT_ONCE));
            let threads: Vec<_> =
                clients.iter_mut().map(|client| scope.spawn(move || work(client))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a client panicked")?)
        })?;
        nanos.push(begun.elapsed().as_nanos() as f64 / (CLIENTS * BATCHES * AT_ONCE) as f64);
    }
    let title = format!("Calls: {CLIENTS} connections, {AT_ONCE} at a time on each");
    report.group(Group::of(&title, vec![("a call, clients included".into(), nanos)]));
    Ok(())
}
