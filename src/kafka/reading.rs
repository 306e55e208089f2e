//! What all that read have in common.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;
use rdkafka::message::Headers;
use rdkafka::metadata::MetadataPartition;

use crate::core::record::Header;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::kafka::context::Said;
use crate::kafka::errors::Place;
use crate::kafka::errors::code_of;
use crate::kafka::settings::ANSWER_WITHIN;
use crate::kafka::settings::Secrets;
use crate::service::ports::Batch;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;

/// How often the queue is looked at before the thread sleeps. A look may find nothing because it
/// served a log line instead.
pub(super) const LOOKS: usize = 3;

/// What librdkafka says about the group that it wants and we do not use.
const ABOUT_THE_GROUP: &[RDKafkaErrorCode] = &[
    RDKafkaErrorCode::GroupAuthorizationFailed,
    RDKafkaErrorCode::CoordinatorLoadInProgress,
    RDKafkaErrorCode::CoordinatorNotAvailable,
    RDKafkaErrorCode::NotCoordinator,
    RDKafkaErrorCode::WaitingForCoordinator,
    RDKafkaErrorCode::InvalidGroupId,
];

/// The consumer of a reader.
pub(super) type ReadingConsumer = BaseConsumer<Said>;

/// Makes a consumer, which wakes whoever listens to its context. It has no token yet.
///
/// # Errors
///
/// `Permanent` where none can be made of what the properties and their files say.
pub(super) fn make_consumer(
    config: &ClientConfig,
    place: &Place,
    secrets: &Arc<Secrets>,
) -> Result<ReadingConsumer, Fault> {
    let made = config.create_with_context(Said::new(&place.cluster, secrets));
    let mut made: ReadingConsumer = made.map_err(|error| place.not_made(&error, secrets))?;
    let said = Arc::clone(made.context());
    made.set_nonempty_callback(move || said.wake());
    Ok(made)
}

/// The ids of a topic's partitions. Blocks. It also warms the connection: without it `assign`
/// waits half a second for its first record.
pub(super) fn partitions_of(
    consumer: &ReadingConsumer,
    topic: &str,
    place: &Place,
) -> Result<Vec<i32>, Fault> {
    let said = consumer.context();
    let metadata = match consumer.fetch_metadata(Some(topic), ANSWER_WITHIN) {
        Ok(metadata) => metadata,
        Err(error) => {
            serve(consumer);
            return Err(place.fault_from(&error, said));
        }
    };
    let described = metadata.topics().iter().find(|described| described.name() == topic);
    let Some(described) = described else {
        return Err(place.fault_of(RDKafkaErrorCode::UnknownTopicOrPartition));
    };
    if let Some(error) = described.error() {
        return Err(place.fault_of(RDKafkaErrorCode::from(error)));
    }
    said.forget();
    Ok(described.partitions().iter().map(MetadataPartition::id).collect())
}

/// What metadata tell of a topic.
pub(super) struct Shape {
    pub(super) partitions: usize,
    /// Replicas of partition 0.
    pub(super) replication: usize,
    /// The leader of partition 0. Any broker knows a topic's id and settings; where none is named,
    /// the client waits for the controller.
    pub(super) leader: i32,
}

/// The shape of a topic; none where it does not exist.
pub(super) fn shape(
    prober: &ReadingConsumer,
    topic: &str,
    place: &Place,
) -> Result<Option<Shape>, Fault> {
    let metadata = prober.fetch_metadata(Some(topic), ANSWER_WITHIN);
    serve(prober);
    let metadata = metadata.map_err(|error| place.fault_from(&error, prober.context()))?;
    prober.context().forget();
    let Some(found) = metadata.topics().iter().find(|described| described.name() == topic) else {
        return Ok(None);
    };
    if let Some(error) = found.error() {
        let fault = place.fault_of(RDKafkaErrorCode::from(error));
        return if fault.class == FaultClass::Missing { Ok(None) } else { Err(fault) };
    }
    let first = found.partitions().iter().find(|partition| partition.id() == 0);
    let replication = first.map_or(0, |partition| partition.replicas().len());
    let leader = first.map_or(-1, |partition| partition.leader());
    Ok(Some(Shape { partitions: found.partitions().len(), replication, leader }))
}

/// Lets a consumer say what it has to say; its context keeps the last trouble.
pub(super) fn serve(consumer: &ReadingConsumer) {
    serve_with(consumer, |_| {});
}

