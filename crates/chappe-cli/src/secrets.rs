//! Secrets that the user types or keeps in a file, so that they need not stand on the command line.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use chappe::transport::ProxySecret;
use console::Term;
use zeroize::Zeroizing;

use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// The environment variable with the passcode of a session.
const PASSCODE: &str = "CHAPPE_PASSCODE";

/// Where the passcode of a locked session comes from: a file, the environment, or the terminal.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Passcode {
    /// A file with the passcode of a locked session; else it is CHAPPE_PASSCODE, or asked for
    #[arg(long, value_name = "FILE")]
    passcode_file: Option<PathBuf>,
}

impl Passcode {
    /// Returns the passcode of the file or of the environment; without either it is empty.
    pub(crate) fn given(&self) -> Result<Zeroizing<String>> {
        match &self.passcode_file {
            Some(path) => first_line(path),
            None => Ok(env::var(PASSCODE).unwrap_or_default().into()),
        }
    }

    /// Returns the passcode that is given, or asks for it.
    pub(crate) fn ask(&self, what: &str) -> Result<Zeroizing<String>> {
        let given = self.given()?;
        if given.is_empty() { prompt(what, &format!("--passcode-file or {PASSCODE}")) } else { Ok(given) }
    }
}

/// Reads a file with secrets. The text is wiped when it is dropped.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>> {
    let name = path.display();
    let text = fs::read_to_string(path).or_blame(Blame::Input, format_args!("cannot read {name}"))?;
    Ok(Zeroizing::new(text))
}

/// Returns the first line of a file with a secret.
pub(crate) fn first_line(path: &Path) -> Result<Zeroizing<String>> {
    let text = read_text(path)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Reads secrets of MTProxies: those that are given, and those of a file with one in each line.
pub(crate) fn proxy_secrets(given: &[String], file: Option<&Path>) -> Result<Vec<ProxySecret>> {
    let text = file.map(read_text).transpose()?.unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let parse =
        |text| ProxySecret::parse(text).or_blame(Blame::Input, "a secret of an MTProxy cannot be read");
    given.iter().map(String::as_str).chain(lines).map(parse).collect()
}

/// Asks for a secret, which the terminal does not show. `otherwise` is where it can come from instead.
pub(crate) fn prompt(what: &str, otherwise: &str) -> Result<Zeroizing<String>> {
    ask(what, otherwise, Term::read_secure_line)
}

/// Asks for something that is no secret.
pub(crate) fn question(what: &str, otherwise: &str) -> Result<Zeroizing<String>> {
    ask(what, otherwise, Term::read_line)
}

/// Asks on the terminal; without one, reads a line of standard input, for scripts.
fn ask(
    what: &str,
    otherwise: &str,
    read: impl FnOnce(&Term) -> io::Result<String>,
) -> Result<Zeroizing<String>> {
    let mut terminal = Term::stderr();
    let mut answer = Zeroizing::new(String::new());
    if io::stdin().is_terminal() {
        let asked = write!(terminal, "{what}: ").and_then(|()| read(&terminal));
        answer = Zeroizing::new(asked.or_blame(Blame::Machine, format_args!("cannot ask for the {what}"))?);
    } else {
        io::stdin().read_line(&mut answer).or_blame(Blame::Machine, "cannot read standard input")?;
    }
    let answer = answer.trim_end_matches(['\r', '\n']);
    if answer.is_empty() {
        return Err(Failure::input(format!("the {what} is needed: type it, or give it by {otherwise}")));
    }
    Ok(Zeroizing::new(answer.to_owned()))
}
