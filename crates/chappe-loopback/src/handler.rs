//! From a query of a session to an answer of the API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_framing::constructor_id;
use chappe_handshake::bind::BindTempAuthKey;
use chappe_server::{Context, Handler, Verdict};
use chappe_tl::deserialize::Deserializable;
use chappe_tl::{Identifiable, Serializable};
use chappe_tl_mtproto::{enums, types};

use crate::api::{Api, Caller, Unwrapped, WrapperError, unwrap};
use crate::faults::{FaultScript, Misbehaviour};
use crate::schema::functions;

/// What a packed query may unpack to, in bytes.
const UNPACKED_LIMIT: usize = 16 << 20;

/// Keys whose layer is remembered.
const MAX_LAYERS: usize = 100_000;

/// Answers queries with an [`Api`].
pub(crate) struct ApiHandler {
    pub(crate) api: Arc<Api>,
    pub(crate) faults: FaultScript,
    layers: Mutex<HashMap<i64, i32>>,
}

impl ApiHandler {
    pub(crate) fn new(api: Arc<Api>, faults: FaultScript) -> Self {
        Self { api, faults, layers: Mutex::default() }
    }

    /// Notes the layer that a query announces, and returns the one in force for its key.
    fn layer(&self, key_id: i64, announced: Option<i32>) -> i32 {
        let mut layers = lock(&self.layers);
        if let Some(layer) = announced {
            if layers.len() >= MAX_LAYERS {
                layers.clear();
            }
            layers.insert(key_id, layer);
        }
        layers.get(&key_id).copied().unwrap_or_default()
    }

    /// Answers a request that came within a wrapper.
    fn bind(context: &Context<'_>, call: &[u8]) -> Verdict {
        match BindTempAuthKey::from_bytes(call) {
            Ok(request) => context.answer_bind(&request),
            Err(_) => error(400, "ENCRYPTED_MESSAGE_INVALID"),
        }
    }
}

impl Handler for ApiHandler {
    fn query(&self, context: &Context<'_>, body: &[u8]) -> Verdict {
        if let Some(misbehaviour) = self.faults.take_query() {
            return misbehave(context, misbehaviour);
        }
        let unwrapped = match unwrap(body, UNPACKED_LIMIT) {
            Ok(unwrapped) => unwrapped,
            Err(WrapperError::TooDeep) => return error(400, "INPUT_REQUEST_TOO_LONG"),
            Err(_) => return error(400, "INPUT_FETCH_ERROR"),
        };
        let Unwrapped { query, layer, .. } = unwrapped;
        let id = constructor_id(&query).unwrap_or_default();
        if id == BindTempAuthKey::CONSTRUCTOR_ID {
            return Self::bind(context, &query);
        }
        let Some(key_id) = context.permanent_key_id() else {
            return if is_allowed_unbound(id) {
                self.answer(context, 0, layer, &query)
            } else {
                error(401, "AUTH_KEY_PERM_EMPTY")
            };
        };
        self.answer(context, key_id.to_raw(), layer, &query)
    }

    fn bind_temp_auth_key(&self, context: &Context<'_>, request: &BindTempAuthKey) -> Verdict {
        match self.faults.take_query() {
            Some(misbehaviour) => misbehave(context, misbehaviour),
            None => context.answer_bind(request),
        }
    }
}

impl ApiHandler {
    fn answer(&self, context: &Context<'_>, key_id: i64, layer: Option<i32>, query: &[u8]) -> Verdict {
        let layer = self.layer(key_id, layer);
        let dc = context.key().dc();
        let unix_time = context.now.unix.to_tl_int();
        let caller = Caller { auth_key_id: key_id, dc, layer, unix_time };
        match self.api.answer(&caller, query) {
            Ok(result) => Verdict::Answer(result),
            Err(types::RpcError { error_code, error_message }) => {
                Verdict::Error { code: error_code, message: error_message }
            }
        }
    }
}

/// What a temporary key may ask before it is bound.
const fn is_allowed_unbound(id: u32) -> bool {
    matches!(id, functions::help::GetConfig::CONSTRUCTOR_ID | functions::help::GetNearestDc::CONSTRUCTOR_ID)
}

fn misbehave(context: &Context<'_>, misbehaviour: Misbehaviour) -> Verdict {
    let bad_msg_id = context.msg_id.to_raw();
    let notification = match misbehaviour {
        Misbehaviour::RpcError { code, message } => return Verdict::Error { code, message },
        Misbehaviour::Silence => return Verdict::Later,
        Misbehaviour::BadMsg { code: error_code } => {
            let refusal = types::BadMsgNotification { bad_msg_id, bad_msg_seqno: 1, error_code };
            enums::BadMsgNotification::BadMsgNotification(refusal)
        }
        Misbehaviour::BadServerSalt { new_salt: new_server_salt } => {
            let refusal =
                types::BadServerSalt { bad_msg_id, bad_msg_seqno: 1, error_code: 48, new_server_salt };
            enums::BadMsgNotification::BadServerSalt(refusal)
        }
    };
    Verdict::Instead(notification.to_bytes())
}

fn error(code: i32, message: &str) -> Verdict {
    Verdict::Error { code, message: message.to_owned() }
}
