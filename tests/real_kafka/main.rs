//! Tests on real Apache Kafka brokers, for what a mock cannot show: compaction, tombstones that
//! expire, and brokers that die.
//!
//! `cargo test --features real-kafka --test real_kafka` needs Java 17 and Maven, no Docker.

#[cfg(test)]
mod broker;

/// What a broker is as a process: jars, ports, settings, start and signals.
#[cfg(test)]
mod process {
    use std::{
        fs::{self, File},
        hash::{BuildHasher, RandomState},
        io::{ErrorKind, Write},
        net::TcpListener,
        ops::Range,
        path::{Path, PathBuf},
        pin::pin,
        process::{self, Child, Command, Stdio},
        sync::{Arc, OnceLock},
        task::{Context, Poll, Wake, Waker},
        thread::{self, Thread},
        time::{Duration, Instant},
    };

    use tempfile::TempDir;

    /// Between two looks at a fact that is waited for.
    const POLL_PAUSE: Duration = Duration::from_millis(50);
    /// Below the ports that the system hands out by itself. A client that tries again and again to
    /// reach a broker that is down could be given one of those as its own end, connect to itself,
    /// and keep the broker from coming back.
    const PORTS: Range<u16> = 20_000..30_000;
    /// What Maven reads; a copy of it lies beside the jars that it brought.
    const POM: &str = include_str!("pom.xml");
    /// Said with every program that is missing or too old.
    const NEEDS: &str = "the tests on real brokers need Java 17 and Maven (`java` and `mvn`)";

    /// Starts the command that follows the data folder, and ends it together with the test process.
    ///
    /// A watcher holds the reading end of a pipe whose writing end only the test process has.
    /// However that process dies, SIGKILL included, the pipe ends, and the watcher kills the broker
    /// and removes its data; a line in the pipe sends the watcher home instead. `exec` makes the
    /// broker the direct child, so that signals and exit codes are its own.
    ///
    /// Linux's parent-death signal (`setpriv --pdeathsig`) would not do: it comes when the *thread*
    /// that started the child ends, and that is one test, while a shared broker lives for many.
    const LAUNCH: &str = r#"
        data=$1
        shift
        exec 3<&0 </dev/null
        { trap '' HUP INT TERM; read -r line <&3 || { kill -9 $$; rm -rf "$data"; }; } &
        exec "$@" 3<&-
    "#;

    /// Where `log4j2.properties` sends what Kafka logs: to its output.
    const LOG4J: &str = "\
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c{1})%n%throwable
";

