//! Everything that exists in a run: clusters, processes, time, and what went wrong.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use schema_mirror::core::record::Offset;
use schema_mirror::core::record::Outgoing;
use schema_mirror::core::record::Record;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::group::Group;
use super::links::LinkSpec;
use super::partition::Partition;
use super::registry::Registry;
use super::registry::Verdict;
use super::rng::Rng;
use super::said::LogKey;
use super::said::Said;
use super::said::passport;
use super::said::said;
use super::swarm::Chaos;
use super::swarm::Release;
use super::swarm::Sabotage;
use super::swarm::Swarm;

/// The schemas topic of every cluster.
pub(crate) const SCHEMAS: &str = "_schemas";
/// Our own topic.
pub(crate) const STATE: &str = "_schema_mirror";
/// 2026-01-01.
const WALL_START_MS: i64 = 1_767_225_600_000;
/// A broker's default for `message.timestamp.after.max.ms`.
const AHEAD_MAX_MS: i64 = 3_600_000;

/// A process of ours; the brokers and the network are [`NETWORK`].
pub(crate) type Pid = usize;
pub(crate) const NETWORK: Pid = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Up,
    /// Stopped by a signal, until it goes on.
    Frozen,
    Dead,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) run: Run,
    pub(crate) thawed_at: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) id: String,
    pub(crate) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(crate) struct ClusterState {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) up: bool,
    /// Until then its broker answers as if it had no topics.
    pub(crate) starts_until: Duration,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) groups: BTreeMap<String, Group>,
    /// The registry that follows the schemas topic.
    pub(crate) registry: Registry,
    /// Every record that the schemas topic ever held since it was created.
    pub(crate) history: Vec<Record>,
    /// Whose way of writing its registry has.
    pub(crate) release: Release,
    /// Where the registry's process begins with the fields of a value.
    pub(crate) field_order: usize,
    /// Highest id given out in each context.
    pub(crate) ids: BTreeMap<String, i64>,
    /// Contents of schemas that ever stood in the topic and their times: see `check::content_of`.
    pub(crate) contents: BTreeMap<(String, String), BTreeSet<i64>>,
    /// Keys that somebody besides the links wrote in the run, and how often.
    pub(crate) touched: BTreeMap<String, u32>,
    /// Offsets of records by which a leader put something back, and of those that somebody else
    /// wrote into a scope.
    pub(crate) rolled_back: BTreeSet<Offset>,
    pub(crate) foreign: BTreeSet<Offset>,
    topics_made: u64,
}

impl ClusterState {
    pub(crate) fn new(name: &str, release: Release) -> Self {
        let mut cluster = Self {
            id: format!("cluster-{name}"),
            name: name.to_owned(),
            up: true,
            starts_until: Duration::ZERO,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            registry: Registry::default(),
            history: Vec::new(),
            release,
            field_order: 0,
            ids: BTreeMap::new(),
            contents: BTreeMap::new(),
            touched: BTreeMap::new(),
            rolled_back: BTreeSet::new(),
            foreign: BTreeSet::new(),
            topics_made: 0,
        };
        cluster.make_topic(SCHEMAS, 1);
        cluster
    }

    pub(crate) fn make_topic(&mut self, name: &str, partitions: usize) {
        if self.topics.contains_key(name) {
            return;
        }
        self.topics_made += 1;
        let id = format!("{}-topic-{}", self.name, self.topics_made);
        let topic = Topic { id, partitions: vec![Partition::default(); partitions] };
        self.topics.insert(name.to_owned(), topic);
    }

    /// The schemas topic is deleted and created again, empty.
    pub(crate) fn recreate(&mut self) {
        self.topics.remove(SCHEMAS);
        self.make_topic(SCHEMAS, 1);
        self.refold();
    }

    /// The registry starts again on what the topic holds now.
    pub(crate) fn refold(&mut self) {
        self.history = self.schemas().records().cloned().collect();
        self.registry = Registry::fold(self.history.iter());
        self.ids.clear();
    }

    pub(crate) fn schemas(&self) -> &Partition {
        &self.topics[SCHEMAS].partitions[0]
    }

    pub(crate) fn schemas_mut(&mut self) -> &mut Partition {
        &mut self.topics.get_mut(SCHEMAS).unwrap().partitions[0]
    }
}

/// A source's state below an offset, of the topic with this id and start.
#[derive(Debug)]
pub(crate) struct Prefix {
    pub(crate) of: (String, Offset),
    pub(crate) next: Offset,
    pub(crate) registry: Registry,
}

