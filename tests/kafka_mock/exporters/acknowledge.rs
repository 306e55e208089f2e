//! Incidents that operators let stand, from the command to the exit codes of others.

use std::process::Command;

use super::verbs::PROGRAM;
use super::verbs::Said;
use super::*;

/// Who is logged in on the machine of these tests.
const USER: &str = "alice";

impl Process {
    async fn link_words(&self, words: &[&str]) -> Said {
        let mut program = self.program(words);
        program.env("LOGNAME", USER);
        Said::of(program).await
    }

    async fn check_words(&self, words: &[&str], code: i32, expected: &str) {
        Self::check(self.link_words(words).await, code, expected);
    }

    /// Waits until the link tells so many incidents, and so many that are acknowledged.
    async fn counts(&self, name: &str, incidents: u64, acknowledged: u64) {
        let told = |answer: &(u16, Value)| {
            let count = |key: &str| answer.1[key].as_u64();
            answer.1["state"] == "running"
                && count("incidents") == Some(incidents)
                && count("acknowledged") == Some(acknowledged)
        };
        self.answer_until(&format!("/links/{name}"), told).await;
    }
}

/// The same link as one of a file, for commands that read one.
struct File(tempfile::NamedTempFile);

impl File {
    fn of(mocks: &MockPair) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "clusters:\n  source: {{ bootstrap_servers: '{}' }}\n  target: {{ bootstrap_servers: '{}' }}\n\
             links:\n  - {{ name: x, source: source, target: target, context: .source }}\n",
            mocks.source.bootstrap_servers(),
            mocks.target.bootstrap_servers(),
        );
        std::fs::write(file.path(), text).unwrap();
        Self(file)
    }

    async fn check(&self, command: &str, code: i32, expected: &str) {
        let mut program = Command::new(PROGRAM);
        program.arg(command).arg("--config").arg(self.0.path());
        Process::check(Said::of(program).await, code, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_that_is_let_stand_makes_no_exit_code_until_its_record_changes() {
    let mocks = MockPair::start().unwrap();
    let file = File::of(&mocks);
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    register_as(&mocks.source, "users", 7, "\"string\"").await;
    process.check_link("create x --source source --target target --context .source", 0, "").await;
    process.counts("x", 1, 0).await;
    file.check("verify", 1, "x: different; 0 differences, 1 incident, 0 held").await;
    file.check("plan", 1, " incident  users v1").await;
    process.check_link("wait x --now --timeout 300ms", 1, "1 incident, 0 held keys").await;

    let why = ["--why", "nobody reads it"];
    let ack = [&["incidents", "ack", "x", "users v1"][..], &why].concat();
    process.check_words(&ack, 0, "1 incident of x acknowledged: users v1\n").await;
    process.counts("x", 0, 1).await;
    file.check("verify", 0, "x: equal but for 1 acknowledged incident; ").await;
    file.check("plan", 0, "acknowledged by alice, 2").await;
    process.check_link("wait x --now", 0, "but for 1 acknowledged incident\n").await;
    process.check_link("incidents x", 0, "0 incidents, 0 held keys, 1 acknowledged incident").await;
    process.check_link("incidents x", 0, "UTC: nobody reads it").await;
    process.check_link("show x", 0, "acknowledged by alice").await;
    let status = process.until("x", "RUNNING").await;
    assert_eq!(status.get("trace"), None, "{status}");
    process.end().await;

    file.check("backfill", 0, "x: 1 incident acknowledged, and not copied").await;
    let process = Process::start_as("two", &mocks, Vec::new(), None).await;
    process.counts("x", 0, 1).await;
    register_as(&mocks.source, "users", 7, "\"bytes\"").await;
    process.counts("x", 1, 0).await;
    file.check("verify", 1, "1 incident, 0 held").await;
    process.end().await;
    file.check("backfill", 1, "x: 1 incident open").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_let_stand_counts_again_when_that_is_withdrawn() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    register_as(&mocks.source, "users", 7, "\"string\"").await;
    register_as(&mocks.source, "parcels", 7, "\"bytes\"").await;
    process.check_link("create x --source source --target target --context .source", 0, "").await;
    process.counts("x", 2, 0).await;
    let all = ["incidents", "ack", "x", "--all", "--by", "bob", "--why", "old"];
    process.check_words(&all, 0, "2 incidents of x acknowledged: parcels v1; users v1\n").await;
    process.counts("x", 0, 2).await;
    process.check_words(&all, 1, "link x: there is no incident; error code: 404").await;
    let (_, told) = process.at("GET", "/links/x/incidents", Value::Null).await;
    assert_eq!(told["set_aside"][0]["acknowledged"]["by"], "bob", "{told}");
    let unack = ["incidents", "unack", "x", "parcels v1"];
    process.check_words(&unack, 0, "1 incident of x counts again: parcels v1\n").await;
    process.counts("x", 1, 1).await;
    let none = "no acknowledged incident has the key parcels v1; there are: users v1";
    process.check_words(&unack, 1, none).await;
    process.check_words(&["incidents", "unack", "x", "--all"], 0, "users v1").await;
    process.counts("x", 2, 0).await;
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_acknowledged_is_said_with_what_there_is() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    register_as(&mocks.source, "users", 7, "\"string\"").await;
    process.check_link("create x --source source --target target --context .source", 0, "").await;
    process.counts("x", 1, 0).await;
    for (words, code, expected) in [
        (&["x", "ordres v1", "--why", "old"][..], 1, "there are: users v1; error code: 404"),
        (&["y", "users v1", "--why", "old"], 1, "no link is named y"),
        (&["x", "users v1"], 64, "--why"),
        (&["x", "users v1", "--why", ""], 64, "why is a line of 1 to 500 characters"),
        (
            &["x", "users v1", "--by", " ", "--why", "old"],
            64,
            "by is a line of 1 to 100 characters",
        ),
        (&["x", "--why", "old"], 64, "KEY"),
        (&["x", "users v1", "--all", "--why", "old"], 64, "--all"),
    ] {
        process.check_words(&[&["incidents", "ack"], words].concat(), code, expected).await;
    }
    let mut nobody = process.program(&["incidents", "ack", "x", "--all", "--why", "old"]);
    nobody.env_remove("LOGNAME").env_remove("USER");
    Process::check(Said::of(nobody).await, 64, "--by WHO");
    process.check_link("incidents", 64, "NAME").await;
    process.counts("x", 1, 0).await;
    process.check_link("pause x", 0, "").await;
    process.until("x", "PAUSED").await;
    let paused =
        "link x is paused here: its incidents are acknowledged while it follows its source";
    process.check_words(&["incidents", "ack", "x", "--all", "--why", "old"], 1, paused).await;
    process.end().await;
}

/// Larger than Kafka's default for a topic, whose setting a mock cluster does not tell.
const TOO_LARGE_BYTES: usize = 1_100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_makes_no_difference_once_it_is_let_stand() {
    let mocks = MockPair::start().unwrap();
    let file = File::of(&mocks);
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    let large = |letter: &str| {
        let doc = letter.repeat(TOO_LARGE_BYTES);
        format!(r#"{{"type":"string","doc":"{doc}"}}"#)
    };
    register_as(&mocks.source, "users", 8, &large("x")).await;
    process.check_link("create x --source source --target target --context .source", 0, "").await;
    process.counts("x", 1, 0).await;
    file.check("verify", 1, "  missing  :.source:users v1").await;
    let ack = ["incidents", "ack", "x", ":.source:users v1", "--why", "nobody reads it"];
    process.check_words(&ack, 0, "1 incident of x acknowledged: :.source:users v1\n").await;
    process.counts("x", 0, 1).await;
    file.check("verify", 0, "x: equal but for 1 acknowledged incident; ").await;
    let told =
        "): missing in the target; a start tries to write it\n           acknowledged by alice";
    file.check("verify", 0, told).await;
    file.check("plan", 0, "x: nothing to write; ").await;
    register_as(&mocks.source, "users", 9, &large("y")).await;
    process.counts("x", 1, 0).await;
    file.check("verify", 1, "  missing  :.source:users v1").await;
    file.check("plan", 1, "+ :.source:users v1 id 9").await;
    process.end().await;
}

/// Writes a version into the source that no registry can read.
async fn damage(mocks: &MockPair, subject: &str) {
    let cluster = cluster(&mocks.source, &[]);
    let mut registry = soon(cluster.append_to(TOPIC, 0)).await.unwrap();
    let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
    let value = Some(b"no JSON".to_vec());
    let record = Outgoing { key: key.into_bytes(), value, ..write(0) };
    soon(registry.append_when_room(&record)).await.unwrap();
    assert_eq!(acked(&registry, 1).await.acked, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_let_stand_goes_with_a_link_that_gets_another_scope_and_ends_with_it() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    damage(&mocks, "users").await;
    let create = "create x --source source --target target --context";
    process.check_link(&format!("{create} .source"), 0, "").await;
    process.counts("x", 1, 0).await;
    let ack = ["incidents", "ack", "x", "users v1", "--why", "old"];
    process.check_words(&ack, 0, "1 incident of x acknowledged: users v1").await;
    process.check_link("update x --context .other", 0, "").await;
    soon(async {
        while !subjects_of_target(&mocks).await.contains(&":.other:orders".to_owned()) {
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    })
    .await;
    process.counts("x", 0, 1).await;
    process.end().await;

    let process = Process::start_as("two", &mocks, Vec::new(), None).await;
    process.counts("x", 0, 1).await;
    process.check_link("pause x", 0, "").await;
    process.until("x", "PAUSED").await;
    process.check_link("delete x", 0, "").await;
    process.check_link(&format!("{create} .other --adopt"), 0, "").await;
    process.counts("x", 1, 0).await;
    process.end().await;
}
