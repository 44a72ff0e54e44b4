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

/// Most changes of ciphers that a server may send in a row. Browsers give up after as many.
const MAX_CHANGES: u8 = 32;

/// Unwraps records as they arrive.
#[derive(Debug)]
pub struct RecordReader {
    from: Side,
    header: [u8; RECORD_HEADER],
    header_len: usize,
    left: usize,
    /// Changes of ciphers that are still tolerated.
    changes: u8,
    /// The record that is being read is a change of ciphers.
    is_change: bool,
}

impl RecordReader {
    /// Returns the reader of the records that `from` writes (`SEC-148`). A client may send one change of ciphers before its
    /// first data. A server may send some at any time: they mean nothing, proxies send them, and browsers skip them.
    pub const fn new(from: Side) -> Self {
        let changes = match from {
            Side::Client => 1,
            Side::Server => MAX_CHANGES,
        };
        Self { from, header: [0; RECORD_HEADER], header_len: 0, left: 0, changes, is_change: false }
    }

    /// Unwraps the next bytes of the stream and moves their payload to the front.
    ///
    /// Returns the length of the payload. Records may be split anywhere and may be empty.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::UnexpectedRecord`] for anything but application data and the changes of ciphers that are allowed.
    pub fn unwrap(&mut self, bytes: &mut [u8]) -> Result<usize, TransportError> {
        let (mut read, mut kept) = (0, 0);
        while read < bytes.len() {
            if self.left == 0 {
                self.take_header_byte(bytes[read])?;
                read += 1;
                continue;
            }
            let taken = self.left.min(bytes.len() - read);
            if self.is_change {
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

    /// Skips `len` bytes of the stream that were lost, and returns whether all of them belong to the payload of one record.
    ///
    /// Otherwise nothing is skipped: the borders of the records behind them are unknown.
    pub const fn skip(&mut self, len: u64) -> bool {
        let is_inside = !self.is_change && len <= self.left as u64;
        if is_inside {
            self.left -= len as usize;
        }
        is_inside
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
            self.changes = match self.from {
                Side::Client => 0,
                // Empty records do not count, or there would be no bound.
                Side::Server if self.left == 0 => self.changes,
                Side::Server => MAX_CHANGES,
            };
        } else if self.changes > 0 && self.header == CHANGE_CIPHER_SPEC[..RECORD_HEADER] {
            self.changes -= 1;
            self.is_change = true;
        } else {
            return Err(self.unexpected());
        }
        Ok(())
    }

    /// The body of a change of ciphers is a single one.
    fn take_change(&mut self, byte: u8) -> Result<(), TransportError> {
        self.is_change = false;
        if byte == CHANGE_CIPHER_SPEC[RECORD_HEADER] { Ok(()) } else { Err(self.unexpected()) }
    }

    const fn unexpected(&self) -> TransportError {
        let [kind, major, minor, _, _] = self.header;
        TransportError::Malformed(MalformedStream::UnexpectedRecord { header: [kind, major, minor] })
    }
}
