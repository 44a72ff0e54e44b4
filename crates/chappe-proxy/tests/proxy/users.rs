//! Users, their limits and changes of the configuration.

use crate::ends::{ALICE, Client, DD, KEY, config, echo, is_served, start, until};

const BOB: &str = "ddffeeddccbbaa99887766554433221100";

fn bob(keys: &str) -> String {
    format!("[[users]]\nname = \"bob\"\nsecret = \"{BOB}\"\n{keys}\n")
}

#[tokio::test]
async fn each_user_has_counters_and_limits_of_their_own() {
    let proxy = start(echo().await, "", &format!("{ALICE}{}", bob("max_connections = 1")));
    let mut first = Client::connect(&proxy, BOB).await.unwrap();
    assert!(first.is_served(1).await);
    assert!(!is_served(&proxy, BOB).await, "the only place is taken");
    assert!(is_served(&proxy, DD).await && is_served(&proxy, KEY).await);
    let users = proxy.users();
    assert_eq!((users["bob"].open, users["bob"].connections, users["bob"].refused), (1, 1, 1));
    assert_eq!((users["alice"].connections, users["alice"].refused), (2, 0));
    drop(first);
    until(&proxy, |counters| counters.open == 0).await;
    assert!(is_served(&proxy, BOB).await);
}

#[tokio::test]
async fn bytes_and_time_run_out() {
    let limits = format!("{ALICE}{}", bob("max_bytes = 100000\nexpires = 2001-01-01"));
    let proxy = start(echo().await, "", &limits);
    assert!(!is_served(&proxy, BOB).await, "the time is over");
    let alice = format!("{ALICE}max_bytes = 100000\n");
    let proxy = start(echo().await, "", &alice);
    let mut client = Client::connect(&proxy, DD).await.unwrap();
    assert!(client.is_served(1000).await);
    assert!(!client.is_served(10_000).await, "the connection ends where the bytes do");
    assert!(!is_served(&proxy, DD).await, "and no other begins");
    assert_eq!(proxy.counters().user_refused, 2);
}

#[tokio::test]
async fn a_new_configuration_ends_the_connections_of_those_who_are_gone() {
    let datacenter = echo().await;
    let proxy = start(datacenter, "", &format!("{ALICE}{}", bob("")));
    let mut alice = Client::connect(&proxy, DD).await.unwrap();
    let mut bobs = Client::connect(&proxy, BOB).await.unwrap();
    assert!(alice.is_served(1).await && bobs.is_served(1).await);
    proxy.reload(config(datacenter, "", ALICE)).unwrap();
    assert!(!bobs.is_served(1).await, "bob is gone");
    assert!(alice.is_served(1).await, "alice stays");
    assert!(!is_served(&proxy, BOB).await);
    // One that cannot be used changes nothing.
    assert!(proxy.reload(config(datacenter, "", "")).is_err());
    assert!(alice.is_served(1).await);
    let fixed =
        proxy.reload(config(datacenter, "limits.connections = 5", &format!("{ALICE}{}", bob("")))).unwrap();
    assert_eq!(fixed, ["limits.connections"]);
    assert!(is_served(&proxy, BOB).await, "bob is back");
    assert!(alice.is_served(1).await);
    // Another secret is another key to the door.
    proxy.reload(config(datacenter, "", &ALICE.replace("0011", "1100"))).unwrap();
    assert!(!alice.is_served(1).await);
    assert!(proxy.users()["alice"].bytes_up > 0, "counters go on");
}

#[tokio::test]
async fn bytes_survive_a_restart() {
    let path = std::env::temp_dir().join(format!("chappe-proxy-restart-{}.toml", std::process::id()));
    let keys = format!("usage_file = {:?}", path.display().to_string());
    let alice = format!("{ALICE}max_bytes = 10000\n");
    let datacenter = echo().await;
    let proxy = start(datacenter, &keys, &alice);
    let mut client = Client::connect(&proxy, DD).await.unwrap();
    assert!(client.is_served(250).await);
    drop(client);
    proxy.shutdown(crate::ends::PATIENCE).await;
    let proxy = start(datacenter, &keys, &alice);
    let mut client = Client::connect(&proxy, DD).await.unwrap();
    assert!(!client.is_served(250).await, "the limit was nearly reached before");
    drop(proxy);
    std::fs::remove_file(path).unwrap();
}
