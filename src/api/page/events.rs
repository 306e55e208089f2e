//! What happens, as it happens: server-sent events.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use hyper::body::Frame;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;

use super::Answered;
use super::Shares;
use super::refused;
use super::told;
use crate::api::logins::MayChange;
use crate::api::server::Shared;
use crate::service::history::Sample;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;

/// Pages that listen at once, each with a connection of its own; a browser shows others that there are
/// too many.
pub(super) const VIEWERS_MAX: usize = 32;
/// Between two looks at the links: what changed is told then.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So long nothing is said at most: who listens knows then that the connection broke, and a page that
/// was closed is missed, since a closed one and one that has asked all look alike (`half_close`).
const SILENT_MAX: Duration = Duration::from_secs(5);
/// Events that wait for a page that takes none.
const EVENTS_WAITING_MAX: usize = 4;
/// Links whose last hour a page gets when it is opened, 15 KB each; of the others it begins then.
const HISTORIES_MAX: usize = 100;

#[derive(Debug, Serialize)]
struct Hello {
    version: &'static str,
    may_change: bool,
    now_ms: i64,
    /// Links with their samples, oldest first.
    histories: Vec<(String, String, Vec<SampleTold>)>,
}

/// When, the state's word, offsets and ms behind, records written since the process started.
type SampleTold = (i64, &'static str, Option<u64>, Option<u64>, u64);

#[derive(Debug, Serialize)]
struct Links {
    /// Sources and names of all, in their order.
    order: Vec<(String, String)>,
    /// Those that changed.
    links: Vec<Box<serde_json::value::RawValue>>,
    /// Whether all clusters have told what they keep.
    is_complete: bool,
}

#[derive(Debug, Serialize)]
struct Samples {
    samples: Vec<(String, String, SampleTold)>,
}

fn sample_told(sample: &Sample) -> SampleTold {
    let Sample { at_ms, state, lag_records, lag_ms, written } = *sample;
    (at_ms, state, lag_records, lag_ms, written)
}

pub(super) async fn events<C: Cluster, K: Clock>(
    State(shared): Shares<C, K>,
    Extension(may_change): Extension<MayChange>,
) -> Answered {
    let Ok(seat) = Arc::clone(&shared.page.seats).try_acquire_owned() else {
        let message = format!("{VIEWERS_MAX} pages are open already; close one");
        return Err(refused(StatusCode::SERVICE_UNAVAILABLE, &message));
    };
    let (events, waiting) = mpsc::channel(EVENTS_WAITING_MAX);
    // It ends when the page is closed: nobody takes its events then.
    drop(tokio::spawn(tell(shared, may_change, events)));
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    let body = Body::new(Events { waiting, _seat: seat });
    Ok((headers, body).into_response())
}

/// The events as a body, which is never complete.
struct Events {
    waiting: mpsc::Receiver<Bytes>,
    _seat: OwnedSemaphorePermit,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.waiting.poll_recv(context).map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// An event as it is sent. JSON has no line breaks of its own.
fn event(name: &str, data: &impl Serialize) -> Option<Bytes> {
    match serde_json::to_string(data) {
        Ok(json) => Some(Bytes::from(format!("event: {name}\ndata: {json}\n\n"))),
        Err(fault) => {
            tracing::error!(reason = %fault, "an event could not be written");
            None
        }
    }
}

/// Tells what changes until nobody listens any more.
async fn tell<C: Cluster, K: Clock>(
    shared: Arc<Shared<C, K>>,
    MayChange(may_change): MayChange,
    events: mpsc::Sender<Bytes>,
) {
    let clock = shared.registries.clock.clone();
    let mut rounds = shared.page.history.rounds();
    rounds.mark_unchanged();
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION"),
        may_change,
        now_ms: clock.wall_ms(),
        histories: histories(&shared),
    };
    let mut next = vec![event("hello", &hello)];
    let mut before = Before::default();
    let mut said_at = clock.monotonic();
    loop {
        next.push(before.changed(&shared));
        if rounds.has_changed().unwrap_or(false) {
            rounds.mark_unchanged();
            next.push(event("sample", &newest(&shared)));
        }
        let said: Vec<Bytes> = next.drain(..).flatten().collect();
        let now = clock.monotonic();
        let alive = said.is_empty() && now.saturating_sub(said_at) >= SILENT_MAX;
        let alive = alive.then(|| event("alive", &serde_json::json!({}))).flatten();
        for bytes in said.into_iter().chain(alive) {
            said_at = now;
            if events.send(bytes).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = clock.sleep(LOOK_EVERY) => {}
            () = events.closed() => return,
        }
    }
}

fn histories<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
) -> Vec<(String, String, Vec<SampleTold>)> {
    let links = shared.board.links().into_iter().take(HISTORIES_MAX);
    links
        .map(|seen| {
            let samples = shared.page.history.of(&(seen.source.clone(), seen.link.clone()));
            (seen.link, seen.source, samples.iter().map(sample_told).collect())
        })
        .collect()
}

fn newest<C: Cluster, K: Clock>(shared: &Shared<C, K>) -> Samples {
    let newest = shared.page.history.newest().into_iter();
    let samples = newest.map(|((source, link), sample)| (link, source, sample_told(&sample)));
    Samples { samples: samples.collect() }
}

/// What a page knows.
#[derive(Debug, Default)]
struct Before {
    links: BTreeMap<(String, String), String>,
    order: Option<(Vec<(String, String)>, bool)>,
}

impl Before {
    /// What has changed since this was last asked, if anything.
    fn changed<C: Cluster, K: Clock>(&mut self, shared: &Shared<C, K>) -> Option<Bytes> {
        let is_complete = shared.board.is_complete();
        let (mut order, mut known, mut changed) = (Vec::new(), BTreeMap::new(), Vec::new());
        for link in told::links(shared) {
            let id = (link.source.clone(), link.link.clone());
            let json = serde_json::to_string(&link).ok()?;
            if self.links.get(&id) != Some(&json) {
                changed.extend(serde_json::value::RawValue::from_string(json.clone()));
            }
            order.push(id.clone());
            known.insert(id, json);
        }
        self.links = known;
        let place = Some((order, is_complete));
        if changed.is_empty() && self.order == place {
            return None;
        }
        self.order = place;
        let order = self.order.iter().flat_map(|(order, _)| order.iter().cloned()).collect();
        event("links", &Links { order, links: changed, is_complete })
    }
}
