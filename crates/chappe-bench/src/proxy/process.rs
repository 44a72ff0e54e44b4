//! The processes of a measurement.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use chappe_proxy::{Config, Proxy};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

use super::{KEY, datacenter};

/// Tells a child what it is, and where the datacenter is.
const ROLE: &str = "CHAPPE_BENCH_PROXY";

/// Buffer of the relay in each direction.
const RELAYED: usize = 64 * 1024;

/// A process that ends with this value.
pub(super) struct Process {
    child: Child,
    pub(super) address: String,
}

impl Process {
    /// Starts this program in another role.
    pub(super) fn start(role: &str, datacenter: &str) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("proxy").env(ROLE, format!("{role} {datacenter}"));
        Self::spawn(command)
    }

    /// Starts a process that prints `READY HOST:PORT`, and ends when its input does.
    pub(super) fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("it has an output")?;
        let mut process = Self { child, address: String::new() };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.strip_prefix("READY ").with_context(|| format!("it says {line:?}"))?;
        process.address = address.trim().to_owned();
        Ok(process)
    }

    /// Returns the CPU time of all of its threads.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let mut nanos = 0;
        for task in
            fs::read_dir(format!("/proc/{}/task", self.child.id())).context("this is measured on Linux")?
        {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += text.split(' ').next().context("no time")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Returns its memory in bytes.
    pub(super) fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns how many files a process may open.
pub(super) fn max_files() -> Result<usize> {
    let limits = fs::read_to_string("/proc/self/limits").context("this is measured on Linux")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).context("no limit")?;
    Ok(line.split_whitespace().next().and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX))
}

/// Runs in the role that the environment names. Returns whether it names one.
pub(super) fn run_child() -> Result<bool> {
    let Ok(role) = env::var(ROLE) else { return Ok(false) };
    let (role, target) = role.split_once(' ').unwrap_or((&role, ""));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match role {
        "datacenter" => runtime.block_on(async {
            let listener = listen().await?;
            tokio::spawn(datacenter::serve(listener));
            anyhow::Ok(())
        })?,
        "relay" => {
            let target = target.to_owned();
            runtime.block_on(async {
                let listener = listen().await?;
                tokio::spawn(relay(listener, target));
                anyhow::Ok(())
            })?;
        }
        "chappe" => {
            let proxy = {
                let _context = runtime.enter();
                Proxy::start(config(target)?, Vec::new())?
            };
            println!("READY {}", proxy.local_addrs()[0]);
            wait()?;
            return Ok(true);
        }
        _ => bail!("no role {role}"),
    }
    wait()?;
    Ok(true)
}

fn config(datacenter: &str) -> Result<Config> {
    Ok(Config::parse(&format!(
        "listen = [\"127.0.0.1:0\"]\nmodes = [\"dd\", \"ee\"]\ndomain = \"example.com\"\n\
         limits.connections_per_network = 20000\nlimits.connect = 60\n\
         [[datacenters]]\nid = 2\naddresses = [\"{datacenter}\"]\n\
         [[users]]\nname = \"bench\"\nsecret = \"{KEY}\"\n"
    ))?)
}

async fn listen() -> Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(4096)?;
    println!("READY {}", listener.local_addr()?);
    Ok(listener)
}

/// Ends with the process that started this one.
fn wait() -> Result<()> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    ensure!(input.is_empty(), "nothing is said to it");
    Ok(())
}

async fn relay(listener: TcpListener, target: String) {
    while let Ok((mut client, _)) = listener.accept().await {
        let target = target.clone();
        tokio::spawn(async move {
            let mut datacenter = TcpStream::connect(target).await?;
            client.set_nodelay(true)?;
            datacenter.set_nodelay(true)?;
            copy_bidirectional_with_sizes(&mut client, &mut datacenter, RELAYED, RELAYED).await.map(drop)
        });
    }
}
