//! Listening, and what bounds a caller.

use std::io;
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
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde::Serialize;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use super::acknowledge;
use super::answer::Refusal;
use super::board::Board;
use super::exporters;
use super::guard::Spoken;
use super::guard::same_site;
use super::health;
use super::links;
use super::logins::Login;
use super::logins::Logins;
use super::logins::logged_in;
use super::metrics;
use super::page;
use super::page::Page;
use super::registries::Registries;
use super::registries::below;
use super::shown;
use super::shown::Named;
use super::shown::NotOne;
use super::tls::Tls;
use crate::core::record::Offset;
use crate::service::catalog::Catalogs;
use crate::service::exporter::Desk;
use crate::service::ground::missing_source;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;

/// Connections at once; whoever comes then waits in the system's queue.
const CONNECTIONS_MAX: usize = 512;
/// The greetings of TLS take no longer.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
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

/// Where exporters are asked for; `None` while the configuration is read.
pub type Desks<C, K> = watch::Receiver<Option<Arc<Desk<C, K>>>>;

/// What all answers need.
#[derive(Debug)]
pub(super) struct Shared<C, K> {
    pub(super) board: Board<K>,
    metrics: Registry,
    pub(super) registries: Registries<K>,
    pub(super) page: Page,
    desks: Desks<C, K>,
}

impl<C, K> Shared<C, K> {
    /// The desk of the configuration as it was read last.
    pub(super) fn desk(&self) -> Option<Arc<Desk<C, K>>> {
        self.desks.borrow().clone()
    }
}

/// What is served, and to whom.
#[derive(Debug, Clone)]
pub struct Served<C, K> {
    /// The links of the process.
    pub board: Board<K>,
    /// Where exporters are asked for.
    pub desks: Desks<C, K>,
    /// The registries of clusters.
    pub catalogs: watch::Receiver<Catalogs>,
    /// Who is answered; everybody where nobody is named.
    pub logins: Vec<Login>,
    /// What is presented to clients; without it they are spoken to in the clear.
    pub tls: Option<Tls>,
    /// The clock.
    pub clock: K,
}

/// Answers until it is cancelled: about the links of the board, and below `/{cluster}` as the registry
/// of each cluster, and about the exporters that read it.
pub async fn serve<C: Cluster, K: Clock>(listener: TcpListener, served: Served<C, K>) {
    answer_at(listener, served, None).await;
}

/// Answers for one cluster, which stands at the root, until it is cancelled: as its registry, and about
/// the exporters that read it.
pub async fn serve_cluster<C: Cluster, K: Clock>(
    listener: TcpListener,
    cluster: String,
    served: Served<C, K>,
) {
    answer_at(listener, served, Some(cluster)).await;
}

async fn answer_at<C: Cluster, K: Clock>(
    listener: TcpListener,
    served: Served<C, K>,
    root: Option<String>,
) {
    let Served { board, desks, catalogs, logins, tls, clock } = served;
    let is_local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let logins = Logins { known: logins.into(), is_local };
    let metrics = metrics::registry(board.clone());
    let registries = Registries { catalogs, clock: clock.clone() };
    let page = Page::new();
    let (history, roster) = (page.history.clone(), board.roster());
    let spoken = if tls.is_some() { Spoken::Tls } else { Spoken::Plain };
    let shared = Shared { board, metrics, registries, page, desks };
    let router = router(Arc::new(shared), logins, spoken);
    let answers = Answers { router, root: root.map(Arc::from) };
    // The page is not below the name of a cluster.
    if answers.root.is_some() {
        return accept(listener, answers, tls, clock).await;
    }
    tokio::select! {
        () = accept(listener, answers, tls, clock.clone()) => {}
        () = history.record(roster, clock) => {}
    }
}

/// What is answered, with the cluster that stands at the root of the address.
#[derive(Debug, Clone)]
struct Answers {
    router: Router,
    root: Option<Arc<str>>,
}

