//! Sessions of other libraries, as text and as files.

use std::{fs, path::Path};

use chappe_handshake::Environment;
use chappe_import::{self as import, ImportError, ImportedSession};
use chappe_session::client::SavedState;

use super::Target;

/// Session strings and files.
pub(super) const IMPORT: Target = Target {
    name: "session_import",
    about: "session strings of five libraries, files of old grammers, rows of databases",
    run,
    seeds,
    max_len: 1024,
};

/// Files of programs with a key for each datacenter.
pub(super) const FILES: Target = Target {
    name: "session_files",
    about: "tdata, binlogs, tgnet.dat, local storage and JSON, with the checksum of tdata made right",
    run: run_files,
    seeds: file_seeds,
    max_len: 8192,
};

type Reader = fn(&str) -> Result<ImportedSession, ImportError>;

fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let readers: [Reader; 5] = [
        import::from_string,
        import::telethon::from_string,
        import::pyrogram::from_string,
        import::gramjs::from_string,
        import::mtcute::from_string,
    ];
    for read in readers {
        told(&text, read(&text));
    }
    if let Ok(sessions) = import::grammers::from_file(input) {
        assert!(sessions.len() <= input.len(), "each takes some bytes");
        for session in sessions {
            told("a file", Ok(session));
        }
    }
    let (dc, key) = input.split_at(input.len().min(8));
    let dc = dc.iter().fold(0, |dc, byte| dc << 8 | i64::from(*byte));
    told("a row", import::grammers::from_row(dc, &text, key));
}

/// The first byte says which reader is tried, the rest is the file.
fn run_files(input: &[u8]) {
    let Some((reader, file)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(file);
    let one = |session: ImportedSession| vec![session];
    let read = match reader % 7 {
        0 => import::tdlib::from_binlog(file, b""),
        1 => import::tgnet::from_file(file),
        2 => import::web::from_local_storage(&text),
        3 => import::gotd::from_json(&text).map(one),
        4 => import::wtelegram::from_file(file, API_HASH),
        5 => unlock(&summed(file), file, import::tdata::Folder::unlock),
        _ => unlock(&summed(file), file, import::tdata::Folder::unlock_legacy),
    };
    match read {
        Ok(sessions) => {
            assert!(!sessions.is_empty(), "no key is an error");
            for session in sessions {
                told("", Ok(session));
            }
        }
        Err(error) => told("", Err(error)),
    }
}

const API_HASH: &str = "0123456789abcdef0123456789abcdef";

type Unlock = fn(&[u8], &str) -> Result<import::tdata::Folder, ImportError>;

fn unlock(key_file: &[u8], account: &[u8], unlock: Unlock) -> Result<Vec<ImportedSession>, ImportError> {
    unlock(key_file, "")?.account(account)
}

/// The file with the checksum that it should have, so that what lies behind it is reached.
fn summed(file: &[u8]) -> Vec<u8> {
    use md5::{Digest as _, Md5};
    let mut file = file.to_vec();
    let Some(len) = file.len().checked_sub(16).filter(|len| *len >= 8) else { return file };
    file[..4].copy_from_slice(b"TDF$");
    let digest = Md5::new()
        .chain_update(&file[8..len])
        .chain_update((len as u32 - 8).to_le_bytes())
        .chain_update(&file[4..8])
        .chain_update(&file[..4])
        .finalize();
    file[len..].copy_from_slice(&digest);
    file
}

/// The fixtures, each behind the number of its reader.
fn file_seeds() -> Vec<Vec<u8>> {
    let load = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sessions/fixtures").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str::<serde_json::Value>(&text).expect("fixtures are JSON")
    };
    let mut seeds = Vec::new();
    for (reader, name) in [(0, "tdlib"), (1, "tgnet"), (2, "web"), (3, "gotd"), (4, "wtelegram")] {
        for entry in load(&format!("{name}.json"))["entries"].as_array().expect("a list") {
            let file = match (entry["bytes"].as_str(), entry["json"].as_str()) {
                (Some(bytes), _) => hex::decode(bytes).expect("fixtures are hexadecimal"),
                (None, json) => json.unwrap_or_default().as_bytes().to_vec(),
            };
            seeds.push([vec![reader], file].concat());
        }
    }
    for name in ["tdata-mtcute.json", "tdata-opentele2.json"] {
        for folder in load(name)["folders"].as_array().expect("a list") {
            // A passcode costs its rounds in every attempt.
            let files = folder["files"].as_object().filter(|_| folder["passcode"] == "");
            for (name, bytes) in files.into_iter().flatten() {
                let reader = if name.contains("map") { 6 } else { 5 };
                let file = hex::decode(bytes.as_str().unwrap_or_default()).expect("fixtures are hexadecimal");
                seeds.push([vec![reader], file].concat());
            }
        }
    }
    seeds
}

/// What was read can be kept and read again; what was not, is told without the text.
fn told(text: &str, read: Result<ImportedSession, ImportError>) {
    match read {
        Ok(session) => {
            let saved = SavedState::import(&session.to_state()).expect("it was just written");
            assert!(saved.key.auth_key == session.auth_key, "the key is the same");
            let _ = session.datacenter(Environment::Production);
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!said.is_empty());
            let is_secret = text.len() > 64;
            assert!(!is_secret || !said.contains(text), "an error repeats the session");
        }
    }
}

/// What the libraries themselves wrote.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sessions/fixtures");
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        match serde_json::from_slice::<serde_json::Value>(&bytes) {
            Ok(value) => {
                let entries = value["entries"].as_array().cloned().unwrap_or_default();
                let texts = entries.iter().filter_map(|entry| entry["text"].as_str());
                seeds.extend(texts.map(|text| text.as_bytes().to_vec()));
            }
            Err(_) if bytes.len() <= IMPORT.max_len => seeds.push(bytes),
            Err(_) => {}
        }
    }
    seeds
}
