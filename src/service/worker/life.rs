//! One life of a link: from its preflight to the first thing that ends it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::GONE_AFTER;
use super::Goal;
use super::LOOK_FOR_GONE_EVERY;
use super::Worker;
use super::claim::unmade_claim;
use super::reconcile::Ahead;
use super::reconcile::OldEnd;
use super::wait_for;
use crate::core::link::History;
use crate::core::link::Identity;
use crate::core::link::Link;
use crate::core::link::SourceClaim;
use crate::core::record::Offset;
use crate::service::compare::recall_deletes;
use crate::service::definition::ContextNamedBy;
use crate::service::exported::Exports;
use crate::service::fetcher::Fetcher;
use crate::service::ground::Ground;
use crate::service::ground::read_to_end;
use crate::service::past::begin_anew;
use crate::service::past::history;
use crate::service::past::read_state;
use crate::service::past::refuse_rivals;
use crate::service::past::source_claims;
use crate::service::past::with_context;
use crate::service::pipeline::DRAIN_LIMIT;
use crate::service::pipeline::Pipeline;
use crate::service::pipeline::Stop;
use crate::service::ports::Appender;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::LeaseRequest;
use crate::service::ports::RecordLimit;
use crate::service::preflight::examine;
use crate::service::round::Coming;
use crate::service::round::SLOW_LINK_WAIT;
use crate::service::sight::Looking;
use crate::service::state::Checkpoint;
use crate::service::state::Claim;
use crate::service::state::State;
use crate::service::state::append_acked;
use crate::service::state::group_of;
use crate::service::state::partition_of;
use crate::service::state::scope_name;
use crate::service::status::Counts;
use crate::service::status::Phase;
use crate::service::stream::Stream;
use crate::service::values::Values;

/// A one-shot run waits so long to become the writer: a session time-out (6 s), the group's first
/// rebalance (3 s by default), and some room.
const WRITER_LIMIT: Duration = Duration::from_secs(20);

/// A member that was killed, or that has a name of its own to come back under, stays listed in the
/// group until its session ends (6 s). One that is listed for longer lives.
pub(super) const LISTED_LIMIT: Duration = Duration::from_secs(8);
/// Between two looks at the list.
pub(super) const LISTED_PAUSE: Duration = Duration::from_millis(500);

/// What was read before the lease began counts when it is no older than this: far less than any
/// `delete.retention.ms`, so that no tombstone is missed.
const EARLY_VALID: Duration = Duration::from_secs(60);
/// Who waits for the lease longer than a group takes to form stands by.
const STANDS_BY_AFTER: Duration = Duration::from_secs(10);

/// Nothing may come for so long from a target that is read together, then it is read alone. A round
/// that stands still for a slow link goes on before that: else all would leave it for the one.
pub(super) const TOGETHER_PATIENCE: Duration = Duration::from_secs(12);
const _: () = assert!(TOGETHER_PATIENCE.as_secs() > 2 * SLOW_LINK_WAIT.as_secs());

/// The target as it was read while the group formed.
struct Early<C: Cluster> {
    link: Link,
    /// The target as it is read together with other links.
    target: Option<Stream<C>>,
    claims: Vec<SourceClaim>,
    history: History,
    target_next: Offset,
}

/// What a link has once the lease is its own.
struct Joined<C: Cluster> {
    lease: C::Lease,
    appender: C::Appender,
    live_appender: Option<C::Appender>,
    keeper: C::Appender,
    early: Early<C>,
    /// Its source, maybe fetched ahead.
    source: Stream<C>,
    coming: Coming,
}

