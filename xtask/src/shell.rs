//! Child processes and their output.
//!
//! A gate that runs alone shows the output of its tools. In `ci`, the output goes to a log file in the target folder and is
//! shown only if the gate fails.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs commands for one gate.
pub(crate) struct Shell {
    log: Option<(PathBuf, File)>,
}

impl Shell {
    /// Returns a shell whose tools print to the terminal.
    pub(crate) const fn loud() -> Self {
        Self { log: None }
    }

    /// Returns a shell whose tools print to the file `path`, which is replaced.
    pub(crate) fn logging_to(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(path, "").with_context(|| format!("cannot write {}", path.display()))?;
        let file = File::options().read(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { log: Some((path.to_owned(), file)) })
    }

    /// Returns the log file's path, if there is one.
    pub(crate) fn log_path(&self) -> Option<&Path> {
        self.log.as_ref().map(|(path, _)| path.as_path())
    }

    /// Returns the log, which is empty if output goes to the terminal.
    pub(crate) fn logged(&mut self) -> Result<String> {
        let Some((_, file)) = &mut self.log else { return Ok(String::new()) };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Prints a line to the output of the tools.
    pub(crate) fn say(&self, line: &str) -> Result<()> {
        match &self.log {
            Some((_, file)) => writeln!(&*file, "{line}")?,
            None => println!("{line}"),
        }
        Ok(())
    }

    /// Runs `command` and fails unless it exits with 0.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        self.say(&format!("$ {}", words(command)))?;
        let (out, err) = match &self.log {
            Some((_, file)) => (file.try_clone()?.into(), file.try_clone()?.into()),
            None => (Stdio::inherit(), Stdio::inherit()),
        };
        let status = command.stdin(Stdio::null()).stdout(out).stderr(err).status();
        let status = status.with_context(|| format!("cannot start `{}`", words(command)))?;
        if !status.success() {
            bail!("`{}` ended with {status}", words(command));
        }
        Ok(())
    }

    /// Runs `command` like [`Shell::run`] and returns its standard output and error.
    pub(crate) fn read(&self, command: &mut Command) -> Result<String> {
        self.say(&format!("$ {}", words(command)))?;
        let output = command.stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start `{}`", words(command)))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        if !text.is_empty() {
            self.say(text.trim_end())?;
        }
        if !output.status.success() {
            bail!("`{}` ended with {}", words(command), output.status);
        }
        Ok(text)
    }
}

/// Returns a command for the running cargo in the workspace root.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Returns the path of a program of the search path.
pub(crate) fn path_of(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Returns whether a program can be started.
pub(crate) fn answers(program: &str, option: &str) -> bool {
    let mut probe = Command::new(program);
    probe.arg(option).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Returns whether `cargo NAME --version` works with this search path.
pub(crate) fn has_cargo_command(name: &str, path: &OsStr) -> bool {
    let mut probe = Command::new("cargo");
    probe.args([name, "--version"]).env("PATH", path);
    probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Returns the command line without the path of the program.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
