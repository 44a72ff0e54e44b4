//! The network of the client's machine: its two lines, what stops them, and the pipes through them.

use super::dice::Dice;
use super::pipe::{End, Pipe, Segment, lock};
use super::profile::{Figures, Habit, Profile};
use super::{MILLISECOND, SECOND};

/// The two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// One direction of the narrowest place of the path.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// When it has sent what is queued.
    free_at: u64,
    /// Which pipe sends next.
    turn: usize,
}

/// The network that a machine is in.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) profile: Profile,
    pub(super) figures: Figures,
    up: Line,
    down: Line,
    pub(super) pipes: Vec<Pipe>,
    /// When the habit of the network shows next.
    habit_at: Option<u64>,
    /// Nothing moves before.
    pub(super) away_until: u64,
    /// When something last stood still or changed, for those who judge what became of connections.
    pub(super) last_trouble: u64,
    /// For how long nothing moved so far.
    pub(super) away: u64,
    dice: Dice,
}

/// Bytes of one piece on the wire, at least.
const LEAST_PIECE: u64 = 512;
/// Bytes of one piece on the wire, at most.
const MOST_PIECE: u64 = 64 << 10;

impl Network {
    pub(super) fn new(profile: Profile, dice: Dice) -> Self {
        let mut network = Self {
            profile,
            figures: profile.figures(),
            up: Line::default(),
            down: Line::default(),
            pipes: Vec::new(),
            habit_at: None,
            away_until: 0,
            last_trouble: 0,
            away: 0,
            dice,
        };
        network.plan_habit(0);
        network
    }

    /// The machine is in another network from now on; with another address, its connections are dead.
    pub(super) fn change(&mut self, time: u64, profile: Profile, keeps_address: bool) {
        (self.profile, self.figures) = (profile, profile.figures());
        self.away_until = self.away_until.min(time);
        self.up.free_at = self.up.free_at.min(time + self.figures.queue_up);
        self.down.free_at = self.down.free_at.min(time + self.figures.queue_down);
        self.habit_at = None;
        self.plan_habit(time);
        for pipe in &mut self.pipes {
            pipe.is_disturbed = true;
            if !keeps_address {
                pipe.die(time);
            }
        }
        self.last_trouble = time;
    }

    fn plan_habit(&mut self, time: u64) {
        self.habit_at = match self.figures.habit {
            Habit::Stalls { every, .. } => Some(time + self.dice.within(every / 2, every + every / 2)),
            Habit::Outages { on, .. } => Some(time + self.dice.within(on / 2, on)),
            _ => None,
        };
    }

    /// Nothing moves for a time. Nothing is lost.
    pub(super) fn stall(&mut self, time: u64, length: u64) {
        let until = time + length;
        self.away += until.saturating_sub(self.away_until.max(time));
        self.away_until = self.away_until.max(until);
        self.last_trouble = until;
        for line in [&mut self.up, &mut self.down] {
            line.free_at = line.free_at.max(until);
        }
        for pipe in &mut self.pipes {
            pipe.is_disturbed = true;
            pipe.up.hold_back(until + self.figures.latency);
            pipe.down.hold_back(until + self.figures.latency);
        }
    }

    /// Nothing moves for a time; afterwards the bytes of each connection arrive late or never.
    pub(super) fn outage(&mut self, time: u64, length: u64) {
        self.stall(time, length);
        for pipe in &mut self.pipes {
            if self.dice.chance(500) {
                pipe.die(time);
            } else {
                // Each side sends again after pauses that double, so it notices the end late.
                let late = time + length + self.dice.below(length);
                pipe.up.hold_back(late);
                pipe.down.hold_back(late);
            }
        }
    }

    /// Returns how long connecting takes; `None` if there is no answer.
    pub(super) fn connect_time(&mut self, time: u64) -> u64 {
        let round_trip = self.figures.round_trip() + self.dice.below(2 * self.figures.jitter + 1);
        let mut answered = time + round_trip;
        // The first packet is sent again after 1, 3, 7, … s.
        let mut again = SECOND;
        while answered < self.away_until + round_trip {
            answered = time + again + round_trip;
            again = 2 * again + SECOND;
        }
        answered
    }

    /// Handles what is due; returns whether something was.
    pub(super) fn handle_time(&mut self, time: u64) -> bool {
        if self.habit_at.is_none_or(|at| at > time) {
            return self.handle_middlebox(time);
        }
        match self.figures.habit {
            Habit::Stalls { shortest, longest, .. } => {
                let length = self.dice.within(shortest, longest);
                self.stall(time, length);
            }
            Habit::Outages { off, .. } => self.outage(time, off),
            _ => {}
        }
        self.plan_habit(self.away_until);
        true
    }

