//! Which addresses count as one client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many leading bits of an address name the network that limits apply to.
///
/// Providers give each customer a whole /64 of IPv6, and clients behind one translator share an address of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Networks {
    /// Bits of an IPv4 address. Default 32: each address by itself. 24 suits servers that are attacked from whole blocks.
    pub ipv4_bits: u8,
    /// Bits of an IPv6 address. Default 64.
    pub ipv6_bits: u8,
}

impl Networks {
    chappe_types::with!();

    /// Returns the first address of the network of an address.
    pub fn of(&self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.ipv4_bits.into())).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.ipv6_bits.into())).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        }
    }
}

impl Default for Networks {
    fn default() -> Self {
        Self { ipv4_bits: 32, ipv6_bits: 64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(networks: Networks, address: &str) -> String {
        networks.of(address.parse().expect("an address")).to_string()
    }

    #[test]
    fn an_address_has_the_network_of_its_leading_bits() {
        let usual = Networks::default();
        assert_eq!(of(usual, "192.0.2.77"), "192.0.2.77");
        assert_eq!(of(usual, "::ffff:192.0.2.77"), "192.0.2.77");
        assert_eq!(of(usual, "2001:db8:0:1:2::1"), "2001:db8:0:1::");
        let wide = usual.with(|networks| {
            networks.ipv4_bits = 24;
            networks.ipv6_bits = 48;
        });
        assert_eq!(of(wide, "192.0.2.77"), "192.0.2.0");
        assert_eq!(of(wide, "2001:db8:0:1:2::1"), "2001:db8::");
        let extreme = usual.with(|networks| {
            networks.ipv4_bits = 0;
            networks.ipv6_bits = 255;
        });
        assert_eq!(of(extreme, "192.0.2.77"), "0.0.0.0");
        assert_eq!(of(extreme, "2001:db8::1"), "2001:db8::1");
    }
}
