//! Options are checked before anything is done with them: each works, or is refused by name.
//!
//! Not here: defaults and what options mean ([`ConnectOptions`], [`DialOptions`]).

use core::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

#[cfg(feature = "client")]
use chappe_carrier::Address;
use chappe_carrier::Proxy;
use chappe_session::SessionLimits;
use chappe_session::liveness::LivenessPolicy;

#[cfg(feature = "client")]
use crate::client::{BackOff, Candidate, ConnectOptions, Timing};
use crate::options::DialOptions;

/// An option that cannot work. The error is the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidOption {
    /// The option, as a path of fields: `timing.connect`, `candidates[0].dialling.proxy`.
    pub option: String,
    /// Why it cannot work, and what would.
    pub reason: String,
}

impl InvalidOption {
    pub(crate) fn new(option: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { option: option.into(), reason: reason.into() }
    }

    /// Names a candidate for media, where it was taken for another one.
    fn within_media(self) -> Self {
        Self { option: format!("media_{}", self.option), ..self }
    }

    /// Puts the field that holds the option in front of its name.
    fn within(self, outer: &str) -> Self {
        Self { option: format!("{outer}.{}", self.option), ..self }
    }
}

impl fmt::Display for InvalidOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the option `{}` cannot be used: {}", self.option, self.reason)
    }
}

impl std::error::Error for InvalidOption {}

impl From<InvalidOption> for io::Error {
    fn from(error: InvalidOption) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Shortest life of a temporary key. Sessions ask for the next one an hour before the end, so that a shorter life would
/// have them make keys without a pause.
const SHORTEST_KEY: Duration = Duration::from_secs(2 * 3600);

/// Longest life of a temporary key. Official clients ask for a day. Servers refuse much more, and what a temporary key is
/// for is lost with it: who steals it can read what was sent in all that time.
const LONGEST_KEY: Duration = Duration::from_secs(30 * 86_400);

/// Fewest ids of received messages to remember (`SEC-78`). The messages of one container must fit, or the first ones take
/// the place of the others.
const FEWEST_IDS: usize = 400;

/// Longest pause between two attempts to connect. With a longer one a lost connection would not come back.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// Least silence that means anything: before the first answer no round trip is known that could be waited for instead.
const SHORTEST_SILENCE: Duration = Duration::from_millis(100);

/// How late a ping may come: it may be lost twice, which costs TCP three seconds, on a link with a round trip of two.
/// `ping_delay_disconnect` takes an `int` of seconds.
const PING_MARGIN: Duration = Duration::from_secs(5);

/// Smallest bound of bytes: the answers of a datacenter about itself take more than half of it.
const SMALLEST_BYTES: usize = 4096;

/// Fewest events that can wait: one frame of a busy server leaves some.
const FEWEST_EVENTS: usize = 64;

type Checked = Result<(), InvalidOption>;

#[cfg(feature = "client")]
impl ConnectOptions {
    /// Checks every option. Both drivers do so before they connect.
    ///
    /// An empty list of candidates is not looked at: it is [`ConnectError::NoCandidates`](crate::ConnectError::NoCandidates).
    ///
    /// # Errors
    ///
    /// Names the first option that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        check_candidates(&self.candidates)?;
        check_candidates(&self.media_candidates).map_err(InvalidOption::within_media)?;
        self.timing.validate().map_err(|error| error.within("timing"))?;
        self.backoff.validate().map_err(|error| error.within("backoff"))?;
        check_liveness(&self.liveness).map_err(|error| error.within("liveness"))?;
        check_limits(&self.limits).map_err(|error| error.within("limits"))?;
        match self.temporary_keys {
            Some(life) if !(SHORTEST_KEY..=LONGEST_KEY).contains(&life) => {
                let reason = format!("{life:?} is not between {SHORTEST_KEY:?} and {LONGEST_KEY:?}");
                Err(InvalidOption::new("temporary_keys", reason))
            }
            _ => Ok(()),
        }
    }
}

