//! Files of programs with a key for each datacenter.

use chappe_handshake::Environment;
use chappe_import::{ImportError, ImportedSession, gotd, tdata, tdlib, tgnet, web, wtelegram};
use serde_json::Value;

use crate::{compare, entries, key};

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// Compares the first session with the entry, and the datacenters of all.
fn compare_all(entry: &Value, sessions: &[ImportedSession]) {
    compare(entry, &sessions[0]);
    let dcs: Vec<_> = sessions.iter().map(|session| u64::from(session.dc)).collect();
    let expected: Vec<_> = entry["dcs"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert_eq!(dcs, expected, "{}", entry["form"]);
}

/// Cuts a file at every length, and changes it at every place: the reader returns a session or an error.
fn damage(file: &[u8], step: usize, read: impl Fn(&[u8])) {
    for at in (0..file.len()).step_by(step) {
        read(&file[..at]);
        let mut changed = file.to_vec();
        for change in [0x01, 0x80, 0xff] {
            changed[at] ^= change;
            read(&changed);
        }
    }
}

#[test]
fn json_of_gotd_is_read() {
    for entry in entries("gotd") {
        let json = entry["json"].as_str().unwrap();
        compare(&entry, &gotd::from_json(json).unwrap());
        let with = |from: &str, to: &str| gotd::from_json(&json.replacen(from, to, 1));
        assert_eq!(with("\"Version\": 1", "\"Version\": 2"), Err(ImportError::UnknownVersion));
        assert_eq!(with("\"DC\": 2", "\"DC\": 0"), Err(ImportError::Datacenter));
        assert_eq!(with(":443", ":70000"), Err(ImportError::Port));
        assert_eq!(with("\"AuthKey\": \"", "\"AuthKey\": \"!"), Err(ImportError::NotBase64));
        assert!(matches!(
            with("\"AuthKey\": \"", "\"AuthKey\": \"AAAA"),
            Err(ImportError::KeyLength { len: 259 })
        ));
        assert_eq!(with("AuthKeyID\": \"", "AuthKeyID\": \"AAAAAAAAAAA=\", \"Other\": \""), wrong_id());
        assert_eq!(with("\"AuthKey\"", "\"Other\""), Err(ImportError::NoKey));
        damage(json.as_bytes(), 3, |bytes| {
            let _ = gotd::from_json(&String::from_utf8_lossy(bytes));
        });
    }
}

fn wrong_id<T>() -> Result<T, ImportError> {
    Err(ImportError::Malformed { what: "id of the key" })
}

#[test]
fn files_of_wtelegram_client_are_read() {
    for entry in entries("wtelegram") {
        let (file, key) = (bytes(&entry["bytes"]), entry["key"].as_str().unwrap());
        compare_all(&entry, &wtelegram::from_file(&file, key).unwrap());
        let other = key.replacen('0', "1", 1);
        assert_eq!(wtelegram::from_file(&file, &other), Err(ImportError::Locked));
        assert_eq!(wtelegram::from_file(&file, &key[1..]), Err(ImportError::NotHex));
        assert_eq!(
            wtelegram::from_file(&file, &key[2..]),
            Err(ImportError::Length { len: key.len() / 2 - 1 })
        );
        damage(&file, 5, |bytes| {
            let _ = wtelegram::from_file(bytes, key);
        });
    }
}

#[test]
fn local_storage_of_web_clients_is_read() {
    for entry in entries("web") {
        let json = entry["json"].as_str().unwrap();
        let sessions = web::from_local_storage(json).unwrap();
        compare_all(&entry, &sessions);
        let users: Vec<_> = sessions.iter().map(|session| session.user.map(|user| user.id)).collect();
        let has_two = entry["form"] != "one account";
        assert_eq!(users, [Some(7_000_000_001), has_two.then_some(7_000_000_002)]);
        damage(json.as_bytes(), 7, |bytes| {
            let _ = web::from_local_storage(&String::from_utf8_lossy(bytes));
        });
    }
    assert_eq!(web::from_local_storage("{}"), Err(ImportError::NoKey));
    assert_eq!(web::from_local_storage(r#"{"dc2_auth_key":"\"zz\""}"#), Err(ImportError::NotHex));
}

#[test]
fn binlogs_of_tdlib_are_read() {
    for entry in entries("tdlib") {
        let (file, key) = (bytes(&entry["bytes"]), bytes(&entry["key"]));
        compare_all(&entry, &tdlib::from_binlog(&file, &key).unwrap());
        if entry["form"] != "not encrypted" {
            assert_eq!(tdlib::from_binlog(&file, b"another"), Err(ImportError::Locked));
        }
        // An interrupted write leaves a part of an event, which does not count.
        assert!(tdlib::from_binlog(&file[..file.len() - 1], &key).is_ok());
        // Every attempt with a password costs the rounds of PBKDF2.
        let step = if entry["form"] == "a password" { 400 } else { 5 };
        damage(&file, step, |bytes| {
            let _ = tdlib::from_binlog(bytes, &key);
        });
    }
    assert_eq!(tdlib::from_binlog(&[], b""), Err(ImportError::NoKey));
    assert_eq!(tdlib::from_binlog(&[7; 64], b""), Err(ImportError::UnknownVersion));
}

/// What the library itself wrote: keys of a datacenter that lived for the run of the script. The importer compares each with
/// the id that stands beside it.
#[test]
fn binlogs_that_tdlib_wrote_are_read() {
    for entry in entries("tdlib-1.8.69") {
        let (file, key) = (bytes(&entry["bytes"]), bytes(&entry["key"]));
        let sessions =
            tdlib::from_binlog(&file, &key).unwrap_or_else(|error| panic!("{}: {error}", entry["form"]));
        for session in &sessions {
            assert!((1..=5).contains(&session.dc), "{}", session.dc);
            assert_eq!((session.user, session.environment), (None, None), "nobody has logged in");
        }
        assert_eq!(tdlib::from_binlog(&file, b"another"), Err(ImportError::Locked));
    }
}

#[test]
fn files_of_telegram_for_android_are_read_in_every_version() {
    for entry in entries("tgnet") {
        let file = bytes(&entry["bytes"]);
        compare_all(&entry, &tgnet::from_file(&file).unwrap());
        for len in 0..file.len() {
            assert!(tgnet::from_file(&file[..len]).is_err(), "{}: {len} bytes", entry["form"]);
        }
        damage(&file, 1, |bytes| {
            let _ = tgnet::from_file(bytes);
        });
    }
    let mut newer = bytes(&entries("tgnet")[0]["bytes"]);
    newer[4] = 6;
    assert_eq!(tgnet::from_file(&newer), Err(ImportError::UnknownVersion));
}

struct Folder(Value);

impl Folder {
    fn all() -> impl Iterator<Item = Self> {
        ["tdata-mtcute", "tdata-opentele2"]
            .into_iter()
            .flat_map(|file| crate::list(file, "folders"))
            .map(Folder)
    }

    fn form(&self) -> &str {
        self.0["form"].as_str().unwrap()
    }

    fn passcode(&self) -> &str {
        self.0["passcode"].as_str().unwrap()
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        tdata::ENDINGS.iter().find_map(|ending| Some(bytes(self.0["files"].get(format!("{name}{ending}"))?)))
    }

    fn unlock(&self, passcode: &str) -> Result<tdata::Folder, ImportError> {
        match self.file(tdata::KEY_FILE) {
            Some(file) => tdata::Folder::unlock(&file, passcode),
            None => tdata::Folder::unlock_legacy(&self.file(tdata::LEGACY_KEY_FILE).unwrap(), passcode),
        }
    }
}

#[test]
fn folders_of_telegram_desktop_are_read_with_and_without_a_passcode() {
    let mut forms = 0;
    for folder in Folder::all() {
        let unlocked =
            folder.unlock(folder.passcode()).unwrap_or_else(|error| panic!("{}: {error}", folder.form()));
        let accounts = folder.0["accounts"].as_array().unwrap();
        let indices: Vec<_> = accounts.iter().map(|account| account["index"].as_u64().unwrap()).collect();
        assert_eq!(unlocked.accounts().iter().map(|index| u64::from(*index)).collect::<Vec<_>>(), indices);
        for account in accounts {
            let index = account["index"].as_u64().unwrap() as u32;
            let file = folder.file(&tdata::account_file(index)).unwrap();
            let sessions = unlocked.account(&file).unwrap();
            let dcs: Vec<_> = sessions.iter().map(|session| u64::from(session.dc)).collect();
            let expected: Vec<_> =
                account["dcs"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
            assert_eq!(dcs, expected, "{}", folder.form());
            for (place, session) in sessions.iter().enumerate() {
                assert_eq!(session.auth_key.as_bytes(), &key());
                let user = session.user.map(|user| user.id);
                assert_eq!(user, account["user"].as_i64().filter(|_| place == 0), "{}", folder.form());
                assert_eq!(session.datacenter(Environment::Production).number(), session.dc);
            }
            damage(&file, 9, |bytes| assert!(unlocked.account(bytes).is_err(), "the checksum is wrong"));
        }
        let other = if folder.passcode().is_empty() { "something" } else { "" };
        assert_eq!(folder.unlock(other).unwrap_err(), ImportError::Locked, "{}", folder.form());
        assert!(!format!("{unlocked:?}").contains("key"), "nothing of the key is shown");
        forms += 1;
    }
    assert_eq!(forms, 7);
}

/// The checksum of a file is right again, so that what it protects is read.
fn summed(mut file: Vec<u8>) -> Vec<u8> {
    use md5::{Digest as _, Md5};
    let len = file.len() - 16;
    let digest = Md5::new()
        .chain_update(&file[8..len])
        .chain_update((len as u32 - 8).to_le_bytes())
        .chain_update(&file[4..8])
        .chain_update(&file[..4])
        .finalize();
    file[len..].copy_from_slice(&digest);
    file
}

#[test]
fn a_damaged_key_file_is_an_error() {
    // Those without a passcode cost one round of PBKDF2 for each attempt.
    for folder in Folder::all().filter(|folder| folder.passcode().is_empty()) {
        let (file, is_legacy) = match folder.file(tdata::KEY_FILE) {
            Some(file) => (file, false),
            None => (folder.file(tdata::LEGACY_KEY_FILE).unwrap(), true),
        };
        let unlock = if is_legacy { tdata::Folder::unlock_legacy } else { tdata::Folder::unlock };
        for at in 8..file.len() - 16 {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] ^= change;
                assert_eq!(unlock(&changed, "").unwrap_err(), ImportError::Malformed { what: "checksum" });
                let _ = unlock(&summed(changed), "");
            }
        }
    }
}

/// The memory of Argon2id is the file's choice, up to a limit.
#[test]
fn a_key_file_cannot_ask_for_more_memory_than_the_limit() {
    let folder = Folder::all().find(|folder| folder.form() == "7.3, passcode").unwrap();
    let file = folder.file(tdata::KEY_FILE).unwrap();
    // The memory, and the passes behind it.
    let parameters = [65_536_u32.to_be_bytes(), 8_u32.to_be_bytes()].concat();
    let at = file.windows(8).position(|window| window == parameters).unwrap();
    for (offset, value) in [(0, 262_145_u32), (0, u32::MAX), (0, 1), (4, 65), (4, 0), (8, 17), (8, 0)] {
        let mut changed = file.clone();
        changed[at + offset..at + offset + 4].copy_from_slice(&value.to_be_bytes());
        let error = tdata::Folder::unlock(&summed(changed), folder.passcode()).unwrap_err();
        assert_eq!(error, ImportError::Malformed { what: "parameters of Argon2id" }, "{offset}: {value}");
    }
}
