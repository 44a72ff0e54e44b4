//! Addresses and keys of datacenters, as the datacenters report them.
//!
//! `help.getConfig` and `updateDcOptions` carry rows of addresses, `help.getCdnConfig` carries rows of keys.
//! [`candidates`] makes of the first what a client dials, [`cdn_keys`] of the second whom a client trusts.
//!
//! ```no_run
//! # #[cfg(feature = "blocking")] {
//! use chappe::api::functions::help::GetConfig;
//! use chappe::config::{self, Route};
//! use chappe::net::{ConnectOptions, blocking};
//!
//! let mut options = ConnectOptions::production(2);
//! let client = blocking::connect(options.clone())?;
//! let config = client.invoke(&GetConfig {}).wait()?;
//! let known = config::candidates(config.get().dc_options, options.handshake.dc, Route::Direct);
//! if !known.is_empty() {
//!     options.candidates = known; // for the next connection
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::net::{IpAddr, SocketAddr};

use chappe_crypto::rsa::{KeyError, KeyRing, PublicKey};
use chappe_net::{Candidate, DialOptions};
use chappe_tl_api::{enums, types};
use chappe_transport::{Connector, Framing, ProxySecret};
use chappe_types::{DcId, Traffic};

/// Ports that lead to the same service on every address of a datacenter, unless its row says `this_port_only`. Networks
/// that block one of them often let another one pass.
pub const PORTS: [u16; 3] = [443, 80, 5222];

/// How connections reach the datacenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// Directly, or through something that changes nothing for the datacenter.
    Direct,
    /// Through a SOCKS5 or HTTP proxy: addresses marked `static` are used if there are any, since others may only be
    /// reachable from the network that asked.
    Proxied,
}

