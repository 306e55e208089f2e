//! The fence of a link, as clients of a registry ask for it: by the mode of a context.

use super::Asked;
use super::ContextType;
use super::Desk;
use super::Endpoint;
use super::Exporter;
use super::Refused;
use super::Wanted;
use super::definition::FENCE_KEY;
use super::shelf::Kept;
use crate::core::link::Halt;
use crate::core::rules::Fence;
use crate::core::rules::Placement;
use crate::core::rules::Rules;
use crate::core::rules::Scope;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::service::fence_leave::FenceLeave;
use crate::service::past::read_state_if_there;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::state::State;
use crate::service::state::partition_of;
use crate::service::status::Phase;

/// The link that owns a context of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// The cluster that it reads.
    pub source: String,
    /// The cluster that it writes.
    pub target: String,
    /// The fence that it is told to keep.
    pub fence: Fence,
    /// All that it owns in its target.
    pub scope: Scope,
    /// Whether its definition stands in the configuration's file.
    pub is_of_file: bool,
    /// Whether someone paused it: it sets nothing then.
    pub is_paused: bool,
}

impl<C: Cluster, K: Clock> Desk<C, K> {
    /// The link that owns a context of a cluster, if one does. Which context AUTO means is known once the
    /// link has claimed it.
    ///
    /// # Errors
    /// Clusters have not told yet, or can't be asked.
    pub async fn owner(
        &self,
        target: &str,
        context: &ContextName,
    ) -> Result<Option<Owner>, Refused> {
        self.wait_told().await;
        let endpoint = self.endpoints.get(target).filter(|endpoint| endpoint.dialect.has_modes());
        let Some(endpoint) = endpoint else { return Ok(None) };
        let mut claimed = None;
        for (owner, context_type, rules) in self.links_to(target) {
            match context_type {
                ContextType::Custom | ContextType::None | ContextType::Default => {
                    if rules.owns_context(context) {
                        return Ok(Some(owner));
                    }
                }
                ContextType::Auto => {
                    let state = match claimed.take() {
                        Some(state) => state,
                        None => state_of(endpoint).await?,
                    };
                    let state = claimed.insert(state);
                    let meant = Subject::of_context(context);
                    let own = scopes_of(state, &owner.name).find(|own| own.contains(&meant));
                    if let Some(claimed) = own {
                        let scope = scope_as_claimed(rules, claimed);
                        return Ok(Some(Owner { scope, ..owner }));
                    }
                }
            }
        }
        match self.untold("look for the link of", &format!("context {context}")) {
            Some(refused) => Err(refused),
            None => Ok(None),
        }
    }

    /// Has a link keep this fence, in its definition and so for good, and set it on the context whatever
    /// mode stands there: whoever asks for it by name tells the link to (rulings 13).
    ///
    /// # Errors
    /// Another one stands in the file; or the link is gone, or can't be told.
    pub async fn fence(
        &self,
        owner: &Owner,
        context: &ContextName,
        fence: Fence,
    ) -> Result<(), Refused> {
        let Owner { name, source, .. } = owner;
        let word = fence.as_str();
        if owner.is_of_file && owner.fence != fence {
            return Err(Refused::NotPaused(format!(
                "{name} is a link of the configuration's file: write fence: {word} for it there, then send \
                 SIGHUP to the process"
            )));
        }
        let _one_at_a_time = self.enter().await;
        let endpoint = self.target_of(owner)?;
        if let Some(fixed) = self.fixed(source, name) {
            self.give_leave(endpoint, owner, Some(context)).await?;
            fixed.restart.tell();
            return Ok(());
        }
        let Kept { exporter, target } = self.kept(source, name)?;
        self.refuse_purging(&exporter)?;
        self.give_leave(endpoint, owner, Some(context)).await?;
        let mut config = exporter.config.clone();
        config.insert(FENCE_KEY.to_owned(), word.to_owned());
        let fenced = exporter.changed(Asked { config: Some(config), ..Asked::default() });
        self.keep(self.target(&target)?, &fenced).await
    }

    /// Has a link set every fence again that was lifted, once, and go on.
    ///
    /// # Errors
    /// It has no fence, is gone, is being purged, or can't be told.
    pub async fn fence_again(&self, source: &str, name: &str) -> Result<(), Refused> {
        let _one_at_a_time = self.enter().await;
        let all = self.endpoints.keys().flat_map(|target| self.links_to(target));
        let mut own = all.filter(|(owner, ..)| owner.source == source && owner.name == name);
        let Some((mut owner, context_type, rules)) = own.next() else {
            return Err(self.not_found(name));
        };
        if owner.fence == Fence::None {
            return Err(Refused::Config(format!("{name} has no fence that it could set")));
        }
        let endpoint = self.target_of(&owner)?;
        if context_type == ContextType::Auto {
            let state = state_of(endpoint).await?;
            // Before its first start it has nothing to set again.
            if let Some(claimed) = scopes_of(&state, name).next() {
                owner.scope = scope_as_claimed(rules, claimed);
            }
        }
        if let Some(fixed) = self.fixed(source, name) {
            self.give_leave(endpoint, &owner, None).await?;
            fixed.restart.tell();
            return Ok(());
        }
        let Kept { exporter, target } = self.kept(source, name)?;
        self.refuse_purging(&exporter)?;
        self.give_leave(endpoint, &owner, None).await?;
        let resumed = Exporter { wanted: Wanted::Running, reset: false, ..exporter.next() };
        self.keep(self.target(&target)?, &resumed).await
    }

