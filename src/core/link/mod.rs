//! One link: what its source says, what its target holds, and what follows from the two.
//!
//! Level-triggered: a decision about a key looks at both views as they are, never at the record that
//! led to it. So it does not matter how often, or after what, a key is decided.

pub mod brake;
mod decide;
mod fold;
mod follow;
pub mod ledger;
mod outgoing;
pub mod plan;
mod references;
mod start;
mod tail;
mod wanted;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

pub use self::decide::Change;
pub use self::decide::Verdict;
pub use self::decide::Write;
pub use self::start::Halt;
pub use self::tail::Outcome;
pub use self::tail::Pace;
pub use self::tail::Step;
use crate::core::entry::Entry;
use crate::core::entry::Reader;
use crate::core::key::Key;
use crate::core::link::brake::Brake;
use crate::core::link::ledger::Ledger;
use crate::core::provenance::Provenance;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::rules::Dialect;
use crate::core::rules::Rules;
use crate::core::rules::Scope;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::view::Applied;
use crate::core::view::Origin;
use crate::core::view::Side;
use crate::core::view::Stamp;
use crate::core::view::View;

/// Who writes, and between which clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// This instance.
    pub writer: String,
    /// The lease under which it writes.
    pub epoch: u64,
    /// The id of the cluster that is read.
    pub source_cluster: String,
    /// The id of the cluster that is written.
    pub target_cluster: String,
}

/// A claim found in the source cluster: where it says that records came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceClaim {
    /// What the other link owns in our source.
    pub scope: Scope,
    /// Ids of the clusters whose records it copied there.
    pub origins: BTreeSet<String>,
}

/// What was known about the link before this start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The link's claim on its scope was there: this is not its first start.
    pub claimed: bool,
    /// The claim says that the link had no fence then.
    pub unfenced: bool,
    /// Records of the scope below this target offset were adopted.
    pub adopted_below: Offset,
    /// Claims of other links on parts of our source.
    pub source_claims: Vec<SourceClaim>,
}

/// What an operator allowed for this start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Keys that no link wrote become the link's own.
    pub adopt: bool,
    /// A fence that someone lifted is set again.
    pub fence_again: bool,
}

/// A link between two views.
#[derive(Debug)]
pub struct Link {
    rules: Rules,
    identity: Identity,
    history: History,
    permissions: Permissions,
    source: View,
    source_reader: Reader,
    target: View,
    target_reader: Reader,
    /// Subjects outside the filter that are taken because something chosen points to them.
    followed: BTreeSet<Subject>,
    /// Contexts of the target whose CONTEXT, MODE and CONFIG were decided before their first schema.
    opened: BTreeSet<ContextName>,
    /// The way that settings took to our source, where a link copied them there.
    config_paths: BTreeMap<Subject, Vec<String>>,
    /// Clusters that the copied records came through.
    origins: BTreeSet<String>,
    /// The place after the last record that the target is known to hold.
    target_next: Offset,
    ledger: Ledger,
    brake: Brake,
}

impl Link {
    /// A link before anything is read.
    #[must_use]
    pub fn new(
        rules: Rules,
        identity: Identity,
        history: History,
        permissions: Permissions,
    ) -> Self {
        let brake = Brake::new(rules.delete_limit);
        let origins = BTreeSet::from([identity.source_cluster.clone()]);
        Self {
            source_reader: Reader::new(rules.source_dialect),
            target_reader: Reader::new(Dialect::Confluent),
            source: View::new(Side::Source),
            target: View::new(Side::Target),
            followed: BTreeSet::new(),
            opened: BTreeSet::new(),
            config_paths: BTreeMap::new(),
            origins,
            target_next: 0,
            ledger: Ledger::default(),
            rules,
            identity,
            history,
            permissions,
            brake,
        }
    }

    /// The link's definition.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What the source says so far.
    #[must_use]
    pub fn source(&self) -> &View {
        &self.source
    }

    /// What the target holds, with everything that was written to it though not yet acknowledged.
    #[must_use]
    pub fn target(&self) -> &View {
        &self.target
    }

    /// Incidents, held keys and remarks.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Ids of the clusters that the copied records came through, for the link's claim.
    #[must_use]
    pub fn origins(&self) -> &BTreeSet<String> {
        &self.origins
    }

    /// Takes a record of the source into the view, deciding nothing. `changed` gets keys of the
    /// source whose state may be another one now.
    pub fn read_source(&mut self, record: &Record, changed: &mut Vec<Key>) -> Applied {
        let reading = self.source_reader.read(record);
        let origin = self.source_origin(record, reading.entry.subject());
        let stamp = Stamp { offset: record.offset, timestamp_ms: record.timestamp_ms, origin };
        if let Entry::Config(subject, _) = &reading.entry {
            match Provenance::of(&record.headers) {
                Some(provenance) => {
                    drop(self.config_paths.insert(subject.clone(), provenance.path))
                }
                None => drop(self.config_paths.remove(subject)),
            }
        }
        let applied = self.source.apply(&reading.entry, stamp, changed);
        self.ledger.source_record(record, &applied, changed);
        applied
    }

    /// Takes a record of the target into the view, deciding nothing. `changed` gets keys of the
    /// target whose state may be another one now.
    pub fn read_target(&mut self, record: &Record, changed: &mut Vec<Key>) -> Applied {
        self.target_next = self.target_next.max(crate::core::record::after(record.offset));
        let reading = self.target_reader.read(record);
        let origin = self.target_origin(record);
        let stamp = Stamp { offset: record.offset, timestamp_ms: record.timestamp_ms, origin };
        if let (false, Some(bytes)) = (reading.canonical, record.key.as_deref())
            && let Some((key, exists)) = reading.entry.state_key()
        {
            self.target.note_spelling(&key, bytes, exists);
        }
        self.target.apply(&reading.entry, stamp, changed)
    }

    /// Whether the record is one that this instance wrote under its present lease, coming back.
    #[must_use]
    pub fn is_echo(&self, record: &Record) -> bool {
        Provenance::of(&record.headers).is_some_and(|provenance| {
            provenance.link == self.rules.name
                && provenance.writer == self.identity.writer
                && provenance.epoch == self.identity.epoch
        })
    }

    fn target_origin(&self, record: &Record) -> Origin {
        match Provenance::of(&record.headers) {
            Some(provenance) if provenance.link == self.rules.name => Origin::Ours,
            _ if record.offset < self.history.adopted_below => Origin::Ours,
            Some(_) => Origin::OtherLink,
            None => Origin::Registry,
        }
    }

    /// Nothing that came through the target's cluster goes back to it. The header says where a
    /// record came from; where a registry rewrote the record and the header is lost, the claims of
    /// the links that write our source do (rulings 21).
    fn source_origin(&mut self, record: &Record, subject: Option<&Subject>) -> Origin {
        match Provenance::of(&record.headers) {
            Some(provenance) if provenance.path.contains(&self.identity.target_cluster) => {
                Origin::Loop
            }
            Some(provenance) => {
                self.origins.extend(provenance.path);
                Origin::OtherLink
            }
            None => {
                let came_back = subject.is_some_and(|subject| {
                    self.history.source_claims.iter().any(|claim| {
                        claim.origins.contains(&self.identity.target_cluster)
                            && claim.scope.contains(subject)
                    })
                });
                if came_back { Origin::Loop } else { Origin::Registry }
            }
        }
    }
}
