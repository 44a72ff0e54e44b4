//! Taking frames: open, check, and hand each message to whom it concerns.
//!
//! The order of checks is that of the specification: key, `msg_key`, lengths, session, low bits,
//! duplicates, age. A message that answers a recent one of ours is believed whatever our clock says, and
//! repairs it; otherwise the window would refuse the very message that tells the right time.

use chappe_crypto::Side;
use chappe_framing::{
    Container, FrameError, GZIP_PACKED, GzipPacked, MSG_CONTAINER, MessageHeader, MsgId, MsgOrigin, Opened,
    PeerMisbehaved, RPC_RESULT, RPC_RESULT_HEADER_LEN, RpcResult, auth_key_id, constructor_id, open,
};
use chappe_types::Rule;

use super::epoch::Epoch;
use super::event::{Events, Record, Span};
use super::transmit::Under;
use super::{ClientSession, Link, ReceiveError, new_inflater};
use crate::service::{MSG_COPY, Service};
use crate::time::Now;
use crate::unpack::unpack;
use crate::window::{Age, Seen};

/// Where a message came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) now: Now,
    pub(super) under: Under,
    /// How many packed objects it stands in.
    depth: u8,
    is_inner: bool,
}

/// Length of the id and count of a container, and of the header of a message in it.
const CONTAINER_HEADER_LEN: usize = 8;
const MESSAGE_HEADER_LEN: usize = 16;

impl ClientSession {
    /// Takes a frame from the transport, decrypts it in place, and returns the events in it.
    ///
    /// # Errors
    ///
    /// Fails if the frame is not in order (SEC-61 to SEC-70, SEC-75, SEC-93 to SEC-97): the connection must
    /// be closed. Duplicates, old messages and the like are no errors; they are counted.
    pub fn handle_frame<'a>(&'a mut self, now: Now, frame: &'a mut [u8]) -> Result<Events<'a>, ReceiveError> {
        if let Some(events) = self.events.present_mut() {
            events.begin();
        }
        let limits = &self.config.limits;
        if self.events.records.len() >= limits.events || self.events.scratch.len() > limits.unpacked_bytes {
            return Err(ReceiveError::EventsWaiting);
        }
        if let Err(error) = self.receive(now, frame) {
            self.counters.refused.count(error.rule());
            // Messages in front of the faulty one were handled: the caller hears of them by `events`.
            if let Some(events) = self.events.present_mut() {
                events.outlive(frame);
            }
            return Err(error.into());
        }
        Ok(self.take_events(frame))
    }

    fn receive(&mut self, now: Now, frame: &mut [u8]) -> Result<(), FrameError> {
        let Link::Up { tail } = self.link else {
            return Ok(());
        };
        let max = self.config.limits.received_bytes;
        if frame.len() > max {
            return Err(PeerMisbehaved::UnpackedTooLarge { limit: max }.into());
        }
        let under = self.key_of(frame)?;
        let Some(epoch) = self.epoch(under) else {
            return Ok(());
        };
        let opened = open(&epoch.key, Side::Server, tail, frame)?;
        self.counters.frames_received += 1;
        if !self.is_for_us(under, &opened)? {
            self.counters.refused.count(Rule::new(68));
            return Ok(());
        }
        opened.require_origin(Side::Server)?;
        self.live.on_received(now.mono);
        let origin = Origin { now, under, depth: 0, is_inner: false };
        let span = Span::Frame { start: opened.body_range().start as u32, len: opened.body().len() as u32 };
        let container = container_in(&opened)?;
        if !self.is_plausible(now, &opened, container.as_ref()) {
            self.counters.refused.count(Rule::new(80));
            return Ok(());
        }
        match container {
            Some(container) if self.is_new(origin, opened.header()) => {
                self.on_container(origin, &container, span)
            }
            Some(_) => Ok(()),
            None => self.on_message(origin, opened.header(), opened.body(), span),
        }
    }

