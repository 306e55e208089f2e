//! Comparing source and target without writing anything: what `plan` and `verify` are made of.

use std::time::Duration;

use crate::core::key::Key;
use crate::core::link::Identity;
use crate::core::link::Link;
use crate::core::link::acknowledged::Acknowledgement;
use crate::core::link::inherit::OtherLevel;
use crate::core::link::plan::Plan;
use crate::core::link::plan::Planned;
use crate::core::link::plan::PlannedKind;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::subject::Subject;
use crate::core::view::SubjectView;
use crate::service::definition::LinkDefinition;
use crate::service::fetcher::Fetcher;
use crate::service::ground::Danger;
use crate::service::ground::Ground;
use crate::service::ground::read_to_end;
use crate::service::ground::unfit_state_topic;
use crate::service::past::begin_anew;
use crate::service::past::history;
use crate::service::past::read_state_if_there;
use crate::service::past::rival;
use crate::service::past::source_claims;
use crate::service::past::with_context;
use crate::service::pipeline::Stop;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::preflight::Hazard;
use crate::service::preflight::Stops;
use crate::service::state::Checkpoint;
use crate::service::state::State;
use crate::service::state::scope_name;

/// What is said where the target's registry knows no modes.
pub const NO_FENCE: &str = "the target's registry knows no modes, so nothing keeps its clients from \
                            writing what the link owns: what they change is drift";

/// Both sides of a link as they were found, and what a reconciliation would do.
#[derive(Debug)]
pub struct Comparison {
    /// The link with both views, and its ledger of incidents and held keys.
    pub link: Link,
    /// What would be written.
    pub plan: Plan,
    /// Why nothing of it would be: the link would halt.
    pub halts: Vec<String>,
    /// The source's end that was read to.
    pub source_end: Offset,
    /// The target's end that was read to.
    pub target_end: Offset,
    /// Subjects that inherit another level in the target.
    pub other_levels: Vec<OtherLevel>,
    /// What endangers the topics, as far as a link does not halt for it.
    pub hazards: Vec<Hazard>,
    /// Where the link's checkpoint stands.
    pub checkpoint: Option<Checkpoint>,
    /// The target's topic exists.
    pub target_exists: bool,
    /// The source holds no subject that the filter chooses.
    pub chooses_nothing: bool,
}

impl Comparison {
    /// The changes that nobody lets stand as they are.
    pub fn open_changes(&self) -> impl Iterator<Item = &Planned> {
        self.plan.changes().filter(|planned| self.link.let_stand(planned).is_none())
    }

    /// The changes that a start would try, and that somebody lets stand.
    pub fn let_stand(&self) -> impl Iterator<Item = (&Planned, &Acknowledgement)> {
        self.plan.changes().filter_map(|planned| Some((planned, self.link.let_stand(planned)?)))
    }
}

/// Reads both topics afresh, to the ends they have now, and compares. Joins no group, writes nothing.
/// `wall_ms` is the time in ms since 1970, for what the brake remembers.
///
/// # Errors
/// A cluster out of reach, a source topic that does not exist, a right that is missing.
pub async fn compare<C: Cluster>(
    source: &C,
    target: &C,
    definition: &LinkDefinition,
    wall_ms: i64,
) -> Result<Comparison, Stop> {
    let ground = Ground::survey(source, target, definition).await?;
    let state = match read_state_if_there(target, &definition.state_topic).await {
        // What the link wrote is told by its headers then; claims and checkpoint are not known.
        Err(Stop::Fault(fault)) if fault.class == FaultClass::NotPermitted => State::default(),
        state => state?,
    };
    let definition = &with_context(definition, &ground.source.cluster_id, &state)?;
    let checkpoint = state.checkpoints.get(&scope_name(&definition.rules.scope())).cloned();
    let ground = ground.no_older_than(checkpoint.as_ref(), (source, target), definition).await?;
    let claims = source_claims(source, definition).await?;
    let rules = &definition.rules;
    let mut past = history(&state, rules, &ground.source.cluster_id, claims);
    begin_anew(&mut past, definition, ground.target_end());
    let identity = Identity {
        writer: definition.instance.clone(),
        epoch: 0,
        source_cluster: ground.source.cluster_id.clone(),
        target_cluster: ground.target.cluster_id.clone(),
    };
    let permissions = definition.permissions(definition.once, &state, wall_ms);
    let mut link = Link::new(rules.clone(), identity, past, permissions);
    let mut changed = Vec::new();
    let target_end = read(target, &definition.target_topic, ground.target_end(), |record| {
        link.read_target(record, &mut changed);
        changed.clear();
    })
    .await?;
    let source_end = read(source, &definition.source_topic, ground.source_topic.end, |record| {
        link.fold_source(record);
    })
    .await?;
    // In the order in which a start would meet them.
    let mut halts = ground.not_created(target, definition).await?;
    let (stopping, rest): (Vec<Danger>, Vec<Danger>) = ground
        .dangers(source, target, definition)
        .into_iter()
        .partition(|danger| danger.hazard.stops == Stops::Yes);
    halts.extend(stopping.iter().map(|danger| format!("{}: {}", danger.place, danger.hazard)));
    let state_topic = target.topic(&definition.state_topic).await?;
    let unfit = |facts| unfit_state_topic(target, &definition.state_topic, &facts);
    let unfit = state_topic.and_then(unfit);
    halts.extend(unfit.map(|hazard| format!("target {}: {hazard}", target.name())));
    halts.extend(rival(&state, definition, &ground.source.cluster_id, target));
    halts.extend(link.admit().err().map(|halt| halt.told(definition.leave())));
    let plan = link.plan();
    halts.extend(link.check_names().err().map(|halt| halt.told(definition.leave())));
    let suspicions = ground.suspicions(checkpoint.as_ref());
    let now = Duration::ZERO;
    recall_deletes(&mut link, checkpoint.as_ref(), now, wall_ms);
    let released = ground.release(definition, checkpoint.as_ref()).map(|braked| braked.deleted);
    let braked = match released {
        _ if definition.once.allow_deletes => Ok(()),
        Some(released) => link.brake_beyond(released, &plan, source_end, now),
        None => link.brake(&plan, &suspicions, source_end, now),
    };
    halts.extend(braked.err().map(|halt| halt.told(definition.leave())));
    Ok(Comparison {
        hazards: rest.into_iter().map(|danger| danger.hazard).collect(),
        other_levels: link.other_levels(),
        chooses_nothing: chooses_nothing(&link),
        target_exists: ground.target_topic.is_some(),
        link,
        plan,
        halts,
        source_end,
        target_end,
        checkpoint,
    })
}

