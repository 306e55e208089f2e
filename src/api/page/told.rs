//! A link as the page is told of it: what changes by itself as time passes is told as moments, so that
//! nothing is told anew while nothing happens.

use std::time::Duration;

use serde::Serialize;

use crate::api::board::Board;
use crate::api::board::Seen;
use crate::api::links::Counted;
use crate::api::server::Shared;
use crate::api::shown;
use crate::api::shown::Shown;
use crate::core::record::Offset;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::set_aside::SetAside;

/// Keys set aside that are told with their link; the others are asked for.
const SET_ASIDE_FIRST_MAX: usize = 3;
/// When a checkpoint was kept is told to so much.
const CHECKPOINT_TOLD_MS: i64 = 10_000;

/// A link now.
#[derive(Debug, Serialize)]
pub(super) struct LinkTold {
    pub(super) link: String,
    pub(super) source: String,
    target: String,
    /// One word; `unknown` where this process does not run it.
    state: &'static str,
    /// Why it stands still or waits.
    reason: String,
    /// Since when it is in this state, in ms since 1970, as all moments here.
    since_ms: Option<i64>,
    /// `null` while it stands by, or does not run.
    lag_records: Option<u64>,
    /// Since when the oldest record is known that is not in the target.
    behind_since_ms: Option<i64>,
    done_before: Offset,
    source_next: Offset,
    source_end: Offset,
    #[serde(flatten)]
    counted: Counted,
    held: usize,
    drifted: usize,
    repairs: u64,
    lives: u64,
    checkpoint_ms: Option<i64>,
    /// Whether it can be paused, resumed and reset here: links of the file can't.
    changeable: bool,
    /// What it owns in its target.
    scope: Option<String>,
    /// The first of the keys that are set aside.
    set_aside: Vec<SetAside>,
}

/// All links: those that run, then those that are kept and do not.
pub(super) fn links<C: Cluster, K: Clock>(shared: &Shared<C, K>) -> Vec<LinkTold> {
    shown::all(shared).into_iter().map(|link| LinkTold::of(link, &shared.board)).collect()
}

impl LinkTold {
    fn of<K: Clock>(shown: Shown, board: &Board<K>) -> Self {
        let knows_its_lag = shown.knows_its_lag();
        let Shown { seen, state, reason, runs, changeable } = shown;
        let Seen { link, source, target, status } = seen;
        let moment = |at: Duration| board.moment_ms(at);
        let to_ten_s = |at: Duration| {
            let at_ms = moment(at);
            at_ms.saturating_sub(at_ms.rem_euclid(CHECKPOINT_TOLD_MS))
        };
        Self {
            link,
            source,
            target,
            state,
            reason,
            since_ms: runs.then(|| moment(status.since)),
            lag_records: knows_its_lag.then(|| status.lag.offsets()),
            behind_since_ms: status.lag.since().filter(|_| knows_its_lag).map(moment),
            done_before: status.done_before,
            source_next: status.source_next,
            source_end: status.source_end,
            counted: Counted::of(&status),
            held: status.held,
            drifted: status.drifted,
            repairs: status.repairs,
            lives: status.lives,
            checkpoint_ms: status.checkpoint_at.map(to_ten_s),
            changeable,
            scope: status.definition.map(|definition| definition.rules.scope().to_string()),
            set_aside: status.set_aside.iter().take(SET_ASIDE_FIRST_MAX).cloned().collect(),
        }
    }
}
