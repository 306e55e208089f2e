//! One link: what its source says, what its target holds, and what follows from the two.
//!
//! Level-triggered: a decision about a key looks at both views as they are, never at the record that
//! led to it. So it does not matter how often, or after what, a key is decided.

mod associations;
pub mod brake;
mod decide;
mod dialect;
mod fold;
mod follow;
pub mod inherit;
pub mod ledger;
mod outcome;
mod outgoing;
pub mod plan;
mod references;
mod start;
mod tail;
mod wanted;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

pub use self::decide::Change;
pub use self::decide::Verdict;
pub use self::decide::Write;
pub use self::outcome::Outcome;
pub use self::start::Halt;
pub use self::tail::Pace;
pub use self::tail::Step;
use crate::core::entry::Entry;
use crate::core::entry::Reader;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::link::brake::Brake;
use crate::core::link::ledger::Ledger;
use crate::core::provenance::Provenance;
use crate::core::record::Header;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::rules::Placement;
use crate::core::rules::Rules;
use crate::core::rules::Scope;
use crate::core::rules::ScopeFilter;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Digest;
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
    /// Scopes that the link had under former definitions: what it left there stays.
    pub former: Vec<Scope>,
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

/// Whether a key of the target can bear on what a link does there. Ids are a context's own wherever a
/// link has a context, so schemas of other contexts can't; they may be many.
fn bears_on(rules: &Rules, target: &Key) -> bool {
    match (&rules.placement, target) {
        (Placement::Into(_), Key::Schema(subject, _)) => rules.owns_context(&subject.context),
        (Placement::Into(_) | Placement::Same, _) => true,
    }
}

/// Who wrote a record into the target, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// This instance under its present lease: the record comes back.
    This,
    /// The link under an earlier lease: what was on its way when that ended.
    Earlier,
    /// The link under a later lease: ours has ended, whether we know or not.
    Later,
    /// A registry, or another link.
    Other,
}

/// What may stand in the target where a write could not be made.
#[derive(Debug, Clone, Copy, Default)]
struct Unsent {
    /// The id and text that may stand there all the same.
    stands: Option<(i32, Digest)>,
    /// The version of the subject that loses its id when the key is deleted.
    orphan: Option<Version>,
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
    /// What copied subjects point to outside the filter.
    pointing: BTreeMap<Subject, BTreeSet<Subject>>,
    /// Keys of the target whose write was decided and could not be made: what stands there is not
    /// what the view says.
    unsent: BTreeMap<Key, Unsent>,
    /// Keys of the target whose newest record no registry reads: it keeps the state it had, until
    /// compaction and a restart take it away.
    damaged: BTreeSet<Key>,
    /// Keys of the target to be decided again before anything else is.
    pending: Vec<Key>,
    /// Versions of the target that went: what references them has to follow when they come back.
    /// Kept only where the target's registry reads references in the order of the log.
    gone: BTreeSet<Key>,
    /// Contexts of the target whose CONTEXT, MODE and CONFIG were decided before their first schema.
    opened: BTreeSet<ContextName>,
    /// The way that settings took to our source, where a link copied them there.
    config_paths: BTreeMap<Key, Vec<String>>,
    /// Clusters that the copied records came through.
    origins: BTreeSet<String>,
    /// The place after the last record that the target is known to hold.
    target_next: Offset,
    ledger: Ledger,
    brake: Brake,
    /// What other links copied from the target's cluster into our source, by their claims.
    came_from_target: Vec<ScopeFilter>,
    /// Former scopes of the link, in a form that answers for many subjects.
    former: Vec<ScopeFilter>,
    /// The headers of records that were made in the source's own cluster: nearly all.
    plain_headers: Arc<[Header]>,
    /// The newest record of the source, if naming another subject is all that its value needs:
    /// nearly all are written before the next one is read.
    at_hand: Option<AtHand>,
}

