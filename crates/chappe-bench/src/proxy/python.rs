//! The `MTProxy` of PyPI with the most users, in Python.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::KEY;
use super::process::Process;

/// The package. It brings PyCryptodome, which does AES in C.
const PACKAGE: &str = "mtprotoproxy==1.0.6";

/// The program that starts it.
const RUNNER: &str = include_str!("mtprotoproxy.py");

/// Installs it to the target folder, and starts it in front of a datacenter.
///
/// # Errors
///
/// Python or the registry is not there.
pub(super) fn start(datacenter: &str) -> Result<Process> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/mtprotoproxy");
    let python = folder.join("venv/bin/python");
    fs::create_dir_all(&folder)?;
    if !folder.join("installed").is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
        fs::write(folder.join("installed"), "")?;
    }
    let (runner, config) = (folder.join("run.py"), folder.join("config.py"));
    fs::write(&runner, RUNNER)?;
    fs::write(
        &config,
        format!(
            "PORT = 1\nUSERS = {{\"bench\": \"{KEY}\"}}\nSECURE_ONLY = True\nMASK = False\nPREFER_IPV6 = False\n"
        ),
    )?;
    let (_, port) = datacenter.rsplit_once(':').context("the datacenter has a port")?;
    let mut command = Command::new(python);
    command.arg(runner).arg(config).arg(port);
    Process::spawn(command)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot be started")?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
