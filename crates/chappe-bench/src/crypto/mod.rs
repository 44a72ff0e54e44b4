//! The primitives and whole messages of `chappe-crypto`.

mod exchange;
mod ige;
mod many;
mod message;
mod uppers;

use crate::{harness::Settings, limits, report::Report};

const PEERS: &[&str] = &["grammers-crypto", "layer-crypto", "ferogram-crypto", "ige", "aes"];

const NOTES: &str = "\
The AES chain is 14 dependent AESENC for each block, the SHA chain 32 dependent SHA256RNDS2 for each 64 bytes: what
no implementation of one stream can beat. Below 16 KiB every time of `open` contains the copy that restores its input;
every time of `seal` contains the copy of the payload and fresh padding; those of the chains contain nothing else. In
each round the fastest of eight slices counts.

`cargo xtask bench` builds with `--cfg chappe_plain_aes`: it takes the feature `zeroize` off the `aes` crate, which cargo
would otherwise turn on for the peers as well, and which slows those that encrypt block by block up to three times.
";

/// Measures everything.
pub fn run(settings: &Settings) -> Report {
    let mut report = Report::new("Cryptography", PEERS, NOTES);
    if !limits::are_known() {
        eprintln!("This CPU lacks AES-NI or SHA-NI: the targets do not apply to it.");
        return report;
    }
    ige::run(settings, &mut report);
    many::run(settings, &mut report);
    message::run(settings, &mut report);
    uppers::run(settings, &mut report);
    exchange::run(settings, &mut report);
    report
}

/// A readable size.
fn size(bytes: usize) -> String {
    if bytes >= 1024 { format!("{} KiB", bytes / 1024) } else { format!("{bytes} B") }
}
