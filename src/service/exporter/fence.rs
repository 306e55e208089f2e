//! The fence of a link, as clients of a registry ask for it: by the mode of a context.

use super::Asked;
use super::ContextType;
use super::Desk;
use super::Endpoint;
use super::Refused;
use super::Wanted;
use super::definition::FENCE_KEY;
use super::definition::FENCES;
use super::shelf::Kept;
use crate::core::rules::Fence;
use crate::core::rules::Rules;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::service::past::read_state_if_there;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::state::State;

/// The link that owns a context of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// The cluster that it reads.
    pub source: String,
    /// The fence that it is told to keep.
    pub fence: Fence,
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
            let owns = match context_type {
                ContextType::Custom | ContextType::None | ContextType::Default => {
                    rules.owns_context(context)
                }
                ContextType::Auto => {
                    let state = match claimed.take() {
                        Some(state) => state,
                        None => claims_of(endpoint).await?,
                    };
                    let state = claimed.insert(state);
                    let own = state.claims.values().filter(|claim| claim.link == owner.name);
                    own.into_iter().any(|claim| claim.scope.contains(&Subject::of_context(context)))
                }
            };
            if owns {
                return Ok(Some(owner));
            }
        }
        match self.untold("look for the link of", &format!("context {context}")) {
            Some(refused) => Err(refused),
            None => Ok(None),
        }
    }

    /// Has a link keep this fence, in its definition and so for good.
    ///
    /// # Errors
    /// It stands in the file, is gone, or can't be kept.
    pub async fn fence(&self, owner: &Owner, fence: Fence) -> Result<(), Refused> {
        let Owner { name, source, .. } = owner;
        let word =
            FENCES.iter().find(|(_, known)| *known == fence).map_or("none", |(word, _)| word);
        if owner.is_of_file {
            if owner.fence == fence {
                return Ok(());
            }
            return Err(Refused::NotPaused(format!(
                "{name} is a link of the configuration's file: write fence: {word} for it there, then send \
                 SIGHUP to the process"
            )));
        }
        let _one_at_a_time = self.enter().await;
        let Kept { exporter, target } = self.kept(source, name)?;
        self.refuse_purging(&exporter)?;
        let mut config = exporter.config.clone();
        config.insert(FENCE_KEY.to_owned(), word.to_owned());
        if config == exporter.config {
            return Ok(());
        }
        let fenced = exporter.changed(Asked { config: Some(config), ..Asked::default() });
        self.keep(self.target(&target)?, &fenced).await
    }

    /// The links that write to a cluster, with what they own there.
    fn links_to(&self, target: &str) -> Vec<(Owner, ContextType, Rules)> {
        let fixed = self.fixed.iter().filter(|link| link.target == target).map(|link| {
            let owner = Owner {
                name: link.described.name.clone(),
                source: link.source.clone(),
                fence: link.rules.fence,
                is_of_file: true,
                is_paused: false,
            };
            (owner, link.described.context_type, link.rules.clone())
        });
        let kept = self.shelf.all().into_iter().filter(|kept| kept.target == target);
        let kept = kept.filter_map(|Kept { exporter, target }| {
            let ends = self.endpoints.get(&exporter.source).zip(self.endpoints.get(&target));
            let (source, target) = ends?;
            let rules = exporter.link(source, target, &self.instance).ok()?.rules;
            let owner = Owner {
                name: exporter.name,
                source: exporter.source,
                fence: rules.fence,
                is_of_file: false,
                is_paused: exporter.wanted != Wanted::Running,
            };
            Some((owner, exporter.context_type, rules))
        });
        fixed.chain(kept).collect()
    }
}

async fn claims_of<C: Cluster>(target: &Endpoint<C>) -> Result<State, Refused> {
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
