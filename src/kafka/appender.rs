//! One partition written: idempotent (our own topic one record at a time instead), in order,
//! acknowledged by all in-sync replicas.
//!
//! Never in a transaction: readers of a schemas topic read uncommitted records, and a commit
//! marker at the end of the log leaves some registries unready for ever.
//!
//! # The first failure is the last word
//!
//! Writes are numbered, and the number travels with the write to its delivery report. When one
//! fails, everything behind it is thrown away, so that the log never holds a write whose
//! predecessor is missing: librdkafka's gapless guarantee refuses what is queued behind a refused
//! batch, and the queue is purged from within the report. Writes that were on their way at that
//! moment may still arrive; they are not counted as acknowledged unless all before them are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Header as KafkaHeader;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::BaseProducer;
use rdkafka::producer::BaseRecord;
use rdkafka::producer::DeliveryResult;
use rdkafka::producer::Producer;
use rdkafka::producer::ProducerContext;
use rdkafka::producer::PurgeConfig;
use tokio::sync::Notify;

use crate::core::record::Header;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::record::after;
use crate::kafka::context::Said;
use crate::kafka::errors::Place;
use crate::kafka::errors::code_of;
use crate::kafka::errors::lock;
use crate::kafka::settings::ANSWER_WITHIN;
use crate::kafka::settings::Secrets;
use crate::kafka::tokens::Logins;
use crate::service::ports::Appender;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Progress;
use crate::service::ports::RecordLimit;

/// Writes on their way at once: the five full batches of small schemas that may be, and one more.
/// Bounds memory, and what a crash can repeat.
pub const WRITES_WAITING_MAX: u64 = 4_000;

/// A write that was not taken is tried again after this long, even when no report comes: librdkafka
/// frees the room of a write a moment after it reports it. Doubles until the most.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);
const LOOK_AGAIN_AFTER_MAX: Duration = Duration::from_millis(100);

/// How long the report of the write that ended the producer may take to come.
const REPORTED_WITHIN: Duration = Duration::from_secs(5);

/// One wait of the thread that serves delivery reports; it ends at most this long after its appender.
/// Every wait spins for its last millisecond (rdkafka 0.39 waits in whole ones): with 1 s a hundred
/// links that had nothing to do took an eighth of a core for it.
const SERVE: Duration = Duration::from_secs(4);

type Writer = BaseProducer<Outbox>;

/// A writer of one partition.
pub struct KafkaAppender {
    producer: Arc<Writer>,
    shared: Arc<Shared>,
    place: Place,
    topic: String,
    partition: i32,
    limit: RecordLimit,
    /// The number of the last write that was queued.
    queued: u64,
    /// For how long the next write has found no room.
    refused_for: Duration,
    /// The next wait for room.
    pause: Duration,
}

impl fmt::Debug for KafkaAppender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaAppender")
            .field("place", &self.place)
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}

/// What the reports say, between the thread that serves them and those who ask.
struct Shared {
    ledger: Mutex<Ledger>,
    changed: Notify,
    stop: AtomicBool,
}

/// Where librdkafka delivers its reports.
struct Outbox {
    shared: Arc<Shared>,
    said: Said,
    place: Place,
    /// To purge the queue at the first failure.
    producer: OnceLock<Weak<Writer>>,
}

impl ClientContext for Outbox {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.said.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.said.error(error, reason);
    }
}

impl ProducerContext for Outbox {
    /// The number of the write.
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, number: usize) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let outcome = match report {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(self.place.fault_from(error, &self.said)),
        };
        if outcome.is_ok() {
            self.said.forget();
        }
        let failed_now = lock(&self.shared.ledger).enter(number, outcome);
        if failed_now && let Some(producer) = self.producer.get().and_then(Weak::upgrade) {
            producer.purge(everything());
        }
        self.shared.changed.notify_waiters();
    }
}

/// The outcomes of the writes, counted as far as there is no gap between them.
struct Ledger {
    progress: Progress,
    /// Outcomes that came before that of an earlier write. librdkafka reports acknowledgements of a
    /// partition in order, but fails what is queued while the cause is still on its way: the
    /// first failure by number is the one to be told, not the first by time.
    early: BTreeMap<u64, Result<Offset, Fault>>,
}

impl Ledger {
    fn new() -> Self {
        let progress = Progress { gapless: true, ..Progress::default() };
        Self { progress, early: BTreeMap::new() }
    }

