//! Generated files, which can be written, compared, or joined.

use core::fmt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Lints that say something about the schema, or about how much of it is used, rather than about the code.
pub(crate) const LINTS: &str = "allow(dead_code, unreachable_pub, unused_imports, clippy::all, clippy::pedantic, reason = \"generated\")";

/// Generated files by path, relative to the root module's folder. The root module is `mod.rs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    files: BTreeMap<String, String>,
}

/// The first difference between a folder and the generated files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// A file is missing.
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file is not generated.
    Surplus {
        /// The file.
        path: PathBuf,
    },
    /// A line differs.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The existing line, or `None` after the last one.
        found: Option<String>,
        /// The generated line, or `None` after the last one.
        generated: Option<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "{}: missing", path.display()),
            Self::Surplus { path } => write!(f, "{}: not generated", path.display()),
            Self::Line { path, line, found, generated } => {
                let show = |text: &Option<String>| text.clone().unwrap_or_else(|| "(end of file)".to_owned());
                writeln!(f, "{}:{line}:", path.display())?;
                write!(f, "- {}\n+ {}", show(found), show(generated))
            }
        }
    }
}

impl Output {
    /// Adds a file.
    pub(crate) fn insert(&mut self, path: impl Into<String>, text: String) {
        self.files.insert(path.into(), text);
    }

    /// Returns all files with their text, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Writes the files to `dir` and removes all other files in it.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be written or removed.
    pub fn write_to(&self, dir: &Path) -> io::Result<()> {
        for (path, text) in &self.files {
            let path = dir.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            if fs::read_to_string(&path).ok().as_deref() != Some(text) {
                fs::write(path, text)?;
            }
        }
        for surplus in self.surplus(dir)? {
            fs::remove_file(surplus)?;
        }
        Ok(())
    }

    /// Compares the files in `dir` with the generated ones.
    ///
    /// # Errors
    ///
    /// Fails if `dir` cannot be read.
    pub fn compare_with(&self, dir: &Path) -> io::Result<Option<Difference>> {
        for (path, text) in &self.files {
            let path = dir.join(path);
            match fs::read_to_string(&path) {
                Ok(found) if found == *text => {}
                Ok(found) => return Ok(Some(first_difference(path, &found, text))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Some(Difference::Missing { path }));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.surplus(dir)?.into_iter().next().map(|path| Difference::Surplus { path }))
    }

    /// Joins all modules to one text, for `include!` in a module.
    ///
    /// Of [`Style::Arena`](crate::Style::Arena), the module cannot be in a crate with `#![forbid(unsafe_code)]`.
    pub fn to_single_file(&self) -> String {
        let mut text = String::new();
        let is_unsafe = self.files.values().any(|file| file.contains("unsafe {"));
        for line in self.inline("mod.rs", "") {
            // An included file can have neither documentation nor attributes of its own: the attributes go to the items.
            if line.starts_with("#![") {
                continue;
            }
            if ["pub mod ", "mod ", "pub use ", "pub const "].iter().any(|item| line.starts_with(item)) {
                text.push_str("#[");
                text.push_str(LINTS);
                text.push_str("]\n");
                if is_unsafe {
                    text.push_str("#[allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = \"tables are promises\")]\n");
                }
            }
            let line =
                line.strip_prefix("//!").map_or_else(|| line.clone(), |comment| format!("//{comment}"));
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// The lines of a file with its submodules in place of their declarations.
    fn inline(&self, path: &str, folder: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for line in self.files.get(path).map_or("", String::as_str).lines() {
            let declared = line.strip_suffix(';').and_then(|line| line.split_once("mod "));
            let Some((visibility, module)) = declared.filter(|(lead, _)| matches!(*lead, "" | "pub ")) else {
                lines.push(line.to_owned());
                continue;
            };
            let inner = format!("{folder}{}/", module.trim_start_matches("r#"));
            let as_folder = format!("{inner}mod.rs");
            let as_file = format!("{}.rs", inner.trim_end_matches('/'));
            let file = if self.files.contains_key(&as_folder) { as_folder } else { as_file };
            lines.push(format!("{visibility}mod {module} {{"));
            lines.extend(self.inline(&file, &inner).iter().map(|line| indent(line)));
            lines.push("}".to_owned());
        }
        lines
    }

    fn surplus(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut surplus = Vec::new();
        let mut folders = vec![dir.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let path = entry.path();
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                } else if !self.files.keys().any(|known| dir.join(known) == path) {
                    surplus.push(path);
                }
            }
        }
        Ok(surplus)
    }
}

fn indent(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!("    {line}") }
}

fn first_difference(path: PathBuf, found: &str, generated: &str) -> Difference {
    let mut lines = (found.lines(), generated.lines());
    let mut line = 1;
    loop {
        match (lines.0.next(), lines.1.next()) {
            (Some(one), Some(other)) if one == other => line += 1,
            (found, generated) => {
                let (found, generated) = (found.map(str::to_owned), generated.map(str::to_owned));
                return Difference::Line { path, line, found, generated };
            }
        }
    }
}
