//! The application's side of a server: the handler of queries.

use std::sync::Arc;

use chappe_crypto::AuthKeyId;
use chappe_framing::{MsgId, SessionId};
use chappe_handshake::PeerId;
use chappe_handshake::bind::{BindError, BindTempAuthKey};
use chappe_session::Now;

use crate::engine::Engine;
use crate::event::ServerEvent;
use crate::keys::KeyState;
use crate::metrics::Activity;
use crate::session::Attached;

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryResponse {
    /// This object, encoded, constructor id first.
    Answer(Vec<u8>),
    /// The same, alone in its envelope. Some clients accept the answer to `auth.bindTempAuthKey` only in this way.
    AnswerAlone(Vec<u8>),
    /// An `rpc_error`.
    Error {
        /// Its code, such as 400.
        code: i32,
        /// Its text, such as `METHOD_INVALID`.
        message: String,
    },
    /// Not an answer, but this message, encoded, sent as updates are. The query stays unanswered.
    Instead(Vec<u8>),
    /// No answer yet: the application calls [`Attached::respond`] later.
    Later,
}

/// `boolTrue`.
const BOOL_TRUE: u32 = 0x9972_75b5;

impl QueryResponse {
    /// The answer to a valid `auth.bindTempAuthKey`.
    pub(crate) fn bound() -> Self {
        Self::AnswerAlone(BOOL_TRUE.to_le_bytes().to_vec())
    }

    pub(crate) fn of_bind_error(error: BindError) -> Self {
        Self::Error { code: 400, message: error.rpc_message().into() }
    }

    /// Counts what it answers.
    pub(crate) fn count(&self, activity: &Activity) {
        match self {
            Self::Answer(object) | Self::AnswerAlone(object) => activity.count_answer(Ok(object.len())),
            Self::Error { code, .. } => activity.count_answer(Err(*code)),
            Self::Instead(_) | Self::Later => {}
        }
    }

    /// Returns about how many bytes a session holds for it.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Answer(object) | Self::AnswerAlone(object) | Self::Instead(object) => object.len(),
            Self::Error { message, .. } => message.len(),
            Self::Later => 0,
        }
    }
}

/// Answers queries.
///
/// It is called on the thread or task of the connection, so it must not block: return [`Later`](QueryResponse::Later) for queries
/// that take long. It may use the session of the query, for example to push an update. Updates that it pushes are sent
/// before the answer.
pub trait Handler: Send + Sync + 'static {
    /// Answers a query. The body starts with its constructor id; wrappers such as `invokeWithLayer` are part of it.
    fn query(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse;

    /// Answers `auth.bindTempAuthKey`, unless it comes within a wrapper. By default, binds the key if the request is valid.
    ///
    /// A client whose permanent key is gone learns it from the error of this call, and makes another one. With an error that
    /// it does not know it would connect again without end, so give no other than those of [`Context::bind`].
    fn bind_temp_auth_key(&self, context: &Context<'_>, request: &BindTempAuthKey) -> QueryResponse {
        context.answer_bind(request)
    }

    /// Handles `rpc_drop_answer`: the client no longer wants an answer that is still to come.
    fn dropped(&self, context: &Context<'_>) {
        let _ = context;
    }

    /// Receives what happens to keys, sessions and logins.
    fn event(&self, event: &ServerEvent) {
        let _ = event;
    }
}

/// The origin of a query.
#[derive(Debug)]
pub struct Context<'a> {
    /// When the frame came.
    pub now: Now,
    /// The message that carries the query.
    pub msg_id: MsgId,
    /// The session, for answers that come later and for updates.
    pub session: &'a Attached,
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) key: &'a Arc<KeyState>,
    pub(crate) network: PeerId,
}

impl Context<'_> {
    /// Returns the key of the query's message.
    pub const fn key(&self) -> &Arc<KeyState> {
        self.key
    }

    /// Returns the `session_id`.
    pub fn session_id(&self) -> SessionId {
        self.session.session_id()
    }

    /// In a [fleet](crate::fleet): a number that grows with each change of the session's owner. A store that refuses lower numbers
    /// than it has seen refuses what a process does that was paused and replaced meanwhile.
    pub fn fence(&self) -> Option<u64> {
        self.session.ownership().map(|ownership| ownership.fence())
    }

    /// Returns the key that logins belong to: the key itself, or for a temporary one the key it is bound to.
    pub fn permanent_key_id(&self) -> Option<AuthKeyId> {
        self.key.permanent_id()
    }

    /// Keeps the key that logins belong to, however many others are used: call it when a user logs in. Returns whether
    /// there is one.
    pub fn pin_key(&self) -> bool {
        self.permanent_key_id().is_some_and(|id| self.engine.pin_key(id))
    }

    /// Lets that key make room again: call it when the user logs out. Returns whether it was pinned.
    pub fn unpin_key(&self) -> bool {
        self.permanent_key_id().is_some_and(|id| self.engine.unpin_key(id))
    }

    /// Binds the temporary key of this query, and returns the answer that clients know. If a [directory](crate::directory) keeps
    /// the key, this is [`Later`](QueryResponse::Later), and the query is answered once the directory has the binding.
    pub fn answer_bind(&self, request: &BindTempAuthKey) -> QueryResponse {
        if self.key.is_stored() {
            return self.engine.bind_stored(self, request);
        }
        match self.bind(request) {
            Ok(()) => QueryResponse::bound(),
            Err(error) => QueryResponse::of_bind_error(error),
        }
    }

    /// Binds the temporary key of this query to a permanent one, as `auth.bindTempAuthKey` asks. A key that a
    /// [directory](crate::directory) keeps is bound by [`answer_bind`](Self::answer_bind) only.
    ///
    /// # Errors
    ///
    /// The request is not valid for these keys, or a directory keeps them. Answer with an `rpc_error` of code 400.
    pub fn bind(&self, request: &BindTempAuthKey) -> Result<(), BindError> {
        self.engine.bind(self, request)
    }
}
