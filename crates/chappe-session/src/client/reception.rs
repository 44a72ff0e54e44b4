//! A frame that is being handled: opened, checked, and taken apart into messages.
//!
//! The order of checks is that of the specification: key, `msg_key`, lengths, session, low bits, duplicates, age. A
//! message that answers a recent one of ours is believed whatever our clock says, and repairs it; otherwise the window
//! would refuse the very message that carries the right time.
//!
//! Not here: what a message changes ([`super::session_state`]).
//!
//! Spec: <https://core.telegram.org/mtproto/security_guidelines#checking-msg-id>,
//! <https://core.telegram.org/mtproto/service_messages#containers>.

use chappe_crypto::Side;
use chappe_framing::{
    Container, FrameError, GZIP_PACKED, GzipPacked, MSG_CONTAINER, MessageHeader, MsgId, MsgOrigin, Opened,
    PeerMisbehaved, RPC_RESULT, RPC_RESULT_HEADER_LEN, RpcResult, auth_key_id, constructor_id, open,
};
use chappe_types::Rule;

use super::context::MessageContext;
use super::events::{Event, Record};
use super::exchange::Exchange;
use super::held::HeldMessage;
use super::keys::KeySlot;
use super::sent::SentKind;
use super::session_state::SessionState;
use crate::event_log::Span;
use crate::gzip::Gzip;
use crate::service::{MSG_COPY, Service, question_of};
use crate::time::Now;
use crate::window::{Age, Seen};

/// Where the body of `msg_copy` starts: behind its id and the header of the copied message.
const COPY_AT: usize = 4 + MessageHeader::LEN;

/// A frame that is being handled, and what it touches.
pub(super) struct Reception<'s> {
    pub(super) now: Now,
    pub(super) state: &'s mut SessionState,
    pub(super) gzip: &'s mut Gzip,
}

