//! Servers and proxies: what is let in, what is refused, and what a refused client learns.

extern crate alloc;

mod common;

use alloc::collections::BTreeSet;

use chappe_transport::http::HttpError;
use chappe_transport::parts::{sign_client_hello, sign_server_answer};
use chappe_transport::websocket;
use chappe_transport::websocket::HostPurpose;
use chappe_transport::websocket::Upgrade;
use chappe_transport::websocket::check_response;
use chappe_transport::websocket::request_into;
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptRefusal, AcceptStep, Acceptor, AckRequest, AnswerProfile, ConnectStep,
    ConnectionLimits, Connector, DataRecord, DcId, Disguise, Domain, Framing, HelloNames, HelloPart,
    HelloProfile, HelloRefusal, HelloTemplate, Incoming, ProxySecret, ReplayFilter, SecretKey, TimeWindow,
    TransportError,
};
use chappe_transport::{MalformedStream, StreamRefusal};
use common::{NOW, buf, connect, envelope, fake_tls_secret, kinds, rng};

/// Lets `bytes` arrive at once; gives the outcome and how many bytes are left.
fn accept(config: &AcceptConfig, replays: Option<&mut ReplayFilter>, bytes: &[u8]) -> (AcceptStep, usize) {
    let mut context = AcceptContext { config, unix_time: NOW, replays };
    let mut buf = buf();
    buf.extend_from_slice(bytes).expect("it fits");
    let accept = Acceptor::new().handle(&mut buf, &mut context, &mut rng(9)).expect("it is well formed");
    (accept, buf.len())
}

fn opening(connector: &Connector, seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    connector.start(NOW, &mut rng(seed), &mut out).expect("it starts");
    out
}

fn refusal((accept, left): (AcceptStep, usize), sent: &[u8]) -> AcceptRefusal {
    let AcceptStep::Refused(refusal) = accept else { panic!("let in: {accept:?}") };
    assert_eq!(left, sent.len(), "the real site gets every byte");
    refusal
}

#[test]
fn every_transport_is_told_apart_on_one_port() {
    let secrets = vec![
        ProxySecret::plain([4; 16]),
        ProxySecret::plain([3; 16]),
        ProxySecret::padded([5; 16]),
        fake_tls_secret(),
    ];
    let mut config = AcceptConfig::datacenter();
    config.secrets = secrets.clone();
    for (connector, alone) in kinds() {
        let pair = connect(&connector, &config, 5, &envelope(1, 1));
        let accepted = pair.server;
        assert_eq!(accepted.connection.framing(), connector.framing());
        let used = alone.secrets.last().map(ProxySecret::to_bytes);
        let found = accepted.secret.map(|index| secrets[index].to_bytes());
        assert_eq!(found, used, "{connector:?}");
        assert_eq!(accepted.dc.is_some(), accepted.disguise != Disguise::None);
        if accepted.secret.is_some() {
            assert_eq!(accepted.dc, Some(DcId::production(2)));
        }
        let fake_tls = secrets.last().map(ProxySecret::to_bytes) == used;
        assert_eq!(accepted.disguise == Disguise::FakeTls, fake_tls);
    }
}

#[test]
fn sec_142_each_connection_has_a_header_of_its_own() {
    let connector = Connector::obfuscated(Framing::Abridged, None).expect("it has a tag");
    let mut rng = rng(1);
    let mut headers = BTreeSet::new();
    for _ in 0..100 {
        let mut out = Vec::new();
        connector.start(NOW, &mut rng, &mut out).expect("it starts");
        assert!(headers.insert(out));
    }
}

#[test]
fn sec_142_the_streams_go_on_and_never_begin_again() {
    let connector = Connector::obfuscated(Framing::Intermediate, None).expect("it has a tag");
    let mut pair = connect(&connector, &AcceptConfig::datacenter(), 1, &envelope(1, 1));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    pair.client.sender.encode_into(&mut a, &envelope(8, 7), AckRequest::No, &mut rng(2)).expect("it fits");
    pair.client.sender.encode_into(&mut b, &envelope(8, 7), AckRequest::No, &mut rng(2)).expect("it fits");
    assert_ne!(a, b);
    let mixed: Vec<u8> = a.iter().zip(&b).map(|(a, b)| a ^ b).collect();
    assert!(mixed.windows(8).all(|window| window != [0; 8]));
}

