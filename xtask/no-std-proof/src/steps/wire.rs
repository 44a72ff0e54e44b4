//! A call from its type to the bytes of a connection and back.

use alloc::vec::Vec;

use chappe_crypto::Side;
use chappe_dissect::{Beginning, ConnectionId, Content, Dissector, Keys, Moment};
use chappe_framing::{
    EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgIdGenerator, MsgOrigin, Padding,
    SeqNoCounter, ServerSalt, SessionId, TransportTail, UnixTime, open,
};
use chappe_tl::{Deserializable as _, Serializable as _};
use chappe_tl_mtproto::functions::Ping;
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, ConnectionLimits, Connector,
    Framing, Incoming, ReadBuf,
};

use super::{auth_key, rng};

/// A time within the life of the protocol.
const NOW: u32 = 1_700_000_000;

const CALL: Ping = Ping { ping_id: 0x0123_4567_89ab_cdef };

/// The call is serialised, sealed, framed and obfuscated, and arrives as it was.
pub fn a_call_reaches_the_other_end() -> Option<()> {
    (received(&sent()?)? == CALL).then_some(())
}

/// A dissector with the key finds the transport and the call in the same bytes.
pub fn a_dissector_reads_the_call() -> Option<()> {
    let mut keys = Keys::new();
    keys.insert(auth_key());
    let mut dissector = Dissector::new(keys);
    dissector.open(ConnectionId(1), Beginning::Seen);
    dissector.handle_bytes(ConnectionId(1), Side::Client, Moment::default(), &sent()?);
    let Content::Transport(_) = dissector.poll_record()?.content else { return None };
    let Content::Message(message) = dissector.poll_record()?.content else { return None };
    (Ping::from_bytes(message.object.body()).ok()? == CALL).then_some(())
}

/// Returns the bytes of a connection.
fn sent() -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    let connector = Connector::obfuscated(Framing::PaddedIntermediate, None).ok()?;
    let ConnectStep::Ready(mut client) = connector.start(2, &mut rng(4), &mut wire).ok()? else {
        return None;
    };
    client.sender.encode_into(&mut wire, sealed()?.as_slice(), AckRequest::No, &mut rng(5)).ok()?;
    Some(wire)
}

fn sealed() -> Option<FrameBuf> {
    let mut buf = FrameBuf::new();
    let mut writer = EncryptedWriter::begin(&mut buf);
    CALL.serialize(writer.body()).ok()?;
    let message = MessageHeader {
        msg_id: MsgIdGenerator::new().next(UnixTime::from_secs(NOW.into()), MsgOrigin::Client),
        seq_no: SeqNoCounter::new().next_content_related(),
    };
    let session_id = SessionId::random(&mut rng(6));
    let header = EncryptedHeader { salt: ServerSalt::from_raw(42), session_id, message };
    writer.seal(&auth_key(), Side::Client, header, Padding::Random, &mut rng(7)).ok()?;
    Some(buf)
}

fn received(wire: &[u8]) -> Option<Ping> {
    let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
    buf.extend_from_slice(wire).ok()?;
    let config = AcceptConfig::datacenter();
    let mut context = AcceptContext { config: &config, unix_time: NOW, replays: None };
    let accepted = Acceptor::new().handle(&mut buf, &mut context, &mut rng(8)).ok()?;
    let AcceptStep::Ready(mut server) = accepted else { return None };
    let incoming = server.connection.receiver.receive(&mut buf).ok()??;
    let Incoming::Envelope { payload, .. } = incoming else { return None };
    let message = open(&auth_key(), Side::Client, TransportTail::Padded, payload).ok()?;
    Ping::from_bytes(message.body()).ok()
}
