//! Clients over real sockets of this machine, against the embedded datacenter.
//!
//! Every suite of this folder adds groups to one report.

mod calls;
mod datacenter;
mod downloads;

use anyhow::Result;

use crate::harness::Settings;
use crate::report::Report;

const PEERS: &[&str] = &["grammers-mtsender"];
const NOTES: &str = "\
Client and datacenter share two cores and communicate over TCP on 127.0.0.1; all clients use the embedded datacenter. A
call is `help.getNearestDc`, sent and answered as bytes. The tokio clients run on one thread (`current_thread`), the
datacenter on another; where the title says so, the clients run on a multi-threaded runtime of two workers.
";

/// Measures everything.
///
/// # Errors
///
/// Fails if a client or the datacenter does.
pub fn run(settings: &Settings) -> Result<Report> {
    let mut report = Report::new("Connections", PEERS, NOTES);
    if settings.wants("calls") {
        calls::run(settings, &mut report)?;
    }
    if settings.wants("downloads") {
        downloads::run(settings, &mut report)?;
    }
    if settings.wants("idle") {
        crate::idle::add_to(&mut report)?;
    }
    Ok(report)
}
