//! What generated types cost the compiler: CPU seconds, memory and the size of the library.
//!
//! Cargo builds small projects, with this program in front of every rustc: it starts the real one, waits for it and
//! notes what it used. So dependencies do not count, and a busy machine spoils little.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, exit},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    harness::{Group, Spread, progress},
    report::{Bound, Report},
};

const PEERS: &[&str] = &["grammers-tl-types"];

/// Where the compiler that this program stands in front of notes its costs.
const LOG: &str = "CHAPPE_BENCH_RUSTC_LOG";

const NOTES: &str = "\
CPU seconds (user and system) of rustc for one crate, alternating, without incremental compilation and with lints capped,
as for any dependency from a registry. Both crates have default features, which include the full schema with its
functions. Peak memory is that of the release build. The user's program decodes a `messages.messages` and prints it; four
others encode.
";

/// How to build, and how often: what takes a few seconds differs by a third from one time to the next.
const MODES: [(&str, u64); 3] = [("check", 5), ("debug", 3), ("release", 1)];

const OURS: &str = "chappe_tl_api";
const GRAMMERS: &str = "grammers_tl_types";

/// What one run of rustc cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    cpu_seconds: f64,
    peak_mb: f64,
    library_mb: f64,
}

/// A project that uses a library.
struct Project {
    name: &'static str,
    library: &'static str,
    dependencies: String,
    program: String,
}