#[test]
fn sec_144_a_proxy_answers_nothing_to_strangers() {
    let config = AcceptConfig::proxy(vec![
        ProxySecret::plain([1; 16]),
        ProxySecret::padded([2; 16]),
        fake_tls_secret(),
    ]);
    let dc = DcId::production(1);
    let strangers = [
        (Connector::plain(Framing::Abridged), AcceptRefusal::NotAllowed),
        (
            Connector::obfuscated(Framing::Intermediate, Some(dc)).expect("it has a tag"),
            AcceptRefusal::UnknownProtocol,
        ),
        (Connector::proxy(&ProxySecret::plain([9; 16]), dc), AcceptRefusal::UnknownProtocol),
        // The key of a secret that demands padding, without it; the key of fake TLS, outside of it.
        (Connector::proxy(&ProxySecret::plain([2; 16]), dc), AcceptRefusal::UnknownProtocol),
        (
            Connector::proxy(&ProxySecret::padded(*fake_tls_secret().key().as_bytes()), dc),
            AcceptRefusal::UnknownProtocol,
        ),
    ];
    for (connector, expected) in strangers {
        let sent = opening(&connector, 3);
        assert_eq!(refusal(accept(&config, None, &sent), &sent), expected, "{connector:?}");
    }
    let garbage = [0x5a; 200];
    assert_eq!(refusal(accept(&config, None, &garbage), &garbage), AcceptRefusal::UnknownProtocol);
    let web = b"GET / HTTP/1.1\r\n\r\n";
    assert_eq!(refusal(accept(&config, None, web), web), AcceptRefusal::NotAllowed);
}

#[test]
fn sec_145_a_recorded_beginning_is_refused() {
    let config = AcceptConfig::proxy(vec![ProxySecret::plain([1; 16]), fake_tls_secret()]);
    let mut replays = ReplayFilter::new(100);
    for secret in &config.secrets {
        let connector = Connector::proxy(secret, DcId::production(1));
        let sent = opening(&connector, 3);
        let (first, _) = accept(&config, Some(&mut replays), &sent);
        assert!(matches!(first, AcceptStep::Ready(_) | AcceptStep::Answer { .. }), "{first:?}");
        let expected = match secret.domain() {
            Some(_) => AcceptRefusal::ClientHello(HelloRefusal::Replayed),
            None => AcceptRefusal::Replayed,
        };
        assert_eq!(refusal(accept(&config, Some(&mut replays), &sent), &sent), expected);
        let (other, _) = accept(&config, Some(&mut replays), &opening(&connector, 4));
        assert!(matches!(other, AcceptStep::Ready(_) | AcceptStep::Answer { .. }));
    }
    // Changing what the keys do not come from does not make a recording new.
    let mut sent = opening(&Connector::proxy(&config.secrets[0], DcId::production(1)), 3);
    sent[0] ^= 0x01;
    assert_eq!(refusal(accept(&config, Some(&mut replays), &sent), &sent), AcceptRefusal::Replayed);
}

#[test]
fn the_replay_filter_is_bounded_and_forgets_in_time() {
    let mut replays = ReplayFilter::with_memory(3, 100);
    for beginning in 0..3_u8 {
        assert!(replays.insert(&[beginning], 1000));
        assert!(!replays.insert(&[beginning], 1000));
    }
    assert!(replays.insert(&[3], 1050));
    assert_eq!(replays.len(), 3);
    assert!(replays.insert(&[0], 1050), "the oldest was forgotten");
    assert!(!replays.insert(&[3], 1150));
    assert!(replays.insert(&[3], 1151), "its time was over");
    assert_eq!(replays.len(), 1);
    let mut smallest = ReplayFilter::new(0);
    assert!(smallest.insert(b"a", 0) && !smallest.insert(b"a", 0));
}

