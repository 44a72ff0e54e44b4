//! The parts of a session that messages change, and what each message changes.
//!
//! Not here: how a frame is taken apart ([`super::reception`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use chappe_framing::{MessageHeader, MsgId, ServerSalt, UnixTime};
use chappe_tl_mtproto::types;
use chappe_types::{BadMsgCode, Rule};

use super::ServerConfig;
use super::event::{Record, ServerEvent};
use super::inbox::{Inbox, MessageCheck};
use super::link::Link;
use super::outbox::Outbox;
use super::outgoing::{Content, DroppedAnswer};
use super::rate_limit::RateLimit;
use super::salts::SessionSalts;
use crate::MAX_IDS_PER_LIST;
use crate::counters::Counters;
use crate::event_log::{EventLog, Span};
use crate::service::{Ids, Service, Status, encode};
use crate::time::Now;

/// Code and text of the `rpc_error` that answers a query whose outcome is not known: an earlier owner of the session may have
/// executed it. Clients repeat queries by themselves after 420, 500 and negative codes, but not after this one.
pub const QUERY_SETTLED: (i32, &str) = (409, "QUERY_OUTCOME_UNKNOWN");

/// Lists of salts that a client may ask for in ten seconds. One lasts for hours; of more, each answer has one salt.
const MAX_SALT_LISTS: u16 = 16;

/// What messages change.
pub(super) struct SessionState {
    pub(super) config: Arc<ServerConfig>,
    /// What `new_session_created` tells the client (SEC-91).
    pub(super) unique_id: i64,
    pub(super) salts: SessionSalts,
    pub(super) link: Link,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) complaints: RateLimit,
    pub(super) salt_lists: RateLimit,
    pub(super) log: EventLog<Record>,
    pub(super) counters: Counters,
}

/// Queries, and messages that are refused.
impl SessionState {
    /// Checks the outer message of a frame, its salt included. Changes nothing.
    pub(super) fn check_outer(
        &self,
        now: UnixTime,
        salt: ServerSalt,
        msg_id: MsgId,
        constructor: u32,
    ) -> MessageCheck {
        match self.inbox.check_outer(&self.config, now, msg_id, constructor) {
            MessageCheck::Fresh if !self.salts.accept(now, salt) => {
                MessageCheck::Refused(BadMsgCode::BadServerSalt)
            }
            check => self.recall_answer(check, msg_id),
        }
    }

    /// A query that the window has forgotten was received if its answer is still here: a client that is told 20 would
    /// send it again under a new id, and it would run twice.
    pub(super) fn recall_answer(&self, check: MessageCheck, msg_id: MsgId) -> MessageCheck {
        match check {
            MessageCheck::Refused(BadMsgCode::TooOld) if self.outbox.queue.has_answer(msg_id) => {
                MessageCheck::Duplicate
            }
            check => check,
        }
    }

    /// Tells the client that the server has made a new session for it (SEC-90).
    pub(super) fn announce(&mut self, first_msg_id: MsgId) {
        if self.outbox.announce(first_msg_id, self.unique_id) {
            self.log.push(Record::Plain(ServerEvent::Created));
        }
    }

    /// Shows a query to the owner, unless too many run already.
    pub(super) fn on_query(&mut self, now: Now, header: MessageHeader, body: Span) {
        if self.inbox.running() >= self.config.running_queries {
            return self.refuse_query(header);
        }
        self.inbox.accept_query(header, now.mono, &self.config);
        let MessageHeader { msg_id, seq_no } = header;
        self.log.push(Record::Query { msg_id, seq_no, body });
    }

    /// Answers a query that exceeds `running_queries` instead of showing it (SEC-175).
    ///
    /// Only the query is refused: acknowledgements, pings and state requests in the same frame still count, or the
    /// client could neither free memory here nor learn what runs. It is answered with an `rpc_error`, since that says
    /// that the query was not executed, and clients wait and retry on `FLOOD_WAIT_1` by themselves.
    fn refuse_query(&mut self, header: MessageHeader) {
        self.counters.refused.count(Rule::new(175));
        let error = types::RpcError { error_code: 420, error_message: "FLOOD_WAIT_1".into() };
        if self.answer(header.msg_id, encode(&error)) {
            self.inbox.remember(header, Status::ANSWERED);
        }
        // Without room for an answer the query counts as not received: the client asks for its state and repeats it.
    }

