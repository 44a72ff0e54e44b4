//! What kind of key a client asks for.

/// How long a key lasts.
///
/// Spec: <https://core.telegram.org/api/pfs>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Until it is destroyed.
    #[default]
    Permanent,
    /// For a number of seconds. Calls need a binding to a permanent key first.
    Temporary {
        /// Lifetime in seconds, counted from the request. 86400 is usual.
        expires_in: u32,
    },
}