/// A link that became the writer of its scope.
#[derive(Debug)]
pub(super) struct Life<C: Cluster, K: Clock> {
    pub(super) worker: Worker<C, K>,
    pub(super) ground: Ground,
    pub(super) link: Looking,
    pub(super) pipeline: Pipeline<C::Appender, C::Lease, K>,
    pub(super) source: Stream<C>,
    /// The target as it is read together with other links.
    pub(super) target: Option<Stream<C>>,
    pub(super) fetcher: Fetcher<C>,
    /// Its way to a reading of values together with other links, until it knows what it lacks.
    pub(super) coming_to_values: Option<Coming>,
    /// What it is given so of the values that it puts.
    pub(super) values: Values,
    /// What the pipeline writes with once both logs are followed; a backfill never does.
    pub(super) live_appender: Option<C::Appender>,
    /// What became of an end of the source that was seen too early.
    pub(super) old_end: OldEnd,
    /// Where the claim and the checkpoint are kept.
    pub(super) keeper: C::Appender,
    pub(super) claim: Claim,
    /// The source where it had to be read before the scope could be claimed: up to where, and what
    /// was read ahead of that.
    pub(super) folded: Option<(Offset, Ahead)>,
    pub(super) checkpoint: Option<Checkpoint>,
    /// Our own topic as it was read when the lease had begun, until the scope is claimed.
    pub(super) state: State,
    /// It holds leave to set fences again.
    pub(super) has_fence_leave: bool,
    /// The target was brought up.
    pub(super) is_brought_up: bool,
    pub(super) counts: Counts,
    pub(super) exports: Exports,
    /// The target's log was read to here.
    pub(super) target_next: Offset,
    /// The target takes no larger record.
    pub(super) record_limit: RecordLimit,
    /// The time in ms since 1970 when this was last looked at.
    pub(super) wall_ms: i64,
}

impl<C: Cluster, K: Clock> Worker<C, K> {
    /// Lives until something ends it. `Ok` means that a backfill is complete.
    pub(super) async fn life(&mut self, shutdown: watch::Receiver<bool>) -> Result<(), Stop> {
        let mut signal = shutdown.clone();
        let begun = tokio::select! {
            biased;
            begun = self.begin() => begun?,
            () = wait_for(&mut signal) => return Err(Stop::Shutdown),
        };
        begun.live(shutdown).await
    }

    async fn begin(&mut self) -> Result<Box<Life<C, K>>, Stop> {
        let coming = (self.reading.come(), self.target_reading.come());
        let (ground, state) = self.preflight().await?;
        self.enter(Phase::Standby);
        let waited = self.clock.monotonic();
        let definition = Arc::clone(&self.definition);
        let Joined { lease, appender, live_appender, keeper, early, source, coming } =
            self.join(&ground, &state, coming).await?;
        let joined_after = self.clock.monotonic().saturating_sub(waited);
        self.status.send_modify(|status| status.joined_after = joined_after);
        // Whoever wrote before may have written until its lease ended, and followed the source for
        // as long as we stood by: both ends are asked for now.
        let before = ground;
        let (ground, state) = tokio::try_join!(
            async { Ok(Ground::survey(&self.source, &self.target, &definition).await?) },
            read_state(&self.target, &definition.state_topic),
        )?;
        refuse_rivals(&state, &definition, &ground.source.cluster_id, &self.target)?;
        let checkpoint = state.checkpoints.get(&scope_name(&definition.rules.scope())).cloned();
        let clusters = (&self.source, &self.target);
        let ground = ground.no_older_than(checkpoint.as_ref(), clusters, &definition).await?;

        let mut past =
            history(&state, &definition.rules, &ground.source.cluster_id, early.claims.clone());
        // A target that grew meanwhile is no reason to read it again, unless that is adopted too.
        let adopts_all = definition.adopt.then(|| ground.target_end());
        begin_anew(&mut past, &definition, adopts_all.unwrap_or(early.history.began_at));
        // What was read long ago may hold keys whose tombstones are compacted away by now, and a
        // topic that was created again meanwhile says something else.
        let is_fresh = joined_after < EARLY_VALID && ground.has_topics_of(&before);
        let early = if is_fresh && early.history == past {
            early
        } else {
            self.read_early(&ground, &state, self.target_reading.come()).await?
        };
        let Early { mut link, mut target, target_next, .. } = early;
        link.permit(definition.permissions(self.once(), &state, self.clock.wall_ms()));
        self.enter(Phase::ReadingTarget);
        let to = target_next..ground.target_end();
        let target_next = self.read_target(&mut link, &mut target, to).await?;
        let source = self.together(&link, coming, is_fresh.then_some(source)).await;
        let (now, wall_ms) = (self.clock.monotonic(), self.clock.wall_ms());
        recall_deletes(&mut link, checkpoint.as_ref(), now, wall_ms);
        self.show_begun(&ground, checkpoint.as_ref());
        let record_limit = appender.record_limit();
        let has_leave = state.fence_leaves.contains_key(&scope_name(&definition.rules.scope()));
        Ok(Box::new(Life {
            fetcher: Fetcher::new(self.source.clone(), &definition.source_topic),
            coming_to_values: None,
            values: Values::default(),
            pipeline: Pipeline::new(appender, lease, self.clock.clone(), self.rate.clone()),
            source,
            target,
            live_appender,
            old_end: OldEnd::Unseen,
            keeper,
            claim: unmade_claim(&definition, &ground, &past),
            folded: None,
            checkpoint,
            has_fence_leave: has_leave,
            state,
            is_brought_up: false,
            counts: self.status.borrow().counts.written_only(),
            exports: Exports::default(),
            target_next,
            record_limit,
            wall_ms: self.clock.wall_ms(),
            worker: self.clone(),
            ground,
            link: Looking::alone(link),
        }))
    }

