//! Servers of other projects, which tests start, kill and start again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Set where a missing program is a failure, as in CI.
const REQUIRED: &str = "CHAPPE_REQUIRE_STORES";

/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of a test. Dropping it removes it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("chappe-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is only a temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Finds a program in the search path, or in a folder of Debian. Returns `None`, and says so, if there is none.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let mut folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let found = folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        assert!(env::var_os(REQUIRED).is_none(), "{program} is not installed, and {REQUIRED} is set");
        println!("SKIPPED: {program} is not installed");
    }
    found
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A server of another project. Dropping it kills it.
pub(crate) struct Program {
    child: Option<Child>,
    command: Command,
    port: u16,
    _folder: Folder,
}

impl Program {
    /// Starts Redis, if it is installed: it confirms what is on the disk.
    pub(crate) fn redis() -> Option<Self> {
        let (program, folder, port) = (find("redis-server")?, Folder::new("redis"), free_port());
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(folder.path());
        Some(Self::start(command, folder, port))
    }

    /// Starts PostgreSQL, if it is installed. It does not run as root, so it gets a user of its own there.
    pub(crate) fn postgres() -> Option<Self> {
        let (initdb, program) = (find("initdb")?, find("postgres")?);
        let (folder, port) = (Folder::new("postgres"), free_port());
        let data = folder.path().join("data");
        let mut initialise = Command::new(initdb);
        initialise.arg("-D").arg(&data).args(["-U", "chappe", "-A", "trust", "-E", "UTF8", "--no-locale"]);
        let mut command = Command::new(program);
        command
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"])
            .arg(folder.path());
        if let Some((user, group)) = unprivileged() {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).expect("root may do so");
            for command in [&mut initialise, &mut command] {
                command.uid(user).gid(group).current_dir(folder.path());
            }
        }
        let made = initialise.stdout(Stdio::null()).status().expect("initdb runs");
        assert!(made.success(), "initdb: {made}");
        Some(Self::start(command, folder, port))
    }

    fn start(mut command: Command, folder: Folder, port: u16) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut program = Self { child: None, command, port, _folder: folder };
        program.start_again();
        program
    }

    pub(crate) fn start_again(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            assert!(Instant::now() < deadline, "{} does not start", self.command.get_program().display());
            // What a killed PostgreSQL leaves behind holds its folder for a moment, and another one ends at once then.
            let has_ended = |child: &mut Child| child.try_wait().is_ok_and(|ended| ended.is_some());
            if self.child.as_mut().is_none_or(has_ended) {
                self.child = Some(self.command.spawn().expect("it was found"));
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Ends it without a warning, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended.
            let _ = (child.kill(), child.wait());
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a user and a group without rights, if this process is root's.
fn unprivileged() -> Option<(u32, u32)> {
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|itself| std::os::unix::fs::MetadataExt::uid(&itself) == 0);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .or_else(|| users.lines().find(|line| line.starts_with("nobody:")));
    let fields: Vec<_> = user.filter(|_| is_root)?.split(':').collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}
