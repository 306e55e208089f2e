//! A link with everything it needs to run: its rules and the topics it works on.

use crate::core::link::FenceAgain;
use crate::core::link::Permissions;
use crate::core::link::leave::Leave;
use crate::core::link::leave::Steered;
use crate::core::record::Offset;
use crate::core::rules::Rules;
use crate::service::state::State;

/// Our own compacted topic on the target's cluster, where nothing else is configured.
pub const STATE_TOPIC: &str = "_schema_mirror";

/// How many records a second a target in use is given at most: its registry reads about 35,000 a
/// second and fails its clients while it lags (measured: Confluent 7.9.5).
pub const WRITE_RATE_MAX_DEFAULT: u32 = 20_000;

/// A link, ready to run between two clusters.
#[derive(Debug, Clone)]
pub struct LinkDefinition {
    /// What it was told to do.
    pub rules: Rules,
    /// Who names the context.
    pub context: ContextNamedBy,
    /// The schemas topic that is read.
    pub source_topic: String,
    /// The schemas topic that is written.
    pub target_topic: String,
    /// Our own topic on the target's cluster.
    pub state_topic: String,
    /// The topic of that kind on the source's cluster, where other links keep their claims.
    pub source_state_topic: String,
    /// Whether topics that are missing are created.
    pub create_topics: bool,
    /// Keys of the scope that no link wrote become the link's own at its first start.
    pub adopt: bool,
    /// Deletes up to this source offset are released, once.
    pub allow_deletes_until: Option<Offset>,
    /// What the operator allows for this start only.
    pub once: Once,
    /// Where an operator steers it.
    pub steered: Steered,
    /// This instance's name, as other instances and the records' headers show it.
    pub instance: String,
}

impl LinkDefinition {
    /// What an operator allows, where `once` is what is left of it for this start, and the state may hold
    /// what was allowed since; the time is in ms since 1970.
    #[must_use]
    pub fn permissions(&self, once: Once, state: &State, wall_ms: i64) -> Permissions {
        let leave = state.fence_leave(&self.rules.name, &self.rules.scope(), wall_ms);
        let fence_again = match (once.fence_again, leave) {
            (true, None) => FenceAgain::all(),
            (true, Some(leave)) => FenceAgain { named: leave.allows().named, ..FenceAgain::all() },
            (false, Some(leave)) => leave.allows(),
            (false, None) => FenceAgain::default(),
        };
        Permissions { adopt: self.adopt, fence_again, steered: self.steered }
    }

    /// The words in which an operator is told what lets the link go on.
    #[must_use]
    pub fn leave(&self) -> Leave<'_> {
        Leave { steered: self.steered, link: &self.rules.name }
    }
}

/// Who names a link's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextNamedBy {
    /// The configuration: the rules have it.
    Configuration,
    /// The source's cluster: the rules get it when the cluster tells its id.
    SourceCluster,
}

/// What an operator allows on the command line for one start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Once {
    /// Deletes that the brake would stop.
    pub allow_deletes: bool,
    /// Setting a fence again that someone lifted.
    pub fence_again: bool,
}
