//! Putting versions into a context's view, taking them out, and what they leave behind them.

use std::sync::Arc;

use super::ContextView;
use super::VersionView;
use super::View;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::record::Offset;
use crate::core::subject::Subject;
use crate::core::value::Reference;

impl ContextView {
    /// Live versions that reference this one and stand before `offset` in the log.
    pub(super) fn referrers_before(
        &self,
        means: &Subject,
        version: Version,
        offset: Offset,
    ) -> Vec<(Arc<str>, Version)> {
        let mut found = Vec::new();
        for (name, held) in &self.subjects {
            for referrer in held.versions.iter().filter(|held| held.offset < offset) {
                let refers = |to: &Reference| {
                    to.version == i64::from(version.get()) && Subject::parse(&to.subject) == *means
                };
                if !referrer.deleted && referrer.content.references().iter().any(refers) {
                    found.push((Arc::clone(name), referrer.version));
                }
            }
        }
        found
    }

    pub(super) fn place(&mut self, name: &Arc<str>, new: VersionView) {
        self.ids.count(new.id, new.content.text);
        let subject = match self.subjects.get_mut(name) {
            Some(subject) => subject,
            None => self.subjects.entry(Arc::clone(name)).or_default(),
        };
        let was_live = subject.is_live();
        match subject.versions.binary_search_by_key(&new.version, |held| held.version) {
            Ok(place) => {
                if let Some(slot) = subject.versions.get_mut(place) {
                    let old = std::mem::replace(slot, new);
                    self.ids.discount(old.id);
                }
            }
            Err(place) => {
                // Most subjects have few versions: room for more would be most of what they take.
                if subject.versions.len() == subject.versions.capacity() {
                    subject.versions.reserve_exact((subject.versions.len() / 4).saturating_add(1));
                }
                subject.versions.insert(place, new);
            }
        }
        match (was_live, subject.is_live()) {
            (false, true) => self.live = self.live.saturating_add(1),
            (true, false) => self.live = self.live.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
    }

    pub(super) fn take(&mut self, name: &Arc<str>, version: Version) -> Option<VersionView> {
        let subject = self.subjects.get_mut(name)?;
        let place = subject.versions.binary_search_by_key(&version, |held| held.version).ok()?;
        let was_live = subject.is_live();
        let old = subject.versions.remove(place);
        if was_live && !subject.is_live() {
            self.live = self.live.saturating_sub(1);
        }
        if subject.is_empty() {
            self.subjects.remove(name);
        }
        self.ids.discount(old.id);
        Some(old)
    }
}

impl View {
    /// Live versions of the same context that reference this one and stand before it in the log:
    /// after compaction a registry that reads in order meets them first.
    #[must_use]
    pub fn referrers_before(&self, subject: &Subject, version: Version) -> Vec<Key> {
        let Some(view) = self.contexts.get(&subject.context).filter(|_| self.is_notable) else {
            return Vec::new();
        };
        let own = self.schema(subject, version).filter(|own| !own.deleted);
        let Some(offset) = own.map(|own| own.offset) else { return Vec::new() };
        let found = view.referrers_before(subject, version, offset).into_iter();
        found
            .map(|(name, version)| Key::Schema(Subject::new(&subject.context, &name), version))
            .collect()
    }
}
