//! Importers of sessions against what the libraries themselves wrote, and against damage.
//!
//! `interop/sessions` says how the fixtures are made.
#![allow(clippy::unwrap_used, reason = "a test")]

extern crate alloc;

mod files;
mod writers;

use alloc::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chappe_handshake::Environment;
use chappe_import::{
    ImportError, ImportedSession, ServerAddress, User, gramjs, grammers, mtcute, pyrogram, telethon,
};
use chappe_net::store::{KeyStore, MemoryStore, Slot, load_state};
use serde_json::Value;

type Import = fn(&str) -> Result<ImportedSession, ImportError>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sessions/fixtures")
}

/// Returns the entries of a fixture file.
fn entries(name: &str) -> Vec<Value> {
    list(name, "entries")
}

/// Returns a list of a fixture file.
fn list(name: &str, list: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    file[list].as_array().unwrap().clone()
}

fn key() -> [u8; 256] {
    core::array::from_fn(|place| (place * 31 + 7) as u8)
}

/// Compares what was imported with what the library was given.
fn compare(entry: &Value, got: &ImportedSession) {
    let form = &entry["form"];
    assert_eq!(u64::from(got.dc), entry["dc"].as_u64().unwrap(), "{form}");
    assert_eq!(got.auth_key.as_bytes(), &key(), "{form}");
    let test = entry["test"].as_bool();
    let environment = test.map(|test| if test { Environment::Test } else { Environment::Production });
    assert_eq!(got.environment, environment, "{form}");
    if let Some([host, port]) = entry["server"].as_array().map(Vec::as_slice) {
        let server =
            ServerAddress { host: host.as_str().unwrap().into(), port: port.as_u64().unwrap() as u16 };
        assert_eq!(got.server, Some(server), "{form}");
    }
    let user = entry["user"].as_i64().map(|id| User { id, is_bot: entry["bot"].as_bool().unwrap() });
    assert_eq!(got.user, user, "{form}");
}

fn check_strings(file: &str, import: Import) {
    let mut count = 0;
    for entry in entries(file) {
        let Some(text) = entry["text"].as_str() else { continue };
        let session = import(text).unwrap_or_else(|error| panic!("{}: {error}", entry["form"]));
        compare(&entry, &session);
        assert_eq!(
            chappe_import::from_string(text),
            Ok(session.clone()),
            "{}: whose it is, is found",
            entry["form"]
        );
        assert_eq!(import(&format!(" {text}\n")), Ok(session), "pasted with white space");
        damage(text, import);
        count += 1;
    }
    assert!(count > 0);
}

/// Whatever is done to a text, it is an error or a session, and never a panic.
fn damage(text: &str, import: Import) {
    // Padding may be missing, and what is cut to the length of an older form of Pyrogram's reads as one.
    let can_be_read = |len| text[len..].bytes().all(|byte| byte == b'=') || matches!(len, 351 | 356);
    for len in (0..text.len()).filter(|len| !can_be_read(*len)) {
        assert!(import(&text[..len]).is_err(), "{len} letters of {}", text.len());
    }
    for tail in ["AAAA", "AA", "====A"] {
        assert!(import(&format!("{text}{tail}")).is_err(), "{tail} more");
    }
    for place in (0..text.len()).filter(|place| *place < 12 || place % 11 == 0) {
        for other in ["A", "_", "=", "\u{e9}"] {
            let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
            let _ = import(&changed);
            let _ = chappe_import::from_string(&changed);
        }
    }
}

/// Every string of every library, with the importer of that library.
fn strings() -> Vec<(String, Import)> {
    let files: [(&str, Import); 7] = [
        ("telethon", telethon::from_string),
        ("gramjs", gramjs::from_string),
        ("pyrogram", pyrogram::from_string),
        ("kurigram", pyrogram::from_string),
        ("mtcute-0.2.0", mtcute::from_string),
        ("mtcute-0.16.4", mtcute::from_string),
        ("mtcute-0.30.3", mtcute::from_string),
    ];
    let texts = |(file, import): (&str, Import)| {
        let text = |entry: &Value| entry["text"].as_str().map(|text| (text.to_owned(), import));
        entries(file).iter().filter_map(text).collect::<Vec<_>>()
    };
    files.into_iter().flat_map(texts).collect()
}

