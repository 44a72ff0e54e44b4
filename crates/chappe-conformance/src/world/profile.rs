//! The networks that a client meets, as data.

use super::{MILLISECOND, SECOND};

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Two machines in one room.
    Lan,
    /// A good connection at home.
    Home,
    /// A line whose uplink has a queue of two seconds.
    Adsl,
    /// A mobile network that stalls for seconds.
    ThreeG,
    /// A slow mobile network that stalls for up to 20 s.
    Edge,
    /// The slowest mobile network.
    Gprs,
    /// Fast and far.
    Satellite,
    /// Good for 40 s, then away for 25 s.
    Train,
    /// A mapping that is idle for a minute is forgotten without a word.
    Nat,
    /// A login page answers for the datacenter.
    Captive,
    /// Something on the path takes every byte at once and forwards at the speed of a mobile network.
    Proxy,
    /// Something on the path resets connections after 5 min or 1 MiB.
    Middlebox,
}

/// What else is special about a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    Steady,
    /// Nothing moves for a time, and nothing is lost. Times in nanoseconds.
    Stalls {
        every: u64,
        shortest: u64,
        longest: u64,
    },
    /// Nothing moves; afterwards bytes under way arrive late or never.
    Outages {
        on: u64,
        off: u64,
    },
    ForgetsIdle {
        after: u64,
    },
    LoginPage,
    TakesEverything,
    Resets {
        after: u64,
        bytes: u64,
    },
}

/// Rates in bytes a second, times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) down: u64,
    pub(super) up: u64,
    /// One way.
    pub(super) latency: u64,
    /// Most that is added to the latency, in either direction.
    pub(super) jitter: u64,
    /// What the queue in front of the line holds, in time.
    pub(super) queue_down: u64,
    pub(super) queue_up: u64,
    pub(super) habit: Habit,
}

const HOME: Figures = Figures {
    down: 6_250_000,
    up: 1_250_000,
    latency: 15 * MILLISECOND,
    jitter: MILLISECOND,
    queue_down: 200 * MILLISECOND,
    queue_up: 300 * MILLISECOND,
    habit: Habit::Steady,
};

const THREE_G: Figures = Figures {
    down: 125_000,
    up: 37_500,
    latency: 75 * MILLISECOND,
    jitter: 50 * MILLISECOND,
    queue_down: 500 * MILLISECOND,
    queue_up: 500 * MILLISECOND,
    habit: Habit::Steady,
};

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 12] = [
        Self::Lan,
        Self::Home,
        Self::Adsl,
        Self::ThreeG,
        Self::Edge,
        Self::Gprs,
        Self::Satellite,
        Self::Train,
        Self::Nat,
        Self::Captive,
        Self::Proxy,
        Self::Middlebox,
    ];

    /// Returns the name, as the command line takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Home => "home",
            Self::Adsl => "adsl",
            Self::ThreeG => "3g",
            Self::Edge => "edge",
            Self::Gprs => "gprs",
            Self::Satellite => "satellite",
            Self::Train => "train",
            Self::Nat => "nat",
            Self::Captive => "captive",
            Self::Proxy => "proxy",
            Self::Middlebox => "middlebox",
        }
    }

    /// Returns the profile of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    pub(super) const fn figures(self) -> Figures {
        match self {
            Self::Lan => {
                Figures { down: 125_000_000, up: 125_000_000, latency: MILLISECOND / 10, jitter: 0, ..HOME }
            }
            Self::Home => HOME,
            Self::Adsl => {
                Figures { down: 750_000, up: 50_000, latency: 22 * MILLISECOND, queue_up: 2 * SECOND, ..HOME }
            }
            Self::ThreeG => Figures {
                habit: Habit::Stalls { every: 60 * SECOND, shortest: SECOND, longest: 8 * SECOND },
                ..THREE_G
            },
            Self::Edge => Figures {
                down: 12_500,
                up: 5_000,
                latency: 400 * MILLISECOND,
                jitter: 200 * MILLISECOND,
                queue_down: SECOND,
                queue_up: SECOND,
                habit: Habit::Stalls { every: 120 * SECOND, shortest: SECOND, longest: 20 * SECOND },
            },
            Self::Gprs => Figures {
                down: 2_500,
                up: 1_250,
                latency: 750 * MILLISECOND,
                jitter: 100 * MILLISECOND,
                queue_down: SECOND,
                queue_up: SECOND,
                habit: Habit::Steady,
            },
            Self::Satellite => Figures { down: 2_500_000, up: 375_000, latency: 325 * MILLISECOND, ..HOME },
            Self::Train => Figures { habit: Habit::Outages { on: 40 * SECOND, off: 25 * SECOND }, ..HOME },
            Self::Nat => Figures { habit: Habit::ForgetsIdle { after: 60 * SECOND }, ..HOME },
            Self::Captive => Figures { habit: Habit::LoginPage, ..HOME },
            Self::Proxy => Figures { habit: Habit::TakesEverything, ..THREE_G },
            Self::Middlebox => {
                Figures { habit: Habit::Resets { after: 300 * SECOND, bytes: 1 << 20 }, ..HOME }
            }
        }
    }
}

impl Figures {
    /// Returns the round trip of a packet on an empty line, without jitter.
    pub(super) const fn round_trip(&self) -> u64 {
        2 * self.latency
    }
}
