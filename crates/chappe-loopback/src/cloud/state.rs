//! The content of a cloud.

use std::collections::{BTreeMap, HashMap};

use chappe_framing::UnixTime;
use chappe_server::{Attached, Datacenter};
use chappe_tl::Serializable as _;
use chappe_tl_api::{enums, types};

use super::account::{Account, Person, UserId};
use super::files::Files;
use super::logins::{Listening, SentCode};
use super::mailbox::{Entry, StoredMessage};

/// The content of a cloud.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) people: HashMap<UserId, Person>,
    /// Bots by their tokens.
    pub(crate) tokens: HashMap<String, UserId>,
    /// By permanent key.
    pub(crate) logins: HashMap<i64, UserId>,
    /// Who entered the right code and has yet to prove the password, by permanent key.
    pub(crate) half_logged_in: HashMap<i64, UserId>,
    pub(crate) fixed_codes: HashMap<String, String>,
    pub(crate) sent_codes: BTreeMap<u64, SentCode>,
    pub(crate) last_code: u64,
    pub(crate) sessions: HashMap<UserId, Vec<Listening>>,
    pub(crate) files: Files,
    pub(crate) datacenters: Vec<Datacenter>,
    /// Public keys of caches, as text, by their numbers.
    pub(crate) cdn_keys: BTreeMap<u16, String>,
}

/// Updates that are to be sent when the state is not locked.
#[derive(Default)]
pub(crate) struct Outgoing(Vec<(Attached, Vec<u8>)>);

impl Outgoing {
    pub(crate) fn push(self) {
        for (session, update) in self.0 {
            // A session that takes no more ends; its client asks for the difference.
            let _ = session.push(&update);
        }
    }
}

impl State {
    /// Adds a person, who takes over the messages of one with the same number.
    pub(super) fn add(&mut self, mut person: Person) {
        if let Some(known) = self.people.remove(&person.account.id) {
            person.mailbox = known.mailbox;
        }
        self.people.insert(person.account.id, person);
    }

    /// Adds a user with a phone number.
    pub(crate) fn add_with_phone(&mut self, phone: String, account: Account) {
        self.add(Person { phone: Some(phone), ..Person::new(account) });
    }

    pub(super) fn change(&mut self, user: UserId, change: impl FnOnce(&mut Person)) {
        if let Some(person) = self.people.get_mut(&user) {
            change(person);
        }
    }

    pub(crate) fn by_phone(&self, phone: &str) -> Option<&Person> {
        self.people.values().find(|person| person.phone.as_deref() == Some(phone))
    }

    /// Puts a message into both mailboxes. `but` is the session that called: it has an answer instead of an update.
    pub(crate) fn send(
        &mut self,
        from: UserId,
        to: UserId,
        text: &str,
        random_id: Option<i64>,
        but: Option<&Attached>,
    ) -> Option<(Sent, Outgoing)> {
        if !self.people.contains_key(&to) {
            return None;
        }
        let date = UnixTime::now().to_tl_int();
        let sender = self.people.get_mut(&from)?;
        if let Some(known) = random_id.and_then(|id| sender.mailbox.with_random_id(id)) {
            return Some((Sent::of(known), Outgoing::default()));
        }
        let message = |peer, is_outgoing| StoredMessage { id: 0, peer, is_outgoing, date, text: text.into() };
        let outgoing = sender.mailbox.push(message(to, true), random_id);
        let mut updates = Outgoing::default();
        self.announce(from, &outgoing, but, &mut updates);
        if to != from {
            let incoming = self.people.get_mut(&to)?.mailbox.push(message(from, false), None);
            self.announce(to, &incoming, None, &mut updates);
        }
        Some((Sent::of(&outgoing), updates))
    }

    /// Writes `updateShortMessage`, which is the same in all layers, for the sessions of a user.
    fn announce(&self, user: UserId, entry: &Entry, but: Option<&Attached>, out: &mut Outgoing) {
        let message = &entry.message;
        let short = types::UpdateShortMessage {
            out: message.is_outgoing,
            mentioned: false,
            media_unread: false,
            silent: false,
            id: message.id,
            user_id: message.peer,
            message: &message.text,
            pts: entry.pts,
            pts_count: 1,
            date: message.date,
            fwd_from: None,
            via_bot_id: None,
            reply_to: None,
            entities: None,
            ttl_period: None,
        };
        let update = enums::Updates::UpdateShortMessage(&short).to_bytes();
        let is_caller = |session: &Attached| but.is_some_and(|but| but.session_id() == session.session_id());
        for listening in self.sessions.get(&user).into_iter().flatten() {
            if !is_caller(&listening.session) {
                out.0.push((listening.session.clone(), update.clone()));
            }
        }
    }
}

/// What the sender of a message is told.
pub(crate) struct Sent {
    pub(crate) id: i32,
    pub(crate) pts: i32,
    pub(crate) date: i32,
}

impl Sent {
    const fn of(entry: &Entry) -> Self {
        Self { id: entry.message.id, pts: entry.pts, date: entry.message.date }
    }
}
