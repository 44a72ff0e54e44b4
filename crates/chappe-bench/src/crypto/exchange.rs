//! T9 to T11: what a key exchange computes.

use std::{hint::black_box, time::Instant};

use chappe_crypto::{
    dh::{Group, PrimeCache},
    factorize,
    rng::Drbg,
    rsa::PrivateKey,
};

use crate::{
    harness::{Case, Settings, Spread, measure, progress},
    report::{Bound, Report},
};

/// Measures factorisation, exponentiation, primality tests and RSA.
pub fn run(settings: &Settings, report: &mut Report) {
    let mut part = |title: &str, measure: Part| {
        if settings.wants(title) {
            measure(settings, report, title);
        }
    };
    part("pq of two 31-bit primes", pq);
    part("g^b and g_a^b together, 2048 bits", powers);
    part("a safe prime of 2048 bits seen for the first time", primality);
    part("RSA_PAD, both ends", rsa);
}

/// Measures one thing under a title.
type Part = fn(&Settings, &mut Report, &str);

/// T9. The median and the p99 over 200 numbers, formed in each round; so this is not a group of cases.
fn pq(_: &Settings, report: &mut Report, title: &str) {
    const ROUNDS: usize = 15;
    let numbers = products();
    let (mut medians, mut tails) = (Vec::new(), Vec::new());
    let bar = progress(ROUNDS as u64, title);
    for _ in 0..ROUNDS {
        let ours = times(&numbers, |pq| factorize(pq).expect("a product of two primes").0);
        let theirs = times(&numbers, |pq| grammers_crypto::factorize(pq).0);
        medians.push(ours[100] / theirs[100]);
        tails.push(ours[197] / theirs[197]);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let grammers = "speed of ours / grammers";
    report.target("T9", format!("{title}, median: {grammers}"), Bound::AtLeast(20.0), Spread::of(medians));
    report.target("T9", format!("{title}, p99: {grammers}"), Bound::AtLeast(20.0), Spread::of(tails));
}

/// Seconds per number, the best of three calls, ascending; checks the answers.
fn times(numbers: &[(u64, u64)], split: impl Fn(u64) -> u64) -> Vec<f64> {
    let once = |pq, p| {
        let start = Instant::now();
        let found = split(black_box(pq));
        let taken = start.elapsed().as_secs_f64();
        assert!(found == p || found == pq / p, "{pq} was split wrongly");
        taken
    };
    let best = |&(pq, p): &(u64, u64)| (0..3).map(|_| once(pq, p)).fold(f64::INFINITY, f64::min);
    let mut times: Vec<f64> = numbers.iter().map(best).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// 200 products of two random primes of 31 bits, always the same, with one factor of each.
fn products() -> Vec<(u64, u64)> {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut prime = || loop {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let candidate = (state >> 33) | 1 << 30 | 1;
        if (3..).step_by(2).take_while(|d| d * d <= candidate).all(|d| !candidate.is_multiple_of(d)) {
            break candidate;
        }
    };
    let mut pairs = std::iter::repeat_with(|| (prime(), prime())).filter(|(p, q)| p != q);
    (&mut pairs).take(200).map(|(p, q)| (p * q, p)).collect()
}

/// T10.
#[cfg(openssl)]
fn powers(settings: &Settings, report: &mut Report, title: &str) {
    use chappe_crypto::{dh::KNOWN_PRIME, kernels::Modulus};

    use crate::openssl::bignum::Exponentiation;

    const OPENSSL: &str = "two OpenSSL BN_mod_exp_mont_consttime";
    let (mut base, mut exponent) = ([0x35; 256], [0xa9; 256]);
    (base[1], exponent[1]) = (7, 11);
    let mut openssl = Exponentiation::new(&base, &exponent, &KNOWN_PRIME);
    let (best, scalar) = (Modulus::new(&KNOWN_PRIME), Modulus::scalar(&KNOWN_PRIME));
    let portable = Modulus::portable(&KNOWN_PRIME);
    openssl.run();
    for modulus in [&best, &scalar, &portable] {
        assert_eq!(modulus.pow_pair(3, &base, &exponent)[1], openssl.result(), "{modulus:?}");
    }
    let mut cases = vec![Case::new(OPENSSL, 1, || {
        openssl.run();
        openssl.run();
    })];
    let mut names = vec![];
    for modulus in [&best, &scalar, &portable] {
        let name = format!("{modulus:?}");
        if names.contains(&name) {
            continue;
        }
        cases.push(Case::new(&name, 1, || {
            black_box(modulus.pow_pair(3, black_box(&base), black_box(&exponent)));
        }));
        names.push(name);
    }
    let group = measure(settings, title, cases);
    for name in &names {
        let bound = if name.contains("ifma") { 0.40 } else { 1.25 };
        report.target(
            "T10",
            format!("{title}: {name} / two of OpenSSL"),
            Bound::AtMost(bound),
            group.ratio(name, OPENSSL),
        );
    }
    report.group(group);
}

#[cfg(not(openssl))]
fn powers(_: &Settings, _: &mut Report, title: &str) {
    eprintln!("{title}: OpenSSL is not installed, nothing to compare with");
}

/// A safe prime that is not the published one: group 14 of RFC 3526.
const OTHER_PRIME: &str = "\
    ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
    020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
    4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
    ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05\
    98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb\
    9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b\
    e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718\
    3995497cea956ae515d2261898fa051015728e5a8aacaa68ffffffffffffffff";

fn other_prime() -> [u8; 256] {
    let digit = |at: usize| u8::from_str_radix(&OTHER_PRIME[2 * at..2 * at + 2], 16).expect("hexadecimal");
    std::array::from_fn(digit)
}

/// T11.
fn primality(settings: &Settings, report: &mut Report, title: &str) {
    const OURS: &str = "both tests";
    let prime = other_prime();
    let mut rng = Drbg::from_seed([7; 32]);
    let check = |cache: &mut PrimeCache, rng: &mut Drbg| {
        black_box(Group::check(black_box(&prime), 2, cache, rng).expect("a safe prime"));
    };
    let mut cases = vec![Case::new(OURS, 1, || check(&mut PrimeCache::new(), &mut rng))];
    let mut cached = (PrimeCache::new(), Drbg::from_seed([8; 32]));
    cases.push(Case::new("verdict cached", 1, move || check(&mut cached.0, &mut cached.1)));
    cases.push(Case::new("the published prime", 1, || {
        black_box(Group::known(black_box(3)).expect("3 is a generator"));
    }));
    #[cfg(openssl)]
    {
        let mut number = crate::openssl::bignum::Exponentiation::new(&prime, &prime, &prime);
        cases.push(Case::new("OpenSSL BN_is_prime_ex(p)", 1, move || assert!(number.modulus_is_prime())));
    }
    let group = measure(settings, title, cases);
    #[cfg(openssl)]
    report.target(
        "T11",
        format!("{title}: ours / OpenSSL BN_is_prime_ex(p)"),
        Bound::AtMost(0.5),
        group.ratio(OURS, "OpenSSL BN_is_prime_ex(p)"),
    );
    report.group(group);
}

/// No target; a server wants to know.
fn rsa(settings: &Settings, report: &mut Report, title: &str) {
    let mut rng = Drbg::from_seed([9; 32]);
    let key = PrivateKey::generate(&mut rng).expect("randomness is good");
    let encrypted = key.public_key().encrypt_pad(&[1; 100], &mut rng).expect("short enough");
    let mut other = Drbg::from_seed([10; 32]);
    let cases = vec![
        Case::new("client, encrypt", 1, || {
            black_box(key.public_key().encrypt_pad(black_box(&[1; 100]), &mut rng).expect("short enough"));
        }),
        Case::new("server, decrypt", 1, || {
            black_box(key.decrypt_pad(black_box(&encrypted), &mut other).expect("genuine"));
        }),
    ];
    report.group(measure(settings, title, cases));
}
