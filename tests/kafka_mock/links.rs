//! A whole link between two mock clusters.

use std::collections::BTreeMap;

use rdkafka::types::RDKafkaRespErr as Refusal;
use tokio::sync::watch::Receiver;

use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::filter::SubjectFilter;
use schema_mirror::core::link::leave::Steered;
use schema_mirror::core::naming::Naming;
use schema_mirror::core::record::Outgoing;
use schema_mirror::core::rules::Compatibility;
use schema_mirror::core::rules::DeleteLimit;
use schema_mirror::core::rules::DriftPolicy;
use schema_mirror::core::rules::Fence;
use schema_mirror::core::rules::Placement;
use schema_mirror::core::rules::References;
use schema_mirror::core::rules::Rules;
use schema_mirror::core::subject::ContextName;
use schema_mirror::kafka::KafkaCluster;
use schema_mirror::kafka::MockBroker;
use schema_mirror::kafka::MockPair;
use schema_mirror::service::clock::SystemClock;
use schema_mirror::service::definition::ContextNamedBy;
use schema_mirror::service::definition::LinkDefinition;
use schema_mirror::service::definition::Once;
use schema_mirror::service::ports::Appender;
use schema_mirror::service::ports::Cluster;
use schema_mirror::service::ports::Log;
use schema_mirror::service::status::Status;
use schema_mirror::service::supervisor::Assignment;
use schema_mirror::service::supervisor::Fleet;
use schema_mirror::service::worker::Goal;

use super::TOPIC;
use super::acked;
use super::cluster;
use super::soon;

/// A link into a context, as a file has it.
pub(super) fn definition() -> LinkDefinition {
    LinkDefinition {
        rules: Rules {
            name: "dr".to_owned(),
            placement: Placement::Into(ContextName::new(".source").unwrap()),
            filter: SubjectFilter::parse(&["*".to_owned()]).unwrap(),
            naming: Naming::default(),
            fence: Fence::Readonly,
            references: References::Follow,
            drift: DriftPolicy::Repair,
            default_compatibility: Compatibility::Backward,
            source_dialect: Dialect::Auto,
            target_dialect: Dialect::Auto,
            delete_limit: DeleteLimit { share_max: 0.2, subjects_min: 5 },
        },
        source_topic: TOPIC.to_owned(),
        target_topic: TOPIC.to_owned(),
        state_topic: "_schema_mirror".to_owned(),
        source_state_topic: "_schema_mirror".to_owned(),
        create_topics: false,
        adopt: false,
        context: ContextNamedBy::Configuration,
        allow_deletes_until: None,
        once: Once::default(),
        steered: Steered::AtStart,
        instance: "one".to_owned(),
    }
}

/// The phases that a link goes through, until it is in one of a name.
async fn phases_to(status: &mut Receiver<Status>, word: &str) -> Vec<String> {
    soon(async {
        let mut phases = Vec::new();
        loop {
            let now = status.borrow_and_update().phase.word().to_owned();
            if phases.last() != Some(&now) {
                phases.push(now.clone());
            }
            if now == word {
                return phases;
            }
            status.changed().await.unwrap();
        }
    })
    .await
}

/// Two clusters with a topic each, and the link between them.
struct Pair {
    mocks: MockPair,
    source: KafkaCluster,
    target: KafkaCluster,
}

impl Pair {
    fn start() -> Self {
        let mocks = MockPair::start().unwrap();
        let often = [("topic.metadata.refresh.interval.ms", "200")];
        let source = cluster(&mocks.source, &often);
        let target = cluster(&mocks.target, &[]);
        Self { mocks, source, target }
    }

    fn follow(&self) -> (Fleet, Receiver<Status>) {
        let assignment = Assignment {
            definition: definition(),
            source: self.source.clone(),
            target: self.target.clone(),
            write_rate_max: None,
        };
        let fleet = Fleet::start(vec![assignment], &SystemClock::start(), Goal::Follow);
        let status = fleet.watched()[0].status.clone();
        (fleet, status)
    }

    /// Writes a version into the source.
    async fn register(&self) {
        let mut registry = soon(self.source.append_to(TOPIC, 0)).await.unwrap();
        let key = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
        let value = br#"{"subject":"s","version":1,"id":7,"schema":"\"int\"","deleted":false}"#;
        let record = Outgoing { key: key.to_vec(), value: Some(value.to_vec()), ..super::write(0) };
        soon(registry.append_when_room(&record)).await.unwrap();
        assert_eq!(acked(&registry, 1).await.acked, 1);
    }

    /// Waits until that version is in the target.
    async fn copied(&self) {
        let mut log = soon(self.target.read(TOPIC, 0, 0)).await.unwrap();
        soon(async {
            loop {
                let batch = log.next().await.unwrap();
                let is_copy = |key: &[u8]| String::from_utf8_lossy(key).contains(r#"":.source:s""#);
                if batch.records.iter().any(|record| record.key.as_deref().is_some_and(is_copy)) {
                    return;
                }
            }
        })
        .await;
    }
}

/// What a broker answers when it is asked for the topic.
fn say(broker: &MockBroker, answer: Refusal) {
    broker.with(move |mock| mock.topic_error(TOPIC, answer)).unwrap().unwrap();
}

async fn end(mut fleet: Fleet) {
    fleet.shut_down();
    soon(fleet.join(&mut BTreeMap::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_unknown_for_a_moment_is_followed_on_in_the_same_life() {
    let pair = Pair::start();
    let (fleet, mut status) = pair.follow();
    phases_to(&mut status, "running").await;

    say(&pair.mocks.source, Refusal::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    assert_eq!(phases_to(&mut status, "waiting").await, ["running", "waiting"]);
    let told = format!("{:?}", status.borrow().phase);
    assert!(told.contains("does not exist"), "{told}");
    say(&pair.mocks.source, Refusal::RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_eq!(phases_to(&mut status, "running").await, ["waiting", "running"], "no new life");

    pair.register().await;
    pair.copied().await;
    end(fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_unknown_for_a_moment_halts_no_link_that_may_not_create_it() {
    let pair = Pair::start();
    pair.register().await;
    say(&pair.mocks.target, Refusal::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    let (fleet, mut status) = pair.follow();
    // A look at both sides has told where the source ends, and has not found the target's topic.
    soon(status.wait_for(|status| status.lag.offsets() > 0)).await.unwrap();
    say(&pair.mocks.target, Refusal::RD_KAFKA_RESP_ERR_NO_ERROR);
    let phases = phases_to(&mut status, "running").await;
    assert_eq!(phases.first().map(String::as_str), Some("preflight"), "{phases:?}");
    assert!(!phases.iter().any(|phase| ["halted", "waiting"].contains(&&**phase)), "{phases:?}");
    pair.copied().await;
    end(fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_not_copied_onto_itself_under_two_names_of_its_cluster() {
    let mut pair = Pair::start();
    pair.register().await;
    pair.target = cluster(&pair.mocks.source, &[]);
    let (fleet, mut status) = pair.follow();
    phases_to(&mut status, "halted").await;
    let told = status.borrow().phase.reason().to_owned();
    assert!(told.contains("copied onto itself"), "{told}");
    let log = soon(pair.source.read_all(TOPIC)).await.unwrap();
    assert_eq!(log.len(), 1, "nothing was written");
    end(fleet).await;
}
