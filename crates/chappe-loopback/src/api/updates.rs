//! The state of updates, and what a client has missed.
//!
//! Spec: <https://core.telegram.org/api/updates#fetching-state>.

use chappe_server::{Answer, CallContext, Router, RpcError};
use chappe_tl::Serializable as _;
use chappe_tl::table::Decoded;
use chappe_tl_api::functions::updates;
use chappe_tl_api::{enums, types};

use super::messages::{encode_messages, people_of};
use super::users::encode_users;
use super::{Api, put_vector};
use crate::cloud::{Mailbox, StoredMessage};

/// Messages of one answer, at most. A client asks again for the rest.
const MAX_SLICE: usize = 100;

/// `updates.difference` and `updates.differenceSlice`
const DIFFERENCE: u32 = 0x00f4_9ca0;
const DIFFERENCE_SLICE: u32 = 0xa8fb_1981;

impl Api {
    pub(super) fn add_updates(&self, router: Router) -> Router {
        let [state, difference] = core::array::from_fn(|_| self.clone());
        router
            .on(move |ctx, _: updates::GetState| {
                let answer = state.updates_state(&ctx);
                async move { answer }
            })
            .on(move |ctx, call: updates::GetDifference| {
                let answer = difference.difference(&ctx, &call);
                async move { answer.map(Answer::from_encoded) }
            })
    }

    fn updates_state(&self, ctx: &CallContext) -> Result<Answer<Decoded<enums::updates::State>>, RpcError> {
        self.as_user(ctx, |state, user| {
            let person = state.people.get(&user).ok_or_else(|| RpcError::new(401, "USER_DEACTIVATED"))?;
            let at = state_at(&person.mailbox, person.mailbox.pts(), ctx);
            Ok(Answer::new(&at))
        })
    }

    fn difference(&self, ctx: &CallContext, call: &updates::GetDifference) -> Result<Vec<u8>, RpcError> {
        self.as_user(ctx, |state, user| {
            let person = state.people.get(&user).ok_or_else(|| RpcError::new(401, "USER_DEACTIVATED"))?;
            let (mailbox, date) = (&person.mailbox, ctx.now().unix.to_tl_int());
            if call.pts <= 0 {
                return Err(RpcError::new(400, "PERSISTENT_TIMESTAMP_EMPTY"));
            }
            if call.pts >= mailbox.pts() {
                let empty = types::updates::DifferenceEmpty { date, seq: 1 };
                return Ok(enums::updates::Difference::Empty(empty).to_bytes());
            }
            if !mailbox.reaches_back_to(call.pts) {
                let too_long = types::updates::DifferenceTooLong { pts: mailbox.pts() };
                return Ok(enums::updates::Difference::TooLong(too_long).to_bytes());
            }
            let asked = call.pts_limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_SLICE);
            let entries = mailbox.since(call.pts, asked.clamp(1, MAX_SLICE));
            let up_to = entries.last().map_or(call.pts, |last| last.pts);
            let messages: Vec<StoredMessage> = entries.into_iter().map(|entry| entry.message).collect();
            let id = if up_to == mailbox.pts() { DIFFERENCE } else { DIFFERENCE_SLICE };
            let mut out = id.to_le_bytes().to_vec();
            put_vector(&encode_messages(&messages, user, ctx.layer()), &mut out);
            for _encrypted_others_chats in 0..3 {
                put_vector(&[], &mut out);
            }
            put_vector(&encode_users(state, people_of(&messages, user), user, ctx.layer()), &mut out);
            out.extend(state_at(mailbox, up_to, ctx).to_bytes());
            Ok(out)
        })
    }
}

fn state_at(mailbox: &Mailbox, pts: i32, ctx: &CallContext) -> enums::updates::State {
    let (date, unread_count) = (ctx.now().unix.to_tl_int(), mailbox.unread());
    types::updates::State { pts, qts: 0, date, seq: 1, unread_count }.into()
}
