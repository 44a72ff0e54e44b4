//! Metrics as text for Prometheus.

use std::fmt::{self, Write as _};

use super::{Histogram, ServerMetrics};
use crate::ServerCounters;

impl ServerMetrics {
    /// Writes all metrics, and the counters of a listener, in the text format of Prometheus. Names begin with `prefix_`.
    ///
    /// ```
    /// # fn example(engine: &chappe_server::Engine, counters: &chappe_server::ServerCounters) {
    /// // In the handler of `GET /metrics`, with `content-type: text/plain; version=0.0.4`:
    /// let text = engine.metrics().prometheus("mtproto", counters);
    /// assert!(text.contains("# TYPE mtproto_sessions gauge"));
    /// # }
    /// ```
    pub fn prometheus(&self, prefix: &str, listener: &ServerCounters) -> String {
        let mut page = Page { prefix, text: String::new() };
        // Writing to a string cannot fail.
        let _ = page.engine(self).and_then(|()| page.refusals(self)).and_then(|()| page.listener(listener));
        page.text
    }
}

struct Page<'a> {
    prefix: &'a str,
    text: String,
}

impl Page<'_> {
    fn engine(&mut self, metrics: &ServerMetrics) -> fmt::Result {
        self.labelled(
            "keys_made_total",
            "Keys that clients made.",
            "kind",
            &[("permanent", metrics.permanent_keys_made), ("temporary", metrics.temporary_keys_made)],
        )?;
        self.counter("keys_bound_total", "Temporary keys that were bound.", metrics.keys_bound)?;
        self.counter("sessions_begun_total", "Sessions that began.", metrics.sessions_begun)?;
        self.counter("logins_moved_total", "Logins that were imported.", metrics.logins_moved)?;
        self.counter("queries_total", "Queries that handlers saw.", metrics.queries)?;
        self.labelled(
            "answers_total",
            "Answers to queries.",
            "kind",
            &[
                ("result", metrics.results),
                ("client_error", metrics.client_errors),
                ("server_error", metrics.server_errors),
            ],
        )?;
        self.counter("dropped_total", "Queries whose answers were no longer wanted.", metrics.dropped)?;
        self.counter("updates_total", "Updates that were pushed.", metrics.updates)?;
        self.gauge("keys", "Keys that the server has.", metrics.keys)?;
        self.gauge("sessions", "Sessions that the server has.", metrics.sessions())?;
        self.gauge("calls_under_way", "Calls that have no answer yet.", metrics.calls_under_way)?;
        self.histogram("handshake_seconds", "Work of a step of a handshake.", &metrics.handshake_seconds)?;
        self.histogram("call_seconds", "Time from a call to its answer.", &metrics.call_seconds)?;
        self.histogram("query_bytes", "Lengths of queries.", &metrics.query_bytes)?;
        self.histogram("result_bytes", "Lengths of results.", &metrics.result_bytes)
    }

    fn refusals(&mut self, metrics: &ServerMetrics) -> fmt::Result {
        let refused = &metrics.refused;
        self.labelled(
            "refused_total",
            "What was refused.",
            "cause",
            &[
                ("handshake", refused.handshakes),
                ("handshake_queue", refused.handshakes_queued),
                ("unauthenticated_frame", refused.unauthenticated_frames),
                ("session", refused.sessions),
                ("inflated", refused.inflated),
                ("unacked", refused.unacked),
                ("panic", refused.panics),
            ],
        )
    }

    fn listener(&mut self, counters: &ServerCounters) -> fmt::Result {
        self.gauge("connections", "Open connections.", counters.open)?;
        self.counter("connections_accepted_total", "Connections admitted.", counters.accepted)?;
        self.labelled(
            "connections_closed_total",
            "Connections that the server closed.",
            "cause",
            &[
                ("over_limit", counters.over_limit),
                ("unknown", counters.unknown),
                ("slow_reader", counters.slow_readers),
                ("slow_sender", counters.slow_senders),
                ("idle", counters.idle),
                ("unauthenticated", counters.unauthenticated),
            ],
        )?;
        self.labelled(
            "bytes_total",
            "Bytes on sockets.",
            "direction",
            &[("in", counters.bytes_in), ("out", counters.bytes_out)],
        )?;
        self.labelled(
            "payloads_total",
            "Payloads on sockets.",
            "direction",
            &[("in", counters.payloads_in), ("out", counters.payloads_out)],
        )
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) -> fmt::Result {
        let prefix = self.prefix;
        writeln!(self.text, "# HELP {prefix}_{name} {help}\n# TYPE {prefix}_{name} {kind}")
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.head(name, help, "counter")?;
        writeln!(self.text, "{}_{name} {value}", self.prefix)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.head(name, help, "gauge")?;
        writeln!(self.text, "{}_{name} {value}", self.prefix)
    }

    fn labelled(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) -> fmt::Result {
        self.head(name, help, "counter")?;
        let prefix = self.prefix;
        let text = &mut self.text;
        values
            .iter()
            .try_for_each(|(of, value)| writeln!(text, "{prefix}_{name}{{{label}=\"{of}\"}} {value}"))
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        self.head(name, help, "histogram")?;
        let mut count = 0;
        for (bound, in_bucket) in histogram.buckets() {
            count += in_bucket;
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".into() };
            writeln!(self.text, "{}_{name}_bucket{{le=\"{bound}\"}} {count}", self.prefix)?;
        }
        writeln!(self.text, "{}_{name}_sum {}", self.prefix, histogram.sum())?;
        writeln!(self.text, "{}_{name}_count {count}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Activity;
    use super::*;
    use crate::EngineCounters;

    #[test]
    fn the_page_has_a_type_for_each_metric_and_a_number_on_each_line() {
        let activity = Activity::default();
        activity.count_answer(Ok(100));
        activity.count_answer(Err(420));
        activity.count_answer(Err(500));
        activity.call_seconds.record(0.002);
        let page =
            activity.read(EngineCounters::default(), 3).prometheus("mtproto", &ServerCounters::default());
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("a name and a number");
            let name = name.split('{').next().expect("a name");
            let ends = ["_bucket", "_sum", "_count"];
            let family = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(page.contains(&format!("# TYPE {family} ")), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
        for line in [
            "mtproto_keys 3",
            "mtproto_answers_total{kind=\"result\"} 1",
            "mtproto_answers_total{kind=\"client_error\"} 1",
            "mtproto_answers_total{kind=\"server_error\"} 1",
            "mtproto_call_seconds_bucket{le=\"0.001\"} 0",
            "mtproto_call_seconds_bucket{le=\"0.0025\"} 1",
            "mtproto_call_seconds_bucket{le=\"+Inf\"} 1",
            "mtproto_call_seconds_sum 0.002",
            "mtproto_result_bytes_bucket{le=\"256\"} 1",
        ] {
            assert!(page.lines().any(|known| known == line), "{line}\n{page}");
        }
    }
}
