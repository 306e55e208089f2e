//! Subjects that are taken because something chosen points to them (rulings 19).

use super::Link;
use crate::core::subject::Subject;
use crate::core::view::SubjectView;

impl Link {
    /// Finds what the chosen subjects point to outside the filter, and what those point to. Returns
    /// the subjects of the source that came in or went out. A subject that the source does not hold
    /// yet is followed from the moment it does.
    pub(super) fn follow_again(&mut self) -> Vec<Subject> {
        if !self.follows() {
            return Vec::new();
        }
        let before = std::mem::take(&mut self.followed);
        let mut open = Vec::new();
        for (context, view) in self.source.contexts() {
            for (name, held) in view.subjects() {
                let subject = Subject { context: context.clone(), name: name.clone() };
                if self.rules.filter.selects(&subject) {
                    self.pointed_to(&subject, held, &mut open);
                }
            }
        }
        self.close(open);
        before.symmetric_difference(&self.followed).cloned().collect()
    }

    /// The same for one subject that is copied and says something new. Returns what came in.
    pub(super) fn follow_from(&mut self, subject: &Subject) -> Vec<Subject> {
        if !self.follows() || !self.selects(subject) {
            return Vec::new();
        }
        let mut open = Vec::new();
        if let Some(held) = self.source.subject(subject) {
            self.pointed_to(subject, held, &mut open);
        }
        self.close(open)
    }

    fn close(&mut self, mut open: Vec<Subject>) -> Vec<Subject> {
        let mut came = Vec::new();
        while let Some(subject) = open.pop() {
            if self.selects(&subject) {
                continue;
            }
            if let Some(held) = self.source.subject(&subject) {
                self.pointed_to(&subject, held, &mut open);
            }
            self.followed.insert(subject.clone());
            came.push(subject);
        }
        came
    }

    /// The subjects that a subject's schemas and alias mean, where their context is mapped.
    fn pointed_to(&self, subject: &Subject, held: &SubjectView, into: &mut Vec<Subject>) {
        for version in held.versions() {
            for reference in version.references.as_deref().unwrap_or_default() {
                let pointer = self.reference(subject, &reference.subject);
                if pointer.spelled.is_some() {
                    into.push(pointer.means);
                }
            }
        }
        let alias = held.config.as_ref().and_then(|config| config.value.alias.as_deref());
        if let Some(alias) = alias {
            let pointer = self.alias(subject, alias);
            if pointer.spelled.is_some() {
                into.push(pointer.means);
            }
        }
    }
}
