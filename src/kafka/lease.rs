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
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::Thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::CommitMode;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::ConsumerContext;
use rdkafka::consumer::Rebalance;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::watch;

use crate::kafka::context::Said;
use crate::kafka::errors::Place;
use crate::kafka::errors::code_of;
use crate::kafka::errors::lock;
use crate::kafka::membership::Membership;
use crate::kafka::reading::serve_with;
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

/// How often the owner proves that it lives.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// How long a partition that is taken from us may wait for our last writes. The group waits with
/// us, up to `max.poll.interval.ms`.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// How long the thread sleeps when nothing wakes it: news of the group and the end of the lease do.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

const _: () = assert!(HOLD.as_millis() < SESSION.as_millis());
const _: () = assert!(RENEW_EVERY.as_millis() < HOLD.as_millis());

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
struct Tenure {
    count: u64,
    state: LeaseState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Standby,
    Held(u64),
    Lost,
}

/// What the holder of a lease tells its thread.
#[derive(Default)]
struct Desk {
    stop: AtomicBool,
    drained: Mutex<bool>,
    told: Condvar,
}

impl Desk {
    fn say_drained(&self) {
        *lock(&self.drained) = true;
        self.told.notify_all();
    }

    /// Waits until the holder says that nothing is on its way, or for as long as it may take.
    fn wait_drained(&self) {
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
}

/// Joins the group. Blocks while the client is made; the group is joined behind it.
///
/// # Errors
///
/// A client that can't be made, or no thread for it.
pub(super) fn open(opening: Opening) -> Result<KafkaLease, Fault> {
    let Opening { config, secrets, logins, clock, place, request } = opening;
    let (sender, receiver) = watch::channel(Tenure { count: 0, state: LeaseState::Standby });
    let desk = Arc::new(Desk::default());
    let member = Member {
        said: Said::new(&place.cluster, &secrets),
        place: place.clone(),
        clock,
        topic: request.topic.clone(),
        partition: request.partition,
        desk: Arc::clone(&desk),
        state: sender,
        proofs: Mutex::new(Proofs::default()),
        _membership: Membership::begin(),
    };
    let mut consumer: BaseConsumer<Member> =
        config.create_with_context(member).map_err(|error| place.not_made(&error, &secrets))?;
    let waker = Arc::new(OnceLock::<Thread>::new());
    let woken = Arc::clone(&waker);
    consumer.set_nonempty_callback(move || woken.get().into_iter().for_each(Thread::unpark));
    let said = &consumer.context().said;
    consumer.subscribe(&[&request.topic]).map_err(|error| place.fault_from(&error, said))?;
    let consumer = Arc::new(consumer);
    logins.admit(&consumer, &place)?;
    let (due, renewals) = mpsc::sync_channel(1);
    let renewed = Arc::downgrade(&consumer);
    spawn(&place, format!("renew-{}", request.partition), move || renew(&renewed, &renewals))?;
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

/// Serves the group once. False when the lease is lost for good.
fn attend(consumer: &BaseConsumer<Member>, due: &mpsc::SyncSender<Claim>) -> bool {
    let member = consumer.context();
    // What a partition held before it was paused is not for us.
    serve_with(consumer, |error| member.heed(error, consumer.client().fatal_error()));
    if matches!(member.state.borrow().state, LeaseState::Lost(_)) {
        return false;
    }
    member.expire();
    member.renew_when_due(due);
    true
}

/// Makes the commits that prove ownership, one after the other, until the lease's thread ends.
fn renew(consumer: &Weak<BaseConsumer<Member>>, renewals: &mpsc::Receiver<Claim>) {
    while let Ok(claim) = renewals.recv() {
        let Some(consumer) = consumer.upgrade() else {
            return;
        };
        let member = consumer.context();
        let mut list = TopicPartitionList::new();
        // Nothing is read from the partition, so any offset will do.
        let listed = list.add_partition_offset(&member.topic, member.partition, Offset::Offset(0));
        let before = member.clock.monotonic();
        match listed.and_then(|()| consumer.commit(&list, CommitMode::Sync)) {
            Ok(()) => member.proved(claim, before),
            Err(error) => member.refused(&error),
        }
    }
}

/// The member's side of the group, called by librdkafka while its consumer is polled.
struct Member {
    said: Said,
    place: Place,
    clock: SystemClock,
    topic: String,
    partition: i32,
    desk: Arc<Desk>,
    state: watch::Sender<Tenure>,
    proofs: Mutex<Proofs>,
    /// Dropped by the client when it has left the group.
    _membership: Membership,
}

/// Counts how often the group gave us the partition.
type Claim = u64;

/// What the group says of the partition.
#[derive(Default)]
struct Proofs {
    /// The group gave us the partition and did not take it back.
    owned: bool,
    claim: Claim,
    /// When the next commit is due.
    due: Duration,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.said.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.said.error(error, reason);
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(_) => {}
            Rebalance::Revoke(taken) => {
                // What was given to somebody else already is not waited for.
                if self.ours(taken) && self.let_go() && !consumer.assignment_lost() {
                    self.desk.wait_drained();
                }
            }
            Rebalance::Error(_) => {
                self.let_go();
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(given) = rebalance else {
            return;
        };
        if let Err(error) = consumer.pause(given) {
            tracing::debug!(group = self.place.object, "pause: {error}");
        }
        if self.ours(given) {
            *lock(&self.desk.drained) = false;
            let mut proofs = lock(&self.proofs);
            proofs.owned = true;
            proofs.claim = proofs.claim.saturating_add(1);
            proofs.due = self.clock.monotonic();
        }
    }
}

impl Member {
    fn ours(&self, list: &TopicPartitionList) -> bool {
        list.find_partition(&self.topic, self.partition).is_some()
    }

    /// The partition goes. True where the lease was held until now.
    fn let_go(&self) -> bool {
        let mut proofs = lock(&self.proofs);
        proofs.owned = false;
        self.stand_by()
    }

    fn stand_by(&self) -> bool {
        self.state.send_if_modified(|tenure| match tenure.state {
            LeaseState::Held { .. } => {
                tenure.state = LeaseState::Standby;
                true
            }
            LeaseState::Standby | LeaseState::Lost(_) => false,
        })
    }

    /// Ends a lease that was not renewed.
    fn expire(&self) {
        let now = self.clock.monotonic();
        let held = self.state.borrow().state.clone();
        if matches!(held, LeaseState::Held { until } if until <= now) {
            tracing::warn!(group = self.place.object, "the lease was not renewed in time");
            self.stand_by();
        }
    }

    /// Asks for a commit where one is due. The one before may still wait for its answer: then the
    /// coordinator is away, and another question would not help.
    fn renew_when_due(&self, renewals: &mpsc::SyncSender<Claim>) {
        let now = self.clock.monotonic();
        let mut proofs = lock(&self.proofs);
        if proofs.owned && now >= proofs.due && renewals.try_send(proofs.claim).is_ok() {
            proofs.due = now.saturating_add(RENEW_EVERY);
        }
    }

    /// The coordinator took a commit that was sent after `before`: between then and now there was a
    /// moment at which we were alive and the owner.
    fn proved(&self, claim: Claim, before: Duration) {
        self.said.forget();
        let now = self.clock.monotonic();
        let until = before.saturating_add(HOLD);
        // Kept until the state is told, so that a revocation comes before or after, not between.
        let proofs = lock(&self.proofs);
        if !proofs.owned || proofs.claim != claim || until <= now {
            return;
        }
        self.state.send_modify(|tenure| {
            match tenure.state {
                LeaseState::Held { until } if until > now => {}
                LeaseState::Held { .. } | LeaseState::Standby => {
                    tenure.count = tenure.count.saturating_add(1);
                }
                LeaseState::Lost(_) => return,
            }
            tenure.state = LeaseState::Held { until };
        });
    }

    /// The coordinator did not take a commit.
    fn refused(&self, error: &KafkaError) {
        let fault = self.place.fault_from(error, &self.said);
        tracing::debug!("renewal refused: {fault}");
        if code_of(error) == Some(RDKafkaErrorCode::UnknownMemberId) {
            // We were thrown out of the group: the partition may be somebody else's already.
            self.let_go();
        }
        self.heed(error, None);
    }

    /// Decides whether an error is the end. What waiting may mend is left to the clock.
    fn heed(&self, error: &KafkaError, fatal: Option<(RDKafkaErrorCode, String)>) {
        let fault = match fatal {
            Some((code, _)) => self.place.fault_of(code),
            None => self.place.fault_from(error, &self.said),
        };
        match fault.class {
            // The topic may be too young for the broker that was asked.
            FaultClass::Transient | FaultClass::Missing => {
                tracing::debug!("{fault}");
            }
            FaultClass::NotPermitted
            | FaultClass::TooLarge
            | FaultClass::OutOfRange
            | FaultClass::Unsupported
            | FaultClass::Permanent => {
                self.state.send_modify(|tenure| tenure.state = LeaseState::Lost(fault));
            }
        }
    }
}
