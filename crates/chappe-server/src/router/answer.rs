//! What handlers return: results, owned or encoded.

use std::fmt;
use std::marker::PhantomData;

use chappe_tl::table::{Family, OwnedAnswer};
use chappe_tl::{EncodeError, Serializable};
use chappe_types::RpcError;

/// An encoded result of the type `R`.
///
/// Types of the API borrow, so a handler cannot return one that it makes. It returns the encoding instead, here of a
/// `Vector<long>`:
///
/// ```
/// use chappe_server::{Answer, RpcError};
///
/// fn contact_ids() -> Result<Answer<Vec<i64>>, RpcError> {
///     let ids = vec![7, 9];
///     Ok(Answer::new(&ids.as_slice()))
/// }
/// assert_eq!(contact_ids()?.into_reply()?.object.len(), 8 + 2 * 8);
/// # Ok::<(), RpcError>(())
/// ```
pub struct Answer<R> {
    encoded: Result<Vec<u8>, EncodeError>,
    result: PhantomData<fn() -> R>,
}

impl<R: OwnedAnswer> Answer<R> {
    /// Encodes a result. One that has no encoding is answered with an error.
    pub fn new<'a>(result: &<R::Borrowed as Family>::Of<'a>) -> Self
    where
        <R::Borrowed as Family>::Of<'a>: Serializable,
    {
        Self { encoded: result.try_to_bytes(), result: PhantomData }
    }
}

impl<R> Answer<R> {
    /// Takes a result that is encoded already, constructor id first. Nothing checks that it is of the type.
    pub const fn from_encoded(result: Vec<u8>) -> Self {
        Self { encoded: Ok(result), result: PhantomData }
    }

    /// Returns the reply that a handler of [`Router::on_raw`](crate::Router::on_raw) gives.
    ///
    /// # Errors
    ///
    /// The result has no encoding; the error is the answer then.
    pub fn into_reply(self) -> Result<Reply, RpcError> {
        self.encoded.map(Reply::from).map_err(unencodable)
    }
}

impl<R> fmt::Debug for Answer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("len", &self.encoded.as_ref().map(Vec::len)).finish_non_exhaustive()
    }
}

/// A value that answers a function whose result is `R`: the result itself, or an [`Answer`].
pub trait IntoAnswer<R> {
    /// Returns the encoded result.
    ///
    /// # Errors
    ///
    /// It has no encoding.
    fn into_answer(self) -> Result<Vec<u8>, EncodeError>;
}

impl<R: Serializable> IntoAnswer<R> for R {
    fn into_answer(self) -> Result<Vec<u8>, EncodeError> {
        self.try_to_bytes()
    }
}

impl<R> IntoAnswer<R> for Answer<R> {
    fn into_answer(self) -> Result<Vec<u8>, EncodeError> {
        self.encoded
    }
}

/// The `rpc_error` for a result that has no encoding.
pub(super) fn unencodable(error: EncodeError) -> RpcError {
    tracing::warn!(%error, "an answer has no encoding");
    RpcError::new(500, "INTERNAL_SERVER_ERROR")
}

/// The answer to a call, encoded: what a service beneath the handlers returns.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The result, constructor id first.
    pub object: Vec<u8>,
    /// Whether it must be alone in its envelope. Some clients accept the answer to `auth.bindTempAuthKey` only in this way.
    pub is_alone: bool,
}

impl From<Vec<u8>> for Reply {
    fn from(object: Vec<u8>) -> Self {
        Self { object, is_alone: false }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, is_alone } = self;
        f.debug_struct("Reply").field("len", &object.len()).field("is_alone", is_alone).finish()
    }
}
