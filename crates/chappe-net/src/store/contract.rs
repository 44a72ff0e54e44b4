//! The contract of stores, as tests that any implementation can run.
//!
//! ```
//! use chappe_net::store::{MemoryStore, contract};
//!
//! contract::check(MemoryStore::new);
//! ```
//!
//! A store that outlives the process runs [`check_durable`] as well, and one that several processes can reach
//! [`check_exclusive`]. An [`AsyncKeyStore`](super::AsyncKeyStore) runs all of them in [`BlockOn`](super::BlockOn).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{KeyStore, MAX_STATE_LEN, Slot, StoreError};

/// Checks what every store promises. `empty` makes a store that holds nothing, in a new place each time.
///
/// # Panics
///
/// Panics, with what was expected, if the store breaks the contract.
pub fn check<S: KeyStore>(mut empty: impl FnMut() -> S) {
    what_was_saved_is_found(&empty());
    slots_do_not_touch_each_other(&empty());
    a_removed_state_is_gone(&empty());
    what_is_kept_aside_stays_and_has_a_place_of_its_own(&empty());
    any_length_and_content_is_kept(&empty());
    a_reader_sees_one_state_whole(&empty());
}

/// Checks that a state outlives the store that saved it. `open` opens the same place each time, empty at first.
///
/// # Panics
///
/// Panics, with what was expected, if the store breaks the contract.
pub fn check_durable<S: KeyStore>(mut open: impl FnMut() -> S) {
    let slot = Slot::production(2);
    save(&open(), slot, b"first");
    assert_eq!(load(&open(), slot).as_deref(), Some(&b"first"[..]), "a state is found after opening again");
    save(&open(), slot, b"second");
    assert_eq!(load(&open(), slot).as_deref(), Some(&b"second"[..]), "the last state is found");
    remove(&open(), slot);
    assert_eq!(load(&open(), slot), None, "a removed state is gone after opening again");
}

/// Checks that a second user of the same place is refused while the first one has it, and let in afterwards.
///
/// # Panics
///
/// Panics, with what was expected, if the store breaks the contract.
pub fn check_exclusive<S: KeyStore>(mut open: impl FnMut() -> Result<S, StoreError>) {
    let first = open().expect("nobody else has it");
    match open() {
        Err(StoreError::InUse { .. }) => {}
        Err(other) => panic!("a second user gets `InUse`, not: {other}"),
        Ok(_) => panic!("a second user is refused"),
    }
    save(&first, Slot::production(1), b"still there");
    drop(first);
    let next = open().expect("the first user has gone");
    assert_eq!(load(&next, Slot::production(1)).as_deref(), Some(&b"still there"[..]));
}

fn load(store: &impl KeyStore, slot: Slot) -> Option<Vec<u8>> {
    store
        .load(slot)
        .unwrap_or_else(|error| panic!("{slot} can be loaded: {error}"))
        .map(|state| state.to_vec())
}

fn save(store: &impl KeyStore, slot: Slot, state: &[u8]) {
    store.save(slot, state).unwrap_or_else(|error| panic!("{slot} can be saved: {error}"));
}

fn remove(store: &impl KeyStore, slot: Slot) {
    store.remove(slot).unwrap_or_else(|error| panic!("{slot} can be removed: {error}"));
}

fn what_was_saved_is_found(store: &impl KeyStore) {
    let slot = Slot::production(2);
    assert_eq!(load(store, slot), None, "an empty store has no state");
    save(store, slot, b"one");
    assert_eq!(load(store, slot).as_deref(), Some(&b"one"[..]), "a state is found");
    assert_eq!(load(store, slot).as_deref(), Some(&b"one"[..]), "and found again");
    save(store, slot, b"another, longer");
    save(store, slot, b"short");
    assert_eq!(
        load(store, slot).as_deref(),
        Some(&b"short"[..]),
        "the last state counts, and nothing of others"
    );
}

fn slots_do_not_touch_each_other(store: &impl KeyStore) {
    let dcs = [1, 2, 12, 203, u16::MAX];
    let slots = dcs.into_iter().flat_map(|dc| [Slot::production(dc), Slot::test(dc)]);
    let slots: Vec<Slot> = slots.flat_map(|slot| [slot, slot.cdn()]).collect();
    for slot in &slots {
        save(store, *slot, slot.to_string().as_bytes());
    }
    for slot in &slots {
        assert_eq!(load(store, *slot), Some(slot.to_string().into_bytes()), "{slot} has its own state");
    }
    remove(store, slots[0]);
    assert_eq!(load(store, slots[0]), None);
    for slot in &slots[1..] {
        assert!(load(store, *slot).is_some(), "{slot} does not go with {}", slots[0]);
    }
}

fn a_removed_state_is_gone(store: &impl KeyStore) {
    let slot = Slot::test(3);
    remove(store, slot);
    save(store, slot, b"state");
    remove(store, slot);
    assert_eq!(load(store, slot), None, "a removed state is gone");
    remove(store, slot);
    save(store, slot, b"new");
    assert_eq!(load(store, slot).as_deref(), Some(&b"new"[..]), "a slot can be used again");
}

fn what_is_kept_aside_stays_and_has_a_place_of_its_own(store: &impl KeyStore) {
    let slot = Slot::production(3);
    let keep_aside = || {
        let kept = store.keep_aside(slot);
        kept.unwrap_or_else(|error| panic!("{slot} can be kept aside: {error}"))
    };
    assert_eq!(keep_aside(), None, "an empty slot has nothing to keep aside");
    let mut places = Vec::new();
    for state in [&b"one"[..], b"two", b"three"] {
        save(store, slot, state);
        places.push(keep_aside().expect("a slot that holds something is kept aside"));
        assert_eq!(load(store, slot).as_deref(), Some(state), "the slot keeps what it holds");
    }
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 3, "no place is used twice: {places:?}");
    remove(store, slot);
    assert_eq!(load(store, slot), None, "what is kept aside is in no slot");
}

fn any_length_and_content_is_kept(store: &impl KeyStore) {
    let slot = Slot::production(4);
    let largest: Vec<u8> = (0..MAX_STATE_LEN).map(|place| (place ^ (place >> 8)) as u8).collect();
    for len in [0, 1, 4096, MAX_STATE_LEN] {
        save(store, slot, &largest[..len]);
        assert!(load(store, slot).as_deref() == Some(&largest[..len]), "{len} bytes are kept as they are");
    }
    let too_large = vec![0; MAX_STATE_LEN + 1];
    assert!(store.save(slot, &too_large).is_err(), "a state of {} bytes is refused", too_large.len());
    assert!(load(store, slot).as_ref() == Some(&largest), "a refused state changes nothing");
}

/// Two threads save, and one loads.
fn a_reader_sees_one_state_whole(store: &impl KeyStore) {
    const ROUNDS: usize = 20;
    let slot = Slot::production(5);
    let states = [vec![1; 3000], vec![2; 5000]];
    save(store, slot, &states[0]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers = states.each_ref().map(|state| {
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    save(store, slot, state);
                }
            })
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let seen = load(store, slot).expect("a state is there all the time");
                assert!(states.contains(&seen), "{} bytes that nobody saved", seen.len());
            }
        });
        let writers = writers.map(thread::ScopedJoinHandle::join);
        done.store(true, Ordering::Relaxed);
        assert!(writers.iter().all(Result::is_ok), "two threads can save at once");
    });
}