/// What users write: title and program. Each is built alone, debug and release.
const ENCODERS: [(&str, &str); 4] = [
    ("`Updates` to_bytes", "fn main() { println!(\"{:?}\", chappe_tl_api::enums::Updates::TooLong.to_bytes()); }"),
    (
        "`SendMessage`",
        "fn main() {
    let peer = enums::InputPeer::PeerSelf;
    let send = functions::messages::SendMessage { peer, message: \"text\", random_id: 1, ..Default::default() };
    println!(\"{:?}\", send.to_bytes());
}",
    ),
    (
        "`EditMessage` with a keyboard",
        "fn main() {
    let row = types::KeyboardInlineButtonRow { buttons: &[] }.into();
    let rows = [row];
    let keyboard = enums::ReplyMarkup::ReplyInlineMarkup(types::ReplyInlineMarkup { rows: &rows, ..Default::default() });
    let edit = functions::messages::EditMessage { id: 1, reply_markup: Some(&keyboard), ..Default::default() };
    println!(\"{:?}\", edit.to_bytes());
}",
    ),
    (
        "`invokeWithLayer` of `SendMessage`",
        "fn main() {
    let query = functions::messages::SendMessage { message: \"text\", ..Default::default() };
    println!(\"{:?}\", functions::InvokeWithLayer { layer: 230, query }.to_bytes());
}",
    ),
];

/// What the programs of [`ENCODERS`] begin with.
const PREAMBLE: &str = "\
#![allow(unused_imports)]
use chappe_tl::Serializable;
use chappe_tl_api::{enums, functions, types};

";

fn projects() -> [Project; 3] {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = |name: &str| format!("{name} = {{ path = {:?} }}\n", crates.join(name));
    [
        Project {
            name: "ours",
            library: OURS,
            dependencies: path("chappe-tl") + &path("chappe-tl-api"),
            program: "\
use chappe_tl::table::Arena;
use chappe_tl_api::enums;

fn main() {
    let bytes = std::fs::read(\"x\").unwrap();
    let arena = Arena::new();
    let answer = arena.decode::<enums::messages::Messages<'_>>(&bytes).unwrap();
    if let enums::messages::Messages::Messages(answer) = answer {
        for message in answer.messages {
            if let enums::Message::Message(message) = message {
                println!(\"{} {}\", message.id, message.message);
            }
        }
    }
}
"
            .into(),
        },
        Project {
            name: "grammers",
            library: GRAMMERS,
            dependencies: "grammers-tl-types = \"=0.11.0\"\n".into(),
            program: "\
use grammers_tl_types::{Deserializable, enums};

fn main() {
    let bytes = std::fs::read(\"x\").unwrap();
    let answer = enums::messages::Messages::from_bytes(&bytes).unwrap();
    if let enums::messages::Messages::Messages(answer) = answer {
        for message in answer.messages {
            if let enums::Message::Message(message) = message {
                println!(\"{} {}\", message.id, message.message);
            }
        }
    }
}
"
            .into(),
        },
        Project {
            name: "mtproto",
            library: "chappe_tl_mtproto",
            dependencies: path("chappe-tl-mtproto"),
            program: "fn main() {}\n".into(),
        },
    ]
}

/// The file to note costs in, if this program stands in front of rustc.
pub fn compiler_log() -> Option<PathBuf> {
    env::var_os(LOG).map(PathBuf::from)
}

/// Runs the compiler that the arguments name, notes what it used, and ends as it did.
pub fn compile(log: &Path) -> ! {
    let mut arguments = env::args_os().skip(1);
    let compiler = arguments.next().expect("cargo names the compiler first");
    let arguments: Vec<_> = arguments.collect();
    let is_crate = arguments.iter().position(|argument| argument == "--crate-name");
    let name = is_crate.and_then(|at| arguments.get(at + 1)).and_then(|name| name.to_str()).unwrap_or("___");
    let mut child = Command::new(compiler)
        .args(&arguments)
        .args(if is_crate.is_some() && name != "___" { &["--cap-lints", "allow"][..] } else { &[] })
        .spawn()
        .expect("the compiler starts");
    let mut peak = 0.0_f64;
    let status = loop {
        peak = peak.max(high_water_mark(child.id()));
        if let Some(status) = child.try_wait().expect("the compiler is our child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let line = format!("{name} {} {peak}\n", children_seconds());
    let old = fs::read_to_string(log).unwrap_or_default();
    fs::write(log, old + &line).expect("the log can be written");
    exit(status.code().unwrap_or(1))
}

/// The most memory a process has had at once, in megabytes.
fn high_water_mark(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// CPU time of the children that have ended, in seconds.
fn children_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may contain anything; what follows it are numbers.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = fields.split(' ').skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Measures everything.
///
/// # Errors
///
/// Fails if cargo does.
pub fn run() -> Result<Report> {
    let mut report = Report::new("TL build", PEERS, NOTES);
    let bar = progress(
        MODES.iter().map(|(_, rounds)| 2 * rounds).sum::<u64>() + 1 + 2 * ENCODERS.len() as u64,
        "builds",
    );
    let mut costs: BTreeMap<(&str, &str), Vec<BTreeMap<String, Cost>>> = BTreeMap::new();
    let [ours, grammers, mtproto] = projects();
    for (mode, rounds) in MODES {
        for _ in 0..rounds {
            for project in [&ours, &grammers] {
                costs.entry((project.name, mode)).or_default().push(build(project, mode)?);
                bar.inc(1);
            }
        }
    }
    let mtproto = build(&mtproto, "release")?;
    let mut encoders = Vec::new();
    for (title, program) in ENCODERS {
        let dependencies = ours.dependencies.clone();
        let project = Project {
            name: "encoder",
            library: OURS,
            dependencies,
            program: format!("{PREAMBLE}{program}\n"),
        };
        for mode in ["debug", "release"] {
            encoders.push((title, mode, build(&project, mode)?));
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let of = |name: &'static str, krate: &str, mode: &'static str, part: fn(Cost) -> f64| -> Vec<f64> {
        let runs = costs[&(name, mode)].iter();
        runs.map(|run| part(run.get(krate).copied().unwrap_or_default())).collect()
    };
    let ratio = |part: fn(Cost) -> f64, mode: &'static str| {
        let (ours, theirs) = (of("ours", OURS, mode, part), of("grammers", GRAMMERS, mode, part));
        Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect())
    };
    let cpu: fn(Cost) -> f64 = |cost| cost.cpu_seconds;
    for (mode, most) in [("release", 1.0 / 8.0), ("debug", 1.0 / 5.0), ("check", 1.0 / 3.0)] {
        let work = format!("{mode}: CPU seconds / grammers-tl-types");
        report.target("T14", work, Bound::AtMost(most), ratio(cpu, mode));
    }
    for mode in ["release", "debug"] {
        let work = format!("{mode}: size of the library / grammers-tl-types");
        report.target("T14", work, Bound::AtMost(1.0 / 3.0), ratio(|cost| cost.library_mb, mode));
    }
    let memory = ratio(|cost| cost.peak_mb, "release");
    report.target("T14", "release: peak memory / grammers-tl-types", Bound::AtMost(0.5), memory);
    let program = Spread::of(of("ours", "user_program", "release", cpu));
    report.target("T14", "a user's program, release: CPU seconds", Bound::AtMost(1.0), program);
    for (title, mode, costs) in &encoders {
        let seconds = costs.get("user_program").copied().unwrap_or_default().cpu_seconds;
        let work = format!("a user's program, {title}, {mode}: CPU seconds");
        report.target("T14", work, Bound::AtMost(1.0), Spread::of(vec![seconds]));
    }
    let needed = || mtproto.iter().filter(|(name, _)| *name != "user_program").map(|(_, cost)| *cost);
    let seconds = Spread::of(vec![needed().map(cpu).sum()]);
    let peak = Spread::of(vec![needed().map(|cost| cost.peak_mb / 1000.0).fold(0.0, f64::max)]);
    let work = "chappe-tl-mtproto and what it needs, release: ";
    report.target("", format!("{work}CPU seconds"), Bound::AtMost(3.0), seconds);
    report.target("", format!("{work}peak memory, GB"), Bound::AtMost(0.2), peak);
    for (mode, _) in MODES {
        let nanos: fn(Cost) -> f64 = |cost| cost.cpu_seconds * 1e9;
        let cases = vec![
            ("chappe-tl-api".into(), of("ours", OURS, mode, nanos)),
            ("grammers-tl-types".into(), of("grammers", GRAMMERS, mode, nanos)),
            ("a user's program, chappe".into(), of("ours", "user_program", mode, nanos)),
            ("a user's program, grammers".into(), of("grammers", "user_program", mode, nanos)),
        ];
        report.group(Group::of(&format!("{mode}, CPU time"), cases));
    }
    Ok(report)
}

/// Builds a project, with what it depends on new. Returns what each crate cost.
fn build(project: &Project, mode: &str) -> Result<BTreeMap<String, Cost>> {
    let target = env::current_exe()?.with_file_name("tl-build");
    let folder = target.join(project.name);
    fs::create_dir_all(folder.join("src"))?;
    let manifest = format!(
        "[package]\nname = \"user-program\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{}",
        project.dependencies
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/main.rs"), &project.program)?;
    let build = folder.join("target");
    if build.exists() {
        fs::remove_dir_all(&build)?;
    }
    let log = folder.join("costs");
    fs::write(&log, "")?;
    let arguments: &[&str] = match mode {
        "check" => &["check"],
        "debug" => &["build"],
        _ => &["build", "--release"],
    };
    // One crate at a time: a second compiler beside the first makes both slower.
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .args(["--quiet", "-j1"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", &build)
        .env("CARGO_INCREMENTAL", "0")
        .env("RUSTC_WRAPPER", env::current_exe()?)
        .env(LOG, &log)
        .env_remove("CARGO_PROFILE_DEV_DEBUG")
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo failed in {}", folder.display());
    let profile = build.join(if mode == "release" { "release" } else { "debug" });
    let library = size_of_library(&profile.join("deps"), project.library);
    let mut costs: BTreeMap<String, Cost> = BTreeMap::new();
    for line in fs::read_to_string(&log)?.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(cpu), Some(peak)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let cost = costs.entry(name.to_owned()).or_default();
        cost.cpu_seconds += cpu.parse::<f64>()?;
        cost.peak_mb = cost.peak_mb.max(peak.parse()?);
        if name == project.library {
            cost.library_mb = library;
        }
    }
    Ok(costs)
}

/// The size of a library in megabytes; 0 if there is none.
fn size_of_library(folder: &Path, name: &str) -> f64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_library = |file: &str| file.starts_with(&format!("lib{name}-")) && file.ends_with(".rlib");
    let sizes = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_library));
    sizes.filter_map(|entry| Some(entry.metadata().ok()?.len() as f64 / 1e6)).fold(0.0, f64::max)
}
