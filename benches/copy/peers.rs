//! Those who copy, each as a process of its own.

use std::env;
use std::fmt;
use std::fs;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use tempfile::NamedTempFile;

use crate::SOURCE_TOPIC;
use crate::bare;
use crate::broker::Broker;
use crate::process::kafka_jars;
use crate::process::new_folder;
use crate::process::send_signal;

/// For one copy to be complete.
const COPY_LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at a process and its topic.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where it is played.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) source: &'a Broker,
    pub(crate) target: &'a Broker,
    /// What is copied.
    pub(crate) topic: &'a str,
    pub(crate) versions: usize,
}

/// A way to copy, or to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copier {
    Bare,
    OnePass,
    TwoPasses,
    /// Reads both topics and does nothing with it.
    BareRead,
    /// Into what holds nearly all of it.
    NearlyFull,
    /// Into what holds it all.
    InSync,
    MirrorMaker,
}

/// What a copy took.
#[derive(Debug)]
pub(crate) struct Copy {
    /// From the process's start to its end, what `joining_s` holds left out; with MirrorMaker 2, to
    /// the last record.
    pub(crate) copying_s: f64,
    /// Until it is the writer; with MirrorMaker 2, until its first record.
    pub(crate) joining_s: f64,
    /// Of all its threads, in the system and outside.
    pub(crate) cpu_s: f64,
    /// At most.
    pub(crate) resident_mb: f64,
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copying_s, joining_s, cpu_s, resident_mb } = self;
        write!(f, "{copying_s:.2} s after {joining_s:.2} s of joining, ")?;
        write!(f, "{cpu_s:.2} s of CPU, {resident_mb:.0} MB")
    }
}

impl Copier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare copy",
            Self::OnePass => "one pass",
            Self::TwoPasses => "two passes",
            Self::BareRead => "bare read",
            Self::NearlyFull => "99 % there",
            Self::InSync => "in sync",
            Self::MirrorMaker => "MirrorMaker 2",
        }
    }

    /// Whose time is the measure of its own.
    pub(crate) fn held_against(self) -> Option<Self> {
        match self {
            Self::Bare | Self::BareRead => None,
            Self::OnePass | Self::TwoPasses | Self::MirrorMaker => Some(Self::Bare),
            Self::NearlyFull | Self::InSync => Some(Self::BareRead),
        }
    }

    /// Whether it copies into a topic that is empty.
    pub(crate) fn is_first(self) -> bool {
        self.held_against() == Some(Self::Bare) || self == Self::Bare
    }

    /// A topic for each copy; MirrorMaker 2 keeps the name.
    pub(crate) fn topic(self, round: usize) -> String {
        match self {
            Self::Bare => format!("bare-{round}"),
            Self::OnePass | Self::BareRead | Self::NearlyFull | Self::InSync => {
                format!("one-pass-{round}")
            }
            Self::TwoPasses => format!("two-passes-{round}"),
            Self::MirrorMaker => SOURCE_TOPIC.to_owned(),
        }
    }
}

impl Stage<'_> {
    /// Copies everything into a topic and measures it.
    pub(crate) fn copy(&self, copier: Copier, topic: &str) -> Copy {
        let started = Instant::now();
        let mut process = self.start(copier, topic, Length::Once);
        if copier == Copier::MirrorMaker {
            let copy = self.watch(&mut process, topic, started);
            process.end();
            return copy;
        }
        process.wait();
        let whole_s = started.elapsed().as_secs_f64();
        let joining_s = process.said("join_seconds").unwrap_or(0.0);
        if copier == Copier::InSync {
            assert_eq!(process.said("appended"), Some(0.0), "a start in sync writes nothing");
        }
        let (_, end) = self.target.watermarks(topic);
        let held = usize::try_from(end).unwrap();
        assert!(held >= self.versions || copier == Copier::BareRead, "{topic} holds {held}");
        process.copy(whole_s - joining_s, joining_s)
    }

    /// Watches the topic until it is full.
    fn watch(&self, process: &mut Process, topic: &str, started: Instant) -> Copy {
        let mut first = None;
        loop {
            let (_, end) = self.target.watermarks(topic);
            let now = started.elapsed().as_secs_f64();
            process.look();
            if end > 0 {
                first.get_or_insert(now);
            }
            if usize::try_from(end).unwrap() >= self.versions {
                let joining_s = first.unwrap_or(now);
                return process.copy(now - joining_s, joining_s);
            }
            assert!(started.elapsed() < COPY_LIMIT, "{topic} holds {end} records");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts a copier.
    pub(crate) fn start(&self, copier: Copier, topic: &str, length: Length) -> Process {
        Process::spawn(self.command(copier, topic, length))
    }

    /// How it is started.
    pub(crate) fn command(&self, copier: Copier, topic: &str, length: Length) -> Command {
        let (from, to) = (self.source.bootstrap(), self.target.bootstrap());
        match copier {
            Copier::Bare | Copier::BareRead => {
                let mut command = Command::new(env::current_exe().unwrap());
                command.args([bare::WORD, &from, self.topic, &to, topic]);
                command.args((length == Length::Follow).then_some(bare::FOLLOW));
                command.args((copier == Copier::BareRead).then_some(bare::READ));
                command
            }
            Copier::OnePass | Copier::TwoPasses | Copier::NearlyFull | Copier::InSync => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_schema-mirror"));
                match length {
                    Length::Follow => command.args(["run", "--http", "none"]),
                    Length::Once => command.arg("backfill"),
                };
                command.args(["--from", &from, "--from-topic", self.topic]);
                command.args(["--to", &to, "--to-topic", topic]);
                command.args(["--context", &format!(".{topic}"), "--write-rate-max", "unlimited"]);
                // A filter that may leave references behind has to know the whole source first.
                let subjects = if copier == Copier::TwoPasses { "team-*" } else { "*" };
                command.args(["--subjects", subjects, "--log-format", "json"]);
                if length == Length::Once {
                    command.args(["--output", "json"]);
                }
                command
            }
            Copier::MirrorMaker => mirror_maker(&from, &to),
        }
    }
}

