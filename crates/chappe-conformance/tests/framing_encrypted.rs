//! The encrypted envelope against `envelope_v2.json` and rows SEC-61 to SEC-75 of the checklist.

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::{AuthKey, AuthKeyId, Side, message};
use chappe_framing::{
    EncryptedHeader, EncryptedWriter, FrameBuf, FrameError, INNER_HEADER_LEN, MIN_FRAME_LEN, MalformedFrame,
    MessageHeader, MsgId, OUTER_HEADER_LEN, OpenFrame, Opened, Padding, PeerMisbehaved, SealFrame, SeqNo,
    ServerSalt, SessionId, TransportTail, WriteError, open, open_many, seal_many,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn side(case: &Entry) -> Side {
    match case.text("direction") {
        "client_to_server" => Side::Client,
        "server_to_client" => Side::Server,
        other => panic!("{other}"),
    }
}

fn key(case: &Entry) -> AuthKey {
    AuthKey::from_bytes(case.array("auth_key"))
}

fn header(case: &Entry) -> EncryptedHeader {
    EncryptedHeader {
        salt: ServerSalt::from_raw(case.number("salt")),
        session_id: SessionId::from_raw(case.number("session_id")),
        message: MessageHeader {
            msg_id: MsgId::from_raw(case.number("msg_id")),
            seq_no: SeqNo::from_raw(case.number("seq_no")),
        },
    }
}

/// A source of "randomness" that gives the padding of a vector.
struct Replay(Vec<u8>);

impl rand_chacha::rand_core::TryRng for Replay {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("only padding is drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("only padding is drawn")
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        assert_eq!(dst.len(), self.0.len(), "padding of another length was asked for");
        dst.copy_from_slice(&self.0);
        Ok(())
    }
}

impl rand_chacha::rand_core::TryCryptoRng for Replay {}

fn negative(name: &str) -> Entry {
    let cases = vectors::load("envelope_v2").list("negative");
    cases.into_iter().find(|case| case.name() == name).unwrap_or_else(|| panic!("no case {name}"))
}

/// Opens as a real receiver does: envelope, session, parity.
fn receive(case: &Entry, frame: &mut [u8]) -> Result<(), FrameError> {
    let opened = open(&key(case), side(case), TransportTail::None, frame)?;
    opened.require_session(SessionId::from_raw(case.number("expected_session_id")))?;
    opened.require_origin(side(case))
}

fn refused(name: &str) -> FrameError {
    let case = negative(name);
    receive(&case, &mut case.bytes("packet")).expect_err(name)
}

#[test]
fn frames_of_the_vectors_open() {
    for case in vectors::load("envelope_v2").list("vectors") {
        let mut frame = case.bytes("packet");
        let opened = open(&key(&case), side(&case), TransportTail::None, &mut frame).unwrap();
        let EncryptedHeader { salt, session_id, message } = header(&case);
        assert_eq!(opened.salt(), salt, "{case:?}");
        assert_eq!(opened.session_id(), session_id, "{case:?}");
        assert_eq!(opened.header(), message, "{case:?}");
        assert_eq!(opened.body(), case.bytes("message_data"), "{case:?}");
        assert_eq!(opened.quick_ack().to_raw().to_le_bytes(), case.array("quick_ack_token_le_bytes"));
        let range = opened.body_range();
        assert_eq!(frame[range], case.bytes("message_data"), "{case:?}");
    }
}

#[test]
fn frames_of_the_vectors_are_sealed_byte_for_byte() {
    let cases = vectors::load("envelope_v2").list("vectors");
    // The writer chooses the least padding; the vectors that have just that much can be repeated.
    let minimal = cases.iter().filter(|case| {
        let filled = INNER_HEADER_LEN + case.bytes("message_data").len();
        case.bytes("padding").len() == (filled + 12).next_multiple_of(16) - filled
    });
    let mut repeated = 0;
    for case in minimal {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(&case.bytes("message_data"));
        let mut rng = Replay(case.bytes("padding"));
        let token = writer.seal(&key(case), side(case), header(case), Padding::Minimum, &mut rng).unwrap();
        assert_eq!(buf.as_slice(), case.bytes("packet"), "{case:?}");
        assert_eq!(token.to_raw().to_le_bytes(), case.array("quick_ack_token_le_bytes"));
        repeated += 1;
    }
    assert!(repeated >= 3, "{repeated}");
}

#[test]
fn every_malformed_frame_of_the_vectors_fails_its_check() {
    for case in vectors::load("envelope_v2").list("negative") {
        let result = receive(&case, &mut case.bytes("packet"));
        let fits = match case.text("expect") {
            "accept" => result.is_ok(),
            "auth_key_id_mismatch" => {
                matches!(result, Err(FrameError::Misbehaved(PeerMisbehaved::UnknownAuthKey { .. })))
            }
            "msg_key_mismatch" => {
                matches!(result, Err(FrameError::Malformed(MalformedFrame::MsgKeyMismatch)))
            }
            "bad_ciphertext_length" => {
                matches!(result, Err(FrameError::Malformed(MalformedFrame::UnalignedCiphertext { .. })))
            }
            "too_short" => matches!(result, Err(FrameError::Malformed(MalformedFrame::TooShort { .. }))),
            "bad_length" => matches!(result, Err(FrameError::Malformed(MalformedFrame::BadBodyLen { .. }))),
            "bad_padding" => matches!(result, Err(FrameError::Malformed(MalformedFrame::BadPadding { .. }))),
            "session_mismatch" => {
                matches!(result, Err(FrameError::Misbehaved(PeerMisbehaved::ForeignSession { .. })))
            }
            "msg_id_parity" => {
                matches!(result, Err(FrameError::Misbehaved(PeerMisbehaved::BadOrigin { .. })))
            }
            other => panic!("{other}"),
        };
        assert!(fits, "{case:?}: {result:?}");
    }
}

#[test]
fn sec_061_short_frames_and_unknown_keys_are_refused() {
    let case = negative("ok_reference");
    let whole = case.bytes("packet");
    for len in 0..MIN_FRAME_LEN {
        let refused = receive(&case, &mut whole[..len].to_vec()).unwrap_err();
        assert_eq!(refused, FrameError::Malformed(MalformedFrame::TooShort { len, min: MIN_FRAME_LEN }));
    }
    let unknown = negative("auth_key_id_unknown").bytes("packet");
    let got = AuthKeyId::from_bytes(unknown[..8].try_into().unwrap());
    assert_eq!(
        refused("auth_key_id_unknown"),
        FrameError::Misbehaved(PeerMisbehaved::UnknownAuthKey { got })
    );
}

#[test]
fn sec_062_a_tail_is_cut_on_padded_transports_only() {
    let case = negative("ok_reference");
    for tail in 0..16 {
        let mut frame = case.bytes("packet");
        frame.extend(core::iter::repeat_n(0xa5, tail));
        let strict = open(&key(&case), side(&case), TransportTail::None, &mut frame.clone()).map(|_| ());
        match tail {
            0 => assert_eq!(strict, Ok(())),
            _ => assert_eq!(
                strict,
                Err(FrameError::Malformed(MalformedFrame::UnalignedCiphertext { len: 80 + tail }))
            ),
        }
        open(&key(&case), side(&case), TransportTail::Padded, &mut frame).unwrap();
    }
}

#[test]
fn sec_063_a_flipped_bit_anywhere_is_refused() {
    let case = negative("ok_reference");
    let sealed = case.bytes("packet");
    for bit in 0..sealed.len() * 8 {
        let mut frame = sealed.clone();
        frame[bit / 8] ^= 1 << (bit % 8);
        let error =
            open(&key(&case), Side::Server, TransportTail::None, &mut frame).expect_err("it was flipped");
        let is_expected = match error {
            FrameError::Misbehaved(PeerMisbehaved::UnknownAuthKey { .. }) => bit < 64,
            FrameError::Malformed(MalformedFrame::MsgKeyMismatch) => {
                bit >= 64 && frame[24..].iter().all(|byte| *byte == 0)
            }
            _ => false,
        };
        assert!(is_expected, "bit {bit}: {error}");
    }
}

#[test]
fn sec_063_a_reflected_message_is_refused() {
    let case = negative("ok_reference");
    let opened = open(&key(&case), Side::Client, TransportTail::None, &mut case.bytes("packet")).map(|_| ());
    assert_eq!(opened, Err(FrameError::Malformed(MalformedFrame::MsgKeyMismatch)));
    assert_eq!(refused("direction_swapped"), FrameError::Malformed(MalformedFrame::MsgKeyMismatch));
}

#[test]
fn sec_064_whatever_breaks_decryption_gives_the_same_error() {
    for name in ["msg_key_bit_flip", "ciphertext_bit_flip", "truncated_block", "direction_swapped"] {
        assert_eq!(refused(name), FrameError::Malformed(MalformedFrame::MsgKeyMismatch), "{name}");
    }
}

#[test]
fn sec_065_nothing_decrypted_is_left_when_msg_key_does_not_match() {
    let case = negative("length_overflow");
    let mut frame = case.bytes("packet");
    frame[OUTER_HEADER_LEN - 1] ^= 1;
    let result = open(&key(&case), side(&case), TransportTail::None, &mut frame).map(|_| ());
    // The length inside is nonsense as well, but it must not have been looked at.
    assert_eq!(result, Err(FrameError::Malformed(MalformedFrame::MsgKeyMismatch)));
    assert!(frame[OUTER_HEADER_LEN..].iter().all(|byte| *byte == 0));
}

/// Seals a plaintext that no honest writer makes.
fn seal_raw(key: &AuthKey, from: Side, mut plaintext: Vec<u8>) -> Vec<u8> {
    let sealed = message::seal(key, from, &mut plaintext).expect("the plaintext is whole blocks");
    [&key.id().as_bytes()[..], &sealed.msg_key.as_bytes()[..], &plaintext].concat()
}

#[test]
fn sec_066_a_wrong_length_inside_is_refused() {
    let case = negative("ok_reference");
    for claimed in [0, 1, 2, 18, 40, -4, i32::MIN, i32::MAX, 0x7fff_fffc] {
        let mut plaintext = vec![1; 64];
        plaintext[28..32].copy_from_slice(&claimed.to_le_bytes());
        let mut frame = seal_raw(&key(&case), Side::Server, plaintext);
        let refused = open(&key(&case), Side::Server, TransportTail::None, &mut frame).unwrap_err();
        assert_eq!(refused, FrameError::Malformed(MalformedFrame::BadBodyLen { claimed, available: 32 }));
    }
}

#[test]
fn sec_067_padding_is_12_to_1024_bytes() {
    let case = negative("ok_reference");
    for padding in 0_usize..1100 {
        let body = 4 + (16 - (36 + padding) % 16) % 16;
        if body % 4 != 0 {
            continue;
        }
        let mut plaintext = vec![1; 32 + body + padding];
        plaintext[28..32].copy_from_slice(&u32::try_from(body).unwrap().to_le_bytes());
        let mut frame = seal_raw(&key(&case), Side::Server, plaintext);
        let len = frame.len();
        let result = open(&key(&case), Side::Server, TransportTail::None, &mut frame)
            .map(|opened| opened.body().len());
        let expected = match padding {
            _ if len < MIN_FRAME_LEN => {
                Err(FrameError::Malformed(MalformedFrame::TooShort { len, min: MIN_FRAME_LEN }))
            }
            12..=1024 => Ok(body),
            _ => Err(FrameError::Malformed(MalformedFrame::BadPadding { len: padding })),
        };
        assert_eq!(result, expected, "{padding}");
    }
}

#[test]
fn sec_068_a_message_of_another_session_is_refused() {
    let case = negative("session_mismatch");
    let mut frame = case.bytes("packet");
    let got = open(&key(&case), side(&case), TransportTail::None, &mut frame).unwrap().session_id();
    assert_ne!(got, SessionId::from_raw(case.number("expected_session_id")));
    assert_eq!(refused("session_mismatch"), FrameError::Misbehaved(PeerMisbehaved::ForeignSession { got }));
}

fn sealed_with(key: &AuthKey, from: Side, header: EncryptedHeader) -> Vec<u8> {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let mut buf = FrameBuf::new();
    let mut writer = EncryptedWriter::begin(&mut buf);
    writer.body().append(&[1, 2, 3, 4]);
    writer.seal(key, from, header, Padding::Random, &mut rng).expect("four bytes can be sent");
    buf.as_slice().to_vec()
}

#[test]
fn sec_069_session_zero_is_refused() {
    let case = &vectors::load("envelope_v2").list("vectors")[0];
    for (session, expected) in
        [(0, Err(FrameError::Misbehaved(PeerMisbehaved::ZeroSession))), (1, Ok(())), (-1, Ok(()))]
    {
        let header = EncryptedHeader { session_id: SessionId::from_raw(session), ..header(case) };
        let mut frame = sealed_with(&key(case), Side::Client, header);
        let opened = open(&key(case), Side::Client, TransportTail::None, &mut frame).unwrap();
        assert_eq!(opened.require_named_session(), expected, "{session}");
    }
}

/// Returns whether a message of this side may have this id; if not, the error is the one that names it.
fn origin_accepted(from: Side, msg_id: i64) -> bool {
    let case = &vectors::load("envelope_v2").list("vectors")[0];
    let message = MessageHeader { msg_id: MsgId::from_raw(msg_id), seq_no: SeqNo::from_raw(1) };
    let mut frame = sealed_with(&key(case), from, EncryptedHeader { message, ..header(case) });
    let opened = open(&key(case), from, TransportTail::None, &mut frame).expect("the frame is our own");
    match opened.require_origin(from) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(
                error,
                FrameError::Misbehaved(PeerMisbehaved::BadOrigin { msg_id: MsgId::from_raw(msg_id) })
            );
            false
        }
    }
}

