//! Generates the types of `telemetry.tl`.

use core::error::Error;
use std::path::Path;
use std::{env, fs};

const SCHEMA: &str = "telemetry.tl";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SCHEMA}");
    let text = fs::read_to_string(SCHEMA)?;
    let schema = match chappe_tl_parser::parse(SCHEMA, &text) {
        Ok(schema) => schema,
        Err(problems) => return Err(problems.to_string().into()),
    };
    let output = chappe_tl_gen::generate(&schema, &chappe_tl_gen::Options::new(SCHEMA))?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("telemetry.rs"), output.to_single_file())?;
    Ok(())
}
