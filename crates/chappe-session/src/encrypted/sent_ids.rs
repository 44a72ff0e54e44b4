//! The ids of messages that were sent recently.

use alloc::collections::VecDeque;

use chappe_framing::MsgId;

/// How many ids are kept.
const CAPACITY: usize = 512;

/// The ids of the last messages sent, so that a complaint about one of them is believed and one about any other id is
/// not (SEC-82).
#[derive(Clone, Debug, Default)]
pub(super) struct SentIds {
    /// Ascending.
    ids: VecDeque<MsgId>,
}

impl SentIds {
    /// Adds an id, which must be higher than all before; forgets the lowest beyond the capacity.
    pub(super) fn push(&mut self, msg_id: MsgId) {
        if self.ids.len() == CAPACITY {
            self.ids.pop_front();
        }
        self.ids.push_back(msg_id);
    }

    pub(super) fn contains(&self, msg_id: MsgId) -> bool {
        self.ids.binary_search(&msg_id).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_known_and_no_others() {
        let mut sent = SentIds::default();
        (0..=CAPACITY as i64).for_each(|step| sent.push(MsgId::from_raw(4 * step)));
        let known = [0, 1, 4, 4 * CAPACITY as i64].map(|raw| sent.contains(MsgId::from_raw(raw)));
        assert_eq!(known, [false, false, true, true]);
        assert_eq!(sent.ids.len(), CAPACITY);
    }
}