#[test]
fn sec_149_hellos_that_fail_a_check_get_no_answer() {
    let secret = fake_tls_secret();
    let config = AcceptConfig::proxy(vec![ProxySecret::plain([1; 16]), secret.clone()]);
    let connector = Connector::proxy(&secret, DcId::production(1)).with_profile(&HelloProfile::CHROME);
    let signed = |time: u32| {
        let mut hello = opening(&connector, 3);
        sign_client_hello(&mut hello, secret.key(), time).expect("it is long enough");
        hello
    };
    let window = TimeWindow::OFFICIAL;
    for time in [NOW - window.behind, NOW, NOW + window.ahead] {
        assert!(matches!(accept(&config, None, &signed(time)), (AcceptStep::Answer { .. }, 0)), "{time}");
    }
    let domain = |name: &str| {
        let domain = Domain::new(name).expect("it is a name");
        opening(
            &Connector::proxy(&ProxySecret::fake_tls(*secret.key().as_bytes(), domain), DcId::production(1)),
            3,
        )
    };
    let without_tls13 = {
        let mut hello = opening(&connector, 3);
        let suites = hello[80..86].to_vec();
        assert_eq!(suites, [0x13, 0x01, 0x13, 0x02, 0x13, 0x03]);
        hello[80..86].copy_from_slice(&[0xc0, 0x2b, 0xc0, 0x2c, 0xc0, 0x30]);
        sign_client_hello(&mut hello, secret.key(), NOW).expect("it is long enough");
        hello
    };
    let mut other_key = opening(&connector, 3);
    sign_client_hello(&mut other_key, &SecretKey::from_bytes([1; 16]), NOW).expect("it is long enough");
    let mut longer = opening(&connector, 3);
    longer.push(0x17);
    let mut broken = opening(&connector, 3);
    broken[76] ^= 0xff;
    sign_client_hello(&mut broken, secret.key(), NOW).expect("it is long enough");
    let cases = [
        (signed(NOW + window.ahead + 1), HelloRefusal::TooEarly),
        (signed(NOW - window.behind - 1), HelloRefusal::TooLate),
        (domain("example.org"), HelloRefusal::WrongDomain),
        (without_tls13, HelloRefusal::NoTls13),
        (other_key, HelloRefusal::UnknownSecret),
        (longer, HelloRefusal::Malformed),
        (broken, HelloRefusal::Malformed),
    ];
    for (hello, expected) in cases {
        assert_eq!(refusal(accept(&config, None, &hello), &hello), AcceptRefusal::ClientHello(expected));
    }
    let mut small = config.clone();
    small.limits.max_client_hello = 600;
    let hello = opening(&connector, 3);
    assert_eq!(
        refusal(accept(&small, None, &hello), &hello),
        AcceptRefusal::ClientHello(HelloRefusal::Malformed)
    );
    // A datacenter without secrets is no fake-TLS server either.
    let refused = refusal(accept(&AcceptConfig::datacenter(), None, &hello), &hello);
    assert_eq!(refused, AcceptRefusal::ClientHello(HelloRefusal::UnknownSecret));
}

#[test]
fn answers_to_a_hello_look_like_a_servers() {
    let config = AcceptConfig::proxy(vec![fake_tls_secret()]);
    let hello = opening(&Connector::proxy(&fake_tls_secret(), DcId::production(1)), 3);
    let (AcceptStep::Answer { bytes, .. }, _) = accept(&config, None, &hello) else { panic!("it is ours") };
    assert_eq!(bytes[..11], [0x16, 3, 3, 0, 0x7a, 2, 0, 0, 0x76, 3, 3]);
    assert_eq!(bytes[43], 32);
    assert_eq!(bytes[44..76], hello[44..76], "the session id is repeated");
    assert_eq!(bytes[127..133], [0x14, 3, 3, 0, 1, 1]);
    assert_eq!(bytes[133..136], [0x17, 3, 3]);
    let len = usize::from(u16::from_be_bytes([bytes[136], bytes[137]]));
    assert!((1024..=4096).contains(&len) && bytes.len() == 138 + len);
}

#[test]
fn what_follows_a_hello_must_be_the_header_of_that_secret() {
    let config = AcceptConfig::proxy(vec![fake_tls_secret()]);
    let hello = opening(&Connector::proxy(&fake_tls_secret(), DcId::production(1)), 3);
    let run = |data: &[u8]| {
        let (AcceptStep::Answer { next, .. }, _) = accept(&config, None, &hello) else {
            panic!("it is ours")
        };
        let mut context = AcceptContext { config: &config, unix_time: NOW, replays: None };
        let mut buf = buf();
        buf.extend_from_slice(data).expect("it fits");
        next.handle(&mut buf, &mut context, &mut rng(1)).map(|_| ())
    };
    let garbage = [&[0x17, 3, 3, 0, 64][..], &[0x5a; 64]].concat();
    assert_eq!(run(&garbage), Err(TransportError::Refused(StreamRefusal::UnknownProtocol)));
    assert_eq!(
        run(&[0x15, 3, 3, 0, 2]),
        Err(TransportError::Malformed(MalformedStream::UnexpectedRecord { header: [0x15, 3, 3] }))
    );
    let plain = ProxySecret::plain(*fake_tls_secret().key().as_bytes());
    let unpadded =
        [&[0x17, 3, 3, 0, 64][..], &opening(&Connector::proxy(&plain, DcId::production(1)), 1)].concat();
    assert_eq!(run(&unpadded), Err(TransportError::Refused(StreamRefusal::NotAllowed)));
}

