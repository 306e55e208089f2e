//! Clients that log in with tokens we sign: each kind has one before its first request, and new
//! ones for as long as it lives.

#![expect(clippy::arithmetic_side_effects, reason = "numbers of tests are small")]

#[cfg(test)]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod door;

#[cfg(test)]
mod tokens {
    use std::collections::BTreeMap;
    use std::future::Future;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use schema_mirror::core::record::Outgoing;
    use schema_mirror::kafka::ClusterSettings;
    use schema_mirror::kafka::KafkaCluster;
    use schema_mirror::kafka::MockBroker;
    use schema_mirror::kafka::Signer;
    use schema_mirror::kafka::Signing;
    use schema_mirror::kafka::Token;
    use schema_mirror::kafka::Unsigned;
    use schema_mirror::service::clock::SystemClock;
    use schema_mirror::service::ports::Appender;
    use schema_mirror::service::ports::Clock;
    use schema_mirror::service::ports::Cluster;
    use schema_mirror::service::ports::FaultClass;
    use schema_mirror::service::ports::Lease;
    use schema_mirror::service::ports::LeaseRequest;
    use schema_mirror::service::ports::LeaseState;
    use schema_mirror::service::ports::Log;

    use crate::door::Door;
    use crate::door::FETCH;
    use crate::door::JOIN_GROUP;
    use crate::door::METADATA;
    use crate::door::PRODUCE;

    /// What takes longer has failed. The mock's groups take up to 10 s for a takeover.
    const LIMIT: Duration = Duration::from_secs(40);
    /// How often it is looked whether something has come.
    const LOOK: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(900);
    const TOPIC: &str = "_schemas";

    /// Signs tokens that name the time at which they end.
    struct Clerk {
        clock: SystemClock,
        life: Duration,
        signed: AtomicU64,
        is_away: AtomicBool,
    }

    #[derive(Clone)]
    struct Desk(Arc<Clerk>);

    impl Desk {
        fn new(life: Duration) -> Self {
            let (signed, is_away) = (AtomicU64::new(0), AtomicBool::new(false));
            Self(Arc::new(Clerk { clock: SystemClock::start(), life, signed, is_away }))
        }

        fn signed(&self) -> u64 {
            self.0.signed.load(Ordering::Relaxed)
        }

        fn leave(&self) {
            self.0.is_away.store(true, Ordering::Relaxed);
        }
    }

