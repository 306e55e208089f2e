//! Taking away what a link wrote: under its lease, as a writer does, and by the target alone.
//!
//! ```text
//! claim → lease → read the target → note what goes → take it away → look again → give the claim back
//! ```
//!
//! A life that ends in between leaves the claim, and the next one goes on with what the target still holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Worker;
use super::life::keep;
use super::tail::DRAIN_ON_SHUTDOWN;
use super::wait_for;
use crate::core::link::Identity;
use crate::core::link::purge::Claimed;
use crate::core::link::purge::Purge;
use crate::core::link::purge::Purger;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::service::definition::ContextNamedBy;
use crate::service::fence_leave::FenceLeave;
use crate::service::ground::missing;
use crate::service::ground::read_to_end;
use crate::service::ground::replaced;
use crate::service::past::read_state;
use crate::service::pipeline::Pipeline;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::LeaseRequest;
use crate::service::ports::TopicFacts;
use crate::service::purged::Purged;
use crate::service::purged::Removed;
use crate::service::state::Checkpoint;
use crate::service::state::Claim;
use crate::service::state::State;
use crate::service::state::group_of;
use crate::service::state::partition_of;
use crate::service::status::Counts;
use crate::service::status::Phase;

/// The source is asked who it is, to tell the link's claim from one of the same name. It may be away.
const SOURCE_ASKED_FOR: Duration = Duration::from_secs(3);
/// Looks that find no less to take away than the look before. After so many someone writes there all
/// the time.
const LOOKS_MAX: u32 = 10;
/// Removals between two looks at what others write meanwhile.
const LOOK_AGAIN_AFTER: usize = 1_000;

/// A link that is being purged, as the writer of its scope.
struct Purging<C: Cluster, K: Clock> {
    worker: Worker<C, K>,
    pipeline: Pipeline<C::Appender, C::Lease, K>,
    /// Where the claim is kept.
    keeper: C::Appender,
    claim: Claim,
    /// What the link claimed under former definitions.
    outgrown: Vec<Claim>,
    purger: Purger,
    /// The target's topic as it was found.
    topic: TopicFacts,
    /// It was read to here.
    next: Offset,
    counts: Counts,
}

impl<C: Cluster, K: Clock> Worker<C, K> {
    /// Takes away what the link wrote, until nothing of it is left that can go; then gives its claims
    /// back and says in the status what it came to.
    pub(super) async fn purge(&mut self, shutdown: watch::Receiver<bool>) -> Result<(), Stop> {
        // One that waits goes on waiting, for whoever watches, until all is in order.
        if !matches!(self.status.borrow().phase, Phase::Waiting(_)) {
            self.enter(Phase::Purging);
        }
        let mut signal = shutdown.clone();
        let begun = tokio::select! {
            biased;
            begun = self.begin_purge() => begun?,
            () = wait_for(&mut signal) => return Err(Stop::Shutdown),
        };
        let purged = match begun {
            Some(purging) => purging.live(shutdown).await?,
            // What has no claim wrote nothing: the claim comes before the first record.
            None => Purged { unclaimed: true, ..Purged::default() },
        };
        self.status.send_modify(|status| status.purged = Some(Arc::new(purged)));
        Ok(())
    }

