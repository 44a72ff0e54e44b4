//! Plain and encrypted MTProto envelopes, message ids, containers and gzip, over one buffer.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
