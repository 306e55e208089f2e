//! A cluster's registry, read from its topic and served over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::types::RDKafkaRespErr as Refusal;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;

use schema_mirror::api::Board;
use schema_mirror::api::Served;
use schema_mirror::api::serve;
use schema_mirror::api::serve_cluster;
use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::record::Outgoing;
use schema_mirror::core::rules::Compatibility;
use schema_mirror::kafka::KafkaAppender;
use schema_mirror::kafka::KafkaCluster;
use schema_mirror::service::catalog::CatalogReader;
use schema_mirror::service::catalog::CatalogSource;
use schema_mirror::service::catalog::Catalogs;
use schema_mirror::service::clock::SystemClock;
use schema_mirror::service::exporter::Desk;
use schema_mirror::service::ports::Appender;
use schema_mirror::service::ports::Cluster;
use schema_mirror::service::supervisor::Roster;

use super::TOPIC;
use super::World;
use super::acked;
use super::soon;

type KafkaDesk = Desk<KafkaCluster, SystemClock>;

impl World {
    fn reader(&self, topic: &str) -> CatalogReader {
        let source = CatalogSource {
            cluster: self.cluster.clone(),
            topic: topic.to_owned(),
            dialect: Dialect::Auto,
            default_compatibility: Compatibility::Backward,
        };
        CatalogReader::start(source, SystemClock::start())
    }

    /// Serves its registry below `/mock`, and at the root of another port.
    async fn served(&self, topic: &str) -> [SocketAddr; 2] {
        let clock = SystemClock::start();
        let catalogs = Catalogs::from([("mock".to_owned(), self.reader(topic))]);
        let (_, catalogs) = watch::channel(catalogs);
        let (below, at_root) = (listener().await, listener().await);
        let addresses = [below.local_addr().unwrap(), at_root.local_addr().unwrap()];
        let board = Board::new(watch::channel(Roster::default()).1, clock);
        let desks = watch::channel::<Option<Arc<KafkaDesk>>>(None).1;
        let served = Served { board, desks, catalogs, logins: Vec::new(), tls: None, clock };
        tokio::spawn(serve(below, served.clone()));
        tokio::spawn(serve_cluster(at_root, "mock".to_owned(), served));
        addresses
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// The status and the body of an answer, and its head.
async fn get(address: SocketAddr, path: &str, more: &str) -> (u16, String, String) {
    soon(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned(), head.to_ascii_lowercase())
    })
    .await
}

fn version(subject: &str, version: u32, id: u32) -> Outgoing {
    let key =
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#);
    let value = format!(
        r#"{{"subject":"{subject}","version":{version},"id":{id},"schema":"\"int\"","deleted":false}}"#
    );
    Outgoing { key: key.into_bytes(), value: Some(value.into_bytes()), ..Outgoing::default() }
}

async fn put(appender: &mut KafkaAppender, written: &Outgoing) {
    let number = soon(appender.append_when_room(written)).await.unwrap();
    acked(appender, number).await;
}

/// Asks until it is answered so.
async fn until(address: SocketAddr, path: &str, wanted: u16) -> (u16, String, String) {
    soon(async {
        loop {
            let answer = get(address, path, "").await;
            if answer.0 == wanted {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_registry_is_served_from_its_topic_and_what_is_written_then_is_served_too() {
    let world = World::new();
    let mut appender = world.appender().await;
    put(&mut appender, &version("a", 1, 1)).await;
    let [below, at_root] = world.served(TOPIC).await;
    let (status, body, head) = get(below, "/mock/subjects/a/versions/1", "").await;
    let wanted = r#"{"subject":"a","version":1,"id":1,"schema":"\"int\""}"#;
    assert_eq!((status, body.as_str()), (200, wanted));
    assert!(head.contains("content-type: application/vnd.schemaregistry.v1+json"), "{head}");
    assert_eq!(get(at_root, "/subjects/a/versions/1", "").await.1, wanted);
    for (address, root) in [(below, "/mock"), (below, "/mock/"), (at_root, "/")] {
        assert_eq!(get(address, root, "").await.1, "{}", "{root}");
    }
    assert_eq!(get(below, "/other/subjects", "").await.0, 404);

    let (status, body, _) = get(below, "/mock/subjects/b/versions", "").await;
    assert_eq!((status, body.contains("40401")), (404, true), "{body}");
    put(&mut appender, &version("b", 1, 1)).await;
    assert_eq!(until(below, "/mock/subjects/b/versions", 200).await.1, "[1]");
    put(&mut appender, &Outgoing { value: None, ..version("b", 1, 1) }).await;
    until(below, "/mock/subjects/b/versions", 404).await;
}

#[tokio::test]
async fn who_has_an_answer_by_id_gets_its_head_alone() {
    let world = World::new();
    put(&mut world.appender().await, &version("a", 1, 1)).await;
    let [below, _] = world.served(TOPIC).await;
    let (status, _, head) = get(below, "/mock/schemas/ids/1", "").await;
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag");
    assert!(status == 200 && head.contains("cache-control: max-age=3600"), "{head}");
    let has = format!("If-None-Match: {tag}\r\n");
    let (status, body, head) = get(below, "/mock/schemas/ids/1", &has).await;
    assert_eq!((status, body.as_str()), (304, ""));
    assert!(head.contains(tag), "{head}");
}

#[tokio::test]
async fn a_registry_whose_cluster_is_away_answers_what_it_knows_and_never_that_there_is_no_more() {
    let world = World::new();
    put(&mut world.appender().await, &version("a", 1, 1)).await;
    let [below, _] = world.served(TOPIC).await;
    assert_eq!(get(below, "/mock/schemas/ids/1", "").await.0, 200);
    world.broker.down().unwrap();
    let (_, body, _) = until(below, "/mock/schemas/ids/2", 503).await;
    assert!(body.contains("50003") && body.contains("at cluster mock"), "{body}");
    let (status, _, head) = get(below, "/mock/schemas/ids/1", "").await;
    assert!(status == 200 && head.contains("response is stale"), "{head}");
    world.broker.up().unwrap();
    until(below, "/mock/schemas/ids/2", 404).await;
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_no_empty_registry() {
    let world = World::new();
    let [below, _] = world.served("absent").await;
    let (status, body, _) = get(below, "/mock/subjects", "").await;
    assert_eq!(status, 503);
    assert!(body.contains("topic absent") && body.contains("does not exist"), "{body}");
}

#[tokio::test]
async fn a_topic_that_is_gone_is_no_registry_any_more() {
    let world = World::with(&[("topic.metadata.refresh.interval.ms", "200")]);
    put(&mut world.appender().await, &version("a", 1, 1)).await;
    let [below, _] = world.served(TOPIC).await;
    assert_eq!(get(below, "/mock/schemas/ids/1", "").await.0, 200);
    let gone = Refusal::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    world.broker.with(move |mock| mock.topic_error(TOPIC, gone)).unwrap().unwrap();
    until(below, "/mock/schemas/ids/1", 503).await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_cluster_that_nobody_asks_for_is_not_read() {
    let world = World::new();
    world.broker.create_topic("unasked", 1).unwrap();
    // A record that is read comes from a thread that has its name.
    let mut appender = soon(world.cluster.append_to("unasked", 0)).await.unwrap();
    put(&mut appender, &version("a", 1, 1)).await;
    let reader = world.reader("unasked");
    tokio::task::yield_now().await;
    assert_eq!(super::threads_named("log-unasked"), 0);
    soon(reader.current(&SystemClock::start())).await.unwrap();
    assert_eq!(super::threads_named("log-unasked"), 1);
}
