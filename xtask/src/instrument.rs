//! A wrapper of the compiler that removes the flags for coverage from crates for which they are useless.
//!
//! Tracing every comparison in arithmetic and ciphers takes most of the time of a fuzzing target. The compared values are
//! effectively random, so that an engine guided by them keeps equivalent inputs.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result};

/// The environment variable of builds that this program wraps.
pub(crate) const VARIABLE: &str = "CHAPPE_WRAPS_RUSTC";

/// Crates whose control flow does not depend on the form of the input.
const PLAIN: [&str; 17] = [
    "aes",
    "block_buffer",
    "chappe_crypto",
    "cipher",
    "cmov",
    "crypto_bigint",
    "crypto_primes",
    "ctutils",
    "curve25519_dalek",
    "digest",
    "hmac",
    "hybrid_array",
    "ige",
    "rsa",
    "sha1",
    "sha2",
    "zeroize",
];

/// Runs the compiler if this program was started as its wrapper, and returns whether it succeeded.
pub(crate) fn as_rustc() -> Option<Result<bool>> {
    env::var_os(VARIABLE)?;
    let mut arguments = env::args().skip(1);
    let compiler = arguments.next()?;
    let arguments: Vec<String> = arguments.collect();
    let status = Command::new(&compiler).args(kept(&arguments)).env_remove(VARIABLE).status();
    Some(status.map(|status| status.success()).with_context(|| compiler))
}

/// Removes the flags for coverage from the arguments of a plain crate.
fn kept(arguments: &[String]) -> impl Iterator<Item = &String> {
    let name = arguments.iter().skip_while(|argument| *argument != "--crate-name").nth(1);
    let is_plain = name.is_some_and(|name| PLAIN.contains(&name.as_str()));
    let is_coverage =
        |argument: &str| argument.starts_with("-Cpasses=") || argument.contains("sanitizer-coverage");
    arguments.iter().filter(move |argument| !(is_plain && is_coverage(argument)))
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn only_plain_crates_are_compiled_without_coverage() {
        let of = |name: &str| {
            let all = [
                "--crate-name",
                name,
                "-Cpasses=sancov-module",
                "-Cllvm-args=-sanitizer-coverage-level=4",
                "-Copt-level=3",
            ];
            let all = all.map(str::to_owned);
            kept(&all).cloned().collect::<Vec<_>>()
        };
        assert_eq!(of("sha2"), ["--crate-name", "sha2", "-Copt-level=3"]);
        assert_eq!(of("chappe_session").len(), 5);
    }
}
