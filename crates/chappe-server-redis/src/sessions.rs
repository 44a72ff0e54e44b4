//! Sessions of a fleet in Redis.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chappe_crypto::AuthKeyId;
use chappe_framing::{MsgId, SessionId};
use chappe_server::directory::{DirectoryError, DirectoryFuture};
use chappe_server::fleet::{
    Claim, ClaimRequest, FleetEvent, Membership, ProcessId, SessionDirectory, SessionName,
};
use redis::{RedisError, Script, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::connection::Connection;

/// The sessions of a fleet in Redis, 6 or later.
///
/// `PREFIX:process:ID` lives as long as the lease of a process, and the set `PREFIX:processes` has those with a lease. The hash
/// `PREFIX:session:KEY:ID` has the fields `owner`, `fence`, `floor` and `last` of a session, the hash `PREFIX:entries:KEY:ID`
/// what waits for it, and the stream `PREFIX:events:ID` tells a process what happens to its sessions. Ids and `msg_id`s are 16
/// hexadecimal digits, whose order as texts is that of the numbers. Redis removes what was not used for a day.
pub struct RedisSessions {
    connection: Connection,
    /// Waits for events: that blocks a connection.
    listening: Connection,
    prefix: Arc<str>,
    /// The last event that was taken, by the process it was for.
    taken: Arc<Mutex<Option<(ProcessId, String)>>>,
}

/// Pause between two claims of a session that another process owns.
const CLAIM_PAUSE: Duration = Duration::from_millis(25);

/// How long a session is remembered, in milliseconds. Frames are refused that are older than minutes.
const KEPT: &str = "86400000";

/// Most entries that wait for one session.
const MAX_ENTRIES: &str = "100000";

/// `KEYS`: the process, the set of processes. `ARGV`: the lease in milliseconds, whether it joins, the process.
static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
redis.call('SADD', KEYS[2], ARGV[3])
if ARGV[2] == '1' then
    redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
    return 1
end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])",
    )
});

/// `KEYS[1]`: the set of processes. `ARGV`: the prefix of processes, the prefix of events, the forgotten key, the time that events
/// are kept. A process whose lease has ended leaves the set here.
static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for _, process in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    if redis.call('EXISTS', ARGV[1] .. process) == 1 then
        redis.call('XADD', ARGV[2] .. process, 'MAXLEN', '~', '10000', '*', 'forgotten', ARGV[3])
        redis.call('PEXPIRE', ARGV[2] .. process, ARGV[4])
    else
        redis.call('SREM', KEYS[1], process)
    end
end",
    )
});

/// `KEYS`: the process, its events, the set of processes. `ARGV[1]`: the process.
static LEAVE: LazyLock<Script> =
    LazyLock::new(|| Script::new("redis.call('DEL', KEYS[1], KEYS[2]) redis.call('SREM', KEYS[3], ARGV[1])"));

/// `KEYS[1]`: the session. `ARGV`: the process, the prefix of processes, the prefix of events, the message, the last
/// message to reserve, the name of the session, the time that it is kept.
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local process = ARGV[1]
if redis.call('EXISTS', ARGV[2] .. process) == 0 then return {'expelled', '', ''} end
local known = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'floor')
local owner, fence, floor = known[1], tonumber(known[2] or '0'), known[3] or ''
if owner ~= process then
    if floor ~= '' and ARGV[4] <= floor then return {'stale', '', ''} end
    if owner and owner ~= '' and redis.call('EXISTS', ARGV[2] .. owner) == 1 then
        redis.call('XADD', ARGV[3] .. owner, 'MAXLEN', '~', '10000', '*', 'wanted', ARGV[6])
        redis.call('PEXPIRE', ARGV[3] .. owner, ARGV[7])
        return {'held', owner, ''}
    end
    fence = fence + 1
end
local reserved = ARGV[5]
if floor ~= '' and floor > reserved then reserved = floor end
redis.call('HSET', KEYS[1], 'owner', process, 'fence', fence, 'floor', reserved)
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {'owned', tostring(fence), floor}",
    )
});

/// `KEYS[1]`: the session. `ARGV`: the process, the last message that it received or an empty string.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return end
redis.call('HSET', KEYS[1], 'owner', '')
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'floor', ARGV[2]) end",
    )
});

/// `KEYS`: the session, its entries. `ARGV`: the entry, the prefix of events, the name of the session, the time that
/// it is kept, the most entries.
static PUSH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return redis.error_reply('FULL too much waits for the session') end
local number = redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('HSET', KEYS[2], number, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= '' then
    redis.call('XADD', ARGV[2] .. owner, 'MAXLEN', '~', '10000', '*', 'pushed', ARGV[3])
    redis.call('PEXPIRE', ARGV[2] .. owner, ARGV[4])
end
return number",
    )
});

