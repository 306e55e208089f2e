//! How long a record takes from the source's acknowledgement to a reader of the target.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;

use crate::SOURCE_TOPIC;
use crate::peers::Copier;
use crate::peers::Length;
use crate::peers::Stage;
use crate::version;

/// Records that are timed.
const RECORDS: usize = 250;
/// One after the other, so long apart.
const EVERY: Duration = Duration::from_millis(40);
/// For the first record to arrive, and for one of them.
const ARRIVE_LIMIT: Duration = Duration::from_secs(60);

/// Times each copier while it follows a quiet source.
pub(crate) fn measure(stage: &Stage<'_>, peer: Option<Copier>) {
    println!("\nlive, a record every {} ms, from the acknowledgement on", EVERY.as_millis());
    println!("                  p50      p99");
    let mut copiers = vec![Copier::Bare, Copier::OnePass];
    copiers.extend(peer);
    for (place, copier) in copiers.into_iter().enumerate() {
        let topic = copier.topic(0);
        let mut process = stage.start(copier, &topic, Length::Follow);
        let mut times = follow(stage, &topic, (place + 1) * 1_000_000);
        process.end();
        times.sort();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1_000.0;
        println!("{:<14} {:>5.1} ms {:>5.1} ms", copier.name(), at(50), at(99));
    }
}

fn follow(stage: &Stage<'_>, topic: &str, first: usize) -> Vec<Duration> {
    let (arrived, arrivals) = mpsc::channel();
    let consumer = reader(&stage.target.bootstrap(), topic, stage.target.watermarks(topic).1);
    let (done, ends) = mpsc::channel::<()>();
    let reading = std::thread::spawn(move || {
        while ends.try_recv().is_err() {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(10)) {
                let key = message.key().unwrap_or_default();
                let number = number_of(key).unwrap_or_default();
                if arrived.send((number, Instant::now())).is_err() {
                    return;
                }
            }
        }
    });
    warm_up(stage, &arrivals, first);
    let mut sent = BTreeMap::new();
    for number in first + 10..first + 10 + RECORDS {
        stage.source.produce(SOURCE_TOPIC, &[live_version(number)]);
        sent.insert(number, Instant::now());
        std::thread::sleep(EVERY);
    }
    let mut times = Vec::new();
    while times.len() < RECORDS {
        let (number, at) = arrivals.recv_timeout(ARRIVE_LIMIT).expect("a record");
        if let Some(then) = sent.remove(&number) {
            times.push(at.saturating_duration_since(then));
        }
    }
    done.send(()).unwrap();
    reading.join().unwrap();
    times
}

/// A copier follows from the moment that a record comes through.
fn warm_up(stage: &Stage<'_>, arrivals: &mpsc::Receiver<(usize, Instant)>, number: usize) {
    stage.source.produce(SOURCE_TOPIC, &[live_version(number)]);
    let started = Instant::now();
    loop {
        let (arrived, _) = arrivals.recv_timeout(ARRIVE_LIMIT).expect("the first record");
        if arrived == number {
            return;
        }
        assert!(started.elapsed() < ARRIVE_LIMIT, "the first record does not come");
    }
}

fn live_version(number: usize) -> crate::broker::NewRecord {
    let mut record = version(number);
    let key = format!(r#"{{"keytype":"SCHEMA","subject":"live-{number}","version":1,"magic":1}}"#);
    let value = String::from_utf8(record.value.take().unwrap()).unwrap();
    let (_, rest) = value.split_once(r#","id":"#).unwrap();
    record.key = Some(key.into_bytes());
    record.value =
        Some(format!(r#"{{"subject":"live-{number}","version":1,"id":{rest}"#).into_bytes());
    record
}

fn number_of(key: &[u8]) -> Option<usize> {
    let key = std::str::from_utf8(key).ok()?;
    let (_, rest) = key.split_once("live-")?;
    rest.split_once('"')?.0.parse().ok()
}

fn reader(brokers: &str, topic: &str, from: i64) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "live")
        .set("fetch.wait.max.ms", "100");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(from)).unwrap();
    consumer.assign(&list).unwrap();
    consumer
}
