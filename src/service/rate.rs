//! The write rate of a target that is in use.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::service::ports::Clock;

/// So much of a second may be written at once after a pause. Half of what a registry's time-out
/// allows it to lag (500 ms).
const BURST: Duration = Duration::from_millis(200);

/// A writer that waits goes on when so much of the burst is paid for.
const REST: Duration = Duration::from_millis(100);

/// Gives leave to write, so many records a second over all links to one target in this process.
#[derive(Debug, Clone)]
pub struct Rate<K> {
    clock: K,
    per_record: Option<Duration>,
    /// The time at which everything that was granted is paid for.
    paid_until: Arc<Mutex<Duration>>,
}

impl<K: Clock> Rate<K> {
    /// A rate in records a second; `None` is unlimited.
    #[must_use]
    pub fn new(clock: K, records_per_second: Option<u32>) -> Self {
        let per_record = records_per_second
            .map(|rate| Duration::from_secs(1).checked_div(rate.max(1)).unwrap_or_default());
        Self { clock, per_record, paid_until: Arc::new(Mutex::new(Duration::ZERO)) }
    }

    /// Waits until a record may be written.
    pub async fn take(&self) {
        let Some(per_record) = self.per_record else { return };
        let now = self.clock.monotonic();
        let paid_until = {
            let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
            *paid_until = paid_until.max(now).saturating_add(per_record);
            *paid_until
        };
        let ahead = paid_until.saturating_sub(now);
        if ahead > BURST {
            self.clock.sleep(ahead.saturating_sub(REST)).await;
        }
    }
}
