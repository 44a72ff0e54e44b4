//! The `ClientHello` as a filter would look at it.

extern crate alloc;

mod common;

use alloc::collections::{BTreeMap, BTreeSet};

use chappe_transport::TransportMisuse;
use chappe_transport::parts::ClientHello;
use chappe_transport::{Domain, HelloPart, HelloTemplate, TransportError};
use common::rng;
use curve25519_dalek::{MontgomeryPoint, Scalar, traits::IsIdentity};

/// A hello taken apart, independently of the crate's own parser.
struct Hello {
    record: Vec<u8>,
    suites: Vec<[u8; 2]>,
    /// Number and body, in the order they were sent.
    extensions: Vec<([u8; 2], Vec<u8>)>,
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn hello(domain: &str, seed: u64) -> Hello {
    let domain = Domain::new(domain).expect("it is a name");
    let record = HelloTemplate::browser().render(&domain, &mut rng(seed)).expect("it is whole");
    assert_eq!(record[..3], [0x16, 0x03, 0x01]);
    assert_eq!(number(&record[3..5]), record.len() - 5);
    assert_eq!(record[5], 0x01);
    assert_eq!(number(&record[6..9]), record.len() - 9);
    assert_eq!(record[9..11], [0x03, 0x03]);
    assert_eq!(record[11..43], [0; 32]);
    assert_eq!(record[43], 32);
    let suites_len = number(&record[76..78]);
    let suites = record[78..78 + suites_len].chunks(2).map(|suite| [suite[0], suite[1]]).collect();
    let at = 78 + suites_len;
    assert_eq!(record[at..at + 2], [1, 0]);
    let mut rest = &record[at + 4..];
    assert_eq!(number(&record[at + 2..at + 4]), rest.len());
    let mut extensions = Vec::new();
    while !rest.is_empty() {
        let len = number(&rest[2..4]);
        extensions.push(([rest[0], rest[1]], rest[4..4 + len].to_vec()));
        rest = &rest[4 + len..];
    }
    Hello { record, suites, extensions }
}

fn is_grease(value: [u8; 2]) -> bool {
    value[0] == value[1] && value[0] & 0x0f == 0x0a
}

impl Hello {
    fn extension(&self, number: [u8; 2]) -> &[u8] {
        let mut found = self.extensions.iter().filter(|(name, _)| *name == number);
        let (_, body) = found.next().expect("it is there");
        assert!(found.next().is_none(), "an extension comes once");
        body
    }

