//! Values that links of a process write, read again together: what several links want of a source is
//! read once, so that cost grows with records, not with links.
//!
//! A place is a shortcut, never a promise: what a link does not get here it reads by itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::core::key::Key;
use crate::core::link::plan::Planned;
use crate::core::record::Offset;
use crate::core::record::Record;
use crate::service::fetcher::READ_THROUGH_MAX;
use crate::service::ports::Batch;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::Log;
use crate::service::round;
use crate::service::round::Coming;
use crate::service::round::Entrance;
use crate::service::round::Feed;
use crate::service::round::Joins;
use crate::service::round::Place;
use crate::service::round::Run;
use crate::service::round::wait_for;

/// How long a round waits for the next link that has not planned yet: those that read their source
/// together know at about one time what they lack.
const ROUND_WAIT: Duration = Duration::from_secs(5);

/// Where links ask to read values together.
#[derive(Debug, Clone)]
pub(super) struct ValueReading(Arc<Entrance<Vec<Offset>, Feed>>);

impl ValueReading {
    /// Prepares rounds of reading values of a topic.
    pub(super) fn prepare<C: Cluster, K: Clock>(cluster: C, topic: String, clock: K) -> Self {
        let (entrance, joins) = round::entrance();
        tokio::spawn(hold_rounds(cluster, topic, clock, joins));
        Self(Arc::new(entrance))
    }

    /// A link reads its source first, and may want values of it then.
    pub(super) fn come(&self) -> Coming {
        self.0.come()
    }

    /// A place in the next round for a link that puts these in this order; none where it is alone.
    pub(super) async fn join(&self, puts: &[Planned], coming: Coming) -> Values {
        let read = puts.iter().filter(|planned| matches!(planned.key, Key::Schema(..)));
        let wanted = longest_ascent(read.filter_map(|planned| planned.offset));
        if wanted.is_empty() {
            return Values::default();
        }
        let feed = match self.0.ask(wanted.clone(), coming).await {
            Some(begun) => begun.await.ok().flatten(),
            None => None,
        };
        Values { wanted: wanted.into(), feed, ..Values::default() }
    }
}

/// What comes to a link of the values that are read together.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// What was asked for and not taken yet, in ascending order.
    wanted: VecDeque<Offset>,
    feed: Option<Feed>,
    records: VecDeque<Record>,
    /// Everything that was wanted before this offset was given.
    read_to: Offset,
}

impl Values {
    /// The record at an offset, if it is among those that are read together; these are to be asked for in
    /// ascending order. Another one is not waited for, and passes none by. Safe to cancel.
    pub(super) async fn take(&mut self, offset: Offset) -> Option<Record> {
        self.wanted.binary_search(&offset).ok()?;
        while self.wanted.pop_front_if(|wanted| *wanted < offset).is_some() {}
        loop {
            while self.records.pop_front_if(|record| record.offset < offset).is_some() {}
            if let Some(record) = self.records.pop_front_if(|record| record.offset == offset) {
                return Some(record);
            }
            if self.read_to > offset {
                return None;
            }
            let told = self.feed.as_mut()?.next().await;
            let Some(Ok(run)) = told else {
                self.feed = None;
                return None;
            };
            self.read_to = run.batch.next;
            self.records.extend(run.batch.records.iter().cloned());
        }
    }
}

async fn hold_rounds<C: Cluster, K: Clock>(
    cluster: C,
    topic: String,
    clock: K,
    mut joins: Joins<Vec<Offset>, Feed>,
) {
    while let Some(joined) = joins.gather(ROUND_WAIT, &clock).await {
        let members = round::begin(joined);
        let members = members.map(|(wanted, place)| Member { wanted: wanted.into(), place });
        let members: Vec<Member> = members.collect();
        if !members.is_empty() {
            tokio::spawn(read(cluster.clone(), topic.clone(), clock.clone(), members));
        }
    }
}

#[derive(Debug)]
struct Member {
    /// Offsets that were not read yet, in ascending order.
    wanted: VecDeque<Offset>,
    place: Place,
}

/// Reads what is wanted, once. Whatever goes wrong ends the round: who reads by itself hears of it.
async fn read<C: Cluster, K: Clock>(cluster: C, topic: String, clock: K, members: Vec<Member>) {
    let mut round = Round { members };
    let Some(mut next) = round.first_wanted() else { return };
    let told = |fault: &Fault| tracing::debug!("values are not read together: {fault}");
    let mut log = match cluster.read(&topic, 0, next).await {
        Ok(log) => log,
        Err(fault) => return told(&fault),
    };
    while let Some(wanted) = round.first_wanted() {
        let is_far = wanted.saturating_sub(next) > READ_THROUGH_MAX;
        if is_far && let Err(fault) = log.seek(wanted).await {
            return told(&fault);
        }
        let batch = tokio::select! {
            biased;
            () = round.all_gone() => return,
            batch = log.next() => batch,
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(fault) => return told(&fault),
        };
        // Nothing lies behind an end but what was cut off, or came after this end was seen.
        let ends = batch.at_end;
        next = batch.next;
        wait_for(round.members.iter_mut().map(|member| &mut member.place), &clock).await;
        round.hand_out(&batch);
        if ends {
            return;
        }
    }
}

/// Links that read values together.
#[derive(Debug)]
struct Round {
    members: Vec<Member>,
}

impl Round {
    fn first_wanted(&self) -> Option<Offset> {
        self.members.iter().filter_map(|member| member.wanted.front()).min().copied()
    }

    async fn all_gone(&self) {
        for member in &self.members {
            member.place.gone().await;
        }
    }

