//! What the node counts, as Prometheus reads it.
//!
//! [`Metrics`] is a cheap handle, given to whatever has something to count. Labels only take values from
//! closed lists (routes, codes, reasons), never from what a caller or a peer sent, so nobody can make them grow.
//!
//! What belongs to one part of the node stands together: [`Metrics::network`], [`Metrics::consensus`],
//! [`Metrics::checkpoints`].

mod consensus;
mod labels;
mod network;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use writ_proto::decision::Why;

pub use consensus::{Checkpoints, Consensus, Judged};
use labels::{Labels, label};
pub use network::{Network, Way};

use crate::backup::LastBackup;

/// The text that ends an exposition.
const END: &str = "# EOF\n";

/// A handle on everything that the node counts. See the module's doc.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<Labels<1>, Histogram>,
    connections: Gauge,
    connections_cut: Family<Labels<1>, Counter>,
    watchers: Gauge,
    watch_events: Family<Labels<1>, Counter>,
    decisions: Family<Labels<1>, Counter>,
    admissions: Family<Labels<1>, Counter>,
    height: Gauge<u64, AtomicU64>,
    log_size: Gauge<u64, AtomicU64>,
    pooled: Gauge<u64, AtomicU64>,
    pooled_bytes: Gauge<u64, AtomicU64>,
    caught_up: Gauge,
    fsyncs: Counter,
    signatures_checked: Counter,
    pool: Family<Labels<1>, Gauge<u64, AtomicU64>>,
    strangers: Family<Labels<1>, Counter>,
    backup_height: Gauge<u64, AtomicU64>,
    backup_time: Gauge<u64, AtomicU64>,
    /// Where backups leave word; without it there is none to tell of.
    backups: OnceLock<PathBuf>,
    network: Network,
    consensus: Consensus,
    checkpoints: Checkpoints,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, mut encoder: LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel as _;
        ("method", self.method).encode(encoder.encode_label())?;
        ("route", self.route).encode(encoder.encode_label())?;
        ("status", self.status).encode(encoder.encode_label())
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
    /// How many of them are restrictive.
    pub pooled_restrictive: u64,
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
            watchers: Gauge::default(),
            watch_events: Family::default(),
            decisions: Family::default(),
            admissions: Family::default(),
            height: Gauge::default(),
            log_size: Gauge::default(),
            pooled: Gauge::default(),
            pooled_bytes: Gauge::default(),
            caught_up: Gauge::default(),
            fsyncs: Counter::default(),
            signatures_checked: Counter::default(),
            pool: Family::default(),
            strangers: Family::default(),
            backup_height: Gauge::default(),
            backup_time: Gauge::default(),
            backups: OnceLock::new(),
            network: Network::default(),
            consensus: Consensus::default(),
            checkpoints: Checkpoints::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// A request was answered. `route` is the path as the router writes it, `method` one that it knows.
    pub fn request(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        self.0.requests.get_or_create(&RequestLabels { method, route, status }).inc();
        self.0.seconds.get_or_create(&label("route", route)).observe(took.as_secs_f64());
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
        self.0.connections_cut.get_or_create(&label("reason", reason)).inc();
    }

    /// A watcher came (`true`) or went.
    pub fn watcher(&self, came: bool) {
        if came {
            self.0.watchers.inc()
        } else {
            self.0.watchers.dec()
        };
    }

    /// A watcher was told something: `event` is a word of our own.
    pub fn watch_event(&self, event: &'static str) {
        self.0.watch_events.get_or_create(&label("event", event)).inc();
    }

    /// What is counted between nodes.
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// What is counted about agreement.
    pub fn consensus(&self) -> &Consensus {
        &self.0.consensus
    }

    /// What is counted about checkpoints.
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.0.checkpoints
    }

    /// Tells of backups from now on, which leave word in the file `last` ([`LastBackup`]). The first call counts.
    pub fn tell_backups(&self, last: PathBuf) {
        let _ = self.0.backups.set(last);
    }

    /// A caller was turned away: `reason` is a word of our own.
    pub fn stranger(&self, reason: &'static str) {
        self.0.strangers.get_or_create(&label("reason", reason)).inc();
    }

    /// A question was answered.
    pub fn decision(&self, why: Why) {
        self.0.decisions.get_or_create(&label("why", why.as_str())).inc();
    }

    /// A record was submitted; `outcome` is `new`, `duplicate`, or the code of a refusal.
    pub fn admission(&self, outcome: &'static str) {
        self.0.admissions.get_or_create(&label("outcome", outcome)).inc();
    }

    /// The exposition (OpenMetrics text), with how the ledger stands now, and with `more`, an exposition of
    /// somebody else's, before its end.
    pub fn encode(&self, standing: &Standing, more: &str) -> String {
        self.0.height.set(standing.height);
        self.0.log_size.set(standing.log_size);
        self.0.pooled.set(standing.pooled);
        self.0.pooled_bytes.set(standing.pooled_bytes);
        let restrictive = standing.pooled_restrictive;
        for (class, waiting) in [("restrictive", restrictive), ("permissive", standing.pooled - restrictive)] {
            self.0.pool.get_or_create(&label("class", class)).set(waiting);
        }
        if let Some(last) = self.0.backups.get().and_then(|path| LastBackup::read(path)) {
            self.0.backup_height.set(last.height);
            self.0.backup_time.set(last.time.as_millis() / 1000);
        }
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
        let Self { registry, network, consensus, checkpoints, .. } = self;
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("http_request_seconds", "Time from head to answer", self.seconds.clone());
        registry.register("http_connections", "Open connections", self.connections.clone());
        registry.register("http_connections_cut", "Connections that the node cut", self.connections_cut.clone());
        registry.register("watchers", "Who watches the log", self.watchers.clone());
        registry.register("watch_events", "Events told to watchers", self.watch_events.clone());
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
        registry.register("pool_records", "Records that wait for a block, by class", self.pool.clone());
        registry.register("http_strangers", "Callers turned away for want of a token", self.strangers.clone());
        registry.register("backup_height", "Height of the last backup; 0: none", self.backup_height.clone());
        let time = self.backup_time.clone();
        registry.register("backup_timestamp_seconds", "When the last backup was finished; 0: never", time);
        network.register(registry);
        consensus.register(registry);
        checkpoints.register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_operators_are_told_to_watch_is_there() {
        let text = Metrics::new().encode(&Standing::default(), "");
        let kinds: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let page = include_str!("../../docs/operation.md");
        let named = page.split('`').filter_map(|word| word.split('{').next().filter(|word| word.starts_with("writ_")));
        let mut seen = 0;
        for name in named {
            seen += 1;
            assert!(kinds.contains(&name.strip_suffix("_total").unwrap_or(name)), "no metric `{name}`");
        }
        assert!(seen > 10, "{seen} are named");
    }

    #[test]
    fn an_exposition_tells_what_was_counted_and_ends_once() {
        let metrics = Metrics::new();
        metrics.request("GET", "/v1/check", 200, Duration::from_millis(2));
        metrics.request("GET", "/v1/check", 200, Duration::from_millis(2));
        metrics.decision(Why::Deny);
        metrics.admission("duplicate");
        metrics.connection(true);
        metrics.connection_cut("head");
        [true, true, false].into_iter().for_each(|came| metrics.watcher(came));
        metrics.watch_event("revoked");
        let network = metrics.network();
        network.peers(3);
        network.received("records", 9);
        network.accepted("records", 6);
        network.ignored("records", "known", 2);
        network.rejected("records", "bad_signature", 1);
        network.bytes(Way::In, 4096);
        network.bytes(Way::Out, 1);
        network.pulled(Way::Out, "answered");
        network.banned("flood");
        let consensus = metrics.consensus();
        consensus.decided(0);
        consensus.decided(2);
        consensus.judged(Judged::Valid);
        consensus.judged(Judged::Invalid);
        consensus.judged(Judged::Later);
        consensus.evidence();
        consensus.refused("expired_submission");
        consensus.silent_for(Duration::from_millis(1500));
        metrics.checkpoints().finalised(10, 2);
        metrics.checkpoints().cosignature("accepted");
        metrics.stranger("missing");
        let dir = tempfile::tempdir().unwrap();
        let last = dir.path().join("last-backup");
        metrics.tell_backups(last.clone());
        LastBackup { height: 2, time: writ_proto::time::LedgerTime::from_millis(1_800_000_000_999).unwrap() }
            .write(&last)
            .unwrap();
        let standing = Standing {
            height: 3,
            log_size: 11,
            pooled: 2,
            pooled_restrictive: 1,
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
                "writ_watchers 1",
                r#"writ_watch_events_total{event="revoked"} 1"#,
                "writ_height 3",
                "writ_log_size 11",
                "writ_pooled_records 2",
                "writ_pooled_bytes 500",
                "writ_caught_up 1",
                "writ_fsyncs_total 9",
                "writ_signatures_checked_total 8",
                r#"writ_pool_records{class="restrictive"} 1"#,
                r#"writ_pool_records{class="permissive"} 1"#,
                r#"writ_http_strangers_total{reason="missing"} 1"#,
                "writ_peers_connected 3",
                r#"writ_gossip_received_total{kind="records"} 9"#,
                r#"writ_gossip_accepted_total{kind="records"} 6"#,
                r#"writ_gossip_ignored_total{kind="records",reason="known"} 2"#,
                r#"writ_gossip_rejected_total{kind="records",reason="bad_signature"} 1"#,
                r#"writ_gossip_bytes_total{way="in"} 4096"#,
                r#"writ_gossip_bytes_total{way="out"} 1"#,
                r#"writ_pulls_total{way="out",outcome="answered"} 1"#,
                r#"writ_peers_banned_total{reason="flood"} 1"#,
                "writ_decided_round 2",
                "writ_blocks_decided_total 2",
                "writ_further_rounds_total 2",
                r#"writ_proposals_judged_total{verdict="valid"} 1"#,
                r#"writ_proposals_judged_total{verdict="invalid"} 1"#,
                r#"writ_proposals_judged_total{verdict="later"} 1"#,
                "writ_evidence_total 1",
                r#"writ_records_refused_total{code="expired_submission"} 1"#,
                "writ_chain_silent_seconds 1.5",
                "writ_checkpoint_size 10",
                "writ_checkpoint_height 2",
                r#"writ_cosignatures_total{outcome="accepted"} 1"#,
                "writ_backup_height 2",
                "writ_backup_timestamp_seconds 1800000000",
            ] {
                assert!(text.lines().any(|own| own == line), "{line} is missing from\n{text}");
            }
            assert!(text.ends_with(&format!("{tail}{END}")), "{text}");
            assert_eq!(text.matches(END).count(), 1);
        }
    }
}
