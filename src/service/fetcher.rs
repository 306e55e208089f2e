//! Reading single records again.

use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::record::after;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;

/// Reads single records again, by offset.
#[derive(Debug)]
pub struct Fetcher<C: Cluster> {
    cluster: C,
    topic: String,
    log: Option<C::Log>,
    records: std::vec::IntoIter<Record>,
    /// The offset after the last record that was taken out of `records`.
    passed: Offset,
    /// The offset after the last record that the reader gave.
    read_to: Offset,
    at_end: bool,
}

/// A gap up to this many offsets is read through; a longer one is jumped over.
pub(super) const READ_THROUGH_MAX: Offset = 2_000;

impl<C: Cluster> Fetcher<C> {
    /// A fetcher that has read nothing yet.
    pub fn new(cluster: C, topic: &str) -> Self {
        Self {
            cluster,
            topic: topic.to_owned(),
            log: None,
            records: Vec::new().into_iter(),
            passed: 0,
            read_to: 0,
            at_end: false,
        }
    }

    /// The record at an offset; `None` where compaction took it: then the key has a newer one. After a
    /// fault the next one is asked of a new reader, which may read another topic of the name.
    ///
    /// # Errors
    /// The reader's faults.
    pub async fn fetch(&mut self, offset: Offset) -> Result<Option<Record>, Fault> {
        let was_open = self.log.is_some();
        let told = match self.fetch_once(offset).await {
            // A reader that nobody asked for a while still tells of an outage that may be over.
            Err(fault) if fault.class == FaultClass::Transient && was_open => {
                tracing::debug!("a new reader is asked: {fault}");
                self.log = None;
                self.fetch_once(offset).await
            }
            told => told,
        };
        if told.is_err() {
            self.log = None;
        }
        told
    }

    async fn fetch_once(&mut self, offset: Offset) -> Result<Option<Record>, Fault> {
        let far = offset.saturating_sub(self.read_to) > READ_THROUGH_MAX;
        let mut sought = self.log.is_none();
        if sought {
            self.log = Some(self.cluster.read(&self.topic, 0, offset).await?);
            self.jump(offset);
        } else if offset < self.passed || (offset >= self.read_to && far) {
            self.seek(offset).await?;
            sought = true;
        }
        loop {
            for record in self.records.by_ref() {
                self.passed = after(record.offset);
                if record.offset == offset {
                    return Ok(Some(record));
                }
                if record.offset > offset {
                    // It may be asked for next: seek back to it then.
                    return Ok(None);
                }
            }
            if self.read_to > offset || (self.at_end && sought) {
                return Ok(None);
            }
            // The end was seen before the record was written: the reader was not asked for a while.
            if self.at_end {
                self.seek(offset).await?;
                sought = true;
            }
            let Some(log) = &mut self.log else { return Ok(None) };
            let batch = log.next().await?;
            self.read_to = batch.next;
            self.at_end = batch.at_end;
            self.records = batch.records.into_iter();
        }
    }

    async fn seek(&mut self, offset: Offset) -> Result<(), Fault> {
        if let Some(log) = &mut self.log {
            log.seek(offset).await?;
        }
        self.jump(offset);
        Ok(())
    }

    fn jump(&mut self, offset: Offset) {
        self.records = Vec::new().into_iter();
        self.passed = offset;
        self.read_to = offset;
        self.at_end = false;
    }
}