    /// Gives everyone what it wants. Who has no room leaves the round, and who has all is done.
    fn hand_out(&mut self, batch: &Batch) {
        let Batch { next, at_end, .. } = *batch;
        self.members.retain_mut(|member| {
            let before = member.wanted.len();
            let records = member.take(batch);
            if member.wanted.len() == before {
                return true;
            }
            // What is in the log no more is told by how far this was read.
            let has_room = member.place.put(Ok(Run::untold(Batch { records, next, at_end })));
            has_room && !member.wanted.is_empty()
        });
    }
}

impl Member {
    /// What is wanted of a batch; an offset that is not in it is in the log no more.
    fn take(&mut self, batch: &Batch) -> Vec<Record> {
        let mut taken = Vec::new();
        while let Some(wanted) = self.wanted.pop_front_if(|wanted| *wanted < batch.next) {
            let found = batch.records.binary_search_by_key(&wanted, |record| record.offset);
            taken.extend(found.ok().and_then(|place| batch.records.get(place)).map(apart));
        }
        taken
    }
}

/// A record without the block that it was read in, which it would keep for as long as it waits.
fn apart(record: &Record) -> Record {
    let copied = |bytes: &Option<Bytes>| bytes.as_deref().map(Bytes::copy_from_slice);
    let (key, value) = (copied(&record.key), copied(&record.value));
    Record { key, value, headers: record.headers.clone(), ..*record }
}

/// The longest part of a sequence that ascends, in its order. A plan keeps the log's order but where
/// one record has to stand before another.
fn longest_ascent(sequence: impl Iterator<Item = Offset>) -> Vec<Offset> {
    let sequence: Vec<Offset> = sequence.collect();
    // For each length, the place of the smallest that ends an ascent of it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(sequence.len());
    let at = |place: &usize| sequence.get(*place).copied().unwrap_or_default();
    for (place, offset) in sequence.iter().enumerate() {
        let length = ends.partition_point(|end| at(end) < *offset);
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let mut ascent = Vec::with_capacity(ends.len());
    let mut last = ends.last().copied();
    while let Some(place) = last {
        ascent.push(at(&place));
        last = before.get(place).copied().flatten();
    }
    ascent.reverse();
    ascent
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(offsets: &[Offset], next: Offset) -> Batch {
        let record = |offset: &Offset| Record { offset: *offset, ..Record::default() };
        Batch { records: offsets.iter().map(record).collect(), next, at_end: false }
    }

    fn member(wanted: &[Offset]) -> (Member, Values) {
        let (place, feed) = round::place();
        let member = Member { wanted: wanted.iter().copied().collect(), place };
        (member, Values { wanted: wanted.to_vec().into(), feed: Some(feed), ..Values::default() })
    }

    async fn taken(values: &mut Values, offset: Offset) -> Option<Offset> {
        values.take(offset).await.map(|record| record.offset)
    }

    #[tokio::test]
    async fn each_gets_what_it_wants_and_reads_what_is_gone_or_not_wanted_by_itself() {
        let ((a, mut of_a), (b, mut of_b)) = (member(&[1, 4, 9]), member(&[2, 4]));
        let mut round = Round { members: vec![a, b] };
        assert_eq!(round.first_wanted(), Some(1));
        // Compaction took offset 1 since it was planned.
        round.hand_out(&batch(&[0, 2, 3, 4, 5], 6));
        assert_eq!(round.members.len(), 1, "who has all has left");
        round.hand_out(&batch(&[6, 9], 10));
        assert_eq!(round.first_wanted(), None);
        assert_eq!(taken(&mut of_a, 1).await, None, "it is gone");
        assert_eq!(taken(&mut of_a, 3).await, None, "it was not wanted");
        assert_eq!(taken(&mut of_a, 4).await, Some(4));
        assert_eq!(taken(&mut of_a, 2).await, None, "it lies behind");
        assert_eq!(taken(&mut of_a, 9).await, Some(9));
        assert_eq!(taken(&mut of_a, 11).await, None, "the round has ended");
        assert_eq!(taken(&mut of_b, 4).await, Some(4), "what was passed by is let go of");
        assert_eq!(taken(&mut of_b, 5).await, None);
    }

    #[tokio::test]
    async fn what_was_not_asked_for_is_not_waited_for_and_passes_nothing_by() {
        let (member, mut values) = member(&[1, 2, 3, 91]);
        let mut round = Round { members: vec![member] };
        round.hand_out(&batch(&[0, 1, 2, 3], 4));
        assert_eq!(taken(&mut values, 1).await, Some(1));
        assert_eq!(taken(&mut values, 90).await, None, "it has to stand before its turn");
        assert_eq!(taken(&mut values, 2).await, Some(2));
        assert_eq!(taken(&mut values, 3).await, Some(3));
    }

    #[tokio::test]
    async fn what_compaction_took_is_not_waited_for_though_others_read_on() {
        let ((a, mut of_a), (b, _of_b)) = (member(&[1, 9]), member(&[2, 90]));
        let mut round = Round { members: vec![a, b] };
        round.hand_out(&batch(&[1, 2], 10));
        assert_eq!(taken(&mut of_a, 9).await, None);
        assert_eq!(round.first_wanted(), Some(90));
    }

    #[test]
    fn a_plan_that_is_nearly_in_the_logs_order_is_read_in_one_go() {
        let ascent = |offsets: &[Offset]| longest_ascent(offsets.iter().copied());
        assert!(ascent(&[]).is_empty());
        assert_eq!(ascent(&[1, 2, 3]), [1, 2, 3]);
        assert_eq!(ascent(&[90, 1, 2, 3, 91]), [1, 2, 3, 91], "one stands before its turn");
        assert_eq!(ascent(&[4, 6, 8, 1, 5]), [4, 6, 8], "those that are deleted come last");
        assert_eq!(ascent(&[5, 5, 5]), [5]);
    }
}
