//! Following both logs: what a new record of the source, or of the target, asks for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Halt;
use super::Link;
use super::Told;
use super::Unsent;
use super::Write;
use crate::core::key::Key;
use crate::core::link::Outcome;
use crate::core::link::brake::Suspicion;
use crate::core::link::ledger::Incident;
use crate::core::link::ledger::REPAIRS_MAX;
use crate::core::link::ledger::WaitFor;
use crate::core::link::plan::liveness;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::record::after;
use crate::core::rules::DriftPolicy;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::view::Applied;
use crate::core::view::ContextView;
use crate::core::view::Origin;
use crate::core::view::SubjectView;
use crate::core::view::View;

/// What a record asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What became of it.
    pub outcome: Outcome,
    /// Writes, in this order. Schemas whose record is another one have to be read again.
    pub writes: Vec<Write>,
    /// Subjects of the target that were live before.
    were_live: BTreeSet<Subject>,
}

impl Step {
    fn nothing(outcome: Outcome) -> Self {
        Self { outcome, writes: Vec::new(), were_live: BTreeSet::new() }
    }
}

/// When a record is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Catching up into a scope that was empty: what is deleted here was written here.
    CatchingUp,
    /// Live, at this monotonic time; deletes count for the brake.
    Live(Duration),
}

impl Link {
    /// Takes a record of the source and says what follows.
    ///
    /// # Errors
    /// [`Halt::Brake`], before anything of the record is written.
    pub fn follow_source(&mut self, record: &Record, pace: Pace) -> Result<Step, Halt> {
        let told = self.read_source(record);
        self.follow_told(record, &told, pace)
    }

    /// The same for a record that was taken into the source that is read for several links.
    ///
    /// # Errors
    /// As [`Self::follow_source`].
    pub fn follow_told(&mut self, record: &Record, told: &Told, pace: Pace) -> Result<Step, Halt> {
        self.hear(record, told);
        if let Applied::Refused(key, _) = &told.applied {
            let copied = key.as_ref().is_none_or(|key| self.copies(key));
            let outcome = if copied { Outcome::Incident } else { Outcome::NotSelected };
            return Ok(Step::nothing(outcome));
        }
        let mut queue = Vec::new();
        for key in &told.changed {
            self.affected(key, &mut queue);
        }
        let mut step = Step::nothing(Outcome::NotSelected);
        for key in &queue {
            self.ledger.forget_drift(key);
        }
        self.decide_all(queue, &mut step);
        if told.changed.iter().filter_map(Key::subject).any(|source| self.is_nameless(source)) {
            step.outcome = step.outcome.max(Outcome::Incident);
        }
        self.count_deletes(&step, pace, after(record.offset))?;
        Ok(step)
    }

    /// Decides keys anew, with everything that becomes possible by it.
    pub fn decide_again(&mut self, keys: Vec<Key>) -> Vec<Write> {
        let mut step = Step::nothing(Outcome::NotSelected);
        self.decide_all(keys, &mut step);
        step.writes
    }

    /// Decides a key that a plan puts. A source that others read on meanwhile may have lost it by now:
    /// what is deleted then counts as what is deleted while it is followed.
    ///
    /// # Errors
    /// [`Halt::Brake`].
    pub fn decide_put(
        &mut self,
        key: Key,
        pace: Pace,
        source_end: Offset,
    ) -> Result<Vec<Write>, Halt> {
        let mut step = Step::nothing(Outcome::NotSelected);
        self.decide_all(vec![key], &mut step);
        self.count_deletes(&step, pace, source_end)?;
        Ok(step.writes)
    }

