//! One link at work: preflight → become the writer → read the target → read the source → reconcile
//! → follow both.

mod acknowledge;
mod at_rest;
mod catch_up;
mod claim;
mod finish;
mod life;
mod purge;
mod reconcile;
mod tail;
mod writing;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use crate::core::link::Halt;
use crate::core::record::Offset;
use crate::service::acknowledgements::Asked;
use crate::service::definition::LinkDefinition;
use crate::service::definition::Once;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::rate::Rate;
use crate::service::reading::Reading;
use crate::service::status::Phase;
use crate::service::status::Status;
use crate::service::target::TargetReading;

/// What a link is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// For good.
    Follow,
    /// To the source's end as it was at the start.
    Backfill,
    /// To take away what it wrote.
    Purge,
}

impl Goal {
    /// Whether it is tried for ever.
    fn waits(self) -> bool {
        match self {
            Self::Follow | Self::Purge => true,
            Self::Backfill => false,
        }
    }
}

/// How a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It did what it was asked for, or was told to end and has drained.
    Done,
    /// It stands still until an operator decides.
    Halted(String),
    /// It could not tell: a cluster is out of reach, a right is missing, another instance writes.
    GaveUp(String),
    /// Our fault.
    Panicked(String),
}

/// One-shot commands wait so long for a cluster (rulings 26).
pub const ONE_SHOT_LIMIT: Duration = Duration::from_secs(60);
/// The last try of a one-shot command begins no later than this: a question that is not answered
/// takes 10 s, and the limit counts from the command's start to its end.
pub const LAST_TRY_BEGINS: Duration = Duration::from_secs(48);
const _: () = assert!(LAST_TRY_BEGINS.as_secs() + 10 < ONE_SHOT_LIMIT.as_secs());
/// A topic is believed to be gone when it was for this long: a broker that has just started can
/// answer before it knows its topics.
pub(in crate::service) const GONE_AFTER: Duration = Duration::from_secs(10);
/// A topic that is said to be gone is asked for this often.
const LOOK_FOR_GONE_EVERY: Duration = Duration::from_secs(1);

/// A pause between two tries begins here and doubles.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// It grows no longer than this.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A link and everything it works with.
#[derive(Debug, Clone)]
pub struct Worker<C: Cluster, K: Clock> {
    /// What it does.
    pub definition: Arc<LinkDefinition>,
    /// Where it reads.
    pub source: C,
    /// Where it writes.
    pub target: C,
    /// Time.
    pub clock: K,
    /// The target's write rate.
    pub rate: Rate<K>,
    /// The reading of its source that it shares with other links.
    pub reading: Reading,
    /// The same for its target.
    pub target_reading: TargetReading,
    /// What it is run for.
    pub goal: Goal,
    /// Where it says what it does.
    pub status: Arc<watch::Sender<Status>>,
    /// Where it is asked to let incidents stand.
    pub asked: Asked,
    /// What the operator allowed for one start was used: an earlier life got past its reconciling.
    pub once_used: Arc<AtomicBool>,
}

