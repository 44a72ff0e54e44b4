//! The page of `chappe-web` in Chromium, against the embedded datacenter.
//!
//! The page is built for WebAssembly, bound to JavaScript by `wasm-bindgen` and made smaller by `wasm-opt`. A script of Node
//! serves it and drives the browser. It names the tool that is missing, if one is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Deserialize;

use super::interop::{self, DC_ID, Server};
use super::{Context, Verdict};
use crate::shell::{self, Shell, answers};
use crate::target::{BROWSER, Toolchain};
use crate::workspace::Workspace;

/// The page and its files.
const PAGE: &str = "crates/chappe-web/examples/page";

/// The script that drives the browser, and the page of the other client.
const SCRIPTS: &str = "crates/chappe-conformance/browser";

/// The largest size that the program may have, in KiB.
const MAX_KIB: u64 = 530;

/// What mtcute loads beside its bundle.
const MTCUTE_WASM: &str = "node_modules/@mtcute/wasm/mtcute-simd.wasm";

/// The picture of the documentation.
const PICTURE: &str = "docs/pictures/browser.png";

/// The page with the table, and the markers around it.
const RECORD: &str = "docs/platforms.md";
const BEGIN: &str = "<!-- begin browser -->\n";
const END: &str = "<!-- end browser -->\n";

/// The datacenter sends an update every 200 ms.
const UPDATES: &[&str] = &["--update-every", "200"];

/// How often each page is loaded with a new key, and as often with a stored one, for the gate and for the table.
const ROUNDS: u32 = 3;
const RECORDED_ROUNDS: u32 = 15;

/// What the compiler uses of WebAssembly beyond its first version. All browsers have had it since 2021.
const WASM_FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
];

/// Arguments of `cargo xtask browser`.
#[derive(Args)]
pub(crate) struct Browser {
    /// Serves the page beside a datacenter until stopped, for any browser of this machine.
    #[arg(long)]
    serve: bool,
    /// Measures more loads, and writes the table of docs/platforms.md and its picture.
    #[arg(long, conflicts_with = "serve")]
    record: bool,
}

impl Browser {
    /// Builds the page, and serves it or tests it.
    pub(crate) fn run(&self) -> Result<()> {
        let context = Context { workspace: Workspace::load()?, shell: Shell::loud() };
        let page = match Page::build(&context)? {
            Ok(page) => page,
            Err(why) => {
                super::show("browser", &Verdict::Skipped(why));
                return Ok(());
            }
        };
        if self.serve {
            let server = Server::start(&context, UPDATES)?;
            return context.shell.run(&mut page.script(&server));
        }
        let measured = page.test(&context, if self.record { RECORDED_ROUNDS } else { ROUNDS })?;
        if self.record {
            page.record(&context, &measured)?;
        }
        super::show("browser", &page.verdict(&measured));
        Ok(())
    }
}

/// Bytes of the program as each tool writes it.
struct Sizes {
    bound: u64,
    optimised: u64,
}

/// The pages, built into `target/browser`.
struct Page {
    folder: PathBuf,
    chromium: PathBuf,
    sizes: Sizes,
}

/// What the script measured.
#[derive(Deserialize)]
struct Measured {
    browser: String,
    chappe: Client,
    mtcute: Client,
}

/// A client in the browser: milliseconds until the first answer, and bytes of code.
#[derive(Deserialize)]
struct Client {
    new_key: f64,
    stored_key: f64,
    bytes: u64,
    gzip: u64,
}

impl Page {
    /// Builds the pages, or returns what is missing.
    fn build(context: &Context) -> Result<Result<Self, String>> {
        let programs = ["chromium", "chromium-browser", "google-chrome"];
        let Some(chromium) = programs.into_iter().find_map(shell::path_of) else {
            return Ok(Err("chromium is not here".to_owned()));
        };
        if let Some(missing) = ["node", "npm"].into_iter().find(|tool| !answers(tool, "--version")) {
            return Ok(Err(format!("{missing} is not here")));
        }
        let toolchain = match Toolchain::set_up(context, &BROWSER)? {
            Ok(toolchain) => toolchain,
            Err(why) => return Ok(Err(why)),
        };
        let folder = context.workspace.target().join("browser");
        interop::copy_scripts(&context.workspace.root().join(SCRIPTS), &folder)?;
        if let Err(error) = context.shell.run(&mut interop::npm_install(&folder)) {
            return Ok(Err(format!("packages of npm cannot be had: {error:#}")));
        }
        bundle_mtcute(context, &folder)?;
        let sizes = build_program(context, &toolchain, &folder.join("dist/chappe"))?;
        Ok(Ok(Self { folder, chromium, sizes }))
    }

    /// Returns the command that serves the pages for a datacenter.
    fn script(&self, server: &Server) -> Command {
        let mut script = Command::new("node");
        script.current_dir(&self.folder).arg("run.mjs").arg(self.folder.join("dist"));
        script.args(&server.address).arg(DC_ID);
        script
    }

    /// Drives the browser through the pages.
    fn test(&self, context: &Context, rounds: u32) -> Result<Measured> {
        let kib = self.sizes.optimised.div_ceil(1024);
        ensure!(kib <= MAX_KIB, "the program has {kib} KiB, more than {MAX_KIB}");
        let server = Server::start(context, UPDATES)?;
        let mut script = self.script(&server);
        script.arg(&self.chromium).arg(self.folder.join("page.png")).arg(rounds.to_string());
        let output = context.shell.read(&mut script)?;
        let results = output.lines().rfind(|line| line.starts_with('{'));
        Ok(serde_json::from_str(results.context("the script measured nothing")?)?)
    }

