//! A server: what handshakes cost it, how many calls it answers, what strangers do to them, and what idle sessions cost.
//!
//! Everything runs in one process, clients included, so that one command gives all figures.

mod calls;
mod handshakes;
mod rig;
mod sessions;
mod strangers;

use anyhow::Result;

use crate::harness::Settings;
use crate::report::Report;

const NOTES: &str = "\
Clients and server share the processors of this machine and communicate over TCP on 127.0.0.1. A call is a function of a private
schema that a `Router` answers. Strangers make `req_pq` and send noise where RSA is expected, 150 KiB/s in all.
";

/// Measures everything.
///
/// # Errors
///
/// Fails if a client or the server does.
pub fn run(settings: &Settings) -> Result<Report> {
    let mut report = Report::new("Server", &[], NOTES);
    if settings.wants("handshakes") {
        handshakes::run(settings, &mut report)?;
    }
    if settings.wants("calls") {
        calls::run(settings, &mut report)?;
    }
    if settings.wants("strangers") {
        strangers::run(settings, &mut report)?;
    }
    if settings.wants("sessions") {
        sessions::run(settings, &mut report)?;
    }
    Ok(report)
}
