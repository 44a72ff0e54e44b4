//! How much each of many strangers may have at once.
//!
//! A server opens connections and sessions for strangers. [`Quota`] counts what each of them holds, and says no beyond
//! a limit, which is told as transport error -429. It is bounded itself: strangers beyond its capacity are told no.

use alloc::collections::BTreeMap;
use core::fmt;

/// Counts what everybody holds. `H` says who: an address, the number of a network, the id of a key.
#[derive(Clone, Debug)]
pub struct Quota<H> {
    each: usize,
    holders: usize,
    held: BTreeMap<H, usize>,
}

/// Somebody has enough: answer with transport error -429.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OverQuota {
    /// How much that one holds. Less than each may hold: it is a stranger, and too many others hold something.
    pub held: usize,
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no more for one that has {}", self.held)
    }
}

impl core::error::Error for OverQuota {}

impl<H: Copy + Ord> Quota<H> {
    /// Begins to count: at most `each` for one holder, and at most so many `holders`.
    pub const fn new(each: usize, holders: usize) -> Self {
        Self { each, holders, held: BTreeMap::new() }
    }

    /// Gives somebody one more.
    ///
    /// # Errors
    ///
    /// Fails if that is one too many, or if too many strangers are counted; nothing is counted then.
    pub fn take(&mut self, holder: H) -> Result<(), OverQuota> {
        let held = self.held(holder);
        let is_stranger = held == 0;
        if held >= self.each || (is_stranger && self.held.len() >= self.holders) {
            return Err(OverQuota { held });
        }
        self.held.insert(holder, held + 1);
        Ok(())
    }

    /// Takes one back. What nobody holds is forgotten.
    pub fn release(&mut self, holder: H) {
        match self.held.get_mut(&holder) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                self.held.remove(&holder);
            }
        }
    }

    /// Returns how much somebody has.
    pub fn held(&self, holder: H) -> usize {
        self.held.get(&holder).copied().unwrap_or(0)
    }

    /// Returns how many holders have anything.
    pub fn holders(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_the_limit_and_what_is_released_can_be_taken_again() {
        let mut quota = Quota::new(2, 3);
        assert_eq!((quota.take('a'), quota.take('a')), (Ok(()), Ok(())));
        assert_eq!(quota.take('a'), Err(OverQuota { held: 2 }));
        assert_eq!(quota.take('b'), Ok(()), "each is counted by itself");
        quota.release('a');
        assert_eq!((quota.held('a'), quota.take('a')), (1, Ok(())));
    }

    #[test]
    fn strangers_do_not_fill_the_table() {
        let mut quota = Quota::new(256, 10);
        let taken = (0..1000).filter(|number| quota.take(*number).is_ok()).count();
        assert_eq!((taken, quota.holders()), (10, 10));
        assert_eq!(quota.take(3), Ok(()), "those who are in may go on");
        (0..1000).for_each(|number| quota.release(number));
        quota.release(3);
        assert_eq!(quota.holders(), 0);
        quota.release(3);
    }
}
