//! Turning decided writes into records on their way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::GONE_AFTER;
use super::LOOK_FOR_GONE_EVERY;
use super::Worker;
use super::life::Life;
use super::life::keep;
use crate::core::link::Change;
use crate::core::link::Halt;
use crate::core::link::Outcome;
use crate::core::link::Write;
use crate::core::link::ledger::ACKNOWLEDGED;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::record::Record;
use crate::core::rules::Fence;
use crate::service::compare::NO_FENCE;
use crate::service::ground::Ground;
use crate::service::ground::replaced;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::FaultClass;
use crate::service::ports::RecordLimit;
use crate::service::set_aside::SetAside;
use crate::service::state::Braked;
use crate::service::state::Checkpoint;
use crate::service::state::FORMAT;
use crate::service::state::RecentDeletes;
use crate::service::status::Incidents;

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
        self.look_at_the_clock();
        self.stage(writes, at_hand).await?;
        self.flush().await
    }

    /// Takes the time that timestamps ahead of it are clamped to, once for a run of records.
    pub(super) fn look_at_the_clock(&mut self) {
        self.wall_ms = self.worker.clock.wall_ms();
    }

    /// The same for one of many: they go out in bursts, the last of them with [`Self::flush`].
    pub(super) async fn stage(
        &mut self,
        writes: Vec<Write>,
        at_hand: Option<&Record>,
    ) -> Result<(), Stop> {
        for write in writes {
            self.write_one(&write, at_hand).await?;
        }
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), Stop> {
        self.pipeline.flush(&mut self.counts).await
    }

    async fn write_one(&mut self, write: &Write, at_hand: Option<&Record>) -> Result<(), Stop> {
        let offset = match &write.change {
            Change::Schema { offset, .. } => Some(*offset),
            Change::Delete | Change::Context | Change::Mode(_) | Change::Value { .. } => None,
        };
        if offset.is_some() && at_hand.map(|record| record.offset) == offset {
            return self.send(write, at_hand).await;
        }
        // What it takes its time from may have been read since the clock was looked at.
        self.look_at_the_clock();
        let Some(offset) = offset else { return self.send(write, at_hand).await };
        match self.read_again(offset).await? {
            Some(record) if self.link.at().was_decided_from(write, &record) => {
                self.send(write, Some(&record)).await
            }
            Some(_) => {
                let Worker { source, definition, .. } = &self.worker;
                Err(replaced(source.name(), &definition.source_topic))
            }
            None => {
                // Compaction took it, so a newer record of the key is on its way.
                tracing::debug!(key = %write.key, offset, "the record is compacted away; waiting for the newer one");
                self.link.at().not_sent(&write.key);
                Ok(())
            }
        }
    }

    /// Reads a record of the source once more. A source that is away, or said to be gone, for a moment is
    /// waited for: a broker that has just started does not know its topics yet. It has to be the same
    /// topic then.
    async fn read_again(&mut self, offset: Offset) -> Result<Option<Record>, Stop> {
        let given = tokio::select! {
            biased;
            given = self.values.take(offset) => given,
            stop = self.pipeline.lease_ends() => return Err(stop),
        };
        if given.is_some() {
            return Ok(given);
        }
        let begun = self.worker.clock.monotonic();
        loop {
            let fault = tokio::select! {
                biased;
                fetched = self.fetcher.fetch(offset) => match fetched {
                    Ok(record) => return Ok(record),
                    Err(fault) => fault,
                },
                stop = self.pipeline.lease_ends() => return Err(stop),
            };
            let is_passing = matches!(fault.class, FaultClass::Transient | FaultClass::Missing);
            loop {
                let waited = self.worker.clock.monotonic().saturating_sub(begun);
                if !is_passing || waited >= GONE_AFTER {
                    return Err(fault.into());
                }
                tracing::debug!(offset, "a record is asked for again: {fault}");
                let is_same = tokio::select! {
                    biased;
                    stop = self.pipeline.lease_ends() => return Err(stop),
                    is_same = is_same_source(&self.worker, &self.ground) => is_same?,
                };
                if is_same {
                    break;
                }
            }
        }
    }

    async fn send(&mut self, write: &Write, behind: Option<&Record>) -> Result<(), Stop> {
        let made = self.link.at().outgoing(write, behind, self.wall_ms, self.pipeline.room());
        let records = match made {
            Ok(records) => records,
            Err(reason) => {
                self.set_aside(write, reason);
                return Ok(());
            }
        };
        let RecordLimit { bytes: most, raise } = self.record_limit;
        if let Some(large) = records.iter().find(|record| size_of(record) > most) {
            let topic = &self.worker.definition.target_topic;
            // Our header is as long as the instance's name and its epoch: another life, another size.
            let bytes = key_and_value(large);
            let reason = format!(
                "key and value have {bytes} bytes, with the frame around them topic {topic} takes {most} \
                 at most; {raise}"
            );
            self.set_aside(write, reason);
            return Ok(());
        }
        for record in records {
            self.pipeline.stage(record, &mut self.counts).await?;
        }
        self.worker.status.borrow().journal.note(write, self.wall_ms);
        Ok(())
    }

    fn set_aside(&mut self, write: &Write, reason: String) {
        self.link.at().set_aside(write, reason);
        // A context's own records stand behind none of the source.
        if matches!(write.change, Change::Schema { .. } | Change::Value { behind: Some(_), .. }) {
            self.counts.set_aside();
        }
    }

    /// Keeps the checkpoint where it moved. Called with acknowledged offsets only.
    pub(super) async fn keep_checkpoint(&mut self, released: Option<Offset>) -> Result<(), Stop> {
        // A life that ended before it decided anything leaves what an earlier one knew.
        if !self.pipeline.may_write() || !self.pipeline.has_marked() {
            return Ok(());
        }
        let next = self.show_done();
        let recent_deletes = self.recent_deletes();
        let definition = &self.worker.definition;
        let checkpoint = Checkpoint {
            format: FORMAT,
            link: definition.rules.name.clone(),
            source_cluster: self.ground.source.cluster_id.clone(),
            source_topic_id: self.ground.source_topic.topic_id.clone(),
            next,
            exported: self.exports.done(next),
            log_start: self.ground.source_topic.start,
            definition: definition.rules.fingerprint(),
            released: released
                .or_else(|| self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.released)),
            braked: None,
            recent_deletes,
        };
        if self.checkpoint.as_ref() == Some(&checkpoint) || (next == 0 && self.checkpoint.is_none())
        {
            self.show_checkpoint();
            return Ok(());
        }
        let record = checkpoint.record(&definition.rules.scope());
        self.keep(record).await?;
        self.checkpoint = Some(checkpoint);
        self.show_checkpoint();
        self.keep_claim().await
    }

    /// Keeps a record in our own topic, for as long as the lease is held: a target that is away
    /// must not hold up what has to be done when the lease ends.
    pub(super) async fn keep(&mut self, record: Outgoing) -> Result<(), Stop> {
        tokio::select! {
            biased;
            stop = self.pipeline.lease_ends() => Err(stop),
            kept = keep(&mut self.keeper, record, &self.worker.clock) => kept,
        }
    }

    /// Remembers where the brake halted the link, so that a release can name it. The checkpoint
    /// itself stays where it was.
    async fn keep_brake(&mut self, offset: Offset, deleted: usize) -> Result<(), Stop> {
        let definition = Arc::clone(&self.worker.definition);
        let fresh = || Checkpoint {
            format: FORMAT,
            link: definition.rules.name.clone(),
            source_cluster: self.ground.source.cluster_id.clone(),
            source_topic_id: self.ground.source_topic.topic_id.clone(),
            next: 0,
            exported: None,
            log_start: self.ground.source_topic.start,
            definition: definition.rules.fingerprint(),
            released: None,
            braked: None,
            recent_deletes: Vec::new(),
        };
        let mut checkpoint = self.checkpoint.clone().unwrap_or_else(fresh);
        let topic_id = self.ground.source_topic.topic_id.clone();
        let log_start = self.ground.source_topic.start;
        checkpoint.braked = Some(Braked { topic_id, offset, log_start, deleted });
        checkpoint.recent_deletes = self.recent_deletes();
        let record = checkpoint.record(&definition.rules.scope());
        self.keep(record).await
    }

    /// What the brake counted, by the clock on the wall: the next life counts on with it. To the
    /// minute, so that a checkpoint that says nothing new is not kept.
    fn recent_deletes(&mut self) -> Vec<RecentDeletes> {
        let (now, wall_ms) = (self.worker.clock.monotonic(), self.worker.clock.wall_ms());
        let at_ms = |age: Duration| {
            let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let at_ms = wall_ms.saturating_sub(age_ms);
            at_ms.saturating_sub(at_ms.rem_euclid(60_000))
        };
        let look = self.link.at();
        let recent = look.recent_deletes(now);
        recent.map(|(age, subjects)| RecentDeletes { at_ms: at_ms(age), subjects }).collect()
    }

    /// Halts the link; a brake is remembered first.
    pub(super) async fn halt(&mut self, halt: Halt) -> Stop {
        if let Halt::Brake { source_end, deleted, .. } = &halt
            && let Err(stop) = self.keep_brake(*source_end, *deleted).await
        {
            return stop;
        }
        self.worker.halted(&halt)
    }

    /// The claim says which clusters the copied records came through, so that links that read our
    /// target recognise what came from theirs.
    pub(super) async fn keep_claim(&mut self) -> Result<(), Stop> {
        // A checkpoint follows acknowledged writes only, and the fence is the first of them.
        let fenced = self.link.at().fence() != Fence::None;
        if fenced == self.claim.fenced && self.link.at().origins().is_subset(&self.claim.origins) {
            return Ok(());
        }
        self.claim.fenced = fenced;
        self.claim.origins.extend(self.link.at().origins().iter().cloned());
        self.keep(self.claim.record()).await
    }

    /// Says which registries the logs were taken for: it decides what is written, and in which form.
    pub(super) fn say_dialects(&mut self) {
        let name = &self.worker.definition.rules.name;
        let look = self.link.at();
        let (source, target) = (look.source_dialect(), look.target_dialect());
        tracing::info!(link = %name, source = %source, target = %target, "dialects");
        if look.knows_no_fence() {
            tracing::warn!(link = %name, reason = NO_FENCE, "no fence");
        }
    }

    /// Shows what the target acknowledged, and gives the offset before which everything is there.
    pub(super) fn show_done(&mut self) -> Offset {
        let next = self.pipeline.done_before();
        let latencies = self.pipeline.take_latencies();
        let writes_in_flight = self.pipeline.writes_in_flight();
        let exported = self.exports.done(next);
        self.worker.status.send_if_modified(|status| {
            let changed = status.done_before != next
                || status.writes_in_flight != writes_in_flight
                || !latencies.is_empty();
            status.done_before = next;
            status.exported = exported.or(status.exported);
            status.writes_in_flight = writes_in_flight;
            status.lag.done(next);
            status.latencies.merge(&latencies);
            changed
        });
        next
    }

    fn show_checkpoint(&self) {
        let now = self.worker.clock.monotonic();
        self.worker.status.send_modify(|status| status.checkpoint_at = Some(now));
    }

    /// Counts what became of a record of the source.
    pub(super) fn count(&mut self, record: &Record, outcome: Outcome) {
        self.counts.outcome(outcome);
        self.exports.note(record, outcome);
    }

    /// Shows where the source ends.
    pub(super) fn show_end(&self, end: Offset) {
        let now = self.worker.clock.monotonic();
        self.worker.status.send_modify(|status| status.saw_end(end, now));
    }

    /// Shows how far the link is.
    pub(super) fn show(&mut self, next: Offset, end: Offset) {
        for (word, key, reason) in self.link.at().take_fresh() {
            let link = &self.worker.definition.rules.name;
            if word == ACKNOWLEDGED {
                tracing::info!(link = %link, key = %key, reason = %reason, "{word}");
            } else {
                tracing::warn!(link = %link, key = %key, reason = %reason, "{word}");
            }
        }
        let look = self.link.at();
        let ledger = look.ledger();
        let set_aside = SetAside::first_of(ledger, &self.worker.definition.rules);
        let now = self.worker.clock.monotonic();
        self.worker.status.send_modify(|status| {
            status.counts = self.counts.clone();
            status.source_next = next;
            status.saw_end(end, now);
            status.incidents = Incidents::of(ledger);
            status.held = ledger.held().count();
            if *status.set_aside != *set_aside {
                status.set_aside = set_aside.into();
            }
            status.drifted = ledger.drift().count();
        });
    }
}

