//! `rpc_error`: the answer to a call that the server did not carry out.
//!
//! Spec: <https://core.telegram.org/api/errors>.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

/// The server's answer to a call that it did not carry out.
///
/// Spec: <https://core.telegram.org/api/errors>.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RpcError {
    /// The code, which resembles those of HTTP.
    pub code: i32,
    /// The name of the error, such as `FLOOD_WAIT_3`.
    pub message: String,
}

impl RpcError {
    /// Returns how long the client must wait before it repeats the call (`FLOOD_WAIT_3` and the like).
    pub fn wait(&self) -> Option<Duration> {
        self.borrowed().wait()
    }

    /// Returns the number of the datacenter to make the call to instead (`USER_MIGRATE_2` and the like).
    pub fn migrate_to(&self) -> Option<u16> {
        self.borrowed().migrate_to()
    }

    /// Returns the same error without owning its text.
    pub fn borrowed(&self) -> RpcErrorRef<'_> {
        RpcErrorRef { code: self.code, message: &self.message }
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrowed().fmt(f)
    }
}

impl core::error::Error for RpcError {}

/// An [`RpcError`] that borrows its text from the frame it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RpcErrorRef<'a> {
    /// The code, which resembles those of HTTP.
    pub code: i32,
    /// The name of the error, such as `FLOOD_WAIT_3`.
    pub message: &'a str,
}

impl RpcErrorRef<'_> {
    /// Returns how long the client must wait before it repeats the call (`FLOOD_WAIT_3` and the like).
    pub fn wait(&self) -> Option<Duration> {
        let names = ["FLOOD_WAIT_", "SLOWMODE_WAIT_", "FLOOD_PREMIUM_WAIT_", "2FA_CONFIRM_WAIT_"];
        let seconds = names.iter().find_map(|name| self.message.strip_prefix(name))?;
        // Other codes use names of the same form for other things.
        seconds.parse().ok().filter(|_| self.code == 420).map(Duration::from_secs)
    }

    /// Returns the number of the datacenter to make the call to instead (`USER_MIGRATE_2` and the like).
    pub fn migrate_to(&self) -> Option<u16> {
        let (_, dc) = self.message.split_once("_MIGRATE_").filter(|_| self.code == 303)?;
        dc.parse().ok()
    }

    /// Copies the text.
    pub fn to_owned(&self) -> RpcError {
        RpcError { code: self.code, message: self.message.to_owned() }
    }
}

impl From<RpcErrorRef<'_>> for RpcError {
    fn from(error: RpcErrorRef<'_>) -> Self {
        error.to_owned()
    }
}

impl fmt::Display for RpcErrorRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl core::error::Error for RpcErrorRef<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_how_long_to_wait_and_where_to_go() {
        let error = |code, message| RpcErrorRef { code, message };
        assert_eq!(error(420, "FLOOD_WAIT_31").wait(), Some(Duration::from_secs(31)));
        assert_eq!(error(420, "FLOOD_WAIT_X").wait(), None);
        assert_eq!(error(400, "FLOOD_WAIT_31").wait(), None);
        assert_eq!(error(303, "USER_MIGRATE_4").migrate_to(), Some(4));
        assert_eq!(error(303, "USER_MIGRATE_").to_owned().migrate_to(), None);
    }
}
