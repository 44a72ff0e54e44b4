//! Your own server: three methods, on every transport, on one port.
//!
//! ```sh
//! cargo run --release --example server
//! ```
//!
//! It starts the server, calls each method over another transport, prints what the server counted, and ends it in order.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use chappe::authentication::{ClientOptions, DcId, ServerOptions};
use chappe::crypto::rng::Drbg;
use chappe::crypto::rsa::{KeyRing, PrivateKey};
use chappe::framing::{FrameBuf, RpcOutcome, RpcResult, UnixTime};
use chappe::net::Stream;
use chappe::net::blocking::dial_with_new_key;
use chappe::net::{Carrier, DialOptions, Endpoint};
use chappe::server::tokio::Server;
use chappe::server::{Engine, EngineOptions, ListenOptions, Router, RpcError};
use chappe::session::EncryptedSession;
use chappe::session::server::ServerConfig;
use chappe::tl::deserialize::{self, Buffer};
use chappe::tl::{Deserializable, EncodeError, Identifiable, RemoteCall, Serializable, Sink};
use chappe::transport::{AckRequest, Connector, Framing, Incoming};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Functions as `chappe-tl-gen` writes them, in short. With a schema of your own, generate them: see
/// `crates/examples/private-schema`.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $id:literal { $($field:ident: $type:ty),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        struct $name {
            $($field: $type,)*
        }

        impl Identifiable for $name {
            const CONSTRUCTOR_ID: u32 = $id;
        }

        impl Serializable for $name {
            fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError> {
                Self::CONSTRUCTOR_ID.serialize(out)?;
                $(self.$field.serialize(out)?;)*
                Ok(())
            }
        }

        impl Deserializable for $name {
            fn deserialize(buf: Buffer<'_, '_>) -> deserialize::Result<Self> {
                buf.expect_id(stringify!($name), Self::CONSTRUCTOR_ID)?;
                Ok(Self { $($field: <$type>::deserialize(buf)?,)* })
            }
        }

        impl RemoteCall for $name {
            type Return = i64;
        }
    )*};
}

functions! {
    /// `now#11111111 = long;` the time in seconds.
    Now 0x1111_1111 {}
    /// `add#22222222 a:long b:long = long;`
    Add 0x2222_2222 { a: i64, b: i64 }
    /// `length#33333333 text:string = long;` takes a while.
    Length 0x3333_3333 { text: String }
}

/// The handlers. Each is a closure that takes the origin of the call and the decoded call, and returns a future.
fn router() -> Router {
    Router::new()
        .on(|_, _: Now| async {
            Ok(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() as i64))
        })
        .on(|_, call: Add| async move {
            call.a.checked_add(call.b).ok_or_else(|| RpcError::new(400, "SUM_TOO_LARGE"))
        })
        .on(|_, call: Length| async move {
            // Other calls of the same connection are answered meanwhile.
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(call.text.len() as i64)
        })
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut rng = Drbg::from_os()?;
    let private = PrivateKey::generate(&mut rng)?;
    let mut keys = KeyRing::empty();
    keys.add(private.public_key().clone());

    // `strict` takes clients that follow the rules; `lenient` those of the world.
    let handshake = ServerOptions::strict(vec![private], vec![DcId::production(2)]);
    let options = EngineOptions::new(handshake, ServerConfig::default());
    let engine = Engine::new(options, router().into_handler(), &mut rng)?;
    let mut limits = ListenOptions::datacenter();
    limits.max_connections_per_address = 100;
    let server = Server::listen("127.0.0.1:0", limits, engine).await?;
    println!("serving on {}", server.local_addr());

    // A client is a program of its own; here it is a thread.
    let address = server.local_addr();
    tokio::task::spawn_blocking(move || call_each(address, &keys)).await??;

    println!("\n{}", server.engine().metrics().prometheus("example", &server.counters()));
    ensure!(server.shutdown(PATIENCE).await, "a connection did not end in time");
    Ok(())
}

/// Calls each function, each over another transport.
fn call_each(address: SocketAddr, keys: &KeyRing) -> Result<()> {
    let host = address.to_string();
    let tcp = (Connector::plain(Framing::Full), Carrier::Tcp);
    call("TCP", address, keys, tcp, &Add { a: 40, b: 2 })?;
    let padded = Connector::obfuscated(Framing::PaddedIntermediate, None)?;
    let websocket = (padded, Carrier::WebSocket(Endpoint::websocket(&*host)));
    call("WebSocket", address, keys, websocket, &Length { text: "chappe".into() })?;
    let http = (Connector::plain(Framing::Full), Carrier::Http(Endpoint::http(&*host)));
    call("HTTP", address, keys, http, &Now {})
}

/// Connects, makes a key, and calls a function.
fn call<C: RemoteCall<Return = i64> + std::fmt::Debug>(
    name: &str,
    address: SocketAddr,
    keys: &KeyRing,
    (connector, carrier): (Connector, Carrier),
    call: &C,
) -> Result<()> {
    let mut rng = Drbg::from_os()?;
    let dialling = DialOptions::new(connector).with_carrier(carrier);
    let client = ClientOptions::new(keys.clone(), DcId::production(2));
    let (stream, finished) = dial_with_new_key(address, &dialling, client, &mut rng, |_| {})?;
    let (key, salt) = (finished.key(), finished.first_salt);
    let session = EncryptedSession::with_rng(key, salt, finished.time_offset, &mut rng);
    println!("{name:<10} {call:?} = {}", ask(stream, session, call, &mut rng)?);
    Ok(())
}

/// Makes one call. A program of more than one would let `chappe::net::Client` do this.
fn ask(
    mut stream: Stream,
    mut session: EncryptedSession,
    call: &impl RemoteCall<Return = i64>,
    rng: &mut Drbg,
) -> Result<i64> {
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
