//! Deleting an exporter together with what it copied.
//!
//! That it is to be purged stands in its definition, so whoever is there goes on with it: the definition
//! is the last thing to go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Desk;
use super::Endpoint;
use super::Exporter;
use super::ExporterStatus;
use super::Refused;
use super::Wanted;
use super::shelf::Kept;
use super::shelf::PARTITION;
use super::shelf::Shelf;
use crate::service::past::read_state_if_there;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::purged::Purged;
use crate::service::state::append_acked;
use crate::service::state::group_of;
use crate::service::status::Phase;
use crate::service::supervisor::Watched;
use crate::service::worker::wait_for;

/// A call waits so long for the end of its purge; the purge goes on after that.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at what a purge does.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The withdrawal of a definition is acknowledged, and read back, within this long; or tried again.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(10);
/// Before it is tried again.
const PAUSE: Duration = Duration::from_secs(5);

impl<C: Cluster, K: Clock> Desk<C, K> {
    /// Takes away an exporter that is paused, with all that it wrote. `None` where that goes on: the
    /// exporter's status tells how far it is, and it is gone when all is done.
    ///
    /// # Errors
    /// There is none, it is not paused, another instance writes its scope, or it can't be purged.
    pub async fn purge(&self, source: &str, name: &str) -> Result<Option<Arc<Purged>>, Refused> {
        let (kept, before) = {
            let _one_at_a_time = self.enter().await;
            self.begin_purge(source, name).await?
        };
        let (id, target) = (kept.exporter.id(), kept.target.as_str());
        let deadline = self.clock.monotonic().saturating_add(ANSWERED_WITHIN);
        let mut changes = self.shelf.changes();
        loop {
            changes.mark_unchanged();
            if let Some(purged) = self.shelf.purged(target, &id) {
                return Ok(Some(purged));
            }
            if !self.is_purging(&kept) {
                return Err(Refused::NotPaused(format!(
                    "exporter {name} was told something else while it was purged"
                )));
            }
            // Until the purge begins, what the link showed before is there: it may have halted.
            let is_news = |watched: &Watched| {
                before.as_ref().is_none_or(|before| !before.status.same_channel(&watched.status))
            };
            let watched = self.posts.of(&id).filter(is_news);
            let phase = watched.map(|watched| watched.status.borrow().phase.clone());
            if let Some(Phase::Halted(reason)) = phase {
                return Err(self.give_up_purge(&kept, &reason).await);
            }
            if self.clock.monotonic() >= deadline {
                return Ok(None);
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = self.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Keeps that it is to be purged, unless that is kept already; gives what the link showed before,
    /// too.
    async fn begin_purge(
        &self,
        source: &str,
        name: &str,
    ) -> Result<(Kept, Option<Watched>), Refused> {
        let kept = self.changeable(source, name)?;
        if self.shelf.find(source, name).len() > 1 {
            return Err(Refused::NotPaused(format!(
                "several clusters keep a link {name} from {source}, and none of them runs: delete it, which \
                 takes all of them away, without its copy"
            )));
        }
        if kept.exporter.wanted == Wanted::Purging {
            return Ok((kept, None));
        }
        self.refuse_at_work(&kept.exporter)?;
        self.check(&kept.exporter)?;
        let target = self.target(&kept.target)?;
        self.refuse_beside_a_writer(target, name).await?;
        let before = self.posts.of(&kept.exporter.id());
        let exporter = Exporter { wanted: Wanted::Purging, ..kept.exporter.next() };
        let purging = Kept { exporter, target: kept.target.clone() };
        self.append(target, PARTITION, &Kept::record(&purging.exporter)).await?;
        // It may be done before anyone looks.
        self.read_back(target, |shelf| {
            shelf.purged(&purging.target, &purging.exporter.id()).is_some()
                || !shelf.find(source, name).contains(&kept)
        })
        .await?;
        tracing::info!(link = name, source, "link is to be purged");
        Ok((purging, before))
    }

    /// Who writes the link's scope may be another configuration's link of its name, or a process that
    /// has not read yet that it is paused.
    async fn refuse_beside_a_writer(
        &self,
        target: &Endpoint<C>,
        link: &str,
    ) -> Result<(), Refused> {
        let topic = &target.state_topic;
        let state = match read_state_if_there(&target.cluster, topic).await {
            Ok(state) => state,
            Err(Stop::Fault(fault)) => return Err(fault.into()),
            Err(Stop::Halt(reason)) => return Err(Refused::NotPaused(reason)),
            Err(Stop::LeaseLost | Stop::Shutdown) => return Ok(()),
        };
        for claim in state.claims.values().filter(|claim| claim.link == link) {
            if self.have_left(target, &group_of(topic, &claim.scope)).await? {
                continue;
            }
            return Err(Refused::NotPaused(format!(
                "exporter {link} is paused, and another process still holds its scope {} on {}: end that one \
                 first",
                claim.scope,
                target.cluster.name()
            )));
        }
        Ok(())
    }

    fn is_purging(&self, kept: &Kept) -> bool {
        let Exporter { source, name, .. } = &kept.exporter;
        let found = self.shelf.find(source, name);
        found.iter().any(|found| found.exporter.wanted == Wanted::Purging)
    }

    /// Whoever asked is told why it can't be done; the link is paused as before.
    async fn give_up_purge(&self, kept: &Kept, reason: &str) -> Refused {
        let _one_at_a_time = self.enter().await;
        let refused = Refused::NotPaused(format!("{reason}. The exporter stays, and is paused"));
        if !self.is_purging(kept) {
            return refused;
        }
        let paused = Exporter { wanted: Wanted::Paused, ..kept.exporter.next() };
        match self.target(&kept.target) {
            Ok(target) => self.keep(target, &paused).await.err().unwrap_or(refused),
            Err(unknown) => unknown,
        }
    }

    /// Refuses to change what is being purged.
    pub(super) fn refuse_purging(&self, exporter: &Exporter) -> Result<(), Refused> {
        if exporter.wanted == Wanted::Purging {
            let name = &exporter.name;
            return Err(Refused::NotPaused(format!(
                "exporter {name} is being purged: pause it first, which ends that"
            )));
        }
        Ok(())
    }

    /// What an exporter that is to be purged is doing.
    pub(super) fn status_of_purge(&self, kept: &Kept) -> ExporterStatus {
        let target = &kept.target;
        let watched = self.posts.of(&kept.exporter.id());
        let Some(status) = watched.map(|watched| watched.status.borrow().clone()) else {
            let why = self.check(&kept.exporter).err();
            let why = why.map(|refused| format!(", and not by this process: {refused}"));
            let why = why.unwrap_or_default();
            return ExporterStatus::paused(format!("it is to be purged from {target}{why}"));
        };
        let reason = match status.phase.reason() {
            "" if status.phase == Phase::Standby => {
                "another process has its part of the target: it takes that away, or still writes there"
            }
            reason => reason,
        };
        ExporterStatus::paused(match reason {
            "" => format!(
                "it is being purged from {target}: {} deletions are written since the process started",
                status.counts.deletions
            ),
            reason => format!("it is to be purged from {target}, and waits: {reason}"),
        })
    }
}

/// Takes away the definition of a link that is purged, and waits until it is gone. Whoever told it
/// something else meanwhile is obeyed.
pub(super) async fn withdraw<C: Cluster, K: Clock>(
    target: &Endpoint<C>,
    shelf: &Shelf,
    (exporter, purged): (&Exporter, &Purged),
    clock: &K,
    mut shutdown: watch::Receiver<bool>,
) {
    let Exporter { source, name, .. } = exporter;
    let is_kept = || shelf.find(source, name).iter().any(|kept| kept.exporter == *exporter);
    while is_kept() && !*shutdown.borrow() {
        let record = Kept::purged(exporter, purged);
        let withdrawn = async {
            let mut keeper = target.cluster.keep_in(&target.state_topic, PARTITION).await?;
            if !append_acked(&mut keeper, &record, clock, WITHDRAWN_WITHIN).await? {
                return Err(unacknowledged(target));
            }
            Ok(())
        };
        let fault = tokio::select! {
            biased;
            withdrawn = withdrawn => withdrawn.err(),
            () = wait_for(&mut shutdown) => return,
        };
        let pause = match &fault {
            None => {
                tracing::info!(
                    link = %name, source, stays = purged.stays,
                    schemas = purged.removed.schemas, "link purged and deleted"
                );
                WITHDRAWN_WITHIN
            }
            Some(fault) => {
                tracing::warn!(link = %name, reason = %fault, "the purged link's definition stays yet");
                PAUSE
            }
        };
        let mut changes = shelf.changes();
        let deadline = clock.monotonic().saturating_add(pause);
        while is_kept() && clock.monotonic() < deadline {
            tokio::select! {
                _ = changes.changed() => {}
                () = clock.sleep(deadline.saturating_sub(clock.monotonic())) => {}
                () = wait_for(&mut shutdown) => return,
            }
        }
    }
}

fn unacknowledged<C: Cluster>(target: &Endpoint<C>) -> Fault {
    Fault {
        operation: "take a link away from",
        object: format!("topic {}", target.state_topic),
        cluster: target.cluster.name().to_owned(),
        cause: format!("it was not acknowledged within {} s", WITHDRAWN_WITHIN.as_secs()),
        class: FaultClass::Transient,
    }
}
