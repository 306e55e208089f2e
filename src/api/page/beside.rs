//! Contexts and subjects of both sides of a link.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use super::link;
use super::refused;
use super::told;
use crate::api::server::Shared;
use crate::core::catalog::Beside;
use crate::core::catalog::ContextBeside;
use crate::core::catalog::Listed;
use crate::core::catalog::Sameness;
use crate::core::catalog::beside;
use crate::core::rules::Rules;
use crate::core::subject::Subject;
use crate::service::catalog::Current;
use crate::service::catalog::Held;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::set_aside::SetAside;

/// Subjects that are told at once, about 1 MB; a search finds the others.
const SUBJECTS_TOLD_MAX: usize = 10_000;

/// What of the subjects is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// A part of their names, on either side; large and small letters are the same.
    search: String,
    only: Only,
    /// This one of the target.
    exactly: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Only {
    #[default]
    All,
    Different,
}

/// A version's number, its id, and 1 where it is deleted softly.
type VersionTold = (u32, i32, u8);
/// A word, the subject in the source and its versions, the one in the target and its versions.
type SubjectTold = (&'static str, Option<String>, Vec<VersionTold>, String, Vec<VersionTold>);

#[derive(Debug, Serialize)]
struct BothSides {
    contexts: Vec<ContextTold>,
    subjects: Vec<SubjectTold>,
    /// Subjects that are like what is asked for and were left off.
    left_off: usize,
    /// Subjects of all that differ; `null` where a side is not known.
    differing: Option<usize>,
    /// Why a side can't be read now.
    source_away: Option<String>,
    target_away: Option<String>,
}

#[derive(Debug, Serialize)]
struct ContextTold {
    source: Option<String>,
    target: String,
    source_subjects: usize,
    target_subjects: usize,
    target_mode: Option<&'static str>,
}

/// One side as it was read, and why it can't be read now.
struct Side {
    held: Option<Arc<Held>>,
    away: Option<String>,
}

pub(super) async fn subjects<C: Cluster, K: Clock>(
    State(shared): Shares<C, K>,
    Path(place): Place,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Answered {
    let Ok(Query(asked)) = asked else {
        let message = "the question has the parts search, only=different and exactly, each once";
        return Err(refused(StatusCode::BAD_REQUEST, message));
    };
    let seen = link(&shared, &place)?;
    let rules = definition(&seen)?.rules.clone();
    let set_aside = Arc::clone(&seen.status.set_aside);
    let (source, target) = tokio::join!(side(&shared, &seen.source), side(&shared, &seen.target));
    // Comparing two large registries takes longer than others may wait.
    let compared =
        tokio::task::spawn_blocking(move || both(&source, &target, &rules, &set_aside, &asked));
    match compared.await {
        Ok(both) => told(both),
        Err(fault) => {
            tracing::error!(reason = %fault, "two sides could not be compared");
            Err(refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "a fault of schema-mirror itself; its log says more",
            ))
        }
    }
}

async fn side<C: Cluster, K: Clock>(shared: &Shared<C, K>, cluster: &str) -> Side {
    let registries = &shared.registries;
    let reader = registries.catalogs.borrow().get(cluster).cloned();
    let Some(reader) = reader else {
        let away = "the configuration has no cluster of this name".to_owned();
        return Side { held: None, away: Some(away) };
    };
    match reader.current(&registries.clock).await {
        Ok(Current { held, away }) => Side { held: Some(held), away },
        Err(reason) => Side { held: None, away: Some(reason) },
    }
}

fn both(
    source: &Side,
    target: &Side,
    rules: &Rules,
    set_aside: &[SetAside],
    asked: &Asked,
) -> BothSides {
    let (all, contexts) = match (&source.held, &target.held) {
        (Some(ours), Some(theirs)) => {
            ours.ask(|ours| theirs.ask(|theirs| beside(Some(ours), Some(theirs), rules)))
        }
        (Some(ours), None) => ours.ask(|ours| beside(Some(ours), None, rules)),
        (None, Some(theirs)) => theirs.ask(|theirs| beside(None, Some(theirs), rules)),
        (None, None) => beside(None, None, rules),
    };
    let is_known = source.held.is_some() && target.held.is_some();
    let differing = all.iter().filter(|one| one.sameness != Sameness::Same).count();
    let known_reasons: BTreeMap<&Subject, &'static str> =
        set_aside.iter().filter_map(|one| Some((one.subject.as_ref()?, one.word))).collect();
    let word = |one: &Beside| match one.sameness {
        _ if !is_known => "unknown",
        Sameness::Same => "same",
        Sameness::Missing | Sameness::Different | Sameness::Extra
            if known_reasons.contains_key(&one.target) =>
        {
            known_reasons.get(&one.target).copied().unwrap_or_default()
        }
        Sameness::Missing => "missing",
        Sameness::Extra => "extra",
        Sameness::Different => "different",
    };
    let mut found = all.iter().filter(|one| asked.fits(one));
    let subjects =
        found.by_ref().take(SUBJECTS_TOLD_MAX).map(|one| subject_told(one, word(one))).collect();
    BothSides {
        contexts: contexts.into_iter().map(context_told).collect(),
        subjects,
        left_off: found.count(),
        differing: is_known.then_some(differing),
        source_away: source.away.clone(),
        target_away: target.away.clone(),
    }
}

impl Asked {
    fn fits(&self, one: &Beside) -> bool {
        if self.only == Only::Different && one.sameness == Sameness::Same {
            return false;
        }
        if let Some(exactly) = &self.exactly {
            return one.target.spelled() == *exactly;
        }
        let sought = self.search.to_lowercase();
        let has = |subject: &Subject| subject.spelled().to_lowercase().contains(&sought);
        sought.is_empty() || has(&one.target) || one.source.as_ref().is_some_and(has)
    }
}

fn subject_told(one: &Beside, word: &'static str) -> SubjectTold {
    let versions = |listed: &[Listed]| {
        listed.iter().map(|one| (one.version, one.id, u8::from(one.deleted))).collect()
    };
    let source = one.source.as_ref().map(Subject::spelled);
    (word, source, versions(&one.in_source), one.target.spelled(), versions(&one.in_target))
}

fn context_told(one: ContextBeside) -> ContextTold {
    ContextTold {
        source: one.source.map(|context| context.to_string()),
        target: one.target.to_string(),
        source_subjects: one.in_source,
        target_subjects: one.in_target,
        target_mode: one.mode.map(|mode| mode.as_str()),
    }
}
