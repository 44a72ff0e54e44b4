//! The end of a server.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chappe_net::DialOptions;
use chappe_server::ListenOptions;
use chappe_transport::{Connector, Framing};

use crate::support::{Client, PATIENCE, Query, answer_all, both, wait_for};

fn plain() -> DialOptions {
    DialOptions::new(Connector::plain(Framing::Abridged))
}

#[test]
fn answers_that_are_due_are_sent_before_the_end() {
    for running in both(&ListenOptions::datacenter()) {
        let address = running.address();
        let mut client = Client::dial(address, &plain());
        let mut idle = Client::dial(address, &plain());
        client.learn_salt();
        idle.learn_salt();
        let query = client.send(&Query::Later);
        let waiting = Arc::clone(&running.waiting);
        wait_for("the query", || !waiting.lock().expect("no panic").is_empty());
        let ending = thread::spawn(move || running.shutdown(PATIENCE));
        // Connections without running queries end first.
        idle.read_to_end();
        answer_all(&waiting);
        assert_eq!(client.answer(query).expect("the answer"), b"done");
        client.read_to_end();
        assert!(ending.join().expect("no panic"), "nothing had to be cut off");
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}

#[test]
fn what_takes_too_long_is_cut_off() {
    for running in both(&ListenOptions::datacenter()) {
        let mut client = Client::dial(running.address(), &plain());
        client.learn_salt();
        client.send(&Query::Later);
        let waiting = Arc::clone(&running.waiting);
        wait_for("the query", || !waiting.lock().expect("no panic").is_empty());
        assert!(!running.shutdown(Duration::from_millis(20)), "the answer never came");
        client.read_to_end();
    }
}

#[test]
fn a_server_that_is_dropped_lets_go_at_once() {
    for running in both(&ListenOptions::datacenter()) {
        let mut client = Client::dial(running.address(), &plain());
        client.learn_salt();
        drop(running);
        client.read_to_end();
    }
}
