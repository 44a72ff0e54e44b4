//! Taking frames of a client: check, show queries, complain.

use alloc::vec::Vec;
use chappe_framing::{
    AcceptedFormat, Container, FrameError, GZIP_PACKED, GzipPacked, Inflater, MSG_CONTAINER, MessageHeader,
    MsgId, Opened, PeerMisbehaved, SeqNo, constructor_id, open,
};

use chappe_crypto::Side;
use chappe_tl::{Identifiable, Sink};
use chappe_tl_mtproto::types;
use chappe_types::{BadMsgCode, Rule, TransportErrorCode};

use super::checks::Verdict;
use super::event::{Bytes, Record, ServerEvent, ServerEvents};
use super::service::has_answer;
use super::{Link, Policy, ServerError, ServerSession};
use crate::MAX_IDS_PER_LIST;
use crate::service::{Service, Status};
use crate::time::Now;
use crate::unpack::unpack;

/// How often a client may be told that something is wrong, within this time.
const COMPLAINT_PERIOD: core::time::Duration = core::time::Duration::from_secs(10);

impl ServerSession {
    /// Takes a frame of the client: decrypts it in place, checks it, and returns what it asks for.
    ///
    /// # Errors
    ///
    /// Says whether to close the connection or to answer with a transport error.
    pub fn handle_frame<'a>(
        &'a mut self,
        now: Now,
        frame: &'a mut [u8],
    ) -> Result<ServerEvents<'a>, ServerError> {
        let Link::Up { tail } = self.link else {
            // The frame is of a connection that is gone.
            self.log.clear();
            return Ok(ServerEvents { records: [].iter(), body: &[], scratch: &[], quick_ack: None });
        };
        let opened = open(&self.key, Side::Client, tail, frame)?;
        self.handle_opened(now, &opened)
    }

    /// Takes a frame that was opened already, to find out which session it is for.
    ///
    /// # Errors
    ///
    /// As for [`handle_frame`](Self::handle_frame).
    pub fn handle_opened<'a>(
        &'a mut self,
        now: Now,
        opened: &Opened<'a>,
    ) -> Result<ServerEvents<'a>, ServerError> {
        self.log.clear();
        self.last_frame = now.mono;
        if opened.require_named_session().is_err() {
            self.counters.refused.count(Rule::new(69));
            return Err(ServerError::Transport(TransportErrorCode::UnknownAuthKey));
        }
        opened.require_session(self.session_id)?;
        self.counters.frames_received += 1;
        let accepted = self.on_packet(now, opened).inspect_err(|_| self.forget_unseen())?;
        Ok(ServerEvents {
            records: self.log.records.iter(),
            body: opened.body(),
            scratch: &self.log.scratch,
            quick_ack: accepted.then(|| opened.quick_ack()),
        })
    }

    /// Queries in front of a faulty message of the same frame are not shown to anybody, so they were not received.
    fn forget_unseen(&mut self) {
        let is_query = |record: &Record| match record {
            Record::Query(msg_id, ..) => Some(*msg_id),
            Record::Plain(_) => None,
        };
        let mut unseen: Vec<MsgId> = self.log.records.iter().filter_map(is_query).collect();
        unseen.sort_unstable();
        for msg_id in &unseen {
            self.running.remove(msg_id);
            // It keeps its place in the window: a gap would let something older in that was forgotten.
            if let Some(received) = self.received.note_mut(*msg_id) {
                received.status = Status(Status::NOT_RECEIVED);
            }
        }
        self.acks.retain(|id| unseen.binary_search(&id).is_err());
        self.log.clear();
    }

    fn on_packet(&mut self, now: Now, opened: &Opened<'_>) -> Result<bool, ServerError> {
        let MessageHeader { msg_id, seq_no } = opened.header();
        let body = opened.body();
        let constructor = constructor_id(body)?;
        match self.judge_outer(now, msg_id, opened.salt(), constructor) {
            Verdict::Accept => {}
            Verdict::Duplicate if constructor == MSG_CONTAINER => {
                self.counters.duplicates += 1;
                return Ok(true);
            }
            Verdict::Duplicate => {
                self.on_duplicate(now, msg_id, seq_no);
                return Ok(true);
            }
            Verdict::Refuse(code) => {
                self.complain(now, msg_id, seq_no, code);
                return Ok(false);
            }
        }
        if self.running.len() >= self.config.running_queries {
            self.counters.refused.count(Rule::new(175));
            return Err(ServerError::Transport(TransportErrorCode::TooManyConnections));
        }
        let span = Bytes::Body { start: 0, len: body.len() as u32 };
        if constructor != MSG_CONTAINER {
            self.announce(msg_id);
            self.on_message(now, opened.header(), body, span)?;
            return Ok(true);
        }
        let Ok(container) = Container::new_checked(body, msg_id, Side::Client) else {
            self.complain(now, msg_id, seq_no, BadMsgCode::InvalidContainer);
            return Ok(false);
        };
        self.announce(container.iter().map(|inner| inner.header.msg_id).min().unwrap_or(msg_id));
        let mut at = 8;
        for inner in &container {
            at += MessageHeader::LEN;
            let span = Bytes::Body { start: at as u32, len: inner.body.len() as u32 };
            at += inner.body.len();
            self.on_message(now, inner.header, inner.body, span)?;
        }
        self.remember(msg_id, seq_no, Status::NEEDS_NO_ACK);
        Ok(true)
    }

    /// Tells the client that its session is new here (SEC-90).
    fn announce(&mut self, first_msg_id: MsgId) {
        if self.was_announced {
            return;
        }
        self.was_announced = true;
        let mut body = Vec::with_capacity(28);
        body.put_u32(types::NewSessionCreated::CONSTRUCTOR_ID);
        body.put(&first_msg_id.to_bytes());
        body.put(&self.unique_id.to_le_bytes());
        // The salt is filled in when the message is sent: it may change until then.
        body.put(&[0; 8]);
        self.outgoing.push(None, body);
        self.log.plain(ServerEvent::Created);
    }

    fn on_message(
        &mut self,
        now: Now,
        header: MessageHeader,
        body: &[u8],
        span: Bytes,
    ) -> Result<(), ServerError> {
        let MessageHeader { msg_id, seq_no } = header;
        let constructor = constructor_id(body)?;
        match self.judge_message(msg_id, seq_no, constructor) {
            Verdict::Accept => {}
            Verdict::Duplicate => {
                self.on_duplicate(now, msg_id, seq_no);
                return Ok(());
            }
            Verdict::Refuse(code) => {
                self.complain(now, msg_id, seq_no, code);
                return Ok(());
            }
        }
        self.counters.messages_received += 1;
        if constructor == GZIP_PACKED {
            return self.on_packed(now, header, body);
        }
        self.on_object(now, header, body, span)
    }

    fn on_packed(&mut self, now: Now, header: MessageHeader, body: &[u8]) -> Result<(), ServerError> {
        let packed = GzipPacked::new_checked(body)?;
        let accepted = match self.config.policy {
            Policy::Strict => AcceptedFormat::Gzip,
            Policy::Lenient => AcceptedFormat::GzipOrZlib,
        };
        let inflater = self.inflater.get_or_insert_with(|| alloc::boxed::Box::new(Inflater::new(accepted)));
        let (log, most) = (&mut self.log, self.config.unpacked_bytes);
        let place = unpack(&packed, inflater, &mut log.scratch, most, &mut self.counters)?;
        // Nothing is unpacked while the scratch is lent out, since packed objects do not nest.
        let scratch = core::mem::take(&mut self.log.scratch);
        let span = Bytes::Scratch { start: place.start as u32, len: place.len() as u32 };
        let object = &scratch[place];
        let handled = match constructor_id(object) {
            Ok(id @ MSG_CONTAINER) => Err(FrameError::Misbehaved(PeerMisbehaved::Nested { id }).into()),
            _ => self.on_object(now, header, object, span),
        };
        self.log.scratch = scratch;
        handled
    }

    fn on_object(
        &mut self,
        now: Now,
        header: MessageHeader,
        body: &[u8],
        span: Bytes,
    ) -> Result<(), ServerError> {
        let MessageHeader { msg_id, seq_no } = header;
        let service = Service::read(body).map_err(FrameError::from)?;
        let is_query = service.is_none();
        self.remember(msg_id, seq_no, if is_query { Status::PROCESSING } else { 0 });
        match service {
            None => {
                self.running.insert(msg_id);
                if seq_no.is_content_related() {
                    self.acks.push(msg_id, now.mono, self.config.ack_delay, MAX_IDS_PER_LIST);
                }
                self.log.records.push(Record::Query(msg_id, seq_no, span));
            }
            Some(service) => {
                if seq_no.is_content_related() && !has_answer(&service) {
                    self.acks.push(msg_id, now.mono, core::time::Duration::ZERO, MAX_IDS_PER_LIST);
                }
                self.on_service(now, msg_id, service);
            }
        }
        Ok(())
    }

    /// A message came a second time: its answer may be lost. A large one is announced, a small one sent again.
    fn on_duplicate(&mut self, now: Now, msg_id: MsgId, seq_no: SeqNo) {
        self.counters.duplicates += 1;
        if seq_no.is_content_related() {
            self.acks.push(msg_id, now.mono, core::time::Duration::ZERO, MAX_IDS_PER_LIST);
        }
        let Some((answer_id, answer)) = self.outgoing.sent_answer(msg_id) else {
            return;
        };
        let len = answer.len();
        if len <= self.config.large_answer {
            self.outgoing.repeat(answer_id);
            return;
        }
        let status = i32::from(self.status_of(msg_id));
        self.reply(|out| {
            out.put_u32(types::MsgDetailedInfo::CONSTRUCTOR_ID);
            out.put(&msg_id.to_bytes());
            out.put(&answer_id.to_bytes());
            out.put(&(len as i32).to_le_bytes());
            out.put(&status.to_le_bytes());
        });
    }

    /// Tells the client what is wrong with a message, if it has not been told too often.
    fn complain(&mut self, now: Now, msg_id: MsgId, seq_no: SeqNo, code: BadMsgCode) {
        self.counters.refused.count(code.rule());
        let (count, since) = &mut self.complained;
        if *since + COMPLAINT_PERIOD <= now.mono {
            (*count, *since) = (0, now.mono);
        }
        if *count >= self.config.complaints {
            return;
        }
        *count += 1;
        let salt = self.salts.current(self.key.id(), now.unix);
        self.reply(|out| {
            out.put_u32(if code == BadMsgCode::BadServerSalt {
                types::BadServerSalt::CONSTRUCTOR_ID
            } else {
                types::BadMsgNotification::CONSTRUCTOR_ID
            });
            out.put(&msg_id.to_bytes());
            out.put(&seq_no.to_raw().to_le_bytes());
            out.put(&code.to_raw().to_le_bytes());
            if code == BadMsgCode::BadServerSalt {
                out.put(&salt.to_raw().to_le_bytes());
            }
        });
    }
}
