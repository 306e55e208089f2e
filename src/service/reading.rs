//! Links of a process that read one source together: it is fetched once, decoded once and kept once,
//! so that cost grows with records, not with links.
//!
//! Links that begin at about the same time make a round. Each is told every record from the log's
//! start on; those that see the source alike (see [`Lens`]) look at one view of it. A link whose life
//! ends leaves its round; its next life asks for another one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::core::link::Lens;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::FaultClass;
use crate::service::ports::Log;
use crate::service::round;
use crate::service::round::Coming;
use crate::service::round::Entrance;
use crate::service::round::Feed;
use crate::service::round::Joins;
use crate::service::round::Place;
use crate::service::round::Run;
use crate::service::round::Shared;
use crate::service::round::wait_for;
use crate::service::sight::Sight;
use crate::service::stream::Stream;
use crate::service::values::ValueReading;

/// How long the first round waits for the next of the process's links.
const FIRST_ROUND_WAIT: Duration = Duration::from_secs(5);
/// The same for later rounds, which also begin at last when links keep coming: what ends the lives of several links ends them at about one time.
const LATER_ROUND_WAIT: Duration = Duration::from_secs(1);

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
    rounds: Arc<Entrance<Lens, Begun>>,
    values: ValueReading,
}

impl Reading {
    /// Prepares rounds of reading a topic.
    pub(super) fn prepare<C: Cluster, K: Clock>(cluster: C, topic: String, clock: K) -> Self {
        let (entrance, joins) = round::entrance();
        let values = ValueReading::prepare(cluster.clone(), topic.clone(), clock.clone());
        tokio::spawn(hold_rounds(cluster, topic, clock, joins));
        Self { rounds: Arc::new(entrance), values }
    }

    /// A link's life has begun that will read.
    pub(super) fn come(&self) -> Coming {
        self.rounds.come()
    }

    /// Whether no second link is on its way.
    pub(super) fn is_alone(&self) -> bool {
        self.rounds.is_alone()
    }

    /// Where values are asked for that links write.
    pub(super) fn values(&self) -> &ValueReading {
        &self.values
    }

    /// Asks for a place in the next round. Reading begins with it.
    pub(super) async fn join<C: Cluster>(
        &self,
        cluster: C,
        topic: &str,
        lens: Lens,
        coming: Coming,
    ) -> Stream<C> {
        Stream::in_round(cluster, topic, self.rounds.ask(lens, coming).await)
    }
}

async fn hold_rounds<C: Cluster, K: Clock>(
    cluster: C,
    topic: String,
    clock: K,
    mut joins: Joins<Lens, Begun>,
) {
    let mut wait = FIRST_ROUND_WAIT;
    while let Some(joined) = joins.gather(wait, &clock).await {
        wait = LATER_ROUND_WAIT;
        let parties = begin(joined);
        if !parties.is_empty() {
            tokio::spawn(read(cluster.clone(), topic.clone(), clock.clone(), parties));
        }
    }
}

/// A link that asked to join.
type Joined = (Lens, oneshot::Sender<Option<Begun>>);

/// Links of one lens.
#[derive(Debug)]
struct Party {
    sight: Option<Sight>,
    links: Vec<Place>,
}

/// Gives everyone a place; one who is alone reads alone.
fn begin(joined: Vec<Joined>) -> Vec<Party> {
    let mut parties: Vec<(Lens, Vec<oneshot::Sender<Option<Begun>>>)> = Vec::new();
    let is_alone = joined.len() == 1;
    for (lens, begin) in joined {
        match parties.iter_mut().find(|(known, _)| *known == lens) {
            Some((_, links)) => links.push(begin),
            None => parties.push((lens, vec![begin])),
        }
    }
    let mut started = Vec::new();
    for (lens, waiting) in parties {
        let sight = (waiting.len() > 1).then(|| Sight::new(lens));
        let mut links = Vec::new();
        for begin in waiting {
            let (place, feed) = round::place();
            let begun = (!is_alone).then(|| Begun { sight: sight.clone(), feed });
            // A link that is gone needs no place.
            if begin.send(begun).is_ok() && !is_alone {
                links.push(place);
            }
        }
        if !links.is_empty() {
            started.push(Party { sight, links });
        }
    }
    started
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
        place.gone().await;
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
        wait_for(self.links.iter_mut(), clock).await;
        self.links.retain(|place| place.put(shared.clone()));
    }
}
