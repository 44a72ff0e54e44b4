//! Creates an `auth_key` and makes encrypted calls, over a real socket, with every step shown.
//!
//! Without arguments against the embedded datacenter, which is started first:
//!
//! ```sh
//! cargo run --release --example connect
//! ```
//!
//! Or against any other, the public ones included:
//!
//! ```sh
//! cargo run --release --example connect -- --dc 149.154.167.51:443 --dc-id 2 --transport padded --obfuscated
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `args.rs` | the command line, and what it says about the datacenter |
//! | `key.rs` | dialling, and an `auth_key` with each step shown |
//! | `tunnel.rs` | calls over an [`EncryptedSession`](chappe::EncryptedSession) and a socket |
//! | `binding.rs` | a temporary key, bound to the permanent one |
//! | `tour.rs` | the calls, and what they took |
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

mod args;
mod binding;
mod key;
mod tour;
mod tunnel;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chappe::crypto::rng::Drbg;
use chappe::loopback::Loopback;

use args::{Args, Target};

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(status) => return status,
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// Writes an error and its causes, leaving out those that the one before quotes.
fn one_line(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| {
        if line.is_empty() {
            cause
        } else if line.ends_with(&cause) {
            line
        } else {
            line + ": " + &cause
        }
    })
}

fn run(args: &Args) -> Result<()> {
    let mut rng = Drbg::from_os().context("no randomness from the operating system")?;
    if let Some(target) = args.target()? {
        return visit(args, &target, false, &mut rng);
    }
    let datacenter = Loopback::start().context("the embedded datacenter does not start")?;
    let fingerprint = datacenter.public_key().fingerprint();
    println!("embedded {} on {}, RSA key {fingerprint}", datacenter.dc(), datacenter.address());
    visit(args, &Target::embedded(&datacenter), true, &mut rng)?;
    datacenter.stop();
    Ok(())
}

/// Makes a key and calls under it, then once more over a second connection.
fn visit(args: &Args, target: &Target, is_ours: bool, rng: &mut Drbg) -> Result<()> {
    let stream = key::dial(args, target, rng)?;
    let (stream, permanent) = key::create(stream, target.client_options(), "auth_key", args, rng)?;
    let mut credentials = tunnel::Credentials::from(&permanent);
    let mut tunnel = tunnel::Tunnel::new(stream, &credentials, args, rng);
    if args.pfs {
        let (bound, used) = binding::bind(tunnel, &permanent, args, target, rng)?;
        (tunnel, credentials) = (bound, used);
    }
    tour::configuration(&mut tunnel, target, rng)?;
    if is_ours {
        tour::round_trips(&mut tunnel, rng)?;
        tour::salts(&mut tunnel, rng)?;
        tour::files(&mut tunnel, rng)?;
    }

    credentials.follow(&tunnel);
    drop(tunnel);
    println!("second connection, same key");
    let stream = key::dial(args, target, rng)?;
    let mut tunnel = tunnel::Tunnel::new(stream, &credentials, args, rng);
    tour::configuration(&mut tunnel, target, rng)
}