static ENTRIES: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('HGETALL', KEYS[1])"));

static CONFIRM: LazyLock<Script> = LazyLock::new(|| Script::new("redis.call('HDEL', KEYS[1], ARGV[1])"));

impl RedisSessions {
    /// Connects, within a tokio runtime that must outlive the sessions. The names of all keys begin with `prefix`, which may be that of
    /// a [`RedisDirectory`](crate::RedisDirectory).
    ///
    /// # Errors
    ///
    /// The URL is not one of Redis, or nothing answers there.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, RedisError> {
        let (connection, listening) = (Connection::open(url).await?, Connection::open_to_wait(url).await?);
        Ok(Self { connection, listening, prefix: prefix.into(), taken: Arc::default() })
    }

    fn process(&self, process: &str) -> String {
        format!("{}:process:{process}", self.prefix)
    }

    fn processes(&self) -> String {
        format!("{}:processes", self.prefix)
    }

    fn events_of(&self, process: &str) -> String {
        format!("{}:events:{process}", self.prefix)
    }

    fn session(&self, name: SessionName) -> String {
        format!("{}:session:{}", self.prefix, text_of(name))
    }

    fn entries_of(&self, name: SessionName) -> String {
        format!("{}:entries:{}", self.prefix, text_of(name))
    }

    async fn claim_once(&self, request: ClaimRequest) -> Result<Claim, DirectoryError> {
        let ClaimRequest { name, process, msg_id, reserve } = request;
        let (session, processes, events) = (self.session(name), self.process(""), self.events_of(""));
        let prepare = move |call: &mut ScriptInvocation<'_>| {
            call.key(&session).arg(process.to_string()).arg(&processes).arg(&events);
            call.arg(text_of_id(msg_id)).arg(text_of_id(reserve)).arg(text_of(name)).arg(KEPT);
        };
        let (outcome, first, second): (String, String, String) = self.connection.run(&CLAIM, prepare).await?;
        Ok(match &*outcome {
            "owned" => Claim::Owned { fence: first.parse().unwrap_or_default(), floor: id_of_text(&second) },
            "stale" => Claim::Stale,
            "held" => Claim::Held(ProcessId(u64::from_str_radix(&first, 16).unwrap_or_default())),
            _ => Claim::Expelled,
        })
    }
}

impl SessionDirectory for RedisSessions {
    fn renew(
        &self,
        process: ProcessId,
        lease: Duration,
        membership: Membership,
    ) -> DirectoryFuture<'_, bool> {
        let (key, processes) = (self.process(&process.to_string()), self.processes());
        let (lease, joins) = (lease.as_millis().to_string(), u8::from(membership == Membership::Joining));
        Box::pin(self.connection.run(&RENEW, move |call| {
            call.key(&key).key(&processes).arg(&lease).arg(joins).arg(process.to_string());
        }))
    }

    fn leave(&self, process: ProcessId) -> DirectoryFuture<'_, ()> {
        let (key, events) = (self.process(&process.to_string()), self.events_of(&process.to_string()));
        let processes = self.processes();
        Box::pin(self.connection.run(&LEAVE, move |call| {
            call.key(&key).key(&events).key(&processes).arg(process.to_string());
        }))
    }

    fn claim(&self, request: ClaimRequest, patience: Duration) -> DirectoryFuture<'_, Claim> {
        Box::pin(async move {
            let mut claim = self.claim_once(request).await?;
            let waited = Wait::begin(patience);
            while matches!(claim, Claim::Held(_)) && !waited.is_over() {
                self.connection.sleep(CLAIM_PAUSE).await?;
                claim = self.claim_once(request).await?;
            }
            Ok(claim)
        })
    }

    fn release(
        &self,
        name: SessionName,
        process: ProcessId,
        floor: Option<MsgId>,
    ) -> DirectoryFuture<'_, ()> {
        let (session, floor) = (self.session(name), floor.map(text_of_id).unwrap_or_default());
        Box::pin(self.connection.run(&RELEASE, move |call| {
            call.key(&session).arg(process.to_string()).arg(&floor);
        }))
    }

    fn push(&self, name: SessionName, entry: Vec<u8>) -> DirectoryFuture<'_, u64> {
        let (session, entries, events) = (self.session(name), self.entries_of(name), self.events_of(""));
        Box::pin(self.connection.run(&PUSH, move |call| {
            call.key(&session).key(&entries).arg(&entry).arg(&events).arg(text_of(name)).arg(KEPT);
            call.arg(MAX_ENTRIES);
        }))
    }

    fn entries(&self, name: SessionName, after: u64) -> DirectoryFuture<'_, Vec<(u64, Vec<u8>)>> {
        let entries = self.entries_of(name);
        Box::pin(async move {
            let prepare = move |call: &mut ScriptInvocation<'_>| {
                call.key(&entries);
            };
            let mut found: Vec<(u64, Vec<u8>)> = self.connection.run(&ENTRIES, prepare).await?;
            found.retain(|(number, _)| *number > after);
            found.sort_unstable();
            Ok(found)
        })
    }

    fn confirm(&self, name: SessionName, number: u64) -> DirectoryFuture<'_, ()> {
        let entries = self.entries_of(name);
        Box::pin(self.connection.run(&CONFIRM, move |call| {
            call.key(&entries).arg(number);
        }))
    }

    fn announce_forgotten(&self, key: AuthKeyId) -> DirectoryFuture<'_, ()> {
        let (set, processes, events) = (self.processes(), self.process(""), self.events_of(""));
        Box::pin(self.connection.run(&ANNOUNCE, move |call| {
            call.key(&set).arg(&processes).arg(&events).arg(text_of_key(key)).arg(KEPT);
        }))
    }

    fn events(&self, process: ProcessId, most: Duration) -> DirectoryFuture<'_, Vec<FleetEvent>> {
        let stream = self.events_of(&process.to_string());
        Box::pin(async move {
            let mut taken = self.taken.lock().await;
            if taken.as_ref().is_none_or(|taken| taken.0 != process) {
                *taken = Some((process, "0".into()));
            }
            let after = taken.as_ref().map(|taken| taken.1.clone()).unwrap_or_default();
            let mut events = Vec::new();
            for (id, fields) in self.listening.read_stream(stream, after, most).await? {
                for (kind, text) in fields {
                    let event = event_of_text(&kind, &text).filter(|event| !events.contains(event));
                    events.extend(event);
                }
                *taken = Some((process, id));
            }
            Ok(events)
        })
    }
}

