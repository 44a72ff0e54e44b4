//! The README of layer-mtproto 0.1.2 as code, call by call, against the embedded datacenter.
//!
//! Where a call differs from that README, a comment says so; `docs/migrating.md` says why.
#![cfg(all(feature = "blocking", feature = "loopback"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

use std::error::Error;
use std::time::Duration;

use chappe::api::{enums as api, functions as calls};
use chappe::authentication as auth;
use chappe::crypto::rng::Drbg;
use chappe::crypto::rsa::KeyRing;
use chappe::framing::{Deflater, FrameBuf, PlainMessage, RpcOutcome, RpcResult};
use chappe::loopback::Loopback;
use chappe::mtproto::{enums, functions, types};
use chappe::net::{DialOptions, Stream, blocking};
use chappe::tl::table::Decoded;
use chappe::tl::{Deserializable, Identifiable, RemoteCall, Serializable};
use chappe::transport::{AckRequest, Connector, Framing, Incoming, Side};
use chappe::{EncryptedSession, Finished, Message, Session};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Any transport: bytes of an envelope go in, bytes of an envelope come out.
struct Wire {
    stream: Stream,
    rng: Drbg,
}

impl Wire {
    fn to(datacenter: &Loopback) -> Result<Self> {
        let mut rng = Drbg::from_os()?;
        let options = DialOptions::new(Connector::plain(Framing::Abridged));
        Ok(Self { stream: blocking::dial(datacenter.address(), &options, &mut rng)?, rng })
    }

    fn send(&mut self, envelope: &[u8]) -> Result<()> {
        let mut frame = FrameBuf::new();
        frame.append(envelope);
        Ok(self.stream.send(&mut frame, AckRequest::No)?)
    }

    fn recv(&mut self) -> Result<Vec<u8>> {
        let envelope = self.stream.receive(Duration::from_secs(30), |incoming| match incoming {
            Incoming::Envelope { payload, .. } => payload.to_vec(),
            other => panic!("{other:?}"),
        });
        Ok(envelope?)
    }

    /// "`let framed = plain.pack(&my_plaintext_request).to_plaintext_bytes();`", and the answer to it.
    fn ask_plain<R: RemoteCall>(&mut self, plain: &mut Session, request: &R) -> Result<R::Return> {
        let framed = plain.pack(request).to_plaintext_bytes();
        self.send(&framed)?;
        Ok(PlainMessage::new_checked(&self.recv()?, Side::Server)?.object()?)
    }

    /// Unpacks frames until one holds an object that `wanted` takes. Containers are taken apart and packed
    /// objects inflated on the way, which there was left to the caller.
    fn until<T>(
        &mut self,
        session: &mut EncryptedSession,
        mut wanted: impl FnMut(&Message) -> Option<T>,
    ) -> Result<T> {
        loop {
            let mut raw_bytes = self.recv()?;
            if let Some(found) = session.unpack_all(&mut raw_bytes)?.iter().find_map(&mut wanted) {
                return Ok(found);
            }
        }
    }
}

/// "The 3-step DH exchange."
fn exchange(wire: &mut Wire, datacenter: &Loopback) -> Result<Finished> {
    let mut plain = Session::new();
    // Whom to trust is said in one place; the short `step2` trusts the published keys, as there.
    let mut options = auth::ClientOptions::production(2);
    options.keys = KeyRing::empty();
    options.keys.add(datacenter.public_key().clone());

    let (req1, state1) = auth::step1()?; // req_pq_multi
    let res_pq: enums::ResPq = wire.ask_plain(&mut plain, &req1)?;
    let (req2, state2) = auth::step2_with(state1, res_pq, &options, &mut wire.rng)?; // req_DH_params
    let dh_params: enums::ServerDhParams = wire.ask_plain(&mut plain, &req2)?;
    let (req3, state3) = auth::step3(state2, dh_params)?; // set_client_DH_params
    let dh_answer: enums::SetClientDhParamsAnswer = wire.ask_plain(&mut plain, &req3)?;
    Ok(auth::finish(state3, dh_answer)?)
}

