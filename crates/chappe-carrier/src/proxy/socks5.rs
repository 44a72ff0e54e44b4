//! SOCKS version 5: a greeting, perhaps credentials, then the request to connect.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc1928>, <https://www.rfc-editor.org/rfc/rfc1929>.

use std::net::SocketAddr;

use chappe_transport::ReadBuf;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Credentials, ProxyError};
use crate::Address;

const VERSION: u8 = 5;
/// Version of the exchange of credentials.
const CREDENTIALS_VERSION: u8 = 1;
const NO_CREDENTIALS: u8 = 0;
const NAME_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const HOST_NAME: u8 = 3;
const IPV6: u8 = 4;
/// One byte counts the bytes of a name.
const MAX_HOST: usize = 255;

/// One exchange.
#[derive(Debug)]
pub(crate) struct Socks5 {
    state: State,
    target: Address,
    credentials: Option<Credentials>,
}

/// What is awaited.
#[derive(Clone, Copy, Debug)]
enum State {
    Method,
    Verdict,
    Reply,
}

impl Socks5 {
    pub(super) fn start(
        target: Address,
        credentials: Option<Credentials>,
        out: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Self, ProxyError> {
        if target.socket().is_none() && target.name().is_none_or(|(host, _)| host.len() > MAX_HOST) {
            return Err(ProxyError::UnusableTarget);
        }
        match &credentials {
            None => out.extend_from_slice(&[VERSION, 1, NO_CREDENTIALS]),
            Some(given) => {
                if !given.fit_into_socks5() {
                    return Err(ProxyError::UnusableCredentials);
                }
                out.extend_from_slice(&[VERSION, 2, NO_CREDENTIALS, NAME_AND_PASSWORD]);
            }
        }
        Ok(Self { state: State::Method, target, credentials })
    }

    pub(super) fn handle(
        &mut self,
        buf: &mut ReadBuf,
        out: &mut Zeroizing<Vec<u8>>,
    ) -> Result<bool, ProxyError> {
        loop {
            match self.state {
                State::Method => {
                    let Some(&[version, method]) = buf.raw().first_chunk() else { return Ok(false) };
                    buf.consume_raw(2);
                    self.on_method(version, method, out)?;
                }
                State::Verdict => {
                    let Some(&[version, status]) = buf.raw().first_chunk() else { return Ok(false) };
                    buf.consume_raw(2);
                    match (version, status) {
                        (CREDENTIALS_VERSION, 0) => self.ask(out),
                        (CREDENTIALS_VERSION, _) => return Err(ProxyError::CredentialsRefused),
                        _ => return Err(ProxyError::Malformed),
                    }
                }
                State::Reply => {
                    let Some(used) = reply_len(buf.raw())? else { return Ok(false) };
                    buf.consume_raw(used);
                    return Ok(true);
                }
            }
        }
    }

    fn on_method(&mut self, version: u8, method: u8, out: &mut Zeroizing<Vec<u8>>) -> Result<(), ProxyError> {
        if version != VERSION {
            return Err(ProxyError::Malformed);
        }
        match (method, &self.credentials) {
            (NO_CREDENTIALS, _) => self.ask(out),
            (NAME_AND_PASSWORD, Some(Credentials { name, password })) => {
                // A buffer that grows leaves copies of the password behind.
                out.reserve(3 + name.len() + password.len());
                out.extend_from_slice(&[CREDENTIALS_VERSION, name.len() as u8]);
                out.extend_from_slice(name.as_bytes());
                out.push(password.len() as u8);
                out.extend_from_slice(password.as_bytes());
                self.state = State::Verdict;
            }
            (NAME_AND_PASSWORD | NO_ACCEPTABLE_METHOD, _) => return Err(ProxyError::NoCommonMethod),
            _ => return Err(ProxyError::Malformed),
        }
        Ok(())
    }

    fn ask(&mut self, out: &mut Zeroizing<Vec<u8>>) {
        if let Some(credentials) = &mut self.credentials {
            credentials.password.zeroize();
        }
        out.extend_from_slice(&[VERSION, CONNECT, 0]);
        let port = match (self.target.socket(), self.target.name()) {
            (Some(SocketAddr::V4(v4)), _) => {
                out.push(IPV4);
                out.extend_from_slice(&v4.ip().octets());
                v4.port()
            }
            (Some(SocketAddr::V6(v6)), _) => {
                out.push(IPV6);
                out.extend_from_slice(&v6.ip().octets());
                v6.port()
            }
            // The proxy looks it up. `start` has checked that it is a name.
            (None, name) => {
                let (host, port) = name.unwrap_or_default();
                out.extend_from_slice(&[HOST_NAME, host.len() as u8]);
                out.extend_from_slice(host.as_bytes());
                port
            }
        };
        out.extend_from_slice(&port.to_be_bytes());
        self.state = State::Reply;
    }
}

/// Returns the length of a reply that says yes, or `None` if more must arrive.
fn reply_len(input: &[u8]) -> Result<Option<usize>, ProxyError> {
    match input {
        [version, ..] if *version != VERSION => return Err(ProxyError::Malformed),
        // What follows a refusal does not matter, and some proxies send nothing.
        [_, reply, ..] if *reply != 0 => return Err(ProxyError::Socks5Refused { reply: *reply }),
        _ => {}
    }
    let Some(&[_, _, _, kind, first]) = input.first_chunk() else { return Ok(None) };
    let address = match kind {
        IPV4 => 4,
        IPV6 => 16,
        HOST_NAME => 1 + usize::from(first),
        _ => return Err(ProxyError::Malformed),
    };
    let len = 4 + address + 2;
    Ok((len <= input.len()).then_some(len))
}

#[cfg(test)]
mod tests {
    use chappe_transport::ConnectionLimits;