    async fn begin_purge(&self) -> Result<Option<Box<Purging<C, K>>>, Stop> {
        let definition = &self.definition;
        let source = self.source_if_there().await;
        let state = read_state(&self.target, &definition.state_topic).await?;
        let Some(found) = self.claim_to_purge(&state, source.as_deref())? else { return Ok(None) };
        let request = LeaseRequest {
            group: group_of(&definition.state_topic, &found.scope),
            topic: definition.state_topic.clone(),
            partition: partition_of(&found.scope),
            instance: Some(definition.instance.clone()),
        };
        let mut lease = self.target.lease(&request).await?;
        self.enter(Phase::Standby);
        Pipeline::<C::Appender, C::Lease, K>::become_writer(&mut lease, &self.clock, None).await?;
        // Whoever held the lease before may have got further, or to the end.
        let state = read_state(&self.target, &definition.state_topic).await?;
        let Some(claim) = self.claim_to_purge(&state, source.as_deref())? else { return Ok(None) };
        if claim.scope != found.scope {
            // It moved meanwhile: the next life looks for its lease.
            return Err(Stop::LeaseLost);
        }
        let name = &definition.rules.name;
        let outgrown = state.outgrown(name, &claim.source_cluster, &claim.scope).cloned();
        let outgrown: Vec<Claim> = outgrown.collect();
        self.refuse_outgrown_writers(&outgrown).await?;
        let (facts, topic, appender, keeper) = tokio::try_join!(
            self.target.facts(),
            self.target.topic(&definition.target_topic),
            self.target.append_in_batches(&definition.target_topic, 0),
            self.target.keep_in(&definition.state_topic, request.partition),
        )?;
        let topic = topic.ok_or_else(|| missing(&self.target, &definition.target_topic))?;
        let claim = Claim {
            writer: definition.instance.clone(),
            epoch: state.last_epoch(name, &claim.source_cluster).saturating_add(1),
            ..claim
        };
        let identity = Identity {
            writer: claim.writer.clone(),
            epoch: claim.epoch,
            source_cluster: claim.source_cluster.clone(),
            target_cluster: facts.cluster_id,
        };
        let claimed = claimed(&claim, &outgrown, &state);
        Ok(Some(Box::new(Purging {
            pipeline: Pipeline::new(appender, lease, self.clock.clone(), self.rate.clone()),
            purger: Purger::new(definition.rules.clone(), identity, claimed),
            worker: self.clone(),
            keeper,
            claim,
            outgrown,
            topic,
            next: 0,
            counts: self.status.borrow().counts.written_only(),
        })))
    }

    /// The id of the source's cluster, where it answers.
    async fn source_if_there(&self) -> Option<String> {
        tokio::select! {
            facts = self.source.facts() => facts.ok().map(|facts| facts.cluster_id),
            () = self.clock.sleep(SOURCE_ASKED_FOR) => None,
        }
    }

    /// The claim under which the link wrote last. One of its name that reads another cluster is another
    /// link's.
    fn claim_to_purge(&self, state: &State, source: Option<&str>) -> Result<Option<Claim>, Stop> {
        let definition = &self.definition;
        let rules = &definition.rules;
        let named: Vec<&Claim> =
            state.claims.values().filter(|claim| claim.link == rules.name).collect();
        let is_own = |claim: &&&Claim| source.is_none_or(|source| claim.source_cluster == source);
        let own = named.iter().filter(is_own);
        let last = own.max_by_key(|claim| (claim.scope == rules.scope(), claim.epoch));
        let other = named
            .iter()
            .find(|claim| last.is_none_or(|last| claim.source_cluster != last.source_cluster));
        let (name, target) = (&rules.name, self.target.name());
        match (last, other, source) {
            (None, None, _) => Ok(None),
            (None, Some(other), _) => Err(Stop::Halt(format!(
                "what a link named {name} wrote to {target} came from cluster {}, and its source is another \
                 one now: that is not taken for its own. Delete it without its copy",
                other.source_cluster
            ))),
            (Some(last), Some(other), None) => Err(Stop::Halt(format!(
                "links named {name} that read clusters {} and {} have claims on {target}, and the source does \
                 not tell which one it is: purge it when the source is back, or delete it without its copy",
                last.source_cluster, other.source_cluster
            ))),
            // What fences it, and who owns what, is told by the definition that wrote it.
            (Some(last), _, _)
                if definition.context == ContextNamedBy::Configuration
                    && last.scope != rules.scope() =>
            {
                Err(Stop::Halt(format!(
                    "{name} was given another definition than the one that wrote {}, and never went on with \
                     it: resume it once before, or delete it without its copy",
                    last.scope
                )))
            }
            (Some(last), _, _) => Ok(Some((*last).clone())),
        }
    }

