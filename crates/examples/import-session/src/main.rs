//! Takes the key out of another library's session into a directory of chappe's.
//!
//! ```text
//! cargo run -- my.session keys      # a file of Telethon, Pyrogram or grammers
//! cargo run -- - keys < string.txt  # a session string of Telethon, Pyrogram, GramJS or mtcute
//! cargo run -- my.session keys test # the library does not say so, and it was the test environment
//! ```
#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::io::{self, Read as _};
use std::path::Path;

use chappe_handshake::Environment;
use chappe_import::{ImportedSession, grammers};
use chappe_net::store::{FileStore, KeyStore as _, Slot};
use zeroize::Zeroizing;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (source, directory, environment) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        [source, directory] => (source, directory, Environment::Production),
        [source, directory, "test"] => (source, directory, Environment::Test),
        _ => return Err("usage: import-session FILE|- DIRECTORY [test]".into()),
    };
    let store = FileStore::open(directory)?;
    for session in sessions(source)? {
        let slot = Slot::of(session.datacenter(environment));
        if store.load(slot)?.is_some() {
            return Err(format!("{directory} has a key for {slot} already").into());
        }
        store.save(slot, &session.to_state())?;
        println!("{slot}: key {}", session.auth_key.id());
    }
    Ok(())
}

fn sessions(source: &str) -> Result<Vec<ImportedSession>, Box<dyn Error>> {
    const MAX_LEN: u64 = 4 << 20;
    if source == "-" {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        io::stdin().take(4096).read_to_string(&mut text)?;
        return Ok(vec![chappe_import::from_string(&text)?]);
    }
    let mut start = Zeroizing::new(Vec::new());
    std::fs::File::open(source)?.take(MAX_LEN).read_to_end(&mut start)?;
    if start.starts_with(b"SQLite format 3\0") {
        return Ok(import_session::read(Path::new(source))?);
    }
    Ok(grammers::from_file(&start)?)
}
