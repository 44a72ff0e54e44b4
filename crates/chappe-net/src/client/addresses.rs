//! The addresses of the public datacenters, as two official clients have them built in.
//!
//! They serve for the first connection: `help.getConfig` returns the current ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use chappe_handshake::DcId;
use chappe_transport::{Connector, Framing};

use super::Candidate;
use crate::options::DialOptions;

/// Ports that lead to the same service. Networks that block one of them often let another one pass.
const PORTS: [u16; 3] = [443, 80, 5222];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(a: u16, b: u16, c: u16, d: u16, h: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, h))
}

/// IPv4 and IPv6 alternate, so that a race tries both families early.
const PRODUCTION: [&[IpAddr]; 5] = [
    &[v4(149, 154, 175, 50), v6(0x2001, 0xb28, 0xf23d, 0xf001, 0xa)],
    &[v4(149, 154, 167, 51), v6(0x2001, 0x67c, 0x4e8, 0xf002, 0xa), v4(95, 161, 76, 100)],
    &[v4(149, 154, 175, 100), v6(0x2001, 0xb28, 0xf23d, 0xf003, 0xa)],
    &[v4(149, 154, 167, 91), v6(0x2001, 0x67c, 0x4e8, 0xf004, 0xa)],
    &[v4(149, 154, 171, 5), v6(0x2001, 0xb28, 0xf23f, 0xf005, 0xa)],
];

const TEST: [&[IpAddr]; 3] = [
    &[v4(149, 154, 175, 10), v6(0x2001, 0xb28, 0xf23d, 0xf001, 0xe)],
    &[v4(149, 154, 167, 40), v6(0x2001, 0x67c, 0x4e8, 0xf002, 0xe)],
    &[v4(149, 154, 175, 117), v6(0x2001, 0xb28, 0xf23d, 0xf003, 0xe)],
];

pub(super) fn production(dc: u16) -> Vec<Candidate> {
    candidates(&PRODUCTION, DcId::production(dc))
}

pub(super) fn test(dc: u16) -> Vec<Candidate> {
    candidates(&TEST, DcId::test(dc))
}

fn candidates(table: &[&[IpAddr]], dc: DcId) -> Vec<Candidate> {
    let addresses = usize::from(dc.number()).checked_sub(1).and_then(|place| table.get(place));
    let connector =
        Connector::obfuscated(Framing::Intermediate, None).expect("the framing can be hidden: it has a tag");
    let make = |(port, address): (u16, &IpAddr)| Candidate {
        address: SocketAddr::new(*address, port).into(),
        dialling: DialOptions::new(connector.clone()),
    };
    let addresses = addresses.copied().unwrap_or_default();
    PORTS
        .into_iter()
        .flat_map(|port| addresses.iter().map(move |address| (port, address)))
        .map(make)
        .collect()
}

#[cfg(test)]
mod tests {
    use chappe_carrier::Address;

    use super::*;

    #[test]
    fn every_datacenter_has_addresses_of_both_families_and_no_other_has_any() {
        for dc in 1..=5 {
            let found = production(dc);
            let is = |family: &dyn Fn(&SocketAddr) -> bool| {
                found.iter().any(|found| matches!(&found.address, Address::Socket(at) if family(at)))
            };
            assert!(is(&SocketAddr::is_ipv4) && is(&SocketAddr::is_ipv6), "{dc}");
            for port in PORTS {
                assert!(is(&|address| address.port() == port), "{dc}");
            }
        }
        assert_eq!(production(2)[1].address.to_string(), "[2001:67c:4e8:f002::a]:443");
        assert!(production(0).is_empty() && production(6).is_empty() && test(4).is_empty());
    }
}
