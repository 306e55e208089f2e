//! The registries that `run` serves, from one configuration to the next.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use tokio::sync::watch;

use crate::config::ClusterConfig;
use crate::kafka::KafkaCluster;
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

    /// Serves these clusters and no others. What has been read of a cluster is kept, unless it is
    /// another one now, or a file has changed that its clients are made with.
    pub(super) fn serve(
        &mut self,
        clusters: Vec<(ClusterConfig, KafkaCluster)>,
        changed: &BTreeSet<String>,
    ) {
        let before = self.shown.borrow().clone();
        let (mut configured, mut served) = (BTreeMap::new(), Catalogs::new());
        for (config, client) in clusters {
            let name = config.name.clone();
            let is_same = self.configured.get(&name) == Some(&config) && !changed.contains(&name);
            let kept = before.get(&name).filter(|_| is_same).cloned();
            let reader = kept.unwrap_or_else(|| {
                let source = CatalogSource {
                    cluster: client,
                    topic: config.schemas_topic.clone(),
                    dialect: config.dialect,
                    default_compatibility: config.default_compatibility,
                };
                CatalogReader::start(source, self.clock)
            });
            served.insert(name.clone(), reader);
            configured.insert(name, config);
        }
        self.configured = configured;
        self.shown.send_replace(served);
    }
}
