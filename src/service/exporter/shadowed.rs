//! Links that are kept under the name of one of the file, which wins: they are not run, and would run
//! again once the file's is gone.

use super::Desk;
use super::Refused;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;

/// What was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// A link; what it copied stays.
    Link,
    /// The definition that was kept behind a link of the file, which goes on as it was.
    Definition,
}

impl<C: Cluster, K: Clock> Desk<C, K> {
    /// Whether one is kept behind the file's link.
    pub(super) fn is_shadowed(&self, source: &str, name: &str) -> bool {
        self.is_of_file(source, name) && !self.shelf.find(source, name).is_empty()
    }

    /// Takes it away. Its claim, if it has one, may be the file's link's by now, and stays.
    pub(super) async fn delete_shadowed(
        &self,
        source: &str,
        name: &str,
    ) -> Result<Deleted, Refused> {
        for kept in self.shelf.find(source, name) {
            self.take_away(&kept.target, &kept.exporter).await?;
        }
        tracing::info!(link = name, source, "definition deleted that the file's link stood before");
        Ok(Deleted::Definition)
    }
}