    /// Notes an outcome. True when it decides that the writing has failed.
    fn enter(&mut self, number: u64, outcome: Result<Offset, Fault>) -> bool {
        if self.progress.failed.is_some() {
            return false;
        }
        if self.early.is_empty()
            && number == self.progress.acked.saturating_add(1)
            && let Ok(offset) = outcome
        {
            count(&mut self.progress, offset);
            return false;
        }
        self.early.insert(number, outcome);
        while let Some(next) = self.early.remove(&self.progress.acked.saturating_add(1)) {
            match next {
                Ok(offset) => count(&mut self.progress, offset),
                Err(fault) => {
                    self.progress.failed = Some(fault);
                    self.early.clear();
                    return true;
                }
            }
        }
        false
    }
}

fn count(progress: &mut Progress, offset: Offset) {
    progress.acked = progress.acked.saturating_add(1);
    if offset < 0 {
        // A write that was sent twice is acknowledged without an offset.
        progress.gapless = false;
        return;
    }
    progress.gapless &= progress.first.is_none() || offset == progress.next;
    progress.first.get_or_insert(offset);
    progress.next = progress.next.max(after(offset));
}

fn everything() -> PurgeConfig {
    PurgeConfig::default().queue().inflight().non_blocking()
}

/// What an appender is opened with.
pub(super) struct Opening {
    pub(super) config: ClientConfig,
    pub(super) secrets: Arc<Secrets>,
    pub(super) logins: Logins,
    pub(super) place: Place,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) limit: RecordLimit,
}

/// Makes the producer and its thread. Blocks while it asks for the topic. One that is idempotent gets
/// its id meanwhile, or soon after: its first write waits for that.
///
/// # Errors
///
/// `Missing` where the topic or the partition does not exist, and whatever keeps the brokers from
/// answering.
pub(super) fn open(opening: Opening) -> Result<KafkaAppender, Fault> {
    let Opening { config, secrets, logins, place, topic, partition, limit } = opening;
    let shared = Arc::new(Shared {
        ledger: Mutex::new(Ledger::new()),
        changed: Notify::new(),
        stop: AtomicBool::new(false),
    });
    let outbox = Outbox {
        shared: Arc::clone(&shared),
        said: Said::new(&place.cluster, &secrets),
        place: place.clone(),
        producer: OnceLock::new(),
    };
    let producer: Writer =
        config.create_with_context(outbox).map_err(|error| place.not_made(&error, &secrets))?;
    let producer = Arc::new(producer);
    logins.admit(&producer, &place)?;
    check_partition(&producer, &place, &topic, partition)?;
    if producer.context().producer.set(Arc::downgrade(&producer)).is_err() {
        return Err(place.fault(FaultClass::Permanent, "its producer was made twice"));
    }
    let served = Arc::clone(&producer);
    let until = Arc::clone(&shared);
    // It ends with its appender, and drops the producer, which may take a moment.
    std::thread::Builder::new()
        .name(format!("append-{topic}"))
        .spawn(move || {
            while !until.stop.load(Ordering::Acquire) {
                served.poll(SERVE);
            }
        })
        .map_err(|error| place.fault(FaultClass::Transient, format!("no thread: {error}")))?;
    Ok(KafkaAppender {
        producer,
        shared,
        place,
        topic,
        partition,
        limit,
        queued: 0,
        refused_for: Duration::ZERO,
        pause: LOOK_AGAIN_AFTER,
    })
}

fn check_partition(
    producer: &Writer,
    place: &Place,
    topic: &str,
    partition: i32,
) -> Result<(), Fault> {
    let said = &producer.context().said;
    let metadata = match producer.client().fetch_metadata(Some(topic), ANSWER_WITHIN) {
        Ok(metadata) => metadata,
        Err(error) => {
            producer.poll(Duration::ZERO);
            return Err(place.fault_from(&error, said));
        }
    };
    let found = metadata.topics().iter().find(|described| described.name() == topic);
    let Some(described) = found else {
        return Err(place.fault_of(RDKafkaErrorCode::UnknownTopicOrPartition));
    };
    if let Some(error) = described.error() {
        return Err(place.fault_of(RDKafkaErrorCode::from(error)));
    }
    if !described.partitions().iter().any(|known| known.id() == partition) {
        return Err(place.fault(FaultClass::Missing, format!("it has no partition {partition}")));
    }
    Ok(())
}

impl Appender for KafkaAppender {
    fn append(&mut self, write: &Outgoing) -> Result<Option<u64>, Fault> {
        let number = self.queued.saturating_add(1);
        let acked = {
            let ledger = lock(&self.shared.ledger);
            if let Some(fault) = &ledger.progress.failed {
                return Err(fault.clone());
            }
            ledger.progress.acked
        };
        if self.queued.saturating_sub(acked) >= WRITES_WAITING_MAX {
            return Ok(None);
        }
        match self.send(write, number)? {
            Sent::Queued => {
                self.queued = number;
                self.refused_for = Duration::ZERO;
                self.pause = LOOK_AGAIN_AFTER;
                Ok(Some(number))
            }
            Sent::Full => Ok(None),
            Sent::Ended if self.refused_for < REPORTED_WITHIN => Ok(None),
            Sent::Ended => Err(self.fatal()),
        }
    }