/// Breaks a text into lines of 76 letters.
fn wrapped(text: &str, end: &str) -> String {
    let lines = text.as_bytes().chunks(76).map(|line| core::str::from_utf8(line).unwrap());
    lines.collect::<Vec<_>>().join(end)
}

#[test]
fn strings_are_read_as_people_copy_them() {
    for (text, import) in strings() {
        let session = import(&text).unwrap();
        let bare = text.trim_end_matches('=');
        let copies = [
            bare.to_owned(),
            format!("{bare}="),
            format!("{bare}=="),
            format!("  {text}\r\n"),
            format!("\u{feff}{text}\u{200b}"),
            format!("\"{text}\""),
            format!(" '{text}' \n"),
            format!("\u{201c}{bare}\u{201d}"),
            format!("`{text}`"),
            wrapped(&text, "\n"),
            wrapped(&text, "\r\n    "),
            format!("\"{}\"", wrapped(bare, "\n")),
        ];
        for copy in copies {
            assert_eq!(import(&copy).as_ref(), Ok(&session), "{copy}");
            assert_eq!(chappe_import::from_string(&copy).as_ref(), Ok(&session), "{copy}");
        }
    }
}

/// A text taken for something else puts bytes of the key where a version, an id or a port is expected.
#[test]
fn no_error_prints_a_byte_of_the_input() {
    let key: [u8; 300] = core::array::from_fn(|place| (place * 31 + 200) as u8);
    let mut said = BTreeSet::new();
    for len in 0..key.len() {
        let encoded = data_encoding::BASE64.encode(&key[..len]);
        for text in [encoded.clone(), format!("1{encoded}"), hex::encode(&key[..len])] {
            for import in [
                chappe_import::from_string as Import,
                telethon::from_string,
                gramjs::from_string,
                pyrogram::from_string,
                mtcute::from_string,
            ] {
                said.extend(import(&text).err().map(|error| error.to_string()));
            }
        }
        said.extend(grammers::from_file(&key[..len]).err().map(|error| error.to_string()));
    }
    for id in [200, 231, -56] {
        let rows = [
            telethon::from_row(id, "", 1, &key[..256]),
            telethon::from_row(2, "1.1.1.1", id << 16, &key[..256]),
        ];
        said.extend(rows.into_iter().filter_map(Result::err).map(|error| error.to_string()));
    }
    for text in &said {
        let is_length = |number: &str| text.contains(&format!("{number} bytes"));
        let numbers = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        let numbers = numbers.filter(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
        for number in numbers {
            assert!(is_length(number) || matches!(number, "256"), "{text}");
        }
    }
    let hex_of = chappe_import::from_string(&hex::encode(&key[..256]));
    let base64_of = chappe_import::from_string(&data_encoding::BASE64.encode(&key[..256]));
    assert_eq!((hex_of, base64_of), (Err(ImportError::BareKey), Err(ImportError::BareKey)));
}

fn row(entry: &Value) -> Option<(Vec<Value>, Vec<u8>)> {
    let row = entry["row"].as_array()?.clone();
    let key = row.iter().filter_map(Value::as_str).find(|text| text.len() == 512)?;
    Some((row.clone(), hex::decode(key).unwrap()))
}

#[test]
fn strings_and_rows_of_telethon_are_read() {
    check_strings("telethon", telethon::from_string);
    let files = entries("telethon").into_iter().filter(|entry| entry["file"].is_string());
    for entry in files {
        let (row, key) = row(&entry).unwrap();
        let port = row[2].as_i64().unwrap();
        let session = telethon::from_row(row[0].as_i64().unwrap(), row[1].as_str().unwrap(), port, &key);
        compare(&entry, &session.unwrap());
    }
}

#[test]
fn files_of_gramjs_are_read() {
    let entry = entries("gramjs").into_iter().find(|entry| entry["files"].is_object()).unwrap();
    let name = entry["name"].as_str().unwrap();
    let file = |field: &str| entry["files"][format!("{name}%3A{field}")].as_str().unwrap();
    let files = gramjs::StoreFiles {
        auth_key: file("authKey"),
        dc_id: file("dcId"),
        server_address: file("serverAddress"),
        port: file("port"),
    };
    compare(&entry, &gramjs::from_store(&files).unwrap());
    let with_key = |auth_key: &str| gramjs::from_store(&gramjs::StoreFiles { auth_key, ..files });
    for len in 0..files.auth_key.len() {
        assert!(with_key(&files.auth_key[..len]).is_err(), "{len} letters");
    }
    assert_eq!(with_key("null"), Err(ImportError::NoKey));
    assert_eq!(
        with_key(&files.auth_key.replace("[7,", "[256,")),
        Err(ImportError::Malformed { what: "authKey" })
    );
    assert!(with_key(&files.auth_key.replace("]}", ",1]}")).is_err(), "257 bytes");
    assert!(with_key(&"1,".repeat(10_000)).is_err());
    assert!(gramjs::from_store(&gramjs::StoreFiles { dc_id: "2e9", ..files }).is_err());
    assert!(gramjs::from_store(&gramjs::StoreFiles { server_address: "1.2.3.4", ..files }).is_err());
    assert!(!format!("{files:?}").contains("Buffer"), "nothing of the key is shown");
}

#[test]
fn rows_of_mtcute_are_read() {
    for entry in entries("mtcute-sqlite") {
        let column = |place: usize| entry["row"][place].as_str().map(|text| hex::decode(text).unwrap());
        let (key, main, user) = (column(1).unwrap(), column(2), column(3));
        let row = mtcute::Row { dc: 2, key: &key, dc_main: main.as_deref(), current_user: user.as_deref() };
        compare(&entry, &mtcute::from_row(&row).unwrap());
        let of_another = mtcute::from_row(&mtcute::Row { dc: 4, ..row }).unwrap();
        assert_eq!((of_another.dc, of_another.server, of_another.user), (4, None, None));
        let main = main.as_ref().unwrap();
        for len in 0..main.len() {
            assert!(
                mtcute::from_row(&mtcute::Row { dc_main: Some(&main[..len]), ..row }).is_err(),
                "{len} bytes"
            );
        }
        if let Some(user) = &user {
            for len in 1..user.len() {
                let cut = mtcute::Row { current_user: Some(&user[..len]), ..row };
                assert!(mtcute::from_row(&cut).is_err(), "{len} bytes");
            }
            let longer = [user.as_slice(), &[0; 4]].concat();
            let longer = mtcute::Row { current_user: Some(&longer), ..row };
            assert_eq!(mtcute::from_row(&longer), Err(ImportError::Malformed { what: "user" }));
        }
        assert!(mtcute::from_row(&mtcute::Row { key: &key[1..], ..row }).is_err());
        assert!(!format!("{row:?}").contains("38"), "nothing of the key is shown");
    }
}

#[test]
fn strings_and_rows_of_pyrogram_and_kurigram_are_read() {
    for library in ["pyrogram", "kurigram"] {
        check_strings(library, pyrogram::from_string);
        for entry in entries(library).into_iter().filter(|entry| entry["file"].is_string()) {
            let (row, key) = row(&entry).unwrap();
            let [dc_id, test_mode, _, user_id, is_bot, _] = row.as_slice() else { panic!("six columns") };
            let row = pyrogram::Row {
                dc_id: dc_id.as_i64().unwrap(),
                test_mode: test_mode.as_i64(),
                auth_key: Some(&key),
                user_id: user_id.as_i64(),
                is_bot: is_bot.as_i64(),
            };
            compare(&entry, &pyrogram::from_row(&row).unwrap());
        }
        for entry in entries(library).into_iter().filter(|entry| entry["text"].is_string()) {
            let session = pyrogram::from_string(entry["text"].as_str().unwrap()).unwrap();
            assert_eq!(session.api_id.map(i64::from), entry["api_id"].as_i64());
        }
    }
}

#[test]
fn strings_of_gramjs_are_read() {
    check_strings("gramjs", gramjs::from_string);
}

#[test]
fn gramjs_reads_the_strings_of_telethon_as_well() {
    check_strings("telethon", gramjs::from_string);
}

#[test]
fn strings_of_mtcute_are_read_in_every_version() {
    for file in ["mtcute-0.2.0", "mtcute-0.16.4", "mtcute-0.30.3"] {
        check_strings(file, mtcute::from_string);
    }
}

#[test]
fn files_and_rows_of_grammers_are_read() {
    for entry in entries("grammers") {
        let bytes = fs::read(folder().join(entry["file"].as_str().unwrap())).unwrap();
        if let Some((row, key)) = row(&entry) {
            let session = grammers::from_row(row[0].as_i64().unwrap(), row[1].as_str().unwrap(), &key);
            compare(&entry, &session.unwrap());
            // An SQLite database says so in its first bytes.
            assert_eq!(grammers::from_file(&bytes), Err(ImportError::UnknownVersion));
            continue;
        }
        let sessions = grammers::from_file(&bytes).unwrap();
        compare(&entry, &sessions[0]);
        for len in 0..bytes.len() {
            // Behind the keys stands what belongs to the library, and is not looked at.
            let _ = grammers::from_file(&bytes[..len]);
        }
        for place in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= change;
                let _ = grammers::from_file(&changed);
            }
        }
        assert!(grammers::from_file(&bytes[..280]).is_err(), "the first key is cut off");
    }
}