#[test]
fn sec_070_a_servers_msg_id_is_odd() {
    let accepted = [0, 1, 2, 3].map(|low| origin_accepted(Side::Server, (7 << 32) | low));
    assert_eq!(accepted, [false, true, false, true]);
}

#[test]
fn sec_071_a_clients_msg_id_is_divisible_by_four() {
    let accepted = [0, 1, 2, 3].map(|low| origin_accepted(Side::Client, (7 << 32) | low));
    assert_eq!(accepted, [true, false, false, false]);
}

#[test]
fn sec_072_padding_is_random_and_of_a_legal_length() {
    let case = &vectors::load("envelope_v2").list("vectors")[0];
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let mut tails = std::collections::HashSet::new();
    for round in 0..200_usize {
        let body = vec![7; 4 + 4 * (round % 50)];
        for padding in [Padding::Minimum, Padding::Random, Padding::Buckets] {
            let mut buf = FrameBuf::new();
            let mut writer = EncryptedWriter::begin(&mut buf);
            writer.body().append(&body);
            writer.seal(&key(case), Side::Client, header(case), padding, &mut rng).unwrap();
            assert_eq!((buf.len() - OUTER_HEADER_LEN) % 16, 0);
            let end = open(&key(case), Side::Client, TransportTail::None, buf.as_mut_slice())
                .expect("padding and length are legal")
                .body_range()
                .end;
            assert!(tails.insert(buf.as_slice()[end..end + 12].to_vec()), "padding repeats");
        }
    }
}

