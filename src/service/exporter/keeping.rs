//! Writing definitions into our own topic, and waiting for them to be there.

use super::Desk;
use super::Endpoint;
use super::Refused;
use super::desk::READ_BACK_WITHIN;
use super::shelf::PARTITION;
use super::shelf::Shelf;
use crate::core::record::Outgoing;
use crate::service::ports::Appender;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;

impl<C: Cluster, K: Clock> Desk<C, K> {
    /// Appends to our topic on a cluster and waits for the acknowledgement.
    pub(super) async fn append(
        &self,
        target: &Endpoint<C>,
        record: &Outgoing,
    ) -> Result<(), Refused> {
        let mut keeper = target.cluster.keep_in(&target.state_topic, PARTITION).await?;
        let number = keeper.append_when_room(record).await?;
        let deadline = self.clock.monotonic().saturating_add(READ_BACK_WITHIN);
        let mut progress = keeper.progress();
        while progress.acked < number {
            if let Some(fault) = progress.failed {
                return Err(fault.into());
            }
            let rest = deadline.saturating_sub(self.clock.monotonic());
            tokio::select! {
                biased;
                news = keeper.progressed(&progress) => progress = news,
                () = self.clock.sleep(rest) => return Err(unacknowledged(target)),
            }
        }
        Ok(())
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
