//! Blocking and tokio drivers for MTProto clients and servers.
#![forbid(unsafe_code)]
