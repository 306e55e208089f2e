//! Groups whose members come back in the middle of sharing.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
};
use schema_mirror::{
    kafka::{ClusterSettings, KafkaCluster},
    service::{
        clock::SystemClock,
        ports::{Cluster, FaultClass, Lease, LeaseRequest, LeaseState},
    },
};

use crate::{
    broker::{Broker, shared_target},
    process::poll_until,
};

const GROUP: &str = "orphans";
const TOPIC: &str = "orphans_state";
const PARTITIONS: i32 = 8;
/// The first half moves to a second member.
const MOVES: i32 = 0;
/// A group forms, a session ends, and two looks are five seconds apart.
const LIMIT: Duration = Duration::from_secs(40);

/// A member that is stopped while it gives up a share.
struct Stoppable {
    giving_up: mpsc::SyncSender<()>,
    goes_on: Mutex<mpsc::Receiver<()>>,
}

impl ClientContext for Stoppable {}

impl ConsumerContext for Stoppable {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(taken) = rebalance
            && taken.find_partition(TOPIC, MOVES).is_some()
        {
            // Told once is enough: there may be nobody left who listens.
            self.giving_up.try_send(()).unwrap_or_default();
            // An error is the test's end.
            self.goes_on.lock().unwrap().recv().unwrap_or_default();
        }
    }
}

/// A member on a thread of its own.
struct Member {
    consumer: Arc<BaseConsumer<Stoppable>>,
    giving_up: mpsc::Receiver<()>,
    goes_on: mpsc::SyncSender<()>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Member {
    fn join(broker: &Broker, instance: &str) -> Self {
        let (gives_up, giving_up) = mpsc::sync_channel(1);
        let (goes_on, told) = mpsc::sync_channel(1);
        let consumer: BaseConsumer<Stoppable> = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap())
            .set("group.id", GROUP)
            .set("group.instance.id", instance)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "30000")
            .set("max.poll.interval.ms", "60000")
            .create_with_context(Stoppable { giving_up: gives_up, goes_on: Mutex::new(told) })
            .unwrap();
        consumer.subscribe(&[TOPIC]).unwrap();
        let consumer = Arc::new(consumer);
        let stop = Arc::new(AtomicBool::new(false));
        let (polled, until) = (Arc::clone(&consumer), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Acquire) {
                drop(polled.poll(Duration::from_millis(50)));
            }
        });
        Self { consumer, giving_up, goes_on, stop, thread }
    }

    fn wait_for_share(&self, partitions: usize) {
        poll_until(LIMIT, "the member gets its share", || {
            (self.consumer.assignment().unwrap().count() == partitions).then_some(())
        });
    }

    /// It polls no more. It is not closed: a member that waits for an answer of its group would wait
    /// without a limit then.
    fn end(self) {
        self.stop.store(true, Ordering::Release);
        drop(self.goes_on);
        poll_until(LIMIT, "the member stops", || self.thread.is_finished().then_some(()));
        std::mem::forget(self.consumer);
    }
}

#[test]
fn a_partition_that_nobody_owns_is_owned_soon_by_who_stands_by() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(who_stands_by_becomes_the_owner());
}

async fn who_stands_by_becomes_the_owner() {
    let broker = shared_target();
    broker.create_topic(TOPIC, PARTITIONS, &[]);
    let first = Member::join(broker, "one");
    first.wait_for_share(8);

    let cluster = KafkaCluster::new(ClusterSettings {
        name: "target".to_owned(),
        bootstrap_servers: broker.bootstrap(),
        client_id: "schema-mirror-test".to_owned(),
        properties: [].into(),
        secrets: Vec::new(),
        clock: SystemClock::start(),
    })
    .unwrap();
    let request = LeaseRequest {
        group: GROUP.to_owned(),
        topic: TOPIC.to_owned(),
        partition: MOVES,
        instance: Some("two".to_owned()),
    };
    let mut lease = cluster.lease(&request).await.unwrap();
    assert_eq!(lease.state(), LeaseState::Standby);
    first.giving_up.recv_timeout(LIMIT).unwrap();
    // It dies there, and is back at once: it gets the share that the coordinator has kept for it.
    let back = Member::join(broker, "one");
    back.wait_for_share(4);
    first.end();

    let lost = tokio::time::timeout(LIMIT, lease.changed()).await.unwrap();
    let LeaseState::Lost(fault) = lost else { panic!("the group shared anew by itself: {lost:?}") };
    assert_eq!(fault.class, FaultClass::Transient);
    assert!(fault.cause.contains("nobody writes"), "{fault}");
    drop(lease);
    let mut lease = cluster.lease(&request).await.unwrap();
    let held = tokio::time::timeout(LIMIT, lease.changed()).await.unwrap();
    assert!(matches!(held, LeaseState::Held { .. }), "{held:?}");
    back.end();
}
