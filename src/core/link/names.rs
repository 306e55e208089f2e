//! Which subject of the source stands behind a name that a list of rules gives.
//!
//! A list can't be inverted, so what the source holds is remembered by what it is called. Two subjects
//! never become one: while the source holds two of one name, the first of them has it, and the other
//! is set aside.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Halt;
use super::Link;
use super::wanted::holds_own;
use crate::core::key::Key;
use crate::core::link::ledger::Incident;
use crate::core::link::ledger::WaitFor;
use crate::core::link::references::Broken;
use crate::core::naming::Naming;
use crate::core::record::Offset;
use crate::core::subject::Subject;

/// Subjects that are named when a link refuses; the rest is counted.
const NAMED_MAX: usize = 5;

/// Subjects of the source that a list of rules renames, by their places in the target. One that keeps
/// its name is among them only where another one comes to have that name.
#[derive(Debug, Default)]
pub(super) struct Names {
    of: BTreeMap<Subject, Vec<Subject>>,
    /// Subjects that the list gives names which none can have.
    misnamed: BTreeSet<Subject>,
}

impl Link {
    pub(super) fn has_list(&self) -> bool {
        matches!(self.rules.naming, Naming::List(_))
    }

    /// The subject of the source that stands here in the target: the inverse of placing it. Of two
    /// with one name it is the one that has it.
    pub(super) fn unplace(&self, target: &Subject) -> Option<Subject> {
        match self.names.of.get(target).map(Vec::as_slice) {
            None => self.rules.unplace(target),
            Some([only]) => Some(only.clone()),
            Some(all) => {
                let first = all.iter().find(|source| self.asks_for_a_name(source));
                first
                    .or_else(|| all.iter().find(|source| self.selects(source)))
                    .or_else(|| all.first())
                    .cloned()
            }
        }
    }

    /// Whether a subject is the one of its name, or could be.
    pub(super) fn has_its_name(&self, source: &Subject, target: &Subject) -> bool {
        !self.has_list() || self.unplace(target).is_none_or(|holder| holder == *source)
    }

    /// Whether the source holds a subject that the link copies, or its last good state stands in the
    /// target.
    fn asks_for_a_name(&self, source: &Subject) -> bool {
        self.selects(source) && self.stands(source)
    }

    fn stands(&self, source: &Subject) -> bool {
        self.source().subject(source).is_some_and(holds_own)
            || self.ledger.faulty().any(|key| key.subject() == Some(source))
    }

    /// Takes note of a subject of the source.
    pub(super) fn note_name(&mut self, source: &Subject) {
        if !self.has_list() || source.is_context() {
            return;
        }
        if self.rules.misnamed(source).is_some() {
            self.names.misnamed.insert(source.clone());
            return;
        }
        let Some(target) = self.rules.place(source) else { return };
        let keeps = target.name == source.name;
        if keeps && !self.names.of.contains_key(&target) {
            return;
        }
        // What is called so anyway may have come before.
        let namesake = self.rules.unplace(&target).filter(|held| !keeps && self.stands(held));
        let all = self.names.of.entry(target).or_default();
        let namesake = namesake.filter(|_| all.is_empty());
        for subject in namesake.iter().chain([source]) {
            if !all.contains(subject) {
                all.push(subject.clone());
            }
        }
    }

    /// The same for everything that the source holds.
    pub(super) fn note_names(&mut self) {
        if !self.has_list() {
            return;
        }
        let mut all: Vec<Subject> = Vec::new();
        for (context, view) in self.source().contexts() {
            let names = view.subjects().map(|(name, _)| Arc::clone(name));
            all.extend(names.map(|name| Subject { context: context.clone(), name }));
        }
        all.extend(self.ledger.faulty().filter_map(Key::subject).cloned());
        all.iter().for_each(|source| self.note_name(source));
        // One that kept its name was looked at too early where it came before the other.
        all.iter().for_each(|source| self.note_name(source));
    }

    /// Sets aside what has no name of its own, for a plan.
    pub(super) fn settle_names(&mut self) {
        let shared: Vec<Subject> = self.shared_names().cloned().collect();
        for target in shared {
            let mut all = self.names.of.get(&target).cloned().unwrap_or_default();
            all.sort_by_cached_key(|source| self.first_offset(source));
            self.names.of.insert(target.clone(), all.clone());
            all.iter().for_each(|source| self.set_name_aside(source));
        }
        let misnamed = self.names.misnamed.clone();
        misnamed.iter().for_each(|source| self.set_name_aside(source));
    }

