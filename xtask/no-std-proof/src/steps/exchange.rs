//! A key from both halves of the exchange, and a call under it through both halves of a session.

use alloc::vec;

use chappe_crypto::AuthKey;
use chappe_crypto::rsa::{KeyRing, PrivateKey};
use chappe_framing::{FrameBuf, MonoTime, Now, ServerSalt, UnixTime};
use chappe_handshake::{
    ClientHandshake, ClientOptions, DcId, PeerId, Progress, QueryReply, ServerHandshakes, ServerOptions,
};
use chappe_session::server::{SaltSchedule, ServerConfig, ServerEvent, ServerSession};
use chappe_session::{EncryptedSession, TransportTail};
use chappe_tl::Deserializable as _;
use chappe_tl_mtproto::{enums, functions::Ping};

use super::rng;

/// A key for tests, known to everyone.
const SERVER_KEY: &str = include_str!("server-key.pem");

/// A time within the life of the protocol.
const NOW: Now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_700_000_000));

/// What both ends have after an exchange.
struct Agreed {
    auth_key: AuthKey,
    salt: ServerSalt,
}

/// Client and server agree on a key in memory; a ping sealed under it is answered by its pong.
pub fn a_key_is_made_and_carries_a_call() -> Option<()> {
    let (client, server) = agreed()?;
    if client.auth_key != server.auth_key || client.salt != server.salt {
        return None;
    }
    (pong_for(&client, &server, 42)? == 42).then_some(())
}

fn agreed() -> Option<(Agreed, Agreed)> {
    let private = PrivateKey::from_pem(SERVER_KEY).ok()?;
    let mut keys = KeyRing::empty();
    keys.add(private.public_key().clone());
    let options = ClientOptions::new(keys, DcId::production(2));
    let options_of_server = ServerOptions::strict(vec![private], vec![DcId::production(2)]);
    let mut server = ServerHandshakes::new(options_of_server).ok()?;
    let (mut theirs, mut ours) = (rng(9), rng(10));
    let mut client = ClientHandshake::begin(options, NOW, &mut ours).ok()?;
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    let mut created = None;
    loop {
        client.poll_transmit(NOW, &mut question);
        match server.handle_frame(NOW, PeerId(1), question.as_slice(), &mut answer, &mut theirs) {
            QueryReply::Answer => {}
            QueryReply::Key(candidate) => created = Some(candidate.accept()),
            QueryReply::Refuse(_) => return None,
        }
        if let Progress::Done(finished) = client.handle_frame(NOW, answer.as_slice(), &mut ours).ok()? {
            let created = created?;
            return Some((
                Agreed { auth_key: finished.key(), salt: finished.salt() },
                Agreed { auth_key: created.auth_key, salt: created.first_salt },
            ));
        }
    }
}

/// Sends a ping through a client's and a server's session and returns the number in the pong.
fn pong_for(client: &Agreed, server: &Agreed, ping_id: i64) -> Option<i64> {
    let now = NOW;
    let mut rng = rng(11);
    let mut frame = FrameBuf::new();
    let mut pinging = EncryptedSession::with_rng(client.auth_key.clone(), client.salt.to_raw(), 0, &mut rng);
    pinging.pack_into(&Ping { ping_id }, NOW.unix, &mut rng, &mut frame).ok()?;
    let salts = SaltSchedule::new([7; 32]);
    let until = UnixTime::from_secs(1_700_001_800);
    let session_id = pinging.session_id();
    let mut answering =
        ServerSession::new(ServerConfig::default(), server.auth_key.clone(), session_id, salts, 1)
            .with_first_salt(server.salt, until);
    answering.handle_connected(now, TransportTail::None);
    let mut shown = answering.handle_frame(now, frame.as_mut_slice()).ok()?;
    if shown.any(|event| matches!(event, ServerEvent::Query { .. })) {
        return None; // A ping is the session's own business.
    }
    let mut pong = None;
    while answering.poll_transmit(now, &mut rng, &mut frame).is_some() {
        let read = |body: &[u8]| enums::Pong::from_bytes(body).ok();
        let mut keep = |body: &[u8]| pong = pong.take().or_else(|| read(body));
        pinging.unpack_each(NOW.unix, frame.as_mut_slice(), |message| keep(message.body)).ok()?;
    }
    pong.map(|enums::Pong::Pong(pong)| pong.ping_id)
}
