//! `plan` and `verify`: both sides read afresh, nothing written.

use std::time::Duration;

use serde::Serialize;

use crate::cli::args::LinkSource;
use crate::cli::args::Output;
use crate::cli::args::Releases;
use crate::cli::exit;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::assignments;
use crate::cli::output;
use crate::cli::output::visible;
use crate::core::key::Key;
use crate::core::link::plan::Planned;
use crate::core::link::plan::PlannedKind;
use crate::service::clock::SystemClock;
use crate::service::compare::Comparison;
use crate::service::compare::Difference;
use crate::service::compare::compare;
use crate::service::compare::differences;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::FaultClass;
use crate::service::worker::ONE_SHOT_LIMIT;

/// The pause before a cluster that was out of reach is asked again.
const ASK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// One link, compared. The fields of the JSON document are stable.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    link: String,
    /// `equal`, `different` or `unknown`.
    result: &'static str,
    /// Why it is `unknown`; empty otherwise.
    reason: String,
    source_end: i64,
    target_end: i64,
    /// Keys of the target that say what the source says.
    in_sync: usize,
    /// What a start would write, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<ChangeShown>,
    /// The keys in which the sides differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<DifferenceShown>,
    /// Why a start would halt before it writes anything.
    halts: Vec<String>,
    incidents: Vec<SetAside>,
    held: Vec<SetAside>,
    /// What is copied and worth knowing.
    remarks: Vec<SetAside>,
    /// Subjects that inherit another compatibility level in the target than in the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_levels: Vec<LevelShown>,
    /// What endangers the topics, with the command that mends it.
    hazards: Vec<String>,
}

