//! Links of a process that read one source together: it is fetched once, decoded once and kept once,
//! so that cost grows with records, not with links.
//!
//! Links that begin at about the same time make a round. Each is told every record from the log's
//! start on; those that see the source alike (see [`Lens`]) look at one view of it. A link whose life
//! ends leaves its round; its next life asks for another one.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::core::link::Lens;
use crate::core::link::Told;
use crate::core::record::Record;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;
use crate::service::sight::Sight;
use crate::service::stream::SourceStream;

/// Runs of records that may wait for a link before the others wait for it.
const AHEAD_MAX: usize = 4;
/// How long the others wait for a slow link, before it is left behind until it has caught up.
pub(super) const SLOW_LINK_WAIT: Duration = Duration::from_secs(5);
/// Runs that may wait for a link that was left behind, and what they may take together. One that
/// falls further behind leaves the round. Links that are as slow share the same records.
const WAITING_RUNS_MAX: usize = 4_096;
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long the first round waits for all links of the process.
const FIRST_ROUND_WAIT: Duration = Duration::from_secs(5);
/// The same for later rounds: what ends the lives of several links ends them at about one time.
const LATER_ROUND_WAIT: Duration = Duration::from_secs(1);
/// Links that may ask to join at once.
const JOINS_MAX: usize = 1024;

/// Records of the source, and what they came to where several links look at one view.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) batch: Arc<Batch>,
    told: Option<Arc<Vec<Told>>>,
}

impl Run {
    /// Records that a link takes into its own view.
    pub(super) fn untold(batch: Batch) -> Self {
        Self { batch: Arc::new(batch), told: None }
    }

    /// Each record, with what it came to if that is known.
    pub(super) fn records(&self) -> impl Iterator<Item = (&Record, Option<&Told>)> {
        let told = self.told.as_ref();
        self.batch
            .records
            .iter()
            .enumerate()
            .map(move |(place, record)| (record, told.and_then(|told| told.get(place))))
    }
}

/// What a link gets from its round.
pub(super) type Shared = Result<Run, Fault>;

/// A link that asks to join.
#[derive(Debug)]
struct Join {
    lens: Lens,
    begin: oneshot::Sender<Option<Begun>>,
}

/// A round that began.
#[derive(Debug)]
pub(super) struct Begun {
    /// What the link looks at; `None` where nobody else sees the source as it does.
    pub(super) sight: Option<Sight>,
    pub(super) feed: Feed,
}

/// Where links ask to read a source together.
#[derive(Debug, Clone)]
pub struct Reading {
    joins: mpsc::Sender<Join>,
}

impl Reading {
    /// Prepares rounds of reading a topic for so many links.
    pub fn prepare<C: Cluster, K: Clock>(
        cluster: C,
        topic: String,
        links: usize,
        clock: K,
    ) -> Self {
        let (joins, joined) = mpsc::channel(JOINS_MAX);
        tokio::spawn(hold_rounds(cluster, topic, links, clock, joined));
        Self { joins }
    }

    /// Asks for a place in the next round. Reading begins with it.
    pub(super) async fn join<C: Cluster>(
        &self,
        cluster: C,
        topic: &str,
        lens: Lens,
    ) -> SourceStream<C> {
        let (begin, begun) = oneshot::channel();
        let asked = self.joins.send(Join { lens, begin }).await.is_ok();
        SourceStream::in_round(cluster, topic, asked.then_some(begun))
    }
}

async fn hold_rounds<C: Cluster, K: Clock>(
    cluster: C,
    topic: String,
    links: usize,
    clock: K,
    mut joined: mpsc::Receiver<Join>,
) {
    let mut wait = FIRST_ROUND_WAIT;
    while let Some(first) = joined.recv().await {
        let mut joins = vec![first];
        let deadline = clock.monotonic().saturating_add(wait);
        while joins.len() < links {
            let rest = deadline.saturating_sub(clock.monotonic());
            tokio::select! {
                biased;
                join = joined.recv() => match join {
                    Some(join) => joins.push(join),
                    None => break,
                },
                () = clock.sleep(rest) => break,
            }
        }
        wait = LATER_ROUND_WAIT;
        // Whose life has ended meanwhile does not count.
        joins.retain(|join| !join.begin.is_closed());
        let parties = begin(joins);
        if !parties.is_empty() {
            tokio::spawn(read(cluster.clone(), topic.clone(), clock.clone(), parties));
        }
    }
}

/// Links of one lens.
#[derive(Debug)]
struct Party {
    sight: Option<Sight>,
    links: Vec<Place>,
}

/// A link's place in a round.
#[derive(Debug)]
struct Place {
    sender: mpsc::Sender<Shared>,
    /// What the runs take that wait for it.
    waiting_bytes: Arc<AtomicUsize>,
    /// The others do not wait for it until it has caught up.
    is_left_behind: bool,
}

