//! Proxy secrets and links.

use chappe_transport::TransportMisuse;
use chappe_transport::{
    Connector, DcId, Domain, Framing, MAX_DOMAIN_LEN, ProxyLink, ProxySecret, SecretError, SecretKind,
    SocksLink, TransportError,
};

const KEY: &str = "00112233445566778899aabbccddeeff";

fn kind(text: &str) -> Result<SecretKind, SecretError> {
    let secret = ProxySecret::parse(text)?;
    assert_eq!(secret.key().as_bytes()[..3], [0x00, 0x11, 0x22]);
    Ok(secret.kind().clone())
}

#[test]
fn secrets_are_read_in_all_three_alphabets() {
    let fake_tls = Ok(SecretKind::FakeTls { domain: Domain::new("example.com").expect("it is a name") });
    let cases = [
        (KEY.to_owned(), Ok(SecretKind::Plain)),
        (KEY.to_uppercase(), Ok(SecretKind::Plain)),
        ("ABEiM0RVZneImaq7zN3u_w".into(), Ok(SecretKind::Plain)),
        ("ABEiM0RVZneImaq7zN3u/w==".into(), Ok(SecretKind::Plain)),
        (format!("dd{KEY}"), Ok(SecretKind::Padded)),
        ("3QARIjNEVWZ3iJmqu8zd7v8".into(), Ok(SecretKind::Padded)),
        (format!("ee{KEY}6578616d706c652e636f6d"), fake_tls.clone()),
        ("7gARIjNEVWZ3iJmqu8zd7v9leGFtcGxlLmNvbQ".into(), fake_tls.clone()),
        ("7gARIjNEVWZ3iJmqu8zd7v9leGFtcGxlLmNvbQ==".into(), fake_tls),
    ];
    for (text, expected) in cases {
        assert_eq!(kind(&text), expected, "{text}");
    }
}

#[test]
fn sec_146_secrets_of_other_shapes_are_refused() {
    let domain = |name: &str| format!("ee{KEY}{}", data_encoding::HEXLOWER.encode(name.as_bytes()));
    let longest = "a".repeat(MAX_DOMAIN_LEN);
    assert!(ProxySecret::parse(&domain(&longest)).is_ok());
    let cases = [
        (String::new(), SecretError::Length { len: 0 }),
        (KEY[..30].to_owned(), SecretError::Length { len: 15 }),
        (format!("ee{KEY}"), SecretError::Length { len: 17 }),
        (format!("ab{KEY}"), SecretError::Length { len: 17 }),
        (format!("dd{KEY}00"), SecretError::Length { len: 18 }),
        (domain(&format!("{longest}a")), SecretError::Length { len: 400 }),
        (domain("two words"), SecretError::Domain { at: 3 }),
        (domain("m\u{fc}nchen"), SecretError::Domain { at: 1 }),
        (domain("a.b:c"), SecretError::Domain { at: 3 }),
        (domain("a.b:123456"), SecretError::Domain { at: 3 }),
        (domain("a\0b"), SecretError::Domain { at: 1 }),
        (domain("https://a.b"), SecretError::Domain { at: 5 }),
        (domain("\n"), SecretError::Length { len: 17 }),
        ("no secret at all".into(), SecretError::Encoding),
        (format!("{KEY}0"), SecretError::Encoding),
    ];
    for (text, expected) in cases {
        assert_eq!(ProxySecret::parse(&text).map(|_| ()), Err(expected), "{text}");
    }
    assert_eq!(Domain::new(&format!("{longest}a")), Err(SecretError::DomainLength { len: 183 }));
    assert_eq!(Domain::new(""), Err(SecretError::DomainLength { len: 0 }));
    let longer = [&[0xee; 17][..], &[b'a'; 183]].concat();
    let refused = ProxySecret::from_bytes(&longer).map(|_| ());
    assert!(matches!(refused, Err(SecretError::DomainLength { len: 183 })), "{refused:?}");
}

