//! What Telegram knows: accounts, logins, messages and files. Datacenters share it, and tests look into it and change it.

mod account;
mod files;
mod logins;
mod mailbox;
mod password;
mod state;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use chappe_carrier::lock;
use chappe_crypto::AuthKeyId;
use chappe_handshake::DcId;
use chappe_server::{Attached, Datacenter, Logins};

pub use account::{Account, UserId};
pub use mailbox::StoredMessage;

pub(crate) use account::{digits, encode_user};
pub(crate) use files::Piece;
pub(crate) use mailbox::{Mailbox, encode_message};
pub(crate) use password::no_password;
pub(crate) use state::State;

use account::Person;
use files::StoredFile;
use password::Password;

/// Accounts, logins, messages and files, for datacenters that share them. Clones share the content.
///
/// ```
/// use chappe_loopback::api::Account;
/// use chappe_loopback::{Cloud, Options};
/// use chappe_server::Datacenter;
///
/// let cloud = Cloud::new();
/// let alice = Account { id: 7, first_name: "Alice".into(), username: "alice".into() };
/// cloud.add_user("+4912345678", alice);
/// cloud.set_code("+4912345678", "54321");
/// cloud.set_password(7, Some("correct horse"));
/// let datacenter = Options::new().cloud(&cloud).start()?;
/// // A client logs in with the code and the password; then:
/// assert!(cloud.logins(7).is_empty());
/// assert!(cloud.messages(7).is_empty());
/// # drop(datacenter);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Cloud {
    state: Arc<Mutex<State>>,
    exported: Logins,
}

impl Cloud {
    /// Makes a cloud in which there is nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user, who logs in with a phone number, a code, and a password if there is one. A user of the same number is
    /// replaced, and keeps the messages.
    pub fn add_user(&self, phone: impl Into<String>, account: Account) {
        self.state().add_with_phone(digits(&phone.into()), account);
    }

    /// Adds a bot, which logs in with a token.
    pub fn add_bot(&self, token: impl Into<String>, account: Account) {
        let person = Person { is_bot: true, ..Person::new(account) };
        let mut state = self.state();
        state.tokens.insert(token.into(), person.account.id);
        state.add(person);
    }

    /// Sets the password of an account for the second step of a login, or removes it.
    pub fn set_password(&self, user: UserId, password: Option<&str>) {
        let password = password.map(Password::new);
        self.state().change(user, |person| person.password = password);
    }

    /// Sets the datacenter on which a user's account lives. A login elsewhere is told to migrate (`PHONE_MIGRATE_4`). By default
    /// every datacenter will do.
    pub fn set_home(&self, user: UserId, dc: u16) {
        self.state().change(user, |person| person.home = Some(dc));
    }

    /// Sets the code that the next logins with a phone number need, instead of one that is made up for each.
    pub fn set_code(&self, phone: &str, code: impl Into<String>) {
        self.state().fixed_codes.insert(digits(phone), code.into());
    }

    /// Returns the code that was last sent to a phone number.
    pub fn code(&self, phone: &str) -> Option<String> {
        let phone = digits(phone);
        self.state().sent_codes.values().rev().find(|sent| sent.phone == phone).map(|sent| sent.code.clone())
    }

    /// Returns an account.
    pub fn account(&self, user: UserId) -> Option<Account> {
        self.state().people.get(&user).map(|person| person.account.clone())
    }

    /// Returns the permanent keys under which an account is logged in.
    pub fn logins(&self, user: UserId) -> Vec<AuthKeyId> {
        let state = self.state();
        state
            .logins
            .iter()
            .filter(|(_, known)| **known == user)
            .map(|(key, _)| AuthKeyId::from_raw(*key))
            .collect()
    }

    /// Logs an account in under a permanent key.
    pub fn log_in(&self, key: AuthKeyId, user: UserId) {
        self.state().log_in(key, user);
    }

    /// Ends the login of a key. Further calls that need one are answered with `AUTH_KEY_UNREGISTERED`.
    pub fn log_out(&self, key: AuthKeyId) {
        self.state().log_out(key);
    }

    /// Sends a message from one account to another, and updates to the sessions of both. Returns the id that it has for the
    /// sender; `None` if one of them does not exist.
    pub fn send_message(&self, from: UserId, to: UserId, text: &str) -> Option<i32> {
        let (sent, updates) = self.state().send(from, to, text, None, None)?;
        updates.push();
        Some(sent.id)
    }

    /// Returns the messages of an account, the oldest first.
    pub fn messages(&self, user: UserId) -> Vec<StoredMessage> {
        let state = self.state();
        state.people.get(&user).map_or_else(Vec::new, |person| person.mailbox.messages().cloned().collect())
    }

    /// Returns the number of updates that an account has had (`pts`), counted from 1.
    pub fn pts(&self, user: UserId) -> Option<i32> {
        self.state().people.get(&user).map(|person| person.mailbox.pts())
    }

    /// Adds a file. It lies on datacenter `dc`, if given: other datacenters then answer `FILE_MIGRATE_4`.
    ///
    /// Clients fetch it with an `inputDocumentFileLocation` of this id. A file of the same id is replaced.
    pub fn add_file(&self, id: i64, dc: Option<u16>, bytes: Vec<u8>) {
        self.state().files.insert(id, StoredFile::whole(dc, bytes));
    }

    /// Lets a file be fetched from a cache: clients that support it are redirected to the CDN datacenter of this number.
    /// Returns whether there is such a file.
    pub fn cache_file(&self, id: i64, cdn: u16) -> bool {
        self.state().files.cache(id, cdn)
    }

    /// Returns the bytes of a file that was added or uploaded.
    pub fn file(&self, id: i64) -> Option<Vec<u8>> {
        self.state().files.get(id).map(StoredFile::bytes)
    }

    /// Returns the addresses of all datacenters that share the cloud.
    pub fn datacenters(&self) -> Vec<Datacenter> {
        self.state().datacenters.clone()
    }

    /// Adds a datacenter; `cdn_key` is the public key of a cache, as text.
    pub(crate) fn add_datacenter(&self, datacenter: Datacenter, cdn_key: Option<String>) {
        let mut state = self.state();
        if let Some(key) = cdn_key {
            state.cdn_keys.insert(datacenter.dc.number(), key);
        }
        state.datacenters.retain(|known| known.dc != datacenter.dc);
        state.datacenters.push(datacenter);
    }

    /// Removes a datacenter, unless another one has taken its place.
    pub(crate) fn remove_datacenter(&self, dc: DcId, address: SocketAddr) {
        self.state().datacenters.retain(|known| known.dc != dc || known.address != address);
    }

    pub(crate) const fn exported(&self) -> &Logins {
        &self.exported
    }

    pub(crate) fn end_session(&self, session: &Attached) {
        self.state().sessions.retain(|_, sessions| {
            sessions.retain(|known| known.session.session_id() != session.session_id());
            !sessions.is_empty()
        });
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl fmt::Debug for Cloud {
    /// Omits tokens, codes and passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Cloud")
            .field("accounts", &state.people.len())
            .field("logins", &state.logins.len())
            .finish_non_exhaustive()
    }
}
