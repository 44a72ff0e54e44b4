//! The server's half of a handshake, beside what its mathematics costs elsewhere.

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use chappe_crypto::dh::KNOWN_PRIME;
use chappe_crypto::kernels::Modulus;

use crate::handshake::server_half;
use crate::harness::{Group, Settings, Spread};
use crate::report::{Bound, Report};

const HALF: &str = "the server's half, CPU time on one core";
const POWERS: &str = "two powers of Diffie-Hellman, as we compute them";
const RSA: &str = "OpenSSL's RSA-2048 private operation (`openssl speed`)";

pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let rounds = settings.rounds().max(5);
    let rsa = openssl_rsa()?;
    let half = server_half(rounds)?;
    let powers: Vec<f64> = (0..rounds).map(|_| two_powers()).collect();
    let bounds = powers.iter().map(|powers| powers + rsa);
    let ratios = half.iter().zip(bounds).map(|(half, bound)| half / bound).collect();
    let work = "the server's half / (OpenSSL's RSA-2048 private operation + our two powers)";
    report.target("handshake", work, Bound::AtMost(1.25), Spread::of(ratios));
    let cases = vec![(HALF.into(), half), (POWERS.into(), powers), (RSA.into(), vec![rsa])];
    report.group(Group::of("Handshakes: per second and core", cases));
    Ok(())
}

/// Nanoseconds.
fn two_powers() -> f64 {
    let (base, exponent) = ([0x35; 256], [0xa9; 256]);
    let modulus = Modulus::new(&KNOWN_PRIME);
    let begun = Instant::now();
    black_box(modulus.pow_pair(3, black_box(&base), black_box(&exponent)));
    begun.elapsed().as_nanos() as f64
}

/// Nanoseconds of a private operation, by the program of OpenSSL.
fn openssl_rsa() -> Result<f64> {
    let output = Command::new("openssl").args(["speed", "-mr", "-seconds", "2", "rsa2048"]).output();
    let output = output.context("the program openssl is needed")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `+F2:index:bits:seconds per private operation:seconds per public operation`, newer ones with more fields behind.
    let line =
        text.lines().find_map(|line| line.strip_prefix("+F2:")).context("openssl prints no figures")?;
    let seconds: f64 = line.split(':').nth(2).context("openssl prints no figures")?.parse()?;
    Ok(seconds * 1e9)
}
