//! The datacenter that all clients talk to.

use std::sync::Arc;

use anyhow::{Context, Result};
use chappe_crypto::rsa::KeyRing;
use chappe_handshake::{ClientOptions, DcId, KeyKind};
use chappe_loopback::Loopback;
use chappe_net::store::{MemoryStore, Slot, load_state};
use chappe_net::{ConnectOptions, DialOptions};
use chappe_transport::{Connector, Framing};

/// A datacenter and a key that clients may share.
pub struct Datacenter {
    pub server: Loopback,
    store: Arc<MemoryStore>,
}

impl Datacenter {
    pub fn start() -> Result<Self> {
        let datacenter = Self { server: Loopback::start()?, store: Arc::new(MemoryStore::new()) };
        chappe_net::blocking::Client::connect(datacenter.options())?.close();
        Ok(datacenter)
    }

    pub fn options(&self) -> ConnectOptions {
        let mut keys = KeyRing::empty();
        keys.add(self.server.public_key().clone());
        let handshake = ClientOptions { keys, dc: DcId::production(2), kind: KeyKind::Permanent };
        // The framing that grammers uses.
        let dialling = DialOptions::new(Connector::plain(Framing::Full));
        ConnectOptions::at(self.server.address(), dialling, handshake).with_store(self.store.clone())
    }

    /// The `auth_key` that [`options`](Self::options) leads to.
    pub fn auth_key(&self) -> Result<[u8; 256]> {
        let state = load_state(&self.store, Slot::production(2))?.context("a key was made")?;
        Ok(*state.key.auth_key.as_bytes())
    }
}

/// A runtime on the thread of the caller.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
