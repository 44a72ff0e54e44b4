//! The fingerprints by which filters know a hello, computed here and compared with published ones.
//!
//! JA3: <https://github.com/salesforce/ja3>. JA4: <https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>.

extern crate alloc;

mod common;

use alloc::collections::{BTreeMap, BTreeSet};

use chappe_crypto::hash::sha256;
use chappe_transport::parts::ClientHello;
use chappe_transport::{ConnectStep, Connector, DcId, Domain, HelloProfile};
use common::{NOW, fake_tls_secret, rng};
use data_encoding::HEXLOWER;
use md5::{Digest as _, Md5};

/// What fingerprints are made of, in the order of the hello, without GREASE.
struct Hello {
    version: u16,
    suites: Vec<u16>,
    extensions: Vec<u16>,
    bodies: BTreeMap<u16, Vec<u8>>,
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]])).collect()
}

fn is_grease(word: u16) -> bool {
    let [high, low] = word.to_be_bytes();
    high == low && high & 0x0f == 0x0a
}

fn without_grease(words: Vec<u16>) -> Vec<u16> {
    words.into_iter().filter(|word| !is_grease(*word)).collect()
}

fn parse(record: &[u8]) -> Hello {
    let number = |at: usize| usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
    let version = number(9) as u16;
    let suites_at = 44 + usize::from(record[43]);
    let suites = words(&record[suites_at + 2..suites_at + 2 + number(suites_at)]);
    let mut at = suites_at + 2 + number(suites_at) + 2 + 2;
    let (mut extensions, mut bodies) = (Vec::new(), BTreeMap::new());
    while at < record.len() {
        let (kind, len) = (number(at) as u16, number(at + 2));
        extensions.push(kind);
        bodies.insert(kind, record[at + 4..at + 4 + len].to_vec());
        at += 4 + len;
    }
    assert_eq!(at, record.len());
    Hello { version, suites: without_grease(suites), extensions: without_grease(extensions), bodies }
}

impl Hello {
    fn of(profile: &HelloProfile, seed: u64) -> Self {
        parse(&record(profile, seed))
    }

    /// A list of words behind a length of two bytes.
    fn list(&self, extension: u16) -> Vec<u16> {
        without_grease(words(&self.bodies[&extension][2..]))
    }

    fn ja3_text(&self) -> String {
        let joined = |words: &[u16]| words.iter().map(u16::to_string).collect::<Vec<_>>().join("-");
        let formats: Vec<u16> = self.bodies[&11][1..].iter().map(|byte| (*byte).into()).collect();
        let parts = [&self.suites[..], &self.extensions, &self.list(10), &formats].map(joined);
        format!("{},{}", self.version, parts.join(","))
    }

    fn ja3(&self) -> String {
        HEXLOWER.encode(&Md5::digest(self.ja3_text()))
    }

    fn ja4(&self) -> String {
        let hex =
            |words: &[u16]| words.iter().map(|word| format!("{word:04x}")).collect::<Vec<_>>().join(",");
        let hashed = |text: &str| HEXLOWER.encode(&sha256(&[text.as_bytes()])[..6]);
        let versions = without_grease(words(&self.bodies[&43][1..]));
        assert_eq!(versions.iter().max(), Some(&0x0304));
        let alpn = &self.bodies[&16][3..];
        let first = &alpn[..usize::from(self.bodies[&16][2])];
        let ends = [first[0], first[first.len() - 1]].map(char::from);
        let mut suites = self.suites.clone();
        suites.sort_unstable();
        let mut extensions = self.extensions.clone();
        extensions.retain(|extension| !matches!(extension, 0 | 16));
        extensions.sort_unstable();
        format!(
            "t13d{:02}{:02}{}{}_{}_{}",
            self.suites.len(),
            self.extensions.len(),
            ends[0],
            ends[1],
            hashed(&hex(&suites)),
            hashed(&format!("{}_{}", hex(&extensions), hex(&self.list(13)))),
        )
    }
}

fn record(profile: &HelloProfile, seed: u64) -> Vec<u8> {
    let domain = Domain::new("www.example.com").expect("it is a name");
    profile.template().render(&domain, &mut rng(seed)).expect("it is whole")
}

/// The old shape of Chrome, with its published fingerprint: the computation is the one that everybody makes.
#[test]
fn the_computation_gives_published_values() {
    let mut chrome = Hello::of(&HelloProfile::CHROME, 1);
    // Before ML-DSA.
    let signatures = chrome.bodies.get_mut(&13).expect("it is there");
    signatures.drain(2..8);
    assert_eq!(chrome.ja4(), "t13d1516h2_8daaf6152771_d8a2da3f94cd");
}

