//! Those who copy, each as a process of its own.

use std::env;
use std::fmt;
use std::fs;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::SOURCE_TOPIC;
use crate::bare;
use crate::broker::Broker;
use crate::process::kafka_jars;
use crate::process::new_folder;

/// For one copy to be complete.
const COPY_LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at a process and its topic.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where it is played.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) source: &'a Broker,
    pub(crate) target: &'a Broker,
    pub(crate) versions: usize,
}

/// A way to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copier {
    Bare,
    OnePass,
    TwoPasses,
    MirrorMaker,
}

/// What a copy took.
#[derive(Debug)]
pub(crate) struct Copy {
    /// From the process's start to the last record, what `joining_s` holds left out.
    pub(crate) copying_s: f64,
    /// Until it is the writer; with MirrorMaker 2, until its first record.
    pub(crate) joining_s: f64,
    /// At most.
    pub(crate) resident_mb: f64,
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copying_s, joining_s, resident_mb } = self;
        write!(f, "{copying_s:.2} s after {joining_s:.2} s of joining, {resident_mb:.0} MB")
    }
}

impl Copier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare copy",
            Self::OnePass => "one pass",
            Self::TwoPasses => "two passes",
            Self::MirrorMaker => "MirrorMaker 2",
        }
    }

    /// A topic of its own for each copy; MirrorMaker 2 keeps the name.
    pub(crate) fn topic(self, round: usize) -> String {
        match self {
            Self::Bare => format!("bare-{round}"),
            Self::OnePass => format!("one-pass-{round}"),
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
        match copier {
            Copier::MirrorMaker => {
                let copy = self.watch(&mut process, topic, started);
                process.end();
                copy
            }
            Copier::Bare | Copier::OnePass | Copier::TwoPasses => {
                let resident_mb = process.wait();
                let whole_s = started.elapsed().as_secs_f64();
                let joining_s = process.joined();
                let (_, end) = self.target.watermarks(topic);
                let held = usize::try_from(end).unwrap();
                assert!(held >= self.versions, "{topic} holds {held}");
                Copy { copying_s: whole_s - joining_s, joining_s, resident_mb }
            }
        }
    }

    /// Watches the topic until it is full.
    fn watch(&self, process: &mut Process, topic: &str, started: Instant) -> Copy {
        let (mut first, mut resident_mb) = (None, 0.0_f64);
        loop {
            let (_, end) = self.target.watermarks(topic);
            let now = started.elapsed().as_secs_f64();
            resident_mb = resident_mb.max(process.resident_mb());
            if end > 0 {
                first.get_or_insert(now);
            }
            if usize::try_from(end).unwrap() >= self.versions {
                let joining_s = first.unwrap_or(now);
                return Copy { copying_s: now - joining_s, joining_s, resident_mb };
            }
            assert!(started.elapsed() < COPY_LIMIT, "{topic} holds {end} records");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts a copier.
    pub(crate) fn start(&self, copier: Copier, topic: &str, length: Length) -> Process {
        let (from, to) = (self.source.bootstrap(), self.target.bootstrap());
        let mut command = match copier {
            Copier::Bare => {
                let mut command = Command::new(env::current_exe().unwrap());
                command.args([bare::WORD, &from, &to, topic]);
                command.args((length == Length::Follow).then_some(bare::FOLLOW));
                command
            }
            Copier::OnePass | Copier::TwoPasses => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_schema-mirror"));
                command.arg(if length == Length::Follow { "run" } else { "backfill" });
                command.args(["--from", &from, "--to", &to, "--to-topic", topic]);
                command.args(["--context", &format!(".{topic}"), "--write-rate-max", "unlimited"]);
                // A filter that may leave references behind has to know the whole source first.
                let subjects = if copier == Copier::OnePass { "*" } else { "team-*" };
                command.args(["--subjects", subjects]);
                if length == Length::Once {
                    command.args(["--output", "json"]);
                }
                command
            }
            Copier::MirrorMaker => mirror_maker(&from, &to),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Process { child: command.spawn().unwrap(), output: String::new() }
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
    output: String,
}

impl Process {
    /// Waits for its end; the most memory that it held.
    fn wait(&mut self) -> f64 {
        let mut most = 0.0_f64;
        loop {
            most = most.max(self.resident_mb());
            if let Some(status) = self.child.try_wait().unwrap() {
                let stdout = self.child.stdout.take().unwrap();
                self.output = std::io::read_to_string(stdout).unwrap();
                assert!(status.success(), "it ended with {status}: {}", self.output);
                return most;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What a backfill says of the time it took to become the writer.
    fn joined(&self) -> f64 {
        let said: serde_json::Value = serde_json::from_str(&self.output).unwrap_or_default();
        said["links"][0]["join_seconds"].as_f64().unwrap_or(0.0)
    }

    /// The most memory that it has held until now, as the system counts it.
    fn resident_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kb.unwrap_or(0.0) / 1_000.0
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
