//! What a link needs of the world: clusters with logs, a lease, and a clock.
//!
//! `kafka` implements the cluster's side on librdkafka, the simulator in memory.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::record::Record;

/// What can be done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// It may pass by itself: a broker away, a leader moving, a time-out.
    Transient,
    /// The topic or the partition does not exist.
    Missing,
    /// The principal may not do it; the cause names the right that is missing.
    NotPermitted,
    /// The record is larger than the topic or the broker takes.
    TooLarge,
    /// An offset that the log no longer holds, or does not hold yet.
    OutOfRange,
    /// This broker, or this client, does not know the request.
    Unsupported,
    /// Nothing that waiting would mend.
    Permanent,
}

/// A cluster operation that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {object} at cluster {cluster}: {cause}")]
pub struct Fault {
    /// What was tried: `read`, `append to`, `describe`.
    pub operation: &'static str,
    /// On what: a topic, a group.
    pub object: String,
    /// The cluster's name in the configuration.
    pub cluster: String,
    /// Why it failed, in words; never with a secret.
    pub cause: String,
    /// What can be done about it.
    pub class: FaultClass,
}

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The id Kafka gave the cluster when it was formatted.
    pub cluster_id: String,
    /// Brokers that are up.
    pub brokers: usize,
}

/// What a cluster says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFacts {
    /// The topic's id (KIP-516); `None` where the broker does not tell (older than 2.8, or a mock).
    pub topic_id: Option<String>,
    /// Partitions of the topic.
    pub partitions: usize,
    /// Replicas of partition 0.
    pub replication: usize,
    /// First offset of partition 0 that the log still holds.
    pub start: Offset,
    /// The high watermark of partition 0: the first offset not yet readable.
    pub end: Offset,
    /// The topic's settings as the broker applies them; the reason where they may not be read, or
    /// where the broker does not know the request. Any other fault is one of the whole question.
    pub settings: Result<TopicSettings, String>,
}

impl TopicFacts {
    /// Whether this is the topic of earlier facts, with all that it held then: by its id and, since not
    /// all brokers tell that, by where it starts and ends.
    #[must_use]
    pub fn goes_on_from(&self, then: &Self) -> bool {
        self.topic_id == then.topic_id && self.start == then.start && self.end >= then.end
    }
}

/// The settings of a topic that decide whether it can hold schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// `cleanup.policy`, as the broker gives it: `compact`, `delete`, `compact,delete`.
    pub cleanup_policy: String,
    /// `delete.retention.ms`: how long a tombstone is kept after compaction.
    pub delete_retention_ms: Option<i64>,
    /// `retention.ms`.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`.
    pub retention_bytes: Option<i64>,
    /// `min.insync.replicas`.
    pub min_insync_replicas: Option<i64>,
    /// `max.message.bytes`.
    pub max_message_bytes: Option<i64>,
    /// `message.timestamp.type`: `CreateTime` or `LogAppendTime`.
    pub timestamp_type: String,
}

/// What came of a request to create a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was made.
    Made,
    /// It was there already, whatever was said of it.
    There,
}

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// The topic's name.
    pub name: String,
    /// Partitions.
    pub partitions: i32,
    /// Replicas; the cluster's brokers bound it.
    pub replication: i32,
    /// Settings, by name.
    pub settings: Vec<(String, String)>,
}

/// What a principal may do with a topic or a group, as far as a link has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Reading a topic, being a member of a group.
    Read,
    /// Writing a topic.
    Write,
    /// Creating a topic.
    Create,
    /// Reading a topic's settings.
    DescribeConfigs,
}

impl Operation {
    /// As Kafka's tools take it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::DescribeConfigs => "DescribeConfigs",
        }
    }
}

/// The operations that are allowed.
pub type Rights = BTreeSet<Operation>;

/// What rights are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A topic.
    Topic(String),
    /// A consumer group.
    Group(String),
}

/// A run of records from one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Records in offset order; offsets may have gaps.
    pub records: Vec<Record>,
    /// Everything below this offset that the log holds has been given.
    pub next: Offset,
    /// The partition's end was reached at `next`.
    pub at_end: bool,
}

/// A reader of one partition. Dropping it ends the reading.
pub trait Log: Send {
    /// The next run of records, or the news that the end was reached. Waits for either; safe to
    /// cancel. A fault is given once and reading goes on where the fault is transient.
    fn next(&mut self) -> impl Future<Output = Result<Batch, Fault>> + Send;

