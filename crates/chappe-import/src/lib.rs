//! Auth keys from the sessions of other libraries, so that an account stays logged in.
//!
//! | library | session string | session file |
//! |---|---|---|
//! | Telethon | [`telethon::from_string`] | [`telethon::from_row`] |
//! | Pyrogram and its forks | [`pyrogram::from_string`] | [`pyrogram::from_row`] |
//! | GramJS | [`gramjs::from_string`] | [`gramjs::from_store`] |
//! | mtcute | [`mtcute::from_string`] | [`mtcute::from_row`] |
//! | Telegram Desktop | – | [`tdata`] |
//! | Telegram for Android | – | [`tgnet::from_file`] |
//! | Telegram Web A and K | – | [`web::from_local_storage`] |
//! | `TDLib` | – | [`tdlib::from_binlog`] |
//! | gotd | – | [`gotd::from_json`] |
//! | `WTelegramClient` | – | [`wtelegram::from_file`] |
//! | grammers | – | [`grammers::from_row`], and [`grammers::from_file`] up to 0.8 |
//!
//! The libraries with a session string have a `to_string` as well, which writes it.
//!
//! [`from_string`] recognises the library. SQLite files are read with the program's own SQLite library: each module has the
//! query, and reads a row of its result. The program `crates/examples/import-session`
//! of the repository does that. All formats are described in `docs/sessions-of-others.md`.
//!
//! All input is untrusted: lengths are bounded, and invalid input is an [`ImportError`]. Nothing is sent, so a key that was
//! revoked is noticed only when it is used. **Use a key in one place only**: if connections from two addresses use it at the
//! same time, the datacenter revokes it.
//!
//! ```
//! use chappe_handshake::Environment;
//! use chappe_session::client::SavedState;
//!
//! # let text = format!("1ApWapzMBuw{}A=", "ICAg".repeat(85));
//! # let text = text.as_str();
//! let session = chappe_import::from_string(text)?; // such as Telethon's "1ApWapzMBu…"
//! assert_eq!((session.dc, session.server.as_ref().map(|server| server.port)), (2, Some(443)));
//!
//! // What a `KeyStore` of `chappe-net` keeps, under `Slot::of(datacenter)`.
//! let (datacenter, state) = (session.datacenter(Environment::Production), session.to_state());
//! assert_eq!(datacenter.number(), 2);
//! assert_eq!(SavedState::import(&state)?.key.auth_key, session.auth_key);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "for programs with std")]

mod error;
mod export;
pub mod gotd;
pub mod gramjs;
pub mod grammers;
mod json;
mod keys;
pub mod mtcute;
pub mod pyrogram;
pub mod tdata;
pub mod tdlib;
pub mod telethon;
mod text;
pub mod tgnet;
pub mod web;
pub mod wtelegram;

use std::net::IpAddr;

use chappe_crypto::AuthKey;
use chappe_handshake::{DcId, Environment};
use chappe_session::client::{ClockTrust, KeyMaterial, SavedState};
use zeroize::Zeroizing;

pub use error::ImportError;
pub use export::ExportError;

/// What the session of another library holds for one datacenter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedSession {
    /// Id of the datacenter that the key belongs to; the account's own where the library keeps only one.
    pub dc: u16,
    /// The environment of the datacenter, if the library records it. Telethon, GramJS and grammers do not.
    pub environment: Option<Environment>,
    /// The address of the datacenter, if the library records it. It is unauthenticated.
    pub server: Option<ServerAddress>,
    /// The permanent key.
    pub auth_key: AuthKey,
    /// The user that is logged in, if the library records it.
    pub user: Option<User>,
    /// The application that made the key, if the library records it.
    pub api_id: Option<i32>,
}

/// Address of a datacenter in a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// An IP address, or a name.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The user that is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// Id of the user.
    pub id: i64,
    /// Whether it is a bot.
    pub is_bot: bool,
}

/// Reads the session string of any library that has one, with padding or without. Quotes around the text and white space
/// anywhere in it are ignored, as they come with a text that was copied.
///
/// # Errors
///
/// It is none of them. The error is that of the library that its length and first letter suggest.
pub fn from_string(text: &str) -> Result<ImportedSession, ImportError> {
    let text = text::clean(text)?;
    let text = text.as_str();
    if text::is_bare_key(text) {
        Err(ImportError::BareKey)
    } else if text.starts_with('1') {
        // The other libraries begin with the id of a datacenter or a version, so their texts begin with other letters.
        // The importer of GramJS reads Telethon's strings as well.
        gramjs::from_string(text)
    } else if pyrogram::has_length(text) {
        pyrogram::from_string(text)
    } else {
        mtcute::from_string(text)
    }
}

impl ImportedSession {
    /// Returns the datacenter that the key belongs to; `otherwise` is the environment if the library did not record
    /// one. `Slot::of` of `chappe-net` turns this into the place in a key store.
    pub fn datacenter(&self, otherwise: Environment) -> DcId {
        match self.environment.unwrap_or(otherwise) {
            Environment::Production => DcId::production(self.dc),
            Environment::Test => DcId::test(self.dc),
        }
    }

    /// Returns the key as a session takes it. Salts and time are learned from the datacenter's first answer.
    pub fn to_key_material(&self) -> KeyMaterial {
        KeyMaterial {
            auth_key: self.auth_key.clone(),
            // Unknown. A saved key is an old one.
            created_at: 0,
            salts: Vec::new(),
            time_offset: 0,
            clock: ClockTrust::Guess,
        }
    }

    /// Returns the bytes that a key store of `chappe-net` keeps.
    pub fn to_state(&self) -> Zeroizing<Vec<u8>> {
        SavedState { key: self.to_key_material(), extra: Zeroizing::default() }.export()
    }
}

/// The largest id of a datacenter. On the wire, larger numbers mean the test environment.
const MAX_DC: u16 = 9_999;

fn dc(id: i64) -> Result<u16, ImportError> {
    match u16::try_from(id) {
        Ok(dc @ 1..=MAX_DC) => Ok(dc),
        _ => Err(ImportError::Datacenter),
    }
}

/// Reads the key. Libraries write zeros or nothing until they have one.
fn auth_key(bytes: &[u8]) -> Result<AuthKey, ImportError> {
    if bytes.iter().fold(0, |all, byte| all | byte) == 0 {
        return Err(ImportError::NoKey);
    }
    AuthKey::from_slice(bytes).map_err(|_| ImportError::KeyLength { len: bytes.len() })
}

/// Reads the address, if there is one.
fn server(host: &str, port: i64) -> Result<Option<ServerAddress>, ImportError> {
    const MAX_LEN: usize = 255;
    if host.is_empty() {
        return Ok(None);
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if host.len() > MAX_LEN || !(is_name || host.parse::<IpAddr>().is_ok()) {
        return Err(ImportError::Server { len: host.len() });
    }
    match u16::try_from(port) {
        Ok(port) if port != 0 => Ok(Some(ServerAddress { host: host.to_owned(), port })),
        _ => Err(ImportError::Port),
    }
}

const fn environment(is_test: bool) -> Environment {
    if is_test { Environment::Test } else { Environment::Production }
}
