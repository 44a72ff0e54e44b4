//! Where keys and proxy secrets come from.

use std::fs;
use std::path::{Path, PathBuf};

use chappe::dissect::Keys;
use chappe::transport::ProxySecret;

use crate::failure::{Blame, OrBlame as _, Result};
use crate::secrets::{self, Passcode};
use crate::sessions;

/// Keys that envelopes are opened with.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeySources {
    /// A file with lines `AUTH_KEY <id> <key>`, as clients write that allow it; may be repeated
    #[arg(long, value_name = "FILE", env = "MTPROTO_KEYLOGFILE")]
    key_log: Vec<PathBuf>,
    /// A session of any library, as `chappe session show` reads it; may be repeated
    #[arg(long, value_name = "FILE|STRING")]
    session: Vec<String>,
    #[command(flatten)]
    passcode: Passcode,
}

impl KeySources {
    /// Reads all keys.
    pub(crate) fn read(&self) -> Result<Keys> {
        let mut keys = Keys::new();
        for path in &self.key_log {
            read_key_log(path, &mut keys)?;
        }
        for source in &self.session {
            for session in sessions::read(source, &self.passcode)?.sessions {
                keys.insert(session.auth_key);
            }
        }
        Ok(keys)
    }

    /// Returns the key logs, to read what is added to them.
    pub(crate) fn logs(&self) -> Vec<KeyLog> {
        self.key_log.iter().map(|path| KeyLog { path: path.clone(), len: 0 }).collect()
    }

    /// Returns the keys that are there already: a key log may be made later.
    pub(crate) fn read_so_far(&self) -> Result<Keys> {
        let key_log = self.key_log.iter().filter(|path| path.exists()).cloned().collect();
        Self { key_log, ..self.clone() }.read()
    }
}

/// A key log that grows.
#[derive(Debug)]
pub(crate) struct KeyLog {
    path: PathBuf,
    /// The length that was read.
    len: u64,
}

impl KeyLog {
    /// Adds the keys of a file that has changed. A line that is being written is read next time.
    pub(crate) fn refresh(&mut self, keys: &mut Keys) {
        let len = fs::metadata(&self.path).map_or(0, |file| file.len());
        if len != self.len && read_key_log(&self.path, keys).is_ok() {
            self.len = len;
        }
    }
}

fn read_key_log(path: &Path, keys: &mut Keys) -> Result<()> {
    let name = path.display();
    let text = secrets::read_text(path)?;
    keys.read_key_log(&text).or_blame(Blame::Input, name)?;
    Ok(())
}

/// Secrets of proxies.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Keys")]
pub(crate) struct SecretSources {
    /// A file with secrets of MTProxies, one a line: plain, dd or ee
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A secret of an MTProxy; may be repeated
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
}

impl SecretSources {
    /// Reads all secrets.
    pub(crate) fn read(&self) -> Result<Vec<ProxySecret>> {
        secrets::proxy_secrets(&self.secret, self.secret_file.as_deref())
    }
}
