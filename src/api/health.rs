//! `/live` and `/ready`, for whoever starts and restarts the process.

use axum::Json;
use axum::http::StatusCode;
use serde::Serialize;

use super::board::Board;
use crate::service::ports::Clock;

#[derive(Debug, Serialize)]
pub(super) struct Ready {
    ready: bool,
    /// What is waited for.
    waiting: Vec<Unsettled>,
}

#[derive(Debug, Serialize)]
struct Unsettled {
    link: String,
    state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// 200 as soon as every link has reconciled, stands by for another instance, or halted with a
/// reason; 503 before, with what is waited for.
pub(super) fn ready<K: Clock>(board: &Board<K>) -> (StatusCode, Json<Ready>) {
    if board.is_ready() {
        return (StatusCode::OK, Json(Ready { ready: true, waiting: Vec::new() }));
    }
    let waiting = board
        .unsettled()
        .into_iter()
        .map(|seen| Unsettled {
            link: seen.link,
            state: seen.status.phase.word(),
            reason: seen.status.phase.reason().to_owned(),
        })
        .collect();
    (StatusCode::SERVICE_UNAVAILABLE, Json(Ready { ready: false, waiting }))
}
