//! A small topic read once, all its partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::Offset as KafkaOffset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;

use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::record::after;
use crate::kafka::errors::Place;
use crate::kafka::reading::Heed;
use crate::kafka::reading::Outage;
use crate::kafka::reading::ReadingConsumer;
use crate::kafka::reading::Shelf;
use crate::kafka::reading::heard_in;
use crate::kafka::reading::partitions_of;
use crate::kafka::settings::ANSWER_WITHIN;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;

/// How long nothing may come before the scan gives up. Longer than an election of a leader.
const SILENT_MAX: Duration = Duration::from_secs(20);

/// One wait for the consumer.
const POLL: Duration = Duration::from_millis(100);

/// Reads every partition of a topic from its start to the end it has now. Blocks.
///
/// # Errors
///
/// A partition of which the end was not reached is a fault, never a shorter list.
pub(super) fn read_all(
    consumer: &ReadingConsumer,
    topic: &str,
    place: &Place,
) -> Result<Vec<Record>, Fault> {
    let said = consumer.context();
    let partitions = partitions_of(consumer, topic, place)?;
    let starts = offsets(consumer, topic, &partitions, KafkaOffset::Beginning, place)?;
    let ends = offsets(consumer, topic, &partitions, KafkaOffset::End, place)?;
    // Empty partitions are not read at all: each would cost a broker's wait for records.
    let mut open: BTreeMap<i32, Offset> = ends
        .into_iter()
        .filter(|(partition, end)| starts.get(partition).is_some_and(|start| start < end))
        .collect();
    let mut list = TopicPartitionList::new();
    for (partition, start) in starts.iter().filter(|(partition, _)| open.contains_key(partition)) {
        list.add_partition_offset(topic, *partition, KafkaOffset::Offset(*start))
            .map_err(|error| place.fault_from(&error, said))?;
    }
    consumer.assign(&list).map_err(|error| place.fault_from(&error, said))?;
    collect(consumer, &mut open, place)
}

/// The first offset of partition 0 whose record has this time or a later one. Blocks.
///
/// # Errors
///
/// The leader's answer, or that there is none.
pub(super) fn first_since(
    consumer: &ReadingConsumer,
    topic: &str,
    time_ms: i64,
    place: &Place,
) -> Result<Option<Offset>, Fault> {
    let fault = |error: KafkaError| place.fault_from(&error, consumer.context());
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, KafkaOffset::Offset(time_ms)).map_err(fault)?;
    let answered = consumer.offsets_for_times(list, ANSWER_WITHIN).map_err(fault)?;
    let Some(first) = answered.elements().into_iter().next() else { return Ok(None) };
    first.error().map_err(fault)?;
    // Where no record is as late, the end comes back.
    Ok(first.offset().to_raw().filter(|offset| *offset >= 0))
}

/// The starts or the ends of all partitions, asked for at once: librdkafka passes the time that is
/// asked for on to the broker, where -2 means the start and -1 the end (`ListOffsets`).
pub(super) fn offsets(
    consumer: &ReadingConsumer,
    topic: &str,
    partitions: &[i32],
    which: KafkaOffset,
    place: &Place,
) -> Result<BTreeMap<i32, Offset>, Fault> {
    let fault = |error: KafkaError| place.fault_from(&error, consumer.context());
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, *partition, which).map_err(fault)?;
    }
    let answered = consumer.offsets_for_times(list, ANSWER_WITHIN).map_err(fault)?;
    let mut found = BTreeMap::new();
    for element in answered.elements() {
        element.error().map_err(fault)?;
        match element.offset() {
            KafkaOffset::Offset(offset) => {
                found.insert(element.partition(), offset);
            }
            KafkaOffset::Beginning
            | KafkaOffset::End
            | KafkaOffset::Stored
            | KafkaOffset::Invalid
            | KafkaOffset::OffsetTail(_) => {
                let cause = format!("partition {} does not tell its bounds", element.partition());
                return Err(place.fault(FaultClass::Transient, cause));
            }
        }
    }
    Ok(found)
}

/// Polls until every open partition has been read to its end.
fn collect(
    consumer: &ReadingConsumer,
    open: &mut BTreeMap<i32, Offset>,
    place: &Place,
) -> Result<Vec<Record>, Fault> {
    let mut found: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    let mut shelf = Shelf::default();
    let mut outage = Outage::default();
    let mut silent = Duration::ZERO;
    while !open.is_empty() {
        let polled = consumer.poll(POLL);
        if matches!(polled, Some(Ok(_) | Err(KafkaError::PartitionEOF(_)))) {
            silent = Duration::ZERO;
            outage.over();
        }
        let mut heard = None;
        match polled {
            None => silent = silent.saturating_add(POLL),
            Some(Ok(message)) => {
                let partition = message.partition();
                let Some(end) = open.get(&partition).copied() else {
                    // Behind the end: left to whoever follows the topic.
                    continue;
                };
                if message.offset() < end {
                    found.entry(partition).or_default().push(shelf.record_of(&message));
                }
                if after(message.offset()) >= end {
                    open.remove(&partition);
                }
            }
            // Comes where the last offsets hold no records.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => heard = Some(heard_in(&error, place, consumer.context())),
        }
        // Whether the leader is there shows soon enough here.
        if let Heed::Tell(fault) = outage.heed(heard, silent) {
            return Err(fault);
        }
        if silent >= SILENT_MAX {
            let cause = format!("{} of its partitions do not answer", open.len());
            return Err(place.fault(FaultClass::Transient, cause));
        }
    }
    Ok(found.into_values().flatten().collect())
}
