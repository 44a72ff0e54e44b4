//! Slow readers, silence and the end of a proxy.

use std::time::Duration;

use chappe_proxy::Proxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::ends::{ALICE, Client, DD, KEY, PATIENCE, config, echo, is_served, start, until};

#[tokio::test]
async fn sec_138_a_slow_reader_stops_its_writer() {
    const OFFERED: u64 = 256 * 1024 * 1024;
    // A datacenter that reads nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = start(listener.local_addr().unwrap(), "limits.write = 2", ALICE);
    let mut client = Client::connect(&proxy, KEY).await.unwrap();
    client.send(&[0x5a; 40]).await.unwrap();
    let (_datacenter, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let chunk = vec![0x5a; 1024 * 1024];
    let mut offered = 0;
    while offered < OFFERED && timeout(PATIENCE, client.socket.write_all(&chunk)).await.unwrap().is_ok() {
        offered += chunk.len() as u64;
    }
    assert!(offered < OFFERED, "the proxy closes a connection that does not move");
    until(&proxy, |counters| counters.slow_readers == 1 && counters.open == 0).await;
    // The buffers of four sockets, and a window.
    let taken = proxy.users()["alice"].bytes_up;
    assert!(taken < OFFERED / 4, "{taken} bytes were taken from the client");
}

#[tokio::test]
async fn a_silent_connection_ends() {
    let proxy = start(echo().await, "limits.idle = 1", ALICE);
    let mut client = Client::connect(&proxy, DD).await.unwrap();
    assert!(client.is_served(1).await);
    let end = timeout(PATIENCE, client.socket.read(&mut [0])).await.expect("it ends");
    assert_eq!(end.unwrap_or(0), 0);
    until(&proxy, |counters| counters.idle == 1).await;
}

#[tokio::test]
async fn a_connection_ends_with_either_of_its_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = start(listener.local_addr().unwrap(), "", ALICE);
    let begin = async || {
        let mut client = Client::connect(&proxy, DD).await.unwrap();
        client.send(&[0x5a; 40]).await.unwrap();
        let (mut datacenter, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        datacenter.read_u8().await.unwrap();
        (client, datacenter)
    };
    let (mut client, datacenter) = begin().await;
    drop(datacenter);
    let end = timeout(PATIENCE, client.socket.read(&mut [0])).await.expect("it ends");
    assert_eq!(end.unwrap_or(0), 0);
    let (client, mut datacenter) = begin().await;
    drop(client);
    timeout(PATIENCE, datacenter.read_to_end(&mut Vec::new())).await.expect("it ends").ok();
    until(&proxy, |counters| counters.open == 0).await;
}

#[tokio::test]
async fn connections_may_end_by_themselves_before_the_proxy_does() {
    let proxy = start(echo().await, "", ALICE);
    let address = proxy.local_addrs()[0];
    let mut client = Client::connect(&proxy, DD).await.unwrap();
    assert!(client.is_served(1).await);
    let stopping = tokio::spawn(proxy.shutdown(PATIENCE));
    // It listens no more, and what began goes on.
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(client.is_served(2).await);
    drop(client);
    assert!(stopping.await.unwrap(), "all ended by themselves");

    let proxy = start(echo().await, "", ALICE);
    let mut client = Client::connect(&proxy, DD).await.unwrap();
    assert!(client.is_served(1).await);
    assert!(!proxy.shutdown(Duration::from_millis(20)).await, "the client did not end");
    assert!(!client.is_served(1).await);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_proxy_takes_over_while_the_old_one_ends() {
    let datacenter = echo().await;
    let old = start(datacenter, "reuse_port = true", ALICE);
    let address = old.local_addrs()[0];
    let mut client = Client::connect(&old, DD).await.unwrap();
    assert!(client.is_served(1).await);
    let mut same = config(datacenter, "reuse_port = true", ALICE);
    same.listen = vec![address];
    let new = Proxy::start(same, Vec::new()).unwrap();
    let stopping = tokio::spawn(old.shutdown(PATIENCE));
    // The kernel gives connections to both until the old one listens no more.
    let waiting = async {
        while new.counters().accepted == 0 {
            is_served(&new, DD).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the new one is reached");
    assert!(client.is_served(1).await, "the old one still serves what began");
    drop(client);
    assert!(stopping.await.unwrap());
}

#[tokio::test]
async fn a_socket_can_be_handed_over() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(echo().await, "", ALICE);
    config.listen.clear();
    assert!(Proxy::start(config.clone(), Vec::new()).is_err(), "there is nothing to listen on");
    let proxy = Proxy::start(config.clone(), vec![socket.try_clone().unwrap()]).unwrap();
    assert!(is_served(&proxy, DD).await);
    proxy.shutdown(PATIENCE).await;
    // No process accepts now, and the client waits in the queue of the socket.
    let waiting = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
    let proxy = Proxy::start(config, vec![socket]).unwrap();
    let mut client = Client::begin(waiting, DD, b"", chappe_transport::DcId::production(2)).await.unwrap();
    assert!(client.is_served(1).await);
    drop(proxy);
}
