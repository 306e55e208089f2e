//! How far a link is behind its source, in offsets and in time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::record::Offset;

/// Ends of the source that are remembered. Beyond that neighbours are merged, the older one's time
/// counting: the lag is then told too large, by no more than what lay between the two.
const SEEN_MAX: usize = 128;

/// When the source was first seen to hold what is not in the target yet. It counts by our own clock
/// alone: neither a source that is idle nor a record's timestamp moves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lag {
    /// Ends of the source, rising, each with the time when it was first seen.
    seen: VecDeque<(Offset, Duration)>,
    /// Everything before this offset is in the target.
    done_before: Offset,
}

impl Lag {
    /// The source was seen to end here.
    pub fn saw(&mut self, end: Offset, now: Duration) {
        let known = self.seen.back().map_or(self.done_before, |(end, _)| *end);
        if end <= known {
            return;
        }
        if self.seen.len() == SEEN_MAX {
            self.merge();
        }
        self.seen.push_back((end, now));
    }

    /// Everything before this offset is in the target.
    pub fn done(&mut self, before: Offset) {
        self.done_before = self.done_before.max(before);
        while self.seen.pop_front_if(|(end, _)| *end <= self.done_before).is_some() {}
    }

    /// The source is another log than before, or the same one cut off.
    pub fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// Offsets of the source that are not known to be in the target. Compaction and markers leave
    /// offsets without records, so there may be fewer records.
    #[must_use]
    pub fn offsets(&self) -> u64 {
        let end = self.seen.back().map_or(self.done_before, |(end, _)| *end);
        u64::try_from(end.saturating_sub(self.done_before)).unwrap_or(0)
    }

    /// Since when the oldest of them has been known.
    #[must_use]
    pub fn since(&self) -> Option<Duration> {
        self.seen.front().map(|(_, at)| *at)
    }

    /// For how long the oldest of them has been known.
    #[must_use]
    pub fn time(&self, now: Duration) -> Duration {
        self.since().map_or(Duration::ZERO, |at| now.saturating_sub(at))
    }

    fn merge(&mut self) {
        let mut older = None;
        let mut merged = VecDeque::with_capacity(SEEN_MAX);
        for (end, at) in self.seen.drain(..) {
            match older.take() {
                None => older = Some(at),
                Some(first) => merged.push_back((end, first)),
            }
        }
        self.seen = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn time_counts_from_when_the_oldest_missing_offset_was_seen() {
        let mut lag = Lag::default();
        lag.saw(10, s(1));
        lag.saw(20, s(5));
        lag.saw(20, s(6));
        assert_eq!((lag.offsets(), lag.time(s(7))), (20, s(6)));
        lag.done(9);
        assert_eq!((lag.offsets(), lag.time(s(7))), (11, s(6)));
        lag.done(10);
        assert_eq!((lag.offsets(), lag.time(s(7))), (10, s(2)));
        lag.done(20);
        assert_eq!((lag.offsets(), lag.time(s(99))), (0, s(0)), "an idle source does not age");
    }

    #[test]
    fn a_lag_of_many_steps_is_told_too_large_and_never_too_small() {
        let mut lag = Lag::default();
        let mut truth = Vec::new();
        for step in 1..10_000_u64 {
            let end = Offset::try_from(step).unwrap();
            lag.saw(end, s(step));
            truth.push((end, s(step)));
            assert!(lag.seen.len() <= SEEN_MAX);
        }
        for before in (0..9_999).step_by(97) {
            lag.done(before);
            let (_, at) = truth.iter().find(|(end, _)| *end > before).unwrap();
            assert!(lag.time(s(20_000)) >= s(20_000) - *at, "at {before}");
        }
        lag.done(9_999);
        assert_eq!(lag.time(s(20_000)), s(0));
    }

    #[test]
    fn a_source_that_begins_anew_has_no_past() {
        let mut lag = Lag::default();
        lag.saw(100, s(1));
        lag.done(100);
        lag.begin_anew();
        lag.saw(3, s(9));
        assert_eq!((lag.offsets(), lag.time(s(10))), (3, s(1)));
    }
}
