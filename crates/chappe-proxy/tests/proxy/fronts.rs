//! What stands in front of a proxy, and what it stands in front of.

use chappe_transport::DcId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::ends::{ALICE, Client, EE, PATIENCE, echo, is_served, start, until};

const STRANGER: &str = "ee10112233445566778899aabbccddeeff6578616d706c652e636f6d";

/// Sends bytes to a proxy, and returns what the site behind it reads of them.
async fn handed_on(proxy: &chappe_proxy::Proxy, site: &TcpListener, sent: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(proxy.local_addrs()[0]).await.unwrap();
    client.write_all(sent).await.unwrap();
    let (mut served, _) = timeout(PATIENCE, site.accept()).await.expect("it is handed on").unwrap();
    let mut read = vec![0; sent.len()];
    timeout(PATIENCE, served.read_exact(&mut read)).await.unwrap().unwrap();
    served.write_all(b"I am the site").await.unwrap();
    let mut answer = vec![0; 13];
    timeout(PATIENCE, client.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"I am the site");
    read
}

/// Returns the first bytes of a client, which the proxy does not see.
async fn hello(secret: &str) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let secret = secret.to_owned();
    let client =
        tokio::spawn(async move { Client::begin(socket, &secret, b"", DcId::production(2)).await.is_ok() });
    let (mut server, _) = listener.accept().await.unwrap();
    let mut head = [0; 5];
    server.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    server.read_exact(&mut body).await.unwrap();
    drop(server);
    assert!(!client.await.unwrap());
    [&head[..], &body].concat()
}

#[tokio::test]
async fn sec_149_a_refused_client_sees_the_site() {
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mask = format!("mask = \"{}\"", site.local_addr().unwrap());
    let proxy = start(echo().await, &mask, ALICE);
    for sent in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), hello(STRANGER).await, vec![0x5a; 64]] {
        assert_eq!(handed_on(&proxy, &site, &sent).await, sent);
    }
    // A client is served, and a recording of it is not.
    let known = hello(EE).await;
    let mut client = TcpStream::connect(proxy.local_addrs()[0]).await.unwrap();
    client.write_all(&known).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 0x16, "it is answered");
    assert_eq!(handed_on(&proxy, &site, &known).await, known);
    let counters = proxy.counters();
    assert_eq!((counters.handed_on, counters.unknown, counters.replayed), (4, 3, 1));
}

#[tokio::test]
async fn a_silent_client_sees_the_site_after_the_time_limit() {
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mask = format!("mask = \"{}\"\nlimits.first_bytes = 1", site.local_addr().unwrap());
    let proxy = start(echo().await, &mask, ALICE);
    let part = &hello(EE).await[..100];
    assert_eq!(handed_on(&proxy, &site, part).await, part);
    assert_eq!(proxy.counters().silent, 1);
}

#[tokio::test]
async fn without_a_site_a_stranger_reads_nothing() {
    let proxy = start(echo().await, "", ALICE);
    let mut client = TcpStream::connect(proxy.local_addrs()[0]).await.unwrap();
    client.write_all(&[0x5a; 64]).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it is closed");
    assert!(answer.is_empty());
    assert!(!is_served(&proxy, STRANGER).await);
}

#[tokio::test]
async fn a_load_balancer_names_the_client() {
    let keys = "load_balancers = [\"127.0.0.1\"]\nlimits.connections_per_network = 1";
    let proxy = start(echo().await, keys, ALICE);
    let header = |host: u8| format!("PROXY TCP4 192.0.2.{host} 198.51.100.1 1000 443\r\n");
    let mut clients = Vec::new();
    for host in 1..4 {
        let mut client = Client::connect_behind(&proxy, EE, header(host).as_bytes()).await.unwrap();
        assert!(client.is_served(1).await);
        clients.push(client);
    }
    assert!(Client::connect_behind(&proxy, EE, header(1).as_bytes()).await.is_err(), "one of each network");
    until(&proxy, |counters| counters.over_limit == 1).await;
    assert!(!is_served(&proxy, EE).await, "a header is required");
    assert!(clients[0].is_served(1).await);
}

#[tokio::test]
async fn metrics_are_on_a_port_of_their_own() {
    let proxy = start(echo().await, "metrics = \"127.0.0.1:0\"", ALICE);
    assert!(is_served(&proxy, EE).await);
    let get = async |path: &str| {
        let mut socket = TcpStream::connect(proxy.metrics_addr().unwrap()).await.unwrap();
        socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = get("/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in [
        "# TYPE chappe_proxy_clients_total counter",
        "chappe_proxy_clients_total 1",
        "chappe_proxy_refused_total{cause=\"replayed\"} 0",
        "chappe_proxy_user_connections_total{user=\"alice\"} 1",
    ] {
        assert!(answer.lines().any(|found| found == line), "{line}: {answer}");
    }
    assert!(answer.contains("chappe_proxy_user_bytes_total{user=\"alice\",direction=\"down\"}"));
    assert!(!answer.contains("0011"), "no secret");
    assert!(get("/").await.starts_with("HTTP/1.1 404"));
}
