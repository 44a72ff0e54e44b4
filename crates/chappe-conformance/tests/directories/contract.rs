//! What every directory must do. Each test opens the directory as often as there are processes.

use core::ops::Range;
use core::time::Duration;
use std::sync::Arc;

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::UnixTime;
use chappe_server::KeyStatus;
use chappe_server::directory::{Found, KeyDirectory, KeyRecord, KeySealer, MemoryDirectory, SealedKey};
use zeroize::Zeroizing;

use crate::cut::Cut;
use crate::programs::Program;

pub(crate) type Shared = Arc<dyn KeyDirectory>;

/// When the temporary keys of the tests end: a day from now.
fn end() -> UnixTime {
    UnixTime::from_secs(UnixTime::now().as_secs() + 86_400)
}

pub(crate) fn auth_key(number: u32) -> AuthKey {
    AuthKey::from_bytes(core::array::from_fn(|at| number.to_le_bytes()[at % 4]))
}

pub(crate) fn id(number: u32) -> AuthKeyId {
    auth_key(number).id()
}

fn seal(number: u32, status: KeyStatus) -> SealedKey {
    let auth_key = auth_key(number);
    let record = KeyRecord { auth_key, status, dc: None, first_salt: None, unused_until: None };
    KeySealer::new(&[7; 32]).seal(&record)
}

pub(crate) fn permanent(number: u32) -> SealedKey {
    seal(number, KeyStatus::Permanent)
}

fn temporary(number: u32, bound_to: Option<u32>, expires_at: UnixTime) -> SealedKey {
    seal(number, KeyStatus::Temporary { expires_at, bound_to: bound_to.map(id) })
}

/// Runs the whole contract with a directory as two processes see it. The directory must be empty.
pub(crate) async fn holds(ours: &Shared, theirs: &Shared) {
    keys_are_kept(ours, theirs).await;
    bindings_are_compared_and_set(ours, theirs).await;
    one_of_two_processes_wins(ours, theirs).await;
}

async fn keys_are_kept(ours: &Shared, theirs: &Shared) {
    assert_eq!(ours.look_up(id(1)).await.expect("it answers"), None);
    assert!(ours.insert(permanent(1)).await.expect("it answers"));
    let found = Some(Found { key: permanent(1), permanent: None });
    assert_eq!(theirs.look_up(id(1)).await.expect("it answers"), found, "the other process sees it at once");
    assert!(theirs.insert(permanent(1)).await.expect("it answers"), "a repetition is answered alike");
    let other = SealedKey { bytes: Zeroizing::new(vec![1, 2, 3]), ..permanent(1) };
    assert!(!theirs.insert(other).await.expect("it answers"), "another key of the same id");
    assert_eq!(ours.look_up(id(1)).await.expect("it answers"), found, "and it changed nothing");
    ours.forget(id(1)).await.expect("it answers");
    assert_eq!(theirs.look_up(id(1)).await.expect("it answers"), None, "nothing stale is read");
    theirs.forget(id(1)).await.expect("a key that is gone is forgotten");
}

async fn bindings_are_compared_and_set(ours: &Shared, theirs: &Shared) {
    let end = end();
    assert!(ours.insert(permanent(1)).await.expect("it answers"));
    let (unbound, bound) = (temporary(2, None, end), temporary(2, Some(1), end));
    assert!(!ours.replace(unbound.clone(), bound.clone()).await.expect("it answers"), "there is no such key");
    assert!(ours.insert(unbound.clone()).await.expect("it answers"));
    let stale = temporary(2, None, end.saturating_add(core::time::Duration::from_nanos(1)));
    assert!(
        !ours.replace(stale, bound.clone()).await.expect("it answers"),
        "the key is another by a nanosecond"
    );
    assert!(theirs.bound_to(id(1)).await.expect("it answers").is_empty());
    assert!(ours.replace(unbound.clone(), bound.clone()).await.expect("it answers"));
    assert!(theirs.replace(unbound.clone(), bound.clone()).await.expect("it answers"), "a repetition");
    let elsewhere = temporary(2, Some(3), end);
    assert!(!theirs.replace(unbound, elsewhere).await.expect("it answers"), "it is bound");
    let found = Found { key: bound.clone(), permanent: Some(permanent(1)) };
    assert_eq!(theirs.look_up(id(2)).await.expect("it answers"), Some(found), "both keys in one look-up");
    assert!(ours.insert(temporary(4, Some(1), end)).await.expect("it answers"));
    let mut listed = theirs.bound_to(id(1)).await.expect("it answers");
    listed.sort_unstable_by_key(|id| id.to_raw());
    let mut expected = vec![id(2), id(4)];
    expected.sort_unstable_by_key(|id| id.to_raw());
    assert_eq!(listed, expected);
    ours.forget(id(4)).await.expect("it answers");
    assert_eq!(theirs.bound_to(id(1)).await.expect("it answers"), [id(2)]);
    ours.forget(id(1)).await.expect("it answers");
    let found = Found { key: bound, permanent: None };
    assert_eq!(theirs.look_up(id(2)).await.expect("it answers"), Some(found), "its permanent key is gone");
    ours.forget(id(2)).await.expect("it answers");
}

