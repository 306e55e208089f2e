//! Two passes: the whole source first, then what the target lacks, in order.

use super::life::Life;
use crate::core::key::Key;
use crate::core::link::Outcome;
use crate::core::link::Pace;
use crate::core::link::Told;
use crate::core::link::plan::Plan;
use crate::core::link::plan::Planned;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::service::ground::missing_source;
use crate::service::ground::replaced;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::round::Run;
use crate::service::status::Phase;
use crate::service::values::Values;

/// Whether the brake holds deletes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletes {
    /// It does.
    Braked,
    /// The operator released so many deleted subjects: those that the brake had named.
    Released(usize),
    /// The operator released whatever there is.
    Allowed,
}

/// Records of the source that were read ahead of where the comparison stops.
pub(super) type Ahead = Vec<(Record, Option<Told>)>;

/// What became of an end that lies before the one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OldEnd {
    /// None was met.
    Unseen,
    /// The reader saw one; more is to come.
    Seen,
    /// A new reader was opened because of it.
    AskedAnew,
}

/// The source's end is asked for at most so often while it is read: one that takes records faster
/// than a round trip never stands still.
const ENDS_ASKED_MAX: usize = 10;

impl<C: Cluster, K: Clock> Life<C, K> {
    /// Reads the source to its end without deciding anything; `end` is where it was last seen.
    /// Records behind where the reading stops are given back.
    pub(super) async fn fold(&mut self, mut end: Offset) -> Result<(Offset, Ahead), Stop> {
        self.worker.enter(Phase::ReadingSource);
        self.coming_to_values = Some(self.worker.reading.values().come());
        self.begin_reading().await?;
        let mut ahead = Vec::new();
        let mut next = 0;
        let mut asked = 0;
        loop {
            next = self.fold_to(next, end, &mut ahead).await?;
            if !self.grew(&mut end, &mut asked).await? {
                return Ok((next, ahead));
            }
        }
    }

    /// Waits for those that the source is read together with.
    pub(super) async fn begin_reading(&mut self) -> Result<(), Stop> {
        let sight = tokio::select! {
            biased;
            sight = self.source.begin() => sight,
            stop = self.pipeline.lease_ends() => return Err(stop),
        };
        if let Some(sight) = sight {
            self.link.share(sight);
        }
        Ok(())
    }

    /// Whether the source has to be read on, to a new `end`: a key was written again behind the old
    /// one, and compaction may have taken its older record before that was read. Without the newer
    /// one it would pass for deleted.
    pub(super) async fn grew(&mut self, end: &mut Offset, asked: &mut usize) -> Result<bool, Stop> {
        if *asked == ENDS_ASKED_MAX {
            // Ten compactions would have to have followed each other: nothing to tell anyone.
            tracing::debug!(
                link = %self.worker.definition.rules.name, end,
                "the source grows faster than its end can be asked for; taken as it was last read"
            );
            return Ok(false);
        }
        *asked = asked.saturating_add(1);
        let now = self.source_end().await?;
        let grew = now > *end;
        *end = now.max(*end);
        Ok(grew)
    }

    /// Where reading up to `end` goes on; what a reader saw of an older end counts no more.
    pub(super) fn read_from(&mut self, from: Offset, end: Offset) -> Offset {
        self.old_end = OldEnd::Unseen;
        from.max(self.source.read_to().min(end))
    }

    async fn fold_to(
        &mut self,
        from: Offset,
        end: Offset,
        ahead: &mut Ahead,
    ) -> Result<Offset, Stop> {
        for (record, told) in take_before(ahead, end) {
            self.fold_one(&record, told.as_ref());
        }
        let mut next = self.read_from(from, end);
        while next < end {
            let run = self.next_run(end).await?;
            for (record, told) in run.records() {
                if record.offset < end {
                    self.fold_one(record, told);
                } else {
                    ahead.push((record.clone(), told.cloned()));
                }
            }
            next = run.batch.next.min(end);
            self.show(next, end);
        }
        Ok(next)
    }

