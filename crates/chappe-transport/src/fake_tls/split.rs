//! A `ClientHello` that arrives in several records.
//!
//! A handshake message is not a record: RFC 8446 section 5.1 allows a sender to spread it over several. Tools against
//! censorship do so on the client's side, behind the program that signed the hello as one record.

use alloc::vec::Vec;

use super::RECORD_HEADER;

/// Content type and first version byte of a handshake record. Browsers send 1 as the second one, and some tools 3.
const HANDSHAKE: [u8; 2] = [0x16, 0x03];
const MINOR: [u8; 3] = [0x01, 0x02, 0x03];

/// Most records of one hello. A tool that puts each of the first bytes into a record of its own stays far below this.
pub(crate) const MAX_HELLO_RECORDS: usize = 256;

/// Bytes by which the beginning of a hello is recognised: type, length and version.
const START: usize = 6;

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Hello,
    /// More bytes are needed, at least this many.
    Incomplete(usize),
    Other,
}

/// Returns whether records that carry a `ClientHello` begin here.
pub(crate) fn start(input: &[u8]) -> Start {
    let mut message = [0; START];
    let mut held = 0;
    let mut records = Records { input, at: 0 };
    loop {
        match records.next() {
            Next::Record { body } => {
                for byte in body {
                    if held < START {
                        message[held] = *byte;
                        held += 1;
                    }
                }
                // A record that is incomplete has the bytes that there are.
                if !is_start(&message[..held]) {
                    return Start::Other;
                }
                if held == START {
                    return Start::Hello;
                }
                if records.at > input.len() {
                    return Start::Incomplete(records.at.min(input.len() + START - held));
                }
            }
            Next::Incomplete => return Start::Incomplete(records.at + RECORD_HEADER + 1),
            Next::Other => return Start::Other,
        }
    }
}

/// Returns whether a message can be a hello as far as it goes: the first byte of its length is zero.
fn is_start(message: &[u8]) -> bool {
    let expected = [Some(0x01), Some(0x00), None, None, Some(0x03), Some(0x03)];
    message.iter().zip(expected).all(|(byte, expected)| expected.is_none_or(|expected| expected == *byte))
}

/// What a hello in records is.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// The whole hello.
    Hello {
        /// The hello as one record, as it was signed.
        record: Vec<u8>,
        /// The number of input bytes that it takes.
        used: usize,
    },
    /// More bytes are needed.
    Incomplete,
    /// No hello, or one above the limits.
    Malformed,
}

/// Joins the records of a hello to one of at most `max` bytes, its header included.
pub fn join(input: &[u8], max: usize) -> Joined {
    let mut record = Vec::from([HANDSHAKE[0], HANDSHAKE[1], MINOR[0], 0, 0]);
    let mut records = Records { input, at: 0 };
    for _ in 0..MAX_HELLO_RECORDS {
        let body = match records.next() {
            Next::Record { body } => body,
            Next::Incomplete => return Joined::Incomplete,
            Next::Other => return Joined::Malformed,
        };
        record.extend_from_slice(body);
        let len = match record[RECORD_HEADER..] {
            [_, top, middle, bottom, ..] => 4 + u32::from_be_bytes([0, top, middle, bottom]) as usize,
            _ => 4,
        };
        let held = record.len() - RECORD_HEADER;
        if RECORD_HEADER + len > max || held > len {
            return Joined::Malformed;
        }
        if records.at > input.len() {
            return Joined::Incomplete;
        }
        if held == len && held > 4 {
            let [high, low] = (len as u16).to_be_bytes();
            (record[3], record[4]) = (high, low);
            return Joined::Hello { record, used: records.at };
        }
    }
    Joined::Malformed
}

/// Walks over handshake records.
struct Records<'a> {
    input: &'a [u8],
    /// The end of the last record, which can be behind the end of the input.
    at: usize,
}

enum Next<'a> {
    /// As much of the content as there is.
    Record {
        body: &'a [u8],
    },
    /// The header is incomplete.
    Incomplete,
    Other,
}

impl<'a> Records<'a> {
    fn next(&mut self) -> Next<'a> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let known = rest.len().min(HANDSHAKE.len());
        if rest[..known] != HANDSHAKE[..known] || rest.get(2).is_some_and(|minor| !MINOR.contains(minor)) {
            return Next::Other;
        }
        let Some(&[_, _, _, high, low]) = rest.first_chunk::<RECORD_HEADER>() else {
            return Next::Incomplete;
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        // RFC 8446 forbids empty ones, which could continue indefinitely, and more than 2^14 bytes.
        if len == 0 || len > 1 << 14 {
            return Next::Other;
        }
        self.at += RECORD_HEADER + len;
        let body = &rest[RECORD_HEADER..rest.len().min(RECORD_HEADER + len)];
        Next::Record { body }
    }
}
