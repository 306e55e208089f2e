//! Writes on their way to the target, and how far the source is done by them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::record::Room;
use crate::service::latency::Latencies;
use crate::service::ports::Appender;
use crate::service::ports::Clock;
use crate::service::ports::Fault;
use crate::service::ports::Lease;
use crate::service::ports::LeaseState;
use crate::service::ports::Progress;
use crate::service::rate::Rate;
use crate::service::status::Counts;

/// Why a link can't go on writing.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// A cluster operation failed.
    Fault(Fault),
    /// Another instance may be the writer now.
    LeaseLost,
    /// The link stands still until an operator decides; the reason in words.
    Halt(String),
    /// It was told to end.
    Shutdown,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How long acknowledgements are waited for when a link ends or reconciles. Longer than an appender
/// keeps a write before it gives it up (60 s).
pub const DRAIN_LIMIT: Duration = Duration::from_secs(70);

/// Records that are kept back for one burst, and their bytes: a full batch of the producer. Its first
/// record is sent alone, because nothing lingers; the rest follows in one batch or two.
const STAGED_MAX: usize = 2_048;
const STAGED_BYTES_MAX: usize = 1024 * 1024;

/// Writes in order: each is sent while the lease holds, and every source offset counts as done only
/// when all writes that it asked for are acknowledged.
#[derive(Debug)]
pub struct Pipeline<A, L, K> {
    appender: A,
    lease: L,
    clock: K,
    rate: Rate<K>,
    sent: u64,
    staged: Vec<Outgoing>,
    staged_bytes: usize,
    room: Room,
    /// Source offsets that are done when the write with this number is acknowledged.
    marks: VecDeque<(u64, Offset)>,
    done_before: Offset,
    /// Bursts on their way: the number of the last write, how many they are, when they were queued.
    bursts: VecDeque<(u64, u64, Duration)>,
    /// What acknowledgements took since it was asked for last.
    latencies: Latencies,
}

impl<A: Appender, L: Lease, K: Clock> Pipeline<A, L, K> {
    /// A pipeline with nothing on its way.
    pub fn new(appender: A, lease: L, clock: K, rate: Rate<K>) -> Self {
        Self {
            appender,
            lease,
            clock,
            rate,
            sent: 0,
            staged: Vec::new(),
            staged_bytes: 0,
            room: Room::default(),
            marks: VecDeque::new(),
            done_before: 0,
            bursts: VecDeque::new(),
            latencies: Latencies::default(),
        }
    }

    /// Writes with another appender from now on. Everything sent before is acknowledged.
    pub fn go_on_with(&mut self, appender: A) {
        // What is marked counts writes of the appender that goes.
        self.done_before();
        self.time_acknowledged();
        self.appender = appender;
        self.sent = 0;
    }

    /// Whether this instance may write now, by its own clock.
    #[must_use]
    pub fn may_write(&self) -> bool {
        match self.lease.state() {
            LeaseState::Held { until } => self.clock.monotonic() < until,
            LeaseState::Standby | LeaseState::Lost(_) => false,
        }
    }

    /// Buffers of records that were sent.
    pub fn room(&mut self) -> &mut Room {
        &mut self.room
    }

    /// Keeps a record back until a burst of them is together: a producer that is fed one by one
    /// sends many small batches, which costs both sides more than the records do.
    ///
    /// # Errors
    /// Those of [`Self::flush`].
    pub async fn stage(&mut self, record: Outgoing, counts: &mut Counts) -> Result<(), Stop> {
        let bytes = record.key.len().saturating_add(record.value.as_ref().map_or(0, Vec::len));
        self.staged_bytes = self.staged_bytes.saturating_add(bytes);
        self.staged.push(record);
        if self.staged.len() >= STAGED_MAX || self.staged_bytes >= STAGED_BYTES_MAX {
            self.flush(counts).await?;
        }
        Ok(())
    }

    /// Queues what was kept back.
    ///
    /// # Errors
    /// The lease is lost, or an earlier write failed.
    pub async fn flush(&mut self, counts: &mut Counts) -> Result<(), Stop> {
        let mut staged = std::mem::take(&mut self.staged);
        if staged.is_empty() {
            return Ok(());
        }
        self.time_acknowledged();
        self.staged_bytes = 0;
        let (before, began) = (self.sent, self.clock.monotonic());
        for record in staged.drain(..) {
            self.send(&record, counts).await?;
            self.room.give_back(record);
        }
        self.bursts.push_back((self.sent, self.sent.saturating_sub(before), began));
        // Its room serves the next burst.
        self.staged = staged;
        Ok(())
    }

    /// Counts the time that acknowledged writes took.
    fn time_acknowledged(&mut self) {
        let acked = self.appender.progress().acked;
        while let Some((_, writes, began)) = self.bursts.pop_front_if(|(last, ..)| *last <= acked) {
            self.latencies.add(writes, self.clock.monotonic().saturating_sub(began));
        }
    }

    /// What acknowledgements took since this was asked last.
    pub fn take_latencies(&mut self) -> Latencies {
        self.time_acknowledged();
        std::mem::take(&mut self.latencies)
    }

