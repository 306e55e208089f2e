//! The registries that `run` serves, from one configuration to the next.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::cli::round::Round;
use crate::config::ClusterConfig;
use crate::service::catalog::CatalogReader;
use crate::service::catalog::CatalogSource;
use crate::service::catalog::Catalogs;
use crate::service::clock::SystemClock;

/// One for each cluster of the configuration, those among them that no link uses.
#[derive(Debug)]
pub(super) struct Registries {
    clock: SystemClock,
    /// What each was started with.
    configured: BTreeMap<String, ClusterConfig>,
    shown: watch::Sender<Catalogs>,
}

impl Registries {
    pub(super) fn new(clock: SystemClock) -> Self {
        Self { clock, configured: BTreeMap::new(), shown: watch::Sender::default() }
    }

    /// The registries, now and later.
    pub(super) fn shown(&self) -> watch::Receiver<Catalogs> {
        self.shown.subscribe()
    }

    /// Serves the clusters of this round and no others. What has been read of a cluster is kept, unless
    /// it is another one now, or a file has changed that its clients are made with.
    pub(super) fn serve(&mut self, round: &Round) {
        let Round { clusters, endpoints, changed, .. } = round;
        let before = self.shown.borrow().clone();
        let mut served = Catalogs::new();
        for (name, endpoint) in endpoints {
            let is_same =
                self.configured.get(name) == clusters.get(name) && !changed.contains(name);
            let kept = before.get(name).filter(|_| is_same).cloned();
            let reader = kept.unwrap_or_else(|| {
                let source = CatalogSource {
                    cluster: endpoint.cluster.clone(),
                    topic: endpoint.schemas_topic.clone(),
                    dialect: endpoint.dialect,
                    default_compatibility: endpoint.default_compatibility,
                };
                CatalogReader::start(source, self.clock)
            });
            served.insert(name.clone(), reader);
        }
        self.configured.clone_from(clusters);
        self.shown.send_replace(served);
    }
}