#[derive(Debug, Serialize)]
struct LevelShown {
    context: String,
    source: &'static str,
    target: &'static str,
    subjects: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ChangeShown {
    /// `+`, `~` or `-`.
    sign: char,
    key: String,
    id: Option<i32>,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct DifferenceShown {
    /// `missing`, `extra` or `different`.
    kind: &'static str,
    key: String,
    source_offset: Option<i64>,
    fields: Vec<FieldShown>,
}

#[derive(Debug, Serialize)]
struct FieldShown {
    field: String,
    source: Option<String>,
    target: Option<String>,
}

#[derive(Debug, Serialize)]
struct SetAside {
    key: String,
    /// The source record's offset.
    offset: Option<i64>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Answers {
    links: Vec<Answer>,
}

/// Says what a start would write.
pub(super) async fn plan(
    links: &LinkSource,
    releases: Releases,
    wanted: Output,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    let mut answers = Vec::new();
    for link in assignments(links, releases, clock)? {
        let mut answer = match patiently(&link, clock).await {
            Ok(comparison) => {
                let mut answer = answer_of(&link, &comparison);
                answer.changes = comparison.plan.changes().map(change_shown).collect();
                answer
            }
            Err(stop) => unknown(&link, &stop),
        };
        answer.link = link.definition.rules.name;
        answers.push(answer);
    }
    Ok(give(answers, wanted, plan_text))
}

/// Says whether both sides say the same.
pub(super) async fn verify(
    links: &LinkSource,
    wanted: Output,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    let mut answers = Vec::new();
    for link in assignments(links, Releases::default(), clock)? {
        answers.push(verify_one(&link, clock).await);
    }
    Ok(give(answers, wanted, verify_text))
}

/// Compares one link's sides.
pub(super) async fn verify_one(link: &Link, clock: SystemClock) -> Answer {
    match verified(link, clock).await {
        Ok(answer) => answer,
        Err(stop) => unknown(link, &stop),
    }
}

async fn verified(link: &Link, clock: SystemClock) -> Result<Answer, Stop> {
    let comparison = patiently(link, clock).await?;
    let found = differences(&link.source, &link.target, &link.definition, &comparison).await?;
    let mut answer = answer_of(link, &comparison);
    answer.differences = found.into_iter().map(difference_shown).collect();
    Ok(answer)
}

/// Compares; a cluster that is out of reach is asked again for as long as a command for once waits.
async fn patiently(link: &Link, clock: SystemClock) -> Result<Comparison, Stop> {
    let started = clock.monotonic();
    loop {
        let stop = match compare(&link.source, &link.target, &link.definition).await {
            Ok(comparison) => return Ok(comparison),
            Err(stop) => stop,
        };
        let waits = matches!(&stop, Stop::Fault(fault) if fault.class == FaultClass::Transient)
            && clock.monotonic().saturating_sub(started) < ONE_SHOT_LIMIT;
        if !waits {
            return Err(stop);
        }
        clock.sleep(ASK_AGAIN_EVERY).await;
    }
}

fn unknown(link: &Link, stop: &Stop) -> Answer {
    let reason = match stop {
        Stop::Fault(fault) => fault.to_string(),
        Stop::Halt(reason) => reason.clone(),
        Stop::LeaseLost | Stop::Shutdown => "it was interrupted".to_owned(),
    };
    Answer {
        link: link.definition.rules.name.clone(),
        result: "unknown",
        reason,
        ..Answer::default()
    }
}

fn answer_of(link: &Link, comparison: &Comparison) -> Answer {
    let ledger = comparison.link.ledger();
    let incidents: Vec<SetAside> = ledger
        .incidents()
        .map(|(_, incident)| SetAside {
            key: visible(&incident.key),
            offset: incident.offset,
            reason: visible(&incident.reason),
        })
        .collect();
    let held: Vec<SetAside> = ledger
        .held()
        .map(|(key, held)| SetAside {
            key: visible(&key.to_string()),
            offset: Some(held.offset),
            reason: visible(&held.reason),
        })
        .collect();
    let equal = comparison.plan.is_empty()
        && incidents.is_empty()
        && held.is_empty()
        && comparison.halts.is_empty();
    Answer {
        link: link.definition.rules.name.clone(),
        result: if equal { "equal" } else { "different" },
        source_end: comparison.source_end,
        target_end: comparison.target_end,
        in_sync: comparison.plan.in_sync,
        halts: comparison.halts.iter().map(|halt| visible(halt)).collect(),
        incidents,
        held,
        remarks: ledger
            .remarks()
            .map(|(key, remark)| SetAside {
                key: visible(&key.to_string()),
                offset: None,
                reason: visible(remark),
            })
            .collect(),
        hazards: comparison.hazards.iter().map(ToString::to_string).collect(),
        other_levels: comparison
            .other_levels
            .iter()
            .map(|level| LevelShown {
                context: level.context.to_string(),
                source: level.source.as_str(),
                target: level.target.as_str(),
                subjects: level.subjects.iter().map(|s| visible(&s.to_string())).collect(),
            })
            .collect(),
        ..Answer::default()
    }
}

fn change_shown(planned: &Planned) -> ChangeShown {
    ChangeShown {
        sign: match planned.kind {
            PlannedKind::Add => '+',
            PlannedKind::Alter => '~',
            PlannedKind::Delete => '-',
        },
        key: visible(&shown_key(&planned.key)),
        id: planned.id,
        reason: planned.reason,
    }
}

fn shown_key(key: &Key) -> String {
    key.to_string()
}

fn difference_shown(difference: Difference) -> DifferenceShown {
    DifferenceShown {
        kind: difference.kind.word(),
        key: visible(&difference.key),
        source_offset: difference.source_offset,
        fields: difference
            .fields
            .into_iter()
            .map(|field| FieldShown {
                field: visible(&field.field),
                source: field.wanted.as_deref().map(visible),
                target: field.found.as_deref().map(visible),
            })
            .collect(),
    }
}

fn give(answers: Vec<Answer>, wanted: Output, text: fn(&Answer) -> String) -> u8 {
    let code = code_of(&answers);
    match wanted {
        Output::Table => {
            let texts: Vec<String> = answers.iter().map(text).collect();
            output::answer(&texts.join("\n"));
        }
        Output::Json => output::answer_json(&Answers { links: answers }),
    }
    code
}

/// The gravest answer decides.
pub(super) fn code_of(answers: &[Answer]) -> u8 {
    answers
        .iter()
        .map(|answer| match answer.result {
            "equal" => exit::DONE,
            "different" => exit::DIFFERENT,
            _ => exit::UNKNOWN,
        })
        .max()
        .unwrap_or(exit::DONE)
}

fn plan_text(answer: &Answer) -> String {
    if answer.result == "unknown" {
        return format!("{}: can't tell: {}\n", answer.link, answer.reason);
    }
    let mut lines = vec![format!("{}: {}", answer.link, plan_summary(answer))];
    for change in &answer.changes {
        let id = change.id.map(|id| format!(" id {id}")).unwrap_or_default();
        lines.push(format!("{} {}{id}  ({})", change.sign, change.key, change.reason));
    }
    push_rest(answer, &mut lines);
    joined(lines)
}

fn plan_summary(answer: &Answer) -> String {
    if answer.changes.is_empty() {
        return format!("nothing to write; {} keys in sync", answer.in_sync);
    }
    let count = |sign| answer.changes.iter().filter(|change| change.sign == sign).count();
    format!(
        "{} to add, {} to change, {} to delete; {} keys in sync",
        count('+'),
        count('~'),
        count('-'),
        answer.in_sync
    )
}

/// What `verify` says to a person.
pub(super) fn verify_text(answer: &Answer) -> String {
    if answer.result == "unknown" {
        return format!("{}: can't tell: {}\n", answer.link, answer.reason);
    }
    let ends = format!("source end {}, target end {}", answer.source_end, answer.target_end);
    let mut lines = if answer.result == "equal" {
        vec![format!("{}: equal; {} keys, {ends}", answer.link, answer.in_sync)]
    } else {
        vec![format!(
            "{}: different; {} differences, {} incidents, {} held, {} keys equal, {ends}",
            answer.link,
            answer.differences.len(),
            answer.incidents.len(),
            answer.held.len(),
            answer.in_sync
        )]
    };
    for difference in &answer.differences {
        lines.push(format!("{:>9}  {}", difference.kind, difference.key));
        for field in &difference.fields {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
            lines.push(format!(
                "           {}: source {}, target {}",
                field.field,
                side(&field.source),
                side(&field.target)
            ));
        }
    }
    push_rest(answer, &mut lines);
    joined(lines)
}

fn push_rest(answer: &Answer, lines: &mut Vec<String>) {
    for halt in &answer.halts {
        lines.push(format!("    halts  {halt}"));
    }
    for (word, list) in
        [("incident", &answer.incidents), ("held", &answer.held), ("remark", &answer.remarks)]
    {
        for item in list {
            let at = item.offset.map(|offset| format!(" (source offset {offset})"));
            let at = at.unwrap_or_default();
            lines.push(format!("{word:>9}  {}{at}: {}", item.key, item.reason));
        }
    }
    for level in &answer.other_levels {
        lines.push(format!(
            "    level  context {}: {} here, {} in the source, for {}",
            level.context,
            level.target,
            level.source,
            level.subjects.join(", ")
        ));
    }
    for hazard in &answer.hazards {
        lines.push(format!("   hazard  {hazard}"));
    }
}

fn joined(lines: Vec<String>) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}
