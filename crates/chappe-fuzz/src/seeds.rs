//! What there is to fuzz, and where it starts: for either engine.

use std::fs;
use std::path::Path;

use anyhow::Result;
use chappe_conformance::fuzz::{self, Target};

/// Prints the name, the longest input and the subject of each target.
pub(crate) fn list() {
    for target in fuzz::ALL {
        println!("{}\t{}\t{}", target.name, target.max_len, target.about);
    }
}

/// Writes the seeds of every target to `FOLDER/TARGET/`.
pub(crate) fn write_all(folder: &Path) -> Result<()> {
    fuzz::ALL.iter().try_for_each(|target| write(target, folder))
}

fn write(target: &Target, folder: &Path) -> Result<()> {
    let folder = folder.join(target.name);
    fs::create_dir_all(&folder)?;
    let seeds = (target.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:04}")), seed)?;
    }
    println!("{}\t{}", target.name, seeds.len());
    Ok(())
}
