//! What happens to a core: sockets that were made or lost, what came in over them, time.

use std::collections::VecDeque;
use std::sync::Arc;

use chappe_framing::{PlainMessage, ServerSalt, TransportTail};
use chappe_handshake::{Finished, KeyKind};
use chappe_session::client::{KeyMaterial, TemporaryKey};
use chappe_session::{HttpWait, Now};
use chappe_tl_mtproto::enums::ResPq;
use chappe_transport::{Incoming, Side, TransportErrorCode};
use chappe_types::Rule;
use rand_core::Rng as _;

use super::sink::Next;
use super::{Core, Life, Link, LinkId, Stage};
use crate::client::{Candidate, ConnectError, Peer};
use chappe_carrier::{LinkError, Wait};

/// `auth_key_id` of what is sent in the clear.
const NO_KEY: [u8; 8] = [0; 8];

impl Core {
    /// A connection stands; says whether it is still wanted.
    pub(crate) fn handle_dialled(&mut self, now: Now, link: LinkId, tail: TransportTail) -> bool {
        let is_contested = self.race.is_contested() || self.in_use().is_some();
        let Some(found) = self.links.iter_mut().find(|known| known.id == link) else {
            // It lost the race while it was being made.
            return false;
        };
        if is_contested {
            let mut nonce = [0; 16];
            self.rng.fill_bytes(&mut nonce);
            let deadline = now.mono + self.options.timing.proof;
            found.stage = Stage::Probing { nonce, is_asked: false, tail, deadline };
        } else {
            self.put_in_use(now, link, tail);
        }
        true
    }

    /// A connection could not be made.
    pub(crate) fn handle_dial_failed(&mut self, now: Now, link: LinkId, error: LinkError) {
        tracing::debug!(link = link.0, %error, "not connected");
        self.lose(now, link, ConnectError::Link(error));
    }

    /// A connection is gone.
    pub(crate) fn handle_lost(&mut self, now: Now, link: LinkId, error: LinkError) {
        tracing::debug!(link = link.0, %error, "connection lost");
        self.lose(now, link, ConnectError::Link(error));
    }

    /// A connection does not take what is written, or does again: nothing more is written to it meanwhile.
    pub(crate) fn set_clogged(&mut self, link: LinkId, is_clogged: bool) {
        if let Some(found) = self.links.iter_mut().find(|known| known.id == link) {
            found.is_clogged = is_clogged;
        }
    }

    /// Something came in. It is opened in place.
    pub(crate) fn handle_incoming(&mut self, now: Now, link: LinkId, incoming: Incoming<'_>) {
        let Some(found) = self.links.iter().find(|known| known.id == link) else {
            return;
        };
        let (is_in_use, is_probing) = match found.stage {
            Stage::InUse { .. } => (true, false),
            Stage::Probing { .. } => (false, true),
            Stage::Dialling => return,
        };
        match incoming {
            Incoming::Error(code) => self.on_refused(now, link, code),
            Incoming::QuickAck(token) => {
                if is_in_use && let Some(session) = self.session.as_deref_mut() {
                    session.handle_quick_ack(now, token);
                    self.after_session(now);
                }
            }
            Incoming::Envelope { payload, .. } if is_probing => self.on_probe_answer(now, link, payload),
            Incoming::Envelope { payload, .. } if payload.starts_with(&NO_KEY) => {
                self.on_plain(now, link, payload);
            }
            Incoming::Envelope { payload, .. } => self.on_encrypted(now, link, payload),
        }
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        let is_due = |link: &Link| match link.stage {
            Stage::Probing { deadline, .. } | Stage::InUse { deadline: Some(deadline) } => {
                deadline <= now.mono
            }
            Stage::Dialling | Stage::InUse { deadline: None } => false,
        };
        let late: Vec<LinkId> = self.links.iter().filter(|link| is_due(link)).map(|link| link.id).collect();
        for link in late {
            let after = self.options.timing.proof;
            let error = LinkError::TimedOut { waiting_for: Wait::Frame, after };
            self.lose(now, link, ConnectError::Link(error));
        }
        if let Err(error) = self.keys.handle_timeout(now) {
            self.on_handshake_error(now, error);
        }
        if let Some(session) = self.session.as_deref_mut() {
            session.handle_timeout(now);
            self.after_session(now);
            self.tell_counters_in_time(now);
        }
        let limit = match self.life {
            Life::Starting { deadline, .. } => (deadline <= now.mono).then_some(self.options.timing.connect),
            Life::Running if self.is_proven() => None,
            Life::Running => {
                self.options.timing.give_up.filter(|patience| self.down_since + *patience <= now.mono)
            }
            Life::Closing { .. } | Life::Over(_) => None,
        };
        if let Some(after) = limit {
            self.die(Arc::new(ConnectError::TimedOut { after, last: self.sink.link_error.clone() }));
        }
    }

