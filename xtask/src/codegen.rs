//! `cargo xtask codegen`: Rust code from the schemas in the repository.
//!
//! Everything is read, checked and generated in memory first. If that fails, no file is changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use chappe_tl_gen::{GeneratorOptions, Output, Style};
use chappe_tl_parser::{Schema, SchemaDiff};
use clap::Args;

use crate::schema::{self, Reading, SchemaFile};
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
        schema: "tl-schema/secret.tl",
        out: "crates/chappe-tl-secret/src/generated",
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
        schema: "crates/chappe-server/schema/router.tl",
        out: "crates/chappe-server/src/router/schema",
        style: "owned",
        has_serde: false,
        manifest: None,
    },
    Target {
        schema: "crates/chappe-conformance/schema/datacenter.tl",
        out: "crates/chappe-conformance/tests/datacenter",
        style: "owned",
        has_serde: false,
        manifest: None,
    },
];

/// What answers of the API are full of: written by code, since tables take four times as long.
const NATIVES: &[&str] = &[
    "channel",
    "chat",
    "chatBannedRights",
    "chatPhoto",
    "chatPhotoEmpty",
    "document",
    "documentAttributeAnimated",
    "documentAttributeAudio",
    "documentAttributeFilename",
    "documentAttributeImageSize",
    "documentAttributeVideo",
    "message",
    "messageEntityBold",
    "messageEntityBotCommand",
    "messageEntityCode",
    "messageEntityCustomEmoji",
    "messageEntityHashtag",
    "messageEntityItalic",
    "messageEntityMention",
    "messageEntityTextUrl",
    "messageEntityUrl",
    "messageFwdHeader",
    "messageMediaDocument",
    "messageMediaPhoto",
    "messageMediaWebPage",
    "messageReactions",
    "messageReplyHeader",
    "messages.channelMessages",
    "messages.messages",
    "messages.messagesSlice",
    "peerChannel",
    "peerChat",
    "peerUser",
    "photo",
    "photoSize",
    "photoSizeProgressive",
    "photoStrippedSize",
    "reactionCount",
    "reactionEmoji",
    "updateChannelMessageViews",
    "updateNewChannelMessage",
    "updateNewMessage",
    "updateReadChannelInbox",
    "updateReadHistoryInbox",
    "updateUserStatus",
    "updates",
    "user",
    "userProfilePhoto",
    "userProfilePhotoEmpty",
    "userStatusOffline",
    "userStatusOnline",
    "userStatusRecently",
    "webPage",
];

/// The schema that has layers.
const API: &str = "tl-schema/api.tl";
/// The folder of the reports about new layers.
const LAYERS: &str = "docs/layers";
/// The folder of the schemas of earlier layers.
const HISTORY: &str = "tl-schema/history";

/// Copies of schemas in a crate that ships their text.
const COPIES: &[(&str, &str)] = &[
    (API, "crates/chappe-tl-dynamic/schemas/api.tl"),
    ("tl-schema/mtproto.tl", "crates/chappe-tl-dynamic/schemas/mtproto.tl"),
    ("tl-schema/secret.tl", "crates/chappe-tl-dynamic/schemas/secret.tl"),
];

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
    #[command(flatten)]
    reading: Reading,
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
            return subset(&file, self, out);
        }
        if let Some(file) = &self.schema {
            return take_layer(file, self.origin.as_deref(), &self.reading);
        }
        let root = workspace::root()?;
        let mut all = Vec::new();
        for target in TARGETS {
            let file = SchemaFile::read(&root.join(target.schema))?;
            file.check_sum()?;
            all.push((target, target.generate(&file, &Reading::strict())?));
        }
        all.iter().try_for_each(|(target, generated)| generated.write(target))?;
        copy_schemas(&root)
    }
}

