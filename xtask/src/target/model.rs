//! What the kernels of `aarch64` cost on CPUs that are not here: modelled by llvm-mca, and counted under QEMU.
//!
//! A time taken under an emulator says nothing about a CPU. llvm-mca runs the loop of a kernel, as the compiler wrote it,
//! through LLVM's model of a CPU. The model is compared with itself: with the chain of dependent instructions that every
//! implementation must execute. Instructions are counted under QEMU, beside RustCrypto's code for the same CPU.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Target;
use super::toolchain::Toolchain;
use crate::gates::Context;

/// LLVM's names of the CPUs.
const CPUS: &[(&str, &str)] = &[
    ("Cortex-A55", "cortex-a55"),
    ("Neoverse N1", "neoverse-n1"),
    ("Neoverse V2", "neoverse-v2"),
    ("Apple M1", "apple-m1"),
];

/// A loop of a kernel.
struct Kernel {
    name: &'static str,
    /// Part of the symbol's name; the second is where the compiler may have inlined the first.
    symbols: [&'static str; 2],
    /// Blocks of 16 bytes that one turn takes.
    blocks: f64,
    /// The chain that it is compared with.
    chain: Chain,
}

/// A chain of dependent instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    /// One block of AES-256.
    Aes,
    /// 64 bytes of SHA-256.
    Sha,
}

const KERNELS: &[Kernel] = &[
    kernel("IGE encrypt", ["3ige3runKb0_", "7kernels3ige7encrypt"], 2.0, Chain::Aes),
    kernel("IGE decrypt", ["3ige3runKb1_", "7kernels3ige7decrypt"], 2.0, Chain::Aes),
    kernel("IGE encrypt, 4 streams", ["11interleavedKj4_Kb0_"; 2], 4.0, Chain::Aes),
    kernel("IGE decrypt, 4 streams", ["11interleavedKj4_Kb1_"; 2], 4.0, Chain::Aes),
    kernel("IGE encrypt, 8 streams", ["11interleavedKj8_Kb0_"; 2], 8.0, Chain::Aes),
    kernel("IGE decrypt, 8 streams", ["11interleavedKj8_Kb1_"; 2], 8.0, Chain::Aes),
    kernel("CTR", ["3ctr5apply"; 2], 8.0, Chain::Aes),
    kernel("SHA-256", ["6sha2566finish", "6sha2568prefixed"], 4.0, Chain::Sha),
    kernel("open: decrypt and hash", ["8stitched7decrypt"; 2], 4.0, Chain::Aes),
    kernel("seal: encrypt and hash the next", ["8stitched7encrypt"; 2], 4.0, Chain::Aes),
];

const fn kernel(name: &'static str, symbols: [&'static str; 2], blocks: f64, chain: Chain) -> Kernel {
    Kernel { name, symbols, blocks, chain }
}

/// Work whose instructions are counted: the argument of the program, chappe's and RustCrypto's.
const COUNTED: &[&str] = &["ige-encrypt", "ige-decrypt", "ctr", "sha256", "open"];

/// The page with the tables, and the lines around them.
const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- begin modelled aarch64 -->\n";
const END: &str = "<!-- end modelled aarch64 -->\n";

/// Models and counts, and writes both tables to the page.
pub(super) fn run(context: &Context, toolchain: &Toolchain, target: &Target) -> Result<()> {
    ensure!(target.name == "aarch64", "only aarch64 has kernels to model");
    let mut text = modelled(context, toolchain, target)?;
    text.push('\n');
    text.push_str(&counted(context, toolchain, target)?);
    println!("{text}");
    let page = context.workspace.root().join(PAGE);
    let old = fs::read_to_string(&page)?;
    let (head, rest) = old.split_once(BEGIN).with_context(|| format!("{PAGE} has no {}", BEGIN.trim()))?;
    let (_, tail) = rest.split_once(END).with_context(|| format!("{PAGE} has no {}", END.trim()))?;
    fs::write(page, format!("{head}{BEGIN}\n{text}\n{END}{tail}"))?;
    Ok(())
}

