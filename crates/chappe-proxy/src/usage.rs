//! The bytes of users, kept over a restart.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::ConfigError;

/// Bytes of each user, from and to clients.
pub(crate) type Usage = HashMap<String, [u64; 2]>;

/// Reads the file. One that does not exist yet is empty.
pub(crate) fn load(path: &Path) -> Result<Usage, ConfigError> {
    let failed = |error| ConfigError::File { path: path.into(), error };
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Usage::new()),
        read => read.map_err(failed)?,
    };
    toml::from_str(&text)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error.message().to_owned())))
}

/// Replaces the file, so that a crash leaves the old one or the new one.
pub(crate) fn save(path: &Path, usage: &Usage) -> io::Result<()> {
    let mut text = String::from("# Bytes of each user, from and to clients. Written by the proxy.\n");
    let mut names: Vec<_> = usage.iter().collect();
    names.sort_unstable();
    for (name, [up, down]) in names {
        // TOML has no larger integers.
        let [up, down] = [up, down].map(|bytes| (*bytes).min(i64::MAX as u64));
        let _ = writeln!(text, "\"{name}\" = [{up}, {down}]");
    }
    let mut new = PathBuf::from(path).into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_can_be_loaded() {
        let path = std::env::temp_dir().join(format!("chappe-proxy-usage-{}.toml", std::process::id()));
        assert_eq!(load(&path).expect("there is none yet"), Usage::new());
        let usage = Usage::from([("a.b".into(), [1, 2]), ("c".into(), [0, u64::MAX])]);
        save(&path, &usage).expect("it can be written");
        let loaded = load(&path).expect("it was written");
        assert_eq!((loaded["a.b"], loaded["c"]), ([1, 2], [0, i64::MAX as u64]));
        fs::write(&path, "nonsense").expect("it can be written");
        assert!(matches!(load(&path), Err(ConfigError::File { .. })));
        fs::remove_file(&path).expect("it is there");
    }
}
