//! What carries the stream.

use std::thread;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::KeyRing;
use chappe_framing::FrameBuf;
use chappe_handshake::{ClientHandshake, ClientOptions, DcId, Progress};
use chappe_net::{Carrier, DialOptions, Endpoint};
use chappe_server::KeyStatus;
use chappe_server::ListenOptions;
use chappe_session::Now;
use chappe_tl::{EncodeError, Identifiable, Serializable, Sink};
use chappe_tl_mtproto::types;
use chappe_transport::http::{Response, request_head_into};
use chappe_transport::{ConnectionLimits, Connector, Framing};

use crate::support::{Client, Query, Server, answer_all, both, private_key, wait_for};

fn hidden() -> Connector {
    Connector::obfuscated(Framing::Intermediate, None).expect("intermediate has a tag")
}

fn over(carrier: Carrier) -> DialOptions {
    DialOptions::new(hidden()).with_carrier(carrier)
}

fn http() -> DialOptions {
    over(Carrier::Http(Endpoint::http("localhost")))
}

#[test]
fn each_framing_reaches_either_server() {
    for running in both(&ListenOptions::datacenter()) {
        for framing in Framing::ALL {
            let mut client = Client::dial(running.address(), &DialOptions::new(Connector::plain(framing)));
            client.learn_salt();
            client.echo(5);
        }
        assert_eq!(running.counters().streams, 4);
    }
}

#[test]
fn websockets_reach_either_server_and_carry_large_answers() {
    for running in both(&ListenOptions::datacenter()) {
        let options = over(Carrier::WebSocket(Endpoint::websocket("localhost")));
        let mut client = Client::dial(running.address(), &options);
        client.learn_salt();
        client.echo(6);
        let query = client.send(&Query::Much(1 << 20));
        assert_eq!(client.answer(query).expect("an answer").len(), 1 << 20);
        client.echo(7);
    }
}

#[test]
fn http_reaches_either_server_one_answer_for_each_request() {
    for running in both(&ListenOptions::datacenter()) {
        let mut client = Client::dial(running.address(), &http());
        client.learn_salt();
        for value in 0..20 {
            client.echo(value);
        }
        let counters = running.counters();
        assert!(counters.http >= 1 && counters.streams == 0, "{counters:?}");
    }
}

/// `http_wait` for as long as the server puts up with.
struct LongPoll;

impl Serializable for LongPoll {
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError> {
        types::HttpWait::CONSTRUCTOR_ID.serialize(out)?;
        [0, 0, 60_000_i32].iter().try_for_each(|time| time.serialize(out))
    }
}

#[test]
fn a_long_poll_over_http_brings_what_comes_later_and_holds_up_no_call() {
    for running in both(&ListenOptions::datacenter()) {
        let mut client = Client::dial(running.address(), &http());
        client.learn_salt();
        client.echo(1);
        client.send(&LongPoll);
        wait_for("the poll", || running.counters().payloads_in >= 3);
        client.echo(2);
        let query = client.send(&Query::Later);
        wait_for("the query", || !running.waiting.lock().expect("no panic").is_empty());
        // It had no answer at once, so its own request came back empty: the poll brings the answer.
        answer_all(&running.waiting);
        assert_eq!(client.answer(query).expect("an answer"), b"done");

        client.send(&LongPoll);
        wait_for("the poll", || running.counters().payloads_in >= 6);
        let engine = match &running.server {
            Server::Blocking(server) => server.engine(),
            Server::Tokio(server, _) => server.engine(),
        };
        let sessions: Vec<_> = engine.keys().iter().flat_map(|key| key.sessions()).collect();
        assert!(engine.keys().iter().all(|key| key.kind() == KeyStatus::Permanent));
        sessions[0].push(b"news....").expect("the session takes it");
        while !client.receive().expect("the update").iter().any(|body| body == b"news....") {}
    }
}

/// Sends a payload in a request of its own connection and returns the payload of the answer.
fn post(address: std::net::SocketAddr, payload: &[u8]) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut socket = std::net::TcpStream::connect(address).expect("the server listens");
    let mut request = Vec::new();
    request_head_into(&mut request, "localhost", "/api", payload.len()).expect("a head");
    socket.write_all(&[&request, payload].concat()).expect("the server reads");
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = socket.read(&mut part).expect("an answer");
        assert!(count > 0, "the server closed the connection");
        answer.extend_from_slice(&part[..count]);
        let response = Response::parse(&answer, &ConnectionLimits::DEFAULT).expect("it is well formed");
        if let Some(Response { outcome, .. }) = response {
            return answer[outcome.expect("it is no error").expect("it has a payload")].to_vec();
        }
    }
}

#[test]
fn the_exchange_of_a_key_over_http_belongs_to_no_connection() {
    for running in both(&ListenOptions::datacenter()) {
        let mut rng = Drbg::from_os().expect("randomness");
        let mut keys = KeyRing::empty();
        keys.add(private_key().public_key().clone());
        let options = ClientOptions::new(keys, DcId::production(2));
        let mut handshake =
            ClientHandshake::begin(options, Now::from_system(), &mut rng).expect("good options");
        let mut frame = FrameBuf::new();
        let mut questions = 0;
        let finished = loop {
            assert!(handshake.poll_transmit(Now::from_system(), &mut frame), "it has a question");
            questions += 1;
            let answer = post(running.address(), frame.as_slice());
            match handshake.handle_frame(Now::from_system(), &answer, &mut rng).expect("it is accepted") {
                Progress::Done(finished) => break finished,
                _ => frame.clear(),
            }
        };
        assert_eq!(questions, 3);
        assert_eq!(running.counters().http, 3, "each came on a connection of its own");
        let engine = match &running.server {
            Server::Blocking(server) => server.engine(),
            Server::Tokio(server, _) => server.engine(),
        };
        assert!(engine.key(finished.key().id(), Now::from_system().unix).is_some());
    }
}

#[test]
fn what_is_not_ours_is_turned_away_over_http() {
    use std::io::{Read as _, Write as _};
    for running in both(&ListenOptions::datacenter()) {
        for request in
            ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /other HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd"]
        {
            let mut socket = std::net::TcpStream::connect(running.address()).expect("the server listens");
            socket.write_all(request.as_bytes()).expect("the server reads");
            let mut answer = String::new();
            let read = thread::spawn(move || socket.read_to_string(&mut answer).map(|_| answer));
            let answer = read.join().expect("no panic").expect("an answer and an end");
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        }
    }
}