    /// The same link may still be at work elsewhere under its former definition: it has to end first.
    async fn refuse_outgrown_writers(&self, outgrown: &[Claim]) -> Result<(), Stop> {
        for claim in outgrown {
            let group = group_of(&self.definition.state_topic, &claim.scope);
            let members = match self.target.members(&group).await {
                Ok(members) => members,
                // A cluster that does not tell can't be asked.
                Err(fault) if fault.class == FaultClass::Unsupported => return Ok(()),
                Err(fault) => return Err(fault.into()),
            };
            if let Some(writer) = members.first() {
                return Err(Stop::Fault(Fault {
                    operation: "purge",
                    object: format!("scope {}", claim.scope),
                    cluster: self.target.name().to_owned(),
                    cause: format!("it has a living writer: {writer}"),
                    class: FaultClass::Transient,
                }));
            }
        }
        Ok(())
    }
}

/// What the claims say of what is the link's, and of what is not.
fn claimed(claim: &Claim, outgrown: &[Claim], state: &State) -> Claimed {
    let former = outgrown.iter().flat_map(|claim| {
        claim.former.iter().cloned().chain([claim.scope.clone()]).collect::<Vec<_>>()
    });
    let is_other =
        |other: &&Claim| other.link != claim.link || other.source_cluster != claim.source_cluster;
    let others = state.claims.values().filter(is_other);
    Claimed {
        scope: claim.scope.clone(),
        former: claim.former.iter().cloned().chain(former).collect(),
        began_at: claim.began_at,
        adopted_below: claim.adopted_below,
        fenced: claim.fenced,
        others: others.map(|other| (other.link.clone(), other.scope.clone())).collect(),
    }
}

impl<C: Cluster, K: Clock> Purging<C, K> {
    /// Told to end, it waits for what is on its way.
    async fn live(mut self: Box<Self>, shutdown: watch::Receiver<bool>) -> Result<Purged, Stop> {
        let mut signal = shutdown;
        let ended = tokio::select! {
            biased;
            ended = self.take_away_all() => ended,
            () = wait_for(&mut signal) => Err(Stop::Shutdown),
        };
        let is_done = match &ended {
            Ok(_) => true,
            Err(Stop::Shutdown) => {
                let clock = self.worker.clock.clone();
                tokio::select! {
                    biased;
                    drained = self.drain() => drained.is_ok(),
                    () = clock.sleep(DRAIN_ON_SHUTDOWN) => false,
                }
            }
            Err(Stop::Fault(_) | Stop::LeaseLost | Stop::Halt(_)) => false,
        };
        if is_done {
            self.pipeline.release();
        }
        ended
    }

    async fn take_away_all(&mut self) -> Result<Purged, Stop> {
        self.keep(self.claim.record()).await?;
        self.read_on().await?;
        self.purger.check_fences().map_err(|halt| self.worker.halted(&halt))?;
        self.worker.enter(Phase::Purging);
        let mut purge = self.purger.plan();
        let link = &self.worker.definition.rules.name;
        tracing::info!(
            link = %link, removals = purge.removals.len(), stays = purge.stays.len(), "purging"
        );
        // Before the first removal: a later life must not take a fence that is gone for one that
        // someone lifted.
        let removed = match self.claim.purge {
            Some(removed) => removed,
            None => {
                let removed = Removed::of(&purge);
                self.claim.purge = Some(removed);
                self.keep(self.claim.record()).await?;
                removed
            }
        };
        let mut in_vain: u32 = 0;
        while in_vain < LOOKS_MAX {
            if purge.removals.is_empty() {
                self.give_back().await?;
                return Ok(Purged::of(removed, &purge));
            }
            let before = purge.removals.len();
            self.take_away(&purge).await?;
            // Others may write meanwhile, and whoever opens a context fails over to it.
            self.read_on().await?;
            self.purger.check_fences().map_err(|halt| self.worker.halted(&halt))?;
            purge = self.purger.plan();
            in_vain = in_vain.saturating_add(u32::from(purge.removals.len() >= before));
        }
        Err(Stop::Fault(Fault {
            operation: "purge",
            object: format!("topic {}", self.worker.definition.target_topic),
            cluster: self.worker.target.name().to_owned(),
            cause: "records of the link come as fast as they go".to_owned(),
            class: FaultClass::Transient,
        }))
    }

