//! `chappe doctor`.

use std::io::{self, Write};
use std::net::ToSocketAddrs as _;

use chappe::authentication::ClientOptions;
use chappe::crypto::rng::Drbg;
use chappe::net::{Address, blocking};
use serde::Serialize;

use crate::failure::{Blame, OrBlame as _, Result, Status};
use crate::output::{BAD, GOOD, NAME, Output, Report, WARN, duration};
use crate::reach::{CarrierKind, Obstacle, Place, Probe, Reach, Target, Way, probe, resolve};

/// Finds out why a client does not connect, and says what to do
///
/// It checks names, IPv4 and IPv6, the ports 443, 80 and 5222, WebSocket and HTTP, login pages of networks, the proxy or
/// MTProxy that is given, and the clock. The exit code is 1 if there is a problem.
#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// A datacenter's number, HOST:PORT, or `embedded` for one that is started for the command
    #[arg(value_name = "DC|ADDRESS", default_value = "2")]
    place: Place,
    #[command(flatten)]
    reach: Reach,
}

/// What was found.
#[derive(Serialize)]
struct Findings {
    dc: String,
    findings: Vec<Finding>,
}

/// The result of one check.
#[derive(Serialize)]
struct Finding {
    check: String,
    verdict: Rating,
    found: String,
    /// What to do.
    advice: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Rating {
    Good,
    /// It does not keep a client from connecting.
    Note,
    Problem,
}

impl Doctor {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let mut rng = Drbg::from_os().or_blame(Blame::Machine, "the system gives no randomness")?;
        let target = self.reach.target(&self.place)?;
        let has_proxy = self.reach.dial.mtproxy()?.is_some() || self.reach.dial.has_proxy();
        let ways = if has_proxy { self.reach.ways(&target)? } else { self.reach.all_ways(&target)? };
        let mut findings = names(&ways);
        let probes = probe(&self.reach, &target, ways, &mut rng);
        if has_proxy {
            findings.push(proxy(&probes));
        } else {
            findings.extend(groups(&probes));
        }
        findings.push(self.clock(&target, &probes, &mut rng)?);
        let report = Findings { dc: target.dc.to_string(), findings };
        output.report(&report)?;
        Ok(Status::found(report.has_problem()))
    }

    /// Makes a key on the first way that works, which tells the time of the datacenter.
    fn clock(&self, target: &Target, probes: &[Probe], rng: &mut Drbg) -> Result<Finding> {
        let check = "clock".to_owned();
        let Some(way) = probes.iter().find(|probe| probe.failure.is_none()) else {
            let found = "not checked: no way works".into();
            return Ok(Finding { check, verdict: Rating::Note, found, advice: None });
        };
        let options = self.reach.dial.options(&way.way)?;
        let asking = ClientOptions::new(target.keys.clone(), target.dc);
        let made = blocking::dial_with_new_key(resolve(&way.address)?, &options, asking, rng, |_| {});
        let offset = match made {
            Ok((_, finished)) => finished.time_offset,
            Err(error) => {
                let (verdict, found) = (Rating::Problem, format!("no key was made: {error}"));
                let advice =
                    Some("The server answers, and is not the datacenter: check the address and --rsa-key.");
                return Ok(Finding { check: "key".into(), verdict, found, advice });
            }
        };
        let found = match offset {
            // Both ends count whole seconds.
            -1..=1 => "agrees with the datacenter".to_owned(),
            behind @ 2.. => format!("{behind} s behind the datacenter"),
            ahead => format!("{} s ahead of the datacenter", ahead.unsigned_abs()),
        };
        let (verdict, advice) = judge_clock(offset);
        Ok(Finding { check, verdict, found, advice })
    }
}

/// Datacenters refuse messages that are 300 s old or 30 s early. Clients of this library correct the clock by the
/// datacenter's; others do not.
const fn judge_clock(offset: i32) -> (Rating, Option<&'static str>) {
    match offset {
        -5..=5 => (Rating::Good, None),
        -29..=299 => (Rating::Note, Some("Switch on the synchronisation of the clock.")),
        _ => (
            Rating::Problem,
            Some("Set the clock: clients that trust it have their messages refused with code 16 or 17."),
        ),
    }
}

