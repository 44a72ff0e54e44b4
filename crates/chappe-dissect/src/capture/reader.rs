//! Packets of a file, one after the other.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::ops::Range;

use chappe_framing::UnixTime;
use pcap_parser::pcapng::Block;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{PcapBlockOwned, PcapError, create_reader};

use super::packet::{LinkType, Packet};

/// Size of the buffer at first.
const BUFFER: usize = 256 * 1024;

/// Largest size of the buffer, and so of a block.
const MAX_BUFFER: usize = 16 << 20;

/// Most interfaces of a section.
const MAX_INTERFACES: usize = 4096;

/// Bytes by which the format is recognised.
const FIRST_READ: usize = 64 * 1024;

const NANOS: u128 = 1_000_000_000;

/// Reads the packets of a capture in the format pcap or pcapng, in bounded memory.
pub struct PacketReader<'r> {
    blocks: Box<dyn PcapReaderIterator + Send + 'r>,
    interfaces: Vec<Interface>,
    packets: u64,
    /// Bytes to drop before the next block.
    consumed: usize,
}

/// What packets of an interface have in common.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Units of time in a second.
    resolution: u64,
    /// Seconds to add.
    offset: i64,
}

/// Why a capture cannot be read further.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file is of neither format.
    UnknownFormat,
    /// The file ends in the middle of a block, as it does while it is written.
    Truncated {
        /// Number of bytes that were read.
        at: u64,
    },
    /// A block is malformed.
    Malformed {
        /// Offset of the block in the file.
        at: u64,
    },
    /// A block is longer than 16 MiB.
    BlockTooLong {
        /// Offset of the block in the file.
        at: u64,
    },
    /// The file cannot be read.
    Io(io::Error),
}

impl<'r> PacketReader<'r> {
    /// Reads the beginning of a capture.
    ///
    /// # Errors
    ///
    /// [`CaptureError::UnknownFormat`], [`CaptureError::Truncated`] or [`CaptureError::Io`].
    pub fn new(mut file: impl Read + Send + 'r) -> Result<Self, CaptureError> {
        // The first read of a pipe may be short, and the parser looks at what it gets at first.
        let mut first = Vec::new();
        file.by_ref().take(FIRST_READ as u64).read_to_end(&mut first).map_err(CaptureError::Io)?;
        let len = first.len() as u64;
        let blocks = create_reader(BUFFER, Cursor::new(first).chain(file)).map_err(|error| match error {
            PcapError::Incomplete(_) | PcapError::Eof | PcapError::UnexpectedEof if len > 0 => {
                CaptureError::Truncated { at: len }
            }
            _ => CaptureError::UnknownFormat,
        })?;
        Ok(Self { blocks, interfaces: Vec::new(), packets: 0, consumed: 0 })
    }

    /// Returns the number of bytes that were read, to report progress.
    pub fn position(&self) -> u64 {
        self.blocks.consumed() as u64
    }

    /// Returns the number of packets so far.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Returns the next packet, or `None` at the end.
    ///
    /// # Errors
    ///
    /// All but [`CaptureError::UnknownFormat`]. Nothing can be read after an error.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        loop {
            self.blocks.consume(std::mem::take(&mut self.consumed));
            match self.next_block()? {
                Step::End => return Ok(None),
                Step::Other => {}
                Step::Packet { time, link, data } => {
                    self.packets += 1;
                    let data = self.blocks.data().get(data).unwrap_or_default();
                    return Ok(Some(Packet::new(self.packets, time, link, data)));
                }
            }
        }
    }

    /// Reads until a whole block is there.
    fn next_block(&mut self) -> Result<Step, CaptureError> {
        loop {
            let at = self.position();
            let start = self.blocks.data().as_ptr().addr();
            let problem = match self.blocks.next() {
                Ok((len, block)) => {
                    self.consumed = len;
                    let Some((time, link, data)) = found(&block, &mut self.interfaces) else {
                        return Ok(Step::Other);
                    };
                    // The borrow of the block ends before the packet is returned, so its place is remembered.
                    let from = data.as_ptr().addr().wrapping_sub(start);
                    return Ok(Step::Packet { time, link, data: from..from.wrapping_add(data.len()) });
                }
                Err(PcapError::Eof) => return Ok(Step::End),
                Err(PcapError::UnexpectedEof) => Problem::End,
                Err(PcapError::Incomplete(_)) => Problem::Incomplete,
                Err(PcapError::BufferTooSmall) => Problem::Full,
                Err(_) => return Err(CaptureError::Malformed { at }),
            };
            match problem {
                Problem::End if self.blocks.data().is_empty() => return Ok(Step::End),
                Problem::End => {
                    return Err(CaptureError::Truncated { at: at + self.blocks.data().len() as u64 });
                }
                Problem::Full if !self.grow() => return Err(CaptureError::BlockTooLong { at }),
                Problem::Full | Problem::Incomplete => {
                    self.blocks.refill().map_err(|_| CaptureError::Io(io::ErrorKind::Other.into()))?;
                }
            }
        }
    }

    /// Doubles the buffer up to its bound.
    fn grow(&mut self) -> bool {
        let size = (self.blocks.data().len().max(BUFFER)) * 2;
        size <= MAX_BUFFER && self.blocks.grow(size)
    }
}

/// The result of reading a block.
enum Step {
    End,
    /// It has no packet.
    Other,
    Packet {
        time: UnixTime,
        link: LinkType,
        data: Range<usize>,
    },
}

/// Why there is no block.
enum Problem {
    End,
    Incomplete,
    Full,
}

/// Remembers the interfaces of a block, or returns what its packet is.
fn found<'a>(
    block: &'a PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
) -> Option<(UnixTime, LinkType, &'a [u8])> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let resolution = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
            let link = LinkType(header.network.0 as u32 & 0xffff);
            *interfaces = vec![Interface { link, resolution, offset: 0 }];
            None
        }
        PcapBlockOwned::Legacy(packet) => {
            let interface = interfaces.first()?;
            let time = interface.time(u64::from(packet.ts_sec), u64::from(packet.ts_usec));
            Some((time, interface.link, packet.data))
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(description)) => {
            if interfaces.len() < MAX_INTERFACES {
                interfaces.push(Interface {
                    link: LinkType(description.linktype.0 as u32),
                    resolution: description.ts_resolution().unwrap_or(1_000_000),
                    offset: description.ts_offset(),
                });
            }
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let interface = interfaces.get(packet.if_id as usize)?;
            let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            let time = interface.time(units / interface.resolution, units % interface.resolution);
            Some((time, interface.link, packet.packet_data()))
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            Some((UnixTime::EPOCH, interfaces.first()?.link, packet.packet_data()))
        }
        PcapBlockOwned::NG(_) => None,
    }
}

impl Interface {
    /// Returns the time of whole seconds and units.
    fn time(&self, seconds: u64, units: u64) -> UnixTime {
        let seconds = seconds.saturating_add_signed(self.offset);
        let nanos = u128::from(units) * NANOS / u128::from(self.resolution.max(1));
        let nanos = u128::from(seconds) * NANOS + nanos;
        UnixTime::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for PacketReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketReader").field("packets", &self.packets).finish_non_exhaustive()
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("not a capture in the format pcap or pcapng"),
            Self::Truncated { at } => write!(f, "capture ends in the middle of a packet, after {at} bytes"),
            Self::Malformed { at } => write!(f, "capture is malformed at byte {at}"),
            Self::BlockTooLong { at } => write!(f, "capture has a block of more than 16 MiB at byte {at}"),
            Self::Io(_) => f.write_str("capture cannot be read"),
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
