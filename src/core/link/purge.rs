//! Purging: taking away what a link wrote, because the link is deleted and its copy with it.
//!
//! The target's log alone decides: what the newest record of a key says of its writer, and who refers to
//! what. A version goes by a tombstone and nothing before it, as the link's own deletions do: a registry
//! that runs takes a version away by that whether it was marked as deleted before or not (odd-records
//! 5.2).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Author;
use super::Change;
use super::Halt;
use super::History;
use super::Identity;
use super::Link;
use super::Permissions;
use super::Write;
use super::order::deletion_rank;
use super::plan::Planned;
use super::plan::PlannedKind;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::record::Record;
use crate::core::record::Room;
use crate::core::rules::Rules;
use crate::core::rules::Scope;
use crate::core::rules::ScopeFilter;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::view::ContextView;
use crate::core::view::Origin;
use crate::core::view::SubjectView;

/// Why a key goes.
const WHY: &str = "the link is purged";

/// What a link's claim says of the part of the target that is purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The part.
    pub scope: Scope,
    /// Parts that the link had under former definitions: what it left there stays.
    pub former: Vec<Scope>,
    /// The link, as it is claimed, began at this target offset. What it wrote since goes wherever it
    /// stands: a reference may have brought it in.
    pub began_at: Offset,
    /// Records below this target offset were adopted.
    pub adopted_below: Offset,
    /// A fence stands on the part: where one is missing above something of the link, someone took it
    /// away.
    pub fenced: bool,
    /// Other links of the target, by name, with what is theirs.
    pub others: Vec<(String, Scope)>,
}

/// What a purge takes away, and what it leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purge {
    /// The keys that go, in their order: versions before settings, referrers before what they refer to,
    /// the fence behind all that it fences, contexts last.
    pub removals: Vec<Planned>,
    /// The keys that stay though they stand in the link's part of the target, or are its own.
    pub stays: Vec<Stay>,
}

/// A key that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// The key in the target.
    pub key: Key,
    /// Why, in words.
    pub reason: String,
}

/// A link that is purged, between what it claimed and the target's log. It never looks at a source.
#[derive(Debug)]
pub struct Purger {
    link: Link,
    claimed: Claimed,
    scope: ScopeFilter,
    former: Vec<ScopeFilter>,
    others: Vec<(String, ScopeFilter)>,
}

impl Purger {
    /// One before anything is read.
    #[must_use]
    pub fn new(rules: Rules, identity: Identity, claimed: Claimed) -> Self {
        // Who wrote a record is told by its header alone: what was adopted is not what was written.
        let history = History { claimed: true, unfenced: !claimed.fenced, ..History::default() };
        let mut link = Link::new(rules, identity, history, Permissions::default());
        link.sees_all_contexts = true;
        let scope = claimed.scope.filter();
        let former = claimed.former.iter().map(Scope::filter).collect();
        let others =
            claimed.others.iter().map(|(link, scope)| (link.clone(), scope.filter())).collect();
        Self { link, claimed, scope, former, others }
    }

    /// Takes a record of the target, deciding nothing.
    pub fn read(&mut self, record: &Record) {
        self.link.read_target(record, &mut Vec::new());
    }

    /// Whether the link wrote a record under a later lease than ours. One that came since ours began says
    /// that it has ended, whether we know or not.
    #[must_use]
    pub fn is_later(&self, record: &Record) -> bool {
        self.link.author_of(record) == Author::Later
    }

    /// The target's log was read to here.
    pub fn read_to(&mut self, next: Offset) {
        self.link.target_read_to(next);
    }

    /// Whether nobody opened a whole context of the link to clients: that is a fail-over by hand, and
    /// what stands there may be in use (rulings 13).
    ///
    /// # Errors
    /// [`Halt::FenceLifted`].
    pub fn check_fences(&self) -> Result<(), Halt> {
        if !self.claimed.fenced || self.link.knows_no_fence() {
            return Ok(());
        }
        for (context, view) in self.link.target.contexts() {
            let own = Subject::of_context(context);
            // Where the link fences subjects, the context above them has no fence of its own.
            if !self.scope.contains(&own) || self.link.fences_subjects(context) {
                continue;
            }
            let mode = self.link.target.subject(&own).and_then(|held| held.mode);
            let lifted = match mode {
                Some(held) => !held.mode.fences() && !held.stamp.origin.is_link(),
                None => view.subjects().any(|(_, held)| self.link.wrote(held)),
            };
            if lifted {
                return Err(Halt::FenceLifted { on: Halt::place_of(context) });
            }
        }
        Ok(())
    }

