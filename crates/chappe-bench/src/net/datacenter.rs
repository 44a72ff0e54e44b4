//! The datacenter that all clients talk to.

use std::sync::Arc;

use anyhow::{Context, Result};
use chappe_crypto::rsa::KeyRing;
use chappe_handshake::{ClientOptions, DcId};
use chappe_loopback::Loopback;
use chappe_net::store::{MemoryStore, Slot, load_state};
use chappe_net::{ConnectOptions, DialOptions};
use chappe_session::client::KeyMaterial;
use chappe_transport::{Connector, Framing};

/// A datacenter and a key that clients may share.
pub struct Datacenter {
    pub server: Loopback,
    key: KeyMaterial,
}

impl Datacenter {
    pub fn start() -> Result<Self> {
        let server = Loopback::start()?;
        let store = Arc::new(MemoryStore::new());
        chappe_net::blocking::connect(options(&server).with_store(store.clone()))?.close().wait();
        let key = load_state(&store, Slot::production(2))?.context("a key was made")?.key;
        Ok(Self { server, key })
    }

    /// Without a store: that would let one client in at a time.
    pub fn options(&self) -> ConnectOptions {
        options(&self.server).with_key(self.key.clone())
    }

    /// The `auth_key` that [`options`](Self::options) leads to.
    pub fn auth_key(&self) -> [u8; 256] {
        *self.key.auth_key.as_bytes()
    }
}

fn options(server: &Loopback) -> ConnectOptions {
    let mut keys = KeyRing::empty();
    keys.add(server.public_key().clone());
    let handshake = ClientOptions::new(keys, DcId::production(2));
    // The framing that grammers uses.
    let dialling = DialOptions::new(Connector::plain(Framing::Full));
    ConnectOptions::at(server.address(), dialling, handshake)
}

/// The scheduler of tokio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// The thread of the caller does everything.
    CurrentThread,
    /// One thread for each processor.
    MultiThread,
}

impl Flavor {
    /// Makes a runtime.
    pub fn runtime(self) -> Result<tokio::runtime::Runtime> {
        let mut builder = match self {
            Self::CurrentThread => tokio::runtime::Builder::new_current_thread(),
            Self::MultiThread => tokio::runtime::Builder::new_multi_thread(),
        };
        Ok(builder.enable_all().build()?)
    }

    /// What distinguishes the title of a group.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::CurrentThread => "",
            Self::MultiThread => ", multi-threaded runtime",
        }
    }
}
