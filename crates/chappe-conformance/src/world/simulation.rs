//! One world: time, and everything that happens in it.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chappe_crypto::rsa::KeyRing;
use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_handshake::{ClientOptions, DcId};
use chappe_net::store::KeyStore;
use chappe_net::{Action, ConnectError, ConnectOptions, DialOptions, SocketId, Status, Update};
use chappe_session::MonoTime;
use chappe_session::client::{AuthorizationTrouble, ClockTrust, KeyMaterial, Repeat};
use chappe_session::server::ServerConfig;
use chappe_transport::{Connector, Framing, TransportErrorCode};

use super::datacenter::{Datacenter, Farewell, end, private_key};
use super::dice::Dice;
use super::happening::Happening;
use super::ledger::read_update;
use super::machine::{Clocks, Disk, Machine};
use super::network::{Direction, Network, TICK};
use super::pipe::{End, Handle, Pipe, SEND_BUFFER};
use super::process::Process;
use super::profile::{Habit, Profile};
use super::user::{Call, Outcome, User};
use super::{Invariant, MILLISECOND, SECOND, START, Violation};

/// How a world begins.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Whether everything that happens is printed.
    pub is_traced: bool,
    /// The network of the client's machine.
    pub profile: Profile,
    /// The options of the client. Candidates, keys and store are added.
    pub client: ConnectOptions,
    /// The options of the datacenter's sessions.
    pub server: ServerConfig,
    /// Whether client and datacenter have a key already.
    pub has_key: bool,
    /// Whether the client has a store.
    pub has_store: bool,
}

impl Options {
    /// Makes options with the defaults of client and server, a known key and a store.
    #[must_use]
    pub fn new(profile: Profile, seed: u64) -> Self {
        Self {
            seed,
            is_traced: false,
            profile,
            client: client_options(Connector::plain(Framing::Intermediate)),
            server: ServerConfig::default(),
            has_key: true,
            has_store: true,
        }
    }
}

/// Returns the options of a client that knows the datacenter.
pub(super) fn client_options(connector: Connector) -> ConnectOptions {
    let mut keys = KeyRing::empty();
    keys.add(private_key().public_key().clone());
    let handshake = ClientOptions::new(keys, DcId::production(2));
    ConnectOptions::at(([149, 154, 167, 51], 443), DialOptions::new(connector), handshake)
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// True time at the end, in nanoseconds.
    pub time: u64,
    /// Things that happened.
    pub steps: u64,
    /// Calls made.
    pub calls: usize,
    /// Calls answered.
    pub answered: usize,
    /// Executions in the datacenter.
    pub executions: usize,
    /// Connections that the client made.
    pub connections: u64,
    /// Bytes that the client sent, and that were sent to it.
    pub carried: (u64, u64),
    /// Keys that the datacenter made.
    pub keys: usize,
    /// Temporary keys that were bound.
    pub bindings: u64,
    /// Updates that were pushed.
    pub updates: u64,
    /// Gaps that the client told of.
    pub gaps: u64,
    /// Turns of the driver that had nothing to do.
    pub idle_turns: u64,
    /// A digest of everything that happened: equal for equal seeds.
    pub digest: u64,
}

/// A client in its world.
pub struct World {
    seed: u64,
    is_traced: bool,
    time: u64,
    steps: u64,
    digest: u64,
    dice: Dice,
    clocks: Arc<Clocks>,
    machine: Machine,
    network: Network,
    datacenter: Datacenter,
    disk: Arc<Disk>,
    disk_latency: u64,
    options: ConnectOptions,
    has_store: bool,
    /// The key that the client starts with.
    first_key: Option<AuthKey>,
    process: Option<Process>,
    user: User,
    planned: BTreeMap<(u64, u64), Happening>,
    violation: Option<Violation>,
    /// When something last happened that excuses the client or the datacenter.
    excused_at: Option<u64>,
    connect_error: Option<Arc<ConnectError>>,
    troubles: Vec<AuthorizationTrouble>,
    /// The key that a login belongs to.
    login: Option<AuthKeyId>,
    /// Another key may take the place of the login's.
    may_lose_login: bool,
    /// When each update was pushed.
    pushed: BTreeMap<u64, u64>,
    /// Updates that were pushed to more than one session with a connection.
    pushed_twice: BTreeSet<u64>,
    connections: u64,
    carried: (u64, u64),
    idle_turns: u64,
    /// A connection was dead or reset.
    was_disturbed: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).field("time", &self.time).finish_non_exhaustive()
    }
}

/// Time that is spent at one moment at most, in things that happen.
const MOST_AT_ONCE: u32 = 10_000;

/// Things that happen in a run at most.
const MOST_STEPS: u64 = 400_000;

