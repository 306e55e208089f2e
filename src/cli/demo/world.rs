//! Two clusters inside this process, their registries, and two links between them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::script::Act;
use super::script::Side;
use super::show;
use crate::cli::args::Releases;
use crate::cli::links::Clusters;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::links_of;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::ProcessEnvironment;
use crate::core::provenance::Provenance;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::record::Record;
use crate::kafka::KafkaCluster;
use crate::kafka::MockFault;
use crate::kafka::MockPair;
use crate::service::clock::SystemClock;
use crate::service::ports::Appender;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::Log;
use crate::service::status::Phase;
use crate::service::supervisor::Fleet;
use crate::service::supervisor::Watched;
use crate::service::worker::Goal;

const TOPIC: &str = "_schemas";

/// What is waited for comes within a second, the group's first assignment within four. A machine
/// with other work takes longer; after this something is wrong.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// Links that were told to end have nothing under way here.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// Why the story could not be told to its end: our own fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no clusters: {0}")]
    Mock(#[from] MockFault),
    #[error("{0}")]
    Links(#[from] Unusable),
    #[error("{0}")]
    Kafka(#[from] Fault),
    #[error("{what} did not come within {limit_s} s; links: {links}")]
    Late { what: String, limit_s: u64, links: String },
    #[error("link {link} halted: {reason}")]
    Halted { link: String, reason: String },
}

impl From<ConfigError> for Trouble {
    fn from(error: ConfigError) -> Self {
        Self::Links(Unusable::Config(error))
    }
}

/// What the demo's own process is called.
const INSTANCE: &str = "demo";

/// A cluster with whoever writes to it, and a reader of its schemas topic.
#[derive(Debug)]
struct Ground {
    cluster: KafkaCluster,
    registry: <KafkaCluster as Cluster>::Appender,
    seen: watch::Receiver<Vec<Record>>,
    reader: JoinHandle<()>,
}

/// What came of an act.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// The newest records of the keys that were asked for, as they were before.
    pub(super) before: Vec<(Side, Record)>,
    /// What was written.
    pub(super) written: Vec<(Side, Record)>,
    /// What links wrote then.
    pub(super) arrived: Vec<(Side, Record)>,
    /// From the first write to the last arrival.
    pub(super) taken: Duration,
}

/// Everything that the story needs.
#[derive(Debug)]
pub(super) struct World {
    // Clients go before the clusters that they are connected to.
    grounds: BTreeMap<Side, Ground>,
    fleet: Option<Fleet>,
    links: Vec<Link>,
    configuration: String,
    clock: SystemClock,
    _mocks: MockPair,
}

impl World {
    /// Starts both clusters, whose topics are empty, and prepares the links.
    pub(super) async fn start(clock: SystemClock) -> Result<Self, Trouble> {
        let mocks = MockPair::start()?;
        let configuration =
            configuration(mocks.source.bootstrap_servers(), mocks.target.bootstrap_servers());
        let config = Config::parse("demo.yaml", &configuration, &ProcessEnvironment)?;
        let mut clusters = Clusters::named(INSTANCE.to_owned(), clock);
        let links = links_of(&config, &[], Releases::default(), &mut clusters)?;
        let mut grounds = BTreeMap::new();
        for side in Side::BOTH {
            if let Some(named) = config.cluster(side.name()) {
                grounds.insert(side, Ground::start(clusters.get(named)?).await?);
            }
        }
        Ok(Self { grounds, fleet: None, links, configuration, clock, _mocks: mocks })
    }

    /// The configuration of the links, as a file would hold it.
    pub(super) fn configuration(&self) -> &str {
        &self.configuration
    }

    /// The links, to compare their sides.
    pub(super) fn links(&self) -> &[Link] {
        &self.links
    }

    /// The records of a topic that were seen so far.
    pub(super) fn records(&self, side: Side) -> Vec<Record> {
        self.grounds.get(&side).map(|ground| ground.seen.borrow().clone()).unwrap_or_default()
    }

    /// Starts both links, to follow for good.
    pub(super) fn start_links(&mut self) {
        self.fleet = Some(Fleet::start(self.links.clone(), &self.clock, Goal::Follow));
    }

    /// Has the act's records written and waits until what follows from them has come.
    pub(super) async fn play(&mut self, act: &Act) -> Result<Played, Trouble> {
        let mut marks: BTreeMap<Side, Offset> = self.ends();
        if act.writes.is_empty() {
            // Links may have written before anyone looked.
            marks.values_mut().for_each(|mark| *mark = 0);
        }
        let before = act.before.iter().filter_map(|(side, key)| self.newest(*side, key)).collect();
        let begun = self.clock.monotonic();
        for (side, record) in &act.writes {
            if let Some(ground) = self.grounds.get_mut(side) {
                ground.write(record.clone(), self.clock).await?;
            }
        }
        let mut played = Played { before, ..Played::default() };
        let deadline = begun.saturating_add(WAIT_MAX);
        for (side, mark) in &marks {
            let written = act.writes.iter().filter(|(on, _)| on == side).count();
            let awaited: Vec<&str> =
                act.awaited.iter().filter(|a| a.side == *side).map(|a| a.key).collect();
            let complete = |records: &[Record]| {
                let ours: Vec<String> = since(records, *mark)
                    .filter(|record| is_of_link(record))
                    .map(show::key_of)
                    .collect();
                let others = since(records, *mark).filter(|record| !is_of_link(record)).count();
                others >= written
                    && awaited.iter().all(|key| ours.iter().any(|own| own.as_str() == *key))
            };
            let what = awaited.last().map_or("what was written", |key| key);
            let records = self.wait(*side, complete, deadline, what).await?;
            for record in since(&records, *mark) {
                if is_of_link(record) {
                    played.arrived.push((*side, record.clone()));
                } else if written > 0 {
                    played.written.push((*side, record.clone()));
                }
            }
        }
        played.taken = self.clock.monotonic().saturating_sub(begun);
        Ok(played)
    }

    /// Waits until both links have read their sources to the end and follow.
    pub(super) async fn settled(&self) -> Result<(), Trouble> {
        let Some(fleet) = &self.fleet else { return Ok(()) };
        let deadline = self.clock.monotonic().saturating_add(WAIT_MAX);
        for (Watched { link: name, status, .. }, side) in fleet.watched().iter().zip(Side::BOTH) {
            let end = self.ends().get(&side).copied().unwrap_or_default();
            let mut status = status.clone();
            let rest = deadline.saturating_sub(self.clock.monotonic());
            tokio::select! {
                _ = status.wait_for(|now| now.phase == Phase::Running && now.source_next >= end) => {}
                () = self.clock.sleep(rest) => return Err(self.late(&format!("the end of {name}"))),
            }
        }
        Ok(())
    }

    /// Records of the source that links left out since they started.
    pub(super) fn left_out(&self) -> Vec<(String, u64)> {
        let watched = self.fleet.as_ref().map(Fleet::watched).unwrap_or_default();
        watched
            .iter()
            .map(|Watched { link, status, .. }| {
                let not_selected = crate::core::link::Outcome::NotSelected;
                (link.clone(), status.borrow().counts.of(not_selected))
            })
            .collect()
    }

    /// Ends the links, as SIGTERM would.
    pub(super) async fn end(mut self) {
        if let Some(mut fleet) = self.fleet.take() {
            fleet.shut_down();
            let mut ends = BTreeMap::new();
            tokio::select! {
                () = fleet.join(&mut ends) => {}
                () = self.clock.sleep(LEAVE_MAX) => {}
            }
        }
        for ground in self.grounds.values() {
            ground.reader.abort();
        }
    }

    fn ends(&self) -> BTreeMap<Side, Offset> {
        let end = |ground: &Ground| {
            ground.seen.borrow().last().map_or(0, |r| crate::core::record::after(r.offset))
        };
        self.grounds.iter().map(|(side, ground)| (*side, end(ground))).collect()
    }

    fn newest(&self, side: Side, key: &str) -> Option<(Side, Record)> {
        let seen = self.grounds.get(&side)?.seen.borrow();
        let record = seen.iter().rev().find(|record| show::key_of(record) == key)?;
        Some((side, record.clone()))
    }

    async fn wait(
        &self,
        side: Side,
        complete: impl Fn(&[Record]) -> bool,
        deadline: Duration,
        what: &str,
    ) -> Result<Vec<Record>, Trouble> {
        let Some(ground) = self.grounds.get(&side) else { return Ok(Vec::new()) };
        let mut seen = ground.seen.clone();
        let rest = deadline.saturating_sub(self.clock.monotonic());
        tokio::select! {
            came = seen.wait_for(|records| complete(records)) => match came {
                Ok(records) => Ok(records.clone()),
                Err(_) => Err(self.late(what)),
            },
            halted = self.halted() => Err(halted),
            () = self.clock.sleep(rest) => Err(self.late(what)),
        }
    }

    /// Waits until a link halts.
    async fn halted(&self) -> Trouble {
        let watched = self.fleet.as_ref().map(Fleet::watched).unwrap_or_default();
        let [first, second] = watched else {
            return std::future::pending().await;
        };
        let (mut one, mut other) = (first.status.clone(), second.status.clone());
        let stands =
            |status: &crate::service::status::Status| matches!(status.phase, Phase::Halted(_));
        let (link, reason) = tokio::select! {
            Ok(status) = one.wait_for(stands) => (&first.link, status.phase.reason().to_owned()),
            Ok(status) = other.wait_for(stands) => (&second.link, status.phase.reason().to_owned()),
            else => return std::future::pending().await,
        };
        Trouble::Halted { link: link.clone(), reason }
    }

    fn late(&self, what: &str) -> Trouble {
        let watched = self.fleet.as_ref().map(Fleet::watched).unwrap_or_default();
        let links: Vec<String> = watched
            .iter()
            .map(|Watched { link, status, .. }| {
                let phase = status.borrow().phase.clone();
                format!("{link} {phase} {}", phase.reason()).trim_end().to_owned()
            })
            .collect();
        let what = what.to_owned();
        Trouble::Late { what, limit_s: WAIT_MAX.as_secs(), links: links.join(", ") }
    }
}

impl Ground {
    async fn start(cluster: KafkaCluster) -> Result<Self, Trouble> {
        let registry = cluster.append_to(TOPIC, 0).await?;
        let mut log = cluster.read(TOPIC, 0, 0).await?;
        let (sender, seen) = watch::channel(Vec::new());
        let reader = tokio::spawn(async move {
            // A fault that stays is met by whoever waits, at the limit.
            loop {
                if let Ok(batch) = log.next().await
                    && !batch.records.is_empty()
                {
                    sender.send_modify(|seen: &mut Vec<Record>| seen.extend(batch.records));
                }
            }
        });
        Ok(Self { cluster, registry, seen, reader })
    }

    async fn write(&mut self, record: Outgoing, clock: SystemClock) -> Result<(), Trouble> {
        let number = self.registry.append_when_room(&record).await?;
        let mut progress = self.registry.progress();
        while progress.acked < number {
            if let Some(fault) = progress.failed {
                return Err(fault.into());
            }
            tokio::select! {
                news = self.registry.progressed(&progress) => progress = news,
                () = clock.sleep(WAIT_MAX) => return Err(Trouble::Late {
                    what: format!("an acknowledgement of {}", self.cluster.name()),
                    limit_s: WAIT_MAX.as_secs(),
                    links: "not asked".to_owned(),
                }),
            }
        }
        Ok(())
    }
}

/// Whether a link wrote the record, as its header says.
pub(super) fn is_of_link(record: &Record) -> bool {
    Provenance::of(&record.headers).is_some()
}

fn since(records: &[Record], mark: Offset) -> impl Iterator<Item = &Record> {
    records.iter().filter(move |record| record.offset >= mark)
}

fn configuration(source: &str, target: &str) -> String {
    format!(
        "clusters:
  source: {{ bootstrap_servers: '{source}' }}
  target: {{ bootstrap_servers: '{target}' }}
links:
  - {{ name: src-to-tgt-link, source: source, target: target, context: .source, subjects: ['*'] }}
  - {{ name: tgt-to-src-link, source: target, target: source, context: .target, subjects: ['*'] }}
"
    )
}
