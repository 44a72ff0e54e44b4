//! The schemas of this release, behind features of their names.
//!
//! Each is parsed when it is first used.

#[cfg(any(feature = "api", feature = "mtproto", feature = "secret"))]
use std::sync::OnceLock;

#[cfg(any(feature = "api", feature = "mtproto", feature = "secret"))]
use chappe_tl_parser::{ParseOptions, Schema};

/// Returns the schema of the API.
#[cfg(feature = "api")]
#[cfg_attr(docsrs, doc(cfg(feature = "api")))]
pub fn api() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| read("api.tl", include_str!("../schemas/api.tl")))
}

/// Returns the schema of service messages, `rpc_result`, `msg_container` and `gzip_packed` included.
#[cfg(feature = "mtproto")]
#[cfg_attr(docsrs, doc(cfg(feature = "mtproto")))]
pub fn mtproto() -> &'static Schema {
    /// What the published schema has in comments only, because generated code cannot read it.
    const CONTAINERS: &str = "---types---
        rpc_result#f35c6d01 req_msg_id:long result:Object = RpcResult;
        message#5bb8e511 msg_id:long seqno:int bytes:int body:Object = Message;
        msg_container#73f1f8dc messages:vector<%Message> = MessageContainer;
        msg_copy#e06046b2 orig_message:Message = MessageCopy;
        gzip_packed#3072cfa1 packed_data:bytes = GzipPacked;
    ";
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| read("mtproto.tl", &[include_str!("../schemas/mtproto.tl"), CONTAINERS].concat()))
}

/// Returns the schema of secret chats, of all layers.
#[cfg(feature = "secret")]
#[cfg_attr(docsrs, doc(cfg(feature = "secret")))]
pub fn secret() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| read("secret.tl", include_str!("../schemas/secret.tl")))
}

/// Returns the enabled schemas as one.
///
/// Names that the API uses as well have the prefix `mtproto` or `secret` ([`Schema::merge`]).
#[cfg(any(feature = "api", feature = "mtproto", feature = "secret"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "api", feature = "mtproto", feature = "secret"))))]
pub fn all() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let parts: &[(&str, &Schema)] = &[
            #[cfg(feature = "api")]
            ("api", api()),
            #[cfg(feature = "mtproto")]
            ("mtproto", mtproto()),
            #[cfg(feature = "secret")]
            ("secret", secret()),
        ];
        Schema::merge(parts.iter().copied()).schema
    })
}

#[cfg(any(feature = "api", feature = "mtproto", feature = "secret"))]
fn read(file: &str, text: &str) -> Schema {
    // Their ids are those of other definitions, or of none.
    let options = ParseOptions::default().trust_id_of("msg_container").trust_id_of("gzip_packed");
    chappe_tl_parser::parse_with(file, text, &options).expect("the tests read it")
}