async fn accept<K: Clock>(listener: TcpListener, answers: Answers, tls: Option<Tls>, clock: K) {
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
        let (answers, tls, clock) = (answers.clone(), tls.clone(), clock.clone());
        tokio::spawn(async move {
            greet(stream, tls, answers, clock).await;
            drop(permit);
        });
    }
}

/// Where there is TLS, who speaks none, or another one, is not answered.
async fn greet<K: Clock>(stream: TcpStream, tls: Option<Tls>, answers: Answers, clock: K) {
    let Some(tls) = tls else { return talk(stream, answers, clock).await };
    let greeted = tokio::select! {
        greeted = tls.accept(stream) => greeted,
        () = clock.sleep(HANDSHAKE_WITHIN) => Err(io::ErrorKind::TimedOut.into()),
    };
    match greeted {
        Ok(stream) => talk(stream, answers, clock).await,
        Err(fault) => tracing::debug!(reason = %fault, "a client could not be greeted over TLS"),
    }
}

async fn talk<S, K: Clock>(stream: S, answers: Answers, clock: K)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Answers { router, root } = answers;
    let router = TowerToHyperService::new(router);
    let answers = service_fn(move |request| match &root {
        Some(cluster) => router.call(below(cluster, request)),
        None => router.call(request),
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who has said all that it wants to ask still waits for the answer.
        .half_close(true)
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answers);
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

fn router<C: Cluster, K: Clock>(
    shared: Arc<Shared<C, K>>,
    logins: Logins,
    spoken: Spoken,
) -> Router {
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready::<C, K>))
        .route("/metrics", get(scrape::<C, K>))
        .route("/links", get(all::<C, K>))
        .route("/links/{name}", get(one::<C, K>))
        .route("/links/{name}/incidents", get(incidents::<C, K>))
        .route("/links/{name}/incidents/ack", post(acknowledge::acknowledge::<C, K>))
        .route("/links/{name}/incidents/unack", post(acknowledge::withdraw::<C, K>))
        .route("/links/{name}/caught-up", get(caught_up::<C, K>))
        .route("/clusters", get(clusters::<C, K>))
        .merge(page::routes::<C, K>())
        .merge(exporters::routes::<C, K>())
        .fallback(registry::<C, K>)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(spoken, same_site))
        .layer(from_fn_with_state(logins, logged_in))
        .with_state(shared)
}

/// A cluster that links can be made between.
#[derive(Debug, Serialize)]
struct ClusterAnswer {
    name: String,
    registry_urls: Vec<String>,
}

async fn clusters<C: Cluster, K: Clock>(State(shared): State<Arc<Shared<C, K>>>) -> Response {
    let desk = shared.desk();
    let known = desk.iter().flat_map(|desk| desk.clusters());
    let answers: Vec<ClusterAnswer> = known
        .map(|(name, endpoint)| ClusterAnswer {
            name: name.to_owned(),
            registry_urls: endpoint.registry_urls.iter().map(ToString::to_string).collect(),
        })
        .collect();
    Json(answers).into_response()
}

async fn ready<C: Cluster, K: Clock>(State(shared): State<Arc<Shared<C, K>>>) -> Response {
    health::ready(&shared.board).into_response()
}

