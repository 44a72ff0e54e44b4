//! `chappe ping`.

mod all;
mod event;

use std::thread;
use std::time::{Duration, Instant};

use chappe::authentication::{ClientHandshake, ClientOptions, Finished};
use chappe::crypto::rng::Drbg;
use chappe::framing::Now;
use chappe::net::{Address, Stream, blocking};

use crate::failure::{Blame, Failure, OrBlame as _, Result, Status};
use crate::output::Output;
use crate::reach::{Place, Reach, Target, Tunnel, Way, resolve};
use event::{Event, Statistics};

/// Connects to a datacenter as a client does, shows each step, and pings
///
/// A new key is made for the command and thrown away afterwards; no account is needed.
///
/// For example: `chappe ping 2`, `chappe ping embedded --carrier ws`, `chappe ping 4 --all`.
#[derive(clap::Args)]
pub(crate) struct Ping {
    /// A datacenter's number, HOST:PORT, or `embedded` for one that is started for the command
    #[arg(value_name = "DC|ADDRESS", default_value = "2")]
    place: Place,
    /// Tries every transport, carrier and address at the same time, and prints a table of what works
    #[arg(long)]
    all: bool,
    /// How many pings to send
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    count: u32,
    /// Pause between two pings
    #[arg(short, long, value_name = "MILLISECONDS", default_value_t = 200)]
    interval: u64,
    #[command(flatten)]
    reach: Reach,
}

impl Ping {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let mut rng = Drbg::from_os().or_blame(Blame::Machine, "the system gives no randomness")?;
        let target = self.reach.target(&self.place)?;
        if self.all {
            return all::run(&self.reach, &target, &mut rng, output);
        }
        let ways = self.reach.ways(&target)?;
        if let Some(server) = &target.embedded {
            let key = server.public_key().fingerprint().to_string();
            output.event(&Event::Embedded { dc: target.dc.to_string(), address: server.address(), key })?;
        }
        let stream = self.dial(ways, &mut rng, output)?;
        let (stream, finished) = self.create_key(stream, &target, &mut rng, output)?;
        let mut tunnel = Tunnel::new(stream, &finished, self.reach.timeout(), &mut rng);
        let mut times = Vec::new();
        for number in 1..=self.count {
            if number > 1 {
                thread::sleep(Duration::from_millis(self.interval));
            }
            let time = tunnel.ping(number.into(), &mut rng)?;
            times.push(time);
            output.event(&Event::Pong { number, time })?;
        }
        if let Some(statistics) = Statistics::of(times) {
            output.event(&Event::Statistics(statistics))?;
        }
        Ok(Status::Done)
    }

    /// Tries the addresses one after the other until one can be connected to.
    fn dial(&self, ways: Vec<(Address, Way)>, rng: &mut Drbg, output: &mut Output) -> Result<Stream> {
        let mut last = None;
        for (address, way) in ways {
            match self.dial_at(&address, &way, rng, output) {
                Ok(stream) => return Ok(stream),
                Err(failure) if failure.blame == Blame::Input => return Err(failure),
                Err(failure) => {
                    let (address, error) = (address.to_string(), failure.to_string());
                    output.event(&Event::Failed { address: address.clone(), error })?;
                    last = Some(failure.while_doing(format_args!("cannot connect to {address}")));
                }
            }
        }
        Err(last.unwrap_or_else(|| Failure::input("there is no address to connect to")))
    }

    fn dial_at(&self, address: &Address, way: &Way, rng: &mut Drbg, output: &mut Output) -> Result<Stream> {
        let options = self.reach.dial.options(way)?;
        let begun = Instant::now();
        let socket = resolve(address)?;
        if matches!(address, Address::Name(_)) {
            let name = address.to_string();
            output.event(&Event::Resolved { name, address: socket, time: begun.elapsed() })?;
        }
        let begun = Instant::now();
        let stream = blocking::dial(socket, &options, rng)?;
        let (way, time) = (way.to_string(), begun.elapsed());
        output.event(&Event::Connected { address: socket, way, time })?;
        Ok(stream)
    }

    fn create_key(
        &self,
        mut stream: Stream,
        target: &Target,
        rng: &mut Drbg,
        output: &mut Output,
    ) -> Result<(Stream, Finished)> {
        let options = ClientOptions::new(target.keys.clone(), target.dc);
        let (now, begun) = (Now::from_system(), Instant::now());
        let handshake = ClientHandshake::begin(options, now, rng)
            .or_blame(Blame::Machine, "the handshake cannot begin")?;
        let mut handshake = handshake.with_deadline(now.mono + self.reach.timeout());
        let mut printed = Ok(());
        let finished = blocking::create_key(&mut stream, &mut handshake, rng, |step| {
            let event = output.event(&Event::from(step));
            printed = std::mem::replace(&mut printed, Ok(())).and(event);
        })
        .map_err(|error| Failure::from(error).while_doing("no key was made"))?;
        printed?;
        let id = format!("{:016x}", finished.key().id().to_raw());
        let (clock_offset, time) = (finished.time_offset, begun.elapsed());
        output.event(&Event::Key { id, clock_offset, time })?;
        Ok((stream, finished))
    }
}
