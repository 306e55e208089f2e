//! The right to write, as ownership of a partition in a consumer group.
//!
//! Every instance that may write a scope joins one group; the group gives each partition of a topic
//! to one member, and the owner of the scope's partition is its writer. Nothing is consumed: the
//! partitions are paused.
//!
//! # Proof
//!
//! Ownership is told by the coordinator once, and may be lost without a word. So the owner commits
//! an offset for its partition every second. A commit carries the member's id and the group's
//! generation: the coordinator takes it from a living member alone, and keeps the session of that
//! member from then on (Kafka: an offset commit of the classic protocol reschedules the member's
//! heartbeat). From the moment *before* such a commit was sent the lease is held for [`HOLD`], which is
//! less than the session time-out: no other instance id is given the partition before. Without
//! another commit the lease ends by our own monotonic clock, whatever the network does.
//!
//! The commits are made by a second thread, which waits for each answer: librdkafka tells the outcome
//! of a commit to whoever waits for it alone (rdkafka 0.39 never calls its commit callback for
//! commits by hand), and the first thread must serve the group meanwhile.
//!
//! # A partition that nobody owns
//!
//! The group shares cooperatively: a partition that moves is given to nobody at first, and whoever had
//! it joins again when it has let go, which makes the group share anew. A static member that dies in
//! between and is back within its session gets its share as the coordinator has kept it, and the group
//! does not share anew (Kafka: `updateStaticMemberThenRebalanceOrCompleteJoin`): the partition would
//! stay with nobody for good. Whoever stands by therefore asks now and then whether anybody owns it,
//! and joins once without its instance id if nobody does: a new member makes the group share anew.
//!
//! # What it does not prove
//!
//! That nobody else has our instance id. A second process that joins under it is the owner at once,
//! and the first one learns of it with its next commit or heartbeat, or ends by its clock: for up to
//! [`HOLD`] both may write. Ids have to differ among living processes.
//!
//! A process that is stopped and continued can still have writes on their way that were sent under
//! an older lease. Kafka fences writers with transactions only, which a schemas topic must not
//! see; such writes are recognised by their headers and repaired.

use std::fmt;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::Thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;
use tokio::sync::watch;

use crate::kafka::context::Said;
use crate::kafka::errors::Place;
use crate::kafka::errors::lock;
use crate::kafka::member::Member;
use crate::kafka::member::Outfit;
use crate::kafka::member::SharesAnew;
use crate::kafka::member::attend;
use crate::kafka::member::renew;
use crate::kafka::settings::SESSION;
use crate::kafka::settings::Secrets;
use crate::kafka::tokens::Logins;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Lease;
use crate::service::ports::LeaseRequest;
use crate::service::ports::LeaseState;

/// How long a lease is held from the moment before a commit was sent that the coordinator took.
/// The two seconds that are missing to the session time-out are for clocks that run differently
/// and for a writer that needs a moment to stop.
pub const HOLD: Duration = Duration::from_secs(4);

/// How long a partition that is taken from us may wait for our last writes. The group waits with
/// us, up to `max.poll.interval.ms`.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// How long the thread sleeps when nothing wakes it: news of the group and the end of the lease do.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

const _: () = assert!(HOLD.as_millis() < SESSION.as_millis());

/// Membership in the group whose partition owner may write a scope.
pub struct KafkaLease {
    state: watch::Receiver<Tenure>,
    desk: Arc<Desk>,
    thread: Thread,
    clock: SystemClock,
    place: Place,
    seen: Seen,
}

impl fmt::Debug for KafkaLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLease").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The state, and how often the lease began: one that was lost and won again is not the same.
#[derive(Debug, Clone)]
pub(super) struct Tenure {
    pub(super) count: u64,
    pub(super) state: LeaseState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Standby,
    Held(u64),
    Lost,
}

/// What the holder of a lease tells its thread.
#[derive(Default)]
pub(super) struct Desk {
    stop: AtomicBool,
    drained: Mutex<bool>,
    told: Condvar,
}

impl Desk {
    fn say_drained(&self) {
        *lock(&self.drained) = true;
        self.told.notify_all();
    }

    /// Something may be on its way from now on.
    pub(super) fn begin(&self) {
        *lock(&self.drained) = false;
    }

