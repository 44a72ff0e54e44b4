//! Calls that must follow one another, as the datacenter sees them.
#![cfg(feature = "blocking")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_handshake::{ClientOptions, DcId, ServerOptions};
use chappe_net::{Blame, ConnectOptions, DialOptions, InvokeError, InvokeOptions, blocking};
use chappe_server::blocking::Server;
use chappe_server::{Context, Engine, EngineOptions, Handler, ListenOptions, QueryResponse};
use chappe_session::server::ServerConfig;
use chappe_transport::{Connector, Framing};

/// `invokeAfterMsg#cb9f372d msg_id:long query:!X = X;`
const INVOKE_AFTER_MSG: u32 = 0xcb9f_372d;
const FIRST: &[u8] = b"call one";
const SECOND: &[u8] = b"call two";

/// Bodies of queries and the ids of their messages.
type Seen = Arc<Mutex<Vec<(i64, Vec<u8>)>>>;

/// Answers the second call alone.
struct Answers(Seen);

impl Handler for Answers {
    fn query(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse {
        self.0.lock().expect("nobody panics").push((context.msg_id.to_raw(), body.to_vec()));
        if body == FIRST { QueryResponse::Later } else { QueryResponse::Answer(body.to_vec()) }
    }
}

fn serve() -> (Server, ConnectOptions, Seen) {
    let mut rng = Drbg::from_seed([9; 32]);
    let key = PrivateKey::generate(&mut rng).expect("a key from good randomness");
    let mut keys = KeyRing::empty();
    keys.add(key.public_key().clone());
    let seen = Seen::default();
    let options = EngineOptions::new(ServerOptions::lenient(vec![key]), ServerConfig::default());
    let engine = Engine::new(options, Answers(Arc::clone(&seen)), &mut rng).expect("good options");
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::listen(local, ListenOptions::datacenter(), engine).expect("a free port");
    let dialling = DialOptions::new(Connector::plain(Framing::Intermediate));
    let handshake = ClientOptions::new(keys, DcId::production(2));
    let options = ConnectOptions::at(server.local_addr(), dialling, handshake);
    (server, options, seen)
}

#[test]
fn a_call_follows_another_one_that_has_no_answer_yet() {
    let (_server, options, seen) = serve();
    let client = blocking::connect(options.clone()).expect("a connection");
    let one = client.invoke_bytes(FIRST, &InvokeOptions::default());
    let two = client.invoke_bytes(SECOND, &InvokeOptions::default().after(&one));
    let answer = two.wait().expect("an answer");
    let seen = seen.lock().expect("nobody panics").clone();
    assert_eq!(seen[0].1, FIRST);
    let wrapped = [&INVOKE_AFTER_MSG.to_le_bytes()[..], &seen[0].0.to_le_bytes(), SECOND].concat();
    assert_eq!((&seen[1].1, &answer), (&wrapped, &wrapped));
    assert_eq!(seen.len(), 2);

    // A call of another client has an id that means nothing here, or another call.
    let other = blocking::connect(options).expect("a connection");
    let foreign = other.invoke_bytes(SECOND, &InvokeOptions::default().after(&one)).wait();
    match foreign {
        Err(error @ InvokeError::NotPossible(_)) => assert_eq!(error.blame(), Blame::Caller),
        other => panic!("{other:?}"),
    }
    drop(one);
    client.close().wait();
    other.close().wait();
    assert!(client.id() != other.id());
}

#[test]
fn a_call_need_not_follow_one_that_has_ended() {
    let (server, options, seen) = serve();
    let client = blocking::connect(options).expect("a connection");
    let mut one = client.invoke_bytes(SECOND, &InvokeOptions::default());
    one.wait_timeout(Duration::from_secs(60)).expect("it ends").expect("an answer");
    let two = client.invoke_bytes(SECOND, &InvokeOptions::default().after(&one)).wait();
    assert_eq!(two.expect("an answer"), SECOND);
    assert_eq!(seen.lock().expect("nobody panics").len(), 2);
    client.close().wait();
    server.shutdown(Duration::from_secs(1));
}
