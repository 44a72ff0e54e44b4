//! Clients that are slow, silent or too many.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use chappe_net::DialOptions;
use chappe_server::ListenOptions;
use chappe_transport::{Connector, Framing};

use crate::support::{Client, PATIENCE, Query, both, start_blocking, start_tokio};

fn plain() -> DialOptions {
    DialOptions::new(Connector::plain(Framing::Intermediate))
}

#[test]
fn sec_138_a_client_that_reads_nothing_is_given_up() {
    let mut options = ListenOptions::datacenter();
    options.write_timeout = Duration::from_millis(50);
    for running in both(&options) {
        let mut client = Client::dial(running.address(), &plain());
        client.learn_salt();
        for _ in 0..3 {
            client.send(&Query::Much(4 << 20));
        }
        running.wait_for("the end of a slow reader", |counters| counters.slow_readers == 1);
        running.wait_for("a free place", |counters| counters.open == 0);
    }
}

#[test]
fn a_frame_that_does_not_end_is_given_up() {
    let mut options = ListenOptions::datacenter();
    options.frame_timeout = Duration::from_millis(30);
    for running in both(&options) {
        let mut socket = TcpStream::connect(running.address()).expect("the server listens");
        socket.write_all(&[0xee, 0xee, 0xee, 0xee, 100, 0, 0, 0, 1, 2, 3]).expect("the server reads");
        assert_eq!(socket.read(&mut [0]).expect("an end in order"), 0);
        running.wait_for("the end of a slow sender", |counters| counters.slow_senders == 1);
    }
}

#[test]
fn a_websocket_message_that_does_not_end_is_given_up() {
    use chappe_crypto::rng::Drbg;
    use chappe_transport::websocket;

    /// A frame under a mask of zeros.
    fn framed(bytes: &[u8], announced: u8) -> Vec<u8> {
        [&[0x82, 0x80 | announced, 0, 0, 0, 0], bytes].concat()
    }

    let mut options = ListenOptions::datacenter();
    options.frame_timeout = Duration::from_millis(30);
    for running in both(&options) {
        let mut rng = Drbg::from_os().expect("randomness");
        let mut socket = TcpStream::connect(running.address()).expect("the server listens");
        let mut request = Vec::new();
        websocket::request_into(&mut request, "localhost", websocket::PATH, &[7; 16]).expect("a good host");
        socket.write_all(&request).expect("the server reads");
        let mut head = [0; 512];
        assert!(socket.read(&mut head).expect("an answer") > 0);
        let connector = Connector::obfuscated(Framing::Intermediate, None).expect("it can be hidden");
        let mut header = Vec::new();
        let started = connector.start(0, &mut rng, &mut header);
        assert!(started.is_ok() && header.len() == 64);
        socket.write_all(&framed(&header, 64)).expect("the server reads");
        running.wait_for("the header", |counters| counters.streams == 1);
        socket.write_all(&framed(&[0; 3], 100)).expect("the server reads");
        while socket.read(&mut head).is_ok_and(|count| count > 0) {}
        running.wait_for("the end of a slow sender", |counters| counters.slow_senders == 1);
    }
}

