//! `chappe session show`.

use std::fmt::Write as _;
use std::io::{self, Write};

use chappe::authentication::Environment;
use chappe::import::ImportedSession;
use chappe::net::Address;
use serde::Serialize;

use crate::failure::{Result, Status};
use crate::output::{Cell, NAME, Output, Report, Table};
use crate::secrets::Passcode;
use crate::sessions;

/// Shows the library, the datacenters, the ids of the keys and the user of a session
///
/// It reads session strings of Telethon, Pyrogram, GramJS and mtcute, their files (with the program `sqlite3`), key stores
/// of chappe, and the files of Telegram Desktop (the folder tdata), Telegram for Android (tgnet.dat), Telegram Web (the
/// local storage as JSON), TDLib (td.binlog), gotd, WTelegramClient (WTelegram.session) and grammers.
#[derive(clap::Args)]
pub(crate) struct Show {
    /// A file, a folder, a session string, or `-` for a string on standard input
    #[arg(value_name = "FILE|STRING")]
    source: String,
    #[command(flatten)]
    passcode: Passcode,
}

/// What a session holds.
#[derive(Serialize)]
struct Shown {
    library: &'static str,
    keys: Vec<Row>,
}

/// A key of a datacenter.
#[derive(Serialize)]
struct Row {
    dc: u16,
    /// `null` where the library does not record it.
    test: Option<bool>,
    server: Option<String>,
    auth_key_id: String,
    auth_key: String,
    user_id: Option<i64>,
    is_bot: Option<bool>,
    api_id: Option<i32>,
}

impl Show {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let found = sessions::read(&self.source, &self.passcode)?;
        let keys = found.sessions.iter().map(|session| Row::new(session, output)).collect();
        output.report(&Shown { library: found.library, keys })?;
        Ok(Status::Done)
    }
}

impl Row {
    fn new(session: &ImportedSession, output: &Output) -> Self {
        let hex = session.auth_key.as_bytes().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self {
            dc: session.dc,
            test: session.environment.map(|environment| environment == Environment::Test),
            server: session.server.as_ref().map(|server| Address::of(&server.host, server.port).to_string()),
            auth_key_id: session.auth_key.id().to_string(),
            auth_key: output.secret(hex),
            user_id: session.user.map(|user| user.id),
            is_bot: session.user.map(|user| user.is_bot),
            api_id: session.api_id,
        }
    }
}

impl Report for Shown {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{NAME}library{NAME:#}  {}", self.library)?;
        let user = self.keys.iter().find_map(|key| key.user_id.map(|id| (id, key.is_bot)));
        if let Some((id, is_bot)) = user {
            writeln!(
                out,
                "{NAME}user{NAME:#}     {id}{}",
                if is_bot == Some(true) { ", a bot" } else { "" }
            )?;
        }
        if let Some(api_id) = self.keys.iter().find_map(|key| key.api_id) {
            writeln!(out, "{NAME}api_id{NAME:#}   {api_id}")?;
        }
        let mut table = Table::new(&["dc", "environment", "server", "auth_key_id", "auth_key"]);
        for key in &self.keys {
            let environment = match key.test {
                Some(true) => "test",
                Some(false) => "production",
                None => "not recorded",
            };
            table.row([
                Cell::right(key.dc.to_string()),
                Cell::new(environment),
                Cell::new(key.server.as_deref().unwrap_or("not recorded")),
                Cell::new(&key.auth_key_id),
                Cell::new(&key.auth_key),
            ]);
        }
        table.write(out)
    }
}
