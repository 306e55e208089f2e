//! All links that there are: those that this process runs, and those that are kept and that it does
//! not run.

use super::board::Board;
use super::board::Seen;
use super::server::Shared;
use crate::service::exporter::Desk;
use crate::service::exporter::Resting;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::status::Status;

/// A link now, whoever runs it.
#[derive(Debug)]
pub(super) struct Shown {
    /// What it shows; of one that does not run its names alone count.
    pub(super) seen: Seen,
    /// One word; `unknown` where this process can't run it.
    pub(super) state: &'static str,
    /// Why it stands still or waits.
    pub(super) reason: String,
    /// Whether this process runs it.
    pub(super) runs: bool,
    /// Whether it can be changed over REST: links of the file can't.
    pub(super) changeable: bool,
}

/// A link as it is asked for: names are unique among those that read one cluster.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) source: Option<String>,
}

/// Why no link is meant, or not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotOne {
    /// None has this name.
    None(String),
    /// Several have, from these sources.
    Several(String, Vec<String>),
}

/// All links: those that run, in the order of the configuration, then those that are kept and do not.
pub(super) fn all<C: Cluster, K: Clock>(shared: &Shared<C, K>) -> Vec<Shown> {
    let desk = shared.desk();
    // Before those that run: one that begins meanwhile is told of twice, and is then left out here.
    let resting: Vec<Resting> = desk.iter().flat_map(|desk| desk.resting()).collect();
    let mut all = running(&shared.board, desk.as_deref());
    for link in resting {
        let runs = all
            .iter()
            .any(|Shown { seen, .. }| (&seen.source, &seen.link) == (&link.source, &link.name));
        if !runs {
            all.push(Shown::of_resting(link));
        }
    }
    all
}

fn running<C: Cluster, K: Clock>(board: &Board<K>, desk: Option<&Desk<C, K>>) -> Vec<Shown> {
    let of_file = |seen: &Seen| desk.is_none_or(|desk| desk.is_of_file(&seen.source, &seen.link));
    let links = board.links().into_iter();
    links.map(|seen| Shown { changeable: !of_file(&seen), ..Shown::of_running(seen) }).collect()
}

/// The link that is meant.
pub(super) fn one<C: Cluster, K: Clock>(
    shared: &Shared<C, K>,
    named: &Named,
) -> Result<Shown, NotOne> {
    let Named { name, source } = named;
    let is_meant = |shown: &Shown| {
        shown.seen.link == *name && source.as_ref().is_none_or(|from| shown.seen.source == *from)
    };
    let mut found: Vec<Shown> = all(shared).into_iter().filter(is_meant).collect();
    // Two targets may keep one link each under a name and a source: their reason is the same.
    let mut sources: Vec<String> = found.iter().map(|shown| shown.seen.source.clone()).collect();
    sources.sort();
    sources.dedup();
    match (found.pop(), sources.len()) {
        (None, _) => Err(NotOne::None(name.clone())),
        (Some(only), 1) => Ok(only),
        (Some(_), _) => Err(NotOne::Several(name.clone(), sources)),
    }
}

impl Shown {
    fn of_running(seen: Seen) -> Self {
        let phase = &seen.status.phase;
        let (state, reason) = (phase.word(), phase.reason().to_owned());
        Self { state, reason, runs: true, changeable: false, seen }
    }

    fn of_resting(resting: Resting) -> Self {
        let Resting { name, source, target, state, trouble } = resting;
        let seen = Seen { link: name, source, target, status: Status::default() };
        Self { seen, state, reason: trouble, runs: false, changeable: true }
    }

    /// Whether its lag is known: whoever does not run does not read the source either.
    pub(super) fn knows_its_lag(&self) -> bool {
        self.runs && self.seen.knows_its_lag()
    }
}
