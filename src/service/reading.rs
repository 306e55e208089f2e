//! Reading a source: several links share one reader of a topic, so that cost grows with records,
//! not with links.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::core::record::Offset;
use crate::core::record::Record;
use crate::core::record::after;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;

/// Batches that may wait for a link. One that falls further behind reads alone from there on.
const WAITING_MAX: usize = 4;
/// How long the others wait for a slow link before it has to read alone.
const SLOW_LINK_WAIT: Duration = Duration::from_secs(5);

/// How long a reader of one's own is waited for behind an end that it saw too early.
const OLD_END_WAIT: Duration = Duration::from_millis(500);
/// How long the first link waits for the others before the shared reading begins.
const JOIN_WAIT: Duration = Duration::from_secs(5);
/// Links that may ask to join at once.
const JOINS_MAX: usize = 1024;

type Shared = Result<Arc<Batch>, Fault>;

/// Where links ask to read a source together.
#[derive(Debug, Clone)]
pub struct Reading {
    joins: mpsc::Sender<mpsc::Sender<Shared>>,
}

impl Reading {
    /// Prepares a shared reading of a topic from its start for so many links. It begins when all of
    /// them have joined, or some time after the first; links that come later read alone.
    pub fn prepare<C: Cluster, K: Clock>(
        cluster: C,
        topic: String,
        links: usize,
        clock: K,
    ) -> Self {
        let (joins, joined) = mpsc::channel(JOINS_MAX);
        tokio::spawn(share(cluster, topic, links, clock, joined));
        Self { joins }
    }

    /// Joins the shared reading, or reads alone where it has begun already.
    pub async fn join<C: Cluster>(&self, cluster: C, topic: &str) -> SourceStream<C> {
        let (feed, shared) = mpsc::channel(WAITING_MAX);
        let joined = self.joins.send(feed).await.is_ok();
        SourceStream {
            cluster,
            topic: topic.to_owned(),
            shared: joined.then_some(shared),
            own: None,
            opening: None,
            next: 0,
        }
    }
}

async fn share<C: Cluster, K: Clock>(
    cluster: C,
    topic: String,
    links: usize,
    clock: K,
    mut joined: mpsc::Receiver<mpsc::Sender<Shared>>,
) {
    let mut feeds = Vec::new();
    let Some(first) = joined.recv().await else { return };
    feeds.push(first);
    let deadline = clock.monotonic().saturating_add(JOIN_WAIT);
    while feeds.len() < links {
        let rest = deadline.saturating_sub(clock.monotonic());
        tokio::select! {
            biased;
            feed = joined.recv() => match feed {
                Some(feed) => feeds.push(feed),
                None => break,
            },
            () = clock.sleep(rest) => break,
        }
    }
    // From here on whoever asks is turned away and reads alone.
    joined.close();
    let mut log = match cluster.read(&topic, 0, 0).await {
        Ok(log) => log,
        Err(fault) => {
            for feed in feeds {
                // A link that is gone needs no news.
                drop(feed.send(Err(fault.clone())).await);
            }
            return;
        }
    };
    let mut stopped = false;
    while !feeds.is_empty() && !stopped {
        let batch: Shared = log.next().await.map(Arc::new);
        // A fault that waiting doesn't mend ends the reading; who goes on, goes on alone.
        stopped = batch.as_ref().is_err_and(|fault| fault.class != FaultClass::Transient);
        let mut kept = Vec::with_capacity(feeds.len());
        for feed in feeds {
            let sent = tokio::select! {
                biased;
                sent = feed.send(batch.clone()) => sent.is_ok(),
                () = clock.sleep(SLOW_LINK_WAIT) => false,
            };
            if sent {
                kept.push(feed);
            }
        }
        feeds = kept;
    }
}

/// A link's stream of its source: shared while it keeps up, alone otherwise.
#[derive(Debug)]
pub struct SourceStream<C: Cluster> {
    cluster: C,
    topic: String,
    shared: Option<mpsc::Receiver<Shared>>,
    own: Option<C::Log>,
    /// The way to a reader of its own; kept, so that being cancelled loses nothing.
    opening: Option<JoinHandle<Result<C::Log, Fault>>>,
    next: Offset,
}

impl<C: Cluster> SourceStream<C> {
    /// A stream of its own.
    pub fn alone(cluster: C, topic: &str) -> Self {
        Self { cluster, topic: topic.to_owned(), shared: None, own: None, opening: None, next: 0 }
    }

    /// Begins to open its reader before anything is asked for.
    pub fn fetch_ahead(&mut self) {
        if self.shared.is_none() && self.own.is_none() {
            self.begin_opening();
        }
    }

    /// Reads on with a reader that is opened only now: what it says of the end is no older than this.
    pub fn read_anew(&mut self) {
        self.shared = None;
        self.own = None;
        self.opening = None;
    }