    impl Signer for Desk {
        fn sign(&self) -> Signing<'_> {
            Box::pin(async {
                if self.0.is_away.load(Ordering::Relaxed) {
                    let cause = "the clerk is away".to_owned();
                    return Err(Unsigned { class: FaultClass::NotPermitted, cause });
                }
                let number = self.0.signed.fetch_add(1, Ordering::Relaxed);
                let life_ms = i64::try_from(self.0.life.as_millis()).unwrap();
                let until_ms = self.0.clock.wall_ms() + life_ms;
                Ok(Token::new(format!("token-{number}.{until_ms}"), until_ms))
            })
        }
    }

    struct World {
        _broker: MockBroker,
        door: Door,
        desk: Desk,
        cluster: KafkaCluster,
    }

    impl World {
        fn new(life: Duration, session: Duration) -> Self {
            let broker = MockBroker::start().unwrap();
            broker.create_topic(TOPIC, 1).unwrap();
            let door = Door::before(&broker, session, None);
            let desk = Desk::new(life);
            let properties =
                [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "OAUTHBEARER")];
            let settings = ClusterSettings {
                name: "mock".to_owned(),
                bootstrap_servers: format!("127.0.0.1:{}", door.port),
                client_id: "schema-mirror-test".to_owned(),
                properties: BTreeMap::from(properties.map(|(k, v)| (k.to_owned(), v.to_owned()))),
                secrets: Vec::new(),
                clock: SystemClock::start(),
            };
            let cluster = KafkaCluster::with_signer(settings, desk.clone()).unwrap();
            Self { _broker: broker, door, desk, cluster }
        }

        /// Waits until the door has seen so many tokens.
        async fn logged_in(&self, count: usize) {
            soon(async {
                while self.door.tokens().len() < count {
                    tokio::time::sleep(LOOK).await;
                }
            })
            .await;
        }
    }

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(LIMIT, future).await.expect("an answer in time")
    }

    fn write() -> Outgoing {
        Outgoing {
            key: b"key".to_vec(),
            value: Some(b"value".to_vec()),
            timestamp_ms: Some(1_000),
            headers: Arc::default(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_kind_of_client_logs_in_before_its_first_request() {
        let world = World::new(LONG, LONG);
        let cluster = &world.cluster;
        soon(cluster.facts()).await.unwrap();
        assert!(world.door.requests().contains(&METADATA));

        for mut appender in [
            soon(cluster.append_to(TOPIC, 0)).await.unwrap(),
            soon(cluster.keep_in(TOPIC, 0)).await.unwrap(),
        ] {
            soon(appender.append_when_room(&write())).await.unwrap();
            let before = appender.progress();
            let progress = soon(appender.progressed(&before)).await;
            assert_eq!((progress.acked, progress.failed), (1, None));
        }
        assert!(world.door.requests().contains(&PRODUCE));

        let mut log = soon(cluster.read(TOPIC, 0, 0)).await.unwrap();
        assert!(!soon(log.next()).await.unwrap().records.is_empty());
        assert!(world.door.requests().contains(&FETCH));

        let request = LeaseRequest {
            group: "scope".to_owned(),
            topic: TOPIC.to_owned(),
            partition: 0,
            instance: None,
        };
        let mut lease = soon(cluster.lease(&request)).await.unwrap();
        assert!(matches!(soon(lease.changed()).await, LeaseState::Held { .. }));
        assert!(world.door.requests().contains(&JOIN_GROUP));
        assert_eq!(world.desk.signed(), 1, "one token does for all clients of a cluster");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_of_administration_logs_in_though_nobody_polls_it() {
        let world = World::new(LONG, LONG);
        let facts = soon(world.cluster.topic(TOPIC)).await.unwrap().unwrap();
        // The mock has no DescribeConfigs; without a login nobody would have come to learn that.
        let reason = facts.settings.unwrap_err();
        assert!(reason.contains("the broker does not know the request"), "{reason}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn clients_that_nobody_asks_anything_get_new_tokens_before_the_old_ones_end() {
        let world = World::new(Duration::from_secs(6), Duration::from_secs(2));
        // Of these two one is polled after questions alone, and the other never.
        soon(world.cluster.facts()).await.unwrap();
        soon(world.cluster.topic(TOPIC)).await.unwrap();
        // Each has to log in again every two seconds, so that many live through several tokens.
        world.logged_in(16).await;
        assert!(world.desk.signed() >= 3, "{} tokens signed", world.desk.signed());
        for (token, came_ms) in world.door.tokens() {
            let (_, until_ms) = token.rsplit_once('.').unwrap();
            assert!(came_ms < until_ms.parse().unwrap(), "{token} came at {came_ms}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_keeps_a_token_from_being_signed_is_told_with_the_cluster() {
        let world = World::new(LONG, LONG);
        world.desk.leave();
        let fault = soon(world.cluster.facts()).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::NotPermitted);
        assert_eq!(
            fault.to_string(),
            "reach brokers at cluster mock: no token to log in with: the clerk is away"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_last_token_does_while_it_is_good() {
        let world = World::new(Duration::from_secs(6), LONG);
        soon(world.cluster.facts()).await.unwrap();
        world.desk.leave();
        // A new one is due after three seconds, and can't be had.
        tokio::time::sleep(Duration::from_secs(4)).await;
        soon(world.cluster.read(TOPIC, 0, 0)).await.unwrap();
        let known = world.door.tokens().len();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let fault = soon(world.cluster.read(TOPIC, 0, 0)).await.unwrap_err();
        assert!(fault.cause.contains("the clerk is away"), "{fault}");
        assert_eq!(world.door.tokens().len(), known);
    }

    #[test]
    fn a_token_shows_itself_to_nobody() {
        let shown = format!("{:?}", Token::new("hunter2".to_owned(), 7));
        assert_eq!(shown, "Token { until_ms: 7, .. }");
    }
}
