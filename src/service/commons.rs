//! What the links of a process share: the write rates of targets, and the readings of topics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::rate::Rate;
use crate::service::reading::Reading;
use crate::service::target::TargetReading;

/// A cluster's name in the configuration, and a topic of it.
type Topic = (String, String);

/// What links share. Made anew with each configuration: a name may mean another cluster there.
#[derive(Debug, Clone)]
pub struct Commons<K> {
    clock: K,
    held: Arc<Mutex<Held<K>>>,
}

#[derive(Debug)]
struct Held<K> {
    rates: BTreeMap<String, Rate<K>>,
    sources: BTreeMap<Topic, Reading>,
    targets: BTreeMap<Topic, TargetReading>,
}

impl<K: Clock> Commons<K> {
    /// Of links of which none is there yet.
    pub fn new(clock: K) -> Self {
        let (rates, sources, targets) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { clock, held: Arc::new(Mutex::new(Held { rates, sources, targets })) }
    }

    /// The write rate of a target, as the first that asks says it.
    pub(super) fn rate(&self, target: &str, most: Option<u32>) -> Rate<K> {
        let new = || Rate::new(self.clock.clone(), most);
        self.held().rates.entry(target.to_owned()).or_insert_with(new).clone()
    }

    /// The reading of a source.
    pub(super) fn source<C: Cluster>(&self, cluster: &C, topic: &str) -> Reading {
        let new = || Reading::prepare(cluster.clone(), topic.to_owned(), self.clock.clone());
        self.held().sources.entry(place(cluster, topic)).or_insert_with(new).clone()
    }

    /// The reading of a target.
    pub(super) fn target<C: Cluster>(&self, cluster: &C, topic: &str) -> TargetReading {
        let new = || TargetReading::prepare(cluster.clone(), topic.to_owned(), self.clock.clone());
        self.held().targets.entry(place(cluster, topic)).or_insert_with(new).clone()
    }
}

impl<K> Commons<K> {
    fn held(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place<C: Cluster>(cluster: &C, topic: &str) -> Topic {
    (cluster.name().to_owned(), topic.to_owned())
}