impl<C: Cluster, K: Clock> Worker<C, K> {
    /// Runs the link until its end. A panic in it becomes a halted link.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> End {
        let name = self.definition.rules.name.clone();
        let mut pause = PAUSE_MIN;
        let mut started = self.clock.monotonic();
        loop {
            let before = self.progress();
            let mut life = self.clone();
            let signal = shutdown.clone();
            let lived = tokio::spawn(async move { life.live_once(signal).await }).await;
            // What is still on its way then is given up, or found by the next life.
            self.status.send_modify(|status| status.writes_in_flight = 0);
            let stop = match lived {
                Ok(Ok(())) => return self.end(End::Done, Phase::Done),
                Ok(Err(stop)) => stop,
                Err(panic) => {
                    let why = format!("a fault of schema-mirror itself: {panic}");
                    tracing::error!(link = %name, reason = %why, "halted");
                    return self.end(End::Panicked(why.clone()), Phase::Halted(why));
                }
            };
            if self.progress() != before {
                started = self.clock.monotonic();
            }
            if self.ran_for_long() {
                pause = PAUSE_MIN;
            }
            match self.after(stop, started) {
                After::End(end, phase) => {
                    if self.goal.waits() && matches!(phase, Phase::Halted(_)) {
                        self.enter(phase);
                        self.stand_still(&mut shutdown).await;
                        return end;
                    }
                    return self.end(end, phase);
                }
                After::Again => {}
                After::Pause(reason) => {
                    self.enter(Phase::Waiting(reason));
                    tokio::select! {
                        biased;
                        () = self.clock.sleep(self.in_time(pause, started)) => {}
                        () = wait_for(&mut shutdown) => return self.end(End::Done, Phase::Done),
                    }
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn live_once(&mut self, shutdown: watch::Receiver<bool>) -> Result<(), Stop> {
        match self.goal {
            Goal::Follow | Goal::Backfill => self.life(shutdown).await,
            Goal::Purge => self.purge(shutdown).await,
        }
    }

    /// A pause that leaves a command for once its last try.
    fn in_time(&self, pause: Duration, started: Duration) -> Duration {
        let waited = self.clock.monotonic().saturating_sub(started);
        match self.goal {
            Goal::Follow | Goal::Purge => pause,
            Goal::Backfill => pause.min(LAST_TRY_BEGINS.saturating_sub(waited)),
        }
    }

    /// What the operator allows now. A life that begins again after an outage has no more leave.
    pub(super) fn once(&self) -> Once {
        if self.once_used.load(Ordering::Acquire) { Once::default() } else { self.definition.once }
    }

    /// What ends a life for good until an operator decides.
    pub(super) fn halted(&self, halt: &Halt) -> Stop {
        Stop::Halt(halt.told(self.definition.leave()))
    }

    fn after(&self, stop: Stop, started: Duration) -> After {
        match stop {
            Stop::Shutdown if self.goal.waits() => After::End(End::Done, Phase::Done),
            Stop::Shutdown => {
                let reason = "it was told to end before it was complete".to_owned();
                After::End(End::GaveUp(reason.clone()), Phase::Halted(reason))
            }
            Stop::Halt(reason) => After::End(End::Halted(reason.clone()), Phase::Halted(reason)),
            Stop::LeaseLost if self.goal.waits() => After::Again,
            // A broker that was away is enough for that. Whether another instance writes now is
            // asked by the next life, which names it.
            Stop::LeaseLost if self.waits_on(started) => After::Again,
            Stop::LeaseLost => {
                let reason = "the lease on the scope was lost, and not won again in time";
                After::End(End::GaveUp(reason.to_owned()), Phase::Halted(reason.to_owned()))
            }
            Stop::Fault(fault) => self.after_fault(&fault, started),
        }
    }

    /// Whether a command for once may try again.
    fn waits_on(&self, started: Duration) -> bool {
        self.clock.monotonic().saturating_sub(started) < LAST_TRY_BEGINS
    }

    /// A fault waits where waiting may mend it; a command for once gives up after its limit.
    fn after_fault(&self, fault: &Fault, started: Duration) -> After {
        let reason = fault.to_string();
        let waits = match (fault.class, self.goal) {
            // The target takes less than when the link began: the next life asks how much.
            (FaultClass::TooLarge, Goal::Follow | Goal::Purge) => true,
            (FaultClass::Transient | FaultClass::OutOfRange, Goal::Follow | Goal::Purge) => true,
            (FaultClass::Missing | FaultClass::NotPermitted, Goal::Follow | Goal::Purge) => true,
            (
                FaultClass::Transient | FaultClass::OutOfRange | FaultClass::TooLarge,
                Goal::Backfill,
            ) => self.waits_on(started),
            // What was read from or written to before is not believed to be gone at once.
            (FaultClass::Missing, Goal::Backfill) => {
                self.progress() != (0, 0) && self.waits_on(started)
            }
            (FaultClass::NotPermitted, Goal::Backfill) => false,
            (FaultClass::Unsupported | FaultClass::Permanent, _) => {
                return After::End(End::Halted(reason.clone()), Phase::Halted(reason));
            }
        };
        if waits {
            After::Pause(reason)
        } else {
            After::End(End::GaveUp(reason.clone()), Phase::Halted(reason))
        }
    }

    /// Says where the link is now; once for each change.
    pub(in crate::service) fn enter(&self, phase: Phase) {
        let now = self.clock.monotonic();
        let changed = self.status.send_if_modified(|status| {
            // Waiting is one state, however its reason is worded while it lasts.
            let waits_on =
                matches!((&status.phase, &phase), (Phase::Waiting(_), Phase::Waiting(_)));
            let other = status.phase != phase && !waits_on;
            status.phase = phase.clone();
            status.settled |= phase.settles();
            if other {
                status.since = now;
            }
            other
        });
        if !changed {
            return;
        }
        let link = &self.definition.rules.name;
        match &phase {
            Phase::Halted(reason) => tracing::error!(link = %link, reason = %reason, "halted"),
            Phase::Waiting(reason) => tracing::warn!(link = %link, reason = %reason, "waiting"),
            Phase::Preflight
            | Phase::Standby
            | Phase::ReadingTarget
            | Phase::ReadingSource
            | Phase::Reconciling
            | Phase::CatchingUp
            | Phase::Running
            | Phase::Paused
            | Phase::Purging
            | Phase::Done => tracing::info!(link = %link, "{}", phase.word()),
        }
    }

    fn end(&self, end: End, phase: Phase) -> End {
        self.enter(phase);
        end
    }

    /// How far the link got: a command for once gives up when nothing of it moves any more.
    fn progress(&self) -> (u64, Offset) {
        let status = self.status.borrow();
        (status.counts.written(), status.source_next)
    }

    fn ran_for_long(&self) -> bool {
        self.status.borrow().phase == Phase::Running
    }
}

enum After {
    End(End, Phase),
    Again,
    Pause(String),
}

/// Waits until the signal to end is given, or nobody can give it any more.
pub(in crate::service) async fn wait_for(shutdown: &mut watch::Receiver<bool>) {
    // The sender is gone only when the process ends.
    drop(shutdown.wait_for(|told| *told).await);
}
