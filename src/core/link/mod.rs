//! One link: what its source says, what its target holds, and what follows from the two.
//!
//! Level-triggered: a decision about a key looks at both views as they are, never at the record that
//! led to it. So it does not matter how often, or after what, a key is decided.

pub mod acknowledged;
mod again;
mod associations;
mod bearing;
pub mod brake;
mod decide;
mod dialect;
mod fold;
mod follow;
pub mod inherit;
pub mod leave;
pub mod ledger;
mod names;
mod opening;
mod order;
mod outcome;
mod outgoing;
pub mod plan;
pub mod purge;
mod references;
mod source;
mod start;
mod tail;
pub mod turn;
mod wanted;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

pub use self::again::FenceAgain;
pub use self::bearing::Bearing;
pub use self::bearing::Sorter;
pub use self::decide::Change;
pub use self::decide::Verdict;
pub use self::decide::Write;
use self::names::Names;
pub use self::outcome::Outcome;
use self::source::AtHand;
pub use self::source::Lens;
pub use self::source::Source;
pub use self::source::Told;
pub use self::start::Halt;
pub use self::tail::Pace;
pub use self::tail::Step;
use crate::core::dialect::Dialect;
use crate::core::entry::Entry;
use crate::core::entry::Reader;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::link::acknowledged::Acknowledged;
use crate::core::link::brake::Brake;
use crate::core::link::leave::Steered;
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
    /// The link, as it is claimed, began at this target offset: what was written under its name before
    /// may be a deleted link's, and outside the scope it stays.
    pub began_at: Offset,
    /// Scopes that the link had under former definitions: what it left there stays.
    pub former: Vec<Scope>,
    /// Claims of other links on parts of our source.
    pub source_claims: Vec<SourceClaim>,
    /// Incidents that operators let stand.
    pub acknowledged: Acknowledged,
}

/// What an operator allowed for this start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Keys that no link wrote become the link's own.
    pub adopt: bool,
    /// Fences that someone lifted are set again.
    pub fence_again: FenceAgain,
    /// Where more is allowed.
    pub steered: Steered,
}

