//! Modes that are set on contexts which links own, where no registry runs.

use schema_mirror::service::acknowledgements::asks;
use schema_mirror::service::exporter::ContextType;
use schema_mirror::service::exporter::Described;
use schema_mirror::service::exporter::FixedLink;
use schema_mirror::service::status::Status;
use schema_mirror::service::supervisor::Assignment;
use schema_mirror::service::supervisor::Fleet;
use schema_mirror::service::supervisor::Restart;
use schema_mirror::service::supervisor::Watched;
use schema_mirror::service::worker::End;
use schema_mirror::service::worker::Goal;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;

use super::exporters::Process;
use super::exporters::SOURCE_URL;
use super::exporters::TARGET_URL;
use super::exporters::endpoint;
use super::exporters::link;
use super::exporters::register_at;
use super::links::definition;
use super::*;

const OF_SOURCE: &str = "/target/mode/:.source:";
const OF_TARGET: &str = "/source/mode/%3A.target%3A";

impl Process {
    async fn set(&self, path: &str, mode: &str) -> (u16, Value) {
        self.at("PUT", path, json!({ "mode": mode })).await
    }

    /// Refused as a registry refuses it: gives the reason.
    async fn refuses(&self, path: &str, mode: &str) -> String {
        let (code, answer) = self.set(path, mode).await;
        assert_eq!((code, &answer["error_code"]), (422, &json!(42205)), "{mode} {path}: {answer}");
        answer["message"].as_str().unwrap().to_owned()
    }

    async fn mode_of(&self, path: &str) -> Value {
        self.at("GET", path, Value::Null).await.1["mode"].clone()
    }

    async fn until_it_says(&self, path: &str, expected: Value) {
        self.answer_until(path, |answer| *answer == (200, expected.clone())).await;
    }
}

