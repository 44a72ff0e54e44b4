//! What a server needs of a store of keys.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::error::Error;
use std::sync::Arc;

use chappe_crypto::AuthKeyId;
use chappe_framing::UnixTime;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A request to a directory.
pub type DirectoryFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, DirectoryError>> + Send + 'a>>;

/// Keeps the keys of a server, sealed.
///
/// Several processes may share a directory. Every method must be atomic towards the others, and a change must be durable
/// when its future returns. A future may be dropped at any time; the change has happened then or not.
///
/// Any executor may poll the futures. An implementation over an asynchronous runtime therefore does its I/O in tasks of
/// that runtime. It should give up after some seconds: connections wait for its answers.
///
/// All changes can be repeated. A caller that lost the answer asks again, and is told what it would have been told the
/// first time.
pub trait KeyDirectory: Send + Sync + 'static {
    /// Looks up a key, in one round trip. For a bound key it also finds the permanent key. Keys that have ended may be
    /// found or not.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    fn look_up(&self, id: AuthKeyId) -> DirectoryFuture<'_, Option<Found>>;

    /// Adds a key. Returns whether the directory has this key now: `false` means that it has another one of this id, which
    /// stays.
    ///
    /// # Errors
    ///
    /// The store cannot be reached; the key may have been added.
    fn insert(&self, key: SealedKey) -> DirectoryFuture<'_, bool>;

    /// Replaces a key if the directory has exactly `expected` (compare and set). Returns whether the directory has `new` now. Binding a
    /// temporary key is such a change.
    ///
    /// # Errors
    ///
    /// The store cannot be reached; the key may have been replaced.
    fn replace(&self, expected: SealedKey, new: SealedKey) -> DirectoryFuture<'_, bool>;

    /// Removes a key. Temporary keys that are bound to it stay until they end, and cannot be used meanwhile.
    ///
    /// # Errors
    ///
    /// The store cannot be reached; the key may have been removed.
    fn forget(&self, id: AuthKeyId) -> DirectoryFuture<'_, ()>;

    /// Returns the temporary keys that are bound to a permanent key, in no order.
    ///
    /// # Errors
    ///
    /// The store cannot be reached.
    fn bound_to(&self, permanent: AuthKeyId) -> DirectoryFuture<'_, Vec<AuthKeyId>>;
}

/// A key as a directory keeps it. Two keys are equal if all of their fields are; the bytes are compared in constant time.
#[derive(Clone)]
pub struct SealedKey {
    /// The key's id.
    pub id: AuthKeyId,
    /// The permanent key that it is bound to.
    pub permanent: Option<AuthKeyId>,
    /// When the directory may drop it. `None` keeps it until it is forgotten.
    pub expires_at: Option<UnixTime>,
    /// What [`KeySealer`](super::KeySealer) made of the key: some 300 bytes. Without a sealing key they hold the `auth_key`
    /// itself.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// What a directory found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The key.
    pub key: SealedKey,
    /// The permanent key that it is bound to; `None` if it is not bound, or if that key is gone.
    pub permanent: Option<SealedKey>,
}

/// Why a directory does not answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The store cannot be reached, or failed. Trying again later may help.
    Unavailable(Arc<dyn Error + Send + Sync>),
    /// What is stored for a key cannot be read: it was sealed with another key, or changed.
    Unreadable {
        /// The key's id.
        id: AuthKeyId,
    },
    /// The server has no worker that asks the directory, or is about to end.
    Stopped,
}

impl DirectoryError {
    /// Makes an error of a store.
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(error.into()))
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(_) => f.write_str("the directory is unavailable"),
            Self::Unreadable { id } => {
                write!(f, "what the directory stores for key {id} was sealed with another key, or changed")
            }
            Self::Stopped => f.write_str("no worker asks the directory"),
        }
    }
}

impl Error for DirectoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable(error) => Some(&**error),
            Self::Unreadable { .. } | Self::Stopped => None,
        }
    }
}

impl PartialEq for SealedKey {
    fn eq(&self, other: &Self) -> bool {
        // Without a sealing key the bytes hold an `auth_key`: the time must not tell how many of them are equal.
        let is_same_key = self.bytes.ct_eq(&other.bytes);
        let is_same_row =
            (self.id, self.permanent, self.expires_at) == (other.id, other.permanent, other.expires_at);
        is_same_row & bool::from(is_same_key)
    }
}

impl Eq for SealedKey {}

impl fmt::Debug for SealedKey {
    /// Omits the bytes: they may hold the key (`SEC-05`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey")
            .field("id", &self.id)
            .field("permanent", &self.permanent)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
