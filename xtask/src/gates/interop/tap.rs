//! `chappe tap` between a client and its server, and `chappe decrypt` on the capture that it wrote.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{Context, SECRETS, Task};

/// The call that every client makes on every connection.
const QUERY: &str = "help.getConfig";

/// The process of a tap, which is killed on drop.
pub(super) struct Tap {
    process: Child,
    program: PathBuf,
    /// Host, port and path of the server's public key: the arguments of clients.
    address: Vec<String>,
    capture: PathBuf,
    /// The client appends its keys to it.
    keys: PathBuf,
    secrets: PathBuf,
}

impl Tap {
    /// Starts a tap in front of a server, whose address is host, port and path of its public key.
    pub(super) fn start(context: &Context, folder: &Path, server: &[String]) -> Result<Self> {
        let [host, port, key] = server else { bail!("the server has no address") };
        let program = context.workspace.target().join("debug/chappe");
        let file = |name: &str| folder.join(name);
        let (capture, keys, secrets) = (file("tap.pcap"), file("tap.keys"), file("tap.secrets"));
        fs::write(&keys, "")?;
        fs::write(&secrets, SECRETS.join("\n"))?;
        let mut command = Command::new(&program);
        command.args(["tap", "--listen", "127.0.0.1:0", "--to", &format!("{host}:{port}")]);
        command.arg("--write").arg(&capture).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start the tap")?;
        let output = process.stdout.take().context("the tap has no output")?;
        let mut tap = Self { process, program, address: Vec::new(), capture, keys, secrets };
        let mut lines = BufReader::new(output).lines();
        let first = lines.next().context("the tap says nothing")??;
        let listen = first.strip_prefix("listening on ").and_then(|rest| rest.split(',').next());
        let listen = listen.and_then(|address| address.rsplit_once(':'));
        let (host, port) =
            listen.with_context(|| format!("the tap does not say where it listens: {first}"))?;
        tap.address = vec![host.to_owned(), port.to_owned(), key.clone()];
        // A full pipe would stop the tap.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(tap)
    }

    /// Adds the arguments of a client's script.
    pub(super) fn add_arguments(&self, dc_id: &str, command: &mut Command) {
        command.args(&self.address).arg(dc_id).arg("--key-log").arg(&self.keys);
    }

    /// Decrypts what the client sent and received, and fails if a message of it cannot be read.
    pub(super) fn check(&self, context: &Context, task: Task) -> Result<()> {
        let (Task::ConnectTapped(connections) | Task::ConnectThroughProxyTapped(connections)) = task else {
            bail!("nothing was tapped");
        };
        let mut command = Command::new(&self.program);
        command.args(["--json", "decrypt"]).arg(&self.capture).arg("--key-log").arg(&self.keys);
        command.arg("--secret-file").arg(&self.secrets).stderr(Stdio::inherit());
        let output = command.output().context("cannot start `chappe decrypt`")?;
        ensure!(output.status.success(), "`chappe decrypt` fails: {}", output.status);
        let mut seen = Seen::default();
        for line in String::from_utf8(output.stdout)?.lines() {
            seen.add(&serde_json::from_str(line)?)?;
        }
        context.shell.say(&seen.judge(connections)?)
    }
}

/// What `chappe decrypt` shows of a client.
#[derive(Default)]
struct Seen {
    messages: usize,
    /// The transport of each connection, and whether its call was answered.
    connections: BTreeMap<u64, (String, bool)>,
}

impl Seen {
    fn add(&mut self, record: &Value) -> Result<()> {
        let connection = record["connection"].as_u64().context("a record without a connection")?;
        match record["kind"].as_str() {
            Some("transport") => {
                let words = ["carrier", "framing"].map(|name| record[name].as_str().unwrap_or_default());
                let obfuscated = if record["obfuscated"] == true { " obfuscated" } else { "" };
                let transport = format!("{}{obfuscated}", words.join(" "));
                self.connections.insert(connection, (transport, false));
            }
            Some("message") => {
                ensure!(record["invalid"].is_null(), "a message breaks a rule: {record}");
                self.messages += 1;
                if record["name"] == "rpc_result" && record["query"] == QUERY && record["result"] == "config"
                {
                    let known = self.connections.get_mut(&connection);
                    known.context("a message on a connection without a transport")?.1 = true;
                }
            }
            Some("quick_ack") => {}
            _ => bail!("something cannot be read: {record}"),
        }
        Ok(())
    }

    /// Returns a summary.
    fn judge(&self, connections: usize) -> Result<String> {
        for (number, (transport, is_answered)) in &self.connections {
            ensure!(is_answered, "no answer to {QUERY} on connection {number}, {transport}");
        }
        let seen = self.connections.len();
        ensure!(seen >= connections, "{seen} connections, and not at least {connections}");
        Ok(format!("{} messages on {seen} connections decrypted", self.messages))
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
