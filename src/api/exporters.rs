//! `/{cluster}/exporters`: Schema Linking's interface, for links whose source is that cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::put;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use super::answer::Answer;
use super::answer::Refusal;
use super::answer::body_of;
use super::answer::error;
use super::server::Shared;
use crate::service::exporter::Asked;
use crate::service::exporter::ContextType;
use crate::service::exporter::Deleted;
use crate::service::exporter::Desk;
use crate::service::exporter::ExporterStatus;
use crate::service::exporter::Refused;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::purged::Purged;

/// The codes of Schema Linking's interface, as published.
fn refusal(refused: &Refused) -> Response {
    let (status, code) = match refused {
        Refused::NotFound(_) => (StatusCode::NOT_FOUND, 40450),
        Refused::Name(_) => (StatusCode::CONFLICT, 40950),
        Refused::Config(_) => (StatusCode::CONFLICT, 40951),
        Refused::Subjects(_) => (StatusCode::CONFLICT, 40952),
        Refused::Exists(_) => (StatusCode::CONFLICT, 40960),
        Refused::Running(_) => (StatusCode::CONFLICT, 40961),
        Refused::Starting(_) => (StatusCode::CONFLICT, 40962),
        Refused::NotPaused(_) => (StatusCode::CONFLICT, 40963),
        Refused::TooMany(_) => (StatusCode::CONFLICT, 40964),
        Refused::Cluster(_) => (StatusCode::SERVICE_UNAVAILABLE, 503),
    };
    error(status, code, &refused.to_string())
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        refusal(&refused).into()
    }
}

/// What exporters are asked for, under `/{cluster}`.
pub(super) fn routes<C: Cluster, K: Clock>() -> Router<Arc<Shared<C, K>>> {
    Router::new()
        .route("/{cluster}/exporters", get(list::<C, K>).post(create::<C, K>))
        .route(
            "/{cluster}/exporters/{name}",
            get(describe::<C, K>).put(update::<C, K>).delete(delete::<C, K>),
        )
        .route("/{cluster}/exporters/{name}/status", get(status::<C, K>))
        .route("/{cluster}/exporters/{name}/config", get(config::<C, K>).put(set_config::<C, K>))
        .route("/{cluster}/exporters/{name}/pause", put(pause::<C, K>))
        .route("/{cluster}/exporters/{name}/resume", put(resume::<C, K>))
        .route("/{cluster}/exporters/{name}/reset", put(reset::<C, K>))
}

type Called<C, K> = State<Arc<Shared<C, K>>>;
type Place = Path<(String, String)>;
type Answered = Result<Response, Refusal>;

/// The desk, where it knows the cluster.
fn desk_of<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    cluster: &str,
) -> Result<Arc<Desk<C, K>>, Refusal> {
    let desk = shared.desk().ok_or_else(|| {
        error(StatusCode::SERVICE_UNAVAILABLE, 503, "the configuration is being read; ask again")
    })?;
    let known: Vec<&str> = desk.clusters().map(|(name, _)| name).collect();
    if known.contains(&cluster) {
        return Ok(desk);
    }
    let message =
        format!("no cluster of the configuration has this name; there are {}", known.join(", "));
    Err(error(StatusCode::NOT_FOUND, 404, &message).into())
}

async fn list<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path(cluster): Path<String>,
) -> Answered {
    let desk = desk_of(&shared, &cluster)?;
    Ok(Answer(desk.names(&cluster).await?).into_response())
}

async fn create<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path(cluster): Path<String>,
    request: Request,
) -> Answered {
    let desk = desk_of(&shared, &cluster)?;
    let (name, asked) = asked_for(&body_of(request).await?)?;
    let name = name.ok_or_else(|| Refused::Name("the name is missing".to_owned()))?;
    desk.create(&cluster, &name, asked).await?;
    Ok(named(&name))
}

async fn describe<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
) -> Answered {
    let described = desk_of(&shared, &cluster)?.describe(&cluster, &name).await?;
    Ok(Answer(described).into_response())
}

