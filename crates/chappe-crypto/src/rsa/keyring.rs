//! The public keys a client trusts.

use alloc::vec::Vec;

use super::{Fingerprint, PublicKey};

/// Key of the production servers, fingerprint `0xd09d1d85de64fd85`.
const PRODUCTION: &str = "\
-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEA6LszBcC1LGzyr992NzE0ieY+BSaOW622Aa9Bd4ZHLl+TuFQ4lo4g
5nKaMBwK/BIb9xUfg0Q29/2mgIR6Zr9krM7HjuIcCzFvDtr+L0GQjae9H0pRB2OO
62cECs5HKhT5DZ98K33vmWiLowc621dQuwKWSQKjWf50XYFw42h21P2KXUGyp2y/
+aEyZ+uVgLLQbRA1dEjSDZ2iGRy12Mk5gpYc397aYp438fsJoHIgJ2lgMv5h7WY9
t6N/byY9Nw9p21Og3AoXSL2q/2IJ1WRUhebgAdGVMlV1fkuOQoEzR7EdpqtQD9Cs
5+bfo3Nhmcyvk5ftB0WkJ9z6bNZ7yxrP8wIDAQAB
-----END RSA PUBLIC KEY-----";

/// Key of the test servers, fingerprint `0xb25898df208d2603`.
const TEST: &str = "\
-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAyMEdY1aR+sCR3ZSJrtztKTKqigvO/vBfqACJLZtS7QMgCGXJ6XIR
yy7mx66W0/sOFa7/1mAZtEoIokDP3ShoqF4fVNb6XeqgQfaUHd8wJpDWHcR2OFwv
plUUI1PLTktZ9uW2WE23b+ixNwJjJGwBDJPQEQFBE+vfmH0JP503wr5INS1poWg/
j25sIWeYPHYeOrFp/eXaqhISP6G+q2IeTaWTXpwZj4LzXq5YOpk4bYEQ6mvRq7D1
aHWfYmlEGepfaYR8Q0YqvvhYtMte3ITnuSJs171+GDqpdKcSwHnd6FudwGO4pcCO
j4WcDuXc2CTHgH8gFTNhp/Y8/SpDOhvn9QIDAQAB
-----END RSA PUBLIC KEY-----";

/// Fingerprints of retired production keys, which servers still offer.
///
/// They imply the old padding with SHA-1, so [`KeyRing::select`] never selects one of them.
pub const HISTORICAL_FINGERPRINTS: [Fingerprint; 8] = [
    Fingerprint::from_raw(0x0bc3_5f35_09f7_b7a5),
    Fingerprint::from_raw(0x15ae_5fa8_b552_9542),
    Fingerprint::from_raw(0xaeae_98e1_3cd7_f94f_u64 as i64),
    Fingerprint::from_raw(0x5a18_1b22_3505_7d98),
    Fingerprint::from_raw(0xc3b4_2b02_6ce8_6b21_u64 as i64),
    Fingerprint::from_raw(0x9a99_6a1d_b11c_729b_u64 as i64),
    Fingerprint::from_raw(0xb05b_2a6f_70cd_ea78_u64 as i64),
    Fingerprint::from_raw(0x71e0_25b6_c760_33e3),
];

/// A set of trusted server keys, for one kind of endpoint.
///
/// Production, test and CDN keys must not be mixed in one ring (SEC-18).
///
/// ```
/// # use chappe_crypto::rsa::KeyRing;
/// let ring = KeyRing::production();
/// // A server offers retired keys beside the current one.
/// let key = ring.select(&[0x0bc35f3509f7b7a5, -3414540481677951611]).expect("current key is offered");
/// assert_eq!(key.fingerprint().to_raw(), -3414540481677951611);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing {
    keys: Vec<PublicKey>,
}

impl KeyRing {
    /// Creates a ring without keys, for private datacenters or CDN keys.
    pub const fn empty() -> Self {
        Self { keys: Vec::new() }
    }

    /// Creates the ring of Telegram's production servers.
    pub fn production() -> Self {
        Self::of_published(PRODUCTION)
    }

    /// Creates the ring of Telegram's test servers.
    pub fn test() -> Self {
        Self::of_published(TEST)
    }

    fn of_published(pem: &str) -> Self {
        let key = PublicKey::from_pem(pem).expect("published keys are valid, which a test checks");
        Self { keys: Vec::from([key]) }
    }

    /// Adds a key unless the ring contains it.
    pub fn add(&mut self, key: PublicKey) {
        if self.get(key.fingerprint()).is_none() {
            self.keys.push(key);
        }
    }

    /// Returns the key for the first fingerprint of `offered` that is in the ring and not
    /// [historical](HISTORICAL_FINGERPRINTS), or `None` if there is none (SEC-17).
    pub fn select(&self, offered: &[i64]) -> Option<&PublicKey> {
        let offered = offered.iter().map(|&raw| Fingerprint::from_raw(raw));
        offered.filter(|fingerprint| !HISTORICAL_FINGERPRINTS.contains(fingerprint)).find_map(|f| self.get(f))
    }

    /// Returns the key with this fingerprint.
    pub fn get(&self, fingerprint: Fingerprint) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.fingerprint() == fingerprint)
    }

    /// Iterates over the keys in the order they were added.
    pub fn iter(&self) -> core::slice::Iter<'_, PublicKey> {
        self.keys.iter()
    }
}

impl<'a> IntoIterator for &'a KeyRing {
    type Item = &'a PublicKey;
    type IntoIter = core::slice::Iter<'a, PublicKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Extend<PublicKey> for KeyRing {
    fn extend<T: IntoIterator<Item = PublicKey>>(&mut self, keys: T) {
        keys.into_iter().for_each(|key| self.add(key));
    }
}
