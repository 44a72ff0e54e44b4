//! Two-class statistical test of what is claimed to be constant time, after dudect.
//!
//! Each sample draws one of two classes of input at random and measures one call. Welch's t-test then asks whether the
//! two sets of times can have one mean. Times above a percentile are cut off, since interrupts say nothing, and the
//! largest t over several such cuts counts. Each test runs three times and must exceed the threshold each time: a leak
//! shows always, noise does not. A comparison that stops at the first difference is tested as well and must be found.
//!
//! The method: <https://eprint.iacr.org/2016/1123>. What the results mean: docs/security.md.

mod session;

use std::hint::black_box;

use anyhow::{Result, ensure};
use chappe_crypto::{
    AuthKey, MsgKey, Side, ct,
    dh::{Exponent, Group},
    message,
    rand_core::Rng,
    rng::Drbg,
    srp,
};

use crate::{harness, limits};

/// Above this the two classes differ; docs/security.md has the same number.
const THRESHOLD: f64 = 5.0;
/// A leak must show in each of them.
const RUNS: usize = 3;
/// Shares of the fastest samples that are looked at.
const SHARES: [f64; 4] = [0.5, 0.75, 0.9, 0.99];

/// What to test.
#[derive(clap::Args)]
pub struct Options {
    /// A tenth of the samples.
    #[arg(long)]
    quick: bool,
}

/// Two classes of input.
type Classes<T> = [T; 2];

/// What is said about one piece of code.
struct Verdict {
    name: &'static str,
    kind: Kind,
    samples: usize,
    t_values: [f64; RUNS],
    /// Difference of the medians in ticks of the counter, second class less first, of the last run.
    difference: f64,
}

/// What a difference would tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A secret.
    Secret,
    /// What everybody on the path knows anyway.
    Public,
}

