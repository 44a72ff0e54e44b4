//! A server process: this test program, started again.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::PrivateKey;
use chappe_handshake::ServerOptions;
use chappe_server::directory::{Directory, KeySealer};
use chappe_server::fleet::Fleet;
use chappe_server::tokio::Server;
use chappe_server::{Context, Engine, EngineOptions, Handler, ListenOptions, QueryResponse};
use chappe_server_redis::{RedisDirectory, RedisSessions};
use chappe_session::server::ServerConfig;

/// Queries of the clients: a constructor and a number.
pub(crate) const RUN: u32 = 0x1234_5601;
pub(crate) const RUN_SLOWLY: u32 = 0x1234_5602;
/// Answers with the key and the session.
pub(crate) const NAME: u32 = 0x1234_5603;

/// How long a slow query takes.
const SLOW: Duration = Duration::from_millis(300);

/// Tells the program that it is a server: port of Redis, milliseconds of the lease, path of the log.
const SETUP: &str = "CHAPPE_TEST_FLEET";

/// The same key for all processes.
pub(crate) fn private_key() -> PrivateKey {
    PrivateKey::generate(&mut Drbg::from_seed([3; 32])).expect("a key")
}

/// What processes need to know.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) redis: u16,
    pub(crate) lease: Duration,
    pub(crate) log: PathBuf,
}

impl Setup {
    /// Makes an engine of the fleet.
    pub(crate) async fn engine(&self) -> Arc<Engine> {
        let url = format!("redis://127.0.0.1:{}/", self.redis);
        let keys = RedisDirectory::connect(&url, "fleet").await.expect("Redis runs");
        let sessions = RedisSessions::connect(&url, "fleet").await.expect("Redis runs");
        let mut rng = Drbg::from_os().expect("randomness");
        let handshake = ServerOptions::lenient(vec![private_key()]);
        let options = EngineOptions::new(handshake, ServerConfig::default())
            .with_directory(Some(Directory::new(Arc::new(keys), KeySealer::new(&[7; 32]))))
            .with_salt_secret(Some([8; 32]))
            .with_fleet(Some(
                Fleet::new(Arc::new(sessions)).with_lease(self.lease).with_reserve(self.lease / 4),
            ));
        let log = OpenOptions::new().append(true).create(true).open(&self.log).expect("a folder for files");
        Engine::new(options, Logged { log: Arc::new(log) }, &mut rng).expect("good options")
    }
}

/// Executes queries, and writes down each.
struct Logged {
    log: Arc<std::fs::File>,
}

impl Handler for Logged {
    fn query(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse {
        let word =
            |at: usize| body.get(at..at + 4).and_then(|word| Some(u32::from_le_bytes(word.try_into().ok()?)));
        match (word(0), word(4)) {
            (Some(RUN), Some(number)) => {
                self.execute(number, context.fence());
                QueryResponse::Answer(body.to_vec())
            }
            (Some(RUN_SLOWLY), Some(number)) => {
                self.execute(number, context.fence());
                let (session, msg_id, answer) = (context.session.clone(), context.msg_id, body.to_vec());
                thread::spawn(move || {
                    thread::sleep(SLOW);
                    // The session may belong to another process by now.
                    let _ = session.respond(msg_id, QueryResponse::Answer(answer));
                });
                QueryResponse::Later
            }
            (Some(NAME), _) => {
                let (key, session) = (context.key().auth_key().id(), context.session_id());
                QueryResponse::Answer([key.to_raw().to_le_bytes(), session.to_raw().to_le_bytes()].concat())
            }
            _ => QueryResponse::Error { code: 400, message: "METHOD_INVALID".into() },
        }
    }
}

impl Logged {
    /// One write of less than a page to a file that is only appended to is not torn.
    fn execute(&self, number: u32, fence: Option<u64>) {
        let line = format!("{number} {}\n", fence.unwrap_or_default());
        (&*self.log).write_all(line.as_bytes()).expect("the disk has room");
    }
}

/// Runs a server if the program was started as one. Ends with the line `drain`, or with its input.
#[test]
fn a_process_of_the_fleet() {
    let Ok(setup) = env::var(SETUP) else { return };
    let mut fields = setup.splitn(3, ' ');
    let mut field = || fields.next().expect("three fields");
    let setup = Setup {
        redis: field().parse().expect("a port"),
        lease: Duration::from_millis(field().parse().expect("a number")),
        log: field().into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let engine = setup.engine().await;
        let server = Server::listen("127.0.0.1:0", ListenOptions::datacenter(), Arc::clone(&engine)).await;
        let server = server.expect("a free port");
        println!("\nserving on {}", server.local_addr());
        let order = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
        let order = order.await.expect("no panic");
        if order.is_some_and(|line| line.is_ok_and(|line| line == "drain")) {
            server.shutdown(Duration::from_secs(5)).await;
            engine.leave_fleet().await;
        }
    });
    std::process::exit(0);
}

/// A running server process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) fn start(setup: &Setup) -> Self {
        let Setup { redis, lease, log } = setup;
        let mut child = Command::new(env::current_exe().expect("a test program"))
            .args(["--exact", "process::a_process_of_the_fleet", "--nocapture"])
            .env(SETUP, format!("{redis} {} {}", lease.as_millis(), log.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut addresses =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("serving on ")?.parse().ok());
        let address = addresses.next().expect("it serves");
        Self { child, address }
    }

    /// Ends it without a warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was killed");
    }

    /// Ends it in order.
    pub(crate) fn drain(mut self) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(b"drain\n").expect("it reads");
        let ended = self.child.wait().expect("it ends");
        assert!(ended.success());
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("a system with signals").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// Returns how often each query was executed, and asserts that later executions have no lower fence.
pub(crate) fn executions(log: &Path) -> std::collections::BTreeMap<u32, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap_or_default().lines() {
        let number = line.split(' ').next().and_then(|number| number.parse().ok()).expect("a whole line");
        *counts.entry(number).or_default() += 1;
    }
    counts
}
