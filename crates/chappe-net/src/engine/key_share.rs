//! One temporary key for all clients of a datacenter.
//!
//! The datacenter keeps one temporary key for each permanent one: a second binding takes the place of the first. So the
//! clients under one permanent key share a temporary one. One of them makes and binds it while the others wait; each has a
//! session of its own under it.
//!
//! Spec: <https://core.telegram.org/api/pfs>.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use chappe_session::Now;
use chappe_session::client::TemporaryKey;

use super::{ConnectionId, Engine};
use crate::waiters::{Ticket, Waiters, Woken};

/// The temporary key of a datacenter, and who makes the next one.
#[derive(Debug, Default)]
pub(crate) struct KeyShare {
    /// Number of the key, 0 while there is none.
    number: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    key: Option<TemporaryKey>,
    /// The member that makes the next key.
    maker: Option<u64>,
    members: u64,
    waiting: Waiters,
}

/// What a member does that needs a key.
#[derive(Debug)]
pub(super) enum Answer {
    /// Take this one, which is bound.
    Take(Box<TemporaryKey>),
    /// Make one, and publish it once it is bound.
    Make,
    /// Another member makes one.
    Wait,
}

/// A client's part in a share.
#[derive(Debug)]
pub(super) struct Membership {
    share: Arc<KeyShare>,
    id: u64,
    /// Wakes the driver of the client.
    waker: Waker,
    ticket: Option<Ticket>,
    /// Number of the key that the client took last.
    taken: u64,
    /// A key that the client made and that is not bound yet.
    made: Option<TemporaryKey>,
    /// The client waits for the key that another makes.
    is_waiting: bool,
    /// The connection on which the client went over from one key to another. A -404 on it may be about the one before.
    changed_on: Option<ConnectionId>,
}

impl KeyShare {
    /// Forgets the key: the permanent key is another one from now on.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.key = None;
        self.number.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership {
    pub(super) fn new(share: Arc<KeyShare>, waker: Waker) -> Self {
        let mut state = share.lock();
        state.members += 1;
        let id = state.members;
        drop(state);
        Self { share, id, waker, ticket: None, taken: 0, made: None, is_waiting: false, changed_on: None }
    }

    /// Returns whether there is another key than the one taken last.
    pub(super) fn is_outdated(&self) -> bool {
        self.share.number.load(Ordering::Acquire) != self.taken
    }

    /// Takes the key if it is another than the one taken last.
    fn take_newer(&mut self) -> Option<TemporaryKey> {
        let state = self.share.lock();
        self.taken = self.share.number.load(Ordering::Acquire);
        state.key.clone()
    }

    /// Asks for a key other than the one taken last.
    pub(super) fn ask(&mut self) -> Answer {
        let mut state = self.share.lock();
        // A lane that has a key is told of the next one as well.
        state.waiting.register(&mut self.ticket, &Context::from_waker(&self.waker));
        let number = self.share.number.load(Ordering::Acquire);
        self.is_waiting = false;
        match (&state.key, state.maker) {
            (Some(key), _) if number != self.taken => {
                self.taken = number;
                Answer::Take(Box::new(key.clone()))
            }
            (_, Some(maker)) if maker != self.id => {
                self.is_waiting = true;
                Answer::Wait
            }
            _ => {
                self.taken = number;
                state.maker = Some(self.id);
                Answer::Make
            }
        }
    }

    /// The client has made a key, which it binds now.
    pub(super) fn on_made(&mut self, key: TemporaryKey) {
        self.made = Some(key);
    }

    /// The key that the client made is bound: it is everybody's. Returns whom to wake.
    pub(super) fn publish(&mut self) -> Option<Woken> {
        let key = self.made.take()?;
        let mut state = self.share.lock();
        if state.maker == Some(self.id) {
            state.maker = None;
        }
        state.key = Some(key);
        self.taken = self.share.number.fetch_add(1, Ordering::AcqRel) + 1;
        Some(state.waiting.take())
    }

    /// The client makes no key any more, because its connection is lost or it ends. Returns whom to wake if it did.
    pub(super) fn withdraw(&mut self) -> Option<Woken> {
        self.made = None;
        let mut state = self.share.lock();
        state.maker.take_if(|maker| *maker == self.id)?;
        Some(state.waiting.take())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let woken = self.withdraw();
        self.share.lock().waiting.remove(self.ticket);
        if let Some(woken) = woken {
            woken.wake();
        }
    }
}

impl Engine {
    /// Shares the temporary key of the datacenter, if the options say so. `waker` wakes the driver.
    pub(crate) fn join(&mut self, waker: &Waker) {
        let share = self.options.key_share.clone();
        self.membership = share.map(|share| Membership::new(share, waker.clone()));
    }

