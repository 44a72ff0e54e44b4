//! The stores that come with the crate, by the contract and beyond it.
#![allow(clippy::unwrap_used, reason = "a test")]

use core::sync::atomic::{AtomicUsize, Ordering};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chappe_net::store::{
    FileStore, KeyStore, MAX_STATE_LEN, MemoryStore, Slot, StoreError, contract, load_state,
};
use chappe_session::client::{ClientConfig, ClientSession, KeyMaterial, StateError};
use chappe_session::{MonoTime, Now, UnixTime};

/// A directory of its own, gone when dropped.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn open(&self) -> FileStore {
        FileStore::open(&self.0).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SLOT: Slot = Slot::production(2);

fn state() -> Vec<u8> {
    let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_104));
    let key = KeyMaterial::from_handshake([0x5a; 256], 42, 0, 1_707_425_104);
    ClientSession::new(ClientConfig::default(), key, now).export(now, b"extra").unwrap().to_vec()
}

#[test]
fn a_memory_store_keeps_the_contract() {
    contract::check(MemoryStore::new);
}

#[test]
fn a_file_store_keeps_the_contract() {
    let mut places = Vec::new();
    contract::check(|| {
        let place = Place::new();
        let store = place.open();
        places.push(place);
        store
    });
    let place = Place::new();
    contract::check_durable(|| place.open());
    contract::check_exclusive(|| FileStore::open(&place.0));
}

#[test]
fn a_locked_store_says_which_process_has_it() {
    let place = Place::new();
    let _first = place.open();
    let Err(StoreError::InUse { store, holder }) = FileStore::open(&place.0) else {
        panic!("it is in use");
    };
    assert_eq!(store, place.0.display().to_string());
    assert_eq!(holder, Some(format!("process {}", std::process::id())));
}

/// Names the directory that a second process is to hold.
const HOLD: &str = "CHAPPE_TEST_HOLD_STORE";

/// The second process of the test below; alone it does nothing.
#[test]
fn holds_a_store_if_told_to() {
    let Some(directory) = std::env::var_os(HOLD) else { return };
    let _store = FileStore::open(directory).unwrap();
    println!("held");
    // Until it is killed, or whoever started it is gone.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_process_is_kept_out_by_another_one_until_that_dies() {
    let place = Place::new();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_store_if_told_to", "--nocapture"])
        .env(HOLD, &place.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("held")));
    let Err(StoreError::InUse { holder: Some(name), .. }) = FileStore::open(&place.0) else {
        panic!("the other process has it");
    };
    assert_eq!(name, format!("process {}", holder.id()));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(FileStore::open(&place.0).is_ok(), "the system gives the lock back");
}

#[test]
fn what_stands_in_a_lock_file_of_others_is_not_repeated() {
    let place = Place::new();
    let _first = place.open();
    fs::write(place.file("lock"), "process 1\nand then some").unwrap();
    let refused = FileStore::open(&place.0);
    assert!(matches!(refused, Err(StoreError::InUse { holder: None, .. })), "{refused:?}");
}

#[cfg(unix)]
#[test]
fn files_and_directory_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let place = Place::new();
    let store = place.open();
    // A leftover that others can read does not lend its mode to the state.
    fs::write(place.file("production-2-account.new"), b"leftover").unwrap();
    store.save(SLOT, &state()).unwrap();
    assert_eq!(mode(&place.0), 0o700);
    assert_eq!(mode(&place.file("production-2-account.key")), 0o600);
    assert_eq!(mode(&place.file("lock")), 0o600);
}

#[test]
fn a_crash_before_the_rename_leaves_the_old_state() {
    let place = Place::new();
    place.open().save(SLOT, &state()).unwrap();
    fs::write(place.file("production-2-account.new"), &state()[..100]).unwrap();
    let store = place.open();
    assert_eq!(load_state(&store, SLOT).unwrap().unwrap().extra[..], b"extra"[..]);
    store.save(SLOT, &state()).unwrap();
    assert!(!place.file("production-2-account.new").exists());
}

#[test]
fn a_state_that_cannot_be_written_leaves_the_old_one_and_no_copy() {
    let place = Place::new();
    let store = place.open();
    store.save(SLOT, &state()).unwrap();
    // A directory of that name is nothing that a file can replace.
    let new = place.file("production-2-account.new");
    fs::create_dir(&new).unwrap();
    assert!(matches!(store.save(SLOT, b"other"), Err(StoreError::File { action: "write", .. })));
    assert_eq!(store.load(SLOT).unwrap().unwrap()[..], state()[..]);
    fs::remove_dir(&new).unwrap();
    let key = place.file("test-1-account.key");
    fs::create_dir(&key).unwrap();
    assert!(matches!(store.save(Slot::test(1), b"other"), Err(StoreError::File { action: "replace", .. })));
    assert!(!place.file("test-1-account.new").exists(), "no copy of a key is left behind");
}

#[test]
fn sec_008_a_damaged_state_is_never_used() {
    let place = Place::new();
    let store = place.open();
    let path = place.file("production-2-account.key");
    let whole = state();
    let damage = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        match load_state(&store, SLOT) {
            Err(StoreError::Damaged { slot: SLOT, error }) => error,
            other => panic!("{other:?}"),
        }
    };
    for at in [8, 100, 280, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        assert_eq!(damage(&bytes), StateError::BadDigest, "byte {at}");
    }
    for len in 0..whole.len() {
        damage(&whole[..len]);
    }
    assert_eq!(damage(b""), StateError::Malformed);
    store.save(SLOT, &whole).unwrap();
    assert!(load_state(&store, SLOT).unwrap().is_some(), "a new state takes its place");
}

#[test]
fn a_file_of_absurd_length_is_not_read() {
    let place = Place::new();
    let store = place.open();
    let file = fs::File::create(place.file("production-2-account.key")).unwrap();
    file.set_len(1 << 40).unwrap();
    let refused = store.load(SLOT).map(|state| state.map(|state| state.len()));
    assert!(
        matches!(refused, Err(StoreError::TooLarge { len: 0x100_0000_0000, max: MAX_STATE_LEN })),
        "{refused:?}"
    );
}

#[test]
fn nothing_of_a_state_is_shown() {
    let store = MemoryStore::new();
    store.save(SLOT, &state()).unwrap();
    assert_eq!(format!("{store:?}"), "{Slot { dc: 2, environment: Production, purpose: Account }}");
    let place = Place::new();
    assert!(format!("{:?}", place.open()).starts_with("FileStore { directory: "));
}
