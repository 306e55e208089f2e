//! What earlier lives of links left in our own topic.

use crate::core::link::History;
use crate::core::link::SourceClaim;
use crate::core::record::Offset;
use crate::core::rules::Placement;
use crate::core::rules::Rules;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::service::definition::ContextNamedBy;
use crate::service::definition::LinkDefinition;
use crate::service::pipeline::Stop;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::state::Claim;
use crate::service::state::State;
use crate::service::state::scope_name;

/// Reads our own topic where it is known to exist: a broker that has just started may answer as if it
/// did not, and claims that are not seen must not count as absent.
///
/// # Errors
/// The cluster's fault, or a record of a newer format.
pub async fn read_state<C: Cluster>(cluster: &C, topic: &str) -> Result<State, Stop> {
    let records = cluster.read_all(topic).await?;
    State::fold(&records).map_err(|newer| Stop::Halt(newer.to_string()))
}

/// Reads our own topic; one that does not exist holds nothing.
///
/// # Errors
/// As [`read_state`].
pub async fn read_state_if_there<C: Cluster>(cluster: &C, topic: &str) -> Result<State, Stop> {
    if cluster.topic(topic).await?.is_none() {
        return Ok(State::default());
    }
    read_state(cluster, topic).await
}

/// The claims that links made on our source, if its state topic may be read. It is optional: it only
/// serves to recognise copies whose header a registry's rewrite lost.
///
/// # Errors
/// Faults other than a missing right: without the claims, records would go back to where they came
/// from.
pub async fn source_claims<C: Cluster>(
    source: &C,
    link: &LinkDefinition,
) -> Result<Vec<SourceClaim>, Stop> {
    match read_state_if_there(source, &link.source_state_topic).await {
        Ok(state) => Ok(state
            .claims
            .into_values()
            .map(|claim| SourceClaim { scope: claim.scope, origins: claim.origins })
            .collect()),
        Err(Stop::Fault(fault)) if is_out_of_bounds(&fault) => {
            tracing::info!(
                link = %link.rules.name, cluster = source.name(), reason = %fault,
                "claims in the source are not readable; copies that a registry rewrote there are not recognised"
            );
            Ok(Vec::new())
        }
        Err(stop) => Err(stop),
    }
}

/// Whether the cluster will not tell, however often it is asked.
fn is_out_of_bounds(fault: &Fault) -> bool {
    matches!(fault.class, FaultClass::NotPermitted | FaultClass::Missing | FaultClass::Unsupported)
}

/// The definition with the context that `auto` means: the one of the link's first start, else one
/// named after the source's cluster (rulings 5).
///
/// # Errors
/// [`Stop::Halt`] where the cluster's id is no name for a context.
pub fn with_context(
    link: &LinkDefinition,
    source_cluster: &str,
    state: &State,
) -> Result<LinkDefinition, Stop> {
    if link.context == ContextNamedBy::Configuration {
        return Ok(link.clone());
    }
    let own =
        |claim: &&Claim| claim.link == link.rules.name && claim.source_cluster == source_cluster;
    let claimed = state.claims.values().find(own);
    let first = claimed.and_then(|claim| claim.scope.patterns.first());
    let context = match first.map(|pattern| Subject::parse(pattern).context) {
        Some(context) if !context.is_default() => context,
        Some(_) | None => ContextName::new(source_cluster).map_err(|fault| {
            Stop::Halt(format!("context auto: {fault}; {}", link.leave().name_context()))
        })?,
    };
    let mut link = link.clone();
    link.rules.placement = Placement::Into(context);
    Ok(link)
}

/// What earlier lives of the link left.
#[must_use]
pub fn history(
    state: &State,
    rules: &Rules,
    source_cluster: &str,
    claims: Vec<SourceClaim>,
) -> History {
    let claim = own_claim(state, rules, source_cluster);
    let former = state.former_scopes(&rules.name, source_cluster, &rules.scope());
    History {
        claimed: claim.is_some(),
        // What stands in a scope that is new to the link may have had another fence, or none.
        unfenced: claim.map_or(!former.is_empty(), |claim| !claim.has_fence()),
        former,
        adopted_below: claim.map_or(0, |claim| claim.adopted_below),
        began_at: claim.map_or(0, |claim| claim.began_at),
        source_claims: claims,
        acknowledged: state.acknowledged_by(&rules.name, source_cluster),
    }
}

/// A link that has no claim begins at this offset of the target: what stands below is its own where it
/// adopts it, and nothing outside its scope is.
pub fn begin_anew(past: &mut History, definition: &LinkDefinition, target_end: Offset) {
    if past.claimed {
        return;
    }
    past.began_at = target_end;
    if definition.adopt {
        past.adopted_below = target_end;
    }
}

/// The link's own claim on its scope.
#[must_use]
pub fn own_claim<'a>(state: &'a State, rules: &Rules, source_cluster: &str) -> Option<&'a Claim> {
    let claim = state.claims.get(&scope_name(&rules.scope()))?;
    (claim.link == rules.name && claim.source_cluster == source_cluster).then_some(claim)
}

/// Why a link may not write its scope: another one claimed keys of it, both named. What `adopt` takes
/// over is the same scope of another link, or of this one where it read another cluster.
#[must_use]
pub fn rival<C: Cluster>(
    state: &State,
    definition: &LinkDefinition,
    source_cluster: &str,
    target: &C,
) -> Option<String> {
    let rules = &definition.rules;
    let (link, scope, target) = (&rules.name, rules.scope(), target.name());
    let taken_over = |claim: &Claim| claim.scope == scope && definition.adopt;
    let rivals = state.rivals(link, source_cluster, &scope);
    let rival = rivals.into_iter().find(|claim| !taken_over(claim))?;
    let Claim { link: other, source_cluster: theirs, scope: claimed, .. } = rival;
    if other == link && *claimed != scope {
        return Some(format!(
            "a link named {link} reads cluster {theirs} and claims {claimed} of {target}; this one \
             reads cluster {source_cluster} and wants {scope}. Give it another name"
        ));
    }
    Some(format!(
        "links {link} and {other} would write the same keys of {target}: {other} (from cluster \
         {theirs}) claims {claimed}, {link} (from cluster {source_cluster}) wants {scope}. Give one \
         of them another context or other subjects; if {other} is gone for good and its scope is the \
         same, {} takes it over",
        definition.leave().adopt()
    ))
}

/// Halts a link that has a [`rival`].
///
/// # Errors
/// [`Stop::Halt`].
pub fn refuse_rivals<C: Cluster>(
    state: &State,
    definition: &LinkDefinition,
    source_cluster: &str,
    target: &C,
) -> Result<(), Stop> {
    match rival(state, definition, source_cluster, target) {
        None => Ok(()),
        Some(reason) => Err(Stop::Halt(reason)),
    }
}
