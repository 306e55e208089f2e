//! Links that ask for the same within a short time, and what is handed to each of them.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::core::link::Told;
use crate::core::record::Record;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Fault;

/// Runs of records that may wait for a link before the others wait for it.
const AHEAD_MAX: usize = 4;
/// How long the others wait for slow links, before those are left behind until they have caught up.
pub(super) const SLOW_LINK_WAIT: Duration = Duration::from_secs(5);
/// Runs that may wait for a link that was left behind, and what they may take together. One that
/// falls further behind leaves the round. Links that are as slow share the same records.
const WAITING_RUNS_MAX: usize = 4_096;
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Links that may ask to join at once.
const JOINS_MAX: usize = 1024;
/// A round begins no later than this after the first has come: a process with hundreds of links takes
/// its time until all have formed their groups.
const GATHERED_WITHIN: Duration = Duration::from_secs(20);
/// Whether others are still on their way is looked at so often: a life that ends on it says nothing.
const LOOK_FOR_COMING_EVERY: Duration = Duration::from_millis(100);

/// Records, and what they came to where several links look at one view.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) batch: Arc<Batch>,
    pub(super) told: Option<Arc<Vec<Told>>>,
}

impl Run {
    /// Records that a link takes into its own view.
    pub(super) fn untold(batch: Batch) -> Self {
        Self { batch: Arc::new(batch), told: None }
    }

    /// Each record, with what it came to if that is known.
    pub(super) fn records(&self) -> impl Iterator<Item = (&Record, Option<&Told>)> {
        let told = self.told.as_ref();
        let records = self.batch.records.iter().enumerate();
        records.map(move |(place, record)| (record, told.and_then(|told| told.get(place))))
    }
}

/// What a link gets from its round.
pub(super) type Shared = Result<Run, Fault>;

/// A link that asks to join, with what it says of itself, and what it is given when the round begins.
#[derive(Debug)]
pub(super) struct Join<A, B> {
    about: A,
    begin: oneshot::Sender<Option<B>>,
    coming: Coming,
}

/// The way into the rounds of a topic.
#[derive(Debug)]
pub(super) struct Entrance<A, B> {
    joins: mpsc::Sender<Join<A, B>>,
    coming: Arc<AtomicUsize>,
}

