//! HTTP: one payload in the body of each request and each response.
//!
//! A client sends `POST /api`, one request at a time on a connection. The response contains one payload or none. HTTP has no
//! framing, obfuscation or quick acks, and statuses instead of transport errors.
//!
//! Only the part of HTTP/1.1 that this transport needs is accepted: a body has exactly one `Content-Length`. Ambiguous input,
//! which two parsers could read differently, is rejected.
//!
//! Spec: <https://core.telegram.org/mtproto/transports#http>.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::error::TransportError;
use crate::limits::ConnectionLimits;
use chappe_types::TransportErrorCode;

/// The path of clients' requests.
pub const PATH: &str = "/api";

/// The path of web pages' requests.
pub const WEB_PATH: &str = "/apiw1";

/// The path of web pages' requests in the test environment.
pub const WEB_TEST_PATH: &str = "/apiw_test1";

/// Maximum number of header fields.
const MAX_FIELDS: usize = 64;

/// Why an HTTP message was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The head is not HTTP/1.x, or has too many fields.
    MalformedHead,
    /// The head is longer than the limit.
    HeadTooLong {
        /// Limit in bytes.
        max: usize,
    },
    /// `Content-Length` is missing although a body is required, is not a number, or is repeated.
    ContentLength,
    /// The body is longer than the limit.
    BodyTooLong {
        /// Announced length in bytes.
        len: u64,
        /// Limit in bytes.
        max: usize,
    },
    /// The body has a transfer encoding instead of a length.
    TransferEncoding,
    /// A WebSocket upgrade, or its answer, lacks the version, the key or the subprotocol `binary`
    /// (`SEC-139`).
    Upgrade,
    /// The host or path to send contains bytes that are not allowed in a head.
    UnusableName,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedHead => f.write_str("head cannot be read"),
            Self::HeadTooLong { max } => write!(f, "head exceeds the limit of {max} bytes"),
            Self::ContentLength => f.write_str("content-length is missing or ambiguous"),
            Self::BodyTooLong { len, max } => write!(f, "body of {len} bytes exceeds the limit of {max}"),
            Self::TransferEncoding => f.write_str("transfer-encoding is not accepted"),
            Self::Upgrade => f.write_str("websocket upgrade is incomplete"),
            Self::UnusableName => f.write_str("host or path contains bytes that are not allowed in a head"),
        }
    }
}

impl core::error::Error for HttpError {}

/// Whether the connection stays open after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// The connection stays open.
    KeepAlive,
    /// The connection is closed.
    Close,
}

/// The header fields that this transport uses.
#[derive(Clone, Copy, Debug, Default)]
struct Fields<'a> {
    content_length: Option<u64>,
    connection: &'a [u8],
    upgrade: &'a [u8],
    origin: Option<&'a [u8]>,
    websocket_key: Option<&'a [u8]>,
    websocket_version: Option<&'a [u8]>,
    websocket_protocol: Option<&'a [u8]>,
    websocket_accept: Option<&'a [u8]>,
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    method: &'a str,
    path: &'a str,
    minor: u8,
    len: usize,
    fields: Fields<'a>,
}

impl<'a> RequestHead<'a> {
    /// Parses the head at the beginning of `input`. Returns `None` if it is incomplete.
    ///
    /// # Errors
    ///
    /// Fails if it is malformed. Answer with status 400, if at all, and close the connection.
    pub fn parse(input: &'a [u8], limits: &ConnectionLimits) -> Result<Option<Self>, HttpError> {
        let Some(len) = head_len(input, limits.max_http_head)? else {
            return Ok(None);
        };
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let complete = request.parse(&input[..len]).map_err(|_| HttpError::MalformedHead)?.is_complete();
        let (Some(method), Some(path), Some(minor), true) =
            (request.method, request.path, request.version, complete)
        else {
            return Err(HttpError::MalformedHead);
        };
        let fields = Fields::collect(request.headers)?;
        Ok(Some(Self { method, path, minor, len, fields }))
    }

