//! Sessions of this library and of others, from files, folders and strings.

mod sqlite;
mod tdata;

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use chappe::authentication::Environment;
use chappe::import::{
    ImportError, ImportedSession, gotd, gramjs, grammers, mtcute, pyrogram, tdlib, telethon, tgnet, web,
    wtelegram,
};
use chappe::net::store::{FileStore, KeyStore as _, Slot};
use chappe::session::client::SavedState;

use crate::failure::{Blame, Failure, OrBlame as _, Result};
use crate::secrets::Passcode;

/// What a file, folder or string holds.
#[derive(Debug)]
pub(crate) struct Found {
    /// The library that wrote it.
    pub(crate) library: &'static str,
    /// A session for each datacenter, the account's own first.
    pub(crate) sessions: Vec<ImportedSession>,
}

/// Largest file that is read, in bytes.
const MAX_LEN: u64 = 64 << 20;
/// Most bytes that a session string has.
const MAX_STRING: u64 = 4096;

/// Reads a session: `-` is a string on standard input, then a path is tried, then a string.
pub(crate) fn read(source: &str, passcode: &Passcode) -> Result<Found> {
    if source == "-" {
        let mut text = String::new();
        io::stdin()
            .take(MAX_STRING)
            .read_to_string(&mut text)
            .or_blame(Blame::Input, "cannot read the string")?;
        return from_string(&text);
    }
    let path = Path::new(source);
    if path.is_dir() {
        return from_folder(path, passcode);
    }
    if path.exists() {
        return from_file(path, passcode);
    }
    // A path that is not there is no string, and its failure should say so. The string may be a secret: it is not repeated.
    if source.len() < 200 {
        return Err(Failure::input(format!(
            "{source}: there is no such file, and a session string is longer"
        )));
    }
    from_string(source)
}

/// Reads a session string of any library.
fn from_string(text: &str) -> Result<Found> {
    let of = |library, session: Result<ImportedSession, ImportError>| {
        session.ok().map(|session| Found { library, sessions: vec![session] })
    };
    let text = text.trim();
    let found = of("Telethon", telethon::from_string(text))
        .or_else(|| of("GramJS", gramjs::from_string(text)))
        .or_else(|| of("Pyrogram", pyrogram::from_string(text)))
        .or_else(|| of("mtcute", mtcute::from_string(text)));
    match found {
        Some(found) => Ok(found),
        None => match chappe::import::from_string(text) {
            Ok(session) => Ok(Found { library: "unknown", sessions: vec![session] }),
            Err(error) => Err(Failure::of(Blame::Input, &error).while_doing("not a session string")),
        },
    }
}

fn from_folder(path: &Path, passcode: &Passcode) -> Result<Found> {
    if tdata::is_folder(path) {
        return tdata::read(path, passcode);
    }
    let sessions = from_store(path)?;
    if sessions.is_empty() {
        let name = path.display();
        return Err(Failure::input(format!("{name} is neither a key store of chappe nor a `tdata` folder")));
    }
    Ok(Found { library: "chappe", sessions })
}

/// Reads the keys of a store of this library.
fn from_store(path: &Path) -> Result<Vec<ImportedSession>> {
    let has_keys = fs::read_dir(path).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.path().extension().is_some_and(|extension| extension == "key"))
    });
    if !has_keys {
        return Ok(Vec::new());
    }
    let store = open_store(path)?;
    let mut sessions = Vec::new();
    for environment in [Environment::Production, Environment::Test] {
        for dc in 1..=9 {
            let slot = match environment {
                Environment::Test => Slot::test(dc),
                Environment::Production => Slot::production(dc),
            };
            let loaded = store.load(slot).or_blame(Blame::Machine, format_args!("cannot read {slot}"))?;
            let Some(state) = loaded else { continue };
            let state =
                SavedState::import(&state).or_blame(Blame::Input, format_args!("{slot} is damaged"))?;
            sessions.push(ImportedSession {
                dc,
                environment: Some(environment),
                server: None,
                auth_key: state.key.auth_key.clone(),
                user: None,
                api_id: None,
            });
        }
    }
    Ok(sessions)
}

/// Opens a key store of this library.
pub(crate) fn open_store(path: &Path) -> Result<FileStore> {
    FileStore::open(path)
        .or_blame(Blame::Machine, format_args!("cannot open the key store {}", path.display()))
}

fn from_file(path: &Path, passcode: &Passcode) -> Result<Found> {
    let name = path.display();
    let mut bytes = Vec::new();
    let file = fs::File::open(path).or_blame(Blame::Input, format_args!("cannot read {name}"))?;
    file.take(MAX_LEN).read_to_end(&mut bytes).or_blame(Blame::Input, format_args!("cannot read {name}"))?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let found = |library, sessions: Result<Vec<ImportedSession>, ImportError>| {
        let sessions = sessions.or_blame(Blame::Input, format_args!("{name} is no session of {library}"))?;
        Ok(Found { library, sessions })
    };
    if bytes.starts_with(sqlite::MAGIC) {
        return sqlite::read(path);
    }
    if file_name.ends_with(".binlog") {
        return found("TDLib", tdlib::from_binlog(&bytes, passcode.given()?.as_bytes()));
    }
    if file_name == "tgnet.dat" {
        return found("Telegram for Android", tgnet::from_file(&bytes));
    }
    if file_name.starts_with("WTelegram") {
        return found(
            "WTelegramClient",
            wtelegram::from_file(&bytes, &passcode.ask("session_key or api_hash")?),
        );
    }
    if let Ok(text) = str::from_utf8(&bytes) {
        if text.trim_start().starts_with('{') {
            return match gotd::from_json(text) {
                Ok(session) => Ok(Found { library: "gotd", sessions: vec![session] }),
                Err(_) => found("Telegram Web", web::from_local_storage(text)),
            };
        }
        return from_string(text).map_err(|failure| failure.while_doing(name));
    }
    found("grammers", grammers::from_file(&bytes))
}
