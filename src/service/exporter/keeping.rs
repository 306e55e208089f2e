//! Writing definitions into our own topic, and waiting for them to be there.

use std::time::Duration;

use super::Desk;
use super::Endpoint;
use super::Refused;
use super::desk::READ_BACK_WITHIN;
use super::shelf::Kept;
use super::shelf::Shelf;
use crate::core::record::Outgoing;
use crate::service::fence_leave::FenceLeave;
use crate::service::past::read_state_if_there;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::state::Checkpoint;
use crate::service::state::append_acked;
use crate::service::state::group_of;
use crate::service::state::partition_of;

/// Between two looks at a group that is being left.
const LEFT_PAUSE: Duration = Duration::from_millis(200);

impl<C: Cluster, K: Clock> Desk<C, K> {
    /// Appends to our topic on a cluster and waits for the acknowledgement.
    pub(super) async fn append(
        &self,
        target: &Endpoint<C>,
        partition: i32,
        record: &Outgoing,
    ) -> Result<(), Refused> {
        let mut keeper = target.cluster.keep_in(&target.state_topic, partition).await?;
        let acked = append_acked(&mut keeper, record, &self.clock, READ_BACK_WITHIN).await?;
        if acked { Ok(()) } else { Err(unacknowledged(target)) }
    }

    /// Takes away what a link that is gone has kept of itself: another one may have its scope then. Where
    /// an instance of it has not ended yet, that stays, and does no harm.
    pub(super) async fn forget(&self, kept: &Kept) -> Result<(), Refused> {
        let (link, target) = (kept.exporter.name.as_str(), self.target(&kept.target)?);
        let (cluster, topic) = (&target.cluster, &target.state_topic);
        let state = match read_state_if_there(cluster, topic).await {
            Ok(state) => state,
            Err(Stop::Fault(fault)) => return Err(fault.into()),
            Err(_) => return Ok(()),
        };
        let own = state.claims.values().filter(|claim| claim.link == link);
        for claim in own {
            if !self.have_left(target, &group_of(topic, &claim.scope)).await? {
                tracing::warn!(
                    link, scope = %claim.scope,
                    "an instance of the deleted link has not ended; its claim stays"
                );
                continue;
            }
            let partition = partition_of(&claim.scope);
            self.append(target, partition, &Checkpoint::withdrawal(&claim.scope)).await?;
            self.append(target, partition, &FenceLeave::withdrawal(&claim.scope)).await?;
            self.append(target, partition, &claim.withdrawal()).await?;
        }
        Ok(())
    }

    /// Waits until nobody is in a group any more.
    pub(super) async fn have_left(
        &self,
        target: &Endpoint<C>,
        group: &str,
    ) -> Result<bool, Refused> {
        let deadline = self.clock.monotonic().saturating_add(READ_BACK_WITHIN);
        loop {
            match target.cluster.members(group).await {
                Ok(members) if members.is_empty() => return Ok(true),
                Ok(_) => {}
                Err(fault) if fault.class == FaultClass::Unsupported => return Ok(true),
                Err(fault) => return Err(fault.into()),
            }
            if self.clock.monotonic() >= deadline {
                return Ok(false);
            }
            self.clock.sleep(LEFT_PAUSE).await;
        }
    }

    /// Waits until the definitions that are kept are so.
    pub(super) async fn read_back(
        &self,
        target: &Endpoint<C>,
        holds: impl Fn(&Shelf) -> bool,
    ) -> Result<(), Refused> {
        let mut changes = self.shelf.changes();
        self.shelf.look_now();
        let deadline = self.clock.monotonic().saturating_add(READ_BACK_WITHIN);
        loop {
            changes.mark_unchanged();
            if holds(&self.shelf) {
                return Ok(());
            }
            let rest = deadline.saturating_sub(self.clock.monotonic());
            tokio::select! {
                _ = changes.changed() => {}
                () = self.clock.sleep(rest) => return Err(unread(target)),
            }
        }
    }
}

fn unacknowledged<C: Cluster>(target: &Endpoint<C>) -> Refused {
    late("keep a link in", target, "it was not acknowledged")
}

fn unread<C: Cluster>(target: &Endpoint<C>) -> Refused {
    late("read back a link from", target, "it did not come")
}

fn late<C: Cluster>(operation: &'static str, target: &Endpoint<C>, what: &str) -> Refused {
    Refused::Cluster(Fault {
        operation,
        object: format!("topic {}", target.state_topic),
        cluster: target.cluster.name().to_owned(),
        cause: format!("{what} within {} s; ask again", READ_BACK_WITHIN.as_secs()),
        class: FaultClass::Transient,
    })
}