#[test]
fn sec_147_a_client_closes_on_an_answer_that_is_not_the_proxys() {
    let config = AcceptConfig::proxy(vec![fake_tls_secret()]);
    let connector = Connector::proxy(&fake_tls_secret(), DcId::production(1));
    let (AcceptStep::Answer { bytes, .. }, _) = accept(&config, None, &opening(&connector, 3)) else {
        panic!("it is ours")
    };
    let handle = |answer: &[u8]| {
        let mut out = Vec::new();
        let Ok(ConnectStep::FakeTls(state)) = connector.start(NOW, &mut rng(3), &mut out) else {
            panic!("it starts")
        };
        let mut buf = buf();
        buf.extend_from_slice(answer).expect("it fits");
        state.handle(&mut buf).map(|connect| matches!(connect, ConnectStep::Ready(_)))
    };
    assert_eq!(handle(&bytes), Ok(true));
    assert_eq!(handle(&bytes[..bytes.len() - 1]), Ok(false));
    let mut changed = bytes.clone();
    changed[20] ^= 1;
    assert_eq!(handle(&changed), Err(TransportError::Refused(StreamRefusal::ServerHelloDigest)));
    assert_eq!(
        handle(&[0x15, 3, 3, 0, 2, 2, 40]),
        Err(TransportError::Malformed(MalformedStream::ServerHello))
    );
    assert_eq!(handle(b"HTTP/1.1 400"), Err(TransportError::Malformed(MalformedStream::ServerHello)));
    let endless = [0x16, 3, 3, 0xff, 0xff];
    assert_eq!(handle(&endless), Err(TransportError::Malformed(MalformedStream::ServerHello)));
}

/// Spreads a hello over records that end at these places of the message.
fn in_records(hello: &[u8], ends: &[usize], minor: u8) -> Vec<u8> {
    let message = &hello[5..];
    let mut records = Vec::new();
    let mut from = 0;
    for end in ends.iter().copied().chain([message.len()]) {
        records.extend_from_slice(&[0x16, 3, minor]);
        records.extend_from_slice(&((end - from) as u16).to_be_bytes());
        records.extend_from_slice(&message[from..end]);
        from = end;
    }
    records
}

/// Lets bytes arrive one by one and returns the last step, with the bytes that it took.
fn accept_slowly(config: &AcceptConfig, bytes: &[u8]) -> (AcceptStep, usize) {
    let mut context = AcceptContext { config, unix_time: NOW, replays: None };
    let (mut buf, mut acceptor) = (buf(), Acceptor::new());
    for (place, byte) in bytes.iter().enumerate() {
        buf.extend_from_slice(&[*byte]).expect("it fits");
        match acceptor.handle(&mut buf, &mut context, &mut rng(1)).expect("it is well formed") {
            AcceptStep::Incomplete(next) => acceptor = next,
            step => return (step, place + 1 - buf.raw().len()),
        }
    }
    panic!("nothing was decided")
}

#[test]
fn a_hello_cut_into_records_at_any_place_is_accepted() {
    let secret = fake_tls_secret();
    let config = AcceptConfig::proxy(vec![secret.clone()]);
    let connector = Connector::proxy(&secret, DcId::production(1)).with_profile(&HelloProfile::SAFARI);
    let hello = opening(&connector, 3);
    let len = hello.len() - 5;
    let mut cuts: Vec<Vec<usize>> =
        (1..len).filter(|cut| *cut < 100 || cut % 53 == 0).map(|cut| vec![cut]).collect();
    cuts.push((1..7).collect());
    cuts.push((1..200).collect());
    cuts.push(vec![len - 1]);
    for ends in cuts {
        for minor in [1, 3] {
            let records = in_records(&hello, &ends, minor);
            let (step, used) = accept(&config, None, &records);
            assert!(matches!(step, AcceptStep::Answer { .. }), "{ends:?} {minor}: {step:?}");
            assert_eq!(used, 0, "everything was consumed");
        }
    }
    let (step, used) = accept_slowly(&config, &in_records(&hello, &[1, 5, 300], 1));
    assert!(matches!(step, AcceptStep::Answer { .. }), "{step:?}");
    assert_eq!(used, hello.len() + 15);
}

