//! The data phase of fake TLS: a byte stream in application data records.
//!
//! Record borders carry no meaning.

use alloc::vec::Vec;

use chappe_crypto::Side;

use super::{APPLICATION_DATA, CHANGE_CIPHER_SPEC, RECORD_HEADER};
use crate::error::{MalformedStream, TransportError};
use crate::obfuscation::HEADER_LEN;

/// Maximum payload of a sent record, as in official clients. Up to 65535 bytes are accepted.
pub const MAX_RECORD_PAYLOAD: usize = 2878;

/// Splits the output of one side into records.
#[derive(Debug)]
pub struct RecordWriter {
    /// The start of the client's first write: the change of ciphers, then the obfuscation header in the same record as the
    /// first frame.
    opening: Option<[u8; HEADER_LEN]>,
}

impl RecordWriter {
    /// Returns the writer of a client, whose first record begins with the obfuscation header.
    pub const fn client(header: [u8; HEADER_LEN]) -> Self {
        Self { opening: Some(header) }
    }

    /// Returns the writer of a server.
    pub const fn server() -> Self {
        Self { opening: None }
    }

    /// Splits `out[from..]` into records in place: every byte moves back by the headers in front of it.
    pub fn wrap(&mut self, out: &mut Vec<u8>, from: usize) {
        let from = from.min(out.len());
        let data_len = out.len() - from;
        let opening = self.opening.take();
        let lead: &[u8] = if opening.is_some() { &CHANGE_CIPHER_SPEC } else { &[] };
        let header: &[u8] = opening.as_ref().map_or(&[], |header| header);

        let records = (header.len() + data_len).div_ceil(MAX_RECORD_PAYLOAD);
        let added = lead.len() + header.len() + records * RECORD_HEADER;
        out.resize(out.len() + added, 0);
        out.copy_within(from..from + data_len, from + added);

        let mut at = from;
        put(out, &mut at, lead);
        let mut pending = header;
        let mut source = from + added;
        for _ in 0..records {
            let taken = (out.len() - source).min(MAX_RECORD_PAYLOAD - pending.len());
            let [high, low] = ((pending.len() + taken) as u16).to_be_bytes();
            let [kind, major, minor] = APPLICATION_DATA;
            put(out, &mut at, &[kind, major, minor, high, low]);
            put(out, &mut at, pending);
            pending = &[];
            // The write position never overtakes the read position: the remaining headers fill the gap.
            out.copy_within(source..source + taken, at);
            source += taken;
            at += taken;
        }
    }
}

fn put(out: &mut [u8], at: &mut usize, bytes: &[u8]) {
    out[*at..*at + bytes.len()].copy_from_slice(bytes);
    *at += bytes.len();
}

/// Unwraps records as they arrive.
#[derive(Debug)]
pub struct RecordReader {
    header: [u8; RECORD_HEADER],
    header_len: usize,
    left: usize,
    change: Change,
}

/// The state of the one tolerated change of ciphers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Tolerated,
    Body,
    Refused,
}

impl RecordReader {
    /// Returns the reader of the records that `from` writes: a client may send one change of ciphers before its first data, a
    /// server only application data (`SEC-148`).
    pub const fn new(from: Side) -> Self {
        let change = match from {
            Side::Client => Change::Tolerated,
            Side::Server => Change::Refused,
        };
        Self { header: [0; RECORD_HEADER], header_len: 0, left: 0, change }
    }

    /// Unwraps the next bytes of the stream and moves their payload to the front.
    ///
    /// Returns the length of the payload. Records may be split anywhere and may be empty.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::UnexpectedRecord`] for anything but application data.
    pub fn unwrap(&mut self, bytes: &mut [u8]) -> Result<usize, TransportError> {
        let (mut read, mut kept) = (0, 0);
        while read < bytes.len() {
            if self.left == 0 {
                self.take_header_byte(bytes[read])?;
                read += 1;
                continue;
            }
            let taken = self.left.min(bytes.len() - read);
            if self.change == Change::Body {
                self.take_change(bytes[read])?;
            } else {
                bytes.copy_within(read..read + taken, kept);
                kept += taken;
            }
            self.left -= taken;
            read += taken;
        }
        Ok(kept)
    }

    fn take_header_byte(&mut self, byte: u8) -> Result<(), TransportError> {
        self.header[self.header_len] = byte;
        self.header_len += 1;
        if self.header_len < RECORD_HEADER {
            return Ok(());
        }
        self.header_len = 0;
        let [kind, major, minor, high, low] = self.header;
        self.left = usize::from(u16::from_be_bytes([high, low]));
        if [kind, major, minor] == APPLICATION_DATA {
            self.change = Change::Refused;
        } else if self.change == Change::Tolerated && self.header == CHANGE_CIPHER_SPEC[..RECORD_HEADER] {
            self.change = Change::Body;
        } else {
            return Err(self.unexpected());
        }
        Ok(())
    }

    /// The body of a change of ciphers is a single one.
    fn take_change(&mut self, byte: u8) -> Result<(), TransportError> {
        self.change = Change::Refused;
        if byte == CHANGE_CIPHER_SPEC[RECORD_HEADER] { Ok(()) } else { Err(self.unexpected()) }
    }

    const fn unexpected(&self) -> TransportError {
        let [kind, major, minor, _, _] = self.header;
        TransportError::Malformed(MalformedStream::UnexpectedRecord { header: [kind, major, minor] })
    }
}
