//! One partition read, on a thread of its own.
//!
//! The thread owns a librdkafka consumer that is *assigned* the partition: no membership, no
//! commits, nothing that the source cluster would remember. It wakes when the consumer's queue
//! turns non-empty, takes what is at hand into a batch, and passes it on through a short channel.
//! A reader that nobody empties stops fetching; one that is dropped ends its thread.
//!
//! # The end
//!
//! The end is reached when everything below the high watermark has been given. The watermark asked
//! before the first fetch counts as well as librdkafka's own news of the end, which come up to
//! `fetch.wait.max.ms` later. Commit markers and the gaps that compaction leaves are counted.
//! Behind the end nothing is expected; before it, silence is a fault.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Thread;

use tokio::sync::mpsc;

use crate::core::record::Offset;
use crate::kafka::errors::Place;
use crate::kafka::errors::lock;
use crate::kafka::reader::Reader;
use crate::kafka::reading::Control;
use crate::kafka::reading::Delivery;
use crate::kafka::reading::ReadingConsumer;
use crate::kafka::reading::Seek;
use crate::kafka::reading::partitions_of;
use crate::service::clock::SystemClock;
use crate::service::ports::Batch;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;

/// Batches that wait to be taken. With the batch size it bounds what a slow taker costs: 1 MiB,
/// next to the 2 MiB that librdkafka holds.
const BATCHES_WAITING_MAX: usize = 2;

/// A reader of one partition.
pub struct KafkaLog {
    receiver: mpsc::Receiver<Delivery>,
    control: Arc<Control>,
    thread: Thread,
    place: Place,
    epoch: u64,
    /// The fault that stopped the reading until the next seek.
    stopped_by: Option<Fault>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Log for KafkaLog {
    async fn next(&mut self) -> Result<Batch, Fault> {
        if let Some(fault) = &self.stopped_by {
            return Err(fault.clone());
        }
        loop {
            let Some(delivery) = self.receiver.recv().await else {
                return Err(self.place.fault(FaultClass::Permanent, "its reading thread ended"));
            };
            if delivery.epoch != self.epoch {
                continue;
            }
            if let Err(fault) = &delivery.what
                && fault.class != FaultClass::Transient
            {
                self.stopped_by = Some(fault.clone());
            }
            return delivery.what;
        }
    }

    async fn seek(&mut self, offset: Offset) -> Result<(), Fault> {
        self.epoch = self.epoch.saturating_add(1);
        self.stopped_by = None;
        *lock(&self.control.seek) = Some(Seek { epoch: self.epoch, offset });
        // The thread may wait for room in the channel.
        while self.receiver.try_recv().is_ok() {}
        self.thread.unpark();
        Ok(())
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::Release);
        self.receiver.close();
        self.thread.unpark();
    }
}

/// Makes another client of the same kind.
pub(super) type MakeConsumer = Box<dyn Fn() -> Result<Arc<ReadingConsumer>, Fault> + Send>;

/// What a reader is opened with.
pub(super) struct Opening {
    pub(super) consumer: Arc<ReadingConsumer>,
    pub(super) make: MakeConsumer,
    pub(super) clock: SystemClock,
    pub(super) place: Place,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) from: Offset,
}

/// Starts to read. Blocks while it asks for the log's bounds.
///
/// # Errors
///
/// `Missing` where the topic or the partition does not exist, `OutOfRange` where `from` lies
/// beyond the log's end, and whatever keeps the brokers from answering.
pub(super) fn open(opening: Opening) -> Result<KafkaLog, Fault> {
    let place = opening.place.clone();
    let partitions = partitions_of(&opening.consumer, &opening.topic, &place)?;
    if !partitions.contains(&opening.partition) {
        let cause = format!("it has no partition {}", opening.partition);
        return Err(place.fault(FaultClass::Missing, cause));
    }
    let (sender, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
    let control = Arc::new(Control::default());
    let from = opening.from;
    let mut reader = Reader::new(opening, Arc::clone(&control), sender);
    reader.start_at(from)?;
    // The first characters of a thread's name are what the system's tools show.
    let name = format!("log-{}", reader.topic());
    let handle = std::thread::Builder::new()
        .name(name)
        .spawn(move || reader.run())
        .map_err(|error| place.fault(FaultClass::Transient, format!("no thread: {error}")))?;
    let thread = handle.thread().clone();
    Ok(KafkaLog { receiver, control, thread, place, epoch: 0, stopped_by: None })
}
