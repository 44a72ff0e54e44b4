//! Captures: files of the formats pcap and pcapng, and TCP put back in order.
//!
//! [`PacketReader`] returns the packets of a file, [`CaptureDissector`] takes packets and returns records, and
//! [`CaptureWriter`] writes a capture of connections whose bytes are known, such as those that a relay passes on.
//!
//! ```
//! use chappe_crypto::Side;
//! use chappe_dissect::capture::{CaptureDissector, CaptureWriter, PacketReader};
//! use chappe_dissect::{Content, Dissector, Keys, Moment};
//!
//! let (client, server) = ("10.0.0.1:50000".parse()?, "149.154.167.50:443".parse()?);
//! let mut writer = CaptureWriter::new(Vec::new())?;
//! let mut connection = writer.open(Moment::default().time, client, server)?;
//! writer.write(&mut connection, Moment::default().time, Side::Client, &[0xef, 2, 0, 0, 0, 0, 0, 0, 0, 0])?;
//! let file = writer.into_inner();
//!
//! let mut reader = PacketReader::new(&file[..])?;
//! let mut capture = CaptureDissector::new(Dissector::new(Keys::new()));
//! while let Some(packet) = reader.next_packet()? {
//!     capture.handle_packet(&packet);
//! }
//! capture.finish();
//! let record = capture.poll_record().expect("the prefix of a transport was sent");
//! assert!(matches!(record.content, Content::Transport(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembler;
mod connections;
mod packet;
mod reader;
mod writer;

pub use connections::{CaptureDissector, Ends};
pub use packet::{LinkType, Packet};
pub use reader::{CaptureError, PacketReader};
pub use writer::{CaptureWriter, WrittenConnection};
