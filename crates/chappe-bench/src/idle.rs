//! What an idle connection costs the tokio server, all told: socket, task, buffers, session.
//!
//! The clients are another process, this program once more, so that what is counted is the server's alone.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use chappe_crypto::{AuthKey, rng::Drbg, rsa::PrivateKey};
use chappe_framing::{FrameBuf, UnixTime};
use chappe_handshake::ServerOptions;
use chappe_server::{
    Context, Engine, EngineOptions, Handler, KeyState, KeyStatus, ListenOptions, QueryResponse, tokio::Server,
};
use chappe_session::{EncryptedSession, server::ServerConfig};
use chappe_tl_mtproto::functions::Ping;

#[cfg(feature = "net")]
use crate::{
    harness::Spread,
    report::{Bound, Report},
};

/// Connections.
const COUNT: usize = 10_000;

/// What one may cost, in bytes.
const LIMIT: f64 = 12.0 * 1024.0;

/// Whatever a server gives back only after a while shall be given back.
const CALM: Duration = Duration::from_secs(4);

/// Tells the child where to connect.
const ADDRESS: &str = "CHAPPE_BENCH_IDLE";

struct Nobody;

impl Handler for Nobody {
    fn query(&self, _context: &Context<'_>, _body: &[u8]) -> QueryResponse {
        QueryResponse::Error { code: 400, message: "METHOD_INVALID".into() }
    }
}

/// Measures, and prints one line.
///
/// # Errors
///
/// Fails if a connection does, or if one costs more than it may.
pub fn run() -> Result<()> {
    if let Ok(address) = env::var(ADDRESS) {
        return be_idle(address.parse()?);
    }
    let each = measure()?;
    println!("{COUNT} idle connections with a session each: {each:.0} bytes for one, at most {LIMIT:.0}");
    ensure!(each <= LIMIT, "that is too much");
    Ok(())
}

/// Measures, and adds a row to a report.
///
/// # Errors
///
/// Fails if a connection does.
#[cfg(feature = "net")]
pub fn add_to(report: &mut Report) -> Result<()> {
    let each = measure()?;
    let ratio = each / LIMIT;
    let work = format!("memory of one of {COUNT} idle connections with a session ({each:.0} bytes) / 12 KiB");
    report.target("idle", work, Bound::AtMost(1.0), Spread { median: ratio, low: ratio, high: ratio });
    Ok(())
}

/// Returns how many bytes one connection costs.
fn measure() -> Result<f64> {
    let mut rng = Drbg::from_os()?;
    let handshake = ServerOptions::lenient(vec![PrivateKey::generate(&mut rng)?]);
    let mut options = EngineOptions::new(handshake, ServerConfig::default());
    options.budgets.sessions_per_key = COUNT;
    options.budgets.sessions_begun_at_once = COUNT as u32;
    let engine = Engine::new(options, Nobody, &mut rng)?;
    engine.add_key(KeyState::new(key(), KeyStatus::Permanent));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listening = Server::listen("127.0.0.1:0", ListenOptions::datacenter(), engine);
    let server = runtime.block_on(listening)?;

    let before = resident()?;
    let mut child = Command::new(env::current_exe()?);
    child.arg("idle").env(ADDRESS, server.local_addr().to_string());
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut said = String::new();
    BufReader::new(child.stdout.take().context("it has an output")?).read_line(&mut said)?;
    ensure!(said == "READY\n", "the clients failed");
    thread::sleep(CALM);
    let open = server.counters().open;
    ensure!(open == COUNT as u64, "{open} connections are open");
    let each = (resident()? - before) / COUNT as f64;
    drop(child.stdin.take());
    child.wait()?;
    Ok(each)
}

fn key() -> AuthKey {
    AuthKey::from_bytes([9; 256])
}

/// Returns the memory of this process, in bytes.
pub fn resident() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("this is measured on Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0)
}

/// Connects so many times, makes a call over each connection and then does nothing until it is told to end.
fn be_idle(address: SocketAddr) -> Result<()> {
    let mut rng = Drbg::from_os()?;
    let sockets = (0..COUNT).map(|_| connect(address, &mut rng)).collect::<Result<Vec<_>>>()?;
    println!("READY");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(sockets);
    Ok(())
}

fn connect(address: SocketAddr, rng: &mut Drbg) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(&[0xee; 4])?;
    let mut session = EncryptedSession::with_rng(key(), 0, 0, rng);
    let mut frame = FrameBuf::new();
    // The first is answered with the right salt.
    for ping_id in 0..2 {
        session.pack_into(&Ping { ping_id }, UnixTime::now(), rng, &mut frame)?;
        let len = (frame.len() as u32).to_le_bytes();
        socket.write_all(&[&len, frame.as_slice()].concat())?;
        let mut len = [0; 4];
        socket.read_exact(&mut len)?;
        let mut answer = vec![0; u32::from_le_bytes(len) as usize];
        socket.read_exact(&mut answer)?;
        session.unpack_each(UnixTime::now(), &mut answer, |_| {})?;
    }
    Ok(socket)
}
