//! Files, part by part, and the figures that a transfer over each network must keep.

use super::profile::{Habit, Profile};
use super::simulation::{Options, World};
use super::user::{Call, Outcome};
use super::{SECOND, Violation};

/// A file to be carried.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Whether it goes to the datacenter.
    pub is_upload: bool,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of a part.
    pub part: u64,
    /// Parts under way at once.
    pub parallel: usize,
}

/// What a transfer came to.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The network.
    pub profile: Profile,
    /// The file.
    pub transfer: Transfer,
    /// How long it took, in nanoseconds.
    pub time: u64,
    /// How long it may take: 1.15 times what the line needs, 5 round trips, and the time in which nothing moved.
    pub longest: u64,
    /// Bytes that the line carried in the direction of the file.
    pub carried: u64,
    /// Connections that it took.
    pub connections: u64,
    /// Parts that were not answered.
    pub failed: usize,
}

impl Transfer {
    /// Returns a transfer that takes a minute or two on a network, in parts of the size that suits its rate.
    #[must_use]
    pub const fn of(profile: Profile, is_upload: bool) -> Self {
        let figures = profile.figures();
        let rate = if is_upload { figures.up } else { figures.down };
        let (bytes, part) = match rate {
            // Long enough for the network to be away.
            _ if matches!(figures.habit, Habit::Outages { .. }) => (64 << 20, 512 << 10),
            0..10_000 => (128 << 10, 32 << 10),
            10_000..100_000 => (2 << 20, 128 << 10),
            _ => (8 << 20, 512 << 10),
        };
        Self { is_upload, bytes, part, parallel: 4 }
    }

    /// Carries the file over a network, with the default options of a client.
    ///
    /// # Errors
    ///
    /// Something that must hold does not.
    pub fn run(self, profile: Profile, seed: u64) -> Result<Figures, Violation> {
        let mut world = World::new(Options::new(profile, seed));
        if !world.connect() {
            world.pass(SECOND);
        }
        let (before, begun, away) = (world.report(), world.time(), world.away());
        let parts = self.bytes.div_ceil(self.part);
        let (mut made, mut under_way, mut failed) = (0, Vec::new(), 0);
        while made < parts || !under_way.is_empty() {
            while made < parts && under_way.len() < self.parallel {
                let (up, down) = if self.is_upload { (self.part, 0) } else { (0, self.part) };
                let call = Call::SMALL.sized(up as usize, down as usize).within(3600);
                under_way.extend(world.call(call));
                made += 1;
            }
            if !world.pass_until_one_ends(3600 * SECOND) {
                break;
            }
            under_way.retain(|number| match world.outcome(*number) {
                None => true,
                Some(Outcome::Answered) => false,
                Some(_) => {
                    failed += 1;
                    false
                }
            });
        }
        if let Some(violation) = world.violation() {
            return Err(violation.clone());
        }
        let (after, time) = (world.report(), world.time() - begun);
        let figures = profile.figures();
        let rate = if self.is_upload { figures.up } else { figures.down };
        let round_trip = figures.round_trip() + 2 * figures.jitter;
        let needed = self.bytes * SECOND / rate;
        let carried = if self.is_upload {
            after.carried.0 - before.carried.0
        } else {
            after.carried.1 - before.carried.1
        };
        Ok(Figures {
            profile,
            transfer: self,
            time,
            longest: needed * 115 / 100 + 5 * round_trip + (world.away() - away),
            carried,
            connections: after.connections - before.connections,
            failed,
        })
    }
}

impl Figures {
    /// Returns whether the transfer took no longer, and carried no more, than a transfer may.
    #[must_use]
    pub const fn is_met(&self) -> bool {
        self.failed == 0 && self.time <= self.longest && self.carried * 100 <= self.transfer.bytes * 105
    }
}

/// Returns the figures of every network in both directions as a Markdown table.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "three digits are printed")]
pub fn table(seed: u64) -> String {
    use core::fmt::Write as _;

    let mut table = String::from(
        "| network | direction | MiB | time | at most | bytes carried / N | connections | met |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for profile in Profile::ALL {
        if profile.figures().habit == Habit::LoginPage {
            continue;
        }
        for is_upload in [false, true] {
            let direction = if is_upload { "up" } else { "down" };
            let row = match Transfer::of(profile, is_upload).run(profile, seed) {
                Ok(figures) => format!(
                    "| {} | {direction} | {:.2} | {:.1} s | {:.1} s | {:.3} | {} | {} |",
                    profile.name(),
                    figures.transfer.bytes as f64 / f64::from(1 << 20),
                    figures.time as f64 / SECOND as f64,
                    figures.longest as f64 / SECOND as f64,
                    figures.carried as f64 / figures.transfer.bytes as f64,
                    figures.connections,
                    if figures.is_met() { "yes" } else { "**no**" },
                ),
                Err(violation) => format!("| {} | {direction} | | | | | | **{violation}** |", profile.name()),
            };
            // Writing to a string does not fail.
            let _ = writeln!(table, "{row}");
        }
    }
    table
}
