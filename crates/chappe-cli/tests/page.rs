//! The commands of `docs/cli.md`, run one after the other in an empty folder: their output must be that of the page.
//!
//! Times, keys and ports differ from run to run, so both sides are compared with placeholders in their place. With
//! `CHAPPE_BLESS=1` the page is rewritten with what the commands print.
#![cfg(unix)]
#![allow(missing_docs, reason = "a test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The address of the page, in whose place the server of the test has another one.
const ADDRESS: &str = "127.0.0.1:4430";

#[test]
fn the_commands_of_the_page_print_what_it_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../../docs/cli.md");
    if !root.join("../../docs").is_dir() {
        // In the archive of the crate there is no book.
        return;
    }
    let page = fs::read_to_string(&path).expect("the page is there");
    let mut shell = Shell::new(&root.join("tests/files"));
    let (mut blessed, mut wrong) = (String::new(), Vec::new());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        push(&mut blessed, line);
        if line != "```console" {
            continue;
        }
        while let Some(command) = lines.next_if(|line| *line != "```") {
            let command_line = command.strip_prefix("$ ").expect("a block begins with a command");
            push(&mut blessed, command);
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| *line != "```" && !line.starts_with("$ ")) {
                expected.push(line);
            }
            let printed = shell.run(command_line);
            // The page has the figures of an optimised build.
            let is_shown =
                |line: &&str| *line != "this is a build without optimisation: the figures are of no use";
            let mut shown: Vec<&str> = printed.lines().map(str::trim_end).filter(is_shown).collect();
            // The page may leave lines out at the end.
            if let Some(kept) = expected.iter().position(|line| *line == "…") {
                shown.truncate(kept);
                shown.push("…");
            }
            if normalized(&shown) != normalized(&expected) {
                wrong.push(format!("$ {command_line}\n{}", shown.join("\n")));
            }
            for line in &shown {
                push(&mut blessed, line);
            }
        }
    }
    if std::env::var_os("CHAPPE_BLESS").is_some() {
        fs::write(&path, blessed).expect("the page can be written");
    } else {
        assert!(
            wrong.is_empty(),
            "CHAPPE_BLESS=1 rewrites docs/cli.md, which differs from:\n{}",
            wrong.join("\n")
        );
    }
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Runs commands in a folder of its own, and ends what runs in the background.
struct Shell {
    folder: PathBuf,
    background: Option<Child>,
    address: String,
}

impl Shell {
    fn new(files: &Path) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the folder can be made");
        for entry in fs::read_dir(files).expect("the files are there") {
            let path = entry.expect("it can be read").path();
            fs::copy(&path, folder.join(path.file_name().expect("it has a name"))).expect("it can be copied");
        }
        Self { folder, background: None, address: ADDRESS.into() }
    }

    /// Returns what a command prints: its output, then its errors.
    fn run(&mut self, line: &str) -> String {
        let line = line.replace(ADDRESS, &self.address);
        if let Some(serve) = line.strip_suffix(" &") {
            return self.serve(serve);
        }
        let output = self.command(&line).stdin(Stdio::null()).output().expect("the shell starts");
        let text = [output.stdout, output.stderr].concat();
        self.as_on_the_page(&String::from_utf8(text).expect("the output is text"))
    }

    /// Starts a server in the background, and returns what it prints until it is ready.
    fn serve(&mut self, line: &str) -> String {
        let mut child = self
            .command(&format!("exec {line} --listen 127.0.0.1:0"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the shell starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        self.background = Some(child);
        let mut text = String::new();
        for line in output.lines() {
            let line = line.expect("the output is text");
            push(&mut text, &line);
            if line.starts_with("TDLib") {
                break;
            }
        }
        let after = text.split_once(" serves on ").expect("it says where").1;
        after.split(',').next().expect("there is a first part").clone_into(&mut self.address);
        self.as_on_the_page(&text)
    }

    fn command(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_chappe"));
        let folder = program.parent().expect("it is in a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.arg("-c").arg(line).current_dir(&self.folder).env("PATH", format!("{folder}:{path}"));
        command.env("COLUMNS", "100");
        for name in ["CHAPPE_SESSION", "CHAPPE_PROXY", "CHAPPE_MTPROXY", "CHAPPE_API_ID", "CHAPPE_API_HASH"] {
            command.env_remove(name);
        }
        command
    }

    fn as_on_the_page(&self, text: &str) -> String {
        let port = |address: &str| address.rsplit_once(':').expect("it has a port").1.to_owned();
        text.replace(&port(&self.address), &port(ADDRESS))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(child) = &mut self.background {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Replaces what differs from run to run: keys and other long numbers, times, speeds, bars, ports, and the spaces that
/// align them.
fn normalized(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let words: Vec<String> = line.split_whitespace().map(normalized_word).collect();
        let mut words = words.join(" ").replace("<number> µs", "<time>");
        for unit in ["ms", "s", "B/s", "KiB/s", "MiB/s", "GiB/s", "GHz"] {
            for (before, after) in
                [("<number> ", " "), ("<number> ", ","), ("<number> ", ";"), ("<number> ", "")]
            {
                let (from, to) = (format!("{before}{unit}{after}"), format!("<time>{after}"));
                if after.is_empty() {
                    if let Some(start) = words.strip_suffix(from.as_str()) {
                        words = format!("{start}{to}");
                    }
                } else {
                    words = words.replace(&from, &to);
                }
            }
        }
        push(&mut text, words.trim_end());
    }
    text
}

/// Replaces numbers with a point, numbers in front of a unit are found afterwards, and long runs of digits.
fn normalized_word(word: &str) -> String {
    let core = word.trim_matches(|c: char| ",;:()[]".contains(c));
    if core.is_empty() || core.chars().all(|c| c == '█') {
        return String::new();
    }
    let is_number = core.parse::<f64>().is_ok();
    let replaced = if is_number { word.replace(core, "<number>") } else { word.to_owned() };
    let mut text = String::new();
    let mut rest = replaced.as_str();
    while let Some(first) = rest.chars().next() {
        let run = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        if run >= 12 {
            text.push_str("<hex>");
            rest = &rest[run..];
        } else if let Some(port) = rest.strip_prefix("127.0.0.1:") {
            text.push_str("127.0.0.1:<port>");
            rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
        } else {
            // A run of digits is taken whole, so that its end is not taken for a shorter one.
            let taken = run.max(first.len_utf8());
            text.push_str(&rest[..taken]);
            rest = &rest[taken..];
        }
    }
    // A number may be negative.
    let text = text.replace("-<hex>", "<hex>");
    // In JSON.
    match text.split_once("ms\":") {
        Some((name, _)) => format!("{name}ms\":<number>"),
        None => text,
    }
}