async fn one_of_two_processes_wins(ours: &Shared, theirs: &Shared) {
    let end = end();
    for number in 100..130 {
        assert!(ours.insert(temporary(number, None, end)).await.expect("it answers"));
        let bind = |directory: &Shared, to| {
            let directory = Arc::clone(directory);
            let (unbound, bound) = (temporary(number, None, end), temporary(number, Some(to), end));
            tokio::spawn(async move { directory.replace(unbound, bound).await.expect("it answers") })
        };
        let (first, second) = tokio::join!(bind(ours, 1), bind(theirs, 2));
        let won = [first.expect("no panic"), second.expect("no panic")];
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "one key, one binding");
        let found = ours.look_up(id(number)).await.expect("it answers").expect("the key");
        assert_eq!(found.key, temporary(number, Some(if won[0] { 1 } else { 2 }), end));
        let insert = |directory: &Shared, key| {
            let directory = Arc::clone(directory);
            tokio::spawn(async move { directory.insert(key).await.expect("it answers") })
        };
        let (made, other) = (permanent(number + 500), temporary(number + 500, None, end));
        let (first, second) = tokio::join!(insert(ours, made), insert(theirs, other));
        let won = [first.expect("no panic"), second.expect("no panic")];
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "one id, one key");
    }
}

/// Inserts keys while the store is killed and started again, and asserts that all are there that were confirmed.
pub(crate) async fn survives_crashes(directory: &Shared, program: &mut Program) {
    let (ended, mut is_over) = tokio::sync::watch::channel(false);
    let inserting = {
        let directory = Arc::clone(directory);
        tokio::spawn(async move {
            let mut confirmed = Vec::new();
            for number in 10_000.. {
                if is_over.has_changed().unwrap_or(true) {
                    is_over.mark_unchanged();
                    break;
                }
                // A request that failed may have been done or not; one that was confirmed has been.
                if directory.insert(permanent(number)).await.is_ok_and(|is_stored| is_stored) {
                    confirmed.push(number);
                }
            }
            confirmed
        })
    };
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        program.kill();
        program.start_again();
    }
    ended.send(true).expect("it still runs");
    let confirmed = inserting.await.expect("no panic");
    assert!(!confirmed.is_empty());
    has_all(directory, &confirmed).await;
}

/// The keys that [`asks_again`] inserts.
pub(crate) const LOST: Range<u32> = 1..20;

/// Asserts that a change and a look-up whose answers are lost are asked for again. `cut` is in front of the store.
pub(crate) async fn asks_again(directory: &Shared, cut: &Cut) {
    for number in LOST {
        cut.lose(1);
        assert!(directory.insert(permanent(number)).await.expect("it is asked again"), "it was inserted");
        assert!(cut.has_lost_all());
        cut.lose(1);
        assert!(directory.look_up(id(number)).await.expect("it is asked again").is_some());
        assert!(cut.has_lost_all());
    }
}

/// Asserts that all of these keys are there, whole.
pub(crate) async fn has_all(directory: &Shared, numbers: &[u32]) {
    for number in numbers {
        let found =
            directory.look_up(id(*number)).await.expect("it answers").expect("what was confirmed is there");
        assert_eq!(found.key, permanent(*number));
    }
}

#[tokio::test]
async fn keys_in_memory_hold_the_contract() {
    let shared: Shared = Arc::<MemoryDirectory>::default();
    holds(&shared, &Arc::clone(&shared)).await;
}
