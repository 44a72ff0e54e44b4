//! A client's session and frames that it refuses.
//!
//! The content behind a wrong `msg_key` must not influence timing. Whether the id of the key is known, and whether a
//! frame with the right `msg_key` is for another session, may be: the first travels in the clear, and the second can
//! only be a frame of the server's that was sent again. These are measured to say how much they differ.

use std::hint::black_box;

use chappe_crypto::{AuthKey, MsgKey, Side, ige, kdf, rng::Drbg};
use chappe_framing::{
    EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, Padding, SeqNo, ServerSalt, SessionId,
    TransportTail, UnixTime,
};
use chappe_session::client::{ClientConfig, ClientSession, KeyMaterial, SendOptions};
use chappe_session::{MonoTime, Now};

use super::{Classes, Kind, Verdict, compare};

const START: u64 = 1_707_425_104;
/// Three headers: id and `msg_key`, then salt and `session_id`.
const SESSION_AT: usize = 8;
const HEAD: usize = 24;
const LEN: usize = HEAD + 128;

type Frame = [u8; LEN];

/// A session that waits for frames.
struct Client {
    session: ClientSession,
    key: AuthKey,
    session_id: SessionId,
}

fn now() -> Now {
    Now::new(MonoTime::ZERO, UnixTime::from_secs(START))
}

impl Client {
    fn new(rng: &mut Drbg) -> Self {
        let key = AuthKey::from_bytes([9; 256]);
        let material = KeyMaterial::from_handshake(key.clone(), 42, 0, START as i64);
        let mut session = ClientSession::new(ClientConfig::default(), material, now());
        session.handle_connected(now(), TransportTail::None);
        session.send_bytes(now(), &[1; 4], SendOptions::default()).expect("within the limits");
        let mut frame = FrameBuf::new();
        while session.poll_transmit(now(), rng, &mut frame).is_some() {}
        let session_id = session.session_id().expect("a packet was sent");
        Self { session, key, session_id }
    }

    /// A frame of the server's, as it would be for a session.
    fn frame(&self, session_id: SessionId, rng: &mut Drbg) -> Frame {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(&[7; 84]);
        let message =
            MessageHeader { msg_id: MsgId::from_raw((START << 32 | 1) as i64), seq_no: SeqNo::from_raw(0) };
        let header = EncryptedHeader { salt: ServerSalt::from_raw(42), session_id, message };
        writer.seal(&self.key, Side::Server, header, Padding::Minimum, rng).expect("it fits");
        buf.as_slice().try_into().expect("84 bytes fill eight blocks")
    }

    /// A frame with a wrong `msg_key`, under which it decrypts to one for a session.
    fn wrong(&self, session_id: SessionId) -> Frame {
        let msg_key = MsgKey::from_bytes([1; 16]);
        let mut frame = [3; LEN];
        frame[..8].copy_from_slice(self.key.id().as_bytes());
        frame[8..HEAD].copy_from_slice(msg_key.as_bytes());
        let plaintext = &mut frame[HEAD..];
        plaintext[SESSION_AT..SESSION_AT + 8].copy_from_slice(&session_id.to_raw().to_le_bytes());
        let aes = kdf::aes_v2(&self.key, Side::Server, &msg_key);
        ige::encrypt(&aes.key, &aes.iv, plaintext).expect("whole blocks");
        frame
    }

    fn compare(
        &mut self,
        rng: &mut Drbg,
        name: &'static str,
        kind: Kind,
        samples: usize,
        frames: &Classes<Frame>,
    ) -> Verdict {
        let verdict = compare(
            rng,
            name,
            samples,
            |_, class| frames[class],
            |mut frame| {
                let refused = self.session.handle_frame(now(), &mut frame).is_err();
                assert!(black_box(refused), "{name}");
            },
        );
        Verdict { kind, ..verdict }
    }
}

/// Runs the tests of the session.
pub(super) fn run(rng: &mut Drbg, samples: usize) -> Vec<Verdict> {
    let mut client = Client::new(rng);
    let (own, foreign) = (client.session_id, SessionId::from_raw(!client.session_id.to_raw()));
    let right = client.frame(foreign, rng);
    let wrong = client.wrong(foreign);
    let mut unknown = wrong;
    unknown[0] ^= 1;
    let behind = [client.wrong(own), wrong];
    let name = "session, wrong msg_key: own and foreign session_id behind it";
    let told = "session: wrong msg_key, and right one with a foreign session_id";
    let public = "session: wrong msg_key, and unknown auth_key_id";
    vec![
        client.compare(rng, name, Kind::Secret, samples, &behind),
        client.compare(rng, told, Kind::Public, samples, &[wrong, right]),
        client.compare(rng, public, Kind::Public, samples, &[wrong, unknown]),
    ]
}