/// Checks every candidate.
#[cfg(feature = "client")]
pub(crate) fn check_candidates(candidates: &[Candidate]) -> Result<(), InvalidOption> {
    for (place, Candidate { address, dialling }) in candidates.iter().enumerate() {
        let checked = check_target(address)
            .and_then(|()| dialling.validate().map_err(|error| error.within("dialling")));
        checked.map_err(|error| error.within(&format!("candidates[{place}]")))?;
    }
    Ok(())
}

/// Checks the address of a datacenter.
#[cfg(feature = "client")]
fn check_target(address: &Address) -> Checked {
    let checked = match address {
        Address::Socket(address) if address.port() == 0 => {
            Err("has no port: datacenters listen on 443, 80 and 5222".into())
        }
        Address::Name(name) => check_address(name),
        _ => Ok(()),
    };
    checked.map_err(|reason| InvalidOption::new("address", format!("{address} {reason}")))
}

#[cfg(feature = "client")]
impl Timing {
    fn validate(&self) -> Checked {
        not_zero("connect", self.connect)?;
        not_zero("proof", self.proof)?;
        self.call.map_or(Ok(()), |call| not_zero("call", call))?;
        self.give_up.map_or(Ok(()), |give_up| not_zero("give_up", give_up))
    }
}

#[cfg(feature = "client")]
impl BackOff {
    fn validate(&self) -> Checked {
        let pauses = [("first", self.first), ("max", self.max), ("min_interval", self.min_interval)];
        for (option, pause) in pauses {
            if pause > LONGEST_PAUSE {
                let reason = format!(
                    "after {pause:?} a lost connection is as good as lost: at most {LONGEST_PAUSE:?}"
                );
                return Err(InvalidOption::new(option, reason));
            }
        }
        at_least("per_minute", self.per_minute, 1)?;
        at_least("first_attempts", self.first_attempts as usize, 1)
    }
}

impl DialOptions {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// Names the first option that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        if let Some(proxy) = &self.proxy {
            check_proxy(proxy)?;
            if proxy.forwards_requests() && (self.carrier.http().is_none() || self.carrier.is_tls()) {
                let reason =
                    "a proxy that forwards requests carries HTTP without TLS alone: use `Carrier::Http`";
                return Err(InvalidOption::new("proxy", reason));
            }
        }
        not_zero("connect_timeout", self.connect_timeout)?;
        not_zero("proxy_timeout", self.proxy_timeout)?;
        not_zero("carrier_timeout", self.carrier_timeout)?;
        not_zero("hello_timeout", self.hello_timeout)?;
        not_zero("write_timeout", self.write_timeout)?;
        if let Some(endpoint) = self.carrier.endpoint() {
            // Without TLS the name only stands in the header `Host`, where a port may follow.
            let host = check_host(&endpoint.host).or_else(|reason| {
                let is_address = !self.carrier.is_tls() && check_address(&endpoint.host).is_ok();
                if is_address { Ok(()) } else { Err(reason) }
            });
            host.map_err(|reason| {
                InvalidOption::new("carrier.host", format!("{:?} {reason}", endpoint.host))
            })?;
            let is_path =
                endpoint.path.starts_with('/') && endpoint.path.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_path {
                let reason = format!("{:?} is not a path: it begins with / and has no spaces", endpoint.path);
                return Err(InvalidOption::new("carrier.path", reason));
            }
        }
        #[cfg(feature = "websocket")]
        if self.carrier.websocket().is_some() && !self.connector.is_obfuscated() {
            let reason = "a WebSocket carries obfuscated connections alone: use `Connector::obfuscated`";
            return Err(InvalidOption::new("connector", reason));
        }
        Ok(())
    }
}

fn check_proxy(proxy: &Proxy) -> Checked {
    if let Err(reason) = check_address(proxy.address()) {
        return Err(InvalidOption::new("proxy", format!("{:?} {reason}", proxy.address())));
    }
    match proxy.check_credentials() {
        Ok(()) => Ok(()),
        Err(reason) => Err(InvalidOption::new("proxy.credentials", reason)),
    }
}