    /// Group and key of each share.
    fn shares(&self) -> Vec<([u8; 2], &[u8])> {
        let body = self.extension([0x00, 0x33]);
        assert_eq!(number(&body[..2]), body.len() - 2);
        let mut rest = &body[2..];
        let mut shares = Vec::new();
        while !rest.is_empty() {
            let len = number(&rest[2..4]);
            shares.push(([rest[0], rest[1]], &rest[4..4 + len]));
            rest = &rest[4 + len..];
        }
        shares
    }
}

/// On the curve, not on its twist, and in the subgroup of prime order, as every key a browser makes.
fn assert_is_a_key(key: &[u8]) {
    let point = MontgomeryPoint(key.try_into().expect("it is 32 bytes long"));
    let edwards = point.to_edwards(0).expect("it is on the curve");
    assert!(edwards.is_torsion_free(), "it is in the subgroup of prime order");
    assert!(!(edwards * Scalar::ONE).is_identity());
}

#[test]
fn key_shares_are_keys() {
    for seed in 0..20 {
        let hello = hello("example.com", seed);
        let shares = hello.shares();
        let [(grease, one), (hybrid, both), (classic, key)] = shares[..] else {
            panic!("{} shares", shares.len())
        };
        assert!(is_grease(grease) && one == [0]);
        assert_eq!((hybrid, both.len()), ([0x11, 0xec], 1184 + 32));
        assert_eq!((classic, key.len()), ([0x00, 0x1d], 32));
        assert_is_a_key(key);
        assert_is_a_key(&both[1184..]);
        assert_ne!(key, &both[1184..]);
        for pair in both[..1152].chunks(3) {
            let (a, b) = (
                u16::from(pair[0]) | u16::from(pair[1] & 15) << 8,
                u16::from(pair[1] >> 4) | u16::from(pair[2]) << 4,
            );
            assert!(a < 3329 && b < 3329, "coefficients are below the modulus");
        }
        let encapsulated = &hello.extension([0xfe, 0x0d])[6..];
        assert_eq!(number(&encapsulated[..2]), 32);
        assert_is_a_key(&encapsulated[2..34]);
    }
}

#[test]
fn the_length_depends_on_the_domain_and_the_encrypted_hello() {
    let lengths: BTreeSet<usize> = (0..60).map(|seed| hello("example.com", seed).record.len()).collect();
    let steps: Vec<_> = lengths.iter().zip(lengths.iter().skip(1)).map(|(a, b)| b - a).collect();
    assert_eq!(steps, [32, 32, 32], "{lengths:?}");
    let length = hello("example.com", 0).record.len();
    assert_eq!(hello("example.com.", 0).record.len(), length + 1);
    assert!(lengths.iter().all(|length| *length > 517), "no padding is needed");
}

#[test]
fn extensions_are_permuted_between_grease_at_both_ends() {
    let names = |seed| -> Vec<[u8; 2]> {
        let hello = hello("example.com", seed);
        let names: Vec<_> = hello.extensions.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), 18);
        let [first, middle @ .., last] = &names[..] else { panic!("too few") };
        assert!(is_grease(*first) && is_grease(*last) && first != last);
        assert!(!middle.iter().any(|name| is_grease(*name)));
        assert_eq!(hello.extension(*first), []);
        assert_eq!(hello.extension(*last), [0]);
        middle.to_vec()
    };
    let orders: BTreeSet<_> = (0..100).map(names).collect();
    assert!(orders.len() > 95, "{} different orders of 100", orders.len());
    let sets: BTreeSet<BTreeSet<_>> = orders.iter().map(|order| order.iter().copied().collect()).collect();
    assert_eq!(sets.len(), 1, "the same extensions in every hello");
    // Every extension is seen in every third of the list.
    let mut places: BTreeMap<[u8; 2], BTreeSet<usize>> = BTreeMap::new();
    for order in &orders {
        for (place, name) in order.iter().enumerate() {
            places.entry(*name).or_default().insert(place * 3 / order.len());
        }
    }
    assert!(places.values().all(|thirds| thirds.len() == 3), "{places:?}");
}

#[test]
fn grease_stands_where_browsers_have_it_and_varies() {
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let hello = hello("example.com", seed);
        assert!(is_grease(hello.suites[0]));
        assert_eq!(hello.suites.iter().filter(|suite| is_grease(**suite)).count(), 1);
        let groups = hello.extension([0x00, 0x0a]);
        let group = [groups[2], groups[3]];
        assert!(is_grease(group));
        assert_eq!(hello.shares()[0].0, group, "the greased share is of the greased group");
        let versions = hello.extension([0x00, 0x2b]);
        assert!(is_grease([versions[1], versions[2]]));
        assert_eq!(hello.extensions.iter().filter(|(name, _)| is_grease(*name)).count(), 2);
        seen.insert((hello.suites[0], group, hello.extensions[0].0));
    }
    assert!(seen.len() > 50, "{} different of 60", seen.len());
}

#[test]
fn the_domain_and_the_offer_are_read_back() {
    let hello = hello("Example.com", 1);
    let parsed = ClientHello::new_checked(&hello.record).expect("it is well formed");
    assert_eq!(parsed.server_name(), Some(&b"Example.com"[..]));
    assert_eq!(parsed.tls13_suite(), Some([0x13, 0x01]));
    assert_eq!(parsed.session_id(), &hello.record[44..76]);
    assert_eq!(hello.suites.len(), 16);
}

