//! Whether a server of MTProto answers on one way, and if not, what is in it.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::thread;
use std::time::{Duration, Instant};

use chappe::authentication::{ClientHandshake, ClientOptions, Progress};
use chappe::crypto::rng::Drbg;
use chappe::framing::{FrameBuf, Now};
use chappe::net::{Address, ConnectError, Interception, LinkError, ProxyError, Wait, blocking};
use chappe::transport::{AckRequest, Incoming};

use super::{Reach, Target, Way};
use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// Most probes at the same time.
const MAX_PROBES: usize = 200;

/// What one way led to.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) address: Address,
    pub(crate) way: Way,
    /// To connect, proxies and TLS included.
    pub(crate) connect: Option<Duration>,
    /// From the first question to its answer.
    pub(crate) answer: Option<Duration>,
    /// Why there was no answer.
    pub(crate) failure: Option<(Obstacle, Failure)>,
}

/// What stands in the way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The name cannot be looked up.
    Name,
    /// This machine has no route to the address.
    NoRoute,
    /// The address refuses the port.
    Refused,
    /// Nothing answers.
    Silence,
    /// A login page of a network, or another web server.
    WebServer,
    /// The MTProxy closes without a word, as it does if it does not know the secret.
    Secret,
    /// The hello of fake TLS is not answered.
    Hello,
    /// The proxy wants other credentials.
    Credentials,
    /// The proxy cannot be reached, or does not connect.
    Proxy,
    /// Everything else.
    Other,
}

impl Obstacle {
    fn of(error: &LinkError) -> Self {
        match error {
            LinkError::Io(error) => match error.kind() {
                ErrorKind::ConnectionRefused => Self::Refused,
                ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => {
                    Self::NoRoute
                }
                _ => Self::Other,
            },
            LinkError::TimedOut { waiting_for: Wait::FirstBytes, .. } => Self::Hello,
            LinkError::TimedOut { .. } => Self::Silence,
            LinkError::Intercepted(Interception::Http { .. }) => Self::WebServer,
            LinkError::NoAnswer => Self::Secret,
            LinkError::Proxy(error) if error.is_about_credentials() => Self::Credentials,
            LinkError::Proxy(ProxyError::Unreachable(_) | _) => Self::Proxy,
            _ => Self::Other,
        }
    }
}

/// Tries ways at the same time. Each asks for `resPQ`, which needs no key and proves nothing but that a server of MTProto
/// answers.
pub(crate) fn probe(reach: &Reach, target: &Target, ways: Vec<(Address, Way)>, rng: &mut Drbg) -> Vec<Probe> {
    thread::scope(|scope| {
        let threads: Vec<_> = ways
            .into_iter()
            .take(MAX_PROBES)
            .map(|(address, way)| {
                let mut rng = rng.fork();
                scope.spawn(move || {
                    let mut probe = Probe { address, way, connect: None, answer: None, failure: None };
                    probe.failure = probe.run(reach, target, &mut rng).err();
                    probe
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

impl Probe {
    fn run(&mut self, reach: &Reach, target: &Target, rng: &mut Drbg) -> Result<(), (Obstacle, Failure)> {
        let other = |failure| (Obstacle::Other, failure);
        let link = |error: LinkError| (Obstacle::of(&error), Failure::from(error));
        let options = reach.dial.options(&self.way).map_err(other)?;
        let socket = resolve(&self.address).map_err(|failure| (Obstacle::Name, failure))?;
        let begun = Instant::now();
        let mut stream = blocking::dial(socket, &options, rng).map_err(link)?;
        self.connect = Some(begun.elapsed());
        let asking = ClientOptions::new(target.keys.clone(), target.dc);
        let mut handshake = ClientHandshake::begin(asking, Now::from_system(), rng)
            .or_blame(Blame::Machine, "the handshake cannot begin")
            .map_err(other)?;
        let mut frame = FrameBuf::new();
        handshake.poll_transmit(Now::from_system(), &mut frame);
        let begun = Instant::now();
        stream.send(&mut frame, AckRequest::No).map_err(link)?;
        loop {
            let left = reach.timeout().saturating_sub(begun.elapsed());
            let received = stream.receive(left, |incoming| match incoming {
                Incoming::Envelope { payload, .. } => handshake
                    .handle_frame(Now::from_system(), payload, rng)
                    .map(|progress| matches!(progress, Progress::ServerKnown))
                    .map_err(ConnectError::Handshake),
                Incoming::Error(code) => Err(ConnectError::Refused(code)),
                Incoming::QuickAck(_) => Ok(false),
            });
            if received.map_err(link)?.map_err(|error| other(error.into()))? {
                self.answer = Some(begun.elapsed());
                return Ok(());
            }
        }
    }
}

/// Looks a name up.
pub(crate) fn resolve(address: &Address) -> Result<SocketAddr> {
    match address {
        Address::Socket(address) => Ok(*address),
        name => {
            let mut found = name
                .to_string()
                .to_socket_addrs()
                .or_blame(Blame::Network, format_args!("cannot look up {name}"))?;
            found.next().ok_or_else(|| Failure::new(Blame::Network, format!("{name} has no address")))
        }
    }
}
