//! Input of the engine: connections that came up or were lost, frames that came in over them, time.

use std::collections::VecDeque;
use std::sync::Arc;

use chappe_framing::{PlainMessage, ServerSalt, TransportTail};
use chappe_handshake::{Finished, KeyKind};
use chappe_session::client::{KeyMaterial, ReconnectReason, TemporaryKey};
use chappe_session::{HttpWait, Now};
use chappe_tl_mtproto::enums::ResPq;
use chappe_transport::{AckRequest, Incoming, Side, TransportErrorCode};
use chappe_types::Rule;
use rand_core::Rng as _;

use super::sink::Next;
use super::telling::{tell, tell_of};
use super::{Connection, ConnectionId, Engine, Input, Life, Moved, SocketId, Stage};
use crate::client::{ConnectError, Peer};
use chappe_carrier::{LinkError, Wait};

/// `auth_key_id` of what is sent in the clear.
const NO_KEY: [u8; 8] = [0; 8];

/// How often the time for a proof may pass while bytes move and nothing is proven. With the default, a minute: a part of
/// 512 KiB at 10 KiB/s.
const LONGEST_TRIAL: u32 = 6;

impl Engine {
    /// Handles what the bytes of a socket led to.
    pub(super) fn on_input(&mut self, now: Now, input: Input) {
        match input {
            Input::Nothing => {}
            Input::Up { connection, tail } => {
                self.on_up(now, connection, tail);
                // The last bytes of a proxy or an upgrade may have brought frames along.
                let frames = self.links.take_frames(connection);
                self.on_input(now, frames);
            }
            Input::Down { connection, error } => {
                self.lose(now, connection, ConnectError::Link(error));
            }
            Input::Frames { connection, socket, mut frames } => {
                loop {
                    match frames.take() {
                        Ok(Some(incoming)) => self.handle_incoming(now, connection, incoming),
                        Ok(None) => break,
                        Err(error) => {
                            return self.lose(
                                now,
                                connection,
                                ConnectError::Link(LinkError::Transport(error)),
                            );
                        }
                    }
                }
                self.links.put_back(socket, frames);
            }
            Input::Answer { connection, outcome: Ok(mut payload) } => {
                let (payload, ack) = (&mut payload[..], AckRequest::No);
                self.handle_incoming(now, connection, Incoming::Envelope { payload, ack });
            }
            Input::Answer { connection, outcome: Err(code) } => {
                self.handle_incoming(now, connection, Incoming::Error(code));
            }
        }
    }

    /// Bytes moved. A connection on trial has time as long as they do: what was queued while there was none may take a slow
    /// link longer than the trial.
    pub(super) fn on_moved(&mut self, now: Now, socket: SocketId, moved: Moved) {
        let Some(connection) = self.links.connection_of(socket) else { return };
        if self.in_use() == Some(connection)
            && let Some(session) = self.session.as_deref_mut()
        {
            // A slow link is not a dead one, in either direction.
            match moved {
                Moved::Read(count) => session.handle_bytes_received(now, count),
                Moved::Written(count) => session.handle_bytes_sent(now, count),
            }
        }
        let until = now.mono + self.options.timing.proof;
        if let Some(Connection { stage: Stage::InUse { deadline: Some(deadline), latest }, .. }) =
            self.connection(connection)
        {
            *deadline = until.min(*latest).max(*deadline);
        }
    }

    /// A connection stands. It is asked a question first if it is one of several.
    fn on_up(&mut self, now: Now, connection: ConnectionId, tail: TransportTail) {
        let is_contested = self.race.is_contested() || self.in_use().is_some();
        if is_contested {
            let mut nonce = [0; 16];
            self.rng.fill_bytes(&mut nonce);
            let deadline = now.mono + self.options.timing.proof;
            if let Some(found) = self.connection(connection) {
                found.stage = Stage::Probing { nonce, is_asked: false, tail, deadline };
            }
        } else {
            self.put_in_use(now, connection, tail);
        }
    }

