//! The page at `/`, for whoever is woken at night: its files, which are part of the binary, and what
//! they ask for.
//!
//! `web` holds the files as browsers take them; nothing builds them. They are answered with a policy
//! that lets nothing else in.

mod beside;
mod details;
mod events;
mod files;
mod told;
mod verify;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use tokio::sync::Semaphore;

use super::answer::Refusal;
use super::answer::error;
use super::board::Seen;
use super::server::Shared;
use crate::service::definition::LinkDefinition;
use crate::service::exporter::Endpoint;
use crate::service::history::History;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;

/// What the page needs besides what all answers do.
#[derive(Debug)]
pub(super) struct Page {
    /// The last hour of links.
    pub(super) history: History,
    /// Pages that are open at once.
    seats: Arc<Semaphore>,
    /// Links that are verified at once.
    verifying: Semaphore,
}

impl Page {
    pub(super) fn new() -> Self {
        Self {
            history: History::default(),
            seats: Arc::new(Semaphore::new(events::VIEWERS_MAX)),
            verifying: Semaphore::new(verify::AT_ONCE_MAX),
        }
    }
}

type Shares<C, K> = axum::extract::State<Arc<Shared<C, K>>>;
/// A link's source and name.
type Place = axum::extract::Path<(String, String)>;
type Answered = Result<Response, Refusal>;

/// The page and what it asks for.
pub(super) fn routes<C: Cluster, K: Clock>() -> Router<Arc<Shared<C, K>>> {
    Router::new()
        .route("/", get(files::index))
        .route("/ui/{file}", get(files::file))
        .route("/ui/events", get(events::events::<C, K>))
        .route("/ui/links/{source}/{link}/subjects", get(beside::subjects::<C, K>))
        .route("/ui/links/{source}/{link}/incidents", get(details::incidents::<C, K>))
        .route("/ui/links/{source}/{link}/record", get(details::record::<C, K>))
        .route("/ui/links/{source}/{link}/writes", get(details::writes::<C, K>))
        .route("/ui/links/{source}/{link}/verify", post(verify::verify::<C, K>))
}

fn refused(status: StatusCode, message: &str) -> Refusal {
    error(status, u32::from(status.as_u16()), message).into()
}

/// The link of this name that reads this cluster.
fn link<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    place: &(String, String),
) -> Result<Seen, Refusal> {
    let (source, link) = place;
    let mut links = shared.board.links().into_iter();
    let found = links.find(|seen| seen.source == *source && seen.link == *link);
    found.ok_or_else(|| {
        let message = "this process runs no link of this name from this cluster";
        refused(StatusCode::NOT_FOUND, message)
    })
}

/// What the link was told to do, its context among it.
fn definition(seen: &Seen) -> Result<Arc<LinkDefinition>, Refusal> {
    seen.status.definition.clone().ok_or_else(|| {
        let message = "the link has not looked at its clusters yet: its source names its context";
        refused(StatusCode::SERVICE_UNAVAILABLE, message)
    })
}

/// A cluster of the configuration as it was read last.
fn endpoint<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    name: &str,
) -> Result<Endpoint<C>, Refusal> {
    let desk = shared.desk();
    let found = desk.iter().flat_map(|desk| desk.clusters()).find(|(known, _)| *known == name);
    found.map(|(_, endpoint)| endpoint.clone()).ok_or_else(|| {
        let message = "the configuration is being read, or has no cluster of this name any more";
        refused(StatusCode::SERVICE_UNAVAILABLE, message)
    })
}

/// An answer that is true for now only.
fn told(answer: impl serde::Serialize) -> Answered {
    let kept = (axum::http::header::CACHE_CONTROL, "no-store");
    Ok(([kept], axum::Json(answer)).into_response())
}
