//! Every error that has a source prints each text of its chain once.
//!
//! A caller that prints an error and its sources must not read the same words twice, and a caller that prints the error
//! alone must read something of its own.

use core::error::Error;

use chappe_crypto::dh::DhError;
use chappe_crypto::factorize::FactorizeError;
use chappe_crypto::message::OpenError;
use chappe_crypto::secret_chat::MessageError;
use chappe_framing::{FrameError, MalformedFrame, WriteError};
use chappe_handshake::{ApiMisuse, InvalidAnswer, QueryRefusal, RefusalReason};
use chappe_session::UnpackError;
use chappe_session::client::{ReceiveError, SendError};
use chappe_session::server::{RespondError, ServerError};
use chappe_tl::{DecodeError, Deserializable, EncodeError};

/// Asserts that the chain is `len` texts long and that none of them contains another.
#[track_caller]
fn assert_prints_each_text_once(error: &(dyn Error + 'static), len: usize) {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    assert_eq!(texts.len(), len, "{texts:?}");
    for (at, text) in texts.iter().enumerate() {
        assert!(!text.is_empty(), "{texts:?}");
        let repeats =
            texts.iter().enumerate().any(|(other, longer)| other != at && longer.contains(text.as_str()));
        assert!(!repeats, "{texts:?}");
    }
}

fn unreadable() -> DecodeError {
    i64::from_bytes(&[0; 4]).expect_err("four bytes are no long")
}

fn unencodable() -> EncodeError {
    EncodeError::StringTooLong { len: 1 << 30 }
}

#[test]
fn crypto() {
    assert_prints_each_text_once(&MessageError::Open(OpenError::MsgKeyMismatch), 1);
}

#[test]
fn framing() {
    assert_prints_each_text_once(&MalformedFrame::Tl(unreadable()), 2);
    assert_prints_each_text_once(&FrameError::from(unreadable()), 2);
    assert_prints_each_text_once(&WriteError::Encode(unencodable()), 2);
}

#[test]
fn handshake() {
    use chappe_handshake::HandshakeError;

    assert_prints_each_text_once(&HandshakeError::Frame(unreadable().into()), 3);
    assert_prints_each_text_once(&InvalidAnswer::Pq(FactorizeError::TooLarge), 2);
    assert_prints_each_text_once(&InvalidAnswer::DhParams(DhError::NotPrime), 2);
    assert_prints_each_text_once(&HandshakeError::from(InvalidAnswer::DhParams(DhError::NotPrime)), 2);
    assert_prints_each_text_once(&ApiMisuse::Encode(unencodable()), 2);
    assert_prints_each_text_once(&HandshakeError::from(unencodable()), 2);
    assert_prints_each_text_once(&QueryRefusal::from(RefusalReason::Frame(unreadable().into())), 3);
}

#[test]
fn session() {
    assert_prints_each_text_once(&UnpackError::Frame(unreadable().into()), 2);
    assert_prints_each_text_once(&ReceiveError::Frame(unreadable().into()), 2);
    assert_prints_each_text_once(&SendError::Encode(unencodable()), 2);
    assert_prints_each_text_once(&ServerError::Frame(unreadable().into()), 2);
    assert_prints_each_text_once(&RespondError::Encode(unencodable()), 2);
}

#[test]
fn transport() {
    use chappe_transport::http::HttpError;
    use chappe_transport::{MalformedStream, SecretError, TransportError, TransportMisuse};

    assert_prints_each_text_once(&MalformedStream::Http(HttpError::MalformedHead), 2);
    assert_prints_each_text_once(&TransportError::from(HttpError::MalformedHead), 2);
    assert_prints_each_text_once(&TransportMisuse::Secret(SecretError::Domain { at: 0 }), 2);
    assert_prints_each_text_once(&TransportError::from(SecretError::Domain { at: 0 }), 2);
}
