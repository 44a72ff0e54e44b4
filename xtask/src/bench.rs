//! Measurements: forwarded to `crates/chappe-bench`, a workspace of its own.

use std::env;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::plots;
use crate::shell::{self, Shell};
use crate::workspace;

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Bench {
    /// What to measure.
    #[arg(required_unless_present = "plot_only")]
    suite: Option<Suite>,
    /// Measures nothing; draws the plots of docs/performance from the tables of docs/performance.md.
    #[arg(long, exclusive = true)]
    plot_only: bool,
    /// Arguments of the benchmark program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// The benchmark tables.
#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// What an idle connection costs the tokio server.
    Idle,
    /// Primitives and whole messages.
    Crypto,
    /// Build cost and codec of the generated types.
    Tl,
    /// Creating an `auth_key`, client and server.
    Handshake,
    /// A server: handshakes, calls, strangers, idle sessions.
    Server,
    /// Messages through a session.
    Session,
    /// Connections and calls over real sockets.
    Net,
    /// A proxy between client and datacenter.
    Proxy,
}

/// Arguments of `cargo xtask timing`.
#[derive(Args)]
pub(crate) struct Timing {
    /// Arguments of the timing program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Bench {
    /// Builds the benchmark program with optimisation, runs one suite (of the generated types, both), and draws.
    pub(crate) fn run(&self) -> Result<()> {
        let Some(suite) = self.suite else { return plots::write(&workspace::root()?) };
        // The peers of these suites take minutes to compile, so each is compiled only for its own suite.
        let (features, suites): (&[&str], &[&str]) = match suite {
            Suite::Idle => (&[], &["idle"]),
            Suite::Crypto => (&[], &["crypto"]),
            Suite::Handshake => (&[], &["handshake"]),
            Suite::Server => (&[], &["server"]),
            Suite::Session => (&["--features", "session"], &["session"]),
            Suite::Net => (&["--features", "net"], &["net"]),
            Suite::Proxy => (&["--features", "proxy"], &["proxy"]),
            Suite::Tl => (&["--features", "tl"], &["tl", "tl-build"]),
        };
        for suite in suites {
            forward(features, [(*suite).to_owned()].into_iter().chain(self.rest.iter().cloned()))?;
        }
        plots::write(&workspace::root()?)
    }
}

impl Timing {
    /// Builds the benchmark program with optimisation and runs the timing test.
    pub(crate) fn run(&self) -> Result<()> {
        forward(&[], ["timing".to_owned()].into_iter().chain(self.rest.iter().cloned()))
    }
}

/// Builds the benchmark program with these options and runs it with these arguments.
fn forward(options: &[&str], arguments: impl Iterator<Item = String>) -> Result<()> {
    let root = workspace::root()?;
    let manifest = root.join("crates/chappe-bench/Cargo.toml");
    ensure!(manifest.is_file(), "crates/chappe-bench is not part of this checkout");
    let mut command = shell::cargo(&root);
    // Our feature `aes/zeroize` would slow the peers that share the crate; flags of the caller stay.
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    command.env("RUSTFLAGS", format!("{flags} --cfg chappe_plain_aes").trim_start());
    // An incremental build inlines little between functions: a session's containers take 17 % longer in one.
    command.env("CARGO_INCREMENTAL", "0");
    command.args(["run", "--release", "--quiet"]).args(options);
    command.arg("--manifest-path").arg(manifest).arg("--").args(arguments);
    Shell::loud().run(&mut command)
}
