//! What the client sends, and when again.

use chappe_framing::FrameBuf;
use chappe_handshake::{ApiMisuse, ClientHandshake, DcId, HandshakeError, KeyKind, step1_with, step2_with};
use chappe_tl::Serializable;
use chappe_tl_mtproto::enums;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{NOW, Server, meet_at_the_end, res_pq, rng};
use crate::client_options;

#[test]
fn sec_024_encrypted_data_has_256_bytes() {
    for seed in 0..40 {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let (request, state) = step1_with(&mut rng);
        let answer = enums::ResPq::ResPq(res_pq(request.nonce));
        let (request, _) = step2_with(state, answer, &client_options(), &mut rng).unwrap();
        assert_eq!(request.encrypted_data.len(), 256);
    }
}

#[test]
fn sec_023_and_sec_025_the_inner_data_names_the_datacenter() {
    let mut rng = rng();
    for (dc, raw) in
        [(DcId::production(2), 2), (DcId::test(2), 10_002), (DcId::production(4).media_only(), -4)]
    {
        for kind in [KeyKind::Permanent, KeyKind::Temporary { expires_in: 3600 }] {
            let options = client_options().with_dc(dc).with_kind(kind);
            let (server, _) = Server::meet(&options, &mut rng);
            assert!(server.inner.to_bytes().len() <= 144);
            match (&server.inner, kind) {
                (enums::PQInnerData::Dc(inner), KeyKind::Permanent) => assert_eq!(inner.dc, raw),
                (enums::PQInnerData::TempDc(inner), KeyKind::Temporary { .. }) => {
                    assert_eq!((inner.dc, inner.expires_in), (raw, 3600));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn an_impossible_lifetime_is_refused_before_anything_is_sent() {
    for expires_in in [0, 1 << 31, u32::MAX] {
        let options = client_options().temporary(expires_in);
        let refused = ClientHandshake::begin(options, NOW, &mut rng()).map(|_| ());
        assert!(
            matches!(refused, Err(HandshakeError::Misuse(ApiMisuse::InvalidExpiry { seconds })) if seconds == expires_in)
        );
    }
}

#[test]
fn sec_040_both_inner_messages_start_from_the_same_iv() {
    // `Server::agree` decrypts the client's message with the IV that the server's was made with.
    let mut rng = rng();
    let (server, request, _state) = meet_at_the_end(&mut rng);
    assert_eq!(server.agree(&request).0.nonce, server.nonce);
}

#[test]
fn sec_042_a_request_is_resent_byte_for_byte_and_a_new_exchange_has_new_nonces() {
    let mut rng = rng();
    let mut client = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
    let (mut first, mut second) = (FrameBuf::new(), FrameBuf::new());
    assert!(client.poll_transmit(NOW, &mut first));
    client.resend();
    assert!(client.poll_transmit(NOW, &mut second));
    assert_eq!(crate::object_of(first.as_slice()), crate::object_of(second.as_slice()));
    let other = ClientHandshake::begin(client_options(), NOW, &mut rng).unwrap();
    assert_ne!(client.last_request(), other.last_request());
}