    /// Asks until a fact is there. A limit that passes fails the test and names what was missing.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one wait of these tests, and it has a limit"
    )]
    pub(crate) fn poll_until<T>(
        limit: Duration,
        what: &str,
        mut fact: impl FnMut() -> Option<T>,
    ) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = fact() {
                return found;
            }
            assert!(started.elapsed() < limit, "not within {} s: {what}", limit.as_secs());
            thread::sleep(POLL_PAUSE);
        }
    }

    /// Drives a future of rdkafka, which has its own threads, in tests with and without a runtime.
    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    /// A port of this machine that no other test has, also while nobody listens on it.
    pub(crate) struct Port {
        pub(crate) number: u16,
        /// Its lock is the reservation; the system drops it with the process.
        _held: File,
    }

    impl Port {
        pub(crate) fn reserve() -> Self {
            let folder = tmp().join("ports");
            fs::create_dir_all(&folder).unwrap();
            // Builds in other folders see no locks of ours, so each process starts elsewhere.
            let skipped = usize::from(process::id().to_be_bytes()[3]).saturating_mul(39);
            let numbers = PORTS.cycle().skip(skipped).take(PORTS.len());
            let free = numbers.filter_map(|number| {
                let held = File::create(folder.join(number.to_string())).unwrap();
                held.try_lock().ok()?;
                TcpListener::bind(("127.0.0.1", number)).ok()?;
                Some(Self { number, _held: held })
            });
            free.take(1).next().expect("a free port from 20000 to 29999")
        }
    }

    /// The folder of Kafka's jars; Maven brings them when this build has none.
    pub(crate) fn kafka_jars() -> &'static Path {
        static JARS: OnceLock<PathBuf> = OnceLock::new();
        JARS.get_or_init(|| {
            let jars = tmp().join("kafka-jars");
            // Another test process may be at it: wait for it, and find the jars there.
            let lock = File::create(tmp().join("kafka-jars.lock")).unwrap();
            lock.lock().unwrap();
            let complete = jars.join("pom.xml");
            if fs::read_to_string(&complete).is_ok_and(|pom| pom == POM) {
                return jars;
            }
            match fs::remove_dir_all(&jars) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    panic!("remove {}: {error}", jars.display())
                }
                Ok(()) | Err(_) => {}
            }
            let mut maven = Command::new("mvn");
            maven.args(["--quiet", "--batch-mode", "dependency:copy-dependencies", "--file"]);
            maven.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_kafka/pom.xml"));
            maven.arg(format!("-DoutputDirectory={}", jars.display()));
            run(maven);
            // Written last: it says that the folder is complete.
            fs::write(complete, POM).unwrap();
            jars
        })
    }

    /// A folder for one broker, removed with its owner.
    pub(crate) fn new_folder(name: &str) -> TempDir {
        tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(tmp()).unwrap()
    }

    /// `server.properties`, where a later line replaces an earlier one, and the log's settings.
    pub(crate) fn write_settings(
        folder: &Path,
        [client, controller]: [&Port; 2],
        properties: &[(&str, &str)],
    ) {
        let (client, controller) = (client.number, controller.number);
        let mut settings = format!(
            "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A killed broker is let in again when its registration has expired, by default after 9 s.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# By default the cleaner looks every 15 s and takes 128 MB.
log.cleaner.backoff.ms=100
log.cleaner.dedupe.buffer.size=8388608
",
            folder = folder.display()
        );
        for (key, value) in properties {
            settings.extend([key, "=", value, "\n"]);
        }
        fs::write(folder.join("server.properties"), settings).unwrap();
        fs::write(folder.join("log4j2.properties"), LOG4J).unwrap();
    }

    /// Makes the data folder of a new cluster.
    pub(crate) fn format_storage(folder: &Path) {
        // 22 characters of Base64, as Kafka writes its ids.
        let cluster = format!("{:0>22x}", RandomState::new().hash_one(process::id()));
        let mut format = Command::new("java");
        format.args(java_args(folder)).args(["kafka.tools.StorageTool", "format", "--cluster-id"]);
        format.arg(cluster).arg("--config").arg(folder.join("server.properties"));
        run(format);
    }

    /// Starts the broker of a folder; its output goes to `broker.log` there.
    pub(crate) fn launch(folder: &Path) -> Child {
        let path = folder.join("broker.log");
        let log = File::options().append(true).create(true).open(path).unwrap();
        let mut broker = watched(folder);
        broker.arg("java").args(java_args(folder));
        broker.arg("kafka.Kafka").arg(folder.join("server.properties"));
        broker.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// A command, still to be named, that ends with this process, and its folder too.
    pub(crate) fn watched(folder: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "sh"]).arg(folder).stdin(Stdio::piped());
        command
    }

    /// Tells the watcher that this broker's end is wanted and its data stays: see [`LAUNCH`].
    pub(crate) fn dismiss_watcher(broker: &mut Child) {
        broker.stdin.take().unwrap().write_all(b"\n").unwrap();
    }

    pub(crate) fn send_signal(broker: &Child, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args(["-s", signal, &broker.id().to_string()]);
        run(kill);
    }

    fn java_args(folder: &Path) -> [String; 6] {
        [
            "-Xmx384m".to_owned(),
            "-XX:+UseSerialGC".to_owned(),
            "-XX:TieredStopAtLevel=1".to_owned(),
            format!("-Dlog4j2.configurationFile={}/log4j2.properties", folder.display()),
            "-cp".to_owned(),
            format!("{}/*", kafka_jars().display()),
        ]
    }

    /// Runs a program to its end; its output is shown when it fails.
    fn run(mut command: Command) {
        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("run {command:?}: {error}; {NEEDS}"));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{command:?}: {}\n{said}\n{NEEDS}", output.status);
    }

    fn tmp() -> &'static Path {
        Path::new(env!("CARGO_TARGET_TMPDIR"))
    }
}

