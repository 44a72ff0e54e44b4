//! The wrappers around a query: layer, connection, order, updates; in any order and depth up to a bound.

use chappe_framing::{AcceptedFormat, GZIP_PACKED, GzipPacked, Inflater, constructor_id};
use chappe_tl::deserialize::Deserializable;
use chappe_tl::{Blob, Identifiable};

use crate::schema::functions::{
    InitConnection, InvokeAfterMsg, InvokeAfterMsgs, InvokeWithLayer, InvokeWithoutUpdates,
};

/// Wrappers accepted around one query. Clients use three; a bound keeps a hostile one from nesting forever.
const MAX_DEPTH: usize = 8;

/// A query without its wrappers, and what they said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwrapped {
    /// The query.
    pub query: Vec<u8>,
    /// Layer of `invokeWithLayer`.
    pub layer: Option<i32>,
    /// Whether `initConnection` was there.
    pub initialised: bool,
    /// Whether `invokeWithoutUpdates` was there.
    pub without_updates: bool,
    /// Messages that `invokeAfterMsg(s)` waits for.
    pub after: Vec<i64>,
}

/// Why the wrappers could not be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrapperError {
    /// More wrappers than anybody needs.
    TooDeep,
    /// A wrapper that does not decode.
    Malformed,
    /// A `gzip_packed` that does not unpack, or to too much.
    BadGzip,
}

/// Removes the wrappers of a query, packed ones included.
///
/// `limit` bounds what `gzip_packed` may unpack to, in bytes.
///
/// # Errors
///
/// See [`WrapperError`].
pub fn unwrap(query: &[u8], limit: usize) -> Result<Unwrapped, WrapperError> {
    let mut found = Unwrapped { query: query.to_vec(), ..Unwrapped::default() };
    let mut unpacked = false;
    for _ in 0..MAX_DEPTH {
        let inner = match constructor_id(&found.query).ok() {
            Some(InvokeWithLayer::<Blob>::CONSTRUCTOR_ID) => {
                let call: InvokeWithLayer<Blob> = read(&found.query)?;
                found.layer = Some(call.layer);
                call.query
            }
            Some(InitConnection::<Blob>::CONSTRUCTOR_ID) => {
                let call: InitConnection<Blob> = read(&found.query)?;
                found.initialised = true;
                call.query
            }
            Some(InvokeWithoutUpdates::<Blob>::CONSTRUCTOR_ID) => {
                found.without_updates = true;
                read::<InvokeWithoutUpdates<Blob>>(&found.query)?.query
            }
            Some(InvokeAfterMsg::<Blob>::CONSTRUCTOR_ID) => {
                let call: InvokeAfterMsg<Blob> = read(&found.query)?;
                found.after.push(call.msg_id);
                call.query
            }
            Some(InvokeAfterMsgs::<Blob>::CONSTRUCTOR_ID) => {
                let call: InvokeAfterMsgs<Blob> = read(&found.query)?;
                found.after.extend(call.msg_ids);
                call.query
            }
            Some(GZIP_PACKED) if !unpacked => {
                unpacked = true;
                Blob(unpack(&found.query, limit)?)
            }
            _ => return Ok(found),
        };
        found.query = inner.0;
    }
    Err(WrapperError::TooDeep)
}

fn read<T: Deserializable>(bytes: &[u8]) -> Result<T, WrapperError> {
    T::from_bytes(bytes).map_err(|_| WrapperError::Malformed)
}

/// Clients send zlib streams as well as gzip ones.
fn unpack(object: &[u8], limit: usize) -> Result<Vec<u8>, WrapperError> {
    let packed = GzipPacked::new_checked(object).map_err(|_| WrapperError::BadGzip)?;
    let mut inflater = Inflater::new(AcceptedFormat::GzipOrZlib);
    inflater.unpack(&packed, limit).map(<[u8]>::to_vec).map_err(|_| WrapperError::BadGzip)
}