/// What a link takes out of its place.
#[derive(Debug)]
pub(super) struct Feed {
    receiver: mpsc::Receiver<Shared>,
    waiting_bytes: Arc<AtomicUsize>,
}

impl Feed {
    /// The next run; `None` once the link has left the round. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Shared> {
        let shared = self.receiver.recv().await?;
        self.waiting_bytes.fetch_sub(bytes_of(&shared), Ordering::AcqRel);
        Some(shared)
    }
}

fn bytes_of(shared: &Shared) -> usize {
    let Ok(run) = shared else { return 0 };
    let size = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    run.batch
        .records
        .iter()
        .map(|record| size(&record.key).saturating_add(size(&record.value)))
        .sum()
}

/// Gives everyone a place; one who is alone reads alone.
fn begin(joins: Vec<Join>) -> Vec<Party> {
    let mut parties: Vec<(Lens, Vec<Join>)> = Vec::new();
    let is_alone = joins.len() == 1;
    for join in joins {
        match parties.iter_mut().find(|(lens, _)| *lens == join.lens) {
            Some((_, links)) => links.push(join),
            None => parties.push((join.lens.clone(), vec![join])),
        }
    }
    let mut begun = Vec::new();
    for (lens, joins) in parties {
        let sight = (joins.len() > 1).then(|| Sight::new(lens));
        let mut links = Vec::new();
        for join in joins {
            let (sender, receiver) = mpsc::channel(WAITING_RUNS_MAX);
            let waiting_bytes = Arc::new(AtomicUsize::new(0));
            let feed = Feed { receiver, waiting_bytes: Arc::clone(&waiting_bytes) };
            let place = (!is_alone).then(|| Begun { sight: sight.clone(), feed });
            // A link that is gone needs no place.
            if join.begin.send(place).is_ok() && !is_alone {
                links.push(Place { sender, waiting_bytes, is_left_behind: false });
            }
        }
        if !links.is_empty() {
            begun.push(Party { sight, links });
        }
    }
    begun
}

async fn read<C: Cluster, K: Clock>(cluster: C, topic: String, clock: K, mut parties: Vec<Party>) {
    let mut log = match cluster.read(&topic, 0, 0).await {
        Ok(log) => log,
        Err(fault) => {
            for party in &mut parties {
                party.tell(Err(fault.clone()), &clock).await;
            }
            return;
        }
    };
    let mut stopped = false;
    while !parties.is_empty() && !stopped {
        let news = tokio::select! {
            biased;
            () = all_gone(&parties) => return,
            news = log.next() => news.map(Arc::new),
        };
        // A fault that waiting doesn't mend ends the round.
        stopped = news.as_ref().is_err_and(|fault| fault.class != FaultClass::Transient);
        for party in &mut parties {
            let shared = match &news {
                Ok(batch) => Ok(party.take(batch, &clock).await),
                Err(fault) => Err(fault.clone()),
            };
            party.tell(shared, &clock).await;
        }
        parties.retain(|party| !party.links.is_empty());
    }
}

/// Waits until no link is left.
async fn all_gone(parties: &[Party]) {
    for place in parties.iter().flat_map(|party| &party.links) {
        place.sender.closed().await;
    }
}

impl Party {
    async fn take<K: Clock>(&self, batch: &Arc<Batch>, clock: &K) -> Run {
        let told = match &self.sight {
            Some(sight) => Some(Arc::new(sight.read(&batch.records, clock).await)),
            None => None,
        };
        Run { batch: Arc::clone(batch), told }
    }

    async fn tell<K: Clock>(&mut self, shared: Shared, clock: &K) {
        let mut kept = Vec::with_capacity(self.links.len());
        for mut place in std::mem::take(&mut self.links) {
            place.wait_for(clock).await;
            if place.put(shared.clone()) {
                kept.push(place);
            }
        }
        self.links = kept;
    }
}

impl Place {
    fn waiting(&self) -> usize {
        self.sender.max_capacity().saturating_sub(self.sender.capacity())
    }

    /// Waits until the link has room, or is left behind.
    async fn wait_for<K: Clock>(&mut self, clock: &K) {
        self.is_left_behind &= self.waiting() > 0;
        if self.is_left_behind {
            return;
        }
        let room = WAITING_RUNS_MAX.saturating_sub(AHEAD_MAX).saturating_add(1);
        tokio::select! {
            biased;
            // Whether it is gone shows when it is told.
            _ = self.sender.reserve_many(room) => {}
            () = clock.sleep(SLOW_LINK_WAIT) => self.is_left_behind = true,
        }
    }

    /// Whether the link stays in the round.
    fn put(&self, shared: Shared) -> bool {
        let bytes = bytes_of(&shared);
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        waiting <= WAITING_BYTES_MAX && self.sender.try_send(shared).is_ok()
    }
}
