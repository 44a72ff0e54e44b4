//! Interleaved measurement: every round runs every case once, in rotated order.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The fastest of so many slices counts in a round: whatever else runs on the machine can only make one slower.
const SLICES: usize = 8;

/// How much is measured.
pub struct Settings {
    rounds: usize,
    slice: Duration,
    only: String,
}

impl Settings {
    /// `quick` still makes 15 rounds; they are shorter.
    pub fn new(quick: bool, only: &str) -> Self {
        let (rounds, slice) =
            if quick { (15, Duration::from_micros(50)) } else { (21, Duration::from_micros(200)) };
        Self { rounds, slice, only: only.to_owned() }
    }

    /// How often each case is measured.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Returns whether a group was asked for.
    pub fn wants(&self, title: &str) -> bool {
        title.to_lowercase().contains(&self.only.to_lowercase())
    }
}

/// A piece of work that is repeated.
pub struct Case<'a> {
    name: String,
    /// What one call works through, to compare calls of different size; 1 if that means nothing.
    bytes: usize,
    /// Makes so many calls and tells how long they took.
    work: Box<dyn FnMut(u32) -> Duration + 'a>,
}

impl<'a> Case<'a> {
    /// Names a piece of work that works through `bytes` bytes each time it is called.
    pub fn new(name: impl Into<String>, bytes: usize, mut work: impl FnMut() + 'a) -> Self {
        let repeat = move |repeats| {
            let start = Instant::now();
            for _ in 0..repeats {
                work();
            }
            start.elapsed()
        };
        Self { name: name.into(), bytes, work: Box::new(repeat) }
    }

    /// The same for work that needs something put back before each call, which is not measured. Reading the clock
    /// costs some 40 ns a call, so this is for calls that take microseconds.
    pub fn prepared<T: 'a>(
        name: impl Into<String>,
        bytes: usize,
        mut state: T,
        mut prepare: impl FnMut(&mut T) + 'a,
        mut work: impl FnMut(&mut T) + 'a,
    ) -> Self {
        let repeat = move |repeats| {
            let mut total = Duration::ZERO;
            for _ in 0..repeats {
                prepare(&mut state);
                let start = Instant::now();
                work(&mut state);
                total += start.elapsed();
            }
            total
        };
        Self { name: name.into(), bytes, work: Box::new(repeat) }
    }
}

/// What was measured of one case: nanoseconds per call, one entry per round.
pub struct Sample {
    /// Name of the case.
    pub name: String,
    bytes: usize,
    nanos: Vec<f64>,
}

/// A group of cases, measured together.
pub struct Group {
    /// What it is about.
    pub title: String,
    samples: Vec<Sample>,
}

/// A median and the range that holds four of five values.
#[derive(Clone, Copy)]
pub struct Spread {
    /// The middle.
    pub median: f64,
    /// A tenth is below.
    pub low: f64,
    /// A tenth is above.
    pub high: f64,
}

impl Spread {
    /// The spread of some values.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
        Self { median: at(0.5), low: at(0.1), high: at(0.9) }
    }
}

impl Sample {
    /// Nanoseconds per call.
    pub fn nanos(&self) -> Spread {
        Spread::of(self.nanos.clone())
    }

    /// Megabytes per second by the median, or calls per second if the case is not about bytes.
    pub fn rate(&self) -> String {
        let calls = 1e9 / self.nanos().median;
        if self.bytes == 1 {
            return format!("{calls:.0} /s");
        }
        format!("{:.0} MB/s", calls * self.bytes as f64 / 1e6)
    }
}

impl Group {
    /// A group that was measured elsewhere: a name and nanoseconds per call for each case.
    pub fn of(title: &str, cases: Vec<(String, Vec<f64>)>) -> Self {
        let sample = |(name, nanos)| Sample { name, bytes: 1, nanos };
        Self { title: title.to_owned(), samples: cases.into_iter().map(sample).collect() }
    }

    /// All samples in the order of the cases.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Time of `a` over time of `b`, per byte, formed within each round.
    ///
    /// # Panics
    ///
    /// Panics if there is no such case.
    pub fn ratio(&self, a: &str, b: &str) -> Spread {
        let find = |name: &str| {
            let found = self.samples.iter().find(|sample| sample.name == name);
            found.unwrap_or_else(|| panic!("no case {name:?} in {:?}", self.title))
        };
        let (a, b) = (find(a), find(b));
        let scale = b.bytes as f64 / a.bytes as f64;
        Spread::of(a.nanos.iter().zip(&b.nanos).map(|(a, b)| a / b * scale).collect())
    }
}

/// Measures a group.
pub fn measure(settings: &Settings, title: &str, mut cases: Vec<Case<'_>>) -> Group {
    let repeats: Vec<u32> = cases.iter_mut().map(|case| calibrate(settings, case)).collect();
    let mut nanos = vec![Vec::with_capacity(settings.rounds); cases.len()];
    let bar = progress(settings.rounds as u64, title);
    for round in 0..settings.rounds {
        for step in 0..cases.len() {
            let index = (round + step) % cases.len();
            let slices = (0..SLICES).map(|_| time(&mut cases[index], repeats[index]));
            nanos[index].push(slices.fold(f64::INFINITY, f64::min));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let sample = |(case, nanos): (Case<'_>, Vec<f64>)| Sample { name: case.name, bytes: case.bytes, nanos };
    Group { title: title.to_owned(), samples: cases.into_iter().zip(nanos).map(sample).collect() }
}

/// Nanoseconds per call.
fn time(case: &mut Case<'_>, repeats: u32) -> f64 {
    (case.work)(repeats).as_nanos() as f64 / f64::from(repeats)
}

/// Finds how many calls fill a slice of time.
fn calibrate(settings: &Settings, case: &mut Case<'_>) -> u32 {
    (case.work)(1);
    let mut repeats = 1_u32;
    loop {
        let taken = (case.work)(repeats);
        if taken * 3 >= settings.slice || repeats >= 1 << 24 {
            let share = settings.slice.as_secs_f64() / taken.as_secs_f64().max(1e-9);
            return (f64::from(repeats) * share).max(1.0) as u32;
        }
        repeats *= 2;
    }
}

/// A bar on a terminal, nothing elsewhere.
pub fn progress(length: u64, title: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:44!} {wide_bar} {pos}/{len} {eta}");
    ProgressBar::new(length)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(title.to_owned())
}
