//! A datacenter that sends and takes payloads. The first byte of an envelope says what to do.

use std::io;

use chappe_crypto::rng::Drbg;
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectionLimits, Incoming, ReadBuf,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a frame in bulk, with its envelope.
pub(super) const CHUNK: usize = 64 * 1024;

/// Ignore the envelope.
pub(super) const SINK: u8 = 1;
/// Send as many chunks as the second word says.
pub(super) const SEND: u8 = 2;
/// Send the envelope back.
pub(super) const ECHO: u8 = 3;

pub(super) async fn serve(listener: TcpListener) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(connection(socket));
    }
}

async fn connection(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let config = AcceptConfig::datacenter();
    let mut rng = Drbg::from_os().map_err(|_| io::ErrorKind::Other)?;
    let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
    let mut acceptor = Acceptor::new();
    let mut connection = loop {
        let mut context = AcceptContext { config: &config, unix_time: 0, replays: None };
        match acceptor.handle(&mut buf, &mut context, &mut rng).map_err(io::Error::other)? {
            AcceptStep::Ready(accepted) => break accepted.connection,
            AcceptStep::Incomplete(next) => acceptor = next,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        read(&mut socket, &mut buf).await?;
    };
    let mut out = Vec::new();
    loop {
        let mut chunks = 0;
        out.clear();
        while let Some(Incoming::Envelope { payload, .. }) =
            connection.receiver.receive(&mut buf).map_err(io::Error::other)?
        {
            match payload[0] {
                ECHO => connection
                    .sender
                    .encode_into(&mut out, payload, AckRequest::No, &mut rng)
                    .map_err(io::Error::other)?,
                SEND => chunks = u32::from_le_bytes([payload[8], payload[9], payload[10], payload[11]]),
                _ => {}
            }
        }
        socket.write_all(&out).await?;
        let mut chunk = vec![0; CHUNK];
        chunk[0] = SINK;
        for _ in 0..chunks {
            out.clear();
            connection
                .sender
                .encode_into(&mut out, &chunk, AckRequest::No, &mut rng)
                .map_err(io::Error::other)?;
            socket.write_all(&out).await?;
        }
        buf.release();
        if out.capacity() > 0 && chunks == 0 {
            out = Vec::new();
        }
        read(&mut socket, &mut buf).await?;
    }
}

async fn read(socket: &mut TcpStream, buf: &mut ReadBuf) -> io::Result<()> {
    socket.readable().await?;
    let count = socket.read(buf.space().map_err(io::Error::other)?).await?;
    buf.commit(count);
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