/// The third part of the walkthrough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_contexts_both_ways_run_on_with_import_and_nothing_compounds() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    let back = json!({
        "name": "tgt-to-src-link", "contextType": "CUSTOM", "context": "target",
        "config": { "schema.registry.url": SOURCE_URL },
    });
    assert_eq!(process.ask("POST", "", link("src-to-tgt-link")).await.0, 200);
    assert_eq!(process.at("POST", "/target/exporters", back).await.0, 200);
    process.until("src-to-tgt-link", "RUNNING").await;
    for path in [OF_SOURCE, OF_TARGET] {
        assert_eq!(process.set(path, "IMPORT").await, (200, json!({ "mode": "IMPORT" })));
        assert_eq!(process.mode_of(path).await, "IMPORT", "{path}");
    }
    register_at(&mocks.source, "pageviews-value", 1).await;
    register_at(&mocks.target, "stock_trades-value", 1).await;
    let on_source = json!([":.target:stock_trades-value", "pageviews-value"]);
    let on_target = json!([":.source:pageviews-value", "stock_trades-value"]);
    process.until_it_says("/source/subjects/", on_source.clone()).await;
    process.until_it_says("/target/subjects/", on_target.clone()).await;

    // One more in each direction, and what came before has gone round if it ever does.
    register_at(&mocks.source, "more-value", 2).await;
    let more = |path: &str| format!("/{path}/subjects/:.source:more-value/versions");
    process.until_it_says(&more("target"), json!([1])).await;
    for (cluster, contexts) in [("source", [".", ".target"]), ("target", [".", ".source"])] {
        process.until_it_says(&format!("/{cluster}/contexts"), json!(contexts)).await;
        let status = if cluster == "source" { "src-to-tgt-link" } else { "tgt-to-src-link" };
        let path = format!("/{cluster}/exporters/{status}/status");
        let (_, status) = process.at("GET", &path, Value::Null).await;
        assert_eq!((&status["state"], status.get("trace")), (&json!("RUNNING"), None), "{status}");
    }
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mode_of_a_context_becomes_the_fence_of_its_link_and_outlives_the_process() {
    let mocks = MockPair::start().unwrap();
    let first = Process::start(&mocks).await;
    register_at(&mocks.source, "orders", 7).await;
    assert_eq!(first.ask("POST", "", link("x")).await.0, 200);
    first.status_until("x", |status| status["offset"] == 0).await;
    assert_eq!(first.mode_of(OF_SOURCE).await, "READONLY");

    let barred = first.refuses(OF_SOURCE, "IMPORT").await;
    assert_eq!(barred, "Cannot import since found existing subjects");
    let forced = format!("{OF_SOURCE}?force=true");
    assert_eq!(first.set(&forced, "IMPORT").await, (200, json!({ "mode": "IMPORT" })));
    assert_eq!(first.mode_of(OF_SOURCE).await, "IMPORT");
    assert_eq!(first.set(OF_SOURCE, "IMPORT").await.0, 200, "it is so already");
    assert_eq!(first.get("/x/config").await.1["mirror.fence"], "import");

    let open = first.refuses(OF_SOURCE, "READWRITE").await;
    assert!(open.contains("link x") && open.contains("mirror.fence=none"), "{open}");
    assert_eq!(first.mode_of(OF_SOURCE).await, "IMPORT");
    for path in ["/target/mode/:.other:", "/target/mode/:.source:orders", "/target/mode"] {
        assert_eq!(first.refuses(path, "IMPORT").await, "Mode changes are not allowed", "{path}");
    }
    let (_, wrong) = first.set(OF_SOURCE, "OPEN").await;
    assert_eq!(wrong["error_code"], 42204, "{wrong}");

    assert_eq!(first.put("/x/pause").await.0, 200);
    first.until("x", "PAUSED").await;
    assert_eq!(first.set(OF_SOURCE, "READONLY").await.0, 200, "it is set when the link goes on");
    assert_eq!(first.mode_of(OF_SOURCE).await, "IMPORT");
    first.end().await;

    let second = Process::start(&mocks).await;
    second.answer_until("/source/exporters/x", |answer| answer.0 == 200).await;
    assert_eq!(second.put("/x/resume").await.0, 200);
    second.until_it_says(OF_SOURCE, json!({ "mode": "READONLY" })).await;
    let none = json!({ "schema.registry.url": TARGET_URL, "mirror.fence": "none" });
    assert_eq!(second.ask("PUT", "/x/config", none).await.0, 200);
    second.answer_until(OF_SOURCE, |answer| answer.1["error_code"] == 40409).await;
    second.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_context_that_auto_means_is_its_link_s_once_that_has_claimed_it() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    let auto = json!({ "name": "x", "config": { "schema.registry.url": TARGET_URL } });
    assert_eq!(process.ask("POST", "", auto).await.0, 200);
    process.until("x", "RUNNING").await;
    let (_, contexts) = process.at("GET", "/target/contexts", Value::Null).await;
    let path = format!("/target/mode/:{}:", contexts[1].as_str().unwrap());
    assert_eq!(process.set(&path, "IMPORT").await, (200, json!({ "mode": "IMPORT" })));
    assert_eq!(process.mode_of(&path).await, "IMPORT");
    process.end().await;
}

/// Sets the mode of the link's context at the target, as a client of its registry does; `None` deletes it.
async fn client_sets(mocks: &MockPair, mode: Option<&str>) {
    let cluster = cluster(&mocks.target, &[]);
    let mut registry = soon(cluster.append_to(TOPIC, 0)).await.unwrap();
    let key = r#"{"keytype":"MODE","subject":":.source:","magic":0}"#;
    let value = mode.map(|mode| json!({ "subject": ":.source:", "mode": mode }).to_string());
    let value = value.map(String::into_bytes);
    let record = Outgoing { key: key.as_bytes().to_vec(), value, ..write(0) };
    soon(registry.append_when_room(&record)).await.unwrap();
    assert_eq!(acked(&registry, 1).await.acked, 1);
}

