//! Memory bounds of one connection.

/// Default maximum length of a frame, padding included: one byte below 16 MiB.
///
/// Official implementations limit frames to 4 MiB + 1 KiB or to 16 MiB.
pub(crate) const DEFAULT_MAX_FRAME: usize = (1 << 24) - 1;

/// Maximum number of bytes of one read.
const ONE_READ: usize = 64 * 1024;

/// Bounds of one connection (`SEC-136`, `SEC-138`).
///
/// Buffers grow with the bytes that arrive. Nothing is allocated for an announced length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Maximum length of a frame in bytes, including padding, without length fields and checksum.
    pub max_frame: usize,
    /// Maximum length of an HTTP head in bytes, including its empty line.
    pub max_http_head: usize,
    /// Maximum length of a fake-TLS `ClientHello` record in bytes, including its 5-byte header.
    pub max_client_hello: usize,
    /// Maximum length of the answer of a fake-TLS server in bytes: three records together.
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

    /// Returns the maximum length of a [`ReadBuf`](crate::ReadBuf) with these limits.
    ///
    /// It has room for a frame or an HTTP body with its header, a hello, and one more read.
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
