//! The program: arguments, signals, the service manager.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chappe_crypto::rng::Drbg;
use chappe_transport::ProxyLink;
use clap::{Parser, Subcommand};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use sd_notify::NotifyState;

use crate::{Config, Proxy, Settings};

/// Where packages of Linux distributions look for it.
const CONFIG: &str = "/etc/chappe-proxy.toml";

/// An MTProxy for Telegram clients.
#[derive(Debug, Parser)]
#[command(name = "chappe-proxy", version, about)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, short, global = true, default_value = CONFIG)]
    config: PathBuf,
    /// Checks the configuration, and ends.
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints links for clients.
    Link {
        /// Only those of this user.
        #[arg(long)]
        user: Option<String>,
        /// Host and port under which clients reach the proxy, in place of `public` in the configuration.
        #[arg(long, value_name = "HOST:PORT")]
        public: Option<String>,
        /// Draws each link as a QR code, too.
        #[arg(long)]
        qr: bool,
    },
    /// Prints a random secret for a new user.
    Secret,
}

impl Arguments {
    /// Does what is asked for. Prints errors, and returns 1 for them.
    pub fn run(self) -> ExitCode {
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("chappe-proxy: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    /// Does what is asked for, for programs that report errors in their own way.
    ///
    /// # Errors
    ///
    /// The configuration is wrong, which is a [`ConfigError`](crate::ConfigError), or this machine does not allow to serve.
    pub fn try_run(self) -> Result<()> {
        match self.command {
            Some(Command::Secret) => secret(),
            Some(Command::Link { user, public, qr }) => link(&self.config, user.as_deref(), public, qr),
            None if self.check => {
                let (config, _) = load(&self.config)?;
                println!("{}: {} users, no errors", self.config.display(), config.users.len());
                Ok(())
            }
            None => serve(&self.config),
        }
    }
}

fn load(path: &Path) -> Result<(Config, Settings)> {
    let config = Config::load(path).with_context(|| path.display().to_string())?;
    let settings = Settings::new(&config).with_context(|| path.display().to_string())?;
    Ok((config, settings))
}

fn secret() -> Result<()> {
    use chappe_transport::ProxySecret;
    let mut key = [0; 16];
    fill(&mut key)?;
    println!("{}", *ProxySecret::plain(key).to_hex());
    Ok(())
}

fn fill(key: &mut [u8]) -> Result<()> {
    use rand_core::Rng as _;
    Drbg::from_os().context("the operating system gives no randomness")?.fill_bytes(key);
    Ok(())
}

fn link(config: &Path, user: Option<&str>, public: Option<String>, qr: bool) -> Result<()> {
    let (config, settings) = load(config)?;
    let public = public.or(config.public);
    let public = public.context("say `--public HOST:PORT`, or set `public` in the configuration")?;
    let (server, port) = public.rsplit_once(':').context("`public` is not HOST:PORT")?;
    let server = server.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().ok().filter(|port| *port != 0).context("`public` has no port")?;
    let mut out = io::stdout().lock();
    let mut count = 0;
    for (name, secrets) in settings.secrets().filter(|(name, _)| user.is_none_or(|user| user == *name)) {
        for secret in secrets {
            let link = ProxyLink { server: server.into(), port, secret: secret.clone() };
            let https = link.to_https();
            writeln!(out, "{name}\n{}\n{}", *link.to_tg(), *https)?;
            if qr {
                let code = QrCode::new(https.as_bytes())?;
                // Dark on light, whatever the terminal's colours are, needs a frame of light.
                let drawn =
                    code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
                writeln!(out, "{drawn}")?;
            }
            count += 1;
        }
    }
    ensure!(count > 0, "there is no such user");
    Ok(())
}

fn serve(path: &Path) -> Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(path))
}

async fn run(path: &Path) -> Result<()> {
    let (config, _) = load(path)?;
    let grace = Duration::from_secs(config.limits.drain);
    let mut signals = Signals::new()?;
    let proxy = Proxy::start(config, inherited()?).with_context(|| path.display().to_string())?;
    for address in proxy.local_addrs() {
        tracing::info!(%address, "listening");
    }
    if let Some(address) = proxy.metrics_addr() {
        tracing::info!(%address, "metrics");
    }
    notify(&[NotifyState::Ready]);
    while signals.next().await == Signal::Reload {
        reload(&proxy, path);
    }
    tracing::info!(seconds = grace.as_secs(), "stopping");
    notify(&[NotifyState::Stopping]);
    tokio::select! {
        has_ended = proxy.shutdown(grace) => tracing::info!(has_ended, "stopped"),
        // A second signal does not wait.
        () = signals.stop() => {}
    }
    Ok(())
}

/// Takes the sockets that the service manager passes (`LISTEN_FDS`).
fn inherited() -> Result<Vec<std::net::TcpListener>> {
    let mut passed = listenfd::ListenFd::from_env();
    let sockets = (0..passed.len()).map(|index| passed.take_tcp_listener(index).transpose());
    sockets
        .flatten()
        .collect::<Result<_, _>>()
        .context("the service manager passes something else than TCP sockets")
}

fn reload(proxy: &Proxy, path: &Path) {
    if let Ok(state) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, state]);
    }
    match load(path).and_then(|(config, _)| Ok(proxy.reload(config)?)) {
        Ok(fixed) if fixed.is_empty() => tracing::info!("configuration reread"),
        Ok(fixed) => {
            tracing::warn!(keys = fixed.join(", "), "configuration reread; these keys need a restart");
        }
        Err(error) => tracing::error!("configuration not taken: {error:#}"),
    }
    notify(&[NotifyState::Ready]);
}

/// Notifies the service manager. There may be none.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "service manager not told");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Reload,
    Stop,
}

/// The signals of the operating system.
#[cfg(unix)]
struct Signals {
    hang_up: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hang_up.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        // Without a console there are no signals.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Stop
    }

    async fn stop(&mut self) {
        self.next().await;
    }
}
