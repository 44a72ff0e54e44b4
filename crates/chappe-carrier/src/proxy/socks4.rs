//! SOCKS version 4: one question and one answer. In 4a the proxy looks a name up.
//!
//! Spec: <https://www.openssh.com/txt/socks4.protocol>, <https://www.openssh.com/txt/socks4a.protocol>.

use std::net::SocketAddr;

use chappe_transport::ReadBuf;
use zeroize::Zeroizing;

use super::ProxyError;
use crate::Address;

const VERSION: u8 = 4;
const CONNECT: u8 = 1;

/// In place of an address: a name follows.
const NAME_FOLLOWS: [u8; 4] = [0, 0, 0, 1];

/// Bytes of the answer: a zero, the reply, and an address that means nothing.
const ANSWER: usize = 8;
const GRANTED: u8 = 90;

/// Longest name of a user or a host.
const MAX_NAME: usize = 255;

/// Waiting for the answer.
#[derive(Debug)]
pub(crate) struct Socks4;

/// Returns whether a name can be sent: it ends with a zero byte.
pub(super) fn can_carry(name: &str) -> bool {
    name.len() <= MAX_NAME && !name.contains('\0')
}

impl Socks4 {
    pub(super) fn start(
        target: &Address,
        user: &str,
        out: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Self, ProxyError> {
        if !can_carry(user) {
            return Err(ProxyError::UnusableCredentials);
        }
        let (address, port, name) = match (target.socket(), target.name()) {
            (Some(SocketAddr::V4(v4)), _) => (v4.ip().octets(), v4.port(), None),
            (None, Some((host, port))) if can_carry(host) => (NAME_FOLLOWS, port, Some(host)),
            _ => return Err(ProxyError::UnusableTarget),
        };
        out.extend_from_slice(&[VERSION, CONNECT]);
        out.extend_from_slice(&port.to_be_bytes());
        out.extend_from_slice(&address);
        out.extend_from_slice(user.as_bytes());
        out.push(0);
        if let Some(name) = name {
            out.extend_from_slice(name.as_bytes());
            out.push(0);
        }
        Ok(Self)
    }

    #[allow(clippy::unused_self, reason = "a machine as the others")]
    pub(super) fn handle(&self, buf: &mut ReadBuf) -> Result<bool, ProxyError> {
        match buf.raw() {
            [zero, ..] if *zero != 0 => return Err(ProxyError::Malformed),
            // What follows a refusal does not matter, and some proxies send nothing.
            [_, reply, ..] if *reply != GRANTED => return Err(ProxyError::Socks4Refused { reply: *reply }),
            answer if answer.len() < ANSWER => return Ok(false),
            _ => {}
        }
        buf.consume_raw(ANSWER);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use chappe_transport::ConnectionLimits;

    use super::*;

    fn asked(target: &Address, user: &str) -> Result<Vec<u8>, ProxyError> {
        let mut out = Zeroizing::default();
        Socks4::start(target, user, &mut out)?;
        Ok(out.to_vec())
    }

    fn answered(answer: &[u8]) -> Result<(bool, usize), ProxyError> {
        let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        let mut is_done = false;
        for byte in answer {
            buf.extend_from_slice(&[*byte]).expect("it fits");
            is_done = is_done || Socks4.handle(&mut buf)?;
        }
        Ok((is_done, buf.raw().len()))
    }

    #[test]
    fn the_question_has_an_address_or_a_name() {
        let four = asked(&Address::of("149.154.167.51", 443), "").expect("an address");
        assert_eq!(four, [4, 1, 1, 187, 149, 154, 167, 51, 0]);
        let name = asked(&Address::of("a.example", 80), "me").expect("a name");
        assert_eq!(name, [&[4, 1, 0, 80, 0, 0, 0, 1][..], b"me\0a.example\0"].concat());
        let refused =
            |target: &str, user: &str| asked(&Address::of(target, 443), user).expect_err("it cannot be sent");
        assert!(matches!(refused("2001:db8::1", ""), ProxyError::UnusableTarget));
        assert!(matches!(refused(&"x".repeat(256), ""), ProxyError::UnusableTarget));
        assert!(matches!(refused("a.example", "m\0e"), ProxyError::UnusableCredentials));
    }

    #[test]
    fn the_answer_is_read_to_its_end() {
        assert_eq!(answered(&[0, 90, 0, 0, 0, 0, 0, 0, 7]).expect("the proxy says yes"), (true, 1));
        assert!(!answered(&[0, 90, 0, 0, 0, 0, 0]).expect("nothing is wrong yet").0);
        for reply in [0, 91, 92, 93, 255] {
            let refused = answered(&[0, reply]);
            assert!(matches!(refused, Err(ProxyError::Socks4Refused { reply: found }) if found == reply));
        }
        assert!(matches!(answered(b"HTTP"), Err(ProxyError::Malformed)));
        assert!(matches!(answered(&[5, 0]), Err(ProxyError::Malformed)));
    }
}