/// What happens to a world.
impl World {
    /// Makes a world in which no client runs yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let mut dice = Dice::new(options.seed ^ 0x0005_eed0_f000_0000);
        let datacenter = Datacenter::new(options.server, dice.clone());
        let first_key = options.has_key.then(|| AuthKey::from_bytes(dice.bytes()));
        if let Some(key) = &first_key {
            datacenter.add_key(key.clone());
        }
        let login = first_key.as_ref().map(AuthKey::id);
        let network = Network::new(options.profile, Dice::new(dice.next()));
        Self {
            seed: options.seed,
            is_traced: options.is_traced,
            time: 0,
            steps: 0,
            digest: 0xcbf2_9ce4_8422_2325,
            clocks: Arc::default(),
            machine: Machine::default(),
            network,
            datacenter,
            disk: Arc::default(),
            disk_latency: MILLISECOND,
            options: options.client,
            has_store: options.has_store,
            first_key,
            process: None,
            user: User::default(),
            planned: BTreeMap::new(),
            violation: None,
            excused_at: None,
            connect_error: None,
            troubles: Vec::new(),
            login,
            may_lose_login: false,
            pushed: BTreeMap::new(),
            pushed_twice: BTreeSet::new(),
            connections: 0,
            carried: (0, 0),
            idle_turns: 0,
            was_disturbed: false,
            dice,
        }
    }

    /// Starts the client and runs the world until it is connected or has failed. Returns whether it is connected.
    pub fn connect(&mut self) -> bool {
        self.pass_until_awake();
        self.happen(Happening::Start);
        let begun = self.time;
        while self.process.as_ref().is_some_and(|process| !process.is_ready)
            && self.time < begun + 300 * SECOND
        {
            if !self.step(begun + 300 * SECOND) {
                break;
            }
        }
        self.is_ready()
    }

    /// Runs the world for a time in nanoseconds.
    pub fn pass(&mut self, time: u64) {
        let until = self.time + time;
        while self.step(until) {}
        if self.violation.is_none() {
            self.time = until;
        }
    }

    /// Runs the world until no call is under way, for so long at most. Returns whether none is.
    pub fn pass_until_idle(&mut self, longest: u64) -> bool {
        let until = self.time + longest;
        while self.user.pending() > 0 && self.step(until) {}
        self.user.pending() == 0
    }

    /// Runs the world until the machine is awake and the process runs.
    pub fn pass_until_awake(&mut self) {
        while let Some(at) = self.machine.next_at(self.time) {
            if !self.step(at) && self.violation.is_some() {
                return;
            }
        }
    }

    /// Runs the world until a call ends, for so long at most. Returns whether one did.
    pub fn pass_until_one_ends(&mut self, longest: u64) -> bool {
        let (until, pending) = (self.time + longest, self.user.pending());
        while self.user.pending() == pending && self.step(until) {}
        self.user.pending() < pending
    }

    /// Makes a call once the machine is awake; returns its number. Does nothing unless a client is connected or was.
    pub fn call(&mut self, call: Call) -> Option<u64> {
        self.pass_until_awake();
        self.tell_clocks();
        let process = self.process.as_ref().filter(|process| process.is_ready && !process.is_closing)?;
        let mono = self.machine.mono(self.time);
        let number = self.user.note(call, self.time, mono);
        let pending = process.client.invoke_bytes(&call.body(number), &call.options());
        self.user.wait_for(number, pending);
        self.log(2, number, || format!("call {number}: {call:?}"));
        self.settle();
        Some(number)
    }

    /// Drops a call that is under way.
    pub fn cancel(&mut self, number: u64) {
        self.tell_clocks();
        self.log(3, number, || format!("call {number} is cancelled"));
        self.user.cancel(number, self.time);
        self.settle();
    }

    /// Closes the client and runs the world until it has ended. Returns whether it ended in the time it promises.
    pub fn close(&mut self) -> bool {
        self.tell_clocks();
        let Some(process) = &mut self.process else { return true };
        process.close();
        let promised = self.time + nanos(self.options.timing.close) + 2 * SECOND;
        self.log(4, 0, || "the client is closed".into());
        loop {
            if self.process.as_mut().is_none_or(Process::poll_closed) {
                self.end_process();
                return true;
            }
            if !self.step(promised) {
                return false;
            }
        }
    }

    /// Lets something happen after a time in nanoseconds.
    pub fn plan(&mut self, after: u64, happening: Happening) {
        let order = self.planned.len() as u64 + self.steps * 1000;
        self.planned.insert((self.time + after, order), happening);
    }

    /// Lets something happen now.
    pub fn happen(&mut self, happening: Happening) {
        self.log(5, 0, || format!("{happening:?}"));
        self.tell_clocks();
        let time = self.time;
        match happening {
            Happening::Push => {
                let (sessions, connected) = self.datacenter.push();
                if sessions > 0 {
                    self.pushed.insert(self.datacenter.updates, time);
                }
                if connected > 1 {
                    // A client that changes its temporary key has two sessions for a moment.
                    self.pushed_twice.insert(self.datacenter.updates);
                }
                self.settle();
                return;
            }
            Happening::Start => {
                self.start();
                self.settle();
                return;
            }
            Happening::Disk { is_full } => return self.disk.set_full(is_full),
            Happening::SlowDisk { latency } => {
                self.disk_latency = latency;
                return;
            }
            Happening::Sleep { length, clock } => {
                self.machine.sleep(time, length, clock);
                self.excuse(length);
            }
            Happening::Pause { length } => {
                self.machine.pause(time, length);
                self.excuse(length);
            }
            Happening::ClientClock { step } => self.machine.wall_error += step,
            Happening::ServerClock { step } => self.datacenter.clock_error += step,
            Happening::Network { profile, keeps_address } => {
                self.network.change(time, profile, keeps_address);
            }
            Happening::Stall { length } => {
                self.network.stall(time, length);
                self.excuse(length);
            }
            Happening::Outage { length } => {
                self.network.outage(time, length);
                self.excuse(length);
            }
            Happening::Forget => self.network.pipes.iter_mut().for_each(|pipe| pipe.die(time)),
            Happening::Reset => self.network.pipes.iter_mut().for_each(Pipe::reset),
            Happening::Restart => self.restart_datacenter(),
            Happening::Flood { length } => {
                self.datacenter.refuses = Some((time + length, TransportErrorCode::TooManyConnections));
                self.excuse(length);
            }
            Happening::LoseKeys => {
                self.datacenter.forget_keys();
                self.may_lose_login = true;
            }
            Happening::Kill => self.kill(),
            Happening::Refresh => {
                if let Some(process) = &self.process {
                    process.client.refresh();
                }
            }
            Happening::DamageFile(damage) => {
                self.kill();
                self.disk.damage(damage);
            }
        }
        self.excuse(0);
        self.settle();
    }

    fn excuse(&mut self, length: u64) {
        self.excused_at = self.excused_at.max(Some(self.time + length));
    }

    /// Returns whether nothing happened lately that would explain why a connection ends.
    fn is_calm(&self) -> bool {
        let since = |at: u64| self.time.saturating_sub(at);
        // A ping may have been lost, and it set the timer of the datacenter.
        let excused = nanos(self.options.liveness.disconnect_delay) + 30 * SECOND;
        self.excused_at.is_none_or(|at| since(at) > excused)
            && (self.network.last_trouble == 0 || since(self.network.last_trouble) > excused)
    }

    /// Returns whether nothing ever happened that would explain why a call was not answered.
    const fn is_undisturbed(&self) -> bool {
        self.excused_at.is_none() && self.network.away == 0 && !self.was_disturbed
    }

    fn restart_datacenter(&mut self) {
        self.datacenter.restart();
        for pipe in &mut self.network.pipes {
            if pipe.peer.is_some() {
                end(pipe, Farewell::Closed);
                pipe.is_disturbed = true;
            }
        }
    }
}

