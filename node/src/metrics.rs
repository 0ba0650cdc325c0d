//! What the node counts, as Prometheus reads it.
//!
//! [`Metrics`] is a cheap handle, given to whatever has something to count. Labels only take values from
//! closed lists (routes, codes, reasons), never from what a caller sent, so no caller can make them grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use writ_proto::decision::Why;

/// The text that ends an exposition.
const END: &str = "# EOF\n";

/// A handle on everything that the node counts. See the module's doc.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<Label, Histogram>,
    connections: Gauge,
    connections_cut: Family<Label, Counter>,
    decisions: Family<Label, Counter>,
    admissions: Family<Label, Counter>,
    height: Gauge<u64, AtomicU64>,
    log_size: Gauge<u64, AtomicU64>,
    pooled: Gauge<u64, AtomicU64>,
    pooled_bytes: Gauge<u64, AtomicU64>,
    caught_up: Gauge,
    fsyncs: Counter,
    signatures_checked: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// One label, its name and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Label(&'static str, &'static str);

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, mut encoder: LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel as _;
        ("method", self.method).encode(encoder.encode_label())?;
        ("route", self.route).encode(encoder.encode_label())?;
        ("status", self.status).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for Label {
    fn encode(&self, mut encoder: LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel as _;
        (self.0, self.1).encode(encoder.encode_label())
    }
}

/// How the ledger stands when the metrics are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last height.
    pub height: u64,
    /// Leaves in the log.
    pub log_size: u64,
    /// Records that wait for a block.
    pub pooled: u64,
    /// Their bytes.
    pub pooled_bytes: u64,
    /// Whether the node answers from all that it knows to exist.
    pub caught_up: bool,
    /// Fsyncs since the start: of the store, the guards and the clock's mark.
    pub fsyncs: u64,
    /// Signatures on records that were checked since the start.
    pub signatures_checked: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        // From a tenth of a millisecond, what a decision takes, to the ten seconds that a caller waits for a block.
        let seconds = || Histogram::new([0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
        let mut inner = Inner {
            registry: Registry::with_prefix("writ"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            connections: Gauge::default(),
            connections_cut: Family::default(),
            decisions: Family::default(),
            admissions: Family::default(),
            height: Gauge::default(),
            log_size: Gauge::default(),
            pooled: Gauge::default(),
            pooled_bytes: Gauge::default(),
            caught_up: Gauge::default(),
            fsyncs: Counter::default(),
            signatures_checked: Counter::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// A request was answered. `route` is the path as the router writes it, `method` one that it knows.
    pub fn request(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        self.0.requests.get_or_create(&RequestLabels { method, route, status }).inc();
        self.0.seconds.get_or_create(&Label("route", route)).observe(took.as_secs_f64());
    }

    /// A connection was opened (`true`) or closed.
    pub fn connection(&self, opened: bool) {
        if opened {
            self.0.connections.inc()
        } else {
            self.0.connections.dec()
        };
    }

    /// A connection was cut by us: `reason` is a word of our own.
    pub fn connection_cut(&self, reason: &'static str) {
        self.0.connections_cut.get_or_create(&Label("reason", reason)).inc();
    }

    /// A question was answered.
    pub fn decision(&self, why: Why) {
        self.0.decisions.get_or_create(&Label("why", why.as_str())).inc();
    }

    /// A record was submitted; `outcome` is `new`, `duplicate`, or the code of a refusal.
    pub fn admission(&self, outcome: &'static str) {
        self.0.admissions.get_or_create(&Label("outcome", outcome)).inc();
    }

    /// The exposition (OpenMetrics text), with how the ledger stands now, and with `more`, an exposition of
    /// somebody else's, before its end.
    pub fn encode(&self, standing: &Standing, more: &str) -> String {
        self.0.height.set(standing.height);
        self.0.log_size.set(standing.log_size);
        self.0.pooled.set(standing.pooled);
        self.0.pooled_bytes.set(standing.pooled_bytes);
        self.0.caught_up.set(standing.caught_up.into());
        self.0.fsyncs.inner().store(standing.fsyncs, Ordering::Relaxed);
        self.0.signatures_checked.inner().store(standing.signatures_checked, Ordering::Relaxed);
        let mut text = String::new();
        if encode(&mut text, &self.0.registry).is_err() {
            // Writing to a string fails only if a metric's own encoder does; ours cannot.
            text.clear();
        }
        let own = text.strip_suffix(END).unwrap_or(&text).len();
        text.truncate(own);
        let more = more.strip_suffix(END).unwrap_or(more);
        text.push_str(more);
        if !more.is_empty() && !more.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(END);
        text
    }
}

impl Inner {
    fn register(&mut self) {
        let Self { registry, .. } = self;
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("http_request_seconds", "Time from head to answer", self.seconds.clone());
        registry.register("http_connections", "Open connections", self.connections.clone());
        registry.register("http_connections_cut", "Connections that the node cut", self.connections_cut.clone());
        registry.register("decisions", "Questions answered", self.decisions.clone());
        registry.register("admissions", "Records submitted", self.admissions.clone());
        registry.register("height", "The last height", self.height.clone());
        registry.register("log_size", "Leaves in the log", self.log_size.clone());
        registry.register("pooled_records", "Records that wait for a block", self.pooled.clone());
        registry.register("pooled_bytes", "Bytes of records that wait for a block", self.pooled_bytes.clone());
        registry.register("caught_up", "1: the node answers from all that it knows to exist", self.caught_up.clone());
        registry.register(
            "fsyncs",
            "Fsyncs of the store, the guards and the clock's mark since the start",
            self.fsyncs.clone(),
        );
        let checked = self.signatures_checked.clone();
        registry.register("signatures_checked", "Signatures on records checked since the start", checked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exposition_tells_what_was_counted_and_ends_once() {
        let metrics = Metrics::new();
        metrics.request("GET", "/v1/check", 200, Duration::from_millis(2));
        metrics.request("GET", "/v1/check", 200, Duration::from_millis(2));
        metrics.decision(Why::Deny);
        metrics.admission("duplicate");
        metrics.connection(true);
        metrics.connection_cut("head");
        let standing = Standing {
            height: 3,
            log_size: 11,
            pooled: 2,
            pooled_bytes: 500,
            caught_up: true,
            fsyncs: 9,
            signatures_checked: 8,
        };
        for (more, tail) in [("", ""), ("other 1\n# EOF\n", "other 1\n"), ("other 1", "other 1\n")] {
            let text = metrics.encode(&standing, more);
            for line in [
                r#"writ_http_requests_total{method="GET",route="/v1/check",status="200"} 2"#,
                r#"writ_http_request_seconds_bucket{le="0.005",route="/v1/check"} 2"#,
                r#"writ_decisions_total{why="deny"} 1"#,
                r#"writ_admissions_total{outcome="duplicate"} 1"#,
                r#"writ_http_connections_cut_total{reason="head"} 1"#,
                "writ_http_connections 1",
                "writ_height 3",
                "writ_log_size 11",
                "writ_pooled_records 2",
                "writ_pooled_bytes 500",
                "writ_caught_up 1",
                "writ_fsyncs_total 9",
                "writ_signatures_checked_total 8",
            ] {
                assert!(text.lines().any(|own| own == line), "{line} is missing from\n{text}");
            }
            assert!(text.ends_with(&format!("{tail}{END}")), "{text}");
            assert_eq!(text.matches(END).count(), 1);
        }
    }
}
