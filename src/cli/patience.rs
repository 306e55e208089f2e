//! How long a command for once waits for its clusters, and what it says meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::cli::links::Link;
use crate::kafka::KafkaCluster;
use crate::service::clock::SystemClock;
use crate::service::compare::Comparison;
use crate::service::compare::compare;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::worker::LAST_TRY_BEGINS;
use crate::service::worker::ONE_SHOT_LIMIT;

/// After so long without an answer a command says what it waits for.
const SAID_AFTER: Duration = Duration::from_secs(3);

/// The pause before a cluster that was out of reach is asked again.
const ASK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// What is left of the time that a command may wait, for all its links together.
#[derive(Debug)]
pub(super) struct Patience {
    clock: SystemClock,
    started: Duration,
    /// Why clusters were given up; they are not waited for a second time.
    given_up: Vec<Fault>,
}

impl Patience {
    /// The command begins.
    pub(super) fn begin(clock: SystemClock) -> Self {
        Self { clock, started: clock.monotonic(), given_up: Vec::new() }
    }

    /// Compares a link's sides; a cluster that is out of reach is asked again while there is time.
    pub(super) async fn compare(&mut self, link: &Link) -> Result<Comparison, Stop> {
        let names = [link.source.name(), link.target.name()];
        if let Some(fault) = self.given_up.iter().find(|fault| names.contains(&&*fault.cluster)) {
            return Err(Stop::Fault(fault.clone()));
        }
        let mut told = false;
        loop {
            let fault = match self.compare_once(link).await {
                Err(Stop::Fault(fault)) if fault.class == FaultClass::Transient => fault,
                other => return other,
            };
            if self.clock.monotonic().saturating_sub(self.started) >= LAST_TRY_BEGINS {
                self.given_up.push(fault.clone());
                return Err(Stop::Fault(fault));
            }
            if !told {
                told = true;
                let (name, limit_s) = (&link.definition.rules.name, ONE_SHOT_LIMIT.as_secs());
                tracing::warn!(link = %name, reason = %fault, limit_s, "waiting");
            }
            self.clock.sleep(ASK_AGAIN_EVERY).await;
        }
    }

    async fn compare_once(&self, link: &Link) -> Result<Comparison, Stop> {
        let Link { source, target, definition, .. } = link;
        tokio::try_join!(answer_of(source, self.clock), answer_of(target, self.clock))?;
        compare(source, target, definition, self.clock.wall_ms()).await
    }
}

/// Waits until the cluster answers, and says so where that takes long.
pub(super) async fn answer_of<C: Cluster>(cluster: &C, clock: SystemClock) -> Result<(), Fault> {
    let mut facts = std::pin::pin!(cluster.facts());
    let answered = tokio::select! {
        answered = &mut facts => answered,
        () = clock.sleep(SAID_AFTER) => {
            let (cluster, brokers) = (cluster.name(), cluster.bootstrap_servers());
            tracing::warn!(cluster, brokers, "no answer yet; waiting for the brokers");
            facts.await
        }
    };
    answered.map(drop)
}

/// Says of every cluster that does not answer that the links wait for it; until what it returns is
/// dropped.
pub(super) fn tell_who_is_away(links: &[Link], clock: SystemClock) -> JoinSet<()> {
    let clusters = links.iter().flat_map(|link| [&link.source, &link.target]);
    let by_name: BTreeMap<String, KafkaCluster> =
        clusters.map(|cluster| (cluster.name().to_owned(), cluster.clone())).collect();
    let mut telling = JoinSet::new();
    for cluster in by_name.into_values() {
        telling.spawn(async move {
            // The link that asks for itself has the fault to deal with.
            drop(answer_of(&cluster, clock).await);
        });
    }
    telling
}