/// "`EncryptedSession::new(auth_key, first_salt, time_offset)`"
fn session(wire: &mut Wire, datacenter: &Loopback) -> Result<EncryptedSession> {
    let done = exchange(wire, datacenter)?;
    let (auth_key, first_salt, time_offset): ([u8; 256], i64, i32) =
        (done.auth_key, done.first_salt, done.time_offset);
    Ok(EncryptedSession::new(auth_key, first_salt, time_offset))
}

fn pong(message: &Message) -> Option<types::Pong> {
    let enums::Pong::Pong(pong) = enums::Pong::from_bytes(&message.body).ok()?;
    Some(pong)
}

/// The object that an `rpc_result` for `msg_id` carries, uncompressed.
fn result(message: &Message, msg_id: i64) -> Option<Vec<u8>> {
    let result = RpcResult::new_checked(&message.body).ok()?;
    match result.outcome().expect("a whole result") {
        RpcOutcome::Object(object) if result.req_msg_id().to_raw() == msg_id => Some(object.to_vec()),
        _ => None,
    }
}

#[test]
fn the_exchange_gives_a_key_a_salt_and_a_time_offset() -> Result<()> {
    let datacenter = Loopback::start()?;
    let done = exchange(&mut Wire::to(&datacenter)?, &datacenter)?;
    assert_ne!(done.auth_key, [0; 256]);
    assert_ne!(done.first_salt, 0);
    assert!(done.time_offset.abs() <= 1, "both sides read the same clock");
    assert!(!format!("{done:?}").contains(&format!("{:?}", &done.auth_key[..4])), "the key is not printed");
    Ok(())
}

#[test]
fn the_short_forms_trust_the_published_keys() -> Result<()> {
    let datacenter = Loopback::start()?;
    let (request, state) = auth::step1()?;
    let res_pq: enums::ResPq = Wire::to(&datacenter)?.ask_plain(&mut Session::new(), &request)?;
    // Two arguments, as there; a datacenter with a key of its own is not among them.
    let refused = auth::step2(state, res_pq).map(|_| ()).expect_err("a stranger");
    let ours = datacenter.public_key().fingerprint().to_raw();
    match refused {
        auth::HandshakeError::UnknownFingerprints { fingerprints } => assert_eq!(fingerprints, [ours]),
        other => panic!("{other}"),
    }
    Ok(())
}

#[test]
fn calls_and_other_objects_are_packed_and_answers_unpacked() -> Result<()> {
    let datacenter = Loopback::start()?;
    let mut wire = Wire::to(&datacenter)?;
    let mut session = session(&mut wire, &datacenter)?;

    // "`let wire_bytes = session.pack(&my_request);` // a RemoteCall"
    let wire_bytes = session.pack(&functions::Ping { ping_id: 1 });
    wire.send(&wire_bytes)?;
    let answer = loop {
        let mut raw_bytes = wire.recv()?;
        // "`let msg = session.unpack(&mut raw_bytes)?;` // msg.body: raw TL bytes of the inner object, msg.salt: i64"
        let msg = session.unpack(&mut raw_bytes)?;
        assert_eq!(msg.salt, session.salt);
        if let Some(answer) = msg.messages()?.iter().find_map(pong) {
            break answer;
        }
    };
    assert_eq!(answer.ping_id, 1);

    // "`let wire_bytes = session.pack_serializable(&my_request);` // any Serializable"
    let wire_bytes = session.pack_serializable(&functions::Ping { ping_id: 2 });
    wire.send(&wire_bytes)?;
    assert_eq!(wire.until(&mut session, pong)?.ping_id, 2);

    // `pack_with_msg_id` tells which answer is whose.
    let (wire_bytes, msg_id) = session.pack_with_msg_id(&calls::help::GetConfig {});
    wire.send(&wire_bytes)?;
    let object = wire.until(&mut session, |msg| result(msg, msg_id))?;
    let config = Decoded::<api::Config<'static>>::from_bytes(&object)?;
    let config = config.get();
    assert_eq!(config.this_dc, i32::from(datacenter.dc().number()));
    Ok(())
}

