//! Clones that share a target folder share this program: it works on the clone in which it is started.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test on a host with std")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

/// What `codegen` reads.
const SOURCES: [&str; 8] = [
    "Cargo.toml",
    "xtask/Cargo.toml",
    "tl-schema/mtproto.tl",
    "tl-schema/api.tl",
    "tl-schema/secret.tl",
    "crates/chappe-conformance/schema/datacenter.tl",
    "crates/chappe-server/schema/router.tl",
    "crates/chappe-tl-api/Cargo.toml",
];

/// A file that `codegen` writes.
const GENERATED: &str = "crates/chappe-tl-mtproto/src/generated/names.rs";

/// Returns the checkout of this test. The working folder of a test is its package.
fn checkout() -> PathBuf {
    Path::new("..").canonicalize().expect("the package is in a checkout")
}

/// Makes a folder with everything that `codegen` reads and nothing that it writes.
fn clone(name: &str) -> PathBuf {
    let clone = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&clone);
    for source in SOURCES {
        let to = clone.join(source);
        fs::create_dir_all(to.parent().expect("a file has a folder")).expect("the target folder is writable");
        fs::copy(checkout().join(source), to).expect("the file is part of the checkout");
    }
    clone
}

fn xtask(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).expect("the file is there")
}

#[test]
fn codegen_writes_to_the_clone_in_which_it_is_started() {
    let clone = clone("clone");
    let ours = checkout().join(GENERATED);
    let before = modified(&ours);

    let written = xtask(&clone.join("tl-schema"), &["codegen"]);

    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    assert_eq!(fs::read(clone.join(GENERATED)).ok(), fs::read(&ours).ok());
    assert_eq!(modified(&ours), before, "the other clone was written to");

    fs::write(clone.join(GENERATED), "// edited").expect("the clone is writable");
    assert!(
        !xtask(&clone, &["codegen", "--check"]).status.success(),
        "the clone differs and was not looked at"
    );
}

#[test]
fn a_folder_outside_a_checkout_is_refused() {
    let outside = xtask(&std::env::temp_dir(), &["codegen", "--check"]);
    assert!(!outside.status.success());
    let message = String::from_utf8_lossy(&outside.stderr).into_owned();
    assert!(message.contains("expected a folder of the chappe workspace"), "{message}");
}
