//! Keys and sessions of MTProto servers in Redis.
//!
//! [`RedisDirectory`] is a [`KeyDirectory`](chappe_server::directory::KeyDirectory), and [`RedisSessions`] is the
//! [`SessionDirectory`](chappe_server::fleet::SessionDirectory) of a fleet. Each request is one script, so it is atomic and costs
//! one round trip. Connections that are lost are opened again, and requests that were under way are repeated.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "sockets need std")]

mod connection;
mod directory;
mod sessions;

pub use directory::RedisDirectory;
pub use redis::RedisError;
pub use sessions::RedisSessions;