    /// Looks at everything that the target holds and says what goes and what stays. Asked again behind
    /// its own removals, or behind some of them, it names the rest.
    #[must_use]
    pub fn plan(&self) -> Purge {
        let mut draft = Draft::default();
        for (context, view) in self.link.target.contexts() {
            for (name, held) in view.subjects() {
                let subject = Subject { context: context.clone(), name: Arc::clone(name) };
                self.draft_subject(&subject, held, &mut draft);
            }
            for (name, version) in view.losers() {
                let subject = Subject::new(context, name);
                self.draft_loser(view, Key::Schema(subject, version), &mut draft);
            }
        }
        for (association, held) in self.link.target.associations() {
            let key = Key::Association(Box::new(association.clone()));
            self.draft(key, held.stamp.origin, held.stamp.offset, &mut draft);
        }
        self.keep_what_stays_needs(&mut draft);
        self.keep_fences(&mut draft);
        for (context, view) in self.link.target.contexts() {
            self.draft_context(context, view, &mut draft);
        }
        let mut removals: Vec<Planned> =
            draft.goes.into_iter().map(|key| self.planned(key)).collect();
        removals.sort_by(|a, b| deletion_rank(&a.key).cmp(&deletion_rank(&b.key)));
        let removals = self.link.referrers_first(removals, Link::target_references);
        let stays = draft.stays.into_iter().map(|(key, reason)| Stay { key, reason }).collect();
        Purge { removals, stays }
    }

    /// Takes a removal into the view of the target when it is sent.
    pub fn take_away(&mut self, key: &Key) -> Write {
        let mut write = Write::new(key, Change::Delete, WHY);
        self.link.sent(&mut write);
        write
    }

    /// The records that make a removal, see [`Link::outgoing`].
    ///
    /// # Errors
    /// None that a deletion can have.
    pub fn outgoing(
        &self,
        write: &Write,
        wall_ms: i64,
        room: &mut Room,
    ) -> Result<Vec<Outgoing>, String> {
        self.link.outgoing(write, None, wall_ms, room)
    }

    fn draft_subject(&self, subject: &Subject, held: &SubjectView, draft: &mut Draft) {
        if let Some(config) = &held.config {
            let key = Key::Config(subject.clone());
            self.draft(key, config.stamp.origin, config.stamp.offset, draft);
        }
        if let Some(mode) = held.mode {
            let key = Key::Mode(subject.clone());
            self.draft(key, mode.stamp.origin, mode.stamp.offset, draft);
        }
        for version in held.versions() {
            let key = Key::Schema(subject.clone(), version.version);
            draft.versions.insert(key.clone());
            self.draft(key, version.origin, version.offset, draft);
        }
    }

    /// Decides a key by who wrote its newest record. What is neither in the link's part of the target
    /// nor its own is not spoken of.
    fn draft(&self, key: Key, origin: Origin, offset: Offset, draft: &mut Draft) {
        let is_written = origin.is_link();
        if !is_in(&self.scope, &key) {
            let was_its_own = self.former.iter().any(|former| is_in(former, &key));
            if !is_written || (offset < self.claimed.began_at && !was_its_own) {
                return;
            }
            if was_its_own {
                let reason = "the link left it there under a former definition";
                draft.stays.insert(key, reason.to_owned());
                return;
            }
        }
        let reason = if let Some(link) = self.owner(&key) {
            format!("it belongs to link {link} now")
        } else if !is_written && !self.is_fence_set_again(&key, offset) {
            self.foreign(origin, offset)
        } else if !self.link.dialect().reads(&key) {
            "the target's registry reads no records of this kind, not even their deletion"
                .to_owned()
        } else if self.is_open(&key) {
            "someone opened its subject to clients by another mode, or by deleting that".to_owned()
        } else {
            draft.stays.remove(&key);
            draft.goes.insert(key);
            return;
        };
        draft.goes.remove(&key);
        draft.stays.insert(key, reason);
    }

