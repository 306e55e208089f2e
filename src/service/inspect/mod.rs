//! What a schemas topic says, and what endangers it: the answer of `inspect`.
//!
//! # Layout
//!
//! - `document`: the answer, field by field;
//! - `inspector`: a log read record by record;
//! - `fate`: what a registry does with an odd record;
//! - `spelling`: how keys are spelled;
//! - `state`: contexts, subjects, modes, configs as lists, and what is wrong among them;
//! - `problems`: what is wrong, in words.

mod document;
mod fate;
mod inspector;
mod problems;
mod spelling;
mod state;

pub use self::document::Area;
pub use self::document::CompactionReport;
pub use self::document::ConfigReport;
pub use self::document::ContextReport;
pub use self::document::DanglingReference;
pub use self::document::FateReport;
pub use self::document::FindingReport;
pub use self::document::Inspection;
pub use self::document::KindReport;
pub use self::document::ModeReport;
pub use self::document::Narrow;
pub use self::document::OpenedSubject;
pub use self::document::Problem;
pub use self::document::ReferenceReport;
pub use self::document::SettingsReport;
pub use self::document::SpellingReport;
pub use self::document::SubjectReport;
pub use self::document::TopicReport;
pub use self::document::VersionReport;
pub use self::document::WriterKind;
pub use self::document::WriterReport;
pub use self::fate::Fate;
pub use self::spelling::Spelling;

use self::inspector::Finding;
use self::inspector::Inspector;
use self::problems::Findings;
use self::problems::problems;
use self::state::Choice;
use self::state::State;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::service::ground::missing;
use crate::service::ground::read_to_end;
use crate::service::ports::Cluster;
use crate::service::ports::ClusterFacts;
use crate::service::ports::Fault;
use crate::service::ports::TopicFacts;
use crate::service::preflight::hazards;
use crate::service::preflight::replication_hazard;

/// The format of the document.
const FORMAT: u32 = 1;
/// Records of one fate that are listed; the rest is counted.
const LISTED_MAX: usize = 100;

/// A topic and its cluster as they were found, and how the cluster was reached.
#[derive(Debug, Clone)]
pub struct Place {
    /// The cluster.
    pub cluster: ClusterFacts,
    /// The topic's name.
    pub name: String,
    /// The topic.
    pub topic: TopicFacts,
    /// Its brokers, for the commands that mend something.
    pub bootstrap: String,
}

/// Looks at a schemas topic, from its start to the end it has now. Joins no group, writes nothing.
/// A context or a subject narrows what is listed, not what is checked.
///
/// # Errors
/// A cluster out of reach, a topic that does not exist, a right that is missing.
pub async fn inspect<C: Cluster>(
    cluster: &C,
    topic: &str,
    context: Option<&ContextName>,
    subject: Option<&Subject>,
) -> Result<Inspection, Fault> {
    let (facts, found) = tokio::try_join!(cluster.facts(), cluster.topic(topic))?;
    let found = found.ok_or_else(|| {
        let cause = "it does not exist; name the registry's topic with --topic, or check that this \
                     is the cluster that was meant";
        Fault { cause: cause.to_owned(), ..missing(cluster, topic) }
    })?;
    let mut inspector = Inspector::new();
    if found.end > found.start {
        let mut log = cluster.read(topic, 0, found.start).await?;
        read_to_end(&mut log, found.end, |record| take_below(&mut inspector, found.end, record))
            .await?;
    }
    let place = Place {
        cluster: facts,
        name: topic.to_owned(),
        topic: found,
        bootstrap: cluster.bootstrap_servers().to_owned(),
    };
    Ok(finish(inspector, &place, &Choice::new(context, subject)))
}

/// What was written since the inspection began belongs to the next one.
fn take_below(inspector: &mut Inspector, end: Offset, record: &Record) {
    if record.offset < end {
        inspector.take(record);
    }
}

impl Inspection {
    /// What these records say, in the topic they stand in.
    pub fn of<'a>(
        records: impl IntoIterator<Item = &'a Record>,
        place: &Place,
        context: Option<&ContextName>,
        subject: Option<&Subject>,
    ) -> Self {
        let mut inspector = Inspector::new();
        records.into_iter().for_each(|record| inspector.take(record));
        finish(inspector, place, &Choice::new(context, subject))
    }

    /// Records with a fate.
    #[must_use]
    pub fn records_that(&self, fate: Fate) -> Option<&FateReport> {
        self.records.iter().find(|report| report.fate == fate)
    }
}

