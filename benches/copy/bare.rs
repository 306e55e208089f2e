//! The bare copy: consume, produce, nothing else, by the same librdkafka with the settings that
//! `src/kafka/settings.rs` gives reader and appender. And the bare read, of both topics at once. Each
//! runs as a process of its own.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::BaseProducer;
use rdkafka::producer::BaseRecord;
use rdkafka::producer::Producer;

/// The first argument of the process.
pub(crate) const WORD: &str = "--bare";
/// Goes on after the end of the source.
pub(crate) const FOLLOW: &str = "--follow";
/// Reads both topics to their ends.
pub(crate) const READ: &str = "--read";

const WAIT: Duration = Duration::from_millis(100);
const FLUSH: Duration = Duration::from_secs(60);

/// `SOURCE TOPIC TARGET TOPIC [--follow | --read]`
pub(crate) fn run(given: &[String]) {
    let [from, source_topic, to, topic, rest @ ..] = given else {
        panic!("{WORD} SOURCE TOPIC TARGET TOPIC")
    };
    if rest.iter().any(|word| word == READ) {
        std::thread::scope(|scope| {
            scope.spawn(|| read(&consumer(from, source_topic)));
            scope.spawn(|| read(&consumer(to, topic)));
        });
        return;
    }
    let follows = rest.iter().any(|word| word == FOLLOW);
    let producer: BaseProducer = settings(
        to,
        &[
            ("compression.type", "lz4"),
            ("linger.ms", if follows { "0" } else { "20" }),
            ("queue.buffering.max.kbytes", "16384"),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("max.in.flight", "5"),
        ],
    );
    // It gets its idempotent id by this, which takes up to a second otherwise.
    producer.client().fetch_metadata(Some(topic), FLUSH).unwrap();
    let consumer = consumer(from, source_topic);
    loop {
        match consumer.poll(WAIT) {
            None => {}
            Some(Ok(message)) => send(&producer, topic, &message),
            Some(Err(KafkaError::PartitionEOF(_))) if follows => {}
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            Some(Err(error)) => panic!("read: {error}"),
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(FLUSH).unwrap();
}

fn consumer(from: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = settings(
        from,
        &[
            ("group.id", "bare"),
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "50"),
            ("queued.max.messages.kbytes", "8192"),
            ("fetch.wait.max.ms", "100"),
            ("check.crcs", "true"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_uncommitted"),
        ],
    );
    consumer.fetch_metadata(Some(topic), FLUSH).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    consumer
}

fn read(consumer: &BaseConsumer) {
    loop {
        match consumer.poll(WAIT) {
            None | Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(_))) => return,
            Some(Err(error)) => panic!("read: {error}"),
        }
    }
}

fn send(producer: &BaseProducer, topic: &str, message: &impl Message) {
    loop {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0);
        record.key = message.key();
        record.payload = message.payload();
        record.timestamp = message.timestamp().to_millis();
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => panic!("write: {error}"),
        }
    }
}

fn settings<C: rdkafka::config::FromClientConfig>(brokers: &str, more: &[(&str, &str)]) -> C {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    for (name, value) in more {
        config.set(*name, *value);
    }
    config.create().unwrap()
}
