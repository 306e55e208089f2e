//! Which versions have an id, in one context.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::order::in_hash_order;
use crate::core::key::Version;

/// The ids of a context. Of one subject's versions with the same id, the one that was read last
/// counts, as in a registry's index.
#[derive(Debug, Default)]
pub(super) struct Ids {
    holders: BTreeMap<i32, Vec<(Arc<str>, Version)>>,
    max: i32,
}

impl From<Option<i32>> for Ids {
    fn from(max: Option<i32>) -> Self {
        Self { holders: BTreeMap::new(), max: max.unwrap_or_default() }
    }
}

impl Ids {
    /// The highest id that ever stood here.
    pub(super) fn max(&self) -> i32 {
        self.max
    }

    pub(super) fn put(&mut self, id: i32, name: &Arc<str>, version: Version) {
        self.max = self.max.max(id);
        let holders = self.holders.entry(id).or_default();
        match holders.iter_mut().find(|(held, _)| held == name) {
            Some((_, held)) => *held = version,
            None => {
                holders.reserve_exact(1);
                holders.push((Arc::clone(name), version));
            }
        }
    }

    /// Puts another version of the subject, or none, in the place of this one.
    pub(super) fn replace(
        &mut self,
        id: i32,
        name: &str,
        version: Version,
        other: Option<Version>,
    ) {
        let Some(holders) = self.holders.get_mut(&id) else { return };
        let place = holders.iter().position(|(held, at)| &**held == name && *at == version);
        match (place, other) {
            (Some(place), Some(other)) => {
                if let Some((_, held)) = holders.get_mut(place) {
                    *held = other;
                }
            }
            (Some(place), None) => drop(holders.remove(place)),
            (None, _) => {}
        }
        if holders.is_empty() {
            self.holders.remove(&id);
        }
    }

    /// The version of this subject that has the id.
    pub(super) fn of(&self, id: i32, name: &str) -> Option<Version> {
        let holders = self.holders.get(&id)?;
        holders.iter().find(|(held, _)| &**held == name).map(|(_, version)| *version)
    }

    /// All that have the id, in the order in which a registry lists them; `spell` gives the names as
    /// it spells them.
    pub(super) fn all(&self, id: i32, spell: impl Fn(&str) -> String) -> Vec<(Arc<str>, Version)> {
        let holders = self.holders.get(&id).cloned().unwrap_or_default();
        in_hash_order(holders, |(name, _)| spell(name))
    }
}
