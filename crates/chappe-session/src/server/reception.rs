//! A frame that is being handled: checked, and taken apart into messages.
//!
//! Not here: what a message changes ([`super::session_state`]).
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#containers>.

use chappe_crypto::Side;
use chappe_framing::{
    CONTAINER_HEADER_LEN, Container, FrameError, GZIP_PACKED, GzipPacked, MSG_CONTAINER, MessageHeader,
    Opened, PeerMisbehaved, constructor_id,
};
use chappe_types::BadMsgCode;

use super::ServerError;
use super::inbox::MessageCheck;
use super::session_state::SessionState;
use crate::event_log::Span;
use crate::gzip::Gzip;
use crate::service::{Service, Status};
use crate::time::Now;

/// A frame that is being handled, and what it touches.
pub(super) struct Reception<'s> {
    pub(super) now: Now,
    pub(super) state: &'s mut SessionState,
    pub(super) gzip: &'s mut Gzip,
}

/// A message of a frame, and where its body is.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    header: MessageHeader,
    body: &'a [u8],
    span: Span,
}

impl Reception<'_> {
    /// Handles a frame; returns whether it was accepted.
    pub(super) fn on_frame(mut self, opened: &Opened<'_>) -> Result<bool, ServerError> {
        let (header, body) = (opened.header(), opened.body());
        let constructor = constructor_id(body)?;
        match self.state.check_outer(self.now.unix, opened.salt(), header.msg_id, constructor) {
            MessageCheck::Fresh => {}
            MessageCheck::Duplicate if constructor == MSG_CONTAINER => {
                self.state.counters.duplicates += 1;
                return Ok(true);
            }
            MessageCheck::Duplicate => {
                self.state.on_duplicate(self.now, header, body);
                return Ok(true);
            }
            MessageCheck::Refused(code) => {
                self.state.complain(self.now, header, code);
                return Ok(false);
            }
        }
        let span = Span::Frame { start: 0, len: body.len() as u32 };
        if constructor != MSG_CONTAINER {
            self.state.announce(header.msg_id);
            self.on_message(Incoming { header, body, span })?;
            return Ok(true);
        }
        // A container is checked whole before any of its messages counts (SEC-93 to SEC-95).
        let Ok(container) = Container::new_checked(body, header.msg_id, Side::Client) else {
            self.state.complain(self.now, header, BadMsgCode::InvalidContainer);
            return Ok(false);
        };
        self.state.announce(container.iter().map(|inner| inner.header.msg_id).min().unwrap_or(header.msg_id));
        let mut at = CONTAINER_HEADER_LEN;
        for inner in &container {
            at += MessageHeader::LEN;
            let span = span.part(at, inner.body.len());
            at += inner.body.len();
            self.on_message(Incoming { header: inner.header, body: inner.body, span })?;
        }
        self.state.inbox.remember(header, Status::NEEDS_NO_ACK);
        Ok(true)
    }

    /// Handles one message, alone in the frame or in a container.
    fn on_message(&mut self, message: Incoming<'_>) -> Result<(), ServerError> {
        let Incoming { header, body, .. } = message;
        let constructor = constructor_id(body)?;
        let check = self.state.inbox.check_message(self.state.config.policy, header, constructor);
        match self.state.recall_answer(check, header.msg_id) {
            MessageCheck::Fresh => {}
            MessageCheck::Duplicate => {
                self.state.on_duplicate(self.now, header, body);
                return Ok(());
            }
            MessageCheck::Refused(code) => {
                self.state.complain(self.now, header, code);
                return Ok(());
            }
        }
        self.state.counters.messages_received += 1;
        if constructor == GZIP_PACKED { self.on_packed(message) } else { self.on_object(message) }
    }

    fn on_packed(&mut self, message: Incoming<'_>) -> Result<(), ServerError> {
        let packed = GzipPacked::new_checked(message.body)?;
        let most = self.state.config.unpacked_bytes;
        let place = self.gzip.unpack(&packed, &mut self.state.log.scratch, most, &mut self.state.counters)?;
        // Nothing is unpacked while the scratch is lent out, since packed objects do not nest.
        let scratch = core::mem::take(&mut self.state.log.scratch);
        let span = Span::Scratch { start: place.start as u32, len: place.len() as u32 };
        let body = &scratch[place];
        let handled = match constructor_id(body) {
            Ok(id @ MSG_CONTAINER) => Err(FrameError::from(PeerMisbehaved::Nested { id }).into()),
            _ => self.on_object(Incoming { body, span, ..message }),
        };
        self.state.log.scratch = scratch;
        handled
    }

    fn on_object(&mut self, message: Incoming<'_>) -> Result<(), ServerError> {
        let Some(service) = Service::read(message.body).map_err(FrameError::from)? else {
            self.state.on_query(self.now, message.header, message.span);
            return Ok(());
        };
        self.state.inbox.remember(message.header, 0);
        if !service.is_answered() {
            self.state.inbox.ack_now(message.header, self.now.mono);
        }
        self.state.on_service(self.now, message.header.msg_id, service);
        Ok(())
    }
}
