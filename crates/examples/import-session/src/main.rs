//! Takes the key out of another library's session into a directory of chappe's.
//!
//! ```text
//! cargo run -- my.session keys      # a file of Telethon, Pyrogram or grammers
//! cargo run -- - keys < string.txt  # a session string of Telethon, Pyrogram, GramJS or mtcute
//! cargo run -- my.session keys test # the library does not say so, and it was the test environment
//! cargo run -- tdata keys           # the folder of Telegram Desktop; PASSCODE=... if it has one
//! cargo run -- tgnet.dat keys       # likewise td.binlog, and JSON of gotd or of a web client
//! ```
//!
//! The keys of each account of Telegram Desktop go into a folder of their own, `keys/account-0` and so on.
#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::io::{self, Read as _};
use std::path::Path;

use chappe_handshake::Environment;
use chappe_import::{ImportedSession, gotd, grammers, tdlib, tgnet, web};
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
    if Path::new(source).is_dir() {
        let passcode = Zeroizing::new(env::var("PASSCODE").unwrap_or_default());
        for (index, sessions) in import_session::tdata::read(Path::new(source), &passcode)? {
            save(&sessions, &Path::new(directory).join(format!("account-{index}")), environment)?;
        }
        return Ok(());
    }
    save(&sessions(source)?, Path::new(directory), environment)
}

fn save(
    sessions: &[ImportedSession],
    directory: &Path,
    environment: Environment,
) -> Result<(), Box<dyn Error>> {
    let store = FileStore::open(directory)?;
    for session in sessions {
        let slot = Slot::of(session.datacenter(environment));
        if store.load(slot)?.is_some() {
            return Err(format!("{} has a key for {slot} already", directory.display()).into());
        }
        store.save(slot, &session.to_state())?;
        println!("{slot}: key {}", session.auth_key.id());
    }
    Ok(())
}

fn sessions(source: &str) -> Result<Vec<ImportedSession>, Box<dyn Error>> {
    const MAX_LEN: u64 = 64 << 20;
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
    let name = Path::new(source).file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".binlog") {
        return Ok(tdlib::from_binlog(&start, b"")?);
    }
    if name == "tgnet.dat" {
        return Ok(tgnet::from_file(&start)?);
    }
    if let Some(json) = std::str::from_utf8(&start).ok().filter(|text| text.trim_start().starts_with('{')) {
        return Ok(gotd::from_json(json)
            .map(|session| vec![session])
            .or_else(|_| web::from_local_storage(json))?);
    }
    Ok(grammers::from_file(&start)?)
}
