//! The end of a backfill: nothing is on its way, and nothing waits.

use super::life::Life;
use super::life::TOGETHER_PATIENCE;
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
use crate::service::stream::Stream;

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
        self.use_up_leave().await?;
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
        let from = from.max(self.look_together(end).await?);
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

    /// How far the target was read together with other links; alone from there where that is not far
    /// enough.
    async fn look_together(&mut self, end: Offset) -> Result<Offset, Stop> {
        let Some(mut stream) = self.target.take() else { return Ok(self.target_next) };
        let clock = self.worker.clock.clone();
        while stream.read_to() < end {
            let run = tokio::select! {
                biased;
                run = stream.next() => run?,
                () = clock.sleep(TOGETHER_PATIENCE) => return Ok(stream.read_to()),
            };
            self.take_others(&run.batch).await?;
        }
        let next = stream.read_to();
        self.target = Some(stream);
        Ok(next)
    }

    /// The target's log from an offset on, together with other links where that went on until now.
    pub(super) async fn target_from(&mut self, from: Offset) -> Result<Stream<C>, Stop> {
        let (cluster, topic) = (&self.worker.target, &self.worker.definition.target_topic);
        match self.target.take() {
            Some(stream) => Ok(stream),
            None => Ok(Stream::open(cluster.clone(), topic, from).await?),
        }
    }
}