/// A time that passes.
struct Wait(Instant);

impl Wait {
    fn begin(most: Duration) -> Self {
        Self(Instant::now() + most)
    }

    fn is_over(&self) -> bool {
        self.0 <= Instant::now()
    }
}

/// Returns `None` for an event of a later version.
fn event_of_text(kind: &str, text: &str) -> Option<FleetEvent> {
    match kind {
        "wanted" => name_of_text(text).map(FleetEvent::Wanted),
        "pushed" => name_of_text(text).map(FleetEvent::Pushed),
        "forgotten" => raw_of_text(text).map(|raw| FleetEvent::Forgotten(AuthKeyId::from_raw(raw))),
        _ => None,
    }
}

fn text_of_key(key: AuthKeyId) -> String {
    format!("{:016x}", key.to_raw())
}

fn text_of(name: SessionName) -> String {
    format!("{}:{:016x}", text_of_key(name.key), name.session.to_raw())
}

fn raw_of_text(text: &str) -> Option<i64> {
    u64::from_str_radix(text, 16).ok().map(u64::cast_signed)
}

fn name_of_text(text: &str) -> Option<SessionName> {
    let (key, session) = text.split_once(':')?;
    let (key, session) = (raw_of_text(key)?, raw_of_text(session)?);
    Some(SessionName { key: AuthKeyId::from_raw(key), session: SessionId::from_raw(session) })
}

/// A `msg_id` is positive, so the order of these texts is that of the ids.
fn text_of_id(msg_id: MsgId) -> String {
    format!("{:016x}", msg_id.to_raw())
}

fn id_of_text(text: &str) -> Option<MsgId> {
    raw_of_text(text).map(MsgId::from_raw)
}

impl fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessions").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_read_as_they_were_written() {
        let name = SessionName { key: AuthKeyId::from_raw(-1), session: SessionId::from_raw(i64::MIN) };
        assert_eq!(name_of_text(&text_of(name)), Some(name));
        for text in ["", ":", "1", "1:x", "12345678123456789:1"] {
            assert_eq!(name_of_text(text), None);
        }
        let [low, high] = [1 << 62, (1 << 62) + 1].map(MsgId::from_raw);
        assert!(text_of_id(low) < text_of_id(high) && id_of_text(&text_of_id(high)) == Some(high));
        assert_eq!(id_of_text(""), None);
        let key = AuthKeyId::from_raw(-5);
        assert_eq!(event_of_text("forgotten", &text_of_key(key)), Some(FleetEvent::Forgotten(key)));
        assert_eq!(event_of_text("pushed", &text_of(name)), Some(FleetEvent::Pushed(name)));
        assert_eq!(event_of_text("later", &text_of(name)), None);
    }
}
