//! Keys in Redis.

use std::fmt;
use std::sync::{Arc, LazyLock};

use chappe_crypto::AuthKeyId;
use chappe_framing::UnixTime;
use chappe_server::directory::{DirectoryFuture, Found, KeyDirectory, SealedKey};
use redis::{RedisError, Script};
use zeroize::Zeroizing;

use crate::connection::Connection;

/// A directory of keys in Redis, 6 or later. Clones share the connection.
///
/// A key is a hash `PREFIX:key:ID` of the fields `permanent`, `expires_at` (nanoseconds since 1970) and `bytes`; the set
/// `PREFIX:bound:ID` has the temporary keys that are bound to a permanent one. Redis removes keys that have ended by itself. Scripts
/// reach keys that they do not declare, so Redis Cluster is not supported.
#[derive(Clone)]
pub struct RedisDirectory {
    connection: Connection,
    prefix: Arc<str>,
}

/// The fields of a hash; none if there is no such key.
type Fields = (Option<String>, Option<String>, Option<Vec<u8>>);

/// `KEYS[1]`: the key. `ARGV[1]`: the prefix of keys.
static LOOK_UP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local function get(key) return redis.call('HMGET', key, 'permanent', 'expires_at', 'bytes') end
local key = get(KEYS[1])
local permanent = {false, false, false}
if key[1] and key[1] ~= '' then permanent = get(ARGV[1] .. key[1]) end
return {key, permanent}",
    )
});

/// `KEYS`: the key. `ARGV`: its id, the prefix of sets, whether a key is expected, the fields of that key, the new fields, and
/// the time in milliseconds at which Redis removes it, or an empty string.
static STORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local known = redis.call('HMGET', KEYS[1], 'permanent', 'expires_at', 'bytes')
local function has(at) return known[1] == ARGV[at] and known[2] == ARGV[at + 1] and known[3] == ARGV[at + 2] end
if has(7) then return 1 end
if ARGV[3] == '1' then
    if not has(4) then return 0 end
elseif known[3] then
    return 0
end
redis.call('HSET', KEYS[1], 'permanent', ARGV[7], 'expires_at', ARGV[8], 'bytes', ARGV[9])
if known[1] and known[1] ~= '' then redis.call('SREM', ARGV[2] .. known[1], ARGV[1]) end
if ARGV[7] ~= '' then redis.call('SADD', ARGV[2] .. ARGV[7], ARGV[1]) end
if ARGV[10] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIREAT', KEYS[1], ARGV[10]) end
return 1",
    )
});

/// `KEYS[1]`: the key. `ARGV`: its id, and the prefix of sets.
static FORGET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local permanent = redis.call('HGET', KEYS[1], 'permanent')
if permanent and permanent ~= '' then redis.call('SREM', ARGV[2] .. permanent, ARGV[1]) end
redis.call('DEL', KEYS[1])",
    )
});

/// `KEYS[1]`: a set. `ARGV[1]`: the prefix of keys. Removes keys from the set that Redis has removed.
static BOUND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local bound = {}
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    if redis.call('EXISTS', ARGV[1] .. id) == 1 then
        table.insert(bound, id)
    else
        redis.call('SREM', KEYS[1], id)
    end
end
return bound",
    )
});

impl RedisDirectory {
    /// Connects, within a tokio runtime that must outlive the directory. The names of all keys begin with `prefix`.
    ///
    /// # Errors
    ///
    /// The URL is not one of Redis, or nothing answers there.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, RedisError> {
        Ok(Self { connection: Connection::open(url).await?, prefix: prefix.into() })
    }

    fn key(&self, id: &str) -> String {
        format!("{}:key:{id}", self.prefix)
    }

    fn bound(&self, id: &str) -> String {
        format!("{}:bound:{id}", self.prefix)
    }

    fn store(&self, expected: Option<SealedKey>, new: SealedKey) -> DirectoryFuture<'_, bool> {
        let (key, sets, id) = (self.key(&name(new.id)), self.bound(""), name(new.id));
        // Redis must not remove it before its time: milliseconds are rounded up.
        let until =
            new.expires_at.map(|at| at.as_nanos().div_ceil(1_000_000).to_string()).unwrap_or_default();
        Box::pin(self.connection.run(&STORE, move |call| {
            call.key(&key).arg(&id).arg(&sets).arg(u8::from(expected.is_some()));
            let nothing = SealedKey { bytes: Zeroizing::default(), ..new.clone() };
            for sealed in [expected.as_ref().unwrap_or(&nothing), &new] {
                let permanent = sealed.permanent.map(name).unwrap_or_default();
                let expires_at = sealed.expires_at.map(|at| at.as_nanos().to_string()).unwrap_or_default();
                call.arg(permanent).arg(expires_at).arg(&sealed.bytes[..]);
            }
            call.arg(&until);
        }))
    }
}

impl KeyDirectory for RedisDirectory {
    fn look_up(&self, id: AuthKeyId) -> DirectoryFuture<'_, Option<Found>> {
        let (key, keys) = (self.key(&name(id)), self.key(""));
        Box::pin(async move {
            let prepare = move |call: &mut redis::ScriptInvocation<'_>| {
                call.key(&key).arg(&keys);
            };
            let (key, permanent): (Fields, Fields) = self.connection.run(&LOOK_UP, prepare).await?;
            let permanent_id = key.0.as_deref().and_then(parsed);
            let permanent = permanent_id.and_then(|id| sealed(id, permanent));
            Ok(sealed(id, key).map(|key| Found { key, permanent }))
        })
    }

    fn insert(&self, key: SealedKey) -> DirectoryFuture<'_, bool> {
        self.store(None, key)
    }

    fn replace(&self, expected: SealedKey, new: SealedKey) -> DirectoryFuture<'_, bool> {
        self.store(Some(expected), new)
    }

    fn forget(&self, id: AuthKeyId) -> DirectoryFuture<'_, ()> {
        let (key, sets) = (self.key(&name(id)), self.bound(""));
        Box::pin(self.connection.run(&FORGET, move |call| {
            call.key(&key).arg(name(id)).arg(&sets);
        }))
    }

    fn bound_to(&self, permanent: AuthKeyId) -> DirectoryFuture<'_, Vec<AuthKeyId>> {
        let (set, keys) = (self.bound(&name(permanent)), self.key(""));
        Box::pin(async move {
            let prepare = move |call: &mut redis::ScriptInvocation<'_>| {
                call.key(&set).arg(&keys);
            };
            let bound: Vec<String> = self.connection.run(&BOUND, prepare).await?;
            Ok(bound.iter().filter_map(|id| parsed(id)).collect())
        })
    }
}

/// The name of a key: 16 hexadecimal digits.
fn name(id: AuthKeyId) -> String {
    format!("{:016x}", id.to_raw())
}

fn parsed(name: &str) -> Option<AuthKeyId> {
    u64::from_str_radix(name, 16).ok().map(|raw| AuthKeyId::from_raw(raw.cast_signed()))
}

fn sealed(id: AuthKeyId, (permanent, expires_at, bytes): Fields) -> Option<SealedKey> {
    Some(SealedKey {
        id,
        permanent: permanent.as_deref().and_then(parsed),
        expires_at: expires_at.and_then(|nanos| nanos.parse().ok()).map(UnixTime::from_nanos),
        bytes: Zeroizing::new(bytes?),
    })
}

impl fmt::Debug for RedisDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisDirectory").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
