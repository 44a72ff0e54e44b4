//! The folder that keeps the keys of `chappe serve` from run to run.

use std::collections::HashSet;
use std::fmt::Write as _;
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
}

impl Folder {
    /// Opens a folder, and makes it if there is none.
    pub(super) fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)
            .or_blame(Blame::Machine, format_args!("cannot make the folder {}", path.display()))?;
        let log = fs::read_to_string(path.join(KEY_LOG)).unwrap_or_default();
        let logged = log.lines().filter_map(|line| line.split(' ').nth(1).map(str::to_owned)).collect();
        Ok(Self { path: path.to_owned(), logged })
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
        // The file would be made for everybody to read.
        secret_options()
            .append(true)
            .open(&path)
            .or_blame(Blame::Machine, format_args!("cannot open {}", path.display()))?;
        let file = FileDirectory::open(&path)
            .or_blame(Blame::Machine, format_args!("cannot open {}", path.display()))?;
        let salt_secret = hmac_sha256(&secret, &[b"chappe serve: salts"]);
        Ok((Directory::new(Arc::new(file), KeySealer::new(&secret)), salt_secret))
    }

    /// Returns the secret, which is made in the first run.
    fn secret(&self) -> Result<[u8; 32]> {
        let path = self.path.join(SECRET);
        match fs::read(&path) {
            Ok(bytes) => bytes.try_into().map_err(|bytes: Vec<u8>| {
                Failure::input(format!("{} has {} bytes, not 32", path.display(), bytes.len()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut secret = [0; 32];
                let rng = Drbg::from_os().or_blame(Blame::Machine, "the system gives no randomness");
                rng?.fill_bytes(&mut secret);
                write_secret(&path, &secret)?;
                Ok(secret)
            }
            Err(error) => Err(error).or_blame(Blame::Machine, format_args!("cannot read {}", path.display())),
        }
    }

    /// Adds the permanent keys of clients to the key log that are not in it.
    pub(super) fn log(&mut self, server: &Loopback) -> Result<()> {
        let mut lines = String::new();
        for state in server.engine().keys() {
            let (key, id) = (state.auth_key(), hex(state.auth_key().id().as_bytes()));
            if state.kind() == KeyStatus::Permanent && !self.logged.contains(&id) {
                let _ = writeln!(lines, "AUTH_KEY {id} {}", hex(key.as_bytes()));
                self.logged.insert(id);
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.path.join(KEY_LOG);
        let log = secret_options().append(true).open(&path);
        log.and_then(|mut log| log.write_all(lines.as_bytes()))
            .or_blame(Blame::Machine, format_args!("cannot write {}", path.display()))
    }
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

        let mut folder = Folder::open(&path).expect("a folder");
        let (server, salt_secret) = start(&folder);
        assert_eq!(salt_secret, first_secret);
        let client = connect(&server).expect("it serves");
        assert_eq!(server.engine().metrics().permanent_keys_made, 0, "the client kept its key");
        folder.log(&server).expect("the disk has room");
        drop(client);
        let log = fs::read_to_string(path.join(KEY_LOG)).expect("it was written");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
}
