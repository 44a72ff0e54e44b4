//! A simple engine: takes an input, changes it at a few places, tries it.
//!
//! It measures no coverage and keeps nothing it finds interesting, so it is no match for `libFuzzer`; it is what a
//! machine with nothing but a stable toolchain has. An input and its outcome are decided by the number of the run.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic;
use std::time::Instant;

use arbitrary::Unstructured;
use rand_core::Rng;

use super::{Seeded, Target};

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// After so many inputs.
    pub runs: u64,
    /// After so much time.
    pub time: Duration,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Inputs tried.
    pub runs: u64,
    /// The first input that failed.
    pub finding: Option<Finding>,
    /// The longest time that one input took.
    pub slowest: Duration,
}

/// An input that failed.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// What the target said.
    pub message: String,
}

/// Tries the seeds of a target, then changed ones, the first of which is number `first`.
///
/// `tell` is called now and then with the number of inputs tried.
pub fn run(
    target: &Target,
    corpus: &[Vec<u8>],
    first: u64,
    stop: Stop,
    mut tell: impl FnMut(u64),
) -> Outcome {
    let start = Instant::now();
    let mut outcome = Outcome { runs: 0, finding: None, slowest: Duration::ZERO };
    let mut input = Vec::new();
    while outcome.runs < stop.runs && start.elapsed() < stop.time {
        let number = outcome.runs as usize;
        input.clear();
        match corpus.get(number) {
            Some(seed) if first == 0 => input.extend_from_slice(seed),
            _ => mutate(corpus, first + outcome.runs, target.max_len, &mut input),
        }
        let begun = Instant::now();
        let tried = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        outcome.slowest = outcome.slowest.max(begun.elapsed());
        outcome.runs += 1;
        if let Err(payload) = tried {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
            outcome.finding = Some(Finding { input, message: text.to_owned() });
            return outcome;
        }
        if outcome.runs.is_multiple_of(64) {
            tell(outcome.runs);
        }
    }
    outcome
}

/// Numbers that lengths and counts go wrong at.
const MAGIC: [u32; 16] = [
    0,
    1,
    3,
    4,
    7,
    16,
    0x7f,
    0xff,
    0x400,
    0x401,
    0xffff,
    0x00ff_ffff,
    0x0100_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];

/// Makes the input of a number.
fn mutate(corpus: &[Vec<u8>], number: u64, max_len: usize, input: &mut Vec<u8>) {
    let mut rng = Seeded::rng(number);
    let mut choices = [0; 256];
    rng.fill_bytes(&mut choices);
    let mut choices = Unstructured::new(&choices);
    // The choices run out only after the last change: what is missing then reads as zero.
    let pick = |choices: &mut Unstructured<'_>, most: usize| choices.int_in_range(0..=most).unwrap_or(0);
    match pick(&mut choices, 15) {
        0 => {
            let len = pick(&mut choices, max_len.min(512));
            input.resize(len, 0);
            rng.fill_bytes(input);
        }
        _ if !corpus.is_empty() => {
            input.extend_from_slice(&corpus[(rng.next_u64() % corpus.len() as u64) as usize]);
        }
        _ => {}
    }
    for _ in 0..=pick(&mut choices, 5) {
        if input.is_empty() {
            input.push(rng.next_u32() as u8);
        }
        let at = (rng.next_u64() % input.len() as u64) as usize;
        match pick(&mut choices, 9) {
            0 => input[at] ^= 1 << pick(&mut choices, 7),
            1 => input[at] = rng.next_u32() as u8,
            2 | 3 => {
                let value = MAGIC[pick(&mut choices, MAGIC.len() - 1)].to_le_bytes();
                let at = if pick(&mut choices, 1) == 0 { at & !3 } else { at };
                let width = [1, 2, 4][pick(&mut choices, 2)];
                let end = input.len().min(at + width);
                input[at..end].copy_from_slice(&value[..end - at]);
            }
            4 => input.truncate(at),
            5 => {
                let end = input.len().min(at + 1 + pick(&mut choices, 31));
                input.drain(at..end);
            }
            6 => {
                let end = input.len().min(at + 1 + pick(&mut choices, 63));
                let copy = input[at..end].to_vec();
                let to = (rng.next_u64() % (input.len() as u64 + 1)) as usize;
                input.splice(to..to, copy);
            }
            7 => {
                let mut fresh = vec![0; 1 + pick(&mut choices, 15)];
                rng.fill_bytes(&mut fresh);
                input.splice(at..at, fresh);
            }
            8 if !corpus.is_empty() => {
                let other = &corpus[(rng.next_u64() % corpus.len() as u64) as usize];
                let from = (rng.next_u64() % (other.len() as u64 + 1)) as usize;
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let step = (1 + pick(&mut choices, 15)) as u8;
                input[at] = input[at].wrapping_add(step);
            }
        }
    }
    input.truncate(max_len);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails on the second word being `0x401`.
    fn picky(input: &[u8]) {
        assert_ne!(input.get(4..8), Some(&[1, 4, 0, 0][..]), "found it");
    }

    const PICKY: Target =
        Target { name: "picky", about: "a test", run: picky, seeds: || vec![vec![0; 16]], max_len: 64 };

    #[test]
    fn an_input_that_panics_is_found_reported_and_found_again() {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let stop = Stop { runs: 200_000, time: Duration::from_secs(60) };
        let found = run(&PICKY, &(PICKY.seeds)(), 0, stop, |_| {}).finding.expect("it is easy to find");
        let again = run(&PICKY, &(PICKY.seeds)(), 0, stop, |_| {}).finding.expect("it is easy to find");
        panic::set_hook(hook);
        assert_eq!(found.input, again.input);
        assert!(found.message.contains("found it"), "{}", found.message);
    }

    #[test]
    fn inputs_keep_to_the_limit_and_are_not_all_the_same() {
        let corpus = vec![vec![7; 100], Vec::new()];
        let mut inputs = alloc::collections::BTreeSet::new();
        for number in 0..500 {
            let mut input = Vec::new();
            mutate(&corpus, number, 64, &mut input);
            assert!(input.len() <= 64);
            inputs.insert(input);
        }
        assert!(inputs.len() > 250, "{}", inputs.len());
    }
}
