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

/// Every kernel that this machine can run.
fn kernels(n: &Bytes) -> [Modulus; 3] {
    [Modulus::portable(n), Modulus::scalar(n), Modulus::new(n)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_power_agrees_with_crypto_bigint(
        n in any_modulus(),
        base in any_number(),
        e in any_number(),
        generator in 2u8..8,
    ) {
        let expected = naive_pow(&n, &base, &e);
        let other = naive_pow(&n, &odd(e), &e);
        let own = naive_pow(&n, &small(generator), &e);
        for modulus in kernels(&n) {
            prop_assert_eq!(modulus.pow(&base, &e), expected, "{:?}", modulus);
            prop_assert_eq!(modulus.pow_public(&base, &e), expected, "{:?}", modulus);
            prop_assert_eq!(modulus.pow_two([&base, &odd(e)], &e), [expected, other], "{:?}", modulus);
            prop_assert_eq!(modulus.pow_generator(generator, &e), own, "{:?}", modulus);
            prop_assert_eq!(modulus.pow_pair(generator, &base, &e), [own, expected], "{:?}", modulus);
        }
    }

    #[test]
    fn every_product_agrees_with_crypto_bigint(n in any_modulus(), a in any_number(), b in any_number()) {
        let params = FixedMontyParams::new_vartime(Odd::new(U2048::from_be_slice(&n)).expect("odd"));
        let form = |x: &Bytes| FixedMontyForm::new(&U2048::from_be_slice(x), &params);
        let product = (form(&a) * form(&b)).retrieve().to_be_bytes();
        for modulus in kernels(&n) {
            prop_assert_eq!(&modulus.mul(&a, &b), product.as_ref(), "{:?}", modulus);
        }
    }
}

#[test]
fn the_best_kernel_of_the_cpu_is_taken() {
    #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
    assert_eq!(
        std::format!("{:?}", Modulus::new(&small(3))) == "Modulus(ifma)",
        std::is_x86_feature_detected!("avx512ifma") && std::is_x86_feature_detected!("avx512dq")
    );
    #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
    assert_eq!(
        std::format!("{:?}", Modulus::scalar(&small(3))) == "Modulus(mulx)",
        std::is_x86_feature_detected!("bmi2") && std::is_x86_feature_detected!("adx")
    );
    #[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(chappe_portable)))]
    assert_eq!(std::format!("{:?}", Modulus::new(&small(3))), "Modulus(umulh)");
    assert_eq!(std::format!("{:?}", Modulus::portable(&small(3))), "Modulus(portable)");
}
