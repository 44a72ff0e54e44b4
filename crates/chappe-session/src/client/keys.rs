//! Keys of a client: what to do when a server seems not to know one.
//!
//! [`decide`] is the whole table. Its rule: a permanent key is given up only on an answer that was
//! *authenticated*; a transport error is not, anybody on the way can forge it (SEC-122, SEC-134).
//!
//! Not here: the binding message ([`super::binding`]).

/// A permanent key younger than this, in seconds, may not have reached every server yet (SEC-123).
const YOUNG_KEY: i64 = 60;

/// Times -404 is answered with a new connection alone before the permanent key is doubted.
const RECONNECTS: u8 = 3;

/// Times a binding is tried again with a new temporary key while the permanent key is young.
const REBINDS: u8 = 5;

/// A sign that the server may not know a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Transport error -404: not authenticated.
    NotFound,
    /// `ENCRYPTED_MESSAGE_INVALID` to a binding: authenticated by the temporary key.
    BindingInvalid,
    /// `EXPIRES_AT_INVALID`, `TEMP_AUTH_KEY_ALREADY_BOUND`, `TEMP_AUTH_KEY_EMPTY`: the temporary key is of no use.
    TemporaryUnusable,
}

/// What is known of the keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Whether a temporary key is in use.
    pub(super) is_temporary: bool,
    /// Age of the permanent key in seconds.
    pub(super) permanent_age: i64,
    /// How often the same sign came in a row, this one included.
    pub(super) times: u8,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Connect again with the same keys.
    Reconnect,
    /// Forget the temporary key and make a new one; the permanent one stays.
    NewTemporaryKey,
    /// Have the permanent key checked by binding a temporary one.
    Doubt,
    /// The permanent key is gone.
    PermanentKeyRefused,
}

/// Decides what a sign means.
pub(super) fn decide(sign: Sign, facts: Facts) -> Verdict {
    match sign {
        Sign::NotFound if facts.is_temporary => Verdict::NewTemporaryKey,
        Sign::NotFound if facts.times <= RECONNECTS => Verdict::Reconnect,
        Sign::NotFound => Verdict::Doubt,
        Sign::BindingInvalid if facts.permanent_age < YOUNG_KEY && facts.times <= REBINDS => {
            Verdict::NewTemporaryKey
        }
        Sign::BindingInvalid => Verdict::PermanentKeyRefused,
        Sign::TemporaryUnusable => Verdict::NewTemporaryKey,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(is_temporary: bool, permanent_age: i64, times: u8) -> Facts {
        Facts { is_temporary, permanent_age, times }
    }

    #[test]
    fn sec_122_a_transport_error_under_a_temporary_key_never_touches_the_permanent_one() {
        for times in 1..=u8::MAX {
            for age in [0, 59, 60, 1 << 40] {
                assert_eq!(decide(Sign::NotFound, facts(true, age, times)), Verdict::NewTemporaryKey);
            }
        }
    }

    #[test]
    fn sec_134_a_transport_error_under_a_permanent_key_raises_doubt_and_nothing_more() {
        for times in 1..=u8::MAX {
            let verdict = decide(Sign::NotFound, facts(false, 1 << 40, times));
            let expected = if times <= RECONNECTS { Verdict::Reconnect } else { Verdict::Doubt };
            assert_eq!(verdict, expected, "{times}");
        }
    }

    #[test]
    fn sec_123_only_a_key_older_than_a_minute_is_given_up() {
        assert_eq!(decide(Sign::BindingInvalid, facts(true, 59, 1)), Verdict::NewTemporaryKey);
        assert_eq!(decide(Sign::BindingInvalid, facts(true, 60, 1)), Verdict::PermanentKeyRefused);
    }

    #[test]
    fn a_useless_temporary_key_is_replaced() {
        assert_eq!(decide(Sign::TemporaryUnusable, facts(true, 0, 9)), Verdict::NewTemporaryKey);
    }
}
