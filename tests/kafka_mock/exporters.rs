//! Links that are made over REST, between two mock clusters.

mod acknowledge;
mod at_rest;
mod page;
mod renames;
mod shadowed;
mod verbs;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use schema_mirror::api::Board;
use schema_mirror::api::Served;
use schema_mirror::api::serve;
use schema_mirror::api::serve_cluster;
use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::registry_url::RegistryUrl;
use schema_mirror::core::rules::Compatibility;
use schema_mirror::service::catalog::CatalogReader;
use schema_mirror::service::catalog::CatalogSource;
use schema_mirror::service::commons::Commons;
use schema_mirror::service::exporter::Desk;
use schema_mirror::service::exporter::Endpoint;
use schema_mirror::service::exporter::FixedLink;
use schema_mirror::service::supervisor::Roster;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;

pub(super) const SOURCE_URL: &str = "http://schemaregistry:8081";
pub(super) const TARGET_URL: &str = "http://schemaregistry2:8082";

/// Between two looks at what is waited for.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// A process with two clusters and no links, as its callers see it.
pub(super) struct Process {
    pub(super) address: SocketAddr,
    /// Where the source stands at the root.
    pub(super) source_address: SocketAddr,
    /// The links that it runs.
    roster: watch::Receiver<Roster>,
    stop: watch::Sender<bool>,
    crew: JoinHandle<()>,
    _desk: watch::Sender<Option<Arc<Desk<KafkaCluster, SystemClock>>>>,
}

impl Process {
    pub(super) async fn start(mocks: &MockPair) -> Self {
        Self::start_beside(mocks, Vec::new()).await
    }

    /// One whose file has these links.
    pub(super) async fn start_beside(mocks: &MockPair, of_file: Vec<FixedLink>) -> Self {
        Self::start_as("one", mocks, of_file, None).await
    }