fn finish(mut inspector: Inspector, place: &Place, choice: &Choice) -> Inspection {
    inspector.find_returning();
    state::find_loose_aliases(&mut inspector);
    let records = fate_reports(&inspector);
    let dangling = state::dangling(&inspector.view);
    let opened = state::opened(&inspector.view);
    let undeclared = state::undeclared(&inspector.view);
    let mut hazards = hazards(&place.name, &place.bootstrap, &place.topic);
    let (replicas, brokers) = (place.topic.replication, place.cluster.brokers);
    hazards.extend(replication_hazard(&place.name, &place.bootstrap, replicas, brokers));
    let problems = problems(&Findings {
        topic: &place.name,
        hazards: &hazards,
        records: &records,
        dangling: &dangling,
        opened: &opened,
        undeclared: &undeclared,
    });
    let state = State::of(&inspector, choice);
    let missing = state.missing(choice);
    let compaction = compaction(&inspector);
    Inspection {
        format: FORMAT,
        sound: problems.is_empty(),
        problems,
        topic: topic_report(place, inspector.records),
        dialect: inspector.dialect(),
        narrowed_to: Narrow {
            context: choice.context.as_ref().map(ContextName::to_string),
            subject: choice.subject.as_ref().map(Subject::to_string),
        },
        missing,
        contexts: state.contexts,
        subjects: state.subjects,
        modes: state.modes,
        configs: state.configs,
        dangling_references: dangling,
        opened_subjects: opened,
        records,
        kinds: by_records(inspector.kinds.into_values(), |kind| kind.records),
        spellings: by_records(inspector.spellings.into_values(), |spelling| spelling.records),
        writers: by_records(inspector.writers.into_values(), |writer| writer.records),
        compaction,
        notes: notes(place),
    }
}

fn by_records<T>(counts: impl Iterator<Item = T>, records: impl Fn(&T) -> u64) -> Vec<T> {
    let mut counts: Vec<T> = counts.collect();
    counts.sort_by_key(|count| std::cmp::Reverse(records(count)));
    counts
}

fn fate_reports(inspector: &Inspector) -> Vec<FateReport> {
    let report = |fate: Fate| {
        let found: Vec<(&Offset, &Finding)> =
            inspector.findings.iter().filter(|(_, finding)| finding.verdict.fate == fate).collect();
        let uncounted = inspector.uncounted.get(&fate).copied().unwrap_or_default();
        let total = u64::try_from(found.len()).unwrap_or(u64::MAX).saturating_add(uncounted);
        let listed = found.into_iter().take(LISTED_MAX).map(|(offset, finding)| FindingReport {
            offset: *offset,
            key: finding.key.clone(),
            reason: finding.verdict.reason.clone(),
            releases: finding.verdict.releases.map(str::to_owned),
        });
        FateReport { fate, total, listed: listed.collect() }
    };
    Fate::ALL.into_iter().map(report).filter(|report| report.total > 0).collect()
}

fn compaction(inspector: &Inspector) -> CompactionReport {
    let (keys, tombstones, bytes) = inspector.kept();
    CompactionReport {
        records: inspector.keyed,
        superseded: inspector.keyed.saturating_sub(keys),
        tombstones,
        bytes: inspector.bytes,
        superseded_bytes: inspector.bytes.saturating_sub(bytes),
    }
}

fn topic_report(place: &Place, records_read: u64) -> TopicReport {
    TopicReport {
        cluster_id: place.cluster.cluster_id.clone(),
        brokers: place.cluster.brokers,
        bootstrap: place.bootstrap.clone(),
        name: place.name.clone(),
        topic_id: place.topic.topic_id.clone(),
        partitions: place.topic.partitions,
        replication: place.topic.replication,
        start: place.topic.start,
        end: place.topic.end,
        records_read,
        settings: place.topic.settings.as_ref().ok().map(SettingsReport::from),
    }
}

fn notes(place: &Place) -> Vec<String> {
    let mut notes = Vec::new();
    if let Err(reason) = &place.topic.settings {
        notes.push(format!(
            "the topic's settings could not be read, so they are not checked: {reason}"
        ));
    }
    if place.topic.partitions != 1 {
        notes.push("only partition 0 was read".to_owned());
    }
    notes
}