/// Returns the table of cycles.
fn modelled(context: &Context, toolchain: &Toolchain, target: &Target) -> Result<String> {
    let mut emit = toolchain.cargo(target.triple, "rustc");
    emit.env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    emit.args(["--release", "--lib", "--package", "chappe-crypto", "--features", "batch"]);
    context.shell.run(emit.args([
        "--",
        "--emit=asm",
        "-Ccodegen-units=1",
        "-Csymbol-mangling-version=v0",
    ]))?;
    let assembly = newest_assembly(&toolchain.build().join(target.triple).join("release/deps"))?;
    let model = Model {
        program: toolchain.llvm_mca(context)?,
        libraries: toolchain.libraries(),
        folder: toolchain.build().join("model"),
    };
    fs::create_dir_all(&model.folder)?;

    let mut table = String::from("| cycles per 16 bytes, modelled, not measured |");
    for (name, _) in CPUS {
        write!(table, " {name} |")?;
    }
    table.push_str("\n|---|");
    table.push_str(&"---:|".repeat(CPUS.len()));
    let chains = |chain: Chain| -> Result<Vec<f64>> {
        CPUS.iter().map(|(_, cpu)| model.cycles(cpu, &chain.instructions())).collect()
    };
    let (aes, sha) = (chains(Chain::Aes)?, chains(Chain::Sha)?);
    for (name, cycles, blocks) in [("AES chain", &aes, 1.0), ("SHA-256 chain", &sha, 4.0)] {
        write!(table, "\n| {name} |")?;
        for cycles in cycles {
            write!(table, " {:.1} |", cycles / blocks)?;
        }
    }
    for kernel in KERNELS {
        let body = kernel.symbols.iter().find_map(|symbol| hot_loop(&assembly, symbol));
        let body = body.with_context(|| format!("{} has no loop in the assembly", kernel.name))?;
        write!(table, "\n| {} |", kernel.name)?;
        for ((_, cpu), (aes, sha)) in CPUS.iter().zip(aes.iter().zip(&sha)) {
            let cycles = model.cycles(cpu, &body)? / kernel.blocks;
            let chain = if kernel.chain == Chain::Aes { *aes } else { sha / 4.0 };
            write!(table, " {cycles:.1} ({:.2}) |", cycles / chain)?;
        }
    }
    table.push('\n');
    Ok(table)
}