    /// One with a name of its own, which gives the target so many records a second at most.
    pub(super) async fn start_as(
        instance: &str,
        mocks: &MockPair,
        of_file: Vec<FixedLink>,
        write_rate_max: Option<u32>,
    ) -> Self {
        let clock = SystemClock::start();
        let target = endpoint("target", &mocks.target, TARGET_URL);
        let endpoints = BTreeMap::from([
            ("source".to_owned(), endpoint("source", &mocks.source, SOURCE_URL)),
            ("target".to_owned(), Endpoint { write_rate_max, ..target }),
        ]);
        let catalogs = endpoints.iter().map(|(name, of)| (name.clone(), reader(of))).collect();
        let catalogs = watch::channel(catalogs).1;
        let commons = Commons::new(clock);
        let (desk, crew) = Desk::open(endpoints, of_file, &clock, instance, &commons);
        let (stop, told) = watch::channel(false);
        let (roster, seen) = watch::channel(Roster::default());
        let crew = tokio::spawn(crew.run(move |links| drop(roster.send_replace(links)), told));
        let (desk, desks) = watch::channel(Some(Arc::new(desk)));
        let (all, source) = (listener().await, listener().await);
        let (address, source_address) = (all.local_addr().unwrap(), source.local_addr().unwrap());
        let board = Board::new(seen.clone(), clock);
        let served = Served { board, desks, catalogs, logins: Vec::new(), tls: None, clock };
        tokio::spawn(serve(all, served.clone()));
        tokio::spawn(serve_cluster(source, "source".to_owned(), served));
        Self { address, source_address, roster: seen, stop, crew, _desk: desk }
    }

    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        soon(self.crew).await.unwrap();
    }

    /// Asks below the source; gives the code and what was said.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.at(method, &format!("/source/exporters{path}"), body).await
    }

    /// The same anywhere.
    pub(super) async fn at(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        Self::ask_at(self.address, method, path, body).await
    }

    /// The same of the source, which stands at the root of an address of its own.
    async fn of_source(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        Self::ask_at(self.source_address, method, path, body).await
    }

    async fn ask_at(address: SocketAddr, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let talk = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = soon(talk).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, Value::Null).await
    }

    pub(super) async fn put(&self, path: &str) -> (u16, Value) {
        self.ask("PUT", path, Value::Null).await
    }

    /// The status, once it is what is waited for.
    pub(super) async fn status_until(&self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/source/exporters/{name}/status");
        let is_told = |answer: &(u16, Value)| {
            assert_eq!(answer.0, 200, "{answer:?}");
            is_it(&answer.1)
        };
        self.answer_until(&path, is_told).await
    }

    /// Waits until the process has read that it exists.
    async fn until_known(&self, name: &str) {
        self.answer_until(&format!("/source/exporters/{name}"), |answer| answer.0 == 200).await;
    }

    /// Asks again and again until the answer is what is waited for.
    pub(super) async fn answer_until(
        &self,
        path: &str,
        is_it: impl Fn(&(u16, Value)) -> bool,
    ) -> Value {
        soon(async {
            loop {
                let answer = self.at("GET", path, Value::Null).await;
                if is_it(&answer) {
                    return answer.1;
                }
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
        })
        .await
    }

    pub(super) async fn until(&self, name: &str, state: &str) -> Value {
        self.status_until(name, |status| status["state"] == state).await
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn reader(endpoint: &Endpoint<KafkaCluster>) -> CatalogReader {
    let source = CatalogSource {
        cluster: endpoint.cluster.clone(),
        topic: endpoint.schemas_topic.clone(),
        dialect: endpoint.dialect,
        default_compatibility: endpoint.default_compatibility,
    };
    CatalogReader::start(source, SystemClock::start())
}

pub(super) fn endpoint(name: &str, broker: &MockBroker, url: &str) -> Endpoint<KafkaCluster> {
    let cluster = KafkaCluster::new(ClusterSettings {
        name: name.to_owned(),
        bootstrap_servers: broker.bootstrap_servers().to_owned(),
        client_id: "schema-mirror-test".to_owned(),
        properties: BTreeMap::new(),
        secrets: Vec::new(),
        clock: SystemClock::start(),
    });
    Endpoint {
        cluster: cluster.unwrap(),
        schemas_topic: TOPIC.to_owned(),
        state_topic: "_schema_mirror".to_owned(),
        registry_urls: vec![RegistryUrl::parse(url).unwrap()],
        dialect: Dialect::Auto,
        default_compatibility: Compatibility::Backward,
        create_topics: false,
        write_rate_max: None,
    }
}

pub(super) fn link(name: &str) -> Value {
    json!({
        "name": name, "contextType": "CUSTOM", "context": "source",
        "config": { "schema.registry.url": TARGET_URL },
    })
}

/// Registers a version of a subject in the source, as a registry writes it.
async fn register(mocks: &MockPair, subject: &str, id: i32) {
    register_at(&mocks.source, subject, id).await;
}

/// The same in any cluster.
pub(super) async fn register_at(broker: &MockBroker, subject: &str, id: i32) {
    register_as(broker, subject, id, "\"int\"").await;
}

/// The same with a schema.
pub(super) async fn register_as(broker: &MockBroker, subject: &str, id: i32, schema: &str) {
    let cluster = cluster(broker, &[]);
    let mut registry = soon(cluster.append_to(TOPIC, 0)).await.unwrap();
    let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
    let value =
        json!({ "subject": subject, "version": 1, "id": id, "schema": schema, "deleted": false });
    let value = Some(value.to_string().into_bytes());
    let record = Outgoing { key: key.into_bytes(), value, ..write(0) };
    soon(registry.append_when_room(&record)).await.unwrap();
    assert_eq!(acked(&registry, 1).await.acked, 1);
}

async fn subjects_of_target(mocks: &MockPair) -> Vec<String> {
    let cluster = cluster(&mocks.target, &[]);
    let mut log = soon(cluster.read(TOPIC, 0, 0)).await.unwrap();
    let records = to_end(&mut log).await;
    let keys = records.iter().filter_map(|record| record.key.as_deref());
    let keys = keys.map(|key| serde_json::from_slice::<Value>(key).unwrap());
    let schemas = keys.filter(|key| key["keytype"] == "SCHEMA");
    schemas.map(|key| key["subject"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exporter_is_made_copies_pauses_goes_on_and_is_deleted() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    assert_eq!(process.get("").await, (200, json!([])));

    let made = process.ask("POST", "", link("to-target")).await;
    assert_eq!(made, (200, json!({"name": "to-target"})));
    assert_eq!(process.get("").await, (200, json!(["to-target"])));
    let (_, described) = process.get("/to-target").await;
    let expected = json!({
        "name": "to-target", "contextType": "CUSTOM", "context": "source", "subjects": ["*"],
        "config": { "schema.registry.url": TARGET_URL },
    });
    assert_eq!(described, expected);

    let running = process.until("to-target", "RUNNING").await;
    assert_eq!((&running["offset"], &running["ts"]), (&json!(-1), &json!(0)), "nothing yet");
    register(&mocks, "orders", 7).await;
    let copied = process.status_until("to-target", |status| status["offset"] == 0).await;
    assert_eq!((&copied["state"], &copied["ts"]), (&json!("RUNNING"), &json!(1_000)));
    assert_eq!(subjects_of_target(&mocks).await, [":.source:orders"]);

    let (code, refused) = process.put("/to-target/resume").await;
    assert_eq!((code, &refused["error_code"]), (409, &json!(40961)), "{refused}");
    for call in [("DELETE", "/to-target"), ("PUT", "/to-target/reset")] {
        let (code, refused) = process.ask(call.0, call.1, Value::Null).await;
        assert_eq!((code, &refused["error_code"]), (409, &json!(40963)), "{refused}");
    }

    assert_eq!(process.put("/to-target/pause").await.0, 200);
    let paused = process.until("to-target", "PAUSED").await;
    assert_eq!((&paused["offset"], paused.get("trace")), (&json!(0), None), "{paused}");
    assert_eq!(process.put("/to-target/reset").await.0, 200);
    assert_eq!(process.until("to-target", "PAUSED").await["offset"], -1);
    assert_eq!(process.put("/to-target/resume").await.0, 200);
    process.status_until("to-target", |s| s["state"] == "RUNNING" && s["offset"] == 0).await;
    assert_eq!(subjects_of_target(&mocks).await.len(), 1, "what is right is not written again");

    assert_eq!(process.put("/to-target/pause").await.0, 200);
    assert_eq!(process.ask("DELETE", "/to-target", Value::Null).await.0, 204);
    let (code, gone) = process.get("/to-target/status").await;
    assert_eq!((code, &gone["error_code"]), (404, &json!(40450)));
    assert_eq!(subjects_of_target(&mocks).await.len(), 1, "the copy stays");
    let mut heir = link("heir");
    heir["config"]["mirror.adopt"] = json!("true");
    assert_eq!(process.ask("POST", "", heir).await.0, 200, "the scope is free");
    process.until("heir", "RUNNING").await;
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_s_own_address_has_its_exporters_and_its_registry_at_the_root() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    let made = process.of_source("POST", "/exporters", link("x")).await;
    assert_eq!(made, (200, json!({"name": "x"})));
    assert_eq!(process.get("").await, (200, json!(["x"])), "it is the same one");
    register(&mocks, "orders", 7).await;
    process.status_until("x", |status| status["offset"] == 0).await;
    let (_, status) = process.of_source("GET", "/exporters/x/status", Value::Null).await;
    assert_eq!(status["offset"], 0, "{status}");
    assert_eq!(process.of_source("PUT", "/exporters/x/pause", Value::Null).await.0, 200);
    for (path, expected) in [("/subjects", json!(["orders"])), ("/contexts", json!(["."]))] {
        assert_eq!(process.of_source("GET", path, Value::Null).await, (200, expected), "{path}");
    }
    let (_, copied) = process.at("GET", "/target/subjects", Value::Null).await;
    assert_eq!(copied, json!([":.source:orders"]));
    for path in ["/links", "/metrics", "/live", "/source/subjects", "/target/exporters", "//links"]
    {
        assert_eq!(process.of_source("GET", path, Value::Null).await.0, 404, "{path}");
    }
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_is_there_after_a_restart_and_a_paused_one_stays_paused() {
    let mocks = MockPair::start().unwrap();
    let first = Process::start(&mocks).await;
    for name in ["one", "two"] {
        let body = json!({
            "name": name, "contextType": "CUSTOM", "context": name,
            "config": {
                "schema.registry.url": "http://u:hunter2@SCHEMAREGISTRY2:8082/",
                "basic.auth.user.info": "u:hunter2",
            },
        });
        assert_eq!(first.ask("POST", "", body).await.0, 200);
    }
    let auto =
        |name: &str| json!({ "name": name, "config": { "schema.registry.url": TARGET_URL } });
    assert_eq!(first.ask("POST", "", auto("three")).await.0, 200);
    let (code, clash) = first.ask("POST", "", auto("four")).await;
    assert_eq!((code, &clash["error_code"]), (409, &json!(40951)), "{clash}");
    assert_eq!(first.put("/three/pause").await.0, 200);
    assert_eq!(first.put("/two/pause").await.0, 200);
    first.until("one", "RUNNING").await;
    first.end().await;

    let second = Process::start(&mocks).await;
    second.until_known("one").await;
    register(&mocks, "orders", 7).await;
    second.status_until("one", |status| status["offset"] == 0).await;
    assert_eq!(second.get("/two/status").await.1["state"], "PAUSED");
    assert_eq!(subjects_of_target(&mocks).await, [":.one:orders"]);
    let (_, described) = second.get("/one").await;
    assert!(!described.to_string().contains("hunter2"), "{described}");
    let state = cluster(&mocks.target, &[]);
    let kept = format!("{:?}", soon(state.read_all("_schema_mirror")).await.unwrap());
    assert!(!kept.contains("hunter2"));
    second.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_of_a_running_exporter_takes_hold_without_a_pause() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register(&mocks, "orders", 7).await;
    register(&mocks, "users", 8).await;
    let mut only_orders = link("x");
    only_orders["subjects"] = json!(["orders"]);
    assert_eq!(process.ask("POST", "", only_orders).await.0, 200);
    process.status_until("x", |status| status["offset"] == 0).await;
    assert_eq!(subjects_of_target(&mocks).await, [":.source:orders"]);

    let wider = json!({ "subjects": ["orders", "users"] });
    assert_eq!(process.ask("PUT", "/x", wider).await, (200, json!({"name": "x"})));
    process.status_until("x", |status| status["offset"] == 1).await;
    assert_eq!(subjects_of_target(&mocks).await, [":.source:orders", ":.source:users"]);
    assert_eq!(process.get("/x").await.1["context"], "source", "what was left out stays");
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_wrongly_has_its_published_code_and_makes_nothing() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    let with = |field: &str, value: Value| {
        let mut body = link("x");
        body[field] = value;
        body
    };
    let url = |url: &str| json!({ "schema.registry.url": url });
    let mut in_default = with("contextType", json!("DEFAULT"));
    in_default["context"] = json!(".");
    let (_, unknown) = process.ask("POST", "", with("config", url("http://elsewhere:8081"))).await;
    let message = unknown["message"].as_str().unwrap();
    assert!(message.contains(SOURCE_URL) && message.contains(TARGET_URL), "{message}");
    for (body, code) in [
        (with("name", Value::Null), 40950),
        (with("name", json!("a/b")), 40950),
        (with("name", json!("..")), 40950),
        (with("config", Value::Null), 40951),
        (with("config", json!({})), 40951),
        (with("config", url("http://elsewhere:8081")), 40951),
        (with("config", url(SOURCE_URL)), 40951),
        (with("config", url("schemaregistry2:8082")), 40951),
        (with("config", json!({ "schema.registry.url": TARGET_URL, "mirror.fence": "x" })), 40951),
        (with("config", json!({ "schema.registry.url": TARGET_URL, "mirror.x": "x" })), 40951),
        (with("context", json!("a b")), 40951),
        (with("context", json!(".")), 40951),
        (with("contextType", json!("NOWHERE")), 40951),
        (with("subjectRenameFormat", json!("all")), 40951),
        (with("subjects", json!(["a*b"])), 40952),
        (with("subjects", json!("a")), 40952),
        (with("contextType", json!("DEFAULT")), 40951),
        (with("contextType", json!("NONE")), 40951),
        (in_default, 200),
    ] {
        let (status, answer) = process.ask("POST", "", body.clone()).await;
        if code == 200 {
            assert_eq!(status, 200, "{body}: {answer}");
            continue;
        }
        assert_eq!((status, &answer["error_code"]), (409, &json!(code)), "{body}: {answer}");
    }
    let mut beside = link("y");
    beside["subjects"] = json!(["orders"]);
    beside["contextType"] = json!("NONE");
    beside["context"] = Value::Null;
    let (code, clash) = process.ask("POST", "", beside).await;
    assert_eq!((code, &clash["error_code"]), (409, &json!(40951)), "{clash}");
    assert!(clash["message"].as_str().unwrap().contains("link x writes"), "{clash}");
    let (code, again) = process.ask("POST", "", link("x")).await;
    assert_eq!((code, &again["error_code"]), (409, &json!(40960)), "{again}");
    assert_eq!(process.get("").await.1, json!(["x"]));
    for path in ["/y", "/y/status", "/y/config"] {
        assert_eq!(process.get(path).await.1["error_code"], 40450, "{path}");
    }
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_creates_at_once_one_is_taken() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    let (one, other) =
        tokio::join!(process.ask("POST", "", link("x")), process.ask("POST", "", link("x")));
    let mut codes = [one.0, other.0];
    codes.sort_unstable();
    assert_eq!(codes, [200, 409], "{one:?} {other:?}");
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_asks_where_the_source_ends_now() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    assert_eq!(process.ask("POST", "", link("x")).await.0, 200);
    process.until("x", "RUNNING").await;
    let (_, empty) = process.at("GET", "/links/x/caught-up?now=true", Value::Null).await;
    assert_eq!((&empty["caught_up"], &empty["up_to"]), (&json!(true), &Value::Null), "{empty}");
    register(&mocks, "orders", 7).await;
    let (_, asked) = process.at("GET", "/links/x/caught-up?now=true", Value::Null).await;
    assert_eq!(asked["up_to"], 0, "{asked}");
    let caught_up = |answer: &(u16, Value)| answer.1["caught_up"] == true;
    process.answer_until("/links/x/caught-up?offset=0", caught_up).await;
    assert_eq!(subjects_of_target(&mocks).await, [":.source:orders"]);
    assert_eq!(process.at("GET", "/links/y/caught-up?now=true", Value::Null).await.0, 404);
    assert_eq!(process.at("GET", "/links/x/caught-up?now=true&offset=1", Value::Null).await.0, 400);
    process.end().await;
}
