//! The program under test, run as a process between two brokers.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    broker::{Broker, shared_source, shared_target},
    message::{NewRecord, Record},
    output::output_within,
    process::{dismiss_watcher, new_folder, poll_until, send_signal, watched},
    records::{State, fold},
};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_schema-mirror");
/// For a link to say something in its log, or to write what it was given. A new writer waits up to
/// a session time-out (6 s) and the group's rebalance; the rest is for a machine that is busy.
pub(crate) const LINK_LIMIT: Duration = Duration::from_secs(40);
/// For a command that ends by itself: a backfill through two outages of its broker takes a minute.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(180);
/// For the process to end after SIGTERM: its own limit for what is on its way, and some.
const END_LIMIT: Duration = Duration::from_secs(30);
/// Lines of the mirror's log that a failed test prints.
const LOG_LINES_SHOWN: usize = 40;

/// Settings of a source topic. The second lets a fixture in whose times are still to come on a
/// machine with another clock.
pub(crate) const SOURCE_SETTINGS: [(&str, &str); 2] =
    [("cleanup.policy", "compact"), ("message.timestamp.after.max.ms", "9223372036854775807")];

/// One link between two topics that belong to one test.
pub(crate) struct Scene<'a> {
    pub(crate) name: &'static str,
    pub(crate) source: &'a Broker,
    pub(crate) target: &'a Broker,
    /// `context` of the link.
    pub(crate) context: &'static str,
    /// `subjects` of the link.
    pub(crate) subjects: &'static str,
    /// More lines of the link.
    pub(crate) link_lines: Vec<&'static str>,
    /// More lines of the target cluster.
    pub(crate) target_lines: Vec<&'static str>,
    /// Its configuration files.
    pub(crate) folder: TempDir,
}

impl Scene<'static> {
    /// A link between the brokers that tests share; its source topic is there and empty.
    pub(crate) fn shared(name: &'static str) -> Self {
        let scene = Self::between(name, shared_source(), shared_target());
        scene.source.create_topic(&scene.source_topic(), 1, &SOURCE_SETTINGS);
        scene
    }
}

impl<'a> Scene<'a> {
    /// A link between two brokers whose source topic is still to be created.
    pub(crate) fn between(name: &'static str, source: &'a Broker, target: &'a Broker) -> Self {
        Self {
            name,
            source,
            target,
            context: ".source",
            subjects: "*",
            link_lines: Vec::new(),
            target_lines: Vec::new(),
            folder: new_folder(name),
        }
    }

    pub(crate) fn source_topic(&self) -> String {
        format!("{}_source", self.name)
    }

    pub(crate) fn target_topic(&self) -> String {
        format!("{}_target", self.name)
    }

    pub(crate) fn state_topic(&self) -> String {
        format!("{}_state", self.name)
    }

    /// Writes records into the source.
    pub(crate) fn produce(&self, records: &[NewRecord]) {
        self.source.produce(&self.source_topic(), records);
    }

    /// The target's log.
    pub(crate) fn target_log(&self) -> Vec<Record> {
        self.target.read_all(&self.target_topic())
    }

    /// What the target says.
    pub(crate) fn target_state(&self) -> State {
        fold(&self.target_log())
    }

    /// Waits until the target says what is wanted, and returns what it says.
    #[track_caller]
    pub(crate) fn wait_target(&self, what: &str, wanted: impl Fn(&State) -> bool) -> State {
        poll_until(LINK_LIMIT, what, || Some(self.target_state()).filter(|state| wanted(state)))
    }

    /// Copies once.
    pub(crate) fn backfill(&self) -> Answer {
        self.answer("backfill", &[])
    }

    /// Copies once, which must work without anything set aside, and returns what it wrote.
    #[track_caller]
    pub(crate) fn backfill_clean(&self) -> u64 {
        let answer = self.backfill();
        assert_eq!((answer.code, answer.text("result")), (0, "done"), "{answer:?}");
        answer.number("appended")
    }

    /// Compares both sides and demands that they are equal.
    #[track_caller]
    pub(crate) fn verify_equal(&self) {
        let answer = self.answer("verify", &[]);
        assert_eq!((answer.code, answer.text("result")), (0, "equal"), "{answer:?}");
    }

    /// Starts an instance that has run before: it must find nothing to write.
    #[track_caller]
    pub(crate) fn start_in_sync(&self, instance: &str) {
        let before = self.target_log();
        let mut mirror = self.run(instance);
        mirror.wait_for("running");
        assert_eq!(mirror.end(), 0);
        assert_eq!(self.target_log(), before, "a start in sync writes nothing");
    }

    /// Runs a command for once.
    pub(crate) fn answer(&self, command: &str, flags: &[&str]) -> Answer {
        answer(&self.config("once"), command, flags)
    }

    /// Starts an instance that follows.
    pub(crate) fn run(&self, instance: &str) -> Mirror {
        self.run_with(instance, &[])
    }

    /// Starts one with flags.
    pub(crate) fn run_with(&self, instance: &str, flags: &[&str]) -> Mirror {
        Mirror::start(&self.config(instance), flags)
    }

    /// The link's checkpoint, once there is one.
    pub(crate) fn checkpoint(&self) -> Option<Value> {
        checkpoint(self.target, &self.state_topic())
    }

