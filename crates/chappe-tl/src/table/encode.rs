//! Encoding of what is no generated type: slices and raw objects.
//!
//! Not here: generated types, which are written by their tables (`raw/encoder.rs`).

use crate::codegen::Encoded;
use crate::vectors::{VECTOR_ID, write_elements};
use crate::{Blob, RemoteCall, Serializable, Sink};

/// `Vector<T>`, with its id.
impl<T: Serializable> Serializable for &[T] {
    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        (**self).serialize(out)
    }
}

/// `Vector<T>`, with its id.
impl<T: Serializable> Serializable for [T] {
    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        out.put_u32(VECTOR_ID);
        write_elements(self, out)
    }
}

/// One whole encoded object: the query of a wrapper such as `invokeWithLayer`, as a server finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RawObject<'a>(pub &'a [u8]);

/// As a call: one whose answer stays raw.
impl RemoteCall for RawObject<'_> {
    type Return = Blob;
}

impl Serializable for RawObject<'_> {
    fn serialized_len(&self) -> usize {
        self.0.len()
    }

    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        out.put(self.0);
        Ok(())
    }
}
