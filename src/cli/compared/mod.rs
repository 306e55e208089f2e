//! `plan` and `verify`: both sides read afresh, nothing written.

mod text;

use serde::Serialize;

use self::text::plan_text;
pub(super) use self::text::verify_text;

use crate::cli::args::LinkSource;
use crate::cli::args::Output;
use crate::cli::args::Releases;
use crate::cli::exit;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::assignments;
use crate::cli::output;
use crate::cli::output::visible;
use crate::cli::patience::Patience;
use crate::core::dialect::Concluded;
use crate::core::key::Key;
use crate::core::link::acknowledged::Acknowledgement;
use crate::core::link::ledger::About;
use crate::core::link::ledger::Incident;
use crate::core::link::ledger::Ledger;
use crate::core::link::plan::Planned;
use crate::core::link::plan::PlannedKind;
use crate::service::clock::SystemClock;
use crate::service::compare::Comparison;
use crate::service::compare::Difference;
use crate::service::compare::DifferenceKind;
use crate::service::compare::NO_FENCE;
use crate::service::compare::differences;
use crate::service::pipeline::Stop;

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
    /// The registry that the source's log is taken for, and why; null where it was not read.
    source_dialect: Option<DialectShown>,
    /// The same of the target: what is written follows from it.
    target_dialect: Option<DialectShown>,
    /// Why no fence can stand in the target; null where one can.
    no_fence: Option<&'static str>,
    /// The source holds no subject that the filter chooses: a name is spelled wrong, or another
    /// cluster was meant.
    chooses_nothing: bool,
    /// Keys of the target that say what the source says.
    in_sync: usize,
    /// How many changes `plan` lists, and what they come to.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Totals>,
    /// What a start would write, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<ChangeShown>,
    /// The keys in which the sides differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<DifferenceShown>,
    /// Why a start would halt before it writes anything.
    halts: Vec<String>,
    /// Those that nobody has acknowledged.
    incidents: Vec<SetAside>,
    /// Incidents that somebody lets stand: they make no difference.
    acknowledged: Vec<LetStand>,
    held: Vec<SetAside>,
    /// What is copied and worth knowing.
    remarks: Vec<SetAside>,
    /// Subjects that inherit another compatibility level in the target than in the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_levels: Vec<LevelShown>,
    /// What endangers the topics, with the command that mends it.
    hazards: Vec<String>,
}

/// Changes to keys of the target, by kind.
#[derive(Debug, Serialize)]
struct Totals {
    to_add: usize,
    to_change: usize,
    to_delete: usize,
    /// Live subjects that the link holds in the target before.
    live_subjects: usize,
    /// Those of them that no live version is left of: what the brake counts.
    deleted_subjects: usize,
}

#[derive(Debug, Serialize)]
struct DialectShown {
    /// As a configuration declares it; never `auto`.
    dialect: &'static str,
    why: String,
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
    /// As the link would have it: the source's value, or the link's own.
    wanted: Option<String>,
    /// As it stands in the target.
    found: Option<String>,
}

#[derive(Debug, Serialize)]
struct SetAside {
    key: String,
    /// The source record's offset.
    offset: Option<i64>,
    reason: String,
    /// What ends it; null where the reason says so itself.
    remedy: Option<String>,
}

/// An incident, and who lets it stand.
#[derive(Debug, Serialize)]
struct LetStand {
    #[serde(flatten)]
    incident: SetAside,
    by: String,
    why: String,
    /// When it was acknowledged, in ms since 1970.
    at_ms: i64,
}

