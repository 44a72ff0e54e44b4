//! Writes the session files of grammers 0.7 and 0.8, with a dummy key for datacenter 2.
#![allow(deprecated)]
use std::fs;
use std::net::{SocketAddrV4, SocketAddrV6, Ipv4Addr};
use v8::Session as _;

fn main() {
    let folder = std::env::args().nth(1).expect("the folder to write to");
    let key: [u8; 256] = std::array::from_fn(|place| (place * 31 + 7) as u8);
    let old = v7::Session::new();
    old.insert_dc(2, "149.154.167.51:443".parse().unwrap(), key);
    old.insert_dc(4, "149.154.167.91:443".parse().unwrap(), std::array::from_fn(|place| key[255 - place]));
    old.set_user(7_000_000_001, 2, false);
    fs::write(format!("{folder}/grammers-0.7.session"), old.save()).unwrap();

    let new = v8::storages::TlSession::new();
    let v4 = SocketAddrV4::new(Ipv4Addr::new(149, 154, 167, 51), 443);
    let v6 = SocketAddrV6::new("2001:67c:4e8:f002::a".parse().unwrap(), 443, 0, 0);
    new.set_dc_option(&v8::defs::DcOption { id: 2, ipv4: v4, ipv6: v6, auth_key: Some(key) });
    new.set_home_dc_id(2);
    fs::write(format!("{folder}/grammers-0.8.session"), new.save()).unwrap();
}