#[test]
fn the_account_of_grammers_comes_first_and_has_the_user() {
    let bytes = fs::read(folder().join("grammers-0.7.session")).unwrap();
    let sessions = grammers::from_file(&bytes).unwrap();
    let dcs: Vec<_> = sessions.iter().map(|session| (session.dc, session.user.is_some())).collect();
    assert_eq!(dcs, [(2, true), (4, false)]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let key = key();
    let server = "149.154.167.51";
    let refused = |dc, server, port, key: &[u8]| telethon::from_row(dc, server, port, key).unwrap_err();
    for dc in [0, -1, 10_000, 10_002, i64::MAX, i64::MIN] {
        assert_eq!(refused(dc, server, 443, &key), ImportError::Datacenter);
    }
    for port in [0, -1, 65_536, i64::MIN] {
        assert_eq!(refused(2, server, port, &key), ImportError::Port);
    }
    let long = "a".repeat(256);
    for host in ["a b", "\u{1b}[2J", "evil/../", "[::1]", &long] {
        assert_eq!(refused(2, host, 443, &key), ImportError::Server { len: host.len() });
    }
    assert_eq!(refused(2, server, 443, b""), ImportError::NoKey);
    assert_eq!(refused(2, server, 443, &[0; 256]), ImportError::NoKey);
    for len in [1, 192, 255, 257] {
        assert_eq!(refused(2, server, 443, &vec![1; len]), ImportError::KeyLength { len });
    }
    assert_eq!(telethon::from_row(2, "", 0, &key).unwrap().server, None, "nothing was stored yet");
    assert_eq!(
        pyrogram::from_row(&pyrogram::Row { dc_id: 2, ..Default::default() }),
        Err(ImportError::NoKey)
    );
    assert_eq!(telethon::from_string("2AAAA"), Err(ImportError::UnknownVersion));
    assert_eq!(mtcute::from_string("BAAA"), Err(ImportError::UnknownVersion));
    for import in [telethon::from_string, gramjs::from_string, pyrogram::from_string, mtcute::from_string] {
        assert!(import("").is_err());
        assert!(matches!(import(&"1".repeat(1 << 20)), Err(ImportError::Length { .. })));
    }
}

#[test]
fn an_absurd_number_of_datacenters_is_refused_before_memory_is_taken() {
    let mut bytes = fs::read(folder().join("grammers-0.7.session")).unwrap();
    bytes[12..16].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    assert_eq!(grammers::from_file(&bytes), Err(ImportError::Malformed { what: "fields" }));
    assert_eq!(grammers::from_file(&vec![0; (4 << 20) + 1]), Err(ImportError::Length { len: (4 << 20) + 1 }));
}

#[test]
fn an_imported_key_can_be_kept_and_found_again() {
    let entry = &entries("telethon")[0];
    let session = chappe_import::from_string(entry["text"].as_str().unwrap()).unwrap();
    let store = MemoryStore::new();
    let slot = Slot::of(session.datacenter(Environment::Production));
    store.save(slot, &session.to_state()).unwrap();
    let state = load_state(&store, slot).unwrap().unwrap();
    assert_eq!(state.key.auth_key, session.auth_key);
    assert_eq!(slot.to_string(), "production-2-account");
    assert_eq!(Slot::of(session.datacenter(Environment::Test)).to_string(), "test-2-account");
}