    /// Takes a record of the target that this instance did not write just now and says what follows:
    /// drift is restored as the policy says.
    ///
    /// # Errors
    /// [`Halt::FenceLifted`] or [`Halt::OtherRegistry`].
    pub fn follow_target(&mut self, record: &Record) -> Result<Vec<Write>, Halt> {
        let mut changed = Vec::new();
        let before = self.dialect();
        if let Applied::Refused(Some(key), _) = self.read_target(record, &mut changed) {
            changed.push(key);
        }
        if before != self.dialect() {
            return Err(Halt::OtherRegistry { target: self.target_dialect().to_string() });
        }
        let mut woken = Vec::new();
        // A key of someone else that goes may free an id that one of ours waits for.
        for context in changed.iter().filter_map(Key::context) {
            self.release_ids(context.clone(), &mut woken);
        }
        changed.retain(|key| self.owns_key(key));
        if changed.is_empty() && woken.is_empty() {
            return Ok(Vec::new());
        }
        self.check_fences()?;
        let origin = self.target_origin(record);
        let mut writes = Vec::new();
        for key in changed {
            if let Key::Mode(subject) = &key
                && !subject.is_context()
            {
                self.subject_keys(subject, &mut woken);
                // What is gone from both sides meanwhile waits for it all the same.
                let mut waiting = Vec::new();
                self.ledger.release(&WaitFor::Mode(subject.clone()), &mut waiting);
                let there: BTreeSet<&Key> = woken.iter().collect();
                waiting.retain(|key| !there.contains(key));
                woken.append(&mut waiting);
            }
            writes.extend(self.restore(&key, origin));
        }
        writes.extend(self.decide_again(woken));
        Ok(writes)
    }

    /// Takes a record that this instance wrote coming back: what is sent next lands behind it.
    pub fn echoed(&mut self, record: &Record) {
        self.target_next = self.target_next.max(after(record.offset));
    }

    /// A key whose write was decided and could not be made, and that nothing else is said of: a newer
    /// record of the source decides it.
    #[must_use]
    pub fn waits_for_newer(&self) -> Option<&Key> {
        let told = |key: &Key| self.ledger.is_incident(key) || self.ledger.is_held(key);
        self.unsent.keys().find(|key| !told(key))
    }

    /// Says that a deletion of this key is on its way, so that what needs its id can follow.
    pub fn free(&mut self, key: &Key) -> Write {
        let mut write = Write::new(key, super::Change::Delete, "its key or its id is needed");
        self.sent(&mut write);
        write
    }

    /// Takes back a write that could not be made: the source's record behind it is gone, so a newer
    /// one is on its way and decides the key again.
    pub fn not_sent(&mut self, key: &Key) {
        let unsent = match key {
            Key::Schema(subject, version) => {
                let held = self.target.schema(subject, *version);
                let orphan = self.target.orphan_of(subject, *version);
                let before = self.unsent.get(key).and_then(|unsent| unsent.orphan);
                Unsent {
                    stands: held.map(|held| (held.id, held.content.text)),
                    orphan: orphan.or(before),
                }
            }
            Key::Context(_)
            | Key::Mode(_)
            | Key::Config(_)
            | Key::DeleteSubject(_)
            | Key::Association(_)
            | Key::ClearSubject(_)
            | Key::Noop => Unsent::default(),
        };
        let mut undo = Write::new(key, super::Change::Delete, "");
        let pending = std::mem::take(&mut self.pending);
        self.target_next = self.target_next.saturating_sub(1);
        self.enter(&mut undo);
        self.pending = pending;
        self.target.put_spellings_back(key, undo.spellings);
        self.unsent.insert(key.clone(), unsent);
    }

    /// Restores one key that someone else changed, or sets it aside after [`REPAIRS_MAX`] times.
    /// What an earlier writer of the link still had on its way is no one's decision: it is put
    /// right whatever the policy, and does not count (rulings 23).
    fn restore(&mut self, key: &Key, origin: Origin) -> Vec<Write> {
        let mut writes = self.settle(key);
        if writes.is_empty() {
            return writes;
        }
        if origin == Origin::Ours {
            for write in &mut writes {
                self.sent(write);
            }
            return writes;
        }
        let drift = self.ledger.drifted(key);
        let given_up = drift.repaired >= REPAIRS_MAX;
        if given_up || self.rules.drift == DriftPolicy::Report {
            let incident = if given_up {
                let reason = "someone keeps changing it in the target; it was restored three times and \
                              is left alone until the source says something new, or the link starts \
                              again";
                let offset = self.source_offset(key);
                let incident = Incident::of_source(offset, key.to_string(), reason.to_owned());
                // Another write may come first: one that frees the id of this key.
                let own = writes.iter().rfind(|write| write.key == *key);
                match own.map(|write| self.planned(write).kind) {
                    Some(planned) => incident.instead_of(planned),
                    None => incident,
                }
            } else {
                self.drift_reported(key)
            };
            self.ledger.incident(key, incident, WaitFor::Definition);
            return Vec::new();
        }
        self.ledger.repaired(key);
        for write in &mut writes {
            self.sent(write);
        }
        writes
    }

