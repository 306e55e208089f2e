//! The Kafka layer on librdkafka's mock cluster: sockets and protocol are real, brokers are not.

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers of tests are small")]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod door;
#[cfg(test)]
#[path = "support/output.rs"]
mod output;
#[cfg(test)]
mod requests;
#[cfg(test)]
#[path = "support/wait.rs"]
mod wait;

#[cfg(test)]
mod kafka_mock {
    mod catalog;
    mod clients;
    mod exporters;
    mod fences;
    mod lease;
    mod links;
    mod odd_requests;
    mod purges;
    mod writing;

    use std::collections::BTreeMap;
    use std::future::Future;
    use std::sync::Arc;
    use std::time::Duration;

    use rdkafka::types::RDKafkaApiKey as Api;
    use rdkafka::types::RDKafkaRespErr as Refusal;

    use crate::door::Door;
    use crate::wait;
    use schema_mirror::core::record::Offset;
    use schema_mirror::core::record::Outgoing;
    use schema_mirror::core::record::Record;
    use schema_mirror::kafka::ClusterSettings;
    use schema_mirror::kafka::KafkaAppender;
    use schema_mirror::kafka::KafkaCluster;
    use schema_mirror::kafka::KafkaLog;
    use schema_mirror::kafka::MockBroker;
    use schema_mirror::kafka::MockPair;
    use schema_mirror::service::clock::SystemClock;
    use schema_mirror::service::ports::Appender;
    use schema_mirror::service::ports::Batch;
    use schema_mirror::service::ports::Cluster;
    use schema_mirror::service::ports::Fault;
    use schema_mirror::service::ports::FaultClass;
    use schema_mirror::service::ports::Log;
    use schema_mirror::service::ports::Progress;

    /// What takes longer has failed. The mock's groups take up to 10 s for a takeover.
    const LIMIT: Duration = Duration::from_secs(40);