/// What is to be seen.
impl World {
    /// Returns what became of a call; `None` while it is under way.
    #[must_use]
    pub fn outcome(&self, number: u64) -> Option<Outcome> {
        self.user.made.get(number as usize)?.outcome
    }

    /// Returns the error of a call.
    #[must_use]
    pub fn error(&self, number: u64) -> Option<&str> {
        self.user.made.get(number as usize)?.error.as_deref()
    }

    /// Returns how long a call took, in nanoseconds.
    #[must_use]
    pub fn took(&self, number: u64) -> Option<u64> {
        let made = self.user.made.get(number as usize)?;
        made.outcome.map(|_| made.ended_at - made.begun_at)
    }

    /// Returns how often a call was executed.
    #[must_use]
    pub fn executions(&self, number: u64) -> usize {
        self.datacenter.ledger.executions(number).len()
    }

    /// Returns the true time since the beginning, in nanoseconds.
    #[must_use]
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// Returns for how long nothing moved on the network so far, in nanoseconds.
    #[must_use]
    pub const fn away(&self) -> u64 {
        self.network.away
    }

    /// Returns how the client is doing, as it tells its user.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.tell_clocks();
        self.process.as_ref().map(|process| process.client.status())
    }

    /// Returns why the client could not connect.
    #[must_use]
    pub fn connect_error(&self) -> Option<&ConnectError> {
        self.connect_error.as_deref()
    }

    /// Returns the troubles that the client told of.
    #[must_use]
    pub fn troubles(&self) -> &[AuthorizationTrouble] {
        &self.troubles
    }

    /// Returns whether an update was read.
    #[must_use]
    pub fn has_update(&self, number: u64) -> bool {
        self.user.updates.contains(&number)
    }

    /// Returns whether the key in the client's file is the one of the login.
    #[must_use]
    pub fn has_login_on_disk(&self) -> bool {
        self.login.is_some_and(|login| self.disk.holds(login))
    }

    /// Returns how often the state was saved.
    #[must_use]
    pub fn saves(&self) -> u64 {
        self.disk.saves()
    }

    /// Returns whether the client is connected, or was in this run of its process.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.is_ready)
    }

    /// Returns what the run came to so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let pipes = self.network.pipes.iter();
        let open = pipes.fold((0, 0), |(up, down), pipe| (up + pipe.up.carried, down + pipe.down.carried));
        let is_answered = |made: &&super::user::Made| made.outcome == Some(Outcome::Answered);
        Report {
            time: self.time,
            steps: self.steps,
            calls: self.user.made.len(),
            answered: self.user.made.iter().filter(is_answered).count(),
            executions: self.datacenter.ledger.executed(),
            connections: self.connections,
            carried: (self.carried.0 + open.0, self.carried.1 + open.1),
            keys: self.datacenter.engine().keys().len(),
            bindings: self.datacenter.ledger.bindings(),
            updates: self.datacenter.updates,
            gaps: self.user.gaps,
            idle_turns: self.idle_turns,
            digest: self.digest,
        }
    }

    /// Returns what does not hold, if anything was seen.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }
}