    fn decide_all(&mut self, mut queue: Vec<Key>, step: &mut Step) {
        queue.splice(0..0, std::mem::take(&mut self.pending));
        queue.reverse();
        // Every key can wake others once; a chain of that length means that nothing settles.
        let mut budget = queue.len().saturating_mul(64).saturating_add(100_000);
        while let Some(key) = queue.pop() {
            budget = budget.saturating_sub(1);
            if budget == 0 {
                break;
            }
            let writes = self.settle(&key);
            self.note_remark(&key);
            step.outcome = step.outcome.max(self.outcome_of(&key, &writes));
            let mut woken = Vec::new();
            for mut write in writes {
                if let Some((subject, _, false)) = liveness(&write)
                    && self.target.subject(subject).is_some_and(SubjectView::is_live)
                {
                    step.were_live.insert(subject.clone());
                }
                self.sent(&mut write);
                self.wake(&write, &mut woken);
                step.writes.push(write);
            }
            woken.append(&mut self.pending);
            woken.reverse();
            queue.extend(woken);
        }
    }

    fn outcome_of(&self, key: &Key, writes: &[Write]) -> Outcome {
        if self.ledger.is_incident(key) {
            Outcome::Incident
        } else if self.ledger.is_held(key) {
            Outcome::Held
        } else if !writes.is_empty() {
            Outcome::Written
        } else if self.owns_key(key) && self.is_chosen(key) {
            Outcome::InSync
        } else {
            Outcome::NotSelected
        }
    }

    pub(super) fn is_chosen(&self, target: &Key) -> bool {
        target
            .subject()
            .and_then(|subject| self.unplace(subject))
            .is_some_and(|source| self.selects(&source))
    }

    /// Whether records of this key of the source are the link's business at all.
    pub(super) fn copies(&self, source: &Key) -> bool {
        super::copies(&self.rules, &self.followed, source)
    }

    /// The keys of the target that a key of the source decides about.
    fn affected(&mut self, source: &Key, into: &mut Vec<Key>) {
        match source {
            Key::Schema(subject, version) => {
                self.follow_pointers(subject, into);
                self.share_name(subject, into);
                if let Some(target) = self.rules.place(subject) {
                    self.open_context(subject, &target, into);
                    into.push(Key::Schema(target.clone(), *version));
                    self.close_context(subject, &target, into);
                }
                // Behind it what refers to it: a registry may drop what comes first for good.
                self.ledger.release(&WaitFor::Source(source.clone()), into);
                self.ledger.release_subject(subject, into);
            }
            Key::Config(subject) if subject.context.is_global() => {
                self.ledger.release(&WaitFor::Source(source.clone()), into);
                for context in self.scope_contexts() {
                    into.push(Key::Config(Subject::of_context(&context)));
                }
            }
            Key::Config(subject) => {
                self.ledger.release(&WaitFor::Source(source.clone()), into);
                self.follow_pointers(subject, into);
                self.share_name(subject, into);
                let Some(target) = self.rules.place(subject) else {
                    // The link's own context takes its level from here even where the filter
                    // leaves the source's default context out.
                    if subject.is_context() && subject.context.is_default() {
                        into.push(Key::Config(self.own_context()));
                    }
                    return;
                };
                self.open_context(subject, &target, into);
                into.push(Key::Config(target.clone()));
                self.close_context(subject, &target, into);
            }
            Key::Context(context) => {
                if let Some(placed) = self.rules.place_context(context) {
                    let (source, target) =
                        (Subject::of_context(context), Subject::of_context(&placed));
                    self.open_context(&source, &target, into);
                    self.close_context(&source, &target, into);
                }
            }
            Key::Association(association) => into.extend(self.placed_association(association)),
            Key::Mode(_) | Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => {}
        }
    }

    /// The record and the fence of the link's own contexts, before anything of the source is read.
    /// Their settings come before their first schema: by then the source may have said them.
    #[must_use]
    pub fn opening(&self) -> Vec<Key> {
        let contexts = self.used_contexts().into_iter();
        contexts
            .flat_map(|context| {
                let own = Subject::of_context(&context);
                [Key::Context(context), Key::Mode(own)]
            })
            .collect()
    }