impl Verdict {
    /// The smallest of the runs.
    fn t(&self) -> f64 {
        self.t_values.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Runs all tests and prints their t-values.
///
/// # Errors
///
/// Fails if one is above the threshold, or if the known leak is not found.
pub fn run(options: &Options) -> Result<()> {
    let scale = if options.quick { 10 } else { 1 };
    let mut rng = Drbg::from_os().map_err(|error| anyhow::anyhow!("{error}"))?;
    let control = leaky_comparison(&mut rng, 50_000 / scale);
    let mut verdicts = vec![
        right_and_wrong_msg_key(&mut rng, "open, 128 B: right and wrong msg_key", 128, 200_000 / scale),
        right_and_wrong_msg_key(&mut rng, "open, 4 KiB: right and wrong msg_key", 4096, 40_000 / scale),
        length_fields(&mut rng, 200_000 / scale),
        nonces(&mut rng, 200_000 / scale),
        exponents(&mut rng, 1000 / scale),
        srp_values(&mut rng, 500 / scale)?,
    ];
    verdicts.extend(session::run(&mut rng, 100_000 / scale));
    println!("| code | samples | t of each run | smallest | verdict |\n|---|---|---|---|---|");
    print_row(&control, if control.t() > THRESHOLD { "found, as it must be" } else { "**not found**" });
    for verdict in &verdicts {
        let found = match (verdict.t() > THRESHOLD, verdict.kind) {
            (false, _) => "no difference".to_owned(),
            (true, Kind::Secret) => "**differs**".to_owned(),
            (true, Kind::Public) => format!("differs by {:.0} ticks, in what is public", verdict.difference),
        };
        print_row(verdict, &found);
    }
    println!("\nthreshold {THRESHOLD}");
    ensure!(
        control.t() > THRESHOLD,
        "the known leak was not found: the machine is too noisy to say anything"
    );
    let is_leak = |verdict: &&Verdict| verdict.kind == Kind::Secret && verdict.t() > THRESHOLD;
    let leaks: Vec<_> = verdicts.iter().filter(is_leak).collect();
    let names: Vec<_> = leaks.iter().map(|verdict| verdict.name).collect();
    ensure!(names.is_empty(), "not constant time: {}", names.join("; "));
    Ok(())
}

fn print_row(verdict: &Verdict, what: &str) {
    let [a, b, c] = verdict.t_values;
    let (name, samples, t) = (verdict.name, verdict.samples, verdict.t());
    println!("| {name} | {samples} | {a:.1}, {b:.1}, {c:.1} | {t:.1} | {what} |");
}

/// Measures `work` on a fresh copy of what `input` gives for the class.
fn compare<T>(
    rng: &mut Drbg,
    name: &'static str,
    samples: usize,
    mut input: impl FnMut(&mut Drbg, usize) -> T,
    mut work: impl FnMut(T),
) -> Verdict {
    let bar = harness::progress((RUNS * samples) as u64, name);
    let mut difference = 0.0;
    let t_values = std::array::from_fn(|_| {
        let mut times: Classes<Vec<f64>> = [Vec::new(), Vec::new()];
        for _ in 0..samples {
            let class = (rng.next_u32() & 1) as usize;
            let input = input(rng, class);
            let start = limits::ticks();
            work(black_box(input));
            times[class].push(limits::ticks().wrapping_sub(start) as f64);
            bar.inc(1);
        }
        let [first, second] = times.each_ref().map(|times| median(times));
        difference = second - first;
        largest_t(&times)
    });
    bar.finish_and_clear();
    Verdict { name, kind: Kind::Secret, samples, t_values, difference }
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The largest of the t-values over several cuts.
fn largest_t(times: &Classes<Vec<f64>>) -> f64 {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let cut = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    let t = |share| welch(&times.each_ref().map(|times| below(times, cut(share)))).abs();
    SHARES.into_iter().map(t).fold(0.0, f64::max)
}

fn below(times: &[f64], cut: f64) -> Vec<f64> {
    times.iter().copied().filter(|time| *time <= cut).collect()
}

/// Welch's t: the difference of the means in units of its standard deviation.
fn welch([a, b]: &Classes<Vec<f64>>) -> f64 {
    let describe = |times: &[f64]| {
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    if a.len() < 2 || b.len() < 2 {
        // One class has hardly a time below the cut: as different as can be.
        return f64::INFINITY;
    }
    let ((mean_a, error_a), (mean_b, error_b)) = (describe(a), describe(b));
    let error = (error_a + error_b).sqrt();
    if error > 0.0 { (mean_a - mean_b) / error } else { 0.0 }
}

/// The known leak: a comparison that stops at the first difference.
fn leaky_comparison(rng: &mut Drbg, samples: usize) -> Verdict {
    let others: Classes<[u8; 256]> = std::array::from_fn(|class| {
        let mut other = [7; 256];
        other[[0, 255][class]] = 8;
        other
    });
    compare(
        rng,
        "control: comparison that stops early",
        samples,
        |_, class| others[class],
        |other| {
            black_box(other.iter().zip(black_box(&[7; 256])).all(|(a, b)| black_box(a) == b));
        },
    )
}

fn right_and_wrong_msg_key(rng: &mut Drbg, name: &'static str, len: usize, samples: usize) -> Verdict {
    let key = AuthKey::from_bytes([9; 256]);
    let mut sealed = vec![3; len];
    let right = message::seal(&key, Side::Server, &mut sealed).expect("whole blocks").msg_key;
    let mut data = sealed.clone();
    // A wrong msg_key gives another AES key, so both classes draw a ciphertext that decrypts to something else.
    let mut wrong = *right.as_bytes();
    wrong[15] ^= 1;
    let msg_keys = [right, MsgKey::from_bytes(wrong)];
    compare(
        rng,
        name,
        samples,
        |_, class| msg_keys[class],
        |msg_key| {
            data.copy_from_slice(&sealed);
            let _ = black_box(message::open(&key, Side::Server, &msg_key, &mut data));
        },
    )
}

/// Behind one wrong `msg_key`, ciphertexts that decrypt to a sensible and to an absurd length field.
fn length_fields(rng: &mut Drbg, samples: usize) -> Verdict {
    const LENGTH_AT: usize = 28;
    let key = AuthKey::from_bytes([9; 256]);
    let msg_key = MsgKey::from_bytes([1; 16]);
    let aes = chappe_crypto::kdf::aes_v2(&key, Side::Server, &msg_key);
    let frames: Classes<[u8; 128]> = [80, 0xffff_fffc_u32].map(|length| {
        let mut data = [3; 128];
        data[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_le_bytes());
        chappe_crypto::ige::encrypt(&aes.key, &aes.iv, &mut data).expect("whole blocks");
        data
    });
    let name = "open, wrong msg_key: sensible and absurd length field";
    compare(
        rng,
        name,
        samples,
        |_, class| frames[class],
        |mut data| {
            let _ = black_box(message::open(&key, Side::Server, &msg_key, &mut data));
        },
    )
}

fn nonces(rng: &mut Drbg, samples: usize) -> Verdict {
    let others: Classes<[u8; 32]> = std::array::from_fn(|class| {
        let mut other = [7; 32];
        other[[0, 31][class]] = 8;
        other
    });
    let name = "comparison of nonces: first and last byte differs";
    compare(
        rng,
        name,
        samples,
        |_, class| others[class],
        |other| {
            for _ in 0..32 {
                black_box(ct::eq(black_box(&other), black_box(&[7; 32])));
            }
        },
    )
}

fn exponents(rng: &mut Drbg, samples: usize) -> Verdict {
    let group = Group::known(3).expect("3 generates the known group");
    let (_, peer) = group.key_pair(rng).expect("the generator works");
    let mut sparse = [0; 256];
    sparse[0] = 0x80;
    let bytes = [sparse, [0xff; 256]];
    let name = "exponentiation: one bit and all bits of the exponent set";
    compare(
        rng,
        name,
        samples,
        |_, class| Exponent::from_bytes(bytes[class]),
        |exponent| {
            black_box(group.shared_secret(&exponent, &peer));
        },
    )
}

fn srp_values(rng: &mut Drbg, samples: usize) -> Result<Verdict> {
    let group = Group::known(3).map_err(|error| anyhow::anyhow!("{error}"))?;
    let parameters = srp::Parameters { group: &group, salt1: b"one", salt2: b"two" };
    let (_, dense) = group.key_pair(rng).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut sparse = [0; 256];
    sparse[255] = 2;
    let verifiers = [sparse, *dense.as_bytes()];
    let challenge = |rng: &mut Drbg, class: usize| {
        srp::Challenge::new(&parameters, &verifiers[class], rng).expect("the generator works")
    };
    let a = *dense.as_bytes();
    Ok(compare(rng, "SRP: sparse and dense verifier", samples, challenge, |challenge| {
        let _ = black_box(challenge.verify(&a, &[0; 32]));
    }))
}
