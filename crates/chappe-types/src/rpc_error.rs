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
    /// Makes an error.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Returns how long the client must wait before it repeats the call (`FLOOD_WAIT_3` and the like).
    pub fn wait(&self) -> Option<Duration> {
        self.borrowed().wait()
    }

    /// Returns the number of the datacenter to make the call to instead (`USER_MIGRATE_2` and the like).
    pub fn migrate_to(&self) -> Option<u16> {
        self.borrowed().migrate_to()
    }

    /// Returns the number of the datacenter that did not answer the one asked (`INTERDC_2_CALL_ERROR` and the like).
    /// The call can be repeated.
    pub fn unreachable_dc(&self) -> Option<u16> {
        self.borrowed().unreachable_dc()
    }

    /// Returns until when a subscription runs, in Unix time (`PREMIUM_SUB_ACTIVE_UNTIL_1735689600`).
    pub fn active_until(&self) -> Option<u64> {
        self.borrowed().active_until()
    }

    /// Returns whether the error ends the login: only a new login helps.
    pub fn ends_login(&self) -> bool {
        self.borrowed().ends_login()
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
        let number = WAITS.iter().find_map(|(code, name)| self.number_after(*code, name))?;
        Some(Duration::from_secs(number))
    }

    /// Returns the number of the datacenter to make the call to instead (`USER_MIGRATE_2` and the like).
    pub fn migrate_to(&self) -> Option<u16> {
        let (_, dc) = self.message.split_once("_MIGRATE_").filter(|_| self.code == SEE_OTHER)?;
        number(dc)?.try_into().ok()
    }

    /// Returns the number of the datacenter that did not answer the one asked (`INTERDC_2_CALL_ERROR` and the like).
    /// The call can be repeated.
    pub fn unreachable_dc(&self) -> Option<u16> {
        let (dc, kind) = self.message.strip_prefix("INTERDC_")?.split_once('_')?;
        number(dc).filter(|_| matches!(kind, "CALL_ERROR" | "CALL_RICH_ERROR"))?.try_into().ok()
    }

    /// Returns until when a subscription runs, in Unix time (`PREMIUM_SUB_ACTIVE_UNTIL_1735689600`).
    pub fn active_until(&self) -> Option<u64> {
        number(self.message.strip_prefix("PREMIUM_SUB_ACTIVE_UNTIL_")?)
    }

    /// Returns whether the error ends the login: only a new login helps.
    ///
    /// `AUTH_KEY_PERM_EMPTY` is not among them: it asks for a temporary key to be bound.
    pub fn ends_login(&self) -> bool {
        match self.code {
            UNAUTHORIZED => LOGIN_ENDS.contains(&self.message),
            NOT_ACCEPTABLE => self.message == "AUTH_KEY_DUPLICATED",
            _ => false,
        }
    }

    /// Returns the number that follows a name. Other codes use names of the same form for other things.
    fn number_after(&self, code: i32, name: &str) -> Option<u64> {
        number(self.message.strip_prefix(name)?).filter(|_| self.code == code)
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

const SEE_OTHER: i32 = 303;
const UNAUTHORIZED: i32 = 401;
const NOT_ACCEPTABLE: i32 = 406;
const FLOOD: i32 = 420;

/// Names that end with seconds to wait.
const WAITS: [(i32, &str); 6] = [
    (FLOOD, "FLOOD_WAIT_"),
    (FLOOD, "FLOOD_PREMIUM_WAIT_"),
    (FLOOD, "FLOOD_TEST_PHONE_WAIT_"),
    (FLOOD, "SLOWMODE_WAIT_"),
    (FLOOD, "TAKEOUT_INIT_DELAY_"),
    (FLOOD, "2FA_CONFIRM_WAIT_"),
];

/// Names of code 401 that end a login.
const LOGIN_ENDS: [&str; 6] = [
    "AUTH_KEY_UNREGISTERED",
    "AUTH_KEY_INVALID",
    "SESSION_REVOKED",
    "SESSION_EXPIRED",
    "USER_DEACTIVATED",
    "USER_DEACTIVATED_BAN",
];

/// Reads a number of digits alone: a sign or a letter means that the name is another one.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32, message: &str) -> RpcErrorRef<'_> {
        RpcErrorRef { code, message }
    }

    #[test]
    fn every_name_with_seconds_says_how_long_to_wait() {
        for name in [
            "FLOOD_WAIT",
            "FLOOD_PREMIUM_WAIT",
            "FLOOD_TEST_PHONE_WAIT",
            "SLOWMODE_WAIT",
            "TAKEOUT_INIT_DELAY",
            "2FA_CONFIRM_WAIT",
        ] {
            let said = alloc::format!("{name}_31");
            assert_eq!(error(420, &said).wait(), Some(Duration::from_secs(31)), "{said}");
            assert_eq!(error(400, &said).wait(), None, "another code");
            for other in ["X", "", "-3", "+3", "3 ", "99999999999999999999999"] {
                assert_eq!(error(420, &alloc::format!("{name}_{other}")).wait(), None, "{name}_{other}");
            }
        }
    }

    #[test]
    fn every_name_with_a_datacenter_says_which() {
        for name in ["PHONE", "USER", "NETWORK", "FILE", "STATS"] {
            let said = alloc::format!("{name}_MIGRATE_4");
            assert_eq!(error(303, &said).migrate_to(), Some(4), "{said}");
            assert_eq!(error(400, &said).migrate_to(), None, "another code");
        }
        assert_eq!(error(303, "USER_MIGRATE_").to_owned().migrate_to(), None);
        assert_eq!(error(303, "USER_MIGRATE_70000").migrate_to(), None);
        for name in ["INTERDC_2_CALL_ERROR", "INTERDC_2_CALL_RICH_ERROR"] {
            assert_eq!(error(500, name).unreachable_dc(), Some(2), "{name}");
        }
        assert_eq!(error(500, "INTERDC_X_CALL_ERROR").unreachable_dc(), None);
        assert_eq!(error(500, "INTERDC_2_OTHER").unreachable_dc(), None);
    }

    #[test]
    fn a_subscription_says_until_when_it_runs() {
        assert_eq!(error(420, "PREMIUM_SUB_ACTIVE_UNTIL_1735689600").active_until(), Some(1_735_689_600));
        assert_eq!(error(400, "PREMIUM_SUB_ACTIVE_UNTIL_X").active_until(), None);
    }

    #[test]
    fn names_that_end_a_login_are_told_from_others() {
        for name in LOGIN_ENDS {
            assert!(error(401, name).ends_login(), "{name}");
            assert!(!error(400, name).ends_login(), "{name} with another code");
        }
        assert!(error(406, "AUTH_KEY_DUPLICATED").ends_login());
        assert!(!error(401, "AUTH_KEY_PERM_EMPTY").ends_login(), "the binding, not the login");
        assert!(!error(401, "SESSION_PASSWORD_NEEDED").ends_login());
    }
}
