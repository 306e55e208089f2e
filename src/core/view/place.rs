//! Putting versions into a context's view, and taking them out.

use std::sync::Arc;

use super::ContextView;
use super::VersionView;
use crate::core::key::Version;

impl ContextView {
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
