//! A key store on a Redis server, over its plain protocol.
//!
//! It shows what any remote store needs: replies are bounded before they are read, a connection that broke in the middle of
//! a reply is not used again, everything has a time-out, and others can see the lock. Redis sees the keys: reach it over a
//! network that is yours, or through a tunnel, and let it sync its log (`appendfsync always`) if a state must survive a crash
//! of its machine.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use chappe_net::store::{KeyStore, MAX_STATE_LEN, Slot, StoreError, Zeroizing};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps states under `prefix:slot`, for one holder at a time.
///
/// The lock stays when a program dies without dropping the store: then remove `prefix:lock` by hand. A program that runs
/// unattended would give the lock a time to live, and renew it.
#[derive(Debug)]
pub(crate) struct RedisStore {
    address: SocketAddr,
    prefix: String,
    has_lock: bool,
    connection: Mutex<Option<BufReader<TcpStream>>>,
}

/// A reply of the server; the kinds that these commands have.
enum Reply {
    /// `OK`, or the number of keys that a command found.
    Done,
    Bulk(Zeroizing<Vec<u8>>),
    Nil,
}

impl RedisStore {
    /// Connects, and takes the lock for a holder: a name that says to people who it is.
    ///
    /// # Errors
    ///
    /// Fails with [`StoreError::InUse`] if another holder has the lock, and if the server cannot be reached.
    pub(crate) fn open(address: SocketAddr, prefix: &str, holder: &str) -> Result<Self, StoreError> {
        let connection = Mutex::new(None);
        let mut store = Self { address, prefix: prefix.to_owned(), has_lock: false, connection };
        let lock = store.lock_key();
        match store.run(&[b"SET", lock.as_bytes(), holder.as_bytes(), b"NX"])? {
            Reply::Nil => {
                let holder = store.lock_holder()?;
                Err(StoreError::InUse { store: format!("redis://{address}/{prefix}"), holder })
            }
            Reply::Done | Reply::Bulk(_) => {
                store.has_lock = true;
                Ok(store)
            }
        }
    }

    fn key(&self, slot: Slot) -> String {
        format!("{}:{slot}", self.prefix)
    }

    fn lock_key(&self) -> String {
        format!("{}:lock", self.prefix)
    }

    fn lock_holder(&self) -> Result<Option<String>, StoreError> {
        match self.run(&[b"GET", self.lock_key().as_bytes()])? {
            Reply::Bulk(name) => Ok(String::from_utf8(name.to_vec()).ok()),
            Reply::Done | Reply::Nil => Ok(None),
        }
    }

    /// Sends a command and waits for its reply.
    fn run(&self, words: &[&[u8]]) -> Result<Reply, StoreError> {
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: after an error the rest of a reply may still come, and would be taken for the next one.
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.connect().map_err(StoreError::other)?,
        };
        let reply = exchange(&mut connection, words).map_err(StoreError::other)?;
        *slot = Some(connection);
        reply.map_err(|text| StoreError::other(format!("redis says: {text}")))
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

impl KeyStore for RedisStore {
    fn load(&self, slot: Slot) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match self.run(&[b"GET", self.key(slot).as_bytes()])? {
            Reply::Bulk(state) => Ok(Some(state)),
            Reply::Done | Reply::Nil => Ok(None),
        }
    }

    fn save(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        if state.len() > MAX_STATE_LEN {
            return Err(StoreError::TooLarge { len: state.len() as u64, max: MAX_STATE_LEN });
        }
        self.run(&[b"SET", self.key(slot).as_bytes(), state]).map(drop)
    }

    fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        self.run(&[b"DEL", self.key(slot).as_bytes()]).map(drop)
    }

    fn keep_aside(&self, slot: Slot) -> Result<Option<String>, StoreError> {
        let Some(state) = self.load(slot)? else { return Ok(None) };
        for number in 1_u32.. {
            let place = format!("{}:aside-{number}", self.key(slot));
            // `NX` refuses a place that is taken.
            if !matches!(self.run(&[b"SET", place.as_bytes(), &state, b"NX"])?, Reply::Nil) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}

impl Drop for RedisStore {
    /// Gives the lock back. If the server cannot be reached the lock stays, and the next client is told which one holds it.
    fn drop(&mut self) {
        if self.has_lock {
            let _ = self.run(&[b"DEL", self.lock_key().as_bytes()]);
        }
    }
}

/// Writes a command and reads its reply. The inner error is a text of the server's.
fn exchange(connection: &mut BufReader<TcpStream>, words: &[&[u8]]) -> io::Result<Result<Reply, String>> {
    let len: usize = words.iter().map(|word| word.len() + 16).sum();
    // One block of memory from the beginning: a state in it leaves no copy behind.
    let mut command = Zeroizing::new(Vec::with_capacity(16 + len));
    write!(command, "*{}\r\n", words.len())?;
    for word in words {
        write!(command, "${}\r\n", word.len())?;
        command.extend_from_slice(word);
        command.extend_from_slice(b"\r\n");
    }
    connection.get_mut().write_all(&command)?;
    read_reply(connection)
}

fn read_reply(connection: &mut BufReader<TcpStream>) -> io::Result<Result<Reply, String>> {
    let line = read_line(connection)?;
    match line.split_at_checked(1) {
        Some(("+" | ":", _)) => Ok(Ok(Reply::Done)),
        Some(("-", text)) => Ok(Err(text.to_owned())),
        Some(("$", "-1")) => Ok(Ok(Reply::Nil)),
        Some(("$", len)) => read_bulk(connection, len).map(|state| Ok(Reply::Bulk(state))),
        _ => Err(malformed()),
    }
}

fn read_line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    const MAX_LEN: u64 = 1024;
    let mut line = String::new();
    connection.by_ref().take(MAX_LEN).read_line(&mut line)?;
    line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(malformed)
}

fn read_bulk(connection: &mut BufReader<TcpStream>, len: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let len = len.parse().ok().filter(|len| *len <= MAX_STATE_LEN).ok_or_else(malformed)?;
    let mut state = Zeroizing::new(vec![0; len]);
    connection.read_exact(&mut state)?;
    let mut end = [0; 2];
    connection.read_exact(&mut end)?;
    if end == *b"\r\n" { Ok(state) } else { Err(malformed()) }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server does not speak the protocol of Redis")
}
