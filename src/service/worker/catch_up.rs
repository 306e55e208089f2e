//! One pass: a source read straight through into a scope that is empty.

use super::Goal;
use super::life::Life;
use super::reconcile::Ahead;
use super::reconcile::ENDS_ASKED_MAX;
use super::reconcile::OldEnd;
use super::reconcile::take_before;
use super::tail::CHECKPOINT_EVERY;
use crate::core::key::Key;
use crate::core::link::Change;
use crate::core::link::Pace;
use crate::core::link::Write;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::status::Phase;

impl<C: Cluster, K: Clock> Life<C, K> {
    /// Copies the source up to `end`, record by record as it is read. What needs an earlier record's
    /// value, as a DELETE_SUBJECT does, is brought up at the end. Records behind it are given back.
    pub(super) async fn catch_up(&mut self, end: Offset) -> Result<(Offset, Ahead), Stop> {
        self.worker.enter(Phase::CatchingUp);
        let opening = self.link.opening();
        let writes = self.link.decide_again(opening);
        self.write(writes, None).await?;
        let mut later = Vec::new();
        let mut ahead = Vec::new();
        let mut next = 0;
        let mut kept_at = self.worker.clock.monotonic();
        let mut end = end;
        let mut asked: usize = 0;
        while next < end || self.grew(&mut end, &mut asked).await? {
            for record in take_before(&mut ahead, end) {
                self.copy(&record, &mut later).await?;
            }
            next = next.max(self.source.read_to().min(end));
            if next >= end {
                continue;
            }
            let batch = self.next_batch(end).await?;
            for record in &batch.records {
                if record.offset < end {
                    self.copy(record, &mut later).await?;
                } else {
                    ahead.push(record.clone());
                }
            }
            self.flush().await?;
            next = batch.next.min(end);
            self.show(next, end);
            if later.is_empty() {
                self.pipeline.mark(next);
            }
            let now = self.worker.clock.monotonic();
            if now.saturating_sub(kept_at) >= CHECKPOINT_EVERY {
                kept_at = now;
                self.keep_checkpoint(None).await?;
            }
        }
        later.sort();
        later.dedup();
        later.extend(self.link.closing());
        let writes = self.link.decide_again(later);
        self.write(writes, None).await?;
        self.pipeline.mark(next);
        Ok((next, ahead))
    }

    /// Whether a backfill has to read on: a key was written again behind the end, and compaction may
    /// have taken its older record before that was read. A link that follows reads on anyway.
    async fn grew(&mut self, end: &mut Offset, asked: &mut usize) -> Result<bool, Stop> {
        if self.worker.goal == Goal::Follow || *asked == ENDS_ASKED_MAX {
            return Ok(false);
        }
        *asked = asked.saturating_add(1);
        let now = self.source_end().await?;
        let grew = now > *end;
        if grew {
            *end = now;
            self.old_end = OldEnd::Unseen;
        }
        Ok(grew)
    }

    async fn copy(&mut self, record: &Record, later: &mut Vec<Key>) -> Result<(), Stop> {
        let step = match self.link.follow_source(record, Pace::CatchingUp) {
            Ok(step) => step,
            Err(halt) => return Err(Stop::Halt(halt.to_string())),
        };
        self.counts.outcome(step.outcome);
        for write in step.writes {
            if is_elsewhere(&write, record) {
                self.link.not_sent(&write.key);
                later.push(write.key);
            } else {
                self.stage(vec![write], Some(record)).await?;
            }
        }
        Ok(())
    }
}

/// Whether a write takes its value from another record than this one.
fn is_elsewhere(write: &Write, record: &Record) -> bool {
    matches!(&write.change, Change::Schema { offset, .. } if *offset != record.offset)
}