    /// Forgets the queries of a frame that turned out to be faulty: they are not shown, so they were not received.
    pub(super) fn withdraw_queries(&mut self) {
        let msg_id = |record: &Record| match record {
            Record::Query { msg_id, .. } => Some(*msg_id),
            Record::Plain(_) => None,
        };
        self.inbox.withdraw(self.log.records.iter().filter_map(msg_id).collect());
        self.log.clear();
    }

    /// A message came a second time, so its answer may be lost. A large one is announced, a small one sent again.
    pub(super) fn on_duplicate(&mut self, now: Now, header: MessageHeader, body: &[u8]) {
        self.counters.duplicates += 1;
        self.inbox.ack_now(header, now.mono);
        // A service message needs no answer. A packed object is a query, as far as clients go.
        if self.is_unanswered(header.msg_id) && matches!(Service::read(body), Ok(None)) {
            return self.settle(header.msg_id);
        }
        let Some((answer_msg_id, answer)) = self.outbox.queue.sent_answer(header.msg_id) else {
            return;
        };
        let len = answer.content.len();
        if len <= self.config.large_answer {
            self.outbox.queue.repeat(answer_msg_id);
            return;
        }
        let info = types::MsgDetailedInfo {
            msg_id: header.msg_id.to_raw(),
            answer_msg_id: answer_msg_id.to_raw(),
            bytes: len as i32,
            status: i32::from(self.status_of(header.msg_id).0),
        };
        self.outbox.reply(&info);
    }

    /// Returns whether a message was for an earlier owner of the session, and has no answer here.
    fn is_unanswered(&self, msg_id: MsgId) -> bool {
        self.inbox.is_settled(msg_id) && !self.outbox.queue.has_answer(msg_id)
    }

    /// Answers a query that an earlier owner of the session may have executed.
    fn settle(&mut self, query: MsgId) {
        let (error_code, error_message) = QUERY_SETTLED;
        self.answer(query, encode(&types::RpcError { error_code, error_message: error_message.into() }));
    }

    /// Tells the client what is wrong with a message, if it has not been told too often.
    pub(super) fn complain(&mut self, now: Now, message: MessageHeader, code: BadMsgCode) {
        if let Some(complaint) = self.complaint(now, message, code) {
            self.outbox.reply_encoded(complaint);
        }
    }

    /// Counts a refused message; returns the complaint unless the client has been told too often.
    pub(super) fn complaint(
        &mut self,
        now: Now,
        MessageHeader { msg_id, seq_no }: MessageHeader,
        code: BadMsgCode,
    ) -> Option<Vec<u8>> {
        self.counters.refused.count(code.rule());
        if !self.complaints.allows(now.mono, self.config.complaints) {
            return None;
        }
        let (bad_msg_id, bad_msg_seqno, error_code) = (msg_id.to_raw(), seq_no.to_raw(), code.to_raw());
        Some(if code == BadMsgCode::BadServerSalt {
            let new_server_salt = self.salts.current(now.unix).to_raw();
            encode(&types::BadServerSalt { bad_msg_id, bad_msg_seqno, error_code, new_server_salt })
        } else {
            encode(&types::BadMsgNotification { bad_msg_id, bad_msg_seqno, error_code })
        })
    }
}

/// Service messages.
impl SessionState {
    pub(super) fn on_service(&mut self, now: Now, msg_id: MsgId, service: Service<'_>) {
        match service {
            Service::MsgsAck(ids) => self.on_acks(ids),
            Service::StateReq(ids) => self.reply_states(msg_id, ids),
            Service::ResendReq(ids) => self.resend(msg_id, ids),
            Service::Ping { ping_id, disconnect_delay } => {
                if let Some(delay) = disconnect_delay {
                    self.link.close_after(now.mono, delay, self.config.disconnect_delay);
                }
                self.outbox.reply(&types::Pong { msg_id: msg_id.to_raw(), ping_id });
            }
            Service::GetFutureSalts { count } => {
                // A list of 64 salts costs 64 hashes, and a container asks for a thousand lists in 24 KiB.
                let count = if self.salt_lists.allows(now.mono, MAX_SALT_LISTS) { count } else { 1 };
                self.outbox.reply(&self.salts.future(now.unix, msg_id, count));
            }
            Service::DropAnswer { req_msg_id } => self.drop_answer(msg_id, req_msg_id),
            Service::DestroySession { session_id } => {
                self.log.push(Record::Plain(ServerEvent::DestroySession { session_id }));
            }
            Service::DestroyAuthKey => self.log.push(Record::Plain(ServerEvent::DestroyAuthKey)),
            Service::HttpWait(wait) => {
                self.log.push(Record::Plain(ServerEvent::HttpWait(wait.clamped())));
            }
            // The client's answers to questions of ours, and what only a server sends.
            _ => {}
        }
    }

