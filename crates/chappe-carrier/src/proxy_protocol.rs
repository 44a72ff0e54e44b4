//! The PROXY protocol of `HAProxy`, versions 1 and 2: a header in front of a connection, in which a load balancer names the
//! client.
//!
//! Anybody can send such a header. A listener must take it only from the addresses of its load balancers, and must require
//! it from them: a connection without one would let a client write its own.
//!
//! ```
//! use chappe_carrier::proxy_protocol::{Announced, parse};
//!
//! let input = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\nfirst bytes";
//! let (announced, used) = parse(input)?.expect("it is complete");
//! assert_eq!(announced, Announced::Client(([192, 0, 2, 7], 51234).into()));
//! assert_eq!(&input[used..], b"first bytes");
//! # Ok::<(), chappe_carrier::proxy_protocol::ProxyHeaderError>(())
//! ```
//!
//! Spec: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

/// Longest header of version 1, its line end included.
const MAX_TEXT: usize = 107;

/// First bytes of version 1, and of version 2.
const TEXT: &[u8] = b"PROXY";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of version 2 in front of the addresses: signature, version and command, family, length.
const HEAD: usize = 16;

/// Longest addresses and extensions of version 2 that are accepted. The specification wants at least 536; TLS extensions with a
/// certificate are the longest.
const MAX_BINARY: usize = 4096;

/// Lengths of two addresses and two ports.
const IPV4: usize = 12;
const IPV6: usize = 36;

/// Whom a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// The client's address.
    Client(SocketAddr),
    /// No client: the load balancer itself, which checks whether the server lives, or a client without an IP address. The
    /// address of the socket counts.
    Unknown,
}

/// Why a connection has no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeaderError {
    /// The first bytes are no header of the PROXY protocol.
    Missing,
    /// The header is malformed, or of an unknown version.
    Malformed,
    /// The header is too long.
    TooLong {
        /// Its length in bytes, as far as it is known.
        len: usize,
    },
}

impl fmt::Display for ProxyHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no header of the proxy protocol"),
            Self::Malformed => f.write_str("header of the proxy protocol is malformed"),
            Self::TooLong { len } => write!(f, "header of the proxy protocol has {len} bytes"),
        }
    }
}

impl core::error::Error for ProxyHeaderError {}

/// Reads the header at the beginning of a connection. Returns whom it names and its length, or `None` if it is incomplete.
///
/// # Errors
///
/// The first byte that does not fit is refused.
pub fn parse(input: &[u8]) -> Result<Option<(Announced, usize)>, ProxyHeaderError> {
    let begins = |expected: &[u8]| {
        let known = input.len().min(expected.len());
        input[..known] == expected[..known]
    };
    match input.first() {
        None => Ok(None),
        Some(_) if begins(SIGNATURE) => binary(input),
        Some(_) if begins(TEXT) => text(input),
        Some(_) => Err(ProxyHeaderError::Missing),
    }
}

/// Version 1: `PROXY TCP4 source destination port port` and a line end.
fn text(input: &[u8]) -> Result<Option<(Announced, usize)>, ProxyHeaderError> {
    let end = input.iter().take(MAX_TEXT).position(|byte| *byte == b'\n');
    let Some(end) = end else {
        let is_too_long = input.len() >= MAX_TEXT;
        return if is_too_long { Err(ProxyHeaderError::TooLong { len: input.len() }) } else { Ok(None) };
    };
    let line = input[..end].strip_suffix(b"\r").and_then(|line| core::str::from_utf8(line).ok());
    let announced = line.and_then(text_line).ok_or(ProxyHeaderError::Malformed)?;
    Ok(Some((announced, end + 1)))
}

fn text_line(line: &str) -> Option<Announced> {
    let mut parts = line.split(' ');
    let (_, family) = (parts.next()?, parts.next()?);
    if family == "UNKNOWN" {
        // What follows is to be ignored.
        return Some(Announced::Unknown);
    }
    let (source, destination) = (parts.next()?, parts.next()?);
    let (port, _) = (port(parts.next()?)?, port(parts.next()?)?);
    let address: IpAddr = match family {
        "TCP4" => both::<Ipv4Addr>(source, destination)?.into(),
        "TCP6" => both::<Ipv6Addr>(source, destination)?.into(),
        _ => return None,
    };
    parts.next().is_none().then_some(Announced::Client(SocketAddr::new(address, port)))
}

/// Returns the first of two addresses, both of which must be of the family.
fn both<A: FromStr>(source: &str, destination: &str) -> Option<A> {
    destination.parse::<A>().ok()?;
    source.parse().ok()
}