    /// Returns the method.
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// Returns the path, with its query if there is one.
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// Returns the length of the head in bytes, including its empty line.
    #[allow(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns the origin of the requesting page. A request with an origin needs [`Cors::Allow`] in its response.
    pub const fn origin(&self) -> Option<&'a [u8]> {
        self.fields.origin
    }

    /// Returns whether the client keeps the connection open.
    pub fn persistence(&self) -> Persistence {
        self.fields.persistence(self.minor)
    }

    /// Returns whether this is a WebSocket upgrade. [`Upgrade`](crate::websocket::Upgrade) checks whether it is complete.
    pub fn asks_for_websocket(&self) -> bool {
        self.method == "GET" && has_token(self.fields.upgrade, b"websocket")
    }

    pub(crate) fn websocket_key(&self) -> Option<&'a [u8]> {
        let version = self.fields.websocket_version.is_some_and(|version| version == b"13");
        self.fields.websocket_key.filter(|_| version && has_token(self.fields.connection, b"upgrade"))
    }

    pub(crate) fn websocket_protocols(&self) -> &'a [u8] {
        self.fields.websocket_protocol.unwrap_or_default()
    }

    /// Returns the length of the body, which is mandatory for a `POST`.
    fn body_len(&self) -> Result<u64, HttpError> {
        match self.fields.content_length {
            Some(len) => Ok(len),
            None if self.method == "POST" => Err(HttpError::ContentLength),
            None => Ok(0),
        }
    }
}

/// A whole request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its head.
    pub head: RequestHead<'a>,
    /// The range of its body in the input: one payload.
    pub body: Range<usize>,
}

impl<'a> Request<'a> {
    /// Parses the request at the beginning of `input`. Returns `None` if it is incomplete.
    ///
    /// Drop the bytes up to the end of the body afterwards. Nothing is allocated for an announced length.
    ///
    /// # Errors
    ///
    /// Fails if it is malformed. Answer with status 400, if at all, and close the connection.
    pub fn parse(input: &'a [u8], limits: &ConnectionLimits) -> Result<Option<Self>, HttpError> {
        let Some(head) = RequestHead::parse(input, limits)? else {
            return Ok(None);
        };
        let body = body_range(head.len, head.body_len()?, limits.max_frame)?;
        Ok((body.end <= input.len()).then_some(Self { head, body }))
    }
}

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The range of the payload in the input, if there is one.
    pub outcome: Result<Option<Range<usize>>, TransportErrorCode>,
    /// The number of input bytes to drop.
    pub used: usize,
    /// Whether the connection can be used for the next request.
    pub persistence: Persistence,
}

impl Response {
    /// Parses the response at the beginning of `input`. Returns `None` if it is incomplete.
    ///
    /// A status other than 200 is a transport error whose body is ignored (`SEC-140`).
    ///
    /// # Errors
    ///
    /// Fails if it is malformed. Close the connection.
    pub fn parse(input: &[u8], limits: &ConnectionLimits) -> Result<Option<Self>, HttpError> {
        let Some(head) = ResponseHead::parse(input, limits)? else {
            return Ok(None);
        };
        if head.status != 200 {
            let outcome = Err(TransportErrorCode::from_http_status(head.status));
            return Ok(Some(Self { outcome, used: input.len(), persistence: Persistence::Close }));
        }
        let (len, minor, fields) = (head.len, head.minor, head.fields?);
        let body = body_range(len, fields.content_length.ok_or(HttpError::ContentLength)?, limits.max_frame)?;
        if body.end > input.len() {
            return Ok(None);
        }
        let (used, persistence) = (body.end, fields.persistence(minor));
        let outcome = Ok(if body.is_empty() { None } else { Some(body) });
        Ok(Some(Self { outcome, used, persistence }))
    }
}

/// The head of a response.
pub(crate) struct ResponseHead<'a> {
    pub(crate) status: u16,
    pub(crate) len: usize,
    minor: u8,
    /// Not evaluated if only the status matters.
    fields: Result<Fields<'a>, HttpError>,
}