    /// Writes an instance's configuration.
    pub(crate) fn config(&self, instance: &str) -> PathBuf {
        let lines = |lines: &[&str]| lines.iter().map(|line| format!("    {line}\n")).collect();
        let (link_lines, target_lines): (String, String) =
            (lines(&self.link_lines), lines(&self.target_lines));
        let text = format!(
            r#"
instance: {instance}
clusters:
  source:
    bootstrap_servers: {source}
    schemas_topic: {source_topic}
    state_topic: {state_topic}
    kafka: {{ reconnect.backoff.max.ms: 500 }}
  target:
    bootstrap_servers: {target}
    schemas_topic: {target_topic}
    state_topic: {state_topic}
    kafka: {{ reconnect.backoff.max.ms: 500 }}
{target_lines}
links:
  - name: {name}
    source: source
    target: target
    context: {context}
    subjects: ["{subjects}"]
{link_lines}"#,
            source = self.source.bootstrap(),
            source_topic = self.source_topic(),
            state_topic = self.state_topic(),
            target = self.target.bootstrap(),
            target_topic = self.target_topic(),
            name = self.name,
            context = self.context,
            subjects = self.subjects,
        );
        write_config(self.folder.path(), instance, &text)
    }
}

/// Keeps a configuration file; an instance that runs has read its own already.
pub(crate) fn write_config(folder: &Path, instance: &str, text: &str) -> PathBuf {
    let path = folder.join(format!("{instance}.yaml"));
    fs::write(&path, text).unwrap();
    path
}

/// The only checkpoint in a state topic.
pub(crate) fn checkpoint(broker: &Broker, state_topic: &str) -> Option<Value> {
    let state = fold(&broker.read_all(state_topic));
    let mut found = state.into_iter().filter(|(key, _)| key.contains(r#""kind":"checkpoint""#));
    let (_, (checkpoint, _)) = found.next()?;
    assert_eq!(found.count(), 0, "one link has one checkpoint");
    Some(checkpoint)
}

/// What a command for once said.
#[derive(Debug)]
#[expect(dead_code, reason = "the log is shown with a test that failed")]
pub(crate) struct Answer {
    pub(crate) code: i32,
    /// The first link's part of the JSON document.
    pub(crate) link: Value,
    log: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn number(&self, field: &str) -> u64 {
        self.link[field].as_u64().unwrap_or_else(|| panic!("no number {field}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> &str {
        self.link[field].as_str().unwrap_or_else(|| panic!("no text {field}: {self:?}"))
    }
}

/// Runs a command for once on a file.
pub(crate) fn answer(config: &Path, command: &str, flags: &[&str]) -> Answer {
    let mut program = Command::new(PROGRAM);
    program.args([command, "--output", "json", "--config"]).arg(config).args(flags);
    let output = output_within(ANSWER_LIMIT, &mut program);
    let log = String::from_utf8(output.stderr).unwrap();
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{command} gave no document: {error}\n{log}"));
    let code = output.status.code().expect("an exit code");
    Answer { code, link: document["links"][0].clone(), log }
}

/// A mirror that follows, killed when it is dropped.
pub(crate) struct Mirror {
    /// None when it has ended.
    process: Option<Child>,
    log: PathBuf,
    _folder: TempDir,
}

impl Mirror {
    /// `run` on a configuration file.
    pub(crate) fn start(config: &Path, flags: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        // The watcher removes this folder with the process, so it is not the configuration's.
        let folder = new_folder(&format!("run-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let log = folder.path().join("mirror.log");
        let mut program = watched(folder.path());
        program.args([PROGRAM, "run", "--http", "127.0.0.1:0", "--log-format", "json", "--config"]);
        program.arg(config).args(flags);
        program.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        Self { process: Some(program.spawn().unwrap()), log, _folder: folder }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            dismiss_watcher(&mut process);
            process.wait().unwrap();
        }
    }

    /// SIGSTOP: the process does nothing more, and its connections stay open.
    pub(crate) fn pause(&self) {
        send_signal(self.process.as_ref().expect("a mirror that runs"), "STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        send_signal(self.process.as_ref().expect("a mirror that runs"), "CONT");
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        send_signal(self.process.as_ref().expect("a mirror that runs"), "HUP");
    }

    /// SIGTERM; waits for the end and returns the exit code.
    pub(crate) fn end(&mut self) -> i32 {
        let mut process = self.process.take().expect("a mirror that runs");
        send_signal(&process, "TERM");
        let ended =
            poll_until(END_LIMIT, "the mirror ends after SIGTERM", || process.try_wait().unwrap());
        // It ended by itself; its watcher still waits.
        dismiss_watcher(&mut process);
        ended.code().expect("an exit code")
    }

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().unwrap().is_none())
    }

    /// Lines of the log with this message, as objects.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        self.all_lines().into_iter().filter(|line| line["message"] == message).collect()
    }

    /// Lines of the log that are errors.
    pub(crate) fn errors(&self) -> Vec<Value> {
        self.all_lines().into_iter().filter(|line| line["level"] == "ERROR").collect()
    }

    /// Every line of the log, as an object.
    pub(crate) fn all_lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap();
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a line with this message, and returns the first.
    #[track_caller]
    pub(crate) fn wait_for(&self, message: &str) -> Value {
        self.wait_for_nth(message, 1)
    }

    /// Waits until there are so many lines with this message, and returns that one.
    #[track_caller]
    pub(crate) fn wait_for_nth(&self, message: &str, count: usize) -> Value {
        poll_until(LINK_LIMIT, &format!("the mirror says {message:?} {count} times"), || {
            self.lines(message).into_iter().nth(count.checked_sub(1).unwrap())
        })
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let skipped = log.lines().count().saturating_sub(LOG_LINES_SHOWN);
            let tail: Vec<_> = log.lines().skip(skipped).collect();
            eprintln!("the mirror logged last:\n{}", tail.join("\n"));
        }
    }
}