#[test]
fn a_hello_in_records_is_bounded() {
    let secret = fake_tls_secret();
    let config = AcceptConfig::proxy(vec![secret.clone()]);
    let hello = opening(&Connector::proxy(&secret, DcId::production(1)), 3);
    let refused = |bytes: &[u8]| match accept(&config, None, bytes) {
        (AcceptStep::Refused(AcceptRefusal::ClientHello(refusal)), left) if left == bytes.len() => refusal,
        other => panic!("{other:?}"),
    };
    let many: Vec<usize> = (1..=256).collect();
    assert_eq!(refused(&in_records(&hello, &many, 1)), HelloRefusal::Malformed, "too many records");
    let empty = [&in_records(&hello, &[100], 1)[..105], &[0x16, 3, 1, 0, 0]].concat();
    assert_eq!(refused(&empty), HelloRefusal::Malformed, "an empty record");
    let other = [&in_records(&hello, &[100], 1)[..105], &[0x17]].concat();
    assert_eq!(refused(&other), HelloRefusal::Malformed, "data in between");
    let behind = [&in_records(&hello, &[100], 1)[..], &[0x16]].concat();
    assert_eq!(refused(&behind), HelloRefusal::Malformed, "more than a hello");
    let long = [0x16, 3, 1, 0, 6, 1, 0, 0x0f, 0xfe, 3, 3];
    assert_eq!(refused(&long), HelloRefusal::Malformed, "more than the limit");
    let inside = [&[0x16, 3, 1, 0, 7, 1, 0, 0, 2][..], &[3, 3, 0]].concat();
    assert_eq!(refused(&inside), HelloRefusal::Malformed, "more than the message");
}

/// A hello of our own, with this body of the list of names, if any.
fn hello_for(name: Option<&[u8]>, secret: &ProxySecret) -> Vec<u8> {
    let mut extensions = vec![HelloPart::literal(&[0, 0x2b, 0, 3, 2, 3, 4])];
    if let Some(name) = name {
        let name = HelloPart::Literal(name.to_vec().into());
        let list = HelloPart::Scope(vec![HelloPart::literal(&[0]), HelloPart::Scope(vec![name])]);
        extensions.extend([HelloPart::literal(&[0, 0]), HelloPart::Scope(vec![list])]);
    }
    let template = HelloTemplate::new(vec![
        HelloPart::literal(&[0x16, 3, 1]),
        HelloPart::Scope(vec![
            HelloPart::literal(&[1, 0]),
            HelloPart::Scope(vec![
                HelloPart::literal(&[3, 3]),
                HelloPart::Zero(32),
                HelloPart::literal(&[32]),
                HelloPart::Random(32),
                HelloPart::literal(&[0, 4, 0x13, 2, 0x13, 1, 1, 0]),
                HelloPart::Scope(extensions),
            ]),
        ]),
    ]);
    opening(&Connector::proxy(secret, DcId::production(1)).with_hello(template), 3)
}

#[test]
fn which_sites_a_hello_may_ask_for_is_a_choice() {
    let secret = fake_tls_secret();
    let names = [
        None,
        Some(&b"example.com"[..]),
        Some(b"EXAMPLE.com"),
        Some(b"other.example"),
        Some(b"third.example"),
    ];
    let listed = HelloNames::Listed(vec![Domain::new("Other.Example").expect("it is a name")]);
    for (policy, expected) in [
        (HelloNames::Secret, [false, true, true, false, false]),
        (HelloNames::default(), [true, true, true, false, false]),
        (listed, [true, true, true, true, false]),
        (HelloNames::Any, [true; 5]),
    ] {
        let config = AcceptConfig::proxy(vec![secret.clone()]).with_names(policy.clone());
        let accepted = names.map(|name| match accept(&config, None, &hello_for(name, &secret)).0 {
            AcceptStep::Answer { .. } => true,
            AcceptStep::Refused(AcceptRefusal::ClientHello(HelloRefusal::WrongDomain)) => false,
            other => panic!("{other:?}"),
        });
        assert_eq!(accepted, expected, "{policy:?}");
        // The digest proves the secret under every policy.
        let other = ProxySecret::fake_tls([1; 16], Domain::new("example.com").expect("it is a name"));
        let (step, _) = accept(&config, None, &hello_for(Some(b"example.com"), &other));
        assert!(matches!(step, AcceptStep::Refused(AcceptRefusal::ClientHello(HelloRefusal::UnknownSecret))));
    }
}

