//! Schema files, their headers, and `cargo xtask schema diff`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use chappe_tl_parser::{Category, Change, Dialect, Impact, Name, ParseOptions, SchemaDiff};
use clap::{Args, Subcommand};
use sha2::{Digest as _, Sha256};

/// The header lines of a schema.
const ORIGIN: &str = "// Origin: ";
const SHA256: &str = "// SHA-256 of what follows: ";

/// How schemas that are given on the command line are read.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Reading {
    /// The layer, if the schema does not name it in a comment `// LAYER n`.
    #[arg(long, value_name = "N")]
    pub(crate) layer: Option<i32>,
    /// The dialect: telegram, tdlib or ton. By default it is detected.
    #[arg(long, value_name = "DIALECT")]
    pub(crate) dialect: Option<Dialect>,
    /// Definitions whose ids may differ from the computed ones.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) trust_id: Vec<String>,
    /// Refuses ids that differ from the computed ones, and ids that occur twice.
    #[arg(long)]
    pub(crate) strict: bool,
}

impl Reading {
    /// As the schemas of the repository are read.
    pub(crate) fn strict() -> Self {
        Self { strict: true, ..Self::default() }
    }

    fn options(&self) -> ParseOptions {
        let mut options = ParseOptions::default();
        options.trusted_ids.clone_from(&self.trust_id);
        (options.layer, options.dialect, options.strict) = (self.layer, self.dialect, self.strict);
        options
    }
}

/// Arguments of `cargo xtask schema`.
#[derive(Args)]
pub(crate) struct Schema {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows the changes between two schemas, and what they break.
    Diff {
        /// The old schema.
        old: PathBuf,
        /// The new schema.
        new: PathBuf,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reading: Reading,
    },
}

impl Schema {
    /// Runs the task.
    pub(crate) fn run(&self) -> Result<()> {
        let Task::Diff { old, new, json, reading } = &self.task;
        let parse = |path| SchemaFile::read(path)?.parse(reading);
        let diff = SchemaDiff::between(&parse(old)?, &parse(new)?);
        if *json {
            println!("{:#}", diff.to_json());
        } else {
            print!("{diff}");
        }
        Ok(())
    }
}

/// A schema file, with the header separated from the text.
pub(crate) struct SchemaFile {
    name: String,
    origin: String,
    stated_sum: Option<String>,
    header_lines: usize,
    text: String,
}

impl SchemaFile {
    /// Reads a file with or without header.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let root = crate::workspace::root()?;
        let shown = path.strip_prefix(&root).unwrap_or(path).display().to_string();
        let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            anyhow!("{shown}: not UTF-8 after {} bytes", error.utf8_error().valid_up_to())
        })?;
        // As editors on some systems save it.
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut file = Self { name: shown, origin: file_name, stated_sum: None, header_lines: 0, text };
        if let Some((origin, rest)) = file.text.strip_prefix(ORIGIN).and_then(|rest| rest.split_once('\n'))
            && let Some((sum, rest)) = rest.strip_prefix(SHA256).and_then(|rest| rest.split_once('\n'))
        {
            (file.origin, file.stated_sum) = (origin.trim().to_owned(), Some(sum.trim().to_owned()));
            (file.header_lines, file.text) = (2, rest.to_owned());
        }
        Ok(file)
    }

    /// Returns the path for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sets the origin of the text, which is then no longer what its header said.
    pub(crate) fn set_origin(&mut self, origin: &str) {
        origin.replace('\n', " ").trim().clone_into(&mut self.origin);
        self.stated_sum = None;
    }

    /// Replaces a schema in JSON by its text, and writes the layer into a text that does not name it.
    pub(crate) fn normalize(&mut self, reading: &Reading) -> Result<()> {
        if self.text.trim_start().starts_with('{') {
            self.text = self.parse(reading)?.to_string();
        } else if let Some(layer) = reading.layer
            && self
                .parse(&Reading { layer: None, ..reading.clone() })
                .is_ok_and(|schema| schema.layer().is_none())
        {
            self.text = format!("// LAYER {layer}\n{}", self.text);
        }
        Ok(())
    }

    /// Parses and checks the schema. The error lists all problems; warnings are printed.
    pub(crate) fn parse(&self, reading: &Reading) -> Result<chappe_tl_parser::Schema> {
        // The header is replaced by empty lines, so that line numbers are those of the file.
        let padded = "\n".repeat(self.header_lines) + &self.text;
        let parsed = chappe_tl_parser::parse_with(&self.name, &padded, &reading.options());
        let schema = parsed.map_err(|diagnostics| match diagnostics.len() {
            1 => anyhow!("a problem\n{diagnostics}"),
            count => anyhow!("{count} problems\n{diagnostics}"),
        })?;
        for warning in schema.warnings() {
            eprintln!("{warning}");
        }
        Ok(schema)
    }

    /// Returns the SHA-256 of the text without header, in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        Sha256::digest(self.text.as_bytes())
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
    }

    /// Checks that the text was not edited.
    pub(crate) fn check_sum(&self) -> Result<()> {
        match &self.stated_sum {
            Some(stated) if *stated != self.sha256() => {
                bail!("{}: SHA-256 is {}, the header says {stated}", self.name, self.sha256())
            }
            _ => Ok(()),
        }
    }

    /// Writes header and text.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let whole = format!("{ORIGIN}{}\n{SHA256}{}\n{}", self.origin, self.sha256(), self.text);
        fs::write(path, whole).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Returns the report about a new layer.
