//! What an engine does with its directory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_crypto::AuthKeyId;
use chappe_framing::{FrameBuf, MsgId, MsgOrigin, SessionId, UnixTime};
use chappe_handshake::PeerId;
use chappe_handshake::bind::{BindContext, BindError, BindTempAuthKey};

use super::gate::{Gate, Outcome};
use super::look_ups::{LookUpGuard, LookUpStart, LookUps};
use super::options::Records;
use super::tasks::DirectoryTasks;
use super::{Directory, DirectoryError, KeyRecord};
use crate::Engine;
use crate::handler::{Context, QueryResponse};
use crate::keys::{KeyState, KeyStatus};
use crate::replies::Replies;
use crate::session::Attached;

/// The directory of an engine, and what is under way.
pub(crate) struct EngineDirectory {
    options: Directory,
    pub(crate) tasks: DirectoryTasks,
    look_ups: Mutex<LookUps<AuthKeyId>>,
    /// The time of the first look-up, in nanoseconds; 0 before it.
    first_at: AtomicU64,
}

/// What becomes of a client whose key the engine does not hold.
pub(crate) enum Search {
    /// The key is looked up.
    Waiting(Arc<Gate>),
    /// There is no such key.
    Unknown,
    /// Too many look-ups are under way.
    Refused,
    /// The directory is out of reach.
    Failed,
}

/// Why a key was not bound.
enum BindFailure {
    Bind(BindError),
    Directory(DirectoryError),
}

impl From<DirectoryError> for BindFailure {
    fn from(error: DirectoryError) -> Self {
        Self::Directory(error)
    }
}

impl From<BindError> for BindFailure {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

/// A request to bind a key, apart from the connection that it came over.
struct Binding {
    request: BindTempAuthKey,
    now: UnixTime,
    msg_id: MsgId,
    session_id: SessionId,
    key: Arc<KeyState>,
}

/// How often a binding is tried again because the key changed meanwhile, for example since it was used for the first time.
const BIND_TRIES: usize = 4;

impl EngineDirectory {
    pub(crate) fn new(options: Directory) -> Self {
        let (tasks, look_ups) = (DirectoryTasks::default(), Mutex::default());
        Self { options, tasks, look_ups, first_at: AtomicU64::new(0) }
    }

    /// Returns when an unused key is dropped.
    pub(crate) fn unused_until(&self, now: UnixTime) -> UnixTime {
        now.saturating_add(self.options.unused_for)
    }

    /// Returns the highest id of messages that another process may have executed under a key.
    ///
    /// The sessions of a key are not in the directory. A message that was written before this engine first asked for a key, or
    /// before it last dropped one, may have been executed already.
    fn floor(&self, dropped_at: UnixTime) -> MsgId {
        let first_at = UnixTime::from_nanos(self.first_at.load(Ordering::Relaxed));
        MsgId::at(first_at.max(dropped_at), MsgOrigin::Client)
    }
}

impl Engine {
    /// Looks up a key that the engine does not hold. `waker` is called when it is found.
    pub(crate) fn search_key(
        self: &Arc<Self>,
        id: AuthKeyId,
        network: PeerId,
        now: UnixTime,
        waker: &crate::session::Waker,
    ) -> Search {
        let Some(directory) = self.directory() else { return Search::Unknown };
        // The first one counts.
        let _ = directory.first_at.compare_exchange(0, now.as_nanos(), Ordering::Relaxed, Ordering::Relaxed);
        match lock(&directory.look_ups).begin(id, network, (&directory.options).into()) {
            LookUpStart::Refused => return Search::Refused,
            LookUpStart::Joined(gate) => {
                gate.wait(waker);
                return Search::Waiting(gate);
            }
            LookUpStart::Begun(gate) => {
                gate.wait(waker);
                let guard = LookUpGuard::new(Arc::clone(self), id, look_ups_of, Arc::clone(&gate));
                if directory.tasks.push(look_up(guard, now)) {
                    return Search::Waiting(gate);
                }
            }
        }
        Search::Failed
    }

