//! `schema-mirror link` as a process, against links that are made over REST.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use schema_mirror::config::Config;
use schema_mirror::config::ProcessEnvironment;
use schema_mirror::core::rules::Rules;

use super::*;
use crate::output::output_within;

pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_schema-mirror");

/// The clusters of the process, as a file has them.
const CLUSTERS: &str = "clusters:
  source: { bootstrap_servers: 'a:9092' }
  target: { bootstrap_servers: 'b:9092' }
";

/// What a command said, and its exit code.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Said {
    /// Runs a program to its end.
    pub(super) async fn of(mut program: Command) -> Self {
        let run = tokio::task::spawn_blocking(move || output_within(LIMIT, &mut program));
        let output = run.await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        Self { code: output.status.code(), out, err }
    }
}

impl Process {
    pub(super) fn program(&self, words: &[&str]) -> Command {
        let mut program = Command::new(PROGRAM);
        program.args(["link", "--url", &format!("http://{}", self.address)]).args(words);
        program.env_remove("SCHEMA_MIRROR_URL").env_remove("SCHEMA_MIRROR_TOKEN");
        program
    }

    async fn link(&self, line: &str) -> Said {
        let words: Vec<&str> = line.split(' ').collect();
        Said::of(self.program(&words)).await
    }

    /// Says this and nothing else, and ends with this code.
    #[track_caller]
    pub(super) fn check(said: Said, code: i32, expected: &str) {
        assert_eq!(said.code, Some(code), "{said:?}");
        let said = format!("{}{}", said.out, said.err);
        assert!(said.contains(expected), "{expected:?} in {said}");
    }

    pub(super) async fn check_link(&self, line: &str, code: i32, expected: &str) {
        Self::check(self.link(line).await, code, expected);
    }

    /// What a link of the process does.
    fn rules(&self, name: &str) -> Option<Rules> {
        let roster = self.roster.borrow();
        let link = roster.links.iter().find(|watched| watched.link == name)?;
        link.status.borrow().definition.as_ref().map(|definition| definition.rules.clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_made_changed_paused_reset_and_deleted_with_the_words_of_a_file() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    process.check_link("list", 0, "there are no links").await;
    let line = "create x --source source --target target --context .source --subjects orders \
                --fence import";
    process.check_link(line, 0, "x is made: it copies source to target\n").await;
    process.check_link(line, 1, "exporter x exists already; error code: 40960\n").await;
    process.status_until("x", |status| status["offset"] == 0).await;
    let (_, shown) = process.at("GET", "/links/x", Value::Null).await;
    let told = ["context", "subjects", "fence"].map(|field| &shown[field]);
    assert_eq!(told, [&json!(".source"), &json!(["orders"]), &json!("import")]);
    let rules = r#"[{"match":"a-(.*)","replace":"$1"}]"#;
    let line = format!("update x --subjects orders,users --drift report --subject-renames {rules}");
    process.check_link(&line, 0, "x is changed\n").await;
    let (_, described) = process.get("/x").await;
    let expected = json!({
        "name": "x", "contextType": "CUSTOM", "context": ".source",
        "subjects": ["orders", "users"],
        "config": {
            "schema.registry.url": TARGET_URL, "mirror.fence": "import", "mirror.drift": "report",
            "mirror.subject_renames": rules,
        },
    });
    assert_eq!(described, expected, "what was not given stays");
    process.until("x", "RUNNING").await;

    process.check_link("reset x", 1, "exporter x is not paused: pause it first").await;
    let paused = process.link("--output json pause x").await;
    let document: Value = serde_json::from_str(&paused.out).unwrap();
    assert_eq!(document, json!({ "link": "x", "source": "source", "done": "paused" }));
    process.check_link("reset x", 0, "x compares everything when it goes on\n").await;
    process.check_link("resume x --source source", 0, "x goes on\n").await;
    process.until("x", "RUNNING").await;
    process.check_link("resume x", 1, "x is running already; error code: 40961\n").await;
    process.check_link("pause x", 0, "x is paused\n").await;
    process.until("x", "PAUSED").await;
    let purged = "x is deleted, and its copy with it: 1 schemas";
    process.check_link("delete x --purge", 0, purged).await;

    for verb in ["pause", "resume", "reset", "delete", "export"] {
        process.check_link(&format!("{verb} x"), 1, "no link is named x").await;
    }
    process.check_link("show x", 2, "no link is named x").await;
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_wrongly_makes_nothing_and_is_said_in_one_sentence() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    for (line, code, expected) in [
        ("create x --source source --target nowhere", 1, "there are source, target"),
        ("create x --source nowhere --target target", 1, "there are source, target"),
        ("create x --source source --target http://elsewhere:8081", 1, "known are"),
        ("create a/b --source source --target target", 1, "error code: 40950"),
        ("create x --source source --target target --subjects a*b", 1, "error code: 40952"),
        ("create x --source source", 64, "--target CLUSTER"),
        ("create x --target target", 64, "--source"),
        ("create x --source source --target target --fence no", 64, "--fence"),
        ("create x --source source --target target --context NONE", 64, "write none"),
        ("create x --file /no/such/file", 64, "can't be read"),
        ("update x", 64, "nothing is given to change"),
        ("update x --adopt", 1, "no link is named x"),
    ] {
        let said = process.link(line).await;
        let lines = said.err.lines().count();
        assert!(code == 64 || lines == 1, "{line}: {said:?}");
        Process::check(said, code, expected);
    }
    assert_eq!(process.get("").await.1, json!([]));
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_export_writes_is_a_file_s_links_and_makes_the_same_link_again() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    let mut whole = link("whole");
    whole["subjects"] = json!(["orders*", "/users-.+/", ":.staging:*"]);
    whole["subjectRenameFormat"] = json!("dr-${subject}");
    whole["kekRenameFormat"] = json!("dr-${kek}");
    for (key, value) in [
        ("fence", "import"),
        ("references", "hold"),
        ("drift", "report"),
        ("adopt", "true"),
        ("allow_deletes_until", "4711"),
    ] {
        whole["config"][format!("mirror.{key}")] = json!(value);
    }
    assert_eq!(process.ask("POST", "", whole).await.0, 200);
    process
        .check_link("create plain --source source --target target --context .plain", 0, "")
        .await;
    process.until("whole", "RUNNING").await;
    process.until("plain", "RUNNING").await;
    process.check_link("pause plain", 0, "").await;
    process.until("plain", "PAUSED").await;

    let written = process.link("export").await;
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(written.out.contains("# left out: kekRenameFormat \"dr-${kek}\""), "{}", written.out);
    assert!(written.out.contains("# it was paused"), "{}", written.out);
    let file = format!("{CLUSTERS}{}", written.out);
    let config = Config::parse("file", &file, &ProcessEnvironment).unwrap();
    assert_eq!(config.links.len(), 2, "{file}");
    for name in ["whole", "plain"] {
        let read = config.link(name).unwrap();
        let rules = process.rules(name).unwrap();
        assert_eq!(format!("{:?}", read.rules_before_cluster()), format!("{rules:?}"), "{name}");
    }
    let read = config.link("whole").unwrap();
    assert_eq!((read.adopt, read.allow_deletes_until), (true, Some(4711)));

    let (_, before) = process.get("/plain").await;
    process.check_link("delete plain", 0, "what it copied stays").await;
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), &written.out).unwrap();
    let again = format!("create plain --file {}", path.path().display());
    process.check_link(&again, 0, "plain is made").await;
    assert_eq!(process.get("/plain").await.1, before);
    let changed = format!("update whole --file {}", path.path().display());
    process.check_link("update whole --fence none --subjects orders", 0, "").await;
    process.check_link(&changed, 0, "whole is changed").await;
    let (_, described) = process.get("/whole").await;
    assert_eq!(described["config"]["mirror.fence"], "import", "{described}");
    let only = process.link("export plain").await;
    assert!(only.out.contains("plain") && !only.out.contains("whole"), "{}", only.out);
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_link_sets_aside_is_shown_with_its_reason_and_watched() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    register_as(&mocks.source, "users", 7, "\"string\"").await;
    process.check_link("create x --source source --target target --context .source", 0, "").await;
    process.status_until("x", |status| status["trace"] != Value::Null).await;
    let shown = process.link("incidents x").await;
    for words in ["x (running): 1 incident, 0 held keys", "incident  users v1 (source offset 1): "]
    {
        assert!(shown.out.contains(words), "{words:?} in {}", shown.out);
    }
    let (_, document) = process.at("GET", "/links/x/incidents", Value::Null).await;
    let first = &document["set_aside"][0];
    assert_eq!((&first["offset"], &document["set_aside_left_off"]), (&json!(1), &json!(0)));
    let reason: Vec<&str> = first["reason"].as_str().unwrap().split(' ').take(4).collect();
    process.check_link("show x", 0, &reason.join(" ")).await;

