//! Messages that wait until the time is known.
//!
//! A message can be authenticated and still lie outside of the window of time, because the machine slept or a clock
//! stepped. Refusing it would lose an update; believing it would accept a replay. So it is held, a ping is sent, and
//! the time in the answer decides.
//!
//! Spec: <https://core.telegram.org/mtproto/security_guidelines#checking-msg-id>.

use alloc::vec::Vec;

use chappe_framing::MessageHeader;
use zeroize::Zeroize;

use super::keys::KeySlot;

/// Most messages that are held, and most bytes of them: what a server sends in the round trip of a ping.
const MOST_MESSAGES: usize = 64;
const MOST_BYTES: usize = 256 << 10;

/// Messages that are held.
#[derive(Debug, Default)]
pub(super) struct HeldMessages {
    pub(super) messages: Vec<HeldMessage>,
    bytes: usize,
    /// A message was lost because there was no room for it.
    pub(super) has_lost: bool,
    /// An answer to a message of ours came since: the clock is right.
    pub(super) is_time_known: bool,
}

/// A message that is held. Its body is wiped when it is dropped.
#[derive(Debug)]
pub(super) struct HeldMessage {
    pub(super) slot: KeySlot,
    pub(super) header: MessageHeader,
    pub(super) body: Vec<u8>,
}

impl HeldMessages {
    /// Holds a message if there is room for it.
    pub(super) fn hold(&mut self, slot: KeySlot, header: MessageHeader, body: &[u8]) {
        if self.messages.iter().any(|held| held.header.msg_id == header.msg_id) {
            return;
        }
        if self.messages.len() >= MOST_MESSAGES || self.bytes + body.len() > MOST_BYTES {
            self.has_lost = true;
            return;
        }
        self.bytes += body.len();
        self.messages.push(HeldMessage { slot, header, body: body.to_vec() });
    }
}

impl Drop for HeldMessage {
    fn drop(&mut self) {
        self.body.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use chappe_framing::{MsgId, SeqNo};

    use super::*;

    #[test]
    fn what_is_held_is_bounded_in_number_and_in_bytes() {
        for (len, most) in [(4, MOST_MESSAGES), (100 << 10, 2)] {
            let mut held = HeldMessages::default();
            let body = alloc::vec![0; len];
            for raw in 0..100 {
                let header =
                    MessageHeader { msg_id: MsgId::from_raw(4 * raw + 1), seq_no: SeqNo::from_raw(1) };
                held.hold(KeySlot::Current, header, &body);
            }
            assert_eq!((held.messages.len(), held.has_lost), (most, true));
        }
    }
}
