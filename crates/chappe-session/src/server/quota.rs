//! How much each of many clients may hold at once.
//!
//! A server opens connections and sessions for clients it does not know. [`Quota`] counts what each of them holds and
//! refuses more than a limit; answer the refusal with transport error -429. The table itself is bounded: a client that
//! holds nothing is refused while the table is full.

use alloc::collections::BTreeMap;
use core::fmt;

/// Counts what each client holds. `H` names a client: an address, the number of a network, the id of a key.
#[derive(Clone, Debug)]
pub struct Quota<H> {
    each: usize,
    holders: usize,
    held: BTreeMap<H, usize>,
}

/// A client holds enough. Answer with transport error -429.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OverQuota {
    /// How much it holds. Less than the limit means that too many other clients hold something.
    pub held: usize,
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quota exceeded: the client holds {}", self.held)
    }
}

impl core::error::Error for OverQuota {}

impl<H: Copy + Ord> Quota<H> {
    /// Creates an empty table for at most `holders` clients, of which each may hold `each`.
    pub const fn new(each: usize, holders: usize) -> Self {
        Self { each, holders, held: BTreeMap::new() }
    }

    /// Counts one more for a client.
    ///
    /// # Errors
    ///
    /// Fails if that is one too many, or if the table is full; nothing is counted then.
    pub fn take(&mut self, holder: H) -> Result<(), OverQuota> {
        let held = self.held(holder);
        let is_new = held == 0;
        if held >= self.each || (is_new && self.held.len() >= self.holders) {
            return Err(OverQuota { held });
        }
        self.held.insert(holder, held + 1);
        Ok(())
    }

    /// Counts one less. A client that holds nothing more is forgotten.
    pub fn release(&mut self, holder: H) {
        match self.held.get_mut(&holder) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                self.held.remove(&holder);
            }
        }
    }

    /// Returns how much a client holds.
    pub fn held(&self, holder: H) -> usize {
        self.held.get(&holder).copied().unwrap_or(0)
    }

    /// Returns how many clients hold something.
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