    fn fold_one(&mut self, record: &Record, told: Option<&Told>) {
        let mut link = self.link.at();
        let outcome = match told {
            Some(told) => link.fold_told(record, told),
            None => link.fold_source(record),
        };
        drop(link);
        self.count(record, outcome);
    }

    /// Where the source's log ends now.
    pub(super) async fn source_end(&mut self) -> Result<Offset, Stop> {
        let topic = &self.worker.definition.source_topic;
        let facts = tokio::select! {
            biased;
            facts = self.worker.source.topic(topic) => facts?,
            stop = self.pipeline.lease_ends() => return Err(stop),
        };
        let facts = facts.ok_or_else(|| missing_source(&self.worker.source, topic))?;
        // What was cut off meanwhile was not read: a new survey sees it, and the brake tells.
        if !facts.goes_on_from(&self.ground.source_topic) {
            return Err(replaced(self.worker.source.name(), topic));
        }
        Ok(facts.end)
    }

    /// The source's next batch on the way to `end`, for as long as the lease is held: what was sent
    /// before must not wait in the producer for longer.
    ///
    /// The reader was opened before `end` was asked for. An end that it saw then is no end any more:
    /// whoever stopped here would take all that came meanwhile for deleted.
    pub(super) async fn next_run(&mut self, end: Offset) -> Result<Run, Stop> {
        loop {
            let before = self.source.read_to();
            let clock = self.worker.clock.clone();
            let patience = self.source.patience();
            let run = tokio::select! {
                biased;
                run = self.source.next() => Some(run?),
                stop = self.pipeline.lease_ends() => return Err(stop),
                () = clock.sleep(patience), if self.old_end == OldEnd::Seen => None,
            };
            self.look_at_the_clock();
            let batch = run.as_ref().map(|run| &run.batch);
            let ends_early = batch.as_ref().is_none_or(|b| b.at_end && b.next < end);
            let stands = batch.as_ref().is_none_or(|batch| batch.next <= before);
            self.old_end = match (ends_early, self.old_end) {
                (false, OldEnd::AskedAnew) => OldEnd::AskedAnew,
                (false, OldEnd::Unseen | OldEnd::Seen) => OldEnd::Unseen,
                (true, OldEnd::Unseen) => OldEnd::Seen,
                (true, OldEnd::Seen) => {
                    self.source.read_anew();
                    OldEnd::AskedAnew
                }
                (true, OldEnd::AskedAnew) if stands => {
                    return Err(self.ends_early(before, end).into());
                }
                (true, OldEnd::AskedAnew) => OldEnd::AskedAnew,
            };
            if let Some(run) = run {
                return Ok(run);
            }
        }
    }

    fn ends_early(&self, next: Offset, end: Offset) -> Fault {
        Fault {
            operation: "read",
            object: format!("topic {}", self.worker.definition.source_topic),
            cluster: self.worker.source.name().to_owned(),
            cause: format!("nothing lies between offset {next} and the end, which was {end}"),
            class: FaultClass::Transient,
        }
    }