    /// Takes the temporary key that clients share, or makes one.
    pub(super) fn get_temporary_key(&mut self, now: Now) {
        match self.membership.as_mut().map(Membership::ask) {
            None | Some(Answer::Make) => self.make_key(now, self.temporary()),
            Some(Answer::Take(key)) => self.take_key(now, *key),
            Some(Answer::Wait) => {}
        }
    }

    /// Takes a key that another client has made meanwhile, whether or not this one waits for it: the one before is of no
    /// use any more. While calls are under way under that one it stays, since their answers come under it if at all.
    pub(super) fn look_for_shared_key(&mut self, now: Now) {
        if self.in_use().is_none() {
            return;
        }
        let Some(membership) = &mut self.membership else { return };
        if membership.is_waiting {
            self.get_temporary_key(now);
        } else if self.sink.calls.is_empty()
            && membership.is_outdated()
            && let Some(key) = membership.take_newer()
        {
            self.take_key(now, key);
        }
    }

    fn take_key(&mut self, now: Now, key: TemporaryKey) {
        let connection = self.in_use();
        let Some(session) = self.session.as_deref_mut() else { return };
        if let Some(membership) = &mut self.membership {
            membership.changed_on = connection.filter(|_| session.is_usable());
        }
        (self.wants_temporary_key, self.is_binding) = (false, false);
        session.install_bound_key(now, key);
        self.greet(now);
    }

    /// Returns whether a -404 on a connection may be about the key before, which another client has replaced.
    pub(super) fn may_mean_former_key(&self, connection: ConnectionId) -> bool {
        self.membership.as_ref().is_some_and(|membership| membership.changed_on == Some(connection))
    }

    /// The datacenter has bound the temporary key.
    pub(super) fn on_bound(&mut self) {
        self.is_binding = false;
        if let Some(woken) = self.membership.as_mut().and_then(Membership::publish) {
            self.sink.wakers.extend(woken.into_wakers());
        }
    }

    /// Lets another client make the key that this one was about to make. Returns whether it was.
    pub(super) fn leave_key_to_others(&mut self) -> bool {
        let Some(woken) = self.membership.as_mut().and_then(Membership::withdraw) else { return false };
        self.sink.wakers.extend(woken.into_wakers());
        true
    }
}

#[cfg(test)]
mod tests {
    use chappe_framing::ServerSalt;

    use super::*;

    fn key(number: i64) -> TemporaryKey {
        TemporaryKey { auth_key: [7; 256].into(), first_salt: ServerSalt::from_raw(number), expires_at: 0 }
    }

    fn taken(member: &mut Membership) -> Option<i64> {
        match member.ask() {
            Answer::Take(key) => Some(key.first_salt.to_raw()),
            Answer::Make | Answer::Wait => None,
        }
    }

    #[test]
    fn one_member_makes_a_key_and_all_take_it() {
        let share = Arc::new(KeyShare::default());
        let member = || Membership::new(Arc::clone(&share), Waker::noop().clone());
        let (mut one, mut two) = (member(), member());
        assert!(matches!(one.ask(), Answer::Make));
        assert!(matches!(two.ask(), Answer::Wait));
        assert!(matches!(one.ask(), Answer::Make), "it is the one that makes it");
        one.on_made(key(1));
        drop(one.publish());
        assert!(two.is_outdated() && !one.is_outdated());
        assert_eq!(taken(&mut two), Some(1));
        // The second finds that the key is of no use, and makes another, which the first takes without asking for one.
        assert!(matches!(two.ask(), Answer::Make));
        two.on_made(key(2));
        drop(two.publish());
        assert!(one.is_outdated());
        assert_eq!(taken(&mut one), Some(2));
    }

    #[test]
    fn a_member_that_ends_or_loses_its_connection_leaves_the_key_to_another() {
        let share = Arc::new(KeyShare::default());
        let member = || Membership::new(Arc::clone(&share), Waker::noop().clone());
        let (mut one, mut two, mut three) = (member(), member(), member());
        assert!(matches!(one.ask(), Answer::Make));
        assert!(matches!(two.ask(), Answer::Wait));
        drop(one.withdraw());
        assert!(matches!(two.ask(), Answer::Make));
        assert!(matches!(three.ask(), Answer::Wait));
        drop(two);
        assert!(matches!(three.ask(), Answer::Make));
        drop((one, three));
        assert_eq!(share.lock().waiting.len(), 0, "nobody is left behind");
    }

    #[test]
    fn a_key_of_a_former_permanent_key_is_not_taken() {
        let share = Arc::new(KeyShare::default());
        let mut one = Membership::new(Arc::clone(&share), Waker::noop().clone());
        assert!(matches!(one.ask(), Answer::Make));
        one.on_made(key(1));
        drop(one.publish());
        share.clear();
        let mut two = Membership::new(Arc::clone(&share), Waker::noop().clone());
        assert!(matches!(two.ask(), Answer::Make));
    }
}
