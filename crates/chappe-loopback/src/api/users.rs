//! Looking users up.

use chappe_server::{Answer, Call, CallContext, Router, RpcError};
use chappe_tl::table::Decoded;
use chappe_tl_api::enums;
use chappe_tl_api::functions::{contacts, users};

use super::{Api, put_vector};
use crate::cloud::{State, UserId, encode_user};

/// `contacts.resolvedPeer`
const RESOLVED_PEER: u32 = 0x7f07_7ad9;
/// `peerUser`
const PEER_USER: u32 = 0x5951_1722;
/// `contacts.resolveUsername` of layers before 200.
const RESOLVE_USERNAME: u32 = 0xf93c_cba3;

impl Api {
    pub(super) fn add_users(&self, router: Router) -> Router {
        let [get, resolve, resolve_old] = core::array::from_fn(|_| self.clone());
        router
            .on(move |ctx, call: Call<users::GetUsers<'static>>| {
                let answer = get.users(&ctx, call.get().id);
                async move { answer }
            })
            .on(move |ctx, call: Call<contacts::ResolveUsername<'static>>| {
                let answer = resolve.resolve(&ctx, call.get().username);
                async move { answer }
            })
            .on_raw(RESOLVE_USERNAME, move |call| {
                use chappe_tl::Deserializable as _;

                let name = String::from_bytes(call.body.get(4..).unwrap_or_default());
                let answer = name
                    .map_err(|_| RpcError::new(400, "INPUT_FETCH_ERROR"))
                    .and_then(|name| resolve_old.resolve(&call.context, &name));
                async move { answer?.into_reply() }
            })
    }

    fn users(
        &self,
        ctx: &CallContext,
        ids: &[enums::InputUser<'_>],
    ) -> Result<Answer<Decoded<&'static [enums::User<'static>]>>, RpcError> {
        self.as_user(ctx, |state, caller| {
            let mut out = Vec::new();
            let ids = ids.iter().filter_map(|id| user_id(id, caller));
            put_vector(&encode_users(state, ids, caller, ctx.layer()), &mut out);
            Ok(Answer::from_encoded(out))
        })
    }

    fn resolve(
        &self,
        ctx: &CallContext,
        username: &str,
    ) -> Result<Answer<Decoded<enums::contacts::ResolvedPeer<'static>>>, RpcError> {
        self.as_user(ctx, |state, caller| {
            let is_meant = |name: &str| !name.is_empty() && name.eq_ignore_ascii_case(username);
            let found = state.people.values().find(|person| is_meant(&person.account.username));
            let id = found.map(|person| person.account.id);
            let id = id.ok_or_else(|| RpcError::new(400, "USERNAME_NOT_OCCUPIED"))?;
            let mut out = Vec::new();
            out.extend(RESOLVED_PEER.to_le_bytes());
            out.extend(PEER_USER.to_le_bytes());
            out.extend(id.to_le_bytes());
            put_vector(&[], &mut out);
            put_vector(&encode_users(state, [id], caller, ctx.layer()), &mut out);
            Ok(Answer::from_encoded(out))
        })
    }
}

/// Returns the user that a caller names.
pub(super) fn user_id(id: &enums::InputUser<'_>, caller: UserId) -> Option<UserId> {
    match id {
        enums::InputUser::UserSelf => Some(caller),
        enums::InputUser::InputUser(user) => Some(user.user_id),
        _ => None,
    }
}

/// Writes users as `caller` sees them. Those that do not exist are left out.
pub(super) fn encode_users(
    state: &State,
    ids: impl IntoIterator<Item = UserId>,
    caller: UserId,
    layer: i32,
) -> Vec<Vec<u8>> {
    let people = ids.into_iter().filter_map(|id| state.people.get(&id));
    let encoded = people.map(|person| {
        let mut out = Vec::new();
        encode_user(person, person.account.id == caller, layer, &mut out);
        out
    });
    encoded.collect()
}