    fn verdict(&self, Measured { chappe, mtcute, .. }: &Measured) -> Verdict {
        Verdict::Passed(format!(
            "{} KiB, first answer after {} ms with a new key and {} ms with a stored one (mtcute: {} and {} ms)",
            self.sizes.optimised.div_ceil(1024),
            chappe.new_key,
            chappe.stored_key,
            mtcute.new_key,
            mtcute.stored_key,
        ))
    }

    /// Writes the table and the picture of the documentation.
    fn record(&self, context: &Context, measured: &Measured) -> Result<()> {
        let root = context.workspace.root();
        fs::copy(self.folder.join("page.png"), root.join(PICTURE)).context("there is no picture")?;
        let page = fs::read_to_string(root.join(RECORD))?;
        let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) = parts.with_context(|| format!("{RECORD} has no markers of the table"))?;
        fs::write(root.join(RECORD), format!("{before}{BEGIN}{}{END}{after}", self.table(measured)))?;
        Ok(())
    }

    fn table(&self, Measured { browser, chappe, mtcute }: &Measured) -> String {
        let kib = |bytes: u64| format!("{} KiB", bytes.div_ceil(1024));
        let Sizes { bound, optimised } = self.sizes;
        let row = |what: &str, value: &dyn Fn(&Client) -> String| {
            format!("| {what} | {} | {} |\n", value(chappe), value(mtcute))
        };
        [
            format!("| {browser} | chappe-web | mtcute |\n|---|---:|---:|\n"),
            row("first answer with a new key", &|client| format!("{} ms", client.new_key)),
            row("first answer with a stored key", &|client| format!("{} ms", client.stored_key)),
            row("code", &|client| kib(client.bytes)),
            row("code after gzip", &|client| kib(client.gzip)),
            format!(
                "\nchappe's `.wasm` alone: {} after `wasm-bindgen`, {} after `wasm-opt`.\n",
                kib(bound),
                kib(optimised)
            ),
        ]
        .concat()
    }
}

/// Bundles the page of the other client.
fn bundle_mtcute(context: &Context, folder: &Path) -> Result<()> {
    let dist = folder.join("dist/mtcute");
    fs::create_dir_all(&dist)?;
    fs::copy(folder.join("mtcute.html"), dist.join("index.html"))?;
    fs::copy(folder.join(MTCUTE_WASM), dist.join("mtcute-simd.wasm")).context("mtcute has no program")?;
    let mut esbuild = Command::new(folder.join("node_modules/.bin/esbuild"));
    esbuild.current_dir(folder).args([
        "mtcute.mjs",
        "--bundle",
        "--minify",
        "--format=esm",
        "--log-level=warning",
    ]);
    context.shell.run(esbuild.arg("--outfile=dist/mtcute/mtcute.js"))
}

/// Builds the program of the page into `dist`.
fn build_program(context: &Context, toolchain: &Toolchain, dist: &Path) -> Result<Sizes> {
    let root = context.workspace.root();
    fs::create_dir_all(dist)?;
    for name in ["index.html", "page.css", "start.js"] {
        fs::copy(root.join(PAGE).join(name), dist.join(name)).with_context(|| format!("no {PAGE}/{name}"))?;
    }
    let mut build = toolchain.cargo(BROWSER.triple, "build");
    context.shell.run(build.args(["--profile", "web", "-p", "chappe-web", "--example", "page"]))?;
    let program = toolchain.build().join(BROWSER.triple).join("web/examples/page.wasm");
    let mut bind = Command::new(wasm_bindgen(context)?);
    bind.args(["--target", "web", "--no-typescript", "--out-name", "page", "--out-dir"])
        .arg(dist)
        .arg(program);
    context.shell.run(&mut bind)?;
    let (bound, optimised) = (dist.join("page_bg.wasm"), dist.join("page_opt.wasm"));
    let bound_len = fs::metadata(&bound)?.len();
    let mut optimise = toolchain.program("wasm-opt");
    optimise.args(["-Oz", "--strip-producers", "--strip-debug"]).args(WASM_FEATURES);
    context.shell.run(optimise.arg(&bound).arg("--output").arg(&optimised))?;
    fs::rename(&optimised, &bound)?;
    Ok(Sizes { bound: bound_len, optimised: fs::metadata(bound)?.len() })
}

/// Returns the command line of `wasm-bindgen`, and installs it into the target folder if it is not there. Its version must be
/// exactly that of the library in the lock file.
fn wasm_bindgen(context: &Context) -> Result<PathBuf> {
    let packages = context.workspace.third_party();
    let library = packages.iter().find(|package| package.name.as_str() == "wasm-bindgen");
    let version = library.context("nothing depends on wasm-bindgen")?.version.to_string();
    let tools = context.workspace.target().join("tools");
    let program = tools.join("bin/wasm-bindgen");
    let installed = context.shell.read(Command::new(&program).arg("--version"));
    if installed.is_ok_and(|text| text.trim().ends_with(&version)) {
        return Ok(program);
    }
    let mut install = shell::cargo(context.workspace.root());
    // The program runs for a second, so compiling it takes longer than running it without optimisation.
    install.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
    install.args(["install", "--quiet", "--debug", "--no-default-features", "--bin", "wasm-bindgen"]);
    install.args(["wasm-bindgen-cli", "--version", &version, "--root"]).arg(tools);
    context.shell.run(&mut install)?;
    Ok(program)
}
