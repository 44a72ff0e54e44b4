//! Dialling, and an `auth_key` with each step shown.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chappe::authentication::{ClientHandshake, ClientOptions, Finished};
use chappe::crypto::rng::Drbg;
use chappe::framing::Now;
use chappe::net::{Stage, Step};
use chappe::net::{Stream, blocking};

use crate::args::{Args, Target, Transport};

/// Dials.
pub(crate) fn dial(args: &Args, target: &Target, rng: &mut Drbg) -> Result<Stream> {
    let options = args.dial_options(target)?;
    let begun = Instant::now();
    let stream = blocking::dial(target.address, &options, rng)
        .with_context(|| format!("cannot connect to {}", target.address))?;
    let how = match args.transport {
        Transport::Http => "HTTP".to_owned(),
        Transport::Websocket => format!("WebSocket, {:?}, obfuscated", stream.framing()),
        _ if args.obfuscated => format!("TCP, {:?}, obfuscated", stream.framing()),
        _ => format!("TCP, {:?}", stream.framing()),
    };
    let told = format!("{} over {how}", target.address);
    println!("  {:<20} {told:<70} {:>9}", "connection", shown(begun.elapsed()));
    Ok(stream)
}

/// Creates an `auth_key`.
pub(crate) fn create(
    mut stream: Stream,
    options: ClientOptions,
    name: &str,
    args: &Args,
    rng: &mut Drbg,
) -> Result<(Stream, Finished)> {
    println!("{name}");
    let (now, begun) = (Now::from_system(), Instant::now());
    let handshake = ClientHandshake::begin(options, now, rng)?;
    let mut handshake = handshake.with_deadline(now.mono + args.patience());
    let finished = blocking::create_key(&mut stream, &mut handshake, rng, show).context("no key was made")?;
    let told = format!("{} bytes, id {}, clock {:+} s", 256, id(&finished), finished.time_offset);
    println!("  {:<20} {told:<70} {:>9}", "done", shown(begun.elapsed()));
    Ok((stream, finished))
}

/// Prints a step: what was checked, and how long waiting and working took.
fn show(step: Step) {
    let checked = match step.stage {
        Stage::ServerKnown => "nonce is ours; a key is trusted; pq has two prime factors",
        Stage::ParamsAgreed => "nonces repeated; hash inside is right; prime safe; g and g_a in range",
        Stage::RetryAsked => "new_nonce_hash2 is right: the server wants another exponent",
        Stage::KeyCreated => "new_nonce_hash1 is right: the server has the same key",
        _ => "in order",
    };
    let (waited, worked) = (shown(step.waited), shown(step.worked));
    println!("  {:<20} {checked:<70} {waited:>9}, checked in {worked}", step.stage.answer());
}

/// Returns an `auth_key`'s id.
fn id(finished: &Finished) -> String {
    format!("{:016x}", finished.key().id().to_raw())
}

/// Writes a duration with three digits or so.
pub(crate) fn shown(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        0.0..1e3 => format!("{micros:.0} µs"),
        1e3..1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}
