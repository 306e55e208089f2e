//! Following both logs, and the ways out.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::GONE_AFTER;
use super::Goal;
use super::LOOK_FOR_GONE_EVERY;
use super::Worker;
use super::life::Life;
use super::reconcile::Ahead;
use super::reconcile::Deletes;
use super::wait_for;
use super::writing::first_of_each;
use crate::core::link::Author;
use crate::core::link::Pace;
use crate::core::link::Told;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::service::acknowledgements::Ask;
use crate::service::ground::missing;
use crate::service::ground::missing_source;
use crate::service::ground::replaced;
use crate::service::pipeline::Stop;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Progress;
use crate::service::ports::TopicFacts;
use crate::service::round::Run;
use crate::service::status::Phase;
use crate::service::stream::Stream;

/// A checkpoint that moved is kept this often.
pub(super) const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// Topics are asked this often whether they are still the ones that were read.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A link that is told to end finishes what is at hand within this long.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
/// How long a link that is told to end waits for what is on its way. Shorter than the 30 s after
/// which supervisors kill.
pub(super) const DRAIN_ON_SHUTDOWN: Duration = Duration::from_secs(20);

/// What happened while both logs were followed. Everything that can is in this list.
enum Event {
    Source(Result<Run, Fault>),
    Target(Result<Run, Fault>),
    Writes(Result<Progress, Stop>),
    Asked(Ask),
    Looked(Box<Looked>),
    Tick,
    Shutdown,
}

/// What the tail remembers between events.
struct Tail {
    next: Offset,
    end: Offset,
    /// When reading the source began to fail.
    away_since: Option<Duration>,
    /// Since when the source is said to be gone. Nothing is read meanwhile: what comes back under
    /// its name may be another topic.
    gone_since: Option<Duration>,
    checkpoint_at: Duration,
    looked_at: Duration,
    /// How far the source was read when it was asked for last.
    looked_next: Offset,
    look: Option<JoinHandle<Looked>>,
}

/// What the source's and the target's cluster say of their topics.
type Looked = (Result<Option<TopicFacts>, Fault>, Result<Option<TopicFacts>, Fault>);

/// Waits for the answer to what was asked; for ever where nothing was.
async fn looked(look: &mut Option<JoinHandle<Looked>>) -> Looked {
    loop {
        let Some(asked) = look else { return std::future::pending().await };
        let answer = asked.await;
        *look = None;
        // The task is never aborted, and what it calls does not panic.
        if let Ok(answer) = answer {
            return answer;
        }
    }
}

impl<C: Cluster, K: Clock> Life<C, K> {
    /// Brings the target up, then follows; a backfill ends where the source's end stood still.
    pub(super) async fn live(mut self, shutdown: watch::Receiver<bool>) -> Result<(), Stop> {
        let mut signal = shutdown.clone();
        let end = self.ground.source_topic.end;
        let (next, ahead) = tokio::select! {
            biased;
            brought = self.bring_up(end) => brought?,
            () = wait_for(&mut signal) => return self.leave().await,
        };
        self.link.at().brought_up();
        self.is_brought_up = true;
        self.say_dialects();
        if self.worker.goal == Goal::Backfill {
            return self.finish(next, end).await;
        }
        // What is at hand is finished first; a target that is away can hold that up.
        let clock = self.worker.clock.clone();
        let outcome = tokio::select! {
            biased;
            outcome = self.follow(next, ahead, shutdown) => outcome,
            () = async {
                wait_for(&mut signal).await;
                clock.sleep(FINISH_WITHIN).await;
            } => Err(Stop::Shutdown),
        };
        match outcome {
            Err(Stop::Shutdown) => self.leave().await,
            other => other,
        }
    }

    async fn bring_up(&mut self, end: Offset) -> Result<(Offset, Ahead), Stop> {
        self.claim_scope(end).await?;
        // A link that was here before emptied its scope itself: one pass would write all that was
        // ever deleted again, at every start.
        let is_first = self.checkpoint.is_none();
        let is_unread = self.folded.is_none();
        if is_first && is_unread && self.link.at().scope_is_empty() && self.link.at().can_stream() {
            return self.catch_up(end).await;
        }
        let (next, ahead) = match self.folded.take() {
            Some(folded) => folded,
            None => self.fold(end).await?,
        };
        let release = self.ground.release(&self.worker.definition, self.checkpoint.as_ref());
        let until = release.map(|braked| braked.offset);
        let deletes = match release {
            _ if self.worker.once().allow_deletes => Deletes::Allowed,
            Some(braked) => Deletes::Released(braked.deleted),
            None => Deletes::Braked,
        };
        self.reconcile(next, deletes).await?;
        if until.is_some() {
            self.drain().await?;
            self.keep_checkpoint(until).await?;
        }
        Ok((next, ahead))
    }

