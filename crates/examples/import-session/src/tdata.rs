//! The folder `tdata` of Telegram Desktop.

use std::error::Error;
use std::path::Path;
use std::{fs, io};

use chappe_import::{ImportedSession, tdata};

/// Longest file that is read.
const MAX_LEN: u64 = 4 << 20;

/// Reads the keys of all accounts, each with its index.
///
/// # Errors
///
/// Fails if it is no such folder, or the passcode is another one.
pub fn read(folder: &Path, passcode: &str) -> Result<Vec<(u32, Vec<ImportedSession>)>, Box<dyn Error>> {
    let unlocked = match newest(folder, tdata::KEY_FILE) {
        Ok(file) => tdata::Folder::unlock(&file, passcode)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tdata::Folder::unlock_legacy(&newest(folder, tdata::LEGACY_KEY_FILE)?, passcode)?
        }
        Err(error) => return Err(error.into()),
    };
    let mut accounts = Vec::new();
    for index in unlocked.accounts() {
        accounts.push((*index, unlocked.account(&newest(folder, &tdata::account_file(*index))?)?));
    }
    Ok(accounts)
}

/// Reads a file: that which ends in `s`, otherwise the newer one of the two others.
fn newest(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let paths = tdata::ENDINGS.map(|ending| folder.join(format!("{name}{ending}")));
    let [safe, others @ ..] = &paths;
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let newest = others.iter().max_by_key(|path| modified(path)).unwrap_or(safe);
    let path = if safe.exists() { safe } else { newest };
    if fs::metadata(path)?.len() > MAX_LEN {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long for a file of tdata"));
    }
    fs::read(path)
}