    const TOPIC: &str = "_schemas";

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(LIMIT, future).await.expect("an answer in time")
    }

    /// A cluster of one broker with an empty schemas topic.
    struct World {
        broker: MockBroker,
        cluster: KafkaCluster,
    }

    impl World {
        fn new() -> Self {
            Self::with(&[])
        }

        fn with(properties: &[(&str, &str)]) -> Self {
            let broker = MockBroker::start().unwrap();
            broker.create_topic(TOPIC, 1).unwrap();
            let cluster = cluster(&broker, properties);
            Self { broker, cluster }
        }

        async fn log(&self, from: Offset) -> KafkaLog {
            soon(self.cluster.read(TOPIC, 0, from)).await.unwrap()
        }

        async fn appender(&self) -> KafkaAppender {
            soon(self.cluster.append_to(TOPIC, 0)).await.unwrap()
        }

        fn refuse(&self, api: Api, refusals: &'static [Refusal]) {
            self.broker.with(move |mock| mock.request_errors(api, refusals)).unwrap();
        }
    }

    fn cluster(broker: &MockBroker, properties: &[(&str, &str)]) -> KafkaCluster {
        cluster_at(broker.bootstrap_servers(), properties)
    }

    fn cluster_at(bootstrap_servers: &str, properties: &[(&str, &str)]) -> KafkaCluster {
        let owned = properties.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        KafkaCluster::new(ClusterSettings {
            name: "mock".to_owned(),
            bootstrap_servers: bootstrap_servers.to_owned(),
            client_id: "schema-mirror-test".to_owned(),
            properties: owned.collect::<BTreeMap<_, _>>(),
            secrets: Vec::new(),
            clock: SystemClock::start(),
        })
        .unwrap()
    }

    fn write(number: usize) -> Outgoing {
        Outgoing {
            key: format!("key {number}").into_bytes(),
            value: Some(format!("value {number}").into_bytes()),
            timestamp_ms: Some(1_000),
            headers: Arc::default(),
        }
    }

    async fn append_all(appender: &mut KafkaAppender, numbers: std::ops::Range<usize>) {
        for number in numbers {
            soon(appender.append_when_room(&write(number))).await.unwrap();
        }
    }

    async fn acked(appender: &KafkaAppender, count: u64) -> Progress {
        let mut progress = appender.progress();
        while progress.acked < count && progress.failed.is_none() {
            progress = soon(appender.progressed(&progress)).await;
        }
        progress
    }

    /// Reads to the end of the log; transient faults on the way are passed over.
    async fn to_end(log: &mut KafkaLog) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            match soon(log.next()).await {
                Ok(batch) => {
                    records.extend(batch.records);
                    if batch.at_end {
                        return records;
                    }
                }
                Err(fault) => assert_eq!(fault.class, FaultClass::Transient, "{fault}"),
            }
        }
    }

    async fn count_records(log: &mut KafkaLog, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        while records.len() < count {
            match soon(log.next()).await {
                Ok(batch) => records.extend(batch.records),
                Err(fault) => assert_eq!(fault.class, FaultClass::Transient, "{fault}"),
            }
        }
        records
    }

    #[track_caller]
    fn check_in_order(records: &[Record], numbers: std::ops::Range<usize>) {
        let keys: Vec<_> = records.iter().map(|record| record.key.clone().unwrap()).collect();
        let wanted: Vec<_> = numbers.map(|number| write(number).key).collect();
        assert_eq!(keys, wanted);
    }

    #[tokio::test]
    async fn an_empty_topic_is_at_its_end_at_once() {
        let world = World::new();
        let batch = soon(world.log(0).await.next()).await.unwrap();
        assert_eq!((batch.records.len(), batch.next, batch.at_end), (0, 0, true));
    }

    #[tokio::test]
    async fn a_live_record_comes_through_after_the_end_was_reached() {
        let world = World::new();
        let mut log = world.log(0).await;
        assert!(to_end(&mut log).await.is_empty());
        let mut appender = world.appender().await;
        append_all(&mut appender, 0..3).await;
        check_in_order(&count_records(&mut log, 3).await, 0..3);
        let end = soon(log.next()).await;
        // The news of the end may have come with the records.
        assert!(end.is_ok_and(|batch| batch.next == 3), "the end at 3");
    }

    #[tokio::test]
    async fn a_reader_says_once_that_the_broker_is_away_and_goes_on() {
        let world = World::new();
        let mut log = world.log(0).await;
        to_end(&mut log).await;
        world.broker.down().unwrap();
        let fault = soon(async {
            loop {
                if let Err(fault) = log.next().await {
                    return fault;
                }
            }
        });
        let fault = fault.await;
        assert_eq!(fault.class, FaultClass::Transient, "{fault}");
        world.broker.up().unwrap();
        let mut appender = world.appender().await;
        append_all(&mut appender, 0..1).await;
        check_in_order(&count_records(&mut log, 1).await, 0..1);
    }

    /// Far more refusals than a reader can ask for within the test.
    const NEVER: &[Refusal] = &[Refusal::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 10_000];

    #[tokio::test]
    async fn a_leader_that_gives_nothing_before_the_end_is_a_transient_fault() {
        let world = World::new();
        let mut appender = world.appender().await;
        append_all(&mut appender, 0..3).await;
        acked(&appender, 3).await;
        world.refuse(Api::Fetch, NEVER);
        let mut log = world.log(0).await;
        let fault = soon(log.next()).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Transient, "{fault}");
        assert!(fault.cause.contains("nothing came from offset 0 on"), "{fault}");
        world.broker.with(|mock| mock.clear_request_errors(Api::Fetch)).unwrap();
        check_in_order(&to_end(&mut log).await, 0..3);
    }

    #[tokio::test]
    async fn silence_behind_the_end_is_no_fault() {
        let world = World::new();
        let mut log = world.log(0).await;
        to_end(&mut log).await;
        let longer_than_silence = Duration::from_secs(32);
        // The end may be told once more: as it was asked for, and by the client's own news.
        let fault = async {
            loop {
                if let Err(fault) = log.next().await {
                    return fault;
                }
            }
        };
        let told = tokio::time::timeout(longer_than_silence, fault).await;
        assert!(told.is_err(), "{told:?}");
    }

    #[tokio::test]
    async fn what_librdkafka_says_on_its_way_holds_up_no_record() {
        let world = World::with(&[("debug", "all")]);
        let mut appender = world.appender().await;
        let mut log = world.log(0).await;
        soon(async {
            for number in 0..30 {
                append_all(&mut appender, number..number + 1).await;
                loop {
                    if !log.next().await.unwrap().records.is_empty() {
                        break;
                    }
                }
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_broker_that_starts_again_and_lists_none_at_first_is_found_again() {
        let world = World::new();
        let door = Door::open_before(&world.broker);
        let cluster = cluster_at(&format!("127.0.0.1:{}", door.port), &[]);
        let mut log = soon(cluster.read(TOPIC, 0, 0)).await.unwrap();
        to_end(&mut log).await;
        soon(cluster.topic(TOPIC)).await.unwrap();

        door.start_again();
        assert!(soon(cluster.topic(TOPIC)).await.is_err(), "no leader is listed");
        // The reader's client and that of questions have both heard it.
        let both = wait::wait_for(LIMIT, || (door.blank_answers() >= 2).then_some(()));
        assert!(both.is_some());
        door.has_started();

        let mut appender = world.appender().await;
        append_all(&mut appender, 0..1).await;
        assert_eq!(acked(&appender, 1).await.acked, 1);
        let is_empty = |read: Result<Batch, Fault>| read.map_or(true, |it| it.records.is_empty());
        // Two questions without an answer take 10 s each before it goes on with another client.
        let read = async { while is_empty(log.next().await) {} };
        tokio::time::timeout(LIMIT * 2, read).await.expect("a record");
        soon(async { while cluster.topic(TOPIC).await.is_err() {} }).await;
    }

    #[tokio::test]
    async fn a_topic_that_does_not_exist_is_not_made_by_asking() {
        let world = World::new();
        for _ in 0..2 {
            assert_eq!(soon(world.cluster.topic("absent")).await, Ok(None));
            let fault = soon(world.cluster.read("absent", 0, 0)).await.unwrap_err();
            assert_eq!(fault.class, FaultClass::Missing, "{fault}");
            let fault = soon(world.cluster.append_to("absent", 0)).await.unwrap_err();
            assert_eq!(fault.class, FaultClass::Missing, "{fault}");
            let fault = soon(world.cluster.read_all("absent")).await.unwrap_err();
            assert_eq!(fault.class, FaultClass::Missing, "{fault}");
        }
        let fault = soon(world.cluster.read(TOPIC, 7, 0)).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Missing, "{fault}");
    }

    #[tokio::test]
    async fn a_topic_that_is_deleted_is_missing_and_never_empty() {
        let world = World::with(&[("topic.metadata.refresh.interval.ms", "200")]);
        let mut log = world.log(0).await;
        to_end(&mut log).await;
        let gone = Refusal::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        world.broker.with(move |mock| mock.topic_error(TOPIC, gone)).unwrap().unwrap();
        let fault = soon(async {
            loop {
                if let Err(fault) = log.next().await {
                    return fault;
                }
            }
        })
        .await;
        assert_eq!(fault.class, FaultClass::Missing, "{fault}");
        assert_eq!(soon(log.next()).await, Err(fault), "told again until something changes");
    }

    #[tokio::test]
    async fn a_reader_goes_where_it_is_sent() {
        let world = World::new();
        let mut appender = world.appender().await;
        append_all(&mut appender, 0..2_000).await;
        acked(&appender, 2_000).await;
        let mut log = world.log(0).await;
        for start in [1_500, 3, 1_999, 0, 777, 778, 2_000] {
            soon(log.next()).await.unwrap();
            let offset = Offset::try_from(start).unwrap();
            soon(log.seek(offset)).await.unwrap();
            let records = to_end(&mut log).await;
            check_in_order(&records, start..2_000);
            soon(log.seek(0)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_offset_beyond_the_end_is_out_of_range_and_a_seek_mends_it() {
        let world = World::new();
        let mut appender = world.appender().await;
        append_all(&mut appender, 0..10).await;
        acked(&appender, 10).await;
        let fault = soon(world.cluster.read(TOPIC, 0, 11)).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::OutOfRange, "{fault}");

        let mut log = world.log(10).await;
        assert_eq!(to_end(&mut log).await, []);
        soon(log.seek(11)).await.unwrap();
        assert_eq!(soon(log.next()).await.unwrap_err().class, FaultClass::OutOfRange);
        assert_eq!(soon(log.next()).await.unwrap_err().class, FaultClass::OutOfRange);
        soon(log.seek(8)).await.unwrap();
        check_in_order(&to_end(&mut log).await, 8..10);
    }

    #[tokio::test]
    async fn a_reader_from_before_the_log_starts_where_the_log_starts() {
        let world = World::with(&[("compression.type", "none")]);
        let mut appender = world.appender().await;
        // The mock keeps 5 MB a partition.
        for number in 0..30 {
            let large = Outgoing { value: Some(vec![0; 500_000]), ..write(number) };
            soon(appender.append_when_room(&large)).await.unwrap();
            acked(&appender, u64::try_from(number).unwrap() + 1).await;
        }
        let facts = soon(world.cluster.topic(TOPIC)).await.unwrap().unwrap();
        assert!(facts.start > 0 && facts.end == 30, "{facts:?}");
        let records = to_end(&mut world.log(0).await).await;
        assert_eq!(records.first().unwrap().offset, facts.start);
        assert_eq!(records.last().unwrap().offset, 29);
    }

    /// Threads whose names begin so; the system shows fifteen characters.
    fn threads_named(name: &str) -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|found| found.starts_with(name)).count()
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_reader_that_is_dropped_ends_its_thread() {
        let world = World::new();
        world.broker.create_topic("drop", 1).unwrap();
        let mut appender = soon(world.cluster.append_to("drop", 0)).await.unwrap();
        append_all(&mut appender, 0..5_000).await;
        acked(&appender, 5_000).await;
        // One that waits for records, and one that waits for its batches to be taken.
        let mut waiting = soon(world.cluster.read("drop", 0, 5_000)).await.unwrap();
        soon(waiting.next()).await.unwrap();
        let mut full = soon(world.cluster.read("drop", 0, 0)).await.unwrap();
        soon(full.next()).await.unwrap();
        assert_eq!(threads_named("log-drop"), 2);
        drop((waiting, full, appender));
        soon(async {
            while threads_named("log-drop") + threads_named("append-drop") > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_cluster_tells_who_it_is_and_what_its_topic_is() {
        let world = World::new();
        let facts = soon(world.cluster.facts()).await.unwrap();
        assert!(!facts.cluster_id.is_empty());
        assert_eq!(facts.brokers, 1);
        let topic = soon(world.cluster.topic(TOPIC)).await.unwrap().unwrap();
        assert_eq!((topic.partitions, topic.replication, topic.start, topic.end), (1, 1, 0, 0));
        assert!(topic.settings.is_err(), "the mock has no DescribeConfigs");
        let id = topic.topic_id.expect("the mock has topic ids");
        assert_eq!(id.len(), 22, "{id}");
    }

    #[tokio::test]
    async fn what_the_broker_does_not_know_is_unsupported() {
        let world = World::new();
        let fault = soon(world.cluster.members("group")).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Unsupported, "{fault}");
        // The mock has no controller, so `CreateTopics` gets no answer at all.
    }

    #[tokio::test]
    async fn brokers_that_are_away_are_a_transient_fault() {
        let world = World::new();
        world.broker.down().unwrap();
        let fault = soon(world.cluster.facts()).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Transient, "{fault}");
    }

    #[tokio::test]
    async fn all_partitions_of_a_small_topic_are_read_one_by_one() {
        let pair = MockPair::start().unwrap();
        let target = cluster(&pair.target, &[]);
        for partition in [63, 5] {
            let mut appender = soon(target.append_to("_schema_mirror", partition)).await.unwrap();
            let first = usize::try_from(partition).unwrap() * 10;
            append_all(&mut appender, first..first + 3).await;
            acked(&appender, 3).await;
        }
        let records = soon(target.read_all("_schema_mirror")).await.unwrap();
        check_in_order(&records[..3], 50..53);
        check_in_order(&records[3..], 630..633);
    }

    #[test]
    fn a_property_that_nobody_knows_is_named_without_its_value() {
        let fault = KafkaCluster::new(ClusterSettings {
            name: "mock".to_owned(),
            bootstrap_servers: "localhost:1".to_owned(),
            client_id: "schema-mirror-test".to_owned(),
            properties: BTreeMap::from([("no.such.property".to_owned(), "hidden".to_owned())]),
            secrets: Vec::new(),
            clock: SystemClock::start(),
        })
        .unwrap_err();
        assert!(fault.cause.contains("no.such.property"), "{fault}");
        assert!(!fault.cause.contains("hidden"), "{fault}");
    }
}
