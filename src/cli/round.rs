//! What `run` works with until it reads its configuration again.

use crate::cli::args::LinkSource;
use crate::cli::args::Releases;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::assignments;
use crate::cli::links::clusters_of;
use crate::config::Change;
use crate::config::Files;
use crate::config::ProcessEnvironment;
use crate::service::clock::SystemClock;
use crate::service::ports::Cluster;

/// Links, and the files that their clusters' properties name.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) links: Vec<Link>,
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
        let files = Files::of(clusters_of(from)?.iter(), &ProcessEnvironment);
        Ok(Self { links: assignments(from, releases, clock)?, files })
    }

    /// The same after files have changed, for clients that can be made with what the files hold now.
    pub(super) fn renewed(
        from: &LinkSource,
        changes: &[Change],
        clock: SystemClock,
    ) -> Result<Self, Unusable> {
        let round = Self::read(from, Releases::default(), clock)?;
        for Link { source, target, .. } in &round.links {
            for cluster in [source, target] {
                if changes.iter().any(|change| change.cluster == cluster.name()) {
                    cluster.try_out()?;
                }
            }
        }
        Ok(round)
    }
}