impl<'a> ResponseHead<'a> {
    /// Parses the head at the beginning of `input`. Returns `None` if it is incomplete.
    pub(crate) fn parse(input: &'a [u8], limits: &ConnectionLimits) -> Result<Option<Self>, HttpError> {
        let Some(len) = head_len(input, limits.max_http_head)? else {
            return Ok(None);
        };
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let complete = response.parse(&input[..len]).map_err(|_| HttpError::MalformedHead)?.is_complete();
        let (Some(status), Some(minor), true) = (response.code, response.version, complete) else {
            return Err(HttpError::MalformedHead);
        };
        Ok(Some(Self { status, len, minor, fields: Fields::collect(response.headers) }))
    }

    /// Returns whether the server switches to WebSocket with this `Sec-WebSocket-Accept` and subprotocol.
    pub(crate) fn opens_websocket(&self, accept: &str, protocol: &str) -> bool {
        self.status == 101
            && self.fields.as_ref().is_ok_and(|fields| {
                has_token(fields.upgrade, b"websocket")
                    && has_token(fields.connection, b"upgrade")
                    && fields.websocket_accept == Some(accept.as_bytes())
                    && fields.websocket_protocol == Some(protocol.as_bytes())
            })
    }
}

/// Parses the head of a response at the beginning of `input` and returns its status and length in bytes, or `None` if it is
/// incomplete. For exchanges in which only the status matters, such as `CONNECT`.
///
/// # Errors
///
/// Fails if it is malformed. Close the connection.
pub fn status_line(input: &[u8], limits: &ConnectionLimits) -> Result<Option<(u16, usize)>, HttpError> {
    Ok(ResponseHead::parse(input, limits)?.map(|head| (head.status, head.len)))
}

/// Appends the head of a request; the payload of `body_len` bytes follows it.
///
/// # Errors
///
/// [`HttpError::UnusableName`] if `host` or `path` would break the head.
pub fn request_head_into(
    out: &mut Vec<u8>,
    host: &str,
    path: &str,
    body_len: usize,
) -> Result<(), TransportError> {
    check_names(host, path)?;
    let len = body_len.to_string();
    let parts = ["POST ", path, " HTTP/1.1\r\nHost: ", host, "\r\nContent-Length: ", &len];
    parts.iter().map(|part| part.as_bytes()).for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\nConnection: keep-alive\r\n\r\n");
    Ok(())
}

/// Appends the head of a request to a proxy that forwards it to `host`, RFC 9112 section 3.2.2. `authorization` is the value of
/// the field `Proxy-Authorization`.
///
/// # Errors
///
/// [`HttpError::UnusableName`] if `host`, `path` or `authorization` would break the head.
pub fn forwarded_head_into(
    out: &mut Vec<u8>,
    host: &str,
    path: &str,
    authorization: Option<&str>,
    body_len: usize,
) -> Result<(), TransportError> {
    check_names(host, path)?;
    let is_field = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !authorization.is_none_or(is_field) {
        return Err(HttpError::UnusableName.into());
    }
    let len = body_len.to_string();
    let (field, value, end) = match authorization {
        Some(value) => ("\r\nProxy-Authorization: ", value, "\r\n\r\n"),
        None => ("", "", "\r\n\r\n"),
    };
    let parts = ["POST http://", host, path, " HTTP/1.1\r\nHost: ", host, "\r\nContent-Length: ", &len];
    let rest = ["\r\nConnection: keep-alive", field, value, end];
    parts.iter().chain(&rest).for_each(|part| out.extend_from_slice(part.as_bytes()));
    Ok(())
}

/// Rejects names that would break a head.
pub(crate) fn check_names(host: &str, path: &str) -> Result<(), HttpError> {
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible(host) && visible(path) && path.starts_with('/') {
        Ok(())
    } else {
        Err(HttpError::UnusableName)
    }
}

/// Whether a response lets web pages of any origin read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Pages of any origin may read it, as [`WEB_PATH`] requires, also in answers to `OPTIONS`.
    Allow,
    /// The response has no such field.
    Omit,
}

/// Appends the head of a response with status 200; the payload of `body_len` bytes, or none, follows it.
pub fn response_head_into(out: &mut Vec<u8>, body_len: usize, persistence: Persistence, cors: Cors) {
    head_into(out, "200 OK", body_len, persistence, cors);
}

