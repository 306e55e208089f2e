//! Links made over REST with the words of Schema Linking's tool, between real brokers.

use std::{fs, path::PathBuf, process::Command, thread};

use serde_json::Value;

use crate::{
    broker::{Broker, shared_source, shared_target},
    mirror::{ANSWER_LIMIT, LINK_LIMIT, Mirror, PROGRAM, SOURCE_SETTINGS, write_config},
    output::output_within,
    process::{new_folder, poll_until},
    records::{State, fold, ten_from},
};

const SOURCE_URL: &str = "http://schemaregistry:8081";
const TARGET_URL: &str = "http://schemaregistry2:8082";

/// Two clusters with a registry's topic each, and no links.
struct Pair {
    name: &'static str,
    folder: tempfile::TempDir,
}

impl Pair {
    fn new(name: &'static str) -> Self {
        let pair = Self { name, folder: new_folder(name) };
        for broker in [shared_source(), shared_target()] {
            broker.create_topic(&pair.topic(), 1, &SOURCE_SETTINGS);
        }
        let tool = pair.folder.path().join("schema-exporter");
        std::os::unix::fs::symlink(PROGRAM, tool).unwrap();
        for (file, url) in [("src.cfg", TARGET_URL), ("tgt.cfg", SOURCE_URL)] {
            fs::write(pair.folder.path().join(file), format!("schema.registry.url={url}\n"))
                .unwrap();
        }
        pair
    }

    fn topic(&self) -> String {
        format!("{}_schemas", self.name)
    }

    fn start(&self, instance: &str) -> Mirror {
        self.start_with(instance, "")
    }

    /// One whose target has these settings, too.
    fn start_with(&self, instance: &str, of_target: &str) -> Mirror {
        let (topic, name) = (self.topic(), self.name);
        let cluster = |broker: &Broker, url: &str, more: &str| {
            format!(
                "{{ bootstrap_servers: \"{}\", schemas_topic: {topic}, state_topic: {name}_state, \
                 registry_urls: [\"{url}\"]{more} }}",
                broker.bootstrap()
            )
        };
        let text = format!(
            "instance: {instance}\nclusters:\n  source: {}\n  target: {}\n",
            cluster(shared_source(), SOURCE_URL, ""),
            cluster(shared_target(), TARGET_URL, of_target),
        );
        Mirror::start(&write_config(self.folder.path(), instance, &text), &[])
    }

    /// Runs a line of a runbook, `schema-exporter` left out.
    #[track_caller]
    fn exporter(&self, mirror: &Mirror, line: &str) -> String {
        let address = mirror.wait_for("listening")["address"].as_str().unwrap().to_owned();
        let mut program = Command::new(self.path("schema-exporter"));
        program.current_dir(self.folder.path()).args(line.split_whitespace());
        program.env("SCHEMA_MIRROR_URL", format!("http://{address}"));
        let output = output_within(ANSWER_LIMIT, &mut program);
        let answer = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {answer}{said}");
        answer.trim_end().to_owned()
    }

