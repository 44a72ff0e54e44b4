//! Logging in: phone, code and password; bots; from one datacenter to another.

use chappe_crypto::AuthKeyId;
use chappe_server::{Answer, Call, CallContext, Router, RpcError};
use chappe_tl::Deserializable as _;
use chappe_tl::deserialize::Cursor;
use chappe_tl::table::Decoded;
use chappe_tl::{Blob, Sink as _};
use chappe_tl_api::functions::{account, auth};
use chappe_tl_api::{enums, types};

use super::{Api, rng};
use crate::cloud::{Account, State, UserId, digits, encode_user, no_password};

type Authorization = Answer<Decoded<enums::auth::Authorization<'static>>>;
type SentCode = Answer<Decoded<enums::auth::SentCode<'static>>>;

/// `auth.resendCode` of layers before 180.
const RESEND_CODE: u32 = 0x3ef1_a9bf;

impl Api {
    pub(super) fn add_logins(&self, router: Router) -> Router {
        let [code, resend, cancel, sign_in, sign_up, password, check, bot, out, export, import] =
            core::array::from_fn(|_| self.clone());
        let exported = self.cloud.exported();
        let resend_old = resend.clone();
        router
            .on(move |_, call: Call<auth::SendCode<'static>>| {
                let sent = code.send_code(call.get().phone_number);
                async move { sent }
            })
            .on(move |_, call: Call<auth::ResendCode<'static>>| {
                let sent = resend.send_code(call.get().phone_number);
                async move { sent }
            })
            .on_raw(RESEND_CODE, move |call| {
                let mut cursor = Cursor::from_slice(call.body.get(4..).unwrap_or_default());
                let sent = String::deserialize(&mut cursor)
                    .map_err(|_| RpcError::new(400, "INPUT_FETCH_ERROR"))
                    .and_then(|phone| resend_old.send_code(&phone));
                async move { sent?.into_reply() }
            })
            .on(move |_, call: Call<auth::CancelCode<'static>>| {
                let phone = digits(call.get().phone_number);
                cancel.cloud.state().sent_codes.retain(|_, sent| sent.phone != phone);
                async { Ok(true) }
            })
            .on(move |ctx, call: Call<auth::SignIn<'static>>| {
                let answer = sign_in.sign_in(&ctx, call.get());
                async move { answer }
            })
            .on(move |ctx, call: Call<auth::SignUp<'static>>| {
                let answer = sign_up.sign_up(&ctx, call.get());
                async move { answer }
            })
            .on(move |ctx, _: account::GetPassword| {
                let answer = password.password(&ctx);
                async move { answer.map(Answer::from_encoded) }
            })
            .on(move |ctx, call: Call<auth::CheckPassword<'static>>| {
                let answer = check.check_password(&ctx, &call.get().password);
                async move { answer }
            })
            .on(move |ctx, call: Call<auth::ImportBotAuthorization<'static>>| {
                let answer = bot.log_bot_in(&ctx, call.get().bot_auth_token);
                async move { answer }
            })
            .on(move |ctx, _: auth::LogOut| {
                let answer = out.log_out(&ctx);
                async move { answer }
            })
            .export_authorization(exported, move |ctx| {
                let user = export.cloud.state().user_of(ctx.permanent_key_id());
                async move { user }
            })
            .import_authorization(exported, move |ctx, user| {
                let answer =
                    key_of(&ctx).and_then(|key| import.finish(&mut import.cloud.state(), &ctx, key, user));
                async move { answer?.into_reply().map(|reply| Blob(reply.object)) }
            })
    }

    fn send_code(&self, phone: &str) -> Result<SentCode, RpcError> {
        let phone = digits(phone);
        if phone.is_empty() {
            return Err(RpcError::new(400, "PHONE_NUMBER_INVALID"));
        }
        let here = self.number_among_others();
        let mut state = self.cloud.state();
        let home = state.by_phone(&phone).and_then(|person| person.home);
        if let (Some(home), Some(here)) = (home, here)
            && home != here
        {
            return Err(RpcError::new(303, format!("PHONE_MIGRATE_{home}")));
        }
        let (hash, len) = state.send_code(phone, &mut rng()?);
        let sent = types::auth::SentCode {
            r#type: enums::auth::SentCodeType::App(types::auth::SentCodeTypeApp { length: len as i32 }),
            phone_code_hash: &hash,
            next_type: None,
            timeout: None,
        };
        Ok(Answer::new(&enums::auth::SentCode::SentCode(&sent)))
    }

    fn sign_in(&self, ctx: &CallContext, call: &auth::SignIn<'_>) -> Result<Authorization, RpcError> {
        let (key, phone) = (key_of(ctx)?, digits(call.phone_number));
        let mut state = self.cloud.state();
        let code = call.phone_code.unwrap_or_default();
        let number = state
            .check_code(&phone, call.phone_code_hash, code)
            .map_err(|error| RpcError::new(400, error))?;
        let Some(person) = state.by_phone(&phone) else {
            let required = types::auth::AuthorizationSignUpRequired { terms_of_service: None };
            return Ok(Answer::new(&enums::auth::Authorization::SignUpRequired(required)));
        };
        let (user, has_password) = (person.account.id, person.password.is_some());
        state.sent_codes.remove(&number);
        if has_password {
            state.half_log_in(key, user);
            return Err(RpcError::new(401, "SESSION_PASSWORD_NEEDED"));
        }
        self.finish(&mut state, ctx, key, user)
    }

    /// Makes an account for a phone number whose code was entered.
    fn sign_up(&self, ctx: &CallContext, call: &auth::SignUp<'_>) -> Result<Authorization, RpcError> {
        let (key, phone) = (key_of(ctx)?, digits(call.phone_number));
        let mut state = self.cloud.state();
        let number =
            state.entered_code(&phone, call.phone_code_hash).map_err(|error| RpcError::new(400, error))?;
        if state.by_phone(&phone).is_some() {
            return Err(RpcError::new(400, "PHONE_NUMBER_OCCUPIED"));
        }
        if call.first_name.is_empty() || call.first_name.len() > 256 {
            return Err(RpcError::new(400, "FIRSTNAME_INVALID"));
        }
        state.sent_codes.remove(&number);
        let id = state.people.keys().max().map_or(1, |last| last + 1);
        let first_name = call.first_name.to_owned();
        state.add_with_phone(phone, Account { id, first_name, username: String::new() });
        self.finish(&mut state, ctx, key, id)
    }

    /// `account.getPassword` is answered after the code too, before there is a login.
    fn password(&self, ctx: &CallContext) -> Result<Vec<u8>, RpcError> {
        let key = key_of(ctx)?;
        let mut state = self.cloud.state();
        let user = state.half_logged_in.get(&key.to_raw()).copied();
        let user = user.map_or_else(|| state.user_of(Some(key)), Ok)?;
        let person = state.people.get_mut(&user).ok_or_else(|| RpcError::new(401, "USER_DEACTIVATED"))?;
        let Some(password) = &mut person.password else { return Ok(no_password()) };
        password.challenge(&mut rng()?).ok_or_else(|| RpcError::new(500, "SRP_UNAVAILABLE"))
    }

    fn check_password(
        &self,
        ctx: &CallContext,
        proof: &enums::InputCheckPasswordSrp<'_>,
    ) -> Result<Authorization, RpcError> {
        let key = key_of(ctx)?;
        let mut state = self.cloud.state();
        let user = state.half_logged_in.get(&key.to_raw()).copied();
        let user = user.ok_or_else(|| RpcError::new(401, "AUTH_KEY_UNREGISTERED"))?;
        let person = state.people.get_mut(&user).ok_or_else(|| RpcError::new(401, "USER_DEACTIVATED"))?;
        let (Some(password), enums::InputCheckPasswordSrp::InputCheckPasswordSrp(proof)) =
            (&mut person.password, proof)
        else {
            return Err(RpcError::new(400, "PASSWORD_HASH_INVALID"));
        };
        password.check(proof.srp_id, proof.a, proof.m1).map_err(|error| RpcError::new(400, error))?;
        self.finish(&mut state, ctx, key, user)
    }

    fn log_bot_in(&self, ctx: &CallContext, token: &str) -> Result<Authorization, RpcError> {
        let key = key_of(ctx)?;
        let mut state = self.cloud.state();
        let user = state.tokens.get(token).copied();
        let user = user.ok_or_else(|| RpcError::new(400, "ACCESS_TOKEN_INVALID"))?;
        self.finish(&mut state, ctx, key, user)
    }

    /// Logs a user in. The `auth.authorization` has no optional fields: its id is the same in every layer, its `user` is not.
    #[allow(clippy::unused_self, reason = "a method like the others")]
    fn finish(
        &self,
        state: &mut State,
        ctx: &CallContext,
        key: AuthKeyId,
        user: UserId,
    ) -> Result<Authorization, RpcError> {
        state.half_logged_in.remove(&key.to_raw());
        state.log_in(key, user);
        ctx.pin_key();
        if !ctx.is_without_updates() {
            state.listen(user, ctx.session(), ctx.layer());
        }
        let person = state.people.get(&user).ok_or_else(|| RpcError::new(401, "USER_DEACTIVATED"))?;
        let mut out = Vec::new();
        out.put(&0x2ea2_c0d4_u32.to_le_bytes());
        out.put(&0_u32.to_le_bytes());
        encode_user(person, true, ctx.layer(), &mut out);
        Ok(Answer::from_encoded(out))
    }

    fn log_out(
        &self,
        ctx: &CallContext,
    ) -> Result<Answer<Decoded<enums::auth::LoggedOut<'static>>>, RpcError> {
        self.cloud.state().log_out(key_of(ctx)?);
        ctx.unpin_key();
        let logged_out = types::auth::LoggedOut { future_auth_token: None };
        Ok(Answer::new(&enums::auth::LoggedOut::from(logged_out)))
    }
}

fn key_of(ctx: &CallContext) -> Result<AuthKeyId, RpcError> {
    ctx.permanent_key_id().ok_or_else(|| RpcError::new(401, "AUTH_KEY_PERM_EMPTY"))
}