/// Whether the source can be asked, after a while, and is the topic that was read.
async fn is_same_source<C: Cluster, K: Clock>(
    worker: &Worker<C, K>,
    ground: &Ground,
) -> Result<bool, Stop> {
    let Worker { source, definition, clock, .. } = worker;
    clock.sleep(LOOK_FOR_GONE_EVERY).await;
    match source.topic(&definition.source_topic).await {
        Ok(Some(facts)) if facts.topic_id == ground.source_topic.topic_id => Ok(true),
        Ok(Some(_)) => Err(replaced(source.name(), &definition.source_topic)),
        Ok(None) => Ok(false),
        Err(fault) if matches!(fault.class, FaultClass::Transient | FaultClass::Missing) => {
            Ok(false)
        }
        Err(fault) => Err(fault.into()),
    }
}

pub(super) fn size_of(record: &Outgoing) -> usize {
    let headers: usize = record
        .headers
        .iter()
        .map(|header| header.name.len().saturating_add(header.value.as_ref().map_or(0, Vec::len)))
        .sum();
    key_and_value(record).saturating_add(headers).saturating_add(RECORD_OVERHEAD_BYTES)
}

fn key_and_value(record: &Outgoing) -> usize {
    record.key.len().saturating_add(record.value.as_ref().map_or(0, Vec::len))
}

/// The first item with each key, in their order.
pub(super) fn first_of_each<T, K: Ord>(items: &[T], key: impl Fn(&T) -> &K) -> Vec<&T> {
    let mut seen = BTreeSet::new();
    items.iter().filter(|item| seen.insert(key(item))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_takes_two_writes_to_restore_is_told_once() {
        let writes = [("v1", "delete"), ("v1", "put"), ("v2", "put")];
        assert_eq!(first_of_each(&writes, |write| &write.0), [&writes[0], &writes[2]]);
    }
}
