//! What a broker is as a process: jars, ports, settings, start and signals.

use std::{
    env,
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{ErrorKind, Write},
    net::TcpListener,
    ops::Range,
    path::{Path, PathBuf},
    pin::pin,
    process::{self, Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        mpsc::{self, RecvTimeoutError},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use crate::{output::output_within, wait::wait_for};

/// Below the ports that the system hands out by itself. A client that tries again and again to
/// reach a broker that is down could be given one of those as its own end, connect to itself,
/// and keep the broker from coming back.
const PORTS: Range<u16> = 20_000..30_000;
/// For a program that is run to its end. The longest is Maven, which may have to fetch all of Kafka.
const TOOL_LIMIT: Duration = Duration::from_secs(300);
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
#[track_caller]
pub(crate) fn poll_until<T>(limit: Duration, what: &str, fact: impl FnMut() -> Option<T>) -> T {
    wait_for(limit, fact).unwrap_or_else(|| panic!("not within {} s: {what}", limit.as_secs()))
}

/// Lets time pass up to a moment that was drawn from a seed. No fact is waited for with it.
pub(crate) fn pass(time: Duration) {
    let (_held, silent) = mpsc::sync_channel::<()>(0);
    assert_eq!(silent.recv_timeout(time), Err(RecvTimeoutError::Timeout));
}

/// What decides about chance in this run: `FAULT_SEED`, otherwise one that no run had before.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
pub(crate) fn seed_of_this_run() -> u64 {
    let given = env::var("FAULT_SEED").ok();
    let drawn = || RandomState::new().hash_one(process::id()) % 1_000_000;
    let seed = given.map_or_else(drawn, |seed| seed.parse().expect("FAULT_SEED is a number"));
    eprintln!("FAULT_SEED={seed}");
    seed
}

/// The time by which tests measure.
#[expect(clippy::disallowed_methods, reason = "tests have no clock of the service")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The host's time in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "tests have no clock of the service")]
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
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

/// What a broker has besides what all of them have.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    /// More listeners: name, protocol, port.
    pub(crate) listeners: Vec<(&'static str, &'static str, u16)>,
    /// Lines of `server.properties` that add to the settings or replace them.
    pub(crate) properties: Vec<(String, String)>,
    /// Arguments with which its storage is formatted: users and their passwords.
    pub(crate) format: Vec<String>,
    /// Arguments of its virtual machine.
    pub(crate) jvm: Vec<String>,
}

/// `server.properties`, where a later line replaces an earlier one, and the log's settings.
pub(crate) fn write_settings(folder: &Path, [client, controller]: [&Port; 2], setup: &Setup) {
    let (client, controller) = (client.number, controller.number);
    let more = setup.listeners.iter();
    let listeners: String =
        more.clone().map(|(name, _, port)| format!(",{name}://127.0.0.1:{port}")).collect();
    let protocols: String = more.map(|(name, protocol, _)| format!(",{name}:{protocol}")).collect();
    let mut settings = format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}{listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
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
    for (key, value) in &setup.properties {
        settings.extend([key, "=", value, "\n"]);
    }
    fs::write(folder.join("server.properties"), settings).unwrap();
    fs::write(folder.join("log4j2.properties"), LOG4J).unwrap();
}

/// Makes the data folder of a new cluster.
pub(crate) fn format_storage(folder: &Path, setup: &Setup) {
    // 22 characters of Base64, as Kafka writes its ids.
    let cluster = format!("{:0>22x}", RandomState::new().hash_one(process::id()));
    let settings = folder.join("server.properties").display().to_string();
    let words = ["format", "--cluster-id", &cluster, "--config", &settings];
    let more = setup.format.iter().map(String::as_str);
    let words: Vec<_> = words.into_iter().chain(more).collect();
    run_tool(folder, "kafka.tools.StorageTool", &words);
}

/// Runs one of Kafka's own tools to its end; what it printed.
pub(crate) fn run_tool(folder: &Path, class: &str, words: &[&str]) -> String {
    let mut tool = Command::new("java");
    tool.args(java_args(folder)).arg(class).args(words);
    run(tool)
}

/// Starts the broker of a folder; its output goes to `broker.log` there.
pub(crate) fn launch(folder: &Path, setup: &Setup) -> Child {
    let path = folder.join("broker.log");
    let log = File::options().append(true).create(true).open(path).unwrap();
    let mut broker = watched(folder);
    broker.arg("java").args(java_args(folder)).args(&setup.jvm);
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

/// Lets no file of a process grow beyond so many bytes: RLIMIT_FSIZE, which takes no privilege.
pub(crate) fn limit_files(process: &Child, bytes: u64) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args([format!("--pid={}", process.id()), format!("--fsize={bytes}:")]);
    run(prlimit);
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

/// Runs a program to its end; what it printed. Where it fails that is shown.
fn run(mut command: Command) -> String {
    let output = output_within(TOOL_LIMIT, &mut command);
    let [printed, said] =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{printed}{said}\n{NEEDS}", output.status);
    printed
}

pub(crate) fn tmp() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}
