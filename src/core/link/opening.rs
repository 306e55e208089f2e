//! What comes before the first schema of a context or a subject, and goes after its last.

use std::sync::Arc;

use super::Link;
use crate::core::key::Key;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::view::SubjectView;

impl Link {
    /// CONTEXT, fence and settings come before the first schema of a context. `source` is what the
    /// record at hand is about: it alone can make the context one that is used from now on.
    pub(super) fn open_context(&mut self, source: &Subject, target: &Subject, into: &mut Vec<Key>) {
        if self.fences_subjects(&target.context) {
            if self.holds_subject(target) {
                if self.opened.insert(target.context.clone()) {
                    into.push(Key::Context(target.context.clone()));
                }
                into.push(Key::Mode(target.clone()));
            }
        } else if !self.opened.contains(&target.context) && self.makes_used(source) {
            self.open(&target.context, into);
        }
    }

    fn open(&mut self, target: &ContextName, into: &mut Vec<Key>) {
        self.opened.insert(target.clone());
        let own = Subject::of_context(target);
        into.push(Key::Context(target.clone()));
        into.push(Key::Mode(own.clone()));
        into.push(Key::Config(own));
    }

    /// What the source no longer has a use for goes after its last schema.
    pub(super) fn close_context(
        &mut self,
        source: &Subject,
        target: &Subject,
        into: &mut Vec<Key>,
    ) {
        if self.fences_subjects(&target.context) {
            if !self.holds_subject(target) {
                let held = self.target.subject(target);
                push_left_over(held.map(|held| (target.clone(), held)), into);
                into.push(Key::Mode(target.clone()));
            }
        } else if !self.makes_used(source)
            && self.opened.contains(&target.context)
            && !self.uses(&target.context)
        {
            self.opened.remove(&target.context);
            let context = &target.context;
            let held = self.target.context(context).into_iter().flat_map(|view| {
                view.subjects().map(|(name, held)| {
                    (Subject { context: context.clone(), name: Arc::clone(name) }, held)
                })
            });
            push_left_over(held, into);
            let own = Subject::of_context(context);
            into.push(Key::Config(own.clone()));
            into.push(Key::Mode(own));
            into.push(Key::Context(context.clone()));
        }
    }
}

/// What the link wrote of these subjects and the source has no more, newest first: what refers to
/// another was written behind it. A source that several links look at may be ahead of the record at
/// hand, and without this the fence would go before the last schema.
fn push_left_over<'a>(
    subjects: impl IntoIterator<Item = (Subject, &'a SubjectView)>,
    into: &mut Vec<Key>,
) {
    let mut left = Vec::new();
    for (subject, held) in subjects {
        for version in held.versions().iter().filter(|version| version.origin.is_own()) {
            let key = Key::Schema(subject.clone(), version.version);
            if !into.contains(&key) {
                left.push((version.offset, key));
            }
        }
    }
    left.sort_by_key(|(offset, _)| std::cmp::Reverse(*offset));
    into.extend(left.into_iter().map(|(_, key)| key));
}
