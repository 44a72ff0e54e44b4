//! Third-party clients against the embedded datacenter, on loopback: directly, and through `chappe-proxy`. `chappe tap` captures
//! the traffic of some, and `chappe decrypt` reads it. Libraries that have session strings read those that `chappe-import` writes.
//!
//! The clients are installed from their registries to the target folder. If Python or Node is missing, or a registry cannot be
//! reached, the gate leaves them out and says so.

mod proxy;
mod sessions;
mod tap;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::{Context, Verdict};
use crate::shell::{self, Shell};
use crate::workspace::Workspace;

/// The example that runs the datacenter.
const EXAMPLE: &str = "loopback";

/// The folder of the scripts and their lists of packages.
const SCRIPTS: &str = "crates/chappe-conformance/interop";

/// The default id of the example's datacenter.
pub(super) const DC_ID: &str = "2";

/// Secrets of an `MTProxy` that the datacenter accepts, as in the scripts.
const SECRETS: [&str; 3] = [
    "00112233445566778899aabbccddeeff",
    "dd00112233445566778899aabbccddeeff",
    "ee00112233445566778899aabbccddeeff6578616d706c652e636f6d",
];

/// A client: its script and its runtime.
struct Client {
    script: &'static str,
    runtime: Runtime,
    when: When,
    task: Task,
}

/// What a client does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Connects to the datacenter.
    Connect,
    /// Connects through `chappe-proxy`.
    ConnectThroughProxy,
    /// Connects through `chappe tap`, and writes its keys to a file; at least so many connections are decrypted.
    ConnectTapped(usize),
    /// The same, with `chappe-proxy` behind the tap.
    ConnectThroughProxyTapped(usize),
    /// Reads session strings.
    ReadSessions,
}

/// When a client runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    WithAll,
}

/// The runtime of a client's script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runtime {
    /// A Python environment with this package.
    Python(&'static str),
    /// Node with the packages of `package.json`.
    Node,
    /// The system's Python, with the library that this npm package brings.
    Library(&'static str),
}

const CLIENTS: &[Client] = &[
    client("telethon_client.py", Runtime::Python(TELETHON), When::Always),
    client("pyrogram_client.py", Runtime::Python(KURIGRAM), When::Always),
    client("mtcute_client.mjs", Runtime::Node, When::Always),
    client("gramjs_client.cjs", Runtime::Node, When::Always),
    client("mtproto_core_client.cjs", Runtime::Node, When::Always),
    client("pyrogram_client.py", Runtime::Python("pyrogram==2.0.106"), When::WithAll),
    client("tdlib_client.py", Runtime::Library(TDLIB), When::WithAll),
    client("telethon_client.py", Runtime::Python(TELETHON), When::Always).doing(Task::ConnectThroughProxy),
    client("pyrogram_client.py", Runtime::Python(KURIGRAM), When::Always).doing(Task::ConnectThroughProxy),
    client("mtcute_client.mjs", Runtime::Node, When::Always).doing(Task::ConnectThroughProxy),
    client("tdlib_client.py", Runtime::Library(TDLIB), When::WithAll).doing(Task::ConnectThroughProxy),
    client("telethon_client.py", Runtime::Python(TELETHON), When::Always).doing(Task::ConnectTapped(8)),
    client("mtcute_client.mjs", Runtime::Node, When::Always).doing(Task::ConnectTapped(6)),
    client("mtcute_client.mjs", Runtime::Node, When::Always).doing(Task::ConnectThroughProxyTapped(6)),
    client("read_sessions.py", Runtime::Python(TELETHON), When::Always).doing(Task::ReadSessions),
    client("read_sessions.py", Runtime::Python(KURIGRAM), When::Always).doing(Task::ReadSessions),
    client("read_sessions.cjs", Runtime::Node, When::Always).doing(Task::ReadSessions),
];

const TELETHON: &str = "telethon==1.45.0";
const KURIGRAM: &str = "kurigram==2.2.26";
const TDLIB: &str = "prebuilt-tdlib@0.1008065.0";

const fn client(script: &'static str, runtime: Runtime, when: When) -> Client {
    Client { script, runtime, when, task: Task::Connect }
}

impl Client {
    const fn doing(self, task: Task) -> Self {
        Self { task, ..self }
    }
}

/// Arguments of `cargo xtask interop`.
#[derive(Args)]
pub(crate) struct Interop {
    /// Also runs the clients that are slow to install or add little: Pyrogram and `TDLib`.
    #[arg(long)]
    all: bool,
}

impl Interop {
    /// Runs the clients.
    pub(crate) fn run(&self) -> Result<()> {
        let mut context = Context { workspace: Workspace::load()?, shell: Shell::loud() };
        let limit = if self.all { When::WithAll } else { When::Always };
        super::show("interop", &run_until(&mut context, limit)?);
        Ok(())
    }
}

/// Starts the datacenter and runs every default client whose runtime and packages are available.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    run_until(context, When::Always)
}

