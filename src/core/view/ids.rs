//! Schema ids of one context: one text each, and the records that came too late for theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::VersionView;
use crate::core::key::Version;
use crate::core::value::Digest;

/// Which text an id stands for, and by how many versions it is used.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    text: Digest,
    versions: u32,
}

/// The ids of a context.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    used: BTreeMap<i32, Use>,
    /// Versions whose id stands for another text: a registry ignores their records
    /// (confluent-schemas-topic §3.3).
    losers: BTreeMap<(Arc<str>, Version), VersionView>,
}

impl Ids {
    pub(super) fn text_of(&self, id: i32) -> Option<Digest> {
        self.used.get(&id).map(|used| used.text)
    }

    /// Whether more than one version has the id.
    pub(super) fn is_shared(&self, id: i32) -> bool {
        self.used.get(&id).is_some_and(|used| used.versions > 1)
    }

    pub(super) fn count(&mut self, id: i32, text: Digest) {
        let used = self.used.entry(id).or_insert(Use { text, versions: 0 });
        used.versions = used.versions.saturating_add(1);
    }

    pub(super) fn discount(&mut self, id: i32) {
        if let Some(used) = self.used.get_mut(&id) {
            used.versions = used.versions.saturating_sub(1);
            if used.versions == 0 {
                self.used.remove(&id);
            }
        }
    }

    pub(super) fn add_loser(&mut self, name: &Arc<str>, loser: VersionView) {
        self.losers.insert((Arc::clone(name), loser.version), loser);
    }

    pub(super) fn forget_loser(&mut self, name: &Arc<str>, version: Version) {
        if !self.losers.is_empty() {
            self.losers.remove(&(Arc::clone(name), version));
        }
    }

    pub(super) fn has_loser(&self, name: &str, version: Version) -> bool {
        self.losers.keys().any(|(held, of)| &**held == name && *of == version)
    }

    pub(super) fn loser(&self, name: &str, version: Version) -> Option<&VersionView> {
        self.losers.get(&(Arc::from(name), version))
    }

    pub(super) fn losers(&self) -> impl Iterator<Item = (&str, Version)> {
        self.losers.keys().map(|(name, version)| (&**name, *version))
    }

    pub(super) fn has_no_losers(&self) -> bool {
        self.losers.is_empty()
    }

    /// The first loser in log order whose id is free now, or has its text.
    pub(super) fn take_winner(&mut self) -> Option<(Arc<str>, VersionView)> {
        let winner = self
            .losers
            .iter()
            .filter(|(_, loser)| {
                self.text_of(loser.id).is_none_or(|text| text == loser.content.text)
            })
            .min_by_key(|(_, loser)| loser.offset)
            .map(|(place, _)| place.clone())?;
        let loser = self.losers.remove(&winner)?;
        Some((winner.0, loser))
    }
}