async fn update<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
    request: Request,
) -> Answered {
    let desk = desk_of(&shared, &cluster)?;
    let (given, asked) = asked_for(&body_of(request).await?)?;
    if given.is_some_and(|given| given != name) {
        return Err(Refused::Name(format!("{name} can't get another name")).into());
    }
    desk.update(&cluster, &name, asked).await?;
    Ok(named(&name))
}

/// What is to become of the copy of an exporter that is deleted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deletion {
    /// It goes, too.
    #[serde(default)]
    purge: bool,
}

async fn delete<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
    deletion: Result<Query<Deletion>, QueryRejection>,
) -> Answered {
    let desk = desk_of(&shared, &cluster)?;
    let Ok(Query(Deletion { purge })) = deletion else {
        let message = "a deletion takes purge=true, purge=false, or nothing";
        return Err(error(StatusCode::BAD_REQUEST, 400, message).into());
    };
    if !purge {
        return Ok(match desk.delete(&cluster, &name).await? {
            Deleted::Link => StatusCode::NO_CONTENT.into_response(),
            Deleted::Definition => {
                let message = format!(
                    "the definition that was kept of {name} is deleted; the link of the configuration's file \
                     goes on"
                );
                Answer(json!({ "name": name, "message": message })).into_response()
            }
        });
    }
    Ok(match desk.purge(&cluster, &name).await? {
        Some(purged) => Answer(purge_answer(&name, &purged)).into_response(),
        None => {
            let document = json!({ "name": name, "state": "PURGING" });
            (StatusCode::ACCEPTED, Answer(document)).into_response()
        }
    })
}

/// What a purge came to: what went by kind, how many keys stay, and the first of them with their reasons.
fn purge_answer(name: &str, purged: &Purged) -> Value {
    json!({
        "name": name,
        "state": "PURGED",
        "removed": purged.removed,
        "stays": purged.stays,
        "stay": purged.named,
        "unclaimed": purged.unclaimed,
    })
}

async fn status<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
) -> Answered {
    let status = desk_of(&shared, &cluster)?.status(&cluster, &name).await?;
    Ok(Answer(StatusAnswer::of(&name, status)).into_response())
}

async fn config<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
) -> Answered {
    let described = desk_of(&shared, &cluster)?.describe(&cluster, &name).await?;
    Ok(Answer(described.config).into_response())
}

async fn set_config<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
    request: Request,
) -> Answered {
    let desk = desk_of(&shared, &cluster)?;
    let body = body_of(request).await?;
    let asked = Asked { config: Some(config_in(&body)?), ..Asked::default() };
    desk.update(&cluster, &name, asked).await?;
    Ok(named(&name))
}

async fn pause<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
) -> Answered {
    desk_of(&shared, &cluster)?.pause(&cluster, &name).await?;
    Ok(named(&name))
}

/// With what an exporter goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Resumption {
    /// It sets fences again that someone else lifted.
    #[serde(default)]
    fence_again: bool,
}

async fn resume<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
    resumption: Result<Query<Resumption>, QueryRejection>,
) -> Answered {
    let desk = desk_of(&shared, &cluster)?;
    let Ok(Query(Resumption { fence_again })) = resumption else {
        let message = "resume takes fenceAgain=true, fenceAgain=false, or nothing";
        return Err(error(StatusCode::BAD_REQUEST, 400, message).into());
    };
    if fence_again {
        desk.fence_again(&cluster, &name).await?;
    } else {
        desk.resume(&cluster, &name).await?;
    }
    Ok(named(&name))
}

async fn reset<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path((cluster, name)): Place,
) -> Answered {
    desk_of(&shared, &cluster)?.reset(&cluster, &name).await?;
    Ok(named(&name))
}

fn named(name: &str) -> Response {
    Answer(json!({ "name": name })).into_response()
}

/// What an exporter is doing. Before its first record the offset is -1, and the time 0.
#[derive(Debug, Serialize)]
struct StatusAnswer<'a> {
    name: &'a str,
    state: &'static str,
    offset: i64,
    ts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

