//! Session strings that `chappe-import` writes, read by the libraries whose form they have.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::Context;

/// The key: as in the fixtures of other libraries.
fn key() -> String {
    (0..256_u32).fold(String::new(), |mut text, place| {
        let _ = write!(text, "{:02x}", (place * 31 + 7) & 0xff);
        text
    })
}

/// Writes the strings, and what they mean, to two files in `folder`, and returns their names.
pub(super) fn write(context: &Context, folder: &Path) -> Result<[&'static str; 2]> {
    let key = key();
    let mut command = Command::new(context.workspace.target().join("debug/examples/export"));
    let written = command.args([&key, "2", "149.154.167.51", "443", "17349", "7000000001"]).output()?;
    ensure!(written.status.success(), "the session strings were not written");
    fs::write(folder.join("strings.json"), written.stdout)?;
    let expected = serde_json::json!({
        "dc": 2,
        "host": "149.154.167.51",
        "port": 443,
        "api_id": 17349,
        "is_test": false,
        "key": key,
        "user": 7_000_000_001_u64,
        "is_bot": false,
    });
    fs::write(folder.join("expected.json"), expected.to_string())?;
    Ok(["strings.json", "expected.json"])
}
