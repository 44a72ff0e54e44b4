//! Transports of MTProto as state machines: framings, obfuscation, MTProxy, WebSocket and HTTP payloads.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