    /// Holds what was found, unless the engine holds the key already.
    fn hold(&self, records: Records, now: UnixTime) {
        let Some(directory) = self.directory() else { return };
        let mut keys = lock(self.key_table());
        for record in [records.permanent, Some(records.key)].into_iter().flatten() {
            if keys.get(record.auth_key.id(), now).is_none() {
                let floor = directory.floor(keys.dropped_at());
                let state = KeyState::of_record(record, floor, now);
                keys.insert_found(Arc::new(state), now, &self.options().budgets);
            }
        }
    }

    /// Stores a key that a client has made. The client gets the answer once the key is stored.
    pub(crate) fn store_made(self: &Arc<Self>, state: KeyState, answer: FrameBuf, replies: Arc<Replies>) {
        let Some(directory) = self.directory() else { return };
        let engine = Arc::clone(self);
        let ending = Arc::clone(&replies);
        let task = async move {
            let Some(directory) = engine.directory() else { return };
            match directory.options.insert(&state.record()).await {
                Ok(true) => {
                    let state = Arc::new(state);
                    lock(engine.key_table()).insert_unused(Arc::clone(&state), &engine.options().budgets);
                    engine.note_made(&state);
                    replies.answer(answer);
                }
                Ok(false) => replies.end(None),
                Err(error) => {
                    tracing::warn!(%error, "key not stored");
                    replies.refuse();
                }
            }
        };
        if !directory.tasks.push(task) {
            ending.refuse();
        }
    }

