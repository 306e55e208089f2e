//! Modes that are set on contexts which links own, where no registry runs.

use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::filter::SubjectFilter;
use schema_mirror::core::naming::Naming;
use schema_mirror::core::rules::Compatibility;
use schema_mirror::core::rules::DeleteLimit;
use schema_mirror::core::rules::DriftPolicy;
use schema_mirror::core::rules::Fence;
use schema_mirror::core::rules::Placement;
use schema_mirror::core::rules::References;
use schema_mirror::core::rules::Rules;
use schema_mirror::core::subject::ContextName;
use schema_mirror::service::acknowledgements::asks;
use schema_mirror::service::exporter::ContextType;
use schema_mirror::service::exporter::Described;
use schema_mirror::service::exporter::FixedLink;
use schema_mirror::service::status::Status;
use schema_mirror::service::supervisor::Watched;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;

use super::exporters::Process;
use super::exporters::SOURCE_URL;
use super::exporters::TARGET_URL;
use super::exporters::link;
use super::exporters::register_at;
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

#[tokio::test]
async fn a_link_of_the_file_says_where_its_fence_stands() {
    let mocks = MockPair::start().unwrap();
    let watched = Watched {
        link: "filed".to_owned(),
        source: "source".to_owned(),
        target: "target".to_owned(),
        status: watch::channel(Status::default()).1,
        asks: asks().0,
    };
    let rules = Rules {
        name: "filed".to_owned(),
        placement: Placement::Into(ContextName::new("source").unwrap()),
        naming: Naming::default(),
        filter: SubjectFilter::parse(&["*".to_owned()]).unwrap(),
        fence: Fence::Readonly,
        references: References::Follow,
        drift: DriftPolicy::Repair,
        default_compatibility: Compatibility::Backward,
        source_dialect: Dialect::Auto,
        target_dialect: Dialect::Auto,
        delete_limit: DeleteLimit::default(),
    };
    let described = Described {
        name: "filed".to_owned(),
        context_type: ContextType::Custom,
        context: Some("source".to_owned()),
        subjects: vec!["*".to_owned()],
        subject_rename_format: None,
        kek_rename_format: None,
        config: BTreeMap::new(),
    };
    let (source, target) = (watched.source.clone(), watched.target.clone());
    let process = Process::start_beside(
        &mocks,
        vec![FixedLink { source, target, described, rules, watched }],
    )
    .await;
    let refused = process.refuses(OF_SOURCE, "IMPORT").await;
    assert!(refused.contains("file: write fence: import"), "{refused}");
    let refused = process.refuses(OF_SOURCE, "READWRITE").await;
    assert!(refused.contains("fence: none for it in the file"), "{refused}");
    process.end().await;
}