/// Time.
impl World {
    /// Goes on to the next thing that happens, if it does so by `until`.
    fn step(&mut self, until: u64) -> bool {
        self.settle();
        if self.violation.is_some() {
            return false;
        }
        let Some(next) = self.next_at().filter(|next| *next <= until) else {
            self.time = until;
            return false;
        };
        self.time = next.max(self.time + TICK).min(until.max(self.time));
        if self.time == until && next > until {
            return false;
        }
        self.steps += 1;
        if self.steps > MOST_STEPS {
            self.violate(Invariant::Ends, format!("both sides are busy for {MOST_STEPS} steps"));
            return false;
        }
        if self.machine.wake(self.time) {
            self.log(6, 0, || "the process runs again".into());
        }
        while let Some(entry) = self.planned.first_entry().filter(|entry| entry.key().0 <= self.time) {
            let happening = entry.remove();
            self.happen(happening);
        }
        self.settle();
        true
    }

    fn next_at(&self) -> Option<u64> {
        let is_running = self.machine.is_running(self.time);
        let mut next = self.network.next_at(is_running, self.machine.is_asleep(self.time));
        let mut note = |at: u64| next = Some(next.map_or(at, |known: u64| known.min(at)));
        self.machine.next_at(self.time).into_iter().for_each(&mut note);
        self.planned.keys().next().into_iter().for_each(|(at, _)| note(*at));
        self.datacenter.ledger.next_at().into_iter().for_each(&mut note);
        for pipe in &self.network.pipes {
            pipe.peer.iter().for_each(|peer| note(peer.next_at()));
        }
        if let Some(process) = self.process.as_ref().filter(|_| is_running) {
            if !process.is_finished {
                process.timer.into_iter().for_each(|at| note(self.machine.when(at)));
            }
            process.jobs.iter().for_each(|(at, _)| note(*at));
        }
        next
    }

    /// Does all that can be done at present.
    fn settle(&mut self) {
        for _ in 0..MOST_AT_ONCE {
            if self.violation.is_some() || !self.settle_once() {
                return;
            }
        }
        self.violate(Invariant::Ends, "both sides are busy with nothing".into());
    }

    fn settle_once(&mut self) -> bool {
        let time = self.time;
        self.tell_clocks();
        self.datacenter.ledger.set_time(time);
        let mut has_worked = self.network.handle_time(time);
        has_worked |= self.datacenter.ledger.answer_due(time);
        has_worked |= self.network.receive(time);
        has_worked |= self.serve();
        has_worked |= self.network.pump(time, Direction::Down);
        if self.machine.is_running(time) {
            has_worked |= self.connect_sockets();
            has_worked |= self.read_and_write();
            has_worked |= self.process.as_mut().is_some_and(|process| process.work(time));
            has_worked |= self.drive();
            has_worked |= self.use_client();
        }
        if !self.machine.is_asleep(time) {
            has_worked |= self.network.pump(time, Direction::Up);
        }
        self.bury();
        has_worked
    }