#[test]
fn an_answer_has_the_shape_of_the_site() {
    let secret = fake_tls_secret();
    let answered = |profile: &AnswerProfile, browser: &HelloProfile| {
        let config = AcceptConfig::proxy(vec![secret.clone()]).with_answer(profile.clone());
        let connector = Connector::proxy(&secret, DcId::production(1)).with_profile(browser);
        let hello = opening(&connector, 3);
        let (AcceptStep::Answer { bytes, .. }, _) = accept(&config, None, &hello) else {
            panic!("it is ours")
        };
        // The client takes it.
        let Ok(ConnectStep::FakeTls(state)) = connector.start(NOW, &mut rng(3), &mut Vec::new()) else {
            panic!("it starts")
        };
        let mut buf = buf();
        buf.extend_from_slice(&bytes).expect("it fits");
        assert!(matches!(state.handle(&mut buf), Ok(ConnectStep::Ready(_))), "{profile:?}");
        bytes
    };
    let data = |len| DataRecord { min: len, max: len };
    let mut site = AnswerProfile::default();
    site.suites = vec![[0x13, 0x03], [0x13, 0x01]].into();
    site.is_hybrid = true;
    site.is_share_first = false;
    site.data = vec![data(32), data(3000), data(281), data(53)].into();
    let bytes = answered(&site, &HelloProfile::CHROME);
    assert_eq!(bytes[..5], [0x16, 3, 3, 0x04, 0xba], "1210 bytes");
    assert_eq!(bytes[76..78], [0x13, 0x03]);
    assert_eq!(bytes[81..87], [0x00, 0x2b, 0x00, 0x02, 0x03, 0x04]);
    assert_eq!(bytes[87..95], [0x00, 0x33, 0x04, 0x64, 0x11, 0xec, 0x04, 0x60]);
    assert_eq!(bytes.len(), 1215 + 6 + 4 * 5 + 32 + 3000 + 281 + 53);
    // The profile is read back from the answer, and official clients get one record.
    let read = AnswerProfile::of_answer(&bytes).expect("it is an answer");
    assert_eq!(read.suites[..], [[0x13, 0x03]]);
    assert_eq!((read.is_hybrid, read.is_share_first, &read.data), (true, false, &site.data));
    let one = read.with_one_record();
    assert_eq!(one.data[..], [data(32 + 3000 + 281 + 53 + 15)]);
    assert_eq!(answered(&one, &HelloProfile::FIREFOX).len(), bytes.len());
    // A client that does not offer the group gets the other one.
    let config = AcceptConfig::proxy(vec![secret.clone()]).with_answer(site);
    let (AcceptStep::Answer { bytes, .. }, _) = accept(&config, None, &hello_for(None, &secret)) else {
        panic!("it is ours")
    };
    assert_eq!(bytes[3..5], [0, 0x7a]);
    assert_eq!(bytes[76..78], [0x13, 0x01], "what the site prefers is not offered");
}

#[test]
fn no_answer_is_too_strange_to_be_read() {
    let config = AcceptConfig::proxy(vec![fake_tls_secret()]);
    let hello = opening(&Connector::proxy(&fake_tls_secret(), DcId::production(1)), 3);
    let (AcceptStep::Answer { bytes, .. }, _) = accept(&config, None, &hello) else { panic!("it is ours") };
    assert!(AnswerProfile::of_answer(&bytes).is_some());
    for len in 0..bytes.len() {
        assert_eq!(AnswerProfile::of_answer(&bytes[..len]), None, "{len}");
    }
    for place in 0..140 {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[place] ^= change;
            let _ = AnswerProfile::of_answer(&changed);
        }
    }
    // Profiles are data: none makes an answer that is too long.
    let mut profile = AnswerProfile::default();
    profile.data = vec![DataRecord { min: u16::MAX, max: u16::MAX }; 100].into();
    let config = config.with_answer(profile);
    let (AcceptStep::Answer { bytes, .. }, _) = accept(&config, None, &hello) else { panic!("it is ours") };
    assert_eq!(bytes.len(), 133 + 8 * (5 + 16_640));
}

