//! A source that several links look at: it is read once, and each decides by what it sees there.
//!
//! A link looks while it decides and no longer, so the source is read on between two decisions, and
//! may be ahead of the records that a link was told of. Decisions are about what stands.

use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::TryLockError;
use std::time::Duration;

use crate::core::link::Lens;
use crate::core::link::Link;
use crate::core::link::Source;
use crate::core::link::Told;
use crate::core::record::Record;
use crate::service::ports::Clock;

/// Between two tries to read on while links look.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// Then the reading waits for them, and they for it: a plan takes a part of a second at most.
const BUSY_TRIES_MAX: usize = 50;

/// A source that several links look at.
#[derive(Debug, Clone)]
pub(super) struct Sight(Arc<RwLock<Arc<Source>>>);

impl Sight {
    /// A source of which nothing is read, for links of this lens.
    pub(super) fn new(lens: Lens) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(Source::new(lens)))))
    }

    /// Takes records in. What each came to, in their order.
    pub(super) async fn read<K: Clock>(&self, records: &[Record], clock: &K) -> Vec<Told> {
        for _ in 0..BUSY_TRIES_MAX {
            if let Some(told) = self.try_read(records) {
                return told;
            }
            clock.sleep(BUSY_PAUSE).await;
        }
        take(self.0.write().unwrap_or_else(PoisonError::into_inner), records)
    }
}

impl Sight {
    fn try_read(&self, records: &[Record]) -> Option<Vec<Told>> {
        match self.0.try_write() {
            Ok(held) => Some(take(held, records)),
            Err(TryLockError::Poisoned(held)) => Some(take(held.into_inner(), records)),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Whoever looked has let go of the source: it is looked at under the lock only.
fn take(mut held: RwLockWriteGuard<'_, Arc<Source>>, records: &[Record]) -> Vec<Told> {
    let source = Arc::get_mut(&mut held);
    source
        .map_or_else(Vec::new, |source| records.iter().map(|record| source.read(record)).collect())
}

/// A link with the source that it looks at, or its own.
#[derive(Debug)]
pub(super) struct Looking {
    link: Link,
    sight: Option<Sight>,
}

impl Looking {
    /// A link that reads its source itself.
    pub(super) fn alone(link: Link) -> Self {
        Self { link, sight: None }
    }

    /// From here on the link looks at this source.
    pub(super) fn share(&mut self, sight: Sight) {
        self.sight = Some(sight);
    }

    /// The link while it looks. Never kept across a wait: the source stands still meanwhile.
    pub(super) fn at(&mut self) -> Look<'_> {
        let Self { link, sight } = self;
        let held = sight.as_ref().map(|sight| {
            let held = sight.0.read().unwrap_or_else(PoisonError::into_inner);
            link.look_at(Arc::clone(&held));
            held
        });
        Look { link, _held: held }
    }
}

/// A link that looks.
#[derive(Debug)]
pub(super) struct Look<'a> {
    link: &'a mut Link,
    _held: Option<RwLockReadGuard<'a, Arc<Source>>>,
}

impl Deref for Look<'_> {
    type Target = Link;

    fn deref(&self) -> &Link {
        self.link
    }
}

impl DerefMut for Look<'_> {
    fn deref_mut(&mut self) -> &mut Link {
        self.link
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.link.look_away();
    }
}
