//! The second compiler with linker, C library and emulator of a target, as cargo is told about them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::debian::Debian;
use super::{Machine, Std, Target};
use crate::gates::Context;
use crate::shell::{self, answers};

/// The scripts of this folder call the programs of the packages with the libraries of the packages.
const COMPILER: &str = "\
#!/bin/sh
export LD_LIBRARY_PATH='ROOT/usr/lib/x86_64-linux-gnu'
exec 'ROOT/usr/bin/rustc' \"$@\"
";

const LINUX_LINKER: &str = "\
#!/bin/sh
c='ROOT/usr/GNU/lib'
gcc=$(echo 'ROOT/usr/lib/gcc-cross/GNU'/*)
export LD_LIBRARY_PATH='ROOT/usr/lib/x86_64-linux-gnu'
exec 'ROOT'/usr/lib/llvm-*/bin/ld.lld --sysroot='ROOT' -dynamic-linker INTERPRETER -L \"$c\" -L \"$gcc\" \\
    \"$c/Scrt1.o\" \"$c/crti.o\" \"$gcc/crtbeginS.o\" \"$@\" \"$gcc/crtendS.o\" \"$c/crtn.o\"
";

/// The programs' own environment has no path of libraries: it would be the emulator's.
const LINUX_RUNNER: &str = "\
#!/bin/sh
export LD_LIBRARY_PATH='ROOT/usr/lib/x86_64-linux-gnu'
exec 'ROOT/usr/bin/QEMU' -U LD_LIBRARY_PATH -L 'ROOT/usr/GNU' \"$@\"
";

/// The models have fewer of a CPU's features than the emulator can emulate; it warns of those that it cannot.
const LESSER_RUNNER: &str = "\
#!/bin/sh
export LD_LIBRARY_PATH='ROOT/usr/lib/x86_64-linux-gnu'
exec 'ROOT/usr/bin/qemu-x86_64' -U LD_LIBRARY_PATH \"$@\"
";

const WASM_LINKER: &str = "\
#!/bin/sh
export LD_LIBRARY_PATH='ROOT/usr/lib/x86_64-linux-gnu'
exec 'ROOT'/usr/lib/llvm-*/bin/lld \"$@\"
";

const WASI_RUNNER: &str = "\
#!/bin/sh
exec node --no-warnings 'SCRIPTS/wasi.mjs' \"$@\"
";

/// Runs a WebAssembly program.
const WASI_SCRIPT: &str = include_str!("wasi.mjs");

/// Everything that cargo needs for a target.
pub(crate) struct Toolchain {
    workspace: PathBuf,
    /// The folder of all that this module writes.
    folder: PathBuf,
    root: PathBuf,
    triple: &'static str,
    machine: Machine,
}

impl Toolchain {
    /// Unpacks the packages and writes the scripts. Returns the reason if Debian's packages or Node cannot be had.
    pub(crate) fn set_up(context: &Context, target: &Target) -> Result<Result<Self, String>> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Ok(Err("the packages of the second compiler are for x86-64 Linux".to_owned()));
        }
        for (program, option) in [("apt-get", "--version"), ("dpkg-deb", "--version")] {
            if !answers(program, option) {
                return Ok(Err(format!("{program} is not here, and the second compiler is Debian's")));
            }
        }
        if target.machine == Machine::Wasi && !answers("node", "--version") {
            return Ok(Err("node is not here".to_owned()));
        }
        let folder = context.workspace.target().join("other");
        let debian = Debian::new(folder.join("debian"))?;
        if let Err(error) = unpack(context, &debian, target.machine) {
            return Ok(Err(format!("Debian's packages cannot be had: {error:#}")));
        }
        let toolchain = Self {
            workspace: context.workspace.root().to_owned(),
            root: debian.root(),
            folder,
            triple: target.triple,
            machine: target.machine,
        };
        toolchain.write_scripts()?;
        Ok(Ok(toolchain))
    }

    /// Returns the folder that cargo builds in.
    pub(crate) fn build(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// Returns the folder of the libraries that the programs of the packages need.
    pub(super) fn libraries(&self) -> PathBuf {
        self.root.join("usr/lib/x86_64-linux-gnu")
    }

    /// Returns the command of a program of the packages.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.root.join("usr/bin").join(name));
        program.env("LD_LIBRARY_PATH", self.libraries());
        program
    }

    /// Returns the path of llvm-mca, unpacked if it was not.
    pub(super) fn llvm_mca(&self, context: &Context) -> Result<PathBuf> {
        let debian = Debian::new(self.folder.join("debian"))?;
        let entries = fs::read_dir(self.root.join("usr/lib"))?.collect::<Result<Vec<_>, _>>()?;
        let mut names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let llvm = names.find(|name| name.starts_with("llvm-")).context("there is no LLVM")?;
        debian.unpack(&context.shell, std::slice::from_ref(&llvm))?;
        Ok(self.root.join("usr/lib").join(llvm).join("bin/llvm-mca"))
    }

    /// Runs a program and returns the number of instructions it took.
    ///
    /// The emulator translates one instruction at a time and logs each that it executes.
    pub(super) fn count_instructions(&self, program: &Path, arguments: &[&str]) -> Result<u32> {
        let log = self.build().join("instructions.log");
        let mut run = Command::new(self.script("runner"));
        run.args(["-singlestep", "-d", "exec,nochain", "-D"]).arg(&log).arg(program).args(arguments);
        ensure!(run.stdin(Stdio::null()).status()?.success(), "{} failed", program.display());
        let lines = BufReader::new(fs::File::open(&log)?).split(b'\n');
        lines.map(|line| Ok(u32::from(line?.starts_with(b"Trace")))).sum()
    }

    /// Returns a command of cargo for a target.
    pub(crate) fn cargo(&self, triple: &str, subcommand: &str) -> Command {
        let mut cargo = shell::cargo(&self.workspace);
        let variable =
            |name: &str| format!("CARGO_TARGET_{}_{name}", triple.to_uppercase().replace('-', "_"));
        cargo.env(variable("RUNNER"), self.script("runner"));
        if matches!(self.machine, Machine::Lesser { .. }) {
            // This machine's own compiler, and its own build: only the runner differs.
            cargo.arg(subcommand);
            return cargo;
        }
        // Flags of the caller would replace those of the target.
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
            cargo.env_remove(name);
        }
        cargo.env("RUSTC", self.script("rustc")).env("CARGO_PROFILE_DEV_DEBUG", "0");
        cargo.env("CARGO_TARGET_DIR", self.build());
        cargo.env(variable("LINKER"), self.script("linker"));
        cargo.env(variable("RUSTFLAGS"), self.flags(triple));
        cargo.args([subcommand, "--target", triple]);
        if let Some(parts) = self.std_parts(triple) {
            cargo.env("RUSTC_BOOTSTRAP", "1").arg(format!("-Zbuild-std={parts}"));
            if self.machine == Machine::Browser {
                cargo.arg("-Zbuild-std-features=optimize_for_size");
            }
        }
        cargo
    }

    /// The parts of the standard library that are compiled from sources.
    fn std_parts(&self, triple: &str) -> Option<&'static str> {
        match self.machine {
            Machine::Linux { std: Std::Ready, .. } | Machine::Lesser { .. } => None,
            Machine::Browser => Some("std,panic_abort"),
            _ if triple != self.triple => Some("core,alloc"),
            _ => Some("std,test,panic_unwind,proc_macro"),
        }
    }

    /// The compiler's flags: no warning is allowed.
    fn flags(&self, triple: &str) -> String {
        match self.machine {
            Machine::Linux { .. } => "-Dwarnings -Clinker-flavor=ld".to_owned(),
            Machine::Lesser { .. } => String::new(),
            // With reference types, wasm-bindgen exports a second table. Debian's wasm-opt 108 exports the first one under that
            // name, and the page cannot start. Without them, wasm-bindgen keeps objects in an array of JavaScript.
            // A panic stops the program without a text, which makes the program smaller.
            Machine::Browser => {
                "-Dwarnings -Ctarget-feature=-reference-types -Zunstable-options -Cpanic=immediate-abort"
                    .to_owned()
            }
            Machine::Wasi if triple != self.triple => "-Dwarnings".to_owned(),
            // Debian's C library for WASI is older than two functions of threads; `wasi.mjs` has them. Unwinding is needed
            // for tests that expect a panic.
            Machine::Wasi => {
                let library = self.root.join("usr/lib/wasm32-wasi");
                let library = library.display();
                format!(
                    "-Dwarnings -Cpanic=unwind -Clink-self-contained=no -Clink-arg=--allow-undefined \
                     -Clink-arg={library}/crt1-command.o -Lnative={library}"
                )
            }
        }
    }

    fn script(&self, name: &str) -> PathBuf {
        self.folder.join("scripts").join(self.triple).join(name)
    }

    fn write_scripts(&self) -> Result<()> {
        let (linker, runner) = match self.machine {
            Machine::Linux { gnu, interpreter, qemu, .. } => {
                let fill = |text: &str| {
                    text.replace("GNU", gnu).replace("INTERPRETER", interpreter).replace("QEMU", qemu)
                };
                (fill(LINUX_LINKER), fill(LINUX_RUNNER))
            }
            Machine::Wasi => (WASM_LINKER.to_owned(), WASI_RUNNER.to_owned()),
            // Programs run in a browser, which no runner of cargo starts.
            Machine::Browser => (WASM_LINKER.to_owned(), String::new()),
            Machine::Lesser { .. } => (String::new(), LESSER_RUNNER.to_owned()),
        };
        let scripts = self.script("");
        fs::create_dir_all(&scripts).with_context(|| format!("cannot create {}", scripts.display()))?;
        for (name, text) in
            [("rustc", COMPILER), ("linker", &linker), ("runner", &runner), ("wasi.mjs", WASI_SCRIPT)]
        {
            let text = text.replace("ROOT", &quoted(&self.root)).replace("SCRIPTS", &quoted(&scripts));
            fs::write(self.script(name), text)?;
            fs::set_permissions(self.script(name), fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }
}

/// Returns a path as it stands between two single quotes of a shell script.
fn quoted(path: &Path) -> String {
    path.to_string_lossy().trim_end_matches('/').replace('\'', "'\\''")
}

/// Unpacks what a target needs.
fn unpack(context: &Context, debian: &Debian, machine: Machine) -> Result<()> {
    let shell = &context.shell;
    let mut target: Vec<String> = Vec::new();
    match machine {
        Machine::Linux { debian: architecture, std, .. } => {
            for stem in ["libc6-ARCH-cross", "libc6-dev-ARCH-cross", "libgcc-s1-ARCH-cross"] {
                target.push(stem.replace("ARCH", architecture));
            }
            target.push(format!("libgcc-12-dev-{architecture}-cross"));
            target.push("qemu-user".to_owned());
            target.push(match std {
                Std::Ready => format!("libstd-rust-web-dev:{architecture}"),
                Std::Sources => "rust-web-src".to_owned(),
            });
        }
        Machine::Wasi => target.extend(["wasi-libc", "rust-web-src"].map(str::to_owned)),
        Machine::Browser => target.extend(["binaryen", "rust-web-src"].map(str::to_owned)),
        Machine::Lesser { .. } => target.push("qemu-user".to_owned()),
    }
    let compiler: &[String] = match machine {
        Machine::Lesser { .. } => &[],
        _ => &["rustc-web", "libstd-rust-web-dev"].map(str::to_owned),
    };
    if target.iter().chain(compiler).all(|package| debian.has(package)) {
        return Ok(());
    }
    debian.update(shell)?;
    if !compiler.iter().all(|package| debian.has(package)) {
        // The names of these contain versions.
        let mut libraries = debian.dependencies(shell, "libstd-rust-web-dev")?;
        let std = libraries.first().context("libstd-rust-web-dev depends on nothing")?.clone();
        libraries.extend(debian.dependencies(shell, &std)?);
        let llvm = libraries.iter().find(|name| name.starts_with("libllvm"));
        let llvm = llvm.context("the compiler depends on no LLVM")?.clone();
        libraries.extend(debian.dependencies(shell, &llvm)?);
        libraries.push(format!("lld-{}", llvm.trim_start_matches("libllvm")));
        libraries.sort();
        libraries.dedup();
        debian.unpack(shell, &libraries)?;
        debian.unpack(shell, compiler)?;
    }
    if target.iter().any(|package| package == "qemu-user") {
        debian.unpack(shell, &debian.dependencies(shell, "qemu-user")?)?;
    }
    debian.unpack(shell, &target)
}

#[cfg(test)]
mod checks {
    use super::quoted;
    use std::path::Path;

    #[test]
    fn a_quote_in_a_path_does_not_end_the_word() {
        assert_eq!(quoted(Path::new("/it's/here")), "/it'\\''s/here");
    }
}
