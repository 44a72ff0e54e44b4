//! Session files that the libraries themselves wrote.

use std::path::{Path, PathBuf};

use chappe_import::Server;
use import_session::{Error, read};

fn fixture(name: &str) -> PathBuf {
    Path::new("../../chappe-conformance/interop/sessions/fixtures").join(name)
}

fn key() -> [u8; 256] {
    std::array::from_fn(|place| (place * 31 + 7) as u8)
}

#[test]
fn files_of_every_library_are_read() {
    let server = ServerAddress { host: "149.154.167.51".into(), port: 443 };
    for (name, has_server, user) in [
        ("telethon-1.45.0.session", true, None),
        ("grammers-0.11.session", true, None),
        ("pyrogram-2.0.106.session", false, Some(7_000_000_001)),
        ("kurigram-2.2.26.session", false, Some(7_000_000_001)),
    ] {
        let [session] = read(&fixture(name)).expect(name).try_into().expect("one key");
        assert_eq!(session.dc, 2, "{name}");
        assert_eq!(session.auth_key.as_bytes(), &key(), "{name}");
        assert_eq!(session.server, has_server.then(|| server.clone()), "{name}");
        assert_eq!(session.user.map(|user| user.id), user, "{name}");
    }
}

#[test]
fn a_database_of_mtcute_is_read() {
    for (name, user) in [("mtcute-0.30.3.session", Some(7_000_000_001)), ("mtcute-0.30.3-test.session", None)]
    {
        let [session] = read(&fixture(name)).expect(name).try_into().expect("one key");
        assert_eq!(session.auth_key.as_bytes(), &key(), "{name}");
        assert_eq!(
            session.server,
            Some(ServerAddress { host: "149.154.167.50".into(), port: 443 }),
            "{name}"
        );
        assert_eq!(session.user.map(|user| user.id), user, "{name}");
    }
}

#[test]
fn a_damaged_file_is_an_error_or_a_session() {
    let folder = std::env::temp_dir().join(format!("import-session-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("damaged.session");
    for name in ["telethon-1.45.0.session", "pyrogram-2.0.106.session", "grammers-0.11.session"] {
        let whole = std::fs::read(fixture(name)).expect(name);
        for at in (0..whole.len()).step_by(97) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(&path, &bytes).expect("written");
            let _ = read(&path);
            std::fs::write(&path, &whole[..at]).expect("written");
            let _ = read(&path);
        }
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn other_files_are_refused() {
    assert!(matches!(read(&fixture("grammers-0.7.session")), Err(Error::Sqlite(_))));
    assert!(matches!(read(Path::new("no such file")), Err(Error::Sqlite(_))));
}
