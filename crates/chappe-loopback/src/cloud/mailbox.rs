//! The messages and updates of one account.
//!
//! Spec: <https://core.telegram.org/api/updates>.

use std::collections::VecDeque;

use chappe_tl::{Serializable as _, Sink as _};

use super::account::{UserId, id_of_layer};

/// Messages that an account keeps. The oldest are forgotten.
const MAX_MESSAGES: usize = 100_000;

/// A message, as one of the two sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMessage {
    /// Its number, which differs for sender and receiver.
    pub id: i32,
    /// The other one.
    pub peer: UserId,
    /// Whether the owner of the mailbox wrote it.
    pub is_outgoing: bool,
    /// Unix time, in seconds.
    pub date: i32,
    /// The text.
    pub text: String,
}

/// A message and the update that it came with.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) pts: i32,
    pub(crate) message: StoredMessage,
    random_id: Option<i64>,
}

/// The messages of an account.
#[derive(Debug)]
pub(crate) struct Mailbox {
    entries: VecDeque<Entry>,
    pts: i32,
    last_id: i32,
    read_up_to: i32,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { entries: VecDeque::new(), pts: 1, last_id: 0, read_up_to: 0 }
    }
}

impl Mailbox {
    pub(crate) const fn pts(&self) -> i32 {
        self.pts
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &StoredMessage> {
        self.entries.iter().map(|entry| &entry.message)
    }

    /// Returns the message that was sent with this `random_id`: a client that repeats a call must not send it again.
    pub(super) fn with_random_id(&self, random_id: i64) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.random_id == Some(random_id))
    }

    pub(super) fn push(&mut self, message: StoredMessage, random_id: Option<i64>) -> Entry {
        self.pts += 1;
        self.last_id += 1;
        let message = StoredMessage { id: self.last_id, ..message };
        let entry = Entry { pts: self.pts, message, random_id };
        if self.entries.len() == MAX_MESSAGES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry.clone());
        entry
    }

    /// Returns the entries that came after `pts`, at most so many.
    pub(crate) fn since(&self, pts: i32, most: usize) -> Vec<Entry> {
        self.entries.iter().filter(|entry| entry.pts > pts).take(most).cloned().collect()
    }

    /// Returns whether everything after `pts` is still known.
    pub(crate) fn reaches_back_to(&self, pts: i32) -> bool {
        self.entries.front().is_none_or(|first| first.pts <= pts.saturating_add(1)) || pts >= self.pts
    }

    /// Returns the messages with a peer, or with all, the newest first.
    pub(crate) fn history(&self, peer: Option<UserId>) -> impl Iterator<Item = &StoredMessage> {
        let is_meant = move |message: &&StoredMessage| peer.is_none_or(|peer| message.peer == peer);
        self.entries.iter().rev().map(|entry| &entry.message).filter(is_meant)
    }

    /// Notes that messages up to this one are read. Returns `pts` and how many updates that is.
    pub(crate) fn read(&mut self, up_to: i32) -> (i32, i32) {
        self.read_up_to = self.read_up_to.max(up_to);
        (self.pts, 0)
    }

    pub(crate) fn unread(&self) -> i32 {
        let unread = self.messages().filter(|message| !message.is_outgoing && message.id > self.read_up_to);
        i32::try_from(unread.count()).unwrap_or(i32::MAX)
    }
}

/// Constructor ids of `message`, as those of `user`.
const MESSAGE_IDS: [(i32, u32); 4] =
    [(0, 0x3811_6ee0), (186, 0x9434_5242), (222, 0x9cb4_90e9), (229, 0x7600_b9d3)];

/// The layer from which on `message` has a second flags word.
const SECOND_FLAGS: i32 = 186;

/// Writes `message` of a layer, of the mailbox of `owner`.
pub(crate) fn encode_message(message: &StoredMessage, owner: UserId, layer: i32, out: &mut Vec<u8>) {
    const OUT: u32 = 1 << 1;
    const FROM_ID: u32 = 1 << 8;
    let from = if message.is_outgoing { owner } else { message.peer };
    out.put(&id_of_layer(&MESSAGE_IDS, layer).to_le_bytes());
    out.put(&(FROM_ID | if message.is_outgoing { OUT } else { 0 }).to_le_bytes());
    if layer >= SECOND_FLAGS {
        out.put(&0_u32.to_le_bytes());
    }
    out.put(&message.id.to_le_bytes());
    for peer in [from, message.peer] {
        out.put(&0x5951_1722_u32.to_le_bytes()); // peerUser
        out.put(&peer.to_le_bytes());
    }
    out.put(&message.date.to_le_bytes());
    // `State::send` has bounded its length.
    let _ = message.text.serialize(out);
}

#[cfg(test)]
mod tests {
    use chappe_tl::table::Decoded;
    use chappe_tl_api::{LAYER, enums};

    use super::*;

    fn message(text: &str) -> StoredMessage {
        StoredMessage { id: 0, peer: 9, is_outgoing: true, date: 100, text: text.into() }
    }

    #[test]
    fn a_message_of_the_current_layer_is_one() {
        let mut bytes = Vec::new();
        encode_message(&StoredMessage { id: 5, ..message("hello") }, 7, LAYER, &mut bytes);
        let decoded = Decoded::<enums::Message<'static>>::from_vec(bytes).expect("the layer's message");
        let enums::Message::Message(decoded) = decoded.get() else { panic!("{decoded:?}") };
        assert_eq!((decoded.id, decoded.out, decoded.date, decoded.message), (5, true, 100, "hello"));
    }

    #[test]
    fn updates_are_numbered_and_found_again() {
        let mut mailbox = Mailbox::default();
        for text in ["a", "b", "c"] {
            mailbox.push(message(text), Some(text.len() as i64));
        }
        assert_eq!(mailbox.pts(), 4);
        let since: Vec<_> = mailbox.since(2, 10).into_iter().map(|entry| entry.message.text).collect();
        assert_eq!(since, ["b", "c"]);
        assert_eq!(mailbox.since(1, 2).len(), 2);
        assert!(mailbox.reaches_back_to(1) && !mailbox.reaches_back_to(0));
        let history: Vec<_> = mailbox.history(Some(9)).map(|message| message.id).collect();
        assert_eq!(history, [3, 2, 1]);
    }
}
