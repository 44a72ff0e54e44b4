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