    fn tell_clocks(&self) {
        self.machine.tell(self.time, &self.clocks);
    }
}

/// The datacenter's side.
impl World {
    fn serve(&mut self) -> bool {
        let now = self.datacenter.now(self.time);
        let mut has_worked = false;
        for place in 0..self.network.pipes.len() {
            let pipe = &mut self.network.pipes[place];
            let Some(mut peer) = pipe.peer.take() else {
                if pipe.is_connected && !pipe.is_captive && !pipe.up.arrived.is_empty() {
                    // The reader is gone.
                    pipe.up.arrived.clear();
                    if pipe.up.ended.is_none() {
                        pipe.reset();
                    }
                }
                continue;
            };
            let socket = pipe.socket;
            match peer.serve(now, &mut pipe.up, &mut pipe.down) {
                Ok(worked) => {
                    has_worked |= worked;
                    pipe.peer = Some(peer);
                }
                Err(why) => {
                    has_worked = true;
                    drop(peer);
                    end(pipe, why);
                    let is_healthy = !pipe.is_dead && !pipe.is_disturbed && !pipe.is_left;
                    self.log(7, place as u64, || {
                        format!("{socket:?}: the datacenter's end is over: {why:?}")
                    });
                    if why == Farewell::Closed && is_healthy && self.is_calm() {
                        let seen = format!("the datacenter closed {socket:?}, which was healthy");
                        self.violate(Invariant::KeepAlive, seen);
                    }
                }
            }
        }
        has_worked
    }
}

