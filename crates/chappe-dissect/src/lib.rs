//! Reads MTProto off the wire, as Wireshark reads TLS with a key log.
//!
//! A [`Dissector`] takes the bytes of connections and returns [`Record`]s: which transport a connection has, what its
//! envelopes contain, which query an answer belongs to, which messages were sent again, and where bytes are missing. It
//! opens envelopes with [`Keys`], and obfuscation and fake TLS with proxy secrets. It sends nothing and changes nothing.
//!
//! ```
//! use chappe_crypto::{AuthKey, Side};
//! use chappe_dissect::{Beginning, ConnectionId, Content, Dissector, Keys, Moment};
//!
//! let mut keys = Keys::new();
//! keys.insert(AuthKey::from_bytes([3; 256]));
//! let mut dissector = Dissector::new(keys);
//! let connection = ConnectionId(1);
//! dissector.open(connection, Beginning::Seen);
//!
//! // The prefix of the intermediate transport, then a frame with an envelope of another key.
//! let bytes = [&[0xee; 4][..], &72_u32.to_le_bytes(), &[7; 72]].concat();
//! dissector.handle_bytes(connection, Side::Client, Moment::default(), &bytes);
//!
//! let transport = dissector.poll_record().expect("the prefix tells the transport");
//! assert!(matches!(transport.content, Content::Transport(_)));
//! let envelope = dissector.poll_record().expect("there is a whole frame");
//! assert!(matches!(envelope.content, Content::Sealed { len: 72, error: None, .. }));
//! assert_eq!(dissector.poll_record(), None);
//! ```
//!
//! | item | subject |
//! |---|---|
//! | [`Dissector`] | connections to records |
//! | [`Keys`] | keys, and the key log that they are read from |
//! | [`Record`], [`Content`], [`MessageRecord`] | what was found |
//! | [`RecordLine`], [`RecordField`], [`Names`] | records as text, and as named fields |
#![cfg_attr(feature = "capture", doc = "| [`capture`] | files of the formats pcap and pcapng |")]
//!
//! Memory is bounded: see [`MAX_CONNECTIONS`] and [`DEFAULT_MAX_MEMORY`]. No input panics.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(any(test, feature = "capture")), no_std)]
#![cfg_attr(
    feature = "capture",
    allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "captures are read with std")
)]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "capture")]
pub mod capture;
mod dissector;
mod field;
mod half;
mod keys;
mod line;
mod method;
mod names;
mod recent;
mod record;
mod search;
mod sessions;
mod stream;
mod websocket;

use dissector::Source;

pub use dissector::{DEFAULT_MAX_MEMORY, Dissector, MAX_CONNECTIONS};
pub use field::{FieldValue, RecordField};
pub use keys::{KeyLogError, KeyLogProblem, Keys};
pub use line::RecordLine;
pub use names::Names;
pub use record::{
    ConnectionId, Content, MessageEnvelope, MessageObject, MessageRecord, Method, Moment, Query, Record,
    Repeats, SeenCarrier, Transport, Unreadable,
};
pub use stream::Beginning;
