//! All links of a round of `run`: those of the file, and those that clusters keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::registries::Registries;
use crate::cli::round::Round;
use crate::config::Files;
use crate::kafka::KafkaCluster;
use crate::service::clock::SystemClock;
use crate::service::commons::Commons;
use crate::service::exporter::Desk;
use crate::service::supervisor::Fleet;
use crate::service::supervisor::Roster;
use crate::service::supervisor::Watched;
use crate::service::worker::End;
use crate::service::worker::Goal;

/// Where exporters of real clusters are asked for.
pub(super) type KafkaDesk = Desk<KafkaCluster, SystemClock>;

/// What is seen over HTTP.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) roster: watch::Sender<Roster>,
    pub(super) desk: watch::Sender<Option<Arc<KafkaDesk>>>,
    pub(super) registries: Registries,
    /// Whether it is seen at any address.
    pub(super) is_served: bool,
}

/// Links at work.
#[derive(Debug)]
pub(super) struct Team {
    fleet: Fleet,
    crew: JoinSet<()>,
    crew_told: watch::Sender<bool>,
    /// Links may be made, or are kept, that are not in the file, or registries are served without any.
    stays: bool,
}

impl Team {
    /// Starts them; gives the files that have to be watched.
    pub(super) fn start(
        mut round: Round,
        before: &[Watched],
        shown: &Shown,
        clock: SystemClock,
    ) -> (Self, Files) {
        let assigned = std::mem::take(&mut round.links);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), links = assigned.len(), "started");
        let commons = Commons::new(clock);
        let fleet = Fleet::start_after(before, assigned, &clock, Goal::Follow, &commons);
        let fixed = round.fixed(&fleet);
        let Round { files, endpoints, instance, .. } = round;
        let takes_more = endpoints.values().any(|endpoint| !endpoint.registry_urls.is_empty());
        let stays = takes_more || fixed.is_empty() && shown.is_served;
        let (desk, crew) = Desk::open(endpoints, fixed, &clock, &instance, &commons);
        let (crew_told, told) = watch::channel(false);
        let (roster, of_file) = (shown.roster.clone(), fleet.watched().to_vec());
        let show = move |kept: Roster| {
            let links = of_file.iter().cloned().chain(kept.links).collect();
            roster.send_replace(Roster { links, is_complete: kept.is_complete });
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(crew.run(show, told));
        shown.desk.send_replace(Some(Arc::new(desk)));
        (Self { fleet, crew: tasks, crew_told, stays }, files)
    }

    /// What the links of the file are doing.
    pub(super) fn watched(&self) -> &[Watched] {
        self.fleet.watched()
    }

    /// Tells every link to end once what is on its way has arrived.
    pub(super) fn shut_down(&self) {
        self.fleet.shut_down();
        self.crew_told.send_replace(true);
    }

    /// Waits for every link to end; where it stays, that is when they were told to. Safe to
    /// cancel and to call again.
    pub(super) async fn join(&mut self, ends: &mut BTreeMap<usize, End>) {
        self.fleet.join(ends).await;
        while self.stays && self.crew.join_next().await.is_some() {}
    }
}