    /// Takes the first of it away.
    async fn take_away(&mut self, purge: &Purge) -> Result<(), Stop> {
        let wall_ms = self.worker.clock.wall_ms();
        for removal in purge.removals.iter().take(LOOK_AGAIN_AFTER) {
            let write = self.purger.take_away(&removal.key);
            let made = self.purger.outgoing(&write, wall_ms, self.pipeline.room());
            for record in made.map_err(Stop::Halt)? {
                self.pipeline.stage(record, &mut self.counts).await?;
            }
            self.worker.status.borrow().journal.note(&write, wall_ms);
        }
        self.pipeline.flush(&mut self.counts).await?;
        self.drain().await?;
        self.show();
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), Stop> {
        let topic = &self.worker.definition.target_topic;
        self.pipeline.drain(self.worker.target.name(), topic).await
    }

    fn show(&mut self) {
        let latencies = self.pipeline.take_latencies();
        let writes_in_flight = self.pipeline.writes_in_flight();
        self.worker.status.send_modify(|status| {
            status.counts = self.counts.clone();
            status.writes_in_flight = writes_in_flight;
            status.latencies.merge(&latencies);
        });
    }

    /// Reads the target to the end that it has now.
    async fn read_on(&mut self) -> Result<(), Stop> {
        let Self { worker, pipeline, purger, topic: found, next, .. } = self;
        let (cluster, topic) = (&worker.target, &worker.definition.target_topic);
        let mut later = None;
        let read = async {
            let now = cluster.topic(topic).await?.ok_or_else(|| missing(cluster, topic))?;
            if !now.goes_on_from(found) {
                return Err(replaced(cluster.name(), topic));
            }
            if *next < now.end {
                let mut log = cluster.read(topic, 0, *next).await?;
                let read = read_to_end(&mut log, now.end, |record| {
                    // What stood there before may be a former link's of this name, whose leases count
                    // no more.
                    if record.offset >= found.end && purger.is_later(record) {
                        later = Some(record.offset);
                    }
                    purger.read(record);
                });
                *next = read.await?.max(*next);
            }
            purger.read_to(*next);
            Ok(())
        };
        tokio::select! {
            biased;
            stop = pipeline.lease_ends() => return Err(stop),
            read = read => read?,
        }
        match later {
            None => Ok(()),
            Some(offset) => {
                let link = &worker.definition.rules.name;
                tracing::info!(link = %link, offset, "a later writer of the link wrote to the target");
                Err(Stop::LeaseLost)
            }
        }
    }

    /// Nothing of the link is left: its scope is free for others.
    async fn give_back(&mut self) -> Result<(), Stop> {
        let definition = Arc::clone(&self.worker.definition);
        for claim in std::mem::take(&mut self.outgrown) {
            let partition = partition_of(&claim.scope);
            let target = &self.worker.target;
            let mut keeper = target.keep_in(&definition.state_topic, partition).await?;
            for record in [Checkpoint::withdrawal(&claim.scope), claim.withdrawal()] {
                keep(&mut keeper, record, &self.worker.clock).await?;
            }
        }
        self.keep(Checkpoint::withdrawal(&self.claim.scope)).await?;
        self.keep(FenceLeave::withdrawal(&self.claim.scope)).await?;
        self.keep(self.claim.withdrawal()).await
    }

    /// Keeps a record in our own topic, for as long as the lease is held.
    async fn keep(&mut self, record: Outgoing) -> Result<(), Stop> {
        tokio::select! {
            biased;
            stop = self.pipeline.lease_ends() => Err(stop),
            kept = keep(&mut self.keeper, record, &self.worker.clock) => kept,
        }
    }
}
