//! One packet: from the link layer to the payload of TCP.

use std::net::{IpAddr, SocketAddr};

use chappe_framing::UnixTime;
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

/// Most tags of VLANs around a packet.
const MAX_TAGS: usize = 4;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const PPPOE_SESSION: u16 = 0x8864;
const VLANS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// The format of the first bytes of a packet: `LINKTYPE_…` of <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: the address family in the byte order of the machine.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP.
    pub const PPP: Self = Self(9);
    /// IPv4 or IPv6 without anything in front.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, as of the device `any`.
    pub const LINUX_SLL: Self = Self(113);
    /// IPv4.
    pub const IPV4: Self = Self(228);
    /// IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// A packet of a capture.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// When it was captured.
    pub time: UnixTime,
    /// What its first bytes are.
    pub link: LinkType,
    /// Its bytes, as many as were captured.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Creates a packet.
    pub const fn new(number: u64, time: UnixTime, link: LinkType, data: &'a [u8]) -> Self {
        Self { number, time, link, data }
    }
}

/// A segment of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) is_syn: bool,
    pub(super) is_fin: bool,
    pub(super) is_reset: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Returns the segment in a packet. Fragments of IP, of which later ones have no header, are not read.
    pub(super) fn of(packet: &Packet<'a>) -> Option<Self> {
        let sliced = LaxSlicedPacket::from_ip(ip_packet(packet.link, packet.data)?).ok()?;
        let (source, destination): (IpAddr, IpAddr) = match sliced.net.as_ref()? {
            LaxNetSlice::Ipv4(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Ipv6(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Arp(_) => return None,
        };
        if sliced.ip_payload()?.fragmented {
            return None;
        }
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { return None };
        Some(Self {
            from: SocketAddr::new(source, tcp.source_port()),
            to: SocketAddr::new(destination, tcp.destination_port()),
            seq: tcp.sequence_number(),
            ack: tcp.ack().then(|| tcp.acknowledgment_number()),
            is_syn: tcp.syn(),
            is_fin: tcp.fin(),
            is_reset: tcp.rst(),
            payload: tcp.payload(),
        })
    }
}

/// Returns the packet of IP behind the header of the link layer.
fn ip_packet(link: LinkType, data: &[u8]) -> Option<&[u8]> {
    match link {
        LinkType::ETHERNET => network(word(data, 12)?, data.get(14..)?),
        LinkType::LINUX_SLL => network(word(data, 14)?, data.get(16..)?),
        LinkType::LINUX_SLL2 => network(word(data, 0)?, data.get(20..)?),
        // The family differs between systems; the version in the packet does not.
        LinkType::NULL | LinkType::LOOP => data.get(4..),
        LinkType::PPP => point_to_point(data.strip_prefix(&[0xff, 0x03]).unwrap_or(data)),
        // 12 and 14 are the values of some systems for raw packets.
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LinkType(12 | 14) => Some(data),
        _ => None,
    }
}

/// Returns the packet of IP behind tags of VLANs and the header of a PPP session.
fn network(mut kind: u16, mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..=MAX_TAGS {
        match kind {
            IPV4 | IPV6 => return Some(rest),
            PPPOE_SESSION => return point_to_point(rest.get(6..)?),
            _ if VLANS.contains(&kind) => (kind, rest) = (word(rest, 2)?, rest.get(4..)?),
            _ => return None,
        }
    }
    None
}

fn point_to_point(data: &[u8]) -> Option<&[u8]> {
    matches!(word(data, 0)?, PPP_IPV4 | PPP_IPV6).then(|| &data[2..])
}

fn word(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    fn ip(version: u8, payload: &[u8]) -> Vec<u8> {
        let builder = match version {
            4 => PacketBuilder::ipv4([10, 0, 0, 1], [149, 154, 167, 50], 64),
            _ => PacketBuilder::ipv6([1; 16], [2; 16], 64),
        };
        let mut packet = Vec::new();
        builder.tcp(50_000, 443, 7, 1000).ack(9).write(&mut packet, payload).expect("it fits");
        packet
    }

    fn segment(link: u32, data: &[u8]) -> Option<Segment<'_>> {
        Segment::of(&Packet::new(1, UnixTime::EPOCH, LinkType(link), data))
    }

    #[test]
    fn a_segment_is_found_behind_every_kind_of_link() {
        for (version, kind, ppp) in [(4, [0x08, 0x00], 0x21), (6, [0x86, 0xdd], 0x57)] {
            let ip = ip(version, b"payload");
            let expected = segment(101, &ip).expect("raw");
            assert_eq!((expected.seq, expected.ack, expected.payload), (7, Some(9), &b"payload"[..]));
            let cases: [(u32, Vec<u8>); 9] = [
                (0, vec![2, 0, 0, 0]),
                (108, vec![0, 0, 0, 2]),
                (1, [&[0; 12][..], &kind].concat()),
                (1, [&[0; 12][..], &[0x88, 0xa8, 0, 1, 0x81, 0x00, 0, 2], &kind].concat()),
                (1, [&[0; 12][..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 99, 0, ppp]].concat()),
                (9, vec![0xff, 0x03, 0, ppp]),
                (113, [&[0; 14][..], &kind].concat()),
                (276, [&kind[..], &[0; 18]].concat()),
                (228, Vec::new()),
            ];
            for (link, head) in cases {
                let packet = [head, ip.clone()].concat();
                assert_eq!(segment(link, &packet), Some(expected), "link type {link}, IPv{version}");
            }
        }
    }

    #[test]
    fn padding_of_ethernet_is_not_payload_and_a_packet_that_is_cut_has_what_was_captured() {
        let ip = ip(4, b"ab");
        let padded = [&ip[..], &[0; 6]].concat();
        assert_eq!(segment(101, &padded).expect("a segment").payload, b"ab");
        assert_eq!(segment(101, &ip[..ip.len() - 1]).expect("a segment").payload, b"a");
    }

    #[test]
    fn a_length_of_zero_means_that_the_network_card_was_to_fill_it_in() {
        let mut ip = ip(4, b"ab");
        ip[2..4].fill(0);
        assert_eq!(segment(101, &ip).expect("a segment").payload, b"ab");
    }

    #[test]
    fn what_is_not_tcp_and_what_lies_is_skipped() {
        let good = ip(4, b"payload");
        for len in 0..40 {
            assert_eq!(segment(101, &good[..len]), None, "{len} bytes");
        }
        let mut tags = vec![0; 12];
        tags.extend([0x81, 0x00, 0, 1].repeat(40));
        assert_eq!(segment(1, &tags), None);
        let mut fragment = good.clone();
        fragment[6] = 0x20;
        assert_eq!(segment(101, &fragment), None);
        assert_eq!(segment(105, &good), None);
    }
}
