//! Sessions of gotd: the JSON that its `session.Loader` stores, in a file or elsewhere.
//!
//! ```json
//! {"Version": 1, "Data": {"Config": {…}, "DC": 2, "Addr": "149.154.167.50:443",
//!     "AuthKey": "base64 of 256 bytes", "AuthKeyID": "base64 of 8 bytes", "Salt": 1}}
//! ```

use std::net::SocketAddr;

use crate::json::Object;
use crate::keys::Keys;
use crate::{ImportError, ImportedSession, ServerAddress, environment, text};

/// Longest file that is read. The configuration of the API in it has some kilobytes.
const MAX_LEN: usize = 1 << 20;

const VERSION: i64 = 1;

/// Reads the JSON.
///
/// # Errors
///
/// The text is not such a session, or has no key.
pub fn from_json(json: &str) -> Result<ImportedSession, ImportError> {
    if json.len() > MAX_LEN {
        return Err(ImportError::Length { len: json.len() });
    }
    let file = Object::parse(json, "JSON")?;
    if file.integer("Version")? != Some(VERSION) {
        return Err(ImportError::UnknownVersion);
    }
    let data = file.object("Data")?.ok_or(ImportError::Malformed { what: "Data" })?;
    let key = data.text("AuthKey")?.ok_or(ImportError::NoKey)?;
    let id = match data.text("AuthKeyID")? {
        Some(id) => <[u8; 8]>::try_from(text::decode(&id)?.as_slice()).ok(),
        None => None,
    };
    let config = data.object("Config")?;
    let mut keys = Keys::default();
    // The configuration is zeros until the library has asked for it.
    if let Some(config) = config.filter(|config| !matches!(config.get("ThisDC"), None | Some("0"))) {
        keys.environment = config.get("TestMode").map(|value| environment(value == "true"));
    }
    let dc = data.integer("DC")?.ok_or(ImportError::Malformed { what: "DC" })?;
    keys.main = Some(dc);
    let server = data.text("Addr")?.map(|address| server(&address)).transpose()?.flatten();
    keys.push(dc, &text::decode(&key)?, id, server)?;
    keys.into_sessions()?.pop().ok_or(ImportError::NoKey)
}

/// Reads an address with a port. It is empty where the library chooses one from the configuration.
fn server(address: &str) -> Result<Option<ServerAddress>, ImportError> {
    if address.is_empty() {
        return Ok(None);
    }
    if let Ok(address) = address.parse::<SocketAddr>() {
        return crate::server(&address.ip().to_string(), address.port().into());
    }
    let (host, port) = address.rsplit_once(':').ok_or(ImportError::Server { len: address.len() })?;
    crate::server(host, port.parse().map_err(|_| ImportError::Port)?)
}