    /// Writes that are not acknowledged yet.
    #[must_use]
    pub fn writes_in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.appender.progress().acked)
    }

    /// Queues a record behind those before it.
    async fn send(&mut self, record: &Outgoing, counts: &mut Counts) -> Result<(), Stop> {
        self.rate.take().await;
        self.sent = loop {
            // Nothing waits between this question and the queue: the process may have been stopped
            // for longer than the lease lasts.
            if !self.may_write() {
                return Err(self.lease_stop());
            }
            match self.appender.append(record)? {
                Some(number) => break number,
                None => self.appender.room().await,
            }
        };
        let deletes = record.value.is_none();
        let count = if deletes { &mut counts.deletions } else { &mut counts.puts };
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Says that everything before a source offset is done once what was sent so far is acknowledged.
    /// Nothing may be kept back then.
    pub fn mark(&mut self, next: Offset) {
        if let Some((sent, before)) = self.marks.back_mut()
            && *sent == self.sent
        {
            *before = next;
            return;
        }
        self.marks.push_back((self.sent, next));
    }

    /// Whether anything of the source was ever said to be done in this life.
    #[must_use]
    pub fn has_marked(&self) -> bool {
        self.done_before > 0 || !self.marks.is_empty()
    }

    /// Everything before this source offset is in the target. This is the one place where an offset
    /// becomes a checkpoint.
    pub fn done_before(&mut self) -> Offset {
        let acked = self.appender.progress().acked;
        while let Some((sent, next)) = self.marks.front().copied()
            && sent <= acked
        {
            self.done_before = next;
            self.marks.pop_front();
        }
        self.done_before
    }

    /// How far the writes got.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.appender.progress()
    }

    /// Waits for news: an acknowledgement, a failure, or another state of the lease.
    ///
    /// # Errors
    /// The first write that failed, or the lost lease.
    pub async fn news(&mut self, seen: &Progress) -> Result<Progress, Stop> {
        tokio::select! {
            biased;
            progress = self.appender.progressed(seen) => match progress.failed {
                Some(fault) => Err(Stop::Fault(fault)),
                None => Ok(progress),
            },
            state = self.lease.changed() => match state {
                LeaseState::Held { .. } => Ok(seen.clone()),
                LeaseState::Standby => Err(Stop::LeaseLost),
                LeaseState::Lost(fault) => Err(Stop::Fault(fault)),
            },
        }
    }

    /// Waits until this instance may not write any more, by its own clock at the latest, and says
    /// why. Safe to cancel.
    pub async fn lease_ends(&mut self) -> Stop {
        loop {
            let rest = match self.lease.state() {
                LeaseState::Held { until } => until.saturating_sub(self.clock.monotonic()),
                LeaseState::Standby => return Stop::LeaseLost,
                LeaseState::Lost(fault) => return Stop::Fault(fault),
            };
            if rest.is_zero() {
                return Stop::LeaseLost;
            }
            tokio::select! {
                biased;
                state = self.lease.changed() => drop(state),
                () = self.clock.sleep(rest) => {}
            }
        }
    }

    /// Waits until everything that was sent is acknowledged, for as long as the lease is held: what
    /// still waits in the producer must not land behind another writer's records.
    ///
    /// # Errors
    /// The first write that failed, the lost lease, or more than [`DRAIN_LIMIT`] without an end.
    pub async fn drain(&mut self, cluster: &str, topic: &str) -> Result<(), Stop> {
        let deadline = self.clock.monotonic().saturating_add(DRAIN_LIMIT);
        let mut progress = self.appender.progress();
        while progress.acked < self.sent {
            if let Some(fault) = progress.failed {
                return Err(Stop::Fault(fault));
            }
            let rest = deadline.saturating_sub(self.clock.monotonic());
            if rest.is_zero() {
                return Err(Stop::Fault(Fault {
                    operation: "append to",
                    object: format!("topic {topic}"),
                    cluster: cluster.to_owned(),
                    cause: format!("no acknowledgement within {} s", DRAIN_LIMIT.as_secs()),
                    class: crate::service::ports::FaultClass::Transient,
                }));
            }
            // One that was sent may be on its way while the lease ends; all the others are dropped.
            let until = match self.lease.state() {
                LeaseState::Held { until } => until.saturating_sub(self.clock.monotonic()),
                LeaseState::Standby | LeaseState::Lost(_) => Duration::ZERO,
            };
            if until.is_zero() {
                return Err(self.lease_stop());
            }
            tokio::select! {
                biased;
                news = self.appender.progressed(&progress) => progress = news,
                state = self.lease.changed() => drop(state),
                () = self.clock.sleep(rest.min(until)) => {}
            }
            self.time_acknowledged();
        }
        match progress.failed {
            Some(fault) => Err(Stop::Fault(fault)),
            None => Ok(()),
        }
    }

    /// Waits until this instance is the writer; `None` for as long as it takes.
    ///
    /// # Errors
    /// The lease is lost for good, or the limit passed.
    pub async fn become_writer(
        lease: &mut L,
        clock: &K,
        limit: Option<Duration>,
    ) -> Result<(), Stop> {
        let deadline = limit.map(|limit| clock.monotonic().saturating_add(limit));
        loop {
            match lease.state() {
                LeaseState::Held { .. } => return Ok(()),
                LeaseState::Lost(fault) => return Err(Stop::Fault(fault)),
                LeaseState::Standby => {}
            }
            let rest = deadline.map(|deadline| deadline.saturating_sub(clock.monotonic()));
            if rest.is_some_and(|rest| rest.is_zero()) {
                return Err(Stop::LeaseLost);
            }
            match rest {
                None => drop(lease.changed().await),
                Some(rest) => tokio::select! {
                    biased;
                    state = lease.changed() => drop(state),
                    () = clock.sleep(rest) => {}
                },
            }
        }
    }

    fn lease_stop(&self) -> Stop {
        match self.lease.state() {
            LeaseState::Lost(fault) => Stop::Fault(fault),
            LeaseState::Held { .. } | LeaseState::Standby => Stop::LeaseLost,
        }
    }

    /// Says that nothing is on its way any more, so that the lease may pass on at once.
    pub fn release(&self) {
        self.lease.drained();
    }
}
