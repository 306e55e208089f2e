//! What exporters are doing, in Schema Linking's words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde::Serialize;

use super::ContextType;
use super::shelf::Id;
use crate::core::rules::Rules;
use crate::service::exported::Exported;
use crate::service::status::Phase;
use crate::service::status::Status;
use crate::service::supervisor::Restart;
use crate::service::supervisor::Watched;

/// Where an exporter is. There is no state for a fault: what failed is paused, with its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExporterState {
    /// It has not caught up yet.
    Starting,
    /// It follows its source.
    Running,
    /// It stands still.
    Paused,
}

impl ExporterState {
    /// As Schema Linking spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
        }
    }
}

/// What an exporter is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExporterStatus {
    /// Where it is.
    pub state: ExporterState,
    /// The newest record of the source that it copied, if there is one.
    pub exported: Option<Exported>,
    /// Why it stands still, or waits.
    pub trace: Option<String>,
}

impl ExporterStatus {
    /// It stands still for a reason.
    pub(super) fn paused(trace: String) -> Self {
        Self { state: ExporterState::Paused, exported: None, trace: Some(trace) }
    }

    pub(super) fn of(status: &Status) -> Self {
        let (state, trace) = match &status.phase {
            Phase::Running => (ExporterState::Running, set_aside(status)),
            Phase::Halted(reason) => (ExporterState::Paused, Some(reason.clone())),
            Phase::Waiting(reason) => (ExporterState::Starting, Some(reason.clone())),
            Phase::Paused => (ExporterState::Paused, None),
            Phase::Purging => (ExporterState::Paused, Some("it is being purged".to_owned())),
            Phase::Preflight
            | Phase::Standby
            | Phase::ReadingTarget
            | Phase::ReadingSource
            | Phase::Reconciling
            | Phase::CatchingUp
            | Phase::Done => (ExporterState::Starting, None),
        };
        Self { state, exported: status.exported, trace }
    }
}

/// What of a link that runs is not copied, if anything.
fn set_aside(status: &Status) -> Option<String> {
    let (incidents, held) = (status.incidents.open(), status.held);
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    (incidents > 0 || held > 0).then(|| {
        format!(
            "not everything is copied: {incidents} incident{}, {held} held key{}; the log has their reasons",
            plural(incidents),
            plural(held)
        )
    })
}

/// An exporter as it is described to whoever asks, in Schema Linking's words and order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Where subjects go.
    pub context_type: ContextType,
    /// The context, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Which subjects.
    pub subjects: Vec<String>,
    /// What they are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_rename_format: Option<String>,
    /// What keys of encryption are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kek_rename_format: Option<String>,
    /// Its configuration, without credentials.
    pub config: BTreeMap<String, String>,
}

/// A link of the configuration's file: seen like an exporter of its source, and changed in the file.
#[derive(Debug, Clone)]
pub struct FixedLink {
    /// The cluster that it reads.
    pub source: String,
    /// The cluster that it writes.
    pub target: String,
    /// What it does.
    pub described: Described,
    /// What it owns in its target; with [`ContextType::Auto`] a context stands in for the one that the
    /// source's cluster names.
    pub rules: Rules,
    /// What it is doing.
    pub watched: Watched,
    /// Has it begin again.
    pub restart: Restart,
}

/// What links of this process show, by their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Posts(Arc<Mutex<BTreeMap<Id, Watched>>>);

impl Posts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Id, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, id: &Id) -> Option<Watched> {
        self.lock().get(id).cloned()
    }

    pub(super) fn put(&self, id: Id, watched: Watched) {
        self.lock().insert(id, watched);
    }

    pub(super) fn keep_only(&self, stays: impl Fn(&Id) -> bool) {
        self.lock().retain(|id, _| stays(id));
    }

    pub(super) fn watched(&self) -> Vec<Watched> {
        self.lock().values().cloned().collect()
    }
}
