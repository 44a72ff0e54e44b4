//! What a session has counted, reported as `tracing` events.
//!
//! Not here: the counting, which is the session's, and the current numbers, which `Status` shows.

use std::time::Duration;

use chappe_handshake::DcId;
use chappe_session::Counters;
use chappe_session::{MonoTime, Now};

use super::Engine;
use crate::client::ClientId;

/// Least time between two tellings while a connection stands.
const PAUSE: Duration = Duration::from_secs(60);

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Tally {
    told: Counters,
    told_at: MonoTime,
}

impl Tally {
    /// Reports what has changed: an event for each counter, and one for each rule that something broke.
    fn tell(&mut self, client: ClientId, dc: DcId, counters: &Counters, now: MonoTime) {
        self.told_at = now;
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let client = client.get();
        for (counter, more) in counters.changes(&self.told) {
            tracing::debug!(client, %dc, counter, more, "session counted");
        }
        for (rule, count) in counters.refused.iter() {
            let more = count - self.told.refused.of(rule).min(count);
            if more > 0 {
                tracing::debug!(client, %dc, rule = rule.number(), more, "session refused");
            }
        }
        self.told.clone_from(counters);
    }
}

impl Engine {
    /// Reports what the session has counted, since a connection ended or the client did.
    pub(super) fn tell_counters(&mut self, now: Now) {
        if let Some(session) = self.session.as_deref() {
            self.tally.tell(self.id, self.options.handshake.dc, session.counters(), now.mono);
        }
    }

    /// The same now and then, while nothing ends.
    pub(super) fn tell_counters_in_time(&mut self, now: Now) {
        if self.tally.told_at + PAUSE <= now.mono {
            self.tell_counters(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::{Arc, Mutex};
    use std::thread::{self, ThreadId};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber, subscriber};

    use super::*;

    /// Keeps the fields of events that one thread tells; it is there for all, since a program has one.
    #[derive(Clone)]
    struct Reader(Arc<Mutex<Vec<String>>>, ThreadId);

    impl Visit for Reader {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if !["message", "client", "dc"].contains(&field.name()) {
                self.0.lock().unwrap().push(format!("{} {value:?}", field.name()));
            }
        }
    }

    impl Subscriber for Reader {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn event(&self, event: &Event<'_>) {
            if thread::current().id() == self.1 {
                event.record(&mut self.clone());
            }
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn each_counter_is_told_once_with_what_came_since() {
        let reader = Reader(Arc::default(), thread::current().id());
        subscriber::set_global_default(reader.clone()).unwrap();
        let mut counters = Counters::default();
        counters.resent = 3;
        counters.refused.count(chappe_types::Rule::new(76));
        let mut tally = Tally::default();
        let tell = |tally: &mut Tally, counters: &Counters| {
            tally.tell(ClientId::next(), DcId::production(2), counters, MonoTime::ZERO);
        };
        tell(&mut tally, &counters);
        tell(&mut tally, &counters);
        counters.resent = 5;
        tell(&mut tally, &counters);
        let told = reader.0.lock().unwrap().join(", ");
        assert_eq!(
            told,
            "counter \"resent\", more 3, counter \"refused\", more 1, rule 76, more 1, counter \"resent\", more 2"
        );
    }
}
