//! Payloads in HTTP bodies.

mod common;

use chappe_transport::MalformedStream;
use chappe_transport::http::{
    Cors, HttpError, Persistence, Request, RequestHead, Response, error_response_into, request_head_into,
    response_head_into,
};
use chappe_transport::{ConnectionLimits, TransportError, TransportErrorCode};
use common::envelope;

const LIMITS: ConnectionLimits = ConnectionLimits::DEFAULT;

fn request(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    request_head_into(&mut out, "149.154.167.50:80", "/api", body.len()).expect("they are usable");
    out.extend_from_slice(body);
    out
}

fn response(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    response_head_into(&mut out, body.len(), Persistence::KeepAlive, Cors::Omit);
    out.extend_from_slice(body);
    out
}

#[test]
fn requests_are_read_at_their_last_byte() {
    let body = envelope(4, 3);
    let sent = request(&body);
    for len in 0..sent.len() {
        assert!(matches!(Request::parse(&sent[..len], &LIMITS), Ok(None)), "{len}");
    }
    let two = [&sent[..], &sent].concat();
    let parsed = Request::parse(&two, &LIMITS).expect("it is well formed").expect("it is whole");
    assert_eq!((parsed.head.method(), parsed.head.path()), ("POST", "/api"));
    assert_eq!(parsed.head.persistence(), Persistence::KeepAlive);
    assert_eq!(parsed.head.origin(), None);
    assert_eq!(two[parsed.body.clone()], body);
    assert_eq!(parsed.body.end, sent.len());
}

#[test]
fn responses_are_read_at_their_last_byte_and_may_be_empty() {
    for body in [Vec::new(), envelope(100, 3)] {
        let sent = response(&body);
        for len in 0..sent.len() {
            assert_eq!(Response::parse(&sent[..len], &LIMITS), Ok(None), "{len}");
        }
        let longer = [&sent[..], b"HTTP"].concat();
        let parsed = Response::parse(&longer, &LIMITS).expect("it is well formed").expect("it is whole");
        assert_eq!((parsed.used, parsed.persistence), (sent.len(), Persistence::KeepAlive));
        let read = parsed.outcome.expect("status 200").map(|range| longer[range].to_vec());
        assert_eq!(read.unwrap_or_default(), body);
    }
}

#[test]
fn sec_140_any_other_status_is_a_transport_error_and_its_body_is_ignored() {
    for status in [100, 201, 204, 301, 403, 404, 429, 444, 500, 599] {
        let sent = format!("HTTP/1.1 {status} X\r\nContent-Length: 40\r\n\r\n{}", "a".repeat(40));
        let parsed =
            Response::parse(sent.as_bytes(), &LIMITS).expect("it is well formed").expect("it is whole");
        assert_eq!(parsed.outcome, Err(TransportErrorCode::from_raw(-status)));
        assert_eq!(parsed.persistence, Persistence::Close);
        // Not even its length matters.
        let bare = format!("HTTP/1.1 {status} X\r\n\r\n");
        assert!(matches!(Response::parse(bare.as_bytes(), &LIMITS), Ok(Some(_))));
    }
    for code in [
        TransportErrorCode::UnknownAuthKey,
        TransportErrorCode::TooManyConnections,
        TransportErrorCode::WrongDc,
        TransportErrorCode::Other(-403),
    ] {
        let mut sent = Vec::new();
        error_response_into(&mut sent, code, Cors::Allow);
        let parsed = Response::parse(&sent, &LIMITS).expect("it is well formed").expect("it is whole");
        assert_eq!(parsed.outcome, Err(code));
    }
}

