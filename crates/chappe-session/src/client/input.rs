//! Input but frames: connections, errors of the transport, time.

use chappe_crypto::QuickAckToken;
use chappe_framing::TransportTail;
use chappe_types::TransportErrorCode;

use super::epoch::SaltsAsked;
use super::keys::Sign;
use super::{CallFailure, ClientSession, Event, Link, ReconnectReason};
use crate::QUIET;
use crate::time::Now;

/// Input: connections and time. Frames are in `receive`.
impl ClientSession {
    /// A connection is up. `tail` says whether its transport leaves padding behind frames.
    ///
    /// The state of calls that were under way is asked for first.
    pub fn handle_connected(&mut self, now: Now, tail: TransportTail) {
        if self.is_connected() {
            self.handle_disconnected(now);
        }
        self.link = Link::Up { tail };
        self.live.on_connected(now.mono);
        self.ask_about_uncertain();
        self.want_temporary_key(now);
    }

    /// The connection is gone. Calls that were under way stay pending.
    pub fn handle_disconnected(&mut self, _now: Now) {
        self.link = Link::Down;
        if let Some(service) = self.service.present_mut() {
            service.forget_connection();
        }
        // The next connection is for the key in use; nothing more will come under the one before.
        self.previous = None;
        if let Some(epoch) = self.current.as_mut()
            && matches!(epoch.salts_asked, SaltsAsked::At(_))
        {
            epoch.salts_asked = SaltsAsked::Never;
        }
        self.doubt_what_was_sent();
    }

    /// The transport reported an error instead of a frame, such as -404 or -429.
    ///
    /// Nobody vouches for it, so no key is ever given up for it (SEC-134).
    pub fn handle_transport_error(&mut self, now: Now, code: TransportErrorCode) {
        if code != TransportErrorCode::UnknownAuthKey {
            self.events.plain(Event::Reconnect(ReconnectReason::TransportError(code)));
            return;
        }
        self.on_key_sign(now, Sign::NotFound);
        self.events.plain(Event::Reconnect(ReconnectReason::TransportError(code)));
    }

    /// The transport delivered a quick acknowledgement. Unknown tokens are ignored (SEC-133).
    pub fn handle_quick_ack(&mut self, _now: Now, token: QuickAckToken) {
        // Several calls may have travelled in one packet.
        while let Some(place) = self.service.quick_acks.iter().position(|entry| entry.0 == token) {
            let Some((_, call)) = self.service.quick_acks.remove(place) else {
                return;
            };
            if self.is_pending(call) {
                self.events.plain(Event::QuickAcked { call });
            }
        }
    }

    /// Time has passed: to be called when [`poll_timeout`](Self::poll_timeout) says so, or at any time.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(call) = self.outbox.present_mut().and_then(|outbox| outbox.pop_timed_out(now.mono)) {
            self.drop_answer(call);
            self.fail(call, CallFailure::TimedOut);
        }
        if self.is_connected() {
            self.ask_about_unacknowledged(now);
            if self.live.is_dead(self.liveness(), now.mono) {
                self.handle_disconnected(now);
                self.events.plain(Event::Reconnect(ReconnectReason::Silence));
            }
        }
        self.want_temporary_key(now);
        self.forget_previous_key(now);
        self.compact(now);
        self.release_memory(now);
    }

    /// A session that has been quiet for a while holds no buffers: there may be many like it.
    fn release_memory(&mut self, now: Now) {
        let is_idle = self.outbox.pending() == 0 && self.service.is_idle();
        if !is_idle || !self.live.is_quiet(now.mono, QUIET) {
            return;
        }
        self.outbox.release();
        self.service.release();
        self.drop_sent(now, QUIET, 0);
        self.sent.release();
        if self.events.is_idle() {
            self.events.release();
        }
        (self.inflater, self.deflater) = (None, None);
        if let Some(epoch) = self.current.as_mut() {
            epoch.acks.release();
        }
    }
}