    /// A connection is the one from now on; all others end.
    fn put_in_use(&mut self, now: Now, link: LinkId, tail: TransportTail) {
        let others: Vec<LinkId> = self.links.iter().map(|known| known.id).filter(|id| *id != link).collect();
        for other in others {
            self.close_link(other);
        }
        let deadline = Some(now.mono + self.options.timing.proof);
        self.tail = tail;
        let Some(found) = self.links.iter_mut().find(|known| known.id == link) else {
            return;
        };
        found.stage = Stage::InUse { deadline };
        let candidate = found.candidate;
        self.race.on_won(candidate);
        self.connections += 1;
        tracing::debug!(link = link.0, candidate, "connected");
        self.keys.on_connected();
        let is_http =
            self.options.candidates.get(candidate).is_some_and(|one| one.dialling.carrier.http().is_some());
        self.polls = is_http.then(VecDeque::new);
        match self.session.as_deref_mut() {
            Some(session) => {
                session.handle_connected(now, tail);
                self.greet(now);
                if self.wants_temporary_key {
                    self.make_key(now, self.temporary());
                }
            }
            None => self.make_key(now, KeyKind::Permanent),
        }
    }

    /// Has the session show that it is there, over the connection that it was just given.
    fn greet(&mut self, now: Now) {
        if let Some(session) = self.session.as_deref_mut() {
            session.set_http_wait(self.polls.as_ref().map(|_| HttpWait::default()));
            if session.is_usable() {
                session.request_ping();
            }
        }
        self.after_session(now);
    }

