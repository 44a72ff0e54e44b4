//! A capture of connections whose bytes are known, such as those that a relay passes on.

use std::io::{self, Write};
use std::net::SocketAddr;

use chappe_crypto::Side;
use chappe_framing::UnixTime;
use etherparse::PacketBuilder;

use super::packet::LinkType;

/// The magic number of the format with nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;

/// Longest packet in the file.
const SNAP_LEN: u32 = 262_144;

/// Most bytes of payload in a packet.
const MAX_PAYLOAD: usize = 32 * 1024;

/// Window that the packets announce.
const WINDOW: u16 = 65_535;

const TIME_TO_LIVE: u8 = 64;

/// Writes a capture in the format pcap, with nanoseconds and without a link layer.
///
/// It has the packets that a network without loss would have carried: the opening, the bytes, the ends.
#[derive(Debug)]
pub struct CaptureWriter<W> {
    file: W,
    packet: Vec<u8>,
}

/// A connection in a capture that is written.
#[derive(Clone, Debug)]
pub struct WrittenConnection {
    client: SocketAddr,
    server: SocketAddr,
    from_client: u32,
    from_server: u32,
}

/// What a packet does besides carrying bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Syn,
    SynAck,
    Data,
    Fin,
}

impl<W: Write> CaptureWriter<W> {
    /// Writes the header of the file.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn new(mut file: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&MAGIC.to_le_bytes());
        header.extend_from_slice(&2_u16.to_le_bytes());
        header.extend_from_slice(&4_u16.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&SNAP_LEN.to_le_bytes());
        header.extend_from_slice(&LinkType::RAW.0.to_le_bytes());
        file.write_all(&header)?;
        Ok(Self { file, packet: Vec::new() })
    }

    /// Writes the opening of a connection.
    ///
    /// # Errors
    ///
    /// Those of writing, or one address is of IPv4 and the other of IPv6.
    pub fn open(
        &mut self,
        time: UnixTime,
        client: SocketAddr,
        server: SocketAddr,
    ) -> io::Result<WrittenConnection> {
        let mut connection = WrittenConnection { client, server, from_client: 0, from_server: 0 };
        self.segment(&mut connection, time, Side::Client, Flag::Syn, &[])?;
        self.segment(&mut connection, time, Side::Server, Flag::SynAck, &[])?;
        self.segment(&mut connection, time, Side::Client, Flag::Data, &[])?;
        Ok(connection)
    }

    /// Writes bytes of a connection, in as many packets as they need.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn write(
        &mut self,
        connection: &mut WrittenConnection,
        time: UnixTime,
        from: Side,
        bytes: &[u8],
    ) -> io::Result<()> {
        let mut pieces = bytes.chunks(MAX_PAYLOAD);
        pieces.try_for_each(|piece| self.segment(connection, time, from, Flag::Data, piece))
    }

    /// Writes that one side sends nothing more.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn close(
        &mut self,
        connection: &mut WrittenConnection,
        time: UnixTime,
        from: Side,
    ) -> io::Result<()> {
        self.segment(connection, time, from, Flag::Fin, &[])
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Returns the file.
    pub fn into_inner(self) -> W {
        self.file
    }

    fn segment(
        &mut self,
        connection: &mut WrittenConnection,
        time: UnixTime,
        from: Side,
        flag: Flag,
        payload: &[u8],
    ) -> io::Result<()> {
        let WrittenConnection { client, server, from_client, from_server } = connection;
        let (source, target, seq, ack) = match from {
            Side::Client => (*client, *server, from_client, *from_server),
            Side::Server => (*server, *client, from_server, *from_client),
        };
        let builder = match (source, target) {
            (SocketAddr::V4(source), SocketAddr::V4(target)) => {
                PacketBuilder::ipv4(source.ip().octets(), target.ip().octets(), TIME_TO_LIVE)
            }
            (SocketAddr::V6(source), SocketAddr::V6(target)) => {
                PacketBuilder::ipv6(source.ip().octets(), target.ip().octets(), TIME_TO_LIVE)
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "addresses are of two families")),
        };
        let tcp = builder.tcp(source.port(), target.port(), *seq, WINDOW);
        let tcp = match flag {
            Flag::Syn => tcp.syn(),
            Flag::SynAck => tcp.syn().ack(ack),
            Flag::Data => tcp.psh().ack(ack),
            Flag::Fin => tcp.fin().ack(ack),
        };
        self.packet.clear();
        tcp.write(&mut self.packet, payload).map_err(io::Error::other)?;
        let numbered = u32::from(flag != Flag::Data);
        *seq = seq.wrapping_add(payload.len() as u32).wrapping_add(numbered);
        self.packet(time)
    }

    fn packet(&mut self, time: UnixTime) -> io::Result<()> {
        let len = (self.packet.len() as u32).to_le_bytes();
        let mut header = [0; 16];
        header[..4].copy_from_slice(&(time.as_secs() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&time.subsec_nanos().to_le_bytes());
        header[8..12].copy_from_slice(&len);
        header[12..].copy_from_slice(&len);
        self.file.write_all(&header)?;
        self.file.write_all(&self.packet)
    }
}
