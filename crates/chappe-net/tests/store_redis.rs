//! The store of `examples/redis_store` by the contract, against a server of a few lines that speaks the same protocol.
#![allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "a test")]

#[path = "../examples/redis_store/store.rs"]
mod store;

use core::net::SocketAddr;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use chappe_net::store::{KeyStore as _, Slot, StoreError, contract};
use store::RedisStore;

type Memory = Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>;

/// Serves `GET`, `SET`, `SET … NX` and `DEL` until the process ends.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let memory = Memory::default();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let memory = Arc::clone(&memory);
            thread::spawn(move || talk(&mut BufReader::new(stream.unwrap()), &memory));
        }
    });
    address
}

/// Serves one connection until it is closed.
fn talk(stream: &mut BufReader<TcpStream>, memory: &Memory) {
    while let Some(words) = command(stream) {
        let mut memory = memory.lock().unwrap();
        let reply = match words.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
            [b"GET", key] => match memory.get(key) {
                Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
                None => b"$-1\r\n".to_vec(),
            },
            [b"SET", key, _, b"NX"] if memory.contains_key(key) => b"$-1\r\n".to_vec(),
            [b"SET", key, value] | [b"SET", key, value, b"NX"] => {
                memory.insert(key.to_vec(), value.to_vec());
                b"+OK\r\n".to_vec()
            }
            [b"DEL", key] => format!(":{}\r\n", u8::from(memory.remove(key).is_some())).into_bytes(),
            _ => b"-ERR unknown command\r\n".to_vec(),
        };
        stream.get_mut().write_all(&reply).unwrap();
    }
}

fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<Vec<u8>>> {
    let count = number(stream, '*')?;
    let word = |_| {
        let mut word = vec![0; number(stream, '$')? + 2];
        stream.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        Some(word)
    };
    (0..count).map(word).collect()
}

fn number(stream: &mut BufReader<TcpStream>, kind: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.strip_prefix(kind)?.trim_end().parse().ok()
}

#[test]
fn a_remote_store_keeps_the_contract() {
    let address = serve();
    let mut places = 0;
    contract::check(|| {
        places += 1;
        RedisStore::open(address, &format!("place-{places}"), "the test").unwrap()
    });
    contract::check_durable(|| RedisStore::open(address, "durable", "the test").unwrap());
    contract::check_exclusive(|| RedisStore::open(address, "exclusive", "the test"));
}

#[test]
fn the_holder_of_the_lock_is_named() {
    let address = serve();
    let _first = RedisStore::open(address, "account", "night job").unwrap();
    let Err(StoreError::InUse { store, holder }) = RedisStore::open(address, "account", "me") else {
        panic!("it is in use");
    };
    assert_eq!(store, format!("redis://{address}/account"));
    assert_eq!(holder.as_deref(), Some("night job"));
}

#[test]
fn a_server_that_talks_nonsense_is_an_error_and_not_an_empty_slot() {
    for nonsense in
        ["", "$99999999999\r\n", "$5\r\nab", "$2\r\nabXY", "HTTP/1.1 200 OK\r\n", "-ERR no\r\n", "$\r\n"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            command(&mut stream).unwrap();
            stream.get_mut().write_all(b"+OK\r\n").unwrap();
            command(&mut stream).unwrap();
            stream.get_mut().write_all(nonsense.as_bytes()).unwrap();
        });
        let store = RedisStore::open(address, "account", "the test").unwrap();
        let refused = store.load(Slot::production(2)).map(|state| state.map(|state| state.len()));
        assert!(matches!(refused, Err(StoreError::Other(_))), "{nonsense:?}: {refused:?}");
        server.join().unwrap();
        drop(store);
    }
}
