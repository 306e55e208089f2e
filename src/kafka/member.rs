//! A member of a group, as librdkafka calls it and as it is asked to prove that it owns a partition.
//!
//! [`super::lease`] says what ownership is and how it is proved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::Weak;
use std::sync::mpsc;
use std::time::Duration;

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
use crate::kafka::lease::Desk;
use crate::kafka::lease::HOLD;
use crate::kafka::lease::Tenure;
use crate::kafka::membership::Membership;
use crate::kafka::native::is_owned;
use crate::kafka::reading::serve_with;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;
use crate::service::ports::FaultClass;
use crate::service::ports::LeaseRequest;
use crate::service::ports::LeaseState;

/// How often the owner proves that it lives.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// How often a member that stands by asks whether anybody owns the partition. Longer than a partition
/// that moves is with nobody: [`DRAIN_WITHIN`] and the time that the group takes to share anew.
const LOOK_FOR_OWNER_EVERY: Duration = Duration::from_secs(5);

/// So often in a row nobody may own it before the group has to share anew.
const OWNERLESS_LOOKS: u32 = 2;

/// How long the coordinator may take to say it.
const OWNER_TOLD_WITHIN: Duration = Duration::from_secs(2);

const _: () = assert!(RENEW_EVERY.as_millis() < HOLD.as_millis());

/// Groups whose partition nobody owned: the next lease is asked for without the instance id.
#[derive(Debug, Default)]
pub(super) struct SharesAnew(Mutex<BTreeSet<String>>);

impl SharesAnew {
    fn wanted(&self, group: &str) {
        lock(&self.0).insert(group.to_owned());
    }

    /// Whether this group has to; said once.
    pub(super) fn take(&self, group: &str) -> bool {
        lock(&self.0).remove(group)
    }
}

/// Serves the group once. False when the lease is lost for good.
pub(super) fn attend(consumer: &BaseConsumer<Member>, due: &mpsc::SyncSender<Errand>) -> bool {
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

/// What the second thread is sent to do.
pub(super) enum Errand {
    /// To commit, which proves ownership.
    Renew(Claim),
    /// To ask who owns the partition.
    LookForOwner,
}

/// Does errands, one after the other, until the lease's thread ends.
pub(super) fn renew(consumer: &Weak<BaseConsumer<Member>>, errands: &mpsc::Receiver<Errand>) {
    while let Ok(errand) = errands.recv() {
        let Some(consumer) = consumer.upgrade() else {
            return;
        };
        match errand {
            Errand::Renew(claim) => commit(&consumer, claim),
            Errand::LookForOwner => look_for_owner(&consumer),
        }
    }
}

fn commit(consumer: &BaseConsumer<Member>, claim: Claim) {
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

fn look_for_owner(consumer: &BaseConsumer<Member>) {
    let member = consumer.context();
    let place = (member.topic.as_str(), member.partition);
    match is_owned(consumer.client(), &member.group, place, OWNER_TOLD_WITHIN) {
        Ok(told) => member.saw_owner(told),
        // What keeps the coordinator from answering is told where it matters.
        Err(code) => tracing::debug!(group = member.group, "no word about the owner: {code}"),
    }
}

/// What a member is given by its lease.
pub(super) struct Outfit {
    pub(super) said: Said,
    pub(super) place: Place,
    pub(super) clock: SystemClock,
    pub(super) shares_anew: Arc<SharesAnew>,
    pub(super) desk: Arc<Desk>,
    pub(super) state: watch::Sender<Tenure>,
}

/// The member's side of the group, called by librdkafka while its consumer is polled.
pub(super) struct Member {
    pub(super) said: Said,
    place: Place,
    clock: SystemClock,
    group: String,
    topic: String,
    partition: i32,
    shares_anew: Arc<SharesAnew>,
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
    /// When the next commit is due, or the next look for an owner.
    due: Duration,
    /// Looks in a row at which nobody owned the partition.
    ownerless: u32,
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
        self.shares();
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
        self.shares();
        if let Err(error) = consumer.pause(given) {
            tracing::debug!(group = self.place.object, "pause: {error}");
        }
        if self.ours(given) {
            self.desk.begin();
            let mut proofs = lock(&self.proofs);
            proofs.owned = true;
            proofs.claim = proofs.claim.saturating_add(1);
            proofs.due = self.clock.monotonic();
        }
    }
}

impl Member {
    /// A member that owns nothing yet.
    pub(super) fn new(request: &LeaseRequest, outfit: Outfit) -> Self {
        let Outfit { said, place, clock, shares_anew, desk, state } = outfit;
        let due = clock.monotonic().saturating_add(LOOK_FOR_OWNER_EVERY);
        Self {
            said,
            place,
            clock,
            group: request.group.clone(),
            topic: request.topic.clone(),
            partition: request.partition,
            shares_anew,
            desk,
            state,
            proofs: Mutex::new(Proofs { due, ..Proofs::default() }),
            _membership: Membership::begin(),
        }
    }

    fn ours(&self, list: &TopicPartitionList) -> bool {
        list.find_partition(&self.topic, self.partition).is_some()
    }

    /// The group shares anew: who owns the partition then is looked at later.
    fn shares(&self) {
        let mut proofs = lock(&self.proofs);
        proofs.ownerless = 0;
        if !proofs.owned {
            proofs.due = self.clock.monotonic().saturating_add(LOOK_FOR_OWNER_EVERY);
        }
    }

    /// What the coordinator says of the partition's owner, if it says anything.
    fn saw_owner(&self, owned: Option<bool>) {
        let mut proofs = lock(&self.proofs);
        if owned != Some(false) || proofs.owned {
            proofs.ownerless = 0;
            return;
        }
        proofs.ownerless = proofs.ownerless.saturating_add(1);
        if proofs.ownerless == OWNERLESS_LOOKS {
            self.shares_anew.wanted(&self.group);
            let cause = "no member of the group is given the scope's partition, so nobody writes; \
                         joining anew, which makes the group share anew";
            let fault = self.place.fault(FaultClass::Transient, cause);
            self.state.send_modify(|tenure| tenure.state = LeaseState::Lost(fault));
        }
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

    /// Asks for a commit where one is due, or who owns the partition. The errand before may still wait
    /// for its answer: then the coordinator is away, and another question would not help.
    fn renew_when_due(&self, errands: &mpsc::SyncSender<Errand>) {
        let now = self.clock.monotonic();
        let mut proofs = lock(&self.proofs);
        if now < proofs.due {
            return;
        }
        let (errand, pause) = if proofs.owned {
            (Errand::Renew(proofs.claim), RENEW_EVERY)
        } else {
            (Errand::LookForOwner, LOOK_FOR_OWNER_EVERY)
        };
        if errands.try_send(errand).is_ok() {
            proofs.due = now.saturating_add(pause);
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
