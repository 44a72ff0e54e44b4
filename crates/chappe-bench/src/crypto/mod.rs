//! The primitives and whole messages of `chappe-crypto`.

mod exchange;
mod ige;
mod many;
mod message;
mod uppers;

use crate::{harness::Settings, limits, report::Report};

const PEERS: &[&str] = &["grammers-crypto", "layer-crypto", "ferogram-crypto", "ige", "aes"];

const NOTES: &str = "\
The AES chain is 14 dependent AESENC for each block, the SHA chain 32 dependent SHA256RNDS2 for each 64 bytes: a lower
bound for one stream. Below 16 KiB the times of `open` include the copy that restores its input. The times of `seal`
include the copy of the payload and fresh padding. The times of the chains include nothing else. Each round keeps the
fastest of eight samples.

`cargo xtask bench` builds with `--cfg chappe_plain_aes`, which disables the feature `zeroize` of the `aes` crate. Cargo
would otherwise enable it for the peers too, and slow those that encrypt block by block up to three times.
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
