//! What a link wrote last, for whoever watches: keys and numbers, no text of a schema.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::core::key::Key;
use crate::core::link::Change;
use crate::core::link::Write;

/// Writes that are kept of each link: a screenful to scroll through, about 30 KB.
pub const WRITES_KEPT_MAX: usize = 200;

/// A write that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its number among the link's writes since the process started.
    pub number: u64,
    /// When it was sent, in ms since 1970.
    pub at_ms: i64,
    /// The key in the target.
    pub key: Key,
    /// `put` or `delete`.
    pub what: &'static str,
    /// The schema id, where it is a version.
    pub id: Option<i32>,
    /// Why, in words.
    pub reason: &'static str,
}

/// A link's last writes. Copies are of one journal.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    writes: VecDeque<Written>,
    count: u64,
}

impl Journal {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a write that was sent.
    pub fn note(&self, write: &Write, at_ms: i64) {
        let (what, id) = match &write.change {
            Change::Delete => ("delete", None),
            Change::Schema { held, .. } => ("put", Some(held.id)),
            Change::Context | Change::Mode(_) | Change::Value { .. } => ("put", None),
        };
        let mut kept = self.kept();
        kept.count = kept.count.saturating_add(1);
        let number = kept.count;
        if kept.writes.len() >= WRITES_KEPT_MAX {
            kept.writes.pop_front();
        }
        let key = write.key.clone();
        kept.writes.push_back(Written { number, at_ms, key, what, id, reason: write.reason });
    }

    /// The last writes, newest first.
    #[must_use]
    pub fn newest(&self) -> Vec<Written> {
        self.kept().writes.iter().rev().cloned().collect()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("writes", &self.kept().count).finish()
    }
}

/// Whether it is the same one: what it holds changes on both.
impl PartialEq for Journal {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Journal {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::key::Version;
    use crate::core::subject::Subject;

    #[test]
    fn the_last_writes_are_kept_and_counted_on() {
        let journal = Journal::default();
        for version in 1..=300 {
            let key = Key::Schema(Subject::parse("orders"), Version::new(version).unwrap());
            let change = Change::Delete;
            journal.note(&Write { key, change, reason: "why", spellings: Vec::new() }, version);
        }
        let newest = journal.newest();
        let first = newest.first().map(|write| (write.number, write.at_ms, write.what));
        assert_eq!((newest.len(), first), (WRITES_KEPT_MAX, Some((300, 300, "delete"))));
        assert_eq!(newest.last().map(|write| write.number), Some(101));
    }
}
