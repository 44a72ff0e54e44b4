//! Two sessions under one `auth_key`, each with a connection of its own, while their temporary key changes.
//!
//! A server binds one temporary key to a permanent one and forgets the one before, so sessions that share the permanent
//! key share the temporary one as well: whichever asks first has it made, the others are given the same. Until they
//! ask, they speak under a key that the server may have forgotten.

use chappe_framing::{FrameBuf, FrameError, MsgId, PeerMisbehaved, ServerSalt, TransportTail, UnixTime};
use std::collections::BTreeSet;
use std::time::Duration;

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_session::client::{
    CallFailure, ClientConfig, ClientSession, ClockTrust, Event, ForwardSecrecy, KeyMaterial, ReceiveError,
    Repeat, SendOptions, TemporaryKey,
};
use chappe_session::server::Policy;
use chappe_session::{MonoTime, Now};

use super::app::{App, Ended, query};
use super::datacenter::{Datacenter, Name, Reaction};
use super::dice::Dice;
use super::keys::KeyStatus;
use super::link::{Direction, Faults, Item};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_707_425_104 * SECOND;
const TICK: u64 = SECOND / 4;
/// Seconds for which a temporary key lives; an hour before its end the next one is asked for.
const LIFE: u64 = 5400;
const CALLS: u64 = 60;
const FAULTS: Faults = Faults { drop: 0, repeat: 20, damage: 0, cut: 0, delay: 400 };

/// One session, and the connection beneath it.
struct Neighbour {
    client: ClientSession,
    app: App,
    /// What the server knows it by, one name after the other.
    names: BTreeSet<Name>,
    /// Those that spoke over the connection that is up.
    on_line: BTreeSet<Name>,
    to_server: Direction,
    to_client: Direction,
    needs_key: bool,
    given: Option<AuthKeyId>,
    next_call: u64,
    number: u64,
    last: u64,
}

/// Both sessions, their server, and the temporary key they share.
struct House {
    rng: Dice,
    time: u64,
    datacenter: Datacenter,
    neighbours: [Neighbour; 2],
    shared: Option<(AuthKey, u64)>,
    keys_made: u64,
}

impl House {
    fn new(seed: u64) -> Self {
        let mut rng = Dice::new(seed);
        let key = AuthKey::from_bytes(rng.key());
        let mut datacenter =
            Datacenter::new(if seed.is_multiple_of(2) { Policy::Strict } else { Policy::Lenient });
        datacenter.add_key(key.clone(), KeyStatus::Permanent, now(0));
        let neighbours = [0, 1].map(|place| {
            let config = ClientConfig::default().with_forward_secrecy(ForwardSecrecy::On);
            let material = KeyMaterial {
                auth_key: key.clone(),
                created_at: (START / SECOND) as i64 - 86_400,
                salts: Vec::new(),
                time_offset: 0,
                clock: ClockTrust::Guess,
            };
            let mut client = ClientSession::new(config, material, now(0));
            client.handle_connected(now(0), TransportTail::None);
            Neighbour {
                client,
                app: App::default(),
                names: BTreeSet::new(),
                on_line: BTreeSet::new(),
                to_server: Direction::default(),
                to_client: Direction::default(),
                needs_key: false,
                given: None,
                next_call: 0,
                number: place * 1_000_000,
                last: place * 1_000_000 + CALLS,
            }
        });
        Self { rng, time: 0, datacenter, neighbours, shared: None, keys_made: 0 }
    }

