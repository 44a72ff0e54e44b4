//! One connection of a server: payloads in, payloads out.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use chappe_carrier::lock;
use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKeyId, QuickAckToken, Side};
use chappe_framing::{
    FrameBuf, FrameError, GZIP_PACKED, MsgId, Opened, TransportTail, auth_key_id, constructor_id, open,
};
use chappe_handshake::PeerId;
use chappe_handshake::bind::{BindError, BindTempAuthKey};
use chappe_session::server::{MessageCheck, ServerError, ServerEvent, ServerSession};
use chappe_session::{BadMsgCode, HttpWait, KeyDestruction, MonoTime, Now};
use chappe_tl::Deserializable as _;
use chappe_tl::Identifiable as _;
use chappe_transport::{AckRequest, TransportErrorCode};

use crate::counters::add;
use crate::directory::{Gate, Outcome as GateOutcome, Search};
use crate::engine::{Engine, Handled, NoSession};
use crate::fleet::{Admission, SessionName};
use crate::handler::{Context, Handler, QueryResponse};
use crate::keys::KeyState;
use crate::replies::Replies;
use crate::requests::{Request, Requests};
use crate::session::{Attached, Inner, Late, Outlet, Waker, apply};

/// What a driver does with the output of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Output {
    /// Frame and send the envelope in the buffer.
    Frame,
    /// Send a quick ack.
    QuickAck(QuickAckToken),
    /// Send a transport error and close the connection.
    Error(TransportErrorCode),
    /// Close the connection without sending anything.
    Close,
}

/// Output that waits, besides what the sessions have to send.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// An answer of a handshake, or an envelope that must not be packed together with others.
    Frame(FrameBuf),
    QuickAck(QuickAckToken),
    End(Option<TransportErrorCode>),
}

/// One connection of an [`Engine`]: payloads in, payloads out.
///
/// Input: [`handle_payload`](Self::handle_payload) and [`handle_timeout`](Self::handle_timeout). Output: after each input, and
/// each time that the waker is called, call [`poll_output`](Self::poll_output) until it returns `None`, then
/// [`poll_timeout`](Self::poll_timeout).
pub struct ServerConnection {
    engine: Arc<Engine>,
    number: u64,
    peer: PeerId,
    tail: TransportTail,
    waker: Waker,
    sessions: Vec<Attached>,
    /// The requests of the frame that is being handled.
    requests: Requests,
    waiting: VecDeque<Waiting>,
    /// Answers that other threads compute; `None` until there is the first.
    replies: Option<Arc<Replies>>,
    /// Frames that wait until the directory has been asked for their key.
    parked: Option<Box<Parked>>,
    /// In a fleet: the frame that is being handled, as it came.
    sealed: Vec<u8>,
    is_over: bool,
    is_authenticated: bool,
    is_http: bool,
    /// When the last input came. Dropping the connection detaches its sessions as of that time.
    last_input: Option<Now>,
    /// Over HTTP: how long the answer may be held back, by the last frame's `http_wait`.
    http_wait: Option<HttpWait>,
}

/// Frames that wait until the directory has been asked.
struct Parked {
    gate: Arc<Gate>,
    /// How often the first one has waited before.
    tries: u8,
    /// The first one waits for the gate, unless only its beginning has come.
    frames: VecDeque<(Vec<u8>, AckRequest)>,
}

/// The outcome of reading a frame, besides the requests in it.
struct Outcome {
    /// The client asks to destroy its key, which the directory must forget first.
    is_key_destroyed: bool,
    /// In a fleet: entries of the store that the client has received.
    received: Vec<u64>,
    /// Over HTTP: how long the answer may be held back.
    http_wait: Option<HttpWait>,
    /// The quick acknowledgement, unless the frame was refused.
    quick_ack: Option<QuickAckToken>,
}

/// The responses to the queries of a frame. Most frames hold one query, which needs no allocation here.
#[derive(Debug, Default)]
struct Responses {
    first: Option<(MsgId, QueryResponse)>,
    more: Vec<(MsgId, QueryResponse)>,
}

impl Responses {
    fn push(&mut self, query: MsgId, response: QueryResponse) {
        if self.first.is_none() {
            self.first = Some((query, response));
        } else {
            self.more.push((query, response));
        }
    }
}