/// What earlier lives of the link deleted counts for its brake for the rest of its hour.
pub(super) fn recall_deletes(
    link: &mut Link,
    checkpoint: Option<&Checkpoint>,
    now: Duration,
    wall_ms: i64,
) {
    for (age, subjects) in checkpoint.into_iter().flat_map(|kept| kept.deleted_before(wall_ms)) {
        link.recall_deletes(now, age, subjects);
    }
}

/// Whether the filter meets no subject of the source: most often a name is spelled wrong.
fn chooses_nothing(link: &Link) -> bool {
    let filter = &link.rules().filter;
    let mut subjects = link.source().contexts().flat_map(|(context, view)| {
        let stands = |held: &SubjectView| !held.versions().is_empty() || held.config.is_some();
        let standing = view.subjects().filter(move |(_, held)| stands(held));
        standing.map(move |(name, _)| Subject::new(context, name))
    });
    !subjects.any(|subject| !subject.is_context() && filter.selects(&subject))
}

async fn read<C: Cluster>(
    cluster: &C,
    topic: &str,
    end: Offset,
    take: impl FnMut(&Record),
) -> Result<Offset, Fault> {
    if end == 0 {
        return Ok(0);
    }
    let mut log = cluster.read(topic, 0, 0).await?;
    read_to_end(&mut log, end, take).await
}

/// One key in which both sides differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key in the target.
    pub key: String,
    /// `missing`, `extra` or `different`.
    pub kind: DifferenceKind,
    /// The fields that differ, where both sides hold the key.
    pub fields: Vec<FieldDifference>,
    /// The source's record, where there is one.
    pub source_offset: Option<Offset>,
}

/// How a key differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The source has it, the target has not.
    Missing,
    /// The target has it, the source has not.
    Extra,
    /// Both have it and it says something else.
    Different,
}

impl DifferenceKind {
    /// What a change would put right.
    #[must_use]
    pub fn of(change: PlannedKind) -> Self {
        match change {
            PlannedKind::Add => Self::Missing,
            PlannedKind::Alter => Self::Different,
            PlannedKind::Delete => Self::Extra,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
        }
    }
}

/// A field with another value on each side. Long values are cut, schema text among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDifference {
    /// The field's name.
    pub field: String,
    /// As the source would have it.
    pub wanted: Option<String>,
    /// As the target has it.
    pub found: Option<String>,
}

/// Characters of a field's value that are shown.
const SHOWN_CHARS: usize = 80;

/// Names every key in which the sides differ and nobody lets it stand; for those that both hold, the fields.
///
/// # Errors
/// Faults of reading single records again.
pub async fn differences<C: Cluster>(
    source: &C,
    target: &C,
    definition: &LinkDefinition,
    comparison: &Comparison,
) -> Result<Vec<Difference>, Stop> {
    let mut sources = Fetcher::new(source.clone(), &definition.source_topic);
    let mut targets = Fetcher::new(target.clone(), &definition.target_topic);
    let mut found = Vec::new();
    for planned in comparison.open_changes() {
        let kind = DifferenceKind::of(planned.kind);
        let mut fields = Vec::new();
        if kind == DifferenceKind::Different {
            let wanted = match planned.offset {
                Some(offset) => sources.fetch(offset).await?,
                None => None,
            };
            let held = match comparison.link.target_offset(&planned.key) {
                Some(offset) => targets.fetch(offset).await?,
                None => None,
            };
            fields =
                field_differences(&comparison.link, &planned.key, wanted.as_ref(), held.as_ref());
        }
        found.push(Difference {
            key: planned.key.to_string(),
            kind,
            fields,
            source_offset: planned.offset,
        });
    }
    Ok(found)
}

fn field_differences(
    link: &Link,
    key: &Key,
    behind: Option<&Record>,
    held: Option<&Record>,
) -> Vec<FieldDifference> {
    let wanted = link.wanted_value(key, behind).unwrap_or_default();
    let found = held.and_then(|record| record.value.clone()).unwrap_or_default();
    let parse = |bytes: &[u8]| {
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes)
            .unwrap_or_default()
    };
    let (wanted, found) = (parse(&wanted), parse(&found));
    let mut names: Vec<&String> = wanted.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| !matches!(name.as_str(), "offset" | "ts"))
        .filter(|name| wanted.get(*name) != found.get(*name))
        .map(|name| FieldDifference {
            field: name.clone(),
            wanted: wanted.get(name).map(shown),
            found: found.get(name).map(shown),
        })
        .collect()
}

fn shown(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN_CHARS {
        return text;
    }
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    format!("{cut}… ({} bytes)", text.len())
}
