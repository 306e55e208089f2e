//! `/metrics`: numbers of every link, as Prometheus reads them.
//!
//! Each series belongs to a link of the configuration or to the process: how many there are does not
//! depend on what is in the topics.

use std::fmt;
use std::fs;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeGaugeValue;
use prometheus_client::encoding::MetricEncoder;
use prometheus_client::encoding::NoLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

use super::board::Board;
use super::board::Seen;
use crate::core::link::Outcome;
use crate::service::ports::Clock;
use crate::service::status::Incidents;

/// What `/metrics` answers with.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is measured.
#[derive(Debug, Clone, Copy)]
enum Measure {
    State,
    LagRecords,
    LagTime,
    SourceRecords,
    Writes,
    WriteDuration,
    WritesInFlight,
    Incidents,
    Acknowledged,
    HeldKeys,
    DriftedKeys,
    Repairs,
    Lives,
    CheckpointAge,
}

/// A measure as it is documented.
#[derive(Debug, Clone, Copy)]
struct Documented {
    /// Its name, without what its unit and kind put behind it.
    name: &'static str,
    measure: Measure,
    kind: MetricType,
    seconds: bool,
    /// Labels besides `link`, `source` and `target`.
    label: Option<&'static str>,
    help: &'static str,
}

const fn gauge(name: &'static str, measure: Measure, help: &'static str) -> Documented {
    Documented { name, measure, kind: MetricType::Gauge, seconds: false, label: None, help }
}

const fn counter(name: &'static str, measure: Measure, help: &'static str) -> Documented {
    Documented { kind: MetricType::Counter, ..gauge(name, measure, help) }
}

/// Every measure of a link.
const DOCUMENTED: [Documented; 14] = [
    Documented {
        label: Some("state"),
        ..gauge(
            "schema_mirror_link_state",
            Measure::State,
            "1 for the state that the link is in, 0 for the others",
        )
    },
    gauge(
        "schema_mirror_link_lag_records",
        Measure::LagRecords,
        "Offsets of the source that are not in the target yet, some without a record; absent while standing by or being purged",
    ),
    Documented {
        seconds: true,
        ..gauge(
            "schema_mirror_link_lag",
            Measure::LagTime,
            "Time since the oldest source offset that is not in the target was first seen; absent while standing by or being purged",
        )
    },
    Documented {
        label: Some("outcome"),
        ..gauge(
            "schema_mirror_link_source_records",
            Measure::SourceRecords,
            "Records of the source by what became of them, since the link read it from its start",
        )
    },
    Documented {
        label: Some("kind"),
        ..counter(
            "schema_mirror_link_writes",
            Measure::Writes,
            "Records sent to the target, acknowledged or not",
        )
    },
    Documented {
        kind: MetricType::Histogram,
        seconds: true,
        ..gauge(
            "schema_mirror_link_write_duration",
            Measure::WriteDuration,
            "Time from queueing a write to its acknowledgement by all in-sync replicas",
        )
    },
    gauge(
        "schema_mirror_link_writes_in_flight",
        Measure::WritesInFlight,
        "Writes that are not acknowledged yet",
    ),
    Documented {
        label: Some("about"),
        ..gauge(
            "schema_mirror_link_incidents",
            Measure::Incidents,
            "Incidents that nobody has acknowledged: keys that are not copied, by where the cause lies",
        )
    },
    gauge(
        "schema_mirror_link_acknowledged_incidents",
        Measure::Acknowledged,
        "Incidents that somebody has acknowledged, and that stand all the same",
    ),
    gauge(
        "schema_mirror_link_held_keys",
        Measure::HeldKeys,
        "Keys that wait for something else before they are copied",
    ),
    gauge(
        "schema_mirror_link_drifted_keys",
        Measure::DriftedKeys,
        "Keys that someone else changed in the target since the source did, restored or not",
    ),
    counter(
        "schema_mirror_link_repairs",
        Measure::Repairs,
        "Keys that were written again because someone else had changed them",
    ),
    counter(
        "schema_mirror_link_lives",
        Measure::Lives,
        "Times that the link became the writer and compared both sides",
    ),
    Documented {
        seconds: true,
        ..gauge(
            "schema_mirror_link_checkpoint_age",
            Measure::CheckpointAge,
            "Time since the checkpoint was kept, or found to say the same; absent before the first",
        )
    },
];