    /// Waits for the lease. The group takes seconds to form and a producer up to one to get its id: the
    /// target is read meanwhile, and the source fetched ahead.
    async fn join(
        &self,
        ground: &Ground,
        state: &State,
        (coming, coming_to_target): (Coming, Coming),
    ) -> Result<Joined<C>, Stop> {
        let (joins, joined) = watch::channel(false);
        let definition = &self.definition;
        let partition = partition_of(&definition.rules.scope());
        let mut source = Stream::alone(self.source.clone(), &definition.source_topic);
        if self.reading.is_alone() {
            source.fetch_ahead();
        }
        let (lease, appender, live_appender, keeper, early, coming) = tokio::try_join!(
            async {
                let lease = self.become_writer(partition).await?;
                joins.send_replace(true);
                Ok(lease)
            },
            async { Ok(self.target.append_in_batches(&definition.target_topic, 0).await?) },
            self.open_live_appender(),
            async { Ok(self.target.keep_in(&definition.state_topic, partition).await?) },
            self.read_early_while(joined.clone(), (ground, state), coming_to_target),
            async { Ok(self.unless_late(joined, STANDS_BY_AFTER, coming).await) },
        )?;
        let coming = coming.unwrap_or_else(|| self.reading.come());
        Ok(Joined { lease, appender, live_appender, keeper, early, source, coming })
    }

    /// Shows how far behind the link begins, by its checkpoint where that counts.
    fn show_begun(&self, ground: &Ground, checkpoint: Option<&Checkpoint>) {
        let end = ground.source_topic.end;
        let counts = ground.suspicions(checkpoint).is_empty();
        let done = checkpoint.filter(|_| counts).map_or(0, |checkpoint| checkpoint.next);
        let now = self.clock.monotonic();
        self.status.send_modify(|status| {
            status.lives = status.lives.saturating_add(1);
            if !counts || end < status.source_end {
                status.lag.begin_anew();
                status.done_before = 0;
            }
            status.saw_end(end, now);
            status.lag.done(done);
            status.exported = checkpoint.filter(|_| counts).and_then(|kept| kept.exported);
        });
    }

