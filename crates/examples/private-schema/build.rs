//! Generates the types of `telemetry.tl`; and for the tests those of other schemas, in both styles.

use core::error::Error;
use std::path::Path;
use std::{env, fs};

use chappe_tl_gen::{GeneratorOptions, Style};

fn main() -> Result<(), Box<dyn Error>> {
    generate("telemetry.tl", "telemetry.rs", Style::Owned)?;
    generate("ton.tl", "ton.rs", Style::Owned)?;
    generate("oddities.tl", "oddities.rs", Style::Owned)?;
    generate("oddities.tl", "oddities_arena.rs", Style::Arena)?;
    generate("parameterless.tl", "parameterless.rs", Style::Arena)?;
    generate("shapes.tl", "shapes.rs", Style::Arena)
}

fn generate(schema: &str, file: &str, style: Style) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={schema}");
    let text = fs::read_to_string(schema)?;
    let parsed = chappe_tl_parser::parse(schema, &text)?;
    let output = chappe_tl_gen::generate(&parsed, &GeneratorOptions::new(schema).style(style))?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join(file), output.to_single_file())?;
    Ok(())
}
