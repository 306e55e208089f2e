//! Turning decided writes into records on their way.

use super::life::Life;
use super::life::keep;
use crate::core::link::Change;
use crate::core::link::Write;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::record::Record;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::state::Checkpoint;
use crate::service::state::FORMAT;

/// What a record costs besides its key, value and headers: the batch's frame and varints
/// (`DefaultRecordBatch.RECORD_BATCH_OVERHEAD` is 61), with room.
const RECORD_OVERHEAD_BYTES: usize = 128;

impl<C: Cluster, K: Clock> Life<C, K> {
    /// Sends writes in their order. `at_hand` is the source's record that led to them; another one
    /// is read again.
    pub(super) async fn write(
        &mut self,
        writes: Vec<Write>,
        at_hand: Option<&Record>,
    ) -> Result<(), Stop> {
        for write in writes {
            self.write_one(&write, at_hand).await?;
        }
        Ok(())
    }

    async fn write_one(&mut self, write: &Write, at_hand: Option<&Record>) -> Result<(), Stop> {
        let Change::Schema { offset, .. } = &write.change else {
            return self.send(write, at_hand).await;
        };
        if at_hand.is_some_and(|record| record.offset == *offset) {
            return self.send(write, at_hand).await;
        }
        match self.fetcher.fetch(*offset).await? {
            Some(record) => self.send(write, Some(&record)).await,
            None => {
                // Compaction took it, so a newer record of the key is on its way.
                tracing::debug!(key = %write.key, offset, "the record is compacted away; waiting for the newer one");
                self.link.not_sent(&write.key);
                Ok(())
            }
        }
    }

    async fn send(&mut self, write: &Write, behind: Option<&Record>) -> Result<(), Stop> {
        let made = self.link.outgoing(write, behind, self.worker.clock.wall_ms());
        let records = match made {
            Ok(records) => records,
            Err(reason) => {
                self.link.set_aside(write, reason);
                return Ok(());
            }
        };
        if let Some(bytes) =
            records.iter().map(size_of).find(|bytes| *bytes > self.message_bytes_max)
        {
            let reason = format!(
                "the record has {bytes} bytes, topic {} takes {} at most; raise its max.message.bytes",
                self.worker.definition.target_topic, self.message_bytes_max
            );
            self.link.set_aside(write, reason);
            return Ok(());
        }
        for record in records {
            self.pipeline.send(record, &mut self.counts).await?;
        }
        Ok(())
    }

    /// Keeps the checkpoint where it moved. Called with acknowledged offsets only.
    pub(super) async fn keep_checkpoint(&mut self, released: Option<Offset>) -> Result<(), Stop> {
        let next = self.pipeline.done_before();
        self.worker.status.send_modify(|status| status.done_before = next);
        let definition = &self.worker.definition;
        let checkpoint = Checkpoint {
            format: FORMAT,
            link: definition.rules.name.clone(),
            source_cluster: self.ground.source.cluster_id.clone(),
            source_topic_id: self.ground.source_topic.topic_id.clone(),
            next,
            log_start: self.ground.source_topic.start,
            definition: definition.rules.fingerprint(),
            released: released
                .or_else(|| self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.released)),
        };
        if self.checkpoint.as_ref() == Some(&checkpoint) || (next == 0 && self.checkpoint.is_none())
        {
            return Ok(());
        }
        let record = checkpoint.record(&definition.rules.scope());
        keep(&mut self.keeper, record, &self.worker.clock).await?;
        self.checkpoint = Some(checkpoint);
        self.keep_origins().await
    }

    /// The claim says which clusters the copied records came through, so that links that read our
    /// target recognise what came from theirs.
    async fn keep_origins(&mut self) -> Result<(), Stop> {
        if self.link.origins().is_subset(&self.claim.origins) {
            return Ok(());
        }
        self.claim.origins.extend(self.link.origins().iter().cloned());
        keep(&mut self.keeper, self.claim.record(), &self.worker.clock).await
    }

    /// Shows how far the link is.
    pub(super) fn show(&self, next: Offset, end: Offset) {
        let ledger = self.link.ledger();
        self.worker.status.send_modify(|status| {
            status.counts = self.counts.clone();
            status.source_next = next;
            status.source_end = end;
            status.incidents = ledger.incidents().count();
            status.held = ledger.held().count();
        });
    }
}

fn size_of(record: &Outgoing) -> usize {
    let headers: usize = record
        .headers
        .iter()
        .map(|header| header.name.len().saturating_add(header.value.as_ref().map_or(0, Vec::len)))
        .sum();
    record
        .key
        .len()
        .saturating_add(record.value.as_ref().map_or(0, Vec::len))
        .saturating_add(headers)
        .saturating_add(RECORD_OVERHEAD_BYTES)
}
