//! Parameters of the exchange, and the half of the client.

use chappe_handshake::{RefusalReason, ServerHandshakes, ServerOptions, ServerOptionsError};

use super::{assert_not_found, strict};
use crate::server_options;

#[test]
fn sec_052_the_clients_half_must_be_in_order() {
    for padding in [12, 28] {
        let mut rig = strict();
        let (first, _) = rig.meet();
        let query = rig.last_query(&first, padding, |_| {});
        match padding {
            12 => drop(rig.object(&query)),
            _ => assert_not_found(&rig.refused(&query), &RefusalReason::BadClientData),
        }
    }
    let changes: [fn(&mut Vec<u8>); 6] = [
        Vec::clear,
        |data| data.truncate(16),
        |data| data.truncate(320),
        |data| data.truncate(335),
        |data| data[0] ^= 1,
        |data| data[200] ^= 1,
    ];
    for change in changes {
        let mut rig = strict();
        let (first, _) = rig.meet();
        let mut query = rig.last_query(&first, 12, |_| {});
        change(&mut query.encrypted_data);
        assert_not_found(&rig.refused(&query), &RefusalReason::BadClientData);
    }
    let mut rig = strict();
    let (first, _) = rig.meet();
    let query = rig.last_query(&first, 12, |inner| inner.nonce[0] ^= 1);
    assert_not_found(&rig.refused(&query), &RefusalReason::InnerMismatch);
}

#[test]
fn sec_054_the_clients_public_value_must_be_in_range() {
    let prime = chappe_crypto::dh::KNOWN_PRIME;
    let mut p_minus_1 = prime;
    p_minus_1[255] -= 1;
    for g_b in [vec![], vec![1], p_minus_1.to_vec(), prime.to_vec(), vec![0xff; 248], vec![0xff; 256]] {
        let mut rig = strict();
        let (first, _) = rig.meet();
        let padding = |len: usize| {
            let field = (if len < 254 { 1 } else { 4 } + len).next_multiple_of(4);
            (20 + 44 + field).next_multiple_of(16) - (20 + 44 + field)
        };
        let padding = padding(g_b.len());
        let query = rig.last_query(&first, padding, |inner| inner.g_b = g_b);
        assert_not_found(&rig.refused(&query), &RefusalReason::BadPublicValue);
    }
}

#[test]
fn sec_055_a_server_starts_only_with_usable_parameters() {
    assert_eq!(ServerHandshakes::new(ServerOptions::lenient(vec![])).err(), Some(ServerOptionsError::NoKeys));
    let none = server_options().with_max_exchanges(0);
    assert_eq!(ServerHandshakes::new(none).err(), Some(ServerOptionsError::NoRoom));
    // A group that a client would refuse cannot even be made.
    let refused = chappe_crypto::dh::Group::known(2);
    assert_eq!(refused, Err(chappe_crypto::dh::DhError::GeneratorNotResidue { generator: 2 }));
    let (_, inner) = strict().meet();
    assert_eq!((inner.g, inner.g_a.len(), inner.dh_prime.len()), (3, 256, 256));
}
