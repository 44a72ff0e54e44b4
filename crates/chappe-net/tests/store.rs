//! The stores that come with the crate, by the contract and beyond it.
#![allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "a test")]

use core::future::poll_fn;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use chappe_net::store::{
    AsyncKeyStore, BlockOn, FileStore, KeyStore, MAX_STATE_LEN, MemoryStore, Slot, StoreError, StoreFuture,
    Zeroizing, contract, load_state,
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
    ClientSession::new(ClientConfig::default(), key, now).export(now, b"extra").to_vec()
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

/// Awaits another thread in every method.
struct Remote(Arc<MemoryStore>);

/// Runs `work` in a thread and awaits its result.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let mut running = Some(thread::spawn(work));
    poll_fn(|context| match running.take() {
        Some(thread) if thread.is_finished() => Poll::Ready(thread.join().unwrap()),
        unfinished => {
            running = unfinished;
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }
    })
    .await
}

impl AsyncKeyStore for Remote {
    fn load(&self, slot: Slot) -> StoreFuture<'_, Option<Zeroizing<Vec<u8>>>> {
        let store = self.0.clone();
        Box::pin(elsewhere(move || store.load(slot)))
    }

    fn save<'a>(&'a self, slot: Slot, state: &'a [u8]) -> StoreFuture<'a, ()> {
        let (store, state) = (self.0.clone(), state.to_vec());
        Box::pin(elsewhere(move || store.save(slot, &state)))
    }

    fn remove(&self, slot: Slot) -> StoreFuture<'_, ()> {
        let store = self.0.clone();
        Box::pin(elsewhere(move || store.remove(slot)))
    }

    fn keep_aside(&self, slot: Slot) -> StoreFuture<'_, Option<String>> {
        let store = self.0.clone();
        Box::pin(elsewhere(move || store.keep_aside(slot)))
    }
}

#[test]
fn a_store_that_awaits_keeps_the_contract() {
    contract::check(|| BlockOn(Remote(Arc::default())));
    let memory = Arc::<MemoryStore>::default();
    contract::check_durable(|| BlockOn(Remote(memory.clone())));
}

#[test]
fn a_wrapped_store_is_the_same_store() {
    let (memory, other) = (Arc::<MemoryStore>::default(), Arc::<MemoryStore>::default());
    assert_eq!(KeyStore::id(&memory), KeyStore::id(&Arc::new(memory.clone())));
    assert_ne!(KeyStore::id(&memory), KeyStore::id(&other));
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
    // Until it is killed, or the process that started it ends.
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

#[cfg(unix)]
#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    for mode in [0o777, 0o770, 0o702, 0o1777] {
        let place = Place::new();
        fs::create_dir_all(&place.0).unwrap();
        fs::set_permissions(&place.0, fs::Permissions::from_mode(mode)).unwrap();
        let refused = FileStore::open(&place.0);
        assert!(
            matches!(&refused, Err(StoreError::WritableByOthers { mode: m, .. }) if *m == mode),
            "{refused:?}"
        );
        assert!(!place.file("lock").exists(), "nothing was made in it");
    }
    let place = Place::new();
    fs::create_dir_all(&place.0).unwrap();
    fs::set_permissions(&place.0, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(FileStore::open(&place.0).is_ok(), "others may look at names");
}

#[cfg(unix)]
#[test]
fn a_lock_that_is_a_link_is_refused_and_its_target_is_left_alone() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    drop(place.open());
    let target = place.file("precious");
    for exists in [false, true] {
        if exists {
            fs::write(&target, b"precious").unwrap();
        }
        fs::remove_file(place.file("lock")).unwrap();
        symlink(&target, place.file("lock")).unwrap();
        let refused = FileStore::open(&place.0);
        assert!(
            matches!(&refused, Err(StoreError::NotAFile { path }) if *path == place.file("lock")),
            "{refused:?}"
        );
        assert_eq!(fs::read(&target).ok(), exists.then(|| b"precious".to_vec()));
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_device_in_place_of_a_key_is_refused_without_waiting() {
    let place = Place::new();
    let store = place.open();
    let key = place.file("production-2-account.key");
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    assert!(matches!(store.load(SLOT), Err(StoreError::NotAFile { path }) if path == key));
    let aside = store.keep_aside(SLOT).unwrap().unwrap();
    assert!(!fs::metadata(&aside).unwrap().is_file(), "the pipe itself is kept");
    store.save(SLOT, b"state").unwrap();
    assert_eq!(store.load(SLOT).unwrap().unwrap()[..], b"state"[..]);
    fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &key).unwrap();
    assert!(matches!(store.load(SLOT), Err(StoreError::NotAFile { path }) if path == key));
    fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink(place.file("not mounted"), &key).unwrap();
    assert!(store.load(SLOT).is_err(), "a link that leads nowhere is no empty slot");
}

#[test]
fn what_is_kept_aside_bears_the_name_of_its_slot() {
    let place = Place::new();
    let store = place.open();
    store.save(SLOT, b"unreadable").unwrap();
    let aside = store.keep_aside(SLOT).unwrap().unwrap();
    let name = Path::new(&aside).file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("production-2-account.damaged-"), "{name}");
    store.save(SLOT, &state()).unwrap();
    assert_eq!(fs::read(&aside).unwrap(), b"unreadable", "a save does not reach it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&aside).unwrap().permissions().mode() & 0o777, 0o600);
    }
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
    assert_eq!(
        format!("{store:?}"),
        "{Slot { dc: DcId { number: 2, environment: Production, traffic: Any }, purpose: Account }}"
    );
    let place = Place::new();
    assert!(format!("{:?}", place.open()).starts_with("FileStore { directory: "));
}
