//! The command line, and what it says about the datacenter.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use chappe::authentication::{ClientOptions, DcId};
use chappe::crypto::rsa::{KeyRing, PublicKey};
use chappe::loopback::Loopback;
use chappe::net::{Carrier, DialOptions, Endpoint};
use chappe::transport::{Connector, Framing};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};

/// Creates an `auth_key` and makes encrypted calls, with every step shown.
#[derive(Parser)]
#[command(name = "connect", about, long_about = None)]
pub(crate) struct Args {
    /// The datacenter to dial, instead of an embedded one.
    #[arg(long, value_name = "HOST:PORT", requires = "dc_id")]
    dc: Option<String>,
    /// Its number.
    #[arg(long, value_name = "N", requires = "dc", value_parser = clap::value_parser!(u16).range(1..1000))]
    dc_id: Option<u16>,
    /// It belongs to the test environment.
    #[arg(long, requires = "dc")]
    test: bool,
    /// File with the datacenter's RSA key, instead of the published ones.
    #[arg(long, value_name = "PUBLIC.pem", requires = "dc")]
    key: Option<PathBuf>,
    /// How messages are framed.
    #[arg(long, value_enum, default_value = "intermediate")]
    pub(crate) transport: Transport,
    /// Hides the connection (not with the full transport).
    #[arg(long)]
    pub(crate) obfuscated: bool,
    /// Makes a temporary key too, binds it, and calls under it.
    #[arg(long)]
    pub(crate) pfs: bool,
    /// Application id to introduce ourselves with; the public datacenters check it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) api_id: i32,
    /// How long any answer may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..3600))]
    timeout: u64,
}

/// The four framings, and what has none of its own.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Transport {
    Abridged,
    Intermediate,
    Padded,
    Full,
    /// Obfuscated intermediate inside a WebSocket.
    Websocket,
    /// Requests and answers of HTTP.
    Http,
}

/// The datacenter to dial, and whom to trust there.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) dc: DcId,
    keys: KeyRing,
}

impl Args {
    /// Reads the command line. What cannot be read is said in one line.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        let parsed =
            Self::try_parse().and_then(|args| match args.transport {
                Transport::Http if args.obfuscated => {
                    Err(Self::command().error(ErrorKind::ArgumentConflict, "HTTP cannot be obfuscated"))
                }
                Transport::Full if args.obfuscated => Err(Self::command()
                    .error(ErrorKind::ArgumentConflict, "the full transport cannot be obfuscated")),
                _ => Ok(args),
            });
        parsed.map_err(|error| {
            if !error.use_stderr() {
                print!("{error}");
                return ExitCode::SUCCESS;
            }
            let text = error.to_string();
            let paragraph = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = paragraph.split_whitespace().collect();
            eprintln!("{} (--help explains)", words.join(" "));
            ExitCode::from(2)
        })
    }

    /// Returns the datacenter that was named, if one was.
    pub(crate) fn target(&self) -> Result<Option<Target>> {
        let (Some(host), Some(id)) = (&self.dc, self.dc_id) else { return Ok(None) };
        let mut addresses = host.to_socket_addrs().with_context(|| format!("{host} is no HOST:PORT"))?;
        let address = addresses.next().ok_or_else(|| anyhow!("{host} has no address"))?;
        let keys = match &self.key {
            Some(path) => {
                let name = path.display();
                let pem = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
                trusting(
                    PublicKey::from_pem(&pem).with_context(|| format!("{name} holds no RSA public key"))?,
                )
            }
            None if self.test => KeyRing::test(),
            None => KeyRing::production(),
        };
        let dc = if self.test { DcId::test(id) } else { DcId::production(id) };
        Ok(Some(Target { address, dc, keys }))
    }

    /// Returns how to dial `target`.
    pub(crate) fn dial_options(&self, target: &Target) -> Result<DialOptions> {
        let framing = self.transport.framing();
        let is_hidden = self.obfuscated || matches!(self.transport, Transport::Websocket);
        let connector = if is_hidden {
            Connector::obfuscated(framing, Some(target.dc))?
        } else {
            Connector::plain(framing)
        };
        let patience = self.patience();
        let carrier = match self.transport {
            Transport::Websocket => Carrier::WebSocket(Endpoint::websocket(target.address.to_string())),
            Transport::Http => Carrier::Http(Endpoint::http(target.address.to_string())),
            _ => Carrier::Tcp,
        };
        let options = DialOptions::new(connector);
        Ok(options.with_carrier(carrier).with_connect_timeout(patience).with_write_timeout(patience))
    }

    /// Returns how long any answer may take.
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

impl Transport {
    const fn framing(self) -> Framing {
        match self {
            Self::Abridged => Framing::Abridged,
            Self::Intermediate | Self::Websocket | Self::Http => Framing::Intermediate,
            Self::Padded => Framing::PaddedIntermediate,
            Self::Full => Framing::Full,
        }
    }
}

impl Target {
    /// Returns the datacenter that was just started.
    pub(crate) fn embedded(datacenter: &Loopback) -> Self {
        let dc = datacenter.dc();
        Self { address: datacenter.address(), dc, keys: trusting(datacenter.public_key().clone()) }
    }

    /// Returns what to ask for: a permanent key.
    pub(crate) fn client_options(&self) -> ClientOptions {
        ClientOptions::new(self.keys.clone(), self.dc)
    }
}

fn trusting(key: PublicKey) -> KeyRing {
    let mut keys = KeyRing::empty();
    keys.add(key);
    keys
}
