//! What a person pastes, and what a proxy or somebody in front of it says.

use chappe_carrier::proxy_protocol;
use chappe_proxy::{Config, ConfigError, Settings};
use chappe_transport::parts::{
    ClientHello, RecordReader, check_client_hello, check_server_answer, sign_client_hello, sign_server_answer,
};
use chappe_transport::{
    AnswerProfile, ConnectionLimits, HelloNames, HelloTemplate, ProxyLink, ProxySecret, Side, SocksLink,
    TimeWindow,
};

use super::{Seeded, Target};

/// Proxy secrets and links.
pub(super) const PROXY_SECRET: Target = Target {
    name: "proxy_secret",
    about: "proxy secrets as hex, base64 and bytes, and links that carry them",
    run: proxy_secret,
    seeds: secret_seeds,
    max_len: 1024,
};

/// The imitation of TLS, with the secret known.
pub(super) const FAKE_TLS: Target = Target {
    name: "fake_tls",
    about: "hellos, answers and records of fake TLS, signed with the secret",
    run: fake_tls,
    seeds: tls_seeds,
    max_len: 6000,
};

/// The configuration of a proxy, as people write it.
pub(super) const PROXY_CONFIG: Target = Target {
    name: "proxy_config",
    about: "configurations of chappe-proxy, and what is checked in them",
    run: proxy_config,
    seeds: config_seeds,
    max_len: 4096,
};

/// What a load balancer says of a client, and what a site that is imitated answers.
pub(super) const PROXY_HEADER: Target = Target {
    name: "proxy_header",
    about: "headers of the PROXY protocol, and answers of sites from which a profile is read",
    run: proxy_header,
    seeds: header_seeds,
    max_len: 4200,
};

const TEXT: &str = "ee00112233445566778899aabbccddeeff6578616d706c652e636f6d";
const NOW: u32 = 1_700_000_000;

fn proxy_secret(input: &[u8]) {
    if let Ok(secret) = ProxySecret::from_bytes(input) {
        assert_eq!(&secret.to_bytes()[..], input, "bytes have one meaning");
        same(&secret);
    }
    let text = String::from_utf8_lossy(input);
    if let Ok(secret) = ProxySecret::parse(&text) {
        same(&secret);
    }
    if let Ok(link) = ProxyLink::parse(&text) {
        for written in [link.to_tg(), link.to_https()] {
            let again = ProxyLink::parse(&written).expect("what was written can be read");
            assert_eq!((&again.server, again.port), (&link.server, link.port));
            assert_eq!(*again.secret.to_bytes(), *link.secret.to_bytes());
        }
    }
    if let Ok(link) = SocksLink::parse(&text) {
        assert!(!link.server.is_empty() && link.port != 0);
    }
}

/// Text that is no configuration is refused with a line, and one that is used has a secret for each user.
fn proxy_config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Config::parse(&text) {
        Ok(config) => {
            if let Ok(settings) = Settings::new(&config) {
                assert_eq!(settings.secrets().count(), config.users.len());
                assert!(settings.secrets().all(|(name, secrets)| !name.is_empty() && !secrets.is_empty()));
            }
        }
        Err(ConfigError::Syntax { line, .. }) => assert!((1..=1 + text.lines().count()).contains(&line)),
        Err(other) => panic!("{other}"),
    }
}

fn config_seeds() -> Vec<Vec<u8>> {
    let user = "[[users]]\nname = \"a\"\nsecret = \"00112233445566778899aabbccddeeff\"\n";
    let more = [
        "modes = [\"plain\", \"ee\"]\ndomain = \"a.b\"\nmax_bytes = 5\nexpires = 2027-01-01T00:00:00Z\n",
        "[[datacenters]]\nid = 2\naddresses = [\"[::1]:443\", \"a.b:1\"]\n",
        "[upstream]\nproxy = \"socks5://a:b@c:1\"\nframing = \"abridged\"\n",
        "[limits]\nwindow = 4096\nidle = 1\n",
        "[upstream]\nmtproxy = \"tg://proxy?server=a&port=1&secret=00112233445566778899aabbccddeeff\"\n",
    ];
    more.iter().map(|more| format!("{user}{more}").into_bytes()).collect()
}

/// A header means the same whatever follows it, and nothing before its end.
fn proxy_header(input: &[u8]) {
    let parsed = proxy_protocol::parse(input);
    if let Ok(Some((announced, used))) = parsed {
        assert_eq!(proxy_protocol::parse(&input[..used]), Ok(Some((announced, used))));
        assert_eq!(proxy_protocol::parse(&input[..used - 1]), Ok(None), "the last byte decides");
    }
    if parsed == Ok(None) {
        assert!(input.len() < 4112, "headers are bounded");
    }
    if let Some(profile) = AnswerProfile::of_answer(input) {
        assert!((1..=8).contains(&profile.data.len()));
        let one = profile.with_one_record();
        assert_eq!(one.data.len(), 1);
    }
}