/// Sessions that may use one connection. Clients use one; the specification allows a client to change it.
const MAX_SESSIONS: usize = 16;

/// Frames that a connection keeps while the directory is asked. Listeners stop reading after the first.
const MAX_PARKED: usize = 16;

/// How often one frame waits for the store of a fleet. Its session is taken away each time.
const MAX_TRIES: u8 = 8;

impl ServerConnection {
    pub(crate) fn new(
        engine: Arc<Engine>,
        number: u64,
        peer: PeerId,
        tail: TransportTail,
        waker: Waker,
    ) -> Self {
        Self {
            engine,
            number,
            peer,
            tail,
            waker,
            sessions: Vec::new(),
            requests: Requests::default(),
            waiting: VecDeque::new(),
            replies: None,
            parked: None,
            sealed: Vec::new(),
            is_over: false,
            is_authenticated: false,
            is_http: false,
            last_input: None,
            http_wait: None,
        }
    }

    /// Makes this a connection with exactly one answer for each payload. A session then keeps its other connections, and only
    /// messages of the session that was used last are sent.
    #[must_use]
    pub fn over_http(mut self) -> Self {
        self.is_http = true;
        self
    }

    /// Returns how long the answer may be held back while there is nothing to send, if the last payload had an `http_wait`.
    pub fn take_http_wait(&mut self) -> Option<HttpWait> {
        self.http_wait.take()
    }

    /// Over HTTP: notes that the answer was sent. Further messages go to another connection with an open request.
    pub fn release(&mut self) {
        for attached in &self.sessions {
            attached.release(self.number);
        }
    }

