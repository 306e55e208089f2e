//! `/links`: what every link is doing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::board::Board;
use super::board::Named;
use super::board::NotOne;
use super::board::Seen;
use crate::core::link::Outcome;
use crate::core::record::Offset;
use crate::core::record::after;
use crate::service::ports::Clock;
use crate::service::status::Phase;
use crate::service::status::Status;

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
    incidents: usize,
}

impl Counted {
    pub(super) fn of(status: &Status) -> Self {
        let count = |outcome: Outcome| (outcome.word(), status.counts.of(outcome));
        Self {
            records: Outcome::ALL.into_iter().map(count).collect(),
            puts: status.counts.puts,
            deletions: status.counts.deletions,
            writes_in_flight: status.writes_in_flight,
            incidents: status.incidents.all(),
        }
    }
}

/// A link, in numbers that say their unit.
#[derive(Debug, Serialize)]
pub(super) struct LinkStatus {
    link: String,
    source: String,
    target: String,
    state: &'static str,
    /// Why it stands still or waits.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// For how long it has been in this state.
    state_ms: u64,
    /// `null` while it stands by, as the next.
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

pub(super) fn links<K: Clock>(board: &Board<K>) -> Links {
    let now = board.now();
    Links { links: board.links().into_iter().map(|seen| LinkStatus::of(seen, now)).collect() }
}

/// The link with this name.
pub(super) fn link<K: Clock>(board: &Board<K>, named: &Named) -> Result<LinkStatus, NotOne> {
    Ok(LinkStatus::of(board.link(named)?, board.now()))
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
    /// Keys that are not copied.
    incidents: usize,
    /// Keys that wait for something else.
    held_keys: usize,
}

/// Whether everything up to this source offset, its own record among it, can be read in the target;
/// without one, everything that the source was seen to hold. Only a link that runs knows, and a key
/// that is set aside can't be read there.
pub(super) fn caught_up<K: Clock>(
    board: &Board<K>,
    named: &Named,
    offset: Option<Offset>,
) -> Result<CaughtUp, NotOne> {
    let Seen { status, .. } = board.link(named)?;
    let wanted = offset.map_or(status.source_end, after);
    let set_aside = status.incidents.all().saturating_add(status.held);
    Ok(CaughtUp {
        caught_up: status.phase == Phase::Running && status.done_before >= wanted && set_aside == 0,
        up_to: wanted.checked_sub(1).filter(|up_to| *up_to >= 0),
        done_before: status.done_before,
        source_end: status.source_end,
        state: status.phase.word(),
        incidents: status.incidents.all(),
        held_keys: status.held,
    })
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl LinkStatus {
    fn of(seen: Seen, now: Duration) -> Self {
        let knows_its_lag = seen.knows_its_lag();
        let Seen { link, source, target, status } = seen;
        Self {
            link,
            source,
            target,
            state: status.phase.word(),
            reason: status.phase.reason().to_owned(),
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
