//! `msg_container`: several messages in one envelope.
//!
//! [`ContainerWriter`] writes a container into a [`FrameBuf`]. [`Container::new_checked`] checks a whole container before
//! it returns any message, so a container is accepted or refused as a whole.
//!
//! Not here: duplicate inner ids, which the session's window skips one by one.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#containers>.

use core::iter::FusedIterator;

use chappe_crypto::Side;

use crate::message::{MessageHeader, checked_body_len, constructor_id};
use crate::{FrameBuf, FrameError, MalformedFrame, MsgId, MsgOrigin, PeerMisbehaved, WriteError};

/// Constructor id of `msg_container`.
pub const MSG_CONTAINER: u32 = 0x73f1_f8dc;

/// Most messages in a container that is sent. Official clients stay below [`MAX_MESSAGES_ACCEPTED`] as well.
pub const MAX_MESSAGES_SENT: usize = 1020;

/// Most messages in a container that is accepted (SEC-93).
pub const MAX_MESSAGES_ACCEPTED: usize = 1024;

/// Length of the constructor id and the count, in front of the first message.
pub const CONTAINER_HEADER_LEN: usize = 8;

/// Writes a container after the content of a [`FrameBuf`].
///
/// ```
/// use chappe_framing::{ContainerWriter, FrameBuf, MessageHeader, MsgId, SeqNo};
///
/// let mut buf = FrameBuf::new();
/// let mut container = ContainerWriter::begin(&mut buf);
/// let header = MessageHeader { msg_id: MsgId::from_raw(4), seq_no: SeqNo::from_raw(1) };
/// container.push(header, &[0x6b, 0x18, 0xf9, 0xc4])?;
/// assert_eq!(container.highest(), Some(MsgId::from_raw(4)));
/// container.finish();
/// # Ok::<(), chappe_framing::WriteError>(())
/// ```
#[derive(Debug)]
#[must_use = "the number of messages is written by `finish`"]
pub struct ContainerWriter<'a> {
    buf: &'a mut FrameBuf,
    /// Length of `buf` in front of the container.
    start: usize,
    count: usize,
    highest: Option<MsgId>,
}

impl<'a> ContainerWriter<'a> {
    /// Starts an empty container. An empty container is valid; HTTP uses it.
    pub fn begin(buf: &'a mut FrameBuf) -> Self {
        let start = buf.len();
        buf.append(&MSG_CONTAINER.to_le_bytes());
        buf.append(&0_u32.to_le_bytes());
        Self { buf, start, count: 0, highest: None }
    }

    /// Returns the number of messages.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there is no message.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the length of the container in bytes.
    pub fn byte_len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Returns the highest id. The id of the container must be above it (SEC-95).
    pub const fn highest(&self) -> Option<MsgId> {
        self.highest
    }

    /// Appends a message.
    ///
    /// # Errors
    ///
    /// * [`WriteError::ContainerFull`] beyond [`MAX_MESSAGES_SENT`].
    /// * [`WriteError::UnsendableBody`] if the body's length is not one a message can have.
    /// * [`WriteError::NestedContainer`] if the body is a container (SEC-94).
    pub fn push(&mut self, header: MessageHeader, body: &[u8]) -> Result<(), WriteError> {
        if self.count == MAX_MESSAGES_SENT {
            return Err(WriteError::ContainerFull);
        }
        let header_bytes = header.to_bytes(body.len())?;
        if body.starts_with(&MSG_CONTAINER.to_le_bytes()) {
            return Err(WriteError::NestedContainer);
        }
        self.buf.append(&header_bytes);
        self.buf.append(body);
        self.count += 1;
        self.highest = self.highest.max(Some(header.msg_id));
        Ok(())
    }

    /// Appends a message whose body `write` appends to the buffer, without a copy.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push) and of `write`; the buffer then ends where it did before.
    pub fn push_with(
        &mut self,
        header: MessageHeader,
        write: impl FnOnce(&mut FrameBuf) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if self.count == MAX_MESSAGES_SENT {
            return Err(WriteError::ContainerFull);
        }
        let before = self.buf.len();
        let written = self.try_push_with(header, write);
        match written {
            Ok(()) => {
                self.count += 1;
                self.highest = self.highest.max(Some(header.msg_id));
            }
            Err(_) => self.buf.truncate(before),
        }
        written
    }

    fn try_push_with(
        &mut self,
        header: MessageHeader,
        write: impl FnOnce(&mut FrameBuf) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.buf.append_zeroed(MessageHeader::LEN);
        let body_at = self.buf.len();
        write(self.buf)?;
        let body = self.buf.as_slice().get(body_at..).unwrap_or_default();
        let header_bytes = header.to_bytes(body.len())?;
        if body.starts_with(&MSG_CONTAINER.to_le_bytes()) {
            return Err(WriteError::NestedContainer);
        }
        self.buf.as_mut_slice()[body_at - MessageHeader::LEN..body_at].copy_from_slice(&header_bytes);
        Ok(())
    }

