//! Names of constructors and methods.

use chappe_framing::{MSG_CONTAINER, RPC_RESULT};
use chappe_tl_mtproto::name_for_id;

/// The names of the constructors and methods of a schema.
///
/// Functions such as `chappe_tl_api::name_for_id` are names. The names of service messages are known without.
pub trait Names {
    /// Returns the name of a constructor or method.
    fn name(&self, constructor: u32) -> Option<&str>;
}

impl<F: Fn(u32) -> Option<&'static str>> Names for F {
    fn name(&self, constructor: u32) -> Option<&str> {
        self(constructor)
    }
}

/// Returns the name of a constructor or method, service messages included.
pub(crate) fn name(constructor: u32, names: &dyn Names) -> Option<&str> {
    match constructor {
        MSG_CONTAINER => Some("msg_container"),
        RPC_RESULT => Some("rpc_result"),
        _ => name_for_id(constructor).or_else(|| names.name(constructor)),
    }
}