    /// Connections that are too old or carried too much are reset.
    fn handle_middlebox(&mut self, time: u64) -> bool {
        let Habit::Resets { after, bytes } = self.figures.habit else { return false };
        let mut has_reset = false;
        for pipe in &mut self.pipes {
            let is_old = pipe.opened_at + after <= time || pipe.up.carried + pipe.down.carried >= bytes;
            if is_old && pipe.is_connected && !pipe.is_dead && pipe.up.ended.is_none() && !pipe.is_left {
                pipe.reset();
                has_reset = true;
            }
        }
        has_reset
    }

    /// Returns when something happens next.
    pub(super) fn next_at(&self, is_running: bool, is_asleep: bool) -> Option<u64> {
        let mut next = self.habit_at;
        let mut note = |at: u64| next = Some(next.map_or(at, |known: u64| known.min(at)));
        let (mut wants_up, mut wants_down) = (false, false);
        for pipe in &self.pipes {
            if let Some(at) = pipe.connects_at.filter(|_| !pipe.is_connected && is_running) {
                note(at);
            }
            pipe.up.wire.front().into_iter().for_each(|segment| note(segment.arrives_at));
            pipe.down.wire.front().into_iter().for_each(|segment| note(segment.arrives_at));
            if pipe.is_connected && !pipe.is_dead {
                wants_up |= pipe.up.wants_line();
                wants_down |= pipe.down.wants_line();
                if let Habit::Resets { after, .. } = self.figures.habit
                    && pipe.up.ended.is_none()
                    && !pipe.is_left
                {
                    note(pipe.opened_at + after);
                }
            }
        }
        if wants_up && !is_asleep {
            note(self.up.free_at.saturating_sub(self.figures.queue_up));
        }
        if wants_down {
            note(self.down.free_at.saturating_sub(self.figures.queue_down));
        }
        next
    }

    /// Puts onto the line what it takes; returns whether it took something.
    pub(super) fn pump(&mut self, time: u64, direction: Direction) -> bool {
        let mut has_moved = false;
        while self.pump_one(time, direction) {
            has_moved = true;
        }
        has_moved
    }

    fn pump_one(&mut self, time: u64, direction: Direction) -> bool {
        let figures = self.figures;
        let (line, rate, queue) = match direction {
            Direction::Up => (&mut self.up, figures.up, figures.queue_up),
            Direction::Down => (&mut self.down, figures.down, figures.queue_down),
        };
        if line.free_at > time + queue {
            return false;
        }
        let count = self.pipes.len();
        let half = |pipe: &Pipe| match direction {
            Direction::Up => pipe.up.wants_line(),
            Direction::Down => pipe.down.wants_line(),
        };
        let wants = |pipe: &Pipe| pipe.is_connected && !pipe.is_dead && half(pipe);
        let Some(place) =
            (0..count).map(|step| (line.turn + step) % count).find(|place| wants(&self.pipes[*place]))
        else {
            return false;
        };
        line.turn = place + 1;
        let pipe = &mut self.pipes[place];
        if let Habit::ForgetsIdle { after } = figures.habit
            && pipe.used_at + after < time
        {
            pipe.die(time);
            return true;
        }
        pipe.used_at = time;
        let half = match direction {
            Direction::Up => &mut pipe.up,
            Direction::Down => &mut pipe.down,
        };
        let piece = (rate / 100).clamp(LEAST_PIECE, MOST_PIECE) as usize;
        let mut unsent = lock(&half.unsent);
        let piece = unsent.len().min(piece);
        let bytes = unsent.bytes()[..piece].to_vec();
        unsent.consume(piece);
        let end = if unsent.is_empty() { half.closing.take() } else { None };
        drop(unsent);
        half.carried += bytes.len() as u64;
        line.free_at = line.free_at.max(time) + (bytes.len() as u64).saturating_mul(SECOND) / rate;
        let jitter = self.dice.below(figures.jitter + 1);
        let in_order = half.wire.back().map_or(0, |segment| segment.arrives_at);
        let arrives_at = in_order.max(line.free_at + figures.latency + jitter);
        half.wire.push_back(Segment { arrives_at, bytes, end });
        true
    }

    /// Takes what arrived at either end; returns whether something did.
    pub(super) fn receive(&mut self, time: u64) -> bool {
        let mut has_arrived = false;
        for pipe in &mut self.pipes {
            if pipe.up.receive(time) | pipe.down.receive(time) {
                has_arrived = true;
                pipe.moved_at = time;
            }
            if pipe.is_captive {
                answer_with_login_page(pipe);
            }
        }
        has_arrived
    }
}

/// What the gateway of a public network says to those who have not logged in.
const LOGIN_PAGE: &[u8] =
    b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n";

fn answer_with_login_page(pipe: &mut Pipe) {
    if !pipe.up.arrived.is_empty() && pipe.down.carried == 0 && pipe.down.closing.is_none() {
        pipe.up.arrived.clear();
        lock(&pipe.down.unsent).push(LOGIN_PAGE);
        pipe.down.closing = Some(End::Finished);
    }
}

/// Least time between two things that happen, so that two timers cannot call each other without end.
pub(super) const TICK: u64 = MILLISECOND / 1000;
