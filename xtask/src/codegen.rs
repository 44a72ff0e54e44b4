//! `cargo xtask codegen`: Rust code from the schemas in the repository.
//!
//! Everything is read, checked and generated in memory first. If that fails, no file is changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use chappe_tl_gen::{GeneratorOptions, Output, Style};
use chappe_tl_parser::{Schema, SchemaDiff};
use clap::Args;

use crate::schema::{self, SchemaFile};
use crate::workspace;

/// A folder of generated code in the repository.
struct Target {
    /// The schema, relative to the root of the repository.
    schema: &'static str,
    /// The folder that belongs to the generator.
    out: &'static str,
    /// The shape of the types.
    style: &'static str,
    /// Whether the crate has the feature `serde`.
    has_serde: bool,
    /// The manifest that has a feature for the functions of each namespace.
    manifest: Option<&'static str>,
}

/// All generated code in the repository.
const TARGETS: &[Target] = &[
    Target {
        schema: "tl-schema/mtproto.tl",
        out: "crates/chappe-tl-mtproto/src/generated",
        style: "owned",
        has_serde: true,
        manifest: None,
    },
    Target {
        schema: API,
        out: "crates/chappe-tl-api/src/generated",
        style: "arena",
        has_serde: true,
        manifest: Some("crates/chappe-tl-api/Cargo.toml"),
    },
    Target {
        schema: "crates/chappe-loopback/schema/datacenter.tl",
        out: "crates/chappe-loopback/src/generated",
        style: "owned",
        has_serde: false,
        manifest: None,
    },
];

/// The schema that has layers.
const API: &str = "tl-schema/api.tl";
/// The folder of the reports about new layers.
const LAYERS: &str = "docs/layers";
/// The folder of the schemas of earlier layers.
const HISTORY: &str = "tl-schema/history";

/// Arguments of `cargo xtask codegen`.
#[derive(Args)]
pub(crate) struct Codegen {
    /// Compares the generated files instead of writing them, and shows the first difference.
    #[arg(long, conflicts_with_all = ["schema", "only"])]
    check: bool,
    /// Takes a new layer of the API from this file, and reports what changed.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Where the new layer comes from, for the header of the schema; the file's name by default.
    #[arg(long, value_name = "TEXT", requires = "schema")]
    origin: Option<String>,
    /// Generates only these functions, constructors or types (`messages.*` for a namespace) and what they need.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "out")]
    only: Vec<String>,
    /// The folder to write a subset to. It belongs to the generator afterwards.
    #[arg(long, value_name = "DIR", requires = "only")]
    out: Option<PathBuf>,
    /// The shape of the types of a subset.
    #[arg(long, value_name = "STYLE", default_value = "owned", requires = "only")]
    style: Style,
}

impl Codegen {
    /// Runs the task.
    pub(crate) fn run(&self) -> Result<()> {
        if self.check {
            println!("{} files are what the schemas say", check()?);
            return Ok(());
        }
        if let Some(out) = &self.out {
            let file = match &self.schema {
                Some(file) => file.clone(),
                None => workspace::root()?.join(API),
            };
            return subset(&file, &self.only, self.style, out);
        }
        if let Some(file) = &self.schema {
            return take_layer(file, self.origin.as_deref());
        }
        let root = workspace::root()?;
        for target in TARGETS {
            target.generate(&SchemaFile::read(&root.join(target.schema))?)?.write(target)?;
        }
        Ok(())
    }
}

/// Compares all generated code with the schemas, and returns the number of files.
pub(crate) fn check() -> Result<usize> {
    let root = workspace::root()?;
    let mut files = 0;
    for target in TARGETS {
        let file = SchemaFile::read(&root.join(target.schema))?;
        file.check_sum()?;
        let generated = target.generate(&file)?;
        let found = generated.output.compare_with(&root.join(target.out));
        let found = found.with_context(|| format!("cannot read {}", target.out))?;
        if let Some(difference) = found {
            let difference = difference.to_string().replace(&format!("{}/", root.display()), "");
            bail!("{difference}\nrun `cargo xtask codegen`");
        }
        if let Some((path, text)) = &generated.manifest
            && fs::read_to_string(path)? != *text
        {
            bail!("{}: features differ\nrun `cargo xtask codegen`", target.manifest.unwrap_or_default());
        }
        files += generated.output.files().count();
    }
    Ok(files)
}

/// The output for a schema.
struct Generated {
    schema: Schema,
    output: Output,
    /// The manifest with its features, if the target has any.
    manifest: Option<(PathBuf, String)>,
}

impl Target {
    fn generate(&self, file: &SchemaFile) -> Result<Generated> {
        let schema = file.parse()?;
        let mut options = GeneratorOptions::new(self.schema)
            .style(self.style.parse()?)
            .generator("`cargo xtask codegen`")
            .sha256(file.sha256());
        if self.has_serde {
            options = options.serde_feature("serde");
        }
        if self.manifest.is_some() {
            options = options.namespace_features().lists_feature("lists").server_feature("server");
        }
        let output = chappe_tl_gen::generate(&schema, &options).with_context(|| self.schema)?;
        let manifest = self.manifest(&schema)?;
        Ok(Generated { schema, output, manifest })
    }
}

