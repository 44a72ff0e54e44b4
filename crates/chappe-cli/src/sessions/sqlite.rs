//! Session files that are SQLite databases, read with the program `sqlite3`.
//!
//! A database of others is hostile input: it is opened read-only, without views and triggers, and what the program prints is
//! bounded.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use chappe::import::{ImportError, ImportedSession, grammers, mtcute, pyrogram, telethon};

use super::Found;
use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// The first bytes of a database.
pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";

/// In place of the user's `.sqliterc`, which could change what is printed.
const NO_FILE: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };
/// Most bytes that a query may print: a hundred keys.
const MAX_OUTPUT: u64 = 1 << 20;
/// Most keys of a file.
const MAX_ROWS: usize = 100;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

type Row = Vec<Value>;
type Reader = fn(&Row) -> Result<ImportedSession, ImportError>;

/// Reads every key of a session file; the columns of its tables tell the library.
pub(super) fn read(path: &Path) -> Result<Found> {
    let (library, sql, reader): (_, _, Reader) = if has_column(path, "dc_option", "auth_key")? {
        ("grammers", grammers::QUERY, |row| grammers::from_row(integer(row, 0), text(row, 1), blob(row, 2)))
    } else if has_column(path, "auth_keys", "key")? {
        ("mtcute", mtcute::QUERY, |row| {
            let (dc, key, main) = (integer(row, 0), blob(row, 1), blob(row, 2));
            let dc_main = Some(main).filter(|bytes| !bytes.is_empty());
            mtcute::from_row(&mtcute::Row { dc, key, dc_main, current_user: Some(blob(row, 3)) })
        })
    } else if has_column(path, "sessions", "test_mode")? {
        ("Pyrogram", pyrogram::QUERY, |row| {
            let optional = |column| (row.get(column) != Some(&Value::Null)).then(|| integer(row, column));
            let (test_mode, user_id, is_bot) = (optional(1), optional(3), optional(4));
            let (dc_id, auth_key) = (integer(row, 0), Some(blob(row, 2)));
            pyrogram::from_row(&pyrogram::Row { dc_id, test_mode, auth_key, user_id, is_bot })
        })
    } else if has_column(path, "sessions", "server_address")? {
        ("Telethon", telethon::QUERY, |row| {
            telethon::from_row(integer(row, 0), text(row, 1), integer(row, 2), blob(row, 3))
        })
    } else {
        let name = path.display();
        return Err(Failure::input(format!("{name} has not the tables of a library that is known")));
    };
    let rows = query(path, &format!("SELECT * FROM ({sql}) LIMIT {MAX_ROWS};"))?;
    let name = path.display();
    let sessions: Result<Vec<_>, _> = rows.iter().map(reader).collect();
    let sessions = sessions.or_blame(Blame::Input, format_args!("{name} is no session of {library}"))?;
    if sessions.is_empty() {
        return Err(Failure::input(format!("{name} has no key: the session of {library} is empty")));
    }
    Ok(Found { library, sessions })
}

fn has_column(path: &Path, table: &str, column: &str) -> Result<bool> {
    let sql = format!("SELECT count(*) FROM pragma_table_info('{table}') WHERE name = '{column}';");
    Ok(query(path, &sql)?.first().is_some_and(|row| integer(row, 0) == 1))
}

/// Runs a query.
fn query(path: &Path, sql: &str) -> Result<Vec<Row>> {
    let mut command = Command::new("sqlite3");
    command.args(["-batch", "-bail", "-readonly", "-init", NO_FILE]);
    for setting in ["defensive on", "trusted_schema off", "enable_trigger off", "enable_view off"] {
        command.arg("-cmd").arg(format!(".dbconfig {setting}"));
    }
    // `.dbconfig` prints the new setting; the mark separates that from the rows.
    command.args(["-cmd", ".mode quote", "-cmd", ".print ---"]).arg(path).arg(sql);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let what = format!("{} is an SQLite database, and the program `sqlite3` does not start", path.display());
    let mut child = child.or_blame(Blame::Machine, what)?;
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(MAX_OUTPUT)
            .read_to_end(&mut printed)
            .or_blame(Blame::Machine, "cannot read from sqlite3")?;
    }
    let status = child.wait().or_blame(Blame::Machine, "sqlite3 does not end")?;
    let damaged = || Failure::input(format!("{}: sqlite3 cannot read it", path.display()));
    let printed = String::from_utf8(printed).map_err(|_| damaged())?;
    let (_, rows) = printed.split_once("---\n").filter(|_| status.success()).ok_or_else(damaged)?;
    rows_of(rows).ok_or_else(damaged)
}

/// Reads rows of SQL literals: `2,'149.154.167.51',443,X'00ff'`.
fn rows_of(text: &str) -> Option<Vec<Row>> {
    let (mut rows, mut row, mut rest) = (Vec::new(), Vec::new(), text);
    while !rest.is_empty() {
        let (value, after) = value(rest)?;
        row.push(value);
        if let Some(next) = after.strip_prefix(',') {
            rest = next;
        } else {
            rest = after.trim_start_matches('\r').strip_prefix('\n')?;
            rows.push(std::mem::take(&mut row));
        }
    }
    Some(rows)
}

fn value(text: &str) -> Option<(Value, &str)> {
    if let Some(digits) = text.strip_prefix("X'").or_else(|| text.strip_prefix("x'")) {
        let (digits, rest) = digits.split_once('\'')?;
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
        return Some((Value::Blob(digits.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?), rest));
    }
    if let Some(mut rest) = text.strip_prefix('\'') {
        let mut content = String::new();
        loop {
            let (part, after) = rest.split_once('\'')?;
            content.push_str(part);
            match after.strip_prefix('\'') {
                Some(next) => {
                    content.push('\'');
                    rest = next;
                }
                None => return Some((Value::Text(content), after)),
            }
        }
    }
    let end = text.find([',', '\n', '\r'])?;
    let (word, rest) = text.split_at(end);
    // A number with a point is no value of a session.
    Some((word.parse().map_or(Value::Null, Value::Integer), rest))
}

/// SQLite keeps any type in any column. What is of another one reads as nothing, which the importers refuse.
fn integer(row: &Row, column: usize) -> i64 {
    if let Some(Value::Integer(number)) = row.get(column) { *number } else { 0 }
}

fn text(row: &Row, column: usize) -> &str {
    if let Some(Value::Text(text)) = row.get(column) { text } else { "" }
}

fn blob(row: &Row, column: usize) -> &[u8] {
    if let Some(Value::Blob(bytes)) = row.get(column) { bytes } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::{Value, rows_of};

    #[test]
    fn rows_of_literals_are_read() {
        let rows = rows_of("2,'it''s,\n',NULL,X'00ff'\n-1,1.5,'',X''\n").expect("they are well formed");
        let first =
            vec![Value::Integer(2), Value::Text("it's,\n".into()), Value::Null, Value::Blob(vec![0, 255])];
        let second =
            vec![Value::Integer(-1), Value::Null, Value::Text(String::new()), Value::Blob(Vec::new())];
        assert_eq!(rows, [first, second]);
        for wrong in ["1", "'open\n", "X'0g'\n", "1,\n\n'", "'a'b\n"] {
            let _ = rows_of(wrong);
        }
        assert_eq!(rows_of("'open\n"), None);
        assert_eq!(rows_of("X'0g'\n"), None);
    }
}
