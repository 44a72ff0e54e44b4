//! What a seed makes up: a network, options, calls, and what happens.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chappe_net::ConnectOptions;
use chappe_session::client::Repeat;
use chappe_session::liveness::LivenessPolicy;
use chappe_session::server::Policy;
use chappe_transport::{Connector, Framing};

use super::dice::Dice;
use super::machine::{Damage, InSleep};
use super::profile::Profile;
use super::simulation::{Options, Report, World, client_options};
use super::{Call, Happening, Invariant, MILLISECOND, SECOND, Violation};

/// What is to be run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The network, instead of one that the seed picks.
    pub profile: Option<Profile>,
    /// Whether everything that happens is printed.
    pub is_traced: bool,
}

/// Plays the world of a seed.
///
/// # Errors
///
/// Returns the first thing that does not hold. A panic is one.
pub fn run(seed: u64, settings: Settings) -> Result<Report, Violation> {
    let played = catch_unwind(AssertUnwindSafe(|| Play::new(seed, settings).run()));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let seen = format!("a panic: {}", text.unwrap_or_default());
        Err(Violation { seed, time: 0, invariant: Invariant::Ends, seen })
    })
}

/// How much happens besides calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// Nothing.
    Calm,
    /// Something now and then.
    Rough,
    /// Something every few seconds.
    Wild,
}

/// What a user does with a client.
#[derive(Clone, Copy, Debug)]
struct Habits {
    calls: u64,
    /// Longest pause between two calls.
    pause: u64,
    /// Calls that are made at once.
    burst: u64,
    largest_up: u64,
    largest_down: u64,
    longest: u64,
}

/// One run.
struct Play {
    dice: Dice,
    world: World,
    mood: Mood,
    habits: Habits,
    has_store: bool,
}

impl Play {
    fn new(seed: u64, settings: Settings) -> Self {
        let mut dice = Dice::new(seed);
        let picked = Profile::ALL[dice.below(Profile::ALL.len() as u64) as usize];
        let profile = settings.profile.unwrap_or(picked);
        let mut options = Options::new(profile, seed);
        options.is_traced = settings.is_traced;
        options.client = client(&mut dice);
        options.has_key = !dice.chance(20);
        options.has_store = dice.chance(800);
        let has_store = options.has_store;
        if dice.chance(300) {
            options.server = options.server.with(|config| config.policy = Policy::Strict);
        }
        let mood = match dice.below(10) {
            0..3 => Mood::Calm,
            3..8 => Mood::Rough,
            _ => Mood::Wild,
        };
        let habits = habits(&mut dice, profile);
        if settings.is_traced {
            println!("{profile:?}, {mood:?}, {habits:?}");
        }
        Self { dice, world: World::new(options), mood, habits, has_store }
    }

    fn run(mut self) -> Result<Report, Violation> {
        self.world.connect();
        let mut calls_left = self.habits.calls;
        while calls_left > 0 && self.world.violation().is_none() {
            if !self.world.is_ready() && !self.world.connect() {
                // The program ended, and its user starts it again.
                self.world.pass(self.dice.within(1, 10) * SECOND);
                if self.dice.chance(300) {
                    self.world.happen(Happening::Network { profile: Profile::Home, keeps_address: false });
                }
                calls_left -= 1;
                continue;
            }
            calls_left = calls_left.saturating_sub(self.habits.burst);
            for _ in 0..self.habits.burst {
                self.call();
            }
            self.happen();
            let pause = self.dice.below(self.habits.pause * 2);
            self.world.pass(pause);
        }
        self.world.finish()
    }

    fn call(&mut self) {
        let dice = &mut self.dice;
        let takes = match dice.below(20) {
            0..12 => 0,
            12..17 => dice.within(1, 2_000),
            17..19 => dice.within(2_000, 40_000.min(self.habits.longest)),
            _ => dice.within(1, self.habits.longest),
        };
        let size = |dice: &mut Dice, largest: u64| match dice.below(8) {
            0 => dice.below(largest),
            _ => dice.below(200.min(largest)),
        };
        let (up, down) = (size(dice, self.habits.largest_up), size(dice, self.habits.largest_down));
        let repeat = match dice.below(6) {
            0 => Repeat::Never,
            1 => Repeat::Freely,
            _ => Repeat::AfterAsking,
        };
        let call = Call { repeat, ..Call::SMALL.taking(takes as u32).sized(up as usize, down as usize) };
        let number = self.world.call(call);
        if let Some(number) = number
            && self.dice.chance(30)
        {
            self.world.cancel(number);
        }
    }