    pub(super) async fn drain(&mut self) -> Result<(), Stop> {
        let topic = self.worker.definition.target_topic.clone();
        self.pipeline.drain(self.worker.target.name(), &topic).await
    }

    pub(super) async fn take_others(&mut self, batch: &Batch) -> Result<(), Stop> {
        for record in &batch.records {
            let author = self.link.at().author_of(record);
            match author {
                Author::This => self.link.at().echoed(record),
                // A process that was stopped reads on before it sees that its time is over.
                Author::Later => {
                    tracing::info!(
                        link = %self.worker.definition.rules.name, offset = record.offset,
                        "a later writer of the link wrote to the target; standing by"
                    );
                    return Err(Stop::LeaseLost);
                }
                author @ (Author::Earlier | Author::Other) => {
                    self.take_target(record, author).await?;
                }
            }
        }
        // What this instance wrote need not come back to it, see `Stream::leave_out`.
        self.link.at().target_read_to(batch.next);
        Ok(())
    }

    async fn follow(
        &mut self,
        next: Offset,
        ahead: Ahead,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<(), Stop> {
        let mut target_log = self.turn_to_target().await?;
        let now = self.worker.clock.monotonic();
        let mut tail = Tail {
            next,
            end: next,
            away_since: None,
            gone_since: None,
            checkpoint_at: now,
            looked_at: now,
            looked_next: next,
            look: None,
        };
        self.take_ahead(&ahead, &mut tail).await?;
        self.tell_of_import();
        self.worker.enter(Phase::Running);
        let mut progress = self.pipeline.progress();
        loop {
            let clock = self.worker.clock.clone();
            // What comes back from the target is looked at before more is sent there: a busy source
            // can't hide drift.
            let event = tokio::select! {
               biased;
                () = wait_for(&mut shutdown) => Event::Shutdown,
                run = target_log.next() => Event::Target(run),
                news = self.pipeline.news(&progress) => Event::Writes(news),
                ask = self.worker.asked.next() => Event::Asked(ask),
                run = self.source.next(), if tail.gone_since.is_none() => Event::Source(run),
                looked = looked(&mut tail.look) => Event::Looked(Box::new(looked)),
                () = clock.sleep(CHECKPOINT_EVERY) => Event::Tick,
            };
            match event {
                Event::Shutdown => return Err(Stop::Shutdown),
                Event::Source(Ok(run)) => self.take_run(&run, &mut tail).await?,
                Event::Source(Err(fault)) if self.source.has_left() => {
                    return Err(Stop::Fault(fault));
                }
                Event::Source(Err(fault)) => self.source_fault(fault, &mut tail)?,
                Event::Target(Ok(run)) => self.take_others(&run.batch).await?,
                Event::Target(Err(fault)) => self.target_fault(fault)?,
                Event::Writes(news) => {
                    progress = news?;
                    self.show_done();
                }
                Event::Asked(ask) => self.take_ask(ask, (tail.next, tail.end)).await?,
                Event::Looked(looked) => {
                    let (source, target) = *looked;
                    self.check_source(source, &mut tail)?;
                    self.check_target(target)?;
                }
                Event::Tick => {}
            }
            self.every_so_often(&mut tail).await?;
        }
    }

    /// Keeps what was brought up, and gives the target's log from there on.
    async fn turn_to_target(&mut self) -> Result<Stream<C>, Stop> {
        self.drain().await?;
        self.use_up_leave().await?;
        self.keep_checkpoint(None).await?;
        self.keep_claim().await?;
        let from = self.look_at_others().await?;
        let target_log = self.target_from(from).await?;
        self.write_at_once().await?;
        Ok(target_log)
    }

    /// Writes with the other appender, whose records must not overtake any of the first.
    async fn write_at_once(&mut self) -> Result<(), Stop> {
        self.drain().await?;
        if let Some(live) = self.live_appender.take() {
            self.pipeline.go_on_with(live);
        }
        Ok(())
    }

    fn tell_of_import(&mut self) {
        for context in self.link.at().fenced_with_import() {
            tracing::info!(
                link = %self.worker.definition.rules.name, context = %context,
                "fenced with IMPORT: registrations without an id are refused, deletions and changes of settings are not"
            );
        }
    }

    /// Takes what was read ahead of where the target was brought up to.
    async fn take_ahead(&mut self, ahead: &Ahead, tail: &mut Tail) -> Result<(), Stop> {
        for (record, told) in ahead {
            self.take_source(record, told.as_ref()).await?;
        }
        tail.next = tail.next.max(self.source.read_to());
        tail.end = tail.end.max(tail.next);
        self.pipeline.mark(tail.next);
        self.show(tail.next, tail.end);
        Ok(())
    }

    async fn take_run(&mut self, run: &Run, tail: &mut Tail) -> Result<(), Stop> {
        self.is_back(tail)?;
        let next = run.batch.next;
        // A record in it may halt the link: what lies behind that one is known to be missing.
        self.show_end(next.max(tail.end));
        for (record, told) in run.records().filter(|(record, _)| record.offset >= tail.next) {
            self.take_source(record, told).await?;
        }
        tail.next = tail.next.max(next);
        tail.end = tail.end.max(tail.next);
        self.pipeline.mark(tail.next);
        self.show(tail.next, tail.end);
        Ok(())
    }

    async fn take_source(&mut self, record: &Record, told: Option<&Told>) -> Result<(), Stop> {
        let pace = Pace::Live(self.worker.clock.monotonic());
        match self.step(record, told, pace) {
            Ok(step) => {
                self.count(record, step.outcome);
                self.write(step.writes, Some(record)).await
            }
            Err(halt) => Err(self.halt(halt).await),
        }
    }

    async fn take_target(&mut self, record: &Record, author: Author) -> Result<(), Stop> {
        let writes =
            self.link.at().follow_target(record).map_err(|halt| self.worker.halted(&halt))?;
        let link = &self.worker.definition.rules.name;
        // A key may take several writes to restore: one that frees its id comes first.
        let restored = first_of_each(&writes, |write| &write.key);
        if author == Author::Other {
            let keys = u64::try_from(restored.len()).unwrap_or(u64::MAX);
            self.worker.status.send_modify(|status| {
                status.repairs = status.repairs.saturating_add(keys);
            });
        }
        for write in restored {
            let (key, offset, reason) = (&write.key, record.offset, write.reason);
            if author == Author::Earlier {
                tracing::info!(
                    link = %link, key = %key, offset, reason,
                    "late: an earlier writer's record arrived; putting it right"
                );
            } else {
                tracing::warn!(
                    link = %link, key = %key, offset, reason,
                    "drift: someone else wrote into the scope; restoring"
                );
            }
        }
        self.write(writes, None).await
    }

    /// The source answers again.
    fn is_back(&self, tail: &mut Tail) -> Result<(), Stop> {
        if let Some(since) = tail.away_since.take() {
            self.after_absence(since)?;
            self.worker.enter(Phase::Running);
        }
        Ok(())
    }

    /// A source that was away for long may have lost tombstones meanwhile: everything is compared
    /// again (rulings 11).
    fn after_absence(&self, since: Duration) -> Result<(), Stop> {
        let settings = self.ground.source_topic.settings.as_ref().ok();
        let retention_ms = settings.and_then(|settings| settings.delete_retention_ms);
        let retention_ms = retention_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(86_400_000);
        let away = self.worker.clock.monotonic().saturating_sub(since);
        if away < Duration::from_millis(retention_ms / 2) {
            return Ok(());
        }
        Err(Stop::Fault(Fault {
            operation: "follow",
            object: format!("topic {}", self.worker.definition.source_topic),
            cluster: self.worker.source.name().to_owned(),
            cause: "it was away for half its delete.retention.ms; comparing everything again"
                .to_owned(),
            class: FaultClass::Transient,
        }))
    }

    fn source_fault(&self, fault: Fault, tail: &mut Tail) -> Result<(), Stop> {
        let now = self.worker.clock.monotonic();
        let is_passing = match fault.class {
            FaultClass::Transient => true,
            FaultClass::Missing => {
                now.saturating_sub(*tail.gone_since.get_or_insert(now)) < GONE_AFTER
            }
            FaultClass::NotPermitted
            | FaultClass::TooLarge
            | FaultClass::OutOfRange
            | FaultClass::Unsupported
            | FaultClass::Permanent => false,
        };
        if !is_passing {
            return Err(Stop::Fault(fault));
        }
        tail.away_since.get_or_insert(now);
        self.worker.enter(Phase::Waiting(fault.to_string()));
        Ok(())
    }

    fn target_fault(&self, fault: Fault) -> Result<(), Stop> {
        if fault.class == FaultClass::Transient {
            tracing::warn!(link = %self.worker.definition.rules.name, reason = %fault, "target away");
            return Ok(());
        }
        Err(Stop::Fault(fault))
    }

    async fn every_so_often(&mut self, tail: &mut Tail) -> Result<(), Stop> {
        let now = self.worker.clock.monotonic();
        if now.saturating_sub(tail.checkpoint_at) >= CHECKPOINT_EVERY {
            tail.checkpoint_at = now;
            self.keep_checkpoint(None).await?;
        }
        let pause = if tail.gone_since.is_some() { LOOK_FOR_GONE_EVERY } else { LOOK_EVERY };
        if tail.look.is_none() && now.saturating_sub(tail.looked_at) >= pause {
            tail.looked_at = now;
            tail.looked_next = tail.next;
            tail.look = Some(self.look());
        }
        Ok(())
    }

    /// Asks for both topics; a cluster that is away takes its time to say so, and nothing waits for
    /// it.
    fn look(&self) -> JoinHandle<Looked> {
        let Worker { source, target, definition, .. } = &self.worker;
        let (source, target) = (source.clone(), target.clone());
        let definition = std::sync::Arc::clone(definition);
        tokio::spawn(async move {
            tokio::join!(
                source.topic(&definition.source_topic),
                target.topic(&definition.target_topic)
            )
        })
    }

    /// The source has to be the topic that was read: one that was deleted and created again would
    /// go on under the same name.
    fn check_source(
        &mut self,
        looked: Result<Option<TopicFacts>, Fault>,
        tail: &mut Tail,
    ) -> Result<(), Stop> {
        let topic = &self.worker.definition.source_topic;
        let facts = match looked {
            Ok(Some(facts)) => facts,
            Ok(None) => {
                return self.source_fault(missing_source(&self.worker.source, topic), tail);
            }
            // The reader has read since this was asked: the outage it speaks of is over.
            Err(fault) if fault.class == FaultClass::Transient && tail.next > tail.looked_next => {
                return Ok(());
            }
            Err(fault) => return self.source_fault(fault, tail),
        };
        let other_id = facts.topic_id != self.ground.source_topic.topic_id;
        // What was read meanwhile may lie behind what the answer speaks of, by a little.
        if other_id || facts.end < tail.looked_next {
            return Err(replaced(self.worker.source.name(), topic));
        }
        if tail.gone_since.take().is_some() {
            self.source.read_anew();
        }
        tail.end = facts.end.max(tail.next);
        self.show(tail.next, tail.end);
        // A reader that is back says nothing while there is nothing to read.
        if facts.end <= tail.next {
            self.is_back(tail)?;
        }
        Ok(())
    }

    fn check_target(&self, looked: Result<Option<TopicFacts>, Fault>) -> Result<(), Stop> {
        let topic = &self.worker.definition.target_topic;
        match looked {
            Ok(Some(facts)) => {
                let known = self.ground.target_topic.as_ref();
                if known.is_some_and(|known| known.topic_id != facts.topic_id) {
                    return Err(replaced(self.worker.target.name(), topic));
                }
                Ok(())
            }
            Ok(None) => Err(missing(&self.worker.target, topic).into()),
            Err(fault) => self.target_fault(fault),
        }
    }

    /// Told to end: what is on its way is waited for, and the checkpoint kept.
    async fn leave(&mut self) -> Result<(), Stop> {
        let clock = self.worker.clock.clone();
        let drained = tokio::select! {
            biased;
            drained = self.drain() => drained.is_ok(),
            () = clock.sleep(DRAIN_ON_SHUTDOWN) => false,
        };
        if drained {
            if self.is_brought_up {
                self.use_up_leave().await?;
            }
            self.keep_checkpoint(None).await?;
        } else {
            tracing::warn!(
                link = %self.worker.definition.rules.name,
                limit_s = DRAIN_ON_SHUTDOWN.as_secs(),
                "not everything was acknowledged in time; the next start compares everything"
            );
        }
        self.pipeline.release();
        Err(Stop::Shutdown)
    }
}
