//! Methods that are alike in every server: one line each.

use std::sync::Arc;

use chappe_crypto::AuthKeyId;
use chappe_tl::Deserializable as _;
use chappe_tl::Serializable;
use chappe_tl::deserialize::Cursor;
use chappe_types::{DcId, RpcError};

use super::Router;
use super::answer::{Reply, unencodable};
use super::context::CallContext;
use super::datacenters::Datacenters;
use super::logins::Logins;
use super::pending::RawCall;
use super::schema::{enums, functions, types};
use crate::event::ServerEvent;

/// `auth.importAuthorization#a57a7dad id:long bytes:bytes = auth.Authorization;` The result has a user, which differs from
/// layer to layer, so it is the application's.
const IMPORT_AUTHORIZATION: u32 = 0xa57a_7dad;

impl Router {
    /// Answers `help.getConfig` and `help.getNearestDc`. `this_dc` is the datacenter that the client named when it made its
    /// key: a client that is told another one asks again without end.
    #[must_use]
    pub fn datacenters(self, datacenters: Datacenters) -> Self {
        self.datacenters_by(move |_| datacenters.clone())
    }

    /// The same with a list that `datacenters` returns for each call.
    #[must_use]
    pub fn datacenters_by(
        self,
        datacenters: impl Fn(&CallContext) -> Datacenters + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(datacenters);
        let nearest = Arc::clone(&config);
        self.on(move |ctx, _: functions::help::GetConfig| {
            let config = config(&ctx).config(&ctx);
            async move { Ok(config) }
        })
        .on(move |ctx, _: functions::help::GetNearestDc| {
            let nearest = nearest(&ctx).nearest_dc(&ctx);
            async move { Ok(nearest) }
        })
    }

    /// Answers `auth.dropTempAuthKeys`: the temporary keys end that are bound to the permanent key of the call, but for those
    /// that the client names.
    #[must_use]
    pub fn drop_temp_auth_keys(self) -> Self {
        self.on(|ctx: CallContext, call: functions::auth::DropTempAuthKeys| async move {
            let Some(permanent) = ctx.permanent_key_id() else {
                return Err(RpcError::new(401, "AUTH_KEY_PERM_EMPTY"));
            };
            let except: Vec<_> = call.except_auth_keys.into_iter().map(AuthKeyId::from_raw).collect();
            ctx.engine().drop_temporary_keys(permanent, &except, ctx.now().unix);
            Ok(true)
        })
    }

    /// Answers `auth.exportAuthorization`. `user` returns who is logged in with the key of the call, or the error
    /// (`AUTH_KEY_UNREGISTERED`).
    #[must_use]
    pub fn export_authorization<F>(
        self,
        logins: &Logins,
        user: impl Fn(CallContext) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<i64, RpcError>> + Send + 'static,
    {
        let logins = logins.clone();
        self.on(move |ctx: CallContext, call: functions::auth::ExportAuthorization| {
            let (logins, from, now) = (logins.clone(), ctx.permanent_key_id(), ctx.now().mono);
            let proof = ctx.engine().random_secret();
            let user = user(ctx);
            async move {
                let from = from.ok_or_else(|| RpcError::new(401, "AUTH_KEY_PERM_EMPTY"))?;
                let dc = u16::try_from(call.dc_id).map_err(|_| RpcError::new(400, "DC_ID_INVALID"))?;
                let id = user.await?;
                let bytes = proof.to_vec();
                logins.export(id, from, dc, proof, now);
                Ok(enums::auth::ExportedAuthorization::ExportedAuthorization(
                    types::auth::ExportedAuthorization { id, bytes },
                ))
            }
        })
    }

    /// Answers `auth.importAuthorization`. What was exported is good for one import, in the datacenter that it was exported
    /// for (`SEC-157`). `log_in` logs the user in with the key of the call and returns the `auth.authorization`.
    #[must_use]
    pub fn import_authorization<F, A>(
        self,
        logins: &Logins,
        log_in: impl Fn(CallContext, i64) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<A, RpcError>> + Send + 'static,
        A: Serializable,
    {
        let (logins, log_in) = (logins.clone(), Arc::new(log_in));
        self.on_raw(IMPORT_AUTHORIZATION, move |call: RawCall| {
            let (logins, log_in) = (logins.clone(), Arc::clone(&log_in));
            async move {
                let RawCall { context, body } = call;
                let (id, bytes) =
                    import_fields(&body).ok_or_else(|| RpcError::new(400, "INPUT_FETCH_ERROR"))?;
                let to =
                    context.permanent_key_id().ok_or_else(|| RpcError::new(401, "AUTH_KEY_PERM_EMPTY"))?;
                let dc = context.dc().map(DcId::number);
                let from = logins.import(id, &bytes, dc, context.now().mono)?;
                let engine = Arc::clone(context.engine());
                let answer = log_in(context, id).await?.try_to_bytes().map_err(unencodable)?;
                engine.note_event(ServerEvent::LoginMoved { user_id: id, from, to });
                Ok(Reply::from(answer))
            }
        })
    }
}

fn import_fields(body: &[u8]) -> Option<(i64, Vec<u8>)> {
    let mut cursor = Cursor::from_slice(body.get(4..)?);
    let id = cursor.read_i64().ok()?;
    let bytes = Vec::<u8>::deserialize(&mut cursor).ok()?;
    cursor.is_empty().then_some((id, bytes))
}
