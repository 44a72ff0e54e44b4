//! What commands print: a report as text or as JSON, warnings and progress on a terminal, and the line of a failure.

mod style;
mod table;
mod units;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use clap::ColorChoice;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::args::Global;
use crate::failure::{Blame, Failure, OrBlame as _, Result};

pub(crate) use style::{BAD, DIM, GOOD, NAME, WARN};
pub(crate) use table::{Cell, Table};
pub(crate) use units::{bytes, count, duration, maybe_milliseconds, milliseconds, rate};

/// What a command tells: `Serialize` is its JSON, `text` its text.
pub(crate) trait Report: Serialize {
    /// Writes the text. Colours are written always; the stream removes them where they do not belong.
    fn text(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// Where and how a command prints.
pub(crate) struct Output {
    is_json: bool,
    shows_secrets: bool,
    out: AutoStream<io::Stdout>,
    errors: AutoStream<io::Stderr>,
}

impl Output {
    /// Takes the options of the command line.
    pub(crate) fn new(global: Global) -> Self {
        let color = match global.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        };
        Self {
            is_json: global.json,
            shows_secrets: global.show_secrets,
            out: AutoStream::new(io::stdout(), color),
            errors: AutoStream::new(io::stderr(), color),
        }
    }

    /// Returns whether JSON is asked for.
    pub(crate) const fn is_json(&self) -> bool {
        self.is_json
    }

    /// Returns whether secrets are asked for.
    pub(crate) const fn shows_secrets(&self) -> bool {
        self.shows_secrets
    }

    /// Returns `secret`, or a placeholder unless secrets are asked for.
    pub(crate) fn secret(&self, secret: impl Into<String>) -> String {
        if self.shows_secrets { secret.into() } else { "(hidden, see --show-secrets)".into() }
    }

    /// Prints the one report of a command: text, or JSON over several lines.
    pub(crate) fn report(&mut self, report: &impl Report) -> Result<()> {
        self.print(report, |out, report| {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)
        })
    }

    /// Prints one of many reports, as it happens: text, or JSON in one line.
    pub(crate) fn event(&mut self, report: &impl Report) -> Result<()> {
        self.print(report, |out, report| {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)
        })
    }

    /// Prints text or JSON that is made already, as it is.
    pub(crate) fn raw(&mut self, text: &str) -> Result<()> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        check(written)
    }

    /// Prints a remark on standard error, in text only.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.is_json {
            // A remark that cannot be printed is not worth a failure.
            let _ = writeln!(self.errors, "{DIM}{text}{DIM:#}");
        }
    }

    /// Prints something for the user to act on, on standard error, with `--json` too.
    pub(crate) fn prompt(&mut self, text: &str) -> Result<()> {
        self.errors.write_all(text.as_bytes()).or_blame(Blame::Machine, "cannot print")
    }

    /// Prints a failure in one line on standard error and returns its exit code.
    pub(crate) fn fail(&mut self, failure: &Failure) -> ExitCode {
        #[derive(Serialize)]
        struct Line {
            error: String,
            blame: Blame,
            exit_code: u8,
        }
        let (blame, exit_code) = (failure.blame, failure.blame.code());
        // There is no place left to report that this fails.
        let _ = if self.is_json {
            let line = Line { error: failure.to_string(), blame, exit_code };
            serde_json::to_writer(&mut self.errors, &line).map_err(io::Error::from)
        } else {
            write!(self.errors, "{BAD}error:{BAD:#} {failure}")
        };
        let _ = writeln!(self.errors);
        ExitCode::from(exit_code)
    }

    /// Returns a progress bar over `len` bytes, which is drawn on a terminal only.
    pub(crate) fn progress(&self, len: u64) -> ProgressBar {
        let target = if self.is_json || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}")
            .expect("the template is well formed");
        ProgressBar::with_draw_target(Some(len), target).with_style(style)
    }

    fn print<R: Report>(
        &mut self,
        report: &R,
        json: impl FnOnce(&mut dyn Write, &R) -> io::Result<()>,
    ) -> Result<()> {
        let mut buffer = Vec::new();
        let made = if self.is_json { json(&mut buffer, report) } else { report.text(&mut buffer) };
        let written = made.and_then(|()| self.out.write_all(&buffer)).and_then(|()| self.out.flush());
        check(written)
    }
}

/// Ends the program quietly if the reader of a pipe has gone, as `head` does.
fn check(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.or_blame(Blame::Machine, "cannot print"),
    }
}