    /// Handles something that arrived. It is opened in place.
    fn handle_incoming(&mut self, now: Now, connection: ConnectionId, incoming: Incoming<'_>) {
        #[cfg(feature = "wire-log")]
        self.observe_received(now, connection, &incoming);
        let Some(found) = self.connections.iter().find(|known| known.id == connection) else {
            return;
        };
        let (is_in_use, is_probing) = match found.stage {
            Stage::InUse { .. } => (true, false),
            Stage::Probing { .. } => (false, true),
            Stage::Dialling => return,
        };
        match incoming {
            Incoming::Error(code) => self.on_refused(now, connection, code),
            // A token costs its sender nothing and takes a look-up here, so their number is bounded.
            Incoming::QuickAck(_) if !self.turn.count_token() => {
                self.lose(now, connection, ConnectError::Session(ReconnectReason::Refused));
            }
            Incoming::QuickAck(token) => {
                if is_in_use && let Some(session) = self.session.as_deref_mut() {
                    session.handle_quick_ack(now, token);
                    self.after_session(now);
                }
            }
            Incoming::Envelope { payload, .. } if is_probing => {
                self.on_probe_answer(now, connection, payload);
            }
            Incoming::Envelope { payload, .. } if payload.starts_with(&NO_KEY) => {
                self.on_plain(now, connection, payload);
            }
            Incoming::Envelope { payload, .. } => self.on_encrypted(now, connection, payload),
        }
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        let is_due = |connection: &Connection| match connection.stage {
            Stage::Probing { deadline, .. } | Stage::InUse { deadline: Some(deadline), .. } => {
                deadline <= now.mono
            }
            Stage::Dialling | Stage::InUse { deadline: None, .. } => false,
        };
        let late: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|connection| is_due(connection))
            .map(|connection| connection.id)
            .collect();
        loop {
            match self.links.handle_timeout(now) {
                Input::Nothing => break,
                input => self.on_input(now, input),
            }
        }
        for connection in late {
            let after = self.options.timing.proof;
            let error = LinkError::TimedOut { waiting_for: Wait::Frame, after };
            self.lose(now, connection, ConnectError::Link(error));
        }
        self.check_claim(now);
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
    fn put_in_use(&mut self, now: Now, connection: ConnectionId, tail: TransportTail) {
        let others: Vec<ConnectionId> =
            self.connections.iter().map(|known| known.id).filter(|id| *id != connection).collect();
        for other in others {
            self.close_connection(other);
        }
        let proof = self.options.timing.proof;
        let (deadline, latest) = (Some(now.mono + proof), now.mono + proof.saturating_mul(LONGEST_TRIAL));
        self.tail = tail;
        let Some(found) = self.connections.iter_mut().find(|known| known.id == connection) else {
            return;
        };
        found.stage = Stage::InUse { deadline, latest };
        let candidate = found.candidate;
        match candidate {
            Some(candidate) => self.race.on_won(candidate),
            None => self.race.abandon(),
        }
        self.sink.metrics.connections += 1;
        self.turn.tokens = 0;
        tell_of!(INFO, self, connection, candidate, "connected");
        self.keys.on_connected();
        self.polls = self.links.is_http(connection).then(VecDeque::new);
        match self.session.as_deref_mut() {
            Some(session) => {
                session.handle_connected(now, tail);
                self.greet(now);
                if self.wants_temporary_key {
                    self.get_temporary_key(now);
                }
            }
            None => self.make_key(now, KeyKind::Permanent),
        }
    }