    /// Brings the target to what the source says at `next`.
    pub(super) async fn reconcile(&mut self, next: Offset, deletes: Deletes) -> Result<(), Stop> {
        self.worker.enter(Phase::Reconciling);
        let plan = self.link.at().plan();
        let names = self.link.at().check_names();
        if let Err(halt) = names {
            self.count_plan(&plan, Outcome::Held);
            self.show(next, next);
            return Err(self.halt(halt).await);
        }
        let now = self.worker.clock.monotonic();
        let braked = match deletes {
            Deletes::Braked => {
                let suspicions = self.ground.suspicions(self.checkpoint.as_ref());
                self.link.at().brake(&plan, &suspicions, next, now)
            }
            Deletes::Released(subjects) => self.link.at().brake_beyond(subjects, &plan, next, now),
            Deletes::Allowed => {
                self.link.at().allow_deletes();
                Ok(())
            }
        };
        if let Err(halt) = braked {
            // What would be written waits for the operator.
            self.count_plan(&plan, Outcome::Held);
            self.show(next, next);
            return Err(self.halt(halt).await);
        }
        self.count_plan(&plan, Outcome::Written);
        let link = &self.worker.definition.rules.name;
        let (incidents, held) = {
            let look = self.link.at();
            (look.ledger().incidents().count(), look.ledger().held().count())
        };
        tracing::info!(
            link = %link,
            in_sync = plan.in_sync,
            puts = plan.puts.len().saturating_add(plan.opening.len()),
            deletions = plan.frees.len().saturating_add(plan.deletions.len()),
            incidents,
            held,
            "planned"
        );
        self.carry_out(plan).await?;
        self.pipeline.mark(next);
        Ok(())
    }

    async fn carry_out(&mut self, plan: Plan) -> Result<(), Stop> {
        let Plan { opening, frees, puts, deletions, .. } = plan;
        self.decide_in_order(opening).await?;
        for planned in frees {
            let write = self.link.at().free(&planned.key);
            self.stage(vec![write], None).await?;
        }
        self.put_in_order(puts).await?;
        self.decide_in_order(deletions).await
    }

    /// The same for what is put: what the source has deleted meanwhile is under the brake.
    async fn put_in_order(&mut self, planned: Vec<Planned>) -> Result<(), Stop> {
        self.values = self.values_of(&planned).await?;
        self.look_at_the_clock();
        for planned in planned {
            let pace = Pace::Live(self.worker.clock.monotonic());
            let put = self.link.at().decide_put(planned.key, pace, self.source.read_to());
            match put {
                Ok(writes) => self.stage(writes, None).await?,
                Err(halt) => return Err(self.halt(halt).await),
            }
        }
        self.values = Values::default();
        self.flush().await
    }

    /// The values of what is put, read together with other links that lack some of the same source.
    async fn values_of(&mut self, puts: &[Planned]) -> Result<Values, Stop> {
        let Some(coming) = self.coming_to_values.take() else { return Ok(Values::default()) };
        tokio::select! {
            biased;
            values = self.worker.reading.values().join(puts, coming) => Ok(values),
            stop = self.pipeline.lease_ends() => Err(stop),
        }
    }

    /// Decides the planned keys again, one by one: what was sent before counts already.
    async fn decide_in_order(&mut self, planned: Vec<Planned>) -> Result<(), Stop> {
        self.look_at_the_clock();
        for planned in planned {
            let writes = self.link.at().decide_again(vec![planned.key]);
            self.stage(writes, None).await?;
        }
        self.flush().await
    }

    /// Records that a plan writes, or holds, are not in sync after all.
    fn count_plan(&mut self, plan: &Plan, puts: Outcome) {
        let written = plan.puts.iter().filter(|planned| planned.offset.is_some()).count();
        let look = self.link.at();
        let held = look.ledger().held().count();
        let taken = look
            .ledger()
            .incidents()
            .filter(|(about, incident)| {
                matches!(about, crate::core::link::ledger::About::Target(Key::Schema(..)))
                    && incident.offset.is_some()
            })
            .count()
            .saturating_add(look.nameless_records());
        for (count, outcome) in [(written, puts), (held, Outcome::Held), (taken, Outcome::Incident)]
        {
            self.counts.shift(u64::try_from(count).unwrap_or(0), outcome);
        }
    }
}

/// Takes out what was read ahead and lies before an end.
pub(super) fn take_before(ahead: &mut Ahead, end: Offset) -> Ahead {
    let rest = ahead.split_off(ahead.partition_point(|(record, _)| record.offset < end));
    std::mem::replace(ahead, rest)
}