/// Who writes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// The cluster's own registry, or its clients.
    Registry,
    /// Somebody in a link's scope.
    Foreign,
    /// A link in this process.
    Link(Pid),
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) swarm: Swarm,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) clusters: Vec<ClusterState>,
    pub(crate) processes: Vec<Process>,
    pub(crate) links: Vec<LinkSpec>,
    /// Faults happen; off in quiet periods.
    pub(crate) stormy: bool,
    /// How often a source may still turn over while it is read.
    pub(crate) turns_left: u32,
    pub(crate) violations: Vec<String>,
    /// Versions that somebody else put into a scope, and whether they stand for all he knows.
    pub(crate) foreign_schemas: BTreeMap<LogKey, bool>,
    /// Records that links wrote into schemas topics.
    pub(crate) link_writes: u64,
    pub(crate) last_write_at: Duration,
    /// Records of schemas topics that readers gave, by process and cluster.
    pub(crate) given: BTreeMap<(Pid, usize), usize>,
    /// What sources said below the newest checkpoint of each link.
    pub(crate) prefixes: BTreeMap<String, Prefix>,
    /// Brokers let nobody read schemas topics.
    pub(crate) reading_refused: bool,
    /// Planted: the ends that processes were told first.
    pub(crate) stale_ends: BTreeMap<(Pid, usize), Offset>,
    notes: Option<Vec<String>>,
    now: Duration,
}

impl World {
    /// Every registry reads its topic again from the start; whether one says something else by it.
    pub(crate) fn registries_restart(&mut self) -> bool {
        let mut other = false;
        for cluster in &mut self.clusters {
            let again = Registry::fold(cluster.schemas().records());
            other |= again.says() != cluster.registry.says();
            cluster.registry = again;
        }
        other
    }

    pub(crate) fn new(seed: u64, sabotage: Option<Sabotage>, noted: bool) -> Self {
        let mut rng = Rng::new(seed);
        let swarm = Swarm::draw(&mut rng, sabotage);
        Self {
            rng,
            swarm,
            sabotage,
            clusters: Vec::new(),
            processes: vec![Process { run: Run::Up, thawed_at: None }],
            links: Vec::new(),
            turns_left: 0,
            stormy: true,
            violations: Vec::new(),
            foreign_schemas: BTreeMap::new(),
            link_writes: 0,
            last_write_at: Duration::ZERO,
            given: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            reading_refused: false,
            stale_ends: BTreeMap::new(),
            notes: noted.then(Vec::new),
            now: Duration::ZERO,
        }
    }

    /// Whether this trouble is on in the run, and now.
    pub(crate) fn storms(&self, chaos: Chaos) -> bool {
        self.stormy && self.swarm.has(chaos)
    }

    /// With a chance of so many percent, trouble of this kind.
    pub(crate) fn strikes(&mut self, chaos: Chaos, percent: u64) -> bool {
        self.storms(chaos) && self.rng.chance(percent)
    }

    pub(crate) fn sabotaged(&self, by: Sabotage) -> bool {
        self.sabotage == Some(by)
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(notes) = &mut self.notes {
            notes.push(format!("{:>12.3} {}", now.as_secs_f64(), what()));
        }
    }

    pub(crate) fn notes(&mut self) -> Vec<String> {
        self.notes.take().unwrap_or_default()
    }

    pub(crate) fn violated(&mut self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.violations.push(what);
    }