    pub(super) fn temporary(&self) -> KeyKind {
        let lifetime = self.options.temporary_keys.unwrap_or(std::time::Duration::from_secs(86_400));
        KeyKind::Temporary { expires_in: u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX) }
    }

    pub(super) fn make_key(&mut self, now: Now, kind: KeyKind) {
        if let Err(error) = self.keys.begin(&self.options.handshake, kind, now, &mut self.rng) {
            self.on_handshake_error(now, error);
        }
    }

    fn on_probe_answer(&mut self, now: Now, link: LinkId, payload: &[u8]) {
        let stage = self.links.iter().find(|known| known.id == link).map(|known| &known.stage);
        let Some(Stage::Probing { nonce, tail, .. }) = stage else {
            return;
        };
        let (nonce, tail) = (*nonce, *tail);
        let answer = PlainMessage::new_checked(payload, Side::Server).and_then(|message| message.object());
        match answer {
            Ok(ResPq::ResPq(answer)) if answer.nonce == nonce => {
                if self.in_use().is_some() {
                    tracing::debug!(link = link.0, "replaces the connection in use");
                    if let Some(session) = self.session.as_deref_mut() {
                        session.handle_disconnected(now);
                    }
                }
                self.put_in_use(now, link, tail);
            }
            Ok(ResPq::ResPq(answer)) => {
                let error = chappe_handshake::Error::InvalidAnswer(chappe_handshake::InvalidAnswer::Nonce {
                    got: answer.nonce,
                    expected: nonce,
                });
                self.lose(now, link, ConnectError::Handshake(error));
            }
            Err(error) => self.lose(now, link, ConnectError::Handshake(error.into())),
        }
    }

    fn on_plain(&mut self, now: Now, link: LinkId, payload: &[u8]) {
        match self.keys.handle_frame(now, payload, &mut self.rng) {
            Ok(made) => {
                self.on_proof(now);
                if let Some((finished, kind)) = made {
                    self.on_key(now, &finished, kind);
                }
            }
            Err(error) => {
                let is_starting = matches!(self.life, Life::Starting { .. });
                let (error, is_fatal) = (self.with_peer(link, ConnectError::Handshake(error)), is_starting);
                if is_fatal && error.is_fatal() {
                    self.die(error);
                } else {
                    self.lose_for(now, link, error);
                }
            }
        }
    }

    fn on_handshake_error(&mut self, now: Now, error: chappe_handshake::Error) {
        let link = self.in_use().map(|link| link.id);
        let error = ConnectError::Handshake(error);
        let error = match link {
            Some(link) => self.with_peer(link, error),
            None => Arc::new(error),
        };
        match link {
            _ if error.is_fatal() => self.die(error),
            Some(link) => self.lose_for(now, link, error),
            None => self.sink.link_error = Some(error),
        }
    }

    fn on_key(&mut self, now: Now, finished: &Finished, kind: KeyKind) {
        match (kind, self.session.as_deref_mut()) {
            (KeyKind::Temporary { .. }, Some(session)) => {
                (self.wants_temporary_key, self.is_key_doubtful, self.is_binding) = (false, false, true);
                let server_time = finished.server_time().as_secs() as i64;
                let expires_at = finished.expires_at().map_or(server_time, |at| at.as_secs() as i64);
                let key = TemporaryKey {
                    auth_key: finished.key(),
                    first_salt: ServerSalt::from_raw(finished.first_salt),
                    expires_at,
                };
                session.install_temporary_key(now, key);
                self.after_session(now);
            }
            (KeyKind::Temporary { .. }, None) => {}
            (KeyKind::Permanent, _) => {
                tracing::debug!("auth_key created");
                let server_time = finished.server_time().as_secs() as i64;
                let (salt, offset) = (finished.first_salt, finished.time_offset);
                let key = KeyMaterial::from_handshake(finished.key(), salt, offset, server_time);
                self.start_session(key, now);
                let tail = self.tail;
                if let Some(session) = self.session.as_deref_mut() {
                    session.handle_connected(now, tail);
                }
                self.greet(now);
                self.save();
            }
        }
    }

    fn on_encrypted(&mut self, now: Now, link: LinkId, payload: &mut [u8]) {
        let Some(session) = self.session.as_deref_mut() else {
            // No key, so nobody can have encrypted anything for us.
            return;
        };
        if let Some(polls) = &mut self.polls {
            polls.pop_front();
        }
        self.turn.has_heard = true;
        match session.handle_frame(now, payload) {
            Ok(events) => {
                events.for_each(|event| self.sink.on_event(event));
                self.on_proof(now);
                self.after_session(now);
            }
            Err(error) => {
                tracing::debug!(link = link.0, %error, rule = error.rule().map(Rule::number), "frame refused");
                self.lose(now, link, ConnectError::Frame(error));
            }
        }
    }

    /// The datacenter is there: what came in is an answer that only it could have given.
    fn on_proof(&mut self, now: Now) {
        let Some(link) = self.links.iter_mut().find(|link| matches!(link.stage, Stage::InUse { .. })) else {
            return;
        };
        if !matches!(link.stage, Stage::InUse { deadline: None }) {
            link.stage = Stage::InUse { deadline: None };
            self.race.on_proven();
            self.sink.link_error = None;
            self.down_since = now.mono;
        }
    }

    /// A transport error: nobody vouches for it, and the connection is of no use after it.
    fn on_refused(&mut self, now: Now, link: LinkId, code: TransportErrorCode) {
        tracing::debug!(link = link.0, %code, "refused");
        let found = self.links.iter().find(|known| known.id == link);
        let (candidate, is_in_use) =
            found.map_or((0, false), |link| (link.candidate, matches!(link.stage, Stage::InUse { .. })));
        let error = self.with_peer(link, ConnectError::Refused(code));
        if code == TransportErrorCode::WrongDc && matches!(self.life, Life::Starting { .. }) {
            // The configuration is wrong, and the same answer would come again. Later, when the same configuration has
            // worked before, it is no more than another failure.
            if !self.race.exclude(candidate) {
                return self.die(error);
            }
        }
        if is_in_use {
            self.keys.abandon();
            if let Some(session) =
                self.session.as_deref_mut().filter(|session| session.auth_key_id().is_some())
            {
                session.handle_transport_error(now, code);
                self.drain_events();
                // What it wants of the connection happens anyway.
                self.sink.next.retain(|next| !matches!(next, Next::Reconnect(_)));
            }
        }
        self.lose_for(now, link, error);
        if code == TransportErrorCode::TooManyConnections {
            self.race.on_flood(now.mono, &mut self.rng);
        }
        self.after_session(now);
    }

    pub(super) fn lose(&mut self, now: Now, link: LinkId, error: ConnectError) {
        self.lose_for(now, link, self.with_peer(link, error));
    }

    /// Names the peer of a connection in an error.
    fn with_peer(&self, link: LinkId, error: ConnectError) -> Arc<ConnectError> {
        let peer = || {
            let link = self.links.iter().find(|known| known.id == link)?;
            let Candidate { address, dialling } = self.options.candidates.get(link.candidate)?;
            let proxy = dialling.proxy.as_ref().map(|proxy| proxy.address().to_owned());
            Some(Peer { dc: self.options.handshake.dc, address: *address, proxy })
        };
        Arc::new(error.at(peer))
    }

    /// Ends a connection, and says to the session and to the race what that means.
    fn lose_for(&mut self, now: Now, link: LinkId, error: Arc<ConnectError>) {
        let Some(place) = self.links.iter().position(|known| known.id == link) else {
            return;
        };
        let candidate = self.links[place].candidate;
        // The configuration is wrong, and the same answer would come again.
        let is_hopeless = matches!(self.life, Life::Starting { .. })
            && matches!(error.cause(), ConnectError::Link(_))
            && error.is_fatal();
        if is_hopeless && !self.race.exclude(candidate) {
            return self.die(error);
        }
        let stage = std::mem::replace(&mut self.links[place].stage, Stage::Dialling);
        self.close_link(link);
        if let Stage::InUse { deadline } = stage {
            if let Some(session) = self.session.as_deref_mut() {
                session.handle_disconnected(now);
            }
            self.tell_counters(now);
            self.down_since = now.mono;
            self.sink.link_error = Some(error);
            if deadline.is_some() {
                self.on_attempt_failed(now);
            }
            self.after_session(now);
            return;
        }
        if self.in_use().is_none() {
            self.sink.link_error = Some(error);
        }
        self.race.hurry(now.mono);
        if self.race.is_open() && self.race.is_exhausted() && !self.links.iter().any(Link::is_candidate) {
            self.on_attempt_failed(now);
        }
    }

    pub(super) fn on_attempt_failed(&mut self, now: Now) {
        self.race.on_failed(now.mono, &mut self.rng);
        if let Life::Starting { attempts_left, .. } = &mut self.life {
            *attempts_left = attempts_left.saturating_sub(1);
            if *attempts_left == 0
                && let Some(error) = self.sink.link_error.clone()
            {
                self.die(error);
            }
        }
    }
}

impl Link {
    /// Says whether it may still win the race.
    const fn is_candidate(&self) -> bool {
        matches!(self.stage, Stage::Dialling | Stage::Probing { .. })
    }
}
