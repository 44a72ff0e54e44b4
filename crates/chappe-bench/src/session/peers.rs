//! The sessions of peers, each used as its own client uses it.

use chappe_crypto::{AuthKey, Side};
use chappe_framing::{MsgId, MsgOrigin, SessionId, TransportTail, UnixTime};
use grammers_crypto::DequeBuffer;
use grammers_mtproto::mtp::{Encrypted, Mtp};

use super::pen::{BODY, KEY, Pen};

/// Frames for a peer. Those of grammers open again and again; the others remember ids, and get new frames each time.
pub struct Frames {
    each: usize,
    sealed: Vec<Vec<u8>>,
    copies: Vec<Vec<u8>>,
}

impl Frames {
    pub fn new(session_id: i64, frames: usize, each: usize) -> Self {
        let mut pen = Pen::new();
        let now = chappe_session::Now::from_system().unix;
        let questions: Vec<MsgId> = (0..each as u64)
            .map(|n| MsgId::at(UnixTime::from_nanos(now.as_nanos() + n * 64), MsgOrigin::Client))
            .collect();
        let session_id = SessionId::from_raw(session_id);
        let sealed: Vec<Vec<u8>> =
            (0..frames).map(|_| pen.answer(now, session_id, &questions).to_vec()).collect();
        Self { each, copies: sealed.clone(), sealed }
    }

    /// As many frames again, with new ids.
    fn renewed(&self, session_id: i64) -> Self {
        Self::new(session_id, self.sealed.len(), self.each)
    }

    fn restore(&mut self) {
        for (copy, sealed) in self.copies.iter_mut().zip(&self.sealed) {
            copy.copy_from_slice(sealed);
        }
    }
}

/// `Encrypted` of grammers with the buffer of its sender.
pub struct Grammers {
    session: Encrypted,
    buffer: DequeBuffer<u8>,
    frames: Option<Frames>,
}

impl Grammers {
    pub fn new() -> Self {
        // With salt 0 it asks for no more salts, and refuses no calls until they come.
        let session = Encrypted::build().first_salt(0).finish(KEY);
        let buffer =
            DequeBuffer::with_capacity(1 << 20, grammers_mtproto::mtp::MESSAGE_CONTAINER_HEADER_LEN + 64);
        Self { session, buffer, frames: None }
    }

    pub fn send(&mut self, count: usize) {
        self.buffer.clear();
        for _ in 0..count {
            self.session.push(&mut self.buffer, &BODY).expect("it fits");
        }
        self.session.finalize(&mut self.buffer).expect("there is something to send");
    }

    pub fn prepare(&mut self, frames: usize, each: usize) {
        // Takes the acknowledgements out that have gathered.
        self.send(1);
        if self.frames.is_none() {
            let mut sent = self.buffer.as_ref().to_vec();
            let key = AuthKey::from_bytes(KEY);
            let opened =
                chappe_framing::open(&key, Side::Client, TransportTail::None, &mut sent).expect("it opens");
            self.frames = Some(Frames::new(opened.session_id().to_raw(), frames, each));
        }
        self.frames.iter_mut().for_each(Frames::restore);
    }

    pub fn receive(&mut self) -> usize {
        let frames = self.frames.iter_mut().flat_map(|frames| &mut frames.copies);
        frames.map(|frame| self.session.deserialize(frame).expect("it opens").len()).sum()
    }
}

/// `EncryptedSession` of layer.
pub struct Layer {
    session: layer_mtproto::EncryptedSession,
    frames: Frames,
}

impl Layer {
    pub fn new(frames: usize, each: usize) -> Self {
        let session = layer_mtproto::EncryptedSession::new(KEY, 42, 0);
        let frames = Frames::new(session.session_id(), frames, each);
        Self { session, frames }
    }

    pub fn send(&mut self) -> usize {
        self.session.pack_body_with_msg_id(&BODY, true).0.len()
    }

    pub fn prepare(&mut self) {
        self.frames = self.frames.renewed(self.session.session_id());
    }

    pub fn receive(&mut self) -> usize {
        let frames = self.frames.copies.iter_mut();
        frames.map(|frame| self.session.unpack(frame).expect("it opens").body.len()).sum()
    }
}

/// `EncryptedSession` of ferogram.
pub struct Ferogram {
    session: ferogram_mtproto::encrypted::EncryptedSession,
    frames: Frames,
}

impl Ferogram {
    pub fn new(frames: usize, each: usize) -> Self {
        let session = ferogram_mtproto::encrypted::EncryptedSession::new(KEY, 42, 0);
        let frames = Frames::new(session.session_id(), frames, each);
        Self { session, frames }
    }

    pub fn send(&mut self) -> usize {
        self.session.pack_body_with_msg_id(&BODY, true).0.len()
    }

    pub fn prepare(&mut self) {
        self.frames = self.frames.renewed(self.session.session_id());
    }

    pub fn receive(&mut self) -> usize {
        let frames = self.frames.copies.iter_mut();
        frames.map(|frame| self.session.unpack(frame).expect("it opens").body.len()).sum()
    }
}