/// Appends a whole response that carries a transport error as its status (`SEC-140`).
pub fn error_response_into(out: &mut Vec<u8>, code: TransportErrorCode, cors: Cors) {
    let (status, reason) = match code.to_raw().unsigned_abs() {
        status @ 403 => (status, " Forbidden"),
        status @ 404 => (status, " Not Found"),
        status @ 429 => (status, " Too Many Requests"),
        status @ 400..=599 => (status, " Error"),
        _ => (500, " Error"),
    };
    head_into(out, &(status.to_string() + reason), 0, Persistence::Close, cors);
}

fn head_into(out: &mut Vec<u8>, status: &str, body_len: usize, persistence: Persistence, cors: Cors) {
    let connection = match persistence {
        Persistence::KeepAlive => "keep-alive",
        Persistence::Close => "close",
    };
    let cors = match cors {
        Cors::Allow => CORS_FIELDS,
        Cors::Omit => "",
    };
    let len = body_len.to_string();
    let head =
        ["HTTP/1.1 ", status, "\r\nConnection: ", connection, "\r\nContent-Type: application/octet-stream"];
    let rest =
        ["\r\nPragma: no-cache\r\nCache-control: no-store\r\n", cors, "Content-Length: ", &len, "\r\n\r\n"];
    head.iter().chain(&rest).for_each(|part| out.extend_from_slice(part.as_bytes()));
}

const CORS_FIELDS: &str = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: POST, OPTIONS\r\n\
     Access-Control-Allow-Headers: origin, content-type\r\nAccess-Control-Max-Age: 1728000\r\n";

impl<'a> Fields<'a> {
    fn collect(headers: &[httparse::Header<'a>]) -> Result<Self, HttpError> {
        let mut fields = Self::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let value = header.value;
            if is("content-length") {
                let len = parse_len(value)?;
                if fields.content_length.replace(len).is_some() {
                    return Err(HttpError::ContentLength);
                }
            } else if is("transfer-encoding") {
                return Err(HttpError::TransferEncoding);
            } else if is("connection") {
                fields.connection = value;
            } else if is("upgrade") {
                fields.upgrade = value;
            } else if is("origin") {
                fields.origin = Some(value);
            } else if is("sec-websocket-key") {
                fields.websocket_key = Some(value);
            } else if is("sec-websocket-version") {
                fields.websocket_version = Some(value);
            } else if is("sec-websocket-protocol") {
                fields.websocket_protocol = Some(value);
            } else if is("sec-websocket-accept") {
                fields.websocket_accept = Some(value);
            }
        }
        Ok(fields)
    }

    /// With HTTP/1.1, connections stay open by default; with HTTP/1.0, they are closed.
    fn persistence(&self, minor: u8) -> Persistence {
        let close = has_token(self.connection, b"close");
        let keep = has_token(self.connection, b"keep-alive");
        if close || (minor == 0 && !keep) { Persistence::Close } else { Persistence::KeepAlive }
    }
}

/// Returns whether a comma-separated field contains `token` in any case.
pub(crate) fn has_token(field: &[u8], token: &[u8]) -> bool {
    field.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

/// Parses decimal digits. Signs, lists and inner blanks are errors.
fn parse_len(value: &[u8]) -> Result<u64, HttpError> {
    let digits = value.trim_ascii();
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::ContentLength);
    }
    Ok(digits.iter().fold(0, |len, digit| len * 10 + u64::from(digit - b'0')))
}

/// Finds the empty line at the end of a head, so that the head is parsed only once.
fn head_len(input: &[u8], max: usize) -> Result<Option<usize>, HttpError> {
    let within = &input[..input.len().min(max)];
    match within.windows(4).position(|end| end == b"\r\n\r\n") {
        Some(at) => Ok(Some(at + 4)),
        None if input.len() >= max => Err(HttpError::HeadTooLong { max }),
        None => Ok(None),
    }
}

fn body_range(head: usize, len: u64, max: usize) -> Result<Range<usize>, HttpError> {
    match usize::try_from(len) {
        Ok(body) if body <= max => Ok(head..head.saturating_add(body)),
        _ => Err(HttpError::BodyTooLong { len, max }),
    }
}
