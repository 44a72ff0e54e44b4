//! Clients by other people against our datacenter, on loopback.
//!
//! The clients come from their registries at the time of the run, into the target folder. Where Python
//! or Node is missing, or a registry cannot be reached, their part is left out with a clear line.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::{Context, Verdict};
use crate::shell;

/// The example that serves.
const EXAMPLE: &str = "loopback";

/// Where the scripts and their lists of packages are.
const SCRIPTS: &str = "crates/chappe-conformance/interop";

/// The datacenter that the example is by default.
const DC_ID: &str = "2";

/// A client: its script, and whether Python or Node runs it.
struct Client {
    script: &'static str,
    runtime: Runtime,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Runtime {
    Python,
    Node,
}

const CLIENTS: &[Client] = &[
    Client { script: "telethon_client.py", runtime: Runtime::Python },
    Client { script: "mtcute_client.mjs", runtime: Runtime::Node },
    Client { script: "gramjs_client.cjs", runtime: Runtime::Node },
];

/// Serves, and runs every client whose runtime and packages can be had.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    if !context.workspace.has_example(EXAMPLE) {
        return Ok(Verdict::Skipped(format!("there is no example `{EXAMPLE}` in this checkout")));
    }
    let folder = context.workspace.target().join("interop");
    copy_scripts(&context.workspace.root().join(SCRIPTS), &folder)?;
    let mut ran = Vec::new();
    let mut left_out = Vec::new();
    let mut failed = Vec::new();
    let mut server = None;
    for runtime in [Runtime::Python, Runtime::Node] {
        let Some(program) = prepare(context, runtime, &folder)? else {
            left_out.push(runtime.name());
            continue;
        };
        for client in CLIENTS.iter().filter(|client| client.runtime == runtime) {
            let server = match &mut server {
                Some(server) => server,
                none => none.insert(Server::start(context)?),
            };
            let mut command = Command::new(&program);
            command.current_dir(&folder).arg(client.script).args(&server.address).arg(DC_ID);
            match context.shell.run(&mut command) {
                Ok(()) => ran.push(client.script),
                Err(_) => failed.push(client.script),
            }
        }
    }
    if !failed.is_empty() {
        bail!("{} failed", failed.join(", "));
    }
    let missing =
        if left_out.is_empty() { String::new() } else { format!("; left out: {}", left_out.join(", ")) };
    match ran.as_slice() {
        [] => Ok(Verdict::Skipped(format!("no client can be had{missing}"))),
        ran => Ok(Verdict::Passed(format!("{}{missing}", ran.join(", ")))),
    }
}

impl Runtime {
    const fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Node => "Node",
        }
    }
}

/// Copies the scripts beside which the packages will be: Node looks for packages nowhere else.
fn copy_scripts(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("no {SCRIPTS}"))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Installs the packages and returns the program that runs scripts, or `None` if that is not to be had.
fn prepare(context: &Context, runtime: Runtime, folder: &Path) -> Result<Option<PathBuf>> {
    let steps = match runtime {
        Runtime::Python => [
            command(folder, "python3", &["-m", "venv", "venv"]),
            command(
                folder,
                "venv/bin/python",
                &["-m", "pip", "install", "--quiet", "-r", "requirements.txt"],
            ),
        ],
        Runtime::Node => [
            command(folder, "node", &["--version"]),
            command(
                folder,
                "npm",
                &["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
            ),
        ],
    };
    for mut step in steps {
        if let Err(error) = context.shell.run(&mut step) {
            context.shell.say(&format!("{} clients are left out: {error:#}", runtime.name()))?;
            return Ok(None);
        }
    }
    Ok(Some(match runtime {
        Runtime::Python => folder.join("venv/bin/python"),
        Runtime::Node => PathBuf::from("node"),
    }))
}

/// Returns a command in `folder`; a program with a slash in its name is one of the folder's own.
fn command(folder: &Path, program: &str, arguments: &[&str]) -> Command {
    let path = if program.contains('/') { folder.join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(path);
    command.current_dir(folder).args(arguments);
    command
}

/// The datacenter as a process, which ends with this value.
struct Server {
    process: Child,
    /// Host, port and path of the public key, as clients take them.
    address: Vec<String>,
}

impl Server {
    fn start(context: &Context) -> Result<Self> {
        let mut build = shell::cargo(context.workspace.root());
        context.shell.run(build.args(["build", "--quiet", "--release", "--example", EXAMPLE]))?;
        let program = context.workspace.target().join("release/examples").join(EXAMPLE);
        let key = write_key(context)?;
        let mut command = Command::new(program);
        command.current_dir(context.workspace.target()).args(["--listen", "127.0.0.1:0"]);
        command.arg("--rsa-key").arg(key);
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut server =
            Self { process: process.context("cannot start the datacenter")?, address: Vec::new() };
        let output = server.process.stdout.take().context("the datacenter has no output")?;
        for line in BufReader::new(output).lines() {
            if let Some(rest) = line?.strip_prefix("READY ") {
                server.address = rest.split_whitespace().map(str::to_owned).collect();
                break;
            }
        }
        if server.address.len() != 3 {
            bail!("the datacenter did not say `READY host port public-key-path`");
        }
        Ok(server)
    }
}

/// Writes the private key of the vectors to a file and returns its path.
///
/// A key made for the occasion would do but for mtcute, which does not find a key whose fingerprint begins with a
/// zero digit, as one in sixteen does.
fn write_key(context: &Context) -> Result<PathBuf> {
    let vectors = context.workspace.root().join("crates/chappe-conformance/vectors/rsa_fingerprints.json");
    let vectors: serde_json::Value = serde_json::from_str(&fs::read_to_string(vectors)?)?;
    let pem = vectors["test_key"]["pem_pkcs1_private"].as_str().context("the vectors have no private key")?;
    let path = context.workspace.target().join("interop-key.pem");
    fs::write(&path, pem)?;
    Ok(path)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