    /// Returns whether a query has no answer yet, or an answer is not sent yet.
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
            || self.parked.is_some()
            || self.replies.as_ref().is_some_and(|replies| !replies.is_empty())
            || self.sessions.iter().any(|attached| attached.lock().session.running_queries() > 0)
    }

    /// Returns whether a client has proved over this connection that it has a key: a fresh frame came under it.
    pub const fn is_authenticated(&self) -> bool {
        self.is_authenticated
    }

    /// Returns whether the connection has ended or is about to.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Looks at what has arrived of a payload that is not complete. Ends the connection if it is longer than strangers may
    /// send and does not name a key of this server.
    pub fn handle_partial(&mut self, now: Now, payload: &[u8]) {
        if self.is_authenticated || payload.len() <= self.engine.options().budgets.unauthenticated_frame {
            return;
        }
        let key_id = auth_key_id(payload).unwrap_or(AuthKeyId::from_raw(0));
        if self.is_over || self.parked.is_some() || self.engine.key(key_id, now.unix).is_some() {
            return;
        }
        let is_plain = key_id.is_zero();
        let search = if is_plain { Search::Unknown } else { self.search(key_id, now) };
        if matches!(search, Search::Unknown) {
            add(&self.engine.refusals().unauthenticated_frames, 1);
        }
        self.on_search(search, None, 0);
    }

    /// Returns whether frames wait until the directory has been asked for their key. Read no further meanwhile. The waker is
    /// called at the end, and [`poll_output`](Self::poll_output) handles the frames.
    pub const fn is_waiting(&self) -> bool {
        self.parked.is_some()
    }

    fn search(&self, key_id: AuthKeyId, now: Now) -> Search {
        self.engine.search_key(key_id, self.peer, now.unix, &self.waker)
    }

    /// Continues after a request to look up a key.
    fn on_search(&mut self, search: Search, frame: Option<(Vec<u8>, AckRequest)>, tries: u8) {
        match search {
            Search::Waiting(gate) => {
                self.parked = Some(Box::new(Parked { gate, tries, frames: frame.into_iter().collect() }));
            }
            Search::Unknown => self.end(Some(TransportErrorCode::UnknownAuthKey)),
            Search::Refused => {
                add(&self.engine.refusals().look_ups, 1);
                self.end(Some(TransportErrorCode::TooManyConnections));
            }
            // The client would drop a key that it is told to be unknown.
            Search::Failed => {
                add(&self.engine.refusals().look_ups, 1);
                self.end(None);
            }
        }
    }

    /// Handles the frames that waited for the directory, if it has answered. Returns whether it has.
    pub(crate) fn resume(&mut self, now: Now, rng: &mut Drbg) -> bool {
        let Some(outcome) = self.parked.as_ref().and_then(|parked| parked.gate.outcome()) else {
            return false;
        };
        let Some(parked) = self.parked.take() else { return false };
        match outcome {
            GateOutcome::Ready => self.receive_parked(now, parked.frames, parked.tries + 1, rng),
            // The client comes again, with a newer message.
            GateOutcome::Stale => self.end(None),
            GateOutcome::Unknown => self.on_search(Search::Unknown, None, 0),
            GateOutcome::Failed => self.on_search(Search::Failed, None, 0),
        }
        true
    }

    /// Returns whether another thread computes an answer for this connection.
    pub fn awaits_handshake(&self) -> bool {
        self.replies.as_ref().is_some_and(|replies| replies.is_pending())
    }

    /// Returns the number of the connection, counted from 0.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the sessions that used this connection, the last one at the end.
    pub fn sessions(&self) -> &[Attached] {
        &self.sessions
    }

    /// Handles a payload of the client: a plain or an encrypted envelope, which is opened in place.
    pub fn handle_payload(&mut self, now: Now, payload: &mut [u8], ack: AckRequest, rng: &mut Drbg) {
        self.last_input = Some(now);
        self.resume(now, rng);
        self.receive(now, payload, ack, rng, 0);
    }

    fn receive_parked(
        &mut self,
        now: Now,
        frames: VecDeque<(Vec<u8>, AckRequest)>,
        mut tries: u8,
        rng: &mut Drbg,
    ) {
        for (mut payload, ack) in frames {
            self.receive(now, &mut payload, ack, rng, tries);
            tries = 0;
        }
    }

    /// Handles a payload. `tries` is how often it has waited for the directory.
    fn receive(&mut self, now: Now, payload: &mut [u8], ack: AckRequest, rng: &mut Drbg, tries: u8) {
        if self.is_over {
            return;
        }
        if let Some(parked) = &mut self.parked {
            // Frames are handled in the order in which they came.
            if parked.frames.len() < MAX_PARKED {
                parked.frames.push_back((payload.to_vec(), ack));
                return;
            }
            return self.end(Some(TransportErrorCode::TooManyConnections));
        }
        let Ok(key_id) = auth_key_id(payload) else {
            return self.end(None);
        };
        if key_id.is_zero() {
            return self.on_plain(now, payload, rng);
        }
        // Looked up for each frame: a key may have been destroyed over another connection.
        match self.engine.key(key_id, now.unix) {
            Some(key) => self.on_encrypted(now, &key, payload, ack, rng, tries),
            None if tries > 0 => self.on_search(Search::Unknown, None, 0),
            None => {
                let search = self.search(key_id, now);
                self.on_search(search, Some((payload.to_vec(), ack)), 0);
            }
        }
        self.engine.deliver_events();
    }

    /// Handles the passing of time.
    pub fn handle_timeout(&mut self, now: Now) {
        self.last_input = Some(now);
        self.leave_ended_keys(now);
        let number = self.number;
        let is_overdue = |attached: &Attached| {
            let mut inner = attached.lock();
            // A session that is reached elsewhere has its timer there, and wants that connection closed.
            inner.is_outlet(number) && {
                inner.session.handle_timeout(now);
                inner.session.should_close(now)
            }
        };
        let overdue: Vec<_> = self.sessions.iter().filter(|attached| is_overdue(attached)).cloned().collect();
        for attached in overdue {
            // The client may have left the session and gone on with another: only the last one speaks for the connection.
            if self.sessions.last().is_some_and(|last| last.is_same(&attached)) {
                self.end(None);
            } else {
                self.leave(&attached);
            }
        }
    }

    /// Returns what to do next; an envelope to send is written into `out`. Call it until it returns `None`.
    pub fn poll_output(&mut self, now: Now, rng: &mut Drbg, out: &mut FrameBuf) -> Option<Output> {
        self.resume(now, rng);
        loop {
            match self.waiting.pop_front().or_else(|| self.replies.as_ref()?.take()) {
                Some(Waiting::Frame(frame)) => {
                    *out = frame;
                    return Some(Output::Frame);
                }
                Some(Waiting::QuickAck(token)) => return Some(Output::QuickAck(token)),
                Some(Waiting::End(code)) => {
                    self.is_over = true;
                    return Some(code.map_or(Output::Close, Output::Error));
                }
                None => {}
            }
            self.leave_ended_keys(now);
            if !self.waiting.is_empty() {
                continue;
            }
            let mut with_late = None;
            for attached in self.sent_here() {
                let mut inner = attached.lock();
                if !inner.is_outlet(self.number) {
                    continue;
                }
                if inner.has_late() {
                    with_late = Some(attached.clone());
                    break;
                }
                if inner.session.poll_transmit(now, rng, out).is_some() {
                    return Some(Output::Frame);
                }
            }
            self.send_late(now, &with_late?, rng);
        }
    }

    /// Takes out an answer that needs an envelope of its own, and everything that goes before it.
    fn send_late(&mut self, now: Now, attached: &Attached, rng: &mut Drbg) {
        let mut inner = attached.lock();
        let late = inner.take_late();
        flush(&mut inner.session, now, rng, &mut self.waiting);
        let mut destroyed = None;
        match late {
            Some(Late::Answer(query, result)) => {
                if let Err(error) = inner.session.respond_vec(query, result) {
                    tracing::debug!(connection = self.number, %error, "answer dropped");
                }
            }
            Some(Late::KeyDestruction(destruction)) => {
                inner.session.respond_key_destroyed(destruction);
                destroyed =
                    Some(inner.session.auth_key().id()).filter(|_| destruction == KeyDestruction::Destroyed);
            }
            None => {}
        }
        flush(&mut inner.session, now, rng, &mut self.waiting);
        inner.count_unacked();
        drop(inner);
        if let Some(id) = destroyed {
            self.engine.drop_key(id);
        }
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). Ask again after each input.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        // Only what this connection can serve: the driver would wake at any other deadline and find nothing to do.
        self.sent_here().iter().filter_map(|attached| attached.lock().next_timeout(self.number)).min()
    }

    /// Returns the sessions whose messages may be sent here. Over HTTP only the session that asked gets the response: it
    /// is the last in the list.
    fn sent_here(&self) -> &[Attached] {
        let skipped = if self.is_http { self.sessions.len().saturating_sub(1) } else { 0 };
        &self.sessions[skipped..]
    }

    fn on_plain(&mut self, now: Now, payload: &[u8], rng: &mut Drbg) {
        let mut answer = FrameBuf::new();
        let replies = || {
            let new = || Arc::new(Replies::new(Arc::clone(&self.waker)));
            Arc::clone(self.replies.get_or_insert_with(new))
        };
        match self.engine.handshake(now, self.peer, payload, &mut answer, rng, replies) {
            Handled::Answered => self.waiting.push_back(Waiting::Frame(answer)),
            Handled::Queued => {}
            Handled::Refused(refusal) => {
                tracing::debug!(connection = self.number, %refusal, "handshake refused");
                add(&self.engine.refusals().handshakes, 1);
                self.end(refusal.code);
            }
        }
    }

    fn on_encrypted(
        &mut self,
        now: Now,
        key: &Arc<KeyState>,
        payload: &mut [u8],
        ack: AckRequest,
        rng: &mut Drbg,
        tries: u8,
    ) {
        // A frame is opened in place, and one that must wait is needed as it came.
        self.sealed.clear();
        if self.engine.fleet().is_some() {
            self.sealed.extend_from_slice(payload);
        }
        // No transport error for a wrong `msg_key` under a known key: -404 would make the client drop its key (`SEC-135`).
        let opened = match open(key.auth_key(), Side::Client, self.tail, payload) {
            Ok(opened) => opened,
            Err(error) => return self.refuse(&error),
        };
        if opened.session_id().is_zero() {
            return self.end(Some(TransportErrorCode::UnknownAuthKey));
        }
        let search = match self.engine.admit(now, self.peer, key, &opened, &self.waker) {
            Admission::Go => None,
            Admission::Waiting(_) if tries > MAX_TRIES => Some(Search::Failed),
            Admission::Waiting(gate) => Some(Search::Waiting(gate)),
            Admission::Refused => Some(Search::Refused),
            Admission::Failed => Some(Search::Failed),
        };
        if let Some(search) = search {
            let frame = (std::mem::take(&mut self.sealed), ack);
            return self.on_search(search, Some(frame), tries);
        }
        let attached = match self.engine.session(now, key, &opened, rng) {
            Ok(attached) => attached,
            Err(NoSession::Refused(mut session, code)) => {
                return self.complain(now, &mut session, &opened, code, rng);
            }
            Err(NoSession::Lost) => return self.end(None),
            Err(NoSession::TooMany) => {
                add(&self.engine.refusals().sessions, 1);
                return self.end(Some(TransportErrorCode::TooManyConnections));
            }
        };
        let budgets = self.engine.options().budgets;
        let is_refused = || {
            self.engine.watches_inflation()
                && has_packed(opened.body())
                && !self.engine.may_inflate(self.peer, now)
        };
        if !key.may_inflate(now.mono, &budgets) || is_refused() {
            add(&self.engine.refusals().inflated, 1);
            return self.end(Some(TransportErrorCode::TooManyConnections));
        }
        let read = {
            let mut inner = attached.lock();
            if attached.is_lost() {
                // It was handed over since. What is read now, the next owner would not know of.
                drop(inner);
                return self.end(None);
            }
            if !inner.is_outlet(self.number) {
                // Only a fresh frame moves a session to this connection: anyone can send a recorded one again.
                match inner.session.check(now, &opened) {
                    MessageCheck::Refused(code) => {
                        return self.complain(now, &mut inner.session, &opened, code, rng);
                    }
                    MessageCheck::Duplicate => return,
                    MessageCheck::Fresh => {}
                }
            }
            self.is_authenticated = true;
            self.engine.note_use(key, now.unix);
            self.make_outlet(now, &mut inner);
            let inflated = inner.session.counters().gunzip_out;
            let read = self.read_requests(now, key, &mut inner.session, &opened, rng);
            let inflated = match &read {
                Err(_) => self.engine.most_inflated(opened.body().len()),
                Ok(_) => inner.session.counters().gunzip_out - inflated,
            };
            if inflated > 0 {
                self.engine.spend_inflated(key, self.peer, inflated, now);
            }
            inner.count_unacked();
            read
        };
        self.note_session(&attached);
        match read {
            Ok(Outcome { is_key_destroyed, received, http_wait, quick_ack }) => {
                if let Some(ownership) = attached.ownership() {
                    let name = SessionName { key: key.auth_key().id(), session: attached.session_id() };
                    self.engine.confirm(name, received, ownership);
                }
                if is_key_destroyed {
                    self.destroy_stored(key, &attached);
                }
                if ack == AckRequest::Quick && !self.is_http {
                    self.waiting.extend(quick_ack.map(Waiting::QuickAck));
                }
                self.http_wait = http_wait;
                // The session is not locked here, so that a handler may push to it and ask about it.
                let responses = self.call_handler(now, key, &attached, opened.body());
                self.answer(now, key, &attached, responses, rng);
            }
            Err(ServerError::Transport(code)) => self.end(Some(code)),
            Err(ServerError::Frame(error)) => self.refuse(&error),
            Err(_) => self.end(None),
        }
    }

    /// Sends a complaint about a frame over this connection.
    fn complain(
        &mut self,
        now: Now,
        session: &mut ServerSession,
        opened: &Opened<'_>,
        code: BadMsgCode,
        rng: &mut Drbg,
    ) {
        let mut frame = FrameBuf::new();
        if session.refuse(now, opened.header(), code, rng, &mut frame).is_some() {
            self.waiting.push_back(Waiting::Frame(frame));
        }
    }

    /// Lets the session check the frame, and keeps the requests that the handler has to see.
    fn read_requests(
        &mut self,
        now: Now,
        key: &Arc<KeyState>,
        session: &mut ServerSession,
        opened: &Opened<'_>,
        rng: &mut Drbg,
    ) -> Result<Outcome, ServerError> {
        let mut http_wait = None;
        let (mut destroyed, mut received) = (Vec::new(), Vec::new());
        let mut is_key_destroyed = false;
        let events = session.handle_opened(now, opened)?;
        let quick_ack = events.quick_ack();
        for event in events {
            match event {
                ServerEvent::Query { msg_id, body, .. } => {
                    self.requests.push_query(msg_id, body, opened.body());
                }
                ServerEvent::Dropped { req_msg_id } => self.requests.push_dropped(req_msg_id),
                ServerEvent::DestroySession { session_id } => destroyed.push(session_id),
                ServerEvent::Acked { tag, .. } => received.extend(tag),
                ServerEvent::HttpWait(wait) => http_wait = Some(wait),
                ServerEvent::DestroyAuthKey => is_key_destroyed = true,
                _ => {}
            }
        }
        for session_id in destroyed {
            // A session cannot destroy itself: the specification does not define what that would mean.
            let existed =
                session_id != session.session_id() && key.forget_session(session_id, opened.msg_id());
            session.respond_session_destroyed(session_id, existed);
        }
        let is_key_stored = is_key_destroyed && key.is_stored();
        if is_key_destroyed && !is_key_stored {
            session.respond_key_destroyed(KeyDestruction::Destroyed);
            // Nothing is sent under the key afterwards.
            flush(session, now, rng, &mut self.waiting);
            // The application is told later: the session is locked.
            lock(self.engine.key_table()).forget(key.auth_key().id());
        }
        Ok(Outcome { is_key_destroyed: is_key_stored, received, http_wait, quick_ack })
    }

    /// Removes the key from the directory, and answers then.
    fn destroy_stored(&self, key: &KeyState, attached: &Attached) {
        let answered = attached.clone();
        let answer = move |is_forgotten| {
            let destroyed = if is_forgotten { KeyDestruction::Destroyed } else { KeyDestruction::Failed };
            answered.respond_key_destroyed(destroyed);
        };
        if !self.engine.forget_stored(key.auth_key().id(), answer) {
            attached.respond_key_destroyed(KeyDestruction::Failed);
        }
    }

    /// Passes the requests of the frame with this body to the handler.
    fn call_handler(
        &mut self,
        now: Now,
        key: &Arc<KeyState>,
        attached: &Attached,
        frame: &[u8],
    ) -> Responses {
        let mut responses = Responses::default();
        let handler = self.engine.handler();
        let context = |msg_id| Context {
            now,
            msg_id,
            session: attached,
            engine: &self.engine,
            key,
            network: self.peer,
        };
        for request in self.requests.iter(frame) {
            match request {
                Request::Query { msg_id, body } => {
                    let activity = self.engine.activity();
                    add(&activity.queries, 1);
                    activity.query_bytes.record_len(body.len());
                    // A query without an answer would run indefinitely: its repetitions are duplicates.
                    let response = caught(|| answer_query(handler, &context(msg_id), body));
                    responses.push(
                        msg_id,
                        response.unwrap_or_else(|| {
                            add(&self.engine.refusals().panics, 1);
                            internal_error()
                        }),
                    );
                }
                Request::Dropped { req_msg_id } => {
                    add(&self.engine.activity().dropped, 1);
                    // The query has its answer already, whatever the handler does.
                    let _ = caught(|| handler.dropped(&context(req_msg_id)));
                }
            }
        }
        self.requests.clear();
        responses
    }

    fn answer(
        &mut self,
        now: Now,
        key: &KeyState,
        attached: &Attached,
        responses: Responses,
        rng: &mut Drbg,
    ) {
        let budgets = self.engine.options().budgets;
        let mut inner = attached.lock();
        for (query, response) in responses.first.into_iter().chain(responses.more) {
            response.count(self.engine.activity());
            let is_alone = matches!(response, QueryResponse::AnswerAlone(_));
            if is_alone {
                flush(&mut inner.session, now, rng, &mut self.waiting);
            }
            let room = inner.require_room(response.len(), &budgets);
            let answered = room.and_then(|()| apply(&mut inner.session, query, response));
            inner.count_unacked();
            if is_alone {
                flush(&mut inner.session, now, rng, &mut self.waiting);
            }
            if let Err(error) = answered {
                tracing::debug!(connection = self.number, %error, "session closed");
                add(&self.engine.refusals().unacked, 1);
                // What the client does not acknowledge would otherwise stay for as long as the session.
                let last = inner.session.last_received().unwrap_or(query);
                drop(inner);
                key.end_session(attached.session_id(), last);
                return self.end(None);
            }
        }
        // Another connection may have become the outlet while the handler ran: it does not know of the answers.
        let outlet = inner.outlet.as_ref().filter(|outlet| outlet.connection != self.number);
        let waker = outlet.map(|outlet| Arc::clone(&outlet.waker));
        drop(inner);
        if let Some(wake) = waker {
            wake();
        }
    }

    /// Makes this connection the one that a session sends to.
    fn make_outlet(&self, now: Now, inner: &mut Inner) {
        let (connection, is_http) = (self.number, self.is_http);
        let outlet = Outlet { connection, waker: Arc::clone(&self.waker), is_http, is_open: true };
        if inner.attach(outlet) {
            inner.session.handle_connected(now, self.tail);
        }
    }

    /// Moves a session to the end of the list of those that used this connection.
    fn note_session(&mut self, attached: &Attached) {
        let known = self.sessions.iter().position(|known| known.is_same(attached));
        if let Some(index) = known {
            self.sessions[index..].rotate_left(1);
        } else {
            if self.sessions.len() == MAX_SESSIONS {
                let oldest = self.sessions.remove(0);
                self.detach(&oldest);
            }
            self.sessions.push(attached.clone());
        }
    }

    /// Leaves the sessions of keys that have ended or were forgotten: nothing is sent under them (SEC-127).
    fn leave_ended_keys(&mut self, now: Now) {
        while let Some(ended) = self.sessions.iter().find(|attached| attached.is_over(now.unix)).cloned() {
            self.leave(&ended);
            if ended.is_lost() && self.sessions.is_empty() {
                // The client comes again, and is led to the session's owner.
                self.end(None);
            }
        }
    }

    fn leave(&mut self, attached: &Attached) {
        self.sessions.retain(|known| !known.is_same(attached));
        self.detach(attached);
    }

    fn detach(&self, attached: &Attached) {
        let mut inner = attached.lock();
        if inner.detach(self.number)
            && let Some(now) = self.last_input
        {
            inner.session.handle_disconnected(now);
            inner.count_unacked();
            let key_id = inner.session.auth_key().id();
            drop(inner);
            self.engine.note_detached(key_id, attached.session_id(), now);
        }
    }

    fn refuse(&mut self, error: &FrameError) {
        tracing::debug!(connection = self.number, %error, "frame refused");
        self.end(None);
    }

    fn end(&mut self, code: Option<TransportErrorCode>) {
        if !self.is_over {
            self.is_over = true;
            self.waiting.push_back(Waiting::End(code));
        }
    }
}

