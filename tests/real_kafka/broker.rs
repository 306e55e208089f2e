//! One Apache Kafka broker per [`Broker`], run from its own jars, on its own ports and data folder.
//!
//! A `Broker` is killed when it is dropped, and also when the test process dies in any other way.
//! Everything here panics when it fails, with the operation, the object and the cause.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Child,
    slice,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier,
        TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tempfile::TempDir;

use crate::message::{NewRecord, Record};
use crate::process::{
    Port, Setup, block_on, dismiss_watcher, format_storage, launch, limit_files, new_folder,
    poll_until, run_tool, send_signal, write_settings,
};

/// For a broker to answer: ten times what it needs on two free cores.
const START_LIMIT: Duration = Duration::from_secs(60);
/// For a broker to end by itself after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// For one answer of a broker that runs, and for what it was told to become visible.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// For a record to be acknowledged, outages of the broker included, before another producer sends it. An
/// idempotent one of librdkafka 2.12 was seen to send nothing any more behind a broker that was killed.
const ACKED_WITHIN: Duration = Duration::from_secs(15);
/// The code of such a record.
const STUCK: RDKafkaErrorCode = RDKafkaErrorCode::MessageTimedOut;
/// So many producers try it.
const PRODUCERS_MAX: usize = 20;
/// For one whole topic to be read.
const READ_LIMIT: Duration = Duration::from_secs(60);
/// For the log cleaner, which looks every 100 ms here.
const CLEAN_LIMIT: Duration = Duration::from_secs(60);
/// For one metadata request, or one record, before the next look.
const REQUEST_LIMIT: Duration = Duration::from_millis(500);
/// Lines of a broker's log that a failed test prints.
const LOG_LINES_SHOWN: usize = 30;

/// Topic settings with which a record is cleaned about a second after it was overwritten.
pub(crate) const COMPACT_SOON: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0")];
/// Added to [`COMPACT_SOON`]: tombstones go as soon as they may.
pub(crate) const EXPIRE_SOON: (&str, &str) = ("delete.retention.ms", "100");

/// The broker that tests read from when they need none of their own, each with its own topics.
/// Other tests are at it too, so nobody stops, kills or pauses it.
pub(crate) fn shared_source() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(|| Broker::start("shared-source"))
}

/// The broker that tests write to, under the same terms as [`shared_source`].
pub(crate) fn shared_target() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(|| Broker::start("shared-target"))
}

/// One Apache Kafka broker that is its own controller.
pub(crate) struct Broker {
    /// None while it is down.
    java: Mutex<Option<Child>>,
    port: Port,
    /// Held, not read: nobody else takes the port while the broker is down.
    _controller_port: Port,
    /// Made at the first use; they find the broker again after a restart.
    clients: OnceLock<Clients>,
    setup: Setup,
    folder: TempDir,
}

impl Broker {
    /// A broker with the settings that all of them have.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// The same with lines of `server.properties` that add to the settings or replace them.
    pub(crate) fn start_with(name: &str, properties: &[(&str, &str)]) -> Self {
        Self::start_on(name, [Port::reserve(), Port::reserve()], properties)
    }

    /// The same on ports that are known before.
    pub(crate) fn start_on(name: &str, ports: [Port; 2], properties: &[(&str, &str)]) -> Self {
        let lines = properties.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let setup = Setup { properties: lines.collect(), ..Setup::default() };
        Self::new(name, ports, setup)
    }

    /// The same with more listeners, users and arguments.
    pub(crate) fn start_as(name: &str, setup: Setup) -> Self {
        Self::new(name, [Port::reserve(), Port::reserve()], setup)
    }

    fn new(name: &str, [port, controller_port]: [Port; 2], setup: Setup) -> Self {
        let folder = new_folder(name);
        write_settings(folder.path(), [&port, &controller_port], &setup);
        format_storage(folder.path(), &setup);
        let broker = Self {
            java: Mutex::new(None),
            port,
            _controller_port: controller_port,
            clients: OnceLock::new(),
            setup,
            folder,
        };
        broker.restart();
        broker
    }

