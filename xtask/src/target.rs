//! `cargo xtask target NAME`: builds and tests on other kinds of machines.
//!
//! The compiler that builds for them is Debian's second one, `rustc-web`. It, its standard library or the sources of it, the
//! linker, the C library of the target and the emulator are unpacked into `target/other`, and nothing is installed.
//! `docs/platforms.md` says what was run on which target.

mod debian;
mod model;
mod toolchain;

use anyhow::{Context as _, Result, bail};
use clap::Args;

pub(crate) use self::toolchain::Toolchain;
use crate::gates::{self, Context, Verdict};
use crate::shell::Shell;
use crate::workspace::Workspace;

/// A kind of machine.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name on the command line.
    name: &'static str,
    /// Rust's name of the target that tests are built for.
    pub(crate) triple: &'static str,
    machine: Machine,
    /// The crates whose tests run.
    tested: &'static [&'static str],
    /// Those of them that the gate runs.
    sample: &'static [&'static str],
    /// Another target that the crates are built for, without tests.
    built: Option<&'static str>,
}

/// How programs of a target are linked and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    /// Linux with glibc, emulated by QEMU.
    Linux {
        /// Debian's name of the architecture in the names of its packages.
        debian: &'static str,
        /// GNU's name of the target, which is the folder of its C library.
        gnu: &'static str,
        /// Path of the dynamic linker.
        interpreter: &'static str,
        /// The emulator.
        qemu: &'static str,
        std: Std,
    },
    /// WebAssembly with WASI, run by Node.
    Wasi,
    /// WebAssembly in a browser, which cargo does not start.
    Browser,
    /// This machine's own programs, on QEMU's models of lesser CPUs.
    Lesser {
        /// QEMU's names of the CPUs.
        cpus: &'static [&'static str],
    },
}

/// Where the standard library of a target comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Std {
    /// Debian has it compiled.
    Ready,
    /// It is compiled from Debian's sources.
    Sources,
}

/// The crates without sockets, lowest layer first.
const PROTOCOL: &[&str] = &[
    "chappe-types",
    "chappe-crypto",
    "chappe-tl",
    "chappe-tl-mtproto",
    "chappe-framing",
    "chappe-transport",
    "chappe-dissect",
    "chappe-handshake",
    "chappe-session",
];

const TARGETS: &[Target] = &[
    Target {
        name: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        machine: Machine::Linux {
            debian: "arm64",
            gnu: "aarch64-linux-gnu",
            interpreter: "/lib/ld-linux-aarch64.so.1",
            qemu: "qemu-aarch64",
            std: Std::Ready,
        },
        tested: PROTOCOL,
        sample: &["chappe-crypto", "chappe-framing", "chappe-transport", "chappe-session"],
        built: None,
    },
    Target {
        name: "wasm32",
        triple: "wasm32-wasip1",
        machine: Machine::Wasi,
        tested: PROTOCOL,
        sample: &[],
        built: Some("wasm32-unknown-unknown"),
    },
    Target {
        name: "i686",
        triple: "i686-unknown-linux-gnu",
        machine: Machine::Linux {
            debian: "i386",
            gnu: "i686-linux-gnu",
            interpreter: "/lib/ld-linux.so.2",
            qemu: "qemu-i386",
            std: Std::Sources,
        },
        tested: PROTOCOL,
        sample: &[],
        built: None,
    },
    Target {
        name: "s390x",
        triple: "s390x-unknown-linux-gnu",
        machine: Machine::Linux {
            debian: "s390x",
            gnu: "s390x-linux-gnu",
            interpreter: "/lib/ld64.so.1",
            qemu: "qemu-s390x",
            std: Std::Sources,
        },
        tested: PROTOCOL,
        sample: &[],
        built: None,
    },
    Target {
        name: "x86-64",
        triple: "x86_64-unknown-linux-gnu",
        // Neither has the SHA instructions. In this order: SSE2 alone; AES-NI; AVX2 and BMI2 too; ADX too.
        machine: Machine::Lesser { cpus: &["qemu64", "Westmere", "Haswell", "Skylake-Client"] },
        tested: PROTOCOL,
        sample: &[],
        built: None,
    },
];