pub(crate) fn report(diff: &SchemaDiff, new: &SchemaFile) -> String {
    let layer = |layer: Option<i32>| layer.map_or_else(|| "?".to_owned(), |layer| layer.to_string());
    let (old_layer, new_layer) = (layer(diff.old_layer), layer(diff.new_layer));
    let mut text = if old_layer == new_layer {
        format!("# Layer {new_layer}, changed\n\n")
    } else {
        format!("# Layer {old_layer} to {new_layer}\n\n")
    };
    let _ = writeln!(text, "Schema: {}, SHA-256 `{}`.\n", new.origin, new.sha256());
    let _ = writeln!(text, "| | added | removed | changed |\n|---|---|---|---|");
    for (category, title) in [(Category::Types, "constructors"), (Category::Functions, "functions")] {
        let counts = diff.counts(category);
        let _ = writeln!(text, "| {title} | {} | {} | {} |", counts.added, counts.removed, counts.changed);
    }
    for impact in [Impact::WireBreaking, Impact::SourceBreaking, Impact::Compatible] {
        let changes: Vec<&Change> = diff.changes.iter().filter(|change| change.impact == impact).collect();
        if changes.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {} {impact}\n\n{}\n\n```diff", changes.len(), meaning(impact));
        for change in changes {
            let _ = write!(text, "{}", change.to_string().replace(&format!(" [{impact}]"), ""));
        }
        text.push_str("```\n");
    }
    grown(&mut text, diff);
    text
}

/// Reports the types whose only constructor is not the only one any more, and what to write instead.
fn grown(text: &mut String, diff: &SchemaDiff) {
    if diff.grown.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n## {} types with a second constructor\n\n{GROWN}\n\n| type | constructors | code that uses |\n|---|---|---|",
        diff.grown.len()
    );
    let list = |names: &[Name]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    for grown in &diff.grown {
        let (constructors, used_by) = (list(&grown.constructors), list(&grown.used_by));
        let _ = writeln!(text, "| `{}` | {constructors} | {used_by} |", grown.ty);
    }
}

/// What a second constructor breaks, and how to write code that it breaks in one place only.
const GROWN: &str = "\
`enums::X` of such a type was a `One<types::X>` and is an enum now. Two kinds of code break: reading a field through the type
(`answer.x.field`), which needs `match answer.x { enums::X::First(x) => x.field, .. }`, and `types::X { .. }.into()`, which
becomes `enums::X::First(types::X { .. })`. Functions that take `&types::X` instead of `&enums::X` do not break: a caller
passes `&answer.x` before, and what it matched afterwards.";

const fn meaning(impact: Impact) -> &'static str {
    match impact {
        Impact::WireBreaking => "The old encoding is no longer valid: the id changed or was removed.",
        Impact::SourceBreaking => {
            "The old encoding stays valid; struct literals or exhaustive matches need a line."
        }
        Impact::Compatible => "Nothing to do for callers.",
    }
}
