//! The simulated side of the link's ports: clusters, readers and clocks.

use std::time::Duration;

use schema_mirror::core::record::Offset;
use schema_mirror::core::record::Record;
use schema_mirror::service::ports::Batch;
use schema_mirror::service::ports::Clock;
use schema_mirror::service::ports::Cluster;
use schema_mirror::service::ports::ClusterFacts;
use schema_mirror::service::ports::Creation;
use schema_mirror::service::ports::Fault;
use schema_mirror::service::ports::FaultClass;
use schema_mirror::service::ports::LeaseRequest;
use schema_mirror::service::ports::Log;
use schema_mirror::service::ports::TopicFacts;
use schema_mirror::service::ports::TopicSettings;
use schema_mirror::service::ports::TopicSpec;

use super::appender::SimAppender;
use super::group::SimLease;
use super::group::members;
use super::swarm::Chaos;
use super::swarm::Sabotage;
use super::world::Pid;
use super::world::SCHEMAS;
use super::world::Sim;
use super::world::World;

/// How long tombstones are kept.
pub(crate) const DELETE_RETENTION: Duration = Duration::from_secs(3600);
const REQUEST: Duration = Duration::from_millis(400);

/// A cluster as one process reaches it.
#[derive(Debug, Clone)]
pub(crate) struct SimCluster {
    pub(crate) sim: Sim,
    pub(crate) process: Pid,
    pub(crate) cluster: usize,
    pub(crate) name: String,
}

impl SimCluster {
    /// A request and its answer, unless something is in the way.
    async fn ask<T>(
        &self,
        operation: &'static str,
        object: &str,
        answer: impl FnOnce(&mut World) -> Result<T, FaultClass>,
    ) -> Result<T, Fault> {
        self.sim.latency(self.process, REQUEST).await;
        let mut world = self.sim.lock();
        let fault = |cause: &str, class| Fault {
            operation,
            object: object.to_owned(),
            cluster: self.name.clone(),
            cause: cause.to_owned(),
            class,
        };
        if !world.clusters[self.cluster].up {
            return Err(fault("no broker is up", FaultClass::Transient));
        }
        if world.strikes(Chaos::ReaderFault, 2) {
            return Err(fault("request timed out", FaultClass::Transient));
        }
        let answer = answer(&mut world);
        drop(world);
        self.sim.wake();
        answer.map_err(|class| fault("no such topic or partition", class))
    }
}

impl Cluster for SimCluster {
    type Log = SimLog;
    type Appender = SimAppender;
    type Lease = SimLease;

    fn name(&self) -> &str {
        &self.name
    }

    fn bootstrap_servers(&self) -> &str {
        &self.name
    }

    async fn facts(&self) -> Result<ClusterFacts, Fault> {
        self.ask("describe", "the cluster", |world| {
            let cluster_id = world.clusters[self.cluster].id.clone();
            Ok(ClusterFacts { cluster_id, brokers: 3 })
        })
        .await
    }

