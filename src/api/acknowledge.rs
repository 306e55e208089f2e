//! `POST /links/NAME/incidents/ack` and `/unack`: incidents that operators let stand, or count again.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;

use super::answer::Refusal;
use super::answer::body_of;
use super::answer::error;
use super::logins::LoggedIn;
use super::server::OfSource;
use super::server::Shared;
use super::server::not_one;
use super::shown;
use super::shown::Named;
use super::shown::Shown;
use crate::core::link::turn::Grounds;
use crate::core::link::turn::NotTurned;
use crate::core::link::turn::Turn;
use crate::core::link::turn::Which;
use crate::service::acknowledgements::Asks;
use crate::service::acknowledgements::Unturned;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::status::Phase;

type Called<C, K> = State<Arc<Shared<C, K>>>;
type From = Result<Query<OfSource>, QueryRejection>;
type Answered = Result<Response, Refusal>;

/// What a request says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    key: Option<String>,
    #[serde(default)]
    all: bool,
    why: Option<String>,
    by: Option<String>,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Done {
    link: String,
    source: String,
    done: &'static str,
    /// How many.
    incidents: usize,
    keys: Vec<String>,
}

pub(super) async fn acknowledge<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path(name): Path<String>,
    from: From,
    login: Option<Extension<LoggedIn>>,
    request: Request,
) -> Answered {
    let login = login.map(|Extension(LoggedIn(name))| name);
    let said = said_in(request).await?;
    let which = which(&said)?;
    let why = said.why.as_deref().ok_or_else(|| wrong("why is missing: say why they may stand"))?;
    let by = match (said.by, login) {
        // Who else it is, they say themselves.
        (Some(by), Some(login)) if by.trim() != login => format!("{} (login {login})", by.trim()),
        (Some(by), _) | (None, Some(by)) => by,
        (None, None) => return Err(wrong("by is missing: say who lets them stand")),
    };
    let turn = Turn::Acknowledge(Grounds::new(&by, why).map_err(|reason| wrong(&reason))?);
    done(&shared, name, from, (which, turn, "acknowledged")).await
}

pub(super) async fn withdraw<C: Cluster, K: Clock>(
    State(shared): Called<C, K>,
    Path(name): Path<String>,
    from: From,
    request: Request,
) -> Answered {
    let said = said_in(request).await?;
    if said.by.is_some() || said.why.is_some() {
        return Err(wrong("an acknowledgement is withdrawn with key, or all, and nothing else"));
    }
    done(&shared, name, from, (which(&said)?, Turn::Withdraw, "withdrawn")).await
}

async fn said_in(request: Request) -> Result<Said, Refusal> {
    let body = body_of(request).await?;
    serde_json::from_value(body).map_err(|fault| {
        wrong(&format!(
            "the body has key or all, and why and by where incidents are acknowledged: {fault}"
        ))
    })
}

fn which(said: &Said) -> Result<Which, Refusal> {
    match (&said.key, said.all) {
        (Some(key), false) => Ok(Which::Key(key.clone())),
        (None, true) => Ok(Which::All),
        (Some(_), true) | (None, false) => {
            Err(wrong("say which incidents: either key, as they are told of, or all: true"))
        }
    }
}

fn wrong(message: &str) -> Refusal {
    error(StatusCode::BAD_REQUEST, 400, message).into()
}

/// Has the link do it, where it follows its source in this process.
async fn done<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    name: String,
    from: From,
    (which, turn, done): (Which, Turn, &'static str),
) -> Answered {
    let Query(OfSource { source }) = from.map_err(|rejected| wrong(&rejected.body_text()))?;
    let named = Named { name, source };
    let shown = shown::one(shared, &named).map_err(not_one)?;
    let asks =
        asks_of(shared, &shown).map_err(|reason| error(StatusCode::CONFLICT, 409, &reason))?;
    match asks.turn(which, turn, &shared.registries.clock).await {
        Ok(keys) => {
            let (link, source, incidents) = (shown.seen.link, shown.seen.source, keys.len());
            Ok(Json(Done { link, source, done, incidents, keys }).into_response())
        }
        Err(Unturned::Refused(refused)) => {
            let status = match refused {
                NotTurned::NotThere(_) => StatusCode::NOT_FOUND,
                NotTurned::TooMany(_) => StatusCode::CONFLICT,
            };
            let message = format!("link {}: {refused}", named.name);
            Err(error(status, u32::from(status.as_u16()), &message).into())
        }
        Err(Unturned::NotKept(reason)) => {
            let now = shown::one(shared, &named).map(|shown| shown.reason).unwrap_or_default();
            let waits = if now.is_empty() { now } else { format!(". It waits: {now}") };
            let (link, target) = (&named.name, &shown.seen.target);
            let message = format!("link {link} to {target}: {reason}{waits}");
            Err(error(StatusCode::SERVICE_UNAVAILABLE, 503, &message).into())
        }
    }
}

/// Where the link is asked. One that waits for its source follows on; one that waits for its target does
/// not answer.
fn asks_of<C: Cluster, K: Clock>(shared: &Shared<C, K>, shown: &Shown) -> Result<Asks, String> {
    let Shown { seen, state, runs, .. } = shown;
    let asks = shared.board.asks(&seen.source, &seen.link).filter(|_| *runs);
    let follows = matches!(seen.status.phase, Phase::Running | Phase::Waiting(_));
    if let Some(asks) = asks.filter(|_| follows) {
        return Ok(asks);
    }
    let elsewhere = match seen.status.phase {
        Phase::Standby => "; ask the process that writes for it",
        _ if !runs => "; ask the process that runs it",
        Phase::Preflight
        | Phase::ReadingTarget
        | Phase::ReadingSource
        | Phase::Reconciling
        | Phase::CatchingUp
        | Phase::Running
        | Phase::Waiting(_)
        | Phase::Halted(_)
        | Phase::Paused
        | Phase::Purging
        | Phase::Done => "",
    };
    Err(format!(
        "link {} is {state} here: its incidents are acknowledged while it follows its source{elsewhere}",
        seen.link
    ))
}