#[test]
fn containers_are_packed_and_unpacked() -> Result<()> {
    let datacenter = Loopback::start()?;
    let mut wire = Wire::to(&datacenter)?;
    let mut session = session(&mut wire, &datacenter)?;

    let bodies = [3, 4, 5].map(|ping_id| functions::Ping { ping_id }.to_bytes());
    let (wire_bytes, ids) = session.pack_container(&bodies)?;
    wire.send(&wire_bytes)?;
    let mut answered = Vec::new();
    while answered.len() < ids.len() {
        let mut raw_bytes = wire.recv()?;
        answered.extend(session.unpack_all(&mut raw_bytes)?.iter().filter_map(pong).map(|pong| pong.msg_id));
    }
    answered.sort_unstable();
    assert_eq!(answered, ids);
    Ok(())
}

#[test]
fn gzip_packed_calls_are_understood() -> Result<()> {
    let datacenter = Loopback::start()?;
    let mut wire = Wire::to(&datacenter)?;
    let mut session = session(&mut wire, &datacenter)?;

    let call = calls::langpack::GetStrings { lang_pack: &"x".repeat(2000), lang_code: "en", keys: &[] };
    let mut deflater = Deflater::new();
    let packed = deflater.pack(&call.to_bytes()).expect("it shrinks").to_vec();
    assert!(packed.len() < 200);
    let (wire_bytes, ids) = session.pack_container(&[packed])?;
    wire.send(&wire_bytes)?;
    let object = wire.until(&mut session, |msg| result(msg, ids[0]))?;
    assert!(Decoded::<&[api::LangPackString<'static>]>::from_bytes(&object)?.get().is_empty());
    Ok(())
}

#[test]
fn bad_server_salt_is_recorded() -> Result<()> {
    let datacenter = Loopback::start()?;
    let mut wire = Wire::to(&datacenter)?;
    let mut session = session(&mut wire, &datacenter)?;
    let right = session.salt;

    session.salt = !right; // a public field, as there
    let (wire_bytes, msg_id) = session.pack_with_msg_id(&functions::Ping { ping_id: 6 });
    wire.send(&wire_bytes)?;
    let complaint =
        wire.until(&mut session, |msg| match enums::BadMsgNotification::from_bytes(&msg.body).ok()? {
            enums::BadMsgNotification::BadServerSalt(bad) => Some(bad),
            other @ enums::BadMsgNotification::BadMsgNotification(_) => panic!("{other:?}"),
        })?;
    assert_eq!((complaint.bad_msg_id, complaint.error_code), (msg_id, 48));
    assert_eq!(session.salt, complaint.new_server_salt);

    wire.send(&session.pack(&functions::Ping { ping_id: 7 }))?;
    assert_eq!(wire.until(&mut session, pong)?.ping_id, 7);
    Ok(())
}

#[test]
fn a_plain_message_is_laid_out_as_the_readme_says() {
    let mut plain = Session::new();
    let request = functions::ReqPqMulti { nonce: [9; 16] };
    let message = plain.pack(&request);
    let framed = message.to_plaintext_bytes();
    assert_eq!(framed[..8], [0; 8]);
    assert_eq!(framed[8..16], message.msg_id.to_le_bytes());
    assert_eq!(framed[16..20], 20_u32.to_le_bytes());
    assert_eq!(framed[20..24], functions::ReqPqMulti::CONSTRUCTOR_ID.to_le_bytes());
    assert_eq!(framed[20..], request.to_bytes());
}