    /// Returns whether a list may be so long, and counts it if not (SEC-103).
    fn is_list_allowed(&mut self, ids: Ids<'_>) -> bool {
        let is_allowed = ids.len() <= MAX_IDS_PER_LIST;
        if !is_allowed {
            self.counters.refused.count(Rule::new(103));
        }
        is_allowed
    }

    fn on_acks(&mut self, ids: Ids<'_>) {
        if !self.is_list_allowed(ids) {
            return;
        }
        for msg_id in ids.iter() {
            if let Some(content) = self.outbox.queue.ack(msg_id) {
                self.log.push(Record::Plain(ServerEvent::Acked { msg_id, tag: content.tag() }));
            }
        }
    }

    fn reply_states(&mut self, msg_id: MsgId, ids: Ids<'_>) {
        if self.is_list_allowed(ids) {
            let mut info = Vec::with_capacity(ids.len());
            for id in ids.iter() {
                if self.is_unanswered(id) {
                    self.settle(id);
                }
                let status = self.status_of(id);
                if status == Status(Status::UNKNOWN) {
                    self.inbox.deny(id);
                }
                info.push(status.0);
            }
            self.outbox.reply(&types::MsgsStateInfo { req_msg_id: msg_id.to_raw(), info });
        }
    }

    /// Returns what is known of a message of the client.
    fn status_of(&self, msg_id: MsgId) -> Status {
        match self.inbox.status_of(msg_id) {
            Status(Status::UNKNOWN | Status::NOT_RECEIVED) if self.outbox.queue.has_answer(msg_id) => {
                Status(Status::RECEIVED | Status::ANSWERED)
            }
            status => status,
        }
    }

    /// Sends messages again. If one of them is unknown, replies with the states of all instead (SEC-105).
    fn resend(&mut self, msg_id: MsgId, ids: Ids<'_>) {
        if !self.is_list_allowed(ids) {
            return;
        }
        let queue = &mut self.outbox.queue;
        if ids.iter().all(|id| queue.get(id).is_some()) {
            ids.iter().for_each(|id| queue.repeat(id));
        } else {
            self.counters.refused.count(Rule::new(105));
            self.reply_states(msg_id, ids);
        }
    }

    fn drop_answer(&mut self, msg_id: MsgId, req_msg_id: MsgId) {
        let answer = if self.inbox.is_running(req_msg_id) {
            self.inbox.end_query(req_msg_id);
            self.log.push(Record::Plain(ServerEvent::Dropped { req_msg_id }));
            let answer = encode(&types::RpcAnswerDroppedRunning {});
            // The dropped query itself gets the same answer:
            // https://core.telegram.org/mtproto/service_messages#cancellation-of-an-rpc-query
            self.answer(req_msg_id, answer.clone());
            answer
        } else if let Some(DroppedAnswer { msg_id, seq_no, bytes }) =
            self.outbox.queue.drop_answer(req_msg_id)
        {
            let (msg_id, seq_no) = (msg_id.to_raw(), seq_no.to_raw());
            encode(&types::RpcAnswerDropped { msg_id, seq_no, bytes: bytes as i32 })
        } else {
            encode(&types::RpcAnswerUnknown {})
        };
        self.answer(msg_id, answer);
    }

    /// Queues a small `rpc_result` of the session's own; returns whether there was room (SEC-175).
    fn answer(&mut self, query: MsgId, object: Vec<u8>) -> bool {
        let has_room = self.outbox.queue.len() < self.config.unacked_messages;
        if has_room {
            self.outbox.queue.push(Content::Answer { query, object, tag: None });
        } else {
            self.counters.refused.count(Rule::new(175));
        }
        has_room
    }
}