/// The same, with its errors for the caller. Records are not wanted.
pub(super) fn serve_with<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    mut heed: impl FnMut(&KafkaError),
) {
    /// Events served at once; the rest waits for the next time.
    const EVENTS_MAX: usize = 100;
    /// A look that finds nothing may have served a line of the log. Every connection that fails logs
    /// one before its error, and without that nobody learns why no broker was reached.
    const EMPTY_LOOKS_MAX: usize = 32;
    let mut looks: usize = 0;
    for _ in 0..EVENTS_MAX {
        match consumer.poll(Duration::ZERO) {
            None => looks = looks.saturating_add(1),
            Some(Ok(_)) => {}
            Some(Err(error)) => heed(&error),
        }
        if looks == EMPTY_LOOKS_MAX {
            return;
        }
    }
}

/// What an error of librdkafka's means for whoever reads.
pub(super) enum Heard {
    /// It is none of the reader's.
    Nothing,
    /// One connection of several broke off: librdkafka goes on elsewhere, and says so when no broker
    /// is left. Not always (2.12): where the coordinator's connection and the leader's come and go
    /// in turns, they are never down at once.
    Broken,
    /// A fault to hear of.
    Fault(Fault),
}

/// What an error means.
pub(super) fn heard_in(error: &KafkaError, place: &Place, said: &Said) -> Heard {
    let code = code_of(error);
    if code.is_some_and(|code| ABOUT_THE_GROUP.contains(&code)) {
        return Heard::Nothing;
    }
    let fault = place.fault_from(error, said);
    if fault.class == FaultClass::Transient && code != Some(RDKafkaErrorCode::AllBrokersDown) {
        return Heard::Broken;
    }
    Heard::Fault(fault)
}

/// How long all brokers may seem to be down before that is told, and a connection be broken before
/// the leader is asked.
const DOWN_TOLERATED: Duration = Duration::from_secs(1);
/// The leader is asked no more often than this.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What is to be done about what was heard.
#[derive(Debug, PartialEq)]
pub(super) enum Heed {
    /// Nothing.
    Nothing,
    /// Ask the leader whether it is there.
    Ask,
    /// Tell of this.
    Tell(Fault),
}

/// That all brokers are down. librdkafka (2.12) says so also for a moment at the start, when it gives
/// up the connection that it began with for one to the broker behind it; it counts where nothing
/// comes for [`DOWN_TOLERATED`].
#[derive(Default)]
pub(super) struct Outage {
    told: Option<(Fault, Duration)>,
    /// When a connection broke first since something came.
    broken: Option<Duration>,
    asked: Option<Duration>,
}

impl Outage {
    /// Something came.
    pub(super) fn over(&mut self) {
        self.told = None;
        self.broken = None;
    }

    /// The leader is to be asked again.
    pub(super) fn doubt(&mut self, now: Duration) {
        self.broken.get_or_insert(now);
    }

    /// What has to be done now: that all brokers are down, or a connection broken, waits.
    pub(super) fn heed(&mut self, heard: Option<Heard>, now: Duration) -> Heed {
        match heard {
            Some(Heard::Fault(fault)) if fault.class == FaultClass::Transient => {
                self.told.get_or_insert((fault, now));
            }
            Some(Heard::Fault(fault)) => return Heed::Tell(fault),
            Some(Heard::Broken) => self.doubt(now),
            Some(Heard::Nothing) | None => {}
        }
        let is_due = |since: Duration| now.saturating_sub(since) >= DOWN_TOLERATED;
        if let Some((fault, _)) = self.told.take_if(|(_, since)| is_due(*since)) {
            // Nothing more may be heard of it.
            self.doubt(now);
            return Heed::Tell(fault);
        }
        let asks = self.asked.is_none_or(|asked| now.saturating_sub(asked) >= ASK_EVERY);
        if asks && self.broken.take_if(|since| is_due(*since)).is_some() {
            self.asked = Some(now);
            return Heed::Ask;
        }
        Heed::Nothing
    }
}

/// Whether more is to come, and since when nothing has.
pub(super) struct Progress {
    /// The last news was that the end is reached.
    pub(super) at_end: bool,
    /// When the last news came, or were taken from us.
    pub(super) moved_at: Duration,
}

/// What the reader passes on, and since which seek.
pub(super) struct Delivery {
    pub(super) epoch: u64,
    pub(super) what: Result<Batch, Fault>,
}

/// What the owner of a reader tells its thread.
#[derive(Default)]
pub(super) struct Control {
    pub(super) stop: AtomicBool,
    pub(super) seek: Mutex<Option<Seek>>,
}

/// Where its owner wants to go on, and how often it has wanted to.
pub(super) struct Seek {
    pub(super) epoch: u64,
    pub(super) offset: Offset,
}

/// Keys and values of a run of records, side by side in blocks: one of its own for each would be made
/// on the reader's thread and dropped on another, which is slow with glibc.
#[derive(Default)]
pub(super) struct Shelf(BytesMut);