    /// The other link that a subject's key belongs to.
    fn owner(&self, key: &Key) -> Option<&str> {
        let subject = key.subject()?;
        let other = self.others.iter().find(|(_, scope)| scope.contains(subject));
        other.map(|(link, _)| link.as_str())
    }

    /// A fence is the link's whoever set it again (rulings 12), but for one that stood there before.
    fn is_fence_set_again(&self, key: &Key, offset: Offset) -> bool {
        let Key::Mode(subject) = key else { return false };
        let mode = self.link.target.subject(subject).and_then(|held| held.mode);
        self.claimed.fenced
            && offset >= self.claimed.adopted_below
            && mode.is_some_and(|held| held.mode.fences())
    }

    fn foreign(&self, origin: Origin, offset: Offset) -> String {
        let reason = match origin {
            _ if offset < self.claimed.adopted_below => "the link adopted it and did not write it",
            Origin::OtherLink => "another link wrote it",
            Origin::Registry | Origin::Alike | Origin::Loop | Origin::Ours | Origin::OursMarked => {
                "someone else wrote it, or changed it since"
            }
        };
        reason.to_owned()
    }

    /// Whether someone opened the key's subject to clients below the fence (rulings 13): what they use
    /// there stays.
    fn is_open(&self, key: &Key) -> bool {
        let Some(subject) = key.subject().filter(|_| self.claimed.fenced) else { return false };
        let opens = |subject: &Subject| {
            let mode = self.link.target.subject(subject).and_then(|held| held.mode);
            mode.is_some_and(|held| !held.mode.fences() && !held.stamp.origin.is_link())
        };
        if opens(subject) {
            return true;
        }
        // A subject gets its own fence before its first schema, and a purge takes it behind the last.
        let held = self.link.target.subject(subject).filter(|held| held.mode.is_none());
        held.is_some_and(|held| {
            !subject.is_context()
                && !self.link.knows_no_fence()
                && self.link.fences_subjects(&subject.context)
                && self.link.wrote(held)
        })
    }

    /// A record whose id was taken stands in the log, and no registry shows it. It is the newest of its
    /// key, and an older one may be shown there still.
    fn draft_loser(&self, view: &ContextView, key: Key, draft: &mut Draft) {
        let Key::Schema(subject, version) = &key else { return };
        let Some(loser) = view.loser(&subject.name, *version) else { return };
        let shown = self.link.target.schema(subject, *version);
        let (origin, offset) = match shown {
            Some(shown) if !shown.origin.is_link() => (shown.origin, shown.offset),
            Some(_) | None => (loser.origin, loser.offset),
        };
        self.draft(key, origin, offset, draft);
    }

    /// Whatever stays keeps what it refers to, and the id by which it is found.
    fn keep_what_stays_needs(&self, draft: &mut Draft) {
        let mut kept: Vec<Key> =
            draft.versions.iter().filter(|key| !draft.goes.contains(*key)).cloned().collect();
        loop {
            while let Some(key) = kept.pop() {
                for needed in self.referred_to(&key, draft) {
                    draft.keep(&needed, format!("{key} refers to it, and stays"));
                    kept.push(needed);
                }
            }
            for (key, orphan) in self.orphaned(draft) {
                draft.keep(&key, format!("{orphan} is found by the id of both, and stays"));
                kept.push(key);
            }
            if kept.is_empty() {
                return;
            }
        }
    }

    /// A fence stays while anything of the link stays below it. So where one is missing above something
    /// of the link, at the next look or in the next life, it was not the purge that took it.
    fn keep_fences(&self, draft: &mut Draft) {
        let own = draft.stays.keys().filter(|key| self.is_written(key)).filter_map(Key::subject);
        let fenced: BTreeSet<Subject> = own
            .flat_map(|subject| [Subject::of_context(&subject.context), subject.clone()])
            .collect();
        for subject in fenced {
            let reason = "what the link wrote below it stays".to_owned();
            draft.keep(&Key::Mode(subject), reason);
        }
    }

    /// Whether a version is the link's own by its newest record.
    fn is_written(&self, key: &Key) -> bool {
        let Key::Schema(subject, version) = key else { return false };
        let shown = self.link.target.schema(subject, *version);
        shown.is_some_and(|held| held.origin.is_link())
    }