    /// Asks for a key again that is in use.
    pub(crate) fn recheck(self: &Arc<Self>, key: &Arc<KeyState>, now: UnixTime) {
        let Some(directory) = self.directory() else { return };
        if !key.is_stored() || !key.note_check(now, directory.options.recheck_after) {
            return;
        }
        let (engine, key) = (Arc::clone(self), Arc::clone(key));
        directory.tasks.push(async move {
            let Some(directory) = engine.directory() else { return };
            let id = key.auth_key().id();
            match directory.options.look_up(id).await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    engine.drop_key(id);
                }
                // It stays in use: a directory that is out of reach must not log anybody out.
                Err(error) => tracing::warn!(%error, %id, "key not checked"),
            }
        });
    }

    /// Notes in the directory that a client has used a key for the first time.
    pub(crate) fn store_use(self: &Arc<Self>, key: &Arc<KeyState>) {
        let (Some(directory), Some(unused)) = (self.directory(), key.take_unused()) else { return };
        let (engine, key) = (Arc::clone(self), Arc::clone(key));
        directory.tasks.push(async move {
            let Some(directory) = engine.directory() else { return };
            let used = key.record();
            let unused = KeyRecord { unused_until: Some(unused), ..used.clone() };
            if let Err(error) = directory.options.replace(&unused, &used).await {
                tracing::warn!(%error, "first use of a key not stored");
                // The next frame tries again.
                key.restore_unused();
            }
        });
    }

    /// Binds a key that is in the directory, and answers the query then.
    pub(crate) fn bind_stored(
        self: &Arc<Self>,
        context: &Context<'_>,
        request: &BindTempAuthKey,
    ) -> QueryResponse {
        let unavailable = || QueryResponse::Error { code: 500, message: "INTERNAL_SERVER_ERROR".into() };
        let Some(directory) = self.directory() else { return unavailable() };
        let binding = Binding {
            request: request.clone(),
            now: context.now.unix,
            msg_id: context.msg_id,
            session_id: context.session_id(),
            key: Arc::clone(context.key()),
        };
        let (engine, attached): (_, Attached) = (Arc::clone(self), context.session.clone());
        let is_taken = directory.tasks.push(async move {
            let msg_id = binding.msg_id;
            let response = match engine.bind_in_directory(binding).await {
                Ok(()) => QueryResponse::bound(),
                Err(BindFailure::Bind(error)) => QueryResponse::of_bind_error(error),
                Err(BindFailure::Directory(error)) => {
                    tracing::warn!(%error, "key not bound");
                    unavailable()
                }
            };
            if let Err(error) = attached.respond(msg_id, response) {
                tracing::debug!(%error, "binding not answered");
            }
        });
        if is_taken { QueryResponse::Later } else { unavailable() }
    }

    async fn bind_in_directory(self: &Arc<Self>, binding: Binding) -> Result<(), BindFailure> {
        let Some(directory) = self.directory() else { return Err(DirectoryError::Stopped.into()) };
        let Binding { request, now, msg_id, session_id, key } = binding;
        let permanent_id = AuthKeyId::from_raw(request.perm_auth_key_id);
        let mut permanent = self.key(permanent_id, now);
        if permanent.is_none()
            && let Some(records) = directory.options.look_up(permanent_id).await?
        {
            self.hold(records, now);
            permanent = self.key(permanent_id, now);
        }
        let permanent = permanent.filter(|key| key.kind() == KeyStatus::Permanent);
        let id = key.auth_key().id();
        for _ in 0..BIND_TRIES {
            let known = key.record();
            let KeyStatus::Temporary { expires_at, bound_to } = known.status else {
                return Err(BindError::TempAuthKeyEmpty.into());
            };
            let bound = request.verify(
                now,
                &BindContext {
                    msg_id,
                    session_id,
                    key_id: id,
                    key_expires_at: Some(expires_at),
                    bound_to,
                    permanent: permanent.as_ref().map(|key| key.auth_key()),
                },
            )?;
            let status = KeyStatus::Temporary { expires_at, bound_to: Some(bound) };
            let new = KeyRecord { status, ..known.clone() };
            if directory.options.replace(&known, &new).await? {
                if !key.bind_to(bound) {
                    return Err(BindError::TempAuthKeyAlreadyBound.into());
                }
                self.note_bound(id, permanent.as_ref(), bound, now);
                return Ok(());
            }
            // Another process has changed the key.
            let stored = directory.options.look_up(id).await?.ok_or(BindError::TempAuthKeyEmpty)?;
            if let Some(elsewhere) = stored.key.bound_to() {
                key.bind_to(elsewhere);
            }
        }
        Err(BindError::TempAuthKeyAlreadyBound.into())
    }

    /// Forgets the temporary keys of a permanent one that the directory has, except some.
    pub(crate) fn forget_stored_temporary(self: &Arc<Self>, permanent: AuthKeyId, except: Vec<AuthKeyId>) {
        let Some(directory) = self.directory() else { return };
        let engine = Arc::clone(self);
        directory.tasks.push(async move {
            let Some(directory) = engine.directory() else { return };
            let forgetting = async {
                for id in directory.options.bound_to(permanent).await? {
                    if !except.contains(&id) {
                        directory.options.forget(id).await?;
                        engine.drop_key(id);
                        engine.announce_forgotten(id).await;
                    }
                }
                Ok::<(), DirectoryError>(())
            };
            if let Err(error) = forgetting.await {
                tracing::warn!(%error, %permanent, "temporary keys not forgotten");
            }
        });
    }

    /// Forgets a key, in the directory first. `done` learns whether that succeeded.
    pub(crate) fn forget_stored(
        self: &Arc<Self>,
        id: AuthKeyId,
        done: impl FnOnce(bool) + Send + 'static,
    ) -> bool {
        let Some(directory) = self.directory() else { return false };
        let engine = Arc::clone(self);
        directory.tasks.push(async move {
            let Some(directory) = engine.directory() else { return };
            let forgotten = directory.options.forget(id).await;
            match &forgotten {
                Ok(()) => engine.announce_forgotten(id).await,
                Err(error) => tracing::warn!(%error, %id, "key not forgotten"),
            }
            done(forgotten.is_ok());
        })
    }
}

fn look_ups_of(engine: &Engine) -> Option<&Mutex<LookUps<AuthKeyId>>> {
    engine.directory().map(|directory| &directory.look_ups)
}

/// Looks a key up, and lets the clients in that wait for it.
async fn look_up(guard: LookUpGuard<AuthKeyId>, now: UnixTime) {
    let (engine, id) = (&guard.engine, guard.id);
    let Some(directory) = engine.directory() else { return };
    let outcome = match directory.options.look_up(id).await {
        Ok(Some(records)) => {
            engine.hold(records, now);
            Outcome::Ready
        }
        Ok(None) => Outcome::Unknown,
        Err(error) => {
            tracing::warn!(%error, %id, "key not looked up");
            Outcome::Failed
        }
    };
    guard.end(outcome);
}
