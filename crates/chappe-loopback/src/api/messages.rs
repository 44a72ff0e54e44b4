//! Messages between users.

use std::collections::BTreeSet;

use chappe_server::{Answer, Call, CallContext, RawCall, Router, RpcError};
use chappe_tl::Deserializable as _;
use chappe_tl::deserialize::Cursor;
use chappe_tl::table::{Arena, Decoded};
use chappe_tl_api::functions::messages;
use chappe_tl_api::{enums, types};

use super::users::encode_users;
use super::{Api, put_vector};
use crate::cloud::{State, StoredMessage, UserId, encode_message};

/// `messages.sendMessage` of earlier layers. All begin with the same fields, if the message is no reply.
const SEND_MESSAGE: [u32; 3] = [0x280d_096f, 0x983f_9745, 0x545c_d15a];

/// Messages of one answer, at most.
const MAX_PAGE: i32 = 100;

/// Bytes that a message may have.
const MAX_TEXT: usize = 16 * 1024;

type Updates = Answer<Decoded<enums::Updates<'static>>>;

impl Api {
    pub(super) fn add_messages(&self, router: Router) -> Router {
        let [send, history, read] = core::array::from_fn(|_| self.clone());
        let router = router
            .on(move |ctx, call: Call<messages::SendMessage<'static>>| {
                let call = call.get();
                let answer = send.send(&ctx, &call.peer, call.message, call.random_id);
                async move { answer }
            })
            .on(move |ctx, call: Call<messages::GetHistory<'static>>| {
                let answer = history.history(&ctx, call.get());
                async move { answer }
            })
            .on(move |ctx, call: Call<messages::ReadHistory<'static>>| {
                let answer = read.read(&ctx, call.get().max_id);
                async move { answer }
            });
        SEND_MESSAGE.into_iter().fold(router, |router, id| {
            let api = self.clone();
            router.on_raw(id, move |call| {
                let answer = api.send_earlier(&call);
                async move { answer?.into_reply() }
            })
        })
    }

    fn send(
        &self,
        ctx: &CallContext,
        peer: &enums::InputPeer<'_>,
        text: &str,
        random_id: i64,
    ) -> Result<Updates, RpcError> {
        if text.is_empty() {
            return Err(RpcError::new(400, "MESSAGE_EMPTY"));
        }
        if text.len() > MAX_TEXT {
            return Err(RpcError::new(400, "MESSAGE_TOO_LONG"));
        }
        let sent = self.as_user(ctx, |state, from| {
            let to = peer_id(peer, from)?;
            let sent = state.send(from, to, text, Some(random_id), Some(ctx.session()));
            sent.ok_or_else(|| RpcError::new(400, "PEER_ID_INVALID"))
        });
        let (sent, updates) = sent?;
        updates.push();
        let short = types::UpdateShortSentMessage {
            out: true,
            id: sent.id,
            pts: sent.pts,
            pts_count: 1,
            date: sent.date,
            media: None,
            entities: None,
            ttl_period: None,
        };
        Ok(Answer::new(&enums::Updates::UpdateShortSentMessage(&short)))
    }

    /// `flags:# … peer:InputPeer reply_to:flags.0?… message:string random_id:long …`
    fn send_earlier(&self, call: &RawCall) -> Result<Updates, RpcError> {
        let malformed = |_| RpcError::new(400, "INPUT_FETCH_ERROR");
        let mut cursor = Cursor::from_slice(call.body.get(4..).unwrap_or_default());
        let flags = cursor.read_u32().map_err(malformed)?;
        let arena = Arena::new();
        let peer = arena.decode_prefix::<enums::InputPeer<'_>>(cursor.rest(), cursor.options());
        let (peer, taken) = peer.map_err(malformed)?;
        cursor.take(taken).map_err(malformed)?;
        if flags & 1 != 0 {
            return Err(RpcError::new(400, "REPLY_TO_INVALID"));
        }
        let text = String::deserialize(&mut cursor).map_err(malformed)?;
        let random_id = cursor.read_i64().map_err(malformed)?;
        self.send(&call.context, peer, &text, random_id)
    }

    fn history(
        &self,
        ctx: &CallContext,
        call: &messages::GetHistory<'_>,
    ) -> Result<Answer<Decoded<enums::messages::Messages<'static>>>, RpcError> {
        self.as_user(ctx, |state, user| {
            let peer = peer_id(&call.peer, user)?;
            let person = state.people.get(&user).ok_or_else(|| RpcError::new(401, "USER_DEACTIVATED"))?;
            let is_meant = |message: &&StoredMessage| {
                (call.offset_id == 0 || message.id < call.offset_id)
                    && (call.max_id == 0 || message.id < call.max_id)
                    && message.id > call.min_id
            };
            let most = call.limit.clamp(0, MAX_PAGE) as usize;
            let found: Vec<_> =
                person.mailbox.history(Some(peer)).filter(is_meant).take(most).cloned().collect();
            let mut out = Vec::new();
            put_messages(state, &found, user, ctx.layer(), &mut out);
            Ok(Answer::from_encoded(out))
        })
    }

    fn read(
        &self,
        ctx: &CallContext,
        max_id: i32,
    ) -> Result<Answer<Decoded<enums::messages::AffectedMessages>>, RpcError> {
        let mut state = self.cloud.state();
        let person = state.person_of(ctx.permanent_key_id())?;
        let (pts, pts_count) = person.mailbox.read(max_id);
        Ok(Answer::new(&types::messages::AffectedMessages { pts, pts_count }.into()))
    }
}

/// Returns the user that a caller writes to: there are no groups.
fn peer_id(peer: &enums::InputPeer<'_>, caller: UserId) -> Result<UserId, RpcError> {
    match peer {
        enums::InputPeer::PeerSelf => Ok(caller),
        enums::InputPeer::User(user) => Ok(user.user_id),
        _ => Err(RpcError::new(400, "PEER_ID_INVALID")),
    }
}

/// Writes messages of a mailbox, each encoded.
pub(super) fn encode_messages(messages: &[StoredMessage], owner: UserId, layer: i32) -> Vec<Vec<u8>> {
    let encoded = messages.iter().map(|message| {
        let mut out = Vec::new();
        encode_message(message, owner, layer, &mut out);
        out
    });
    encoded.collect()
}

/// Returns the users that messages name.
pub(super) fn people_of(messages: &[StoredMessage], owner: UserId) -> BTreeSet<UserId> {
    messages.iter().map(|message| message.peer).chain([owner]).collect()
}

/// Writes `messages.messages` of a layer.
fn put_messages(state: &State, messages: &[StoredMessage], owner: UserId, layer: i32, out: &mut Vec<u8>) {
    /// The layer from which on `messages.messages` has a list of topics.
    const TOPICS: i32 = 222;
    let id: u32 = if layer >= TOPICS { 0x1d73_e7ea } else { 0x8c71_8e87 };
    out.extend(id.to_le_bytes());
    put_vector(&encode_messages(messages, owner, layer), out);
    if layer >= TOPICS {
        put_vector(&[], out);
    }
    put_vector(&[], out);
    put_vector(&encode_users(state, people_of(messages, owner), owner, layer), out);
}