/// The client's side.
impl World {
    fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let mut options = self.options.clone();
        if let Some(auth_key) = self.first_key.take_if(|_| self.has_store) {
            options.key = Some(known_key(auth_key, START / SECOND));
        } else if let Some(auth_key) = &self.first_key {
            options.key = Some(known_key(auth_key.clone(), START / SECOND));
        }
        if self.has_store {
            options = options.with_store(Arc::clone(&self.disk) as Arc<dyn KeyStore>);
        }
        match Process::start(options, Arc::clone(&self.clocks), self.dice.drbg()) {
            Ok(process) => self.process = Some(process),
            Err(error) => self.connect_error = Some(Arc::new(error)),
        }
    }

    /// Connects the sockets that are due.
    fn connect_sockets(&mut self) -> bool {
        let time = self.time;
        let mut has_worked = false;
        for place in 0..self.network.pipes.len() {
            let pipe = &mut self.network.pipes[place];
            if pipe.is_connected || pipe.is_left || pipe.connects_at.is_none_or(|at| at > time) {
                continue;
            }
            has_worked = true;
            pipe.is_connected = true;
            (pipe.opened_at, pipe.used_at, pipe.moved_at) = (time, time, time);
            if !pipe.is_captive {
                pipe.peer = self.datacenter.accept(time);
            }
            let capacity = match self.network.figures.habit {
                Habit::TakesEverything => usize::MAX,
                _ => SEND_BUFFER,
            };
            let handle = Handle::new(pipe, capacity);
            pipe.handle = Some(Arc::clone(&handle));
            let socket = pipe.socket;
            self.connections += 1;
            self.log(8, place as u64, || format!("{socket:?} is connected"));
            if let Some(process) = &self.process {
                process.sockets.connected(socket, handle);
            }
        }
        has_worked
    }

    /// Gives the client what arrived, and writes where it waits for room.
    fn read_and_write(&mut self) -> bool {
        let Some(process) = &self.process else { return false };
        let mut has_worked = false;
        for pipe in &mut self.network.pipes {
            while !pipe.is_left
                && (!pipe.down.arrived.is_empty() || pipe.down.ended.is_some())
                && let Some(mut room) = pipe.reading.take()
            {
                has_worked = true;
                let read = match room.space() {
                    Err(error) => Err(error),
                    Ok(space) if !pipe.down.arrived.is_empty() => Ok(pipe.down.arrived.fill(space)),
                    Ok(_) if pipe.down.ended == Some(End::Reset) => {
                        Err(std::io::ErrorKind::ConnectionReset.into())
                    }
                    Ok(_) => Ok(0),
                };
                pipe.reading = process.sockets.end_read(pipe.socket, room, read);
            }
            if pipe.is_blocked && pipe.handle.as_ref().is_some_and(|handle| handle.has_room()) {
                has_worked = true;
                pipe.is_blocked = process.sockets.flush(pipe.socket);
            }
        }
        has_worked
    }

    /// Does what the driver asks for.
    fn drive(&mut self) -> bool {
        let mono = MonoTime::from_nanos(self.machine.mono(self.time));
        if !self.process.as_mut().is_some_and(|process| process.takes_turn(mono)) {
            return false;
        }
        let mut has_acted = false;
        for _ in 0..MOST_AT_ONCE {
            let Some(process) = &mut self.process else { return true };
            let Some(driver) = &process.driver else { return true };
            match driver.poll_action() {
                Action::Connect { socket, .. } => {
                    let at = self.network.connect_time(self.time);
                    let is_captive = self.network.figures.habit == Habit::LoginPage;
                    self.network.pipes.push(Pipe::new(socket, Some(at), is_captive, self.time));
                    self.log(9, at, || format!("{socket:?} connects"));
                }
                Action::Read(socket) => {
                    let room = process.sockets.begin_read(socket);
                    if let Some(pipe) = self.network.pipes.iter_mut().find(|pipe| pipe.socket == socket)
                        && room.is_some()
                    {
                        pipe.reading = room;
                    }
                }
                Action::Write(socket) => {
                    let is_blocked = process.sockets.flush(socket);
                    if let Some(pipe) = self.network.pipes.iter_mut().find(|pipe| pipe.socket == socket) {
                        pipe.is_blocked = is_blocked;
                    }
                }
                Action::Close(socket) => {
                    process.sockets.close(socket);
                    self.on_closed(socket);
                }
                Action::Store(task) => {
                    let job = Box::pin(driver.store(task));
                    process.jobs.push((self.time + self.disk_latency, job));
                }
                Action::WaitUntil(at) => {
                    process.timer = at;
                    if !has_acted {
                        self.idle_turns += 1;
                    }
                    return true;
                }
                Action::Finished => {
                    (process.is_finished, process.timer) = (true, None);
                    // The store is free, and those who wait for the end are told.
                    process.driver = None;
                    self.log(10, 0, || "the client has ended".into());
                    return true;
                }
                other => {
                    self.violate(Invariant::Ends, format!("{other:?} is not known here"));
                    return true;
                }
            }
            has_acted = true;
        }
        self.violate(Invariant::Ends, "the driver has no end of actions".into());
        true
    }

    /// The client closed a socket, or stopped connecting it.
    fn on_closed(&mut self, socket: SocketId) {
        let open = self.network.pipes.iter().filter(|pipe| !pipe.is_left).count();
        let Some(pipe) = self.network.pipes.iter_mut().find(|pipe| pipe.socket == socket) else { return };
        let is_healthy = pipe.is_connected
            && !pipe.is_dead
            && !pipe.is_disturbed
            && !pipe.is_captive
            && pipe.peer.is_some()
            && pipe.down.closing.is_none();
        let (idle, carried) = (self.time - pipe.moved_at, (pipe.up.carried, pipe.down.carried));
        if pipe.is_connected {
            pipe.leave(End::Finished);
        } else {
            pipe.is_left = true;
        }
        let is_wanted = self.process.as_ref().is_some_and(|process| !process.is_closing && process.is_ready);
        let status = self.process.as_ref().map(|process| process.client.status());
        let reason = status.and_then(|status| status.last_error).map(|error| error.report().to_string());
        self.log(11, idle, || format!("{socket:?} is closed by the client; last error: {reason:?}"));
        if is_healthy && is_wanted && open == 1 && self.is_calm() {
            let seen = format!(
                "the client gave up {socket:?}, over which bytes moved {} ms ago; {carried:?} bytes in all; {reason:?}",
                idle / MILLISECOND
            );
            self.violate(Invariant::Patience, seen);
        }
    }

    /// The user looks at calls, updates and the beginning.
    fn use_client(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        let mut has_worked = false;
        while let Some(update) = process.next_update() {
            has_worked = true;
            match update {
                Update::Object(object) => match read_update(&object.bytes) {
                    Some(number)
                        if self.user.updates.insert(number) || self.pushed_twice.contains(&number) => {}
                    seen => {
                        let seen = format!("the update {seen:?} came twice, or is none");
                        self.violation.get_or_insert(Violation {
                            seed: self.seed,
                            time: self.time,
                            invariant: Invariant::Updates,
                            seen,
                        });
                    }
                },
                Update::Gap(_) => {
                    self.user.gap_at = Some(self.time);
                    self.user.gaps += 1;
                }
                Update::Authorization(trouble) => self.troubles.push(trouble),
                _ => {}
            }
        }
        if let Some(outcome) = process.poll_ready() {
            has_worked = true;
            self.on_ready(outcome);
        }
        match self.user.poll(self.time) {
            Ok(worked) => has_worked |= worked,
            Err(seen) => self.violate(Invariant::Once, seen),
        }
        if let Some(number) = self.user.overdue(self.machine.mono(self.time)) {
            let made = &self.user.made[number as usize];
            let seen = format!("call {number} is under way still: {made:?}");
            self.violate(Invariant::Ends, seen);
        }
        let is_over = self.process.as_ref().is_some_and(|process| process.is_finished && !process.is_closing);
        if is_over {
            self.end_process();
        }
        has_worked
    }

    fn on_ready(&mut self, outcome: Result<(), Arc<ConnectError>>) {
        self.log(12, u64::from(outcome.is_ok()), || {
            let text = outcome.as_ref().err().map(|error| error.report().to_string());
            format!("connect ended: {text:?}")
        });
        if let Err(error) = outcome {
            self.connect_error = Some(error);
            return;
        }
        self.connect_error = None;
        if !self.has_store {
            return;
        }
        let found = self.disk.key();
        let seen = match (found, self.login) {
            (None, _) => "the client is connected, and its key is in no store".to_owned(),
            (Some(found), Some(login)) if found != login && !self.may_lose_login => {
                "another key took the place of the one of the login".to_owned()
            }
            _ => {
                (self.login, self.may_lose_login) = (found, false);
                return;
            }
        };
        self.violate(Invariant::Login, seen);
    }

    /// The process ends; its sockets are closed by the system.
    fn end_process(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // The driver goes first: whatever is dropped later writes nothing any more.
        process.driver = None;
        process.jobs.clear();
        self.user.drop_all(self.time);
        drop(process);
        for pipe in &mut self.network.pipes {
            if !pipe.is_left {
                pipe.leave(if pipe.down.arrived.is_empty() { End::Finished } else { End::Reset });
            }
        }
        if Arc::strong_count(&self.disk) > 1 {
            self.violate(Invariant::NothingLeft, "something holds the store of a client that is gone".into());
        }
    }

    fn kill(&mut self) {
        self.end_process();
    }

    /// Forgets pipes that neither end uses.
    fn bury(&mut self) {
        let carried = &mut self.carried;
        self.was_disturbed |= self.network.pipes.iter().any(|pipe| pipe.is_disturbed || pipe.is_captive);
        self.network.pipes.retain(|pipe| {
            let is_over = pipe.is_over() || (pipe.is_left && !pipe.is_connected);
            if is_over {
                carried.0 += pipe.up.carried;
                carried.1 += pipe.down.carried;
            }
            !is_over
        });
    }
}

