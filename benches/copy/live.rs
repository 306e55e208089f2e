//! How long a record takes from the source's acknowledgement to a reader of the target.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;
use rdkafka::producer::BaseRecord;
use rdkafka::producer::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::producer::ThreadedProducer;

use crate::COMPACTED;
use crate::peers::Copier;
use crate::peers::Length;
use crate::peers::Stage;
use crate::versions::State;
use crate::versions::version_of;

/// How records come.
#[derive(Clone, Copy)]
struct Pace {
    /// Records that are timed.
    records: usize,
    /// One after the other, so long apart.
    every: Duration,
}

/// A registry that is used now and then.
const QUIET: Pace = Pace { records: 250, every: Duration::from_millis(40) };
/// More registrations than a registry takes: 1,000 a second for a minute.
const BUSY: Pace = Pace { records: 60_000, every: Duration::from_millis(1) };
/// For the first record to arrive, and for one of them.
const ARRIVE_LIMIT: Duration = Duration::from_secs(60);
/// Records before the first that is timed.
const WARMING: usize = 10;

/// Times each copier while it follows a quiet source.
pub(crate) fn measure(stage: &Stage<'_>, peer: Option<Copier>) {
    println!("\nlive, a record every {} ms, from the acknowledgement on", QUIET.every.as_millis());
    let mut copiers = vec![Copier::Bare, Copier::OnePass];
    copiers.extend(peer);
    time(stage, &copiers, "live", QUIET);
}

/// The same with more registrations than there ever are.
pub(crate) fn measure_rate(stage: &Stage<'_>) {
    println!("\nlive, {} records, one every {:?}", BUSY.records, BUSY.every);
    time(stage, &[Copier::Bare, Copier::OnePass], "rate", BUSY);
}

fn time(stage: &Stage<'_>, copiers: &[Copier], scene: &str, pace: Pace) {
    println!("                  p50      p99      most   of the bare p99   CPU     resident");
    let mut bare_p99 = None;
    for (place, copier) in copiers.iter().enumerate() {
        // MirrorMaker 2 keeps the name.
        let topic = if *copier == Copier::MirrorMaker {
            copier.topic(0)
        } else {
            format!("{scene}-{place}")
        };
        if stage.target.watermarks_if_there(&topic).is_none() {
            stage.target.create_topic(&topic, 1, &COMPACTED);
        }
        let mut process = stage.start(*copier, &topic, Length::Follow);
        let timed = follow(stage, &topic, &format!("{scene}-{place}"), pace, || process.look());
        let used = process.copy(0.0, 0.0);
        process.end();
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let at = |share: usize| ms(timed[(timed.len() * share / 100).min(timed.len() - 1)]);
        let bare = *bare_p99.get_or_insert_with(|| at(99));
        println!(
            "{:<14} {:>5.1} ms {:>5.1} ms {:>6.1} ms   {:>5.2} ×   {:>6.2} s {:>6.0} MB",
            copier.name(),
            at(50),
            at(99),
            at(100),
            at(99) / bare,
            used.cpu_s,
            used.resident_mb,
        );
    }
}

/// When a record was acknowledged, or seen, by its number.
type Seen = (usize, Instant);

fn follow(
    stage: &Stage<'_>,
    topic: &str,
    name: &str,
    pace: Pace,
    mut look: impl FnMut(),
) -> Vec<Duration> {
    let (arrived, arrivals) = mpsc::channel();
    let (done, ends) = mpsc::channel::<()>();
    let from = stage.target.watermarks(topic).1;
    let reading = read(reader(&stage.target.bootstrap(), topic, from), name, arrived, ends);
    let (acked, acks) = mpsc::channel();
    let sender = Sender { producer: producer(&stage.source.bootstrap(), acked), name, stage };
    // A copier follows from the moment that a record comes through.
    sender.send(0);
    let (first, _) = arrivals.recv_timeout(ARRIVE_LIMIT).expect("the first record");
    assert_eq!(first, 0);
    let begun = Instant::now();
    for number in 1..=WARMING + pace.records {
        let due = begun + pace.every * u32::try_from(number).unwrap();
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        sender.send(number);
        if number % 100 == 0 {
            look();
        }
    }
    let mut sent = BTreeMap::new();
    let mut times = Vec::new();
    while times.len() < pace.records {
        let (number, at) = arrivals.recv_timeout(ARRIVE_LIMIT).expect("a record");
        while let Some((number, at)) = acks.try_iter().next() {
            sent.insert(number, at);
        }
        if number > WARMING {
            let then = sent.remove(&number).expect("it was acknowledged, and comes once");
            times.push(at.saturating_duration_since(then));
        }
    }
    look();
    done.send(()).unwrap();
    reading.join().unwrap();
    times.sort();
    times
}

fn read(
    consumer: BaseConsumer,
    name: &str,
    arrived: mpsc::Sender<Seen>,
    ends: mpsc::Receiver<()>,
) -> JoinHandle<()> {
    let mark = format!("{name}-");
    std::thread::spawn(move || {
        while ends.try_recv().is_err() {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(10))
                && let Some(number) = number_of(message.key().unwrap_or_default(), &mark)
                && arrived.send((number, Instant::now())).is_err()
            {
                return;
            }
        }
    })
}

/// Registers subjects of one version.
struct Sender<'a> {
    producer: ThreadedProducer<Acks>,
    name: &'a str,
    stage: &'a Stage<'a>,
}

impl Sender<'_> {
    fn send(&self, number: usize) {
        let id = self.stage.versions * 10 + number;
        let record = version_of(&format!("{}-{number}", self.name), 1, id, State::Live);
        let mut sent = BaseRecord::with_opaque_to(self.stage.topic, number);
        sent.key = record.key.as_ref();
        sent.payload = record.value.as_ref();
        self.producer.send(sent).map_err(|(error, _)| error).unwrap();
    }
}

/// Notes when records are acknowledged.
struct Acks(mpsc::Sender<Seen>);

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, number: usize) {
        assert!(report.is_ok(), "record {number} was not taken");
        // Nobody asks any more at the end.
        self.0.send((number, Instant::now())).ok();
    }
}

fn producer(brokers: &str, acked: mpsc::Sender<Seen>) -> ThreadedProducer<Acks> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("linger.ms", "0").set("acks", "all");
    config.create_with_context(Acks(acked)).unwrap()
}

fn number_of(key: &[u8], mark: &str) -> Option<usize> {
    let key = std::str::from_utf8(key).ok()?;
    let (_, rest) = key.split_once(mark)?;
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