    /// What a version refers to among the keys that go.
    fn referred_to(&self, key: &Key, draft: &Draft) -> Vec<Key> {
        let Key::Schema(subject, version) = key else { return Vec::new() };
        let Some(held) = self.link.target.schema(subject, *version) else { return Vec::new() };
        let mut needed = Vec::new();
        for reference in held.content.references() {
            let means = Link::meant_in_target(subject, &reference.subject);
            let versions = match Version::new(reference.version) {
                Some(version) => vec![version],
                // Another number means the latest one, whichever that is (odd-records 4.8).
                None => {
                    let held = self.link.target.subject(&means);
                    let all = held.map(SubjectView::versions).unwrap_or_default();
                    all.iter().map(|held| held.version).collect()
                }
            };
            let keys = versions.into_iter().map(|version| Key::Schema(means.clone(), version));
            needed.extend(keys.filter(|key| draft.goes.contains(key)));
        }
        needed
    }

    /// The versions that go and would take the id of one that stays along: a registry that runs
    /// remembers the last version of a subject that it read with an id (odd-records 3.10).
    fn orphaned(&self, draft: &Draft) -> Vec<(Key, Key)> {
        let orphan = |key: &Key| {
            let Key::Schema(subject, version) = key else { return None };
            let orphan = self.link.target.orphan_of(subject, *version)?;
            let orphan = Key::Schema(subject.clone(), orphan);
            (!draft.goes.contains(&orphan)).then(|| (key.clone(), orphan))
        };
        draft.goes.iter().filter_map(orphan).collect()
    }

    /// A context's record goes with the last thing that the context holds. Without it a registry does not
    /// list the context (odd-records 6.2).
    fn draft_context(&self, context: &ContextName, view: &ContextView, draft: &mut Draft) {
        let Some(declared) = view.declared else { return };
        let key = Key::Context(context.clone());
        self.draft(key.clone(), declared.origin, declared.offset, draft);
        if !draft.goes.contains(&key) {
            return;
        }
        let whole = Scope { patterns: vec![format!(":{context}:*")], below: None };
        let other = self.claimed.others.iter().find(|(_, scope)| scope.overlaps(&whole));
        if let Some((link, _)) = other {
            draft.keep(&key, format!("link {link} writes there, too"));
        } else if let Some(holds) = self.still_held(context, view, draft) {
            draft.keep(&key, format!("the context still holds {holds}"));
        }
    }

    /// Something that a context holds when all is done.
    fn still_held(&self, context: &ContextName, view: &ContextView, draft: &Draft) -> Option<Key> {
        let of_subjects = view.subjects().flat_map(|(name, held)| {
            let subject = Subject { context: context.clone(), name: Arc::clone(name) };
            let config = held.config.as_ref().map(|_| Key::Config(subject.clone()));
            let mode = held.mode.map(|_| Key::Mode(subject.clone()));
            let versions = held.versions().iter();
            let versions = versions.map(move |held| Key::Schema(subject.clone(), held.version));
            versions.chain(config).chain(mode).collect::<Vec<_>>()
        });
        let losers = view.losers();
        let losers =
            losers.map(|(name, version)| Key::Schema(Subject::new(context, name), version));
        let associations = self.link.target.associations().keys();
        let associations = associations.filter(|held| held.subject.context == *context);
        let associations = associations.map(|held| Key::Association(Box::new(held.clone())));
        let mut all = of_subjects.chain(losers).chain(associations);
        all.find(|key| !draft.goes.contains(key))
    }

    fn planned(&self, key: Key) -> Planned {
        let id = self.link.target_id(&key);
        Planned { key, kind: PlannedKind::Delete, id, offset: None, reason: WHY }
    }
}

/// Whether a key of the target belongs to a scope; a context's record where the whole context does.
fn is_in(scope: &ScopeFilter, key: &Key) -> bool {
    match (key, key.subject()) {
        (Key::Context(context), _) => scope.contains(&Subject::of_context(context)),
        (_, Some(subject)) => scope.contains(subject),
        (_, None) => false,
    }
}

/// A purge while it is thought out.
#[derive(Default)]
struct Draft {
    goes: BTreeSet<Key>,
    stays: BTreeMap<Key, String>,
    /// Every version that the target shows.
    versions: BTreeSet<Key>,
}

impl Draft {
    fn keep(&mut self, key: &Key, reason: String) {
        if self.goes.remove(key) {
            self.stays.insert(key.clone(), reason);
        }
    }
}
