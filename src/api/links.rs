//! `/links`: what every link is doing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::board::Seen;
use super::server::Shared;
use super::shown;
use super::shown::Named;
use super::shown::NotOne;
use super::shown::Shown;
use crate::core::link::Outcome;
use crate::core::naming::Naming;
use crate::core::record::Offset;
use crate::core::record::after;
use crate::core::rules::Placement;
use crate::core::rules::Rules;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::set_aside::SetAside;
use crate::service::status::Phase;
use crate::service::status::Status;

/// Keys set aside that are told with their link; the others are asked for.
const SET_ASIDE_FIRST_MAX: usize = 3;

#[derive(Debug, Serialize)]
pub(super) struct Links {
    links: Vec<LinkStatus>,
}

/// What a link has done, and what it left undone, wherever it is told.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    records: BTreeMap<&'static str, u64>,
    puts: u64,
    deletions: u64,
    writes_in_flight: u64,
    /// Those that nobody has acknowledged.
    incidents: usize,
    acknowledged: usize,
}

impl Counted {
    pub(super) fn of(status: &Status) -> Self {
        let count = |outcome: Outcome| (outcome.word(), status.counts.of(outcome));
        Self {
            records: Outcome::ALL.into_iter().map(count).collect(),
            puts: status.counts.puts,
            deletions: status.counts.deletions,
            writes_in_flight: status.writes_in_flight,
            incidents: status.incidents.open(),
            acknowledged: status.incidents.acknowledged,
        }
    }
}

/// A link, in numbers that say their unit.
#[derive(Debug, Serialize)]
pub(super) struct LinkStatus {
    link: String,
    source: String,
    target: String,
    /// Whether it can be changed over REST: links of the file can't.
    changeable: bool,
    /// `unknown` where it is kept and this process can't run it.
    state: &'static str,
    /// Why it stands still or waits.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// For how long it has been in this state.
    state_ms: u64,
    /// `null` while it stands by or does not run, as the next.
    lag_records: Option<u64>,
    lag_ms: Option<u64>,
    /// Everything before this source offset is in the target.
    done_before: Offset,
    source_end: Offset,
    #[serde(flatten)]
    counted: Counted,
    held_keys: usize,
    drifted_keys: usize,
    repairs: u64,
    lives: u64,
    /// `null` before the first one.
    checkpoint_age_ms: Option<u64>,
}

/// What a link is told to do, in the words of a file.
#[derive(Debug, Serialize)]
struct Told {
    context: String,
    subjects: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_renames: Option<Value>,
    fence: &'static str,
}

impl Told {
    fn of(rules: &Rules) -> Self {
        let (subject_format, subject_renames) = match &rules.naming {
            Naming::Format(format) => ((!format.keeps_names()).then(|| format.to_string()), None),
            Naming::List(list) => (None, serde_json::from_str(&list.to_string()).ok()),
        };
        Self {
            context: match &rules.placement {
                Placement::Into(context) => context.to_string(),
                Placement::Same => "none".to_owned(),
            },
            subjects: rules.filter.spelled(),
            subject_format,
            subject_renames,
            fence: rules.fence.as_str(),
        }
    }
}

/// A link with what it is told to do, and the first of what it sets aside.
#[derive(Debug, Serialize)]
pub(super) struct LinkDetails {
    #[serde(flatten)]
    status: LinkStatus,
    /// Nothing where it does not run here, or does not know yet which context `auto` means.
    #[serde(flatten)]
    told: Option<Told>,
    set_aside: Vec<SetAside>,
    /// How many more there are.
    set_aside_left_off: usize,
}

/// What a link does not copy.
#[derive(Debug, Serialize)]
pub(super) struct Incidents {
    link: String,
    source: String,
    target: String,
    state: &'static str,
    /// Keys that are not copied, and that nobody has acknowledged.
    incidents: usize,
    /// Those that somebody has.
    acknowledged: usize,
    /// Keys that wait for something else.
    held_keys: usize,
    set_aside: Vec<SetAside>,
    /// How many more there are; the log and `verify` name them.
    set_aside_left_off: usize,
}

