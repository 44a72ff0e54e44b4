//! The end of loops that a server could keep a client in (SEC-86).

/// Complaints in a row after which the connection is given up: more than a client with a wrong clock, a changed
/// salt and several containers in flight can earn at once.
const MAX_COMPLAINTS: u8 = 64;

/// Counts what the server refused without answering a call in between.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// New sessions.
    resets: u8,
    /// `bad_msg_notification`s.
    complaints: u8,
}

impl Breaker {
    /// The server answered a call: whatever went wrong before has been overcome.
    pub(super) const fn on_answer(&mut self) {
        (self.resets, self.complaints) = (0, 0);
    }

    /// Counts a complaint; returns whether there were too many.
    pub(super) const fn on_complaint(&mut self) -> bool {
        self.complaints = self.complaints.saturating_add(1);
        let trips = self.complaints >= MAX_COMPLAINTS;
        if trips {
            self.complaints = 0;
        }
        trips
    }

    /// Counts a new session; returns whether there were more than `limit`.
    pub(super) const fn on_new_session(&mut self, limit: u8) -> bool {
        self.resets = self.resets.saturating_add(1);
        let trips = self.resets > limit;
        if trips {
            self.resets = 0;
        }
        trips
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_086_an_answer_in_between_forgives_what_was_refused() {
        let mut breaker = Breaker::default();
        for _ in 0..1000 {
            assert!(!breaker.on_new_session(1) && !breaker.on_complaint());
            breaker.on_answer();
        }
        assert!(!breaker.on_new_session(1));
        assert!(breaker.on_new_session(1));
    }

    #[test]
    fn sec_086_complaints_without_an_answer_end() {
        let mut breaker = Breaker::default();
        let trips = (0..200).filter(|_| breaker.on_complaint()).count();
        assert_eq!(trips, 3);
    }
}
