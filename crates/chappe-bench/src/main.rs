//! Measurements of the chappe crates beside their peers and beside the limits of the machine.
//!
//! Ratios are the result, not times: all cases of a group run once in each round, in rotated order and in one
//! process, and the ratio is formed within the round. What is printed is the median over the rounds and the spread.

#[cfg(feature = "tl")]
mod allocations;
mod crypto;
mod handshake;
mod harness;
mod idle;
mod limits;
mod machine;
#[cfg(feature = "net")]
mod net;
#[cfg(openssl)]
mod openssl;
#[cfg(feature = "proxy")]
mod proxy;
mod report;
mod server;
#[cfg(feature = "session")]
mod session;
mod timing;
#[cfg(feature = "tl")]
mod tl;
mod tl_build;

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
    /// A server: handshakes, calls, strangers, idle sessions.
    Server(Options),
    /// Calls through a session; writes its section of docs/performance.md. Needs the feature `session`.
    #[cfg(feature = "session")]
    Session(Options),
    /// Connections and calls over real sockets; writes its section of docs/performance.md. Needs the feature `net`.
    #[cfg(feature = "net")]
    Net(Options),
    /// A proxy between client and datacenter; writes its section of docs/performance.md. Needs the feature `proxy`.
    #[cfg(feature = "proxy")]
    Proxy(Options),
    /// Decoding and encoding; writes its section of docs/performance.md. Needs the feature `tl`.
    #[cfg(feature = "tl")]
    Tl(Options),
    /// What the generated types cost the compiler; writes its section of docs/performance.md.
    TlBuild(Options),
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
    #[cfg(feature = "proxy")]
    if proxy::is_child()? {
        return Ok(());
    }
    if let Some(log) = tl_build::compiler_log() {
        tl_build::compile(&log);
    }
    match Arguments::parse().suite {
        Suite::Idle => idle::run(),
        Suite::Crypto(options) => options.report("crypto", &crypto::run(&options.settings())),
        Suite::Handshake(options) => options.report("handshake", &handshake::run(&options.settings())?),
        Suite::Server(options) => {
            print!("{}", server::run(&options.settings())?);
            Ok(())
        }
        #[cfg(feature = "session")]
        Suite::Session(options) => options.report("session", &session::run(&options.settings())),
        #[cfg(feature = "net")]
        Suite::Net(options) => options.report("net", &net::run(&options.settings())?),
        #[cfg(feature = "proxy")]
        Suite::Proxy(options) => options.report("proxy", &proxy::run(&options.settings())?),
        #[cfg(feature = "tl")]
        Suite::Tl(options) => options.report("tl", &tl::run(&options.settings())?),
        Suite::TlBuild(options) => options.report("tl-build", &tl_build::run()?),
        Suite::Timing(options) => timing::run(&options),
    }
}
