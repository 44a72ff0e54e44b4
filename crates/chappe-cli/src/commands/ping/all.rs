//! `chappe ping --all`: which way works from here.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use chappe::authentication::{ClientHandshake, ClientOptions, Progress};
use chappe::crypto::rng::Drbg;
use chappe::framing::{FrameBuf, Now};
use chappe::net::{Address, ConnectError, blocking};
use chappe::transport::{AckRequest, Incoming};
use serde::Serialize;

use super::resolve;
use crate::failure::{Blame, Failure, OrBlame as _, Result, Status};
use crate::output::{BAD, Cell, GOOD, Output, Report, Table, duration, maybe_milliseconds};
use crate::reach::{Dial, Reach, Target, Way};

/// Most connections at the same time.
const MAX_WAYS: usize = 200;

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
    /// To connect, proxies and TLS included.
    #[serde(rename = "connect_ms", serialize_with = "maybe_milliseconds")]
    connect: Option<Duration>,
    /// From the first question to its answer.
    #[serde(rename = "answer_ms", serialize_with = "maybe_milliseconds")]
    answer: Option<Duration>,
    error: Option<String>,
}

/// Tries every way at the same time. Each asks for `resPQ`, which needs no key and proves nothing but that a server of
/// MTProto answers.
pub(super) fn run(reach: &Reach, target: &Target, rng: &mut Drbg, output: &mut Output) -> Result<Status> {
    let mut ways: Vec<(Address, Way)> = Vec::new();
    for address in target.addresses.iter().filter(|address| reach.dial.allows(address)) {
        let ways_to = Dial::all_ways(target.dc, address);
        // The embedded datacenter has no certificate.
        for way in ways_to.into_iter().filter(|way| target.embedded.is_none() || !way.is_tls()) {
            let address = way.address(address);
            // The public datacenters have one web host each, whatever the address.
            let is_known =
                |known: &(Address, Way)| known.0 == address && known.1.to_string() == way.to_string();
            if !ways.iter().any(is_known) && ways.len() < MAX_WAYS {
                ways.push((address, way));
            }
        }
    }
    if ways.is_empty() {
        return Err(Failure::input(format!("{} has no address of this kind", target.dc)));
    }
    let attempts = thread::scope(|scope| {
        let threads: Vec<_> = ways
            .into_iter()
            .map(|(address, way)| {
                let mut rng = rng.fork();
                scope.spawn(move || Attempt::make(reach, target, &address, &way, &mut rng))
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let report = Ways { dc: target.dc.to_string(), ways: attempts };
    output.report(&report)?;
    if report.ways.iter().all(|attempt| attempt.error.is_some()) {
        return Err(Failure::new(Blame::Network, format!("no way to {} works from here", report.dc)));
    }
    Ok(Status::Done)
}

impl Attempt {
    fn make(reach: &Reach, target: &Target, address: &Address, way: &Way, rng: &mut Drbg) -> Self {
        let (address_text, way_text) = (address.to_string(), way.to_string());
        let mut attempt =
            Self { address: address_text, way: way_text, connect: None, answer: None, error: None };
        attempt.error = attempt.ask(reach, target, address, way, rng).err().map(|error| error.to_string());
        attempt
    }

    fn ask(
        &mut self,
        reach: &Reach,
        target: &Target,
        address: &Address,
        way: &Way,
        rng: &mut Drbg,
    ) -> Result<()> {
        let options = reach.dial.options(way)?;
        let socket = resolve(address)?;
        let begun = Instant::now();
        let mut stream = blocking::dial(socket, &options, rng)?;
        self.connect = Some(begun.elapsed());
        let asking = ClientOptions::new(target.keys.clone(), target.dc);
        let mut handshake = ClientHandshake::begin(asking, Now::from_system(), rng)
            .or_blame(Blame::Machine, "the handshake cannot begin")?;
        let mut frame = FrameBuf::new();
        handshake.poll_transmit(Now::from_system(), &mut frame);
        let begun = Instant::now();
        stream.send(&mut frame, AckRequest::No)?;
        loop {
            let left = reach.timeout().saturating_sub(begun.elapsed());
            let known = stream.receive(left, |incoming| match incoming {
                Incoming::Envelope { payload, .. } => handshake
                    .handle_frame(Now::from_system(), payload, rng)
                    .map(|progress| matches!(progress, Progress::ServerKnown))
                    .map_err(|error| Failure::from(ConnectError::Handshake(error))),
                Incoming::Error(code) => Err(ConnectError::Refused(code).into()),
                Incoming::QuickAck(_) => Ok(false),
            })?;
            if known? {
                self.answer = Some(begun.elapsed());
                return Ok(());
            }
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
