//! The folder that keeps the keys of `chappe serve` from run to run.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chappe::crypto::hash::hmac_sha256;
use chappe::crypto::rand_core::Rng as _;
use chappe::crypto::rng::Drbg;
use chappe::loopback::Loopback;
use chappe::server::KeyStatus;
use chappe::server::directory::{Directory, FileDirectory, KeySealer};
use zeroize::Zeroizing;

use super::{generate, read_private_key};
use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// The server's RSA key.
const PRIVATE_KEY: &str = "private.pem";
/// Its public half, for clients.
const PUBLIC_KEY: &str = "public.pem";
/// The keys of clients.
const DIRECTORY: &str = "keys.redb";
/// What seals them, and what salts are derived from: 32 bytes.
const SECRET: &str = "secret.bin";
/// The permanent keys of clients once more, as a key log for `chappe decrypt`: `AUTH_KEY <id> <key>`, both in hexadecimal.
const KEY_LOG: &str = "auth_keys.log";

/// A folder of keys.
pub(super) struct Folder {
    path: PathBuf,
    /// The ids of the keys in the key log.
    logged: HashSet<String>,
    /// The last line of the key log has no end.
    is_torn: bool,
}

impl Folder {
    /// Opens a folder, and makes it if there is none.
    pub(super) fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)
            .or_blame(Blame::Machine, format_args!("cannot make the folder {}", path.display()))?;
        let log = match fs::read_to_string(path.join(KEY_LOG)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            log => log.or_blame(Blame::Machine, format_args!("cannot read {}", path.join(KEY_LOG).display())),
        };
        let log = Zeroizing::new(log?);
        let is_torn = !log.is_empty() && !log.ends_with('\n');
        let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let logged = whole.filter_map(|line| line.split(' ').nth(1).map(str::to_owned)).collect();
        Ok(Self { path: path.to_owned(), logged, is_torn })
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

    /// Opens the directory of the keys of clients. Returns it with the secret of the salts.
    pub(super) fn directory(&self) -> Result<(Directory, [u8; 32])> {
        let (secret, path) = (self.secret()?, self.path.join(DIRECTORY));
        // Created here, readable for its owner only: `FileDirectory` would create it with the default permissions.
        secret_options()
            .append(true)
            .open(&path)
            .or_blame(Blame::Machine, format_args!("cannot open {}", path.display()))?;
        let file = FileDirectory::open(&path)
            .or_blame(Blame::Machine, format_args!("cannot open {}", path.display()))?;
        let salt_secret = hmac_sha256(&secret[..], &[b"chappe serve: salts"]);
        Ok((Directory::new(Arc::new(file), KeySealer::new(&secret)), salt_secret))
    }

    /// Returns the secret, which is made in the first run.
    fn secret(&self) -> Result<Zeroizing<[u8; 32]>> {
        let path = self.path.join(SECRET);
        match fs::read(&path).map(Zeroizing::new) {
            Ok(bytes) => <[u8; 32]>::try_from(&bytes[..])
                .map(Zeroizing::new)
                .map_err(|_| Failure::input(format!("{} has {} bytes, not 32", path.display(), bytes.len()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut secret = Zeroizing::new([0; 32]);
                let rng = Drbg::from_os().or_blame(Blame::Machine, "the system gives no randomness");
                rng?.fill_bytes(&mut secret[..]);
                write_secret(&path, &secret[..])?;
                Ok(secret)
            }
            Err(error) => Err(error).or_blame(Blame::Machine, format_args!("cannot read {}", path.display())),
        }
    }

    /// Adds the permanent keys of clients to the key log that are not in it.
    pub(super) fn log(&mut self, server: &Loopback) -> Result<()> {
        for state in server.engine().keys() {
            let id = state.auth_key().id().to_string();
            if state.kind() != KeyStatus::Permanent || self.logged.contains(&id) {
                continue;
            }
            let path = self.path.join(KEY_LOG);
            let log = secret_options().append(true).open(&path);
            log.and_then(|mut log| {
                // An earlier run may have ended within a line.
                log.write_all(if self.is_torn { b"\n" } else { b"" })?;
                self.is_torn = true;
                log.write_all(state.auth_key().to_key_log_line().as_bytes())?;
                log.write_all(b"\n")
            })
            .or_blame(Blame::Machine, format_args!("cannot write {}", path.display()))?;
            self.is_torn = false;
            self.logged.insert(id);
        }
        Ok(())
    }
}

/// Replaces a file that only its owner may read, in one step.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let write = || {
        secret_options().write(true).truncate(true).open(&new)?.write_all(bytes)?;
        fs::rename(&new, path)
    };
    write().or_blame(Blame::Machine, format_args!("cannot write {}", path.display()))
}

/// Makes files that only their owner may read.
fn secret_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chappe::loopback::Options;
    use chappe::net::blocking;
    use chappe::net::store::MemoryStore;

    use super::*;

    /// A folder for one test.
    struct Temporary(PathBuf);

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Opens the directory, once the threads of the server before have let go of it.
    fn directory(folder: &Folder) -> (Directory, [u8; 32]) {
        const DEADLINE: Duration = Duration::from_secs(60);
        let began_at = Instant::now();
        loop {
            match folder.directory() {
                Ok(directory) => return directory,
                Err(error) => assert!(began_at.elapsed() < DEADLINE, "{error:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn keys_and_salts_outlive_the_server_and_each_key_is_logged_once() {
        let path = std::env::temp_dir().join(format!("chappe-serve-{}", std::process::id()));
        let (path, _remover) = (path.clone(), Temporary(path));
        let private_key = generate().expect("randomness");
        let start = |folder: &Folder| {
            let (directory, salt_secret) = directory(folder);
            let options = Options::new().private_key(private_key.clone()).directory(directory, salt_secret);
            (options.start().expect("a free port"), salt_secret)
        };
        let mut folder = Folder::open(&path).expect("a folder");
        let (server, first_secret) = start(&folder);
        let store = Arc::new(MemoryStore::new());
        let connect =
            |server: &Loopback| blocking::connect(server.connect_options().with_store(store.clone()));
        let client = connect(&server).expect("it serves");
        folder.log(&server).expect("the disk has room");
        drop((client, server));
        let log = fs::read_to_string(path.join(KEY_LOG)).expect("it was written");
        fs::write(path.join(KEY_LOG), log.trim_end()).expect("the disk has room");

        let mut folder = Folder::open(&path).expect("a folder");
        let (server, salt_secret) = start(&folder);
        assert_eq!(salt_secret, first_secret);
        let client = connect(&server).expect("it serves");
        assert_eq!(server.engine().metrics().permanent_keys_made, 0, "the client kept its key");
        folder.log(&server).expect("the disk has room");
        drop(client);
        let again = fs::read_to_string(path.join(KEY_LOG)).expect("it was written");
        assert_eq!(again, format!("{}\n{log}", log.trim_end()), "a torn line is followed by a whole one");
        folder.log(&server).expect("the disk has room");
        let once = fs::read_to_string(path.join(KEY_LOG)).expect("it was written");
        assert_eq!(once, again, "each key is logged once");
    }
}
