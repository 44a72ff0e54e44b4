//! The folder that keeps the keys of `chappe serve` from run to run.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chappe::crypto::AuthKey;
use chappe::loopback::Loopback;
use chappe::server::{KeyState, KeyStatus};

use super::{generate, read_private_key};
use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// The server's RSA key.
const PRIVATE_KEY: &str = "private.pem";
/// Its public half, for clients.
const PUBLIC_KEY: &str = "public.pem";
/// The keys of clients, in the form of a key log: `AUTH_KEY <id> <key>`, both in hexadecimal.
const AUTH_KEYS: &str = "auth_keys.log";

/// A folder of keys.
pub(super) struct Folder {
    path: PathBuf,
    /// The keys that were saved last.
    saved: HashSet<i64>,
}

impl Folder {
    /// Opens a folder, and makes it if there is none.
    pub(super) fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)
            .or_blame(Blame::Machine, format_args!("cannot make the folder {}", path.display()))?;
        Ok(Self { path: path.to_owned(), saved: HashSet::new() })
    }

    /// Returns the path of the public key.
    pub(super) fn public_key(&self) -> PathBuf {
        self.path.join(PUBLIC_KEY)
    }

    /// Returns the RSA key, which is made in the first run.
    pub(super) fn private_key(&self) -> Result<chappe::crypto::rsa::PrivateKey> {
        let path = self.path.join(PRIVATE_KEY);
        if path.exists() {
            return read_private_key(&path);
        }
        let key = generate()?;
        let pem = key.to_pem().or_blame(Blame::Machine, "cannot write the RSA key")?;
        write_secret(&path, pem.as_bytes())?;
        Ok(key)
    }

    /// Gives the keys of clients to a server.
    pub(super) fn load(&self, server: &Loopback) -> Result<()> {
        let path = self.path.join(AUTH_KEYS);
        let lines = match fs::read_to_string(&path) {
            Ok(lines) => lines,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).or_blame(Blame::Machine, format_args!("cannot read {}", path.display()));
            }
        };
        for (line, number) in lines.lines().zip(1..) {
            let key = auth_key(line)
                .ok_or_else(|| Failure::input(format!("{}:{number}: not a key", path.display())))?;
            server.engine().add_key(KeyState::new(key, KeyStatus::Permanent));
        }
        Ok(())
    }

    /// Saves the permanent keys of clients, if there are others than the last time.
    pub(super) fn save(&mut self, server: &Loopback) -> Result<()> {
        let keys = server.engine().keys();
        let permanent: Vec<_> = keys.iter().filter(|key| key.kind() == KeyStatus::Permanent).collect();
        let ids = permanent.iter().map(|key| key.auth_key().id().to_raw()).collect();
        if ids == self.saved {
            return Ok(());
        }
        let mut lines = String::new();
        for key in permanent {
            let (id, key) = (hex(key.auth_key().id().as_bytes()), hex(key.auth_key().as_bytes()));
            let _ = writeln!(lines, "AUTH_KEY {id} {key}");
        }
        write_secret(&self.path.join(AUTH_KEYS), lines.as_bytes())?;
        self.saved = ids;
        Ok(())
    }
}

/// Reads a line of a key log.
fn auth_key(line: &str) -> Option<AuthKey> {
    let [kind, id, key] = line.split_ascii_whitespace().collect::<Vec<_>>().try_into().ok()?;
    let byte = |digits: &[u8]| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = key.as_bytes().chunks(2).map(byte).collect();
    let key = AuthKey::from_slice(&bytes?).ok()?;
    (kind == "AUTH_KEY" && hex(key.id().as_bytes()) == id).then_some(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Replaces a file that only its owner may read, in one step.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let write = || {
        options.open(&new)?.write_all(bytes)?;
        fs::rename(&new, path)
    };
    write().or_blame(Blame::Machine, format_args!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{auth_key, hex};
    use chappe::crypto::AuthKey;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = AuthKey::from_bytes([7; 256]);
        let line = format!("AUTH_KEY {} {}", hex(key.id().as_bytes()), hex(key.as_bytes()));
        assert_eq!(auth_key(&line).map(|key| key.id()), Some(key.id()));
        for wrong in ["", "AUTH_KEY 00 00", &line.replace("AUTH", "OTHER"), &line[..line.len() - 1]] {
            assert!(auth_key(wrong).is_none(), "{wrong}");
        }
    }
}
