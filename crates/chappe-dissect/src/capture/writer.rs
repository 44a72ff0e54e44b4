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

/// Length of the header of a packet in the file.
const HEADER_LEN: usize = 16;

/// Writes a capture in the format pcap, with nanoseconds and without a link layer.
///
/// It has the packets that a network without loss would have carried: the opening, the bytes, the ends.
#[derive(Debug)]
pub struct CaptureWriter<W> {
    file: W,
    /// The packet that is written, behind its header.
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
        self.packet.resize(HEADER_LEN, 0);
        tcp.write(&mut self.packet, payload).map_err(io::Error::other)?;
        let numbered = u32::from(flag != Flag::Data);
        *seq = seq.wrapping_add(payload.len() as u32).wrapping_add(numbered);
        self.packet(time)
    }

    /// Writes the packet in one call, so that a reader of a growing file does not find a part of one.
    fn packet(&mut self, time: UnixTime) -> io::Result<()> {
        let len = ((self.packet.len() - HEADER_LEN) as u32).to_le_bytes();
        let fields = [(time.as_secs() as u32).to_le_bytes(), time.subsec_nanos().to_le_bytes(), len, len];
        self.packet[..HEADER_LEN].copy_from_slice(fields.as_flattened());
        self.file.write_all(&self.packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what each call writes.
    #[derive(Default)]
    struct Calls(Vec<Vec<u8>>);

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_packet_is_written_in_one_call() {
        let (client, server) = ("10.0.0.1:50000".parse().unwrap(), "149.154.167.50:443".parse().unwrap());
        let mut writer = CaptureWriter::new(Calls::default()).expect("memory");
        let mut connection = writer.open(UnixTime::EPOCH, client, server).expect("memory");
        writer.write(&mut connection, UnixTime::EPOCH, Side::Client, b"bytes").expect("memory");
        writer.close(&mut connection, UnixTime::EPOCH, Side::Client).expect("memory");
        let calls = writer.into_inner().0;
        for packet in &calls[1..] {
            let len = u32::from_le_bytes(packet[8..12].try_into().expect("four bytes")) as usize;
            assert_eq!(packet.len(), 16 + len, "a header and its packet");
        }
        assert!(calls.len() >= 5, "three packets open a connection");
    }
}