/// How long a copier works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// To the end that the source has.
    Once,
    /// Until it is ended.
    Follow,
}

/// MirrorMaker 2, dedicated, one task, names as they are, and nothing else copied.
fn mirror_maker(from: &str, to: &str) -> Command {
    // Kept for as long as the benchmark lives: the process reads it.
    let folder = new_folder("mirror-maker").keep();
    let settings = format!(
        "\
clusters=source,target
source.bootstrap.servers={from}
target.bootstrap.servers={to}
source->target.enabled=true
target->source.enabled=false
topics={SOURCE_TOPIC}
tasks.max=1
replication.policy.class=org.apache.kafka.connect.mirror.IdentityReplicationPolicy
replication.factor=1
offset-syncs.topic.replication.factor=1
checkpoints.topic.replication.factor=1
heartbeats.topic.replication.factor=1
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
emit.heartbeats.enabled=false
emit.checkpoints.enabled=false
sync.topic.acls.enabled=false
sync.topic.configs.enabled=false
source.consumer.auto.offset.reset=earliest
target.producer.compression.type=lz4
"
    );
    let path = folder.join("mm2.properties");
    fs::write(&path, settings).unwrap();
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-cp"]).arg(format!("{}/*", kafka_jars().display()));
    command.arg("org.apache.kafka.connect.mirror.MirrorMaker").arg(path);
    command
}

/// A copier at work.
pub(crate) struct Process {
    child: Child,
    log: NamedTempFile,
    output: String,
    cpu_s: f64,
    resident_mb: f64,
}

/// What Linux counts processor time in.
const TICKS_PER_S: f64 = 100.0;

impl Process {
    /// Starts one whose answer is kept, and whose log can be waited for.
    pub(crate) fn spawn(mut command: Command) -> Self {
        // A pipe for the log would have to be emptied.
        let log = NamedTempFile::new().unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.reopen().unwrap());
        let child = command.spawn().unwrap();
        Self { child, log, output: String::new(), cpu_s: 0.0, resident_mb: 0.0 }
    }

    /// Waits for words in its log.
    pub(crate) fn wait_for(&mut self, words: &str) {
        let started = Instant::now();
        while !self.logged().contains(words) {
            assert!(started.elapsed() < COPY_LIMIT, "{words} does not come: {}", self.logged());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn end_in_order(&mut self) {
        send_signal(&self.child, "TERM");
        self.wait();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) {
        loop {
            self.look();
            if let Some(status) = self.child.try_wait().unwrap() {
                let stdout = self.child.stdout.take().unwrap();
                self.output = std::io::read_to_string(stdout).unwrap();
                assert!(
                    status.success(),
                    "it ended with {status}: {}{}",
                    self.output,
                    self.logged()
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it took, with what was seen of it.
    pub(crate) fn copy(&self, copying_s: f64, joining_s: f64) -> Copy {
        let Self { cpu_s, resident_mb, .. } = *self;
        Copy { copying_s, joining_s, cpu_s, resident_mb }
    }

    /// A number in the answer of a backfill with one link.
    pub(crate) fn said(&self, field: &str) -> Option<f64> {
        let said: serde_json::Value = serde_json::from_str(&self.output).ok()?;
        said["links"][0][field].as_f64()
    }

    /// Looks at what it has used until now, as the system counts it.
    pub(crate) fn look(&mut self) {
        let file = |name: &str| {
            fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default()
        };
        let status = file("status");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        // Fields 14 and 15; the name before them may hold blanks.
        let stat = file("stat");
        let behind_the_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = behind_the_name.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        self.resident_mb = self.resident_mb.max(kb.unwrap_or(0.0) / 1_000.0);
        self.cpu_s = self.cpu_s.max(ticks / TICKS_PER_S);
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
