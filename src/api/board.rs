//! What all answers are made of.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use crate::service::ports::Clock;
use crate::service::status::Phase;
use crate::service::status::Status;
use crate::service::supervisor::Watched;

/// An instance that stood by for so long stands by for another one that writes: a group has formed
/// by then, or the cluster would be away and the link waiting.
const STANDS_BY_AFTER: Duration = Duration::from_secs(15);

/// The links of the process, those of the configuration as it was read last.
#[derive(Debug, Clone)]
pub struct Board<K> {
    links: watch::Receiver<Vec<Watched>>,
    clock: K,
    was_ready: Arc<AtomicBool>,
}

/// A link at one moment.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) link: String,
    pub(super) source: String,
    pub(super) target: String,
    pub(super) status: Status,
}

impl<K: Clock> Board<K> {
    /// A board of these links.
    pub fn new(links: watch::Receiver<Vec<Watched>>, clock: K) -> Self {
        Self { links, clock, was_ready: Arc::default() }
    }

    /// All links now, in the order of the configuration.
    pub(super) fn links(&self) -> Vec<Seen> {
        let see = |watched: &Watched| {
            let Watched { link, source, target, status } = watched;
            Seen {
                link: link.clone(),
                source: source.clone(),
                target: target.clone(),
                status: status.borrow().clone(),
            }
        };
        self.links.borrow().iter().map(see).collect()
    }

    /// Monotonic time.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The links that keep the process from being ready: none once it was. A link that waits for a
    /// cluster later is a matter for alerts; a process that is taken out for it helps nobody.
    pub(super) fn unsettled(&self) -> Vec<Seen> {
        if self.was_ready.load(Ordering::Acquire) {
            return Vec::new();
        }
        let now = self.now();
        let mut links = self.links();
        links.retain(|seen| !is_settled(&seen.status, now));
        if links.is_empty() {
            self.was_ready.store(true, Ordering::Release);
        }
        links
    }
}

fn is_settled(status: &Status, now: Duration) -> bool {
    let stands_by =
        status.phase == Phase::Standby && now.saturating_sub(status.since) >= STANDS_BY_AFTER;
    status.settled || stands_by
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::clock::SystemClock;

    fn board(phases: &[Phase]) -> (Vec<watch::Sender<Status>>, Board<SystemClock>) {
        let clock = SystemClock::start();
        let mut senders = Vec::new();
        let mut links = Vec::new();
        for (number, phase) in phases.iter().enumerate() {
            let status = Status { phase: phase.clone(), ..Status::default() };
            let (sender, seen) = watch::channel(status);
            senders.push(sender);
            links.push(Watched {
                link: format!("link-{number}"),
                source: "a".to_owned(),
                target: "b".to_owned(),
                status: seen,
            });
        }
        (senders, Board::new(watch::channel(links).1, clock))
    }

    #[test]
    fn a_process_is_ready_once_every_link_has_settled_and_stays_so() {
        let (links, board) = board(&[Phase::Preflight, Phase::Preflight]);
        links[0].send_modify(|status| status.settled = true);
        let waiting: Vec<String> = board.unsettled().into_iter().map(|seen| seen.link).collect();
        assert_eq!(waiting, ["link-1"]);
        links[1].send_modify(|status| status.settled = true);
        assert!(board.unsettled().is_empty());
        links[1].send_modify(|status| *status = Status::default());
        assert!(board.unsettled().is_empty(), "once is enough");
    }

    #[test]
    fn whoever_stands_by_for_another_instance_is_ready_after_a_while() {
        let stands_by =
            Status { phase: Phase::Standby, since: Duration::from_secs(7), ..Status::default() };
        let at = |seconds| is_settled(&stands_by, Duration::from_secs(seconds));
        assert_eq!((at(8), at(21), at(22)), (false, false, true));
        let waits = Status { phase: Phase::Waiting("away".to_owned()), ..Status::default() };
        assert!(!is_settled(&waits, Duration::from_secs(1_000)));
    }
}
