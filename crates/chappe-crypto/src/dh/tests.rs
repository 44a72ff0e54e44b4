use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([0x5a; 32])
}

/// A source of randomness that is stuck.
struct Stuck(u8);

impl rand_core::TryRng for Stuck {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        dst.fill(self.0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Stuck {}

#[test]
fn the_known_prime_is_a_safe_prime_by_our_own_test() {
    assert_eq!(safe_prime::judge(&KNOWN_PRIME, &mut rng()), PrimalityResult::SafePrime);
}

/// A prime whose half is composite without any small factor: the first from a fixed random start.
const UNSAFE_PRIME: &str = "\
    e91b45737c7bcc3921b3f234d635e4e1196e6edfa214ee09eacc7224a168662f\
    2e5b384699bebfd67cc35a654cef04ea49e42d3a26c8543cfcf370fcc9a6eedc\
    243f2491f33078a9c6a0fb27b4d54a4fc21df9702f9ae61678b230938f5b035d\
    9843c5e7484f19aacb4dd59c7d7eca0ef3b64a71ae2e45d700150972924b6d53\
    00bea0b1181276761a37fd60395d72691b2a73c0eb8189a534f2d0dff118a1f3\
    af3805f2ba642ba0cc3823504a425fcad0591edd40285a546b7b9d55fde224e5\
    ea59d3969f590fb265e285ccd6b41c23cd7a3e44f4421b3fdfc797259cb6adcd\
    837e0d676ed8f4681ea20b179f58eff06152dc79a663dd719497734b9ea881c3";

#[test]
fn a_prime_whose_half_has_only_large_factors_is_not_taken_for_safe() {
    let prime: [u8; 256] = hex::decode(UNSAFE_PRIME).expect("hexadecimal").try_into().expect("256 bytes");
    assert_eq!(safe_prime::judge(&prime, &mut rng()), PrimalityResult::NotSafe);
    // A number beside it, which is composite.
    let mut composite = prime;
    composite[200] ^= 8;
    assert_ne!(safe_prime::judge(&composite, &mut rng()), PrimalityResult::SafePrime);
}

/// A composite number whose half is prime, without any factor below 20 000: the first from a fixed random start.
const COMPOSITE: &str = "\
    ec903f6bc71603ce5d13d3e5ba510d0fe928adc29f80d6708811e117762acc69\
    719710840e18b1b0e155dd9719df0260baa8516705b5627036374b692c1cab9d\
    28ed86dd39f9d1a0ef24b709d7acaf10ca60953081050f61700588ffaf50f183\
    aeabbf311b12c1473207e996a8abd6754bd511efea6032b11d045f353608727d\
    13f6300db87fc50e542c571b906ad31a9bf8787631838057528d409d3fe6b566\
    5993a6a9aedfb2e0e880ccc7a7c3d8e813938635c5f27213e9479860a5001c08\
    47d6e2c8758b8e4e2ba4a683db8bfd0bc84fe8e8229b3f9dfe7e7f19fca76624\
    54871e5462e5e884779c29564c3b63a87f9696e1ef34fff9ce372b24489e1b23";

#[test]
fn a_composite_number_whose_half_is_prime_is_not_taken_for_safe() {
    let number: [u8; 256] = hex::decode(COMPOSITE).expect("hexadecimal").try_into().expect("256 bytes");
    assert_eq!(safe_prime::judge(&number, &mut rng()), PrimalityResult::Composite);
}

#[test]
fn the_known_prime_takes_no_test_and_no_place_in_the_cache() {
    let mut cache = PrimeCache::new();
    assert_eq!(Group::check(&KNOWN_PRIME, 3, &mut cache, &mut rng()), Group::known(3));
    assert!(cache.is_empty());
}

#[test]
fn a_bad_verdict_is_remembered() {
    let mut composite = KNOWN_PRIME;
    composite[255] = 0x61;
    let mut cache = PrimeCache::new();
    let first = Group::check(&composite, 4, &mut cache, &mut rng()).expect_err("composite");
    assert_eq!(cache.len(), 1);
    assert_eq!(Group::check(&composite, 4, &mut cache, &mut rng()), Err(first));
    assert_eq!(cache.len(), 1);
}

#[test]
fn leading_zeros_of_a_prime_are_ignored_and_other_sizes_are_refused() {
    let mut cache = PrimeCache::new();
    let padded = [&[0, 0][..], &KNOWN_PRIME].concat();
    assert!(Group::check(&padded, 3, &mut cache, &mut rng()).is_ok());
    for (prime, bits) in [(&[][..], 0), (&[0; 300], 0), (&KNOWN_PRIME[1..], 2037), (&[1; 257], 2049)] {
        let error = Group::check(prime, 3, &mut cache, &mut rng()).expect_err("wrong size");
        assert_eq!(error, DhError::PrimeSize { bits });
    }
}

#[test]
fn randomness_that_is_stuck_ends_in_an_error_instead_of_a_loop() {
    let group = Group::known(3).expect("3 is a generator");
    let (_, peer) = group.key_pair(&mut rng()).expect("in range");
    // An exponent of zero gives the public value 1.
    assert_eq!(group.key_pair(&mut Stuck(0)).err(), Some(DhError::ValueOutOfGroup));
    assert_eq!(group.agree(&mut Stuck(0), &peer).err(), Some(DhError::ValueOutOfGroup));
}

#[test]
fn debug_output_shows_neither_exponents_nor_secrets() {
    let group = Group::known(3).expect("3 is a generator");
    let agreement =
        group.agree(&mut rng(), &group.key_pair(&mut rng()).expect("in range").1).expect("in range");
    let shown = std::format!("{:?} {:?} {:?}", Exponent::from_bytes([7; 256]), agreement, group);
    assert!(shown.starts_with("Exponent(..) Agreement { public: PublicValue("), "{shown}");
    assert!(!shown.contains("shared"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn both_sides_reach_the_same_secret(seed: [u8; 32], generator in prop_oneof![Just(3), Just(4), Just(7)]) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let group = Group::known(generator).expect("a generator of the known prime");
        let (a, g_a) = group.key_pair(&mut rng).expect("in range");
        let theirs = group.agree(&mut rng, &g_a).expect("in range");
        prop_assert_eq!(group.shared_secret(&a, &theirs.public), theirs.shared);
    }

    #[test]
    fn arbitrary_bytes_as_public_value_never_panic(value in prop::collection::vec(any::<u8>(), 0..300)) {
        let group = Group::known(3).expect("3 is a generator");
        if let Ok(checked) = group.check_public(&value) {
            prop_assert!(checked.as_bytes() > &[0; 256]);
        }
    }
}
