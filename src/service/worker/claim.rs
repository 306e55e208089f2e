//! Claiming a scope before its first write (rulings 2).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Goal;
use super::Worker;
use super::life::LISTED_LIMIT;
use super::life::LISTED_PAUSE;
use super::life::Life;
use super::life::keep;
use crate::core::link::Halt;
use crate::core::link::History;
use crate::core::record::Offset;
use crate::core::rules::Fence;
use crate::service::definition::LinkDefinition;
use crate::service::fence_leave::FenceLeave;
use crate::service::ground::Ground;
use crate::service::past::own_claim;
use crate::service::past::read_state;
use crate::service::past::refuse_rivals;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::state::Claim;
use crate::service::state::FORMAT;
use crate::service::state::State;
use crate::service::state::group_of;
use crate::service::state::partition_of;
use crate::service::state::scope_name;

impl<C: Cluster, K: Clock> Life<C, K> {
    /// Claims the scope. Only a link that may begin does: one that is refused leaves nothing behind.
    pub(super) async fn claim_scope(&mut self, source_end: Offset) -> Result<(), Stop> {
        self.admit(source_end).await?;
        let state = self.wait_for_outgrown().await?;
        let definition = Arc::clone(&self.worker.definition);
        let is_new = own_claim(&state, &definition.rules, &self.ground.source.cluster_id).is_none();
        self.claim = self.next_claim(&state);
        self.keep(self.claim.record()).await?;
        // Someone else may have claimed at the same moment: whoever sees the other steps back.
        let state = read_state(&self.worker.target, &definition.state_topic).await?;
        if let Err(stop) = self.refuse_rivals(&state) {
            if is_new {
                self.keep(self.claim.withdrawal()).await?;
            }
            return Err(stop);
        }
        self.withdraw_outgrown(&state).await?;
        self.link.at().lease_began(self.claim.epoch);
        if let (Some(target), Some(own)) = (&self.target, self.link.at().own_header()) {
            target.leave_out(own);
        }
        Ok(())
    }

    /// A scope that holds what no link wrote is free if the source says the same (rulings 3): that
    /// takes the source to be read first.
    async fn admit(&mut self, source_end: Offset) -> Result<(), Stop> {
        match self.link.at().admit() {
            Ok(()) => return Ok(()),
            Err(Halt::Occupied { .. }) if self.folded.is_none() => {}
            Err(halt) => return Err(self.worker.halted(&halt)),
        }
        self.folded = Some(self.fold(source_end).await?);
        self.link.at().admit().map_err(|halt| self.worker.halted(&halt))
    }

    /// The target holds what the source says, nothing is on its way to it any more: what an operator
    /// allowed for once is used up.
    pub(super) async fn use_up_leave(&mut self) -> Result<(), Stop> {
        self.worker.once_used.store(true, Ordering::Release);
        if std::mem::take(&mut self.has_fence_leave) {
            let scope = self.worker.definition.rules.scope();
            self.keep(FenceLeave::withdrawal(&scope)).await?;
        }
        Ok(())
    }

    fn refuse_rivals(&self, state: &State) -> Result<(), Stop> {
        let Worker { definition, target, .. } = &self.worker;
        refuse_rivals(state, definition, &self.ground.source.cluster_id, target)
    }

    fn next_claim(&mut self, state: &State) -> Claim {
        let definition = &self.worker.definition;
        let rules = &definition.rules;
        let old = own_claim(state, rules, &self.ground.source.cluster_id);
        let mut origins = old.map(|claim| claim.origins.clone()).unwrap_or_default();
        origins.insert(self.ground.source.cluster_id.clone());
        Claim {
            format: FORMAT,
            link: rules.name.clone(),
            scope: rules.scope(),
            source_cluster: self.ground.source.cluster_id.clone(),
            source_topic_id: self.ground.source_topic.topic_id.clone(),
            origins,
            writer: definition.instance.clone(),
            epoch: state.last_epoch(&rules.name, &self.ground.source.cluster_id).saturating_add(1),
            // A fence that was never seen to stand can't have been lifted.
            fenced: self.link.at().fence() != Fence::None && old.is_some_and(Claim::has_fence),
            adopted_below: self.claim.adopted_below,
            began_at: self.claim.began_at,
            former: state.former_scopes(
                &rules.name,
                &self.ground.source.cluster_id,
                &rules.scope(),
            ),
            // Whoever begins again copies again, whatever was taken away before.
            purge: None,
        }
    }

