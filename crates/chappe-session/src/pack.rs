//! Packing of bodies, the same at both ends.

use chappe_framing::Deflater;

/// Smallest part of a large body that is packed on trial before all of it is.
const PROBE_LEN: usize = 4096;

/// Packs a body if that pays. Of a large one a part is tried first: files do not shrink, and finding that out by
/// packing all of them costs more than it could save.
pub(crate) fn pack<'d>(deflater: &'d mut Deflater, body: &[u8]) -> Option<&'d [u8]> {
    if body.len() >= 4 * PROBE_LEN {
        let middle = body.len() / 2;
        deflater.pack(&body[middle..middle + PROBE_LEN])?;
    }
    deflater.pack(body)
}
