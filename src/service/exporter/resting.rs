//! Links that are kept and that this process can't run, or does not run yet.

use super::Desk;
use super::Wanted;
use super::shelf::Kept;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::status::Phase;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// Its name.
    pub name: String,
    /// The cluster that it reads.
    pub source: String,
    /// The cluster that keeps it.
    pub target: String,
    /// `paused` where it is to stand still, `preflight` where it is about to start, else `unknown`.
    pub state: &'static str,
    /// Why it can't; empty where it can.
    pub trouble: String,
}

impl<C: Cluster, K: Clock> Desk<C, K> {
    /// Whether a link stands in the configuration's file, where it is changed.
    #[must_use]
    pub fn is_of_file(&self, source: &str, name: &str) -> bool {
        self.fixed.iter().any(|link| link.source == source && link.described.name == name)
    }

    /// All of them.
    #[must_use]
    pub fn resting(&self) -> Vec<Resting> {
        let kept = self.shelf.all().into_iter();
        kept.filter(|Kept { exporter, .. }| {
            self.posts.of(&exporter.id()).is_none()
                && !self.is_of_file(&exporter.source, &exporter.name)
        })
        .map(|kept| self.at_rest(kept))
        .collect()
    }

    fn at_rest(&self, kept: Kept) -> Resting {
        let Kept { exporter, target } = kept;
        let is_double = self.shelf.find(&exporter.source, &exporter.name).len() > 1;
        let trouble = if is_double {
            "several clusters keep a link of this name: none of them runs; delete it, which takes all \
             away, and create it anew"
                .to_owned()
        } else {
            self.check(&exporter).err().map(|refused| refused.to_string()).unwrap_or_default()
        };
        let state = match exporter.wanted {
            Wanted::Paused if !is_double => Phase::Paused.word(),
            Wanted::Running if trouble.is_empty() => Phase::Preflight.word(),
            Wanted::Purging if trouble.is_empty() => Phase::Purging.word(),
            Wanted::Paused | Wanted::Running | Wanted::Purging => "unknown",
        };
        Resting { name: exporter.name, source: exporter.source, target, state, trouble }
    }
}
