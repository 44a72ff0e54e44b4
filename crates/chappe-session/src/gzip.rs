//! Packing and unpacking with gzip, in memory that is used again.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use chappe_framing::{AcceptedFormat, Deflater, FrameError, GzipPacked, Inflater};

use crate::counters::Counters;

/// Memory for unpacked objects that is kept from frame to frame.
pub(crate) const KEPT_SCRATCH: usize = 64 << 10;

/// Part of a large body that is packed on trial.
const PROBE_LEN: usize = 4096;

/// A packer and an unpacker, each made when it is first needed: they take some hundred kilobytes.
#[derive(Debug)]
pub(crate) struct Gzip {
    accepted: AcceptedFormat,
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
}

impl Gzip {
    pub(crate) const fn new(accepted: AcceptedFormat) -> Self {
        Self { accepted, inflater: None, deflater: None }
    }

    /// Packs a body, constructor id first; `None` if it does not become clearly smaller.
    ///
    /// Of a large body the middle is tried first: files do not shrink, and packing all of one to find that out costs
    /// more than it could save.
    pub(crate) fn pack(&mut self, body: &[u8], counters: &mut Counters) -> Option<&[u8]> {
        let deflater = self.deflater.get_or_insert_with(|| Box::new(Deflater::new()));
        if body.len() >= 4 * PROBE_LEN {
            let middle = body.len() / 2;
            deflater.pack(&body[middle..middle + PROBE_LEN])?;
        }
        let packed = deflater.pack(body)?;
        counters.gzip_in += body.len() as u64;
        counters.gzip_out += packed.len() as u64;
        Some(packed)
    }

    /// Unpacks an object behind what the scratch holds, and returns where it is.
    ///
    /// The scratch may hold `most` bytes in all: so much may the objects of one frame unpack to (SEC-97).
    pub(crate) fn unpack(
        &mut self,
        packed: &GzipPacked<'_>,
        scratch: &mut Vec<u8>,
        most: usize,
        counters: &mut Counters,
    ) -> Result<Range<usize>, FrameError> {
        let inflater = self.inflater.get_or_insert_with(|| Box::new(Inflater::new(self.accepted)));
        let start = scratch.len();
        let unpacked = inflater.unpack(packed, most.saturating_sub(start)).map(|unpacked| {
            scratch.extend_from_slice(unpacked);
            unpacked.len()
        });
        // The memory that one large object needed is not kept indefinitely (SEC-175).
        inflater.shrink_to(KEPT_SCRATCH);
        let len = unpacked?;
        counters.gunzip_in += packed.packed_data().len() as u64;
        counters.gunzip_out += len as u64;
        Ok(start..start + len)
    }

    /// Returns whether neither was used since the last [`release`](Self::release).
    pub(crate) const fn is_released(&self) -> bool {
        self.inflater.is_none() && self.deflater.is_none()
    }

    /// Frees the memory of both.
    pub(crate) fn release(&mut self) {
        (self.inflater, self.deflater) = (None, None);
    }
}
