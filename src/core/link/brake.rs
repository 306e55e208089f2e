//! The brake: too many deletes at once stop the link before the first of them.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::Halt;
use super::Link;
use super::plan::Plan;
use crate::core::record::Offset;
use crate::core::rules::DeleteLimit;

/// How far back deletes are added up while following the log.
pub const WINDOW: Duration = Duration::from_secs(3600);

/// Deletes closer together than this are counted as one: a window holds 60 counts at most.
const GRAIN: Duration = Duration::from_secs(60);

/// Why the deletes are not believed.
#[derive(Debug, Clone, PartialEq)]
pub enum Suspicion {
    /// More than the allowed share of the live subjects.
    Share {
        /// Subjects that would not be live any more.
        deleted: usize,
        /// Live subjects that the link holds in the target.
        live: usize,
        /// The share that is allowed.
        share_max: f64,
    },
    /// The source says nothing any more, or nothing that the filter chooses.
    Emptied,
    /// The source's topic is another one than the checkpoint speaks of.
    Recreated {
        /// The topic's id then.
        was: String,
        /// The topic's id now.
        is: String,
    },
    /// The source's end lies before the checkpoint.
    EndBelowCheckpoint {
        /// The source's end.
        end: Offset,
        /// The checkpoint.
        checkpoint: Offset,
    },
    /// The source's log starts behind what the checkpoint saw as its start: records were cut off.
    Truncated {
        /// The log's first offset then.
        was: Offset,
        /// The log's first offset now.
        is: Offset,
    },
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share { deleted, live, share_max } => write!(
                f,
                "{deleted} of {live} live subjects would be deleted, more than max_delete_share {share_max} allows"
            ),
            Self::Emptied => f.write_str("the source holds no subject of the link any more"),
            Self::Recreated { was, is } => {
                write!(f, "the source's topic was recreated: its id was {was}, now it is {is}")
            }
            Self::EndBelowCheckpoint { end, checkpoint } => write!(
                f,
                "the source's topic ends at offset {end}, below the checkpoint {checkpoint}: it was recreated or cut off"
            ),
            Self::Truncated { was, is } => write!(
                f,
                "the source's topic starts at offset {is}, it started at {was}: records were cut off"
            ),
        }
    }
}

/// Adds up deletes.
#[derive(Debug)]
pub struct Brake {
    limit: DeleteLimit,
    recent: VecDeque<(Duration, usize)>,
}

impl Brake {
    /// A brake with nothing deleted yet.
    #[must_use]
    pub fn new(limit: DeleteLimit) -> Self {
        Self { limit, recent: VecDeque::new() }
    }

    /// Whether so many deleted subjects of so many are too many.
    #[must_use]
    pub fn judge(&self, deleted: usize, live: usize) -> Option<Suspicion> {
        let share_max = self.limit.share_max;
        let too_many = deleted >= self.limit.subjects_min && beyond(deleted, live, share_max);
        too_many.then_some(Suspicion::Share { deleted, live, share_max })
    }

    /// Counts deleted subjects at a monotonic time, or says why they may not be deleted. `live` are
    /// the subjects live before.
    ///
    /// # Errors
    /// More than the limit within [`WINDOW`]; nothing is counted then.
    pub fn count(&mut self, now: Duration, deleted: usize, live: usize) -> Result<(), Suspicion> {
        if deleted == 0 {
            return Ok(());
        }
        let before: usize = self.recent(now).map(|(_, deleted)| deleted).sum();
        let total = before.saturating_add(deleted);
        if let Some(suspicion) = self.judge(total, live.saturating_add(before)) {
            return Err(suspicion);
        }
        self.note(now, deleted);
        Ok(())
    }

    fn note(&mut self, now: Duration, deleted: usize) {
        let now = now.saturating_add(WINDOW);
        while self.recent.front().is_some_and(|(then, _)| now.saturating_sub(*then) > WINDOW) {
            self.recent.pop_front();
        }
        match self.recent.back_mut() {
            Some((then, count)) if now.saturating_sub(*then) < GRAIN => {
                *count = count.saturating_add(deleted);
            }
            Some(_) | None => self.recent.push_back((now, deleted)),
        }
    }

    /// Takes up what an earlier life counted so long ago. Called with the oldest first, before
    /// anything is counted.
    pub fn recall(&mut self, now: Duration, age: Duration, deleted: usize) {
        // A window was added to all times, so that what lies before the process began has one.
        let then = now.saturating_add(WINDOW).saturating_sub(age);
        self.recent.push_back((then, deleted));
    }