    /// Requests a ping over the new connection, which proves both ends.
    pub(super) fn greet(&mut self, now: Now) {
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

    fn on_probe_answer(&mut self, now: Now, connection: ConnectionId, payload: &[u8]) {
        let stage = self.connections.iter().find(|known| known.id == connection).map(|known| &known.stage);
        let Some(Stage::Probing { nonce, tail, .. }) = stage else {
            return;
        };
        let (nonce, tail) = (*nonce, *tail);
        let answer = PlainMessage::new_checked(payload, Side::Server).and_then(|message| message.object());
        match answer {
            Ok(ResPq::ResPq(answer)) if answer.nonce == nonce => {
                if self.in_use().is_some() {
                    tell_of!(DEBUG, self, connection, "it replaces the connection in use");
                    if let Some(session) = self.session.as_deref_mut() {
                        session.handle_disconnected(now);
                    }
                }
                self.put_in_use(now, connection, tail);
            }
            Ok(ResPq::ResPq(answer)) => {
                let error =
                    chappe_handshake::HandshakeError::InvalidAnswer(chappe_handshake::InvalidAnswer::Nonce {
                        got: answer.nonce,
                        expected: nonce,
                    });
                self.lose(now, connection, ConnectError::Handshake(error));
            }
            Err(error) => self.lose(now, connection, ConnectError::Handshake(error.into())),
        }
    }

    fn on_plain(&mut self, now: Now, connection: ConnectionId, payload: &[u8]) {
        match self.keys.handle_frame(now, payload, &mut self.rng) {
            Ok(made) => {
                self.on_proof(now);
                if let Some((finished, kind)) = made {
                    self.on_key(now, &finished, kind);
                }
            }
            Err(error) => {
                let is_starting = matches!(self.life, Life::Starting { .. });
                let (error, is_fatal) =
                    (self.with_peer(connection, ConnectError::Handshake(error)), is_starting);
                if is_fatal && error.is_fatal() {
                    self.die(error);
                } else {
                    self.lose_for(now, connection, error);
                }
            }
        }
    }

    fn on_handshake_error(&mut self, now: Now, error: chappe_handshake::HandshakeError) {
        let connection = self.in_use();
        let error = ConnectError::Handshake(error);
        let error = match connection {
            Some(connection) => self.with_peer(connection, error),
            None => Arc::new(error),
        };
        match connection {
            _ if error.is_fatal() => self.die(error),
            Some(connection) => self.lose_for(now, connection, error),
            None => self.sink.link_error = Some(error),
        }
    }

    fn on_key(&mut self, now: Now, finished: &Finished, kind: KeyKind) {
        if let KeyKind::Temporary { .. } = kind {
            self.observe_key(&finished.key());
        }
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
                if let Some(membership) = &mut self.membership {
                    membership.on_made(key.clone());
                }
                session.install_temporary_key(now, key);
                self.sink.metrics.temporary_keys += 1;
                tell!(INFO, self, expires_at, "temporary key created");
                self.after_session(now);
            }
            (KeyKind::Temporary { .. }, None) => {}
            (KeyKind::Permanent, _) => {
                self.sink.metrics.permanent_keys += 1;
                tell!(INFO, self, "auth_key created");
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

    fn on_encrypted(&mut self, now: Now, connection: ConnectionId, payload: &mut [u8]) {
        let Some(session) = self.session.as_deref_mut() else {
            // Without a key there is nothing encrypted to expect.
            return;
        };
        if let Some(polls) = &mut self.polls {
            polls.pop_front();
        }
        self.turn.has_heard = true;
        self.turn.tokens = 0;
        let pending = self.sink.calls.len();
        match session.handle_frame(now, payload) {
            Ok(events) => {
                events.for_each(|event| self.sink.on_event(now.mono, event));
                self.turn.ended += pending - self.sink.calls.len();
                self.on_proof(now);
                self.after_session(now);
            }
            Err(error) => {
                tell_of!(DEBUG, self, connection, %error, rule = error.rule().map(Rule::number), "frame refused");
                self.lose(now, connection, ConnectError::Frame(error));
            }
        }
    }

    /// The datacenter is there: what came in is an answer that only it could have given.
    fn on_proof(&mut self, now: Now) {
        let Some(connection) =
            self.connections.iter_mut().find(|connection| matches!(connection.stage, Stage::InUse { .. }))
        else {
            return;
        };
        if let Stage::InUse { deadline: deadline @ Some(_), .. } = &mut connection.stage {
            *deadline = None;
            self.race.on_proven();
            self.sink.link_error = None;
            self.down_since = now.mono;
        }
    }

    /// Handles a transport error. It is unauthenticated, and the connection cannot be used after it.
    fn on_refused(&mut self, now: Now, connection: ConnectionId, code: TransportErrorCode) {
        self.sink.metrics.refusals += 1;
        tell_of!(DEBUG, self, connection, %code, "refused");
        let found = self.connections.iter().find(|known| known.id == connection);
        let (candidate, is_in_use) = found.map_or((None, false), |connection| {
            (connection.candidate, matches!(connection.stage, Stage::InUse { .. }))
        });
        let error = self.with_peer(connection, ConnectError::Refused(code));
        if code == TransportErrorCode::WrongDc && matches!(self.life, Life::Starting { .. }) {
            // The configuration is wrong, and the same answer would come again. Later, when the same configuration has
            // worked before, it is no more than another failure.
            if candidate.is_some_and(|candidate| !self.race.exclude(candidate)) {
                return self.die(error);
            }
        }
        if is_in_use {
            self.keys.abandon();
            let is_former =
                code == TransportErrorCode::UnknownAuthKey && self.may_mean_former_key(connection);
            if let Some(session) =
                self.session.as_deref_mut().filter(|session| session.auth_key_id().is_some() && !is_former)
            {
                session.handle_transport_error(now, code);
                self.drain_events(now);
                // What it wants of the connection happens anyway.
                self.sink.next.retain(|next| !matches!(next, Next::Reconnect(_)));
            }
        }
        self.lose_for(now, connection, error);
        if code == TransportErrorCode::TooManyConnections {
            self.race.on_flood(now.mono, &mut self.rng);
        }
        self.after_session(now);
    }

    pub(super) fn lose(&mut self, now: Now, connection: ConnectionId, error: ConnectError) {
        self.lose_for(now, connection, self.with_peer(connection, error));
    }

    /// Names the peer of a connection in an error.
    fn with_peer(&self, connection: ConnectionId, error: ConnectError) -> Arc<ConnectError> {
        let peer = || {
            let (address, proxy) = self.links.peer(connection)?;
            Some(Peer { dc: self.options.handshake.dc, address, proxy })
        };
        Arc::new(error.at(peer))
    }

    /// Ends a connection, and reports that to the session and to the race.
    fn lose_for(&mut self, now: Now, connection: ConnectionId, error: Arc<ConnectError>) {
        let Some(place) = self.connections.iter().position(|known| known.id == connection) else {
            return;
        };
        let candidate = self.connections[place].candidate;
        // The configuration is wrong, and the same answer would come again.
        let is_hopeless = matches!(self.life, Life::Starting { .. })
            && matches!(error.cause(), ConnectError::Link(_))
            && error.is_fatal();
        if is_hopeless && candidate.is_some_and(|candidate| !self.race.exclude(candidate)) {
            return self.die(error);
        }
        let stage = std::mem::replace(&mut self.connections[place].stage, Stage::Dialling);
        if matches!(stage, Stage::InUse { .. }) {
            self.sink.metrics.disconnects += 1;
            tell_of!(INFO, self, connection, error = %error.report(), "disconnected");
        } else {
            tell_of!(DEBUG, self, connection, error = %error.report(), "attempt failed");
        }
        self.close_connection(connection);
        if let Stage::InUse { deadline, .. } = stage {
            if self.leave_key_to_others() {
                self.keys.abandon();
            }
            if let Some(session) = self.session.as_deref_mut() {
                session.handle_disconnected(now);
            }
            self.tell_counters(now);
            self.sink.link_error = Some(error);
            if deadline.is_some() {
                // It never worked, so the time without a connection goes on.
                self.on_attempt_failed(now);
            } else {
                self.down_since = now.mono;
            }
            self.after_session(now);
            return;
        }
        if self.in_use().is_none() {
            self.sink.link_error = Some(error);
        }
        self.race.hurry(now.mono);
        if self.race.is_open()
            && self.race.is_exhausted()
            && !self.connections.iter().any(Connection::is_candidate)
        {
            self.on_attempt_failed(now);
        }
    }

    /// Dials again after a pause, which doubles each time.
    pub(super) fn pause_dialling(&mut self, now: Now) {
        let limit = self.pause_limit(now);
        self.race.on_failed(now.mono, limit, &mut self.rng);
    }

    pub(super) fn on_attempt_failed(&mut self, now: Now) {
        self.pause_dialling(now);
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

impl Connection {
    /// Returns whether the connection can still win the race.
    const fn is_candidate(&self) -> bool {
        matches!(self.stage, Stage::Dialling | Stage::Probing { .. })
    }
}
