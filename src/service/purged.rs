//! What a purge of a link took away, and what it left.

use serde::Deserialize;
use serde::Serialize;

use crate::core::key::Key;
use crate::core::link::purge::Purge;

/// Keys that are named where some stay; the rest is counted.
const NAMED_MAX: usize = 20;

/// Keys that a purge takes away, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Versions of subjects.
    pub schemas: usize,
    /// Settings of subjects and contexts.
    pub configs: usize,
    /// Modes: fences.
    pub modes: usize,
    /// Records of contexts.
    pub contexts: usize,
    /// Associations.
    pub associations: usize,
}

impl Removed {
    /// Counts what is to be taken away.
    #[must_use]
    pub fn of(purge: &Purge) -> Self {
        let mut removed = Self::default();
        for planned in &purge.removals {
            let count = match planned.key {
                Key::Schema(..) => &mut removed.schemas,
                Key::Config(_) => &mut removed.configs,
                Key::Mode(_) => &mut removed.modes,
                Key::Context(_) => &mut removed.contexts,
                Key::Association(_) => &mut removed.associations,
                Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop => continue,
            };
            *count = count.saturating_add(1);
        }
        removed
    }
}

/// A key that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The key in the target, for people.
    pub key: String,
    /// Why it stays.
    pub reason: String,
}

/// What a purge came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// What it took away.
    pub removed: Removed,
    /// How many keys it left.
    pub stays: usize,
    /// The first of them.
    pub named: Vec<Left>,
    /// The link had no claim on anything of its target, so nothing was looked at.
    pub unclaimed: bool,
}

impl Purged {
    /// Of a purge whose first look found so much, by what it leaves in the end.
    #[must_use]
    pub fn of(removed: Removed, left: &Purge) -> Self {
        let named = left.stays.iter().take(NAMED_MAX);
        let named = named.map(|stay| {
            let (key, reason) = (stay.key.to_string(), stay.reason.clone());
            Left { key, reason }
        });
        Self { removed, stays: left.stays.len(), named: named.collect(), unclaimed: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::link::purge::Stay;
    use crate::core::subject::Subject;

    #[test]
    fn what_stays_is_counted_whole_and_named_in_part() {
        let key = |number| Key::Config(Subject::parse(&format!("s{number}")));
        let stays = (0..30).map(|number| Stay { key: key(number), reason: "why".to_owned() });
        let left = Purge { stays: stays.collect(), ..Purge::default() };
        let purged = Purged::of(Removed { schemas: 7, ..Removed::default() }, &left);
        assert_eq!((purged.removed.schemas, purged.stays, purged.named.len()), (7, 30, NAMED_MAX));
        let kept = serde_json::to_string(&purged).unwrap();
        assert_eq!(serde_json::from_str::<Purged>(&kept).unwrap(), purged);
    }
}
