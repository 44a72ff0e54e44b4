//! Looks for OpenSSL and notes how the program is built.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo::rustc-check-cfg=cfg(openssl)");
    let libcrypto = pkg_config::Config::new().atleast_version("3.0").probe("libcrypto");
    let openssl = match libcrypto {
        Ok(library) => {
            println!("cargo::rustc-cfg=openssl");
            library.version
        }
        Err(_) => "not installed".into(),
    };
    println!("cargo::rustc-env=BENCH_OPENSSL={openssl}");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().replace('\u{1f}', " ");
    // Always there, so it says nothing about a run.
    let shown = flags.replace("--cfg chappe_plain_aes", "");
    println!("cargo::rustc-env=BENCH_RUSTFLAGS={}", shown.trim());
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().map(|output| output.stdout);
    let version = String::from_utf8(version.unwrap_or_default()).unwrap_or_default();
    println!("cargo::rustc-env=BENCH_RUSTC={}", version.trim());
    if env::var_os("CARGO_FEATURE_TL").is_some() {
        let schema =
            folder_of("layer-tl-types-0.5").expect("cargo knows where its dependencies are") + "/tl/api.tl";
        println!("cargo::rustc-env=BENCH_LAYER_SCHEMA={schema}");
    }
}

/// The folder of a dependency, given the beginning of the folder's name.
fn folder_of(package: &str) -> Option<String> {
    let cargo = env::var("CARGO").ok()?;
    let arguments = ["metadata", "--format-version", "1", "--offline", "--features", "tl"];
    let output = Command::new(cargo).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let manifest = text
        .split("\"manifest_path\":\"")
        .find(|rest| rest.split('"').next().is_some_and(|path| path.contains(&format!("/{package}"))))?;
    let path = manifest.split('"').next()?;
    path.strip_suffix("/Cargo.toml").map(str::to_owned)
}
