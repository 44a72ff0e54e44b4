//! The method `CONNECT` of HTTP: one head each way.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-connect>.

use chappe_transport::http::status_line;
use chappe_transport::{ConnectionLimits, ReadBuf};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::{AuthScheme, Credentials, ProxyError};
use crate::Address;

/// Begins the header that carries the credentials.
const HEADER: &[u8] = b"Proxy-Authorization: Basic ";

/// Waiting for the answer.
#[derive(Debug)]
pub(crate) struct HttpConnect {
    has_credentials: bool,
}

impl HttpConnect {
    pub(super) fn start(
        target: &Address,
        credentials: Option<&Credentials>,
        out: &mut Zeroizing<Vec<u8>>,
    ) -> Self {
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        let authorization = credentials.map(basic);
        // A buffer that grows leaves copies of the password behind.
        out.reserve(request.len() + HEADER.len() + authorization.as_ref().map_or(0, |text| text.len()) + 4);
        out.extend_from_slice(request.as_bytes());
        if let Some(authorization) = authorization {
            out.extend_from_slice(HEADER);
            out.extend_from_slice(authorization.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Self { has_credentials: credentials.is_some() }
    }

    pub(super) fn handle(&self, buf: &mut ReadBuf) -> Result<bool, ProxyError> {
        let answer = status_line(buf.raw(), &ConnectionLimits::DEFAULT).map_err(|_| ProxyError::Malformed)?;
        let Some((status, head_len)) = answer else { return Ok(false) };
        let unsupported = unsupported_scheme(&buf.raw()[..head_len]);
        buf.consume_raw(head_len);
        match status {
            // Whatever of 2xx it is, there is no body: the tunnel begins behind the empty line.
            200..=299 => Ok(true),
            407 => Err(unauthorized(unsupported, self.has_credentials)),
            status => Err(ProxyError::HttpRefused { status }),
        }
    }
}

/// Returns name and password as `Basic` sends them, RFC 7617.
pub(crate) fn basic(credentials: &Credentials) -> Zeroizing<String> {
    let Credentials { name, password } = credentials;
    let pair = Zeroizing::new([name.as_bytes(), b":", password.as_bytes()].concat());
    Zeroizing::new(BASE64.encode(&pair))
}

/// Returns the error for status 407, by the head of the answer.
pub(crate) fn on_unauthorized(head: &[u8], has_credentials: bool) -> ProxyError {
    unauthorized(unsupported_scheme(head), has_credentials)
}

fn unauthorized(unsupported: Option<AuthScheme>, has_credentials: bool) -> ProxyError {
    match unsupported {
        Some(scheme) => ProxyError::UnsupportedScheme { scheme },
        None if has_credentials => ProxyError::CredentialsRefused,
        None => ProxyError::NoCommonMethod,
    }
}

/// Returns the first scheme by which the proxy asks for credentials, unless it takes `Basic`.
fn unsupported_scheme(head: &[u8]) -> Option<AuthScheme> {
    let head = String::from_utf8_lossy(head);
    let challenges = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("Proxy-Authenticate").then_some(value)
    });
    // A scheme stands at the beginning of the header, or behind a comma and without `=`. RFC 9110 section 11.6.1.
    let words =
        challenges.flat_map(|value| value.split(',')).filter_map(|part| part.split_whitespace().next());
    let mut schemes = words.filter(|word| !word.contains('=')).peekable();
    let first = schemes.peek().map(|name| AuthScheme::of(name));
    first.filter(|_| !schemes.any(|name| name.eq_ignore_ascii_case("Basic")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answer: &[u8]) -> Result<(bool, Vec<u8>), ProxyError> {
        let target = Address::of("2001:db8::1", 443);
        let machine = HttpConnect::start(&target, None, &mut Zeroizing::default());
        let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        buf.extend_from_slice(answer).expect("it fits");
        let is_done = machine.handle(&mut buf)?;
        Ok((is_done, buf.raw().to_vec()))
    }

    #[test]
    fn the_question_names_the_target_and_who_asks() {
        let target = Address::of("2001:db8::1", 443);
        let mut out = Zeroizing::default();
        HttpConnect::start(&target, Some(&Credentials::new("Aladdin", "open sesame")), &mut out);
        let expected = "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\
            Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn a_name_is_left_to_the_proxy() {
        let mut out = Zeroizing::default();
        HttpConnect::start(&Address::of("proxy.example", 443), None, &mut out);
        let expected = "CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example:443\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn the_tunnel_begins_behind_the_head() {
        let (is_done, rest) =
            answered(b"HTTP/1.1 200 Connection established\r\n\r\nxyz").expect("it says yes");
        assert!(is_done);
        assert_eq!(rest, b"xyz");
        assert!(!answered(b"HTTP/1.1 200 OK\r\nVia: a").expect("nothing is wrong yet").0);
    }

    #[test]
    fn refusals_say_why() {
        let refused = |answer: &[u8]| answered(answer).expect_err("the proxy refuses");
        let forbidden = refused(b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(matches!(forbidden, ProxyError::HttpRefused { status: 403 }));
        let unknown = refused(b"HTTP/1.0 407 Proxy Authentication Required\r\n\r\n");
        assert!(matches!(unknown, ProxyError::NoCommonMethod));
        let asks = |challenges: &str| {
            refused(format!("HTTP/1.1 407 Authenticate\r\n{challenges}\r\n\r\n").as_bytes())
        };
        for (challenges, expected) in [
            (
                "Proxy-Authenticate: Digest realm=\"a, b\", nonce=\"Basic\", qop=\"auth\"",
                Some(AuthScheme::Digest),
            ),
            ("proxy-authenticate: Negotiate\r\nProxy-Authenticate: NTLM", Some(AuthScheme::Negotiate)),
            ("Proxy-Authenticate: NTLM", Some(AuthScheme::Ntlm)),
            ("Proxy-Authenticate: Bearer realm=\"a\"", Some(AuthScheme::Other)),
            ("Proxy-Authenticate: Digest realm=\"a\"\r\nProxy-Authenticate: Basic realm=\"a\"", None),
            ("Proxy-Authenticate: Negotiate, Basic realm=\"a\"", None),
            ("Proxy-Authenticate: basic realm=\"a\"", None),
            ("X-Proxy-Authenticate: Digest", None),
        ] {
            let found = match asks(challenges) {
                ProxyError::UnsupportedScheme { scheme } => Some(scheme),
                ProxyError::NoCommonMethod => None,
                other => panic!("{challenges}: {other:?}"),
            };
            assert_eq!(found, expected, "{challenges}");
        }
        assert!(matches!(refused(b"SSH-2.0-OpenSSH\r\n\r\n"), ProxyError::Malformed));
        assert!(matches!(refused(&[b'x'; 9000]), ProxyError::Malformed));
    }
}