impl Chain {
    fn instructions(self) -> Vec<String> {
        match self {
            Self::Aes => (1..15)
                .flat_map(|key| [format!("aese v0.16b, v{key}.16b"), "aesmc v0.16b, v0.16b".to_owned()])
                .take(27)
                .collect(),
            Self::Sha => (0..16)
                .flat_map(|_| ["mov v3.16b, v0.16b", "sha256h q0, q1, v2.4s", "sha256h2 q1, q3, v2.4s"])
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// llvm-mca, and a folder for its input.
struct Model {
    program: PathBuf,
    libraries: PathBuf,
    folder: PathBuf,
}

impl Model {
    /// Returns the cycles that one turn of a loop takes in the long run.
    fn cycles(&self, cpu: &str, instructions: &[String]) -> Result<f64> {
        let input = self.folder.join("loop.s");
        fs::write(&input, instructions.join("\n") + "\n")?;
        let after = |turns: u32| -> Result<f64> {
            let mut mca = Command::new(&self.program);
            mca.env("LD_LIBRARY_PATH", &self.libraries);
            mca.args(["-mtriple=aarch64", "-mattr=+aes,+sha2", &format!("-mcpu={cpu}")]);
            let output = mca.arg(format!("-iterations={turns}")).arg(&input).output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let total = text.lines().find_map(|line| line.strip_prefix("Total Cycles:"));
            let total = total.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
            Ok(total.trim().parse::<u32>()?.into())
        };
        Ok((after(300)? - after(100)?) / 200.0)
    }
}

/// Returns the newest assembly of `chappe-crypto` in a folder.
fn newest_assembly(folder: &Path) -> Result<String> {
    let mut found = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("chappe_crypto-") && name.ends_with(".s") {
            found = found.max(Some((fs::metadata(&path)?.modified()?, path)));
        }
    }
    let (_, path) = found.context("the compiler wrote no assembly")?;
    Ok(fs::read_to_string(path)?)
}

/// Returns the loop with the most cryptographic instructions in a function, of those without such a loop inside.
///
/// A loop is what stands between a label and a branch back to it.
fn hot_loop(assembly: &str, symbol: &str) -> Option<Vec<String>> {
    let is_start = |line: &&str| line.starts_with("_R") && line.contains(symbol) && line.ends_with(':');
    let lines: Vec<&str> = assembly
        .lines()
        .skip_while(|line| !is_start(line))
        .take_while(|line| !line.contains(".cfi_endproc"))
        .collect();
    let mut loops: Vec<Range<usize>> = Vec::new();
    for (end, line) in lines.iter().enumerate().filter(|(_, line)| is_instruction(line)) {
        let to = line.split_whitespace().last();
        let start =
            lines[..end].iter().rposition(|line| line.strip_suffix(':').is_some_and(|name| Some(name) == to));
        loops.extend(start.map(|start| start + 1..end + 1));
    }
    let count =
        |found: &Range<usize>| lines[found.clone()].iter().filter(|line| is_cryptographic(line)).count();
    loops.retain(|found| count(found) > 0);
    let is_inside = |inner: &Range<usize>, outer: &Range<usize>| {
        inner != outer && outer.start <= inner.start && inner.end <= outer.end
    };
    let innermost = loops.iter().filter(|outer| !loops.iter().any(|inner| is_inside(inner, outer)));
    let best = innermost.max_by_key(|found| count(found))?;
    Some(
        lines[best.clone()]
            .iter()
            .filter(|line| is_instruction(line))
            .map(|line| (*line).to_owned())
            .collect(),
    )
}

fn is_cryptographic(line: &str) -> bool {
    ["aes", "sha256"].iter().any(|stem| line.trim_start().starts_with(stem))
}

/// Returns whether a line is neither a label, nor a directive, nor a comment.
fn is_instruction(line: &str) -> bool {
    line.starts_with('\t') && !line.trim_start().starts_with(['.', '/', '#', ';'])
}

/// Returns the table of instructions.
fn counted(context: &Context, toolchain: &Toolchain, target: &Target) -> Result<String> {
    let root = context.workspace.root();
    let folder = root.join("xtask/instructions");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).context("cannot copy the lock file")?;
    let mut build = toolchain.cargo(target.triple, "build");
    context.shell.run(build.args(["--release", "--manifest-path"]).arg(folder.join("Cargo.toml")))?;
    let program = toolchain.build().join(target.triple).join("release/instructions");
    let mut table = String::from(
        "| instructions for 16 KiB, counted under QEMU | chappe | RustCrypto | chappe / RustCrypto |\n|---|---:|---:|---:|",
    );
    for work in COUNTED {
        let [ours, theirs] = ["chappe", "rustcrypto"].map(|by| {
            let count = |turns: u32| toolchain.count_instructions(&program, &[by, work, &turns.to_string()]);
            count(2).and_then(|two| Ok(two.saturating_sub(count(1)?)))
        });
        let (ours, theirs) = (ours?, theirs?);
        let ratio = f64::from(ours) / f64::from(theirs);
        write!(table, "\n| {work} | {ours} | {theirs} | {ratio:.2} |")?;
    }
    table.push('\n');
    Ok(table)
}

#[cfg(test)]
mod checks {
    use super::hot_loop;

    #[test]
    fn the_innermost_loop_of_the_function_is_found() {
        let assembly = "_Rother:\n.L1:\n\taese v0.16b, v1.16b\n\tb.ne .L1\n\t.cfi_endproc\n\
                        _Rmine:\n.L2:\n\tldr q0, [x0]\n.L3:\n\t.p2align 4\n\taesd v0.16b, v1.16b\n\t//APP\n\
                        \tb.ne .L3\n\tcbnz x0, .L2\n\tb .L4\n.L4:\n\tret\n\t.cfi_endproc\n";
        let found = hot_loop(assembly, "mine").expect("there is a loop");
        assert_eq!(found, ["\taesd v0.16b, v1.16b", "\tb.ne .L3"]);
        assert!(hot_loop(assembly, "third").is_none());
    }
}
