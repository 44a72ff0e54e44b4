//! One run: time, clocks, the link, what goes wrong and when.

use std::collections::BTreeSet;
use std::time::Duration;

use chappe_crypto::AuthKey;
use chappe_framing::{FrameBuf, ServerSalt, TransportTail, UnixTime};
use chappe_session::client::{
    AuthorizationTrouble, ClientConfig, ClientSession, ClockTrust, Event, ForwardSecrecy, KeyMaterial,
    Packing, Repeat, SavedState, SendOptions, TemporaryKey,
};
use chappe_session::server::Policy;
use chappe_session::{MonoTime, Now, SessionLimits};

use super::app::{App, Ended, query};
use super::datacenter::{Datacenter, Reaction};
use super::dice::Dice;
use super::keys::KeyStatus;
use super::link::{Direction, Faults, Item};

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;
const START: u64 = 1_707_425_104 * SECOND;

/// Steps after which a run is taken for one without end; a month takes a fifth of them.
const MOST_STEPS: u64 = 1_000_000;

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    BadLink,
    BadClocks,
    Restarts,
    TemporaryKeys,
    Month,
}

/// One run.
pub struct World {
    scenario: Scenario,
    rng: Dice,
    trace: bool,
    /// True time since the start, in nanoseconds.
    time: u64,
    /// Wall clock of the client against the true time, in nanoseconds.
    wall_error: i64,
    /// Speed of the client's monotonic clock, in millionths.
    drift: i64,
    /// Time for which the client's monotonic clock stood still.
    slept: u64,
    faults: Faults,
    client: ClientSession,
    app: App,
    datacenter: Datacenter,
    up: bool,
    connect_at: u64,
    to_server: Direction,
    to_client: Direction,
    key: AuthKey,
    temporary_key_at: Option<u64>,
    next_call: u64,
    calls_left: u64,
    number: u64,
    restarts: u32,
    steps: u64,
}

impl World {
    pub fn new(scenario: Scenario, seed: u64, trace: bool) -> Self {
        let mut rng = Dice::new(seed);
        let key = AuthKey::from_bytes(rng.key());
        let policy = if rng.chance(500) { Policy::Strict } else { Policy::Lenient };
        let mut datacenter = Datacenter::new(policy);
        datacenter.trace = trace;
        let server_now = Now::new(MonoTime::ZERO, UnixTime::from_nanos(START));
        datacenter.add_key(key.clone(), KeyStatus::Permanent, server_now);
        let bad_clock = scenario == Scenario::BadClocks;
        let wall_error = if bad_clock { rng.below(400_000) as i64 - 200_000 } else { 0 } * SECOND as i64;
        let drift = if bad_clock { rng.below(2_000) as i64 - 1_000 } else { 0 };
        let faults = match scenario {
            Scenario::BadClocks => Faults { delay: 300, ..Faults::default() },
            Scenario::Month => Faults { drop: 2, repeat: 5, damage: 1, cut: 5, delay: 300 },
            _ => Faults {
                drop: rng.below(80),
                repeat: rng.below(80),
                damage: rng.below(20),
                cut: rng.below(30),
                delay: 20 + rng.below(2000),
            },
        };
        let (calls_left, temporary) = match scenario {
            Scenario::Month => (700, false),
            Scenario::TemporaryKeys => (30, true),
            _ => (40, false),
        };
        let first = Now::new(MonoTime::ZERO, UnixTime::from_nanos(START.saturating_add_signed(wall_error)));
        let material = KeyMaterial {
            auth_key: key.clone(),
            created_at: (START / SECOND) as i64,
            salts: Vec::new(),
            time_offset: 0,
            clock: ClockTrust::Guess,
        };
        Self {
            client: ClientSession::new(config(temporary), material, first),
            scenario,
            trace,
            time: 0,
            wall_error,
            drift,
            slept: 0,
            faults,
            app: App::default(),
            datacenter,
            up: false,
            connect_at: 0,
            to_server: Direction::default(),
            to_client: Direction::default(),
            key,
            temporary_key_at: None,
            next_call: 0,
            calls_left,
            number: 0,
            restarts: 0,
            steps: 0,
            rng,
        }
    }