/// Makes candidates of the rows of a datacenter.
///
/// The order is that of a race: all addresses under the port of their row, then under each further port of [`PORTS`].
/// Connections for media try addresses for media first; other connections never use them. Rows with a secret get
/// connections with that secret. All candidates are obfuscated TCP, so rows that are `tcpo_only` need nothing else. Rows
/// of CDN datacenters and rows that cannot be read are left out.
pub fn candidates(rows: &[enums::DcOption<'_>], dc: DcId, route: Route) -> Vec<Candidate> {
    select(rows, dc, route, |row| !row.cdn)
}

/// Makes candidates of the rows of a CDN datacenter; see [`candidates`]. The keys to trust there come from [`cdn_keys`].
pub fn cdn_candidates(rows: &[enums::DcOption<'_>], dc: DcId, route: Route) -> Vec<Candidate> {
    select(rows, dc, route, |row| row.cdn)
}

/// Makes the ring of the keys that a CDN datacenter may use, of the rows of `help.getCdnConfig`.
///
/// CDN keys belong into a ring of their own (`SEC-18`).
///
/// # Errors
///
/// Fails if a key of this datacenter cannot be read.
pub fn cdn_keys(rows: &[enums::CdnPublicKey<'_>], dc: u16) -> Result<KeyRing, KeyError> {
    let mut keys = KeyRing::empty();
    for row in rows.iter().filter(|row| row.dc_id == i32::from(dc)) {
        keys.add(PublicKey::from_pem(row.public_key)?);
    }
    Ok(keys)
}

fn select(
    rows: &[enums::DcOption<'_>],
    dc: DcId,
    route: Route,
    is_wanted: fn(&types::DcOption<'_>) -> bool,
) -> Vec<Candidate> {
    let is_media = dc.traffic() == Traffic::MediaOnly;
    let of_dc = rows.iter().filter(|row| row.id == i32::from(dc.number()) && is_wanted(row));
    let mut rows: Vec<&types::DcOption<'_>> =
        of_dc.map(|row| row.0).filter(|row| is_media || !row.media_only).collect();
    if route == Route::Proxied && rows.iter().any(|row| row.r#static) {
        rows.retain(|row| row.r#static);
    }
    // The sort is stable: the datacenter's own order counts among equals.
    rows.sort_by_key(|row| is_media && !row.media_only);
    let mut found: Vec<Candidate> = Vec::new();
    for further in [None, Some(PORTS[0]), Some(PORTS[1]), Some(PORTS[2])] {
        for row in rows.iter().filter(|row| further.is_none() || !row.this_port_only) {
            let Some(candidate) = candidate(row, dc, further) else { continue };
            // With another secret the same address is another candidate.
            let is_known = found
                .iter()
                .zip(1..)
                .any(|(known, _)| known.address == candidate.address && row.secret.is_none());
            if !is_known {
                found.push(candidate);
            }
        }
    }
    found
}

/// Makes a candidate of a row, under its own port or a further one; `None` if it cannot be read.
fn candidate(row: &types::DcOption<'_>, dc: DcId, further: Option<u16>) -> Option<Candidate> {
    let address: IpAddr = row.ip_address.parse().ok()?;
    let own = u16::try_from(row.port).ok().filter(|port| *port != 0)?;
    let port = further.unwrap_or(own);
    if further == Some(own) {
        return None;
    }
    let connector = match row.secret {
        Some(secret) => Connector::proxy(&ProxySecret::from_bytes(secret).ok()?, dc),
        None => Connector::obfuscated(Framing::Intermediate, None).ok()?,
    };
    Some(Candidate { address: SocketAddr::new(address, port).into(), dialling: DialOptions::new(connector) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i32, ip_address: &str, port: i32) -> types::DcOption<'_> {
        types::DcOption {
            ipv6: false,
            media_only: false,
            tcpo_only: false,
            cdn: false,
            r#static: false,
            this_port_only: false,
            id,
            ip_address,
            port,
            secret: None,
        }
    }

    fn addresses(rows: &[types::DcOption<'_>], dc: DcId, route: Route) -> Vec<String> {
        let rows: Vec<enums::DcOption<'_>> = rows.iter().map(enums::DcOption::from).collect();
        candidates(&rows, dc, route).iter().map(|candidate| candidate.address.to_string()).collect()
    }

    #[test]
    fn each_address_is_tried_under_its_port_and_then_under_the_others() {
        let two = DcId::production(2);
        let rows = [row(2, "192.0.2.1", 443), row(2, "2001:db8::1", 8443), row(1, "192.0.2.9", 443)];
        let expected = [
            "192.0.2.1:443",
            "[2001:db8::1]:8443",
            "[2001:db8::1]:443",
            "192.0.2.1:80",
            "[2001:db8::1]:80",
            "192.0.2.1:5222",
            "[2001:db8::1]:5222",
        ];
        assert_eq!(addresses(&rows, two, Route::Direct), expected);
        let only = [types::DcOption { this_port_only: true, ..row(2, "192.0.2.1", 4430) }];
        assert_eq!(addresses(&only, two, Route::Direct), ["192.0.2.1:4430"]);
    }

    #[test]
    fn media_goes_to_addresses_for_media_first_and_nothing_else_goes_there() {
        let media = types::DcOption { media_only: true, this_port_only: true, ..row(2, "192.0.2.2", 443) };
        let rows = [types::DcOption { this_port_only: true, ..row(2, "192.0.2.1", 443) }, media];
        assert_eq!(addresses(&rows, DcId::production(2), Route::Direct), ["192.0.2.1:443"]);
        let all = addresses(&rows, DcId::production(2).media_only(), Route::Direct);
        assert_eq!(all, ["192.0.2.2:443", "192.0.2.1:443"]);
    }

    #[test]
    fn through_a_proxy_static_addresses_are_used_if_there_are_any() {
        let fixed = types::DcOption { r#static: true, this_port_only: true, ..row(2, "192.0.2.2", 443) };
        let rows = [types::DcOption { this_port_only: true, ..row(2, "192.0.2.1", 443) }, fixed];
        assert_eq!(addresses(&rows, DcId::production(2), Route::Proxied), ["192.0.2.2:443"]);
        assert_eq!(addresses(&rows[..1], DcId::production(2), Route::Proxied), ["192.0.2.1:443"]);
        assert_eq!(addresses(&rows, DcId::production(2), Route::Direct).len(), 2);
    }

    #[test]
    fn rows_that_cannot_be_read_and_rows_of_cdns_are_left_out() {
        let short: &[u8] = &[1, 2, 3];
        let rows = [
            row(2, "not an address", 443),
            row(2, "192.0.2.1", 0),
            row(2, "192.0.2.1", 70_000),
            row(2, "192.0.2.1", -1),
            types::DcOption { secret: Some(short), ..row(2, "192.0.2.1", 443) },
            types::DcOption { cdn: true, this_port_only: true, ..row(2, "192.0.2.3", 443) },
        ];
        assert!(addresses(&rows, DcId::production(2), Route::Direct).is_empty());
        let rows: Vec<enums::DcOption<'_>> = rows.iter().map(enums::DcOption::from).collect();
        let cdn = cdn_candidates(&rows, DcId::production(2), Route::Direct);
        assert_eq!(cdn.len(), 1);
    }

    #[test]
    fn a_row_with_a_secret_is_dialled_with_it() {
        let secret: &[u8] = &[7; 16];
        let rows =
            [types::DcOption { secret: Some(secret), this_port_only: true, ..row(2, "192.0.2.1", 443) }];
        let rows: Vec<enums::DcOption<'_>> = rows.iter().map(enums::DcOption::from).collect();
        let found = candidates(&rows, DcId::production(2), Route::Direct);
        assert_eq!(found.len(), 1);
        let plain = Connector::obfuscated(Framing::Intermediate, None).expect("it can be hidden");
        assert_ne!(format!("{:?}", found[0].dialling.connector), format!("{plain:?}"));
    }

    #[test]
    fn a_cdn_is_trusted_by_the_keys_of_its_rows() {
        let pem = KeyRing::test().iter().next().expect("a key").to_pem().expect("it can be written");
        let row = |dc_id, public_key| enums::CdnPublicKey::from(types::CdnPublicKey { dc_id, public_key });
        let rows = [row(203, pem.as_str()), row(203, pem.as_str()), row(121, "nonsense")];
        let keys = cdn_keys(&rows, 203).expect("its keys can be read");
        assert_eq!(keys.iter().count(), 1);
        assert!(cdn_keys(&rows, 121).is_err());
        assert_eq!(cdn_keys(&rows, 5).expect("no row, no key").iter().count(), 0);
    }
}