/// Records as servers of TLS 1.3 send them, under one digest.
#[test]
fn answers_of_other_proxies_are_accepted_as_a_browser_would() {
    let secret = fake_tls_secret();
    let connector = Connector::proxy(&secret, DcId::production(1));
    let record = |kind: u8, len: usize| {
        let len_bytes = (len as u16).to_be_bytes();
        [&[kind, 3, 3][..], &len_bytes, &vec![0x5a; len]].concat()
    };
    let change = [0x14, 3, 3, 0, 1, 1].to_vec();
    let (hello, data) = (record(0x16, 1210), record(0x17, 2000));
    let answers = [
        vec![hello.clone(), change.clone(), data.clone()],
        vec![hello.clone(), data.clone()],
        vec![hello.clone(), change.clone(), change.clone(), data.clone()],
        vec![hello.clone(), record(0x16, 40), change.clone(), data.clone()],
        vec![hello.clone(), change.clone(), record(0x17, 16_640), record(0x17, 16_640)],
        vec![
            hello.clone(),
            change.clone(),
            record(0x17, 32),
            data.clone(),
            record(0x17, 281),
            record(0x17, 53),
        ],
    ];
    for answer in answers {
        let mut out = Vec::new();
        let start = || connector.start(NOW, &mut rng(3), &mut Vec::new());
        let _ = connector.start(NOW, &mut rng(3), &mut out).expect("it starts");
        let random: [u8; 32] = out[11..43].try_into().expect("32 bytes");
        let records = answer.len();
        let mut bytes = answer.concat();
        sign_server_answer(&mut bytes, secret.key(), &random).expect("it is long enough");
        // What follows belongs to the stream.
        let stream = [&bytes[..], &[0x17, 3, 3, 0, 1, 7]].concat();
        let Ok(ConnectStep::FakeTls(state)) = start() else { panic!("it starts") };
        let mut buf = buf();
        buf.extend_from_slice(&stream).expect("it fits");
        let ready = state.handle(&mut buf).unwrap_or_else(|error| panic!("{records}: {error}"));
        assert!(matches!(ready, ConnectStep::Ready(_)), "{records}");
        assert_eq!(buf.raw(), &stream[bytes.len()..]);
        // In two reads, unless the cut is between records of data: there an answer of another server would end.
        let ends: Vec<usize> = answer
            .iter()
            .scan(0, |end, record| {
                *end += record.len();
                Some(*end)
            })
            .collect();
        for cut in (0..bytes.len()).step_by(151).chain(ends.iter().flat_map(|end| [end - 1, end + 1])) {
            if cut >= bytes.len() || ends.contains(&cut) {
                continue;
            }
            let Ok(ConnectStep::FakeTls(state)) = start() else { panic!("it starts") };
            let mut buf = common::buf();
            buf.extend_from_slice(&bytes[..cut]).expect("it fits");
            let Ok(ConnectStep::FakeTls(state)) = state.handle(&mut buf) else { panic!("{records} {cut}") };
            buf.extend_from_slice(&bytes[cut..]).expect("it fits");
            assert!(matches!(state.handle(&mut buf), Ok(ConnectStep::Ready(_))), "{records} {cut}");
        }
    }
}

#[test]
fn an_answer_that_never_ends_is_refused() {
    let connector = Connector::proxy(&fake_tls_secret(), DcId::production(1));
    let handle = |answer: &[u8]| {
        let Ok(ConnectStep::FakeTls(state)) = connector.start(NOW, &mut rng(3), &mut Vec::new()) else {
            panic!("it starts")
        };
        let mut buf = buf();
        buf.extend_from_slice(answer).expect("it fits");
        state.handle(&mut buf).map(|connect| matches!(connect, ConnectStep::Ready(_)))
    };
    let hello = [&[0x16, 3, 3, 0, 60][..], &[0x5a; 60]].concat();
    let malformed = Err(TransportError::Malformed(MalformedStream::ServerHello));
    let other = Err(TransportError::Refused(StreamRefusal::ServerHelloDigest));
    let with = |rest: &[u8]| handle(&[&hello[..], rest].concat());
    assert_eq!(with(&[0x14, 3, 3, 0, 1, 1].repeat(14)), Ok(false));
    assert_eq!(with(&[0x14, 3, 3, 0, 1, 1].repeat(16)), malformed);
    assert_eq!(with(&[0x17, 3, 3, 0, 0].repeat(16)), other);
    assert_eq!(with(&[0x17, 3, 3, 0, 0, 0x17]), Ok(false), "another record begins");
    assert_eq!(with(&[0x17, 3, 3, 0, 0, 0x15]), other);
    assert_eq!(with(&[0x15]), malformed);
    assert_eq!(with(&[0x14, 3, 3, 0, 2]), malformed);
    assert_eq!(with(&[0x14, 3, 3, 0, 1, 2]), malformed);
    assert_eq!(with(&[0x17, 3, 1]), malformed);
    assert_eq!(handle(&[0x14, 3, 3, 0, 1, 1]), malformed, "the hello comes first");
    assert_eq!(handle(&[0x16, 3, 3, 0, 37]), malformed, "there is no room for a random");
}

#[test]
fn sec_150_a_proxy_changes_nothing_of_what_it_carries() {
    // Whatever the envelope holds arrives as it was sent, for the layers above to check.
    for (connector, config) in kinds() {
        let first = envelope(40, 0xa5);
        let mut pair = connect(&connector, &config, 8, &first);
        let received = pair.server.connection.receiver.receive(&mut pair.server_buf);
        match received {
            Ok(Some(Incoming::Envelope { payload, .. })) => assert_eq!(payload, first),
            other => panic!("{connector:?}: {other:?}"),
        }
    }
}