/// The states that a link can be in.
const STATES: [&str; 12] = [
    "preflight",
    "standby",
    "reading_target",
    "reading_source",
    "reconciling",
    "catching_up",
    "running",
    "waiting",
    "halted",
    "paused",
    "purging",
    "done",
];

/// A registry of all that is measured.
pub(super) fn registry<K: Clock>(board: Board<K>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Measures(board)));
    registry
}

/// The text of all measures now.
///
/// # Errors
/// The text could not be made.
pub(super) fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Measures<K>(Board<K>);

impl<K: Clock> Collector for Measures<K> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        encode_process(&mut encoder, self.0.started_ms())?;
        encode_links(encoder, &self.0.links(), self.0.now())
    }
}

fn encode_links(
    mut encoder: DescriptorEncoder<'_>,
    links: &[Seen],
    now: Duration,
) -> Result<(), fmt::Error> {
    for documented in &DOCUMENTED {
        let Documented { name, measure, kind, seconds, label, help } = *documented;
        let unit = seconds.then_some(&Unit::Seconds);
        let mut metric = encoder.encode_descriptor(name, help, unit, kind)?;
        for seen in links {
            Series { metric: &mut metric, seen, label, now }.encode(measure)?;
        }
    }
    Ok(())
}

fn encode_process(encoder: &mut DescriptorEncoder<'_>, started_ms: i64) -> Result<(), fmt::Error> {
    let help = "The version that runs";
    let mut build =
        encoder.encode_descriptor("schema_mirror_build", help, None, MetricType::Info)?;
    build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
    let help = "When the process started, since 1970";
    let started = Duration::from_millis(u64::try_from(started_ms).unwrap_or(0));
    encoder
        .encode_descriptor("process_start_time", help, Some(&Unit::Seconds), MetricType::Gauge)?
        .encode_gauge(&started.as_secs_f64())?;
    if let Some(bytes) = resident_bytes() {
        let help = "Memory of the process that is resident";
        encoder
            .encode_descriptor(
                "process_resident_memory",
                help,
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?
            .encode_gauge(&bytes)?;
    }
    Ok(())
}

/// What Linux tells; `None` elsewhere.
fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The series of one link and one measure.
struct Series<'a, 'm> {
    metric: &'a mut MetricEncoder<'m>,
    seen: &'a Seen,
    label: Option<&'static str>,
    now: Duration,
}

impl Series<'_, '_> {
    fn encode(&mut self, measure: Measure) -> Result<(), fmt::Error> {
        let status = &self.seen.status;
        match measure {
            Measure::State => STATES
                .iter()
                .try_for_each(|state| self.gauge(state, &u64::from(status.phase.word() == *state))),
            Measure::LagRecords | Measure::LagTime if !self.seen.knows_its_lag() => Ok(()),
            Measure::LagRecords => self.gauge("", &status.lag.offsets()),
            Measure::LagTime => self.gauge("", &status.lag.time(self.now).as_secs_f64()),
            Measure::SourceRecords => Outcome::ALL
                .into_iter()
                .try_for_each(|outcome| self.gauge(outcome.word(), &status.counts.of(outcome))),
            Measure::Writes => {
                self.counter("put", status.counts.puts)?;
                self.counter("deletion", status.counts.deletions)
            }
            Measure::WriteDuration => {
                let classes: Vec<(f64, u64)> = status.latencies.classes().collect();
                let (sum, count) = (status.latencies.sum().as_secs_f64(), status.latencies.count());
                let labels = labels(self.seen, self.label, "");
                let mut metric = self.metric.encode_family(&labels)?;
                metric.encode_histogram::<NoLabelSet>(sum, count, &classes, None)
            }
            Measure::WritesInFlight => self.gauge("", &status.writes_in_flight),
            Measure::Incidents => {
                let Incidents { source, target, unreadable, .. } = status.incidents;
                self.gauge("source", &source)?;
                self.gauge("target", &target)?;
                self.gauge("unreadable", &unreadable)
            }
            Measure::Acknowledged => self.gauge("", &status.incidents.acknowledged),
            Measure::HeldKeys => self.gauge("", &status.held),
            Measure::DriftedKeys => self.gauge("", &status.drifted),
            Measure::Repairs => self.counter("", status.repairs),
            Measure::Lives => self.counter("", status.lives),
            Measure::CheckpointAge => match status.checkpoint_at {
                Some(at) => self.gauge("", &self.now.saturating_sub(at).as_secs_f64()),
                None => Ok(()),
            },
        }
    }

    fn gauge(&mut self, value: &str, number: &impl EncodeGaugeValue) -> Result<(), fmt::Error> {
        let labels = labels(self.seen, self.label, value);
        self.metric.encode_family(&labels)?.encode_gauge(number)
    }

    fn counter(&mut self, value: &str, number: u64) -> Result<(), fmt::Error> {
        let labels = labels(self.seen, self.label, value);
        let mut metric = self.metric.encode_family(&labels)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&number, None)
    }
}