    /// Looks whether the link may begin; what it finds, our own topic among it.
    async fn preflight(&mut self) -> Result<(Ground, State), Stop> {
        // A link that waits goes on waiting, for whoever watches, until a look finds all in order.
        if !matches!(self.status.borrow().phase, Phase::Waiting(_)) {
            self.enter(Phase::Preflight);
        }
        let begun = self.clock.monotonic();
        let report = loop {
            let wall_ms = self.clock.wall_ms();
            let report = examine(&self.source, &self.target, &self.definition, wall_ms).await;
            let now = self.clock.monotonic();
            if let Some(end) = report.source_end() {
                self.status.send_modify(|status| status.lag.saw(end, now));
            }
            let looked_for = now.saturating_sub(begun);
            if !report.lacks_a_topic() || looked_for >= GONE_AFTER {
                break report;
            }
            self.clock.sleep(LOOK_FOR_GONE_EVERY).await;
        };
        let mut ground = report.admit(&self.definition.rules.name)?;
        ground.prepare(&self.target, &self.definition).await?;
        let state = read_state(&self.target, &self.definition.state_topic).await?;
        let source_cluster = &ground.source.cluster_id;
        if self.definition.context == ContextNamedBy::SourceCluster {
            let settled = with_context(&self.definition, source_cluster, &state)?;
            self.definition = Arc::new(settled);
        }
        let definition = Arc::clone(&self.definition);
        self.status.send_modify(|status| status.definition = Some(definition));
        // Before the group of the scope is joined: a process that runs the rival too is in it under the
        // same instance id, and would lose its lease to us.
        refuse_rivals(&state, &self.definition, source_cluster, &self.target)?;
        Ok((ground, state))
    }

    /// The source as it is read together with other links; where no other is on its way, as it is
    /// fetched already.
    async fn together(&self, link: &Link, coming: Coming, fetched: Option<Stream<C>>) -> Stream<C> {
        let topic = &self.definition.source_topic;
        match fetched.filter(Stream::is_fetching) {
            Some(fetched) if self.reading.is_alone() => fetched,
            _ => self.reading.join(self.source.clone(), topic, link.lens(), coming).await,
        }
    }

    async fn open_live_appender(&self) -> Result<Option<C::Appender>, Stop> {
        match self.goal {
            Goal::Backfill | Goal::Purge => Ok(None),
            Goal::Follow => {
                Ok(Some(self.target.append_to(&self.definition.target_topic, 0).await?))
            }
        }
    }

    /// What is kept until the group is joined, or dropped after so long: who stands by is not waited
    /// for, and nothing is put by for it.
    async fn unless_late<T>(
        &self,
        mut joined: watch::Receiver<bool>,
        after: Duration,
        kept: T,
    ) -> Option<T> {
        tokio::select! {
            biased;
            () = wait_for(&mut joined) => Some(kept),
            () = self.clock.sleep(after) => None,
        }
    }

    /// The same reading, whose place among other links is given up where it is too old to count.
    async fn read_early_while(
        &self,
        joined: watch::Receiver<bool>,
        (ground, state): (&Ground, &State),
        coming: Coming,
    ) -> Result<Early<C>, Stop> {
        let mut early = self.read_early(ground, state, coming).await?;
        let place = early.target.take();
        early.target = self.unless_late(joined, EARLY_VALID, place).await.flatten();
        Ok(early)
    }

    /// Reads the target as it is before the lease is ours.
    async fn read_early(
        &self,
        ground: &Ground,
        state: &State,
        coming: Coming,
    ) -> Result<Early<C>, Stop> {
        let definition = &self.definition;
        let claims = source_claims(&self.source, definition).await?;
        let mut past = history(state, &definition.rules, &ground.source.cluster_id, claims.clone());
        begin_anew(&mut past, definition, ground.target_end());
        let identity = Identity {
            writer: definition.instance.clone(),
            epoch: 0,
            source_cluster: ground.source.cluster_id.clone(),
            target_cluster: ground.target.cluster_id.clone(),
        };
        let permissions = definition.permissions(self.once(), state, self.clock.wall_ms());
        let mut link = Link::new(definition.rules.clone(), identity, past.clone(), permissions);
        let topic = &definition.target_topic;
        let feed = self.target_reading.join(&definition.rules, coming).await;
        let mut target = feed.map(|feed| Stream::in_feed(self.target.clone(), topic, feed));
        let target_next = self.read_target(&mut link, &mut target, 0..ground.target_end()).await?;
        // What others write while it waits for the lease must not make them wait for it.
        target.iter().for_each(Stream::stops_reading);
        Ok(Early { link, target, claims, history: past, target_next })
    }