/// WebAssembly in a browser. `cargo xtask browser` builds and tests it.
pub(crate) const BROWSER: Target = Target {
    name: "browser",
    triple: "wasm32-unknown-unknown",
    machine: Machine::Browser,
    tested: &[],
    sample: &[],
    built: None,
};

/// Arguments of `cargo xtask target`.
#[derive(Args)]
pub(crate) struct Other {
    /// The kind of machine.
    #[arg(value_parser = TARGETS.iter().map(|target| target.name).collect::<Vec<_>>())]
    name: String,
    /// Runs only what the gate `targets` runs.
    #[arg(long)]
    sample: bool,
    /// Instead of testing, models the kernels and counts their instructions, and writes both to docs/performance.md.
    #[arg(long, conflicts_with = "sample")]
    model: bool,
    /// Runs this command of cargo instead, for the target: `test -p chappe-tl --lib`.
    #[arg(last = true)]
    command: Vec<String>,
}

impl Other {
    /// Sets up the compiler, then builds and tests.
    pub(crate) fn run(&self) -> Result<()> {
        let context = Context { workspace: Workspace::load()?, shell: Shell::loud() };
        let target = TARGETS.iter().find(|target| target.name == self.name).context("no such target")?;
        let toolchain = match Toolchain::set_up(&context, target)? {
            Ok(toolchain) => toolchain,
            Err(why) => {
                gates::show(target.name, &Verdict::Skipped(why));
                return Ok(());
            }
        };
        if let Some((subcommand, rest)) = self.command.split_first() {
            return context.shell.run(toolchain.cargo(target.triple, subcommand).args(rest));
        }
        if self.model {
            return model::run(&context, &toolchain, target);
        }
        let crates = if self.sample { target.sample } else { target.tested };
        println!("{}: passed {}", target.name, build_and_test(&context, &toolchain, target, crates)?);
        Ok(())
    }
}

/// The gate: the samples of all targets that have one, and what is only built.
pub(crate) fn run(context: &mut Context) -> Result<Verdict> {
    let mut notes = Vec::new();
    for target in TARGETS.iter().filter(|target| !target.sample.is_empty() || target.built.is_some()) {
        match Toolchain::set_up(context, target)? {
            Ok(toolchain) => {
                let note = build_and_test(context, &toolchain, target, target.sample)?;
                notes.push(format!("{} {note}", target.name));
            }
            Err(why) => return Ok(Verdict::Skipped(why)),
        }
    }
    Ok(Verdict::Passed(notes.join("; ")))
}

/// Builds what a target only builds, and runs the tests of `crates`. Returns what was done.
fn build_and_test(
    context: &Context,
    toolchain: &Toolchain,
    target: &Target,
    crates: &[&str],
) -> Result<String> {
    let packages = |names: &[&'static str]| names.iter().flat_map(|name| ["-p", name]).collect::<Vec<_>>();
    let mut done = Vec::new();
    if let Some(triple) = target.built {
        // Without the default features: they ask for an operating system's randomness, which this target has not.
        let mut build = toolchain.cargo(triple, "build");
        build.args(["--no-default-features", "--features", "chappe-crypto/batch"]);
        context.shell.run(build.args(packages(PROTOCOL)))?;
        done.push(format!("{} crates built for {triple}", PROTOCOL.len()));
    }
    if !crates.is_empty() {
        let names = PROTOCOL.iter().copied().filter(|name| crates.contains(name)).collect::<Vec<_>>();
        let cpus: &[&str] = if let Machine::Lesser { cpus } = target.machine { cpus } else { &["max"] };
        for cpu in cpus {
            let mut test = toolchain.cargo(target.triple, "test");
            test.args(["--all-features", "--lib", "--tests", "--no-fail-fast"]).args(packages(&names));
            context.shell.run(test.env("QEMU_CPU", cpu))?;
        }
        done.push(format!("tests of {} crates passed", names.len()));
    }
    match done.as_slice() {
        [] => bail!("{} has nothing to run", target.name),
        done => Ok(done.join(", ")),
    }
}
