//! The definitions that clusters keep, read from the first partition of our own topic on each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch;

use super::Endpoint;
use super::Exporter;
use super::endpoint::is_target;
use crate::core::record::Header;
use crate::core::record::Outgoing;
use crate::core::record::Record;
use crate::service::ground::missing;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;
use crate::service::purged::Purged;
use crate::service::state::FORMAT;
use crate::service::state::StateKey;
use crate::service::worker::GONE_AFTER;

/// The partition of our topic that holds definitions.
pub(super) const PARTITION: i32 = 0;
/// The header of a record that takes a definition away, where a purge did.
const PURGED_HEADER: &str = "schema-mirror-purged";
/// What such records are called there.
const KIND: &str = "exporter";
/// A topic that is not there yet is looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a fault that passes.
const PAUSE: Duration = Duration::from_secs(1);

/// An exporter's source and name, which no other one has.
pub(super) type Id = (String, String);

/// What one cluster keeps.
#[derive(Debug, Clone, Default)]
struct Drawer {
    /// Its topic was read to its end, or it has none.
    is_read: bool,
    exporters: BTreeMap<Id, Exporter>,
    /// What purges came to of which nothing is left but that.
    purged: BTreeMap<Id, Arc<Purged>>,
}

/// An exporter, and the cluster that keeps it, which is its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) exporter: Exporter,
    pub(super) target: String,
}

/// What all clusters keep.
#[derive(Debug)]
pub(super) struct Shelf {
    drawers: Mutex<BTreeMap<String, Drawer>>,
    changes: watch::Sender<u64>,
    look: Notify,
}

impl Shelf {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            drawers: Mutex::default(),
            changes: watch::Sender::new(0),
            look: Notify::new(),
        })
    }

    fn drawers(&self) -> MutexGuard<'_, BTreeMap<String, Drawer>> {
        self.drawers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told of every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// All definitions.
    pub(super) fn all(&self) -> Vec<Kept> {
        let drawers = self.drawers();
        let kept = drawers.iter().flat_map(|(target, drawer)| {
            drawer
                .exporters
                .values()
                .map(|exporter| Kept { exporter: exporter.clone(), target: target.clone() })
        });
        kept.collect()
    }

    /// The definitions under a name; more than one where two targets keep one each.
    pub(super) fn find(&self, source: &str, name: &str) -> Vec<Kept> {
        let id = (source.to_owned(), name.to_owned());
        let drawers = self.drawers();
        let kept = drawers.iter().filter_map(|(target, drawer)| {
            let exporter = drawer.exporters.get(&id)?.clone();
            Some(Kept { exporter, target: target.clone() })
        });
        kept.collect()
    }

    /// What the purge of a link came to that is gone from its target by it.
    pub(super) fn purged(&self, target: &str, id: &Id) -> Option<Arc<Purged>> {
        self.drawers().get(target)?.purged.get(id).cloned()
    }

    /// Whether a cluster's definitions are known.
    pub(super) fn is_read(&self, cluster: &str) -> bool {
        self.drawers().get(cluster).is_some_and(|drawer| drawer.is_read)
    }

    /// A cluster that keeps definitions which are not known yet.
    pub(super) fn unread<'a, C>(
        &self,
        endpoints: &'a BTreeMap<String, Endpoint<C>>,
    ) -> Option<&'a str> {
        let mut targets = endpoints.iter().filter(|(_, endpoint)| is_target(endpoint));
        targets.find(|(name, _)| !self.is_read(name)).map(|(name, _)| name.as_str())
    }

    fn is_empty(&self, cluster: &str) -> bool {
        self.drawers().get(cluster).is_none_or(|drawer| drawer.exporters.is_empty())
    }

    /// Has a topic looked for at once that was not there.
    pub(super) fn look_now(&self) {
        self.look.notify_waiters();
    }

    fn put(&self, cluster: &str, drawer: Drawer) {
        self.drawers().insert(cluster.to_owned(), drawer);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Reads a cluster's definitions for good.
    pub(super) async fn tail<C: Cluster, K: Clock>(
        self: Arc<Self>,
        endpoint: Endpoint<C>,
        clock: K,
    ) {
        let name = endpoint.cluster.name();
        let mut told = String::new();
        let mut gone_since = None;
        loop {
            let begun = clock.monotonic();
            // What is there may be another topic than before: it is read from its start.
            let Err(fault) = self.follow(&endpoint, &clock).await;
            let reason = fault.to_string();
            let now = clock.monotonic();
            if fault.class != FaultClass::Missing || now.saturating_sub(begun) >= GONE_AFTER {
                gone_since = None;
            }
            if fault.class == FaultClass::Missing {
                let since = *gone_since.get_or_insert(now);
                // A broker that has just started can answer before it knows its topics.
                if self.is_empty(name) || now.saturating_sub(since) >= GONE_AFTER {
                    self.put(name, Drawer { is_read: true, ..Drawer::default() });
                }
            } else if reason != told {
                tracing::warn!(cluster = name, reason = %reason, "links that are kept there are not known");
                told = reason;
            }
            let looked = self.look.notified();
            let pause = if fault.class == FaultClass::Transient { PAUSE } else { LOOK_EVERY };
            tokio::select! {
                () = looked => {}
                () = clock.sleep(pause) => {}
            }
        }
    }

    async fn follow<C: Cluster, K: Clock>(
        &self,
        endpoint: &Endpoint<C>,
        clock: &K,
    ) -> Result<std::convert::Infallible, Fault> {
        let (cluster, topic) = (&endpoint.cluster, &endpoint.state_topic);
        let missing = || missing(cluster, topic);
        let begun = cluster.topic(topic).await?.ok_or_else(missing)?;
        let mut log = cluster.read(topic, PARTITION, 0).await?;
        let mut drawer = Drawer::default();
        let mut looked_at = clock.monotonic();
        loop {
            let batch = tokio::select! {
                batch = log.next() => Some(batch?),
                () = clock.sleep(LOOK_EVERY) => None,
            };
            let Batch { records, at_end, .. } = batch.unwrap_or_default();
            let changed = records.iter().filter(|record| take(&mut drawer, record)).count() > 0;
            if changed && drawer.is_read || at_end && !drawer.is_read {
                drawer.is_read = true;
                self.put(cluster.name(), drawer.clone());
            }
            let now = clock.monotonic();
            if now.saturating_sub(looked_at) >= LOOK_EVERY {
                looked_at = now;
                let facts = cluster.topic(topic).await?.ok_or_else(missing)?;
                if facts.topic_id != begun.topic_id {
                    return Err(Fault { class: FaultClass::Transient, ..missing() });
                }
            }
        }
    }
}

