//! What is wrong, in words, each with what to do about it.

use super::Fate;
use super::document::Area;
use super::document::DanglingReference;
use super::document::FateReport;
use super::document::OpenedSubject;
use super::document::Problem;
use crate::service::preflight::Hazard;
use crate::service::preflight::Stops;

/// Everything that problems are made of.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    pub(super) topic: &'a str,
    pub(super) hazards: &'a [Hazard],
    pub(super) records: &'a [FateReport],
    pub(super) dangling: &'a [DanglingReference],
    pub(super) opened: &'a [OpenedSubject],
    pub(super) undeclared: &'a [String],
}

/// The problems, the worst first.
pub(super) fn problems(found: &Findings<'_>) -> Vec<Problem> {
    let hazards = |stops: Stops| {
        let chosen = found.hazards.iter().filter(move |hazard| hazard.stops == stops);
        chosen.map(|hazard| Problem {
            area: Area::Topic,
            what: hazard.what.clone(),
            mend: hazard.mend.clone(),
        })
    };
    let mut problems: Vec<Problem> = hazards(Stops::Yes).collect();
    problems.extend(found.records.iter().filter_map(|report| of_records(found.topic, report)));
    problems.extend(of_references(found.dangling));
    problems.extend(of_fence(found.opened));
    problems.extend(of_contexts(found.undeclared));
    problems.extend(hazards(Stops::No));
    problems
}

fn of_records(topic: &str, report: &FateReport) -> Option<Problem> {
    let first = report.listed.first()?;
    let at = format!("the first at offset {}: {}", first.offset, first.reason);
    let (what, mend) = match report.fate {
        Fate::Dies => (
            format!("{} that a registry dies of; {at}", records(report.total)),
            format!(
                "don't restart registries that still answer reads; copy {topic} without these offsets \
                 into a new compacted topic with one partition and point kafkastore.topic to it (a \
                 tombstone does not help: its key is the same)"
            ),
        ),
        Fate::Hangs => (
            format!("{} that a registry hangs at; {at}", records(report.total)),
            "write the same key with the highest version the subject has, wait until compaction has \
             taken this one, then restart the registry"
                .to_owned(),
        ),
        Fate::Misreads => (
            format!("{} that a registry misreads; {at}", records(report.total)),
            "register or set again over REST what was meant; where that is refused, write a \
             tombstone under the same key bytes first"
                .to_owned(),
        ),
        Fate::Ignores => (
            format!("{} that a registry ignores; {at}", records(report.total)),
            "register or set again over REST what was meant; what was never meant takes a tombstone \
             under the same key bytes"
                .to_owned(),
        ),
        Fate::LosesId => (
            format!("{} whose id is taken by another text; {at}", records(report.total)),
            "write a tombstone under the same key bytes, or a rewrite of the winner makes the loser \
             win at a restart; then register the text again"
                .to_owned(),
        ),
        Fate::Notable => return None,
    };
    Some(Problem { area: Area::Records, what, mend })
}

fn of_references(dangling: &[DanglingReference]) -> Option<Problem> {
    let first = dangling.first()?;
    Some(Problem {
        area: Area::References,
        what: format!(
            "{} that lead to nothing, the first from {} v{} to {} v{}: registrations and look-ups that \
             resolve them are answered 422",
            counted(dangling.len(), "reference", "references"),
            first.subject,
            first.version,
            first.to_subject,
            first.to_version
        ),
        mend:
            "register the missing version, with its number, in IMPORT mode; or delete what refers"
                .to_owned(),
    })
}

fn of_fence(opened: &[OpenedSubject]) -> Option<Problem> {
    let first = opened.first()?;
    Some(Problem {
        area: Area::Fence,
        what: format!(
            "{} open for clients below a fence, the first {} ({} below {})",
            counted(opened.len(), "subject is", "subjects are"),
            first.subject,
            first.mode,
            first.fence
        ),
        mend: format!("take its own mode away: curl -X DELETE REGISTRY/mode/{}", first.subject),
    })
}

fn of_contexts(undeclared: &[String]) -> Option<Problem> {
    let first = undeclared.first()?;
    Some(Problem {
        area: Area::Contexts,
        what: format!(
            "{} subjects and no CONTEXT record: {}; registries do not list it, and look-ups without a \
             context do not find them",
            counted(undeclared.len(), "context holds", "contexts hold"),
            undeclared.join(", ")
        ),
        mend: format!(
            "register any schema in the context over REST, which writes it: POST \
             REGISTRY/subjects/:{first}:NAME/versions"
        ),
    })
}

fn records(total: u64) -> String {
    if total == 1 { "1 record".to_owned() } else { format!("{total} records") }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
