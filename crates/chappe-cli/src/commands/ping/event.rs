//! What a ping tells as it goes.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use chappe::net::{Stage, Step};
use serde::Serialize;

use crate::output::{BAD, DIM, GOOD, NAME, Report, count, duration, milliseconds};

/// A step of a connection, or a pong.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    Embedded {
        dc: String,
        address: SocketAddr,
        key: String,
    },
    Resolved {
        name: String,
        address: SocketAddr,
        #[serde(rename = "ms", serialize_with = "milliseconds")]
        time: Duration,
    },
    Failed {
        address: String,
        error: String,
    },
    Connected {
        address: SocketAddr,
        way: String,
        #[serde(rename = "ms", serialize_with = "milliseconds")]
        time: Duration,
    },
    Step {
        answer: &'static str,
        checked: &'static str,
        #[serde(rename = "ms", serialize_with = "milliseconds")]
        waited: Duration,
        #[serde(rename = "work_ms", serialize_with = "milliseconds")]
        worked: Duration,
    },
    Key {
        id: String,
        /// Seconds that this clock is behind.
        clock_offset: i32,
        #[serde(rename = "ms", serialize_with = "milliseconds")]
        time: Duration,
    },
    Pong {
        number: u32,
        #[serde(rename = "ms", serialize_with = "milliseconds")]
        time: Duration,
    },
    Statistics(Statistics),
}

/// The times of all pings.
#[derive(Serialize)]
pub(super) struct Statistics {
    count: usize,
    #[serde(rename = "min_ms", serialize_with = "milliseconds")]
    min: Duration,
    #[serde(rename = "median_ms", serialize_with = "milliseconds")]
    median: Duration,
    #[serde(rename = "mean_ms", serialize_with = "milliseconds")]
    mean: Duration,
    #[serde(rename = "max_ms", serialize_with = "milliseconds")]
    max: Duration,
    #[serde(rename = "deviation_ms", serialize_with = "milliseconds")]
    deviation: Duration,
}

impl Statistics {
    /// Summarises times; `None` without any.
    pub(super) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let count = u32::try_from(times.len()).ok().filter(|count| *count > 0)?;
        let mean = times.iter().sum::<Duration>() / count;
        let squares = times.iter().map(|time| (time.as_secs_f64() - mean.as_secs_f64()).powi(2));
        Some(Self {
            count: times.len(),
            min: times[0],
            median: times[times.len() / 2],
            mean,
            max: times[times.len() - 1],
            deviation: Duration::from_secs_f64((squares.sum::<f64>() / f64::from(count)).sqrt()),
        })
    }
}

impl From<Step> for Event {
    fn from(step: Step) -> Self {
        let checked = match step.stage {
            Stage::ServerKnown => "nonce is ours; a key is trusted; pq has two prime factors",
            Stage::ParamsAgreed => "nonces repeated; hash inside is right; prime safe; g and g_a in range",
            Stage::RetryAsked => "new_nonce_hash2 is right: the server wants another exponent",
            Stage::KeyCreated => "new_nonce_hash1 is right: the server has the same key",
            _ => "in order",
        };
        Self::Step { answer: step.stage.answer(), checked, waited: step.waited, worked: step.worked }
    }
}

impl Report for Event {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Embedded { dc, address, key } => {
                writeln!(out, "{DIM}embedded {dc} on {address}, RSA key {key}{DIM:#}")
            }
            Self::Resolved { name, address, time } => {
                line(out, "name", &format!("{name} is {address}"), *time)
            }
            Self::Failed { address, error } => {
                writeln!(out, "{NAME}{:<20}{NAME:#} {BAD}{address}: {error}{BAD:#}", "connection")
            }
            Self::Connected { address, way, time } => {
                line(out, "connection", &format!("{address} over {way}"), *time)
            }
            Self::Step { answer, checked, waited, worked } => {
                let worked = duration(*worked);
                line_with(out, answer, checked, *waited, &format!(", checked in {worked}"))
            }
            Self::Key { id, clock_offset, time } => {
                line(out, "auth_key", &format!("id {id}, clock {clock_offset:+} s"), *time)
            }
            Self::Pong { number, time } => line(out, "pong", &format!("{number}"), *time),
            Self::Statistics(of) => {
                let [min, median, mean, max, deviation] =
                    [of.min, of.median, of.mean, of.max, of.deviation].map(duration);
                writeln!(
                    out,
                    "{GOOD}{} answered{GOOD:#}: min {min}, median {median}, mean {mean}, max {max}, deviation {deviation}",
                    count(of.count, "ping")
                )
            }
        }
    }
}

fn line(out: &mut dyn Write, name: &str, told: &str, time: Duration) -> io::Result<()> {
    line_with(out, name, told, time, "")
}

fn line_with(out: &mut dyn Write, name: &str, told: &str, time: Duration, more: &str) -> io::Result<()> {
    writeln!(out, "{NAME}{name:<20}{NAME:#} {told:<70} {:>9}{more}", duration(time))
}

#[cfg(test)]
mod tests {
    use super::Statistics;
    use std::time::Duration;

    #[test]
    fn statistics_are_those_of_the_times() {
        let times = [30, 10, 20].map(Duration::from_millis).to_vec();
        let of = Statistics::of(times).expect("there are some");
        let millis = [of.min, of.median, of.mean, of.max].map(|time| time.as_millis());
        assert_eq!(millis, [10, 20, 20, 30]);
        assert_eq!(of.deviation.as_micros(), 8164);
        assert!(Statistics::of(Vec::new()).is_none());
    }
}
