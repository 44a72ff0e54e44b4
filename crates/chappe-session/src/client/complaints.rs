//! Complaints of the server: every code of `bad_msg_notification`, and new sessions begun because of them.
//!
//! A call is never sent again alone under its old id (SEC-106). Loops are broken by counting: attempts of a call,
//! complaints, and sessions without an answer in between (SEC-86).
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#notice-of-ignored-error-message>.

use alloc::vec::Vec;
use core::time::Duration;

use chappe_framing::{MsgId, MsgIdGenerator};
use chappe_types::{BadMsgCode, Rule};

use super::call::Repeat;
use super::receive::Origin;
use super::sent::{Sent, What};
use super::transmit::Under;
use super::{CallFailure, ClientSession, Event, ReconnectReason};
use crate::service::BadMsg;
use crate::time::Now;

/// Complaints in a row after which the connection is given up.
const MAX_COMPLAINTS: u8 = 64;

/// How far ahead of the server's clock the last id may be after the clock was set back; above it the
/// server would refuse every further id, so a new session is begun at once.
const MAX_AHEAD: Duration = Duration::from_secs(20);

impl ClientSession {
    /// `bad_msg_notification` and `bad_server_salt`; believed only about recent messages (SEC-82).
    pub(super) fn on_bad_msg(&mut self, origin: Origin, notification: MsgId, bad: BadMsg) {
        let Some(sent) = self.sent.get(bad.bad_msg_id) else {
            self.counters.refused.count(Rule::new(82));
            return;
        };
        let now = origin.now;
        let mut hit: Vec<Sent> = self.sent.members(sent.msg_id).collect();
        hit.reverse();
        hit.push(sent);
        match bad.code {
            BadMsgCode::BadServerSalt => {
                let (Some(salt), seconds) = (bad.new_salt, self.clock.seconds(now.mono)) else {
                    return;
                };
                if let Some(epoch) = self.epoch(origin.under) {
                    epoch.salts.supersede(salt, seconds);
                }
                let change = self.clock.observe_answer(now.mono, notification, sent.msg_id);
                self.note_clock(now, change);
                self.send_again(&hit, bad.code);
            }
            BadMsgCode::MsgIdTooLow => {
                let change = self.clock.reset(now.mono, notification);
                self.note_clock(now, change);
                self.send_again(&hit, bad.code);
                if self.ids_run_ahead(now) {
                    self.begin_session(now, bad.code, origin.under);
                }
            }
            BadMsgCode::MsgIdTooHigh => {
                let change = self.clock.reset(now.mono, notification);
                self.note_clock(now, change);
                self.send_again(&hit, bad.code);
                self.begin_session(now, bad.code, origin.under);
            }
            BadMsgCode::TooOld => self.send_again_if_allowed(&hit),
            BadMsgCode::InvalidContainer => {
                for member in &hit {
                    if let What::Call(call) = member.what
                        && let Some(slot) = self.outbox.get_mut(call)
                    {
                        slot.alone = true;
                    }
                }
                self.send_again(&hit, bad.code);
            }
            // The messages of the first container under the id may have been executed.
            BadMsgCode::ContainerIdReused => self.begin_session(now, bad.code, origin.under),
            BadMsgCode::WrongLowBits
            | BadMsgCode::SeqNoTooLow
            | BadMsgCode::SeqNoTooHigh
            | BadMsgCode::EvenSeqNoExpected
            | BadMsgCode::OddSeqNoExpected => {
                self.send_again(&hit, bad.code);
                self.begin_session(now, bad.code, origin.under);
            }
            code => {
                for member in &hit {
                    if let What::Call(call) = member.what {
                        self.fail(call, CallFailure::Refused { code });
                    }
                }
                self.events.plain(Event::Reconnect(ReconnectReason::Refused));
            }
        }
        self.count_complaint();
    }

    /// Breaks a loop of complaints that no new session ended (SEC-86).
    pub(super) fn count_complaint(&mut self) {
        self.complaints = self.complaints.saturating_add(1);
        if self.complaints >= MAX_COMPLAINTS {
            self.complaints = 0;
            self.fail_all(CallFailure::SessionRefused);
            self.events.plain(Event::Reconnect(ReconnectReason::Refused));
        }
    }

    pub(super) fn ids_run_ahead(&self, now: Now) -> bool {
        let limit = self.clock.at(now.mono).saturating_add(MAX_AHEAD);
        self.ids.last().is_some_and(|last| last.time() > limit)
    }

    /// Sends messages again that the server certainly refused.
    pub(super) fn send_again(&mut self, hit: &[Sent], code: BadMsgCode) {
        let attempts = self.config.limits.attempts;
        let mut calls = Vec::new();
        for sent in hit {
            match sent.what {
                // The complaint may be about an earlier frame with it than the last: its state will be asked for.
                What::Call(call) if self.outbox.get(call).is_some_and(|slot| slot.kept_id) => {}
                What::Call(call) if self.is_latest(call, sent.msg_id) => {
                    if self.outbox.get(call).is_some_and(|slot| slot.attempts >= attempts) {
                        let failure = if matches!(
                            code,
                            BadMsgCode::BadServerSalt | BadMsgCode::MsgIdTooLow | BadMsgCode::MsgIdTooHigh
                        ) {
                            CallFailure::TooManyAttempts
                        } else {
                            CallFailure::Refused { code }
                        };
                        self.fail_or_rebind(call, failure);
                    } else {
                        calls.push(call);
                    }
                }
                _ => self.ask_again(*sent),
            }
        }
        self.requeue(&calls);
    }

    /// Code 20: the server cannot tell whether it received the message (SEC-107).
    pub(super) fn send_again_if_allowed(&mut self, hit: &[Sent]) {
        let mut allowed = Vec::new();
        for sent in hit {
            match sent.what {
                What::Call(call)
                    if self.outbox.get(call).is_some_and(|slot| slot.repeat == Repeat::Never) =>
                {
                    self.fail(call, CallFailure::Uncertain);
                }
                _ => allowed.push(*sent),
            }
        }
        self.send_again(&allowed, BadMsgCode::TooOld);
    }

    /// Begins a new session: everything unanswered is sent again there, unless it may not be.
    pub(super) fn begin_session(&mut self, now: Now, code: BadMsgCode, under: Under) {
        if under == Under::Previous {
            // Its session is of no use any more, and neither is the key: nothing new goes there.
            self.previous = None;
            return;
        }
        self.resets = self.resets.saturating_add(1);
        self.counters.sessions_reset += 1;
        if matches!(code, BadMsgCode::MsgIdTooLow | BadMsgCode::MsgIdTooHigh) {
            // The ids were too high; lower ones are allowed in a new session and only there.
            self.ids = MsgIdGenerator::new();
        }
        if let Some(epoch) = self.current.as_mut() {
            epoch.retire_session();
        }
        self.sent.clear();
        self.era = self.era.wrapping_add(1);
        if let Some(service) = self.service.present_mut() {
            service.forget_session();
        }
        self.live.on_connected(now.mono);
        self.previous = None;
        if self.resets > self.config.limits.session_resets {
            self.resets = 0;
            self.fail_all(CallFailure::SessionRefused);
            self.events.plain(Event::Reconnect(ReconnectReason::Refused));
            return;
        }
        self.repeat_or_fail(self.sent_calls(|_| true));
    }
}