fn header_seeds() -> Vec<Vec<u8>> {
    let lines = [
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n",
        "PROXY TCP6 ::1 ::2 1 2\r\n",
        "PROXY UNKNOWN\r\n",
    ];
    let binary = |family: u8, len: u8| {
        [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family, 0, len][..], &vec![7; len.into()]].concat()
    };
    let mut seeds: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
    seeds.extend([binary(0x11, 12), binary(0x21, 40), binary(0x00, 0)]);
    let answers = tls_seeds().into_iter().filter(|seed| seed.first() == Some(&1));
    seeds.extend(answers.map(|seed| seed[1..].to_vec()));
    seeds
}

fn same(secret: &ProxySecret) {
    let again = ProxySecret::parse(&secret.to_hex()).expect("what was written can be read");
    assert_eq!(*again.to_bytes(), *secret.to_bytes());
    assert!(secret.domain().is_none_or(|domain| domain.as_str().len() <= 182));
}

fn secret_seeds() -> Vec<Vec<u8>> {
    let texts = [
        TEXT,
        "00112233445566778899aabbccddeeff",
        "dd00112233445566778899aabbccddeeff",
        "7gARIjNEVWZ3iJmqu8zd7v9leGFtcGxlLmNvbQ",
        "7gARIjNEVWZ3iJmqu8zd7v9leGFtcGxlLmNvbQ==",
        "tg://proxy?server=example.com&port=443&secret=00112233445566778899aabbccddeeff",
        "https://t.me/proxy?server=127.0.0.1&port=8443&secret=dd00112233445566778899aabbccddeeff",
    ];
    let bytes =
        [vec![7; 16], [&[0xdd; 1][..], &[7; 16]].concat(), [&[0xee; 1][..], &[7; 16], b"a.b"].concat()];
    texts.iter().map(|text| text.as_bytes().to_vec()).chain(bytes).collect()
}

/// First byte: which part of the imitation the rest is, and whether it is signed.
fn fake_tls(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else { return };
    let secret = ProxySecret::parse(TEXT).expect("it is well formed");
    let (key, random) = (secret.key(), [9; 32]);
    let mut bytes = bytes.to_vec();
    match mode % 4 {
        0 => {
            let signed = sign_client_hello(&mut bytes, key, NOW).is_ok();
            if signed {
                assert_eq!(check_client_hello(&bytes, key), Some(NOW));
            }
            if let Ok(hello) = ClientHello::new_checked(&bytes) {
                let verified = hello.verify(
                    core::slice::from_ref(&secret),
                    &HelloNames::default(),
                    NOW,
                    TimeWindow::OFFICIAL,
                );
                let mut answer = Vec::new();
                if verified.is_ok() {
                    hello
                        .answer_into(&mut answer, &AnswerProfile::DEFAULT, key, &mut Seeded::rng(1))
                        .expect("TLS 1.3 was offered");
                    let checked =
                        check_server_answer(&answer, key, hello.random(), &ConnectionLimits::DEFAULT);
                    assert_eq!(checked, Ok(Some(answer.len())));
                }
            }
        }
        1 => {
            if sign_server_answer(&mut bytes, key, &random).is_ok()
                && let Ok(Some(len)) = check_server_answer(&bytes, key, &random, &ConnectionLimits::DEFAULT)
            {
                assert!(len <= bytes.len());
            }
        }
        _ => {
            let side = if mode & 4 == 0 { Side::Client } else { Side::Server };
            let piece = 1 + usize::from(mode >> 3);
            let whole = unwrap(side, &bytes, bytes.len().max(1));
            let pieces = unwrap(side, &bytes, piece);
            assert_eq!(whole.1, pieces.1, "pieces make no difference");
            if whole.1 {
                assert_eq!(whole.0, pieces.0);
            }
        }
    }
}

/// Takes records apart; returns what was in them and whether all were in order.
fn unwrap(side: Side, bytes: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let mut reader = RecordReader::new(side);
    let mut content = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut piece = piece.to_vec();
        match reader.unwrap(&mut piece) {
            Ok(kept) => content.extend_from_slice(&piece[..kept]),
            Err(_) => return (content, false),
        }
    }
    (content, true)
}

fn tls_seeds() -> Vec<Vec<u8>> {
    let mut rng = Seeded::rng(5);
    let secret = ProxySecret::parse(TEXT).expect("it is well formed");
    let domain = secret.domain().expect("it has one");
    let mut hello = HelloTemplate::browser().render(domain, &mut rng).expect("the template is in order");
    let mut seeds = vec![[&[0][..], &hello].concat()];
    sign_client_hello(&mut hello, secret.key(), NOW).expect("it has a random");
    let checked = ClientHello::new_checked(&hello).expect("it is in order");
    let mut answer = Vec::new();
    checked
        .answer_into(&mut answer, &AnswerProfile::DEFAULT, secret.key(), &mut rng)
        .expect("it is in order");
    answer.truncate(4000);
    seeds.push([&[1][..], &answer].concat());
    for mode in [2, 6, 0xfe] {
        let records = [&[mode, 0x14, 3, 3, 0, 1, 1][..], &[0x17, 3, 3, 0, 40], &[7; 40], &[0x17, 3, 3, 1, 0]];
        seeds.push(records.concat());
    }
    seeds
}