    pub fn run(mut self) {
        while self.calls_left > 0 {
            self.step();
            self.misfortune();
        }
        // The weather clears up; everything must come to an end now.
        self.faults = Faults { delay: 50, ..Faults::default() };
        // One more call, so that what a last nap did to the client's clock is put right.
        let number = self.number + 1;
        let now = self.now();
        let id = self.client.send_bytes(now, &query(number, 0, 0), SendOptions::default()).unwrap();
        self.app.called(id, number, Repeat::AfterAsking);
        let deadline = self.time + HOUR;
        while self.app.open_calls() > 0
            || self.client.pending_calls() > 0
            // The binding of a key announces the session under it, and what was lost with the one before.
            || !self.client.is_usable()
            || !self.datacenter.is_done(self.client.session_id())
        {
            assert!(self.time < deadline, "still open after an hour: {:?}", self.open());
            self.step();
        }
        self.check_end();
    }

    fn open(&self) -> Vec<String> {
        let open = self.app.calls.iter().filter(|call| call.ended.is_none());
        let mut lines: Vec<String> = open.map(|call| format!("{call:?}")).collect();
        lines.push(format!("{:?} {:?}", self.client, self.datacenter.attached));
        lines
    }

    /// Goes on to the next thing that happens.
    fn step(&mut self) {
        self.steps += 1;
        assert!(
            self.steps < MOST_STEPS,
            "both sides are busy with nothing at {}: {:?}",
            self.time,
            self.open()
        );
        self.flush();
        let client_timer = self.client.poll_timeout().map(|at| self.when(at));
        let server_timer = self.datacenter.timer();
        let connect = (!self.up).then_some(self.connect_at);
        let next = [
            client_timer,
            server_timer,
            connect,
            self.to_server.next_at(),
            self.to_client.next_at(),
            self.datacenter.next_at(),
            self.temporary_key_at,
            (self.calls_left > 0).then_some(self.next_call),
        ];
        let next = next.into_iter().flatten().min().expect("there is always a timer or a frame");
        // At least a microsecond passes, or two timers could call each other forever.
        self.time = next.max(self.time + 1000);
        self.happen();
        self.limits();
    }

    fn happen(&mut self) {
        let (now, server_now) = (self.now(), self.server_now());
        if !self.up && self.connect_at <= self.time {
            self.up = true;
            self.log("connected");
            self.client.handle_connected(now, TransportTail::None);
        }
        while let Some(Item::Frame(mut frame)) = self.to_server.receive(self.time) {
            match self.datacenter.on_frame(server_now, self.time, &mut frame, &mut self.rng) {
                Reaction::Fine => {}
                Reaction::Close => return self.disconnect(),
                Reaction::Error(code) => {
                    let alive = self.to_client.send(self.time, Item::Error(code), self.faults, &mut self.rng);
                    if !alive {
                        return self.disconnect();
                    }
                }
            }
        }
        while let Some(item) = self.to_client.receive(self.time) {
            match item {
                Item::Frame(mut frame) => {
                    let Ok(events) = self.client.handle_frame(now, &mut frame) else {
                        self.log("the client closes on a bad frame");
                        return self.disconnect();
                    };
                    let seen = take(&mut self.app, events, &mut self.datacenter, self.trace);
                    if self.react(seen) {
                        return;
                    }
                }
                Item::Error(code) => self.client.handle_transport_error(now, code),
            }
        }
        self.datacenter.work(self.time, &mut self.rng);
        if self.datacenter.handle_timeout(server_now) {
            self.log("the server closes a silent connection");
            self.disconnect();
        }
        self.client.handle_timeout(now);
        if self.temporary_key_at.is_some_and(|at| at <= self.time) {
            self.temporary_key_at = None;
            self.install_key();
        }
        if self.calls_left > 0 && self.next_call <= self.time {
            self.call();
        }
        let seen = take(&mut self.app, self.client.events(), &mut self.datacenter, self.trace);
        self.react(seen);
    }

    /// Everything that can be sent is sent.
    fn flush(&mut self) {
        let (now, server_now) = (self.now(), self.server_now());
        let mut out = FrameBuf::new();
        for _ in 0..100 {
            if !self.up || self.client.poll_transmit(now, &mut self.rng, &mut out).is_none() {
                break;
            }
            let item = Item::Frame(out.as_slice().to_vec());
            if !self.to_server.send(self.time, item, self.faults, &mut self.rng) {
                return self.disconnect();
            }
        }
        for _ in 0..100 {
            if !self.up || !self.datacenter.transmit(server_now, &mut self.rng, &mut out) {
                break;
            }
            let item = Item::Frame(out.as_slice().to_vec());
            if !self.to_client.send(self.time, item, self.faults, &mut self.rng) {
                return self.disconnect();
            }
        }
    }