async fn scrape<C: Cluster, K: Clock>(State(shared): State<Arc<Shared<C, K>>>) -> Response {
    match metrics::text(&shared.metrics) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(fault) => {
            tracing::error!(reason = %fault, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn all<C: Cluster, K: Clock>(State(shared): State<Arc<Shared<C, K>>>) -> Response {
    Json(links::links(&shared)).into_response()
}

async fn one<C: Cluster, K: Clock>(
    State(shared): State<Arc<Shared<C, K>>>,
    Path(name): Path<String>,
    from: Result<Query<OfSource>, QueryRejection>,
) -> Response {
    match from {
        Ok(Query(OfSource { source })) => of_a_link(links::link(&shared, &Named { name, source })),
        Err(rejected) => error(StatusCode::BAD_REQUEST, &rejected.body_text()),
    }
}

async fn incidents<C: Cluster, K: Clock>(
    State(shared): State<Arc<Shared<C, K>>>,
    Path(name): Path<String>,
    from: Result<Query<OfSource>, QueryRejection>,
) -> Response {
    match from {
        Ok(Query(OfSource { source })) => {
            of_a_link(links::incidents(&shared, &Named { name, source }))
        }
        Err(rejected) => error(StatusCode::BAD_REQUEST, &rejected.body_text()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfSource {
    pub(super) source: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpTo {
    source: Option<String>,
    offset: Option<Offset>,
    now: Option<bool>,
}

async fn caught_up<C: Cluster, K: Clock>(
    State(shared): State<Arc<Shared<C, K>>>,
    Path(name): Path<String>,
    up_to: Result<Query<UpTo>, QueryRejection>,
) -> Response {
    let Ok(Query(UpTo { source, offset, now })) = up_to else { return unclear() };
    let named = Named { name, source };
    let offset = match (offset, now) {
        (None, Some(true)) => match source_end(&shared, &named).await {
            Ok(Some(end)) => Some(end.saturating_sub(1)),
            Ok(None) => None,
            Err(fault) => return error(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string()),
        },
        (offset, None | Some(false)) if offset.is_none_or(|at| at >= 0) => offset,
        (Some(_) | None, _) => return unclear(),
    };
    of_a_link(links::caught_up(&shared, &named, offset))
}

fn unclear() -> Response {
    error(
        StatusCode::BAD_REQUEST,
        "the question has one part, offset, an offset of the source, 0 or more, or now=true; beside it \
         only source, the link's source where several links have the name",
    )
}

/// Where the source of a link ends now; `None` where there is no such link.
async fn source_end<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    named: &Named,
) -> Result<Option<Offset>, Fault> {
    let shown = shown::one(shared, named).ok();
    let Some((shown, desk)) = shown.zip(shared.desk()) else { return Ok(None) };
    let found = desk.clusters().find(|(cluster, _)| *cluster == shown.seen.source);
    let Some((_, source)) = found else { return Ok(None) };
    let facts = source.cluster.topic(&source.schemas_topic).await?;
    match facts {
        Some(facts) => Ok(Some(facts.end)),
        None => Err(missing_source(&source.cluster, &source.schemas_topic)),
    }
}

/// An answer about a link, where there is one of that name.
fn of_a_link(answer: Result<impl Serialize, NotOne>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(why) => not_one(why).into_response(),
    }
}

/// That no link is meant, or more than one.
pub(super) fn not_one(why: NotOne) -> Refusal {
    let (status, message) = match why {
        NotOne::None(name) => {
            (StatusCode::NOT_FOUND, format!("no link is named {name}; GET /links lists them"))
        }
        NotOne::Several(name, sources) => {
            let sources = sources.join(" and ");
            let message =
                format!("several links are named {name}, from {sources}: say which with source");
            (StatusCode::CONFLICT, message)
        }
    };
    error(status, &message).into()
}

/// Whatever is not ours is below the name of a cluster.
async fn registry<C: Cluster, K: Clock>(
    State(shared): State<Arc<Shared<C, K>>>,
    request: Request,
) -> Response {
    let desk = shared.desk();
    shared.registries.answer(request, desk.as_deref()).await.unwrap_or_else(|| {
        error(
            StatusCode::NOT_FOUND,
            "there are /, /links, /links/{name} with /incidents (and /ack and /unack below) and /caught-up, /clusters, /metrics, /ready and \
             /live, and below /{cluster} the registry of each cluster of the configuration, and \
             /exporters",
        )
    })
}

async fn other_method() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "this path takes other methods, see the header Allow")
}

fn error(status: StatusCode, message: &str) -> Response {
    super::answer::error(status, u32::from(status.as_u16()), message)
}
