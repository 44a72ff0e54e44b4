//! Writes the session file of grammers 0.11, with a dummy key for datacenter 2.
use std::net::{SocketAddrV4, SocketAddrV6, Ipv4Addr};
use grammers_session::{Session as _, storages::SqliteSession, types::DcOption};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = std::env::args().nth(1).expect("the folder to write to");
    let key: [u8; 256] = std::array::from_fn(|place| (place * 31 + 7) as u8);
    let session = SqliteSession::open(format!("{folder}/grammers-0.11.session")).await.unwrap();
    let v4 = SocketAddrV4::new(Ipv4Addr::new(149, 154, 167, 51), 443);
    let v6 = SocketAddrV6::new("2001:67c:4e8:f002::a".parse().unwrap(), 443, 0, 0);
    session.set_dc_option(&DcOption { id: 2, ipv4: v4, ipv6: v6, auth_key: Some(key) }).await.unwrap();
    session.set_home_dc_id(2).await.unwrap();
}
