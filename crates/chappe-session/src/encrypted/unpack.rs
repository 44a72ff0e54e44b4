//! Unpacking: open, check, learn, show.

use chappe_crypto::Side;
use chappe_framing::{
    AcceptedFormat, Container, GZIP_PACKED, GzipPacked, Inflater, MSG_CONTAINER, MessageHeader, MsgId,
    Opened, RPC_RESULT, RpcResult, ServerSalt, UnixTime, constructor_id, open,
};
use chappe_types::BadMsgCode;

use super::{EncryptedSession, MessageView};
use crate::MAX_IDS_PER_LIST;
use crate::error::UnpackError;
use crate::service::Service;
use crate::window::{Age, Seen};

impl EncryptedSession {
    /// Opens a frame in place, checks it, and shows each message in it: one, or all of a container.
    ///
    /// Duplicates inside a container are left out. A `gzip_packed` object is shown unpacked, and so is
    /// one inside an `rpc_result` ([`MessageView::body`] is then an `rpc_result` with the plain object).
    /// Allocates nothing unless something is packed.
    ///
    /// # Errors
    ///
    /// Fails if the frame does not open, belongs to another session, was seen before, is too old or too
    /// new, or if a container or packed object in it is not in order. On [`UnpackError::Frame`] the connection should be
    /// closed; after any other error the session goes on.
    pub fn unpack_each(
        &mut self,
        now: UnixTime,
        frame: &mut [u8],
        mut show: impl FnMut(MessageView<'_>),
    ) -> Result<(), UnpackError> {
        let opened = self.open(now, frame)?;
        if constructor_id(opened.body())? != MSG_CONTAINER {
            return self.show(opened.salt(), opened.header(), opened.body(), &mut show);
        }
        let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Server)?;
        for message in &container {
            if self.is_new(message.header) {
                self.learn(now, message.header.msg_id, message.body);
                self.show(opened.salt(), message.header, message.body, &mut show)?;
            }
        }
        Ok(())
    }

