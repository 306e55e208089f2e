//! Whether both sides of a link are equal, read afresh: what the command `verify` does for one link.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Answered;
use super::Place;
use super::Shares;
use super::definition;
use super::endpoint;
use super::link;
use super::refused;
use super::told;
use crate::core::record::Offset;
use crate::service::compare::Comparison;
use crate::service::compare::Difference;
use crate::service::compare::FieldDifference;
use crate::service::compare::compare;
use crate::service::compare::differences;
use crate::service::definition::LinkDefinition;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;

/// Links that are verified at once: each reads two whole topics.
pub(super) const AT_ONCE_MAX: usize = 1;
/// Whoever asked is told within this long.
const VERIFIED_WITHIN: Duration = Duration::from_secs(60);
/// Differences that are told; the others are counted.
const DIFFERENCES_TOLD_MAX: usize = 200;

#[derive(Debug, Serialize)]
struct Verified {
    /// `equal` or `different`.
    result: &'static str,
    at_ms: i64,
    source_end: Offset,
    target_end: Offset,
    /// Keys of the target that say what the source says.
    in_sync: usize,
    /// Why a start would halt before it writes anything.
    halts: Vec<String>,
    /// Those that nobody has acknowledged.
    incidents: usize,
    acknowledged: usize,
    held: usize,
    differences: Vec<DifferenceTold>,
    left_off: usize,
}

#[derive(Debug, Serialize)]
struct DifferenceTold {
    key: String,
    kind: &'static str,
    source_offset: Option<Offset>,
    fields: Vec<FieldTold>,
}

#[derive(Debug, Serialize)]
struct FieldTold {
    field: String,
    wanted: Option<String>,
    found: Option<String>,
}

impl From<Difference> for DifferenceTold {
    fn from(difference: Difference) -> Self {
        let Difference { key, kind, fields, source_offset } = difference;
        let field = |FieldDifference { field, wanted, found }| FieldTold { field, wanted, found };
        let fields = fields.into_iter().map(field).collect();
        Self { key, kind: kind.word(), source_offset, fields }
    }
}

pub(super) async fn verify<C: Cluster, K: Clock>(
    State(shared): Shares<C, K>,
    Path(place): Place,
) -> Answered {
    let seen = link(&shared, &place)?;
    let definition = definition(&seen)?;
    let (source, target) = (endpoint(&shared, &seen.source)?, endpoint(&shared, &seen.target)?);
    let Ok(_turn) = shared.page.verifying.try_acquire() else {
        let message = "another link is being verified; ask again when that is done";
        return Err(refused(StatusCode::CONFLICT, message));
    };
    let clock = shared.registries.clock.clone();
    let wall_ms = clock.wall_ms();
    let compared = Box::pin(compared(&source.cluster, &target.cluster, &definition, wall_ms));
    let verified = tokio::select! {
        verified = compared => verified,
        () = clock.sleep(VERIFIED_WITHIN) => {
            let message = format!(
                "both topics could not be read within {} s; the command verify waits longer",
                VERIFIED_WITHIN.as_secs()
            );
            return Err(refused(StatusCode::SERVICE_UNAVAILABLE, &message));
        }
    };
    match verified {
        Ok(verified) => told(verified),
        Err(Stop::Fault(fault)) => {
            Err(refused(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string()))
        }
        Err(Stop::Halt(reason)) => Err(refused(StatusCode::CONFLICT, &reason)),
        Err(Stop::LeaseLost | Stop::Shutdown) => {
            Err(refused(StatusCode::SERVICE_UNAVAILABLE, "it was interrupted"))
        }
    }
}

async fn compared<C: Cluster>(
    source: &C,
    target: &C,
    definition: &LinkDefinition,
    wall_ms: i64,
) -> Result<Verified, Stop> {
    let comparison = compare(source, target, definition, wall_ms).await?;
    let mut found = differences(source, target, definition, &comparison).await?;
    let left_off = found.split_off(found.len().min(DIFFERENCES_TOLD_MAX)).len();
    let (is_left, let_stand) =
        (comparison.open_changes().next().is_some(), comparison.let_stand().count());
    let Comparison { link, plan, halts, source_end, target_end, .. } = comparison;
    let incidents = link.ledger().open_incidents().count();
    let acknowledged = link.ledger().acknowledged_incidents().count().saturating_add(let_stand);
    let held = link.ledger().held().count();
    let equal = !is_left && incidents == 0 && held == 0 && halts.is_empty();
    Ok(Verified {
        result: if equal { "equal" } else { "different" },
        at_ms: wall_ms,
        source_end,
        target_end,
        in_sync: plan.in_sync,
        halts,
        incidents,
        acknowledged,
        held,
        differences: found.into_iter().map(DifferenceTold::from).collect(),
        left_off,
    })
}