#[test]
fn sec_074_a_message_of_protocol_1_is_refused() {
    let case = &vectors::load("envelope_v2").list("vectors")[0];
    let mut plaintext = case.bytes("plaintext");
    let unpadded = INNER_HEADER_LEN + case.bytes("message_data").len();
    plaintext.truncate(unpadded.next_multiple_of(16));
    plaintext.resize(48, 0);
    let msg_key = message::seal_v1(&key(case), Side::Client, &mut plaintext, unpadded).unwrap();
    let mut frame = [&key(case).id().as_bytes()[..], &msg_key.as_bytes()[..], &plaintext].concat();
    let result = open(&key(case), Side::Client, TransportTail::None, &mut frame).map(|_| ());
    assert_eq!(result, Err(FrameError::Malformed(MalformedFrame::MsgKeyMismatch)));
}

#[test]
fn sec_074_a_frame_of_another_key_is_refused() {
    let case = &vectors::load("envelope_v2").list("vectors")[0];
    let other = AuthKey::from_bytes([0x33; 256]);
    let result = open(&other, Side::Client, TransportTail::None, &mut case.bytes("packet")).map(|_| ());
    assert_eq!(result, Err(FrameError::Misbehaved(PeerMisbehaved::UnknownAuthKey { got: key(case).id() })));
}

