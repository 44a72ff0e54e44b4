//! Rules of the security checklist.

use core::fmt;

/// The number of a rule in the security checklist: `Rule::new(63)` is SEC-63.
///
/// Errors and counters name the rule that a peer broke. `docs/conformance.md` of the repository lists every rule
/// with its source in the specification, the code that enforces it and the test that proves it.
///
/// ```
/// use chappe_types::Rule;
///
/// assert_eq!(Rule::new(9).to_string(), "SEC-09");
/// assert_eq!(Rule::new(134).to_string(), "SEC-134");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule(u8);

impl Rule {
    /// Names the rule of this number.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Rule {
    /// Writes the id as the checklist spells it: at least two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SEC-{:02}", self.0)
    }
}
