//! Reconciling: everything that brings the target's scope to what the source says, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Change;
use super::Link;
use super::Verdict;
use super::Write;
use super::order::deletion_rank;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::record::Offset;
use crate::core::subject::Subject;
use crate::core::value::Reference;
use crate::core::view::Origin;
use crate::core::view::VersionView;

/// One change that a reconciliation makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The key in the target.
    pub key: Key,
    /// What kind of change.
    pub kind: PlannedKind,
    /// The id that a schema gets, or loses.
    pub id: Option<i32>,
    /// The source's record behind it; where a value has to be read, it is this one's.
    pub offset: Option<Offset>,
    /// Why, in words.
    pub reason: &'static str,
}

/// What a planned change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedKind {
    /// The key is new in the target.
    Add,
    /// The key says something else from then on.
    Alter,
    /// The key goes.
    Delete,
}

/// All changes, in the order in which they are made (rulings 7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// CONTEXT, fence and settings of every context that receives anything.
    pub opening: Vec<Planned>,
    /// Deletions that free a key or an id which is needed, referrers first.
    pub frees: Vec<Planned>,
    /// Puts, in the order of the source's log but for references, which come before their referrers.
    pub puts: Vec<Planned>,
    /// Other deletions, referrers first, contexts last.
    pub deletions: Vec<Planned>,
    /// Live subjects that the link holds in the target before.
    pub live: usize,
    /// Those of them that are not live any more afterwards.
    pub deleted: usize,
    /// Live subjects that the source gives to the link.
    pub source_live: usize,
    /// Keys that are as they should be.
    pub in_sync: usize,
}

impl Plan {
    /// Whether nothing is to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none()
    }

    /// The changes in their order.
    pub fn changes(&self) -> impl Iterator<Item = &Planned> {
        self.opening.iter().chain(&self.frees).chain(&self.puts).chain(&self.deletions)
    }

    /// Whether a subject, or what the link wrote for one, is taken away.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        self.deleted > 0 || !self.deletions.is_empty()
    }
}

impl Link {
    /// Compares both views key by key. The ledger says afterwards what could not be planned.
    pub fn plan(&mut self) -> Plan {
        self.note_names();
        self.follow_again();
        self.ledger.begin_plan();
        self.show_faults();
        self.settle_names();
        self.opened = self
            .scope_contexts()
            .into_iter()
            .filter(|context| self.rules.owns_context(context) && self.uses(context))
            .collect();
        let mut draft = Draft::default();
        for context in self.scope_contexts() {
            let own = Subject::of_context(&context);
            for key in [Key::Context(context), Key::Mode(own.clone()), Key::Config(own)] {
                self.draft(key, &mut draft);
            }
        }
        for key in self.source_keys() {
            self.draft(key, &mut draft);
        }
        for key in self.target_keys() {
            if !self.is_drafted(&key) {
                self.draft(key, &mut draft);
            }
        }
        self.hold_referrers(&mut draft);
        self.finish(draft)
    }

    /// Takes out the puts whose references turned out to be held, or incidents, after they were
    /// drafted, and those that refer to them in turn.
    fn hold_referrers(&mut self, draft: &mut Draft) {
        loop {
            let before = draft.puts.len();
            let puts = std::mem::take(&mut draft.puts);
            for planned in puts {
                let refers =
                    self.ledger.has_set_aside() && !self.source_references(&planned.key).is_empty();
                if refers && self.settle(&planned.key).is_empty() {
                    draft.frees.remove(&planned.key);
                    draft.forget_liveness(&planned.key);
                } else {
                    draft.puts.push(planned);
                }
            }
            if draft.puts.len() == before {
                return;
            }
        }
    }

    /// Decides a key again and says what to write for it; the ledger keeps what can't be.
    pub fn settle(&mut self, key: &Key) -> Vec<Write> {
        match self.decide(key) {
            Verdict::InSync => {
                self.ledger.settle(key);
                // Whoever wrote it: what we would write now is the link's own (rulings 3).
                if self.is_chosen(key) {
                    self.target.take_over(key);
                }
                Vec::new()
            }
            Verdict::NotSelected => {
                self.ledger.settle(key);
                Vec::new()
            }
            Verdict::Write(writes) => {
                self.ledger.settle(key);
                writes
            }
            Verdict::Held(held) => {
                self.ledger.hold(key, held);
                Vec::new()
            }
            Verdict::Incident(incident, until) => {
                self.ledger.incident(key, incident, until);
                Vec::new()
            }
        }
    }

