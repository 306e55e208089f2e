//! All links of a process: each in its own task.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::service::acknowledgements::Asks;
use crate::service::acknowledgements::asks;
use crate::service::commons::Commons;
use crate::service::definition::ContextNamedBy;
use crate::service::definition::LinkDefinition;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::status::Status;
use crate::service::worker::End;
use crate::service::worker::Goal;
use crate::service::worker::Worker;
use crate::service::worker::wait_for;

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
    /// Where it is asked to let incidents stand.
    pub asks: Asks,
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
    /// A worker that does it, and what it shows. Its counts go on from an earlier one's.
    pub(in crate::service) fn man<K: Clock>(
        self,
        past: Option<&Watched>,
        clock: &K,
        goal: Goal,
        commons: &Commons<K>,
    ) -> (Worker<C, K>, Watched) {
        let mut begins = past.map(|past| past.status.borrow().of_next_round()).unwrap_or_default();
        let definition = Arc::new(self.definition);
        if definition.context == ContextNamedBy::Configuration {
            begins.definition = Some(Arc::clone(&definition));
        }
        let (status, seen) = watch::channel(begins);
        let (asks, asked) = asks();
        let watched = Watched {
            link: definition.rules.name.clone(),
            source: self.source.name().to_owned(),
            target: self.target.name().to_owned(),
            status: seen,
            asks,
        };
        let worker = Worker {
            rate: commons.rate(self.target.name(), self.write_rate_max),
            reading: commons.source(&self.source, &definition.source_topic),
            target_reading: commons.target(&self.target, &definition.target_topic),
            definition,
            source: self.source,
            target: self.target,
            clock: clock.clone(),
            goal,
            status: Arc::new(status),
            asked,
            once_used: Arc::default(),
        };
        (worker, watched)
    }
}

/// Has one link of a fleet end what it does and begin again, also where it stands still.
#[derive(Debug, Clone, Default)]
pub struct Restart(watch::Sender<u64>);

impl Restart {
    /// Tells it so; one whose task has ended does not hear it.
    pub fn tell(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Links at work.
#[derive(Debug)]
pub struct Fleet {
    links: JoinSet<(usize, End)>,
    watched: Vec<Watched>,
    restarts: Vec<Restart>,
    shutdowns: Vec<watch::Sender<bool>>,
}

impl Fleet {
    /// Starts every link.
    pub fn start<C: Cluster, K: Clock>(
        assignments: Vec<Assignment<C>>,
        clock: &K,
        goal: Goal,
    ) -> Self {
        Self::start_after(&[], assignments, clock, goal, &Commons::new(clock.clone()))
    }

    /// Starts every link after others, whose counts go on under the same names.
    pub fn start_after<C: Cluster, K: Clock>(
        before: &[Watched],
        assignments: Vec<Assignment<C>>,
        clock: &K,
        goal: Goal,
        commons: &Commons<K>,
    ) -> Self {
        let mut shutdowns = Vec::new();
        let mut links = JoinSet::new();
        let (mut watched, mut restarts) = (Vec::new(), Vec::new());
        for (place, assignment) in assignments.into_iter().enumerate() {
            let past = before.iter().find(|watched| watched.is_of(&assignment));
            let (worker, seen) = assignment.man(past, clock, goal, commons);
            watched.push(seen);
            let (shutdown, told) = watch::channel(false);
            shutdowns.push(shutdown);
            let restart = Restart::default();
            let again = restart.0.subscribe();
            restarts.push(restart);
            links.spawn(async move { (place, run(worker, again, told).await) });
        }
        Self { links, watched, restarts, shutdowns }
    }

    /// What each link is doing, in the order in which they were given.
    #[must_use]
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// What has each of them begin again, in the same order.
    #[must_use]
    pub fn restarts(&self) -> &[Restart] {
        &self.restarts
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

/// Runs a link until it is told to end, and anew whenever it is told to begin again.
async fn run<C: Cluster, K: Clock>(
    worker: Worker<C, K>,
    mut again: watch::Receiver<u64>,
    mut shutdown: watch::Receiver<bool>,
) -> End {
    loop {
        let (stop, told) = watch::channel(false);
        let mut running = std::pin::pin!(worker.clone().run(told));
        let begins_again = tokio::select! {
            biased;
            end = &mut running => return end,
            () = wait_for(&mut shutdown) => false,
            Ok(()) = again.changed() => true,
        };
        stop.send_replace(true);
        let end = running.await;
        if !begins_again || matches!(end, End::Panicked(_)) {
            return end;
        }
    }
}