#[test]
fn two_hellos_have_nothing_random_in_common() {
    let (a, b) = (hello("example.com", 1), hello("example.com", 2));
    assert_ne!(a.record[44..76], b.record[44..76], "session ids differ");
    assert_ne!(a.shares()[2].1, b.shares()[2].1);
    assert_ne!(a.shares()[1].1[1152..1184], b.shares()[1].1[1152..1184], "seeds differ");
}

/// The smallest hello that is one, with these extensions.
fn small_hello(extensions: Vec<HelloPart>) -> HelloTemplate {
    HelloTemplate::new(vec![
        HelloPart::literal(&[0x16, 0x03, 0x01]),
        HelloPart::Scope(vec![
            HelloPart::literal(&[0x01, 0x00]),
            HelloPart::Scope(vec![
                HelloPart::literal(&[0x03, 0x03]),
                HelloPart::Zero(32),
                HelloPart::literal(&[32]),
                HelloPart::Random(32),
                HelloPart::literal(&[0, 2, 0x13, 0x01, 1, 0]),
                HelloPart::Scope(extensions),
            ]),
        ]),
    ])
}

#[test]
fn a_template_is_data_and_short_ones_are_padded_to_517() {
    let domain = Domain::new("a.example").expect("it is a name");
    let choice = HelloPart::Choice(vec![
        vec![HelloPart::Zero(4)],
        vec![HelloPart::literal(&[0xab, 0xcd, 0, 2]), HelloPart::Random(2)],
    ]);
    let template = small_hello(vec![choice.clone(), HelloPart::Padding]);
    let mut lengths = BTreeSet::new();
    for seed in 0..20 {
        lengths.insert(template.render(&domain, &mut rng(seed)).expect("it is whole").len());
        let short = small_hello(vec![choice.clone()]).render(&domain, &mut rng(seed)).expect("it is whole");
        assert!(short.len() < 100);
    }
    assert_eq!(lengths, BTreeSet::from([517]));
}

#[test]
fn a_template_that_gives_no_hello_is_refused() {
    let domain = Domain::new("a.example").expect("it is a name");
    let nested = (0..20).fold(HelloPart::Zero(1), |part, _| HelloPart::Scope(vec![part]));
    let bad = [
        vec![],
        vec![HelloPart::Random(1000)],
        vec![
            HelloPart::literal(&[0x16, 0x03, 0x01]),
            HelloPart::Scope(vec![HelloPart::literal(&[0x01, 0x00]), HelloPart::Zero(100)]),
        ],
        vec![HelloPart::Grease(8)],
        vec![HelloPart::Choice(vec![])],
        vec![HelloPart::Zero(u16::MAX)],
        vec![nested],
    ];
    for parts in bad {
        let rendered = HelloTemplate::new(parts.clone()).render(&domain, &mut rng(1));
        assert_eq!(rendered, Err(TransportError::Misuse(TransportMisuse::BadHelloTemplate)), "{parts:?}");
    }
}

#[test]
fn a_hello_may_be_as_long_and_as_deep_as_a_record_and_no_more() {
    let domain = Domain::new("a.example").expect("it is a name");
    let render = |part| small_hello(vec![part]).render(&domain, &mut rng(1));
    // What stands around the extensions: 84 bytes.
    let longest = (1 << 14) + 5 - 84;
    assert_eq!(render(HelloPart::Zero(longest)).map(|hello| hello.len()), Ok((1 << 14) + 5));
    assert_eq!(
        render(HelloPart::Zero(longest + 1)),
        Err(TransportError::Misuse(TransportMisuse::BadHelloTemplate))
    );

    // Choices nest without a length of their own, so nothing else can be wrong with them. Three scopes stand around.
    let nested = |depth| (0..depth).fold(HelloPart::Zero(4), |part, _| HelloPart::Choice(vec![vec![part]]));
    assert!(render(nested(13)).is_ok());
    assert_eq!(render(nested(14)), Err(TransportError::Misuse(TransportMisuse::BadHelloTemplate)));
}