    fn draft(&mut self, key: Key, draft: &mut Draft) {
        let writes = self.settle(&key);
        self.note_remark(&key);
        let set_aside = self.ledger.is_incident(&key) || self.ledger.is_held(&key);
        let stands = self.owns_key(&key) && self.target_holder(&key).is_some();
        if writes.is_empty() && stands && !set_aside {
            draft.in_sync = draft.in_sync.saturating_add(1);
        }
        for write in writes {
            let planned = self.planned(&write);
            let subject_level = key.subject().is_none_or(Subject::is_context);
            match (&write.change, write.key == key) {
                (Change::Delete, true)
                    if matches!(self.wanted(&key), super::wanted::Wanted::Absent) =>
                {
                    draft.deletions.push(planned);
                }
                (Change::Delete, _) => {
                    draft.frees.insert(planned.key.clone(), planned);
                }
                (_, _) if subject_level => draft.opening.push(planned),
                (_, _) => draft.puts.push(planned),
            }
            draft.note_liveness(&write);
        }
    }

    pub(super) fn planned(&self, write: &Write) -> Planned {
        let held = self.target_holder(&write.key).is_some();
        let put = if held { PlannedKind::Alter } else { PlannedKind::Add };
        let (kind, id, offset) = match &write.change {
            Change::Delete => (PlannedKind::Delete, self.target_id(&write.key), None),
            Change::Schema { offset, held, .. } => (put, Some(held.id), Some(*offset)),
            Change::Value { behind, .. } => (put, None, behind.map(|(offset, _)| offset)),
            Change::Context | Change::Mode(_) => (put, None, None),
        };
        Planned { key: write.key.clone(), kind, id, offset, reason: write.reason }
    }

    pub(super) fn target_id(&self, key: &Key) -> Option<i32> {
        let Key::Schema(subject, version) = key else { return None };
        self.target.schema(subject, *version).map(|held| held.id)
    }

    fn finish(&self, draft: Draft) -> Plan {
        let Draft { opening, frees, mut puts, mut deletions, not_live, in_sync } = draft;
        puts.sort_by_key(|planned| planned.offset);
        let puts = self.puts_in_order(puts);
        deletions.sort_by(|a, b| deletion_rank(&a.key).cmp(&deletion_rank(&b.key)));
        let deletions = self.referrers_first(deletions, Self::target_references);
        let frees = frees.into_values().collect();
        let frees = self.referrers_first(frees, Self::target_references);
        let (live, deleted) = self.count_live(&not_live);
        let source_live = self.source_live();
        Plan { opening, frees, puts, deletions, live, deleted, source_live, in_sync }
    }

    /// The link's live subjects in the target, and those that the changes leave without a live version.
    fn count_live(&self, changes: &BTreeMap<Subject, BTreeMap<Version, bool>>) -> (usize, usize) {
        let mut live: usize = 0;
        let mut deleted: usize = 0;
        for context in self.scope_contexts() {
            let Some(view) = self.target.context(&context) else { continue };
            for (name, held) in view.subjects().filter(|(_, held)| held.is_live()) {
                let subject = Subject { context: context.clone(), name: Arc::clone(name) };
                if !self.owns(&subject) {
                    continue;
                }
                live = live.saturating_add(1);
                if let Some(changes) = changes.get(&subject)
                    && !stays_live(held.versions().iter().map(|v| (v.version, !v.deleted)), changes)
                {
                    deleted = deleted.saturating_add(1);
                }
            }
        }
        (live, deleted)
    }

    fn source_live(&self) -> usize {
        let live = |held: &VersionView| !held.deleted && held.origin != Origin::Loop;
        self.source()
            .contexts()
            .flat_map(|(context, view)| {
                view.subjects().map(move |(name, held)| (context, name, held))
            })
            .filter(|(context, name, held)| {
                held.versions().iter().any(live)
                    && self.rules.place_context(context).is_some()
                    && self
                        .selects(&Subject { context: (*context).clone(), name: Arc::clone(name) })
            })
            .count()
    }

