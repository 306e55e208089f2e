//! Exporters that are deleted together with their copies.

use std::collections::BTreeSet;

use schema_mirror::core::rules::Scope;
use schema_mirror::service::ports::Lease;
use schema_mirror::service::ports::LeaseRequest;
use schema_mirror::service::ports::LeaseState;
use schema_mirror::service::state::group_of;
use schema_mirror::service::state::partition_of;
use serde_json::Value;
use serde_json::json;

use super::exporters::Process;
use super::exporters::link;
use super::exporters::register_as;
use super::exporters::register_at;
use super::*;

/// The keys that stand in the target, as they are spelled there.
async fn standing(mocks: &MockPair) -> BTreeSet<String> {
    let cluster = cluster(&mocks.target, &[]);
    let mut log = soon(cluster.read(TOPIC, 0, 0)).await.unwrap();
    let mut standing = BTreeSet::new();
    for record in to_end(&mut log).await {
        let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
        match record.value {
            Some(_) => standing.insert(key),
            None => standing.remove(&key),
        };
    }
    standing
}

/// Makes a link, waits until it has copied so many subjects, and pauses it.
async fn copied(process: &Process, mocks: &MockPair, subjects: i32) {
    for id in 1..=subjects {
        register_as(&mocks.source, &format!("s{id}"), id, &format!("\"s{id}\"")).await;
    }
    assert_eq!(process.ask("POST", "", link("x")).await.0, 200);
    let last = i64::from(subjects.saturating_sub(1));
    process.status_until("x", |status| status["offset"] == last).await;
    assert_eq!(process.put("/x/pause").await.0, 200);
    process.until("x", "PAUSED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_takes_the_copy_away_and_says_what_went_and_what_stays() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    let other = Process::start_as("two", &mocks, Vec::new(), None).await;
    assert_eq!(process.ask("POST", "", link("running")).await.0, 200);
    let (code, refused) = process.ask("DELETE", "/running?purge=true", Value::Null).await;
    assert_eq!((code, &refused["error_code"]), (409, &json!(40963)), "{refused}");
    assert_eq!(process.put("/running/pause").await.0, 200);
    let (code, unclear) = process.ask("DELETE", "/running?purge=maybe", Value::Null).await;
    assert_eq!(code, 400, "{unclear}");
    assert_eq!(process.ask("DELETE", "/running", Value::Null).await.0, 204);
    let (code, gone) = process.ask("DELETE", "/running?purge=true", Value::Null).await;
    assert_eq!((code, &gone["error_code"]), (404, &json!(40450)), "{gone}");

    copied(&process, &mocks, 2).await;
    register_at(&mocks.target, ":.source:theirs", 9).await;
    register_at(&mocks.target, "s1", 1).await;
    let (code, purged) = process.ask("DELETE", "/x?purge=true", Value::Null).await;
    assert_eq!(code, 200, "{purged}");
    let removed = json!({
        "schemas": 2, "configs": 1, "modes": 1, "contexts": 0, "associations": 0
    });
    assert_eq!((&purged["state"], &purged["removed"]), (&json!("PURGED"), &removed), "{purged}");
    assert_eq!(purged["stays"], 2, "{purged}");
    assert_eq!(purged["stay"][0]["key"], "CONTEXT .source", "{purged}");
    assert_eq!(purged["stay"][1]["key"], ":.source:theirs v1", "{purged}");
    assert_eq!(process.get("/x/status").await.0, 404);
    let left = standing(&mocks).await;
    let schema =
        |subject| format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
    let context = r#"{"keytype":"CONTEXT","tenant":"default","context":".source","magic":0}"#;
    let expected = BTreeSet::from([schema(":.source:theirs"), schema("s1"), context.to_owned()]);
    assert_eq!(left, expected);
    process.end().await;
    other.end().await;
}

/// The runtime that a process runs in goes at once, as the process does that is killed.
#[test]
fn a_purge_that_dies_is_ended_by_who_comes_next_though_the_source_is_away() {
    const SUBJECTS: i32 = 12;
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    };
    let mocks = MockPair::start().unwrap();
    let first = runtime();
    first.block_on(async {
        let process = Process::start(&mocks).await;
        copied(&process, &mocks, SUBJECTS).await;
        process.end().await;
        let slow = Process::start_as("one", &mocks, Vec::new(), Some(3)).await;
        let slow = Arc::new(slow);
        let known = |answer: &(u16, Value)| answer.0 == 200;
        slow.answer_until("/source/exporters/x", known).await;
        mocks.source.down().unwrap();
        let asked = Arc::clone(&slow);
        tokio::spawn(async move { asked.ask("DELETE", "/x?purge=true", Value::Null).await });
        let purging = |status: &Value| {
            status["trace"].as_str().is_some_and(|trace| trace.contains("being purged"))
        };
        let status = slow.status_until("x", purging).await;
        assert_eq!(status["state"], "PAUSED", "{status}");
        for (path, body) in [("/x", json!({"subjects": ["a"]})), ("/x/resume", Value::Null)] {
            let (code, refused) = slow.ask("PUT", path, body).await;
            assert_eq!((code, &refused["error_code"]), (409, &json!(40963)), "{refused}");
        }
        let whole = standing(&mocks).await.len();
        let begun = async { while standing(&mocks).await.len() >= whole.saturating_sub(1) {} };
        soon(begun).await;
    });
    first.shutdown_background();

    let second = runtime();
    second.block_on(async {
        let left = standing(&mocks).await.len();
        assert!(left > 3, "{left} keys: it died in the middle");
        let process = Process::start(&mocks).await;
        // Nobody can say that a link is gone while the source does not tell what it keeps.
        let state = cluster(&mocks.target, &[]);
        let ended = async {
            loop {
                let kept = state.read_all("_schema_mirror").await.unwrap();
                let last: BTreeMap<_, _> =
                    kept.into_iter().map(|kept| (kept.key, kept.value)).collect();
                if last.values().all(Option::is_none) {
                    return;
                }
            }
        };
        soon(ended).await;
        assert_eq!(standing(&mocks).await, BTreeSet::new());
        process.end().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_another_process_holds_is_not_purged_and_a_pause_ends_the_wait() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    copied(&process, &mocks, 1).await;
    let before = standing(&mocks).await;
    let scope = Scope { patterns: vec![":.source:*".to_owned()], below: None };
    let topic = "_schema_mirror".to_owned();
    let request = LeaseRequest {
        group: group_of(&topic, &scope),
        partition: partition_of(&scope),
        topic,
        instance: Some("elsewhere".to_owned()),
    };
    let other = cluster(&mocks.target, &[]);
    let mut held = soon(other.lease(&request)).await.unwrap();
    while !matches!(held.state(), LeaseState::Held { .. }) {
        soon(held.changed()).await;
    }
    let process = Arc::new(process);
    let asking = Arc::clone(&process);
    let asked =
        tokio::spawn(async move { asking.ask("DELETE", "/x?purge=true", Value::Null).await });
    let waits = |status: &Value| {
        status["trace"].as_str().is_some_and(|trace| trace.contains("another process"))
    };
    assert_eq!(process.status_until("x", waits).await["state"], "PAUSED");
    assert_eq!(standing(&mocks).await, before);
    assert_eq!(process.put("/x/pause").await.0, 200);
    let (code, refused) = soon(asked).await.unwrap();
    assert_eq!((code, &refused["error_code"]), (409, &json!(40963)), "{refused}");
    let (_, status) = process.get("/x/status").await;
    assert_eq!((&status["state"], status.get("trace")), (&json!("PAUSED"), None), "{status}");
    assert_eq!(standing(&mocks).await, before);
    Arc::into_inner(process).unwrap().end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_that_someone_opened_to_clients_is_not_purged_and_that_is_said() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    copied(&process, &mocks, 1).await;
    let mut registry = soon(cluster(&mocks.target, &[]).append_to(TOPIC, 0)).await.unwrap();
    let opened = Outgoing {
        key: br#"{"keytype":"MODE","subject":":.source:","magic":0}"#.to_vec(),
        value: Some(br#"{"subject":":.source:","mode":"READWRITE"}"#.to_vec()),
        ..write(0)
    };
    soon(registry.append_when_room(&opened)).await.unwrap();
    assert_eq!(acked(&registry, 1).await.acked, 1);
    let before = standing(&mocks).await;
    let (code, refused) = process.ask("DELETE", "/x?purge=true", Value::Null).await;
    assert_eq!((code, &refused["error_code"]), (409, &json!(40963)), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("fence lifted"), "{refused}");
    assert_eq!(standing(&mocks).await, before);
    process.until("x", "PAUSED").await;
    assert_eq!(process.ask("DELETE", "/x", Value::Null).await.0, 204, "the copy may stay");
    process.end().await;
}