    /// Asks with `link`; the exit code and what was said.
    fn link(&self, mirror: &Mirror, words: &str) -> (i32, String) {
        let address = mirror.wait_for("listening")["address"].as_str().unwrap().to_owned();
        let mut program = Command::new(PROGRAM);
        program.args(["link", "--url", &format!("http://{address}")]);
        let output = output_within(ANSWER_LIMIT, program.args(words.split_whitespace()));
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    #[track_caller]
    fn status(&self, mirror: &Mirror, line: &str) -> Value {
        serde_json::from_str(&self.exporter(mirror, &format!("--get-status {line}"))).unwrap()
    }

    fn state(&self, broker: &Broker) -> State {
        fold(&broker.read_all(&self.topic()))
    }
}

/// The subjects that a topic holds behind a context, or in front of all.
fn subjects(state: &State, begin: &str) -> usize {
    let schemas = state.keys().filter(|key| key.contains(r#""keytype":"SCHEMA""#));
    schemas.filter(|key| key.contains(&format!(r#""subject":"{begin}"#))).count()
}

#[test]
fn links_made_both_ways_by_the_lines_of_a_runbook_run_on_and_nothing_compounds() {
    let pair = Pair::new("exporters");
    let mut mirror = pair.start("one");
    let (source, target) = (shared_source(), shared_target());
    let there = "--name src-to-tgt-link --schema.registry.url http://schemaregistry:8081";
    let back = "--name tgt-to-src-link --schema.registry.url http://schemaregistry2:8082";
    let made = pair.exporter(
        &mirror,
        &format!(
            "--create {there} --config-file src.cfg --context-name source --context-type CUSTOM"
        ),
    );
    assert_eq!(made, "Successfully created exporter src-to-tgt-link");
    pair.exporter(
        &mirror,
        &format!(
            "--create {back} --config-file tgt.cfg --context-name target --context-type CUSTOM"
        ),
    );
    let list = "--list --schema.registry.url http://schemaregistry2:8082";
    assert_eq!(pair.exporter(&mirror, list), "[tgt-to-src-link]");
    for line in [there, back] {
        poll_until(LINK_LIMIT, "the link runs", || {
            (pair.status(&mirror, line)["state"] == "RUNNING").then_some(())
        });
        assert_eq!(pair.status(&mirror, line)["offset"], -1, "nothing was exported");
    }

    source.produce(&pair.topic(), &ten_from(1));
    target.produce(&pair.topic(), &ten_from(101));
    poll_until(LINK_LIMIT, "both sides have the other's ten", || {
        let copied = subjects(&pair.state(target), ":.source:") == 10;
        (copied && subjects(&pair.state(source), ":.target:") == 10).then_some(())
    });
    for (line, ten) in [(there, "source"), (back, "target")] {
        let status = poll_until(LINK_LIMIT, "all ten are acknowledged", || {
            let status = pair.status(&mirror, line);
            (status["offset"].as_i64() >= Some(9)).then_some(status)
        });
        assert_eq!(status["state"], "RUNNING", "{ten}: {status}");
    }
    for broker in [source, target] {
        let state = pair.state(broker);
        let compounded = state
            .keys()
            .any(|key| key.contains(".source.target") || key.contains(".target.source"));
        assert!(!compounded, "{:?}", state.keys());
    }

    source.produce(&pair.topic(), &ten_from(21));
    let (code, told) = pair.link(&mirror, "wait src-to-tgt-link --now --timeout 40s");
    assert!(code == 0 && told.contains("has caught up"), "{code} {told}");
    assert_eq!(subjects(&pair.state(target), ":.source:"), 20, "the gate opened behind them");
    let (code, told) = pair.link(&mirror, "wait src-to-tgt-link --offset 1000000 --timeout 300ms");
    assert!(code == 1 && told.contains("has not caught up with offset 1000000"), "{code} {told}");
    let (code, told) = pair.link(&mirror, "list");
    assert!(code == 0 && told.contains("tgt-to-src-link"), "{code} {told}");
    assert_eq!(pair.link(&mirror, "show nothing").0, 2);

    pair.exporter(&mirror, &format!("--pause {there}"));
    source.produce(&pair.topic(), &ten_from(11));
    assert_eq!(pair.status(&mirror, there)["state"], "PAUSED");
    pair.exporter(&mirror, &format!("--resume {there}"));
    poll_until(LINK_LIMIT, "what came while it was paused is copied", || {
        (subjects(&pair.state(target), ":.source:") == 30).then_some(())
    });
    pair.exporter(&mirror, &format!("--pause {there}"));
    pair.exporter(&mirror, &format!("--delete {there}"));
    assert_eq!(subjects(&pair.state(target), ":.source:"), 30, "the copy stays");
    assert_eq!(
        pair.exporter(&mirror, "--list --schema.registry.url http://schemaregistry:8081"),
        "[]"
    );
    assert_eq!(mirror.end(), 0);
}

#[test]
fn a_link_made_at_one_process_is_carried_on_by_another_when_that_one_is_killed() {
    let pair = Pair::new("exporters_two");
    let mut first = pair.start("one");
    let line = "--name dr --schema.registry.url http://schemaregistry:8081";
    pair.exporter(&first, &format!("--create {line} --config-file src.cfg --context-name dr"));
    first.wait_for("running");
    shared_source().produce(&pair.topic(), &ten_from(1));
    let copied = |count: usize| {
        poll_until(LINK_LIMIT, "the records are copied", || {
            (subjects(&pair.state(shared_target()), ":.dr:") == count).then_some(())
        });
    };
    copied(10);

    let mut second = pair.start("two");
    second.wait_for("standby");
    let status = poll_until(LINK_LIMIT, "who stands by tells what the other one wrote", || {
        let status = pair.status(&second, line);
        (status["offset"].as_i64() >= Some(9)).then_some(status)
    });
    assert_eq!(status["state"], "RUNNING", "{status}");
    first.kill();
    shared_source().produce(&pair.topic(), &ten_from(11));
    copied(20);
    assert_eq!(second.lines("running").len(), 1);
    assert_eq!(pair.status(&second, line)["state"], "RUNNING");
    assert_eq!(second.end(), 0);
}

#[test]
fn a_purge_whose_process_is_killed_is_ended_by_another_one() {
    let pair = Pair::new("purges");
    let mut first = pair.start("one");
    let line = "--name dr --schema.registry.url http://schemaregistry:8081";
    shared_source().produce(&pair.topic(), &ten_from(1));
    shared_source().produce(&pair.topic(), &ten_from(11));
    pair.exporter(&first, &format!("--create {line} --config-file src.cfg --context-name dr"));
    let left = || subjects(&pair.state(shared_target()), ":.dr:");
    poll_until(LINK_LIMIT, "the records are copied", || (left() == 20).then_some(()));
    pair.exporter(&first, &format!("--pause {line}"));
    assert_eq!(first.end(), 0);

    let mut slow = pair.start_with("two", ", write_rate_max: 4");
    let address = slow.wait_for("listening")["address"].as_str().unwrap().to_owned();
    let mut program = Command::new(pair.path("schema-exporter"));
    program.args("--delete --purge".split(' ').chain(line.split(' ')));
    program.env("SCHEMA_MIRROR_URL", format!("http://{address}"));
    let asking = thread::spawn(move || output_within(ANSWER_LIMIT, &mut program));
    poll_until(LINK_LIMIT, "the purge is on its way", || (left() < 19).then_some(()));
    slow.kill();
    let answer = asking.join().unwrap();
    assert_ne!(answer.status.code(), Some(0), "nobody is there to answer");
    assert!(left() > 0, "it was killed in the middle");

    let mut other = pair.start("three");
    let list = "--list --schema.registry.url http://schemaregistry:8081";
    poll_until(LINK_LIMIT, "the exporter is gone", || {
        (pair.exporter(&other, list) == "[]").then_some(())
    });
    assert_eq!(pair.state(shared_target()), State::new(), "nothing of the copy is left");
    assert_eq!(other.end(), 0);
}