    /// Goes on at another offset. What was read ahead is dropped.
    fn seek(&mut self, offset: Offset) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// How far an appender's writes got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Writes `1..=acked` are acknowledged by all in-sync replicas.
    pub acked: u64,
    /// The first write that failed; nothing after it is sent any more.
    pub failed: Option<Fault>,
    /// The highest offset among acknowledged writes plus one; 0 before the first.
    pub next: Offset,
    /// Acknowledged writes took offsets that follow each other without a gap: nobody else wrote
    /// between the first and the last of them.
    pub gapless: bool,
    /// The offset of the first acknowledged write.
    pub first: Option<Offset>,
}

/// The largest record that an appender takes: a larger one would be refused, and all behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimit {
    /// Bytes of the record, with its key, its headers and the frame of a batch around it.
    pub bytes: usize,
    /// What an operator can do to have larger ones taken.
    pub raise: &'static str,
}

/// A writer of one partition: idempotent unless [`Cluster::keep_in`] made it, in order, acknowledged
/// by all in-sync replicas, never in a transaction. Dropping it throws away what was not sent.
pub trait Appender: Send {
    /// Queues a write behind those before it and returns its number, counted from 1; `None` while
    /// there is no room. It never waits: whether a write is still allowed is asked just before.
    ///
    /// # Errors
    /// This write is refused, or an earlier one failed.
    fn append(&mut self, write: &Outgoing) -> Result<Option<u64>, Fault>;

    /// How large a record may be, as it was when the partition was opened.
    fn record_limit(&self) -> RecordLimit;

    /// Waits until there may be room for a write that was not queued. Safe to cancel.
    fn room(&mut self) -> impl Future<Output = ()> + Send;

    /// Queues a write as soon as there is room, for whoever may write without asking again.
    ///
    /// # Errors
    /// Those of [`Self::append`].
    fn append_when_room(
        &mut self,
        write: &Outgoing,
    ) -> impl Future<Output = Result<u64, Fault>> + Send {
        async move {
            loop {
                match self.append(write)? {
                    Some(number) => return Ok(number),
                    None => self.room().await,
                }
            }
        }
    }

    /// How far the writes got.
    fn progress(&self) -> Progress;

    /// Waits until `progress` differs from `seen`. Safe to cancel.
    fn progressed(&self, seen: &Progress) -> impl Future<Output = Progress> + Send;
}

/// Whether this instance may write a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseState {
    /// Not yet, or not any more: another instance may be the writer.
    Standby,
    /// Ours until this monotonic time, unless renewed.
    Held {
        /// The monotonic time (see [`Clock::monotonic`]) before which the coordinator gives the
        /// lease to nobody else.
        until: Duration,
    },
    /// For good: another instance took our instance id, or the group refuses us.
    Lost(Fault),
}

/// Membership in the group whose partition owner may write a scope. Dropping it leaves the group.
pub trait Lease: Send {
    /// The state now.
    fn state(&self) -> LeaseState;

    /// Waits until the state is of another kind than the one seen last (renewals do not count).
    /// Safe to cancel.
    fn changed(&mut self) -> impl Future<Output = LeaseState> + Send;

    /// Says that nothing of ours is on its way any more, so that the lease may pass on at once.
    fn drained(&self);
}

/// What is asked for when a lease is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The consumer group.
    pub group: String,
    /// The topic whose partitions stand for scopes.
    pub topic: String,
    /// The partition whose owner is the writer.
    pub partition: i32,
    /// `group.instance.id`: lets the same instance come back at once. `None` for a one-shot run.
    pub instance: Option<String>,
}