#[test]
fn each_profile_has_the_fingerprint_of_its_browser() {
    // Recorded by others: https://krowdev.com/snippet/ja4-fingerprint-t13d2014h2/.
    assert_eq!(Hello::of(&HelloProfile::SAFARI, 1).ja4(), "t13d2013h2_a09f3c656075_7f0f34a4126d");
    // Recorded by curl-impersonate, tests/signatures/firefox_144.0.0_linux.yaml.
    let firefox = Hello::of(&HelloProfile::FIREFOX, 1);
    assert_eq!(
        firefox.ja3_text(),
        "771,4865-4867-4866-49195-49199-52393-52392-49196-49200-49162-49161-49171-49172-156-157-47-53,\
         0-23-65281-10-11-35-16-5-34-18-51-43-13-45-28-27-65037,4588-29-23-24-25-256-257,0"
    );
    assert_eq!(firefox.ja3(), "6f7889b9fb1a62a9577e685c1fcfa919");
    for (profile, ja4) in [
        (HelloProfile::CHROME, "t13d1516h2_8daaf6152771_806a8c22fdea"),
        (HelloProfile::FIREFOX, "t13d1717h2_5b57614c22b0_3cbfd9057e0d"),
    ] {
        let found: BTreeSet<_> = (0..20).map(|seed| Hello::of(&profile, seed).ja4()).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [ja4], "{}", profile.name);
    }
}

#[test]
fn only_the_extensions_of_chrome_are_permuted() {
    for (profile, is_permuted) in
        [(HelloProfile::CHROME, true), (HelloProfile::FIREFOX, false), (HelloProfile::SAFARI, false)]
    {
        let orders: BTreeSet<_> = (0..50).map(|seed| Hello::of(&profile, seed).extensions).collect();
        assert_eq!(orders.len() > 40, is_permuted, "{}: {} orders", profile.name, orders.len());
        assert!(is_permuted || orders.len() == 1);
    }
}

#[test]
fn encrypted_hellos_have_the_lengths_of_their_browsers() {
    let lengths = |profile: &HelloProfile| -> BTreeSet<usize> {
        let hellos = (0..60).map(|seed| Hello::of(profile, seed));
        hellos.map(|hello| hello.bodies[&0xfe0d].len() - 42).collect()
    };
    assert_eq!(lengths(&HelloProfile::CHROME), BTreeSet::from([144, 176, 208, 240]));
    assert_eq!(lengths(&HelloProfile::FIREFOX), BTreeSet::from([239]));
    assert!(!Hello::of(&HelloProfile::SAFARI, 1).extensions.contains(&0xfe0d));
}

#[test]
fn every_profile_is_a_hello_of_one_record() {
    for profile in HelloProfile::ALL {
        for seed in 0..20 {
            let record = record(&profile, seed);
            let parsed = ClientHello::new_checked(&record).expect("it is well formed");
            assert_eq!(parsed.server_name(), Some(&b"www.example.com"[..]));
            assert!(parsed.tls13_suite().is_some());
            assert!(record.len() > 517 && record.len() < 4096, "{}: {}", profile.name, record.len());
        }
        assert!(profile.date.len() == 7 && profile.date.starts_with("20"));
    }
}

/// A point of P-256, as every share that Firefox sends: y² = x³ − 3x + b.
#[test]
fn shares_of_p256_are_points() {
    use crypto_bigint::modular::ConstMontyForm;
    use crypto_bigint::{U256, const_monty_params};
    const_monty_params!(
        P256,
        U256,
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        "P-256."
    );
    let b = U256::from_be_hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
    let element = |number: &U256| ConstMontyForm::<P256, { U256::LIMBS }>::new(number);
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let shares = Hello::of(&HelloProfile::FIREFOX, seed).bodies[&51].clone();
        let share = &shares[shares.len() - 69..];
        assert_eq!(share[..5], [0x00, 0x17, 0x00, 0x41, 0x04]);
        let (x, y) = (U256::from_be_slice(&share[5..37]), U256::from_be_slice(&share[37..]));
        assert_eq!((element(&x).retrieve(), element(&y).retrieve()), (x, y), "below the modulus");
        let (x, y) = (element(&x), element(&y));
        let three = element(&U256::from_u8(3));
        assert_eq!(y.square(), (x.square() - three) * x + element(&b));
        seen.insert(share[5..].to_vec());
    }
    assert_eq!(seen.len(), 20);
}

#[test]
fn a_connector_draws_a_profile_for_each_connection_or_uses_one() {
    let connector = Connector::proxy(&fake_tls_secret(), DcId::production(2));
    let start = |connector: &Connector, seed| {
        let mut out = Vec::new();
        let step = connector.start(NOW, &mut rng(seed), &mut out).expect("it starts");
        assert!(matches!(step, ConnectStep::FakeTls(_)));
        parse(&out).ja4()
    };
    let drawn: BTreeSet<_> = (0..40).map(|seed| start(&connector, seed)).collect();
    let all: BTreeSet<_> = HelloProfile::ALL.iter().map(|profile| Hello::of(profile, 1).ja4()).collect();
    assert_eq!(drawn, all);
    for profile in HelloProfile::ALL {
        let fixed = connector.clone().with_profile(&profile);
        let used: BTreeSet<_> = (0..10).map(|seed| start(&fixed, seed)).collect();
        assert_eq!(used, BTreeSet::from([Hello::of(&profile, 1).ja4()]));
    }
}
