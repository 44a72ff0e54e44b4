//! What waits for a session in the store.

use chappe_framing::MsgId;
use chappe_session::server::Unacked;

/// The first byte of an entry.
const UPDATE: u8 = 1;
const ANSWER: u8 = 2;

/// A message for the client of a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Update(Vec<u8>),
    Answer(MsgId, Vec<u8>),
}

impl Entry {
    /// Returns what must be stored of an unacknowledged message. `None` if it is stored already.
    pub(crate) fn of_unacked(message: Unacked) -> Option<Self> {
        match message {
            Unacked::Update { object, tag: None } => Some(Self::Update(object)),
            Unacked::Answer { query, object, tag: None } => Some(Self::Answer(query, object)),
            _ => None,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Update(object) => [&[UPDATE], &object[..]].concat(),
            Self::Answer(query, object) => [&[ANSWER][..], &query.to_bytes(), object].concat(),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&UPDATE, object) => Some(Self::Update(object.to_vec())),
            (&ANSWER, rest) => {
                let (query, object) = rest.split_first_chunk()?;
                Some(Self::Answer(MsgId::from_bytes(*query), object.to_vec()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let entries = [Entry::Update(vec![1, 2, 3, 4]), Entry::Answer(MsgId::from_raw(1 << 60), vec![5; 8])];
        for entry in entries {
            assert_eq!(Entry::from_bytes(&entry.to_bytes()), Some(entry));
        }
        for broken in [&[][..], &[0], &[3, 1], &[ANSWER, 1, 2, 3]] {
            assert_eq!(Entry::from_bytes(broken), None);
        }
    }
}
