//! A link's stream of a log: from its round where it reads together with others, else its own.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::core::record::Offset;
use crate::service::ports::Batch;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;
use crate::service::reading::Begun;
use crate::service::round::Feed;
use crate::service::round::Run;
use crate::service::round::SLOW_LINK_WAIT;
use crate::service::round::Shared;
use crate::service::sight::Sight;

/// How long a reader of one's own is waited for behind an end that it saw too early.
const OLD_END_WAIT: Duration = Duration::from_millis(500);

/// A link's stream of its source, or of its target.
#[derive(Debug)]
pub(super) struct Stream<C: Cluster> {
    cluster: C,
    topic: String,
    round: Round,
    own: Option<C::Log>,
    /// The way to a reader of its own; kept, so that being cancelled loses nothing.
    opening: Option<JoinHandle<Result<C::Log, Fault>>>,
    next: Offset,
}

/// Where a link stands in its round.
#[derive(Debug)]
enum Round {
    /// It reads alone.
    None,
    /// It has asked for a place.
    Asked(oneshot::Receiver<Option<Begun>>),
    /// It gets what it takes into its own view.
    Untold(Feed),
    /// It looks at a view together with others, and can't go on without them.
    Told(Feed),
    /// It looked at such a view and has left the round.
    Left,
}

impl<C: Cluster> Stream<C> {
    /// A stream of its own.
    pub(super) fn alone(cluster: C, topic: &str) -> Self {
        Self {
            cluster,
            topic: topic.to_owned(),
            round: Round::None,
            own: None,
            opening: None,
            next: 0,
        }
    }

    /// A stream of its own from an offset on, with its reader opened.
    ///
    /// # Errors
    /// Why there is no reader.
    pub(super) async fn open(cluster: C, topic: &str, from: Offset) -> Result<Self, Fault> {
        let own = cluster.read(topic, 0, from).await?;
        Ok(Self { own: Some(own), next: from, ..Self::alone(cluster, topic) })
    }

    /// A stream from a round that is asked for; its own where there is none.
    pub(super) fn in_round(
        cluster: C,
        topic: &str,
        asked: Option<oneshot::Receiver<Option<Begun>>>,
    ) -> Self {
        let round = asked.map_or(Round::None, Round::Asked);
        Self { round, ..Self::alone(cluster, topic) }
    }

    /// A stream from a round that began, in which it takes what it gets into its own view.
    pub(super) fn in_feed(cluster: C, topic: &str, feed: Feed) -> Self {
        Self { round: Round::Untold(feed), ..Self::alone(cluster, topic) }
    }

    /// The link has other things to do from here on than to read: nobody waits for it.
    pub(super) fn stops_reading(&self) {
        if let Round::Untold(feed) = &self.round {
            feed.stops_reading();
        }
    }

    /// What has this header comes from the link itself, and need not be given.
    pub(super) fn leave_out(&self, own_header: &[u8]) {
        if let Round::Untold(feed) = &self.round {
            feed.leave_out(own_header);
        }
    }

    /// Begins to open its reader before anything is asked for.
    pub(super) fn fetch_ahead(&mut self) {
        if matches!(self.round, Round::None) && self.own.is_none() {
            self.begin_opening();
        }
    }

    /// Whether its own reader is open, or about to be.
    pub(super) fn is_fetching(&self) -> bool {
        self.own.is_some() || self.opening.is_some()
    }

    /// Waits for the round to begin, if it was asked for; what the link looks at then, if that is not
    /// a view of its own. To be called before anything is read. Safe to cancel.
    pub(super) async fn begin(&mut self) -> Option<Sight> {
        let Round::Asked(asked) = &mut self.round else { return None };
        // Nobody holds rounds when the process ends.
        let begun = asked.await.ok().flatten();
        let Some(Begun { sight, feed }) = begun else {
            self.round = Round::None;
            return None;
        };
        self.round = if sight.is_some() { Round::Told(feed) } else { Round::Untold(feed) };
        sight
    }

    /// Reads on with a reader that is opened only now: what it says of the end is no older than this.
    /// Who looks at a view together with others has to begin anew instead.
    pub(super) fn read_anew(&mut self) {
        self.round = match self.round {
            Round::Told(_) | Round::Left => Round::Left,
            Round::None | Round::Asked(_) | Round::Untold(_) => Round::None,
        };
        self.own = None;
        self.opening = None;
    }

    /// How long more is waited for behind an end that was seen too early, before a new reader is
    /// opened. A round may stand still for the sake of a slow neighbour.
    pub(super) fn patience(&self) -> Duration {
        match self.round {
            Round::Asked(_) | Round::Untold(_) | Round::Told(_) => SLOW_LINK_WAIT.saturating_mul(2),
            Round::None | Round::Left => OLD_END_WAIT,
        }
    }

    /// Whether it looked at a view together with others and has left them: nothing more comes.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.round, Round::Left)
    }

    /// Everything before this offset was given.
    pub(super) fn read_to(&self) -> Offset {
        self.next
    }

    /// The next run of records. Safe to cancel.
    ///
    /// # Errors
    /// The reader's faults, and having left a round without which the link can't go on.
    pub(super) async fn next(&mut self) -> Shared {
        let (feed, can_go_on) = match &mut self.round {
            Round::Untold(feed) => (Some(feed), true),
            Round::Told(feed) => (Some(feed), false),
            Round::None | Round::Asked(_) => (None, true),
            Round::Left => (None, false),
        };
        if let Some(feed) = feed
            && let Some(shared) = feed.next().await
        {
            if let Ok(run) = &shared {
                self.next = run.batch.next;
            }
            return shared;
        }
        if !can_go_on {
            self.round = Round::Left;
            return Err(self.left());
        }
        self.round = Round::None;
        if self.own.is_none() {
            self.open_own().await?;
        }
        match &mut self.own {
            Some(log) => {
                let batch = log.next().await?;
                self.next = batch.next;
                Ok(Run::untold(batch))
            }
            None => Ok(Run::untold(Batch { next: self.next, ..Batch::default() })),
        }
    }

    fn left(&self) -> Fault {
        Fault {
            operation: "read",
            object: format!("topic {}", self.topic),
            cluster: self.cluster.name().to_owned(),
            cause: "the link fell too far behind those that it reads together with, or their \
                    reading ended; comparing everything again"
                .to_owned(),
            class: FaultClass::Transient,
        }
    }

    fn begin_opening(&mut self) -> &mut JoinHandle<Result<C::Log, Fault>> {
        self.opening.get_or_insert_with(|| {
            let (cluster, topic, next) = (self.cluster.clone(), self.topic.clone(), self.next);
            tokio::spawn(async move { cluster.read(&topic, 0, next).await })
        })
    }

    async fn open_own(&mut self) -> Result<(), Fault> {
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
