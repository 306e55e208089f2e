//! One partition of a simulated topic: a log that is compacted, expires tombstones and is cut off.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use schema_mirror::core::record::Offset;
use schema_mirror::core::record::Outgoing;
use schema_mirror::core::record::Record;

#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) record: Record,
    /// When a tombstone may go: set by the first compaction that sees it.
    horizon: Option<Duration>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Partition {
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) stored: Vec<Stored>,
}

impl Partition {
    pub(crate) fn append(&mut self, write: Outgoing, wall_ms: i64) -> &Record {
        let record = Record {
            offset: self.end,
            timestamp_ms: Some(write.timestamp_ms.unwrap_or(wall_ms)),
            key: Some(write.key.into()),
            value: write.value.map(Into::into),
            headers: write.headers.to_vec(),
        };
        self.end += 1;
        self.stored.push(Stored { record, horizon: None });
        &self.stored[self.stored.len() - 1].record
    }

    /// What the log cleaner does below `upto`, the active segment's first offset.
    pub(crate) fn compact(&mut self, upto: Offset, now: Duration, retention: Duration) {
        let newest: BTreeMap<Option<Bytes>, Offset> = self
            .stored
            .iter()
            .filter(|stored| stored.record.offset < upto)
            .map(|stored| (stored.record.key.clone(), stored.record.offset))
            .collect();
        self.stored.retain_mut(|stored| {
            let record = &stored.record;
            if record.offset >= upto {
                return true;
            }
            if newest[&record.key] != record.offset {
                return false;
            }
            if record.value.is_some() {
                return true;
            }
            let horizon = *stored.horizon.get_or_insert(now + retention);
            now < horizon
        });
    }

    /// What DeleteRecords does.
    pub(crate) fn cut_before(&mut self, start: Offset) {
        self.start = start.min(self.end).max(self.start);
        let start = self.start;
        self.stored.retain(|stored| stored.record.offset >= start);
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.stored.iter().map(|stored| &stored.record)
    }

    /// Records from an offset on, so many at most, and where reading goes on.
    pub(crate) fn read(&self, next: Offset, most: usize) -> (Vec<Record>, Offset) {
        let records: Vec<Record> =
            self.records().filter(|record| record.offset >= next).take(most).cloned().collect();
        let last = records.last().map_or(next, |record| record.offset + 1);
        let more = self.stored.last().is_some_and(|stored| stored.record.offset >= last);
        (records, if more { last } else { self.end.max(last) })
    }
}
