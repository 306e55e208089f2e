//! What one link set aside and wrote, and the record behind what it set aside.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;

use super::Answered;
use super::Place;
use super::Shares;
use super::definition;
use super::endpoint;
use super::link;
use super::refused;
use super::told;
use crate::core::key::Key;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::service::fetcher::Fetcher;
use crate::service::journal::Written;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::set_aside::SetAside;

/// A record is there within this long, or is said not to be.
const RECORD_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a record's value that are shown.
const VALUE_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Serialize)]
struct IncidentsTold {
    set_aside: Vec<SetAside>,
    left_off: usize,
}

pub(super) async fn incidents<C: Cluster, K: Clock>(
    State(shared): Shares<C, K>,
    Path(place): Place,
) -> Answered {
    let status = link(&shared, &place)?.status;
    let left_off = status.keys_set_aside().saturating_sub(status.set_aside.len());
    told(IncidentsTold { set_aside: status.set_aside.to_vec(), left_off })
}

#[derive(Debug, Serialize)]
struct WritesTold {
    /// Newest first.
    writes: Vec<WriteTold>,
    in_flight: u64,
}

#[derive(Debug, Serialize)]
struct WriteTold {
    number: u64,
    at_ms: i64,
    what: &'static str,
    key: String,
    /// The subject, where the key is a version of one.
    subject: Option<String>,
    version: Option<u32>,
    id: Option<i32>,
    reason: &'static str,
}

impl From<Written> for WriteTold {
    fn from(written: Written) -> Self {
        let Written { number, at_ms, key, what, id, reason } = written;
        let of_schema = match &key {
            Key::Schema(subject, version) => Some((subject.spelled(), version.get())),
            Key::Context(_)
            | Key::Mode(_)
            | Key::Config(_)
            | Key::Association(_)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => None,
        };
        let (subject, version) = of_schema.unzip();
        Self { number, at_ms, what, key: key.to_string(), subject, version, id, reason }
    }
}

pub(super) async fn writes<C: Cluster, K: Clock>(
    State(shared): Shares<C, K>,
    Path(place): Place,
) -> Answered {
    let status = link(&shared, &place)?.status;
    let writes = status.journal.newest().into_iter().map(WriteTold::from).collect();
    told(WritesTold { writes, in_flight: status.writes_in_flight })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    offset: Offset,
}

#[derive(Debug, Serialize)]
struct RecordTold {
    offset: Offset,
    timestamp_ms: Option<i64>,
    /// As text; bytes that are none are replaced.
    key: Option<String>,
    value: Option<String>,
    value_bytes_left_off: usize,
}

impl RecordTold {
    fn of(record: &Record) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown = record.value.as_deref().map(|value| {
            value
                .split_at_checked(VALUE_BYTES_MAX)
                .map_or((value, 0), |(shown, rest)| (shown, rest.len()))
        });
        Self {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref().map(text),
            value: shown.map(|(shown, _)| text(shown)),
            value_bytes_left_off: shown.map_or(0, |(_, left_off)| left_off),
        }
    }
}

/// A record of the link's source, as it stands there now.
pub(super) async fn record<C: Cluster, K: Clock>(
    State(shared): Shares<C, K>,
    Path(place): Place,
    at: Result<Query<At>, QueryRejection>,
) -> Answered {
    let Ok(Query(At { offset: offset @ 0.. })) = at else {
        let message = "the question has one part: offset, an offset of the source, 0 or more";
        return Err(refused(StatusCode::BAD_REQUEST, message));
    };
    let seen = link(&shared, &place)?;
    let source = endpoint(&shared, &seen.source)?;
    let topic = definition(&seen)?.source_topic.clone();
    let mut fetcher = Fetcher::new(source.cluster, &topic);
    let clock = shared.registries.clock.clone();
    let fetched = tokio::select! {
        fetched = fetcher.fetch(offset) => fetched,
        () = clock.sleep(RECORD_WITHIN) => {
            let message = format!("{} did not give the record within {} s", seen.source, RECORD_WITHIN.as_secs());
            return Err(refused(StatusCode::SERVICE_UNAVAILABLE, &message));
        }
    };
    match fetched {
        Ok(Some(record)) => told(RecordTold::of(&record)),
        Ok(None) => {
            let message =
                "the source holds no record at this offset any more: it is compacted away";
            Err(refused(StatusCode::NOT_FOUND, message))
        }
        Err(fault) => Err(refused(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string())),
    }
}
