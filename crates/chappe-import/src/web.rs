//! The local storage of Telegram's web clients, Web A and Web K.
//!
//! In the browser's console on the client's page, `copy(JSON.stringify(localStorage))` copies the text that is read here:
//!
//! | item | contents |
//! |---|---|
//! | `dc2_auth_key`, and so on | the key as a text of 512 hexadecimal digits |
//! | `user_auth` | an object with `dcID`, the account's datacenter, and `id`, the user |
//! | `account1`, and so on | in clients with several accounts: an object with `dcId`, `userId` and a key as `dc2_auth_key` for each datacenter |
//!
//! The current account stands in the items without a number as well.

use crate::json::{self, Object};
use crate::keys::Keys;
use crate::{ImportError, ImportedSession, User, text};

/// Longest text that is read. The storage of a client has less than a megabyte.
const MAX_LEN: usize = 8 << 20;

/// Most accounts. Clients allow four.
const MAX_ACCOUNTS: usize = 16;

/// Reads the items as one JSON object: a session for each account and datacenter with a key. Those of an account follow
/// each other, and the datacenter of the account comes first.
///
/// # Errors
///
/// The text is no such object, or has no key.
pub fn from_local_storage(json: &str) -> Result<Vec<ImportedSession>, ImportError> {
    if json.len() > MAX_LEN {
        return Err(ImportError::Length { len: json.len() });
    }
    let storage = Object::parse(json, "JSON")?;
    let mut sessions = Vec::new();
    let accounts = storage.iter().filter(|(name, _)| numbered(name, "account", "").is_some());
    for (_, value) in accounts.take(MAX_ACCOUNTS) {
        // An item is a text, which holds JSON itself. Tools that copy a storage parse it at times.
        let unquoted = json::text(value);
        let account = unquoted.as_deref().map_or(value, String::as_str);
        let account = Object::parse(account, "account")?;
        add(&mut sessions, keys(&account, account.integer("dcId")?, account.integer("userId")?)?);
    }
    let user_auth = storage.get("user_auth").map(|value| (json::text(value), value));
    let (dc, user) = match &user_auth {
        Some((unquoted, value)) => {
            let user_auth = Object::parse(unquoted.as_deref().map_or(*value, String::as_str), "user_auth")?;
            (user_auth.integer("dcID")?, user_auth.integer("id")?)
        }
        None => (storage.integer("dc")?, None),
    };
    add(&mut sessions, keys(&storage, dc, user)?);
    if sessions.is_empty() { Err(ImportError::NoKey) } else { Ok(sessions) }
}

/// Adds the sessions whose keys are new.
fn add(sessions: &mut Vec<ImportedSession>, found: Vec<ImportedSession>) {
    for session in found {
        if !sessions.iter().any(|known| known.auth_key == session.auth_key) {
            sessions.push(session);
        }
    }
}

/// Returns the number in a name such as `dc2_auth_key`.
fn numbered(name: &str, prefix: &str, suffix: &str) -> Option<i64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    digits.parse().ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Reads the keys of an account.
fn keys(
    account: &Object<'_>,
    dc: Option<i64>,
    user: Option<i64>,
) -> Result<Vec<ImportedSession>, ImportError> {
    const MALFORMED: ImportError = ImportError::Malformed { what: "key" };
    let mut keys = Keys::default();
    keys.main = dc.filter(|dc| *dc != 0);
    keys.user = user.filter(|id| *id != 0).map(|id| User { id, is_bot: false });
    for (name, value) in account.iter() {
        let Some(dc) = numbered(name, "dc", "_auth_key") else { continue };
        let key = json::text(value).ok_or(MALFORMED)?;
        // In a storage of texts, the text holds a quoted text.
        let unquoted = json::text(&key);
        let key = unquoted.as_ref().unwrap_or(&key);
        if !key.is_empty() {
            keys.push(dc, &text::decode_hex(key)?, None, None)?;
        }
    }
    match keys.into_sessions() {
        Err(ImportError::NoKey) => Ok(Vec::new()),
        sessions => sessions,
    }
}
