//! Calls per second, one and sixty-four at a time.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use chappe_net::{Client, InvokeOptions, blocking};
use chappe_tl::Serializable as _;
use grammers_mtsender::{SenderPool, SenderPoolHandle};
use grammers_session::{Session as _, storages::MemorySession, types::DcOption};
use tokio::runtime::Runtime;

use super::datacenter::{Datacenter, Flavor};
use crate::harness::{Group, Settings, progress};
use crate::report::{Bound, Report};

const DC: i32 = 2;
const OURS: &str = "chappe, tokio";
const THREADS: &str = "chappe, blocking";
const GRAMMERS: &str = "grammers-mtsender";

/// One client and how it makes so many calls, so many of them at a time.
trait Caller {
    fn call(&mut self, at_once: usize, rounds: usize) -> Result<()>;
}

struct Ours {
    runtime: Runtime,
    client: Client,
    body: Vec<u8>,
}

impl Caller for Ours {
    fn call(&mut self, at_once: usize, rounds: usize) -> Result<()> {
        let (client, body) = (&self.client, &self.body);
        self.runtime.block_on(all(at_once, || {
            let (client, body) = (client.clone(), body.clone());
            async move {
                for _ in 0..rounds {
                    client.invoke_bytes(&body, &InvokeOptions::default()).await?;
                }
                Ok(())
            }
        }))
    }
}

struct Grammers {
    runtime: Runtime,
    handle: SenderPoolHandle,
    body: Vec<u8>,
}

impl Caller for Grammers {
    fn call(&mut self, at_once: usize, rounds: usize) -> Result<()> {
        let (handle, body) = (&self.handle, &self.body);
        self.runtime.block_on(all(at_once, || {
            let (handle, body) = (handle.clone(), body.clone());
            async move {
                for _ in 0..rounds {
                    handle.raw_invoke_in_dc(DC, body.clone()).await.map_err(|error| anyhow!("{error}"))?;
                }
                Ok(())
            }
        }))
    }
}

struct Threads {
    client: Client,
    body: Vec<u8>,
}

impl Caller for Threads {
    fn call(&mut self, at_once: usize, rounds: usize) -> Result<()> {
        let options = InvokeOptions::default();
        let mut pending = std::collections::VecDeque::new();
        for _ in 0..at_once * rounds {
            if pending.len() == at_once {
                let oldest: chappe_net::PendingCall<Vec<u8>> = pending.pop_front().context("it is full")?;
                oldest.wait()?;
            }
            pending.push_back(self.client.invoke_bytes(&self.body, &options));
        }
        for call in pending {
            call.wait()?;
        }
        Ok(())
    }
}

/// Runs the same work several times at once.
async fn all<F>(count: usize, work: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    (0..count).for_each(|_| drop(tasks.spawn(work())));
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Measures calls.
pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let datacenter = Datacenter::start()?;
    let body = chappe_tl_api::functions::help::GetNearestDc {}.to_bytes();
    for flavor in [Flavor::CurrentThread, Flavor::MultiThread] {
        let mut callers: Vec<(&str, Box<dyn Caller>)> = vec![
            (OURS, Box::new(ours(flavor, &datacenter, body.clone())?)),
            (GRAMMERS, Box::new(grammers(flavor, &datacenter, body.clone())?)),
        ];
        if flavor == Flavor::CurrentThread {
            let client = blocking::connect(datacenter.options())?;
            callers.push((THREADS, Box::new(Threads { client, body: body.clone() })));
        }
        for at_once in [1, 64] {
            let title = format!("Calls: {at_once} at a time{}", flavor.suffix());
            let group = measure(settings, &title, &mut callers, at_once)?;
            let ratio = group.ratio(OURS, GRAMMERS);
            report.target("calls per second over TCP", title, Bound::AtMost(1.0), ratio);
            report.group(group);
        }
    }
    Ok(())
}

fn ours(flavor: Flavor, datacenter: &Datacenter, body: Vec<u8>) -> Result<Ours> {
    let runtime = flavor.runtime()?;
    let client = runtime.block_on(chappe_net::tokio::connect(datacenter.options()))?;
    Ok(Ours { runtime, client, body })
}

fn grammers(flavor: Flavor, datacenter: &Datacenter, body: Vec<u8>) -> Result<Grammers> {
    let runtime = flavor.runtime()?;
    let SocketAddr::V4(ipv4) = datacenter.server.address() else { bail!("the datacenter listens on IPv4") };
    let session = Arc::new(MemorySession::default());
    let option = DcOption {
        id: DC,
        ipv4,
        ipv6: SocketAddrV6::new(Ipv6Addr::LOCALHOST, ipv4.port(), 0, 0),
        auth_key: Some(datacenter.auth_key()),
    };
    let handle = runtime.block_on(async {
        session.set_dc_option(&option).await.map_err(|error| anyhow!("{error:?}"))?;
        let SenderPool { runner, handle, .. } = SenderPool::new(session, 1);
        tokio::spawn(runner.run());
        Ok::<_, anyhow::Error>(handle.thin)
    })?;
    Ok(Grammers { runtime, handle, body })
}

/// Nanoseconds per call: every caller once in each round, in rotated order.
fn measure(
    settings: &Settings,
    title: &str,
    callers: &mut [(&str, Box<dyn Caller>)],
    at_once: usize,
) -> Result<Group> {
    // A slice of a few milliseconds; the best of several counts, since whatever else runs can only slow one down.
    let per_task = if at_once == 1 { 100 } else { 16 };
    let mut nanos = vec![Vec::new(); callers.len()];
    for (_, caller) in callers.iter_mut() {
        caller.call(at_once, per_task)?;
    }
    let bar = progress(settings.rounds() as u64, title);
    for round in 0..settings.rounds() {
        for step in 0..callers.len() {
            let index = (round + step) % callers.len();
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let start = Instant::now();
                callers[index].1.call(at_once, per_task)?;
                best = best.min(start.elapsed());
            }
            nanos[index].push(best.as_nanos() as f64 / (at_once * per_task) as f64);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let cases = callers.iter().zip(nanos).map(|((name, _), nanos)| ((*name).to_owned(), nanos));
    Ok(Group::of(title, cases.collect()))
}