#[derive(Debug)]
struct AtHand {
    offset: Offset,
    deleted: bool,
    subject_at: Range<usize>,
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
        let came_from_target = history
            .source_claims
            .iter()
            .filter(|claim| claim.origins.contains(&identity.target_cluster))
            .map(|claim| claim.scope.filter())
            .collect();
        let former = history.former.iter().map(Scope::filter).collect();
        let plain_headers = outgoing::headers(&rules, &identity, Vec::new());
        Self {
            source_reader: Reader::new(rules.source_dialect),
            target_reader: Reader::new(rules.target_dialect),
            source: View::new(Side::Source),
            target: View::new(Side::Target),
            followed: BTreeSet::new(),
            pointing: BTreeMap::new(),
            unsent: BTreeMap::new(),
            damaged: BTreeSet::new(),
            pending: Vec::new(),
            gone: BTreeSet::new(),
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
            came_from_target,
            former,
            plain_headers,
            at_hand: None,
        }
    }

    /// The lease under which the link writes began.
    pub fn lease_began(&mut self, epoch: u64) {
        self.identity.epoch = epoch;
        self.plain_headers = outgoing::headers(&self.rules, &self.identity, Vec::new());
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
        let entry = self.source_reader.read(record).entry;
        let entry = self.for_target(record, entry);
        let origin = self.source_origin(record, &entry);
        let stamp = Stamp { offset: record.offset, timestamp_ms: record.timestamp_ms, origin };
        if let Entry::Config(..) | Entry::Association(..) = &entry
            && let Some((key, _)) = entry.state_key()
        {
            match Provenance::of(&record.headers) {
                Some(provenance) => drop(self.config_paths.insert(key, provenance.path)),
                None => drop(self.config_paths.remove(&key)),
            }
        }
        self.at_hand =
            match &entry {
                Entry::Schema(_, _, Some(said)) => said.subject_at.clone().map(|subject_at| {
                    AtHand { offset: record.offset, deleted: said.deleted, subject_at }
                }),
                Entry::Schema(_, _, None)
                | Entry::Config(..)
                | Entry::Mode(..)
                | Entry::Context(..)
                | Entry::DeleteSubject(..)
                | Entry::Association(..)
                | Entry::ClearSubject(_)
                | Entry::Nothing
                | Entry::Faulty(..) => None,
            };
        let before = changed.len();
        let applied = self.source.apply(&entry, stamp, changed);
        let Self { ledger, rules, followed, .. } = self;
        let new = changed.get(before..).unwrap_or_default();
        ledger.source_record(record, &applied, new, |key| copies(rules, followed, key));
        applied
    }

    /// Takes a record of the target into the view, deciding nothing. `changed` gets keys of the
    /// target whose state may be another one now.
    pub fn read_target(&mut self, record: &Record, changed: &mut Vec<Key>) -> Applied {
        self.target_next = self.target_next.max(crate::core::record::after(record.offset));
        let before = self.dialect();
        let reading = self.target_reader.read_where(record, |key| bears_on(&self.rules, key));
        if before != self.dialect() {
            self.respell(before);
        }
        let origin = self.target_origin(record);
        let stamp = Stamp { offset: record.offset, timestamp_ms: record.timestamp_ms, origin };
        let faulty = matches!(reading.entry, Entry::Faulty(..));
        if (!reading.canonical || faulty || !self.damaged.is_empty())
            && let Some((key, exists)) = reading.entry.state_key()
        {
            if !reading.canonical {
                let bytes = record.key.as_deref().unwrap_or_default();
                if exists {
                    self.target.note_spelling(&key, bytes);
                } else {
                    self.target.forget_spelling(&key, bytes);
                }
            }
            if faulty {
                self.damaged.insert(key);
            } else {
                self.damaged.remove(&key);
            }
        }
        if let Entry::Schema(subject, version, None) = &reading.entry
            && let Some(orphan) = self.target.orphan_of(subject, *version)
        {
            changed.push(self.lost_its_id(subject, orphan));
        }
        let stood = self.stood_for_referrers(&reading.entry);
        let applied = self.target.apply(&reading.entry, stamp, changed);
        if stood {
            changed.extend(self.outrun_referrers(&reading.entry));
        }
        applied
    }

    /// Notes a version that loses its id with another one, and has to be written again.
    fn lost_its_id(&mut self, subject: &Subject, version: Version) -> Key {
        let key = Key::Schema(subject.clone(), version);
        self.damaged.insert(key.clone());
        key
    }

    /// Who wrote a record of the target.
    #[must_use]
    pub fn author_of(&self, record: &Record) -> Author {
        match Provenance::of(&record.headers).filter(|provenance| self.is_ours(provenance)) {
            None => Author::Other,
            Some(provenance) if provenance.epoch > self.identity.epoch => Author::Later,
            Some(provenance)
                if provenance.epoch == self.identity.epoch
                    && provenance.writer == self.identity.writer =>
            {
                Author::This
            }
            Some(_) => Author::Earlier,
        }
    }

    /// A link of the same name that reads another cluster is another link.
    fn is_ours(&self, provenance: &Provenance) -> bool {
        provenance.link == self.rules.name
            && provenance.path.last() == Some(&self.identity.source_cluster)
    }

    fn target_origin(&self, record: &Record) -> Origin {
        match Provenance::of(&record.headers) {
            Some(provenance) if self.is_ours(&provenance) => Origin::Ours,
            _ if record.offset < self.history.adopted_below => Origin::Ours,
            Some(_) => Origin::OtherLink,
            None => Origin::Registry,
        }
    }

    /// Nothing that came through the target's cluster goes back to it. The header says where a
    /// record came from; where a registry rewrote the record and the header is lost, the claims of
    /// the links that write our source do (rulings 21).
    fn source_origin(&mut self, record: &Record, entry: &Entry) -> Origin {
        match Provenance::of(&record.headers) {
            Some(provenance) if provenance.path.contains(&self.identity.target_cluster) => {
                Origin::Loop
            }
            Some(provenance) => {
                self.origins.extend(provenance.path);
                Origin::OtherLink
            }
            None if self.came_from_target.is_empty() => Origin::Registry,
            None => {
                let subject = if let Entry::Context(context, _) = entry {
                    Some(Subject::of_context(context))
                } else {
                    entry.subject().cloned()
                };
                let came_back = subject.is_some_and(|subject| {
                    self.came_from_target.iter().any(|claimed| claimed.contains(&subject))
                });
                if came_back { Origin::Loop } else { Origin::Registry }
            }
        }
    }
}

/// Whether records of this key of the source are the link's business at all.
fn copies(rules: &Rules, followed: &BTreeSet<Subject>, source: &Key) -> bool {
    match source {
        Key::Schema(subject, _) | Key::Config(subject) | Key::DeleteSubject(subject) => {
            rules.filter.selects(subject) || followed.contains(subject)
        }
        Key::Association(association) => {
            let subject = &association.subject;
            rules.target_dialect.reads(source)
                && (rules.filter.selects(subject) || followed.contains(subject))
        }
        Key::Context(context) => rules.filter.touches(context),
        // Modes of the source's subjects are not copied, nor are the events that clear memory.
        Key::Mode(_) | Key::ClearSubject(_) | Key::Noop => false,
    }
}
