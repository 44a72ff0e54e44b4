//! Header and trailer of a gzip stream.
//!
//! Spec: RFC 1952, section 2.3.

use crate::{FrameError, MalformedFrame};

/// Fixed part of the header: magic 2, method 1, flags 1, time 4, extra flags 1, system 1.
pub(super) const HEADER_LEN: usize = 10;

/// CRC-32 4, length modulo 2^32 4.
pub(super) const TRAILER_LEN: usize = 8;

/// A header without file name, time or system.
pub(super) const PLAIN_HEADER: [u8; HEADER_LEN] = [0x1f, 0x8b, DEFLATE, 0, 0, 0, 0, 0, 0, UNKNOWN_SYSTEM];

const DEFLATE: u8 = 8;
const UNKNOWN_SYSTEM: u8 = 255;

/// Returns whether the bytes start with the magic of gzip.
pub(super) const fn is_gzip(bytes: &[u8]) -> bool {
    matches!(bytes, [0x1f, 0x8b, ..])
}

/// Returns whether the bytes start with a zlib header (RFC 1950, section 2.2).
pub(super) const fn is_zlib(bytes: &[u8]) -> bool {
    match *bytes {
        [cmf, flg, ..] => cmf & 0x0f == DEFLATE && ((cmf as u16) << 8 | flg as u16).is_multiple_of(31),
        _ => false,
    }
}

/// Skips the header with all optional fields that it announces.
pub(super) fn skip_header(stream: &[u8]) -> Result<&[u8], FrameError> {
    let (header, mut rest) =
        stream.split_first_chunk::<HEADER_LEN>().ok_or(MalformedFrame::BadCompression)?;
    let [0x1f, 0x8b, DEFLATE, flags, ..] = *header else {
        return Err(MalformedFrame::BadCompression.into());
    };
    if flags & flag::RESERVED != 0 {
        return Err(MalformedFrame::BadCompression.into());
    }
    if flags & flag::EXTRA != 0 {
        let (len, behind) = rest.split_first_chunk().ok_or(MalformedFrame::BadCompression)?;
        rest = behind.get(u16::from_le_bytes(*len) as usize..).ok_or(MalformedFrame::BadCompression)?;
    }
    for text in [flag::NAME, flag::COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(MalformedFrame::BadCompression)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & flag::HEADER_CRC != 0 {
        let (claimed, behind) = rest.split_first_chunk().ok_or(MalformedFrame::BadCompression)?;
        let covered = &stream[..stream.len() - rest.len()];
        if crc32fast::hash(covered) as u16 != u16::from_le_bytes(*claimed) {
            return Err(MalformedFrame::BadChecksum.into());
        }
        rest = behind;
    }
    Ok(rest)
}

mod flag {
    pub(super) const HEADER_CRC: u8 = 1 << 1;
    pub(super) const EXTRA: u8 = 1 << 2;
    pub(super) const NAME: u8 = 1 << 3;
    pub(super) const COMMENT: u8 = 1 << 4;
    pub(super) const RESERVED: u8 = 0b1110_0000;
}

/// Returns the trailer of some unpacked bytes.
pub(super) fn trailer(unpacked: &[u8]) -> [u8; TRAILER_LEN] {
    let mut trailer = [0; TRAILER_LEN];
    trailer[..4].copy_from_slice(&crc32fast::hash(unpacked).to_le_bytes());
    trailer[4..].copy_from_slice(&(unpacked.len() as u32).to_le_bytes());
    trailer
}