/// What the other tests rely on.
#[cfg(test)]
mod harness {
    use std::time::Duration;

    use rdkafka::{
        ClientConfig,
        consumer::{BaseConsumer, Consumer},
    };

    use crate::{
        broker::{
            Broker, COMPACT_SOON, EXPIRE_SOON, NewRecord, Record, shared_source, shared_target,
        },
        process::{new_folder, poll_until, watched},
    };

    /// Far longer than a local broker needs to answer, and than the system needs to end a process.
    const LIMIT: Duration = Duration::from_secs(10);

    fn key_and_value(record: &Record) -> (&str, Option<&str>) {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        (record.key.as_deref().map(text).unwrap(), record.value.as_deref().map(text))
    }

    fn held(records: &[Record]) -> Vec<(&str, Option<&str>)> {
        records.iter().map(key_and_value).collect()
    }

    #[test]
    fn a_record_is_read_as_it_was_produced() {
        let topic = "_schemas_as_produced";
        let records = [
            NewRecord {
                timestamp: Some(1_700_000_000_000),
                headers: vec![
                    ("text".to_owned(), Some(b"a".to_vec())),
                    ("empty".to_owned(), Some(Vec::new())),
                    ("null".to_owned(), None),
                ],
                ..NewRecord::put("a", "1")
            },
            NewRecord { timestamp: Some(1), ..NewRecord::tombstone("a") },
            NewRecord { timestamp: Some(2), ..NewRecord::put("", "") },
            NewRecord { timestamp: Some(3), ..NewRecord::default() },
        ];
        shared_source().create_topic(topic, 1, &[]);
        let offsets = shared_source().produce(topic, &records);
        assert_eq!(offsets, [0, 1, 2, 3]);
        let expected = records.into_iter().zip(offsets).map(|(new, offset)| Record {
            partition: 0,
            offset,
            timestamp: new.timestamp,
            key: new.key,
            value: new.value,
            headers: new.headers,
        });
        assert_eq!(shared_source().read_all(topic), expected.collect::<Vec<_>>());
    }

    #[test]
    fn two_brokers_share_nothing() {
        let topic = "_schemas_share_nothing";
        for broker in [shared_source(), shared_target()] {
            broker.create_topic(topic, 1, &[]);
        }
        shared_source().produce(topic, &[NewRecord::put("a", "1")]);
        assert_eq!(shared_source().watermarks(topic), (0, 1));
        assert_eq!(shared_target().watermarks(topic), (0, 0));
    }

    #[test]
    fn every_partition_of_a_topic_is_read() {
        let topic = "every_partition";
        shared_source().create_topic(topic, 8, &[]);
        let records: Vec<_> = ('a'..='z').map(|key| NewRecord::put(&key.to_string(), "")).collect();
        shared_source().produce(topic, &records);
        let read = shared_source().read_all(topic);
        assert_eq!(read.len(), records.len());
        assert!(read.iter().any(|record| record.partition > 0));
    }

