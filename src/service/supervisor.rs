//! All links of a process: each in its own task, sources read together, targets' rates shared.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::service::definition::LinkDefinition;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::rate::Rate;
use crate::service::reading::Reading;
use crate::service::status::Status;
use crate::service::target::TargetReading;
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
        Self::start_after(&[], assignments, clock, goal)
    }

    /// Starts every link after others, whose counts go on under the same names.
    pub fn start_after<C: Cluster, K: Clock>(
        before: &[Watched],
        assignments: Vec<Assignment<C>>,
        clock: &K,
        goal: Goal,
    ) -> Self {
        let mut shutdowns = Vec::new();
        let mut links = JoinSet::new();
        let mut watched = Vec::new();
        let mut rates: BTreeMap<String, Rate<K>> = BTreeMap::new();
        let readings = shared(&assignments, source_of, |assignment, topic, links| {
            Reading::prepare(assignment.source.clone(), topic, links, clock.clone())
        });
        let target_readings = shared(&assignments, target_of, |assignment, topic, links| {
            TargetReading::prepare(assignment.target.clone(), topic, links, clock.clone())
        });
        for (place, assignment) in assignments.into_iter().enumerate() {
            let rate = rates
                .entry(assignment.target.name().to_owned())
                .or_insert_with(|| Rate::new(clock.clone(), assignment.write_rate_max))
                .clone();
            let name = &assignment.definition.rules.name;
            let past = before.iter().find(|watched| watched.link == *name);
            let begins = past.map(|past| past.status.borrow().of_next_round()).unwrap_or_default();
            let (status, seen) = watch::channel(begins);
            watched.push(Watched {
                link: assignment.definition.rules.name.clone(),
                source: assignment.source.name().to_owned(),
                target: assignment.target.name().to_owned(),
                status: seen,
            });
            let (source, target) = (source_of(&assignment), target_of(&assignment));
            let worker = Worker {
                definition: Arc::new(assignment.definition),
                source: assignment.source,
                target: assignment.target,
                clock: clock.clone(),
                rate,
                reading: readings.get(&source).cloned(),
                target_reading: target_readings.get(&target).cloned(),
                goal,
                status: Arc::new(status),
                once_used: Arc::default(),
            };
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

/// What links share, by cluster and topic. Only several links of one topic need it.
fn shared<C: Cluster, R>(
    assignments: &[Assignment<C>],
    topic_of: impl Fn(&Assignment<C>) -> (String, String),
    prepare: impl Fn(&Assignment<C>, String, usize) -> R,
) -> BTreeMap<(String, String), R> {
    let mut counts: BTreeMap<(String, String), (usize, &Assignment<C>)> = BTreeMap::new();
    for assignment in assignments {
        let (count, _) = counts.entry(topic_of(assignment)).or_insert((0, assignment));
        *count = count.saturating_add(1);
    }
    counts
        .into_iter()
        .filter(|(_, (count, _))| *count > 1)
        .map(|(place, (count, assignment))| {
            let prepared = prepare(assignment, place.1.clone(), count);
            (place, prepared)
        })
        .collect()
}

fn source_of<C: Cluster>(assignment: &Assignment<C>) -> (String, String) {
    (assignment.source.name().to_owned(), assignment.definition.source_topic.clone())
}

fn target_of<C: Cluster>(assignment: &Assignment<C>) -> (String, String) {
    (assignment.target.name().to_owned(), assignment.definition.target_topic.clone())
}
