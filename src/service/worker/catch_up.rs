//! One pass: a source read straight through into a scope that is empty.

use super::Goal;
use super::life::Life;
use super::reconcile::Ahead;
use super::reconcile::take_before;
use super::tail::CHECKPOINT_EVERY;
use crate::core::key::Key;
use crate::core::link::Change;
use crate::core::link::Halt;
use crate::core::link::Pace;
use crate::core::link::Step;
use crate::core::link::Told;
use crate::core::link::Write;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::status::Phase;

impl<C: Cluster, K: Clock> Life<C, K> {
    /// Copies the source, record by record as it is read, up to `end`, or to where a backfill has to
    /// read on. What needs an earlier record's value, as a DELETE_SUBJECT does, is brought up at the
    /// end. Records behind it are given back.
    pub(super) async fn catch_up(&mut self, mut end: Offset) -> Result<(Offset, Ahead), Stop> {
        self.worker.enter(Phase::CatchingUp);
        self.begin_reading().await?;
        let opening = self.link.at().opening();
        let writes = self.link.at().decide_again(opening);
        self.write(writes, None).await?;
        let mut later = Vec::new();
        let mut ahead = Vec::new();
        let mut next = 0;
        let mut asked = 0;
        loop {
            next = self.copy_to(next, end, &mut ahead, &mut later).await?;
            // A link that follows reads on anyway.
            if self.worker.goal == Goal::Follow || !self.grew(&mut end, &mut asked).await? {
                break;
            }
        }
        later.sort();
        later.dedup();
        later.extend(self.link.at().closing());
        let writes = self.link.at().decide_again(later);
        self.write(writes, None).await?;
        self.pipeline.mark(next);
        Ok((next, ahead))
    }

    async fn copy_to(
        &mut self,
        from: Offset,
        end: Offset,
        ahead: &mut Ahead,
        later: &mut Vec<Key>,
    ) -> Result<Offset, Stop> {
        for (record, told) in take_before(ahead, end) {
            self.copy(&record, told.as_ref(), later).await?;
        }
        let mut next = self.read_from(from, end);
        let mut kept_at = self.worker.clock.monotonic();
        while next < end {
            let run = self.next_run(end).await?;
            for (record, told) in run.records() {
                if record.offset < end {
                    self.copy(record, told, later).await?;
                } else {
                    ahead.push((record.clone(), told.cloned()));
                }
            }
            self.flush().await?;
            next = run.batch.next.min(end);
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
        Ok(next)
    }

    async fn copy(
        &mut self,
        record: &Record,
        told: Option<&Told>,
        later: &mut Vec<Key>,
    ) -> Result<(), Stop> {
        let step = self.step(record, told, Pace::CatchingUp);
        let step = step.map_err(|halt| self.worker.halted(&halt))?;
        self.count(record, step.outcome);
        for write in step.writes {
            if is_elsewhere(&write, record) {
                self.link.at().not_sent(&write.key);
                later.push(write.key);
            } else {
                self.stage(vec![write], Some(record)).await?;
            }
        }
        Ok(())
    }
}

impl<C: Cluster, K: Clock> Life<C, K> {
    /// What a record of the source asks for.
    pub(super) fn step(
        &mut self,
        record: &Record,
        told: Option<&Told>,
        pace: Pace,
    ) -> Result<Step, Halt> {
        let mut link = self.link.at();
        match told {
            Some(told) => link.follow_told(record, told, pace),
            None => link.follow_source(record, pace),
        }
    }
}

/// Whether a write takes its value from another record than this one.
fn is_elsewhere(write: &Write, record: &Record) -> bool {
    matches!(&write.change, Change::Schema { offset, .. } if *offset != record.offset)
}