#[test]
fn a_stranger_s_websocket_message_is_looked_at_before_it_is_whole() {
    use chappe_carrier::join;
    use chappe_crypto::rng::Drbg;
    use chappe_framing::FrameBuf;
    use chappe_transport::{AckRequest, ConnectStep, ConnectionLimits, ReadBuf, websocket};

    let hour = Duration::from_secs(3600);
    let mut options = ListenOptions::datacenter();
    (options.frame_timeout, options.authentication_timeout, options.idle_timeout) = (hour, hour, hour);
    for running in both(&options) {
        let mut rng = Drbg::from_os().expect("randomness");
        let mut socket = TcpStream::connect(running.address()).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut request = Vec::new();
        websocket::request_into(&mut request, "localhost", websocket::PATH, &[7; 16]).expect("a good host");
        socket.write_all(&request).expect("the server reads");
        let mut head = [0; 512];
        assert!(socket.read(&mut head).expect("an answer") > 0);
        let connector = Connector::obfuscated(Framing::Intermediate, None).expect("it can be hidden");
        let mut sent = Vec::new();
        let Ok(ConnectStep::Ready(connection)) = connector.start(0, &mut rng, &mut sent) else {
            panic!("nothing to wait for");
        };
        let (mut writer, _) = join(connection, ReadBuf::new(&ConnectionLimits::DEFAULT));
        let mut frame = FrameBuf::new();
        frame.append(&vec![7; 1 << 19]);
        writer.encode_in_place(&mut frame, AckRequest::No, &mut rng).expect("it can be sent");
        sent.extend_from_slice(frame.as_slice());
        // One message of half a megabyte, of which 2 KiB come.
        let length = (sent.len() as u64).to_be_bytes();
        let begun = [&[0x82, 0xff][..], &length, &[0; 4], &sent[..2048]].concat();
        socket.write_all(&begun).expect("the server reads");
        loop {
            match socket.read(&mut head) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    let is_over = error.kind() == std::io::ErrorKind::ConnectionReset;
                    assert!(is_over, "the server waits for the rest: {error}");
                    break;
                }
            }
        }
        assert_eq!(running.engine().counters().unauthenticated_frames, 1);
    }
}

#[test]
fn sec_136_a_client_that_says_nothing_is_given_up() {
    let mut options = ListenOptions::datacenter();
    options.first_bytes_timeout = Duration::from_millis(30);
    options.idle_timeout = Duration::from_millis(30);
    for running in both(&options) {
        let mut silent = TcpStream::connect(running.address()).expect("the server listens");
        let mut idle = TcpStream::connect(running.address()).expect("the server listens");
        idle.write_all(&[0xef]).expect("the server reads");
        assert_eq!(silent.read(&mut [0]).expect("an end in order"), 0);
        assert_eq!(idle.read(&mut [0]).expect("an end in order"), 0);
        running.wait_for("both ends", |counters| counters.unknown == 1 && counters.idle == 1);
    }
}

#[test]
fn an_address_gets_no_more_than_its_share() {
    let mut options = ListenOptions::datacenter();
    options.max_connections_per_address = 2;
    for running in both(&options) {
        let mut clients = [(); 2].map(|()| Client::dial(running.address(), &plain()));
        clients.iter_mut().for_each(Client::learn_salt);
        // A connection that has not proved yet that it has a key would make room.
        for client in &mut clients {
            client.echo(7);
        }
        let mut third = TcpStream::connect(running.address()).expect("the system takes it");
        assert!(matches!(third.read(&mut [0]), Ok(0) | Err(_)), "the third is closed");
        running.wait_for("the refusal", |counters| counters.over_limit == 1);
        drop(clients);
        running.wait_for("free places", |counters| counters.open == 0);
        let mut again = Client::dial(running.address(), &plain());
        again.learn_salt();
        again.echo(1);
    }
}

#[test]
fn ten_thousand_connections_opened_and_dropped_leave_nothing() {
    for (running, count) in [
        (start_tokio(&ListenOptions::datacenter()), 10_000),
        (start_blocking(&ListenOptions::datacenter()), 500),
    ] {
        for number in 0..count {
            let mut socket = TcpStream::connect(running.address()).expect("the server listens");
            match number % 3 {
                0 => {}
                1 => socket.write_all(&[0xef]).expect("the server reads"),
                _ => socket.write_all(&[0xee, 0xee, 0xee, 0xee, 40]).expect("the server reads"),
            }
            drop(socket);
            if number % 128 == 127 {
                // More than the system keeps for a server that is late would be tried again after a second.
                running.wait_for("the server's turn", |counters| counters.accepted + 64 > number);
            }
        }
        running.wait_for("the last end", |counters| counters.accepted == count && counters.open == 0);
        let mut client = Client::dial(running.address(), &plain());
        client.learn_salt();
        client.echo(1);
    }
}
