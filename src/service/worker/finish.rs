//! The end of a backfill: nothing is on its way, and nothing waits.

use super::life::Life;
use crate::core::key::Key;
use crate::core::record::Offset;
use crate::service::ground::missing;
use crate::service::ground::replaced;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;

impl<C: Cluster, K: Clock> Life<C, K> {
    /// The end of a backfill: everything acknowledged, and nothing of someone else's in between that
    /// was not looked at.
    pub(super) async fn finish(&mut self, next: Offset, end: Offset) -> Result<(), Stop> {
        self.drain().await?;
        self.look_at_others().await?;
        self.drain().await?;
        let waiting = self.link.at().waits_for_newer().cloned();
        if let Some(key) = waiting {
            return Err(self.outrun(&key).into());
        }
        self.keep_checkpoint(None).await?;
        self.keep_claim().await?;
        self.show(next.max(end), end);
        self.pipeline.release();
        Ok(())
    }

    /// A backfill does not read on: it starts anew, and reads what took the record's place.
    fn outrun(&self, key: &Key) -> Fault {
        Fault {
            operation: "copy",
            object: key.to_string(),
            cluster: self.worker.source.name().to_owned(),
            cause: "its record was written anew and compacted away before it was read".to_owned(),
            class: FaultClass::Transient,
        }
    }

    /// Reads what others wrote to the target since it was read. Offsets of our own that follow each
    /// other without a gap prove that there is nothing.
    pub(super) async fn look_at_others(&mut self) -> Result<Offset, Stop> {
        let progress = self.pipeline.progress();
        let from = match progress.first {
            Some(first) if progress.gapless && first == self.target_next => progress.next,
            Some(_) | None => self.target_next,
        };
        let topic = self.worker.definition.target_topic.clone();
        let facts = self.worker.target.topic(&topic).await?;
        let end = facts.ok_or_else(|| missing(&self.worker.target, &topic))?.end;
        if end < self.target_next {
            return Err(replaced(self.worker.target.name(), &topic));
        }
        if end <= from {
            return Ok(from);
        }
        let mut log = self.worker.target.read(&topic, 0, from).await?;
        let mut next = from;
        while next < end {
            let batch = log.next().await?;
            self.take_others(&batch).await?;
            next = batch.next.max(next);
            if batch.at_end {
                break;
            }
        }
        Ok(next)
    }
}