    use super::*;

    fn target() -> Address {
        Address::of("149.154.167.51", 443)
    }

    /// Feeds answers one byte at a time and returns what was sent for each, and whether it is done.
    fn exchange(
        credentials: Option<Credentials>,
        answers: &[&[u8]],
    ) -> Result<(Vec<Vec<u8>>, bool), ProxyError> {
        exchange_for(target(), credentials, answers)
    }

    fn exchange_for(
        target: Address,
        credentials: Option<Credentials>,
        answers: &[&[u8]],
    ) -> Result<(Vec<Vec<u8>>, bool), ProxyError> {
        let mut first = Zeroizing::default();
        let mut machine = Socks5::start(target, credentials, &mut first)?;
        let mut sent = vec![first.to_vec()];
        let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        let mut is_done = false;
        for answer in answers {
            let mut out = Zeroizing::default();
            for byte in *answer {
                assert!(!is_done, "nothing is read behind the reply");
                buf.extend_from_slice(&[*byte]).expect("it fits");
                is_done = machine.handle(&mut buf, &mut out)?;
            }
            sent.push(out.to_vec());
        }
        assert!(buf.is_empty());
        Ok((sent, is_done))
    }

    const YES: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    #[test]
    fn without_credentials_there_are_two_questions() {
        let (sent, is_done) = exchange(None, &[&[5, 0], YES]).expect("the proxy says yes");
        assert!(is_done);
        assert_eq!(sent, [vec![5, 1, 0], vec![5, 1, 0, 1, 149, 154, 167, 51, 1, 187], vec![]]);
    }

    #[test]
    fn a_name_is_left_to_the_proxy_and_an_address_in_text_form_is_an_address() {
        let asked = |target| exchange_for(target, None, &[&[5, 0], YES]).map(|(sent, _)| sent[1].clone());
        let name: Vec<u8> = [&[5, 1, 0, 3, 13][..], b"proxy.example", &[1, 187]].concat();
        assert_eq!(asked(Address::of("proxy.example", 443)).expect("a name"), name);
        let six: Vec<u8> = [&[5, 1, 0, 4][..], &[0; 15], &[1, 1, 187]].concat();
        assert_eq!(asked(Address::Name("[::1]:443".into())).expect("an address"), six);
        for bad in ["proxy.example", ":443", "proxy.example:http", "a\r\nb:443", ""] {
            let refused = asked(Address::Name(bad.into()));
            assert!(matches!(refused, Err(ProxyError::UnusableTarget)), "{bad:?}: {refused:?}");
        }
        let long = asked(Address::of(&"x".repeat(256), 443));
        assert!(matches!(long, Err(ProxyError::UnusableTarget)), "{long:?}");
    }

    #[test]
    fn credentials_are_sent_when_asked_for() {
        let credentials = Credentials::new("me", "key");
        let (sent, is_done) =
            exchange(Some(credentials.clone()), &[&[5, 2], &[1, 0], YES]).expect("the proxy says yes");
        assert!(is_done);
        assert_eq!(sent[0], [5, 2, 0, 2]);
        assert_eq!(sent[1], [1, 2, b'm', b'e', 3, b'k', b'e', b'y']);
        assert_eq!(sent[2], [5, 1, 0, 1, 149, 154, 167, 51, 1, 187]);
        // A zero length is one.
        let (sent, _) = exchange(Some(Credentials::new("me", "")), &[&[5, 2], &[1, 0]]).expect("it is taken");
        assert_eq!(sent[1], [1, 2, b'm', b'e', 0]);
        let error = exchange(Some(credentials), &[&[5, 2], &[1, 1]]).expect_err("the password is wrong");
        assert!(matches!(error, ProxyError::CredentialsRefused));
    }

    #[test]
    fn every_form_of_the_reply_is_read_to_its_end() {
        let name: Vec<u8> = [&[5, 0, 0, 3, 4][..], b"host", &[0, 80]].concat();
        let six: Vec<u8> = [&[5, 0, 0, 4][..], &[0; 16], &[0, 80]].concat();
        for reply in [name, six] {
            assert!(exchange(None, &[&[5, 0], &reply]).expect("the proxy says yes").1);
        }
    }

    #[test]
    fn refusals_say_why() {
        let refused = |answers: &[&[u8]]| exchange(None, answers).expect_err("the proxy refuses");
        assert!(matches!(refused(&[&[5, 0xff]]), ProxyError::NoCommonMethod));
        assert!(matches!(refused(&[&[5, 2]]), ProxyError::NoCommonMethod));
        assert!(matches!(refused(&[&[4, 0]]), ProxyError::Malformed));
        assert!(matches!(refused(&[&[5, 9]]), ProxyError::Malformed));
        assert!(matches!(refused(&[&[5, 0], &[5, 5]]), ProxyError::Socks5Refused { reply: 5 }));
        assert!(matches!(refused(&[&[5, 0], &[5, 0, 0, 9, 0]]), ProxyError::Malformed));
        let long = Credentials::new("me", "x".repeat(256));
        assert!(matches!(exchange(Some(long), &[]), Err(ProxyError::UnusableCredentials)));
    }
}
