//! What the other tests rely on.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};

use crate::{
    broker::{Broker, COMPACT_SOON, EXPIRE_SOON, shared_source, shared_target},
    message::{NewRecord, Record},
    process::{new_folder, poll_until, watched},
};

/// Far longer than a local broker needs to answer, and than the system needs to end a process.
const LIMIT: Duration = Duration::from_secs(10);

fn key_and_value(record: &Record) -> (&str, Option<&str>) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (record.key.as_deref().map(text).unwrap(), record.value.as_deref().map(text))
}

fn held(records: &[Record]) -> Vec<(&str, Option<&str>)> {
    records.iter().map(key_and_value).collect()
}

#[test]
fn a_record_is_read_as_it_was_produced() {
    let topic = "_schemas_as_produced";
    let records = [
        NewRecord {
            timestamp: Some(1_700_000_000_000),
            headers: vec![
                ("text".to_owned(), Some(b"a".to_vec())),
                ("empty".to_owned(), Some(Vec::new())),
                ("null".to_owned(), None),
            ],
            ..NewRecord::put("a", "1")
        },
        NewRecord { timestamp: Some(1), ..NewRecord::tombstone("a") },
        NewRecord { timestamp: Some(2), ..NewRecord::put("", "") },
        NewRecord { timestamp: Some(3), ..NewRecord::default() },
    ];
    shared_source().create_topic(topic, 1, &[]);
    let offsets = shared_source().produce(topic, &records);
    assert_eq!(offsets, [0, 1, 2, 3]);
    let expected = records.into_iter().zip(offsets).map(|(new, offset)| Record {
        partition: 0,
        offset,
        timestamp: new.timestamp,
        key: new.key,
        value: new.value,
        headers: new.headers,
    });
    assert_eq!(shared_source().read_all(topic), expected.collect::<Vec<_>>());
}

#[test]
fn two_brokers_share_nothing() {
    let topic = "_schemas_share_nothing";
    for broker in [shared_source(), shared_target()] {
        broker.create_topic(topic, 1, &[]);
    }
    shared_source().produce(topic, &[NewRecord::put("a", "1")]);
    assert_eq!(shared_source().watermarks(topic), (0, 1));
    assert_eq!(shared_target().watermarks(topic), (0, 0));
}

#[test]
fn every_partition_of_a_topic_is_read() {
    let topic = "every_partition";
    shared_source().create_topic(topic, 8, &[]);
    let records: Vec<_> = ('a'..='z').map(|key| NewRecord::put(&key.to_string(), "")).collect();
    shared_source().produce(topic, &records);
    let read = shared_source().read_all(topic);
    assert_eq!(read.len(), records.len());
    assert!(read.iter().any(|record| record.partition > 0));
}

#[test]
fn a_killed_broker_keeps_what_it_acknowledged() {
    let topic = "_schemas";
    let broker = Broker::start("killed");
    broker.create_topic(topic, 1, &[("cleanup.policy", "compact")]);
    let records: Vec<_> =
        (0..1_000).map(|n| NewRecord::put(&format!("key {n}"), "value")).collect();
    broker.produce(topic, &records);
    broker.kill();
    broker.restart();
    broker.produce(topic, &[NewRecord::put("after", "value")]);
    let read = broker.read_all(topic);
    let keys: Vec<_> = held(&read).into_iter().map(|(key, _)| key.to_owned()).collect();
    let expected = (0..1_000).map(|n| format!("key {n}")).chain(["after".to_owned()]);
    assert_eq!(keys, expected.collect::<Vec<_>>());
}

#[test]
fn a_stopped_broker_comes_back_with_its_settings_and_topics() {
    let lines = [("log.retention.ms", "1234567"), ("auto.create.topics.enable", "true")];
    let broker = Broker::start_with("stopped", &lines);
    broker.produce("made_by_its_first_record", &[NewRecord::put("a", "1")]);
    broker.stop();
    broker.restart();
    assert_eq!(held(&broker.read_all("made_by_its_first_record")), [("a", Some("1"))]);
}

#[test]
fn a_paused_broker_answers_nothing_until_it_is_resumed() {
    let broker = Broker::start("paused");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap()).set("group.id", "paused");
    broker.pause();
    let client: BaseConsumer = config.create().unwrap();
    assert!(client.fetch_metadata(None, Duration::from_secs(1)).is_err());
    broker.resume();
    assert!(client.fetch_metadata(None, LIMIT).is_ok());
}

#[test]
fn what_a_test_started_ends_with_its_process() {
    let folder = new_folder("watched");
    let mut started = watched(folder.path());
    let mut child = started.args(["sleep", "600"]).spawn().unwrap();
    // The system does no more than this when the process dies.
    drop(child.stdin.take());
    poll_until(LIMIT, "the process is killed", || child.try_wait().unwrap());
    poll_until(LIMIT, "its folder is gone", || (!folder.path().exists()).then_some(()));
}

#[test]
fn an_overwritten_record_is_compacted_away_and_a_tombstone_stays_for_its_time() {
    let topic = "_schemas_overwritten";
    shared_target().create_topic(topic, 1, &COMPACT_SOON);
    let records = [
        NewRecord::put("a", "1"),
        NewRecord::put("b", "1"),
        NewRecord::put("a", "2"),
        NewRecord::tombstone("b"),
    ];
    shared_target().produce(topic, &records);
    let read = shared_target().wait_compacted(topic, &NewRecord::put("roll", ""), |records| {
        records.iter().all(|record| record.offset > 1)
    });
    assert_eq!(held(&read[..2]), [("a", Some("2")), ("b", None)]);
}

#[test]
fn a_tombstone_expires() {
    let topic = "_schemas_expired";
    let configs = [&COMPACT_SOON[..], &[EXPIRE_SOON]].concat();
    shared_target().create_topic(topic, 1, &configs);
    shared_target().produce(topic, &[NewRecord::put("a", "1"), NewRecord::tombstone("a")]);
    let read = shared_target().wait_compacted(topic, &NewRecord::put("roll", ""), |records| {
        records.iter().all(|record| record.offset > 1)
    });
    assert!(held(&read).iter().all(|&(key, _)| key == "roll"));
}

#[test]
fn a_compacted_topic_is_cut_and_keeps_its_configuration() {
    let topic = "_schemas_cut";
    shared_source().create_topic(topic, 1, &[("cleanup.policy", "compact")]);
    shared_source().alter_topic(topic, &[("max.message.bytes", "2000000")]);
    let configs = shared_source().topic_configs(topic);
    let records = ["a", "b", "c", "d", "e"].map(|key| NewRecord::put(key, "1"));
    shared_source().produce(topic, &records);
    shared_source().delete_records(topic, 3);
    assert_eq!(shared_source().watermarks(topic), (3, 5));
    assert_eq!(held(&shared_source().read_all(topic)), [("d", Some("1")), ("e", Some("1"))]);
    assert_eq!(shared_source().topic_configs(topic), configs);
    assert_eq!(configs["cleanup.policy"], "compact");
    assert_eq!(configs["max.message.bytes"], "2000000");
}

#[test]
fn a_recreated_topic_is_empty() {
    let topic = "_schemas_recreated";
    shared_source().create_topic(topic, 1, &[]);
    shared_source().produce(topic, &[NewRecord::put("a", "1")]);
    shared_source().delete_topic(topic);
    shared_source().create_topic(topic, 1, &[]);
    assert_eq!(shared_source().read_all(topic), []);
}
