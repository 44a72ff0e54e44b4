//! Connections of every kind, made through the machines of both sides.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Accepted, Acceptor, AckRequest, ConnectStep, Connection,
    ConnectionLimits, Connector, DcId, Framing, ProxySecret, ReadBuf,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

pub(crate) const NOW: u32 = 1_700_000_000;

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn buf() -> ReadBuf {
    ReadBuf::new(&ConnectionLimits::DEFAULT)
}

pub(crate) fn fake_tls_secret() -> ProxySecret {
    ProxySecret::parse("ee00112233445566778899aabbccddeeff6578616d706c652e636f6d").expect("it is well formed")
}

/// Every way to connect, with the configuration of a server that lets it in.
pub(crate) fn kinds() -> Vec<(Connector, AcceptConfig)> {
    let dc = DcId::production(2);
    let mut kinds: Vec<_> =
        Framing::ALL.iter().map(|framing| (Connector::plain(*framing), AcceptConfig::datacenter())).collect();
    for framing in [Framing::Abridged, Framing::Intermediate, Framing::PaddedIntermediate] {
        let direct = Connector::obfuscated(framing, None).expect("it has a tag");
        kinds.push((direct, AcceptConfig::datacenter()));
        let secret = ProxySecret::plain([3; 16]);
        let connector = Connector::proxy(&secret, dc).with_framing(framing).expect("any framing is allowed");
        kinds.push((connector, AcceptConfig::proxy(vec![ProxySecret::plain([4; 16]), secret])));
    }
    let padded = ProxySecret::padded([5; 16]);
    kinds.push((Connector::proxy(&padded, dc), AcceptConfig::proxy(vec![padded])));
    let secret = fake_tls_secret();
    kinds.push((Connector::proxy(&secret, dc), AcceptConfig::proxy(vec![secret])));
    kinds
}

/// Both ends of a connection, and what is still in their buffers.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) client: Connection,
    pub(crate) client_buf: ReadBuf,
    pub(crate) server: Accepted,
    pub(crate) server_buf: ReadBuf,
    /// What the client sent first.
    pub(crate) opening: Vec<u8>,
}

/// Connects and lets every byte arrive alone. The client's first frame is `first`.
pub(crate) fn connect(connector: &Connector, config: &AcceptConfig, seed: u64, first: &[u8]) -> Pair {
    let mut rng = rng(seed);
    let (mut client_buf, mut server_buf) = (buf(), buf());
    let mut opening = Vec::new();
    let mut connect = connector.start(NOW, &mut rng, &mut opening).expect("it starts");
    let mut acceptor = Some(Acceptor::new());
    let mut wire = opening.clone();
    let mut context = AcceptContext { config, unix_time: NOW, replays: None };
    loop {
        if let ConnectStep::Ready(connection) = &mut connect {
            connection.sender.encode_into(&mut wire, first, AckRequest::No, &mut rng).expect("it fits");
        }
        let mut ready = None;
        let mut back = Vec::new();
        for byte in wire.drain(..) {
            server_buf.extend_from_slice(&[byte]).expect("it fits");
            let Some(current) = acceptor.take() else { continue };
            match current.handle(&mut server_buf, &mut context, &mut rng).expect("it is well formed") {
                AcceptStep::Incomplete(next) => acceptor = Some(next),
                AcceptStep::Answer { bytes, next } => (back, acceptor) = (bytes, Some(next)),
                AcceptStep::Ready(accepted) => ready = Some(accepted),
                other => panic!("{connector:?}: {other:?}"),
            }
        }
        match (connect, ready) {
            (ConnectStep::Ready(client), Some(server)) => {
                return Pair { client, client_buf, server, server_buf, opening };
            }
            (ConnectStep::FakeTls(mut state), None) => {
                let mut bytes = back.into_iter();
                connect = loop {
                    client_buf.extend_from_slice(&[bytes.next().expect("an answer")]).expect("it fits");
                    match state.handle(&mut client_buf).expect("it is well formed") {
                        ConnectStep::FakeTls(next) => state = next,
                        ready @ ConnectStep::Ready(_) => break ready,
                    }
                };
                assert_eq!(bytes.next(), None, "the answer ends where its digest does");
            }
            (connect, ready) => panic!("{connector:?}: {connect:?} {ready:?}"),
        }
    }
}

/// An envelope of `24 + 16 * blocks` bytes that does not begin with zeros.
pub(crate) fn envelope(blocks: usize, filler: u8) -> Vec<u8> {
    let mut envelope = vec![filler; 24 + 16 * blocks];
    envelope[0] = 1;
    envelope
}