/// Whether schemas of a context of the target can bear on what a link does there. Ids are a context's
/// own wherever a link has a context, so those of other contexts can't; they may be many.
fn bears_on(rules: &Rules, target: &ContextName) -> bool {
    match &rules.placement {
        Placement::Into(_) => rules.owns_context(target),
        Placement::Same => true,
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
    /// The source as the link reads it itself; empty where it is read for several.
    own: Source,
    /// Schemas of all contexts of the target are kept, whether they bear on the link's writes or not.
    sees_all_contexts: bool,
    /// The source as it is read for several links, while this one looks at it.
    lent: Option<Arc<Source>>,
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
    /// The place after the last record that the target is known to hold.
    target_next: Offset,
    ledger: Ledger,
    /// Which subjects of the source stand behind names that a list of rules gives.
    names: Names,
    brake: Brake,
    /// Former scopes of the link, in a form that answers for many subjects.
    former: Vec<ScopeFilter>,
    /// The headers of records that were made in the source's own cluster: nearly all.
    plain_headers: Arc<[Header]>,
    /// The newest record of the source, if naming another subject is all that its value needs:
    /// nearly all are written before the next one is read.
    at_hand: Option<AtHand>,
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
        let former = history.former.iter().map(Scope::filter).collect();
        let plain_headers = outgoing::headers(&rules, &identity, Vec::new());
        Self {
            own: Source::new(lens(&rules, &identity, &history, rules.target_dialect)),
            sees_all_contexts: false,
            lent: None,
            target_reader: Reader::new(rules.target_dialect),
            target: View::new(Side::Target),
            followed: BTreeSet::new(),
            pointing: BTreeMap::new(),
            unsent: BTreeMap::new(),
            damaged: BTreeSet::new(),
            pending: Vec::new(),
            gone: BTreeSet::new(),
            opened: BTreeSet::new(),
            target_next: 0,
            ledger: Ledger::knowing(history.acknowledged.clone()),
            names: Names::default(),
            rules,
            identity,
            history,
            permissions,
            brake,
            former,
            plain_headers,
            at_hand: None,
        }
    }

    /// What an operator allows for this start, as it is known once the lease has begun.
    pub fn permit(&mut self, permissions: Permissions) {
        self.permissions = permissions;
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
        self.seen().view()
    }

    /// How the link sees its source, by what it knows of its target.
    #[must_use]
    pub fn lens(&self) -> Lens {
        lens(&self.rules, &self.identity, &self.history, self.dialect())
    }

    /// Lets the link look at a source that is read for several links of its lens. It may be ahead of
    /// the records that the link was told of: decisions are about what stands, whatever led to them.
    pub fn look_at(&mut self, source: Arc<Source>) {
        self.lent = Some(source);
    }

    /// Takes that source away again, so that it can be read on.
    pub fn look_away(&mut self) {
        self.lent = None;
    }

    fn seen(&self) -> &Source {
        self.lent.as_deref().unwrap_or(&self.own)
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

    /// From here on operators let these incidents stand.
    pub fn acknowledge(&mut self, acknowledged: Acknowledged) {
        self.ledger.acknowledge(acknowledged);
    }

    /// Ids of the clusters that the copied records came through, for the link's claim.
    #[must_use]
    pub fn origins(&self) -> &BTreeSet<String> {
        self.seen().origins()
    }

    /// Takes a record of the source into the link's own view, deciding nothing.
    fn read_source(&mut self, record: &Record) -> Told {
        let dialect = self.dialect();
        self.own.take(record, dialect)
    }

    /// Takes note of what a record of the source came to.
    fn hear(&mut self, record: &Record, told: &Told) {
        self.at_hand.clone_from(&told.at_hand);
        let Self { ledger, rules, followed, .. } = self;
        ledger.source_record(record, told, |key| copies(rules, followed, key));
        let refused = match &told.applied {
            Applied::Refused(key, _) => key.as_ref(),
            Applied::Changed | Applied::Nothing => None,
        };
        for subject in told.changed.iter().chain(refused).filter_map(Key::subject) {
            self.note_name(subject);
        }
    }

    /// Takes a record of the target into the view, deciding nothing. `changed` gets keys of the
    /// target whose state may be another one now.
    pub fn read_target(&mut self, record: &Record, changed: &mut Vec<Key>) -> Applied {
        self.target_next = self.target_next.max(crate::core::record::after(record.offset));
        let before = self.dialect();
        let reading = self.target_reader.read_where(record, |key| match key {
            Key::Schema(subject, _) => {
                self.sees_all_contexts || bears_on(&self.rules, &subject.context)
            }
            Key::Context(_)
            | Key::Mode(_)
            | Key::Config(_)
            | Key::Association(_)
            | Key::DeleteSubject(_)
            | Key::ClearSubject(_)
            | Key::Noop => true,
        });
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

    /// The target's log was read to here: what is sent next lands behind it.
    pub fn target_read_to(&mut self, next: Offset) {
        self.target_next = self.target_next.max(next);
    }

    /// The value of the header that most records of this link have under its present lease: what
    /// bears it came from here.
    #[must_use]
    pub fn own_header(&self) -> Option<&[u8]> {
        self.plain_headers.first()?.value.as_deref()
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
}

/// How a link sees its source.
fn lens(rules: &Rules, identity: &Identity, history: &History, target_dialect: Dialect) -> Lens {
    let claims = history.source_claims.iter();
    let from_target = claims.filter(|claim| claim.origins.contains(&identity.target_cluster));
    Lens {
        source_dialect: rules.source_dialect,
        target_dialect,
        source_cluster: identity.source_cluster.clone(),
        target_cluster: identity.target_cluster.clone(),
        claims: from_target.cloned().collect(),
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
