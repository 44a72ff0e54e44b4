//! A proxy between a client and a datacenter of ours, on loopback.
//!
//! Proxy and datacenter are processes of their own, this program once more, so that what is counted is the proxy's alone. Beside
//! it run a relay that copies without a cipher, and an `MTProxy` from PyPI where Python and the registry can be had.

mod client;
mod datacenter;
mod process;
mod python;

use anyhow::Result;

use self::client::{Client, Direction};
use self::process::Process;
use crate::harness::{Settings, Spread};
use crate::report::{Bound, Report};

const NOTES: &str = "\
Client, proxy and datacenter are processes on two cores that communicate over TCP on 127.0.0.1. Only the CPU time of the
proxy counts, user and system. The relay copies between two sockets with buffers of 64 KiB and no cipher (tokio,
`copy_bidirectional_with_sizes`); its client and datacenter obfuscate their stream all the same.
";

/// What one idle connection may cost, in bytes.
const IDLE_LIMIT: f64 = 6.0 * 1024.0;

/// Connections that are idle, as far as the limit on open files allows: a proxy needs two for each.
const IDLE: usize = 10_000;

/// Connections that are made one after the other, a few at a time.
const CONNECTIONS: usize = 2_000;

/// Payload that passes in one measurement.
const BULK: usize = 128 * 1024 * 1024;

/// The same for the proxy in Python, which is slower by orders of magnitude.
const BULK_PYTHON: usize = 8 * 1024 * 1024;

/// The key, without a mark.
pub(super) const KEY: &str = "00112233445566778899aabbccddeeff";

/// Runs as another process of a measurement, if this is one.
pub fn is_child() -> Result<bool> {
    process::run_child()
}

/// A proxy that is measured.
struct Case {
    name: &'static str,
    secret: Option<String>,
    process: Process,
    bulk: usize,
}

/// Measures everything.
///
/// # Errors
///
/// Fails if a process or a connection does.
pub fn run(settings: &Settings) -> Result<Report> {
    let mut report = Report::new("A proxy", &[], NOTES);
    let datacenter = Process::start("datacenter", "")?;
    let proxy = || Process::start("chappe", &datacenter.address);
    let dd = format!("dd{KEY}");
    let ee = format!("ee{KEY}6578616d706c652e636f6d");
    let mut cases = vec![
        Case {
            name: "relay",
            secret: None,
            process: Process::start("relay", &datacenter.address)?,
            bulk: BULK,
        },
        Case { name: "chappe, dd", secret: Some(dd.clone()), process: proxy()?, bulk: BULK },
        Case { name: "chappe, ee", secret: Some(ee), process: proxy()?, bulk: BULK },
    ];
    match python::start(&datacenter.address) {
        Ok(process) => {
            cases.push(Case {
                name: "mtprotoproxy (PyPI), dd",
                secret: Some(dd),
                process,
                bulk: BULK_PYTHON,
            });
        }
        Err(error) => println!("mtprotoproxy is left out: {error:#}"),
    }
    if settings.wants("bulk") {
        bulk(&cases, &mut report)?;
    }
    if settings.wants("connections") {
        connections(&cases, &mut report)?;
    }
    if settings.wants("idle") {
        // A process that has done nothing yet.
        idle(&proxy()?, &mut report)?;
    }
    Ok(report)
}

/// Bytes per CPU second, in 64 KiB frames.
fn bulk(cases: &[Case], report: &mut Report) -> Result<()> {
    const ROUNDS: usize = 7;
    for direction in [Direction::Down, Direction::Up] {
        let mut seconds: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
        for round in 0..ROUNDS {
            for place in 0..cases.len() {
                let place = (place + round) % cases.len();
                let case = &cases[place];
                let mut client = Client::connect(&case.process.address, case.secret.as_deref())?;
                client.pass(direction, 1 << 20)?;
                let before = case.process.cpu()?;
                client.pass(direction, case.bulk)?;
                seconds[place].push((case.process.cpu()? - before).as_secs_f64() / case.bulk as f64);
            }
        }
        for (place, case) in cases.iter().enumerate() {
            let rate = 1e-6 / Spread::of(seconds[place].clone()).median;
            println!("{direction}, {}: {rate:.0} MB per CPU second", case.name);
            if place == 0 {
                continue;
            }
            let ratios = seconds[place].iter().zip(&seconds[0]).map(|(ours, relay)| ours / relay).collect();
            let relay = 1e-6 / Spread::of(seconds[0].clone()).median;
            let work = format!(
                "{direction}, 64 KiB frames: bytes per CPU second of {} ({rate:.0} MB) / relay without cipher ({relay:.0} MB)",
                case.name
            );
            let bound = if case.name.starts_with("chappe") { 0.5 } else { 0.0 };
            report.target("T30", work, Bound::AtLeast(bound), Spread::of(ratios));
        }
    }
    Ok(())
}

/// Connections per second and per CPU second, each with one call.
fn connections(cases: &[Case], report: &mut Report) -> Result<()> {
    const ROUNDS: usize = 3;
    let mut cpu: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
    let mut wall: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (place, case) in cases.iter().enumerate() {
            let before = case.process.cpu()?;
            let elapsed = client::connect_many(&case.process.address, case.secret.as_deref(), CONNECTIONS)?;
            cpu[place].push((case.process.cpu()? - before).as_secs_f64() / CONNECTIONS as f64);
            wall[place].push(elapsed.as_secs_f64() / CONNECTIONS as f64);
        }
    }
    for (place, case) in cases.iter().enumerate() {
        let rate = |samples: &[f64]| 1.0 / Spread::of(samples.to_vec()).median;
        let (per_cpu, per_second) = (rate(&cpu[place]), rate(&wall[place]));
        println!("connections, {}: {per_second:.0} a second, {per_cpu:.0} a CPU second", case.name);
        if place > 0 {
            let ratios = cpu[place].iter().zip(&cpu[0]).map(|(ours, relay)| ours / relay).collect();
            let work = format!(
                "connections with one call per CPU second of {} ({per_cpu:.0}; {per_second:.0} a second) / relay without cipher",
                case.name
            );
            report.target("–", work, Bound::AtLeast(0.0), Spread::of(ratios));
        }
    }
    Ok(())
}

/// Memory of an idle connection.
fn idle(process: &Process, report: &mut Report) -> Result<()> {
    let count = IDLE.min(process::max_files()?.saturating_sub(100) / 2);
    // The first ones pay for what all share.
    let warm = client::Idle::connect(&process.address, &format!("dd{KEY}"), 50)?;
    drop(warm);
    let before = process.resident()?;
    let clients = client::Idle::connect(&process.address, &format!("dd{KEY}"), count)?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    let each = (process.resident()? - before) / count as f64;
    drop(clients);
    println!("{count} idle connections: {each:.0} bytes for one");
    let ratio = each / IDLE_LIMIT;
    let work = format!("memory of one of {count} idle connections ({each:.0} bytes) / 6 KiB");
    report.target("T31", work, Bound::AtMost(1.0), Spread { median: ratio, low: ratio, high: ratio });
    Ok(())
}
