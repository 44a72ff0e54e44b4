//! Unpacking into memory that is used again, the same at both ends.

use alloc::vec::Vec;
use core::ops::Range;

use chappe_framing::{FrameError, GzipPacked, Inflater};

use crate::counters::Counters;

/// Memory for unpacked objects that is kept from frame to frame.
pub(crate) const KEPT_SCRATCH: usize = 64 << 10;

/// Unpacks an object behind what the scratch holds, and returns where it is.
///
/// The scratch may hold `most` bytes in all: so much may the objects of one frame unpack to (SEC-97).
pub(crate) fn unpack(
    packed: &GzipPacked<'_>,
    inflater: &mut Inflater,
    scratch: &mut Vec<u8>,
    most: usize,
    counters: &mut Counters,
) -> Result<Range<usize>, FrameError> {
    let start = scratch.len();
    let unpacked = inflater.unpack(packed, most.saturating_sub(start)).map(|unpacked| {
        scratch.extend_from_slice(unpacked);
        unpacked.len()
    });
    // What one large object needed is not kept for ever (SEC-175).
    inflater.shrink_to(KEPT_SCRATCH);
    let len = unpacked?;
    counters.gunzip_in += packed.packed_data().len() as u64;
    counters.gunzip_out += len as u64;
    Ok(start..start + len)
}
