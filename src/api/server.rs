//! Listening, and what bounds a caller.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use super::board::Board;
use super::health;
use super::links;
use super::metrics;
use super::registries::Registries;
use crate::core::record::Offset;
use crate::service::catalog::Catalogs;
use crate::service::ports::Clock;

/// Connections at once; whoever comes then waits in the system's queue.
const CONNECTIONS_MAX: usize = 512;
/// The head of a request has to be there within this long, also on a connection that is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A connection is kept no longer.
const CONNECTION_MAX: Duration = Duration::from_secs(600);
/// What is asked then is still answered, if it is read within this long.
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The head of a request takes no more.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// After a connection could not be taken, for want of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Shared<K> {
    board: Board<K>,
    metrics: Registry,
    registries: Registries<K>,
}

/// Answers until it is cancelled: about the links of the board, and below `/{cluster}` as the registry
/// of each cluster that has a catalog.
pub async fn serve<K: Clock>(
    listener: TcpListener,
    board: Board<K>,
    catalogs: watch::Receiver<Catalogs>,
    clock: K,
) {
    let metrics = metrics::registry(board.clone());
    let registries = Registries { catalogs, clock: clock.clone() };
    let router = router(Arc::new(Shared { board, metrics, registries }));
    converse(listener, router, clock).await;
}

/// Answers as the registry of one cluster, which stands at the root, until it is cancelled.
pub async fn serve_registry<K: Clock>(
    listener: TcpListener,
    cluster: String,
    catalogs: watch::Receiver<Catalogs>,
    clock: K,
) {
    let registries = Registries { catalogs, clock: clock.clone() };
    let at_root = move |request: Request| {
        let (cluster, registries) = (cluster.clone(), registries.clone());
        async move { registries.at_root(&cluster, request).await }
    };
    converse(listener, Router::new().fallback(at_root), clock).await;
}

async fn converse<K: Clock>(listener: TcpListener, router: Router, clock: K) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut full = false;
    loop {
        let was_full = std::mem::replace(&mut full, connections.available_permits() == 0);
        if full && !was_full {
            tracing::warn!(connections = CONNECTIONS_MAX, "all connections over HTTP are taken");
        }
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(fault) => {
                tracing::debug!(reason = %fault, "a connection could not be taken");
                clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // An answer that waits for the acknowledgement of the one before it waits 40 ms.
        if let Err(fault) = stream.set_nodelay(true) {
            tracing::trace!(reason = %fault, "a connection sends in its own time");
        }
        let (router, clock) = (router.clone(), clock.clone());
        tokio::spawn(async move {
            talk(stream, router, clock).await;
            drop(permit);
        });
    }
}

async fn talk<K: Clock>(stream: TcpStream, router: Router, clock: K) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who has said all that it wants to ask still waits for the answer.
        .half_close(true)
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let talked = tokio::select! {
        talked = connection.as_mut() => talked,
        () = clock.sleep(CONNECTION_MAX) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                talked = connection.as_mut() => talked,
                () = clock.sleep(LAST_ANSWER_WITHIN) => Ok(()),
            }
        }
    };
    if let Err(fault) = talked {
        tracing::trace!(reason = %fault, "a connection broke off");
    }
}

fn router<K: Clock>(shared: Arc<Shared<K>>) -> Router {
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready::<K>))
        .route("/metrics", get(scrape::<K>))
        .route("/links", get(all::<K>))
        .route("/links/{name}", get(one::<K>))
        .route("/links/{name}/caught-up", get(caught_up::<K>))
        .fallback(registry::<K>)
        .method_not_allowed_fallback(read_only)
        .with_state(shared)
}

async fn ready<K: Clock>(State(shared): State<Arc<Shared<K>>>) -> Response {
    health::ready(&shared.board).into_response()
}

async fn scrape<K: Clock>(State(shared): State<Arc<Shared<K>>>) -> Response {
    match metrics::text(&shared.metrics) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(fault) => {
            tracing::error!(reason = %fault, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn all<K: Clock>(State(shared): State<Arc<Shared<K>>>) -> Response {
    Json(links::links(&shared.board)).into_response()
}

async fn one<K: Clock>(State(shared): State<Arc<Shared<K>>>, Path(name): Path<String>) -> Response {
    of_a_link(links::link(&shared.board, &name))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpTo {
    offset: Option<Offset>,
}

async fn caught_up<K: Clock>(
    State(shared): State<Arc<Shared<K>>>,
    Path(name): Path<String>,
    up_to: Result<Query<UpTo>, QueryRejection>,
) -> Response {
    let offset = match up_to {
        Ok(Query(UpTo { offset })) if offset.is_none_or(|offset| offset >= 0) => offset,
        Ok(_) | Err(_) => {
            return error(
                StatusCode::BAD_REQUEST,
                "the question has one part: offset, an offset of the source, 0 or more",
            );
        }
    };
    of_a_link(links::caught_up(&shared.board, &name, offset))
}

/// An answer about a link, where there is one of that name.
fn of_a_link(answer: Option<impl Serialize>) -> Response {
    match answer {
        Some(answer) => Json(answer).into_response(),
        None => error(StatusCode::NOT_FOUND, "no link has this name; GET /links lists them"),
    }
}

/// Whatever is not ours is below the name of a cluster.
async fn registry<K: Clock>(State(shared): State<Arc<Shared<K>>>, request: Request) -> Response {
    shared.registries.below_its_name(request).await.unwrap_or_else(|| {
        error(
            StatusCode::NOT_FOUND,
            "there are /links, /links/{name}, /links/{name}/caught-up, /metrics, /ready and /live, \
             and below /{cluster} the registry of each cluster of the configuration",
        )
    })
}

async fn read_only() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "everything here is read with GET")
}

fn error(code: StatusCode, message: &'static str) -> Response {
    let document = serde_json::json!({ "error_code": code.as_u16(), "message": message });
    (code, Json(document)).into_response()
}
