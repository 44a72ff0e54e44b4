use crypto_bigint::{
    Odd, U2048,
    modular::{FixedMontyForm, FixedMontyParams},
};
use proptest::prelude::*;

use super::*;

/// The oracle: crypto-bigint.
fn naive_pow(modulus: &Bytes, base: &Bytes, exponent: &Bytes) -> Bytes {
    let params = FixedMontyParams::new_vartime(Odd::new(U2048::from_be_slice(modulus)).expect("odd"));
    let power =
        FixedMontyForm::new(&U2048::from_be_slice(base), &params).pow(&U2048::from_be_slice(exponent));
    power.retrieve().to_be_bytes().as_ref().try_into().expect("256 bytes")
}

fn small(value: u8) -> Bytes {
    let mut bytes = [0; 256];
    bytes[255] = value;
    bytes
}

fn odd(mut bytes: Bytes) -> Bytes {
    bytes[255] |= 1;
    bytes
}

fn any_number() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 256).prop_map(|v| v.try_into().expect("256 bytes")),
        1 => Just([0; 256]),
        1 => Just([0xff; 256]),
        1 => any::<u8>().prop_map(small),
        1 => (0usize..256).prop_map(|i| { let mut b = [0; 256]; b[i] = 0x80; b }),
    ]
}

fn any_modulus() -> impl Strategy<Value = Bytes> {
    any_number().prop_map(odd).prop_filter("a modulus is above 1", |n| *n != small(1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_power_agrees_with_crypto_bigint(n in any_modulus(), base in any_number(), e in any_number()) {
        let modulus = Modulus::new(&n);
        let expected = naive_pow(&n, &base, &e);
        prop_assert_eq!(modulus.pow(&base, &e), expected);
        prop_assert_eq!(modulus.pow_public(&base, &e), expected);
        for generator in 2..8 {
            let (own, shared) = modulus.pow_pair(generator, &base, &e);
            prop_assert_eq!(own, naive_pow(&n, &small(generator), &e));
            prop_assert_eq!(shared, expected);
        }
    }
}
