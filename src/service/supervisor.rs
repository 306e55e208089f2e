//! All links of a process: each in its own task, sources read together, targets' rates shared.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::service::definition::ContextNamedBy;
use crate::service::definition::LinkDefinition;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::rate::Rate;
use crate::service::reading::Reading;
use crate::service::status::Status;
use crate::service::worker::End;
use crate::service::worker::Goal;
use crate::service::worker::Worker;

/// A link with its clusters, before it runs.
#[derive(Debug, Clone)]
pub struct Assignment<C> {
    /// What it does.
    pub definition: LinkDefinition,
    /// Where it reads.
    pub source: C,
    /// Where it writes.
    pub target: C,
    /// Records a second that the target is given at most; `None` is unlimited.
    pub write_rate_max: Option<u32>,
}

/// A link as whoever watches sees it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name.
    pub link: String,
    /// The cluster that it reads, by its name in the configuration.
    pub source: String,
    /// The cluster that it writes.
    pub target: String,
    /// What it is doing.
    pub status: watch::Receiver<Status>,
}

/// The links of a process.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// Those that are known, in their order.
    pub links: Vec<Watched>,
    /// Whether all are known that there are: clusters may keep some that were not read yet.
    pub is_complete: bool,
}

impl Watched {
    /// Whether the assignment is the same link, maybe with another definition.
    fn is_of<C: Cluster>(&self, assignment: &Assignment<C>) -> bool {
        self.link == assignment.definition.rules.name && self.source == assignment.source.name()
    }
}

impl<C: Cluster> Assignment<C> {
    /// A worker that does it, reading alone, and what it shows. Its counts go on from an earlier one's.
    pub(in crate::service) fn man<K: Clock>(
        self,
        past: Option<&Watched>,
        clock: &K,
        goal: Goal,
        rates: &Rates<K>,
    ) -> (Worker<C, K>, Watched) {
        let mut begins = past.map(|past| past.status.borrow().of_next_round()).unwrap_or_default();
        let definition = Arc::new(self.definition);
        if definition.context == ContextNamedBy::Configuration {
            begins.definition = Some(Arc::clone(&definition));
        }
        let (status, seen) = watch::channel(begins);
        let watched = Watched {
            link: definition.rules.name.clone(),
            source: self.source.name().to_owned(),
            target: self.target.name().to_owned(),
            status: seen,
        };
        let worker = Worker {
            rate: rates.of(self.target.name(), clock, self.write_rate_max),
            definition,
            source: self.source,
            target: self.target,
            clock: clock.clone(),
            reading: None,
            goal,
            status: Arc::new(status),
            once_used: Arc::default(),
        };
        (worker, watched)
    }
}

/// The write rates of targets, each shared by all links of the process.
#[derive(Debug, Clone)]
pub struct Rates<K>(Arc<Mutex<BTreeMap<String, Rate<K>>>>);

impl<K> Default for Rates<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clock> Rates<K> {
    fn of(&self, target: &str, clock: &K, most: Option<u32>) -> Rate<K> {
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rates.entry(target.to_owned()).or_insert_with(|| Rate::new(clock.clone(), most)).clone()
    }
}

/// Links at work.
#[derive(Debug)]
pub struct Fleet {
    links: JoinSet<(usize, End)>,
    watched: Vec<Watched>,
    shutdowns: Vec<watch::Sender<bool>>,
}

impl Fleet {
    /// Starts every link.
    pub fn start<C: Cluster, K: Clock>(
        assignments: Vec<Assignment<C>>,
        clock: &K,
        goal: Goal,
    ) -> Self {
        Self::start_after(&[], assignments, clock, goal, &Rates::default())
    }

    /// Starts every link after others, whose counts go on under the same names.
    pub fn start_after<C: Cluster, K: Clock>(
        before: &[Watched],
        assignments: Vec<Assignment<C>>,
        clock: &K,
        goal: Goal,
        rates: &Rates<K>,
    ) -> Self {
        let mut shutdowns = Vec::new();
        let mut links = JoinSet::new();
        let mut watched = Vec::new();
        let readings = readings(&assignments, clock);
        for (place, assignment) in assignments.into_iter().enumerate() {
            let past = before.iter().find(|watched| watched.is_of(&assignment));
            let reading = readings.get(&source_of(&assignment)).cloned();
            let (worker, seen) = assignment.man(past, clock, goal, rates);
            watched.push(seen);
            let worker = Worker { reading, ..worker };
            let (shutdown, told) = watch::channel(false);
            shutdowns.push(shutdown);
            links.spawn(async move { (place, worker.run(told).await) });
        }
        Self { links, watched, shutdowns }
    }

    /// What each link is doing, in the order in which they were given.
    #[must_use]
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// Tells every link to end once what is on its way has arrived.
    pub fn shut_down(&self) {
        for shutdown in &self.shutdowns {
            shutdown.send_replace(true);
        }
    }

    /// Waits for every link to end. Safe to cancel and to call again.
    pub async fn join(&mut self, ends: &mut BTreeMap<usize, End>) {
        while let Some(ended) = self.links.join_next().await {
            match ended {
                Ok((place, end)) => drop(ends.insert(place, end)),
                Err(panic) => {
                    tracing::error!(reason = %panic, "a link's task ended without a word");
                }
            }
        }
    }
}

/// The reading that links share, by source. Only several links of one topic need one.
fn readings<C: Cluster, K: Clock>(
    assignments: &[Assignment<C>],
    clock: &K,
) -> BTreeMap<(String, String), Reading> {
    let mut counts: BTreeMap<(String, String), (usize, &C)> = BTreeMap::new();
    for assignment in assignments {
        let (count, _) = counts.entry(source_of(assignment)).or_insert((0, &assignment.source));
        *count = count.saturating_add(1);
    }
    counts
        .into_iter()
        .filter(|(_, (count, _))| *count > 1)
        .map(|(source, (count, cluster))| {
            let reading = Reading::prepare(cluster.clone(), source.1.clone(), count, clock.clone());
            (source, reading)
        })
        .collect()
}

fn source_of<C: Cluster>(assignment: &Assignment<C>) -> (String, String) {
    (assignment.source.name().to_owned(), assignment.definition.source_topic.clone())
}
