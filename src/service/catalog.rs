//! A cluster's registry as its topic tells it: read when it is first asked for, followed from then on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::core::catalog::Catalog;
use crate::core::dialect::Dialect;
use crate::core::record::Offset;
use crate::core::rules::Compatibility;
use crate::service::ground::missing;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;
use crate::service::ports::TopicFacts;

/// An asker waits so long for the first reading; clients of registries give up after 30 to 60 s.
const ASKER_WAITS_MAX: Duration = Duration::from_secs(10);
/// How often it is asked whether the topic is still the one that was read: a new one in its place can
/// look, to a reader, like one that nobody writes.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(5);
/// The pause after the first fault in a row; it doubles with each.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What a catalog is read from.
#[derive(Debug, Clone)]
pub struct CatalogSource<C> {
    /// The cluster.
    pub cluster: C,
    /// The schemas topic.
    pub topic: String,
    /// How its registry spells.
    pub dialect: Dialect,
    /// The level that its registry gives to whoever has none.
    pub default_compatibility: Compatibility,
}

/// The registries that can be asked, by the names of their clusters.
pub type Catalogs = BTreeMap<String, CatalogReader>;

/// One of them. Nothing is read before it is asked; when the last copy of this is dropped, reading
/// ends.
#[derive(Debug, Clone)]
pub struct CatalogReader {
    wanted: Arc<Notify>,
    shown: watch::Receiver<Shown>,
    _task: Arc<Task>,
}

/// What was read, and whether it still is.
#[derive(Debug, Clone)]
pub struct Current {
    /// What was read.
    pub held: Arc<Held>,
    /// Why the cluster can't be read now: there may be more than is held.
    pub away: Option<String>,
}

/// A registry's state, which its reader brings up to date.
#[derive(Debug)]
pub struct Held {
    /// The id of the Kafka cluster.
    pub cluster_id: String,
    catalog: RwLock<Catalog>,
}

