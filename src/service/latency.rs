//! How long writes take from being queued to being acknowledged.

use std::time::Duration;

/// Upper bounds of the classes, in ms. What takes longer falls into one more class.
pub const BOUNDS_MS: [u64; 14] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/// Counts of writes by the time that they took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    counts: [u64; BOUNDS_MS.len() + 1],
    sum: Duration,
}

impl Latencies {
    /// So many writes took this long.
    pub fn add(&mut self, writes: u64, took: Duration) {
        let class = BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        if let Some(count) = self.counts.get_mut(class.unwrap_or(BOUNDS_MS.len())) {
            *count = count.saturating_add(writes);
        }
        let times = u32::try_from(writes).unwrap_or(u32::MAX);
        self.sum = self.sum.saturating_add(took.saturating_mul(times));
    }

    /// Counts others, too.
    pub fn merge(&mut self, others: &Self) {
        for (count, other) in self.counts.iter_mut().zip(others.counts) {
            *count = count.saturating_add(other);
        }
        self.sum = self.sum.saturating_add(others.sum);
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The time that all of them took together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The writes of each class, each with its upper bound in seconds.
    pub fn classes(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_MS.iter().map(|ms| Duration::from_millis(*ms).as_secs_f64());
        bounds.chain([f64::INFINITY]).zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_falls_into_the_first_class_that_holds_it() {
        let mut latencies = Latencies::default();
        assert!(latencies.is_empty());
        latencies.add(2, Duration::from_millis(1));
        latencies.add(1, Duration::from_micros(1_001));
        latencies.add(1, Duration::from_secs(31));
        let mut more = Latencies::default();
        more.add(1, Duration::from_millis(30_000));
        latencies.merge(&more);
        let classes: Vec<_> = latencies.classes().filter(|(_, count)| *count > 0).collect();
        assert_eq!(classes, [(0.001, 2), (0.002, 1), (30.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(latencies.count(), 5);
        assert_eq!(latencies.sum(), Duration::from_micros(2_000 + 1_001 + 61_000_000));
    }
}