/// Leave to set fences again, as it stands in the state topic.
async fn leave_is_kept(mocks: &MockPair) -> bool {
    let cluster = cluster(&mocks.target, &[]);
    let records = soon(cluster.read_all("_schema_mirror")).await.unwrap();
    let is_leave = |record: &&Record| {
        let key = record.key.as_deref().unwrap_or_default();
        String::from_utf8_lossy(key).contains(r#""kind":"fence_leave""#)
    };
    records.iter().rfind(is_leave).is_some_and(|newest| newest.value.is_some())
}

fn is_lifted(status: &Value) -> bool {
    status["trace"].as_str().unwrap_or_default().starts_with("fence lifted")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_that_was_lifted_is_set_again_over_rest_and_the_link_goes_on() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register_at(&mocks.source, "orders", 7).await;
    assert_eq!(process.ask("POST", "", link("x")).await.0, 200);
    process.status_until("x", |status| status["offset"] == 0).await;

    client_sets(&mocks, Some("READWRITE")).await;
    let halted = process.status_until("x", is_lifted).await;
    for words in ["link resume x,", "link resume x --fence-again", "resume?fenceAgain=true"] {
        assert!(halted["trace"].as_str().unwrap().contains(words), "{words} in {halted}");
    }
    assert_eq!(process.put("/x/resume").await.0, 200);
    process.status_until("x", is_lifted).await;
    assert_eq!(process.mode_of(OF_SOURCE).await, "READWRITE", "told to go on, not to fence");
    assert_eq!(process.set(OF_SOURCE, "READONLY").await, (200, json!({ "mode": "READONLY" })));
    assert_eq!(process.mode_of(OF_SOURCE).await, "READONLY");
    process.until("x", "RUNNING").await;
    register_at(&mocks.source, "users", 8).await;
    process.status_until("x", |status| status["offset"] == 1).await;
    assert!(!leave_is_kept(&mocks).await, "it counts once");

    client_sets(&mocks, None).await;
    process.status_until("x", is_lifted).await;
    assert_eq!(process.put("/x/resume?fenceAgain=maybe").await.0, 400);
    assert_eq!(process.put("/x/resume?fenceAgain=true").await, (200, json!({ "name": "x" })));
    process.until_it_says(OF_SOURCE, json!({ "mode": "READONLY" })).await;
    process.until("x", "RUNNING").await;
    assert!(!leave_is_kept(&mocks).await, "it counts once");

    // Back by hand, and the link still stands still: who asks for what stands lets it go on.
    client_sets(&mocks, Some("READWRITE")).await;
    process.status_until("x", is_lifted).await;
    client_sets(&mocks, Some("READONLY")).await;
    process.until_it_says(OF_SOURCE, json!({ "mode": "READONLY" })).await;
    assert_eq!(process.set(OF_SOURCE, "READONLY").await.0, 200);
    process.until("x", "RUNNING").await;
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_s_mode_gives_way_to_the_one_that_is_asked_for_by_name() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register_at(&mocks.source, "orders", 7).await;
    assert_eq!(process.ask("POST", "", link("x")).await.0, 200);
    process.status_until("x", |status| status["offset"] == 0).await;
    client_sets(&mocks, Some("IMPORT")).await;
    process.until_it_says(OF_SOURCE, json!({ "mode": "IMPORT" })).await;
    assert_eq!(process.set(OF_SOURCE, "READONLY").await, (200, json!({ "mode": "READONLY" })));
    assert_eq!(process.mode_of(OF_SOURCE).await, "READONLY");
    process.until("x", "RUNNING").await;

    // What is asked for while the link is paused is done when it goes on, but for a later lift.
    assert_eq!(process.put("/x/pause").await.0, 200);
    process.until("x", "PAUSED").await;
    client_sets(&mocks, Some("IMPORT")).await;
    process.until_it_says(OF_SOURCE, json!({ "mode": "IMPORT" })).await;
    assert_eq!(process.set(OF_SOURCE, "READONLY").await.0, 200);
    client_sets(&mocks, Some("READWRITE")).await;
    assert_eq!(process.put("/x/resume").await.0, 200);
    process.status_until("x", is_lifted).await;
    assert!(leave_is_kept(&mocks).await, "it was not used");
    let none = json!({ "schema.registry.url": TARGET_URL, "mirror.fence": "none" });
    assert_eq!(process.ask("PUT", "/x/config", none).await.0, 200);
    process.until("x", "RUNNING").await;
    let (code, refused) = process.put("/x/resume?fenceAgain=true").await;
    assert_eq!((code, &refused["error_code"]), (409, &json!(40951)), "{refused}");
    process.end().await;
}

/// A link of the file as whoever looks at exporters sees it.
pub(super) fn fixed(watched: Watched, restart: Restart) -> FixedLink {
    let rules = definition().rules;
    let described = Described {
        name: rules.name.clone(),
        subjects: vec!["*".to_owned()],
        context_type: ContextType::Custom,
        context: Some("source".to_owned()),
        subject_rename_format: None,
        kek_rename_format: None,
        config: BTreeMap::new(),
    };
    let (source, target) = ("source".to_owned(), "target".to_owned());
    FixedLink { source, target, described, rules, watched, restart }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_the_file_sets_its_fence_again_without_a_start() {
    let mocks = MockPair::start().unwrap();
    register_at(&mocks.source, "orders", 7).await;
    let assignment = Assignment {
        definition: definition(),
        source: endpoint("source", &mocks.source, SOURCE_URL).cluster,
        target: endpoint("target", &mocks.target, TARGET_URL).cluster,
        write_rate_max: None,
    };
    let mut fleet = Fleet::start(vec![assignment], &SystemClock::start(), Goal::Follow);
    let (watched, restart) = (fleet.watched()[0].clone(), fleet.restarts()[0].clone());
    let process = Process::start_beside(&mocks, vec![fixed(watched, restart)]).await;
    process.status_until("dr", |status| status["offset"] == 0).await;

    for ask in ["PUT", "resume"] {
        client_sets(&mocks, Some("READWRITE")).await;
        let halted = process.status_until("dr", is_lifted).await;
        let words = "start once with --fence-again, or schema-mirror link resume dr --fence-again";
        assert!(halted["trace"].as_str().unwrap().contains(words), "{halted}");
        if ask == "PUT" {
            assert_eq!(process.set(OF_SOURCE, "READONLY").await.0, 200);
        } else {
            assert_eq!(process.put("/dr/resume").await.0, 409, "that takes a start");
            assert_eq!(process.put("/dr/resume?fenceAgain=true").await.0, 200);
        }
        process.until_it_says(OF_SOURCE, json!({ "mode": "READONLY" })).await;
        process.until("dr", "RUNNING").await;
    }
    let refused = process.refuses(&format!("{OF_SOURCE}?force=true"), "IMPORT").await;
    assert!(refused.contains("file: write fence: import"), "{refused}");
    process.end().await;
    fleet.shut_down();
    let mut ends = BTreeMap::new();
    soon(fleet.join(&mut ends)).await;
    assert_eq!(ends.get(&0), Some(&End::Done));
}

#[tokio::test]
async fn a_link_of_the_file_says_where_its_fence_stands() {
    let mocks = MockPair::start().unwrap();
    let watched = Watched {
        link: "dr".to_owned(),
        source: "source".to_owned(),
        target: "target".to_owned(),
        status: watch::channel(Status::default()).1,
        asks: asks().0,
    };
    let of_file = vec![fixed(watched, Restart::default())];
    let process = Process::start_beside(&mocks, of_file).await;
    let refused = process.refuses(OF_SOURCE, "IMPORT").await;
    assert!(refused.contains("file: write fence: import"), "{refused}");
    let refused = process.refuses(OF_SOURCE, "READWRITE").await;
    assert!(refused.contains("fence: none for it in the file"), "{refused}");
    process.end().await;
}
