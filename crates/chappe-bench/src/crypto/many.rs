//! T3: IGE of independent streams, against one stream of the same length.

use std::hint::black_box;

use chappe_crypto::{
    ige::{self, IgeStream},
    kernels::{self, Backend},
};

use super::size;
use crate::{
    harness::{Case, Settings, measure},
    report::{Bound, Report},
};

const ONE: &str = "one stream";
const FOUR: &str = "4 streams, AES-NI";
const TWELVE: &str = "12 streams, VAES-512";
const SIXTEEN: &str = "16 streams, VAES-512";

/// Bytes between two streams.
const APART: usize = 1024;

/// Measures both directions at each size.
pub fn run(settings: &Settings, report: &mut Report) {
    let wide = Backend::detect();
    for is_decryption in [false, true] {
        for len in [1024, 16 * 1024, 64 * 1024] {
            let title =
                format!("IGE {} of many, {}", if is_decryption { "decrypt" } else { "encrypt" }, size(len));
            if !settings.wants(&title) {
                continue;
            }
            let single = if is_decryption { ige::decrypt } else { ige::encrypt };
            let mut one = vec![3; len];
            let mut cases = vec![Case::new(ONE, len, || {
                single(black_box(&[1; 32]), black_box(&[2; 32]), &mut one).expect("whole blocks");
            })];
            cases.push(many(FOUR, 4, len, wide.narrow(), is_decryption));
            if wide.is_wide() {
                cases.push(many("4 streams, VAES-512", 4, len, wide, is_decryption));
                cases.push(many("8 streams, VAES-512", 8, len, wide, is_decryption));
                cases.push(many(TWELVE, 12, len, wide, is_decryption));
                cases.push(many(SIXTEEN, 16, len, wide, is_decryption));
            }
            let group = measure(settings, &title, cases);
            if len < 16 * 1024 {
                // Key schedules and the change of lanes weigh here; the table below has the times.
                report.group(group);
                continue;
            }
            let text = |case| format!("{title}: speed of {case} / one");
            report.target("T3", text(FOUR), Bound::AtLeast(3.0), group.ratio(FOUR, ONE));
            if wide.is_wide() {
                for case in [TWELVE, SIXTEEN] {
                    report.target("T3", text(case), Bound::AtLeast(6.5), group.ratio(case, ONE));
                }
            }
            report.group(group);
        }
    }
}

fn many(name: &str, count: usize, len: usize, backend: Backend, is_decryption: bool) -> Case<'static> {
    // Streams that start at the same place of a page compete for the same lines of the first-level cache.
    let mut buffers = vec![vec![3; len + APART]; count];
    let run = if is_decryption { kernels::decrypt_many_with } else { kernels::encrypt_many_with };
    Case::new(name, count * len, move || {
        let stream =
            |data| IgeStream::new(black_box(&[1; 32]), black_box(&[2; 32]), data).expect("whole blocks");
        let mut buffers = buffers.iter_mut();
        let mut next = || buffers.next().map_or_else(Default::default, |buffer| &mut buffer[..len]);
        let mut streams: [IgeStream<'_>; 16] = std::array::from_fn(|_| stream(next()));
        run(backend, &mut streams[..count]);
    })
}