    /// Writes the number of messages and returns it.
    pub fn finish(self) -> usize {
        let count_at = self.start + 4;
        self.buf.as_mut_slice()[count_at..][..4].copy_from_slice(&(self.count as u32).to_le_bytes());
        self.count
    }
}

/// A container that passed all checks.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    messages: &'a [u8],
    count: usize,
}

/// A message inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerMessage<'a> {
    /// Its identifier and number.
    pub header: MessageHeader,
    /// The object.
    pub body: &'a [u8],
}

impl<'a> Container<'a> {
    /// Checks a whole container that `from` sent as message `msg_id`. `object` starts with the constructor id.
    ///
    /// # Errors
    ///
    /// The container is refused as a whole if
    /// * its count, a length, or its end is wrong (SEC-93),
    /// * a container stands in it (SEC-94),
    /// * an inner id is not below its own, or has low bits that `from` does not use (SEC-95).
    pub fn new_checked(object: &'a [u8], msg_id: MsgId, from: Side) -> Result<Self, FrameError> {
        let (header, messages) = object
            .split_first_chunk::<CONTAINER_HEADER_LEN>()
            .ok_or(MalformedFrame::TooShort { len: object.len(), min: CONTAINER_HEADER_LEN })?;
        let (id, claimed) = read_container_header(*header);
        if id != MSG_CONTAINER {
            return Err(MalformedFrame::UnexpectedConstructor { id }.into());
        }
        let count = match usize::try_from(claimed) {
            Ok(count) if count <= MAX_MESSAGES_ACCEPTED => count,
            _ => return Err(MalformedFrame::BadContainerCount { claimed }.into()),
        };
        let mut rest = messages;
        for _ in 0..count {
            let message = split_message(&mut rest)?;
            check_inner(&message, msg_id, from)?;
        }
        if !rest.is_empty() {
            return Err(MalformedFrame::TrailingBytes { len: rest.len() }.into());
        }
        Ok(Self { messages, count })
    }

    /// Returns the number of messages.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there is no message.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the messages in wire order.
    pub const fn iter(&self) -> Messages<'a> {
        Messages { rest: self.messages }
    }
}

impl<'a> IntoIterator for Container<'a> {
    type Item = InnerMessage<'a>;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Container<'a> {
    type Item = InnerMessage<'a>;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.iter()
    }
}

/// The messages of a [`Container`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = InnerMessage<'a>;

    #[inline]
    fn next(&mut self) -> Option<InnerMessage<'a>> {
        // `new_checked` has checked every message, so the split fails only at the end.
        split_message(&mut self.rest).ok()
    }
}

impl FusedIterator for Messages<'_> {}

fn read_container_header(bytes: [u8; CONTAINER_HEADER_LEN]) -> (u32, i32) {
    let [i0, i1, i2, i3, c0, c1, c2, c3] = bytes;
    (u32::from_le_bytes([i0, i1, i2, i3]), i32::from_le_bytes([c0, c1, c2, c3]))
}

/// Cuts one message off the front of `rest`.
#[inline]
fn split_message<'a>(rest: &mut &'a [u8]) -> Result<InnerMessage<'a>, FrameError> {
    let (header, behind) = rest
        .split_first_chunk::<{ MessageHeader::LEN }>()
        .ok_or(MalformedFrame::TooShort { len: rest.len(), min: MessageHeader::LEN })?;
    let (header, claimed) = MessageHeader::from_bytes(header);
    let len = checked_body_len(claimed, behind.len())?;
    let (body, behind) = behind.split_at(len);
    *rest = behind;
    Ok(InnerMessage { header, body })
}

#[inline]
fn check_inner(message: &InnerMessage<'_>, container: MsgId, from: Side) -> Result<(), FrameError> {
    let msg_id = message.header.msg_id;
    // A container is numbered after the messages in it, so its id is the highest.
    // <https://core.telegram.org/mtproto/service_messages#simple-container>
    if msg_id >= container {
        return Err(PeerMisbehaved::InnerIdNotLower { msg_id }.into());
    }
    let written_by_from = match from {
        Side::Client => msg_id.origin() == Some(MsgOrigin::Client),
        Side::Server => msg_id.origin().is_some_and(MsgOrigin::is_server),
    };
    if !written_by_from {
        return Err(PeerMisbehaved::BadOrigin { msg_id }.into());
    }
    match constructor_id(message.body)? {
        // Containers do not nest, so the walk over messages needs no recursion.
        id @ MSG_CONTAINER => Err(PeerMisbehaved::Nested { id }.into()),
        _ => Ok(()),
    }
}