    /// How long more is waited for behind an end that was seen too early, before a new reader is
    /// opened. A shared reading may stand still for the sake of a slow neighbour.
    #[must_use]
    pub fn patience(&self) -> Duration {
        match self.shared {
            Some(_) => SLOW_LINK_WAIT.saturating_mul(2),
            None => OLD_END_WAIT,
        }
    }

    /// Everything before this offset was given.
    #[must_use]
    pub fn read_to(&self) -> Offset {
        self.next
    }

    /// The next run of records. Safe to cancel.
    ///
    /// # Errors
    /// The reader's faults.
    pub async fn next(&mut self) -> Shared {
        if let Some(shared) = &mut self.shared {
            match shared.recv().await {
                Some(batch) => {
                    if let Ok(batch) = &batch {
                        self.next = batch.next;
                    }
                    return batch;
                }
                None => self.shared = None,
            }
        }
        if self.own.is_none() {
            self.open().await?;
        }
        match &mut self.own {
            Some(log) => {
                let batch = log.next().await?;
                self.next = batch.next;
                Ok(Arc::new(batch))
            }
            None => Ok(Arc::new(Batch { next: self.next, ..Batch::default() })),
        }
    }
}

impl<C: Cluster> SourceStream<C> {
    fn begin_opening(&mut self) -> &mut JoinHandle<Result<C::Log, Fault>> {
        self.opening.get_or_insert_with(|| {
            let (cluster, topic, next) = (self.cluster.clone(), self.topic.clone(), self.next);
            tokio::spawn(async move { cluster.read(&topic, 0, next).await })
        })
    }

    async fn open(&mut self) -> Result<(), Fault> {
        let opened = self.begin_opening().await;
        self.opening = None;
        self.own = Some(opened.map_err(|panic| Fault {
            operation: "read",
            object: format!("topic {}", self.topic),
            cluster: self.cluster.name().to_owned(),
            cause: panic.to_string(),
            class: FaultClass::Permanent,
        })??);
        Ok(())
    }
}

/// Reads single records again, by offset.
#[derive(Debug)]
pub struct Fetcher<C: Cluster> {
    cluster: C,
    topic: String,
    log: Option<C::Log>,
    records: std::vec::IntoIter<Record>,
    /// The offset after the last record that was taken out of `records`.
    passed: Offset,
    /// The offset after the last record that the reader gave.
    read_to: Offset,
    at_end: bool,
}

/// A gap up to this many offsets is read through; a longer one is jumped over.
const READ_THROUGH_MAX: Offset = 2_000;

impl<C: Cluster> Fetcher<C> {
    /// A fetcher that has read nothing yet.
    pub fn new(cluster: C, topic: &str) -> Self {
        Self {
            cluster,
            topic: topic.to_owned(),
            log: None,
            records: Vec::new().into_iter(),
            passed: 0,
            read_to: 0,
            at_end: false,
        }
    }

    /// The record at an offset; `None` where compaction took it: then the key has a newer one.
    ///
    /// # Errors
    /// The reader's faults.
    pub async fn fetch(&mut self, offset: Offset) -> Result<Option<Record>, Fault> {
        let was_open = self.log.is_some();
        match self.fetch_once(offset).await {
            // A reader that nobody asked for a while still tells of an outage that may be over, or of
            // a broker that had just started and did not know its topics yet.
            Err(fault) if was_open => {
                tracing::debug!("a new reader is asked: {fault}");
                self.log = None;
                self.fetch_once(offset).await
            }
            told => told,
        }
    }

    async fn fetch_once(&mut self, offset: Offset) -> Result<Option<Record>, Fault> {
        let far = offset.saturating_sub(self.read_to) > READ_THROUGH_MAX;
        let mut sought = self.log.is_none();
        if sought {
            self.log = Some(self.cluster.read(&self.topic, 0, offset).await?);
            self.jump(offset);
        } else if offset < self.passed || (offset >= self.read_to && far) {
            self.seek(offset).await?;
            sought = true;
        }
        loop {
            for record in self.records.by_ref() {
                self.passed = after(record.offset);
                if record.offset == offset {
                    return Ok(Some(record));
                }
                if record.offset > offset {
                    // It may be asked for next: seek back to it then.
                    return Ok(None);
                }
            }
            if self.read_to > offset || (self.at_end && sought) {
                return Ok(None);
            }
            // The end was seen before the record was written: the reader was not asked for a while.
            if self.at_end {
                self.seek(offset).await?;
                sought = true;
            }
            let Some(log) = &mut self.log else { return Ok(None) };
            let batch = log.next().await?;
            self.read_to = batch.next;
            self.at_end = batch.at_end;
            self.records = batch.records.into_iter();
        }
    }

    async fn seek(&mut self, offset: Offset) -> Result<(), Fault> {
        if let Some(log) = &mut self.log {
            log.seek(offset).await?;
        }
        self.jump(offset);
        Ok(())
    }

    fn jump(&mut self, offset: Offset) {
        self.records = Vec::new().into_iter();
        self.passed = offset;
        self.read_to = offset;
        self.at_end = false;
    }
}
