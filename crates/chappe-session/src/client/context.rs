//! A message on its way through the layers around it.

use chappe_framing::{CONTAINER_HEADER_LEN, Container, MessageHeader};

use super::keys::KeySlot;
use crate::event_log::Span;
use crate::time::Now;

/// A message, or an object in it, with what its handling depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageContext<'a> {
    pub(super) now: Now,
    /// The key it came under.
    pub(super) slot: KeySlot,
    /// The id of the message and its number.
    pub(super) header: MessageHeader,
    /// The object, constructor id first.
    pub(super) body: &'a [u8],
    /// Where the object stands, for events.
    pub(super) span: Span,
    /// It stands in a container or a copy.
    pub(super) is_inner: bool,
    /// It was unpacked. Packed objects do not nest (SEC-97).
    pub(super) is_unpacked: bool,
}

impl<'a> MessageContext<'a> {
    /// Returns the part of the object from `start` on.
    pub(super) fn skip(self, start: usize) -> Self {
        let body = self.body.get(start..).unwrap_or_default();
        Self { body, span: self.span.skip(start), ..self }
    }

    /// Returns the same message with the object that was unpacked from its body.
    pub(super) const fn unpacked(self, body: &[u8], span: Span) -> MessageContext<'_> {
        let Self { now, slot, header, is_inner, .. } = self;
        MessageContext { now, slot, header, body, span, is_inner, is_unpacked: true }
    }

    /// Returns a message that stands in this one: `body` begins at `start`.
    pub(super) const fn inner(self, header: MessageHeader, body: &'a [u8], start: usize) -> Self {
        Self { header, body, span: self.span.part(start, body.len()), is_inner: true, ..self }
    }

    /// Lists the messages of a container, which is the body of this one.
    pub(super) fn members(self, container: &Container<'a>) -> impl Iterator<Item = Self> + use<'a> {
        let mut start = CONTAINER_HEADER_LEN;
        container.iter().map(move |message| {
            start += MessageHeader::LEN;
            let member = self.inner(message.header, message.body, start);
            start += message.body.len();
            member
        })
    }
}