#[test]
fn domains_are_read_as_people_make_them() {
    for name in [
        "example.com\n",
        "example.com\r\n",
        " example.com ",
        "example.com\0",
        "example.com:8443",
        "example.com:443\n",
    ] {
        let hex = data_encoding::HEXLOWER.encode(name.as_bytes());
        let secret = ProxySecret::parse(&format!("ee{KEY}{hex}\n"))
            .unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(secret.domain().map(Domain::as_str), Some("example.com"), "{name:?}");
        assert_eq!(*secret.to_hex(), format!("ee{KEY}6578616d706c652e636f6d"));
        // Bytes from a server mean what they are.
        let bytes = [&[0xee][..], secret.key().as_bytes(), name.as_bytes()].concat();
        assert!(matches!(ProxySecret::from_bytes(&bytes), Err(SecretError::Domain { .. })), "{name:?}");
    }
}

#[test]
fn hex_of_odd_length_is_no_panic() {
    // A hostile link of this shape has brought other clients down.
    for len in 1..450 {
        let text = &"e".repeat(len);
        let _ = ProxySecret::parse(text);
        let _ = ProxyLink::parse(&format!("tg://proxy?server=a&port=1&secret={text}"));
        let _ = ProxySecret::parse(&"\u{e9}".repeat(len));
    }
}

#[test]
fn a_secret_is_absent_from_debug_output() {
    let secret = ProxySecret::parse(&format!("ee{KEY}6578616d706c652e636f6d")).expect("it is well formed");
    let shown = format!("{secret:?} {:?} {:?}", secret.key(), Connector::proxy(&secret, DcId::production(1)));
    assert!(!shown.contains("17, 34") && !shown.contains("1122"), "{shown}");
    assert!(shown.contains("example.com"));
}

#[test]
fn links_are_read_in_every_form() {
    let query = format!("server=proxy.example&port=443&secret={KEY}");
    for prefix in [
        "tg://proxy?",
        "tg:proxy?",
        "https://t.me/proxy?",
        "http://telegram.me/proxy/?",
        "TG://proxy?",
        "t.me/proxy?",
        "T.ME/proxy?",
        "www.telegram.me/proxy?",
        "https://www.telegram.dog/proxy?",
        " https://telegram.dog/proxy?",
    ] {
        let link = ProxyLink::parse(&format!("{prefix}{query}#x"))
            .unwrap_or_else(|error| panic!("{prefix}: {error}"));
        assert_eq!((link.server.as_str(), link.port), ("proxy.example", 443));
        assert_eq!(*link.secret.to_hex(), KEY);
    }
    let encoded =
        "tg://proxy?secret=ABEiM0RVZneImaq7zN3u%2Fw%3D%3D&port=1&server=%5B2001%3Adb8%3A%3A1%5D&tag=x";
    let link = ProxyLink::parse(encoded).expect("it is well formed");
    assert_eq!((link.server.as_str(), link.port), ("[2001:db8::1]", 1));
    // From the source of a page, and with a parameter twice: the first counts.
    let copied =
        format!("https://t.me/proxy?secret={KEY}&amp;port=443&amp;Server=a.b&amp;server=c.d&amp;port=1");
    let link = ProxyLink::parse(&copied).expect("it is well formed");
    assert_eq!((link.server.as_str(), link.port), ("a.b", 443));
}

#[test]
fn links_to_socks_are_read() {
    for prefix in ["tg://socks?", "https://t.me/socks?", "t.me/socks?"] {
        let link = SocksLink::parse(&format!("{prefix}server=a.b&port=1080&user=me&pass=s%26s%20%3D"));
        let link = link.unwrap_or_else(|error| panic!("{prefix}: {error}"));
        assert_eq!((link.server.as_str(), link.port), ("a.b", 1080));
        assert_eq!((link.user.as_deref(), link.password.as_str()), (Some("me"), "s&s ="));
        assert!(!format!("{link:?}").contains("s&s"));
    }
    let open = SocksLink::parse("tg://socks?server=a.b&port=1080&user=&pass=").expect("no credentials");
    assert_eq!((open.user, open.password.as_str()), (None, ""));
    assert_eq!(SocksLink::parse("tg://proxy?server=a&port=1").map(|_| ()), Err(SecretError::Link));
    assert_eq!(
        SocksLink::parse("tg://socks?port=1").map(|_| ()),
        Err(SecretError::Missing { part: "server" })
    );
    assert_eq!(
        SocksLink::parse("tg://socks?server=a").map(|_| ()),
        Err(SecretError::Missing { part: "port" })
    );
    assert_eq!(
        SocksLink::parse("tg://socks?server=a&port=1&user=%f").map(|_| ()),
        Err(SecretError::Part { part: "user" })
    );
}