#[test]
fn lengths_that_two_parsers_could_read_in_two_ways_are_refused() {
    let with = |field: &str| format!("POST /api HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    let cases = [
        ("Content-Length: 4\r\nContent-Length: 4", HttpError::ContentLength),
        ("Content-Length: 4, 4", HttpError::ContentLength),
        ("Content-Length: +4", HttpError::ContentLength),
        ("Content-Length: -4", HttpError::ContentLength),
        ("Content-Length: 0x4", HttpError::ContentLength),
        ("Content-Length:", HttpError::ContentLength),
        ("Content-Length: 99999999999999999999", HttpError::ContentLength),
        ("X: y", HttpError::ContentLength),
        ("Transfer-Encoding: chunked", HttpError::TransferEncoding),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", HttpError::TransferEncoding),
        (
            "Content-Length: 99999999999",
            HttpError::BodyTooLong { len: 99_999_999_999, max: LIMITS.max_frame },
        ),
        ("Content-Length : 4", HttpError::MalformedHead),
    ];
    for (field, expected) in cases {
        let parsed = Request::parse(with(field).as_bytes(), &LIMITS).map(|_| ());
        assert_eq!(parsed, Err(expected), "{field}");
    }
    let response = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    assert_eq!(Response::parse(response, &LIMITS), Err(HttpError::ContentLength));
}

#[test]
fn heads_are_bounded() {
    let max = LIMITS.max_http_head;
    let endless = [b"POST /api HTTP/1.1\r\nX: ", &vec![b'a'; max][..]].concat();
    assert!(matches!(RequestHead::parse(&endless[..max - 1], &LIMITS), Ok(None)));
    assert_eq!(RequestHead::parse(&endless[..max], &LIMITS).map(|_| ()), Err(HttpError::HeadTooLong { max }));
    assert_eq!(Response::parse(&endless, &LIMITS), Err(HttpError::HeadTooLong { max }));
    let many = format!("POST /api HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65));
    assert_eq!(RequestHead::parse(many.as_bytes(), &LIMITS).map(|_| ()), Err(HttpError::MalformedHead));
    assert_eq!(RequestHead::parse(b"\x16\x03\r\n\r\n", &LIMITS).map(|_| ()), Err(HttpError::MalformedHead));
}

#[test]
fn a_page_of_another_origin_is_let_read() {
    let sent = b"OPTIONS /apiw1 HTTP/1.1\r\nHost: a\r\nOrigin: https://web.example\r\n\r\n";
    let parsed = Request::parse(sent, &LIMITS).expect("it is well formed").expect("it is whole");
    assert_eq!(parsed.head.origin(), Some(&b"https://web.example"[..]));
    assert!(parsed.body.is_empty());
    let mut out = Vec::new();
    response_head_into(&mut out, 0, Persistence::KeepAlive, Cors::Allow);
    let text = String::from_utf8(out).expect("it is ASCII");
    assert!(text.contains("Access-Control-Allow-Origin: *\r\n") && text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn connections_close_when_either_side_says_so() {
    let persistence = |version: &str, field: &str| {
        let sent = format!("POST / HTTP/1.{version}\r\nContent-Length: 0\r\nConnection: {field}\r\n\r\n");
        let parsed =
            Request::parse(sent.as_bytes(), &LIMITS).expect("it is well formed").expect("it is whole");
        parsed.head.persistence()
    };
    assert_eq!(persistence("1", "close"), Persistence::Close);
    assert_eq!(persistence("1", "x, Close"), Persistence::Close);
    assert_eq!(persistence("1", "x"), Persistence::KeepAlive);
    assert_eq!(persistence("0", "x"), Persistence::Close);
    assert_eq!(persistence("0", "Keep-Alive"), Persistence::KeepAlive);
}

#[test]
fn names_that_would_break_the_head_are_refused() {
    for (host, path) in
        [("a\r\nX: y", "/api"), ("a", "/api HTTP/1.1\r\nX:"), ("a", "api"), ("", "/api"), ("a", "")]
    {
        let mut out = Vec::new();
        let written = request_head_into(&mut out, host, path, 0);
        assert_eq!(
            written,
            Err(TransportError::Malformed(MalformedStream::Http(HttpError::UnusableName))),
            "{host:?} {path:?}"
        );
        assert!(out.is_empty());
    }
}
