//! What the RSA-encrypted part of a client must say, and how.

use chappe_types::TransportErrorCode;
use core::time::Duration;

use chappe_crypto::hash;
use chappe_handshake::{DcId, DcPolicy, RefusalReason};
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, functions, types};

use super::{Answer, NOW, Rig, assert_not_found, lenient, strict};
use crate::{public_key, server_options};

#[test]
fn sec_045_p_and_q_must_be_the_issued_factors() {
    let changes: [fn(&mut functions::ReqDhParams); 5] = [
        |query| core::mem::swap(&mut query.p, &mut query.q),
        |query| query.p[3] ^= 2,
        |query| query.q[3] ^= 2,
        |query| query.p.insert(0, 0),
        |query| query.q.clear(),
    ];
    for change in changes {
        let mut rig = strict();
        let first = rig.start();
        let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
        change(&mut query);
        assert_not_found(&rig.refused(&query), &RefusalReason::WrongFactors);
        assert!(rig.server.is_empty());
    }
}

#[test]
fn sec_046_the_fingerprint_must_be_announced() {
    let mut rig = strict();
    let first = rig.start();
    assert_eq!(first.server_public_key_fingerprints, [public_key().fingerprint().to_raw()]);
    let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
    query.public_key_fingerprint ^= 1;
    let fingerprint = query.public_key_fingerprint;
    assert_not_found(&rig.refused(&query), &RefusalReason::UnknownFingerprint { fingerprint });
}

#[test]
fn sec_047_whatever_does_not_decrypt_is_refused_alike() {
    let changes: [fn(&mut Vec<u8>); 6] = [
        |data| data.truncate(255),
        |data| data.push(0),
        |data| data.clear(),
        |data| data.fill(0xff),
        |data| data.fill(0),
        |data| data[100] ^= 1,
    ];
    for rig in [strict, lenient] {
        for change in changes {
            let mut rig = rig();
            let first = rig.start();
            let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
            change(&mut query.encrypted_data);
            assert_not_found(&rig.refused(&query), &RefusalReason::Undecryptable);
        }
    }
}

#[test]
fn sec_049_the_inner_data_must_repeat_the_outer_message() {
    let changes: [fn(&mut types::PQInnerDataDc); 5] = [
        |inner| inner.nonce[0] ^= 1,
        |inner| inner.server_nonce[0] ^= 1,
        |inner| inner.pq[0] ^= 1,
        |inner| core::mem::swap(&mut inner.p, &mut inner.q),
        |inner| inner.q.insert(0, 0),
    ];
    for change in changes {
        let mut rig = strict();
        let first = rig.start();
        let query = rig.params_query(&first, |mut inner| {
            change(&mut inner);
            enums::PQInnerData::Dc(inner)
        });
        assert_not_found(&rig.refused(&query), &RefusalReason::InnerMismatch);
    }
}

fn without_dc(inner: types::PQInnerDataDc) -> types::PQInnerData {
    let types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, .. } = inner;
    types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce }
}

#[test]
fn sec_049_inner_data_without_a_datacenter_is_for_lenient_servers() {
    let old = |inner| enums::PQInnerData::PQInnerData(without_dc(inner));
    let mut rig = strict();
    let first = rig.start();
    let query = rig.params_query(&first, old);
    assert_not_found(&rig.refused(&query), &RefusalReason::UnexpectedInnerData);
    let mut rig = lenient();
    let first = rig.start();
    let query = rig.params_query(&first, old);
    rig.object(&query);
    let query = rig.last_query(&first, 12, |_| {});
    let Ok(Answer::Key(created, _)) = rig.ask(&query.to_bytes()) else { panic!("there is a key") };
    assert_eq!(created.dc, None);
}

