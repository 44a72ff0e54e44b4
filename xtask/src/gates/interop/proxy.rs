//! `chappe-proxy` in front of the datacenter.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::{Context, SECRETS};

/// The process of the proxy, which is killed on drop.
pub(super) struct Proxy {
    process: Child,
    /// Host, port and path of the datacenter's public key: the arguments of clients.
    pub(super) address: Vec<String>,
}

impl Proxy {
    /// Starts the proxy in front of a datacenter, whose address is host, port and path of its public key.
    pub(super) fn start(context: &Context, datacenter: &[String]) -> Result<Self> {
        let [host, port, key] = datacenter else { bail!("the datacenter has no address") };
        let config = context.workspace.target().join("interop/proxy.toml");
        fs::write(&config, configuration(&format!("{host}:{port}")))?;
        let mut command = Command::new(context.workspace.target().join("debug/chappe-proxy"));
        command.arg("--config").arg(&config).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().context("cannot start the proxy")?;
        let log = process.stderr.take().context("the proxy has no log")?;
        let mut proxy = Self { process, address: Vec::new() };
        let mut lines = BufReader::new(log).lines();
        for line in &mut lines {
            let line = line?;
            let Some((_, address)) = line.split_once("listening address=") else { continue };
            let (host, port) = address.trim().rsplit_once(':').context("the proxy has no port")?;
            proxy.address = vec![host.to_owned(), port.to_owned(), key.clone()];
            break;
        }
        if proxy.address.is_empty() {
            bail!("the proxy did not say where it listens");
        }
        // A full pipe would stop the proxy.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(proxy)
    }
}

/// Returns a configuration with the secrets that the scripts know. TDLib begins with datacenter 1.
fn configuration(datacenter: &str) -> String {
    let [plain, ..] = SECRETS;
    let tables = (1..=5).fold(String::new(), |mut text, id| {
        let _ = write!(text, "[[datacenters]]\nid = {id}\naddresses = [\"{datacenter}\"]\n");
        text
    });
    format!(
        "listen = [\"127.0.0.1:0\"]\n{tables}[[users]]\nname = \"interop\"\nsecret = \"{plain}\"\n\
         modes = [\"plain\", \"dd\", \"ee\"]\ndomain = \"example.com\"\n"
    )
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
