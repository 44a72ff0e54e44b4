//! `chappe serve`.

mod answers;
mod fault;
mod folder;
mod ready;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chappe::authentication::DcId;
use chappe::crypto::rng::Drbg;
use chappe::crypto::rsa::PrivateKey;
use chappe::loopback::api::Account;
use chappe::loopback::{FaultScript, Loopback, Options};
use chappe::server::ListenOptions;
use chappe::transport::ProxySecret;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::failure::{Blame, Failure, OrBlame as _, Result, Status};
use crate::output::Output;
use crate::secrets;
use fault::Entry;
use folder::Folder;
use ready::{Ready, Stopped};

/// Runs a datacenter of your own, for tests of clients
///
/// It takes every transport on one port, WebSocket and HTTP included, and answers what clients ask when they connect.
/// It runs until Ctrl-C.
///
/// For example: `chappe serve --keys ./keys`, then in another terminal the `chappe ping` that it prints.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4430")]
    listen: SocketAddr,
    /// The number of the datacenter
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..1000))]
    dc_id: u16,
    /// It is a datacenter of the test environment
    #[arg(long)]
    test: bool,
    /// A folder that keeps the RSA key and the keys of clients from run to run; it is made if there is none
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
    /// A file with the RSA key to use
    #[arg(long, value_name = "PRIVATE.pem", conflicts_with = "keys")]
    rsa_key: Option<PathBuf>,
    /// A file to write the public key to, for clients
    #[arg(long, value_name = "PUBLIC.pem", conflicts_with = "keys")]
    public_key: Option<PathBuf>,
    /// A file with secrets of an MTProxy, one a line, with which clients may come too: plain, dd or ee
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A secret of an MTProxy, for tests; may be repeated
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// A token with which a bot can log in; may be repeated
    #[arg(long, value_name = "TOKEN")]
    bot: Vec<String>,
    /// A file with answers to methods: {"help.getNearestDc": {"_": "nearestDc", …}, …}
    ///
    /// An answer {"_": "rpc_error", "error_code": 400, "error_message": "PEER_ID_INVALID"} is an error.
    #[arg(long, value_name = "FILE.json")]
    answers: Option<PathBuf>,
    /// Pushes updates to all clients: each line of standard input is one, as JSON
    #[arg(long)]
    push: bool,
    /// Enforces every rule of the protocol; most real clients do not get through
    #[arg(long)]
    strict: bool,
    /// What goes wrong, in this order and once each; may be repeated
    ///
    /// For the next message sent: drop, delay=MILLISECONDS, duplicate, swap, close-after=BYTES, transport-error=CODE,
    /// or skip=N for N messages without a fault. For the next query received: bad-msg=CODE, bad-salt=SALT,
    /// rpc-error=CODE:TEXT, silence, or skip-queries=N.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Entry>,
}

impl Serve {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let mut folder = self.keys.as_deref().map(Folder::open).transpose()?;
        let (server, public_key) = self.start(folder.as_ref())?;
        let ready = Ready::new(&server, public_key, folder.as_ref(), &self.secrets()?, output)?;
        output.event(&ready)?;
        let updates = self.push.then(answers::lines);
        let ended = wait(&server, folder.as_mut(), updates, output);
        output.event(&Stopped::from(server.counters()))?;
        ended.map(|()| Status::Done)
    }

    fn start(&self, folder: Option<&Folder>) -> Result<(Loopback, Option<PathBuf>)> {
        let dc = if self.test { DcId::test(self.dc_id) } else { DcId::production(self.dc_id) };
        let faults = FaultScript::new();
        self.fault.iter().for_each(|entry| entry.add_to(&faults));
        let mut options = Options::new().listen(self.listen).dc(dc).faults(&faults);
        if self.strict {
            options = options.strict();
        }
        for (token, id) in self.bot.iter().zip(1000..) {
            let account = Account { id, first_name: format!("Bot {id}"), username: format!("bot{id}_bot") };
            options = options.bot(token, account);
        }
        if let Some(path) = &self.answers {
            options = answers::from_file(options, path)?;
        }
        let private_key = match (folder, &self.rsa_key) {
            (Some(folder), _) => {
                let (directory, salt_secret) = folder.directory()?;
                options = options.directory(directory, salt_secret);
                folder.private_key()?
            }
            (None, Some(path)) => read_private_key(path)?,
            (None, None) => generate()?,
        };
        let mut sockets = ListenOptions::datacenter();
        sockets.accept.secrets = self.secrets()?;
        let public_key = folder.map(Folder::public_key).or_else(|| self.public_key.clone());
        if let Some(path) = &public_key {
            let pem =
                private_key.public_key().to_pem().or_blame(Blame::Machine, "cannot write the RSA key")?;
            fs::write(path, pem).or_blame(Blame::Machine, format_args!("cannot write {}", path.display()))?;
        }
        let server = options
            .private_key(private_key)
            .sockets(sockets)
            .start()
            .or_blame(Blame::Machine, format_args!("cannot serve on {}", self.listen))?;
        Ok((server, public_key))
    }

    fn secrets(&self) -> Result<Vec<ProxySecret>> {
        secrets::proxy_secrets(&self.secret, self.secret_file.as_deref())
    }
}

/// Waits for Ctrl-C; logs new keys of clients and pushes updates meanwhile.
fn wait(
    server: &Loopback,
    mut folder: Option<&mut Folder>,
    mut updates: Option<UnboundedReceiver<String>>,
    output: &mut Output,
) -> Result<()> {
    /// How long a new key is missing in the log at most.
    const LOG_INTERVAL: Duration = Duration::from_millis(500);
    enum Event {
        End,
        Log,
        Update(Option<String>),
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or_blame(Blame::Machine, "cannot wait for signals")?;
    runtime.block_on(async {
        let mut interval = tokio::time::interval(LOG_INTERVAL);
        let mut end = std::pin::pin!(end_signal());
        loop {
            let event = tokio::select! {
                () = &mut end => Event::End,
                _ = interval.tick() => Event::Log,
                line = next(&mut updates) => Event::Update(line),
            };
            match (&event, &mut folder) {
                (Event::Update(Some(line)), _) => answers::push(server, line, output)?,
                (Event::Update(None), _) => updates = None,
                (_, Some(folder)) => folder.log(server)?,
                (_, None) => {}
            }
            if matches!(event, Event::End) {
                return Ok(());
            }
        }
    })
}

/// Returns the next update; waits without end where there are none.
async fn next(updates: &mut Option<UnboundedReceiver<String>>) -> Option<String> {
    match updates {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits for Ctrl-C, or where there is one, for the signal that ends services.
async fn end_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signals the program ends when it is killed.
    let _ = tokio::signal::ctrl_c().await;
}

fn read_private_key(path: &Path) -> Result<PrivateKey> {
    let name = path.display();
    let pem = fs::read_to_string(path).or_blame(Blame::Input, format_args!("cannot read {name}"))?;
    PrivateKey::from_pem(&pem).or_blame(Blame::Input, format_args!("{name} has no RSA private key"))
}

fn generate() -> Result<PrivateKey> {
    let mut rng = Drbg::from_os().or_blame(Blame::Machine, "the system gives no randomness")?;
    PrivateKey::generate(&mut rng).map_err(|error| Failure::of(Blame::Machine, &error))
}
