//! The origin of a call, for handlers that outlive the frame it came in.

use std::sync::Arc;

use chappe_crypto::AuthKeyId;
use chappe_framing::{MsgId, SessionId};
use chappe_handshake::DcId;
use chappe_session::Now;

use super::client_info::{ClientInfo, Device};
use super::wrappers::Unwrapped;
use crate::engine::Engine;
use crate::handler::Context;
use crate::keys::KeyState;
use crate::session::Attached;

/// The origin of a call, and what its wrappers said.
#[derive(Clone, Debug)]
pub struct CallContext {
    now: Now,
    msg_id: MsgId,
    session: Attached,
    engine: Arc<Engine>,
    key: Arc<KeyState>,
    client: Arc<ClientInfo>,
    is_without_updates: bool,
    after: Vec<MsgId>,
}

impl CallContext {
    /// Takes what the wrappers said out of `unwrapped`, and keeps what holds for further calls with the key.
    pub(super) fn new(context: &Context<'_>, unwrapped: &mut Unwrapped) -> Self {
        let client = context.key.note_client(unwrapped.layer, unwrapped.device.take());
        Self {
            now: context.now,
            msg_id: context.msg_id,
            session: context.session.clone(),
            engine: Arc::clone(context.engine),
            key: Arc::clone(context.key),
            client,
            is_without_updates: unwrapped.is_without_updates,
            after: std::mem::take(&mut unwrapped.after),
        }
    }

    /// Returns when the frame came.
    pub const fn now(&self) -> Now {
        self.now
    }

    /// Returns the message that carries the call.
    pub const fn msg_id(&self) -> MsgId {
        self.msg_id
    }

    /// Returns the session, for updates.
    pub const fn session(&self) -> &Attached {
        &self.session
    }

    /// Returns the `session_id`.
    pub const fn session_id(&self) -> SessionId {
        self.session.session_id()
    }

    /// Returns the keys and sessions of the server.
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the key of the call's message.
    pub const fn key(&self) -> &Arc<KeyState> {
        &self.key
    }

    /// Returns the key that logins belong to: the key itself, or for a temporary one the key it is bound to.
    pub fn permanent_key_id(&self) -> Option<AuthKeyId> {
        self.key.permanent_id()
    }

    /// Returns the datacenter that the client named when it made the key.
    pub fn dc(&self) -> Option<DcId> {
        self.key.dc()
    }

    /// Returns the layer that the client last announced under this key with `invokeWithLayer`; 0 before that.
    pub fn layer(&self) -> i32 {
        self.client.layer
    }

    /// Returns what the client last said about itself under this key with `initConnection`: device, program, languages.
    pub fn device(&self) -> Option<&Device> {
        self.client.device.as_ref()
    }

    /// Returns whether the call came within `invokeWithoutUpdates`: this session wants no updates.
    pub const fn is_without_updates(&self) -> bool {
        self.is_without_updates
    }

    /// Returns the messages that the call was to follow, by `invokeAfterMsg` or `invokeAfterMsgs`. Those of them that were
    /// under way in this session have ended.
    pub fn after(&self) -> &[MsgId] {
        &self.after
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

    /// Ends the session, because its client leaves too much unacknowledged.
    pub(super) fn end_session(&self) {
        self.engine.end_session(&self.key, &self.session, self.msg_id);
    }
}
