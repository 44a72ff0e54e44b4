//! `gzip_packed`: an object in compressed form.
//!
//! [`GzipPacked`] is a view of such an object, [`Inflater`] unpacks it within a limit, [`Deflater`] makes one if it is
//! smaller. Both keep their memory for the next object.
//!
//! Not here: which objects may be compressed. Only one level of packing is allowed (SEC-97).
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#packed-object>.

mod deflate;
mod inflate;
mod stream;

pub use deflate::Deflater;
pub use inflate::{AcceptedFormat, Inflater};

use crate::message::constructor_id;
use crate::{FrameError, MalformedFrame};

/// Constructor id of `gzip_packed`.
pub const GZIP_PACKED: u32 = 0x3072_cfa1;

/// A view of a `gzip_packed` object. Its compressed bytes are unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GzipPacked<'a> {
    packed_data: &'a [u8],
}

impl<'a> GzipPacked<'a> {
    /// Checks that `object` is one whole `gzip_packed`, starting with its constructor id.
    ///
    /// # Errors
    ///
    /// [`MalformedFrame::UnexpectedConstructor`], [`MalformedFrame::TooShort`] or
    /// [`MalformedFrame::TrailingBytes`] if it is not.
    pub fn new_checked(object: &'a [u8]) -> Result<Self, FrameError> {
        let id = constructor_id(object)?;
        if id != GZIP_PACKED {
            return Err(MalformedFrame::UnexpectedConstructor { id }.into());
        }
        let (header, len) = tl_bytes_header(&object[4..])?;
        let whole = (header + len).next_multiple_of(4);
        let field = &object[4..];
        if field.len() < whole {
            return Err(MalformedFrame::TooShort { len: field.len(), min: whole }.into());
        }
        if field.len() > whole {
            return Err(MalformedFrame::TrailingBytes { len: field.len() - whole }.into());
        }
        Ok(Self { packed_data: &field[header..header + len] })
    }

    /// Returns the compressed bytes.
    pub const fn packed_data(&self) -> &'a [u8] {
        self.packed_data
    }
}

/// Reads the length of a TL `bytes` value: returns the length of its header and of its content.
///
/// Read by hand, because the codec would copy the content, which may be megabytes.
fn tl_bytes_header(field: &[u8]) -> Result<(usize, usize), FrameError> {
    match *field {
        [254, a, b, c, ..] => Ok((4, u32::from_le_bytes([a, b, c, 0]) as usize)),
        [len @ 0..=253, ..] => Ok((1, len as usize)),
        _ => Err(MalformedFrame::TooShort { len: field.len(), min: 4 }.into()),
    }
}