/// The end.
impl World {
    /// Clears the weather, lets everything come to its end, and checks what can be checked then.
    ///
    /// # Errors
    ///
    /// Returns the first thing that does not hold.
    pub fn finish(mut self) -> Result<Report, Violation> {
        self.planned.clear();
        self.pass_until_awake();
        self.log(13, 0, || "the weather clears up".into());
        self.disk.set_full(false);
        self.disk_latency = MILLISECOND;
        self.datacenter.refuses = None;
        let keeps_address = self.network.profile != Profile::Captive;
        self.happen(Happening::Network { profile: Profile::Home, keeps_address });
        let longest =
            self.user.pending_numbers().map(|number| self.user.made[number as usize].call.patience).max();
        self.pass_until_idle(longest.unwrap_or(0) + 7200 * SECOND);
        self.check_last_call();
        self.check_calls();
        self.check_updates();
        if self.violation.is_none() && !self.close() && self.violation.is_none() {
            self.violate(Invariant::NothingLeft, "the client does not close in the time it promises".into());
        }
        match self.violation.take() {
            Some(violation) => Err(violation),
            None => Ok(self.report()),
        }
    }

    /// With good weather a client works within a minute.
    fn check_last_call(&mut self) {
        for _ in 0..8 {
            if self.violation.is_some() || self.is_ready() || self.connect() {
                break;
            }
            if self.connect_error().is_some_and(is_about_the_store) {
                // The user is told, and decides to begin afresh.
                self.options = self.options.clone().with_fresh_start();
                self.may_lose_login = true;
            }
            self.pass(5 * SECOND);
        }
        if self.violation.is_some() {
            return;
        }
        let (begun, promised) = (self.time, self.promised());
        let patience = promised + 60 * SECOND;
        let Some(number) = self.call(Call { patience, ..Call::SMALL }) else {
            let error = self.connect_error().map(|error| error.report().to_string());
            return self.violate(Invariant::Notice, format!("the client does not connect: {error:?}"));
        };
        self.happen(Happening::Push);
        self.pass_until_idle(patience);
        let took = self.time - begun;
        // An idle connection may be dead: it is pinged and given up, and another one made.
        let promised = promised + 15 * SECOND;
        if self.violation.is_none() && (self.outcome(number) != Some(Outcome::Answered) || took > promised) {
            let (outcome, error) = (self.outcome(number), self.error(number));
            let status = self.status();
            let seen = format!(
                "after all is well, a call took {} s: {outcome:?}, {error:?}; {status:?}",
                took / SECOND
            );
            self.violate(Invariant::Notice, seen);
        }
        self.pass(45 * SECOND);
    }

