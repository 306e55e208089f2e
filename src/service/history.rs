//! The last hour of every link, in samples, for whoever watches. It is kept in memory and begins anew
//! with the process; for longer there are metrics.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;

use crate::service::ports::Clock;
use crate::service::supervisor::Roster;

/// Between two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Samples that are kept of each link: an hour's. 40 bytes each, so 15 KB a link.
pub const SAMPLES_KEPT_MAX: usize = 360;

/// A link at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When, in ms since 1970.
    pub at_ms: i64,
    /// Where it was in its life, in one word.
    pub state: &'static str,
    /// Offsets of the source that were not in the target; `None` while it stood by, as the next.
    pub lag_records: Option<u64>,
    /// For how long the oldest of them had been known.
    pub lag_ms: Option<u64>,
    /// Records written since the process started.
    pub written: u64,
}

/// A link by its source and name.
pub type LinkId = (String, String);

/// The last hour of all links. Copies are of one history.
#[derive(Debug, Clone)]
pub struct History {
    samples: Arc<Mutex<BTreeMap<LinkId, VecDeque<Sample>>>>,
    /// Counts the rounds of samples.
    rounds: watch::Sender<u64>,
}

impl Default for History {
    fn default() -> Self {
        Self { samples: Arc::default(), rounds: watch::Sender::new(0) }
    }
}

impl History {
    fn samples(&self) -> MutexGuard<'_, BTreeMap<LinkId, VecDeque<Sample>>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes samples until it is cancelled.
    pub async fn record<K: Clock>(&self, roster: watch::Receiver<Roster>, clock: K) {
        loop {
            self.sample(&roster.borrow(), &clock);
            clock.sleep(SAMPLE_EVERY).await;
        }
    }

    /// Takes one sample of every link; those that are gone are forgotten.
    fn sample<K: Clock>(&self, roster: &Roster, clock: &K) {
        let (at_ms, now) = (clock.wall_ms(), clock.monotonic());
        let mut samples = self.samples();
        let mut before = std::mem::take(&mut *samples);
        for watched in &roster.links {
            let status = watched.status.borrow();
            let knows_its_lag = status.phase.knows_its_lag();
            let lag_ms = u64::try_from(status.lag.time(now).as_millis()).unwrap_or(u64::MAX);
            let sample = Sample {
                at_ms,
                state: status.phase.word(),
                lag_records: knows_its_lag.then(|| status.lag.offsets()),
                lag_ms: knows_its_lag.then_some(lag_ms),
                written: status.counts.written(),
            };
            let id = (watched.source.clone(), watched.link.clone());
            let mut kept = before.remove(&id).unwrap_or_default();
            if kept.len() >= SAMPLES_KEPT_MAX {
                kept.pop_front();
            }
            kept.push_back(sample);
            samples.insert(id, kept);
        }
        drop(samples);
        self.rounds.send_modify(|round| *round = round.wrapping_add(1));
    }

    /// The last hour of a link, oldest first.
    #[must_use]
    pub fn of(&self, id: &LinkId) -> Vec<Sample> {
        self.samples().get(id).map(|kept| kept.iter().copied().collect()).unwrap_or_default()
    }

    /// The newest sample of every link.
    #[must_use]
    pub fn newest(&self) -> Vec<(LinkId, Sample)> {
        let samples = self.samples();
        let newest = samples.iter().filter_map(|(id, kept)| Some((id.clone(), *kept.back()?)));
        newest.collect()
    }

    /// Told of every round of samples.
    #[must_use]
    pub fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::acknowledgements::asks;
    use crate::service::clock::SystemClock;
    use crate::service::status::Phase;
    use crate::service::status::Status;
    use crate::service::supervisor::Watched;

    fn link(name: &str) -> (watch::Sender<Status>, Watched) {
        let (sender, status) = watch::channel(Status::default());
        let (source, target) = ("a".to_owned(), "b".to_owned());
        let asks = asks().0;
        (sender, Watched { link: name.to_owned(), source, target, status, asks })
    }

    #[test]
    fn an_hour_is_kept_of_each_link_for_as_long_as_it_is_there() {
        let (history, clock) = (History::default(), SystemClock::start());
        let (status, one) = link("one");
        let (_other, two) = link("two");
        let mut roster = Roster { links: vec![one, two], is_complete: true };
        for written in 0..400 {
            status.send_modify(|status| status.counts.puts = written);
            history.sample(&roster, &clock);
        }
        let id = |name: &str| ("a".to_owned(), name.to_owned());
        let kept = history.of(&id("one"));
        let ends = (kept.first().map(|s| s.written), kept.last().map(|s| s.written));
        assert_eq!((kept.len(), ends), (SAMPLES_KEPT_MAX, (Some(40), Some(399))));
        roster.links.truncate(1);
        history.sample(&roster, &clock);
        assert_eq!(history.of(&id("two")), []);
        assert_eq!(history.newest().len(), 1);
    }

    #[test]
    fn whoever_stands_by_or_is_purged_does_not_know_its_lag() {
        for phase in [Phase::Standby, Phase::Purging] {
            let (history, clock) = (History::default(), SystemClock::start());
            let (status, one) = link("one");
            status.send_modify(|status| status.phase = phase);
            history.sample(&Roster { links: vec![one], is_complete: true }, &clock);
            let newest = history.newest();
            let lag = newest.first().map(|(_, sample)| (sample.lag_records, sample.lag_ms));
            assert_eq!(lag, Some((None, None)));
        }
    }
}
