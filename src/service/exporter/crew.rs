//! Keeping the links going that are kept on clusters: each by a worker of its own, for as long as its
//! definition says so.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::task::JoinSet;

use super::Endpoints;
use super::Exporter;
use super::Wanted;
use super::endpoint::is_target;
use super::purge::withdraw;
use super::seen::Posts;
use super::shelf::Id;
use super::shelf::Kept;
use super::shelf::Shelf;
use crate::service::commons::Commons;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::status::Phase;
use crate::service::supervisor::Assignment;
use crate::service::supervisor::Roster;
use crate::service::worker::End;
use crate::service::worker::Goal;
use crate::service::worker::wait_for;

/// So long a cluster may take to tell what it keeps before the process counts as ready without it.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Runs what clusters keep.
#[derive(Debug)]
pub struct Crew<C, K> {
    pub(super) endpoints: Endpoints<C>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) posts: Posts,
    pub(super) clock: K,
    pub(super) instance: String,
    pub(super) commons: Commons<K>,
    /// Links of the file: what is kept under such a name stands behind it.
    pub(super) of_file: BTreeSet<Id>,
}

/// A link at work, or one that stands still.
struct Post {
    exporter: Exporter,
    target: String,
    shutdown: watch::Sender<bool>,
}

impl Post {
    fn does(&self, kept: &Kept) -> bool {
        self.exporter == kept.exporter && self.target == kept.target
    }
}

impl<C: Cluster, K: Clock> Crew<C, K> {
    /// Starts and ends links as their definitions come, change and go, until it is told to end; then
    /// every link drains. `show` gets the links that there are, whenever they are others.
    pub async fn run(self, show: impl Fn(Roster) + Send, mut shutdown: watch::Receiver<bool>) {
        let mut tails = JoinSet::new();
        for endpoint in self.endpoints.values().filter(|endpoint| is_target(endpoint)) {
            tails.spawn(Arc::clone(&self.shelf).tail(endpoint.clone(), self.clock.clone()));
        }
        let mut changes = self.shelf.changes();
        let mut working: BTreeMap<Id, Post> = BTreeMap::new();
        let mut links: JoinSet<(Id, End)> = JoinSet::new();
        let mut fallen: BTreeMap<Id, u64> = BTreeMap::new();
        let mut ending = false;
        let begun = self.clock.monotonic();
        loop {
            changes.mark_unchanged();
            let wanted = if ending { BTreeMap::new() } else { self.wanted() };
            for (id, post) in &working {
                if !wanted.get(id).is_some_and(|kept| post.does(kept)) {
                    post.shutdown.send_replace(true);
                }
            }
            for (id, kept) in wanted {
                if !working.contains_key(&id)
                    && fallen.get(&id) != Some(&kept.exporter.revision)
                    && let Some(post) = self.begin(&id, kept, &mut links)
                {
                    working.insert(id, post);
                }
            }
            self.posts.keep_only(|id| working.contains_key(id) || self.is_kept(id));
            let waited = self.clock.monotonic().saturating_sub(begun);
            let is_complete = self.shelf.unread(&self.endpoints).is_none() || waited >= READ_WITHIN;
            show(Roster { links: self.posts.watched(), is_complete });
            if ending && working.is_empty() {
                return;
            }
            tokio::select! {
                _ = changes.changed() => {}
                Some(ended) = links.join_next() => {
                    self.ended(ended, &mut working, &mut fallen);
                }
                () = self.clock.sleep(READ_WITHIN.saturating_sub(waited)), if !is_complete => {}
                () = wait_for(&mut shutdown), if !ending => ending = true,
            }
        }
    }

    /// What is to run, or to stand still, by its name.
    fn wanted(&self) -> BTreeMap<Id, Kept> {
        let mut wanted = BTreeMap::new();
        for kept in self.shelf.all() {
            let id = kept.exporter.id();
            let is_alone = self.shelf.find(&id.0, &id.1).len() == 1;
            if is_alone && !self.of_file.contains(&id) {
                wanted.insert(id, kept);
            }
        }
        wanted
    }

    fn is_kept(&self, id: &Id) -> bool {
        !self.of_file.contains(id) && !self.shelf.find(&id.0, &id.1).is_empty()
    }

    fn begin(&self, id: &Id, kept: Kept, links: &mut JoinSet<(Id, End)>) -> Option<Post> {
        let Kept { exporter, target } = kept;
        let ends = self.endpoints.get(&exporter.source).zip(self.endpoints.get(&target));
        let (source, target_end) = ends?;
        let definition = match exporter.link(source, target_end, &self.instance) {
            Ok(definition) => definition,
            // It was sound when it was kept; this process has another configuration.
            Err(refused) => {
                tracing::error!(link = %exporter.name, reason = %refused, "not run here");
                return None;
            }
        };
        let assignment = Assignment {
            definition,
            source: source.cluster.clone(),
            target: target_end.cluster.clone(),
            write_rate_max: target_end.write_rate_max,
        };
        let past = self.posts.of(id);
        let goal = if exporter.wanted == Wanted::Purging { Goal::Purge } else { Goal::Follow };
        let (worker, watched) = assignment.man(past.as_ref(), &self.clock, goal, &self.commons);
        let (shutdown, told) = watch::channel(false);
        let rests = exporter.wanted == Wanted::Paused;
        if rests {
            // Whoever asks before its task begins is told so too.
            worker.enter(Phase::Paused);
        }
        self.posts.put(id.clone(), watched.clone());
        let id = id.clone();
        let (shelf, clock) = (Arc::clone(&self.shelf), self.clock.clone());
        let (target_end, purging) = (target_end.clone(), exporter.clone());
        links.spawn(async move {
            let end = if rests {
                worker.rest(told.clone()).await
            } else {
                worker.run(told.clone()).await
            };
            let purged = watched.status.borrow().purged.clone();
            if let Some(purged) = purged {
                withdraw(&target_end, &shelf, (&purging, &purged), &clock, told).await;
            }
            (id, end)
        });
        Some(Post { exporter, target, shutdown })
    }

    fn ended(
        &self,
        ended: Result<(Id, End), JoinError>,
        working: &mut BTreeMap<Id, Post>,
        fallen: &mut BTreeMap<Id, u64>,
    ) {
        match ended {
            // It would only fall again: it waits until someone tells it to go on.
            Ok((id, End::Panicked(_))) => {
                let post = working.remove(&id);
                fallen.extend(post.map(|post| (id, post.exporter.revision)));
            }
            Ok((id, End::Done | End::Halted(_) | End::GaveUp(_))) => drop(working.remove(&id)),
            // A worker catches its own panics.
            Err(panic) => tracing::error!(reason = %panic, "a link's task ended without a word"),
        }
    }
}
