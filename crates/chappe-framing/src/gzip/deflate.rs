//! Packing of objects that get smaller by it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress};

use super::{GZIP_PACKED, stream};

/// Compresses objects to `gzip_packed`, in memory that it reuses.
pub struct Deflater {
    state: Box<CompressorOxide>,
    scratch: Vec<u8>,
}

impl Deflater {
    /// Allocates the compressor, about 300 KiB.
    pub fn new() -> Self {
        let mut state = Box::<CompressorOxide>::default();
        state.set_format_and_level(DataFormat::Raw, LEVEL);
        Self { state, scratch: Vec::new() }
    }

    /// Packs an object; returns the whole `gzip_packed`, constructor id included, if it is at most
    /// nine tenths as long, and `None` if packing does not pay.
    ///
    /// Incompressible data is noticed early: nothing is written past the length that would pay.
    pub fn pack(&mut self, object: &[u8]) -> Option<&[u8]> {
        let most = object.len() / 10 * 9;
        let room = most.checked_sub(DATA_AT + stream::TRAILER_LEN + MAX_TL_PADDING)?;
        self.scratch.clear();
        self.scratch.resize(DATA_AT + room, 0);
        self.state.reset();
        let data = &mut self.scratch[DATA_AT..];
        let (status, consumed, produced) = compress(&mut self.state, object, data, TDEFLFlush::Finish);
        if status != TDEFLStatus::Done || consumed != object.len() {
            return None;
        }
        self.scratch.truncate(DATA_AT + produced);
        Some(self.wrap(object))
    }

    /// Puts gzip and TL headers around the deflate data; returns the whole object.
    fn wrap(&mut self, object: &[u8]) -> &[u8] {
        self.scratch[GZIP_AT..DATA_AT].copy_from_slice(&stream::PLAIN_HEADER);
        self.scratch.extend_from_slice(&stream::trailer(object));
        let len = self.scratch.len() - GZIP_AT;
        let header = if len < 254 { 1 } else { 4 };
        if header == 1 {
            self.scratch[GZIP_AT - 1] = len as u8;
        } else {
            let [a, b, c, _] = (len as u32).to_le_bytes();
            self.scratch[GZIP_AT - 4..GZIP_AT].copy_from_slice(&[254, a, b, c]);
        }
        let start = GZIP_AT - header - ID_LEN;
        self.scratch[start..start + ID_LEN].copy_from_slice(&GZIP_PACKED.to_le_bytes());
        let padded = (self.scratch.len() - start).next_multiple_of(4);
        self.scratch.resize(start + padded, 0);
        &self.scratch[start..]
    }
}

/// zlib's fastest level, which gains most of what can be gained on TL objects.
const LEVEL: u8 = 1;
const ID_LEN: usize = 4;
/// Behind the constructor id and the long form of a TL length; the short form starts 3 bytes later.
const GZIP_AT: usize = ID_LEN + 4;
const DATA_AT: usize = GZIP_AT + stream::HEADER_LEN;
const MAX_TL_PADDING: usize = 3;

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").finish_non_exhaustive()
    }
}
