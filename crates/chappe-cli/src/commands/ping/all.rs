//! `chappe ping --all`: which way works from here.

use std::io::{self, Write};
use std::time::Duration;

use chappe::crypto::rng::Drbg;
use serde::Serialize;

use crate::failure::{Blame, Failure, Result, Status};
use crate::output::{BAD, Cell, GOOD, Output, Report, Table, duration, maybe_milliseconds};
use crate::reach::{Probe, Reach, Target, probe};

/// What every way led to.
#[derive(Serialize)]
struct Ways {
    dc: String,
    ways: Vec<Attempt>,
}

/// What one way led to.
#[derive(Serialize)]
struct Attempt {
    address: String,
    way: String,
    #[serde(rename = "connect_ms", serialize_with = "maybe_milliseconds")]
    connect: Option<Duration>,
    #[serde(rename = "answer_ms", serialize_with = "maybe_milliseconds")]
    answer: Option<Duration>,
    error: Option<String>,
}

/// Tries every way at the same time.
pub(super) fn run(reach: &Reach, target: &Target, rng: &mut Drbg, output: &mut Output) -> Result<Status> {
    let ways = reach.all_ways(target)?;
    let ways = probe(reach, target, ways, rng).into_iter().map(Attempt::from).collect();
    let report = Ways { dc: target.dc.to_string(), ways };
    output.report(&report)?;
    if report.ways.iter().all(|attempt| attempt.error.is_some()) {
        return Err(Failure::new(Blame::Network, format!("no way to {} works from here", report.dc)));
    }
    Ok(Status::Done)
}

impl From<Probe> for Attempt {
    fn from(probe: Probe) -> Self {
        Self {
            address: probe.address.to_string(),
            way: probe.way.to_string(),
            connect: probe.connect,
            answer: probe.answer,
            error: probe.failure.map(|(_, failure)| failure.to_string()),
        }
    }
}

impl Report for Ways {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&["address", "way", "connect", "answer", "result"]);
        let time = |time: Option<Duration>| Cell::right(time.map(duration).unwrap_or_default());
        for attempt in &self.ways {
            let result = match &attempt.error {
                None => Cell::new("works").styled(GOOD),
                Some(error) => Cell::new(error).styled(BAD),
            };
            table.row([
                Cell::new(&attempt.address),
                Cell::new(&attempt.way),
                time(attempt.connect),
                time(attempt.answer),
                result,
            ]);
        }
        table.write(out)?;
        let works = self.ways.iter().filter(|attempt| attempt.error.is_none()).count();
        writeln!(out, "{works} of {} ways to {} work from here", self.ways.len(), self.dc)
    }
}