#[test]
fn links_with_something_missing_or_wrong_are_refused() {
    let link = |query: &str| ProxyLink::parse(&format!("tg://proxy?{query}")).map(|_| ());
    let missing = |part| Err(SecretError::Missing { part });
    let malformed = |part| Err(SecretError::Part { part });
    assert_eq!(link(&format!("port=443&secret={KEY}")), missing("server"));
    assert_eq!(link(&format!("server=&port=443&secret={KEY}")), missing("server"));
    assert_eq!(link(&format!("server=a&secret={KEY}")), missing("port"));
    assert_eq!(link("server=a&port=443"), missing("secret"));
    assert_eq!(link("server=a&port=443&secret="), missing("secret"));
    assert_eq!(link(&format!("server=a%0db&port=443&secret={KEY}")), malformed("server"));
    assert_eq!(link(&format!("server=a%f&port=443&secret={KEY}")), malformed("server"));
    assert_eq!(link("server=a&port=443&secret=dd"), Err(SecretError::Length { len: 1 }));
    for port in ["0", "65536", "-1", "x"] {
        assert_eq!(link(&format!("server=a&port={port}&secret={KEY}")), Err(SecretError::Port));
    }
    for other in [
        "tg://socks?server=a&port=1&secret=",
        "https://evil.example/proxy?server=a&port=1&secret=",
        "proxy",
        "",
    ] {
        assert_eq!(ProxyLink::parse(&format!("{other}{KEY}")).map(|_| ()), Err(SecretError::Link), "{other}");
    }
}

#[test]
fn a_secret_decides_about_the_framing() {
    let dc = DcId::production(4);
    let connector =
        |secret: &ProxySecret, framing| Connector::proxy(secret, dc).with_framing(framing).map(|_| ());
    let plain = ProxySecret::plain([1; 16]);
    let padded = ProxySecret::padded([1; 16]);
    for framing in [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate] {
        assert_eq!(connector(&plain, framing), Ok(()));
        let demanded = framing == Framing::PaddedIntermediate;
        assert_eq!(connector(&padded, framing).is_ok(), demanded);
        assert_eq!(padded.allows(framing), demanded);
    }
    assert_eq!(
        connector(&padded, Framing::Abridged),
        Err(TransportError::Misuse(TransportMisuse::PaddingRequired))
    );
    assert_eq!(
        connector(&plain, Framing::Full),
        Err(TransportError::Misuse(TransportMisuse::FullCannotBeObfuscated))
    );
    assert!(matches!(
        Connector::obfuscated(Framing::Full, None),
        Err(TransportError::Misuse(TransportMisuse::FullCannotBeObfuscated))
    ));
}

#[test]
fn a_link_that_is_written_can_be_read() {
    let secret =
        ProxySecret::parse("ee00112233445566778899aabbccddeeff6578616d706c652e636f6d").expect("it is one");
    for server in ["proxy.example", "192.0.2.1", "2001:db8::1", "прокси.example", "a&b=c#d%e+f?g"] {
        let link = ProxyLink { server: server.into(), port: 443, secret: secret.clone() };
        for (written, start) in
            [(link.to_tg(), "tg://proxy?server="), (link.to_https(), "https://t.me/proxy?server=")]
        {
            assert!(written.starts_with(start), "{}", *written);
            let read = ProxyLink::parse(&written).expect(server);
            assert_eq!((read.server.as_str(), read.port), (server, 443));
            assert_eq!(*read.secret.to_bytes(), *secret.to_bytes());
        }
    }
}
