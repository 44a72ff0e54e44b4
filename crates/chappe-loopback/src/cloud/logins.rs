//! Who is logged in, and codes on their way to phones.

use chappe_crypto::AuthKeyId;
use chappe_crypto::rng::Drbg;
use chappe_server::{Attached, RpcError};
use rand_core::Rng as _;

use super::account::{Person, UserId};
use super::state::State;

/// A code that was sent to a phone.
pub(crate) struct SentCode {
    pub(crate) phone: String,
    pub(crate) code: String,
    /// Whether it was entered.
    is_entered: bool,
}

/// Codes that wait to be used. The oldest is forgotten.
const MAX_SENT: usize = 1024;

/// A session of a user who is logged in.
pub(crate) struct Listening {
    pub(crate) session: Attached,
    pub(crate) layer: i32,
}

/// Sessions of one account that get updates. The first is forgotten.
const MAX_LISTENING: usize = 256;

impl State {
    pub(crate) fn log_in(&mut self, key: AuthKeyId, user: UserId) {
        self.logins.insert(key.to_raw(), user);
    }

    pub(crate) fn log_out(&mut self, key: AuthKeyId) -> Option<UserId> {
        let user = self.logins.remove(&key.to_raw())?;
        self.sessions.remove(&user);
        Some(user)
    }

    /// Returns who is logged in under a key.
    pub(crate) fn user_of(&self, key: Option<AuthKeyId>) -> Result<UserId, RpcError> {
        let user = key.and_then(|key| self.logins.get(&key.to_raw())).copied();
        user.ok_or_else(|| RpcError::new(401, "AUTH_KEY_UNREGISTERED"))
    }

    pub(crate) fn person_of(&mut self, key: Option<AuthKeyId>) -> Result<&mut Person, RpcError> {
        let user = self.user_of(key)?;
        self.people.get_mut(&user).ok_or_else(|| RpcError::new(401, "USER_DEACTIVATED"))
    }

    /// Lets a session have the updates of its user.
    pub(crate) fn listen(&mut self, user: UserId, session: &Attached, layer: i32) {
        let sessions = self.sessions.entry(user).or_default();
        if let Some(known) =
            sessions.iter_mut().find(|known| known.session.session_id() == session.session_id())
        {
            known.layer = layer;
            return;
        }
        if sessions.len() == MAX_LISTENING {
            sessions.remove(0);
        }
        sessions.push(Listening { session: session.clone(), layer });
    }

    /// Sends a code to a phone. Returns its hash and length.
    pub(crate) fn send_code(&mut self, phone: String, rng: &mut Drbg) -> (String, usize) {
        // The numbers need not be spread evenly to the last bit.
        let made_up = || format!("{:05}", rng.next_u64() % 100_000);
        let code = self.fixed_codes.get(&phone).cloned().unwrap_or_else(made_up);
        self.last_code += 1;
        if self.sent_codes.len() == MAX_SENT {
            self.sent_codes.pop_first();
        }
        let len = code.len();
        self.sent_codes.insert(self.last_code, SentCode { phone, code, is_entered: false });
        (format!("{:016x}", self.last_code), len)
    }

    /// Checks a code. Returns the number of what was sent, or the name of the error.
    pub(crate) fn check_code(&mut self, phone: &str, hash: &str, code: &str) -> Result<u64, &'static str> {
        let (number, sent) = self.sent(phone, hash)?;
        if code.is_empty() {
            return Err("PHONE_CODE_EMPTY");
        }
        if sent.code != code {
            return Err("PHONE_CODE_INVALID");
        }
        sent.is_entered = true;
        Ok(number)
    }

    /// Returns the number of what was sent to a phone, if its code was entered.
    pub(crate) fn entered_code(&mut self, phone: &str, hash: &str) -> Result<u64, &'static str> {
        let (number, sent) = self.sent(phone, hash)?;
        if sent.is_entered { Ok(number) } else { Err("PHONE_CODE_INVALID") }
    }

    fn sent(&mut self, phone: &str, hash: &str) -> Result<(u64, &mut SentCode), &'static str> {
        let number = u64::from_str_radix(hash, 16).map_err(|_| "PHONE_CODE_HASH_INVALID")?;
        let sent = self.sent_codes.get_mut(&number).filter(|sent| sent.phone == phone);
        Ok((number, sent.ok_or("PHONE_CODE_EXPIRED")?))
    }

    /// Notes who has entered the right code, and has to prove the password.
    pub(crate) fn half_log_in(&mut self, key: AuthKeyId, user: UserId) {
        if self.half_logged_in.len() >= MAX_SENT {
            self.half_logged_in.clear();
        }
        self.half_logged_in.insert(key.to_raw(), user);
    }
}
