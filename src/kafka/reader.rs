//! The thread behind a [`KafkaLog`](super::log::KafkaLog): it takes from a consumer what is there, and makes a
//! new one where the old one got no answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::Offset as KafkaOffset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc;

use crate::core::record::Offset;
use crate::core::record::after;
use crate::kafka::ending::end_behind;
use crate::kafka::errors::Place;
use crate::kafka::errors::lock;
use crate::kafka::log::MakeConsumer;
use crate::kafka::log::Opening;
use crate::kafka::reading::Control;
use crate::kafka::reading::Delivery;
use crate::kafka::reading::Heed;
use crate::kafka::reading::LOOKS;
use crate::kafka::reading::Outage;
use crate::kafka::reading::Progress;
use crate::kafka::reading::ReadingConsumer;
use crate::kafka::reading::Shelf;
use crate::kafka::reading::heard_in;
use crate::kafka::reading::serve;
use crate::kafka::settings::ANSWER_WITHIN;
use crate::kafka::settings::RENEWED_AFTER;
use crate::kafka::settings::RENEWED_AFTER_MAX;
use crate::service::clock::SystemClock;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;

/// Records in a batch at most.
const BATCH_RECORDS_MAX: usize = 512;

/// A batch is closed once its keys and values take this much; one record may exceed it.
const BATCH_BYTES_MAX: usize = 512 * 1024;

/// How long the thread sleeps when nothing wakes it. Only a safeguard: records, seeks and the
/// drop of the reader wake it at once.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The pause before a start offset is looked up again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The same transient fault is passed again only after this long.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// A reader that is not at the end and gets nothing for so long is told of: librdkafka reports that
/// all brokers are away, but not that one is which leads the partition. Longer than an election.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// A fresh assignment begins to fetch within this long, and is asked so often.
const SEEK_WITHIN: Duration = Duration::from_secs(5);
const SEEK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// A broker that has just started knows its topics within this long.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

/// Reads one partition.
pub(super) struct Reader {
    consumer: Arc<ReadingConsumer>,
    make: MakeConsumer,
    /// When the consumer was made, or its making was tried, and how long it is kept from then on.
    made_at: Duration,
    renew_after: Duration,
    clock: SystemClock,
    place: Place,
    topic: String,
    partition: i32,
    control: Arc<Control>,
    sender: mpsc::Sender<Delivery>,
    /// Counts the seeks; what was read before the last one is not wanted any more.
    epoch: u64,
    /// Everything below has been taken from the consumer.
    next: Offset,
    /// Where to start, while the brokers could not be asked yet.
    wanted: Option<Offset>,
    /// Since when it tries to read on where it was.
    resumes_since: Option<Duration>,
    /// Where it was when the leader was asked last, and had more.
    behind_at: Option<Offset>,
    /// The high watermark asked before the first fetch, until the end was reached once.
    end_asked: Option<Offset>,
    /// The fetches since the last news of the end began after `end_asked` was known.
    end_confirmed: bool,
    /// A fault that waiting does not mend: nothing is read until the next seek.
    halted: bool,
    /// The transient fault passed last, and when.
    passed: Option<(Fault, Duration)>,
    progress: Progress,
    shelf: Shelf,
    outage: Outage,
}

