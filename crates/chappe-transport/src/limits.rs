//! What one connection may make us hold.

/// Longest frame accepted or written by default, padding included: one byte under 16 MiB.
///
/// Official implementations stop at 4 MiB + 1 KiB or at 16 MiB.
pub(crate) const DEFAULT_MAX_FRAME: usize = (1 << 24) - 1;

/// What is read at once, at most.
const ONE_READ: usize = 64 * 1024;

/// Bounds of one connection (`SEC-136`, `SEC-138`).
///
/// Nothing is ever allocated for an announced length: buffers grow with the bytes that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Longest frame in bytes, padding included, length fields and checksum not.
    pub max_frame: usize,
    /// Longest HTTP head in bytes, up to and including its empty line.
    pub max_http_head: usize,
    /// Longest fake-TLS `ClientHello` record in bytes, its 5-byte header included.
    pub max_client_hello: usize,
    /// Longest answer of a fake-TLS server in bytes, all three records together.
    pub max_server_hello: usize,
}

impl ConnectionLimits {
    /// The documented defaults: 16 MiB − 1, 8 KiB, 4096 + 5 bytes and 48 KiB.
    pub const DEFAULT: Self = Self {
        max_frame: DEFAULT_MAX_FRAME,
        max_http_head: 8 * 1024,
        max_client_hello: 4096 + 5,
        max_server_hello: 48 * 1024,
    };

    /// Replaces the longest frame.
    #[must_use]
    pub const fn with_max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Most bytes a [`ReadBuf`](crate::ReadBuf) may hold under these limits.
    ///
    /// A whole frame or HTTP body with what stands in front of it, a whole hello, and one more read fit.
    pub const fn max_buffered(&self) -> usize {
        let heads =
            self.max_http_head.saturating_add(self.max_client_hello).saturating_add(self.max_server_hello);
        self.max_frame.saturating_add(heads).saturating_add(ONE_READ)
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
