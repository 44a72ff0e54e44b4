//! The API of the datacenter: what it answers to a query, without sockets, keys or sessions.
//!
//! [`Api::answer`] takes a query as it came, removes its wrappers and finds a handler: one that was added with
//! [`Api::on`], or the built-in one. An unhandled function gets an `rpc_error` 400, as a real client expects: 401
//! would look like a lost login, and 500 would be tried again without end.

mod config;
mod files;
mod users;
mod wrappers;

use std::collections::HashMap;
use std::sync::Mutex;

use chappe_carrier::lock;
use chappe_handshake::DcId;
use chappe_tl::deserialize::Deserializable;
use chappe_tl::{Identifiable, RemoteCall, Serializable};
use chappe_tl_mtproto::types::RpcError;

use crate::schema::{AnyCall, enums, types};

pub use config::Endpoint;
pub use users::{Account, UserId};
pub use wrappers::{Unwrapped, WrapperError, unwrap};

use files::Files;
use users::Users;

/// A handler's answer: the encoded result, or an error for the caller.
pub type Answer = Result<Vec<u8>, RpcError>;

/// A handler for one function.
pub type Handler = Box<dyn Fn(&Caller, &[u8]) -> Answer + Send + Sync>;

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Id of the key that the login belongs to: the permanent one, also when a temporary one carries the call.
    pub auth_key_id: i64,
    /// The datacenter that the client named when it made the key, if it named one.
    pub dc: Option<DcId>,
    /// Layer that the key last announced with `invokeWithLayer`; 0 before that.
    pub layer: i32,
    /// The time, in seconds since 1970.
    pub unix_time: i32,
}

/// State and handlers of the API.
pub struct Api {
    endpoint: Endpoint,
    handlers: HashMap<u32, Handler>,
    files: Mutex<Files>,
    users: Mutex<Users>,
}

impl Api {
    /// Makes the API of a datacenter that is reached at `endpoint`.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, handlers: HashMap::new(), files: Mutex::default(), users: Mutex::default() }
    }

    /// Handles a function, by its constructor id, with a closure. It gets the whole encoded call, id included.
    ///
    /// Built-in answers can be replaced in this way.
    pub fn on(
        &mut self,
        constructor_id: u32,
        handler: impl Fn(&Caller, &[u8]) -> Answer + Send + Sync + 'static,
    ) {
        self.handlers.insert(constructor_id, Box::new(handler));
    }

    /// Handles a function with a closure that takes the decoded call and gives its result, or an error.
    ///
    /// A call that cannot be decoded is answered with `INPUT_FETCH_ERROR`, like Telegram does.
    pub fn on_call<F>(
        &mut self,
        handler: impl Fn(&Caller, F) -> Result<F::Return, RpcError> + Send + Sync + 'static,
    ) where
        F: RemoteCall<Return: Serializable> + Identifiable + Deserializable,
    {
        self.on(F::CONSTRUCTOR_ID, move |caller, call| {
            let call = F::from_bytes(call).map_err(|_| error(400, "INPUT_FETCH_ERROR"))?;
            encoded(&handler(caller, call)?)
        });
    }

    /// Lets `auth.importBotAuthorization` with this token log in as `account`.
    pub fn add_bot(&mut self, token: impl Into<String>, account: Account) {
        self.users().add_bot(token.into(), account);
    }

    /// Returns where the datacenter is reached.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Answers a call whose wrappers were removed.
    ///
    /// # Errors
    ///
    /// The error is an answer too: it goes back to the caller as an `rpc_error`.
    pub fn answer(&self, caller: &Caller, call: &[u8]) -> Answer {
        let id = chappe_framing::constructor_id(call).map_err(|_| error(400, "INPUT_CONSTRUCTOR_INVALID"))?;
        if let Some(handler) = self.handlers.get(&id) {
            return handler(caller, call);
        }
        match AnyCall::from_bytes(call) {
            Ok(call) => self.built_in(caller, call),
            Err(_) if is_known(id) => Err(error(400, "INPUT_REQUEST_TOO_LONG")),
            Err(_) => Err(error(400, "METHOD_INVALID")),
        }
    }

    fn built_in(&self, caller: &Caller, call: AnyCall) -> Answer {
        match call {
            AnyCall::HelpGetConfig(_) => encoded(&self.endpoint.config(caller)),
            AnyCall::HelpGetNearestDc(_) => encoded(&self.endpoint.nearest_dc(caller)),
            AnyCall::HelpGetCdnConfig(_) => encoded(&config::cdn_config()),
            AnyCall::HelpGetAppConfig(call) => encoded(&config::app_config(call.hash)),
            AnyCall::LangpackGetLangPack(call) => encoded(&config::language(call.lang_code, 0)),
            AnyCall::LangpackGetDifference(call) => {
                encoded(&config::language(call.lang_code, call.from_version))
            }
            AnyCall::LangpackGetStrings(_) => encoded(&Vec::<enums::LangPackString>::new()),
            AnyCall::LangpackGetLanguages(_) => encoded(&Vec::<enums::LangPackLanguage>::new()),
            AnyCall::LangpackGetLanguage(_) => Err(error(400, "LANG_CODE_NOT_SUPPORTED")),
            AnyCall::AuthImportBotAuthorization(call) => self.users().log_in(caller, &call.bot_auth_token),
            AnyCall::AuthExportAuthorization(_) => self.users().export(caller),
            AnyCall::AuthImportAuthorization(call) => self.users().import(caller, call.id, &call.bytes),
            AnyCall::AuthLogOut(_) => {
                self.users().log_out(caller);
                let logged_out = types::auth::LoggedOut { future_auth_token: None };
                encoded(&enums::auth::LoggedOut::LoggedOut(logged_out))
            }
            AnyCall::AuthDropTempAuthKeys(_) => encoded(&true),
            AnyCall::UsersGetUsers(call) => self.users().get(caller, &call.id),
            AnyCall::UpdatesGetState(_) => {
                self.users().require_login(caller)?;
                encoded(&config::updates_state(caller.unix_time))
            }
            AnyCall::UpdatesGetDifference(call) => {
                self.users().require_login(caller)?;
                encoded(&config::no_difference(call.date.max(caller.unix_time)))
            }
            AnyCall::UploadSaveFilePart(call) => {
                self.files().save(call.file_id, call.file_part, call.bytes)?;
                encoded(&true)
            }
            AnyCall::UploadSaveBigFilePart(call) => {
                self.files().save(call.file_id, call.file_part, call.bytes)?;
                encoded(&true)
            }
            AnyCall::UploadGetFile(call) => self.files().get(&call.location, call.offset, call.limit),
            // `auth.bindTempAuthKey` needs the keys, so the session layer answers it; the wrappers are gone.
            _ => Err(error(400, "METHOD_INVALID")),
        }
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        lock(&self.files)
    }

    fn users(&self) -> std::sync::MutexGuard<'_, Users> {
        lock(&self.users)
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("endpoint", &self.endpoint)
            .field("handlers", &self.handlers.len())
            .finish_non_exhaustive()
    }
}

/// Makes an `rpc_error`.
pub fn error(code: i32, message: impl Into<String>) -> RpcError {
    RpcError { error_code: code, error_message: message.into() }
}

/// Encodes a result.
///
/// # Errors
///
/// Error 500 if it holds a string that TL cannot encode.
pub fn encoded<T: Serializable>(result: &T) -> Answer {
    result.try_to_bytes().map_err(|_| error(500, "RESPONSE_TOO_LONG"))
}

fn is_known(id: u32) -> bool {
    crate::schema::name_for_id(id).is_some()
}
