//! What handlers take: decoded calls.

use std::fmt;

use chappe_tl::Deserializable;
use chappe_tl::deserialize;
use chappe_tl::table::{Decoded, Family};
use chappe_tl::{Identifiable, RemoteCall};

/// A decoded call, as a handler of a [`Router`](crate::Router) takes it.
///
/// Functions of a private schema implement it, and those functions of the API that borrow nothing
/// (`help::GetConfig`). Handlers of other functions of the API take a [`Call`].
pub trait FromCall: Sized + Send + 'static {
    /// The constructor id of the function.
    const CONSTRUCTOR_ID: u32;
    /// The result of the function.
    type Return;

    /// Decodes the call, constructor id first.
    ///
    /// # Errors
    ///
    /// The bytes are not an encoding of the function.
    fn from_call(bytes: Vec<u8>) -> deserialize::Result<Self>;
}

impl<F: RemoteCall + Identifiable + Deserializable + Send + 'static> FromCall for F {
    const CONSTRUCTOR_ID: u32 = F::CONSTRUCTOR_ID;
    type Return = F::Return;

    fn from_call(bytes: Vec<u8>) -> deserialize::Result<Self> {
        F::from_owned(bytes)
    }
}

/// A decoded function of the API that borrows, together with its memory: `Call<messages::SendMessage<'static>>`.
pub struct Call<F>(Decoded<F>);

impl<F: Family> Call<F> {
    /// Returns the call.
    pub fn get(&self) -> &F::Of<'_> {
        self.0.get()
    }
}

impl<F: Family + RemoteCall + 'static> FromCall for Call<F> {
    const CONSTRUCTOR_ID: u32 = F::CONSTRUCTOR_ID;
    type Return = F::Return;

    fn from_call(bytes: Vec<u8>) -> deserialize::Result<Self> {
        Decoded::from_vec(bytes).map(Self)
    }
}

impl<F> Clone for Call<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: Family> fmt::Debug for Call<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