    /// Forgets what was deleted: an operator has seen it and allowed it.
    pub fn forget(&mut self) {
        self.recent.clear();
    }

    /// What was deleted within the window: how long ago, and how many subjects.
    pub fn recent(&self, now: Duration) -> impl Iterator<Item = (Duration, usize)> {
        let now = now.saturating_add(WINDOW);
        let aged = self.recent.iter().map(move |(then, count)| (now.saturating_sub(*then), *count));
        aged.filter(|(age, _)| *age <= WINDOW)
    }
}

impl Link {
    /// Whether the plan may be carried out now. `suspicions` speak of the source's topic; `source_end`
    /// is what a release is bound to. What passes counts for the sliding hour.
    ///
    /// # Errors
    /// [`Halt::Brake`] before the first delete.
    pub fn brake(
        &mut self,
        plan: &Plan,
        suspicions: &[Suspicion],
        source_end: Offset,
        now: Duration,
    ) -> Result<(), Halt> {
        if !plan.takes_away() && plan.frees.is_empty() {
            return Ok(());
        }
        let emptied = (plan.source_live == 0 && plan.deleted > 0).then_some(Suspicion::Emptied);
        let reason = match suspicions.first().cloned().or(emptied) {
            Some(suspicion) => Err(suspicion),
            None => self.brake.count(now, plan.deleted, plan.live),
        };
        reason.map_err(|suspicion| Halt::Brake { suspicion, deleted: plan.deleted, source_end })
    }

    /// Whether a plan may be carried out of which so many deleted subjects are released: what came
    /// since is judged as ever.
    ///
    /// # Errors
    /// [`Halt::Brake`] before the first delete.
    pub fn brake_beyond(
        &mut self,
        released: usize,
        plan: &Plan,
        source_end: Offset,
        now: Duration,
    ) -> Result<(), Halt> {
        self.brake.forget();
        let (deleted, live) =
            (plan.deleted.saturating_sub(released), plan.live.saturating_sub(released));
        let judged = if plan.source_live == 0 && deleted > 0 {
            Err(Suspicion::Emptied)
        } else {
            self.brake.count(now, deleted, live)
        };
        judged.map_err(|suspicion| Halt::Brake { suspicion, deleted: plan.deleted, source_end })
    }

    /// An operator allows whatever there is to delete: the sliding hour begins anew.
    pub fn allow_deletes(&mut self) {
        self.brake.forget();
    }

    /// What the brake's sliding hour holds: how long ago, and how many subjects.
    pub fn recent_deletes(&self, now: Duration) -> impl Iterator<Item = (Duration, usize)> {
        self.brake.recent(now)
    }

    /// Takes up what an earlier life of the link deleted; the oldest first.
    pub fn recall_deletes(&mut self, now: Duration, age: Duration, subjects: usize) {
        self.brake.recall(now, age, subjects);
    }
}

#[expect(clippy::as_conversions, reason = "counts of subjects are exact in f64 up to 2^53")]
#[expect(clippy::cast_precision_loss, reason = "as above")]
fn beyond(deleted: usize, live: usize, share_max: f64) -> bool {
    deleted as f64 > share_max * live as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_share_counts_only_from_the_least_number_on() {
        let brake = Brake::new(DeleteLimit::default());
        assert_eq!(brake.judge(9, 9), None);
        assert!(brake.judge(10, 10).is_some());
        assert_eq!(brake.judge(20, 100), None);
        assert!(brake.judge(21, 100).is_some());
    }

    #[test]
    fn deletes_add_up_over_an_hour_and_are_forgotten_after_it() {
        let mut brake = Brake::new(DeleteLimit::default());
        for minute in 0..20 {
            assert_eq!(brake.count(Duration::from_secs(60 * minute), 1, 100), Ok(()));
        }
        assert!(brake.count(HOUR / 2, 10, 80).is_err());
        assert_eq!(brake.count(HOUR * 3, 10, 80), Ok(()));
    }

    #[test]
    fn what_an_earlier_life_deleted_counts_for_the_rest_of_its_hour() {
        let mut brake = Brake::new(DeleteLimit::default());
        brake.recall(Duration::ZERO, HOUR / 2, 19);
        assert!(brake.count(HOUR / 3, 10, 81).is_err());
        assert_eq!(brake.count(HOUR / 2 + GRAIN, 10, 81), Ok(()));
        assert_eq!(brake.recent(HOUR / 2 + GRAIN).collect::<Vec<_>>(), [(Duration::ZERO, 10)]);
    }
}
