//! The newest record of a source whose state is in the target, for whoever asks how far a link is.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::core::link::Outcome;
use crate::core::record::Offset;
use crate::core::record::Record;

/// Records that wait to be acknowledged and are remembered one by one; of those behind them the
/// newest.
const WAITING_MAX: usize = 1_024;

/// A record of the source whose state is in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Its offset.
    pub offset: Offset,
    /// Its time in ms since 1970; 0 where the record has none.
    pub timestamp_ms: i64,
}

/// The records that a link copies, on their way into the target.
#[derive(Debug, Default)]
pub struct Exports {
    waiting: VecDeque<Exported>,
    last: Option<Exported>,
}

impl Exports {
    /// Takes note of what became of a record.
    pub fn note(&mut self, record: &Record, outcome: Outcome) {
        match outcome {
            Outcome::Written | Outcome::InSync => {}
            Outcome::NotSelected | Outcome::Held | Outcome::Incident => return,
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_back();
        }
        let timestamp_ms = record.timestamp_ms.unwrap_or(0);
        self.waiting.push_back(Exported { offset: record.offset, timestamp_ms });
    }

    /// Everything before this offset of the source is in the target. Gives the newest record there.
    pub fn done(&mut self, before: Offset) -> Option<Exported> {
        while let Some(first) = self.waiting.front().filter(|first| first.offset < before) {
            self.last = Some(*first);
            self.waiting.pop_front();
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: Offset) -> Record {
        Record { offset, timestamp_ms: Some(offset.saturating_add(100)), ..Record::default() }
    }

    #[test]
    fn what_is_copied_counts_once_it_is_acknowledged_and_nothing_else_does() {
        let mut exports = Exports::default();
        let outcomes = [
            Outcome::Written,
            Outcome::NotSelected,
            Outcome::InSync,
            Outcome::Incident,
            Outcome::Held,
        ];
        for (offset, outcome) in (0..).zip(outcomes) {
            exports.note(&record(offset), outcome);
        }
        assert_eq!(exports.done(0), None);
        assert_eq!(exports.done(2).map(|last| last.offset), Some(0));
        assert_eq!(exports.done(9), Some(Exported { offset: 2, timestamp_ms: 102 }));
        assert_eq!(exports.done(9).map(|last| last.offset), Some(2), "it stays");
    }

    #[test]
    fn of_many_that_wait_the_newest_is_remembered() {
        let mut exports = Exports::default();
        for offset in 0..5_000 {
            exports.note(&record(offset), Outcome::Written);
        }
        assert_eq!(exports.waiting.len(), WAITING_MAX);
        assert_eq!(exports.done(5_000).map(|last| last.offset), Some(4_999));
    }
}
