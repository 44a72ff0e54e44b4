//! A server of one's own: three methods, on every transport, on one port.
//!
//! ```sh
//! cargo run --release --example server
//! ```
//!
//! It starts the server, calls each method over another transport, and ends it in order.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use chappe::authentication::{ClientOptions, DcId, ServerOptions};
use chappe::crypto::rng::Drbg;
use chappe::crypto::rsa::{KeyRing, PrivateKey};
use chappe::framing::{FrameBuf, RpcOutcome, RpcResult, UnixTime, constructor_id};
use chappe::net::Stream;
use chappe::net::blocking::dial_with_new_key;
use chappe::net::{Carrier, DialOptions, Endpoint};
use chappe::server::blocking::Server;
use chappe::server::{Context, Engine, EngineOptions, Handler, ListenOptions, Verdict};
use chappe::session::EncryptedSession;
use chappe::session::server::ServerConfig;
use chappe::tl::{Deserializable, EncodeError, RemoteCall, Serializable, Sink};
use chappe::transport::{AckRequest, Connector, Framing, Incoming};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The methods. With a schema of one's own these types come from `chappe-tl-gen`; see `crates/examples/private-schema`.
#[derive(Debug)]
enum Call {
    /// `now#11111111 = long;` the time in seconds.
    Now,
    /// `add#22222222 a:long b:long = long;`
    Add(i64, i64),
    /// `length#33333333 text:string = long;`
    Length(String),
}

impl Call {
    const NOW: u32 = 0x1111_1111;
    const ADD: u32 = 0x2222_2222;
    const LENGTH: u32 = 0x3333_3333;

    /// Reads a call; `None` if it is none of ours.
    fn read(body: &[u8]) -> Option<Self> {
        let (id, fields) = (constructor_id(body).ok()?, body.get(4..)?);
        let long = |at: usize| Some(i64::from_le_bytes(fields.get(at..at + 8)?.try_into().ok()?));
        Some(match id {
            Self::NOW => Self::Now,
            Self::ADD => Self::Add(long(0)?, long(8)?),
            Self::LENGTH => Self::Length(String::from_bytes(fields).ok()?),
            _ => return None,
        })
    }
}

impl Serializable for Call {
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError> {
        match self {
            Self::Now => Self::NOW.serialize(out),
            Self::Add(a, b) => {
                Self::ADD.serialize(out)?;
                a.serialize(out)?;
                b.serialize(out)
            }
            Self::Length(text) => {
                Self::LENGTH.serialize(out)?;
                text.serialize(out)
            }
        }
    }
}

impl RemoteCall for Call {
    type Return = i64;
}

/// Answers calls. Called for each query, on the connection's own thread.
struct Methods;

impl Handler for Methods {
    fn query(&self, _context: &Context<'_>, body: &[u8]) -> Verdict {
        let result = match Call::read(body) {
            Some(Call::Now) => SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() as i64),
            Some(Call::Add(a, b)) => match a.checked_add(b) {
                Some(sum) => sum,
                None => return Verdict::Error { code: 400, message: "SUM_TOO_LARGE".into() },
            },
            Some(Call::Length(text)) => text.len() as i64,
            None => return Verdict::Error { code: 400, message: "METHOD_INVALID".into() },
        };
        Verdict::Answer(result.to_bytes())
    }
}

fn main() -> Result<()> {
    let mut rng = Drbg::from_os()?;
    let private = PrivateKey::generate(&mut rng)?;
    let mut keys = KeyRing::empty();
    keys.add(private.public_key().clone());

    // `strict` takes clients that follow the rules; `lenient` those of the world.
    let handshake = ServerOptions::strict(vec![private], vec![DcId::production(2)]);
    let engine = Engine::new(EngineOptions::new(handshake, ServerConfig::default()), Methods, &mut rng)?;
    let mut limits = ListenOptions::datacenter();
    limits.max_connections_per_address = 100;
    let server = Server::listen("127.0.0.1:0", limits, engine)?;
    println!("serving on {}", server.local_addr());

    let host = server.local_addr().to_string();
    let padded = Connector::obfuscated(Framing::PaddedIntermediate, None)?;
    let calls = [
        ("TCP", Connector::plain(Framing::Full), Carrier::Tcp, Call::Add(40, 2)),
        ("WebSocket", padded, Carrier::WebSocket(Endpoint::websocket(&*host)), Call::Length("chappe".into())),
        ("HTTP", Connector::plain(Framing::Full), Carrier::Http(Endpoint::http(&*host)), Call::Now),
    ];
    for (name, connector, carrier, call) in calls {
        let dialling = DialOptions::new(connector).with_carrier(carrier);
        let client = ClientOptions::new(keys.clone(), DcId::production(2));
        let (stream, finished) = dial_with_new_key(server.local_addr(), &dialling, client, &mut rng, |_| {})?;
        let (key, salt) = (finished.key(), finished.first_salt);
        let session = EncryptedSession::with_rng(key, salt, finished.time_offset, &mut rng);
        println!("{name:<10} {call:?} = {}", ask(stream, session, &call, &mut rng)?);
    }

    let counters = server.counters();
    println!("{} connections, {} bytes in, {} out", counters.accepted, counters.bytes_in, counters.bytes_out);
    ensure!(server.shutdown(PATIENCE), "a connection did not end in time");
    Ok(())
}

/// Makes one call. A program of more than one would let `chappe::net::Client` do this.
fn ask(mut stream: Stream, mut session: EncryptedSession, call: &Call, rng: &mut Drbg) -> Result<i64> {
    if stream.framing() == Framing::PaddedIntermediate {
        session.set_transport_tail(chappe::session::TransportTail::Padded);
    }
    let mut frame = FrameBuf::new();
    let query = session.pack_into(call, UnixTime::now(), rng, &mut frame)?;
    stream.send(&mut frame, AckRequest::No)?;
    loop {
        let mut answer = None;
        stream.receive(PATIENCE, |incoming| {
            let Incoming::Envelope { payload, .. } = incoming else { bail!("{incoming:?} is no answer") };
            session.unpack_each(UnixTime::now(), payload, |message| {
                if let Ok(result) = RpcResult::new_checked(message.body)
                    && result.req_msg_id() == query
                {
                    answer = Some(match result.outcome() {
                        Ok(RpcOutcome::Object(object)) => i64::from_bytes(object).context("no number"),
                        other => Err(anyhow::anyhow!("{other:?}")),
                    });
                }
            })?;
            Ok(())
        })??;
        if let Some(answer) = answer {
            return answer;
        }
    }
}
