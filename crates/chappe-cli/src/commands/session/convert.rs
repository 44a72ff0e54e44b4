//! `chappe session convert`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use chappe::authentication::Environment;
use chappe::import::{ExportError, ImportedSession, ServerAddress, User, gramjs, mtcute, pyrogram, telethon};
use chappe::net::store::{KeyStore as _, Slot};
use chappe::net::{Address, ConnectOptions};
use clap::ValueEnum;
use serde::Serialize;

use crate::failure::{Blame, Failure, OrBlame as _, Result, Status};
use crate::output::{Output, Report, count};
use crate::secrets::Passcode;
use crate::sessions;

/// Writes a session in the form of another library
///
/// The string goes into a file that only its owner may read; with --show-secrets and without --output it is printed.
///
/// For example: `chappe session convert my.session --to pyrogram --output string.txt`.
#[derive(clap::Args)]
pub(crate) struct Convert {
    /// A file, a folder, a session string, or `-` for a string on standard input
    #[arg(value_name = "FILE|STRING")]
    source: String,
    #[command(flatten)]
    destination: Destination,
    /// The user that is logged in, where the session does not record it and the other library wants it
    #[arg(long, value_name = "ID")]
    user_id: Option<i64>,
    /// That user is a bot
    #[arg(long, requires = "user_id")]
    bot: bool,
    /// The session is of the test environment, where it does not record that
    #[arg(long)]
    test: bool,
    #[command(flatten)]
    passcode: Passcode,
}

/// Where a session is written to.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Destination {
    /// The library to write for; `chappe` is a folder that keeps a key for each datacenter
    #[arg(long, value_enum, value_name = "LIBRARY", default_value = "chappe")]
    to: Library,
    /// The file for the session string, or the folder of `--to chappe`
    #[arg(short, long, value_name = "FILE|FOLDER")]
    output: Option<PathBuf>,
}

/// A library that a session can be written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Library {
    Chappe,
    Telethon,
    Pyrogram,
    #[value(name = "gramjs")]
    GramJs,
    Mtcute,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    library: String,
    /// `null` if the string was printed.
    file: Option<PathBuf>,
    /// Only with `--show-secrets`, if there is no file.
    string: Option<String>,
    keys: usize,
}

impl Convert {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        self.destination.check(output)?;
        let mut found = sessions::read(&self.source, &self.passcode)?;
        for session in &mut found.sessions {
            if let Some(id) = self.user_id {
                session.user = Some(User { id, is_bot: self.bot });
            }
            if self.test {
                session.environment = Some(Environment::Test);
            }
        }
        self.destination.write(&found.sessions, output)?;
        Ok(Status::Done)
    }
}

impl Destination {
    /// Checks that the destination is complete, before anything is done.
    pub(crate) fn check(&self, output: &Output) -> Result<()> {
        match (&self.output, self.to) {
            (Some(_), _) => Ok(()),
            (None, Library::Chappe) => {
                Err(Failure::input("--to chappe writes a folder: give it by --output"))
            }
            (None, _) if output.shows_secrets() => Ok(()),
            (None, _) => {
                let problem =
                    "the session string is a secret: give --output FILE, or --show-secrets to print it";
                Err(Failure::input(problem))
            }
        }
    }

    /// Writes sessions, the account's own first, and reports it.
    pub(crate) fn write(&self, sessions: &[ImportedSession], output: &mut Output) -> Result<()> {
        let session = sessions.first().ok_or_else(|| Failure::input("the session has no key"))?;
        let (string, keys) = match self.to {
            Library::Chappe => {
                self.store(sessions)?;
                (None, sessions.len())
            }
            library => {
                let string =
                    library.string(&with_server(session)).map_err(|error| explain(library, error))?;
                if let Some(path) = &self.output {
                    write_secret(path, &string)?;
                }
                (Some(string).filter(|_| self.output.is_none()), 1)
            }
        };
        output.report(&Written { library: self.to.name(), file: self.output.clone(), string, keys })
    }

    fn store(&self, sessions: &[ImportedSession]) -> Result<()> {
        let Some(folder) = &self.output else { return Ok(()) };
        let store = sessions::open_store(folder)?;
        for session in sessions {
            let slot = Slot::of(session.datacenter(Environment::Production));
            let known = store.load(slot).or_blame(Blame::Machine, format_args!("cannot read {slot}"))?;
            if known.is_some() {
                let folder = folder.display();
                return Err(Failure::input(format!("{folder} has a key for {slot} already")));
            }
            store
                .save(slot, &session.to_state())
                .or_blame(Blame::Machine, format_args!("cannot write {slot}"))?;
        }
        Ok(())
    }
}

impl Library {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn string(self, session: &ImportedSession) -> Result<String, ExportError> {
        let string = match self {
            Self::Telethon => telethon::to_string(session),
            Self::Pyrogram => pyrogram::to_string(session),
            Self::GramJs => gramjs::to_string(session),
            Self::Mtcute | Self::Chappe => mtcute::to_string(session),
        };
        string.map(|string| string.to_string())
    }
}

/// Says what the user can add.
fn explain(library: Library, error: ExportError) -> Failure {
    let hint = if error == ExportError::NoUser { ": give it by --user-id" } else { "" };
    Failure::input(format!("a string of {} cannot be written: {error}{hint}", library.name()))
}

/// Adds the address of a public datacenter, where the session does not record it.
fn with_server(session: &ImportedSession) -> ImportedSession {
    let mut session = session.clone();
    if session.server.is_none() {
        let known = match session.environment {
            Some(Environment::Test) => ConnectOptions::test(session.dc),
            _ => ConnectOptions::production(session.dc),
        };
        session.server = known.candidates.iter().find_map(|candidate| match candidate.address {
            Address::Socket(address) => {
                Some(ServerAddress { host: address.ip().to_string(), port: address.port() })
            }
            _ => None,
        });
    }
    session
}

/// Writes a file that only its owner may read, and that is not there yet.
fn write_secret(path: &PathBuf, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| writeln!(file, "{text}"));
    written.or_blame(Blame::Machine, format_args!("cannot write {}", path.display()))
}

impl Report for Written {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match (&self.string, &self.file) {
            (Some(string), _) => writeln!(out, "{string}"),
            (None, Some(file)) => {
                writeln!(out, "wrote {} for {} to {}", count(self.keys, "key"), self.library, file.display())
            }
            (None, None) => Ok(()),
        }
    }
}
