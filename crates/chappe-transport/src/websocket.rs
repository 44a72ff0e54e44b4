//! The upgrade to WebSocket, and what this transport fixes above a WebSocket library.
//!
//! The subprotocol is `binary` and messages are binary. Their content is one byte stream per direction, in which borders
//! between messages have no meaning. Obfuscation is mandatory inside it, with any framing except full:
//! [`Connector::obfuscated`](crate::Connector::obfuscated) on the client,
//! [`Acceptor::inside_websocket`](crate::Acceptor::inside_websocket) on the server.
//!
//! Not here: the frames of WebSocket itself.
//!
//! Spec: <https://core.telegram.org/mtproto/transports#websocket>.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use chappe_crypto::hash::sha1;
use data_encoding::BASE64;

use crate::http::{HttpError, RequestHead, ResponseHead, check_names, has_token};
use crate::limits::ConnectionLimits;

/// The subprotocol, mandatory on both sides (`SEC-139`).
pub const SUBPROTOCOL: &str = "binary";

/// Path of the endpoint.
pub const PATH: &str = "/apiws";

/// Path of the endpoint in the test environment.
pub const TEST_PATH: &str = "/apiws_test";

/// The code with which connections are always closed. Ignore the reason.
pub const CLOSE_CODE: u16 = 1000;

/// Host names of the five datacenters before `.web.telegram.org`. Those for media end in `-1`.
const HOSTS: [&str; 5] = ["pluto", "venus", "aurora", "vesta", "flora"];

/// The suffix that RFC 6455 appends to a key before it is hashed.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The purpose of a host of a datacenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostPurpose {
    /// Everything.
    Main,
    /// Files, and further connections.
    Media,
}

/// Returns the host of datacenter `dc`, from 1 to 5.
pub fn host(dc: u8, purpose: HostPurpose) -> Option<String> {
    let name = HOSTS.get(usize::from(dc).checked_sub(1)?)?;
    let suffix = match purpose {
        HostPurpose::Main => "",
        HostPurpose::Media => "-1",
    };
    Some(format!("{name}{suffix}.web.telegram.org"))
}

/// Appends a client's request for the upgrade. `key` is 16 fresh random bytes.
///
/// For drivers whose library starts after the upgrade.
///
/// # Errors
///
/// [`HttpError::UnusableName`] if `host` or `path` would break the head.
pub fn request_into(out: &mut Vec<u8>, host: &str, path: &str, key: &[u8; 16]) -> Result<(), HttpError> {
    check_names(host, path)?;
    let key = BASE64.encode(key);
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    Ok(())
}

/// Checks the server's answer to [`request_into`] at the beginning of `input`.
///
/// Returns its length, or `None` if it is incomplete.
///
/// # Errors
///
/// [`HttpError::Upgrade`] unless the server accepts the upgrade for this key and with the subprotocol `binary`
/// (`SEC-139`): close the connection.
pub fn check_response(
    input: &[u8],
    key: &[u8; 16],
    limits: &ConnectionLimits,
) -> Result<Option<usize>, HttpError> {
    let Some(head) = ResponseHead::parse(input, limits)? else {
        return Ok(None);
    };
    let accept = accept_value(BASE64.encode(key).as_bytes());
    if head.opens_websocket(&accept, SUBPROTOCOL) { Ok(Some(head.len)) } else { Err(HttpError::Upgrade) }
}

/// A valid request for the upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    path: String,
    accept: String,
}

impl Upgrade {
    /// Checks version, key and subprotocol.
    ///
    /// # Errors
    ///
    /// [`HttpError::Upgrade`]: answer with status 400 and close.
    pub fn from_request(head: &RequestHead<'_>) -> Result<Self, HttpError> {
        let key = head.websocket_key().ok_or(HttpError::Upgrade)?;
        if !has_token(head.websocket_protocols(), SUBPROTOCOL.as_bytes()) {
            return Err(HttpError::Upgrade);
        }
        let decoded = BASE64.decode(key.trim_ascii()).map_err(|_| HttpError::Upgrade)?;
        if decoded.len() != 16 {
            return Err(HttpError::Upgrade);
        }
        Ok(Self { path: head.path().into(), accept: accept_value(key.trim_ascii()) })
    }

    /// Returns the requested path: [`PATH`] or [`TEST_PATH`].
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the answer that completes the upgrade. Send it before the first WebSocket frame.
    pub fn response(&self) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
            self.accept
        )
    }
}

/// Returns `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2>.
fn accept_value(key: &[u8]) -> String {
    BASE64.encode(&sha1(&[key, GUID]))
}