    /// The same link may still be at work elsewhere under its former definition, with another scope
    /// and so with another lease: it has to end first.
    async fn wait_for_outgrown(&mut self) -> Result<State, Stop> {
        let mut state = std::mem::take(&mut self.state);
        let clock = self.worker.clock.clone();
        let deadline = clock.monotonic().saturating_add(LISTED_LIMIT);
        let mut told = false;
        while let Some(fault) = self.outgrown_writer(&state).await? {
            if self.worker.goal == Goal::Backfill && clock.monotonic() >= deadline {
                return Err(fault.into());
            }
            if !told {
                told = true;
                // Others are not to wait for it.
                self.coming_to_values = None;
                let link = &self.worker.definition.rules.name;
                tracing::warn!(link = %link, reason = %fault, "standby");
            }
            tokio::select! {
                biased;
                stop = self.pipeline.lease_ends() => return Err(stop),
                () = clock.sleep(LISTED_PAUSE) => {}
            }
            let read_now = read_state(&self.worker.target, &self.worker.definition.state_topic);
            state = read_now.await?;
        }
        if told {
            // Both logs were read before the former self had ended.
            return Err(Stop::Fault(Fault {
                operation: "begin with",
                object: format!("scope {}", self.worker.definition.rules.scope()),
                cluster: self.worker.target.name().to_owned(),
                cause: "the link's former self has ended; both logs are read again".to_owned(),
                class: FaultClass::Transient,
            }));
        }
        Ok(state)
    }

    async fn outgrown_writer(&mut self, state: &State) -> Result<Option<Fault>, Stop> {
        let definition = &self.worker.definition;
        let rules = &definition.rules;
        for claim in state.outgrown(&rules.name, &self.ground.source.cluster_id, &rules.scope()) {
            let group = group_of(&definition.state_topic, &claim.scope);
            let members = match self.worker.target.members(&group).await {
                Ok(members) => members,
                // A cluster that does not tell can't be asked.
                Err(fault) if fault.class == FaultClass::Unsupported => return Ok(None),
                Err(fault) => return Err(fault.into()),
            };
            if let Some(writer) = members.first() {
                return Ok(Some(Fault {
                    operation: "become the writer of",
                    object: format!("scope {}", rules.scope()),
                    cluster: self.worker.target.name().to_owned(),
                    cause: format!(
                        "link {} still writes scope {}, as {writer} was told to",
                        rules.name, claim.scope
                    ),
                    class: FaultClass::NotPermitted,
                }));
            }
        }
        Ok(None)
    }

    /// What the link claimed under a former definition is free for others from now on; the copy
    /// stays there.
    async fn withdraw_outgrown(&mut self, state: &State) -> Result<(), Stop> {
        let definition = Arc::clone(&self.worker.definition);
        let rules = &definition.rules;
        let source_cluster = &self.ground.source.cluster_id.clone();
        for claim in state.outgrown(&rules.name, source_cluster, &rules.scope()) {
            // What stands under the former scope alone would go with it.
            if state.acknowledged.contains_key(&scope_name(&claim.scope)) {
                self.keep_acknowledged(&state.acknowledged_by(&rules.name, source_cluster)).await?;
            }
            let partition = partition_of(&claim.scope);
            let target = &self.worker.target;
            let mut keeper = target.append_to(&definition.state_topic, partition).await?;
            for record in claim.withdrawals() {
                keep(&mut keeper, record, &self.worker.clock).await?;
            }
            tracing::info!(link = %rules.name, scope = %claim.scope, "claim withdrawn");
        }
        Ok(())
    }
}

/// The claim as it stands before it is made.
pub(super) fn unmade_claim(definition: &LinkDefinition, ground: &Ground, past: &History) -> Claim {
    Claim {
        format: FORMAT,
        link: definition.rules.name.clone(),
        scope: definition.rules.scope(),
        source_cluster: ground.source.cluster_id.clone(),
        source_topic_id: ground.source_topic.topic_id.clone(),
        origins: BTreeSet::new(),
        writer: definition.instance.clone(),
        epoch: 0,
        fenced: false,
        adopted_below: past.adopted_below,
        began_at: past.began_at,
        former: Vec::new(),
        purge: None,
    }
}
