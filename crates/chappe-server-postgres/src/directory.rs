//! Keys in PostgreSQL.

use std::fmt;

use chappe_crypto::AuthKeyId;
use chappe_framing::UnixTime;
use chappe_server::directory::{DirectoryFuture, Found, KeyDirectory, SealedKey};
use tokio_postgres::{Config, Error, Row};
use zeroize::Zeroizing;

use crate::connection::{Argument, Connection};

/// A directory of keys in PostgreSQL, 12 or later. Clones share the connection.
///
/// The table `chappe_keys` is made if there is none, in the first schema of the search path. Its columns are those of
/// [`SealedKey`]; `expires_at` is in nanoseconds since 1970.
#[derive(Clone)]
pub struct PostgresDirectory(Connection);

/// Two processes may start at once, and `IF NOT EXISTS` alone does not keep them apart: hence the lock.
const TABLES: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(7022365302234215);
CREATE TABLE IF NOT EXISTS chappe_keys (
    id bigint PRIMARY KEY,
    permanent bigint,
    expires_at bigint,
    bytes bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS chappe_keys_permanent ON chappe_keys (permanent) WHERE permanent IS NOT NULL;
CREATE INDEX IF NOT EXISTS chappe_keys_expires_at ON chappe_keys (expires_at) WHERE expires_at IS NOT NULL;
COMMIT;
";

const LOOK_UP: &str = "
SELECT k.id, k.permanent, k.expires_at, k.bytes, p.id, p.permanent, p.expires_at, p.bytes
FROM chappe_keys k LEFT JOIN chappe_keys p ON p.id = k.permanent
WHERE k.id = $1";

/// Also removes a few keys that have ended: as many are removed as are added, so the table does not grow with them.
const INSERT: &str = "
WITH swept AS (
    DELETE FROM chappe_keys WHERE id IN (
        SELECT id FROM chappe_keys WHERE expires_at < $5 AND id <> $1 LIMIT 16 FOR UPDATE SKIP LOCKED
    )
), added AS (
    INSERT INTO chappe_keys (id, permanent, expires_at, bytes) VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO NOTHING RETURNING id
)
SELECT EXISTS (SELECT FROM added) OR EXISTS (
    SELECT FROM chappe_keys WHERE id = $1 AND permanent IS NOT DISTINCT FROM $2
        AND expires_at IS NOT DISTINCT FROM $3 AND bytes = $4
)";

const REPLACE: &str = "
WITH changed AS (
    UPDATE chappe_keys SET permanent = $2, expires_at = $3, bytes = $4
    WHERE id = $1 AND permanent IS NOT DISTINCT FROM $5 AND expires_at IS NOT DISTINCT FROM $6 AND bytes = $7
    RETURNING id
)
SELECT EXISTS (SELECT FROM changed) OR EXISTS (
    SELECT FROM chappe_keys WHERE id = $1 AND permanent IS NOT DISTINCT FROM $2
        AND expires_at IS NOT DISTINCT FROM $3 AND bytes = $4
)";

const FORGET: &str = "DELETE FROM chappe_keys WHERE id = $1";

const BOUND: &str = "SELECT id FROM chappe_keys WHERE permanent = $1";

impl PostgresDirectory {
    /// Connects without TLS, within a tokio runtime that must outlive the directory, and makes the table if there is none.
    ///
    /// # Errors
    ///
    /// The text is not a configuration of PostgreSQL, nothing answers there, or the table cannot be made.
    pub async fn connect(config: &str) -> Result<Self, Error> {
        Self::connect_to(config.parse()?).await
    }

    /// The same with a configuration.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_to(config: Config) -> Result<Self, Error> {
        let connection = Connection::open(config).await?;
        connection.batch(TABLES).await?;
        Ok(Self(connection))
    }

    /// Returns the one value of the one row of a statement.
    fn ask(&self, statement: &'static str, arguments: Vec<Argument>) -> DirectoryFuture<'_, bool> {
        Box::pin(async move {
            let rows = self.0.rows(statement, arguments).await?;
            Ok(rows.first().is_some_and(|row| row.get(0)))
        })
    }
}

impl KeyDirectory for PostgresDirectory {
    fn look_up(&self, id: AuthKeyId) -> DirectoryFuture<'_, Option<Found>> {
        Box::pin(async move {
            let rows = self.0.rows(LOOK_UP, vec![Box::new(id.to_raw())]).await?;
            Ok(rows.first().and_then(|row| {
                let (key, permanent) = (sealed(row, 0)?, sealed(row, COLUMNS));
                Some(Found { key, permanent })
            }))
        })
    }

    fn insert(&self, key: SealedKey) -> DirectoryFuture<'_, bool> {
        let mut arguments = columns(&key);
        arguments.push(Box::new(raw_time(UnixTime::now())));
        self.ask(INSERT, arguments)
    }

    fn replace(&self, expected: SealedKey, new: SealedKey) -> DirectoryFuture<'_, bool> {
        let mut arguments = columns(&new);
        arguments.extend(columns(&expected).into_iter().skip(1));
        self.ask(REPLACE, arguments)
    }

    fn forget(&self, id: AuthKeyId) -> DirectoryFuture<'_, ()> {
        Box::pin(async move { self.0.rows(FORGET, vec![Box::new(id.to_raw())]).await.map(drop) })
    }

    fn bound_to(&self, permanent: AuthKeyId) -> DirectoryFuture<'_, Vec<AuthKeyId>> {
        Box::pin(async move {
            let rows = self.0.rows(BOUND, vec![Box::new(permanent.to_raw())]).await?;
            Ok(rows.iter().map(|row| AuthKeyId::from_raw(row.get(0))).collect())
        })
    }
}

/// Columns of a key.
const COLUMNS: usize = 4;

fn columns(key: &SealedKey) -> Vec<Argument> {
    vec![
        Box::new(key.id.to_raw()),
        Box::new(key.permanent.map(AuthKeyId::to_raw)),
        Box::new(key.expires_at.map(raw_time)),
        Box::new(key.bytes.to_vec()),
    ]
}

/// Returns the key of the columns from `at` on, if they have one.
fn sealed(row: &Row, at: usize) -> Option<SealedKey> {
    let id: Option<i64> = row.get(at);
    let (permanent, expires_at): (Option<i64>, Option<i64>) = (row.get(at + 1), row.get(at + 2));
    let bytes: Option<Vec<u8>> = row.get(at + 3);
    Some(SealedKey {
        id: AuthKeyId::from_raw(id?),
        permanent: permanent.map(AuthKeyId::from_raw),
        expires_at: expires_at.map(|nanos| UnixTime::from_nanos(nanos.cast_unsigned())),
        bytes: Zeroizing::new(bytes?),
    })
}

/// Nanoseconds since 1970, which fit until the year 2262.
const fn raw_time(time: UnixTime) -> i64 {
    time.as_nanos().cast_signed()
}

impl fmt::Debug for PostgresDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDirectory").finish_non_exhaustive()
    }
}
