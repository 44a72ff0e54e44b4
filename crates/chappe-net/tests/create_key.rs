//! Creation of keys by the drivers, against a server half behind real sockets that can misbehave.
#![cfg(feature = "blocking")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_framing::{FrameBuf, Now};
use chappe_handshake::{
    ClientHandshake, ClientOptions, DcId, PeerId, QueryReply, ServerHandshakes, ServerOptions,
};
use chappe_net::{CreateKeyError, DialOptions, LinkError, Stage, Step, blocking};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectionLimits, Connector, Framing,
    Incoming, ReadBuf, TransportErrorCode,
};

/// What a server does with the frames of all its connections, counted from the first.
type Script = fn(frame: usize) -> Deed;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Answer,
    HangUp,
    Refuse,
    Ignore,
}

fn private_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| {
        PrivateKey::generate(&mut Drbg::from_seed([3; 32])).expect("a key from good randomness")
    })
}

fn options() -> ClientOptions {
    let mut keys = KeyRing::empty();
    keys.add(private_key().public_key().clone());
    ClientOptions::new(keys, DcId::production(2))
}

fn dialling() -> DialOptions {
    DialOptions::new(Connector::plain(Framing::Intermediate))
}

/// Serves handshakes in threads of their own; keys that were made are collected.
fn serve(script: Script) -> (SocketAddr, Arc<Mutex<Vec<AuthKey>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let made = Arc::new(Mutex::new(Vec::new()));
    let keys = Arc::clone(&made);
    thread::spawn(move || {
        let server = ServerOptions::strict(vec![private_key().clone()], vec![DcId::production(2)]);
        let mut server = ServerHandshakes::new(server).expect("valid options");
        let mut frames = 0;
        for socket in listener.incoming().map_while(Result::ok) {
            // One connection after the other: a client that hung up is done with the first.
            let _ = serve_one(socket, &mut server, &mut frames, script, &keys);
        }
    });
    (address, made)
}

fn serve_one(
    mut socket: TcpStream,
    server: &mut ServerHandshakes,
    frames: &mut usize,
    script: Script,
    keys: &Mutex<Vec<AuthKey>>,
) -> std::io::Result<()> {
    let mut rng = Drbg::from_os().expect("randomness");
    let config = AcceptConfig::datacenter();
    let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
    let mut acceptor = Acceptor::new();
    let mut connection = loop {
        read(&mut socket, &mut buf)?;
        let mut context = AcceptContext { config: &config, unix_time: 0, replays: None };
        match acceptor.handle(&mut buf, &mut context, &mut rng).expect("a transport") {
            AcceptStep::Ready(ready) => break ready.connection,
            AcceptStep::Incomplete(next) => acceptor = next,
            other => panic!("{other:?}"),
        }
    };
    let mut answer = FrameBuf::new();
    loop {
        let mut out = Vec::new();
        while let Some(incoming) = connection.receiver.receive(&mut buf).expect("whole frames") {
            let Incoming::Envelope { payload, .. } = incoming else { continue };
            let deed = script(*frames);
            *frames += 1;
            match deed {
                Deed::Ignore => continue,
                Deed::HangUp => return socket.shutdown(Shutdown::Both),
                Deed::Refuse => {
                    let code = TransportErrorCode::UnknownAuthKey;
                    connection.sender.error_into(&mut out, code, &mut rng).expect("four bytes");
                    continue;
                }
                Deed::Answer => {}
            }
            match server.handle_frame(Now::from_system(), PeerId(1), payload, &mut answer, &mut rng) {
                QueryReply::Answer => {}
                QueryReply::Key(candidate) => {
                    let key = candidate.accept().auth_key.clone();
                    keys.lock().expect("no panic in this thread").push(key);
                }
                QueryReply::Refuse(refusal) => panic!("{refusal}"),
            }
            let sender = &mut connection.sender;
            sender.encode_into(&mut out, answer.as_slice(), AckRequest::No, &mut rng).expect("a frame");
        }
        socket.write_all(&out)?;
        read(&mut socket, &mut buf)?;
    }
}