impl<'a> StatusAnswer<'a> {
    fn of(name: &'a str, status: ExporterStatus) -> Self {
        let ExporterStatus { state, exported, trace } = status;
        let (offset, ts) = exported.map_or((-1, 0), |last| (last.offset, last.timestamp_ms));
        Self { name, state: state.word(), offset, ts, trace }
    }
}

/// Reads what is asked for, and the name in it.
fn asked_for(body: &Value) -> Result<(Option<String>, Asked), Refused> {
    let Some(fields) = body.as_object() else {
        return Err(Refused::Config("the body is not a JSON object".to_owned()));
    };
    let mut name = None;
    let mut asked = Asked::default();
    for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let wrong = |what: &str| Refused::Config(format!("{field} is not {what}"));
        let text = || value.as_str().map(str::to_owned).ok_or_else(|| wrong("text"));
        match field.as_str() {
            "name" => {
                let given = text().map_err(|_| Refused::Name("the name is not text".to_owned()))?;
                name = Some(given);
            }
            "contextType" => {
                let known = value.as_str().and_then(ContextType::parse);
                asked.context_type =
                    Some(known.ok_or_else(|| wrong("one of AUTO, CUSTOM, NONE, DEFAULT"))?);
            }
            "context" => asked.context = Some(text()?),
            "subjects" => asked.subjects = Some(subjects_in(value)?),
            "subjectRenameFormat" => asked.subject_rename_format = Some(text()?),
            "kekRenameFormat" => {
                let given = text()?;
                if !given.is_empty() && !given.contains("${kek}") {
                    return Err(wrong("a format: it has to hold ${kek}"));
                }
                asked.kek_rename_format = Some(given);
            }
            "config" => asked.config = Some(config_in(value)?),
            _ => {
                return Err(Refused::Config(format!(
                    "there is no field {field:?}; there are name, contextType, context, subjects, \
                     subjectRenameFormat, kekRenameFormat and config"
                )));
            }
        }
    }
    Ok((name, asked))
}

fn subjects_in(value: &Value) -> Result<Vec<String>, Refused> {
    let texts = value.as_array().and_then(|items| {
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    texts.ok_or_else(|| Refused::Subjects("subjects is not a list of text".to_owned()))
}

fn config_in(value: &Value) -> Result<BTreeMap<String, String>, Refused> {
    let wrong = |what: &str| Refused::Config(format!("the config {what}"));
    let fields = value.as_object().ok_or_else(|| wrong("is not a JSON object"))?;
    let mut config = BTreeMap::new();
    for (key, value) in fields {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null => continue,
            // The value is not shown: it may be a secret.
            Value::Array(_) | Value::Object(_) => {
                return Err(wrong(&format!("has no text for {key:?}")));
            }
        };
        config.insert(key.clone(), text);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &Value, refused: &str) {
        let answer = asked_for(body).map(|_| ()).map_err(|refused| refused.to_string());
        let expected = if refused.is_empty() { Ok(()) } else { Err(refused.to_owned()) };
        assert_eq!(answer, expected, "{body}");
    }

    #[test]
    fn what_is_asked_for_wrongly_is_named() {
        check(
            &json!({"name": "x", "subjects": ["a"], "config": {"n": 1, "b": true, "z": null}}),
            "",
        );
        check(&json!([]), "the body is not a JSON object");
        check(&json!({"name": 7}), "the name is not text");
        check(&json!({"subjects": "a"}), "subjects is not a list of text");
        check(&json!({"subjects": [1]}), "subjects is not a list of text");
        check(
            &json!({"contextType": "X"}),
            "contextType is not one of AUTO, CUSTOM, NONE, DEFAULT",
        );
        check(
            &json!({"kekRenameFormat": "x"}),
            "kekRenameFormat is not a format: it has to hold ${kek}",
        );
        check(
            &json!({"config": {"password": ["hunter2"]}}),
            "the config has no text for \"password\"",
        );
        check(
            &json!({"subject": "a"}),
            "there is no field \"subject\"; there are name, contextType, context, subjects, \
             subjectRenameFormat, kekRenameFormat and config",
        );
    }
}
