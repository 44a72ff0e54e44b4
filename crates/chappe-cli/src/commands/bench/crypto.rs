//! `chappe bench crypto`.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use chappe::authentication::{ClientHandshake, ClientOptions};
use chappe::crypto::message::{open, seal};
use chappe::crypto::rng::Drbg;
use chappe::crypto::rsa::KeyRing;
use chappe::crypto::{AuthKey, Side, ige};
use chappe::framing::Now;
use chappe::loopback::Loopback;
use chappe::net::{DialOptions, blocking};
use chappe::transport::{Connector, Framing};
use serde::Serialize;

use crate::failure::{Blame, OrBlame as _, Result, Status};
use crate::output::{Cell, DIM, GOOD, Output, Report, Table, duration, milliseconds, rate};

/// Measures the cryptography of messages and handshakes on one core, in about ten seconds
///
/// Build with `--release`. Cycles are those of the clock that a chain of multiplications shows, 3 cycles each, as on all
/// common processors.
#[derive(clap::Args)]
pub(crate) struct Crypto {
    /// How long all measurements together may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
}

/// The figures.
#[derive(Serialize)]
struct Figures {
    /// Clock of the core while it worked, estimated.
    clock_ghz: f64,
    work: Vec<Figure>,
    #[serde(rename = "handshake_ms", serialize_with = "milliseconds")]
    handshake: Duration,
    handshakes_per_second: f64,
}

/// What one kind of work takes.
#[derive(Serialize)]
struct Figure {
    work: &'static str,
    bytes: usize,
    bytes_per_second: f64,
    cycles_per_byte: f64,
    /// What no implementation for one stream of bytes can be faster than, on a processor with AES and SHA instructions;
    /// `null` where the bytes are of several streams.
    limit_cycles_per_byte: Option<f64>,
}

/// AES-256 in a chaining mode: 14 rounds of at least 3 cycles follow each other in each block of 16 bytes.
const AES_LIMIT: f64 = 14.0 * 3.0 / 16.0;
/// SHA-256: 32 double rounds of 4 cycles follow each other in each block of 64 bytes.
const SHA_LIMIT: f64 = 32.0 * 4.0 / 64.0;

const SMALL: usize = 1 << 10;
const LARGE: usize = 512 << 10;

impl Crypto {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        if cfg!(debug_assertions) {
            output.note("this is a build without optimisation: the figures are of no use");
        }
        // Six kinds of work and the handshake share the time.
        let budget = Duration::from_secs_f64(self.seconds / 7.0);
        let clock = clock_hz(budget / 10);
        let key = AuthKey::from_bytes(std::array::from_fn(|place| (place * 37 % 256) as u8));
        let mut work = Vec::new();
        for bytes in [SMALL, LARGE] {
            let mut add = |name, limit, time: Duration| {
                work.push(Figure::new(name, bytes, time, clock, limit));
            };
            let mut buffer = vec![0x5a; bytes];
            let time = measure(budget, || ige_encrypt(&mut buffer));
            add("AES-IGE encrypt", Some(AES_LIMIT), time);
            // Hash, then encrypt: the key of the encryption is made of the hash.
            let time = measure(budget, || {
                black_box(seal(&key, Side::Client, &mut buffer)).expect("the length is one of whole blocks");
            });
            add("seal a message", Some(AES_LIMIT + SHA_LIMIT), time);
            let time = measure_open(budget, &key, &mut buffer);
            add("open a message", Some(AES_LIMIT), time);
        }
        let handshake = handshake(budget)?;
        let figures = Figures {
            clock_ghz: (clock / 1e7).round() / 100.0,
            work,
            handshake,
            handshakes_per_second: (1.0 / handshake.as_secs_f64()).round(),
        };
        output.report(&figures)?;
        Ok(Status::Done)
    }
}