/// One Kafka cluster.
pub trait Cluster: Clone + fmt::Debug + Send + Sync + 'static {
    /// How it reads a partition.
    type Log: Log + fmt::Debug;
    /// How it writes one.
    type Appender: Appender + fmt::Debug;
    /// How it gives the right to write.
    type Lease: Lease + fmt::Debug;

    /// The cluster's name in the configuration.
    fn name(&self) -> &str;

    /// `host:port` of its brokers with commas between them, for commands that an operator runs.
    fn bootstrap_servers(&self) -> &str;

    /// The principal as which it is asked, as Kafka's tools take it (`User:mirror`); `None` where
    /// only the brokers know it.
    fn principal(&self) -> Option<String> {
        None
    }

    /// The hosts among its addresses whose names mean nothing here, each with the system's reason.
    fn unknown_hosts(&self) -> impl Future<Output = Vec<(String, String)>> + Send {
        std::future::ready(Vec::new())
    }

    /// Asks what the principal may do with a topic or a group; `None` where that is not told. A topic
    /// that does not exist is [`FaultClass::Missing`].
    fn rights(
        &self,
        resource: &Resource,
    ) -> impl Future<Output = Result<Option<Rights>, Fault>> + Send {
        let _ = resource;
        std::future::ready(Ok(None))
    }

    /// Asks whether a topic would be created, without creating it.
    ///
    /// # Errors
    /// Why it would not be.
    fn may_create(&self, spec: &TopicSpec) -> impl Future<Output = Result<(), Fault>> + Send {
        let _ = spec;
        std::future::ready(Ok(()))
    }

    /// Asks for the first record of a partition 0 whose time is this or a later one, in milliseconds
    /// since 1970.
    fn first_since(
        &self,
        topic: &str,
        time_ms: i64,
    ) -> impl Future<Output = Result<Option<Offset>, Fault>> + Send {
        let _ = (topic, time_ms);
        std::future::ready(Ok(None))
    }

    /// Asks the cluster who it is.
    fn facts(&self) -> impl Future<Output = Result<ClusterFacts, Fault>> + Send;

    /// Asks about a topic; `None` when it does not exist. Never creates it.
    fn topic(&self, name: &str) -> impl Future<Output = Result<Option<TopicFacts>, Fault>> + Send;

    /// Creates a topic; one that is there already is no fault.
    fn create_topic(
        &self,
        spec: &TopicSpec,
    ) -> impl Future<Output = Result<Creation, Fault>> + Send;

    /// Reads a partition from an offset on (the log's start where the offset lies before it).
    fn read(
        &self,
        topic: &str,
        partition: i32,
        from: Offset,
    ) -> impl Future<Output = Result<Self::Log, Fault>> + Send;

    /// Reads all partitions of a small topic to the ends they have now, partition by partition.
    fn read_all(&self, topic: &str) -> impl Future<Output = Result<Vec<Record>, Fault>> + Send;

    /// Opens a partition of our own topic for records that are written one by one, each when the one
    /// before is acknowledged. Nothing waits for an idempotent id; a write that timed out and was
    /// repeated can land once more behind its successor: a claim or checkpoint that is a little
    /// older, which the next one replaces.
    fn keep_in(
        &self,
        topic: &str,
        partition: i32,
    ) -> impl Future<Output = Result<Self::Appender, Fault>> + Send {
        self.append_to(topic, partition)
    }

    /// Opens a partition for a long run of writes: one waits a moment for those behind it, so that
    /// they go out in full batches.
    fn append_in_batches(
        &self,
        topic: &str,
        partition: i32,
    ) -> impl Future<Output = Result<Self::Appender, Fault>> + Send {
        self.append_to(topic, partition)
    }

    /// Opens a partition for writes that go out at once.
    fn append_to(
        &self,
        topic: &str,
        partition: i32,
    ) -> impl Future<Output = Result<Self::Appender, Fault>> + Send;

    /// Joins the group that decides who writes.
    fn lease(
        &self,
        request: &LeaseRequest,
    ) -> impl Future<Output = Result<Self::Lease, Fault>> + Send;

    /// Names the members of a group that are alive now, as `client id at host`. A cluster that
    /// can't tell answers with [`FaultClass::Unsupported`].
    fn members(&self, group: &str) -> impl Future<Output = Result<Vec<String>, Fault>> + Send;
}

/// Time, from outside.
pub trait Clock: Clone + Send + Sync + fmt::Debug + 'static {
    /// Milliseconds since 1970, as the host has them.
    fn wall_ms(&self) -> i64;

    /// Time since some fixed moment of this process; never goes back, whatever the host's clock does.
    fn monotonic(&self) -> Duration;

    /// Waits.
    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(id: Option<&str>, start: Offset, end: Offset) -> TopicFacts {
        TopicFacts {
            topic_id: id.map(str::to_owned),
            partitions: 1,
            replication: 1,
            start,
            end,
            settings: Err("not asked for".to_owned()),
        }
    }

    #[test]
    fn a_topic_goes_on_with_its_id_and_while_nothing_of_it_is_gone() {
        for id in [Some("a"), None] {
            let then = topic(id, 3, 10);
            assert!(topic(id, 3, 10).goes_on_from(&then));
            assert!(topic(id, 3, 11).goes_on_from(&then));
            assert!(!topic(id, 3, 9).goes_on_from(&then), "its end went back");
            assert!(!topic(id, 4, 11).goes_on_from(&then), "its beginning was cut off");
            assert!(!topic(id, 0, 11).goes_on_from(&then), "it begins anew");
            assert!(!topic(Some("b"), 3, 11).goes_on_from(&then), "another id");
        }
    }
}