const UPGRADE: &str = "GET /apiws HTTP/1.1\r\nHost: venus.web.telegram.org\r\nUpgrade: websocket\r\n\
     Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n\r\n";

#[test]
fn sec_139_a_websocket_needs_the_subprotocol_and_obfuscation() {
    let config = AcceptConfig::datacenter();
    let (AcceptStep::WebSocket(upgrade), 0) = accept(&config, None, UPGRADE.as_bytes()) else {
        panic!("it is complete")
    };
    check_upgrade(&upgrade);
    let mut context = AcceptContext { config: &config, unix_time: NOW, replays: None };
    for framing in [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate] {
        let connector = Connector::obfuscated(framing, None).expect("it has a tag");
        let mut buf = buf();
        buf.extend_from_slice(&opening(&connector, 2)).expect("it fits");
        let accept = Acceptor::inside_websocket().handle(&mut buf, &mut context, &mut rng(1));
        assert!(
            matches!(accept, Ok(AcceptStep::Ready(accepted)) if accepted.connection.framing() == framing)
        );
        // Bare framings are not let in.
        let mut buf = common::buf();
        buf.extend_from_slice(&[framing.prefix(), &[0x0a; 100]].concat()).expect("it fits");
        let accept = Acceptor::inside_websocket().handle(&mut buf, &mut context, &mut rng(1));
        assert!(matches!(accept, Ok(AcceptStep::Refused(AcceptRefusal::UnknownProtocol))));
    }
    for missing in [
        "Sec-WebSocket-Protocol: binary\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Connection: keep-alive, Upgrade\r\n",
    ] {
        let mut buf = buf();
        buf.extend_from_slice(UPGRADE.replace(missing, "").as_bytes()).expect("it fits");
        let accept = Acceptor::new().handle(&mut buf, &mut context, &mut rng(1));
        let expected = Err(TransportError::Malformed(MalformedStream::Http(HttpError::Upgrade)));
        assert_eq!(accept.map(|_| ()), expected, "without {missing}");
    }
}

#[test]
fn sec_139_a_client_goes_on_only_after_the_answer_to_its_own_upgrade() {
    let (config, key) = (AcceptConfig::datacenter(), [7; 16]);
    let mut request = Vec::new();
    request_into(&mut request, "venus.web.telegram.org", websocket::PATH, &key).expect("they are usable");
    let (AcceptStep::WebSocket(upgrade), 0) = accept(&config, None, &request) else {
        panic!("it is complete")
    };
    let response = upgrade.response();
    let check = |response: &str| check_response(response.as_bytes(), &key, &config.limits);
    assert_eq!(check(&response), Ok(Some(response.len())));
    assert_eq!(check(&response[..response.len() - 1]), Ok(None));
    let other_key = check_response(response.as_bytes(), &[8; 16], &config.limits);
    assert_eq!(other_key, Err(HttpError::Upgrade));
    for (from, to) in [(" 101 ", " 200 "), (": binary", ": chat"), ("Upgrade: websocket\r\n", "")] {
        assert!(response.contains(from));
        assert_eq!(check(&response.replace(from, to)), Err(HttpError::Upgrade), "{from}");
    }
    assert!(request_into(&mut request, "a b", websocket::PATH, &key).is_err());
    assert_eq!(websocket::host(2, HostPurpose::Media).as_deref(), Some("venus-1.web.telegram.org"));
    assert_eq!((websocket::host(0, HostPurpose::Main), websocket::host(6, HostPurpose::Main)), (None, None));
}

fn check_upgrade(upgrade: &Upgrade) {
    assert_eq!(upgrade.path(), "/apiws");
    let response = upgrade.response();
    assert!(response.starts_with("HTTP/1.1 101 "));
    // The example of RFC 6455, section 1.3.
    assert!(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{response}");
    assert!(response.contains("Sec-WebSocket-Protocol: binary\r\n"));
    assert!(response.ends_with("\r\n\r\n"));
}

#[test]
fn http_is_left_to_the_driver_with_every_byte() {
    let config = AcceptConfig::datacenter();
    for request in [
        "POST /api HTTP/1.1\r\n",
        "OPTIONS /apiw1 HTTP/1.1\r\n",
        "HEAD / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        let (accept, left) = accept(&config, None, request.as_bytes());
        assert!(matches!(accept, AcceptStep::Http), "{accept:?}");
        assert_eq!(left, request.len());
    }
    assert!(config.limits == ConnectionLimits::DEFAULT);
}
