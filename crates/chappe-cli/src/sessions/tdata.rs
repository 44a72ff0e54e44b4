//! The folder `tdata` of Telegram Desktop.

use std::path::Path;
use std::{fs, io};

use chappe::import::tdata::{ENDINGS, Folder, KEY_FILE, LEGACY_KEY_FILE, account_file};
use chappe::import::{ImportError, ImportedSession};

use super::Found;
use crate::failure::{Blame, Failure, OrBlame as _, Result};
use crate::secrets::Passcode;

/// Longest file that is read, in bytes.
const MAX_LEN: u64 = 4 << 20;

/// Returns whether a folder has the files of Telegram Desktop.
pub(super) fn is_folder(folder: &Path) -> bool {
    [KEY_FILE, LEGACY_KEY_FILE].iter().any(|name| newest(folder, name).is_ok())
}

/// Reads the keys of all accounts.
pub(super) fn read(folder: &Path, passcode: &Passcode) -> Result<Found> {
    let name = folder.display();
    let given = passcode.given()?;
    let unlocked = match unlock(folder, &given)? {
        Err(ImportError::Locked) => unlock(folder, &passcode.ask("passcode of Telegram Desktop")?)?,
        other => other,
    };
    let unlocked = unlocked.or_blame(Blame::Input, format_args!("cannot unlock {name}"))?;
    let mut sessions: Vec<ImportedSession> = Vec::new();
    for index in unlocked.accounts() {
        let file = account_file(*index);
        let bytes =
            newest(folder, &file).or_blame(Blame::Input, format_args!("cannot read {file} in {name}"))?;
        let account = unlocked.account(&bytes);
        sessions.extend(account.or_blame(Blame::Input, format_args!("account {index} of {name}"))?);
    }
    if sessions.is_empty() {
        return Err(Failure::input(format!("{name} has no account")));
    }
    Ok(Found { library: "Telegram Desktop", sessions })
}

fn unlock(folder: &Path, passcode: &str) -> Result<Result<Folder, ImportError>> {
    if let Ok(file) = newest(folder, KEY_FILE) {
        return Ok(Folder::unlock(&file, passcode));
    }
    let file = newest(folder, LEGACY_KEY_FILE)
        .or_blame(Blame::Input, format_args!("cannot read {LEGACY_KEY_FILE} in {}", folder.display()))?;
    Ok(Folder::unlock_legacy(&file, passcode))
}

/// Reads a file: that which ends in `s`, otherwise the newer one of the two others.
fn newest(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let paths = ENDINGS.map(|ending| folder.join(format!("{name}{ending}")));
    let [safe, others @ ..] = &paths;
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let newest = others.iter().max_by_key(|path| modified(path)).unwrap_or(safe);
    let path = if safe.exists() { safe } else { newest };
    if fs::metadata(path)?.len() > MAX_LEN {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long for a file of tdata"));
    }
    fs::read(path)
}