    /// Whether a link stands still because the fence of this context was lifted.
    #[must_use]
    pub fn is_halted_at(&self, owner: &Owner, context: &ContextName) -> bool {
        let watched = match self.fixed(&owner.source, &owner.name) {
            Some(fixed) => Some(fixed.watched.clone()),
            None => self.posts.of(&(owner.source.clone(), owner.name.clone())),
        };
        watched.is_some_and(|watched| {
            let phase = &watched.status.borrow().phase;
            matches!(phase, Phase::Halted(reason) if Halt::tells_of_fence(reason, context))
        })
    }

    /// Keeps leave for the modes that stand in the target now.
    async fn give_leave(
        &self,
        target: &Endpoint<C>,
        owner: &Owner,
        context: Option<&ContextName>,
    ) -> Result<(), Refused> {
        let Owner { name, scope, .. } = owner;
        let held = target.cluster.topic(&target.schemas_topic).await?;
        let end = held.map_or(0, |facts| facts.end);
        let state = state_of(target).await?;
        let at_ms = self.clock.wall_ms();
        let leave = FenceLeave::new((name, scope), context, end, at_ms);
        let leave = leave.and(state.fence_leave(name, scope, at_ms));
        self.append(target, partition_of(scope), &leave.record()).await
    }

    /// The cluster that a link writes.
    fn target_of(&self, owner: &Owner) -> Result<&Endpoint<C>, Refused> {
        let unknown = || Refused::Config(format!("no cluster is named {}", owner.target));
        self.endpoints.get(&owner.target).ok_or_else(unknown)
    }

    /// The links that write to a cluster, with what they own there.
    fn links_to(&self, target: &str) -> Vec<(Owner, ContextType, Rules)> {
        let fixed = self.fixed.iter().filter(|link| link.target == target).map(|link| {
            let owner = Owner {
                name: link.described.name.clone(),
                source: link.source.clone(),
                target: link.target.clone(),
                fence: link.rules.fence,
                scope: link.rules.scope(),
                is_of_file: true,
                is_paused: false,
            };
            (owner, link.described.context_type, link.rules.clone())
        });
        let kept = self.shelf.all().into_iter().filter(|kept| kept.target == target);
        // A link of the file runs in its place.
        let kept = kept
            .filter(|Kept { exporter, .. }| self.fixed(&exporter.source, &exporter.name).is_none());
        let kept = kept.filter_map(|Kept { exporter, target }| {
            let ends = self.endpoints.get(&exporter.source).zip(self.endpoints.get(&target));
            let (source, target_end) = ends?;
            let rules = exporter.link(source, target_end, &self.instance).ok()?.rules;
            let owner = Owner {
                name: exporter.name,
                source: exporter.source,
                target,
                fence: rules.fence,
                scope: rules.scope(),
                is_of_file: false,
                is_paused: exporter.wanted != Wanted::Running,
            };
            Some((owner, exporter.context_type, rules))
        });
        fixed.chain(kept).collect()
    }
}

/// What a link claims.
fn scopes_of<'a>(state: &'a State, link: &'a str) -> impl Iterator<Item = &'a Scope> {
    state.claims.values().filter(move |claim| claim.link == link).map(|claim| &claim.scope)
}

/// What AUTO means for a link that has started before: the context of its first claim, and what the link
/// is told to own there now.
fn scope_as_claimed(rules: Rules, claimed: &Scope) -> Scope {
    let first = claimed.patterns.first().map(|pattern| Subject::parse(pattern).context);
    match first.filter(|context| !context.is_default()) {
        Some(context) => Rules { placement: Placement::Into(context), ..rules }.scope(),
        None => claimed.clone(),
    }
}

async fn state_of<C: Cluster>(target: &Endpoint<C>) -> Result<State, Refused> {
    match read_state_if_there(&target.cluster, &target.state_topic).await {
        Ok(state) => Ok(state),
        Err(Stop::Fault(fault)) => Err(fault.into()),
        Err(Stop::Halt(cause)) => Err(unreadable(target, cause)),
        Err(Stop::LeaseLost | Stop::Shutdown) => {
            Err(unreadable(target, "reading was given up; ask again".to_owned()))
        }
    }
}

fn unreadable<C: Cluster>(target: &Endpoint<C>, cause: String) -> Refused {
    Refused::Cluster(Fault {
        operation: "read",
        object: format!("topic {}", target.state_topic),
        cluster: target.cluster.name().to_owned(),
        cause,
        class: FaultClass::Permanent,
    })
}