#[test]
fn sec_075_a_plain_message_does_not_open() {
    let case = &vectors::load("envelope_v2").list("vectors")[0];
    let mut plain = vec![0; 200];
    plain[8] = 1;
    let result = open(&key(case), Side::Server, TransportTail::None, &mut plain).map(|_| ());
    assert_eq!(result, Err(FrameError::Misbehaved(PeerMisbehaved::PlainNotAllowed)));
}

#[test]
fn a_body_that_cannot_be_sent_is_refused_before_anything_is_sealed() {
    let case = &vectors::load("envelope_v2").list("vectors")[0];
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    for len in [0, 1, 2, 3, 5, 1 << 24] {
        let mut buf = FrameBuf::new();
        let mut writer = EncryptedWriter::begin(&mut buf);
        writer.body().append(&vec![0; len]);
        let result = writer.seal(&key(case), Side::Client, header(case), Padding::Random, &mut rng);
        assert_eq!(result.err(), Some(WriteError::UnsendableBody { len }));
    }
}

#[test]
fn many_at_once_give_what_one_after_the_other_gives() {
    let case = &vectors::load("envelope_v2").list("vectors")[0];
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    for count in 0..33_usize {
        let keys: Vec<AuthKey> = (0..count).map(|_| random_key(&mut rng)).collect();
        let bodies: Vec<Vec<u8>> = (0..count).map(|i| vec![i as u8 + 1; 4 + 4 * (i * 7 % 40)]).collect();
        let mut frames: Vec<FrameBuf> = (0..count).map(|_| FrameBuf::new()).collect();
        let mut jobs = Vec::new();
        for ((frame, key), body) in frames.iter_mut().zip(&keys).zip(&bodies) {
            let mut writer = EncryptedWriter::begin(frame);
            writer.body().append(body);
            let prepared = writer.prepare(header(case), Padding::Random, &mut rng).unwrap();
            jobs.push(SealFrame::new(prepared, key, Side::Client));
        }
        seal_many(&mut jobs);
        // A second call must not encrypt a second time.
        seal_many(&mut jobs);
        let tokens: Vec<_> = jobs.into_iter().map(SealFrame::finish).collect();

        // Every fifth frame is damaged; the others must not notice.
        for frame in frames.iter_mut().step_by(5) {
            frame.as_mut_slice()[30] ^= 1;
        }
        let mut jobs: Vec<_> = (frames.iter_mut().zip(&keys))
            .map(|(frame, key)| OpenFrame::new(key, Side::Client, TransportTail::None, frame.as_mut_slice()))
            .collect();
        open_many(&mut jobs);
        open_many(&mut jobs);
        for (i, job) in jobs.into_iter().enumerate() {
            let opened: Result<Opened<'_>, FrameError> = job.finish();
            if i % 5 == 0 {
                assert_eq!(opened.unwrap_err(), FrameError::Malformed(MalformedFrame::MsgKeyMismatch));
                continue;
            }
            let opened = opened.unwrap();
            assert_eq!(opened.body(), bodies[i]);
            assert_eq!(opened.quick_ack(), tokens[i]);
        }
    }
}