    /// The settings of those contexts, once everything is read: no schema may have come.
    #[must_use]
    pub fn closing(&self) -> Vec<Key> {
        let contexts = self.used_contexts().into_iter();
        contexts.map(|context| Key::Config(Subject::of_context(&context))).collect()
    }

    fn used_contexts(&self) -> Vec<ContextName> {
        let mut contexts = self.scope_contexts();
        contexts.retain(|context| self.rules.owns_context(context) && self.uses(context));
        contexts
    }

    /// What comes in, or goes out, because a subject points to other subjects than before.
    fn follow_pointers(&mut self, source: &Subject, into: &mut Vec<Key>) {
        let moved = self.follow_from(source);
        if moved.is_empty() {
            return;
        }
        self.show_faults();
        for subject in moved {
            self.share_name(&subject, into);
            self.subject_of_source(&subject, into);
        }
    }

    /// Everything of a subject of the source, and of what stands in its place.
    pub(super) fn subject_of_source(&mut self, source: &Subject, into: &mut Vec<Key>) {
        if let Some(target) = self.rules.place(source) {
            self.open_context(source, &target, into);
            push_subject(self.source(), source, &target, into);
            push_subject(&self.target, &target, &target, into);
            self.close_context(source, &target, into);
        }
    }

    fn subject_keys(&self, target: &Subject, into: &mut Vec<Key>) {
        if let Some(source) = self.unplace(target) {
            push_subject(self.source(), &source, target, into);
        }
        push_subject(&self.target, target, target, into);
    }

    /// What a write makes possible.
    fn wake(&mut self, write: &Write, into: &mut Vec<Key>) {
        match (&write.key, &write.change) {
            (Key::Schema(subject, version), super::Change::Schema { .. }) => {
                if let Some(source) = self.unplace(subject) {
                    self.ledger.release(&WaitFor::Source(Key::Schema(source, *version)), into);
                }
            }
            (Key::Schema(subject, _), _) => self.release_ids(subject.context.clone(), into),
            (_, _) => {}
        }
    }

    /// Keys that waited for an id of the context which is free now.
    fn release_ids(&mut self, context: ContextName, into: &mut Vec<Key>) {
        for (waited, id) in self.ledger.awaited_ids(&context) {
            let free = self.target.context(&waited).is_none_or(|view| view.text_of(id).is_none());
            if free {
                self.ledger.release(&WaitFor::Id(waited, id), into);
            }
        }
    }

    fn count_deletes(&mut self, step: &Step, pace: Pace, source_end: Offset) -> Result<(), Halt> {
        let Pace::Live(now) = pace else { return Ok(()) };
        let is_live =
            |subject: &Subject| self.target.subject(subject).is_some_and(SubjectView::is_live);
        let deleted = step.were_live.iter().filter(|subject| !is_live(subject)).count();
        if deleted == 0 {
            return Ok(());
        }
        let live = self.target_live().saturating_add(deleted);
        self.brake.count(now, deleted, live).map_err(|suspicion: Suspicion| Halt::Brake {
            suspicion,
            deleted,
            source_end,
        })
    }

    fn target_live(&self) -> usize {
        let contexts = self.scope_contexts();
        let views =
            contexts.iter().filter_map(|context| Some((context, self.target.context(context)?)));
        views.map(|(context, view)| self.live_of(context, view)).sum()
    }

    /// The live subjects of a context of the target that the link owns.
    fn live_of(&self, context: &ContextName, view: &ContextView) -> usize {
        if self.rules.owns_context(context) {
            return view.live();
        }
        let owned = |name: &Arc<str>| {
            self.owns(&Subject { context: context.clone(), name: Arc::clone(name) })
        };
        view.subjects().filter(|(name, held)| held.is_live() && owned(name)).count()
    }
}

fn push_subject(view: &View, subject: &Subject, target: &Subject, into: &mut Vec<Key>) {
    let Some(held) = view.subject(subject) else { return };
    if held.config.is_some() {
        into.push(Key::Config(target.clone()));
    }
    into.extend(held.versions().iter().map(|held| Key::Schema(target.clone(), held.version)));
}