    fn run(mut self) -> u64 {
        let is_open = |side: &Neighbour| side.number < side.last || side.app.open_calls() > 0;
        while self.neighbours.iter().any(is_open) {
            assert!(
                self.time < 100 * 3600 * SECOND,
                "still open after days: {:?}",
                self.neighbours.map(|side| (side.given, side.client))
            );
            let is_busy = self.neighbours.iter().any(|side| side.app.open_calls() > 0 || side.needs_key);
            self.time += if is_busy { TICK } else { 15 * SECOND };
            (0..2).for_each(|place| self.live(place));
            self.datacenter.work(self.time, &mut self.rng);
            self.datacenter.handle_timeout(now(self.time));
            (0..2).for_each(|place| self.close_silent(place));
        }
        for side in &self.neighbours {
            for call in &side.app.calls {
                // A key that the other one replaced takes the calls under it along, and their answers.
                let is_uncertain = call.repeat != Repeat::Freely
                    && matches!(call.ended, Some(Ended::Failed(CallFailure::Uncertain)));
                assert!(
                    is_uncertain || matches!(call.ended, Some(Ended::Answered | Ended::Error)),
                    "{call:?}"
                );
                let executed = self.datacenter.executed.get(&call.number).map_or(0, BTreeSet::<MsgId>::len);
                assert!(executed > 0 || is_uncertain, "{call:?} was never executed");
                assert!(executed <= 1 || call.repeat == Repeat::Freely, "{call:?}: {executed}");
            }
        }
        let least = self.time / SECOND / LIFE;
        assert!(self.keys_made >= least, "{} keys in {} s", self.keys_made, self.time / SECOND);
        assert!(self.keys_made <= 3 * least + 3, "keys chase each other: {}", self.keys_made);
        self.keys_made
    }

    fn live(&mut self, place: usize) {
        let now = now(self.time);
        self.take_frames(place);
        let side = &mut self.neighbours[place];
        side.client.handle_timeout(now);
        if side.number < side.last && side.next_call <= self.time {
            side.number += 1;
            let repeat = if self.rng.chance(500) { Repeat::AfterAsking } else { Repeat::Freely };
            let options = SendOptions::default().with_repeat(repeat);
            let call = side.client.send_bytes(now, &query(side.number, 1, 3), options).unwrap();
            side.app.called(call, side.number, repeat);
            // Often enough at once that calls are under way whenever the key changes.
            let longest = if self.rng.chance(700) { 4 } else { 600 };
            side.next_call = self.time + self.rng.below(longest) * SECOND;
        }
        side.needs_key |= take(&mut side.app, side.client.events());
        if !side.client.is_connected() {
            self.reconnect(place);
        }
        if self.neighbours[place].needs_key && self.rng.chance(300) {
            self.give_key(place);
        }
        self.flush(place);
    }

    /// The server closes a connection once a session on it has been silent for as long as it said; that of the key
    /// before will be. The client connects again at once.
    fn close_silent(&mut self, place: usize) {
        let sessions = &self.datacenter.sessions;
        let is_silent =
            |name: &Name| sessions.get(name).is_some_and(|session| session.should_close(now(self.time)));
        if self.neighbours[place].on_line.iter().any(is_silent) {
            self.reconnect(place);
        }
    }

    fn reconnect(&mut self, place: usize) {
        let (now, side) = (now(self.time), &mut self.neighbours[place]);
        for name in &side.on_line {
            if let Some(session) = self.datacenter.sessions.get_mut(name) {
                session.handle_disconnected(now);
            }
        }
        self.datacenter.attached.retain(|name| !side.on_line.contains(name));
        side.on_line.clear();
        side.to_server.clear();
        side.to_client.clear();
        side.client.handle_disconnected(now);
        side.client.handle_connected(now, TransportTail::None);
    }

