//! Writes one session in the form of every library that has session strings, as JSON.
//!
//! `cargo run -p chappe-import --example export -- HEX-KEY DC HOST PORT API-ID USER` prints
//! `{"telethon": "…", "pyrogram": "…", "gramjs": "…", "mtcute": "…"}`. A session string gives access to the account: do not leave it on a screen.

use core::error::Error;
use std::env;
use std::io::{self, Write as _};

use chappe_crypto::AuthKey;
use chappe_handshake::Environment;
use chappe_import::{ImportedSession, ServerAddress, User, gramjs, mtcute, pyrogram, telethon};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [key, dc, host, port, api_id, user] = &arguments[..] else {
        return Err("usage: export HEX-KEY DC HOST PORT API-ID USER".into());
    };
    let session = ImportedSession {
        dc: dc.parse()?,
        environment: Some(Environment::Production),
        server: Some(ServerAddress { host: host.clone(), port: port.parse()? }),
        auth_key: AuthKey::from_slice(&bytes(key)?)?,
        user: Some(User { id: user.parse()?, is_bot: false }),
        api_id: Some(api_id.parse()?),
    };
    let written = [
        ("telethon", telethon::to_string(&session)?),
        ("pyrogram", pyrogram::to_string(&session)?),
        ("gramjs", gramjs::to_string(&session)?),
        ("mtcute", mtcute::to_string(&session)?),
    ];
    // No letter of a session string needs an escape.
    let entries: Vec<_> =
        written.iter().map(|(library, text)| format!("\"{library}\": \"{}\"", text.as_str())).collect();
    writeln!(io::stdout(), "{{{}}}", entries.join(", "))?;
    Ok(())
}

fn bytes(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = vec![0; hex.len() / 2];
    base16ct::lower::decode(hex, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}