/// Reads a port: digits, and no zeros in front.
fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// Version 2: a signature, and fields of fixed length.
fn binary(input: &[u8]) -> Result<Option<(Announced, usize)>, ProxyHeaderError> {
    let Some(&[version_and_command, family, high, low]) =
        input.get(SIGNATURE.len()..).and_then(|rest| rest.first_chunk())
    else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_BINARY {
        return Err(ProxyHeaderError::TooLong { len: HEAD + len });
    }
    let addresses = match (version_and_command, family) {
        (0x21, 0x11) => IPV4,
        (0x21, 0x21) => IPV6,
        // The load balancer's own. Unspecified, datagrams and sockets of Unix: the connection is real, its addresses mean
        // nothing here.
        (0x20, _) | (0x21, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => 0,
        _ => return Err(ProxyHeaderError::Malformed),
    };
    if len < addresses {
        return Err(ProxyHeaderError::Malformed);
    }
    let Some(body) = input.get(HEAD..HEAD + len) else { return Ok(None) };
    let announced = match addresses {
        IPV4 => client::<4>(body, IPV4),
        IPV6 => client::<16>(body, IPV6),
        _ => Some(Announced::Unknown),
    };
    announced.map(|announced| Some((announced, HEAD + len))).ok_or(ProxyHeaderError::Malformed)
}

/// Reads source, destination and their ports. Extensions follow, which are ignored.
fn client<const N: usize>(body: &[u8], len: usize) -> Option<Announced>
where
    IpAddr: From<[u8; N]>,
{
    let address = IpAddr::from(*body.first_chunk::<N>()?);
    let port = u16::from_be_bytes(*body.get(2 * N..len)?.first_chunk()?);
    Some(Announced::Client(SocketAddr::new(address, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Announced {
        Announced::Client(text.parse().expect("an address"))
    }

    /// Parses a header with bytes behind it, whole and cut at every place.
    fn checked(header: &[u8]) -> Announced {
        let found = parse(&[header, b"PROXY"].concat()).expect("it is a header");
        for cut in 0..header.len() {
            assert_eq!(parse(&header[..cut]), Ok(None), "{cut} bytes");
        }
        let (announced, used) = found.expect("it is complete");
        assert_eq!(used, header.len());
        announced
    }

    fn binary_header(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u16).to_be_bytes();
        [SIGNATURE, &[version, family], &len, body].concat()
    }

    #[test]
    fn headers_of_both_versions_name_the_client() {
        let line = checked(b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n");
        assert_eq!(line, client("192.0.2.7:51234"));
        let line = checked(b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n");
        assert_eq!(line, client("[2001:db8::7]:51234"));
        let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        assert!(longest.len() <= MAX_TEXT);
        assert!(matches!(checked(longest.as_bytes()), Announced::Client(_)));
        let four = [&[192, 0, 2, 7, 198, 51, 100, 1][..], &51_234_u16.to_be_bytes(), &[1, 187]].concat();
        assert_eq!(checked(&binary_header(0x21, 0x11, &four)), client("192.0.2.7:51234"));
        let extended = [&four[..], &[0x03, 0, 4, 1, 2, 3, 4]].concat();
        assert_eq!(checked(&binary_header(0x21, 0x11, &extended)), client("192.0.2.7:51234"));
        let source: Ipv6Addr = "2001:db8::7".parse().expect("an address");
        let six = [&source.octets()[..], &[0; 16], &51_234_u16.to_be_bytes(), &[1, 187]].concat();
        assert_eq!(checked(&binary_header(0x21, 0x21, &six)), client("[2001:db8::7]:51234"));
    }

    #[test]
    fn checks_of_a_load_balancer_and_unknown_families_name_nobody() {
        let unknown = Announced::Unknown;
        assert_eq!(checked(b"PROXY UNKNOWN\r\n"), unknown);
        assert_eq!(checked(b"PROXY UNKNOWN whatever follows\r\n"), unknown);
        assert_eq!(checked(&binary_header(0x20, 0x00, &[])), unknown);
        assert_eq!(checked(&binary_header(0x20, 0x11, &[7; 12])), unknown);
        for family in [0x00, 0x12, 0x22, 0x31, 0x32] {
            assert_eq!(checked(&binary_header(0x21, family, &[7; 216])), unknown, "{family:#x}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (input, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], ProxyHeaderError::Missing),
            (b"PROXX", ProxyHeaderError::Missing),
            (b"\r\n\r\n\0\r\nQUIX", ProxyHeaderError::Missing),
            (b"\xef", ProxyHeaderError::Missing),
            (b"PROXY\r\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443 1\r\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 51234\r\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP4 192.0.2.7  198.51.100.1 51234 443\r\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 065 443\r\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 +65 443\r\n", ProxyHeaderError::Malformed),
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", ProxyHeaderError::Malformed),
            (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n", ProxyHeaderError::Malformed),
            (b"PROXY \xff\r\n", ProxyHeaderError::Malformed),
        ] {
            assert_eq!(parse(input), Err(expected), "{input:?}");
        }
        assert_eq!(parse(&[b'P'; 1]), Ok(None));
        let long = [&b"PROXY "[..], &[b'x'; 200]].concat();
        assert_eq!(parse(&long[..106]), Ok(None));
        assert_eq!(parse(&long[..107]), Err(ProxyHeaderError::TooLong { len: 107 }));
        for (version, family, body) in
            [(0x11, 0x11, 12), (0x22, 0x11, 12), (0x21, 0x41, 12), (0x21, 0x11, 11), (0x21, 0x21, 35)]
        {
            let header = binary_header(version, family, &vec![7; body]);
            assert_eq!(parse(&header), Err(ProxyHeaderError::Malformed), "{version:#x} {family:#x} {body}");
        }
        let long = binary_header(0x21, 0x11, &[7; MAX_BINARY + 1]);
        assert_eq!(parse(&long), Err(ProxyHeaderError::TooLong { len: HEAD + MAX_BINARY + 1 }));
    }
}
