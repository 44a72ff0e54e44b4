//! `cargo xtask schemas-proof`: generated code compiles for every schema that can be read.
//!
//! Schemas are those of the given files, and random ones with every construct and with names that are hostile to Rust. The code of
//! all of them, in both styles, is one crate in the target folder, which is compiled once. Random values of the given schemas are
//! read by the schema alone and written again.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use chappe_tl_dynamic::{AnyObject, encode_object};
use chappe_tl_gen::{GenerateError, GeneratorOptions, Style};
use chappe_tl_parser::{ParseOptions, Schema, parse_with};
use clap::Args;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

use crate::schema::{Reading, SchemaFile};
use crate::shell::{self, Shell};
use crate::tl_values::Values;
use crate::workspace::{self, Workspace};

/// Arguments of `cargo xtask schemas-proof`.
#[derive(Args)]
pub(crate) struct SchemasProof {
    /// Schema files of any dialect.
    files: Vec<PathBuf>,
    /// How many random schemas are drawn.
    #[arg(long, value_name = "N", default_value_t = 40)]
    random: u64,
    /// The number of the first random schema.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    reading: Reading,
}

impl SchemasProof {
    /// Generates and compiles everything.
    pub(crate) fn run(&self) -> Result<()> {
        let mut crate_ = Scratch::default();
        for (number, path) in self.files.iter().enumerate() {
            let file = SchemaFile::read(path)?;
            let schema = file.parse(&self.reading)?;
            let values = round_trips(&schema).with_context(|| file.name().to_owned())?;
            println!("{}: {values} random values give the same bytes by way of JSON", file.name());
            crate_.add(&format!("file_{number}"), file.name(), &schema)?;
        }
        for seed in self.seed..self.seed + self.random {
            let text = random(seed);
            let name = format!("random schema {seed}");
            let schema = parse_with(&name, &text, &ParseOptions::default())
                .map_err(|problems| anyhow::anyhow!("{problems}\n{text}"))?;
            crate_.add(&format!("random_{seed}"), &name, &schema)?;
        }
        crate_.compile()?;
        println!(
            "{} modules compile; {} have no form in a style:",
            crate_.modules.len(),
            crate_.refused.len()
        );
        crate_.refused.iter().for_each(|refused| println!("  {refused}"));
        Ok(())
    }
}

/// Reads random values of each definition by the schema alone, writes them as JSON, and that as bytes. Returns their number.
fn round_trips(schema: &Schema) -> Result<usize> {
    /// Values of each definition.
    const ROUNDS: u64 = 3;
    let mut values = 0;
    for definition in schema.definitions() {
        // Of several definitions with one id, a reader finds the first.
        if schema.by_id(definition.id) != Some(definition) {
            continue;
        }
        for round in 0..ROUNDS {
            let rng = ChaCha8Rng::seed_from_u64(u64::from(definition.id) << 8 | round);
            let bytes = Values::new(schema, rng).boxed(definition);
            let object = AnyObject::from_bytes(schema, &bytes).with_context(|| definition.line())?;
            let json = serde_json::to_string(&object)?;
            let again = encode_object(schema, &serde_json::from_str(&json)?);
            ensure!(again.with_context(|| definition.line())? == bytes, "{}: {json}", definition.line());
            values += 1;
        }
    }
    Ok(values)
}

/// The crate in the making: its modules, and what has no form.
#[derive(Default)]
struct Scratch {
    modules: Vec<(String, String)>,
    refused: Vec<String>,
}

impl Scratch {
    fn add(&mut self, module: &str, name: &str, schema: &Schema) -> Result<()> {
        for (style, suffix) in [(Style::Owned, "owned"), (Style::Arena, "arena")] {
            match chappe_tl_gen::generate(schema, &GeneratorOptions::new(name).style(style)) {
                Ok(output) => self.modules.push((format!("{module}_{suffix}"), output.to_single_file())),
                Err(error @ (GenerateError::Unsupported { .. } | GenerateError::NameClash { .. })) => {
                    self.refused.push(format!("{name}, {suffix}: {error}"));
                }
                Err(error) => return Err(error).with_context(|| name.to_owned()),
            }
        }
        Ok(())
    }