fn read(socket: &mut TcpStream, buf: &mut ReadBuf) -> std::io::Result<()> {
    let count = socket.read(buf.space().expect("everything was taken out"))?;
    buf.commit(count);
    if count == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

const STAGES: [Stage; 3] = [Stage::ServerKnown, Stage::ParamsAgreed, Stage::KeyCreated];

#[test]
fn both_sides_have_the_key_and_every_step_is_shown() {
    let (address, made) = serve(|_| Deed::Answer);
    let mut rng = Drbg::from_os().expect("randomness");
    let mut stages = Vec::new();
    let show = |step: Step| stages.push(step.stage);
    let (_, finished) =
        blocking::dial_with_new_key(address, &dialling(), options(), &mut rng, show).expect("a key");
    assert_eq!(stages, STAGES);
    assert_eq!(*made.lock().expect("no panic"), [finished.key()]);
}

#[test]
fn sec_042_a_lost_connection_is_replaced_and_the_exchange_goes_on() {
    // The second question meets a closed connection, and so does its repetition.
    let (address, made) = serve(|frame| if matches!(frame, 1 | 2) { Deed::HangUp } else { Deed::Answer });
    let mut rng = Drbg::from_os().expect("randomness");
    let mut stages = Vec::new();
    let show = |step: Step| stages.push(step.stage);
    let (_, finished) =
        blocking::dial_with_new_key(address, &dialling(), options(), &mut rng, show).expect("a key");
    assert_eq!(stages, STAGES);
    assert_eq!(*made.lock().expect("no panic"), [finished.key()]);
}

#[test]
fn a_server_that_always_hangs_up_is_not_called_for_ever() {
    let (address, _) = serve(|_| Deed::HangUp);
    let mut rng = Drbg::from_os().expect("randomness");
    let error =
        blocking::dial_with_new_key(address, &dialling(), options(), &mut rng, |_| {}).expect_err("no key");
    assert!(matches!(error, CreateKeyError::Link(LinkError::Closed | LinkError::Io(_))), "{error:?}");
}

#[test]
fn a_transport_error_is_told_from_a_failed_check() {
    let (address, _) = serve(|_| Deed::Refuse);
    let mut rng = Drbg::from_os().expect("randomness");
    let error =
        blocking::dial_with_new_key(address, &dialling(), options(), &mut rng, |_| {}).expect_err("no key");
    assert!(matches!(error, CreateKeyError::Refused(TransportErrorCode::UnknownAuthKey)), "{error:?}");

    let (address, _) = serve(|_| Deed::Answer);
    let stranger = options().with_keys(KeyRing::empty());
    let error =
        blocking::dial_with_new_key(address, &dialling(), stranger, &mut rng, |_| {}).expect_err("no key");
    let CreateKeyError::Handshake(chappe_handshake::HandshakeError::UnknownFingerprints { .. }) = error
    else {
        panic!("{error:?}");
    };
}

#[test]
fn sec_043_a_silent_server_is_given_up_at_the_deadline() {
    let (address, _) = serve(|_| Deed::Ignore);
    let mut rng = Drbg::from_os().expect("randomness");
    let mut stream = blocking::dial(address, &dialling(), &mut rng).expect("a connection");
    let now = Now::from_system();
    let handshake = ClientHandshake::begin(options(), now, &mut rng).expect("valid options");
    let mut handshake = handshake.with_deadline(now.mono + Duration::from_millis(50));
    let error = blocking::create_key(&mut stream, &mut handshake, &mut rng, |_| {}).expect_err("no key");
    assert!(
        matches!(error, CreateKeyError::Handshake(chappe_handshake::HandshakeError::TimedOut)),
        "{error:?}"
    );
    assert!(handshake.is_over());
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn the_tokio_driver_does_the_same_and_survives_a_lost_connection() {
    let (address, made) = serve(|frame| if frame == 2 { Deed::HangUp } else { Deed::Answer });
    let mut rng = Drbg::from_os().expect("randomness");
    let mut stages = Vec::new();
    let show = |step: Step| stages.push(step.stage);
    let created = chappe_net::tokio::dial_with_new_key(address, &dialling(), options(), &mut rng, show).await;
    let (_, finished) = created.expect("a key");
    assert_eq!(stages, STAGES);
    assert_eq!(*made.lock().expect("no panic"), [finished.key()]);
}