impl Target {
    /// Returns the expected manifest: a feature for the functions of each namespace, between two marks.
    fn manifest(&self, schema: &Schema) -> Result<Option<(PathBuf, String)>> {
        const MARKS: [&str; 2] =
            ["# Namespaces: written by `cargo xtask codegen`.\n", "# End of the namespaces.\n"];
        let Some(manifest) = self.manifest else { return Ok(None) };
        let path = workspace::root()?.join(manifest);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let missing = || anyhow!("{}: expected the marks {MARKS:?}", path.display());
        let (lead, rest) = text.split_once(MARKS[0]).ok_or_else(missing)?;
        let (_, tail) = rest.split_once(MARKS[1]).ok_or_else(missing)?;
        let namespaces: BTreeSet<&str> =
            schema.functions().filter_map(|function| function.name.namespace.as_deref()).collect();
        let names: String = namespaces.iter().flat_map(|name| ["    \"", name, "\",\n"]).collect();
        let features: String = namespaces.iter().flat_map(|name| [name, " = []\n"]).collect();
        let section = format!("functions = [\n{names}]\n{features}");
        Ok(Some((path.clone(), format!("{lead}{}{section}{}{tail}", MARKS[0], MARKS[1]))))
    }
}

impl Generated {
    fn write(&self, target: &Target) -> Result<()> {
        let out = workspace::root()?.join(target.out);
        fs::create_dir_all(&out)?;
        self.output.write_to(&out).with_context(|| format!("cannot write {}", target.out))?;
        if let Some((path, text)) = &self.manifest {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        println!(
            "{}: {} constructors, {} functions, {} files",
            target.out,
            self.schema.constructors().count(),
            self.schema.functions().count(),
            self.output.files().count()
        );
        Ok(())
    }
}

/// Writes a part of a schema to a folder of the caller.
fn subset(file: &Path, names: &[String], style: Style, out: &Path) -> Result<()> {
    let file = SchemaFile::read(file)?;
    let schema = file.parse()?.subset(names)?;
    let options = GeneratorOptions::new(file.name())
        .style(style)
        .generator("`cargo xtask codegen --only`")
        .sha256(file.sha256());
    let output = chappe_tl_gen::generate(&schema, &options)?;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    output.write_to(out).with_context(|| format!("cannot write {}", out.display()))?;
    let counts = (schema.constructors().count(), schema.functions().count());
    println!("{}: {} constructors, {} functions", out.display(), counts.0, counts.1);
    Ok(())
}

/// Replaces the API's schema, regenerates, and reports what changed.
fn take_layer(path: &Path, origin: Option<&str>) -> Result<()> {
    let root = workspace::root()?;
    let mut new = SchemaFile::read(path)?;
    if let Some(origin) = origin {
        new.set_origin(origin);
    }
    let old = SchemaFile::read(&root.join(API))?;
    let (old_schema, new_schema) = (old.parse()?, new.parse()?);
    let layer = |file: &SchemaFile, schema: &Schema| {
        schema.layer().ok_or_else(|| anyhow!("{}: expected a comment `// LAYER n`, found none", file.name()))
    };
    let (from, to) = (layer(&old, &old_schema)?, layer(&new, &new_schema)?);
    let targets: Vec<&Target> = TARGETS.iter().filter(|target| target.schema == API).collect();
    let generated = targets.iter().map(|target| target.generate(&new)).collect::<Result<Vec<_>>>()?;

    // Nothing was written up to here.
    if from != to {
        let kept = root.join(HISTORY).join(format!("api-layer-{from}.tl"));
        if !kept.exists() {
            old.write(&kept)?;
        }
    }
    new.write(&root.join(API))?;
    for (target, generated) in targets.iter().zip(&generated) {
        generated.write(target)?;
    }
    let diff = SchemaDiff::between(&old_schema, &new_schema);
    let report = format!("{LAYERS}/{from}-to-{to}.md");
    fs::create_dir_all(root.join(LAYERS))?;
    fs::write(root.join(&report), schema::report(&diff, &new))?;
    print!("{diff}");
    println!("written to {report}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the schemas of all layers in the repository.
    fn layers() -> Vec<SchemaFile> {
        let root = workspace::root().expect("tests run in the workspace");
        let history = fs::read_dir(root.join(HISTORY)).expect("the folder is part of the repository");
        let mut paths: Vec<PathBuf> = history.map(|entry| entry.expect("it can be read").path()).collect();
        paths.push(root.join(API));
        assert!(paths.len() >= 5, "{paths:?}");
        paths.iter().map(|path| SchemaFile::read(path).expect("it can be read")).collect()
    }

    #[test]
    fn every_layer_is_what_its_header_says_and_can_be_generated() {
        for file in layers() {
            file.check_sum().expect("nobody has edited it");
            let schema = file.parse().unwrap_or_else(|problems| panic!("{problems}"));
            assert!(schema.layer().is_some_and(|layer| layer >= 166), "{}", file.name());
            for style in [Style::Owned, Style::Arena] {
                let options = GeneratorOptions::new(file.name()).style(style);
                let generate = || chappe_tl_gen::generate(&schema, &options).expect("it has a form");
                let output = generate();
                assert!(output.files().count() > 50, "{}", file.name());
                assert_eq!(output, generate(), "{}", file.name());
            }
        }
    }

    #[test]
    fn every_layer_differs_from_itself_in_nothing_and_from_the_others_in_something() {
        let schemas: Vec<Schema> =
            layers().iter().map(|file| file.parse().expect("it was read before")).collect();
        for (one, old) in schemas.iter().enumerate() {
            for (other, new) in schemas.iter().enumerate() {
                let diff = SchemaDiff::between(old, new);
                assert_eq!(diff.changes.is_empty(), old.layer() == new.layer(), "{one} {other}");
            }
        }
    }

    #[test]
    fn a_subset_of_every_layer_has_what_a_client_needs() {
        for file in layers() {
            let schema = file.parse().expect("it was read before");
            let subset = schema
                .subset(&["messages.sendMessage", "updates.getState"])
                .expect("they are in every layer");
            assert_eq!(subset.functions().count(), 2);
            assert!(subset.constructors().count() < schema.constructors().count());
            chappe_tl_gen::generate(&subset, &GeneratorOptions::new(file.name())).expect("it has a form");
        }
    }
}