    async fn topic(&self, name: &str) -> Result<Option<TopicFacts>, Fault> {
        self.ask("describe", name, |world| {
            let frozen = world.sabotaged(Sabotage::TopicIdFrozen);
            let stale = world.sabotaged(Sabotage::StaleEnd)
                && name == SCHEMAS
                && super::sabotage::is_target_only(world, self.cluster);
            let known = stale.then(|| {
                let end = world.clusters[self.cluster].schemas().end;
                *world.stale_ends.entry((self.process, self.cluster)).or_insert(end)
            });
            let Some(topic) = world.told_of(self.cluster, name) else { return Ok(None) };
            let id = if frozen { "always the same".to_owned() } else { topic.id.clone() };
            Ok(Some(TopicFacts {
                topic_id: Some(id),
                partitions: topic.partitions.len(),
                replication: 3,
                start: topic.partitions[0].start,
                end: known.unwrap_or(topic.partitions[0].end),
                settings: Ok(TopicSettings {
                    cleanup_policy: "compact".to_owned(),
                    delete_retention_ms: i64::try_from(DELETE_RETENTION.as_millis()).ok(),
                    retention_ms: None,
                    retention_bytes: None,
                    min_insync_replicas: Some(2),
                    max_message_bytes: Some(1_048_588),
                    timestamp_type: "CreateTime".to_owned(),
                }),
            }))
        })
        .await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<Creation, Fault> {
        self.ask("create", &spec.name, |world| {
            let partitions = usize::try_from(spec.partitions).unwrap();
            let cluster = &mut world.clusters[self.cluster];
            let there = cluster.topics.contains_key(&spec.name);
            cluster.make_topic(&spec.name, partitions);
            Ok(if there { Creation::There } else { Creation::Made })
        })
        .await
    }

    async fn read(&self, topic: &str, partition: i32, from: Offset) -> Result<SimLog, Fault> {
        self.ask("read", topic, |world| {
            super::overtaken::turn(world, self.cluster, topic);
            if world.told_of(self.cluster, topic).is_none() {
                return Err(FaultClass::Missing);
            }
            let mut log = SimLog {
                cluster: self.clone(),
                topic: topic.to_owned(),
                partition: usize::try_from(partition).unwrap(),
                ahead: None,
                next: from,
                told_end: None,
                was_up: true,
            };
            if let Some(Ok(batch)) = log.news(world) {
                log.moved(&batch);
                log.ahead = Some(batch);
            }
            Ok(log)
        })
        .await
    }

    async fn read_all(&self, topic: &str) -> Result<Vec<Record>, Fault> {
        self.ask("read", topic, |world| {
            let topic = world.told_of(self.cluster, topic).ok_or(FaultClass::Missing)?;
            let partitions = topic.partitions.iter();
            Ok(partitions.flat_map(|partition| partition.records().cloned()).collect())
        })
        .await
    }

    async fn append_to(&self, topic: &str, partition: i32) -> Result<SimAppender, Fault> {
        self.ask("append to", topic, |_| Ok(())).await?;
        let partition = usize::try_from(partition).unwrap();
        Ok(SimAppender::open(&self.sim, self.process, self.cluster, topic, partition))
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<SimLease, Fault> {
        self.ask("join", &request.group, |_| Ok(())).await?;
        Ok(SimLease::join(&self.sim, self.process, self.cluster, request))
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, Fault> {
        self.ask("describe", group, |world| Ok(members(world, self.cluster, group))).await
    }
}

/// A reader of one partition.
#[derive(Debug)]
pub(crate) struct SimLog {
    cluster: SimCluster,
    topic: String,
    partition: usize,
    /// What was read before anybody asked for it.
    ahead: Option<Batch>,
    next: Offset,
    /// The end that was told last; told again only when it moved.
    told_end: Option<Offset>,
    was_up: bool,
}

impl SimLog {
    fn fault(&self, cause: &str, class: FaultClass) -> Fault {
        Fault {
            operation: "read",
            object: format!("topic {}", self.topic),
            cluster: self.cluster.name.clone(),
            cause: cause.to_owned(),
            class,
        }
    }

    /// Takes what there is before anybody asks for it.
    fn read_ahead(&mut self) {
        let sim = self.cluster.sim.clone();
        let more = sim.with(|world| {
            let does = world.swarm.has(Chaos::ReadAhead) && world.rng.chance(50);
            does.then(|| self.news(world)).flatten()
        });
        if let Some(Ok(batch)) = more {
            self.moved(&batch);
            self.ahead = Some(batch);
        }
    }

    fn moved(&mut self, batch: &Batch) {
        self.next = batch.next;
        self.told_end = batch.at_end.then_some(batch.next);
    }

    /// What the reader has to say now, if anything.
    fn news(&self, world: &mut World) -> Option<Result<Batch, Fault>> {
        let up = world.clusters[self.cluster.cluster].up;
        if !up {
            let gone = self.fault("no broker is up", FaultClass::Transient);
            return self.was_up.then_some(Err(gone));
        }
        if world.reading_refused && self.topic == SCHEMAS {
            return Some(Err(self.fault("not permitted", FaultClass::NotPermitted)));
        }
        if world.strikes(Chaos::ReaderFault, 2) {
            return Some(Err(self.fault("disconnected", FaultClass::Transient)));
        }
        super::overtaken::turn(world, self.cluster.cluster, &self.topic);
        let most = *world.rng.pick(&[1, 2, 5, 20, 40]);
        let early = world.sabotaged(Sabotage::EarlyEnd) && world.rng.chance(5);
        let skips = world.sabotaged(Sabotage::RecordSkipped)
            && self.topic == SCHEMAS
            && world.rng.chance(3);
        let Some(topic) = world.told_of(self.cluster.cluster, &self.topic) else {
            let missing = self.fault("no such topic", FaultClass::Missing);
            return Some(Err(missing));
        };
        let log = &topic.partitions[self.partition];
        if self.next > log.end || (self.next < log.start && self.next > 0) {
            return Some(Err(self.fault("no such offset", FaultClass::OutOfRange)));
        }
        if self.next == log.end && self.told_end == Some(log.end) {
            return None;
        }
        let (mut records, next) = log.read(self.next, most);
        let at_end = next == log.end || early;
        if self.topic == SCHEMAS {
            let reader = (self.cluster.process, self.cluster.cluster);
            *world.given.entry(reader).or_default() += records.len();
        }
        if skips {
            records.pop();
        }
        super::sabotage::hide(world, self.cluster.cluster, &self.topic, &mut records);
        Some(Ok(Batch { records, next, at_end }))
    }
}

impl Log for SimLog {
    async fn next(&mut self) -> Result<Batch, Fault> {
        let most = Duration::from_millis(200);
        self.cluster.sim.latency(self.cluster.process, most).await;
        if let Some(batch) = self.ahead.take() {
            return Ok(batch);
        }
        if !self.was_up {
            let cluster = self.cluster.cluster;
            let up = |world: &mut World| world.clusters[cluster].up.then_some(());
            self.cluster.sim.until(self.cluster.process, up).await;
            self.was_up = true;
        }
        let news = {
            let this = &*self;
            this.cluster.sim.until(this.cluster.process, |world| this.news(world)).await
        };
        match &news {
            Ok(batch) => {
                self.moved(batch);
                self.read_ahead();
            }
            Err(_) => self.was_up = self.cluster.sim.lock().clusters[self.cluster.cluster].up,
        }
        news
    }

    async fn seek(&mut self, offset: Offset) -> Result<(), Fault> {
        self.cluster.sim.latency(self.cluster.process, Duration::from_millis(20)).await;
        self.next = offset;
        self.ahead = None;
        self.told_end = None;
        Ok(())
    }
}

/// A process's clock.
#[derive(Debug, Clone)]
pub(crate) struct SimClock {
    pub(crate) sim: Sim,
    pub(crate) process: Pid,
}

impl Clock for SimClock {
    fn wall_ms(&self) -> i64 {
        let world = self.sim.lock();
        if world.sabotaged(Sabotage::NoClamp) { i64::MAX } else { world.wall_ms() }
    }

    fn monotonic(&self) -> Duration {
        self.sim.lock().now()
    }

    async fn sleep(&self, pause: Duration) {
        self.sim.sleep(self.process, pause).await;
    }
}
