//! Subjects that are taken because something chosen points to them (rulings 19).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Link;
use crate::core::key::Key;
use crate::core::subject::Subject;

impl Link {
    /// Finds what the chosen subjects point to outside the filter, and what those point to. A
    /// subject that the source does not hold yet is followed from the moment it does.
    pub(super) fn follow_again(&mut self) {
        if !self.follows() {
            return;
        }
        self.pointing.clear();
        self.followed.clear();
        let mut open = Vec::new();
        for (context, view) in self.source().contexts() {
            for (name, _) in view.subjects() {
                let subject = Subject { context: context.clone(), name: Arc::clone(name) };
                if self.rules.filter.selects(&subject) {
                    open.push(subject);
                }
            }
        }
        let faulty = self.ledger.faulty().filter_map(Key::subject);
        open.extend(faulty.filter(|subject| self.rules.filter.selects(subject)).cloned());
        while let Some(subject) = open.pop() {
            open.extend(self.point(&subject));
        }
    }

    /// The same where one subject says something new. Returns the subjects of the source that came
    /// in or went out.
    pub(super) fn follow_from(&mut self, subject: &Subject) -> Vec<Subject> {
        if !self.follows() || !self.selects(subject) {
            return Vec::new();
        }
        let before = self.pointing.get(subject).cloned().unwrap_or_default();
        let mut moved = Vec::new();
        let mut open = self.point(subject);
        while let Some(came) = open.pop() {
            open.extend(self.point(&came));
            moved.push(came);
        }
        let now = self.pointing.get(subject);
        if before.iter().any(|was| now.is_none_or(|now| !now.contains(was))) {
            moved.extend(self.drop_unreachable());
        }
        moved
    }

    /// Notes what a subject points to outside the filter. Returns what is followed from now on.
    fn point(&mut self, subject: &Subject) -> Vec<Subject> {
        let outside = self.pointed_to(subject);
        let came: Vec<Subject> =
            outside.iter().filter(|to| self.followed.insert((*to).clone())).cloned().collect();
        if outside.is_empty() {
            self.pointing.remove(subject);
        } else {
            self.pointing.insert(subject.clone(), outside);
        }
        came
    }

    /// Takes out what nothing chosen leads to any more.
    fn drop_unreachable(&mut self) -> Vec<Subject> {
        let filter = &self.rules.filter;
        let mut open: Vec<&Subject> =
            self.pointing.keys().filter(|subject| filter.selects(subject)).collect();
        let mut reached = BTreeSet::new();
        while let Some(subject) = open.pop() {
            for to in self.pointing.get(subject).into_iter().flatten() {
                if reached.insert(to.clone()) {
                    open.push(to);
                }
            }
        }
        let gone: Vec<Subject> = self.followed.difference(&reached).cloned().collect();
        for subject in &gone {
            self.pointing.remove(subject);
        }
        self.followed = reached;
        gone
    }

    /// The subjects outside the filter that a subject's schemas and alias mean, where their context
    /// is mapped.
    fn pointed_to(&self, subject: &Subject) -> BTreeSet<Subject> {
        let mut pointed = self.kept_pointers(subject);
        let Some(held) = self.source().subject(subject) else { return pointed };
        let references = held
            .versions()
            .iter()
            .flat_map(|version| version.content.references())
            .map(|reference| self.reference(subject, &reference.subject));
        let config = held.config.as_ref().map(|config| &config.value);
        let alias = config.and_then(|config| config.alias.as_deref());
        let for_deks = config.and_then(|config| config.alias_for_deks.as_deref());
        let means = references
            .chain(alias.into_iter().chain(for_deks).map(|alias| self.alias(subject, alias)))
            .filter(|pointer| pointer.spelled.is_some())
            .map(|pointer| pointer.means)
            .filter(|means| !self.rules.filter.selects(means));
        pointed.extend(means);
        pointed
    }

    /// What the last good state in the target points to, where the source can't give it any more.
    fn kept_pointers(&self, source: &Subject) -> BTreeSet<Subject> {
        let mut pointed = BTreeSet::new();
        let Some(target) = self.rules.place(source) else { return pointed };
        let Some(held) = self.target.subject(&target) else { return pointed };
        let mut point = |spelled: &str| {
            let mut means = Subject::parse(spelled);
            if means.context.is_default() {
                means.context = target.context.clone();
            }
            let means = self.unplace(&means);
            pointed.extend(means.filter(|means| !self.rules.filter.selects(means)));
        };
        for version in held.versions() {
            if self.ledger.is_faulty(&Key::Schema(source.clone(), version.version)) {
                let references = version.content.references();
                references.iter().for_each(|reference| point(&reference.subject));
            }
        }
        if let Some(config) = &held.config
            && self.ledger.is_faulty(&Key::Config(source.clone()))
        {
            let aliases = [&config.value.alias, &config.value.alias_for_deks];
            aliases.into_iter().flatten().for_each(|alias| point(alias));
        }
        pointed
    }

    /// Shows the incidents of those subjects of the source that are copied now.
    pub(super) fn show_faults(&mut self) {
        let chosen: BTreeSet<Key> =
            self.ledger.faulty().filter(|key| self.copies(key)).cloned().collect();
        self.ledger.choose(&chosen);
    }
}