/// `encrypted^e mod n` by square and multiply, on numbers of 256 bytes: for the form of encryption
/// that our own client never uses.
fn raw_rsa(message: &[u8; 256]) -> Vec<u8> {
    use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
    use crypto_bigint::{BoxedUint, Odd};
    let key = public_key();
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 2048).expect("2048 bits");
    let modulus = Odd::new(number(key.modulus())).expect("the modulus is odd");
    let base = BoxedMontyForm::new(number(message), &BoxedMontyParams::new_vartime(modulus));
    base.pow(&number(key.exponent())).retrieve().to_be_bytes().to_vec()
}

#[test]
fn sec_047_the_old_rsa_form_is_for_lenient_servers() {
    for (mut rig, accepted) in [(strict(), false), (lenient(), true)] {
        let first = rig.start();
        let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
        let object = enums::PQInnerData::PQInnerData(without_dc(Rig::inner_data(&first))).to_bytes();
        let mut message = [0x5a; 256];
        message[0] = 0;
        message[1..21].copy_from_slice(&hash::sha1(&[&object]));
        message[21..21 + object.len()].copy_from_slice(&object);
        query.encrypted_data = raw_rsa(&message);
        if !accepted {
            assert_not_found(&rig.refused(&query), &RefusalReason::Undecryptable);
            continue;
        }
        rig.object(&query);
        // With a wrong hash it is as undecryptable as anything else.
        let first = rig.start();
        let mut query = rig.params_query(&first, enums::PQInnerData::Dc);
        message[5] ^= 1;
        query.encrypted_data = raw_rsa(&message);
        assert_not_found(&rig.refused(&query), &RefusalReason::Undecryptable);
    }
}

#[test]
fn sec_050_another_datacenter_is_refused_with_its_own_code() {
    for dc in [0, 1, 3, -2, 10_002, i32::MIN] {
        let mut rig = strict();
        let first = rig.start();
        let change = |inner| enums::PQInnerData::Dc(types::PQInnerDataDc { dc, ..inner });
        let query = rig.params_query(&first, change);
        let refusal = rig.refused(&query);
        assert_eq!(
            (refusal.reason, refusal.code),
            (RefusalReason::WrongDc { dc }, Some(TransportErrorCode::WrongDc))
        );
        let mut rig = lenient();
        let first = rig.start();
        let query = rig.params_query(&first, change);
        rig.object(&query);
    }
    let dcs = DcPolicy::Only(vec![DcId::production(4), DcId::production(4).media_only()]);
    let mut rig = Rig::new(server_options().with_dcs(dcs));
    let first = rig.start();
    let query =
        rig.params_query(&first, |inner| enums::PQInnerData::Dc(types::PQInnerDataDc { dc: -4, ..inner }));
    rig.object(&query);
}

#[test]
fn sec_051_the_lifetime_of_a_temporary_key_is_bounded() {
    const MONTH: i32 = 30 * 24 * 3600;
    for (expires_in, accepted) in [
        (1, true),
        (86_400, true),
        (MONTH, true),
        (0, false),
        (-1, false),
        (MONTH + 1, false),
        (i32::MAX, false),
    ] {
        let mut rig = strict();
        let first = rig.start();
        let query = rig.params_query(&first, |inner| {
            let types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, dc } = inner;
            enums::PQInnerData::TempDc(types::PQInnerDataTempDc {
                pq,
                p,
                q,
                nonce,
                server_nonce,
                new_nonce,
                dc,
                expires_in,
            })
        });
        if !accepted {
            assert_not_found(&rig.refused(&query), &RefusalReason::BadExpiry { expires_in });
            continue;
        }
        rig.object(&query);
        let query = rig.last_query(&first, 12, |_| {});
        let Ok(Answer::Key(created, _)) = rig.ask(&query.to_bytes()) else { panic!("there is a key") };
        let lifetime = Duration::from_secs(u64::from(expires_in.unsigned_abs()));
        assert_eq!(created.expires_at, Some(NOW.unix.saturating_add(lifetime)));
    }
}