    /// Waits until the holder says that nothing is on its way, or for as long as it may take.
    pub(super) fn wait_drained(&self) {
        let guard = lock(&self.drained);
        let waiting = |drained: &mut bool| !*drained && !self.stop.load(Ordering::Acquire);
        let waited = self.told.wait_timeout_while(guard, DRAIN_WITHIN, waiting);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Lease for KafkaLease {
    fn state(&self) -> LeaseState {
        self.now().state
    }

    async fn changed(&mut self) -> LeaseState {
        loop {
            let now = self.now();
            let kind = match now.state {
                LeaseState::Standby => Seen::Standby,
                LeaseState::Held { .. } => Seen::Held(now.count),
                LeaseState::Lost(_) => Seen::Lost,
            };
            // Lost and won again between two looks: the loss is told first, somebody else may
            // have written in between.
            if matches!((self.seen, kind), (Seen::Held(before), Seen::Held(count)) if before != count)
            {
                self.seen = Seen::Standby;
                return LeaseState::Standby;
            }
            if kind != self.seen {
                self.seen = kind;
                return now.state;
            }
            // What ends the waiting is seen at the top again, the end of the thread too.
            match now.state {
                LeaseState::Held { until } => {
                    let left = until.saturating_sub(self.clock.monotonic());
                    drop(tokio::time::timeout(left, self.state.changed()).await);
                }
                LeaseState::Standby => drop(self.state.changed().await),
                LeaseState::Lost(_) => std::future::pending().await,
            }
        }
    }

    fn drained(&self) {
        self.desk.say_drained();
    }
}

impl KafkaLease {
    /// The state as the clock has it: a lease that was not renewed has ended, even when the thread
    /// that should say so is stuck.
    fn now(&self) -> Tenure {
        let known = self.state.borrow().clone();
        let over = self.state.has_changed().is_err();
        match known.state {
            LeaseState::Held { .. } | LeaseState::Standby if over => {
                Tenure { state: LeaseState::Lost(self.ended()), ..known }
            }
            LeaseState::Held { until } if until <= self.clock.monotonic() => {
                Tenure { state: LeaseState::Standby, ..known }
            }
            LeaseState::Held { .. } | LeaseState::Standby | LeaseState::Lost(_) => known,
        }
    }

    fn ended(&self) -> Fault {
        self.place.fault(FaultClass::Permanent, "the thread that keeps the lease ended")
    }
}

impl Drop for KafkaLease {
    fn drop(&mut self) {
        self.desk.stop.store(true, Ordering::Release);
        self.desk.say_drained();
        self.thread.unpark();
    }
}

/// What a lease is opened with.
pub(super) struct Opening {
    pub(super) config: ClientConfig,
    pub(super) secrets: Arc<Secrets>,
    pub(super) logins: Logins,
    pub(super) clock: SystemClock,
    pub(super) place: Place,
    pub(super) request: LeaseRequest,
    /// Groups that have to share anew.
    pub(super) shares_anew: Arc<SharesAnew>,
}

/// Joins the group. Blocks while the client is made; the group is joined behind it.
///
/// # Errors
///
/// A client that can't be made, or no thread for it.
pub(super) fn open(opening: Opening) -> Result<KafkaLease, Fault> {
    let Opening { config, secrets, logins, clock, place, request, shares_anew } = opening;
    let (sender, receiver) = watch::channel(Tenure { count: 0, state: LeaseState::Standby });
    let desk = Arc::new(Desk::default());
    let member = Member::new(
        &request,
        Outfit {
            said: Said::new(&place.cluster, &secrets),
            place: place.clone(),
            clock,
            shares_anew,
            desk: Arc::clone(&desk),
            state: sender,
        },
    );
    let mut consumer: BaseConsumer<Member> =
        config.create_with_context(member).map_err(|error| place.not_made(&error, &secrets))?;
    let waker = Arc::new(OnceLock::<Thread>::new());
    let woken = Arc::clone(&waker);
    consumer.set_nonempty_callback(move || woken.get().into_iter().for_each(Thread::unpark));
    let said = &consumer.context().said;
    consumer.subscribe(&[&request.topic]).map_err(|error| place.fault_from(&error, said))?;
    let consumer = Arc::new(consumer);
    logins.admit(&consumer, &place)?;
    let (due, errands) = mpsc::sync_channel(1);
    let renewed = Arc::downgrade(&consumer);
    spawn(&place, format!("renew-{}", request.partition), move || renew(&renewed, &errands))?;
    let until = Arc::clone(&desk);
    // It ends with its lease; dropping the consumer leaves the group, unless the member is static.
    let thread = spawn(&place, format!("lease-{}", request.partition), move || {
        waker.get_or_init(std::thread::current);
        loop {
            // Asked before the last look: a lease that ran out is said to have.
            let ends = until.stop.load(Ordering::Acquire);
            if !attend(&consumer, &due) || ends {
                break;
            }
            std::thread::park_timeout(LOOK_AGAIN_AFTER);
        }
    })?;
    Ok(KafkaLease { state: receiver, desk, thread, clock, place, seen: Seen::Standby })
}

fn spawn(
    place: &Place,
    name: String,
    act: impl FnOnce() + Send + 'static,
) -> Result<Thread, Fault> {
    let spawned = std::thread::Builder::new().name(name).spawn(act);
    match spawned {
        Ok(spawned) => Ok(spawned.thread().clone()),
        Err(error) => Err(place.fault(FaultClass::Transient, format!("no thread: {error}"))),
    }
}