/// Checks `HOST:PORT`.
fn check_address(address: &str) -> Result<(), String> {
    let (host, port) = address.rsplit_once(':').ok_or("has no port: give HOST:PORT")?;
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err("has no port from 1 to 65535: give HOST:PORT".into());
    }
    match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
        Some(Some(host)) if host.parse::<Ipv6Addr>().is_ok() => Ok(()),
        Some(_) => Err("has no IPv6 address in its brackets".into()),
        None if host.contains(':') => Err("needs brackets around its IPv6 address: [ADDRESS]:PORT".into()),
        None => check_host(host),
    }
}

/// Checks the name of a host, or an IPv4 address.
fn check_host(host: &str) -> Result<(), String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match host {
        "" => Err("has no name of a host".into()),
        host if host.len() > 253 => Err("has a name of a host longer than 253 bytes".into()),
        host if !host.bytes().all(is_name) => {
            Err("has characters that no name of a host has: give the name alone, without scheme and path"
                .into())
        }
        _ => Ok(()),
    }
}

fn check_liveness(policy: &LivenessPolicy) -> Checked {
    let times = [
        ("keep_alive", policy.keep_alive),
        ("busy_ping", policy.busy_ping),
        ("dead_after", policy.dead_after),
    ];
    for (option, time) in times {
        if time < SHORTEST_SILENCE {
            let reason = format!("{time:?} is less than {SHORTEST_SILENCE:?}, a round trip");
            return Err(InvalidOption::new(option, reason));
        }
    }
    // The datacenter closes a connection that sends no ping for so long.
    let delay = policy.disconnect_delay;
    if Duration::from_secs(delay.as_secs()) < policy.keep_alive.saturating_add(PING_MARGIN) {
        let reason = format!("{delay:?} in whole seconds is not longer than `keep_alive` by {PING_MARGIN:?}");
        return Err(InvalidOption::new("disconnect_delay", reason));
    }
    if delay.as_secs() > i32::MAX as u64 {
        return Err(InvalidOption::new("disconnect_delay", format!("{delay:?} is longer than 68 years")));
    }
    Ok(())
}

fn check_limits(limits: &SessionLimits) -> Checked {
    at_least("received_ids", limits.received_ids, FEWEST_IDS)?;
    at_least("age.past", limits.age.past.as_secs() as usize, 1)?;
    at_least("age.future", limits.age.future.as_secs() as usize, 1)?;
    at_least("pending_calls", limits.pending_calls, 1)?;
    at_least("pending_bytes", limits.pending_bytes, SMALLEST_BYTES)?;
    at_least("container_messages", limits.container_messages, 1)?;
    at_least("body_bytes", limits.body_bytes, SMALLEST_BYTES)?;
    at_least("received_bytes", limits.received_bytes, SMALLEST_BYTES)?;
    at_least("unpacked_bytes", limits.unpacked_bytes, SMALLEST_BYTES)?;
    at_least("acks", limits.acks, 1)?;
    not_zero("sent_memory", limits.sent_memory)?;
    at_least("attempts", limits.attempts.into(), 1)?;
    at_least("session_resets", limits.session_resets.into(), 1)?;
    not_zero("ask_state_after", limits.ask_state_after)?;
    at_least("events", limits.events, FEWEST_EVENTS)
}

fn not_zero(option: &str, duration: Duration) -> Checked {
    if duration.is_zero() {
        return Err(InvalidOption::new(option, "nothing can be done in no time"));
    }
    Ok(())
}

fn at_least(option: &str, value: usize, least: usize) -> Checked {
    if value < least {
        return Err(InvalidOption::new(option, format!("{value} is less than {least}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies_are_checked() {
        for good in ["127.0.0.1:1080", "proxy.example:8080", "[2001:db8::1]:1080", "my_proxy:1"] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ":",
            "127.0.0.1",
            "proxy.example:",
            "proxy.example:0",
            "proxy.example:65536",
            ":1080",
            "2001:db8::1:1080",
            "[2001:db8::1]",
            "[proxy]:1080",
            "[2001:db8::1:1080",
            "socks5://127.0.0.1:1080",
            "a b:1080",
            "user@host:1",
            "bücher.example:1080",
        ] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