/// Looks up the names among the addresses.
fn names(ways: &[(Address, Way)]) -> Vec<Finding> {
    let mut names: Vec<String> = Vec::new();
    for (address, _) in ways {
        let name = address.to_string();
        if matches!(address, Address::Name(_)) && !names.contains(&name) {
            names.push(name);
        }
    }
    let look_up = |name: String| {
        let found = name.to_socket_addrs().map(|mut found| found.next());
        let check = format!("name {}", name.rsplit_once(':').map_or(name.as_str(), |(host, _)| host));
        match found {
            Ok(Some(address)) => {
                let found = format!("is {}", address.ip());
                Finding { check, verdict: Rating::Good, found, advice: None }
            }
            failed => Finding {
                check,
                verdict: Rating::Note,
                found: failed.err().map_or("has no address".into(), |error| error.to_string()),
                advice: Some(
                    "Names are looked up for WebSocket, HTTP and proxies only. Check the resolver of this machine.",
                ),
            },
        }
    };
    names.into_iter().map(look_up).collect()
}

/// Judges a proxy by what it led to.
fn proxy(probes: &[Probe]) -> Finding {
    let check = "proxy".to_owned();
    if let Some(works) = probes.iter().find_map(|probe| probe.answer) {
        let found = format!("forwards to the datacenter, which answers in {}", duration(works));
        return Finding { check, verdict: Rating::Good, found, advice: None };
    }
    let first = probes.iter().find_map(|probe| probe.failure.as_ref());
    let found = first.map_or_else(String::new, |(_, failure)| failure.to_string());
    let advice = first.map(|(obstacle, _)| match obstacle {
        Obstacle::Credentials => "Correct the user and the password in the URL of the proxy.",
        Obstacle::Secret => "Compare the secret with that of the proxy's owner.",
        Obstacle::Hello => {
            "The proxy accepts connections and does not answer fake TLS: its secret is another one, or the network \
             blocks it. Try a proxy of another address or domain."
        }
        Obstacle::Name => "The name of the proxy cannot be looked up: check it, and the resolver of this machine.",
        Obstacle::Silence | Obstacle::Refused | Obstacle::NoRoute => {
            "The proxy is down, or the network blocks it. Try another one."
        }
        Obstacle::WebServer => "The network wants a login in a browser first, or the address is a web server.",
        Obstacle::Proxy => "The proxy does not connect to the datacenter. Try another one, or --carrier wss.",
        Obstacle::Other => "The address is not one of such a proxy, or something between changes the bytes.",
    });
    Finding { check, verdict: Rating::Problem, found, advice }
}

/// Judges families, ports and carriers by what the probes led to.
fn groups(probes: &[Probe]) -> Vec<Finding> {
    let any_works = probes.iter().any(|probe| probe.failure.is_none());
    let mut findings = Vec::new();
    if probes
        .iter()
        .any(|probe| probe.failure.as_ref().is_some_and(|(obstacle, _)| *obstacle == Obstacle::WebServer))
    {
        findings.push(Finding {
            check: "login page".into(),
            verdict: Rating::Problem,
            found: "a web server answers in the datacenter's place".into(),
            advice: Some("Open a page in a browser, and log in to the network."),
        });
    }
    for family in ["IPv4", "IPv6"] {
        let mut ports: Vec<u16> = probes.iter().filter_map(|probe| tcp_port(probe, family)).collect();
        ports.sort_unstable();
        ports.dedup();
        for port in ports {
            let of_port = probes.iter().filter(|probe| tcp_port(probe, family) == Some(port));
            findings.push(Finding::of(format!("{family}, port {port}"), of_port, any_works));
        }
    }
    for kind in [CarrierKind::Ws, CarrierKind::Wss, CarrierKind::Http, CarrierKind::Https] {
        let of_kind: Vec<&Probe> = probes.iter().filter(|probe| probe.way.carrier_kind() == kind).collect();
        if !of_kind.is_empty() {
            findings.push(Finding::of(kind.to_string(), of_kind.into_iter(), any_works));
        }
    }
    findings
}