#[test]
fn a_frame_refused_before_decryption_does_not_disturb_the_others() {
    let case = negative("ok_reference");
    let key = key(&case);
    let (mut short, mut good, mut foreign) = (vec![1; 71], case.bytes("packet"), vec![1; 120]);
    let mut jobs = [
        OpenFrame::new(&key, Side::Server, TransportTail::None, &mut short),
        OpenFrame::new(&key, Side::Server, TransportTail::None, &mut good),
        OpenFrame::new(&key, Side::Server, TransportTail::None, &mut foreign),
    ];
    open_many(&mut jobs);
    let [short, good, foreign] = jobs.map(|job| job.finish().map(|opened| opened.body().len()));
    assert!(matches!(short, Err(FrameError::Malformed(MalformedFrame::TooShort { .. }))));
    assert_eq!(good, Ok(20));
    assert!(matches!(foreign, Err(FrameError::Misbehaved(PeerMisbehaved::UnknownAuthKey { .. }))));
}

#[test]
fn a_job_that_was_not_passed_on_is_done_when_it_is_finished() {
    let case = negative("ok_reference");
    let (key, mut frame) = (key(&case), case.bytes("packet"));
    let job = OpenFrame::new(&key, Side::Server, TransportTail::None, &mut frame);
    assert_eq!(job.finish().unwrap().body().len(), 20);
}

fn random_key(rng: &mut ChaCha20Rng) -> AuthKey {
    let mut bytes = [0; 256];
    rng.fill_bytes(&mut bytes);
    AuthKey::from_bytes(bytes)
}