    /// Runs one of Kafka's own tools against it.
    pub(crate) fn run_tool(&self, class: &str, arguments: &[String]) {
        let at = ["--bootstrap-server".to_owned(), self.bootstrap()];
        let words = at.iter().chain(arguments).map(String::as_str);
        run_tool(self.folder.path(), class, &words.collect::<Vec<_>>());
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    /// SIGKILL; nothing happens when it is down already.
    pub(crate) fn kill(&self) {
        if let Some(mut java) = self.java().take() {
            java.kill().unwrap();
            // Before the process is reaped: a number that is free again may be somebody else's.
            dismiss_watcher(&mut java);
            java.wait().unwrap();
        }
    }

    /// Starts it where it is down.
    pub(crate) fn restart_if_down(&self) {
        let down = self.java().is_none();
        if down {
            self.restart();
        }
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&self) {
        let mut running = self.java();
        let java = running.as_mut().expect("a broker that is down cannot be stopped");
        send_signal(java, "TERM");
        poll_until(STOP_LIMIT, "the broker ends after SIGTERM", || java.try_wait().unwrap());
        dismiss_watcher(java);
        *running = None;
    }

    /// SIGSTOP: connections stay open, nothing is answered.
    pub(crate) fn pause(&self) {
        send_signal(self.java().as_ref().expect("a broker that is down cannot pause"), "STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        send_signal(self.java().as_ref().expect("a broker that is down cannot resume"), "CONT");
    }

    /// Starts it where it is down, on the same data and ports, and waits until it answers.
    pub(crate) fn restart(&self) {
        let mut running = self.java();
        assert!(running.is_none(), "broker {} runs already", self.bootstrap());
        let java = running.insert(launch(self.folder.path(), &self.setup));
        let asking: BaseConsumer = self.client_config().create().unwrap();
        poll_until(START_LIMIT, "the broker answers", || {
            let ended = java.try_wait().unwrap();
            assert!(ended.is_none(), "broker {} ended at its start: {ended:?}", self.bootstrap());
            // Only a broker that its controller let in is listed.
            let metadata = asking.fetch_metadata(None, REQUEST_LIMIT).ok()?;
            (metadata.brokers().len() == 1).then_some(())
        });
    }

    /// Waits until it has ended by itself. It is down then.
    pub(crate) fn wait_for_its_end(&self) {
        let mut running = self.java();
        let java = running.as_mut().expect("a broker that is down cannot end");
        poll_until(START_LIMIT, "the broker ends by itself", || java.try_wait().unwrap());
        dismiss_watcher(java);
        *running = None;
    }

    /// From now on no file of it grows beyond the longest segment of this topic and so many bytes.
    /// Its next start knows nothing of that.
    pub(crate) fn limit_files(&self, topic: &str, room_bytes: u64) -> u64 {
        let files = fs::read_dir(self.folder.path().join(format!("data/{topic}-0"))).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let segments = paths.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        let longest = segments.map(|path| fs::metadata(path).unwrap().len()).max().unwrap();
        let longest = longest.saturating_add(room_bytes);
        limit_files(self.java().as_ref().expect("a broker that runs"), longest);
        longest
    }

    /// Sets what a client of this id may do.
    pub(crate) fn configure_client(&self, client_id: &str, settings: &str) {
        let words = ["--alter", "--add-config", settings];
        let whom = ["--entity-type", "clients", "--entity-name", client_id];
        let words = words.iter().chain(&whom).map(|&word| word.to_owned());
        self.run_tool("kafka.admin.ConfigCommand", &words.collect::<Vec<_>>());
    }

    /// Creates a topic without replicas and waits until its partitions have leaders that answer.
    pub(crate) fn create_topic(&self, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (key, value) in configs {
            new = new.set(key, value);
        }
        let results = block_on(self.admin().create_topics([&new], &AdminOptions::new())).unwrap();
        results.into_iter().for_each(|made| drop(made.unwrap()));
        // A leader that was just made may not know yet that it is one.
        for partition in self.partitions(topic) {
            poll_until(ANSWER_LIMIT, &format!("{topic} {partition} answers"), || {
                let asked = self.admin().inner().fetch_watermarks(topic, partition, REQUEST_LIMIT);
                asked.ok()
            });
        }
    }

    /// Deletes a topic and waits until the broker no longer knows it.
    pub(crate) fn delete_topic(&self, topic: &str) {
        let results = block_on(self.admin().delete_topics(&[topic], &AdminOptions::new())).unwrap();
        results.into_iter().for_each(|gone| drop(gone.unwrap()));
        poll_until(ANSWER_LIMIT, &format!("topic {topic} is gone"), || {
            let metadata = self.admin().inner().fetch_metadata(Some(topic), REQUEST_LIMIT).ok()?;
            metadata.topics().iter().all(|t| t.error().is_some()).then_some(())
        });
    }

    /// Sets some of a topic's configuration; what was set before stays.
    pub(crate) fn alter_topic(&self, topic: &str, configs: &[(&str, &str)]) {
        let mut all = self.topic_configs(topic);
        all.extend(configs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
        self.replace_topic_configs(topic, &all);
    }

    /// What is set on the topic itself, without what it inherits.
    pub(crate) fn topic_configs(&self, topic: &str) -> BTreeMap<String, String> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let answer = self.admin().describe_configs(&asked, &AdminOptions::new());
        let resources = block_on(answer).unwrap().into_iter().map(Result::unwrap);
        let entries = resources.flat_map(|resource| resource.entries);
        let own = entries.filter(|entry| entry.source == ConfigSource::DynamicTopic);
        own.filter_map(|entry| Some((entry.name, entry.value?))).collect()
    }

    /// Deletes the records of partition 0 that lie before an offset.
    ///
    /// Brokers refuse that where the policy is `compact` alone, so `delete` is added for the while,
    /// and retention, which then would delete old records too, is switched off.
    pub(crate) fn delete_records(&self, topic: &str, before: i64) {
        let configs = self.topic_configs(topic);
        let policy = ("cleanup.policy", "compact,delete");
        self.alter_topic(topic, &[policy, ("retention.ms", "-1"), ("retention.bytes", "-1")]);
        let mut ends = TopicPartitionList::new();
        ends.add_partition_offset(topic, 0, Offset::Offset(before)).unwrap();
        poll_until(ANSWER_LIMIT, &format!("{topic} may be cut at {before}"), || {
            let answer = self.admin().delete_records(&ends, &AdminOptions::new());
            let cut = block_on(answer).unwrap();
            match cut.elements().iter().find_map(|element| element.error().err()) {
                None => Some(()),
                // A log learns of its new policy a moment after the broker has confirmed it.
                Some(KafkaError::OffsetFetch(RDKafkaErrorCode::PolicyViolation)) => None,
                Some(error) => panic!("delete records of {topic} before {before}: {error}"),
            }
        });
        self.replace_topic_configs(topic, &configs);
    }

    /// Writes records in their order, waits for every acknowledgement and returns the offsets.
    pub(crate) fn produce(&self, topic: &str, records: &[NewRecord]) -> Vec<i64> {
        let mut offsets = vec![None; records.len()];
        for _ in 0..PRODUCERS_MAX {
            let producer = lock(&self.clients().producer).clone();
            let missing = (0..records.len()).filter(|place| offsets[*place].is_none());
            let sent: Vec<_> = missing
                .map(|place| (place, producer.send_result(message_of(topic, &records[place]))))
                .collect();
            for (place, sent) in sent {
                match block_on(sent.map_err(|(error, _)| error).unwrap()).unwrap() {
                    Ok(delivery) => offsets[place] = Some(delivery.offset),
                    Err((error, _)) if error.rdkafka_error_code() == Some(STUCK) => {}
                    Err((error, _)) => {
                        panic!("produce to {topic} at {}: {error}", self.bootstrap())
                    }
                }
            }
            match offsets.iter().copied().collect::<Option<Vec<i64>>>() {
                Some(offsets) => return offsets,
                None => *lock(&self.clients().producer) = self.new_producer(),
            }
        }
        panic!("produce to {topic} at {}: no acknowledgement came", self.bootstrap())
    }

    /// Every record from the log's start to its end, by partition and offset. An end that moves on
    /// meanwhile is not followed for ever.
    pub(crate) fn read_all(&self, topic: &str) -> Vec<Record> {
        let mut open: BTreeMap<i32, i64> = self.ends(topic);
        let mut list = TopicPartitionList::new();
        for &partition in open.keys() {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        let mut config = self.client_config();
        // Registries read uncommitted records too. The end is told, not computed: compaction
        // leaves gaps, also before the end.
        config.set("isolation.level", "read_uncommitted").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.assign(&list).unwrap();
        let mut records = Vec::new();
        poll_until(READ_LIMIT, &format!("{topic} is read to its end"), || {
            while !open.is_empty() {
                match consumer.poll(REQUEST_LIMIT)? {
                    Ok(message) => {
                        let record = Record::from(message);
                        let last = open.get(&record.partition).map(|end| end.saturating_sub(1));
                        if last.is_some_and(|last| record.offset >= last) {
                            open.remove(&record.partition);
                        }
                        records.push(record);
                    }
                    Err(KafkaError::PartitionEOF(partition)) => drop(open.remove(&partition)),
                    Err(error) => panic!("read {topic} at {}: {error}", self.bootstrap()),
                }
            }
            Some(())
        });
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// Log start and end of partition 0.
    pub(crate) fn watermarks(&self, topic: &str) -> (i64, i64) {
        self.admin().inner().fetch_watermarks(topic, 0, ANSWER_LIMIT).unwrap()
    }

    /// The same of a topic that may not be there yet. It is only asked for when it is: a client
    /// that was told that a topic is unknown believes it for a while.
    pub(crate) fn watermarks_if_there(&self, topic: &str) -> Option<(i64, i64)> {
        let metadata = self.admin().inner().fetch_metadata(Some(topic), REQUEST_LIMIT).ok()?;
        let found = metadata.topics().first().is_some_and(|found| found.error().is_none());
        if !found {
            return None;
        }
        match self.admin().inner().fetch_watermarks(topic, 0, ANSWER_LIMIT) {
            // Its leader was just made and does not know yet that it is one.
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotLeaderForPartition)) => None,
            told => Some(told.unwrap()),
        }
    }

    /// Waits until the log cleaner has made `done` true, and returns the records then.
    ///
    /// The active segment is never cleaned, and a tombstone only goes when the cleaner passes a
    /// second time, for which there must be something new to clean. So `roll` is produced at every
    /// look that was in vain: the first one `segment.ms` after a segment's first opens a new one.
    #[track_caller]
    pub(crate) fn wait_compacted(
        &self,
        topic: &str,
        roll: &NewRecord,
        done: impl Fn(&[Record]) -> bool,
    ) -> Vec<Record> {
        poll_until(CLEAN_LIMIT, &format!("{topic} is compacted"), || {
            let records = self.read_all(topic);
            if done(&records) {
                return Some(records);
            }
            self.produce(topic, slice::from_ref(roll));
            None
        })
    }

    /// AlterConfigs replaces the whole set, so this also takes back what is not listed.
    fn replace_topic_configs(&self, topic: &str, configs: &BTreeMap<String, String>) {
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (key, value) in configs {
            change = change.set(key, value);
        }
        let results = block_on(self.admin().alter_configs([&change], &AdminOptions::new()));
        results.unwrap().into_iter().for_each(|changed| drop(changed.unwrap()));
        poll_until(ANSWER_LIMIT, &format!("{topic} has its new configuration"), || {
            (self.topic_configs(topic) == *configs).then_some(())
        });
    }

    /// The ends of a topic's partitions, once their leader knows that it is one.
    fn ends(&self, topic: &str) -> BTreeMap<i32, i64> {
        let end = |partition| {
            poll_until(ANSWER_LIMIT, &format!("{topic} {partition} has an end"), || {
                let client = self.admin().inner();
                let (_, end) = client.fetch_watermarks(topic, partition, REQUEST_LIMIT).ok()?;
                Some((partition, end))
            })
        };
        self.partitions(topic).into_iter().map(end).collect()
    }

    /// The partitions of a topic, once each has a leader.
    fn partitions(&self, topic: &str) -> BTreeSet<i32> {
        poll_until(ANSWER_LIMIT, &format!("topic {topic} has leaders"), || {
            let metadata = self.admin().inner().fetch_metadata(Some(topic), REQUEST_LIMIT).ok()?;
            let partitions = metadata.topics().first()?.partitions();
            let led = partitions.iter().all(|p| p.leader() >= 0 && p.error().is_none());
            (led && !partitions.is_empty()).then(|| partitions.iter().map(|p| p.id()).collect())
        })
    }

    fn admin(&self) -> &AdminClient<DefaultClientContext> {
        &self.clients().admin
    }

    fn clients(&self) -> &Clients {
        self.clients.get_or_init(|| {
            let admin = self.client_config().create().unwrap();
            Clients { admin, producer: Mutex::new(self.new_producer()) }
        })
    }

    fn new_producer(&self) -> FutureProducer {
        let mut config = self.client_config();
        // Retried writes neither double nor change places.
        config.set("enable.idempotence", "true").set("linger.ms", "0");
        config.set("message.timeout.ms", ACKED_WITHIN.as_millis().to_string());
        // The broker is to refuse what is too much, not its client.
        config.set("queue.buffering.max.messages", "1000000");
        config.set("message.max.bytes", "100000000");
        config.create().unwrap()
    }

    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        // A consumer must have one; nothing is ever committed.
        config.set("group.id", "harness").set("enable.auto.commit", "false");
        // The default backs off up to 10 s, which every restart of a broker would then cost.
        config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "200");
        config
    }

    fn java(&self) -> MutexGuard<'_, Option<Child>> {
        lock(&self.java)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("broker.log")).unwrap_or_default();
            let skipped = log.lines().count().saturating_sub(LOG_LINES_SHOWN);
            let tail: Vec<_> = log.lines().skip(skipped).collect();
            eprintln!("broker {} logged last:\n{}", self.bootstrap(), tail.join("\n"));
        }
    }
}

struct Clients {
    admin: AdminClient<DefaultClientContext>,
    producer: Mutex<FutureProducer>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed while it held the lock must not fail the others.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn message_of<'a>(topic: &'a str, record: &'a NewRecord) -> FutureRecord<'a, [u8], [u8]> {
    let mut headers = OwnedHeaders::new();
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: value.as_ref() });
    }
    FutureRecord {
        topic,
        partition: None,
        payload: record.value.as_deref(),
        key: record.key.as_deref(),
        timestamp: record.timestamp,
        headers: Some(headers),
    }
}
