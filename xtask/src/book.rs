//! `cargo xtask book`: the pages of `docs/` as a book.
//!
//! The pages are copied to `target/book-source`, where links that leave `docs/` are pointed at the repository, and
//! rendered by mdbook to `target/book`. Afterwards every link and every anchor of the rendered pages is followed.

mod html;
mod pages;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::gates::{Context, Verdict};
use crate::shell::{self, Shell};
use crate::workspace::Workspace;

/// The version that is installed where none is found.
const MDBOOK: &str = "0.5.4";

/// Arguments of `cargo xtask book`.
#[derive(Args)]
pub(crate) struct Book {
    /// Opens the book in a browser.
    #[arg(long)]
    open: bool,
}

impl Book {
    /// Renders the book and checks its links.
    pub(crate) fn run(&self) -> Result<()> {
        let context = Context { workspace: Workspace::load()?, shell: Shell::loud() };
        let Some(mdbook) = mdbook(&context, Install::Always)? else { bail!("mdbook could not be installed") };
        println!("book: {}", render(&context, &mdbook)?);
        let index = context.workspace.target().join("book/index.html");
        println!("{}", index.display());
        if self.open {
            context.shell.run(Command::new(opener()).arg(index))?;
        }
        Ok(())
    }
}

/// The gate. Outside of CI it does not install mdbook, since that takes about a minute.
pub(crate) fn run(context: &mut Context) -> Result<Verdict> {
    let install = if env::var_os("CI").is_some() { Install::Always } else { Install::Never };
    match mdbook(context, install)? {
        Some(mdbook) => Ok(Verdict::Passed(render(context, &mdbook)?)),
        None => Ok(Verdict::Skipped("mdbook is not installed: `cargo xtask book` installs it".to_owned())),
    }
}

/// Renders the pages and follows their links. Returns a line about what was checked.
fn render(context: &Context, path: &OsString) -> Result<String> {
    let (root, target) = (context.workspace.root(), context.workspace.target());
    let (source, book) = (target.join("book-source"), target.join("book"));
    for folder in [&source, &book] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    let count = pages::stage(&root.join("docs"), &source, &format!("{}/blob/main/", repository(context)?))?;
    let mut build = Command::new("mdbook");
    build.env("PATH", path).arg("build").arg(&source).arg("--dest-dir").arg(&book);
    context.shell.run(&mut build)?;
    let checked = html::check(&book)?;
    for line in &checked.broken {
        context.shell.say(line)?;
    }
    ensure!(checked.broken.is_empty(), "{}", checked.broken.join("; "));
    Ok(format!("{count} pages, {} links", checked.links))
}

/// Returns the address of the repository, which all packages share.
fn repository(context: &Context) -> Result<&str> {
    let mut addresses =
        context.workspace.members().into_iter().filter_map(|package| package.repository.as_deref());
    addresses.next().context("no package names the repository")
}

/// Whether a missing mdbook is installed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Install {
    Always,
    Never,
}

/// Returns a search path with mdbook in it, if there is one.
fn mdbook(context: &Context, install: Install) -> Result<Option<OsString>> {
    let tools = context.workspace.target().join("tools");
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools.join("bin")].into_iter().chain(env::split_paths(&inherited)))?;
    if is_installed(&path) {
        return Ok(Some(path));
    }
    if install == Install::Never {
        return Ok(None);
    }
    let mut command = shell::cargo(context.workspace.root());
    command.args(["install", "--quiet", "--locked", "mdbook", "--version", MDBOOK]);
    // Without the built-in web server, which would double the time to compile.
    command.args(["--no-default-features", "--features", "search"]);
    command.arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build"));
    Ok(context.shell.run(&mut command).is_ok().then_some(path))
}

fn is_installed(path: &OsString) -> bool {
    let mut probe = Command::new("mdbook");
    probe.arg("--version").env("PATH", path);
    probe.output().is_ok_and(|output| output.status.success())
}

/// Returns the program that opens a file with what the desktop has for it.
fn opener() -> &'static Path {
    Path::new(if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    })
}
