//! Who may write.

use std::time::Duration;

use rdkafka::types::RDKafkaApiKey as Api;
use rdkafka::types::RDKafkaRespErr as Refusal;

use schema_mirror::kafka::HOLD;
use schema_mirror::service::clock::SystemClock;
use schema_mirror::service::ports::Clock;
use schema_mirror::service::ports::Cluster;
use schema_mirror::service::ports::FaultClass;
use schema_mirror::service::ports::Lease;
use schema_mirror::service::ports::LeaseRequest;
use schema_mirror::service::ports::LeaseState;

use super::World;
use super::soon;

fn request(instance: Option<&str>) -> LeaseRequest {
    LeaseRequest {
        group: "schema-mirror".to_owned(),
        topic: "_schema_mirror".to_owned(),
        partition: 0,
        instance: instance.map(str::to_owned),
    }
}

async fn lease_world() -> World {
    let world = World::new();
    // One partition, so that a second member gets none.
    world.broker.create_topic("_schema_mirror", 1).unwrap();
    world
}

#[tokio::test]
async fn one_instance_holds_the_lease_and_another_follows_when_it_goes() {
    let world = lease_world().await;
    let mut first = soon(world.cluster.lease(&request(None))).await.unwrap();
    assert_eq!(first.state(), LeaseState::Standby);
    assert!(matches!(soon(first.changed()).await, LeaseState::Held { .. }));

    let mut second = soon(world.cluster.lease(&request(None))).await.unwrap();
    // While a group forms anew the mock takes no commit, for 5 s with this session; a broker refuses
    // one only while shares are made out (Kafka: `ClassicGroup.validateOffsetCommit`). So here the
    // first one's lease ends by its clock and begins again; the second one's share is nothing.
    assert_eq!(soon(first.changed()).await, LeaseState::Standby);
    assert!(matches!(soon(first.changed()).await, LeaseState::Held { .. }));
    assert_eq!(second.state(), LeaseState::Standby);

    drop(first);
    assert!(matches!(soon(second.changed()).await, LeaseState::Held { .. }));
}

#[tokio::test]
async fn a_lease_is_renewed_while_the_coordinator_answers() {
    let world = lease_world().await;
    let mut lease = soon(world.cluster.lease(&request(Some("host-a")))).await.unwrap();
    let LeaseState::Held { until: first } = soon(lease.changed()).await else {
        panic!("not held");
    };
    let waited = tokio::time::timeout(HOLD + HOLD / 2, lease.changed()).await;
    assert!(waited.is_err(), "a renewal is no change: {waited:?}");
    let LeaseState::Held { until } = lease.state() else {
        panic!("not renewed");
    };
    assert!(until > first + HOLD, "{first:?} {until:?}");
}

#[tokio::test]
async fn a_holder_stops_by_its_clock_when_the_coordinator_is_away() {
    let world = lease_world().await;
    let clock = SystemClock::start();
    let mut lease = soon(world.cluster.lease(&request(None))).await.unwrap();
    assert!(matches!(soon(lease.changed()).await, LeaseState::Held { .. }));
    let away = clock.monotonic();
    world.broker.down().unwrap();
    assert_eq!(soon(lease.changed()).await, LeaseState::Standby);
    let took = clock.monotonic().saturating_sub(away);
    assert!(took <= HOLD + Duration::from_millis(500), "{took:?}");
    world.broker.up().unwrap();
    assert!(matches!(soon(lease.changed()).await, LeaseState::Held { .. }));
}

#[tokio::test]
async fn an_instance_whose_id_was_taken_has_lost_for_good() {
    let world = lease_world().await;
    let mut lease = soon(world.cluster.lease(&request(Some("host-a")))).await.unwrap();
    assert!(matches!(soon(lease.changed()).await, LeaseState::Held { .. }));
    world.refuse(Api::OffsetCommit, &[Refusal::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID]);
    let state = soon(lease.changed()).await;
    assert!(matches!(&state, LeaseState::Lost(_)), "{state:?}");
    assert_eq!(lease.state(), state);
}

#[tokio::test]
async fn a_member_that_was_thrown_out_stands_by_at_once() {
    let world = lease_world().await;
    let mut lease = soon(world.cluster.lease(&request(None))).await.unwrap();
    assert!(matches!(soon(lease.changed()).await, LeaseState::Held { .. }));
    world.refuse(Api::OffsetCommit, &[Refusal::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    assert_eq!(soon(lease.changed()).await, LeaseState::Standby);
}

#[tokio::test]
async fn a_group_that_refuses_us_names_the_right_that_is_missing() {
    let world = lease_world().await;
    world.refuse(Api::JoinGroup, &[Refusal::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED]);
    let mut lease = soon(world.cluster.lease(&request(None))).await.unwrap();
    let LeaseState::Lost(fault) = soon(lease.changed()).await else {
        panic!("not lost");
    };
    assert_eq!(fault.class, FaultClass::NotPermitted);
    assert!(fault.cause.contains("READ on group schema-mirror"), "{fault}");
}

#[tokio::test]
async fn a_lease_on_a_partition_that_does_not_exist_is_refused() {
    let world = lease_world().await;
    let request = LeaseRequest { partition: 1, ..request(None) };
    let fault = soon(world.cluster.lease(&request)).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Missing, "{fault}");
}