    /// Reads the target on to an end that was asked for, together with other links while that goes
    /// on.
    async fn read_target(
        &self,
        link: &mut Link,
        together: &mut Option<Stream<C>>,
        Range { start: mut from, end }: Range<Offset>,
    ) -> Result<Offset, Stop> {
        if from >= end {
            return Ok(from);
        }
        if let Some(stream) = together {
            from = self.read_together(link, stream, end).await?.max(from);
            if from >= end {
                return Ok(from);
            }
            *together = None;
        }
        let mut log = self.target.read(&self.definition.target_topic, 0, from).await?;
        let mut changed = Vec::new();
        let next = read_to_end(&mut log, end, |record| {
            link.read_target(record, &mut changed);
            changed.clear();
        })
        .await?;
        Ok(next.max(from))
    }

    /// How far the target was read so: an end that was asked for later than the reader was opened may
    /// take its time to come, and has not to come at all.
    async fn read_together(
        &self,
        link: &mut Link,
        stream: &mut Stream<C>,
        end: Offset,
    ) -> Result<Offset, Stop> {
        let mut changed = Vec::new();
        while stream.read_to() < end {
            let run = tokio::select! {
                biased;
                run = stream.next() => run?,
                () = self.clock.sleep(TOGETHER_PATIENCE) => break,
            };
            for record in &run.batch.records {
                link.read_target(record, &mut changed);
                changed.clear();
            }
            link.target_read_to(run.batch.next);
        }
        Ok(stream.read_to())
    }

    async fn become_writer(&self, partition: i32) -> Result<C::Lease, Stop> {
        let definition = &self.definition;
        let group = group_of(&definition.state_topic, &definition.rules.scope());
        let instance = (self.goal == Goal::Follow).then(|| definition.instance.clone());
        if self.goal == Goal::Backfill {
            self.refuse_beside_a_writer(&group).await?;
        }
        let request =
            LeaseRequest { group, topic: definition.state_topic.clone(), partition, instance };
        let mut lease = self.target.lease(&request).await?;
        let limit = (self.goal == Goal::Backfill).then_some(WRITER_LIMIT);
        match Pipeline::<C::Appender, C::Lease, K>::become_writer(&mut lease, &self.clock, limit)
            .await
        {
            Ok(()) => Ok(lease),
            Err(Stop::LeaseLost) => Err(self.beside_a_writer("another instance").into()),
            Err(stop) => Err(stop),
        }
    }

    /// A backfill beside a living writer would take the lease from it for a moment. Who ended
    /// without leaving the group is waited for.
    async fn refuse_beside_a_writer(&self, group: &str) -> Result<(), Stop> {
        let deadline = self.clock.monotonic().saturating_add(LISTED_LIMIT);
        loop {
            let members = match self.target.members(group).await {
                Ok(members) => members,
                // Where the cluster does not tell, joining the group does.
                Err(fault) if fault.class == FaultClass::Unsupported => return Ok(()),
                Err(fault) => return Err(fault.into()),
            };
            let Some(writer) = members.first() else { return Ok(()) };
            if self.clock.monotonic() >= deadline {
                return Err(self.beside_a_writer(writer).into());
            }
            self.clock.sleep(LISTED_PAUSE).await;
        }
    }

    fn beside_a_writer(&self, writer: &str) -> Fault {
        Fault {
            operation: "become the writer of",
            object: format!("scope {}", self.definition.rules.scope()),
            cluster: self.target.name().to_owned(),
            cause: format!("it has a living writer: {writer}"),
            class: FaultClass::NotPermitted,
        }
    }
}

/// Appends to our own topic and waits for the acknowledgement.
pub(super) async fn keep<A: Appender, K: Clock>(
    keeper: &mut A,
    record: crate::core::record::Outgoing,
    clock: &K,
) -> Result<(), Stop> {
    let acked = append_acked(keeper, &record, clock, DRAIN_LIMIT).await?;
    if acked { Ok(()) } else { Err(Stop::LeaseLost) }
}