impl Reader {
    /// One that has not started.
    pub(super) fn new(
        opening: Opening,
        control: Arc<Control>,
        sender: mpsc::Sender<Delivery>,
    ) -> Self {
        Self {
            consumer: opening.consumer,
            make: opening.make,
            made_at: opening.clock.monotonic(),
            renew_after: RENEWED_AFTER,
            clock: opening.clock,
            place: opening.place,
            topic: opening.topic,
            partition: opening.partition,
            control,
            sender,
            epoch: 0,
            next: 0,
            wanted: None,
            resumes_since: None,
            behind_at: None,
            end_asked: None,
            end_confirmed: false,
            halted: false,
            passed: None,
            progress: Progress { at_end: false, moved_at: opening.clock.monotonic() },
            shelf: Shelf::default(),
            outage: Outage::default(),
        }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Reads until nobody listens any more.
    pub(super) fn run(mut self) {
        self.consumer.context().listen();
        while !self.control.stop.load(Ordering::Acquire) {
            if !self.step() {
                break;
            }
        }
        tracing::debug!(topic = self.topic, partition = self.partition, "reading ended");
    }

    /// Passes on what is at hand, or sleeps. False when nobody listens any more.
    fn step(&mut self) -> bool {
        let seek = lock(&self.control.seek).take();
        if let Some(seek) = seek {
            self.epoch = seek.epoch;
            self.wanted = Some(seek.offset);
            self.passed = None;
            self.resumes_since = None;
        }
        if let Some(offset) = self.wanted
            && let Err(fault) = self.start_at(offset)
        {
            if fault.class == FaultClass::Transient {
                self.renew();
            }
            let listened = self.may_pass(&fault) || self.pass_fault(fault);
            std::thread::park_timeout(RETRY_AFTER);
            return listened;
        }
        let served = self.consumer.context().served();
        let (batch, error) = self.take_at_hand();
        let heard = error.map(|error| heard_in(&error, &self.place, self.consumer.context()));
        let now = self.clock.monotonic();
        if self.consumer.context().take_failed() {
            self.outage.doubt(now);
        }
        let heed = self.outage.heed(heard, now);
        let fault = match heed {
            Heed::Nothing => None,
            Heed::Tell(fault) => Some(fault),
            Heed::Ask => self.ask(),
        };
        if batch.is_none() && fault.is_none() {
            if let Some(silence) = self.silence() {
                return self.pass_fault(silence);
            }
            // An outage leaves hundreds of lines there, `debug` leaves thousands.
            if self.consumer.context().served() == served {
                std::thread::park_timeout(LOOK_AGAIN_AFTER);
            }
            return true;
        }
        let moved = batch.is_some();
        let listened = batch.is_none_or(|batch| self.pass(Ok(batch)))
            && fault.is_none_or(|fault| self.pass_fault(fault));
        if moved {
            // Whoever takes the batches may have taken their time.
            self.progress.moved_at = self.clock.monotonic();
        }
        listened
    }

    /// A broker that has just started does not know its topics, or their ends, for a moment: who reads on is
    /// not stopped by it.
    fn may_pass(&self, fault: &Fault) -> bool {
        let now = self.clock.monotonic();
        let resumed = self.resumes_since.map(|since| now.saturating_sub(since));
        matches!(fault.class, FaultClass::Missing | FaultClass::OutOfRange)
            && resumed.is_some_and(|resumed| resumed < KNOWN_WITHIN)
    }

    /// The fault of a leader that says nothing; told again after as long a time. Behind the end it is
    /// asked whether that is still there.
    fn silence(&mut self) -> Option<Fault> {
        let now = self.clock.monotonic();
        if self.halted || now.saturating_sub(self.progress.moved_at) < SILENT_MAX {
            return None;
        }
        self.progress.moved_at = now;
        if self.progress.at_end {
            return self.ask();
        }
        self.begin_anew();
        let (silent_s, next) = (SILENT_MAX.as_secs(), self.next);
        let cause =
            format!("nothing came from offset {next} on for {silent_s} s; is its leader up?");
        Some(self.place.fault(FaultClass::Transient, cause))
    }

    /// Asks the leader where the log ends. Where it does not say, or there is more behind an end that
    /// was reached and nothing of it came since this was asked last, another client goes on.
    fn ask(&mut self) -> Option<Fault> {
        // What stopped it is not mended by an answer.
        if self.halted {
            return None;
        }
        match self.bounds() {
            Ok((_, end)) => {
                let (is_behind, at) = (self.progress.at_end && end > self.next, Some(self.next));
                if is_behind && self.behind_at == at {
                    self.begin_anew();
                } else if is_behind {
                    self.behind_at = at;
                    self.outage.doubt(self.clock.monotonic());
                }
                None
            }
            Err(fault) if fault.class == FaultClass::Transient => {
                self.begin_anew();
                Some(fault)
            }
            // A broker that has just started does not know its topics yet; that one is gone is said unasked.
            Err(fault) if fault.class == FaultClass::Missing => {
                tracing::debug!(topic = self.topic, "the leader is asked again: {fault}");
                self.outage.doubt(self.clock.monotonic());
                None
            }
            Err(fault) => Some(fault),
        }
    }

    /// Reads on from where it is with a new client.
    fn begin_anew(&mut self) {
        self.wanted = Some(self.next);
        self.resumes_since = Some(self.clock.monotonic());
        self.renew();
    }

    /// Takes a new client in the place of the old one. librdkafka (2.12) forgets every broker that an
    /// answer to a request for metadata does not list, and a broker that has just started, alone in its
    /// cluster, lists none: such a client has nobody left to ask, and says nothing any more.
    fn renew(&mut self) {
        let now = self.clock.monotonic();
        let is_young = now.saturating_sub(self.made_at) < self.renew_after;
        if is_young || self.control.stop.load(Ordering::Acquire) {
            return;
        }
        self.made_at = now;
        self.renew_after = self.renew_after.saturating_mul(2).min(RENEWED_AFTER_MAX);
        match (self.make)() {
            Ok(made) => {
                made.context().listen();
                end_behind(std::mem::replace(&mut self.consumer, made));
            }
            Err(fault) => tracing::debug!(topic = self.topic, "the client stays: {fault}"),
        }
    }

    /// Reads the partition from an offset on, or from the log's start where that is later and nothing was
    /// read before.
    pub(super) fn start_at(&mut self, offset: Offset) -> Result<(), Fault> {
        let asked = self.consumer.fetch_watermarks(&self.topic, self.partition, ANSWER_WITHIN);
        let (start, end) = asked.map_err(|error| {
            // Its reasons; records come again once it reads.
            serve(&self.consumer);
            self.place.fault_from(&error, self.consumer.context())
        })?;
        if offset < start && self.resumes_since.is_some() {
            let cause = format!("the log begins at {start}, behind offset {offset}");
            return Err(self.place.fault(FaultClass::OutOfRange, cause));
        }
        if offset > end {
            let cause = format!("the log ends at {end}, before offset {offset}");
            return Err(self.place.fault(FaultClass::OutOfRange, cause));
        }
        self.go_to(offset.max(start))?;
        self.end_asked = Some(end);
        self.end_confirmed = false;
        self.wanted = None;
        self.resumes_since = None;
        self.halted = false;
        self.outage.over();
        self.progress = Progress { at_end: false, moved_at: self.clock.monotonic() };
        Ok(())
    }

    fn bounds(&self) -> Result<(Offset, Offset), Fault> {
        let asked = self.consumer.fetch_watermarks(&self.topic, self.partition, ANSWER_WITHIN);
        asked.map_err(|error| self.place.fault_from(&error, self.consumer.context()))
    }

    /// Reads on from an offset. A partition that is assigned is sought in, not assigned again:
    /// librdkafka ends the process (an assertion on `rktp_started`) when a partition is assigned
    /// again while it still stops its earlier assignment.
    fn go_to(&mut self, start: Offset) -> Result<(), Fault> {
        let mut list = TopicPartitionList::new();
        let said = self.consumer.context();
        list.add_partition_offset(&self.topic, self.partition, KafkaOffset::Offset(start))
            .map_err(|error| self.place.fault_from(&error, said))?;
        let is_assigned = self.consumer.assignment().is_ok_and(|held| held.count() > 0);
        if is_assigned {
            self.seek_to(&list)?;
        } else {
            let assigned = self.consumer.assign(&list);
            assigned.map_err(|error| self.place.fault_from(&error, said))?;
        }
        self.next = start;
        Ok(())
    }

    /// Seeks; an assignment that has not begun to fetch can't yet, so it is asked again.
    fn seek_to(&self, list: &TopicPartitionList) -> Result<(), Fault> {
        let said = self.consumer.context();
        let deadline = self.clock.monotonic().saturating_add(SEEK_WITHIN);
        loop {
            let answer = self.consumer.seek_partitions(list.clone(), ANSWER_WITHIN);
            let sought = answer.and_then(|sought| {
                sought.elements().iter().try_for_each(|element| element.error())
            });
            match sought {
                Ok(()) => return Ok(()),
                Err(error) if self.clock.monotonic() >= deadline => {
                    return Err(self.place.fault_from(&error, said));
                }
                Err(_) => std::thread::park_timeout(SEEK_AGAIN_AFTER),
            }
        }
    }

    /// Takes what the consumer has ready, without waiting.
    fn take_at_hand(&mut self) -> (Option<Batch>, Option<KafkaError>) {
        let mut batch = Batch { next: self.next, ..Batch::default() };
        let mut bytes: usize = 0;
        let mut looks: usize = 0;
        let mut failed = None;
        let mut end_news = false;
        while batch.records.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX && looks < LOOKS {
            match self.consumer.poll(Duration::ZERO) {
                None => looks = looks.saturating_add(1),
                Some(Ok(message)) => {
                    if message.offset() < batch.next {
                        continue;
                    }
                    bytes = bytes
                        .saturating_add(message.key_len())
                        .saturating_add(message.payload_len());
                    batch.next = after(message.offset());
                    batch.records.push(self.shelf.record_of(&message));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    end_news = true;
                    break;
                }
                Some(Err(error)) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if self.halted {
            return (None, None);
        }
        if !batch.records.is_empty() {
            self.passed = None;
        }
        if !batch.records.is_empty() || end_news {
            self.outage.over();
            self.renew_after = RENEWED_AFTER;
            // A reader that goes back to confirm the end is not there yet.
            self.progress = Progress { at_end: false, moved_at: self.clock.monotonic() };
        }
        self.next = batch.next;
        batch.at_end = if end_news { self.reached_end() } else { self.reached_asked_end() };
        self.progress.at_end |= batch.at_end;
        batch.next = self.next;
        let worth_passing = batch.at_end || !batch.records.is_empty();
        (worth_passing.then_some(batch), failed)
    }

    /// The end that was asked for before reading began is reached by what was taken.
    fn reached_asked_end(&mut self) -> bool {
        let reached = self.end_asked.is_some_and(|end| self.next >= end);
        if reached {
            self.end_asked = None;
        }
        reached
    }

    /// librdkafka says that the end is reached. Moves `next` over what is no record.
    ///
    /// The consumer's position counts commit markers (librdkafka moves it over control records
    /// when it is polled). It does not count offsets that compaction left empty, so a position
    /// below the watermark asked at the start is checked by reading once more from there: the
    /// leader tells a watermark only when its own has caught up (KIP-207), and a fetch after that
    /// which finds nothing proves that nothing is there.
    fn reached_end(&mut self) -> bool {
        self.next = self.next.max(self.position());
        let Some(end) = self.end_asked else {
            return true;
        };
        if self.next >= end {
            self.end_asked = None;
            return true;
        }
        if self.end_confirmed {
            self.next = end;
            self.end_asked = None;
            return true;
        }
        match self.bounds().and_then(|(_, end)| self.go_to(self.next).map(|()| end)) {
            Ok(end) => {
                self.end_asked = Some(end);
                self.end_confirmed = true;
                false
            }
            Err(fault) => {
                tracing::debug!("the end is taken from the last record: {fault}");
                self.end_asked = None;
                true
            }
        }
    }

    fn position(&self) -> Offset {
        let positions = self.consumer.position().ok();
        let ours = positions.as_ref().and_then(|positions| {
            let found = positions.find_partition(&self.topic, self.partition)?;
            match found.offset() {
                KafkaOffset::Offset(position) => Some(position),
                KafkaOffset::Beginning
                | KafkaOffset::End
                | KafkaOffset::Stored
                | KafkaOffset::Invalid
                | KafkaOffset::OffsetTail(_) => None,
            }
        });
        ours.unwrap_or(self.next)
    }

    fn pass_fault(&mut self, fault: Fault) -> bool {
        if fault.class != FaultClass::Transient {
            self.halt();
            return self.pass(Err(fault));
        }
        let now = self.clock.monotonic();
        if let Some((last, at)) = &self.passed
            && last.class == fault.class
            && now.saturating_sub(*at) < REPEAT_AFTER
        {
            return true;
        }
        self.passed = Some((fault.clone(), now));
        self.pass(Err(fault))
    }

    fn halt(&mut self) {
        self.halted = true;
        self.wanted = None;
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!(topic = self.topic, "unassign: {error}");
        }
    }

    fn pass(&self, what: Result<Batch, Fault>) -> bool {
        self.sender.blocking_send(Delivery { epoch: self.epoch, what }).is_ok()
    }
}