    /// Every byte of every log, each topic's partitions in order.
    pub(crate) fn logs(&self) -> Vec<String> {
        let mut logs = Vec::new();
        for cluster in &self.clusters {
            for (name, Topic { id, partitions }) in &cluster.topics {
                let places = partitions.iter().enumerate();
                logs.extend(places.map(|(number, partition)| {
                    format!("{} {name} {id} {number}: {partition:?}", cluster.name)
                }));
            }
        }
        logs
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// A topic as a cluster's broker tells of it.
    pub(crate) fn told_of(&self, cluster: usize, topic: &str) -> Option<&Topic> {
        let cluster = &self.clusters[cluster];
        let topic = cluster.topics.get(topic)?;
        (self.now >= cluster.starts_until).then_some(topic)
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        WALL_START_MS + i64::try_from(self.now.as_millis()).unwrap()
    }

    /// A record reaches a broker. `Err` is why it is refused.
    pub(crate) fn land(
        &mut self,
        cluster: usize,
        topic: &str,
        partition: usize,
        write: Outgoing,
        author: Author,
    ) -> Result<Offset, &'static str> {
        let wall_ms = self.wall_ms();
        let ahead = write.timestamp_ms.is_some_and(|then| then > wall_ms + AHEAD_MAX_MS);
        if ahead && matches!(author, Author::Link(_)) {
            return Err("INVALID_TIMESTAMP");
        }
        let Some(found) = self.clusters[cluster].topics.get_mut(topic) else {
            return Err("UNKNOWN_TOPIC_OR_PARTITION");
        };
        let record = found.partitions[partition].append(write, wall_ms).clone();
        self.note(|| format!("{} {}", ["A", "B", "C"][cluster], shown(topic, author, &record)));
        if topic == SCHEMAS {
            self.follow(cluster, &record, author);
        } else if let Author::Link(_) = author {
            super::check::on_state_record(self, cluster, &record);
        }
        Ok(record.offset)
    }

    fn follow(&mut self, cluster: usize, record: &Record, author: Author) {
        let by_link = matches!(author, Author::Link(_));
        let before = by_link.then(|| self.clusters[cluster].registry.clone());
        if author == Author::Foreign {
            self.note_foreign(cluster, record);
        }
        let state = &mut self.clusters[cluster];
        let verdict = state.registry.apply(record);
        state.history.push(record.clone());
        if let Some(content) = super::check::content_of(record) {
            let times = state.contents.entry(content).or_default();
            times.extend(record.timestamp_ms);
        }
        if let Some(before) = &before {
            self.link_writes += 1;
            self.last_write_at = self.now;
            super::check::on_link_record(self, cluster, record, &verdict, before);
        }
        if verdict == Verdict::Rejected {
            super::leader::roll_back(self, cluster, record, author);
        }
    }

    /// Somebody besides the links writes into a scope.
    fn note_foreign(&mut self, cluster: usize, record: &Record) {
        let Said::State(key, value) = said(record) else { return };
        let state = &mut self.clusters[cluster];
        *state.touched.entry(format!("{key:?}")).or_default() += 1;
        state.foreign.insert(record.offset);
        let is_his = !state.registry.keys.contains_key(&key);
        if let Some(stands) = self.foreign_schemas.get_mut(&key) {
            *stands = value.is_some();
        } else if is_his && matches!(key, LogKey::Schema(..)) {
            self.foreign_schemas.insert(key, value.is_some());
        }
    }
}

fn shown(topic: &str, author: Author, record: &Record) -> String {
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or_else(|| "-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let by = match passport(record) {
        Some(passport) => {
            format!("{}/{}/{} {:?}", passport.link, passport.writer, passport.epoch, passport.path)
        }
        None => format!("{author:?}"),
    };
    let (key, value) = (text(record.key.as_deref()), text(record.value.as_deref()));
    format!("{topic}@{} {key} = {value} [{by}]", record.offset)
}

/// The world as tasks share it.
#[derive(Debug, Clone)]
pub(crate) struct Sim {
    world: Arc<Mutex<World>>,
    changed: Arc<Notify>,
    started: Instant,
}

impl Sim {
    pub(crate) fn new(world: World) -> Self {
        let world = Arc::new(Mutex::new(world));
        Self { world, changed: Arc::new(Notify::new()), started: Instant::now() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.now = self.started.elapsed();
        world
    }

    /// Something happened that others may wait for.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Changes the world and wakes whoever waits for it.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let value = change(&mut self.lock());
        self.wake();
        value
    }

    /// Waits until the process runs and the condition gives something. For ever in a dead process.
    pub(crate) async fn until<T>(
        &self,
        process: Pid,
        mut ready: impl FnMut(&mut World) -> Option<T>,
    ) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut world = self.lock();
                if world.processes[process].run == Run::Up
                    && let Some(value) = ready(&mut world)
                {
                    return value;
                }
            }
            changed.await;
        }
    }

    /// Time passes in a process.
    pub(crate) async fn sleep(&self, process: Pid, pause: Duration) {
        tokio::time::sleep(pause).await;
        self.until(process, |_| Some(())).await;
    }

    /// A request takes its time.
    pub(crate) async fn latency(&self, process: Pid, most: Duration) {
        let pause = self.lock().rng.pause(most);
        self.sleep(process, pause).await;
    }
}
