//! Writes a capture and the key log for it, to measure how fast captures are read.
//!
//! `make_capture MEGABYTES CAPTURE KEY_LOG`: one obfuscated connection with calls of 256 bytes and answers of 16 KiB, as
//! a download has, and one with calls and answers of 256 bytes, as a chat has, half the bytes each.

#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};

use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_dissect::capture::CaptureWriter;
use chappe_framing::{
    EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, Padding, SeqNo, ServerSalt, SessionId,
    UnixTime, write_rpc_result_header,
};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, Connection, ConnectionLimits,
    Connector, Framing, ReadBuf,
};

/// Payload of a packet, as on Ethernet.
const SEGMENT: usize = 1448;
const BEGIN: u64 = 1_700_000_000;
/// `upload.getFile` and `upload.file`.
const CALL: u32 = 0xbe53_35be;
const ANSWER: u32 = 0x096a_18d5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let megabytes: u64 = args.next().ok_or("how many megabytes?")?.parse()?;
    let capture = File::create(args.next().ok_or("which capture?")?)?;
    let mut log = File::create(args.next().ok_or("which key log?")?)?;
    let key = AuthKey::from_bytes([0x5a; 256]);
    writeln!(log, "{}", *key.to_key_log_line())?;
    let mut writer = CaptureWriter::new(BufWriter::new(capture))?;
    for (number, answer) in [(1, 16 * 1024), (2, 256)] {
        connection(&mut writer, &key, number, answer, megabytes * 500_000)?;
    }
    writer.flush()?;
    Ok(())
}

fn connection(
    writer: &mut CaptureWriter<BufWriter<File>>,
    key: &AuthKey,
    number: u16,
    answer: usize,
    bytes: u64,
) -> Result<(), Box<dyn Error>> {
    let mut rng = Drbg::from_seed([number as u8; 32]);
    let (client, server) = (format!("10.0.0.1:{}", 50_000 + number).parse()?, "149.154.167.50:443".parse()?);
    let mut time = UnixTime::from_secs(BEGIN);
    let mut connection = writer.open(time, client, server)?;
    let (mut wire, mut from_client, mut from_server) = (Vec::new(), None, None);
    let (mut written, mut count) = (0, 0);
    while written < bytes {
        let query = MsgId::from_raw(((BEGIN << 32) + count * 8) as i64);
        let response = MsgId::from_raw(query.to_raw() + 5);
        count += 1;
        let mut call = CALL.to_le_bytes().to_vec();
        call.resize(256, count as u8);
        let envelope = sealed(key, Side::Client, query, count, &call, &mut rng)?;
        if from_client.is_none() {
            let ends = connect(&mut wire, &envelope, &mut rng)?;
            (from_client, from_server) = (Some(ends.0.sender), Some(ends.1.sender));
        } else if let Some(sender) = &mut from_client {
            sender.encode_into(&mut wire, &envelope, AckRequest::No, &mut rng)?;
        }
        written += pass(writer, &mut connection, &mut time, Side::Client, &mut wire)?;
        let mut result = Vec::new();
        write_rpc_result_header(&mut result, query);
        result.extend_from_slice(&ANSWER.to_le_bytes());
        result.resize(answer, count as u8);
        let envelope = sealed(key, Side::Server, response, count, &result, &mut rng)?;
        if let Some(sender) = &mut from_server {
            sender.encode_into(&mut wire, &envelope, AckRequest::No, &mut rng)?;
        }
        written += pass(writer, &mut connection, &mut time, Side::Server, &mut wire)?;
    }
    Ok(())
}

/// Connects with a first envelope, and returns both ends.
fn connect(
    wire: &mut Vec<u8>,
    envelope: &[u8],
    rng: &mut Drbg,
) -> Result<(Connection, Connection), Box<dyn Error>> {
    let ConnectStep::Ready(mut client) =
        Connector::obfuscated(Framing::Intermediate, None)?.start(0, rng, wire)?
    else {
        return Err("no proxy is asked for".into());
    };
    client.sender.encode_into(wire, envelope, AckRequest::No, rng)?;
    let config = AcceptConfig::datacenter();
    let mut context = AcceptContext { config: &config, unix_time: 0, replays: None };
    let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
    buf.extend_from_slice(wire)?;
    match Acceptor::new().handle(&mut buf, &mut context, rng)? {
        AcceptStep::Ready(server) => Ok((client, server.connection)),
        _ => Err("the datacenter does not accept its client".into()),
    }
}

fn sealed(
    key: &AuthKey,
    from: Side,
    msg_id: MsgId,
    number: u64,
    body: &[u8],
    rng: &mut Drbg,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut buf = FrameBuf::new();
    let mut writer = EncryptedWriter::begin(&mut buf);
    writer.body().append(body);
    let message = MessageHeader { msg_id, seq_no: SeqNo::from_raw((number * 2 + 1) as i32) };
    let header =
        EncryptedHeader { salt: ServerSalt::from_raw(1), session_id: SessionId::from_raw(2), message };
    writer.seal(key, from, header, Padding::Random, rng)?;
    Ok(buf.as_slice().to_vec())
}

fn pass(
    writer: &mut CaptureWriter<BufWriter<File>>,
    connection: &mut chappe_dissect::capture::WrittenConnection,
    time: &mut UnixTime,
    from: Side,
    wire: &mut Vec<u8>,
) -> std::io::Result<u64> {
    let mut written = 0;
    for piece in wire.chunks(SEGMENT) {
        *time = time.saturating_add(std::time::Duration::from_micros(20));
        writer.write(connection, *time, from, piece)?;
        // The headers of packet, IP and TCP.
        written += piece.len() as u64 + 56;
    }
    wire.clear();
    Ok(written)
}
