//! Unpacking within a limit.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::{GZIP_PACKED, GzipPacked, stream};
use crate::message::constructor_id;
use crate::{FrameError, MalformedFrame, PeerMisbehaved};

/// Which formats are accepted as the content of `gzip_packed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AcceptedFormat {
    /// gzip (RFC 1952), as the specification requires.
    #[default]
    Gzip,
    /// Also zlib (RFC 1950), which some clients in use send. For servers.
    GzipOrZlib,
}

/// Unpacks `gzip_packed` objects into memory that it keeps for the next one.
pub struct Inflater {
    state: Box<DecompressorOxide>,
    /// Grows as needed and is never cleared. Callers see only the bytes of the last object.
    scratch: Vec<u8>,
    accepted: AcceptedFormat,
}

impl Inflater {
    /// Makes an unpacker. It takes about 10 KiB until it is first used.
    pub fn new(accepted: AcceptedFormat) -> Self {
        Self { state: Box::default(), scratch: Vec::new(), accepted }
    }

    /// Unpacks an object into the memory of this unpacker.
    ///
    /// Memory grows with the unpacked bytes, not with the length that the stream claims, and never beyond `limit`.
    ///
    /// # Errors
    ///
    /// * [`MalformedFrame::BadCompression`] if the stream is damaged, cut short, or of another format.
    /// * [`MalformedFrame::BadChecksum`] if CRC-32 or length do not match.
    /// * [`MalformedFrame::TrailingBytes`] if bytes follow the stream.
    /// * [`PeerMisbehaved::UnpackedTooLarge`] if there are more than `limit` bytes.
    /// * [`MalformedFrame::TooShort`] if the unpacked object is shorter than a constructor id.
    /// * [`PeerMisbehaved::Nested`] if the unpacked object is `gzip_packed` again.
    pub fn unpack(&mut self, object: &GzipPacked<'_>, limit: usize) -> Result<&[u8], FrameError> {
        let packed = object.packed_data();
        let len = if stream::is_gzip(packed) {
            self.unpack_gzip(packed, limit)?
        } else if self.accepted == AcceptedFormat::GzipOrZlib && stream::is_zlib(packed) {
            self.unpack_zlib(packed, limit)?
        } else {
            return Err(MalformedFrame::BadCompression.into());
        };
        let unpacked = &self.scratch[..len];
        match constructor_id(unpacked)? {
            id @ GZIP_PACKED => Err(PeerMisbehaved::Nested { id }.into()),
            _ => Ok(unpacked),
        }
    }

    /// Releases memory beyond `len` bytes, which one large object may have made the scratch grow to.
    pub fn shrink_to(&mut self, len: usize) {
        self.scratch.truncate(len);
        self.scratch.shrink_to(len);
    }

    fn unpack_gzip(&mut self, packed: &[u8], limit: usize) -> Result<usize, FrameError> {
        let deflated = stream::skip_header(packed)?;
        let claimed = deflated.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
        let (len, rest) = self.inflate(deflated, claimed, limit, 0)?;
        let Some((trailer, behind)) = rest.split_first_chunk::<{ stream::TRAILER_LEN }>() else {
            return Err(MalformedFrame::BadCompression.into());
        };
        if !behind.is_empty() {
            return Err(MalformedFrame::TrailingBytes { len: behind.len() }.into());
        }
        if *trailer != stream::trailer(&self.scratch[..len]) {
            return Err(MalformedFrame::BadChecksum.into());
        }
        Ok(len)
    }

    fn unpack_zlib(&mut self, packed: &[u8], limit: usize) -> Result<usize, FrameError> {
        let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_COMPUTE_ADLER32;
        match self.inflate(packed, 0, limit, flags)? {
            (len, []) => Ok(len),
            (_, rest) => Err(MalformedFrame::TrailingBytes { len: rest.len() }.into()),
        }
    }

    /// Unpacks raw deflate data (or zlib, by `flags`) into the scratch. Returns the number of bytes and the input after the
    /// data.
    fn inflate<'p>(
        &mut self,
        packed: &'p [u8],
        claimed: usize,
        limit: usize,
        flags: u32,
    ) -> Result<(usize, &'p [u8]), FrameError> {
        // One byte more than the limit distinguishes "exactly the limit" from "more".
        let most = limit.saturating_add(1);
        self.make_room(first_guess(claimed, packed.len()).min(most));
        self.state.init();
        let flags = flags | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (mut read, mut written) = (0, 0);
        loop {
            let room = self.scratch.len().min(most);
            let out = &mut self.scratch[..room];
            let (status, consumed, produced) =
                decompress(&mut self.state, &packed[read..], out, written, flags);
            read += consumed;
            written += produced;
            if written > limit {
                return Err(PeerMisbehaved::UnpackedTooLarge { limit }.into());
            }
            match status {
                TINFLStatus::Done => return Ok((written, &packed[read..])),
                TINFLStatus::HasMoreOutput if room < most => self.make_room((room * 2).min(most)),
                TINFLStatus::Adler32Mismatch => return Err(MalformedFrame::BadChecksum.into()),
                _ => return Err(MalformedFrame::BadCompression.into()),
            }
        }
    }

    fn make_room(&mut self, len: usize) {
        if self.scratch.len() < len {
            self.scratch.resize(len, 0);
        }
    }
}

/// Returns the initial room: the length that the stream claims, as far as deflate can reach it.
fn first_guess(claimed: usize, packed: usize) -> usize {
    const HIGHEST_RATIO: usize = 1032;
    const LEAST: usize = 1024;
    let claimed = claimed.saturating_add(1);
    let believable = packed.saturating_mul(HIGHEST_RATIO);
    claimed.max(packed.saturating_mul(2)).min(believable).max(LEAST)
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("accepted", &self.accepted).finish_non_exhaustive()
    }
}
