//! Who answers the queries.

use std::sync::Arc;

use chappe_crypto::AuthKeyId;
use chappe_framing::{MsgId, SessionId};
use chappe_handshake::bind::{BindError, BindTempAuthKey};
use chappe_session::Now;

use crate::engine::Engine;
use crate::keys::KeyState;
use crate::session::Attached;

/// What to answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This object, encoded, constructor id first.
    Answer(Vec<u8>),
    /// The same, in a frame of its own: some clients take the answer to `auth.bindTempAuthKey` only so.
    AnswerAlone(Vec<u8>),
    /// An `rpc_error`.
    Error {
        /// Its code, such as 400.
        code: i32,
        /// Its text, such as `METHOD_INVALID`.
        message: String,
    },
    /// Not an answer but this message, encoded, sent as updates are. The query stays unanswered.
    Instead(Vec<u8>),
    /// Nothing yet: [`Attached::respond`] will be called later.
    Later,
}

/// Answers queries. It is called on the connection's thread or task, so it must not block; what takes long is answered
/// [`Later`](Verdict::Later). It may use the session of the query, for instance to push an update.
pub trait Handler: Send + Sync + 'static {
    /// Answers a query, whose body starts with its constructor id. Wrappers are the handler's to remove.
    fn query(&self, context: &Context<'_>, body: &[u8]) -> Verdict;

    /// Says that the client no longer wants an answer that is still to come.
    fn dropped(&self, context: &Context<'_>) {
        let _ = context;
    }
}

/// Where a query comes from.
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
}

impl Context<'_> {
    /// Returns the key that the query came under.
    pub const fn key(&self) -> &Arc<KeyState> {
        self.key
    }

    /// Returns the `session_id`.
    pub fn session_id(&self) -> SessionId {
        self.session.session_id()
    }

    /// Returns the key that logins belong to: the key itself, or for a temporary one the key it is bound to.
    pub fn permanent_key_id(&self) -> Option<AuthKeyId> {
        self.key.permanent_id()
    }

    /// Binds the temporary key of this query to a permanent one, as `auth.bindTempAuthKey` asks.
    ///
    /// # Errors
    ///
    /// Answer the error as an `rpc_error` with code 400.
    pub fn bind(&self, request: &BindTempAuthKey) -> Result<(), BindError> {
        self.engine.bind(self, request)
    }
}