/// Takes a record; whether the definitions are others then.
fn take(drawer: &mut Drawer, record: &Record) -> bool {
    let key = record.key.as_deref().and_then(|key| serde_json::from_slice::<StateKey>(key).ok());
    let Some(StateKey { kind, scope }) = key.filter(|key| key.kind == KIND) else { return false };
    let Some((source, name)) = scope.split_once('/') else { return false };
    let id = (source.to_owned(), name.to_owned());
    drawer.purged.remove(&id);
    let Some(value) = record.value.as_deref() else {
        let told = record.headers.iter().find(|header| header.name == PURGED_HEADER);
        let told = told.and_then(|header| serde_json::from_slice(header.value.as_deref()?).ok());
        drawer.purged.extend(told.map(|purged| (id.clone(), Arc::new(purged))));
        return drawer.exporters.remove(&id).is_some();
    };
    match serde_json::from_slice::<Exporter>(value) {
        Ok(exporter) if exporter.format <= FORMAT && exporter.id() == id => {
            let changed = drawer.exporters.get(&id) != Some(&exporter);
            drawer.exporters.insert(id, exporter);
            changed
        }
        Ok(_) | Err(_) => {
            tracing::warn!(
                link = name,
                kind,
                "a link's definition can't be read: a newer schema-mirror may have written it; it is not run here"
            );
            drawer.exporters.remove(&id).is_some()
        }
    }
}

impl Kept {
    /// The record that keeps a definition.
    pub(super) fn record(exporter: &Exporter) -> Outgoing {
        let value = serde_json::to_vec(exporter).unwrap_or_default();
        Outgoing { value: Some(value), ..Self::withdrawal(exporter) }
    }

    /// The record that takes a definition away.
    pub(super) fn withdrawal(exporter: &Exporter) -> Outgoing {
        let about = format!("{}/{}", exporter.source, exporter.name);
        Outgoing { key: StateKey::spelled(KIND, about), ..Outgoing::default() }
    }

    /// The same behind a purge: it says what that came to, to whichever instance was asked for it.
    pub(super) fn purged(exporter: &Exporter, purged: &Purged) -> Outgoing {
        let value = serde_json::to_vec(purged).ok();
        let header = Header { name: PURGED_HEADER.to_owned(), value };
        Outgoing { headers: Arc::new([header]), ..Self::withdrawal(exporter) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Asked;
    use super::*;
    use crate::service::state::stored;

    #[test]
    fn a_definition_is_kept_changed_and_taken_away() {
        let exporter = Exporter::new("a", "x", Asked::default());
        let mut drawer = Drawer::default();
        assert!(take(&mut drawer, &stored(Kept::record(&exporter))));
        assert!(!take(&mut drawer, &stored(Kept::record(&exporter))), "nothing new");
        assert!(take(&mut drawer, &stored(Kept::record(&exporter.next()))));
        assert_eq!(drawer.exporters.len(), 1);
        assert!(take(&mut drawer, &stored(Kept::withdrawal(&exporter))));
        assert!(drawer.exporters.is_empty());
    }

    #[test]
    fn what_a_purge_came_to_is_known_until_the_name_is_used_again() {
        let exporter = Exporter::new("a", "x", Asked::default());
        let purged = Purged { stays: 3, ..Purged::default() };
        let mut drawer = Drawer::default();
        take(&mut drawer, &stored(Kept::record(&exporter)));
        assert!(take(&mut drawer, &stored(Kept::purged(&exporter, &purged))));
        assert!(drawer.exporters.is_empty());
        assert_eq!(drawer.purged.get(&exporter.id()).map(|kept| kept.stays), Some(3));
        take(&mut drawer, &stored(Kept::record(&exporter)));
        assert!(drawer.purged.is_empty());
    }

    #[test]
    fn what_a_newer_release_wrote_is_not_taken_for_a_definition() {
        let mut drawer = Drawer::default();
        let newer = Exporter { format: FORMAT + 1, ..Exporter::new("a", "x", Asked::default()) };
        assert!(!take(&mut drawer, &stored(Kept::record(&newer))));
        assert!(drawer.exporters.is_empty());
    }
}