    /// Finds the key a frame is for.
    fn key_of(&self, frame: &[u8]) -> Result<Under, FrameError> {
        let got = auth_key_id(frame)?;
        if got.is_zero() {
            return Err(PeerMisbehaved::PlainNotAllowed.into());
        }
        let fits = |epoch: &Option<alloc::boxed::Box<Epoch>>| {
            epoch.as_ref().is_some_and(|epoch| epoch.key.id() == got)
        };
        if fits(&self.current) {
            Ok(Under::Current)
        } else if fits(&self.previous) {
            Ok(Under::Previous)
        } else {
            Err(PeerMisbehaved::UnknownAuthKey { got }.into())
        }
    }

    pub(super) fn epoch(&mut self, under: Under) -> Option<&mut Epoch> {
        match under {
            Under::Current => self.current.as_deref_mut(),
            Under::Previous => self.previous.as_deref_mut(),
        }
    }

    /// Tells whether a message is for the session in use (SEC-68). One for a session that ended not long ago
    /// is dropped without a word: the server could not know.
    fn is_for_us(&mut self, under: Under, opened: &Opened<'_>) -> Result<bool, FrameError> {
        let got = opened.session_id();
        let Some(epoch) = self.epoch(under) else {
            return Ok(false);
        };
        if epoch.session_id == Some(got) {
            return Ok(true);
        }
        if epoch.was_session(got) { Ok(false) } else { Err(PeerMisbehaved::ForeignSession { got }.into()) }
    }

    /// Checks the age of a message once the clock is right (SEC-80), unless it answers us (SEC-81).
    fn is_plausible(&self, now: Now, opened: &Opened<'_>, container: Option<&Container<'_>>) -> bool {
        if !self.clock.is_synchronized() {
            return true;
        }
        let age = self.config.limits.age.check(opened.msg_id(), self.clock.at(now.mono));
        age == Age::Plausible || self.answers_us(opened.body(), container)
    }

    fn answers_us(&self, body: &[u8], container: Option<&Container<'_>>) -> bool {
        let answers = |body: &[u8]| {
            let was_sent = |msg_id: MsgId| self.sent.get(msg_id).is_some();
            if let Ok(result) = RpcResult::new_checked(body) {
                return was_sent(result.req_msg_id());
            }
            Service::read(body).is_ok_and(|read| read.is_some_and(|service| service.refers_to(was_sent)))
        };
        match container {
            Some(container) => container.iter().any(|message| answers(message.body)),
            None => answers(body),
        }
    }

    /// Takes one message, from a frame or from a container: duplicates, acknowledgement, content.
    fn on_message(
        &mut self,
        origin: Origin,
        header: MessageHeader,
        body: &[u8],
        span: Span,
    ) -> Result<(), FrameError> {
        if self.is_new(origin, header) { self.on_body(origin, header.msg_id, body, span) } else { Ok(()) }
    }

    /// Tells whether a message was not seen before, remembers it, and notes what is owed for it.
    fn is_new(&mut self, origin: Origin, MessageHeader { msg_id, seq_no }: MessageHeader) -> bool {
        let limits = &self.config.limits;
        let epoch = match origin.under {
            Under::Current => self.current.as_deref_mut(),
            Under::Previous => self.previous.as_deref_mut(),
        };
        let Some(epoch) = epoch else {
            return false;
        };
        let seen = epoch.window.insert(msg_id, ());
        // Every content-related message is acknowledged, a duplicate again, and one that cannot be read too
        // (SEC-76, SEC-102).
        if seq_no.is_content_related() {
            epoch.acks.push(msg_id, origin.now.mono, limits.ack_delay, limits.acks);
        }
        match seen {
            Seen::Fresh => return true,
            Seen::Duplicate => {
                self.counters.duplicates += 1;
                self.counters.refused.count(Rule::new(76));
            }
            Seen::TooOld => self.counters.refused.count(Rule::new(77)),
        }
        false
    }

