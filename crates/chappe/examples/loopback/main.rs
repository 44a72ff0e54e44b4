//! Serves the embedded datacenter until it is stopped, for clients of any kind.
//!
//! ```sh
//! cargo run --release --example loopback -- --listen 127.0.0.1:4430 --rsa-key PRIVATE.pem
//! ```
//!
//! Prints `READY host port public-key-path` once it accepts: clients must trust the key in that file.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};

use anyhow::{Context as _, Result};
use chappe::authentication::DcId;
use chappe::crypto::rsa::PrivateKey;
use chappe::loopback::{Loopback, Options};
use chappe::server::ListenOptions;
use chappe::transport::ProxySecret;
use clap::Parser;

/// Serves an embedded datacenter until it is stopped.
#[derive(Parser)]
#[command(name = "loopback", about, long_about = None)]
struct Args {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// File with the RSA key to use, instead of one made for this run.
    #[arg(long, value_name = "PRIVATE.pem")]
    rsa_key: Option<PathBuf>,
    /// File to write the public key to, instead of one in the folder for temporary files.
    #[arg(long, value_name = "PUBLIC.pem")]
    public_key: Option<PathBuf>,
    /// Number of the datacenter: 2, or 10002 for the one of the test environment.
    #[arg(long, value_name = "N", default_value_t = 2)]
    dc_id: i32,
    /// Secret of an MTProxy in hexadecimal, with which clients may come as well: plain, dd or ee. May be repeated.
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// Sends `updatesTooLong` to every connected session in this interval.
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    update_every: Option<u64>,
}

/// `updatesTooLong#e317af7e = Updates`.
const UPDATES_TOO_LONG: u32 = 0xe317_af7e;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<std::convert::Infallible> {
    let dc = DcId::from_raw(args.dc_id).context("no datacenter has this number")?;
    let mut options = Options::new().listen(args.listen).dc(dc);
    if let Some(path) = &args.rsa_key {
        options = options.private_key(private_key(path)?);
    }
    let mut sockets = ListenOptions::datacenter();
    for text in &args.secret {
        let secret =
            ProxySecret::parse(text).with_context(|| format!("{text} is no secret of an MTProxy"))?;
        sockets.accept.secrets.push(secret);
    }
    let datacenter =
        options.sockets(sockets).start().with_context(|| format!("cannot serve on {}", args.listen))?;
    let address = datacenter.address();
    let path = args.public_key.clone().unwrap_or_else(|| {
        env::temp_dir().join(format!("chappe-loopback-{}-{}.pem", std::process::id(), address.port()))
    });
    write_public_key(&datacenter, &path)?;
    println!("READY {} {} {}", address.ip(), address.port(), path.display());
    std::io::stdout().flush()?;
    loop {
        // The datacenter works in a thread of its own.
        match args.update_every {
            None => thread::park(),
            Some(pause) => {
                thread::sleep(Duration::from_millis(pause));
                datacenter.push(&UPDATES_TOO_LONG.to_le_bytes());
            }
        }
    }
}

fn private_key(path: &Path) -> Result<PrivateKey> {
    let name = path.display();
    let pem = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    PrivateKey::from_pem(&pem).with_context(|| format!("{name} holds no RSA private key"))
}

fn write_public_key(datacenter: &Loopback, path: &Path) -> Result<()> {
    let pem = datacenter.public_key().to_pem()?;
    fs::write(path, pem).with_context(|| format!("cannot write {}", path.display()))
}