    /// Opens a frame in place and returns its message as a view; a container is returned whole.
    ///
    /// Salt and time are taken from a container's messages as well. Nothing is unpacked and nothing allocated.
    ///
    /// # Errors
    ///
    /// As for [`EncryptedSession::unpack_each`].
    pub fn unpack_with<'a>(
        &mut self,
        now: UnixTime,
        frame: &'a mut [u8],
    ) -> Result<MessageView<'a>, UnpackError> {
        let opened = self.open(now, frame)?;
        if constructor_id(opened.body())? == MSG_CONTAINER {
            for message in &Container::new_checked(opened.body(), opened.msg_id(), Side::Server)? {
                if self.is_new(message.header) {
                    self.learn(now, message.header.msg_id, message.body);
                }
            }
        }
        let MessageHeader { msg_id, seq_no } = opened.header();
        Ok(MessageView { salt: opened.salt(), msg_id, seq_no, body: opened.body() })
    }

    /// Opens a frame, checks everything about its outer message, and learns from it.
    fn open<'a>(&mut self, now: UnixTime, frame: &'a mut [u8]) -> Result<Opened<'a>, UnpackError> {
        let opened = open(&self.key, Side::Server, self.tail, frame)?;
        opened.require_session(self.session_id)?;
        opened.require_origin(Side::Server)?;
        let msg_id = opened.msg_id();
        if self.window.check(msg_id) == Seen::Fresh {
            // What answers a recent message of ours is believed and repairs the clock (SEC-81), or a wrong
            // clock would refuse the very message that tells the right time.
            let answers_us = self.answers_us(&opened);
            if !answers_us {
                self.check_age(now, msg_id)?;
            }
        }
        let is_new = self.window.insert(msg_id, ());
        if opened.seq_no().is_content_related() {
            self.owe_ack(msg_id);
        }
        match is_new {
            Seen::Fresh => {}
            Seen::Duplicate => return Err(UnpackError::Duplicate { msg_id }),
            Seen::TooOld => return Err(UnpackError::TooOld { msg_id }),
        }
        if constructor_id(opened.body())? != MSG_CONTAINER {
            self.learn(now, msg_id, opened.body());
        }
        Ok(opened)
    }

    fn check_age(&self, now: UnixTime, msg_id: MsgId) -> Result<(), UnpackError> {
        match self.age.check(msg_id, self.server_time(now)) {
            Age::Plausible => Ok(()),
            Age::TooOld => Err(UnpackError::TooOld { msg_id }),
            Age::TooNew => Err(UnpackError::TooNew { msg_id }),
        }
    }

    fn is_new(&mut self, header: MessageHeader) -> bool {
        if header.seq_no.is_content_related() {
            self.owe_ack(header.msg_id);
        }
        self.window.insert(header.msg_id, ()) == Seen::Fresh
    }

    fn owe_ack(&mut self, msg_id: MsgId) {
        if self.acks.len() == MAX_IDS_PER_LIST {
            self.acks.pop_front();
        }
        self.acks.push_back(msg_id);
    }

    fn answers_us(&self, opened: &Opened<'_>) -> bool {
        let Ok(container) = Container::new_checked(opened.body(), opened.msg_id(), Side::Server) else {
            return self.question_of(opened.body()).is_some();
        };
        container.iter().any(|message| self.question_of(message.body).is_some())
    }

    /// Returns the recent message of ours that an object answers or speaks about.
    fn question_of(&self, body: &[u8]) -> Option<MsgId> {
        let mut found = None;
        let mut look = |msg_id: MsgId| {
            if self.was_sent(msg_id) {
                found = Some(msg_id);
            }
            found.is_some()
        };
        if let Ok(result) = RpcResult::new_checked(body) {
            look(result.req_msg_id());
        } else if let Ok(Some(service)) = Service::read(body) {
            service.refers_to(look);
        }
        found
    }

    fn was_sent(&self, msg_id: MsgId) -> bool {
        self.sent.binary_search(&msg_id).is_ok()
    }

    /// Takes over salt and time from an answer to a recent message of ours (SEC-81, SEC-82, SEC-89).
    fn learn(&mut self, now: UnixTime, msg_id: MsgId, body: &[u8]) {
        let Some(question) = self.question_of(body) else {
            return;
        };
        let stamp = msg_id.time();
        match Service::read(body) {
            Ok(Some(Service::BadMsg(bad))) => {
                if let Some(salt) = bad.new_salt {
                    self.salt = salt.to_raw();
                }
                if matches!(bad.code, BadMsgCode::MsgIdTooLow | BadMsgCode::MsgIdTooHigh) {
                    self.set_time(now, stamp);
                }
            }
            Ok(Some(Service::NewSession { salt, .. })) => self.salt = salt.to_raw(),
            _ => {}
        }
        let proves_fast_clock = stamp.saturating_add(core::time::Duration::from_secs(15)) < question.time();
        if proves_fast_clock || stamp.as_secs() > self.server_time(now).as_secs() {
            self.set_time(now, stamp);
        }
    }

    fn set_time(&mut self, now: UnixTime, server_time: UnixTime) {
        let seconds = server_time.as_secs() as i64 - now.as_secs() as i64;
        self.time_offset = i32::try_from(seconds).unwrap_or(self.time_offset);
    }

    /// Shows one message, unpacked.
    fn show(
        &mut self,
        salt: ServerSalt,
        header: MessageHeader,
        body: &[u8],
        show: &mut impl FnMut(MessageView<'_>),
    ) -> Result<(), UnpackError> {
        let MessageHeader { msg_id, seq_no } = header;
        let limit = self.unpacked_bytes;
        match constructor_id(body)? {
            GZIP_PACKED => {
                let body = self.inflater().unpack(&GzipPacked::new_checked(body)?, limit)?;
                show(MessageView { salt, msg_id, seq_no, body });
            }
            RPC_RESULT => {
                let result = RpcResult::new_checked(body)?;
                if constructor_id(result.result())? == GZIP_PACKED {
                    let mut plain = body[..12].to_vec();
                    let packed = GzipPacked::new_checked(result.result())?;
                    plain.extend_from_slice(self.inflater().unpack(&packed, limit)?);
                    show(MessageView { salt, msg_id, seq_no, body: &plain });
                } else {
                    show(MessageView { salt, msg_id, seq_no, body });
                }
            }
            _ => show(MessageView { salt, msg_id, seq_no, body }),
        }
        Ok(())
    }

    pub(super) fn inflater(&mut self) -> &mut Inflater {
        self.inflater.get_or_insert_with(|| Inflater::new(AcceptedFormat::Gzip))
    }
}
