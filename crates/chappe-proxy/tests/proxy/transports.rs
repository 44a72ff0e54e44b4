//! Every client to every kind of datacenter.

use chappe_loopback::{Loopback, Options};
use chappe_server::ListenOptions;
use chappe_transport::{AcceptConfig, ProxySecret};

use crate::ends::{ALICE, Client, DD, EE, KEY, echo, is_served, start};

#[tokio::test]
async fn envelopes_of_any_length_pass_every_transport() {
    let datacenter = echo().await;
    for upstream in [
        "",
        "upstream.framing = \"abridged\"",
        "upstream.framing = \"intermediate\"\nupstream.plain = true",
        "upstream.framing = \"padded\"",
        "upstream.framing = \"full\"\nupstream.plain = true",
    ] {
        let proxy = start(datacenter, upstream, ALICE);
        for secret in [KEY, DD, EE] {
            let mut client = Client::connect(&proxy, secret).await.unwrap();
            for blocks in [0, 1, 300, 60_000, 2] {
                assert!(client.is_served(blocks).await, "{upstream} {secret} {blocks}");
            }
        }
        assert_eq!(proxy.counters().clients, 3);
        let users = proxy.users();
        assert!(users["alice"].bytes_up > 2_800_000 && users["alice"].bytes_down > 2_800_000);
    }
}

/// Connects a whole client, which makes a key and is answered.
async fn connects(datacenter: &Loopback, proxy: &chappe_proxy::Proxy, secret: &str) {
    let port = proxy.local_addrs()[0].port();
    let link = format!("tg://proxy?server=127.0.0.1&port={port}&secret={secret}");
    let options = datacenter.connect_options().with_mtproxy_link(&link).unwrap();
    chappe_net::tokio::connect(options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_makes_a_key_through_the_proxy() {
    let datacenter = Loopback::start().unwrap();
    let proxy = start(datacenter.address(), "", ALICE);
    for secret in [KEY, DD, EE] {
        connects(&datacenter, &proxy, secret).await;
    }
    let web = "upstream.carrier = \"websocket\"\nupstream.host = \"dc{dc}.example\"";
    let over_websocket = start(datacenter.address(), web, ALICE);
    connects(&datacenter, &over_websocket, DD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_can_stand_behind_another() {
    let config = AcceptConfig::proxy(vec![ProxySecret::parse(EE).unwrap()]);
    let sockets = ListenOptions::datacenter().with_accept(config);
    let datacenter = Options::new().sockets(sockets).start().unwrap();
    let port = datacenter.address().port();
    let link = format!("upstream.mtproxy = \"tg://proxy?server=127.0.0.1&port={port}&secret={EE}\"");
    // The datacenter's own address leads nowhere.
    let proxy = start("127.0.0.1:1".parse().unwrap(), &link, ALICE);
    connects(&datacenter, &proxy, KEY).await;
    connects(&datacenter, &proxy, DD).await;
}

#[tokio::test]
async fn a_datacenter_that_is_not_reached_ends_the_connection() {
    let proxy = start("127.0.0.1:1".parse().unwrap(), "", ALICE);
    assert!(!is_served(&proxy, DD).await);
    assert_eq!((proxy.counters().clients, proxy.counters().unreachable), (1, 1));
}
