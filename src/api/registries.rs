//! Requests to registries over HTTP: which one is meant, how long its asker waits, and what is answered
//! while its cluster is away.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::ETAG;
use axum::http::header::IF_NONE_MATCH;
use axum::http::header::WARNING;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::watch;

use super::fences;
use super::registry::Answer;
use super::registry::ModeAsked;
use super::registry::Question;
use super::registry::answer;
use super::registry::decoded;
use crate::service::catalog::CatalogReader;
use crate::service::catalog::Catalogs;
use crate::service::exporter::Desk;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;

/// A body takes no more: a schema has to fit into a record, of 1 MB unless the topic says otherwise.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A body has to be there within this long.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// An answer by id is kept so long without asking again. An id can get another meaning only when its
/// schema was deleted for good, or when a context is made that comes before another.
const KEPT: HeaderValue = HeaderValue::from_static("max-age=3600");
/// The answer may be older than what the cluster holds (RFC 7234, 5.5.1).
const STALE: HeaderValue = HeaderValue::from_static("110 schema-mirror \"Response is Stale\"");

/// The registries that are served.
#[derive(Debug, Clone)]
pub(super) struct Registries<K> {
    pub(super) catalogs: watch::Receiver<Catalogs>,
    pub(super) clock: K,
}

/// A request came to an address of one cluster's own: that there is no such cluster is then no answer.
#[derive(Debug, Clone, Copy)]
struct AtRoot;

/// A request to an address of one cluster's own, as it would be below the cluster's name.
pub(super) fn below<B>(cluster: &str, mut request: http::Request<B>) -> http::Request<B> {
    let path = request.uri().path();
    // What is asked of the server as a whole (*) is below nothing.
    if path.starts_with('/') {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("/{cluster}{path}{query}");
        // Cluster names and paths have no signs that don't belong into one.
        *request.uri_mut() = Uri::try_from(path).unwrap_or_default();
        request.extensions_mut().insert(AtRoot);
    }
    request
}

impl<K: Clock> Registries<K> {
    /// Answers a request whose path begins with the name of a cluster; `None` where no cluster has it.
    pub(super) async fn answer<C: Cluster>(
        &self,
        request: Request,
        desk: Option<&Desk<C, K>>,
    ) -> Option<Response> {
        let below = request.uri().path().strip_prefix('/')?;
        let (name, path) = match below.find('/') {
            Some(end) => below.split_at_checked(end)?,
            None => (below, ""),
        };
        let cluster = decoded(name);
        let reader = self.catalogs.borrow().get(&cluster).cloned();
        let path = path.to_owned();
        match reader {
            Some(reader) => Some(self.ask((&cluster, &reader), &path, request, desk).await),
            None => request.extensions().get::<AtRoot>().map(|_| {
                response(Answer::away("the configuration has no cluster of this name any more"))
            }),
        }
    }

    async fn ask<C: Cluster>(
        &self,
        (cluster, reader): (&str, &CatalogReader),
        path: &str,
        request: Request,
        desk: Option<&Desk<C, K>>,
    ) -> Response {
        let (head, body) = request.into_parts();
        let body = match self.body(body).await {
            Ok(body) => body,
            Err(status) => {
                let mut refused = Response::default();
                *refused.status_mut() = status;
                return refused;
            }
        };
        let current = match reader.current(&self.clock).await {
            Ok(current) => current,
            Err(reason) => return response(Answer::away(&reason)),
        };
        let question = Question {
            method: head.method.as_str(),
            path,
            query: head.uri.query().unwrap_or_default(),
            has: head.headers.get(IF_NONE_MATCH).and_then(|tag| tag.to_str().ok()),
            body: &body,
        };
        let held = &current.held;
        if let Some(asked) = held.ask(|catalog| ModeAsked::of(catalog, question)) {
            let Some(desk) = desk else {
                return response(Answer::away("the configuration is being read; ask again"));
            };
            if let Some(answer) = fences::set(desk, cluster, &asked, held, &self.clock).await {
                return response(answer);
            }
        }
        let answer = held.ask(|catalog| answer(catalog, &held.cluster_id, question));
        let Some(reason) = current.away else { return response(answer) };
        // What is not held may have been written since.
        if answer.is_missing() {
            return response(Answer::away(&reason));
        }
        let mut response = response(answer);
        response.headers_mut().insert(WARNING, STALE);
        response
    }

    /// The body, if it comes in time and is no longer than one that a registry could keep.
    async fn body(&self, body: Body) -> Result<Bytes, StatusCode> {
        tokio::select! {
            read = axum::body::to_bytes(body, BODY_BYTES_MAX) => {
                read.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
            }
            () = self.clock.sleep(BODY_WITHIN) => Err(StatusCode::REQUEST_TIMEOUT),
        }
    }
}

fn response(answer: Answer) -> Response {
    let Answer { status, typed, body, tag } = answer;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    if typed {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Answer::CONTENT_TYPE));
    }
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
        headers.insert(ETAG, tag);
        headers.insert(CACHE_CONTROL, KEPT);
    }
    response
}