    fn disconnect(&mut self) {
        self.log("disconnected");
        self.up = false;
        self.to_client.clear();
        self.to_server.clear();
        let now = self.now();
        self.datacenter.disconnect(now);
        self.client.handle_disconnected(now);
        self.connect_at = self.time + 1_000_000 * (50 + self.rng.below(3000));
    }

    /// Does what events ask for; returns whether the connection was given up.
    fn react(&mut self, seen: Seen) -> bool {
        if seen.needs_key && self.temporary_key_at.is_none() {
            self.temporary_key_at = Some(self.time + 1_000_000 * (1 + self.rng.below(2000)));
        }
        if seen.reconnect && self.up {
            self.disconnect();
            return true;
        }
        false
    }

    fn install_key(&mut self) {
        let key = AuthKey::from_bytes(self.rng.key());
        let life = 3700 + self.rng.below(4000);
        let server_now = self.server_now();
        let expires_at = server_now.unix.saturating_add(Duration::from_secs(life));
        self.datacenter.add_key(key.clone(), KeyStatus::Temporary { expires_at, bound_to: None }, server_now);
        let first_salt = if self.rng.chance(500) {
            self.datacenter.salts().current(key.id(), server_now.unix)
        } else {
            ServerSalt::from_raw(1)
        };
        self.log("temporary key");
        let now = self.now();
        let temporary = TemporaryKey { auth_key: key, first_salt, expires_at: expires_at.as_secs() as i64 };
        self.client.install_temporary_key(now, temporary);
    }

    fn call(&mut self) {
        self.number += 1;
        self.calls_left -= 1;
        let repeat = match self.rng.below(3) {
            0 => Repeat::Freely,
            1 => Repeat::AfterAsking,
            _ => Repeat::Never,
        };
        let mut after = Vec::new();
        if self.rng.chance(150) {
            let pending = self.app.by_id.keys().copied().filter(|call| self.client.is_pending(*call));
            after.extend(pending.take(2));
        }
        // The datacenter of this simulation does not look for packed queries inside wrappers.
        let packing = if after.is_empty() { Packing::Auto } else { Packing::Never };
        let timeout = self.rng.chance(50).then(|| Duration::from_secs(1 + self.rng.below(20)));
        let options = SendOptions::default()
            .with_repeat(repeat)
            .with_after(after)
            .with_packing(packing)
            .with_timeout(timeout);
        let (kind, padding) = (self.rng.below(9) as u32, self.rng.below(400) as usize);
        let now = self.now();
        let id = self.client.send_bytes(now, &query(self.number, kind, padding), options).unwrap();
        self.app.called(id, self.number, repeat);
        if self.rng.chance(50) {
            let index = self.app.by_id[&id];
            self.app.calls[index].cancelled = true;
            self.client.cancel(id);
        }
        let pause = match self.scenario {
            Scenario::Month => HOUR - self.rng.below(600) * SECOND,
            Scenario::TemporaryKeys if self.rng.chance(200) => HOUR,
            _ if self.rng.chance(30) => 45 * 60 * SECOND,
            _ => 1_000_000 * self.rng.below(4000),
        };
        self.next_call = self.time + pause;
        if self.rng.chance(400) {
            self.datacenter.push_update();
        }
    }

    /// Now and then something happens to one of the sides.
    fn misfortune(&mut self) {
        if self.scenario == Scenario::BadClocks && self.rng.chance(5) {
            let jump = (self.rng.below(20_000) as i64 - 10_000) * SECOND as i64;
            self.wall_error += jump;
            self.log("the wall clock jumps");
        }
        if self.scenario == Scenario::BadClocks && self.rng.chance(2) {
            let pause = 60 * SECOND * (1 + self.rng.below(120));
            self.time += pause;
            self.slept += pause;
            self.log("the client's machine sleeps");
        }
        let restarts = matches!(self.scenario, Scenario::Restarts | Scenario::Month);
        if restarts && self.restarts < 6 && self.rng.chance(8) {
            self.restarts += 1;
            if self.rng.chance(500) { self.restart_server() } else { self.restart_client() }
        }
    }

    fn restart_server(&mut self) {
        self.log("the server restarts");
        self.datacenter.restart();
        if self.rng.chance(500) {
            self.disconnect();
        }
    }

