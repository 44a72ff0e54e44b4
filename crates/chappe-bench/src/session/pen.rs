//! The pen of a server: seals what it says to whom.

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, MsgIdGenerator,
    MsgOrigin, Padding, SeqNoCounter, ServerSalt, SessionId, UnixTime, write_rpc_result_header,
};

/// What every call and every result consist of.
pub const BODY: [u8; 100] = [0x21; 100];

/// The key of all sessions.
pub const KEY: [u8; 256] = [0x5a; 256];

/// A server's half, as far as a benchmark needs one.
pub struct Pen {
    key: AuthKey,
    rng: Drbg,
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
    out: FrameBuf,
}

impl Pen {
    pub fn new() -> Self {
        Self {
            key: AuthKey::from_bytes(KEY),
            rng: Drbg::from_seed([1; 32]),
            ids: MsgIdGenerator::new(),
            seq: SeqNoCounter::new(),
            out: FrameBuf::new(),
        }
    }

    /// Seals the answers to some calls: alone if it is one, else in a container.
    pub fn answer(&mut self, now: UnixTime, session_id: SessionId, questions: &[MsgId]) -> &mut [u8] {
        let mut writer = EncryptedWriter::begin(&mut self.out);
        let (ids, seq) = (&mut self.ids, &mut self.seq);
        let mut next = |is_content: bool| MessageHeader {
            msg_id: ids.next(now, MsgOrigin::Response),
            seq_no: if is_content { seq.next_content_related() } else { seq.next_unrelated() },
        };
        let message = if let [question] = questions {
            write_rpc_result_header(writer.body(), *question);
            writer.body().append(&BODY);
            next(true)
        } else {
            let mut container = ContainerWriter::begin(writer.body());
            for question in questions {
                let written = container.push_with(next(true), |out| {
                    write_rpc_result_header(out, *question);
                    out.append(&BODY);
                    Ok(())
                });
                written.expect("so few messages fit");
            }
            container.finish();
            next(false)
        };
        let header = EncryptedHeader { salt: ServerSalt::from_raw(1), session_id, message };
        writer.seal(&self.key, Side::Server, header, Padding::Minimum, &mut self.rng).expect("it is whole");
        self.out.as_mut_slice()
    }
}
