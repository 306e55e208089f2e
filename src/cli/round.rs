//! What `run` works with until it reads its configuration again.

use std::collections::BTreeSet;

use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::assignments;
use crate::cli::links::clients_of;
use crate::cli::links::clusters_of;
use crate::config::Change;
use crate::config::ClusterConfig;
use crate::config::Files;
use crate::config::ProcessEnvironment;
use crate::kafka::KafkaCluster;
use crate::service::clock::SystemClock;

/// Links, all clusters, and the files that their properties name.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) links: Vec<Link>,
    pub(super) clusters: Vec<(ClusterConfig, KafkaCluster)>,
    /// Clusters whose files have changed, by name.
    pub(super) changed: BTreeSet<String>,
    pub(super) files: Files,
}

impl Round {
    /// Reads the configuration and all that it names.
    pub(super) fn read(
        from: &LinkSource,
        releases: Releases,
        clock: SystemClock,
    ) -> Result<Self, Unusable> {
        // The files first: one that changes meanwhile is then seen to have changed.
        let clusters = clusters_of(from)?;
        let files = Files::of(clusters.iter(), &ProcessEnvironment);
        let links = assignments(from, releases, clock)?;
        let clusters = clients_of(from, clusters, clock)?;
        Ok(Self { links, clusters, changed: BTreeSet::new(), files })
    }

    /// The same after files have changed, for clients that can be made with what the files hold now.
    pub(super) fn renewed(
        from: &LinkSource,
        changes: &[Change],
        clock: SystemClock,
    ) -> Result<Self, Unusable> {
        let round = Self::read(from, Releases::default(), clock)?;
        let changed: BTreeSet<String> =
            changes.iter().map(|change| change.cluster.clone()).collect();
        for (_, client) in
            round.clusters.iter().filter(|(config, _)| changed.contains(&config.name))
        {
            client.try_out()?;
        }
        Ok(Self { changed, ..round })
    }
}
