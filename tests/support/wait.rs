//! Waiting for facts.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks until a fact is there; `None` after the limit.
#[expect(
    clippy::disallowed_methods,
    reason = "the one wait of tests that look at a process, and it has a limit"
)]
pub(crate) fn wait_for<T>(limit: Duration, mut fact: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let found = fact();
        if found.is_some() || begun.elapsed() > limit {
            return found;
        }
        thread::sleep(LOOK_EVERY);
    }
}