    fn happen(&mut self) {
        if self.dice.chance(400) {
            let after = self.dice.below(self.habits.pause);
            self.world.plan(after, Happening::Push);
        }
        let chance = match self.mood {
            Mood::Calm => 0,
            Mood::Rough => 60,
            Mood::Wild => 400,
        };
        if self.dice.chance(chance) {
            let happening = self.pick();
            let after = self.dice.below(self.habits.pause);
            self.world.plan(after, happening);
        }
    }

    fn pick(&mut self) -> Happening {
        let dice = &mut self.dice;
        let seconds = |dice: &mut Dice, most: u64| MILLISECOND * dice.within(100, most * 1000);
        let step = |dice: &mut Dice| {
            let most = [40, 4_000, 200_000_000][dice.below(3) as usize];
            (dice.below(2 * most * SECOND) as i64).wrapping_sub((most * SECOND) as i64)
        };
        match dice.below(22) {
            0..3 => {
                let clock = if dice.chance(700) { InSleep::StandsStill } else { InSleep::GoesOn };
                let longest = [20, 400, 7200][dice.below(3) as usize];
                Happening::Sleep { length: seconds(dice, longest), clock }
            }
            3 => Happening::Pause { length: seconds(dice, 90) },
            4 | 5 => Happening::ClientClock { step: step(dice) },
            6..9 => {
                let profile = Profile::ALL[dice.below(Profile::ALL.len() as u64) as usize];
                Happening::Network { profile, keeps_address: dice.chance(400) }
            }
            9 => Happening::Stall { length: seconds(dice, 12) },
            10 | 11 => Happening::Outage { length: seconds(dice, 60) },
            12 => Happening::Forget,
            13 | 14 => Happening::Reset,
            15 => Happening::Restart,
            16 => Happening::Flood { length: seconds(dice, 30) },
            17 => Happening::Refresh,
            18 if self.has_store => Happening::Disk { is_full: dice.chance(500) },
            19 if self.has_store => Happening::SlowDisk { latency: seconds(dice, 10) },
            20 if self.has_store => Happening::DamageFile(match dice.below(3) {
                0 => Damage::Cut(dice.below(400) as usize),
                1 => Damage::Flip(dice.next() as usize >> 1),
                _ => Damage::Restored,
            }),
            _ => Happening::Kill,
        }
    }
}

fn client(dice: &mut Dice) -> ConnectOptions {
    let framing = match dice.below(4) {
        0 => Framing::Abridged,
        1 => Framing::PaddedIntermediate,
        2 => Framing::Full,
        _ => Framing::Intermediate,
    };
    let connector = match Connector::obfuscated(framing, None) {
        Ok(obfuscated) if dice.chance(400) => obfuscated,
        _ => Connector::plain(framing),
    };
    let mut options = client_options(connector);
    options.liveness = match dice.below(6) {
        0 => LivenessPolicy::INTERACTIVE,
        1 => LivenessPolicy::BATTERY,
        _ => LivenessPolicy::BOT,
    };
    if dice.chance(200) {
        let mut other = options.candidates[0].clone();
        other.address = ([149, 154, 167, 52], 443).into();
        options.candidates.push(other);
    }
    if dice.chance(30) { options.with_forward_secrecy() } else { options }
}

fn habits(dice: &mut Dice, profile: Profile) -> Habits {
    let figures = profile.figures();
    let calls = dice.within(3, 25);
    let pause = [200 * MILLISECOND, 3 * SECOND, 20 * SECOND, 90 * SECOND][dice.below(4) as usize];
    let burst = match dice.below(100) {
        0 => 150,
        1..15 => 10,
        _ => 1,
    };
    // Answers within a minute, whatever else is under way.
    let largest = |rate: u64, dice: &mut Dice| match dice.below(30) {
        0 => (rate * 10).clamp(400, 1 << 20) / burst.min(8),
        1..8 => (rate * 2).clamp(400, 64 << 10) / burst,
        _ => 400,
    };
    let (largest_up, largest_down) = (largest(figures.up, dice), largest(figures.down, dice));
    let longest = if dice.chance(100) { 600_000 } else { 30_000 };
    Habits { calls: calls * burst, pause, burst, largest_up, largest_down, longest }
}