    fn compile(&self) -> Result<()> {
        ensure!(!self.modules.is_empty(), "there is nothing to compile");
        let folder = Workspace::load()?.target().join("schemas-proof");
        let source = folder.join("src");
        if source.exists() {
            fs::remove_dir_all(&source)?;
        }
        fs::create_dir_all(&source)?;
        let runtime = workspace::root()?.join("crates/chappe-tl");
        let manifest = format!(
            "[package]\nname = \"schemas-proof\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
             chappe-tl = {{ path = '{}', features = [\"table\"] }}\n",
            runtime.display()
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        let mut root = String::from("#![allow(warnings)]\n");
        for (module, text) in &self.modules {
            fs::write(source.join(format!("{module}.rs")), text)?;
            let _ = writeln!(root, "pub mod {module};");
        }
        fs::write(source.join("lib.rs"), root)?;
        let mut check = shell::cargo(&folder);
        check.args(["check", "--quiet"]).env("CARGO_TARGET_DIR", folder.join("target"));
        Shell::loud().run(&mut check)
    }
}

/// Draws numbers.
struct Draw(u64);

impl Draw {
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 16) % limit as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Namespaces: none, nested ones, and names of modules, keywords and types.
const NAMESPACES: &[&str] = &[
    "",
    "",
    "",
    "a.",
    "a.b.",
    "a.b.c.",
    "types.",
    "enums.",
    "functions.",
    "calls.",
    "names.",
    "tl.",
    "tables.",
    "layout.",
    "mod.",
    "self.",
    "super.",
    "i32.",
    "str.",
    "serde.",
    "core.",
    "std.",
    "native.",
    "defaults.",
    "type.",
];

/// Names of types that are names of Rust as well.
const NAMES: &[&str] = &[
    "sized",
    "clone",
    "copy",
    "partialEq",
    "option",
    "vec",
    "string_",
    "box_",
    "result",
    "ok",
    "some",
    "debug",
    "default",
    "self",
    "send",
    "from",
    "into",
    "drop",
    "iterator",
    "one",
    "anyCall",
    "sink",
    "encoded",
];

/// Names of fields that are keywords, or names of generated code.
const FIELDS: &[&str] = &[
    "type", "self", "super", "crate", "fn", "match", "buf", "out", "object", "x", "y", "w", "at", "tl", "S",
    "group", "words", "flags_", "async", "gen", "id", "i32", "some",
];

/// A random schema that is valid by construction.
fn random(seed: u64) -> String {
    let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    // The first numbers are close to the seed.
    for _ in 0..8 {
        draw.next();
    }
    let count = 3 + draw.below(6);
    // The first type can end every recursion: it has a constructor without fields.
    let types: Vec<(String, String)> = (0..count)
        .map(|number| {
            let (space, name) = (draw.one(NAMESPACES), draw.one(NAMES));
            let capital = name[..1].to_uppercase() + &name[1..];
            (format!("{space}{name}{number}"), format!("{space}{capital}{number}"))
        })
        .collect();
    let mut text =
        String::from("int512 16*[ int ] = Int512;\nint53 ? = Int53;\nboolFalse = Bool;\nboolTrue = Bool;\n");
    for (number, (constructor, ty)) in types.iter().enumerate() {
        let alone = draw.below(3) == 0;
        let fields = if number == 0 { String::new() } else { fields(&mut draw, &types, number) };
        let _ = writeln!(text, "{constructor}{fields} = {ty};");
        if !alone {
            let _ = writeln!(text, "{constructor}Empty = {ty};");
            let fields = self::fields(&mut draw, &types, number);
            let _ = writeln!(text, "{constructor}Other{fields} = {ty};");
        }
    }
    text.push_str("---functions---\n");
    for number in 0..draw.below(4) {
        let (space, name, result) = (draw.one(NAMESPACES), draw.one(NAMES), draw.below(types.len()));
        let fields = if draw.below(4) == 0 { String::new() } else { fields(&mut draw, &types, types.len()) };
        let _ = writeln!(text, "{space}{name}{number}{fields} = {};", types[result].1);
    }
    if draw.below(2) == 0 {
        let name = draw.one(&["X", "S", "Option", "Self", "T"]);
        let _ = writeln!(text, "wrap {{{name}:Type}} flags:# a:flags.0?int query:!{name} = {name};");
        let _ = writeln!(text, "every {{{name}:Type}} query:!{name} = Vector<{name}>;");
    }
    text
}

/// Random fields of a constructor of the type with this number. What is always there is of an earlier type, so that values end.
fn fields(draw: &mut Draw, types: &[(String, String)], number: usize) -> String {
    const PLAIN: &[&str] =
        &["int", "long", "double", "string", "bytes", "Bool", "int128", "int256", "int512", "int53", "#"];
    let mut text = String::new();
    let has_flags = draw.below(2) == 0;
    if has_flags {
        text.push_str(" flags:#");
    }
    for index in 0..draw.below(6) {
        let name = format!("{}{index}", draw.one(FIELDS));
        let (earlier, any) = (draw.below(number.max(1)).min(types.len() - 1), draw.below(types.len()));
        let is_conditional = has_flags && draw.below(2) == 0;
        let is_one = |ty: usize, text: &str| !text.contains(&format!("{}Empty", types[ty].0));
        let ty = match draw.below(8) {
            0 if number > 0 => types[earlier].1.clone(),
            1 if number > 0 => types[earlier].0.clone(),
            2 => format!("Vector<{}>", types[any].1),
            3 => format!("vector<{}>", types[any].1),
            4 => format!("Vector<{}>", draw.one(PLAIN)),
            5 => format!("(vector {})", draw.one(PLAIN)),
            6 if is_conditional && is_one(any, &text) => types[any].1.clone(),
            7 if is_conditional => "true".to_owned(),
            _ => draw.one(PLAIN).to_owned(),
        };
        let condition = if is_conditional { format!("flags.{}?", draw.below(4)) } else { String::new() };
        let _ = write!(text, " {name}:{condition}{ty}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_schemas_are_read_and_have_a_form() {
        for seed in 1..400 {
            let text = random(seed);
            let schema = parse_with("random", &text, &ParseOptions::default())
                .unwrap_or_else(|problems| panic!("{seed}: {problems}\n{text}"));
            let owned = chappe_tl_gen::generate(&schema, &GeneratorOptions::new("random"));
            match owned {
                Ok(_) | Err(GenerateError::NameClash { .. }) => {}
                Err(error) => panic!("{seed}: {error}\n{text}"),
            }
        }
    }
}