impl Figure {
    fn new(work: &'static str, bytes: usize, time: Duration, clock: f64, limit: Option<f64>) -> Self {
        let per_byte = time.as_secs_f64() / f64::from(bytes as u32);
        let rounded = |number: f64| (number * 100.0).round() / 100.0;
        Self {
            work,
            bytes,
            bytes_per_second: (1.0 / per_byte).round(),
            cycles_per_byte: rounded(per_byte * clock),
            limit_cycles_per_byte: limit.map(rounded),
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if (0.05..=600.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.05 to 600".into()) }
}

/// Returns the time of one run: the median of rounds, so that interruptions do not count.
fn measure(budget: Duration, mut run: impl FnMut()) -> Duration {
    const ROUNDS: u32 = 25;
    run();
    let begun = Instant::now();
    run();
    let once = begun.elapsed().max(Duration::from_nanos(50));
    let runs = ((budget / ROUNDS).as_nanos() / once.as_nanos()).clamp(1, 1_000_000) as u32;
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            (0..runs).for_each(|_| run());
            begun.elapsed() / runs
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Returns the cycles per second: a multiplication takes 3 cycles where each waits for the one before.
fn clock_hz(budget: Duration) -> f64 {
    const CHAIN: u32 = 100_000;
    let time = measure(budget, || {
        let mut product = black_box(3_u64);
        for _ in 0..CHAIN / 10 {
            // Ten in a row, so that the loop itself does not count.
            for _ in 0..10 {
                product = product.wrapping_mul(product | 1);
            }
        }
        black_box(product);
    });
    // The `or` takes one cycle.
    f64::from(CHAIN) * 4.0 / time.as_secs_f64()
}

fn ige_encrypt(buffer: &mut [u8]) {
    ige::encrypt(&[7; 32], &[9; 32], black_box(buffer)).expect("the length is one of whole blocks");
}

/// Opening decrypts in place, so a round needs a fresh copy of the message. The time of copying is taken off.
fn measure_open(budget: Duration, key: &AuthKey, buffer: &mut [u8]) -> Duration {
    let sealed = seal(key, Side::Server, buffer).expect("the length is one of whole blocks");
    let message = buffer.to_vec();
    let copy = measure(budget / 4, || buffer.copy_from_slice(black_box(&message)));
    let both = measure(budget / 4 * 3, || {
        buffer.copy_from_slice(black_box(&message));
        open(key, Side::Server, &sealed.msg_key, buffer).expect("it is as it was sealed");
    });
    both.saturating_sub(copy)
}

/// Returns the time that a client works for a key, without the server and the network.
fn handshake(budget: Duration) -> Result<Duration> {
    let mut rng = Drbg::from_os().or_blame(Blame::Machine, "the system gives no randomness")?;
    let server = Loopback::start().or_blame(Blame::Machine, "the embedded datacenter does not start")?;
    let mut keys = KeyRing::empty();
    keys.add(server.public_key().clone());
    let options = DialOptions::new(Connector::plain(Framing::Intermediate));
    let (begun, mut times) = (Instant::now(), Vec::new());
    while times.len() < 3 || begun.elapsed() < budget {
        let mut stream = blocking::dial(server.address(), &options, &mut rng)?;
        let asking = ClientOptions::new(keys.clone(), server.dc());
        let mut handshake = ClientHandshake::begin(asking, Now::from_system(), &mut rng)
            .or_blame(Blame::Machine, "the handshake cannot begin")?;
        let mut worked = Duration::ZERO;
        blocking::create_key(&mut stream, &mut handshake, &mut rng, |step| worked += step.worked)?;
        times.push(worked);
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

impl Report for Figures {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        /// Cells of the longest bar.
        const WIDTH: f64 = 32.0;
        let fastest = self.work.iter().map(|figure| figure.bytes_per_second).fold(0.0, f64::max);
        let mut table = Table::new(&["work", "bytes", "speed", "cycles/byte", "limit", ""]);
        for figure in &self.work {
            let cells = (figure.bytes_per_second / fastest * WIDTH).round().max(1.0) as usize;
            table.row([
                Cell::new(figure.work),
                Cell::right(figure.bytes.to_string()),
                Cell::right(rate(figure.bytes_per_second)),
                Cell::right(format!("{:.2}", figure.cycles_per_byte)),
                Cell::right(
                    figure.limit_cycles_per_byte.map(|limit| format!("{limit:.2}")).unwrap_or_default(),
                ),
                Cell::new("█".repeat(cells)).styled(GOOD),
            ]);
        }
        table.write(out)?;
        let (time, rate) = (duration(self.handshake), self.handshakes_per_second);
        writeln!(out, "a client works {time} for a handshake, {rate:.0} in a second")?;
        writeln!(
            out,
            "{DIM}one core at {:.2} GHz; limit: one stream on AES and SHA instructions{DIM:#}",
            self.clock_ghz
        )
    }
}