    #[test]
    fn a_killed_broker_keeps_what_it_acknowledged() {
        let topic = "_schemas";
        let broker = Broker::start("killed");
        broker.create_topic(topic, 1, &[("cleanup.policy", "compact")]);
        let records: Vec<_> =
            (0..1_000).map(|n| NewRecord::put(&format!("key {n}"), "value")).collect();
        broker.produce(topic, &records);
        broker.kill();
        broker.restart();
        broker.produce(topic, &[NewRecord::put("after", "value")]);
        let read = broker.read_all(topic);
        let keys: Vec<_> = held(&read).into_iter().map(|(key, _)| key.to_owned()).collect();
        let expected = (0..1_000).map(|n| format!("key {n}")).chain(["after".to_owned()]);
        assert_eq!(keys, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_stopped_broker_comes_back_with_its_settings_and_topics() {
        let lines = [("log.retention.ms", "1234567"), ("auto.create.topics.enable", "true")];
        let broker = Broker::start_with("stopped", &lines);
        broker.produce("made_by_its_first_record", &[NewRecord::put("a", "1")]);
        broker.stop();
        broker.restart();
        assert_eq!(held(&broker.read_all("made_by_its_first_record")), [("a", Some("1"))]);
    }

    #[test]
    fn a_paused_broker_answers_nothing_until_it_is_resumed() {
        let broker = Broker::start("paused");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap()).set("group.id", "paused");
        broker.pause();
        let client: BaseConsumer = config.create().unwrap();
        assert!(client.fetch_metadata(None, Duration::from_secs(1)).is_err());
        broker.resume();
        assert!(client.fetch_metadata(None, LIMIT).is_ok());
    }

    #[test]
    fn what_a_test_started_ends_with_its_process() {
        let folder = new_folder("watched");
        let mut started = watched(folder.path());
        let mut child = started.args(["sleep", "600"]).spawn().unwrap();
        // The system does no more than this when the process dies.
        drop(child.stdin.take());
        poll_until(LIMIT, "the process is killed", || child.try_wait().unwrap());
        poll_until(LIMIT, "its folder is gone", || (!folder.path().exists()).then_some(()));
    }

    #[test]
    fn an_overwritten_record_is_compacted_away_and_a_tombstone_stays_for_its_time() {
        let topic = "_schemas_overwritten";
        shared_target().create_topic(topic, 1, &COMPACT_SOON);
        let records = [
            NewRecord::put("a", "1"),
            NewRecord::put("b", "1"),
            NewRecord::put("a", "2"),
            NewRecord::tombstone("b"),
        ];
        shared_target().produce(topic, &records);
        let read = shared_target().wait_compacted(topic, &NewRecord::put("roll", ""), |records| {
            records.iter().all(|record| record.offset > 1)
        });
        assert_eq!(held(&read[..2]), [("a", Some("2")), ("b", None)]);
    }

    #[test]
    fn a_tombstone_expires() {
        let topic = "_schemas_expired";
        let configs = [&COMPACT_SOON[..], &[EXPIRE_SOON]].concat();
        shared_target().create_topic(topic, 1, &configs);
        shared_target().produce(topic, &[NewRecord::put("a", "1"), NewRecord::tombstone("a")]);
        let read = shared_target().wait_compacted(topic, &NewRecord::put("roll", ""), |records| {
            records.iter().all(|record| record.offset > 1)
        });
        assert!(held(&read).iter().all(|&(key, _)| key == "roll"));
    }

    #[test]
    fn a_compacted_topic_is_cut_and_keeps_its_configuration() {
        let topic = "_schemas_cut";
        shared_source().create_topic(topic, 1, &[("cleanup.policy", "compact")]);
        shared_source().alter_topic(topic, &[("max.message.bytes", "2000000")]);
        let configs = shared_source().topic_configs(topic);
        let records = ["a", "b", "c", "d", "e"].map(|key| NewRecord::put(key, "1"));
        shared_source().produce(topic, &records);
        shared_source().delete_records(topic, 3);
        assert_eq!(shared_source().watermarks(topic), (3, 5));
        assert_eq!(held(&shared_source().read_all(topic)), [("d", Some("1")), ("e", Some("1"))]);
        assert_eq!(shared_source().topic_configs(topic), configs);
        assert_eq!(configs["cleanup.policy"], "compact");
        assert_eq!(configs["max.message.bytes"], "2000000");
    }

    #[test]
    fn a_recreated_topic_is_empty() {
        let topic = "_schemas_recreated";
        shared_source().create_topic(topic, 1, &[]);
        shared_source().produce(topic, &[NewRecord::put("a", "1")]);
        shared_source().delete_topic(topic);
        shared_source().create_topic(topic, 1, &[]);
        assert_eq!(shared_source().read_all(topic), []);
    }
}