/// Compares all generated code with the schemas, and returns the number of files.
pub(crate) fn check() -> Result<usize> {
    let root = workspace::root()?;
    let mut files = 0;
    for target in TARGETS {
        let file = SchemaFile::read(&root.join(target.schema))?;
        file.check_sum()?;
        let generated = target.generate(&file, &Reading::strict())?;
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
    for (from, to) in COPIES {
        if fs::read(root.join(from))? != fs::read(root.join(to))? {
            bail!("{to} differs from {from}\nrun `cargo xtask codegen`");
        }
    }
    Ok(files + COPIES.len())
}

/// Writes the copies of the schemas.
fn copy_schemas(root: &Path) -> Result<()> {
    for (from, to) in COPIES {
        fs::create_dir_all(root.join(to).parent().context("a file has a folder")?)?;
        fs::copy(root.join(from), root.join(to)).with_context(|| format!("cannot write {to}"))?;
    }
    Ok(())
}

/// The output for a schema.
struct Generated {
    schema: Schema,
    output: Output,
    /// The manifest with its features, if the target has any.
    manifest: Option<(PathBuf, String)>,
}

impl Target {
    fn generate(&self, file: &SchemaFile, reading: &Reading) -> Result<Generated> {
        let schema = file.parse(reading)?;
        let mut options = GeneratorOptions::new(self.schema)
            .style(self.style.parse()?)
            .generator("`cargo xtask codegen`")
            .sha256(file.sha256());
        if self.has_serde {
            options = options.serde_feature("serde");
        }
        if self.schema == API {
            options = options.pages("https://core.telegram.org");
        }
        if self.manifest.is_some() {
            options = options.namespace_features().lists_feature("lists").server_feature("server");
            options = options.natives(NATIVES.iter().copied());
        }
        let output = chappe_tl_gen::generate(&schema, &options).with_context(|| file.name().to_owned())?;
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
        let namespaces = schema.functions().filter_map(|function| function.name.namespace.as_deref());
        let namespaces: BTreeSet<&str> =
            namespaces.filter_map(|namespace| namespace.split('.').next()).collect();
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
fn subset(file: &Path, asked: &Codegen, out: &Path) -> Result<()> {
    let file = SchemaFile::read(file)?;
    let schema = file.parse(&asked.reading)?.subset(&asked.only).with_context(|| file.name().to_owned())?;
    let options = GeneratorOptions::new(file.name())
        .style(asked.style)
        .generator("`cargo xtask codegen --only`")
        .sha256(file.sha256());
    let output = chappe_tl_gen::generate(&schema, &options).with_context(|| file.name().to_owned())?;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    output.write_to(out).with_context(|| format!("cannot write {}", out.display()))?;
    let counts = (schema.constructors().count(), schema.functions().count());
    println!("{}: {} constructors, {} functions", out.display(), counts.0, counts.1);
    Ok(())
}

/// Replaces the API's schema, regenerates, and reports what changed.
fn take_layer(path: &Path, origin: Option<&str>, reading: &Reading) -> Result<()> {
    let root = workspace::root()?;
    let old = SchemaFile::read(&root.join(API))?;
    let is_own = path.canonicalize().ok() == root.join(API).canonicalize().ok();
    ensure!(!is_own, "{}: it is the schema in use; give a file elsewhere", old.name());
    old.check_sum()
        .context("the schema in use was edited: restore it, and take the edited text from another file")?;
    let new = given(path, origin, reading)?;
    let (old_schema, new_schema) = (old.parse(&Reading::default())?, new.parse(reading)?);
    let layer = |file: &SchemaFile, schema: &Schema| {
        schema.layer().ok_or_else(|| {
            anyhow!("{}: expected a comment `// LAYER n` or `--layer N`, found none", file.name())
        })
    };
    let (from, to) = (layer(&old, &old_schema)?, layer(&new, &new_schema)?);
    let targets: Vec<&Target> = TARGETS.iter().filter(|target| target.schema == API).collect();
    let generated =
        targets.iter().map(|target| target.generate(&new, reading)).collect::<Result<Vec<_>>>()?;

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
    copy_schemas(&root)?;
    let diff = SchemaDiff::between(&old_schema, &new_schema);
    print!("{diff}");
    if from == to && diff.changes.is_empty() {
        return Ok(());
    }
    let report = report_name(from, to);
    fs::create_dir_all(root.join(LAYERS))?;
    fs::write(root.join(&report), schema::report(&diff, &new))?;
    println!("written to {report}");
    Ok(())
}

/// Returns the path of the report about a layer, which may be a corrected edition of the one before.
fn report_name(from: i32, to: i32) -> String {
    if from == to { format!("{LAYERS}/{to}-changed.md") } else { format!("{LAYERS}/{from}-to-{to}.md") }
}

/// Reads a layer that is given on the command line.
///
/// A header with the SHA-256 of another text says where that other text came from, so the origin must be given then.
fn given(path: &Path, origin: Option<&str>, reading: &Reading) -> Result<SchemaFile> {
    let mut file = SchemaFile::read(path)?;
    match origin {
        Some(origin) => file.set_origin(origin),
        None => file
            .check_sum()
            .context("the text was edited: say where it comes from now with `--origin TEXT`")?,
    }
    file.normalize(reading)?;
    Ok(file)
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
            let schema = file.parse(&Reading::strict()).unwrap_or_else(|problems| panic!("{problems}"));
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

    /// Writes a schema to a file of its own.
    fn written(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("chappe-codegen-{}-{name}", std::process::id()));
        fs::write(&path, text).expect("it can be written");
        path
    }

    #[test]
    fn an_edited_schema_does_not_keep_its_origin() {
        let api = workspace::root().expect("tests run in the workspace").join(API);
        let text = fs::read_to_string(api).expect("it can be read");
        let path = written("edited.tl", &text.replace("// LAYER 230", "// LAYER 231"));
        let refused = given(&path, None, &Reading::default()).map(|_| ()).expect_err("it was edited");
        assert!(format!("{refused:#}").contains("--origin"), "{refused:#}");
        let taken = given(&path, Some("by hand"), &Reading::default()).expect("its origin is given");
        taken.check_sum().expect("the old sum does not count");
        taken.write(&path).expect("it can be written");
        let written = fs::read_to_string(&path).expect("it can be read");
        assert!(written.starts_with("// Origin: by hand\n"), "{}", &written[..60]);
        SchemaFile::read(&path).expect("it can be read").check_sum().expect("the sum is that of the text");
        fs::remove_file(path).expect("it is there");
    }

    #[test]
    fn the_schema_in_use_is_not_taken_as_a_new_layer() {
        let api = workspace::root().expect("tests run in the workspace").join(API);
        let refused = take_layer(&api, Some("itself"), &Reading::default()).expect_err("it is in use");
        assert!(refused.to_string().contains("in use"), "{refused:#}");
    }

    #[test]
    fn a_corrected_layer_has_a_report_of_its_own_name() {
        assert_eq!(report_name(230, 231), "docs/layers/230-to-231.md");
        assert_eq!(report_name(231, 231), "docs/layers/231-changed.md");
    }

    #[test]
    fn json_and_a_layer_of_the_command_line_become_text() {
        let json = r#"{"constructors":[{"id":"1","predicate":"one","params":[],"type":"One"}],"methods":[]}"#;
        let path = written("schema.json", &format!("\u{feff}{json}\r\n"));
        let reading = Reading { layer: Some(99), ..Reading::default() };
        let taken = given(&path, None, &reading).expect("it is a schema");
        taken.write(&path).expect("it can be written");
        let text = fs::read_to_string(&path).expect("it can be read");
        assert!(text.ends_with("// LAYER 99\none#00000001 = One;\n"), "{text}");
        let path_of_text = written("nameless.tl", "one = One;\r\n");
        let taken = given(&path_of_text, None, &reading).expect("it is a schema");
        assert_eq!(taken.parse(&Reading::default()).expect("it is one").layer(), Some(99));
        for path in [path, path_of_text] {
            fs::remove_file(path).expect("it is there");
        }
    }

    #[test]
    fn every_layer_differs_from_itself_in_nothing_and_from_the_others_in_something() {
        let schemas: Vec<Schema> =
            layers().iter().map(|file| file.parse(&Reading::strict()).expect("it was read before")).collect();
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
            let schema = file.parse(&Reading::strict()).expect("it was read before");
            let subset = schema
                .subset(&["messages.sendMessage", "updates.getState"])
                .expect("they are in every layer");
            assert_eq!(subset.functions().count(), 2);
            assert!(subset.constructors().count() < schema.constructors().count());
            chappe_tl_gen::generate(&subset, &GeneratorOptions::new(file.name())).expect("it has a form");
        }
    }
}