pub(super) fn links<C: Cluster, K: Clock>(shared: &Shared<C, K>) -> Links {
    let now = shared.board.now();
    let all = shown::all(shared).into_iter();
    Links { links: all.map(|shown| LinkStatus::of(shown, now)).collect() }
}

/// The link with this name.
pub(super) fn link<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    named: &Named,
) -> Result<LinkDetails, NotOne> {
    let shown = shown::one(shared, named)?;
    let (set_aside, set_aside_left_off) = set_aside(&shown.seen.status, SET_ASIDE_FIRST_MAX);
    let told = shown.seen.status.definition.as_ref().map(|definition| Told::of(&definition.rules));
    let status = LinkStatus::of(shown, shared.board.now());
    Ok(LinkDetails { status, told, set_aside, set_aside_left_off })
}

/// What the link with this name does not copy.
pub(super) fn incidents<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    named: &Named,
) -> Result<Incidents, NotOne> {
    let Shown { seen, state, .. } = shown::one(shared, named)?;
    let Seen { link, source, target, status } = seen;
    let (set_aside, set_aside_left_off) = set_aside(&status, usize::MAX);
    Ok(Incidents {
        link,
        source,
        target,
        state,
        incidents: status.incidents.open(),
        acknowledged: status.incidents.acknowledged,
        held_keys: status.held,
        set_aside,
        set_aside_left_off,
    })
}

/// So many of the keys that are set aside, and how many more there are.
fn set_aside(status: &Status, shown_max: usize) -> (Vec<SetAside>, usize) {
    let shown: Vec<SetAside> = status.set_aside.iter().take(shown_max).cloned().collect();
    let left_off = status.keys_set_aside().saturating_sub(shown.len());
    (shown, left_off)
}

/// Whether a link has brought its source up to an offset.
#[derive(Debug, Serialize)]
pub(super) struct CaughtUp {
    caught_up: bool,
    /// The source offset that was asked about; `null` where the source was not seen to hold any.
    up_to: Option<Offset>,
    /// Everything before this source offset is in the target.
    done_before: Offset,
    source_end: Offset,
    state: &'static str,
    /// Why it stands still or waits.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// Keys that are not copied, and that nobody has acknowledged.
    incidents: usize,
    /// Keys that are not copied, and that somebody lets stand: they hold up nobody.
    acknowledged: usize,
    /// Keys that wait for something else.
    held_keys: usize,
}

/// Whether everything up to this source offset, its own record among it, can be read in the target;
/// without one, everything that the source was seen to hold. Only a link that runs knows, and a key
/// that is set aside can't be read there; one that is acknowledged can't either, and is let stand.
pub(super) fn caught_up<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    named: &Named,
    offset: Option<Offset>,
) -> Result<CaughtUp, NotOne> {
    let Shown { seen, state, reason, .. } = shown::one(shared, named)?;
    let status = seen.status;
    let wanted = offset.map_or(status.source_end, after);
    let set_aside = status.incidents.open().saturating_add(status.held);
    Ok(CaughtUp {
        caught_up: status.phase == Phase::Running && status.done_before >= wanted && set_aside == 0,
        up_to: wanted.checked_sub(1).filter(|up_to| *up_to >= 0),
        done_before: status.done_before,
        source_end: status.source_end,
        state,
        reason,
        incidents: status.incidents.open(),
        acknowledged: status.incidents.acknowledged,
        held_keys: status.held,
    })
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl LinkStatus {
    fn of(shown: Shown, now: Duration) -> Self {
        let knows_its_lag = shown.knows_its_lag();
        let Shown { seen, state, reason, changeable, .. } = shown;
        let Seen { link, source, target, status } = seen;
        Self {
            link,
            source,
            target,
            changeable,
            state,
            reason,
            state_ms: ms(now.saturating_sub(status.since)),
            lag_records: knows_its_lag.then(|| status.lag.offsets()),
            lag_ms: knows_its_lag.then(|| ms(status.lag.time(now))),
            done_before: status.done_before,
            source_end: status.source_end,
            counted: Counted::of(&status),
            held_keys: status.held,
            drifted_keys: status.drifted,
            repairs: status.repairs,
            lives: status.lives,
            checkpoint_age_ms: status.checkpoint_at.map(|at| ms(now.saturating_sub(at))),
        }
    }
}