/// Starts the datacenter and runs every client whose runtime and packages are available.
fn run_until(context: &mut Context, limit: When) -> Result<Verdict> {
    if !context.workspace.has_example(EXAMPLE) {
        return Ok(Verdict::Skipped(format!("there is no example `{EXAMPLE}` in this checkout")));
    }
    build_programs(context)?;
    let folder = context.workspace.target().join("interop");
    copy_scripts(&context.workspace.root().join(SCRIPTS), &folder)?;
    let mut ran = Vec::new();
    let mut left_out = Vec::new();
    let mut failed = Vec::new();
    let mut peers = Peers::default();
    let mut prepared: Vec<(Runtime, Option<PathBuf>)> = Vec::new();
    for Client { script, runtime, task, .. } in
        CLIENTS.iter().filter(|client| client.when == When::Always || limit == When::WithAll)
    {
        let known = prepared.iter().find(|(known, _)| known == runtime);
        let program = if let Some((_, program)) = known {
            program.clone()
        } else {
            let program = prepare(context, *runtime, &folder)?;
            if program.is_none() {
                left_out.push(runtime.name());
            }
            prepared.push((*runtime, program.clone()));
            program
        };
        let Some(program) = program else { continue };
        let mut command = Command::new(&program);
        command.current_dir(&folder).arg(script);
        let tap = peers.add_arguments(context, *task, &folder, &mut command)?;
        let outcome = context.shell.run(&mut command);
        let outcome = outcome.and_then(|()| tap.map_or(Ok(()), |tap| tap.check(context, *task)));
        match outcome {
            Ok(()) => ran.push(*script),
            Err(error) => {
                context.shell.say(&format!("{script}: {error:#}"))?;
                failed.push(*script);
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

/// Builds all programs as the gate `test` does, after which nothing is left to build.
fn build_programs(context: &Context) -> Result<()> {
    let mut build = shell::cargo(context.workspace.root());
    build.args(["build", "--quiet", "--workspace", "--all-features", "--bins", "--examples"]);
    context.shell.run(&mut build)
}

/// What clients need, each made when the first one needs it.
#[derive(Default)]
struct Peers {
    // Dropped first: it is in front of the other.
    proxy: Option<proxy::Proxy>,
    server: Option<Server>,
    sessions: Option<[&'static str; 2]>,
}

impl Peers {
    /// Adds the arguments of a client's script. Returns the tap that it connects to, if the task needs one.
    fn add_arguments(
        &mut self,
        context: &Context,
        task: Task,
        folder: &Path,
        command: &mut Command,
    ) -> Result<Option<tap::Tap>> {
        if task == Task::ReadSessions {
            let files = match self.sessions {
                Some(files) => files,
                None => *self.sessions.insert(sessions::write(context, folder)?),
            };
            command.args(files);
            return Ok(None);
        }
        let server = match &mut self.server {
            Some(server) => server,
            none => none.insert(Server::start(context, &[])?),
        };
        let is_through_proxy = matches!(task, Task::ConnectThroughProxy | Task::ConnectThroughProxyTapped(_));
        let address = if is_through_proxy {
            match &mut self.proxy {
                Some(proxy) => &proxy.address,
                none => &none.insert(proxy::Proxy::start(context, &server.address)?).address,
            }
        } else {
            &server.address
        };
        let tap = match task {
            Task::ConnectTapped(_) | Task::ConnectThroughProxyTapped(_) => {
                Some(tap::Tap::start(context, folder, address)?)
            }
            _ => None,
        };
        match &tap {
            Some(tap) => tap.add_arguments(DC_ID, command),
            None => {
                command.args(address).arg(DC_ID);
            }
        }
        if is_through_proxy {
            command.arg("--mtproxy");
        }
        Ok(tap)
    }
}

impl Runtime {
    /// Returns the package, or a name for several.
    const fn name(self) -> &'static str {
        match self {
            Self::Python(package) | Self::Library(package) => package,
            Self::Node => "Node",
        }
    }
}

/// Copies the scripts to the folder of the packages, where Node looks for them.
pub(super) fn copy_scripts(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("no {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Installs the packages and returns the program that runs scripts, or `None` if it is not available.
fn prepare(context: &Context, runtime: Runtime, folder: &Path) -> Result<Option<PathBuf>> {
    let (steps, program) = match runtime {
        Runtime::Python(package) => {
            // Two packages may bring modules of the same name.
            let venv = format!("venv-{}", package.split("==").next().unwrap_or_default());
            let python = format!("{venv}/bin/python");
            let install = ["-m", "pip", "install", "--quiet", package];
            let steps =
                vec![command(folder, "python3", &["-m", "venv", &venv]), command(folder, &python, &install)];
            (steps, folder.join(python))
        }
        Runtime::Node => {
            let steps = vec![command(folder, "node", &["--version"]), npm_install(folder)];
            (steps, PathBuf::from("node"))
        }
        Runtime::Library(package) => {
            let mut install = npm_install(folder);
            install.args(["--no-save", package]);
            (vec![command(folder, "python3", &["--version"]), install], PathBuf::from("python3"))
        }
    };
    for mut step in steps {
        if let Err(error) = context.shell.run(&mut step) {
            context.shell.say(&format!("{} clients are left out: {error:#}", runtime.name()))?;
            return Ok(None);
        }
    }
    Ok(Some(program))
}

/// Returns the command that installs the packages of `package.json` in `folder`.
pub(super) fn npm_install(folder: &Path) -> Command {
    command(
        folder,
        "npm",
        &["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
    )
}

/// Returns a command in `folder`. A program with a slash in its name is relative to it.
fn command(folder: &Path, program: &str, arguments: &[&str]) -> Command {
    let path = if program.contains('/') { folder.join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(path);
    command.current_dir(folder).args(arguments);
    command
}

/// The process of the datacenter, which is killed on drop.
pub(super) struct Server {
    process: Child,
    /// Host, port and path of the public key: the arguments of clients.
    pub(super) address: Vec<String>,
}

impl Server {
    /// Starts the datacenter, with further arguments.
    pub(super) fn start(context: &Context, arguments: &[&str]) -> Result<Self> {
        build_programs(context)?;
        let program = context.workspace.target().join("debug/examples").join(EXAMPLE);
        let key = write_key(context)?;
        let mut command = Command::new(program);
        command.current_dir(context.workspace.target()).args(["--listen", "127.0.0.1:0"]);
        command.arg("--rsa-key").arg(key).args(arguments);
        for secret in SECRETS {
            command.args(["--secret", secret]);
        }
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
/// A random key does not work with mtcute if its fingerprint begins with a zero digit, as one in sixteen does.
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
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