/// A block of a [`Shelf`]. It is freed when the last of its records is dropped.
const BLOCK_BYTES: usize = 256 * 1024;
/// A record that takes more gets a block of its own size.
const SHELVED_MAX: usize = BLOCK_BYTES / 4;

impl Shelf {
    /// A record as the broker gave it.
    pub(super) fn record_of(&mut self, message: &BorrowedMessage<'_>) -> Record {
        let (key, value) = (message.key(), message.payload());
        let size = message.key_len().saturating_add(message.payload_len());
        let rest = self.0.capacity().saturating_sub(self.0.len());
        if size > SHELVED_MAX {
            return record_of(message, key.map(copied), value.map(copied));
        }
        if size > rest {
            self.0 = BytesMut::with_capacity(BLOCK_BYTES);
        }
        let key = key.map(|bytes| self.shelved(bytes));
        let value = value.map(|bytes| self.shelved(bytes));
        record_of(message, key, value)
    }

    fn shelved(&mut self, bytes: &[u8]) -> Bytes {
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }
}

fn copied(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn record_of(message: &BorrowedMessage<'_>, key: Option<Bytes>, value: Option<Bytes>) -> Record {
    Record {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key,
        value,
        headers: headers_of(message),
    }
}

fn headers_of(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let Some(headers) = message.headers() else {
        return Vec::new();
    };
    let mut owned = Vec::with_capacity(headers.count());
    for index in 0..headers.count() {
        // rdkafka panics at a name that is not UTF-8, which Kafka's own clients never write. The
        // header is then kept without its name; a record must not end the reading.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let header = headers.try_get(index)?;
            Some(Header { name: header.key.to_owned(), value: header.value.map(<[u8]>::to_vec) })
        }));
        let unnamed = Header { name: char::REPLACEMENT_CHARACTER.to_string(), value: None };
        owned.push(read.ok().flatten().unwrap_or(unnamed));
    }
    owned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(class: FaultClass) -> Option<Fault> {
        Some(Place::read(&"dc1".into(), "_schemas").fault(class, "it is away"))
    }

    fn heard(class: FaultClass) -> Option<Heard> {
        fault(class).map(Heard::Fault)
    }

    fn told(class: FaultClass) -> Heed {
        fault(class).map_or(Heed::Nothing, Heed::Tell)
    }

    #[test]
    fn that_all_brokers_are_down_is_told_once_after_it_lasted_and_the_leader_asked_then() {
        let at = Duration::from_millis;
        let mut outage = Outage::default();
        assert_eq!(outage.heed(heard(FaultClass::Transient), at(500)), Heed::Nothing);
        assert_eq!(outage.heed(heard(FaultClass::Transient), at(1_400)), Heed::Nothing);
        assert_eq!(outage.heed(None, at(1_500)), told(FaultClass::Transient));
        assert_eq!(outage.heed(None, at(9_000)), Heed::Ask);
        assert_eq!(outage.heed(None, at(20_000)), Heed::Nothing);
    }

    #[test]
    fn brokers_that_come_back_at_once_were_never_down() {
        let mut outage = Outage::default();
        assert_eq!(outage.heed(heard(FaultClass::Transient), Duration::ZERO), Heed::Nothing);
        assert_eq!(outage.heed(Some(Heard::Broken), Duration::ZERO), Heed::Nothing);
        outage.over();
        assert_eq!(outage.heed(None, DOWN_TOLERATED * 2), Heed::Nothing);
    }

    #[test]
    fn behind_a_broken_connection_the_leader_is_asked_now_and_then() {
        let at = Duration::from_millis;
        let mut outage = Outage::default();
        assert_eq!(outage.heed(Some(Heard::Broken), at(0)), Heed::Nothing);
        assert_eq!(outage.heed(None, at(1_000)), Heed::Ask);
        assert_eq!(outage.heed(None, at(9_000)), Heed::Nothing, "nothing broke since");
        assert_eq!(outage.heed(Some(Heard::Broken), at(9_000)), Heed::Nothing);
        assert_eq!(outage.heed(None, at(10_000)), Heed::Ask);
        assert_eq!(outage.heed(Some(Heard::Broken), at(10_100)), Heed::Nothing);
        assert_eq!(outage.heed(None, at(12_000)), Heed::Nothing);
        assert_eq!(outage.heed(None, at(15_000)), Heed::Ask);
    }

    #[test]
    fn every_other_fault_is_told_at_once() {
        let heed = Outage::default().heed(heard(FaultClass::NotPermitted), Duration::ZERO);
        assert_eq!(heed, told(FaultClass::NotPermitted));
    }
}