    let mut program = process.program(&["--output", "json", "list", "--watch"]);
    let mut watching = program.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(watching.stdout.take().unwrap());
    let (tell, mut states) = tokio::sync::mpsc::channel(100);
    let reader = std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if let Some((_, state)) = line.split_once("\"state\": ") {
                let state = state.trim_end_matches(',').to_owned();
                tell.blocking_send(state).expect("the test listens");
            }
        }
    });
    assert_eq!(soon(states.recv()).await.unwrap(), "\"running\"");
    process.check_link("pause x", 0, "").await;
    while soon(states.recv()).await.expect("a document for every change") != "\"paused\"" {}
    kill_process(Pid::from_child(&watching), Signal::INT).unwrap();
    let ended = tokio::task::spawn_blocking(move || watching.wait().unwrap());
    assert_eq!(soon(ended).await.unwrap().code(), Some(0));
    reader.join().unwrap();
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_stands_still_is_not_waited_for_also_after_a_restart() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    process.check_link("create x --source source --target target --context .source", 0, "").await;
    process.check_link("wait x --now --timeout 30s", 0, "x has caught up").await;
    process.check_link("pause x", 0, "").await;
    process.until("x", "PAUSED").await;
    let paused = "x is not waited for: it is paused; schema-mirror link resume x has it go on";
    process.check_link("wait x --now --timeout 1000m", 1, paused).await;
    process.end().await;

    let process = Process::start(&mocks).await;
    process.until_known("x").await;
    process.check_link("wait x --source source --offset 3 --timeout 1000m", 1, paused).await;
    process.check_link("list", 0, "paused").await;
    process.check_link("resume x", 0, "").await;
    process.check_link("wait x --now --timeout 30s", 0, "x has caught up").await;
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_link_names_the_words_that_let_it_go_on() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    register_at(&mocks.target, ":.source:foreign", 3).await;
    process.check_link("create x --source source --target target --context .source", 0, "").await;
    let trace = |status: &Value| status["trace"].as_str().unwrap_or_default().to_owned();
    let halted = process.status_until("x", |status| !trace(status).is_empty()).await;
    let words = "schema-mirror link update x --adopt (mirror.adopt=true in its config)";
    assert!(trace(&halted).contains(words), "{halted}");
    process.check_link("wait x --now --timeout 1000m", 1, "it is halted: the scope holds").await;
    process.check_link("update x --adopt", 0, "").await;
    process.until("x", "RUNNING").await;
    process.check_link("resume x --fence-again", 0, "x sets its fence again and goes on\n").await;
    process.until("x", "RUNNING").await;
    process.end().await;
}
