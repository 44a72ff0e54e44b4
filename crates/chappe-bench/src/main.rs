//! Measurements of the chappe crates beside their peers and beside the limits of the machine.
//!
//! Ratios are the result, not times: all cases of a group run once in each round, in rotated order and in one
//! process, and the ratio is formed within the round. What is printed is the median over the rounds and the spread.

mod crypto;
mod handshake;
mod harness;
mod idle;
mod limits;
mod machine;
mod net;
#[cfg(openssl)]
mod openssl;
mod report;
mod session;
mod timing;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{harness::Settings, report::Report};

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// What an idle connection costs the tokio server.
    Idle,
    /// Primitives and whole messages; writes its section of docs/performance.md.
    Crypto(Options),
    /// Creating an `auth_key`, client and server; writes its section of docs/performance.md.
    Handshake(Options),
    /// Calls through a session; writes its section of docs/performance.md.
    Session(Options),
    /// Connections and calls over real sockets; writes its section of docs/performance.md.
    Net(Options),
    /// Two-class statistical test of what is claimed to be constant time.
    Timing(timing::Options),
}

#[derive(clap::Args)]
struct Options {
    /// Fewer and shorter rounds, and nothing is written.
    #[arg(long)]
    quick: bool,
    /// Prints the tables and writes nothing.
    #[arg(long)]
    no_write: bool,
    /// Only groups whose title contains this.
    #[arg(long, default_value = "")]
    only: String,
}

impl Options {
    fn settings(&self) -> Settings {
        Settings::new(self.quick, &self.only)
    }

    /// Prints the report, and writes it if it is complete.
    fn report(&self, suite: &str, report: &Report) -> Result<()> {
        print!("{report}");
        if self.quick || self.no_write || !self.only.is_empty() {
            return Ok(());
        }
        report.write(suite)
    }
}

fn main() -> Result<()> {
    match Arguments::parse().suite {
        Suite::Idle => idle::run(),
        Suite::Crypto(options) => options.report("crypto", &crypto::run(&options.settings())),
        Suite::Handshake(options) => options.report("handshake", &handshake::run(&options.settings())?),
        Suite::Session(options) => options.report("session", &session::run(&options.settings())),
        Suite::Net(options) => options.report("net", &net::run(&options.settings())?),
        Suite::Timing(options) => timing::run(&options),
    }
}