    fn record_limit(&self) -> RecordLimit {
        self.limit
    }

    async fn room(&mut self) {
        // The time-out only ends the waiting early; either way it is tried again.
        drop(tokio::time::timeout(self.pause, self.shared.changed.notified()).await);
        self.refused_for = self.refused_for.saturating_add(self.pause);
        self.pause = self.pause.saturating_mul(2).min(LOOK_AGAIN_AFTER_MAX);
    }

    fn progress(&self) -> Progress {
        lock(&self.shared.ledger).progress.clone()
    }

    async fn progressed(&self, seen: &Progress) -> Progress {
        loop {
            // Reports after this moment wake the wait below.
            let changed = self.shared.changed.notified();
            let now = self.progress();
            if now != *seen {
                return now;
            }
            changed.await;
        }
    }
}

/// What became of a write that was handed to librdkafka.
enum Sent {
    Queued,
    /// Its queue is full.
    Full,
    /// The producer has ended; the report of the write that ended it is on its way.
    Ended,
}

impl KafkaAppender {
    fn send(&self, write: &Outgoing, number: u64) -> Result<Sent, Fault> {
        let record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord {
            topic: &self.topic,
            partition: Some(self.partition),
            payload: write.value.as_deref(),
            key: Some(&write.key),
            timestamp: write.timestamp_ms,
            headers: headers_of(&write.headers),
            delivery_opaque: usize::try_from(number).unwrap_or(usize::MAX),
        };
        let Err((error, _)) = self.producer.send(record) else {
            return Ok(Sent::Queued);
        };
        match code_of(&error) {
            Some(RDKafkaErrorCode::QueueFull) => Ok(Sent::Full),
            Some(RDKafkaErrorCode::Fatal) => Ok(Sent::Ended),
            // Nothing was queued, so nothing is broken: the caller may go on without this one.
            Some(_) | None => Err(self.place.fault_from(&error, &self.producer.context().said)),
        }
    }

    /// What ended the producer for good.
    fn fatal(&self) -> Fault {
        let said = &self.producer.context().said;
        match self.producer.client().fatal_error() {
            Some((code, reason)) => {
                let fault = self.place.fault_of(code);
                Fault { cause: format!("{}: {}", fault.cause, said.clean(&reason)), ..fault }
            }
            None => self.place.fault_of(RDKafkaErrorCode::Fatal),
        }
    }
}

fn headers_of(headers: &[Header]) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let room = OwnedHeaders::new_with_capacity(headers.len());
    Some(headers.iter().fold(room, |owned, header| {
        owned.insert(KafkaHeader { key: &header.name, value: header.value.as_deref() })
    }))
}

impl Drop for KafkaAppender {
    fn drop(&mut self) {
        self.producer.purge(everything());
        self.shared.stop.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_offsets(offsets: &[Offset]) -> Progress {
        let mut ledger = Ledger::new();
        for (number, offset) in (1..).zip(offsets) {
            assert!(!ledger.enter(number, Ok(*offset)));
        }
        ledger.progress
    }

    #[test]
    fn offsets_that_follow_each_other_are_gapless() {
        let expected = Progress { acked: 3, failed: None, next: 10, gapless: true, first: Some(7) };
        assert_eq!(after_offsets(&[7, 8, 9]), expected);
    }

    #[test]
    fn a_foreign_write_in_between_is_a_gap() {
        let expected =
            Progress { acked: 2, failed: None, next: 10, gapless: false, first: Some(7) };
        assert_eq!(after_offsets(&[7, 9]), expected);
    }

    #[test]
    fn an_acknowledgement_without_an_offset_proves_no_order() {
        let progress = after_offsets(&[-1001]);
        assert_eq!((progress.acked, progress.gapless, progress.first), (1, false, None));
    }

    #[test]
    fn the_first_failure_by_number_is_told_and_not_the_first_by_time() {
        let place = Place::append(&Arc::from("dc1"), "_schemas");
        let cause = place.fault_of(RDKafkaErrorCode::MessageSizeTooLarge);
        let follows = place.fault_of(RDKafkaErrorCode::GaplessGuarantee);
        let mut ledger = Ledger::new();
        assert!(!ledger.enter(1, Ok(0)));
        assert!(!ledger.enter(3, Err(follows.clone())));
        assert_eq!(ledger.progress.failed, None);
        assert!(ledger.enter(2, Err(cause.clone())));
        assert!(!ledger.enter(4, Err(follows)));
        assert_eq!((ledger.progress.acked, ledger.progress.failed), (1, Some(cause)));
    }
}
