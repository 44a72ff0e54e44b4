//! Output of the engine: what its driver does next, and the frames that go out.

use std::time::Duration;

use chappe_framing::{MsgId, MsgOrigin, write_plain};
use chappe_session::{HttpWait, MonoTime, Now};
use chappe_tl_mtproto::functions::ReqPqMulti;
use chappe_transport::AckRequest;

use super::telling::tell_of;
use super::waking::LONGEST_WAIT;
use super::{Action, Connection, ConnectionId, Engine, Life, Prompted, Stage};
use crate::client::ConnectError;
use crate::store::schedule::StoreSchedule;

/// How long the answer to a request over HTTP may take beyond what the request allows.
const POLL_MARGIN: Duration = Duration::from_secs(2);

/// Least time that is waited, whatever a machine says.
const LEAST_WAIT: Duration = Duration::from_millis(5);

impl Engine {
    /// Returns what to do next. To be called until it returns `WaitUntil`.
    pub(super) fn next_action(&mut self, now: Now) -> Action {
        self.notice_waking(now);
        self.look_for_shared_key(now);
        if self.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.handle_timeout(now);
        }
        loop {
            self.dial_if_due(now);
            if let Some(task) = self.poll_store_task(now) {
                return Action::Store(task);
            }
            if self.may_end(now)
                && let Some(session) = self.session.as_deref_mut()
            {
                session.flush_acks(now);
            }
            while self.poll_transmit(now) {}
            if let Some(action) = self.links.poll_action() {
                return action;
            }
            if matches!(self.life, Life::Over(_)) {
                return if self.is_storing() { Action::WaitUntil(None) } else { Action::Finished };
            }
            if self.may_end(now) {
                self.end(now);
                continue;
            }
            let (least, longest) = (now.mono + LEAST_WAIT, now.mono + LONGEST_WAIT);
            self.turn.asleep_until = Some(self.poll_timeout().map_or(longest, |at| at.clamp(least, longest)));
            self.clocks.expect(self.turn.asleep_until);
            return Action::WaitUntil(self.turn.asleep_until);
        }
    }

    /// Returns what a caller can do at once, while the driver waits.
    pub(super) fn next_prompted(&mut self, now: Now) -> Prompted {
        let is_calm = matches!(self.life, Life::Running) && !self.race.is_open();
        if !is_calm || self.is_disconnected() || self.wants_store(now) {
            return Prompted::NeedsDriver;
        }
        self.poll_transmit(now);
        if self.links.needs_driver() {
            return Prompted::NeedsDriver;
        }
        if let Some(socket) = self.links.poll_prompted() {
            return Prompted::Write(socket);
        }
        match (self.poll_timeout(), self.turn.asleep_until) {
            (Some(at), Some(until)) if at < until => Prompted::NeedsDriver,
            (Some(_), None) => Prompted::NeedsDriver,
            _ => Prompted::Nothing,
        }
    }

    fn dial_if_due(&mut self, now: Now) {
        if !self.may_dial() {
            return;
        }
        if self.is_disconnected() && self.race.earliest() <= now.mono {
            self.race.begin(now.mono);
        }
        while let Some(candidate) = self.race.poll_dial(now.mono) {
            let Some((target, options)) = self.candidates.get(candidate).cloned() else { continue };
            let id = self.links.dial(now, target, options);
            self.sink.metrics.attempts += 1;
            tell_of!(DEBUG, self, id, candidate, "dialling");
            self.connections.push(Connection { id, candidate: Some(candidate), stage: Stage::Dialling });
        }
    }

    /// Returns whether new connections are made: not while the store is asked for a key, and not once the client closes.
    const fn may_dial(&self) -> bool {
        matches!(self.life, Life::Starting { .. } | Life::Running) && self.loading.is_none()
    }

    /// Returns whether the connection in use takes another frame.
    fn can_send(&self) -> bool {
        self.in_use().is_some_and(|connection| self.links.can_send(connection))
    }

    /// Returns whether there is neither a connection nor an attempt at one.
    pub(super) fn is_disconnected(&self) -> bool {
        self.connections.is_empty() && !self.race.is_open()
    }

    /// Makes the next frame if a connection can take it; returns whether it did.
    fn poll_transmit(&mut self, now: Now) -> bool {
        if let Some(sent) = self.poll_probe(now) {
            return sent;
        }
        let Some(connection) = self.in_use().filter(|connection| self.links.can_send(*connection)) else {
            return false;
        };
        let mut frame = self.links.take_buffer();
        let ack = if self.keys.poll_transmit(now, &mut frame) {
            AckRequest::No
        } else {
            self.poll_http(now);
            // While the permanent key is in doubt nothing goes out under it.
            let session = self.session.as_deref_mut().filter(|_| !self.is_key_doubtful);
            let Some(transmit) =
                session.and_then(|session| session.poll_transmit(now, &mut self.rng, &mut frame))
            else {
                self.links.give_back(frame);
                return false;
            };
            if let Some(polls) = &mut self.polls {
                polls.push_back(now.mono);
            }
            (self.turn.has_heard, self.turn.gathered, self.turn.ended) = (false, 0, 0);
            if transmit.quick_ack.is_some() { AckRequest::Quick } else { AckRequest::No }
        };
        self.send(now, connection, frame, ack);
        true
    }

    /// Asks the question of a connection that is probed.
    fn poll_probe(&mut self, now: Now) -> Option<bool> {
        let links = &self.links;
        let (connection, nonce) = self.connections.iter_mut().find_map(|known| match &mut known.stage {
            Stage::Probing { nonce, is_asked: is_asked @ false, .. } if links.can_send(known.id) => {
                *is_asked = true;
                Some((known.id, *nonce))
            }
            _ => None,
        })?;
        let mut frame = self.links.take_buffer();
        let msg_id = MsgId::at(now.unix, MsgOrigin::Client);
        write_plain(&mut frame, msg_id, &ReqPqMulti { nonce }).ok()?;
        self.send(now, connection, frame, AckRequest::No);
        Some(true)
    }

    fn send(&mut self, now: Now, connection: ConnectionId, frame: chappe_framing::FrameBuf, ack: AckRequest) {
        #[cfg(feature = "wire-log")]
        self.observe_sent(now, connection, &frame);
        if let Err(error) = self.links.send(now, connection, frame, ack) {
            self.lose(now, connection, ConnectError::Link(error));
        }
    }

    /// Over HTTP the server can say something only where a request waits: keeps one there.
    fn poll_http(&mut self, now: Now) {
        let (Some(polls), Some(session)) = (&mut self.polls, self.session.as_deref_mut()) else {
            return;
        };
        // An empty answer is not heard of; it came by then.
        while polls.front().is_some_and(|asked| *asked + poll_patience() <= now.mono) {
            polls.pop_front();
        }
        if polls.is_empty() && session.is_usable() {
            session.request_http_wait();
        }
    }

    /// Returns when time must be told.
    fn poll_timeout(&mut self) -> Option<MonoTime> {
        // What the session wants to send waits for the connection, not for a time.
        let is_blocked = self.is_key_doubtful || !self.can_send();
        let session = self.session.as_deref_mut().and_then(|session| {
            if is_blocked { session.poll_timeout_blocked() } else { session.poll_timeout() }
        });
        let connections = self.connections.iter().filter_map(|known| match known.stage {
            Stage::Probing { deadline, .. } => Some(deadline),
            Stage::InUse { deadline, .. } => deadline,
            Stage::Dialling => None,
        });
        let life = match self.life {
            Life::Starting { deadline, .. } | Life::Closing { deadline } => Some(deadline),
            Life::Running if self.is_proven() => None,
            Life::Running => self.options.timing.give_up.map(|patience| self.down_since + patience),
            Life::Over(_) => None,
        };
        let next_dial =
            || self.is_disconnected().then(|| self.race.earliest()).or_else(|| self.race.poll_timeout());
        let dial = if self.may_dial() { next_dial() } else { None };
        let polls = self.polls.as_ref().filter(|_| !is_blocked);
        let poll = polls.and_then(|polls| polls.front()).map(|asked| *asked + poll_patience());
        let store = self.store.as_ref().and_then(StoreSchedule::poll_timeout).or(self.claim_deadline());
        let (keys, links) = (self.keys.poll_timeout(), self.links.poll_timeout());
        let others = [session, life, dial, poll, store, keys, links];
        connections.chain(others.into_iter().flatten()).min()
    }
}

/// How long a request over HTTP waits for news at most.
fn poll_patience() -> Duration {
    let wait = HttpWait::default().max_wait;
    Duration::from_millis(u64::from(wait.unsigned_abs())) + POLL_MARGIN
}