    pub(super) fn on_body(
        &mut self,
        origin: Origin,
        msg_id: MsgId,
        body: &[u8],
        span: Span,
    ) -> Result<(), FrameError> {
        match constructor_id(body)? {
            id @ MSG_CONTAINER if origin.is_inner => Err(PeerMisbehaved::Nested { id }.into()),
            MSG_CONTAINER => {
                self.on_container(origin, &Container::new_checked(body, msg_id, Side::Server)?, span)
            }
            GZIP_PACKED => self.with_unpacked(origin, body, |session, origin, body, span| {
                session.on_body(origin, msg_id, body, span)
            }),
            RPC_RESULT => {
                self.counters.messages_received += 1;
                let result = RpcResult::new_checked(body)?;
                let span = span.skip(RPC_RESULT_HEADER_LEN);
                self.on_rpc_result(origin, msg_id, result.req_msg_id(), result.result(), span)
            }
            _ => {
                self.counters.messages_received += 1;
                if let Some(service) = Service::read(body)? {
                    self.on_service(origin, msg_id, service, span)
                } else {
                    self.events.push(Record::Update(msg_id, span));
                    Ok(())
                }
            }
        }
    }

    fn on_container(
        &mut self,
        origin: Origin,
        container: &Container<'_>,
        span: Span,
    ) -> Result<(), FrameError> {
        let origin = Origin { is_inner: true, ..origin };
        let mut at = CONTAINER_HEADER_LEN;
        for message in container {
            at += MESSAGE_HEADER_LEN;
            let span = span.part(at, message.body.len());
            at += message.body.len();
            self.on_message(origin, message.header, message.body, span)?;
        }
        Ok(())
    }

    /// Unpacks an object into the scratch and has it handled there.
    pub(super) fn with_unpacked(
        &mut self,
        origin: Origin,
        packed: &[u8],
        handle: impl FnOnce(&mut Self, Origin, &[u8], Span) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        if origin.depth > 0 {
            return Err(PeerMisbehaved::Nested { id: GZIP_PACKED }.into());
        }
        let packed = GzipPacked::new_checked(packed)?;
        let inflater = self.inflater.get_or_insert_with(new_inflater);
        let (events, most) = (&mut *self.events, self.config.limits.unpacked_bytes);
        let place = unpack(&packed, inflater, &mut events.scratch, most, &mut self.counters)?;
        // Nothing is unpacked while the scratch is lent out, since packed objects do not nest.
        let scratch = core::mem::take(&mut self.events.scratch);
        let span = Span::Scratch { start: place.start as u32, len: place.len() as u32 };
        let handled = handle(self, Origin { depth: 1, ..origin }, &scratch[place], span);
        self.events.scratch = scratch;
        handled
    }

    /// `msg_copy`: a message of the server repeated under another id.
    pub(super) fn on_copy(
        &mut self,
        origin: Origin,
        header: MessageHeader,
        body: &[u8],
        span: Span,
    ) -> Result<(), FrameError> {
        // A copy is of a message that was sent once by itself; copies of copies could go on for ever.
        if constructor_id(body)? == MSG_COPY {
            return Err(PeerMisbehaved::Nested { id: MSG_COPY }.into());
        }
        let is_servers = header.msg_id.origin().is_some_and(MsgOrigin::is_server);
        if !is_servers {
            return Err(PeerMisbehaved::BadOrigin { msg_id: header.msg_id }.into());
        }
        self.on_message(Origin { is_inner: true, ..origin }, header, body, span)
    }
}

/// A container is checked whole, before any of its messages counts (SEC-93 to SEC-95).
fn container_in<'a>(opened: &Opened<'a>) -> Result<Option<Container<'a>>, FrameError> {
    if constructor_id(opened.body())? != MSG_CONTAINER {
        return Ok(None);
    }
    Container::new_checked(opened.body(), opened.msg_id(), Side::Server).map(Some)
}