impl Held {
    /// Asks it; many can at once.
    pub fn ask<T>(&self, question: impl FnOnce(&Catalog) -> T) -> T {
        // A record that made the reader panic has ended the reader, not what was read before it.
        question(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, batch: &Batch) {
        if batch.records.is_empty() {
            return;
        }
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        batch.records.iter().for_each(|record| catalog.take(record));
    }
}

/// How far a reader is.
#[derive(Debug, Clone, Default)]
struct Shown {
    held: Option<Arc<Held>>,
    trouble: Option<String>,
    /// Where a first reading is, and where it ends.
    reads: Option<(Offset, Offset)>,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl CatalogReader {
    /// A reader that waits until it is asked.
    #[must_use]
    pub fn start<C: Cluster, K: Clock>(source: CatalogSource<C>, clock: K) -> Self {
        let wanted = Arc::new(Notify::new());
        let (show, shown) = watch::channel(Shown::default());
        let is_wanted = Arc::clone(&wanted);
        let task = tokio::spawn(async move {
            is_wanted.notified().await;
            read(&source, &clock, &show).await;
        });
        Self { wanted, shown, _task: Arc::new(Task(task)) }
    }

    /// What was read, as soon as that is all of the topic.
    ///
    /// # Errors
    /// Why it is not there, after 10 s.
    pub async fn current<K: Clock>(&self, clock: &K) -> Result<Current, String> {
        self.wanted.notify_one();
        let mut shown = self.shown.clone();
        let is_there = async {
            let found = shown.wait_for(|shown| shown.held.is_some()).await;
            found.ok().and_then(|shown| current(&shown))
        };
        let found = tokio::select! {
            found = is_there => found,
            () = clock.sleep(ASKER_WAITS_MAX) => None,
        };
        found.ok_or_else(|| self.shown.borrow().why_not())
    }
}

fn current(shown: &Shown) -> Option<Current> {
    let held = Arc::clone(shown.held.as_ref()?);
    Some(Current { held, away: shown.trouble.clone() })
}

impl Shown {
    fn why_not(&self) -> String {
        match (&self.trouble, self.reads) {
            (Some(trouble), _) => trouble.clone(),
            (None, Some((next, end))) => {
                format!("its topic is still being read: offset {next} of {end}")
            }
            (None, None) => "its topic is still to be read".to_owned(),
        }
    }
}

/// How one reading of the topic ended.
enum Ending {
    /// With a fault; what was read stays what it is.
    Fault(Fault),
    /// What was read is another topic than the one that is there now.
    Anew(Fault),
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        match fault.class {
            FaultClass::OutOfRange | FaultClass::Missing => Self::Anew(fault),
            FaultClass::Transient
            | FaultClass::NotPermitted
            | FaultClass::TooLarge
            | FaultClass::Unsupported
            | FaultClass::Permanent => Self::Fault(fault),
        }
    }
}

/// Reads for ever, from the start after each fault that reading does not survive.
async fn read<C: Cluster, K: Clock>(
    source: &CatalogSource<C>,
    clock: &K,
    show: &watch::Sender<Shown>,
) {
    let mut pause = PAUSE;
    loop {
        let Err(ending) = follow(source, clock, show, &mut pause).await;
        let fault = match ending {
            Ending::Fault(fault) => fault,
            Ending::Anew(fault) => {
                show.send_modify(|shown| shown.held = None);
                fault
            }
        };
        tracing::warn!(
            cluster = source.cluster.name(), reason = %fault,
            "the registry of a cluster can't be read; it is tried again"
        );
        show.send_modify(|shown| {
            (shown.trouble, shown.reads) = (Some(fault.to_string()), None);
        });
        clock.sleep(pause).await;
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
}

async fn follow<C: Cluster, K: Clock>(
    source: &CatalogSource<C>,
    clock: &K,
    show: &watch::Sender<Shown>,
    pause: &mut Duration,
) -> Result<Infallible, Ending> {
    let cluster_id = source.cluster.facts().await?.cluster_id;
    let known = topic(source).await?;
    let mut log = source.cluster.read(&source.topic, 0, 0).await?;
    let catalog = Catalog::new(source.dialect, source.default_compatibility);
    let held = Arc::new(Held { cluster_id, catalog: RwLock::new(catalog) });
    let mut next = 0;
    while next < known.end {
        let batch = match log.next().await {
            Ok(batch) => batch,
            // Reading goes on behind it.
            Err(fault) if fault.class == FaultClass::Transient => {
                told(show, Some(&fault));
                continue;
            }
            Err(fault) => return Err(fault.into()),
        };
        // What was read before stands behind its trouble until this reading has caught up.
        if show.borrow().held.is_none() {
            told(show, None);
        }
        held.take(&batch);
        next = batch.next;
        show.send_modify(|shown| shown.reads = Some((next, known.end)));
        if batch.at_end {
            break;
        }
    }
    tracing::info!(
        cluster = source.cluster.name(),
        topic = source.topic,
        versions = held.ask(Catalog::versions),
        "the registry of a cluster is served"
    );
    let new = Shown { held: Some(Arc::clone(&held)), ..Shown::default() };
    show.send_replace(new);
    *pause = PAUSE;
    tail(source, clock, show, Tailed { log, held, known, next }).await
}

/// A topic that was read to its end.
struct Tailed<L> {
    log: L,
    held: Arc<Held>,
    known: TopicFacts,
    next: Offset,
}

async fn tail<C: Cluster, K: Clock>(
    source: &CatalogSource<C>,
    clock: &K,
    show: &watch::Sender<Shown>,
    Tailed { mut log, held, mut known, mut next }: Tailed<C::Log>,
) -> Result<Infallible, Ending> {
    let mut look_at = clock.monotonic().saturating_add(LOOKED_AT_EVERY);
    loop {
        let time_left = look_at.saturating_sub(clock.monotonic());
        let batch = tokio::select! {
            batch = log.next() => Some(batch),
            () = clock.sleep(time_left) => None,
        };
        match batch {
            Some(Ok(batch)) => {
                held.take(&batch);
                next = batch.next;
                if batch.at_end {
                    told(show, None);
                }
            }
            Some(Err(fault)) if fault.class == FaultClass::Transient => {
                told(show, Some(&fault));
            }
            Some(Err(fault)) => return Err(fault.into()),
            None => {
                match look(source, &known).await {
                    Ok(now) => {
                        // What is still to come clears the trouble when it comes.
                        if now.end <= next {
                            told(show, None);
                        }
                        known = now;
                    }
                    Err(Ending::Fault(fault)) => told(show, Some(&fault)),
                    Err(anew) => return Err(anew),
                }
                look_at = clock.monotonic().saturating_add(LOOKED_AT_EVERY);
            }
        }
    }
}

/// Says what keeps the cluster from being read, or that nothing does.
fn told(show: &watch::Sender<Shown>, fault: Option<&Fault>) {
    let trouble = fault.map(ToString::to_string);
    show.send_if_modified(|shown| {
        let changes = shown.trouble != trouble;
        shown.trouble = trouble;
        changes
    });
}

async fn topic<C: Cluster>(source: &CatalogSource<C>) -> Result<TopicFacts, Fault> {
    let facts = source.cluster.topic(&source.topic).await?;
    facts.ok_or_else(|| missing(&source.cluster, &source.topic))
}

/// Whether the topic is the one that is known, with all that it held.
async fn look<C: Cluster>(
    source: &CatalogSource<C>,
    known: &TopicFacts,
) -> Result<TopicFacts, Ending> {
    let now = topic(source).await?;
    if now.goes_on_from(known) {
        return Ok(now);
    }
    let cause = "it was created anew, emptied or cut off; it is read again".to_owned();
    Err(Ending::Anew(Fault { cause, ..missing(&source.cluster, &source.topic) }))
}