    fn take_frames(&mut self, place: usize) {
        let now = now(self.time);
        let side = &mut self.neighbours[place];
        while let Some(Item::Frame(mut frame)) = side.to_server.receive(self.time) {
            let before = self.datacenter.attached.len();
            match self.datacenter.on_frame(now, self.time, &mut frame, &mut self.rng) {
                Reaction::Fine => {}
                Reaction::Close => panic!("the link damages nothing"),
                Reaction::Error(code) => {
                    side.to_client.send(self.time, Item::Error(code), FAULTS, &mut self.rng);
                }
            }
            let new = &self.datacenter.attached[before..];
            side.names.extend(new);
            side.on_line.extend(new);
        }
        while let Some(item) = side.to_client.receive(self.time) {
            match item {
                Item::Frame(mut frame) => {
                    match side.client.handle_frame(now, &mut frame) {
                        Ok(events) => side.needs_key |= take(&mut side.app, events),
                        // A late frame, from before a key was given up, or given again with another session.
                        Err(ReceiveError::Frame(error)) => {
                            let is_own = match error {
                                FrameError::Misbehaved(PeerMisbehaved::ForeignSession { got }) => {
                                    side.names.iter().any(|name| name.1 == got)
                                }
                                FrameError::Misbehaved(PeerMisbehaved::UnknownAuthKey { got }) => {
                                    side.names.iter().any(|name| name.0 == got)
                                }
                                _ => false,
                            };
                            assert!(is_own, "of the other session: {error}");
                            return self.reconnect(place);
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                Item::Error(code) => {
                    side.client.handle_transport_error(now, code);
                    side.needs_key |= take(&mut side.app, side.client.events());
                    return self.reconnect(place);
                }
            }
        }
    }

    /// Gives the key that the other session has; makes a new one if that is about to end, or is the one that the session
    /// had and that the server does not know any more.
    fn give_key(&mut self, place: usize) {
        let now = now(self.time);
        let had = self.neighbours[place].given;
        let is_good = |(key, expires_at): &(AuthKey, u64)| {
            had != Some(key.id()) && *expires_at > now.unix.as_secs() + 3600
        };
        if !self.shared.as_ref().is_some_and(is_good) {
            let key = AuthKey::from_bytes(self.rng.key());
            let expires_at = now.unix.saturating_add(Duration::from_secs(LIFE + 3600));
            self.datacenter.add_key(key.clone(), KeyStatus::Temporary { expires_at, bound_to: None }, now);
            self.shared = Some((key, expires_at.as_secs()));
            self.keys_made += 1;
        }
        let Some((auth_key, expires_at)) = self.shared.clone() else { return };
        let side = &mut self.neighbours[place];
        side.needs_key = false;
        side.given = Some(auth_key.id());
        let first_salt = ServerSalt::from_raw(1);
        let temporary = TemporaryKey { auth_key, first_salt, expires_at: expires_at as i64 };
        side.client.install_temporary_key(now, temporary);
    }

    fn flush(&mut self, place: usize) {
        let now = now(self.time);
        let side = &mut self.neighbours[place];
        let mut out = FrameBuf::new();
        while side.client.poll_transmit(now, &mut self.rng, &mut out).is_some() {
            let item = Item::Frame(out.as_slice().to_vec());
            side.to_server.send(self.time, item, FAULTS, &mut self.rng);
        }
        for name in &side.on_line {
            let Some(session) = self.datacenter.sessions.get_mut(name) else { continue };
            while session.poll_transmit(now, &mut self.rng, &mut out).is_some() {
                let item = Item::Frame(out.as_slice().to_vec());
                side.to_client.send(self.time, item, FAULTS, &mut self.rng);
            }
        }
    }
}

/// Tells the application what happened; returns whether a temporary key is needed.
fn take<'a>(app: &mut App, events: impl Iterator<Item = Event<'a>>) -> bool {
    let mut needs_key = false;
    for event in events {
        match event {
            Event::Answer { call, body } => app.answered(call, body),
            Event::CallError { call, .. } => app.ended(call, Ended::Error),
            Event::CallFailed { call, failure } => app.ended(call, Ended::Failed(failure)),
            Event::NeedTemporaryKey => needs_key = true,
            Event::Authorization(trouble) => panic!("{trouble:?}"),
            _ => {}
        }
    }
    needs_key
}

fn now(time: u64) -> Now {
    Now::new(MonoTime::from_nanos(time), UnixTime::from_nanos(START + time))
}

#[test]
fn two_sessions_of_one_key_survive_changes_of_the_temporary_key_they_share() {
    let keys: u64 = (0..40).map(|seed| House::new(seed).run()).sum();
    assert!(keys >= 60, "the key changes while both are at work: {keys}");
}