    fn shared_names(&self) -> impl Iterator<Item = &Subject> {
        self.names.of.iter().filter(|(_, all)| all.len() > 1).map(|(target, _)| target)
    }

    fn first_offset(&self, source: &Subject) -> Offset {
        self.offsets(source).min().unwrap_or(Offset::MAX)
    }

    fn offsets(&self, source: &Subject) -> impl Iterator<Item = Offset> {
        let held = self.source().subject(source);
        let config = held.and_then(|held| held.config.as_ref()).map(|config| config.stamp.offset);
        let versions = held.into_iter().flat_map(|held| held.versions());
        versions.map(|version| version.offset).chain(config)
    }

    /// Why a subject has no name of its own in the target, if so.
    fn nameless(&self, source: &Subject) -> Option<String> {
        if !self.has_list() {
            return None;
        }
        let mend =
            "give it another one by a rule of the list before, or leave it out of the subjects";
        if let Some((named, defect)) = self.rules.misnamed(source) {
            let name = &*named.name;
            return Some(format!("it would be called {name:?} in the target: {defect}; {mend}"));
        }
        let target = self.rules.place(source)?;
        let holder = self.unplace(&target).filter(|holder| holder != source)?;
        self.asks_for_a_name(&holder)
            .then(|| format!("it would be called {target} in the target, as {holder} is; {mend}"))
    }

    /// Sets a subject aside that has no name of its own, or takes that back.
    fn set_name_aside(&mut self, source: &Subject) {
        let reason = self.nameless(source).filter(|_| self.asks_for_a_name(source));
        let offset = self.offsets(source).max();
        let incident = reason.map(|reason| Incident::of_source(offset, source.to_string(), reason));
        self.ledger.name_incident(source, incident);
    }

    /// What follows for other keys where a subject has changed that shares its name, or has none.
    pub(super) fn share_name(&mut self, source: &Subject, into: &mut Vec<Key>) {
        if !self.has_list() {
            return;
        }
        let target = self.rules.place(source);
        let all = target.as_ref().and_then(|target| self.names.of.get(target));
        let Some((target, all)) = target.as_ref().zip(all.filter(|all| all.len() > 1).cloned())
        else {
            return self.set_name_aside(source);
        };
        // Whoever has the name now keeps it when another one comes back to it.
        let (mut holders, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| self.asks_for_a_name(one));
        holders.extend(rest);
        self.names.of.insert(target.clone(), holders.clone());
        for one in &holders {
            self.set_name_aside(one);
            self.ledger.release_subject(one, into);
        }
        if let Some(holder) = holders.first().filter(|holder| *holder != source) {
            self.subject_of_source(holder, into);
        }
    }

    /// Whether a subject of the source is set aside for want of a name.
    pub(super) fn is_nameless(&self, source: &Subject) -> bool {
        self.has_list() && self.ledger.is_name_incident(source)
    }

    /// So many records of the source stand behind subjects that are set aside for want of a name.
    #[must_use]
    pub fn nameless_records(&self) -> usize {
        let nameless = self.ledger.name_incidents();
        nameless.map(|source| self.offsets(source).count()).sum()
    }

    /// Why a pointer would mean something else in the target: what has its name there is another
    /// subject, or none can have it.
    pub(super) fn misled(&self, means: &Subject, what: &str) -> Option<Broken> {
        let reason = format!("{what} leads to {means}: {}", self.nameless(means)?);
        Some(Broken { reason, until: WaitFor::Subject(means.clone()) })
    }

    /// Refuses to begin while the source holds subjects to which the definition gives one name: nothing
    /// tells whose history stands in the target. One that comes while the link follows is set aside.
    ///
    /// # Errors
    /// [`Halt::SharedNames`], before anything is written.
    pub fn check_names(&self) -> Result<(), Halt> {
        let mut named = Vec::new();
        let mut count: usize = 0;
        for target in self.shared_names() {
            let all = self.names.of.get(target).into_iter().flatten();
            let asking: Vec<&Subject> = all.filter(|one| self.asks_for_a_name(one)).collect();
            let [first, second, ..] = *asking else { continue };
            count = count.saturating_add(1);
            if named.len() < NAMED_MAX {
                named.push([first.clone(), second.clone(), target.clone()]);
            }
        }
        if count == 0 { Ok(()) } else { Err(Halt::SharedNames { named, count }) }
    }
}
