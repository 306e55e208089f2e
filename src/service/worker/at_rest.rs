//! A link that stands still: how far its source has gone on meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::End;
use super::Worker;
use super::wait_for;
use crate::service::past::read_state_if_there;
use crate::service::past::with_context;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::TopicFacts;
use crate::service::state::Checkpoint;
use crate::service::state::scope_name;

/// Between two looks at the source of a link that stands still.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The checkpoint is read so often: at once, and once more for what another instance had under way
/// when the link was told to stand still.
const CHECKPOINT_READS: u32 = 2;

impl<C: Cluster, K: Clock> Worker<C, K> {
    /// Has the link stand still because an operator wants it so, until it is told to end.
    pub(in crate::service) async fn rest(self, mut shutdown: watch::Receiver<bool>) -> End {
        self.stand_still(&mut shutdown).await;
        End::Done
    }

    /// Does nothing but tell how far behind the link falls, until it is told to end.
    pub(super) async fn stand_still(&self, shutdown: &mut watch::Receiver<bool>) {
        tokio::select! {
            biased;
            () = wait_for(shutdown) => {}
            () = self.look_on() => {}
        }
    }

    /// Never ends. A cluster that cannot be asked is asked again: what was seen before stands.
    async fn look_on(&self) {
        let mut reads = 0_u32;
        let mut kept = None;
        loop {
            if reads < CHECKPOINT_READS {
                match self.kept().await {
                    Ok(checkpoint) => {
                        reads = reads.saturating_add(1);
                        kept = checkpoint;
                    }
                    Err(stop) => tracing::debug!(?stop, "how far the link came is not known"),
                }
            }
            match self.source.topic(&self.definition.source_topic).await {
                Ok(Some(facts)) if reads > 0 => self.tell_lag(&facts, kept.as_ref()),
                Ok(_) => {}
                Err(fault) => tracing::debug!("how far the source goes is not known: {fault}"),
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    /// What the link, or the instance that ran it, kept last.
    async fn kept(&self) -> Result<Option<Checkpoint>, Stop> {
        let Self { source, target, definition, .. } = self;
        let mut state = read_state_if_there(target, &definition.state_topic).await?;
        let source_cluster = source.facts().await?.cluster_id;
        let definition = with_context(definition, &source_cluster, &state)?;
        let scope = scope_name(&definition.rules.scope());
        let own = |kept: &Checkpoint| {
            kept.link == definition.rules.name && kept.source_cluster == source_cluster
        };
        let kept = state.checkpoints.remove(&scope).filter(own);
        self.status.send_modify(|status| status.definition = Some(Arc::new(definition)));
        Ok(kept)
    }

    fn tell_lag(&self, source: &TopicFacts, kept: Option<&Checkpoint>) {
        // One of another topic says nothing of this one.
        let kept = kept.filter(|kept| kept.source_topic_id == source.topic_id);
        let before = kept.map_or(0, |kept| kept.next);
        let now = self.clock.monotonic();
        self.status.send_modify(|status| {
            status.done_before = status.done_before.max(before);
            status.lag.done(before);
            status.saw_end(source.end, now);
            status.exported = status.exported.or_else(|| kept.and_then(|kept| kept.exported));
        });
    }
}
