//! Reads the session files of other libraries that are SQLite databases.
//!
//! A database of others is hostile input to SQLite: it is opened read-only, with its schema distrusted and everything
//! bounded that can be.
#![forbid(unsafe_code)]

pub mod tdata;

use std::path::Path;

use chappe_import::{ImportError, ImportedSession, grammers, mtcute, pyrogram, telethon};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use zeroize::Zeroizing;

/// Why a file was not read.
#[derive(Debug)]
pub enum Error {
    /// SQLite could not read it.
    Sqlite(rusqlite::Error),
    /// What it holds is no session.
    Import(ImportError),
    /// No library that is known keeps its sessions in such tables.
    UnknownTables,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Import(error) => error.fmt(f),
            Self::UnknownTables => f.write_str("these are not the tables of a library that is known"),
        }
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

/// Reads every key of a session file of Telethon, Pyrogram, mtcute or grammers; the columns of its tables say whose it is.
///
/// # Errors
///
/// Fails if the file is none of these, or has no key.
pub fn read(path: &Path) -> Result<Vec<ImportedSession>, Error> {
    let database = open(path)?;
    if has_column(&database, "dc_option", "auth_key")? {
        all(&database, grammers::QUERY, |row| {
            grammers::from_row(integer(row, 0), &text(row, 1), &blob(row, 2))
        })
    } else if has_column(&database, "auth_keys", "key")? {
        all(&database, mtcute::QUERY, |row| {
            let (key, main, user) = (blob(row, 1), blob(row, 2), blob(row, 3));
            mtcute::from_row(&mtcute::Row {
                dc: integer(row, 0),
                key: &key,
                dc_main: Some(main.as_slice()).filter(|bytes| !bytes.is_empty()),
                current_user: Some(user.as_slice()),
            })
        })
    } else if has_column(&database, "sessions", "test_mode")? {
        all(&database, pyrogram::QUERY, |row| {
            let optional = |column| row.get::<_, Option<i64>>(column).ok().flatten();
            pyrogram::from_row(&pyrogram::Row {
                dc_id: integer(row, 0),
                test_mode: optional(1),
                auth_key: Some(&blob(row, 2)),
                user_id: optional(3),
                is_bot: optional(4),
            })
        })
    } else if has_column(&database, "sessions", "server_address")? {
        all(&database, telethon::QUERY, |row| {
            telethon::from_row(integer(row, 0), &text(row, 1), integer(row, 2), &blob(row, 3))
        })
    } else {
        Err(Error::UnknownTables)
    }
}

fn open(path: &Path) -> Result<Connection, Error> {
    let database = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    database.set_limit(Limit::SQLITE_LIMIT_LENGTH, 1 << 20)?;
    database.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    Ok(database)
}

fn has_column(database: &Connection, table: &str, column: &str) -> Result<bool, Error> {
    const QUERY: &str = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
    Ok(database.query_row(QUERY, (table, column), |row| row.get::<_, i64>(0))? == 1)
}

fn all(
    database: &Connection,
    query: &str,
    read: impl Fn(&Row<'_>) -> Result<ImportedSession, ImportError>,
) -> Result<Vec<ImportedSession>, Error> {
    const MAX_ROWS: usize = 100;
    let mut statement = database.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        if sessions.len() == MAX_ROWS {
            return Err(ImportError::Malformed { what: "number of rows" }.into());
        }
        sessions.push(read(row)?);
    }
    if sessions.is_empty() { Err(ImportError::NoKey.into()) } else { Ok(sessions) }
}

/// SQLite keeps any type in any column. What is of another one reads as nothing, which the importers refuse.
fn integer(row: &Row<'_>, column: usize) -> i64 {
    row.get(column).unwrap_or_default()
}

fn text(row: &Row<'_>, column: usize) -> String {
    row.get(column).unwrap_or_default()
}

fn blob(row: &Row<'_>, column: usize) -> Zeroizing<Vec<u8>> {
    match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes)) => Zeroizing::new(bytes.to_vec()),
        _ => Zeroizing::default(),
    }
}
