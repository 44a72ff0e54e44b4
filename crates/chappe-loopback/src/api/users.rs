//! Who is logged in: bots with configured tokens, and logins carried from one datacenter to another.

use std::collections::HashMap;

use chappe_crypto::ct;
use chappe_crypto::rng::Drbg;
use chappe_tl::Sink as _;
use chappe_tl_mtproto::types::RpcError;
use rand_core::Rng as _;

use super::{Answer, Caller, encoded, error};
use crate::schema::{enums, types};

/// Number of a user.
pub type UserId = i64;

/// A user of the datacenter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Number.
    pub id: UserId,
    /// Name shown.
    pub first_name: String,
    /// Name without the `@`.
    pub username: String,
}

/// Exported logins that may wait to be imported.
const MAX_EXPORTED: usize = 1024;

/// Accounts, tokens and which key is logged in as whom.
#[derive(Debug, Default)]
pub(super) struct Users {
    bots: HashMap<String, Account>,
    by_key: HashMap<i64, Account>,
    exported: HashMap<UserId, Vec<(Vec<u8>, Account)>>,
}

impl Users {
    pub(super) fn add_bot(&mut self, token: String, account: Account) {
        self.bots.insert(token, account);
    }

    pub(super) fn log_in(&mut self, caller: &Caller, token: &str) -> Answer {
        let account = self.bots.get(token).ok_or_else(|| error(400, "ACCESS_TOKEN_INVALID"))?.clone();
        self.by_key.insert(caller.auth_key_id, account.clone());
        Ok(authorization(&account, caller.layer))
    }

    pub(super) fn log_out(&mut self, caller: &Caller) {
        self.by_key.remove(&caller.auth_key_id);
    }

    pub(super) fn require_login(&self, caller: &Caller) -> Result<&Account, RpcError> {
        self.by_key.get(&caller.auth_key_id).ok_or_else(|| error(401, "AUTH_KEY_UNREGISTERED"))
    }

    pub(super) fn export(&mut self, caller: &Caller) -> Answer {
        let account = self.require_login(caller)?.clone();
        let mut bytes = vec![0; 32];
        let mut rng = Drbg::from_os().map_err(|_| error(500, "RANDOM_UNAVAILABLE"))?;
        rng.fill_bytes(&mut bytes);
        if self.exported.values().map(Vec::len).sum::<usize>() >= MAX_EXPORTED {
            self.exported.clear();
        }
        let id = account.id;
        self.exported.entry(id).or_default().push((bytes.clone(), account));
        let exported = types::auth::ExportedAuthorization { id, bytes };
        encoded(&enums::auth::ExportedAuthorization::ExportedAuthorization(exported))
    }

    pub(super) fn import(&mut self, caller: &Caller, id: UserId, bytes: &[u8]) -> Answer {
        let waiting = self.exported.entry(id).or_default();
        let found = waiting.iter().position(|(secret, _)| ct::eq(secret, bytes));
        let Some(position) = found else {
            return Err(error(400, "AUTH_BYTES_INVALID"));
        };
        // Good for one use (SEC-157).
        let (_, account) = waiting.swap_remove(position);
        self.by_key.insert(caller.auth_key_id, account.clone());
        Ok(authorization(&account, caller.layer))
    }

    pub(super) fn get(&self, caller: &Caller, ids: &[enums::InputUser]) -> Answer {
        let account = self.require_login(caller)?;
        let mut out = Vec::new();
        let mut found: Vec<Vec<u8>> = Vec::new();
        for id in ids {
            match id {
                enums::InputUser::UserSelf => found.push(user(account, caller.layer)),
                enums::InputUser::InputUser(user_id) if user_id.user_id == account.id => {
                    found.push(user(account, caller.layer));
                }
                _ => {}
            }
        }
        out.put(&0x1cb5_c415_u32.to_le_bytes());
        out.put(&(found.len() as u32).to_le_bytes());
        for user in &found {
            out.put(user);
        }
        Ok(out)
    }
}

/// `auth.authorization` without optional fields: its id is the same in every layer, its `user` is not.
fn authorization(account: &Account, layer: i32) -> Vec<u8> {
    let mut out = Vec::new();
    out.put(&0x2ea2_c0d4_u32.to_le_bytes());
    out.put(&0_u32.to_le_bytes());
    out.put(&user(account, layer));
    out
}

/// Constructor ids of `user`, each with a layer that has it; a layer in between gets the one below.
///
/// All of them begin with two flags words and hold the few fields written here in the same order, and everything
/// else is behind flags that are not set.
const USER_IDS: [(i32, u32); 6] = [
    (0, 0x8f97_c628),
    (166, 0xeb60_2f25),
    (186, 0x8331_4fca),
    (198, 0x4b46_c37e),
    (222, 0x3177_4388),
    (229, 0xb1b8_cc83),
];

/// Bits of the first flags word of `user`.
mod flag {
    pub(super) const ACCESS_HASH: u32 = 1 << 0;
    pub(super) const FIRST_NAME: u32 = 1 << 1;
    pub(super) const USERNAME: u32 = 1 << 3;
    pub(super) const SELF: u32 = 1 << 10;
    pub(super) const BOT: u32 = 1 << 14;
}

/// `user` of the caller's layer.
fn user(account: &Account, layer: i32) -> Vec<u8> {
    let known = USER_IDS.iter().rev().find(|(since, _)| *since <= layer);
    let (_, id) = known.unwrap_or(&USER_IDS[0]);
    let flags = flag::ACCESS_HASH | flag::FIRST_NAME | flag::USERNAME | flag::SELF | flag::BOT;
    let mut out = Vec::new();
    out.put(&id.to_le_bytes());
    out.put(&flags.to_le_bytes());
    out.put(&0_u32.to_le_bytes());
    for long in [account.id, 0] {
        out.put(&long.to_le_bytes());
    }
    for text in [&account.first_name, &account.username] {
        // A name longer than TL can encode has no place in a client either.
        let _ = chappe_tl::Serializable::serialize(text, &mut out);
    }
    // `bot_info_version` stands where `bot` is set.
    out.put(&1_i32.to_le_bytes());
    out
}
