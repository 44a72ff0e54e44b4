//! Several connections to one datacenter under one key.

use std::collections::VecDeque;

use super::{InvokeError, PendingCall};

/// What a connection is for. Files have connections of their own, so that large answers delay no small ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Calls and updates.
    Main,
    /// Parts of files on their way there.
    Upload,
    /// Parts of files on their way back.
    Download,
}

/// How many connections each lane may have. The main one has one: updates come over it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneLimits {
    /// Default 2: enough that one waits for the network while the other is decrypted.
    pub upload: usize,
    /// Default 2.
    pub download: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self { upload: 2, download: 2 }
    }
}

impl LaneLimits {
    pub(crate) const fn of(&self, lane: Lane) -> usize {
        match lane {
            Lane::Main => 1,
            Lane::Upload => self.upload,
            Lane::Download => self.download,
        }
    }
}

/// Says which of the connections of a lane gets the next call, by how many calls each has under way: the one with the
/// fewest, if it has none or there may be no further connection. `None`: make another one.
pub(crate) fn pick(pending: impl ExactSizeIterator<Item = usize>, limit: usize) -> Option<usize> {
    let is_full = pending.len() >= limit.max(1);
    let (place, least) = pending.enumerate().min_by_key(|(_, pending)| *pending)?;
    (least == 0 || is_full).then_some(place)
}

/// Calls under way whose answers are wanted in the order of the calls, such as the parts of a file.
///
/// ```no_run
/// # async fn example(client: chappe_net::Client, calls: Vec<chappe_tl_mtproto::functions::GetFutureSalts>)
/// # -> Result<(), chappe_net::InvokeError> {
/// use chappe_net::Transfer;
///
/// let mut transfer = Transfer::new(8);
/// let mut calls = calls.iter().peekable();
/// loop {
///     while transfer.has_room() && let Some(call) = calls.next() {
///         transfer.push(client.invoke_object(call));
///     }
///     let Some(answer) = transfer.recv().await else { break };
///     println!("{} bytes", answer?.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Transfer<T> {
    limit: usize,
    calls: VecDeque<PendingCall<T>>,
}

impl<T> Transfer<T> {
    /// Makes room for so many calls at a time, one at least.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), calls: VecDeque::new() }
    }

    /// Returns whether fewer calls are under way than there may be.
    pub fn has_room(&self) -> bool {
        self.calls.len() < self.limit
    }

    /// Returns how many calls are under way.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Returns whether no call is under way.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a call, whether or not there is room.
    pub fn push(&mut self, call: PendingCall<T>) {
        self.calls.push_back(call);
    }

    /// Waits for the answer to the oldest call; `None` if none is under way. May be cancelled.
    ///
    /// # Errors
    ///
    /// The item is the error of that call; the others go on.
    pub async fn recv(&mut self) -> Option<Result<T, InvokeError>> {
        let answer = self.calls.front_mut()?.await;
        self.calls.pop_front();
        Some(answer)
    }

    /// Blocks until the answer to the oldest call arrives; `None` if none is under way.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn wait(&mut self) -> Option<Result<T, InvokeError>> {
        Some(self.calls.pop_front()?.wait())
    }
}

#[cfg(test)]
mod tests {
    use super::pick;

    #[test]
    fn a_busy_lane_grows_up_to_its_limit_and_then_the_one_with_least_to_do_is_taken() {
        assert_eq!(pick([].into_iter(), 2), None);
        assert_eq!(pick([3].into_iter(), 2), None);
        assert_eq!(pick([3, 0].into_iter(), 3), Some(1), "one that has nothing to do");
        assert_eq!(pick([3, 1].into_iter(), 2), Some(1), "no further one may be made");
        assert_eq!(pick([5].into_iter(), 0), Some(0), "one there may always be");
    }
}