    /// The keys of the target that the source gives, but for those of contexts themselves.
    fn source_keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for (context, view) in self.source().contexts() {
            if self.rules.place_context(context).is_none() {
                continue;
            }
            for (name, held) in view.subjects() {
                let source = Subject { context: context.clone(), name: Arc::clone(name) };
                if source.is_context() || !self.selects(&source) {
                    continue;
                }
                let target = self.rules.place(&source);
                let Some(target) = target.filter(|target| self.has_its_name(&source, target))
                else {
                    continue;
                };
                if self.fences_subjects(&target.context) {
                    keys.push(Key::Mode(target.clone()));
                }
                if held.config.is_some() {
                    keys.push(Key::Config(target.clone()));
                }
                keys.extend(
                    held.versions().iter().map(|held| Key::Schema(target.clone(), held.version)),
                );
            }
        }
        let chosen = self.source().associations().keys().filter(|of| {
            let target = self.rules.place(&of.subject);
            self.selects(&of.subject)
                && target.is_some_and(|target| self.has_its_name(&of.subject, &target))
        });
        keys.extend(chosen.filter_map(|source| self.placed_association(source)));
        keys
    }

    fn is_drafted(&self, target: &Key) -> bool {
        let Some(source) = target.subject().and_then(|subject| self.unplace(subject)) else {
            return matches!(target, Key::Context(_)) || is_context_setting(target);
        };
        if is_context_setting(target) {
            return true;
        }
        let held = self.source().subject(&source).filter(|_| self.selects(&source));
        held.is_some_and(|held| match target {
            Key::Schema(_, version) => held.version(*version).is_some(),
            Key::Config(_) => held.config.is_some(),
            Key::Mode(subject) => self.fences_subjects(&subject.context),
            // Those of the source are drafted one by one.
            Key::Association(association) => self
                .source_association(association)
                .is_some_and(|source| self.source().associations().contains_key(&source)),
            Key::Context(_) | Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => false,
        })
    }

    pub(super) fn source_references(&self, target: &Key) -> Vec<Key> {
        let Key::Schema(subject, version) = target else { return Vec::new() };
        let Some(source) = self.unplace(subject) else { return Vec::new() };
        let Some(held) = self.source().schema(&source, *version) else { return Vec::new() };
        let references = held.content.references();
        references
            .iter()
            .filter_map(|reference| {
                let means = self.reference(&source, &reference.subject).means;
                Some(Key::Schema(self.rules.place(&means)?, Version::new(reference.version)?))
            })
            .collect()
    }

    pub(super) fn target_references(&self, target: &Key) -> Vec<Key> {
        let Key::Schema(subject, version) = target else { return Vec::new() };
        let held = self.target.schema(subject, *version);
        let references: &[Reference] = held.map_or(&[], |held| held.content.references());
        references
            .iter()
            .filter_map(|reference| {
                let means = Self::meant_in_target(subject, &reference.subject);
                Some(Key::Schema(means, Version::new(reference.version)?))
            })
            .collect()
    }

    /// What a reference of a subject of the target points to there.
    pub(super) fn meant_in_target(of: &Subject, reference: &str) -> Subject {
        let mut means = Subject::parse(reference);
        if means.context.is_default() {
            means.context = of.context.clone();
        }
        means
    }

    /// What an operator should know of a key that is copied as it is.
    pub(super) fn note_remark(&mut self, target: &Key) {
        if !self.source().is_notable() && !self.dialect().reads_level_only() {
            return;
        }
        let Some(source) = target.subject().and_then(|subject| self.unplace(subject)) else {
            return;
        };
        let held = self.source().subject(&source);
        let remark = match target {
            Key::Schema(_, version) => held
                .and_then(|held| held.version(*version))
                .filter(|held| !held.deleted)
                .and_then(|held| {
                    let references = held.content.references();
                    let remark = held.content.remark();
                    self.dangling(&source, references)
                        .or_else(|| remark.map(|remark| (remark.to_string(), None)))
                        .or_else(|| {
                            references.first()?;
                            Some((self.circular(&source, *version)?, None))
                        })
                }),
            Key::Config(_) => {
                self.settings_left_out(&source).map(|said| (said, None)).or_else(|| {
                    held.and_then(|held| held.config.as_ref()?.value.alias.as_deref())
                        .filter(|_| self.selects(&source))
                        .and_then(|alias| self.dangling_alias(&source, alias))
                })
            }
            Key::Context(_)
            | Key::Mode(_)
            | Key::DeleteSubject(_)
            | Key::Association(_)
            | Key::ClearSubject(_)
            | Key::Noop => None,
        };
        self.ledger.remark(target, remark);
    }
}

/// Whether any version stays live once the changes are made.
pub(super) fn stays_live(
    held: impl Iterator<Item = (Version, bool)>,
    changes: &BTreeMap<Version, bool>,
) -> bool {
    let mut after: BTreeMap<Version, bool> = held.collect();
    after.extend(changes.iter().map(|(version, live)| (*version, *live)));
    after.into_values().any(|live| live)
}

fn is_context_setting(key: &Key) -> bool {
    matches!(key, Key::Mode(subject) | Key::Config(subject) if subject.is_context())
}

#[derive(Default)]
struct Draft {
    opening: Vec<Planned>,
    frees: BTreeMap<Key, Planned>,
    puts: Vec<Planned>,
    deletions: Vec<Planned>,
    /// Versions whose liveness the changes set.
    not_live: BTreeMap<Subject, BTreeMap<Version, bool>>,
    in_sync: usize,
}

impl Draft {
    fn forget_liveness(&mut self, key: &Key) {
        if let Key::Schema(subject, version) = key
            && let Some(changes) = self.not_live.get_mut(subject)
        {
            changes.remove(version);
        }
    }

    fn note_liveness(&mut self, write: &Write) {
        if let Some((subject, version, live)) = liveness(write) {
            self.not_live.entry(subject.clone()).or_default().insert(version, live);
        }
    }
}

/// What a write makes of a version: live or not.
pub(super) fn liveness(write: &Write) -> Option<(&Subject, Version, bool)> {
    match (&write.key, &write.change) {
        (Key::Schema(subject, version), Change::Delete) => Some((subject, *version, false)),
        (Key::Schema(subject, version), Change::Schema { held, .. }) => {
            Some((subject, *version, !held.deleted))
        }
        (_, _) => None,
    }
}
