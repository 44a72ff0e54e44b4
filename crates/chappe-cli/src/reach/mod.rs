//! Where a command connects to, and how: the options that `ping`, `doctor`, `call` and `login` share.

mod blame;
mod dial;
mod place;
mod probe;
mod tunnel;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chappe::authentication::{ClientOptions, DcId};
use chappe::crypto::rsa::{KeyRing, PublicKey};
use chappe::loopback::Loopback;
use chappe::net::{Address, Candidate, ConnectOptions, KeyLogFile};

use crate::failure::{Blame, Failure, OrBlame as _, Result};

pub(crate) use dial::{CarrierKind, Dial, Way};
pub(crate) use place::Place;
pub(crate) use probe::{Obstacle, Probe, probe, resolve};
pub(crate) use tunnel::Tunnel;

/// Which datacenter, and how to reach it.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Reach {
    /// The number of the datacenter, where its address is given
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..1000))]
    dc_id: u16,
    /// The datacenter is one of the test environment
    #[arg(long)]
    test: bool,
    /// A file with an RSA key to trust, instead of Telegram's own keys; may be repeated
    #[arg(long, value_name = "PUBLIC.pem")]
    rsa_key: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) dial: Dial,
}

/// A datacenter, and the ways to it.
#[derive(Debug)]
pub(crate) struct Target {
    /// The datacenter.
    pub(crate) dc: DcId,
    /// The keys to trust there.
    pub(crate) keys: KeyRing,
    /// The addresses, in the order in which they are tried.
    pub(crate) addresses: Vec<Address>,
    /// The embedded datacenter, which ends with this value.
    pub(crate) embedded: Option<Loopback>,
}

impl Reach {
    /// Finds the datacenter, or starts the embedded one.
    pub(crate) fn target(&self, place: &Place) -> Result<Target> {
        match place {
            Place::Embedded => Target::embedded(),
            Place::Datacenter(number) => self.public(*number),
            Place::At(address) => {
                let dc = self.dc(self.dc_id);
                Ok(Target { dc, keys: self.keys()?, addresses: vec![address.clone()], embedded: None })
            }
        }
    }

    /// Makes the options of a client that reaches `target`.
    pub(crate) fn connect_options(&self, target: &Target) -> Result<ConnectOptions> {
        let handshake = ClientOptions::new(target.keys.clone(), target.dc);
        let mut candidates = Vec::new();
        for (address, way) in self.ways(target)? {
            candidates.push(Candidate { address, dialling: self.dial.options(&way)? });
        }
        let mut options = ConnectOptions::new(handshake, candidates);
        options.timing.connect = self.timeout().saturating_mul(3);
        options.timing.call = Some(self.timeout().saturating_mul(3));
        // For `chappe decrypt` and `chappe tap`. Nothing is logged unless the environment names a file.
        Ok(options.with_key_log(Arc::new(KeyLogFile::from_env())))
    }

    /// Returns the addresses to dial, each with the way that the options name.
    pub(crate) fn ways(&self, target: &Target) -> Result<Vec<(Address, Way)>> {
        if let Some(link) = self.dial.mtproxy()? {
            let address = Address::of(&link.server, link.port);
            return Ok(vec![(address.clone(), self.dial.way(target.dc, &address)?)]);
        }
        let wanted = target.addresses.iter().filter(|address| self.dial.allows(address));
        let mut ways = Vec::new();
        for address in wanted {
            let way = self.dial.way(target.dc, address)?;
            let address = way.address(address);
            if !ways.iter().any(|(known, _)| *known == address) {
                ways.push((address, way));
            }
        }
        if ways.is_empty() {
            return Err(Failure::input(format!("{} has no address of this kind", target.dc)));
        }
        Ok(ways)
    }

    /// Returns every address with every way to it.
    pub(crate) fn all_ways(&self, target: &Target) -> Result<Vec<(Address, Way)>> {
        let mut ways: Vec<(Address, Way)> = Vec::new();
        for address in target.addresses.iter().filter(|address| self.dial.allows(address)) {
            let ways_to = Dial::all_ways(target.dc, address);
            // The embedded datacenter has no certificate.
            for way in ways_to.into_iter().filter(|way| target.embedded.is_none() || !way.is_tls()) {
                let address = way.address(address);
                // The public datacenters have one web host each, whatever the address.
                let is_known =
                    |known: &(Address, Way)| known.0 == address && known.1.to_string() == way.to_string();
                if !ways.iter().any(is_known) {
                    ways.push((address, way));
                }
            }
        }
        if ways.is_empty() {
            return Err(Failure::input(format!("{} has no address of this kind", target.dc)));
        }
        Ok(ways)
    }

    /// Returns how long any one step may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.dial.timeout()
    }

    fn dc(&self, number: u16) -> DcId {
        if self.test { DcId::test(number) } else { DcId::production(number) }
    }

    fn public(&self, number: u16) -> Result<Target> {
        let known = if self.test { ConnectOptions::test(number) } else { ConnectOptions::production(number) };
        if known.candidates.is_empty() {
            let most = if self.test { 3 } else { 5 };
            let problem =
                format!("there is no datacenter {number}: give a number from 1 to {most}, or HOST:PORT");
            return Err(Failure::input(problem));
        }
        let addresses = known.candidates.into_iter().map(|candidate| candidate.address).collect();
        Ok(Target { dc: self.dc(number), keys: self.keys()?, addresses, embedded: None })
    }

    fn keys(&self) -> Result<KeyRing> {
        if self.rsa_key.is_empty() {
            return Ok(if self.test { KeyRing::test() } else { KeyRing::production() });
        }
        let mut keys = KeyRing::empty();
        for path in &self.rsa_key {
            let name = path.display();
            let pem =
                std::fs::read_to_string(path).or_blame(Blame::Input, format_args!("cannot read {name}"))?;
            let key = PublicKey::from_pem(&pem)
                .or_blame(Blame::Input, format_args!("{name} has no RSA public key"))?;
            keys.add(key);
        }
        Ok(keys)
    }
}

impl Target {
    /// Starts a datacenter for the command.
    fn embedded() -> Result<Self> {
        let server = Loopback::start().or_blame(Blame::Machine, "the embedded datacenter does not start")?;
        let mut keys = KeyRing::empty();
        keys.add(server.public_key().clone());
        let addresses = vec![server.address().into()];
        Ok(Self { dc: server.dc(), keys, addresses, embedded: Some(server) })
    }
}