    /// Returns how long a dead connection is not noticed while a call waits.
    fn promised(&self) -> u64 {
        let policy = &self.options.liveness;
        let rtt = self.status().and_then(|status| status.round_trip).map_or(0, nanos);
        let grown = |least: Duration, rtts: u32| nanos(least).max((rtt * u64::from(rtts)).min(60 * SECOND));
        grown(policy.busy_ping, policy.busy_ping_rtts)
            + grown(policy.dead_after, policy.dead_after_rtts)
            + self.time_of_bytes()
    }

    /// Returns how long the session waits for bytes of its own that may be on their way, on a link whose rate it has not
    /// measured.
    fn time_of_bytes(&self) -> u64 {
        const LONGEST: u64 = 600 * SECOND;
        let is_unproven = |made: &&super::user::Made| {
            made.outcome != Some(Outcome::Answered) && made.begun_at + LONGEST > self.time
        };
        let bytes: u64 = self.user.made.iter().filter(is_unproven).map(|made| made.call.up as u64).sum();
        if bytes < 4 << 10 {
            return 0;
        }
        let slowest = (bytes * SECOND / 1024).min(120 * SECOND);
        (bytes * SECOND / 4096 * 5 / 4).max(slowest).min(LONGEST)
    }

    fn check_calls(&mut self) {
        for number in 0..self.user.made.len() as u64 {
            let made = &self.user.made[number as usize];
            let executions = self.datacenter.ledger.executions(number);
            let by_epoch = |epoch| executions.iter().filter(|execution| execution.epoch == epoch).count();
            let in_one_epoch =
                executions.iter().map(|execution| by_epoch(execution.epoch)).max().unwrap_or(0);
            let seen = match made.outcome {
                None => Some((Invariant::Ends, "has not ended")),
                Some(Outcome::Answered) if executions.is_empty() => {
                    Some((Invariant::Once, "was answered and never executed"))
                }
                Some(Outcome::Failed | Outcome::TimedOut | Outcome::Uncertain) if self.is_undisturbed() => {
                    Some((Invariant::Progress, "was not answered, although nothing happened"))
                }
                _ if made.call.repeat == Repeat::Never && executions.len() > 1 => {
                    Some((Invariant::Once, "may not be repeated and was executed more than once"))
                }
                _ if made.call.repeat == Repeat::AfterAsking && in_one_epoch > 1 => {
                    Some((Invariant::Once, "was executed more than once by a datacenter that forgot nothing"))
                }
                _ => None,
            };
            if let Some((invariant, what)) = seen {
                let seen = format!("call {number} {what}: {made:?}, {executions:?}");
                return self.violate(invariant, seen);
            }
        }
    }

    fn check_updates(&mut self) {
        let is_lost = |(number, at): &(&u64, &u64)| {
            !self.user.updates.contains(number) && self.user.gap_at.is_none_or(|gap| gap < **at)
        };
        if let Some((number, at)) = self.pushed.iter().find(is_lost) {
            let seen = format!("update {number}, pushed at {} ms, was lost without a word", at / MILLISECOND);
            self.violate(Invariant::Updates, seen);
        }
    }

    fn violate(&mut self, invariant: Invariant, seen: String) {
        self.log(14, invariant as u64, || format!("{invariant:?}: {seen}"));
        let (seed, time) = (self.seed, self.time);
        self.violation.get_or_insert(Violation { seed, time, invariant, seen });
    }

    /// Notes something in the digest, and prints it if asked to.
    fn log(&mut self, kind: u64, number: u64, text: impl FnOnce() -> String) {
        for value in [kind, self.time, number] {
            self.digest = (self.digest ^ value).wrapping_mul(0x0100_0000_01b3);
        }
        if self.is_traced {
            let (seconds, rest) = (self.time / SECOND, self.time % SECOND / 1000);
            println!("{seconds:>8}.{rest:06} {}", text());
        }
    }
}

/// Returns a key as a client of an earlier run has it.
fn known_key(auth_key: AuthKey, created_at: u64) -> KeyMaterial {
    let created_at = created_at as i64 - 86_400;
    KeyMaterial { auth_key, created_at, salts: Vec::new(), time_offset: 0, clock: ClockTrust::Guess }
}

fn is_about_the_store(error: &ConnectError) -> bool {
    matches!(error.cause(), ConnectError::Store(_))
}

fn nanos(duration: Duration) -> u64 {
    MonoTime::from_duration(duration).as_nanos()
}
