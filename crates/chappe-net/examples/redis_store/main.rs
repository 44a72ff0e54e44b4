//! Shows what a Redis server keeps for an account.
//!
//! ```text
//! cargo run -p chappe-net --example redis_store -- 127.0.0.1:6379 account-1
//! ```
#![forbid(unsafe_code)]

mod store;

use core::error::Error;
use std::env;

use chappe_net::store::{Slot, load_state};
use store::RedisStore;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, prefix] = arguments.as_slice() else {
        return Err("usage: redis_store ADDRESS PREFIX".into());
    };
    let holder = format!("process {}", std::process::id());
    let store = RedisStore::open(address.parse()?, prefix, &holder)?;
    for dc in 1..=5 {
        for slot in [Slot::production(dc), Slot::test(dc)] {
            if let Some(state) = load_state(&store, slot)? {
                println!("{slot}: key {}", state.key.auth_key.id());
            }
        }
    }
    Ok(())
}