impl LetStand {
    fn new(incident: SetAside, acknowledgement: &Acknowledgement) -> Self {
        let Acknowledgement { by, why, at_ms, .. } = acknowledgement;
        Self { incident, by: visible(by), why: visible(why), at_ms: *at_ms }
    }
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
    let mut patience = Patience::begin(clock);
    for link in assignments(links, releases, clock)? {
        let mut answer = match patience.compare(&link).await {
            Ok(comparison) => {
                let mut answer = answer_of(&link, &comparison);
                answer.totals = Some(totals(&comparison));
                answer.changes = comparison.open_changes().map(change_shown).collect();
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
    let mut patience = Patience::begin(clock);
    for link in assignments(links, Releases::default(), clock)? {
        answers.push(verify_one(&link, &mut patience).await);
    }
    Ok(give(answers, wanted, verify_text))
}

/// Compares one link's sides.
pub(super) async fn verify_one(link: &Link, patience: &mut Patience) -> Answer {
    match verified(link, patience).await {
        Ok(answer) => answer,
        Err(stop) => unknown(link, &stop),
    }
}

async fn verified(link: &Link, patience: &mut Patience) -> Result<Answer, Stop> {
    let comparison = patience.compare(link).await?;
    let found = differences(&link.source, &link.target, &link.definition, &comparison).await?;
    let mut answer = answer_of(link, &comparison);
    answer.differences = found.into_iter().map(difference_shown).collect();
    Ok(answer)
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
    let incidents: Vec<SetAside> = ledger.open_incidents().map(incident_shown).collect();
    let held: Vec<SetAside> = ledger
        .held()
        .map(|(key, held)| SetAside {
            key: visible(&key.to_string()),
            offset: Some(held.offset),
            reason: visible(&held.reason),
            remedy: held.remedy().as_deref().map(visible),
        })
        .collect();
    let equal = comparison.open_changes().next().is_none()
        && incidents.is_empty()
        && held.is_empty()
        && comparison.halts.is_empty();
    Answer {
        link: link.definition.rules.name.clone(),
        result: if equal { "equal" } else { "different" },
        source_end: comparison.source_end,
        target_end: comparison.target_end,
        source_dialect: Some(dialect_shown(comparison.link.source_dialect())),
        target_dialect: Some(dialect_shown(comparison.link.target_dialect())),
        no_fence: comparison.link.knows_no_fence().then_some(NO_FENCE),
        chooses_nothing: comparison.chooses_nothing,
        in_sync: comparison.plan.in_sync,
        halts: comparison.halts.iter().map(|halt| visible(halt)).collect(),
        incidents,
        acknowledged: acknowledged(ledger).chain(let_stand(comparison)).collect(),
        held,
        remarks: ledger
            .remarks()
            .map(|(key, remark)| SetAside {
                key: visible(&key.to_string()),
                offset: None,
                reason: visible(remark),
                remedy: None,
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

fn incident_shown((about, incident): (&About, &Incident)) -> SetAside {
    SetAside {
        key: visible(&incident.key),
        offset: incident.offset,
        reason: visible(&incident.reason),
        remedy: about.remedy().map(str::to_owned),
    }
}

fn acknowledged(ledger: &Ledger) -> impl Iterator<Item = LetStand> {
    ledger.incidents().filter_map(|(about, incident)| {
        let acknowledgement = ledger.acknowledgement(about, incident)?;
        Some(LetStand::new(incident_shown((about, incident)), acknowledgement))
    })
}

/// Keys that the link, while it writes, can't bring to what the source says, and that somebody lets stand.
fn let_stand(comparison: &Comparison) -> impl Iterator<Item = LetStand> {
    comparison.let_stand().map(|(planned, acknowledgement)| {
        let kind = DifferenceKind::of(planned.kind).word();
        let incident = SetAside {
            key: visible(&planned.key.to_string()),
            offset: acknowledgement.offset,
            reason: format!("{kind} in the target; a start tries to write it"),
            remedy: None,
        };
        LetStand::new(incident, acknowledgement)
    })
}

fn totals(comparison: &Comparison) -> Totals {
    let plan = &comparison.plan;
    let count = |kind| comparison.open_changes().filter(|planned| planned.kind == kind).count();
    Totals {
        to_add: count(PlannedKind::Add),
        to_change: count(PlannedKind::Alter),
        to_delete: count(PlannedKind::Delete),
        live_subjects: plan.live,
        deleted_subjects: plan.deleted,
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

fn dialect_shown(concluded: Concluded) -> DialectShown {
    DialectShown { dialect: concluded.dialect.as_str(), why: concluded.why() }
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
                wanted: field.wanted.as_deref().map(visible),
                found: field.found.as_deref().map(visible),
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
