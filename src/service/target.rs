//! Links of a process that write one target: it is read once, and each record handed only to those
//! that it bears on, so that cost grows with records, not with links.
//!
//! A place is a shortcut, never a promise: a link that gets no further there reads on alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::link::Bearing;
use crate::core::link::Sorter;
use crate::core::provenance::HEADER;
use crate::core::record::Record;
use crate::core::rules::Rules;
use crate::core::subject::ContextName;
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
use crate::service::round::wait_for;

/// How long a round waits for the next link that is on its way: what begins their lives begins them at
/// about one time, and until their groups have formed nothing is held up by it.
const ROUND_WAIT: Duration = Duration::from_secs(3);

/// Where links ask to read a target together.
#[derive(Debug, Clone)]
pub struct TargetReading(Arc<Entrance<Arc<Rules>, Feed>>);

impl TargetReading {
    /// Prepares rounds of reading a topic.
    pub(super) fn prepare<C: Cluster, K: Clock>(cluster: C, topic: String, clock: K) -> Self {
        let (entrance, joins) = round::entrance();
        tokio::spawn(hold_rounds(cluster, topic, clock, joins));
        Self(Arc::new(entrance))
    }

    /// A link's life has begun that will read.
    pub(super) fn come(&self) -> Coming {
        self.0.come()
    }

    /// A place in the next round, which reads the log from its start; `None` where the link is alone.
    pub(super) async fn join(&self, rules: &Rules, coming: Coming) -> Option<Feed> {
        self.0.ask(Arc::new(rules.clone()), coming).await?.await.ok().flatten()
    }
}

async fn hold_rounds<C: Cluster, K: Clock>(
    cluster: C,
    topic: String,
    clock: K,
    mut joins: Joins<Arc<Rules>, Feed>,
) {
    while let Some(joined) = joins.gather(ROUND_WAIT, &clock).await {
        let members = round::begin(joined).map(|(rules, place)| Member { rules, place });
        let members: Vec<Member> = members.collect();
        if !members.is_empty() {
            tokio::spawn(read(cluster.clone(), topic.clone(), clock.clone(), members));
        }
    }
}

#[derive(Debug)]
struct Member {
    rules: Arc<Rules>,
    place: Place,
}

async fn read<C: Cluster, K: Clock>(cluster: C, topic: String, clock: K, members: Vec<Member>) {
    let mut round = Round { members, sorter: Sorter::default(), heeding: BTreeMap::new() };
    // Who finds no reader opens one, and hears why there is none.
    let Ok(mut log) = cluster.read(&topic, 0, 0).await else { return };
    while !round.members.is_empty() {
        let news = tokio::select! {
            biased;
            () = round.all_gone() => return,
            news = log.next() => news,
        };
        match news {
            Ok(batch) => {
                wait_for(round.members.iter_mut().map(|member| &mut member.place), &clock).await;
                round.hand_out(&batch);
            }
            Err(fault) => {
                round.keep_only(|member| member.place.put(Err(fault.clone())));
                // One that waiting doesn't mend ends the round.
                if fault.class != FaultClass::Transient {
                    return;
                }
            }
        }
    }
}

/// Links that read a target together.
#[derive(Debug)]
struct Round {
    members: Vec<Member>,
    sorter: Sorter,
    /// The places of those that have to do with a context.
    heeding: BTreeMap<ContextName, Vec<usize>>,
}

impl Round {
    async fn all_gone(&self) {
        for member in &self.members {
            member.place.gone().await;
        }
    }

    /// Gives everyone what bears on it. Who has no room leaves the round.
    fn hand_out(&mut self, batch: &Batch) {
        let mut given: Vec<Vec<Record>> = vec![Vec::new(); self.members.len()];
        for record in &batch.records {
            match self.sorter.bearing(record) {
                Bearing::Everyone => {
                    given.iter_mut().for_each(|records| records.push(record.clone()));
                }
                Bearing::Context(context) => self.give(record, context, &mut given),
            }
        }
        let mut given = given.into_iter();
        let Batch { next, at_end, .. } = *batch;
        self.keep_only(|member| {
            let records = given.next().unwrap_or_default();
            member.place.put(Ok(Run::untold(Batch { records, next, at_end })))
        });
    }

    /// Lets the others leave: places move up, so what was known of them counts no more.
    fn keep_only(&mut self, stays: impl FnMut(&Member) -> bool) {
        let before = self.members.len();
        self.members.retain(stays);
        if self.members.len() < before {
            self.heeding.clear();
        }
    }

    fn give(&mut self, record: &Record, context: ContextName, given: &mut [Vec<Record>]) {
        let Self { members, heeding, .. } = self;
        let heeding = heeding.entry(context).or_insert_with_key(|context| {
            let heeds = |(_, member): &(usize, &Member)| member.rules.heeds(context);
            members.iter().enumerate().filter(heeds).map(|(place, _)| place).collect()
        });
        let header = record.headers.iter().rev().find(|header| header.name == HEADER);
        let header = header.and_then(|header| header.value.as_deref());
        for place in heeding {
            let is_own = members
                .get(*place)
                .is_some_and(|member| header.is_some_and(|header| member.place.wrote(header)));
            if let Some(records) = given.get_mut(*place).filter(|_| !is_own) {
                records.push(record.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::ports::Fault;

    fn member(context: &str) -> (Member, Feed) {
        let (place, feed) = round::place();
        let rules = Rules::of_test(context, &["*"]);
        (Member { rules: Arc::new(rules), place }, feed)
    }

    fn schema_in(context: &str) -> Batch {
        let key =
            format!(r#"{{"keytype":"SCHEMA","subject":":{context}:s","version":1,"magic":1}}"#);
        let record = Record { key: Some(key.into()), ..Record::default() };
        Batch { records: vec![record], ..Batch::default() }
    }

    #[tokio::test]
    async fn who_stays_gets_its_own_records_though_another_one_left_with_a_fault() {
        let ((a, of_a), (b, mut of_b), (c, mut of_c)) = (member(".a"), member(".b"), member(".c"));
        let mut round =
            Round { members: vec![a, b, c], sorter: Sorter::default(), heeding: BTreeMap::new() };
        // The first record is everyone's, and with the others it is known who has to do with what.
        for context in [".a", ".b", ".c"] {
            round.hand_out(&schema_in(context));
        }
        drop(of_a);
        let fault = Fault {
            operation: "read",
            object: "topic".to_owned(),
            cluster: "target".to_owned(),
            cause: "away".to_owned(),
            class: FaultClass::Transient,
        };
        round.keep_only(|member| member.place.put(Err(fault.clone())));
        round.hand_out(&schema_in(".c"));
        let mut given = [0, 0];
        for (feed, given) in [&mut of_b, &mut of_c].into_iter().zip(&mut given) {
            for _ in 0..5 {
                let run = feed.next().await.unwrap();
                *given = run.map_or(0, |run| run.batch.records.len());
            }
        }
        assert_eq!(given, [0, 1], "the last of five runs");
    }
}