/// A link on its way to the next round, which waits for it a while.
#[derive(Debug)]
pub(super) struct Coming(Arc<AtomicUsize>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Those who come in.
#[derive(Debug)]
pub(super) struct Joins<A, B> {
    joined: mpsc::Receiver<Join<A, B>>,
    coming: Arc<AtomicUsize>,
}

/// An entrance, and who comes in there.
pub(super) fn entrance<A, B>() -> (Entrance<A, B>, Joins<A, B>) {
    let (joins, joined) = mpsc::channel(JOINS_MAX);
    let coming = Arc::<AtomicUsize>::default();
    (Entrance { joins, coming: Arc::clone(&coming) }, Joins { joined, coming })
}

impl<A, B> Entrance<A, B> {
    /// A link's life has begun that will ask to join.
    pub(super) fn come(&self) -> Coming {
        self.coming.fetch_add(1, Ordering::AcqRel);
        Coming(Arc::clone(&self.coming))
    }

    /// Whether no second one is on its way.
    pub(super) fn is_alone(&self) -> bool {
        self.coming.load(Ordering::Acquire) <= 1
    }

    /// Asks for a place in the next round, which answers with none where a link is alone.
    pub(super) async fn ask(
        &self,
        about: A,
        coming: Coming,
    ) -> Option<oneshot::Receiver<Option<B>>> {
        let (begin, begun) = oneshot::channel();
        // Nobody holds rounds when the process ends.
        self.joins.send(Join { about, begin, coming }).await.ok()?;
        Some(begun)
    }
}

impl<A, B> Joins<A, B> {
    /// Collects the links of a round: until no more are on their way, or none has come for some time.
    pub(super) async fn gather<K: Clock>(
        &mut self,
        wait: Duration,
        clock: &K,
    ) -> Option<Vec<(A, oneshot::Sender<Option<B>>)>> {
        let mut joins = vec![arrived(self.joined.recv().await?)];
        let last = clock.monotonic().saturating_add(GATHERED_WITHIN);
        let mut deadline = clock.monotonic().saturating_add(wait);
        while self.coming.load(Ordering::Acquire) > 0 {
            let rest = deadline.min(last).saturating_sub(clock.monotonic());
            if rest.is_zero() {
                break;
            }
            tokio::select! {
                biased;
                join = self.joined.recv() => match join {
                    Some(join) => {
                        joins.push(arrived(join));
                        deadline = clock.monotonic().saturating_add(wait);
                    }
                    None => break,
                },
                () = clock.sleep(rest.min(LOOK_FOR_COMING_EVERY)) => {}
            }
        }
        // Whose life has ended meanwhile does not count.
        joins.retain(|(_, begin)| !begin.is_closed());
        Some(joins)
    }
}

/// One who has arrived is on the way no more.
fn arrived<A, B>(join: Join<A, B>) -> (A, oneshot::Sender<Option<B>>) {
    let Join { about, begin, coming } = join;
    drop(coming);
    (about, begin)
}

/// What both ends of a place know.
#[derive(Debug, Default)]
struct Standing {
    /// What the runs take that wait for the link.
    waiting_bytes: AtomicUsize,
    /// It does nothing but read now, so that the others wait for it.
    reads: AtomicBool,
    /// The header of what it wrote itself and need not be given.
    own_header: OnceLock<Vec<u8>>,
}

/// A link's place in a round.
#[derive(Debug)]
pub(super) struct Place {
    sender: mpsc::Sender<Shared>,
    standing: Arc<Standing>,
    /// The others do not wait for it until it has caught up.
    is_left_behind: bool,
}

/// What a link takes out of its place.
#[derive(Debug)]
pub(super) struct Feed {
    receiver: mpsc::Receiver<Shared>,
    standing: Arc<Standing>,
}

/// A place, and what is taken out of it.
pub(super) fn place() -> (Place, Feed) {
    let (sender, receiver) = mpsc::channel(WAITING_RUNS_MAX);
    let standing = Arc::new(Standing::default());
    standing.reads.store(true, Ordering::Release);
    let feed = Feed { receiver, standing: Arc::clone(&standing) };
    (Place { sender, standing, is_left_behind: false }, feed)
}

/// Gives everyone a place who is still there; one who is alone reads alone.
pub(super) fn begin<A>(
    joined: Vec<(A, oneshot::Sender<Option<Feed>>)>,
) -> impl Iterator<Item = (A, Place)> {
    let is_alone = joined.len() == 1;
    joined.into_iter().filter_map(move |(about, begin)| {
        let (place, feed) = place();
        let is_there = begin.send((!is_alone).then_some(feed)).is_ok();
        (is_there && !is_alone).then_some((about, place))
    })
}

impl Feed {
    /// The next run; `None` once the link has left the round. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Shared> {
        let shared = self.receiver.recv().await?;
        self.standing.waiting_bytes.fetch_sub(bytes_of(&shared), Ordering::AcqRel);
        Some(shared)
    }

    /// From here on the link has other things to do, and the others do not wait for it.
    pub(super) fn stops_reading(&self) {
        self.standing.reads.store(false, Ordering::Release);
    }

    /// What has this header comes from the link itself, and need not be given.
    pub(super) fn leave_out(&self, own_header: &[u8]) {
        // A life has one lease, so it says this once.
        drop(self.standing.own_header.set(own_header.to_vec()));
    }
}

fn bytes_of(shared: &Shared) -> usize {
    let Ok(run) = shared else { return 0 };
    let size = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let sizes = run.batch.records.iter();
    sizes.map(|record| size(&record.key).saturating_add(size(&record.value))).sum()
}

/// Waits until every link has room that reads, or is left behind.
pub(super) async fn wait_for<K: Clock>(places: impl Iterator<Item = &mut Place>, clock: &K) {
    let deadline = clock.monotonic().saturating_add(SLOW_LINK_WAIT);
    for place in places {
        let rest = deadline.saturating_sub(clock.monotonic());
        place.wait_for(rest, clock).await;
    }
}

impl Place {
    fn waiting(&self) -> usize {
        self.sender.max_capacity().saturating_sub(self.sender.capacity())
    }

    async fn wait_for<K: Clock>(&mut self, rest: Duration, clock: &K) {
        self.is_left_behind &= self.waiting() > 0;
        let is_full = self.waiting() >= AHEAD_MAX;
        if !is_full || self.is_left_behind || !self.standing.reads.load(Ordering::Acquire) {
            return;
        }
        let room = WAITING_RUNS_MAX.saturating_sub(AHEAD_MAX).saturating_add(1);
        tokio::select! {
            biased;
            // Whether it is gone shows when it is told.
            _ = self.sender.reserve_many(room) => {}
            () = clock.sleep(rest) => self.is_left_behind = true,
        }
    }

    /// Gives a run to the link; whether it stays in the round.
    pub(super) fn put(&self, shared: Shared) -> bool {
        let bytes = bytes_of(&shared);
        let waiting = self.standing.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        waiting <= WAITING_BYTES_MAX && self.sender.try_send(shared).is_ok()
    }

    /// Whether the link wrote what has this header.
    pub(super) fn wrote(&self, header: &[u8]) -> bool {
        self.standing.own_header.get().is_some_and(|own| own == header)
    }

    /// Waits until the link is gone.
    pub(super) async fn gone(&self) {
        self.sender.closed().await;
    }
}
