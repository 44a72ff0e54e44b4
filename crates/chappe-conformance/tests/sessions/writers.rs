//! Session strings that this workspace writes, against those that the libraries write.

use chappe_handshake::Environment;
use chappe_import::{ExportError, ImportedSession, ServerAddress, User, gramjs, mtcute, pyrogram, telethon};
use serde_json::Value;

use crate::entries;

type Write = fn(&ImportedSession) -> Result<zeroize::Zeroizing<String>, ExportError>;

/// Every string of a library is written again as the library wrote it, to the letter.
fn check(file: &str, write: Write, forms: &[&str]) {
    let mut count = 0;
    for entry in entries(file) {
        let Some(text) = entry["text"].as_str() else { continue };
        if !forms.is_empty() && !forms.iter().any(|form| entry["form"] == *form) {
            continue;
        }
        let session = chappe_import::from_string(text).unwrap();
        assert_eq!(write(&session).unwrap().as_str(), text, "{file}: {}", entry["form"]);
        count += 1;
    }
    assert!(count > 0, "{file}");
}

#[test]
fn strings_are_written_as_the_libraries_write_them() {
    check("telethon", telethon::to_string, &[]);
    check("gramjs", gramjs::to_string, &[]);
    // The other form names a second server, for media.
    check("mtcute-0.30.3", mtcute::to_string, &["string 3, test, nobody"]);
    let forms = |file| -> Vec<String> {
        let longest = |entry: &Value| entry["text"].as_str().is_some_and(|text| text.len() > 352);
        let form = |entry: Value| entry["form"].as_str().unwrap().to_owned();
        entries(file).into_iter().filter(longest).map(form).collect()
    };
    for file in ["pyrogram", "kurigram"] {
        let forms = forms(file);
        check(file, pyrogram::to_string, &forms.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_written_is_read_again() {
    let text = entries("telethon")[0]["text"].as_str().unwrap().to_owned();
    let session = chappe_import::from_string(&text).unwrap();
    for host in ["149.154.167.51", "2001:67c:4e8:f004::a", "::1", "64:ff9b::1"] {
        let session = ImportedSession {
            server: Some(ServerAddress { host: host.into(), port: 65_535 }),
            user: Some(User { id: i64::MAX, is_bot: true }),
            environment: Some(Environment::Test),
            dc: 255,
            api_id: Some(-1),
            ..session.clone()
        };
        let bare = ImportedSession { user: None, environment: None, api_id: None, ..session.clone() };
        for write in [telethon::to_string, gramjs::to_string] {
            assert_eq!(chappe_import::from_string(&write(&session).unwrap()).as_ref(), Ok(&bare), "{host}");
        }
        let read = chappe_import::from_string(&mtcute::to_string(&session).unwrap()).unwrap();
        assert_eq!(read, ImportedSession { api_id: None, ..session.clone() });
        let read = chappe_import::from_string(&pyrogram::to_string(&session).unwrap()).unwrap();
        assert_eq!(read, ImportedSession { server: None, ..session.clone() });
    }
}

#[test]
fn a_session_without_what_a_form_needs_is_not_written() {
    let text = entries("telethon")[0]["text"].as_str().unwrap().to_owned();
    let session = chappe_import::from_string(&text).unwrap();
    let with_host = |host: &str| ImportedSession {
        server: Some(ServerAddress { host: host.into(), port: 443 }),
        ..session.clone()
    };
    let bare = ImportedSession { server: None, ..session.clone() };
    for write in [telethon::to_string, gramjs::to_string, mtcute::to_string] {
        assert_eq!(write(&bare), Err(ExportError::NoServer));
        let far = ImportedSession { dc: 256, ..session.clone() };
        assert_eq!(write(&far), Err(ExportError::Datacenter { id: 256 }));
        assert_eq!(write(&with_host(&"a".repeat(256))), Err(ExportError::NotAnAddress));
    }
    assert_eq!(telethon::to_string(&with_host("venus.web.telegram.org")), Err(ExportError::NotAnAddress));
    assert!(gramjs::to_string(&with_host("venus.web.telegram.org")).is_ok());
    assert_eq!(pyrogram::to_string(&session), Err(ExportError::NoUser));
}