fn labels<'a>(seen: &'a Seen, label: Option<&'a str>, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let Seen { link, source, target, .. } = seen;
    let mut labels = vec![("link", link.as_str()), ("source", source), ("target", target)];
    labels.extend(label.map(|label| (label, value)));
    labels
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::service::status::Phase;
    use crate::service::status::Status;

    fn seen() -> Seen {
        let mut status = Status { phase: Phase::Running, ..Status::default() };
        status.counts.outcome(Outcome::Written);
        status.counts.puts = 3;
        status.lag.saw(7, Duration::from_secs(1));
        status.latencies.add(2, Duration::from_millis(3));
        status.latencies.add(1, Duration::from_secs(60));
        (status.incidents.source, status.incidents.acknowledged) = (4, 2);
        status.checkpoint_at = Some(Duration::from_secs(2));
        Seen { link: "a".into(), source: "s".into(), target: "t".into(), status }
    }

    fn lines() -> Vec<String> {
        lines_of(seen())
    }

    /// The name under which a query finds a measure.
    fn name_of(documented: &Documented) -> String {
        let unit = if documented.seconds { "_seconds" } else { "" };
        let total = if matches!(documented.kind, MetricType::Counter) { "_total" } else { "" };
        format!("{}{unit}{total}", documented.name)
    }

    /// The lines of all measures of one link.
    fn lines_of(seen: Seen) -> Vec<String> {
        #[derive(Debug)]
        struct One([Seen; 1]);
        impl Collector for One {
            fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
                encode_links(encoder, &self.0, Duration::from_secs(5))
            }
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(One([seen])));
        text(&registry).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn numbers_come_with_their_labels_and_units() {
        let lines = lines();
        for line in [
            r#"schema_mirror_link_state{link="a",source="s",target="t",state="running"} 1"#,
            r#"schema_mirror_link_state{link="a",source="s",target="t",state="halted"} 0"#,
            r#"schema_mirror_link_lag_records{link="a",source="s",target="t"} 7"#,
            r#"schema_mirror_link_lag_seconds{link="a",source="s",target="t"} 4.0"#,
            r#"schema_mirror_link_source_records{link="a",source="s",target="t",outcome="written"} 1"#,
            r#"schema_mirror_link_writes_total{link="a",source="s",target="t",kind="put"} 3"#,
            r#"schema_mirror_link_write_duration_seconds_bucket{le="0.002",link="a",source="s",target="t"} 0"#,
            r#"schema_mirror_link_write_duration_seconds_bucket{le="0.005",link="a",source="s",target="t"} 2"#,
            r#"schema_mirror_link_write_duration_seconds_bucket{le="+Inf",link="a",source="s",target="t"} 3"#,
            r#"schema_mirror_link_write_duration_seconds_count{link="a",source="s",target="t"} 3"#,
            r#"schema_mirror_link_incidents{link="a",source="s",target="t",about="source"} 4"#,
            r#"schema_mirror_link_acknowledged_incidents{link="a",source="s",target="t"} 2"#,
            r#"schema_mirror_link_checkpoint_age_seconds{link="a",source="s",target="t"} 3.0"#,
        ] {
            assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
        }
    }

    #[test]
    fn whoever_stands_by_has_no_lag_to_tell() {
        let mut standby = seen();
        standby.status.phase = Phase::Standby;
        let lines = lines_of(standby);
        assert!(!lines.iter().any(|line| line.starts_with("schema_mirror_link_lag")));
        assert!(lines.iter().any(|line| line.ends_with(r#"state="standby"} 1"#)), "{lines:?}");
    }

    #[test]
    fn every_series_is_documented_and_has_its_help() {
        let lines = lines();
        let described: BTreeSet<&str> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
            .collect();
        for documented in &DOCUMENTED {
            let name = name_of(documented);
            let family = name.trim_end_matches("_total");
            assert!(described.contains(family), "{family} in {described:?}");
        }
        assert_eq!(described.len(), DOCUMENTED.len());
    }

    #[test]
    fn every_phase_is_a_state_of_the_metric() {
        let reason = String::new;
        let phases = [
            Phase::Preflight,
            Phase::Standby,
            Phase::ReadingTarget,
            Phase::ReadingSource,
            Phase::Reconciling,
            Phase::CatchingUp,
            Phase::Running,
            Phase::Waiting(reason()),
            Phase::Halted(reason()),
            Phase::Paused,
            Phase::Purging,
            Phase::Done,
        ];
        assert_eq!(phases.map(|phase| phase.word()), STATES);
    }

    #[test]
    fn the_table_of_the_docs_is_what_is_measured() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let paper = fs::read_to_string(path).unwrap();
        let rows: Vec<&str> =
            paper.lines().filter(|line| line.starts_with("| `schema_mirror_link")).collect();
        let wanted: Vec<String> = DOCUMENTED
            .iter()
            .map(|documented| {
                let label = documented.label.map_or(String::new(), |label| format!("`{label}`"));
                let (name, kind) = (name_of(documented), documented.kind.as_str());
                format!("| `{name}` | {kind} | {label} | {} |", documented.help)
            })
            .collect();
        assert_eq!(rows, wanted);
    }

    #[test]
    fn alerts_and_board_ask_for_series_and_states_that_there_are() {
        #[derive(Debug)]
        struct Process;
        impl Collector for Process {
            fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
                encode_process(&mut encoder, 0)
            }
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let of_process = text(&registry).unwrap();
        let told = lines().into_iter().chain(of_process.lines().map(str::to_owned));
        let mut series: BTreeSet<String> = told
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned))
            .collect();
        // A runbook speaks of a histogram as a whole.
        series.extend(DOCUMENTED.iter().map(name_of));
        // Told on Linux alone.
        series.insert("process_resident_memory_bytes".to_owned());
        for file in ["docker/prometheus/alerts.yaml", "docker/grafana/schema-mirror.json"] {
            let text =
                fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let is_metric =
                |word: &&str| ["schema_mirror_", "process_"].iter().any(|of| word.starts_with(of));
            let asked: Vec<&str> = words.filter(is_metric).collect();
            assert!(asked.len() > 7, "{asked:?}");
            for name in asked {
                assert!(series.contains(name), "{name} is not among {series:?}");
            }
            for rest in text.replace('\\', "").split("state=\"").skip(1) {
                let state = rest.split('"').next().unwrap();
                assert!(STATES.contains(&state), "{state}");
            }
        }
    }
}