impl Reception<'_> {
    /// Handles a frame; its events are left in the log.
    pub(super) fn receive(mut self, frame: &mut [u8]) -> Result<(), FrameError> {
        let now = self.now;
        let Some(tail) = self.state.link else {
            return Ok(());
        };
        let max = self.state.config.limits.received_bytes;
        if frame.len() > max {
            return Err(PeerMisbehaved::UnpackedTooLarge { limit: max }.into());
        }
        let got = auth_key_id(frame)?;
        if got.is_zero() {
            return Err(PeerMisbehaved::PlainNotAllowed.into());
        }
        let slot = self.state.keys.slot_of(got).ok_or(PeerMisbehaved::UnknownAuthKey { got })?;
        let Some(session) = self.state.keys.get_mut(slot) else {
            return Ok(());
        };
        let opened = open(&session.key, Side::Server, tail, frame)?;
        self.state.exchange.counters.frames_received += 1;
        let got = opened.session_id();
        if session.session_id != Some(got) {
            // A session that ended not long ago is no attack: the server could not know.
            if !session.was_session(got) {
                return Err(PeerMisbehaved::ForeignSession { got }.into());
            }
            self.state.exchange.counters.refused.count(Rule::new(68));
            return Ok(());
        }
        opened.require_origin(Side::Server)?;
        let container = container_in(&opened)?;
        if !self.is_plausible(&opened, container.as_ref()) {
            self.state.exchange.counters.refused.count(Rule::new(80));
            let (header, body) = (opened.header(), opened.body());
            self.hold(slot, header, body);
            return Ok(());
        }
        // Only now: a message that is held must not delay the ping that tells the time. A frame that was seen before may
        // be a recording, and proves nothing.
        if !self.has_seen(slot, opened.msg_id()) {
            self.state.live.on_received(now.mono);
            if slot == KeySlot::Current {
                self.state.keys.on_proven();
            }
        }
        let span = Span::Frame { start: opened.body_range().start as u32, len: opened.body().len() as u32 };
        let (header, body) = (opened.header(), opened.body());
        let message = MessageContext { now, slot, header, body, span, is_inner: false, is_unpacked: false };
        match container {
            // What is in a container that was seen was seen with it.
            Some(container) => {
                if self.take(&message) != Seen::Duplicate {
                    self.on_container(&message, &container)?;
                }
            }
            None => self.on_message(&message)?,
        }
        self.release_held()
    }

    /// Holds a message whose time is implausible, and asks the server for the time.
    fn hold(&mut self, slot: KeySlot, header: MessageHeader, body: &[u8]) {
        if self.has_seen(slot, header.msg_id) {
            // A replay: there is nothing in it that could be lost.
            return;
        }
        self.state.held.get_or_insert_default().hold(slot, header, body);
        if !self.state.live.awaits_pong() {
            self.state.live.request_ping();
        }
    }

    /// Handles the messages that waited for the time, once it is known. What is still implausible is lost.
    fn release_held(&mut self) -> Result<(), FrameError> {
        let Some(held) = self.state.held.take_if(|held| held.is_time_known) else {
            return Ok(());
        };
        let (mut is_lost, mut handled) = (held.has_lost, Ok(()));
        for HeldMessage { slot, header, body } in &held.messages {
            let age = self.state.config.limits.age.check(header.msg_id, self.state.clock.at(self.now.mono));
            // An error closes the connection, and one of these messages may have ended the key of another.
            if handled.is_err() || age != Age::Plausible || self.state.keys.get_mut(*slot).is_none() {
                is_lost = true;
                continue;
            }
            let first = self.state.exchange.events.len();
            let span = Span::Frame { start: 0, len: body.len() as u32 };
            let (slot, header) = (*slot, *header);
            handled = self.on_message(&MessageContext {
                now: self.now,
                slot,
                header,
                body,
                span,
                is_inner: false,
                is_unpacked: false,
            });
            self.state.exchange.events.outlive(first, body);
        }
        if is_lost {
            self.state.exchange.events.plain(Event::UpdatesMayBeMissing);
        }
        handled
    }

    /// Checks the age of a message once the clock is right (SEC-80), unless it answers us (SEC-81).
    fn is_plausible(&self, opened: &Opened<'_>, container: Option<&Container<'_>>) -> bool {
        if !self.state.clock.is_synchronized() {
            return true;
        }
        let age = self.state.config.limits.age.check(opened.msg_id(), self.state.clock.at(self.now.mono));
        if age == Age::Plausible {
            return true;
        }
        let answers = |body: &[u8]| {
            question_of(body, |msg_id| self.state.exchange.sent.get(msg_id).is_some()).is_some()
        };
        match container {
            Some(container) => container.iter().any(|message| answers(message.body)),
            None => answers(opened.body()),
        }
    }

    /// Returns whether a message was seen before, or may have been.
    fn has_seen(&mut self, slot: KeySlot, msg_id: MsgId) -> bool {
        self.state.keys.get_mut(slot).is_none_or(|session| session.inbox.has_seen(msg_id))
    }

    /// Remembers a message, and returns whether it was seen before.
    #[inline]
    fn take(&mut self, message: &MessageContext<'_>) -> Seen {
        let (limits, counters) = (&self.state.config.limits, &mut self.state.exchange.counters);
        match self.state.keys.get_mut(message.slot) {
            Some(session) => session.inbox.take(message.header, message.now.mono, limits, counters),
            None => Seen::Duplicate,
        }
    }

    /// Handles one message, from a frame or from a container.
    fn on_message(&mut self, message: &MessageContext<'_>) -> Result<(), FrameError> {
        match self.take(message) {
            Seen::Fresh => self.on_body(message),
            Seen::Duplicate => Ok(()),
            Seen::TooOld => self.on_too_old(message),
        }
    }

    /// Handles a message that may have been seen, since it is older than everything remembered (SEC-77).
    ///
    /// It was acknowledged and does not come again, so it must not be dropped without a word. The answer to a call that
    /// still waits was certainly not seen.
    #[cold]
    fn on_too_old(&mut self, message: &MessageContext<'_>) -> Result<(), FrameError> {
        if let Ok(result) = RpcResult::new_checked(message.body) {
            let is_awaited = match self.state.exchange.sent.get(result.req_msg_id()).map(|sent| sent.kind) {
                Some(SentKind::Call(call)) => self.state.exchange.is_pending(call),
                _ => false,
            };
            return if is_awaited { self.on_body(message) } else { Ok(()) };
        }
        if message.header.seq_no.is_content_related() && self.must_report(message) {
            self.state.exchange.events.plain(Event::UpdatesMayBeMissing);
        }
        Ok(())
    }

    fn must_report(&mut self, message: &MessageContext<'_>) -> bool {
        self.state
            .keys
            .get_mut(message.slot)
            .is_some_and(|session| session.inbox.report(message.header.msg_id))
    }

    fn on_body(&mut self, message: &MessageContext<'_>) -> Result<(), FrameError> {
        let body = message.body;
        match constructor_id(body)? {
            id @ MSG_CONTAINER if message.is_inner => Err(PeerMisbehaved::Nested { id }.into()),
            MSG_CONTAINER => {
                let container = Container::new_checked(body, message.header.msg_id, Side::Server)?;
                self.on_container(message, &container)
            }
            GZIP_PACKED => self.with_unpacked(message, |reception, message| reception.on_body(&message)),
            RPC_RESULT => {
                self.state.exchange.counters.messages_received += 1;
                let result = RpcResult::new_checked(body)?;
                self.on_result(&message.skip(RPC_RESULT_HEADER_LEN), result.req_msg_id())
            }
            _ => {
                self.state.exchange.counters.messages_received += 1;
                match Service::read(body)? {
                    Some(Service::Copy { original, seq_no, body }) => {
                        let original = MessageHeader { msg_id: original, seq_no };
                        return self.on_copy(message.inner(original, body, COPY_AT));
                    }
                    Some(service) => self.state.on_service(message, service),
                    None => {
                        let update = Record::Update(message.header.msg_id, message.span);
                        self.state.exchange.events.push(update);
                    }
                }
                Ok(())
            }
        }
    }

    /// Handles the result of a query; `result` is the object in `rpc_result`.
    #[inline]
    fn on_result(&mut self, result: &MessageContext<'_>, req_msg_id: MsgId) -> Result<(), FrameError> {
        let id = constructor_id(result.body)?;
        if id == GZIP_PACKED {
            return self.with_unpacked(result, |reception, result| reception.on_result(&result, req_msg_id));
        }
        self.state.on_result(result, id, req_msg_id)
    }

    fn on_container<'a>(
        &mut self,
        message: &MessageContext<'a>,
        container: &Container<'a>,
    ) -> Result<(), FrameError> {
        message.members(container).try_for_each(|member| self.on_message(&member))
    }

    /// Unpacks an object into the scratch, and handles it there.
    fn with_unpacked(
        &mut self,
        message: &MessageContext<'_>,
        handle: impl FnOnce(&mut Self, MessageContext<'_>) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        if message.is_unpacked {
            return Err(PeerMisbehaved::Nested { id: GZIP_PACKED }.into());
        }
        let packed = GzipPacked::new_checked(message.body)?;
        let most = self.state.config.limits.unpacked_bytes;
        let Exchange { events, counters, .. } = &mut self.state.exchange;
        let place = self.gzip.unpack(&packed, &mut events.scratch, most, counters)?;
        // Nothing is unpacked while the scratch is lent out, since packed objects do not nest.
        let scratch = core::mem::take(&mut self.state.exchange.events.scratch);
        let span = Span::Scratch { start: place.start as u32, len: place.len() as u32 };
        let handled = handle(self, message.unpacked(&scratch[place], span));
        self.state.exchange.events.scratch = scratch;
        handled
    }

    /// `msg_copy`: a message of the server repeated under another id.
    fn on_copy(&mut self, copied: MessageContext<'_>) -> Result<(), FrameError> {
        // A copy is of a message that was sent once by itself; copies of copies could go on indefinitely.
        if constructor_id(copied.body)? == MSG_COPY {
            return Err(PeerMisbehaved::Nested { id: MSG_COPY }.into());
        }
        let msg_id = copied.header.msg_id;
        if !msg_id.origin().is_some_and(MsgOrigin::is_server) {
            return Err(PeerMisbehaved::BadOrigin { msg_id }.into());
        }
        self.on_message(&copied)
    }
}

/// A container is checked whole, before any of its messages counts (SEC-93 to SEC-95).
fn container_in<'a>(opened: &Opened<'a>) -> Result<Option<Container<'a>>, FrameError> {
    if constructor_id(opened.body())? != MSG_CONTAINER {
        return Ok(None);
    }
    Container::new_checked(opened.body(), opened.msg_id(), Side::Server).map(Some)
}
