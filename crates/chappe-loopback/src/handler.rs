//! From a query of a session to the router, with the faults of the script.

use chappe_handshake::bind::BindTempAuthKey;
use chappe_server::{Context, Dispatcher, Handler, QueryResponse, ServerEvent};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, types};

use crate::faults::{FaultScript, Misbehaviour};

/// Answers queries with a router, or as the script says.
pub(crate) struct FaultyHandler {
    pub(crate) inner: Dispatcher,
    pub(crate) faults: FaultScript,
}

impl Handler for FaultyHandler {
    fn query(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse {
        match self.faults.take_query() {
            Some(misbehaviour) => misbehave(context, misbehaviour),
            None => self.inner.query(context, body),
        }
    }

    fn bind_temp_auth_key(&self, context: &Context<'_>, request: &BindTempAuthKey) -> QueryResponse {
        match self.faults.take_query() {
            Some(misbehaviour) => misbehave(context, misbehaviour),
            None => self.inner.bind_temp_auth_key(context, request),
        }
    }

    fn dropped(&self, context: &Context<'_>) {
        self.inner.dropped(context);
    }

    fn event(&self, event: &ServerEvent) {
        self.inner.event(event);
    }
}

fn misbehave(context: &Context<'_>, misbehaviour: Misbehaviour) -> QueryResponse {
    let bad_msg_id = context.msg_id.to_raw();
    let notification = match misbehaviour {
        Misbehaviour::RpcError { code, message } => return QueryResponse::Error { code, message },
        Misbehaviour::Silence => return QueryResponse::Later,
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
    QueryResponse::Instead(notification.to_bytes())
}