/// Calls the application. Returns `None` if it panics, which the panic hook has reported.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    // Nothing of the connection is borrowed mutably, and sessions are consistent whenever no lock on them is held.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).ok()
}

/// Returns whether a body may hold a packed object: its constructor id stands somewhere.
fn has_packed(body: &[u8]) -> bool {
    body.chunks_exact(4).any(|word| word == GZIP_PACKED.to_le_bytes())
}

/// Passes a query to the handler.
fn answer_query(handler: &dyn Handler, context: &Context<'_>, body: &[u8]) -> QueryResponse {
    if constructor_id(body) != Ok(BindTempAuthKey::CONSTRUCTOR_ID) {
        return handler.query(context, body);
    }
    match BindTempAuthKey::from_bytes(body) {
        Ok(request) => handler.bind_temp_auth_key(context, &request),
        Err(_) => QueryResponse::of_bind_error(BindError::EncryptedMessageInvalid),
    }
}

/// The answer to a query whose handler panicked.
fn internal_error() -> QueryResponse {
    QueryResponse::Error { code: 500, message: "INTERNAL_SERVER_ERROR".into() }
}

/// Takes out everything that the session has to send, so that the next message is alone in its envelope.
fn flush(session: &mut ServerSession, now: Now, rng: &mut Drbg, waiting: &mut VecDeque<Waiting>) {
    loop {
        let mut frame = FrameBuf::new();
        if session.poll_transmit(now, rng, &mut frame).is_none() {
            return;
        }
        waiting.push_back(Waiting::Frame(frame));
    }
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        for attached in std::mem::take(&mut self.sessions) {
            self.detach(&attached);
        }
    }
}

impl fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConnection").field("number", &self.number).finish_non_exhaustive()
    }
}