    fn restart_client(&mut self) {
        self.log("the client restarts");
        let now = self.now();
        let saved = self.client.export(now, b"extra");
        let saved = SavedState::import(&saved).unwrap();
        assert_eq!((&saved.extra[..], &saved.key.auth_key), (&b"extra"[..], &self.key));
        self.disconnect();
        let temporary = self.scenario == Scenario::TemporaryKeys;
        self.client = ClientSession::new(config(temporary), saved.key, now);
        self.app.restart(self.datacenter.updates);
    }

    fn limits(&self) {
        let limits = limits();
        assert!(self.client.pending_calls() <= limits.pending_calls);
        assert!(self.client.salts().len() <= limits.salts);
    }

    fn check_end(&mut self) {
        for call in &self.app.calls {
            let executed = self.datacenter.executed.get(&call.number).map_or(0, BTreeSet::len);
            assert!(call.ended.is_some(), "{call:?}");
            let may_run_twice = match call.repeat {
                Repeat::Freely => true,
                // A frame that overtakes the first of a session begins it, and the server says that it did not receive
                // the one that is late. Under temporary keys the binding is the first, and no call goes before its answer.
                Repeat::AfterAsking => self.scenario != Scenario::TemporaryKeys,
                Repeat::Never => false,
            };
            assert!(executed <= 1 || may_run_twice, "{call:?} was executed as {executed} messages");
            if matches!(call.ended, Some(Ended::Answered | Ended::Error)) {
                assert!(executed >= 1, "{call:?} was answered and never executed");
            }
        }
        for update in self.app.excused + 1..=self.datacenter.updates {
            assert!(self.app.updates.contains(&update), "update {update} was lost without a word");
        }
        assert_eq!(self.client.pending_calls(), 0);
        let now = self.now();
        let true_offset = -(self.wall_error / SECOND as i64);
        if self.client.clock().is_synchronized() {
            let offset = i64::from(self.client.time_offset(now));
            assert!((offset - true_offset).abs() <= 40, "offset {offset}, truly {true_offset}");
        }
    }

    fn now(&self) -> Now {
        let wall = (START + self.time).saturating_add_signed(self.wall_error);
        Now::new(MonoTime::from_nanos(self.mono(self.time)), UnixTime::from_nanos(wall))
    }

    fn server_now(&self) -> Now {
        Now::new(MonoTime::from_nanos(self.time), UnixTime::from_nanos(START + self.time))
    }

    fn mono(&self, time: u64) -> u64 {
        let awake = time - self.slept;
        awake.saturating_add_signed(awake as i64 / 1_000_000 * self.drift)
    }

    /// The true time at which the client's monotonic clock shows `at`, or a little later.
    fn when(&self, at: MonoTime) -> u64 {
        let ahead = at.as_nanos().saturating_sub(self.mono(self.time));
        self.time + ahead + ahead / 500
    }

    fn log(&self, what: &str) {
        if self.trace {
            println!("{:>14.6} {what}", self.time as f64 / SECOND as f64);
        }
    }
}

/// What must be done after events.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    reconnect: bool,
    needs_key: bool,
}

fn take<'a>(
    app: &mut App,
    events: impl Iterator<Item = Event<'a>>,
    datacenter: &mut Datacenter,
    trace: bool,
) -> Seen {
    let mut seen = Seen::default();
    for event in events {
        if trace {
            println!("               {:.100}", format!("{event:?}"));
        }
        match event {
            Event::Answer { call, body } => app.answered(call, body),
            Event::CallError { call, error } => {
                assert_eq!((error.code, error.message), (400, "BAD_REQUEST"));
                app.ended(call, Ended::Error);
            }
            Event::CallFailed { call, failure } => app.ended(call, Ended::Failed(failure)),
            Event::Update { body, .. } => app.updated(body),
            Event::UpdatesMayBeMissing => app.excused = datacenter.updates,
            Event::Reconnect(_) => seen.reconnect = true,
            Event::NeedTemporaryKey => seen.needs_key = true,
            // A frame of noise made the server answer -404. Nothing is proven by that, and the key goes on to work.
            Event::Authorization(AuthorizationTrouble::PermanentKeyDoubtful) => {}
            Event::Authorization(trouble) => panic!("{trouble:?}"),
            _ => {}
        }
    }
    seen
}

fn limits() -> SessionLimits {
    SessionLimits::default().with(|limits| limits.pending_calls = 2000)
}

fn config(temporary: bool) -> ClientConfig {
    let forward_secrecy = if temporary { ForwardSecrecy::On } else { ForwardSecrecy::Off };
    ClientConfig::default().with_limits(limits()).with_forward_secrecy(forward_secrecy)
}