/// Returns the port of a probe over TCP alone to an address of this family.
fn tcp_port(probe: &Probe, family: &str) -> Option<u16> {
    match &probe.address {
        Address::Socket(address) if probe.way.carrier_kind() == CarrierKind::Tcp => {
            (address.is_ipv4() == (family == "IPv4")).then(|| address.port())
        }
        Address::Name(name) if probe.way.carrier_kind() == CarrierKind::Tcp && family == "IPv4" => {
            name.rsplit_once(':')?.1.parse().ok()
        }
        _ => None,
    }
}

impl Finding {
    /// Judges probes of one kind. Where another kind works, it is no problem that this one does not.
    fn of<'a>(check: String, probes: impl Iterator<Item = &'a Probe>, any_works: bool) -> Self {
        let probes: Vec<&Probe> = probes.collect();
        let times: Vec<_> = probes.iter().filter_map(|probe| probe.answer).collect();
        if let Some(time) = times.iter().min() {
            let work = match (times.len(), probes.len()) {
                (1, 1) => "works".to_owned(),
                (good, all) if good == all => format!("all {all} ways work"),
                (good, all) => format!("{good} of {all} ways work"),
            };
            let found = format!("{work}, answers in {}", duration(*time));
            let (verdict, advice) = if times.len() == probes.len() {
                (Rating::Good, None)
            } else {
                (Rating::Note, Some("`chappe ping --all` shows which ones do not."))
            };
            return Self { check, verdict, found, advice };
        }
        let first = probes.iter().find_map(|probe| probe.failure.as_ref());
        let found = first.map_or_else(String::new, |(_, failure)| failure.to_string());
        let advice = first.map(|(obstacle, _)| match obstacle {
            Obstacle::NoRoute => "This machine has no route there; clients use the other family.",
            Obstacle::Refused | Obstacle::Silence => {
                "A firewall blocks it, or the network does. Clients try the other ports; where all fail, use --carrier wss or a proxy."
            }
            Obstacle::WebServer => "Open a page in a browser, and log in to the network.",
            Obstacle::Name => "Check the resolver of this machine.",
            _ => "Something between changes the bytes: use --carrier wss or a proxy.",
        });
        let verdict = if any_works { Rating::Note } else { Rating::Problem };
        Self { check, verdict, found, advice }
    }
}

impl Findings {
    fn has_problem(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Rating::Problem)
    }
}

impl Report for Findings {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut last = None;
        for Finding { check, verdict, found, advice } in &self.findings {
            let (style, word) = match verdict {
                Rating::Good => (GOOD, "good"),
                Rating::Note => (WARN, "note"),
                Rating::Problem => (BAD, "problem"),
            };
            writeln!(out, "{style}{word:<8}{style:#} {NAME}{check}{NAME:#}: {found}")?;
            // The same advice for the next thing is not repeated.
            if let Some(advice) = advice.filter(|advice| last.replace(*advice) != Some(*advice)) {
                writeln!(out, "         {advice}")?;
            }
        }
        let dc = &self.dc;
        if self.has_problem() {
            writeln!(out, "{BAD}a client has problems with {dc} from here{BAD:#}")
        } else {
            writeln!(out, "{GOOD}a client can connect to {dc} from here{GOOD:#}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rating, judge_clock};

    #[test]
    fn a_clock_is_a_problem_where_datacenters_refuse_its_messages() {
        use Rating::{Good, Note, Problem};
        let verdicts = [0, 6, 299, 300, -29, -30].map(|offset| judge_clock(offset).0);
        assert!(verdicts == [Good, Note, Note, Problem, Note, Problem]);
    }
}
