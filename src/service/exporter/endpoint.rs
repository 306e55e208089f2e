//! The clusters between which links can be made.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::dialect::Dialect;
use crate::core::registry_url::RegistryUrl;
use crate::core::rules::Compatibility;

/// A cluster with the topic of its registry.
#[derive(Debug, Clone)]
pub struct Endpoint<C> {
    /// The cluster.
    pub cluster: C,
    /// The topic of its registry.
    pub schemas_topic: String,
    /// Our own topic.
    pub state_topic: String,
    /// Where its registry answers: what exporters name their target by.
    pub registry_urls: Vec<RegistryUrl>,
    /// How its registry spells.
    pub dialect: Dialect,
    /// The level of a context whose source says none.
    pub default_compatibility: Compatibility,
    /// Whether topics that are missing are created.
    pub create_topics: bool,
    /// Records a second that it is given at most; `None` is unlimited.
    pub write_rate_max: Option<u32>,
}

/// Clusters by their names in the configuration.
pub type Endpoints<C> = Arc<BTreeMap<String, Endpoint<C>>>;

/// The cluster whose registry answers at one of these addresses, and the addresses that are known
/// where none does.
pub(super) fn named<'a, C>(
    endpoints: &'a BTreeMap<String, Endpoint<C>>,
    given: &[RegistryUrl],
) -> Result<(&'a str, &'a Endpoint<C>), Vec<String>> {
    let found = endpoints
        .iter()
        .find(|(_, endpoint)| given.iter().any(|url| endpoint.registry_urls.contains(url)));
    match found {
        Some((name, endpoint)) => Ok((name, endpoint)),
        None => Err(endpoints
            .values()
            .flat_map(|endpoint| &endpoint.registry_urls)
            .map(ToString::to_string)
            .collect()),
    }
}

/// Only what an exporter can name keeps definitions.
pub(super) fn is_target<C>(endpoint: &Endpoint<C>) -> bool {
    !endpoint.registry_urls.is_empty()
}
