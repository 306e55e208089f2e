//! What all answers are made of.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use crate::service::acknowledgements::Asks;
use crate::service::ports::Clock;
use crate::service::status::Phase;
use crate::service::status::Status;
use crate::service::supervisor::Roster;
use crate::service::supervisor::Watched;

/// An instance that stood by for so long stands by for another one that writes: a group has formed
/// by then, or the cluster would be away and the link waiting.
const STANDS_BY_AFTER: Duration = Duration::from_secs(15);

/// The links of the process, those of the configuration as it was read last.
#[derive(Debug, Clone)]
pub struct Board<K> {
    roster: watch::Receiver<Roster>,
    clock: K,
    /// When the process started, in ms since 1970.
    started_ms: i64,
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

impl Seen {
    fn of(watched: &Watched) -> Self {
        let Watched { link, source, target, status, .. } = watched;
        Self {
            link: link.clone(),
            source: source.clone(),
            target: target.clone(),
            status: status.borrow().clone(),
        }
    }

    /// See [`Phase::knows_its_lag`].
    pub(super) fn knows_its_lag(&self) -> bool {
        self.status.phase.knows_its_lag()
    }
}

impl<K: Clock> Board<K> {
    /// A board of these links.
    pub fn new(roster: watch::Receiver<Roster>, clock: K) -> Self {
        let runs_ms = i64::try_from(clock.monotonic().as_millis()).unwrap_or(0);
        let started_ms = clock.wall_ms().saturating_sub(runs_ms);
        Self { roster, clock, started_ms, was_ready: Arc::default() }
    }

    /// All links now, in the order of the configuration.
    pub(super) fn links(&self) -> Vec<Seen> {
        self.roster.borrow().links.iter().map(Seen::of).collect()
    }

    /// Where a link that runs here is asked to let incidents stand.
    pub(super) fn asks(&self, source: &str, link: &str) -> Option<Asks> {
        let roster = self.roster.borrow();
        let found = roster.links.iter().find(|one| one.source == source && one.link == link)?;
        Some(found.asks.clone())
    }

    /// When the process started, in ms since 1970.
    pub(super) fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// Whether all links are known that there are.
    pub(super) fn is_complete(&self) -> bool {
        self.roster.borrow().is_complete
    }

    /// The links, now and later.
    pub(super) fn roster(&self) -> watch::Receiver<Roster> {
        self.roster.clone()
    }

    /// A monotonic time as one in ms since 1970.
    pub(super) fn moment_ms(&self, at: Duration) -> i64 {
        self.started_ms.saturating_add(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
    }

    /// Monotonic time.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Whether the process is ready, which it stays once it was: a link that waits for a cluster
    /// later is a matter for alerts, and a process that is taken out for it helps nobody.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        if self.was_ready.load(Ordering::Acquire) {
            return true;
        }
        let is_complete = self.roster.borrow().is_complete;
        let ready = is_complete && self.unsettled().is_empty();
        if ready {
            self.was_ready.store(true, Ordering::Release);
        }
        ready
    }

    /// The links that have not settled.
    pub(super) fn unsettled(&self) -> Vec<Seen> {
        let now = self.now();
        let mut links = self.links();
        links.retain(|seen| !is_settled(&seen.status, now));
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
    use crate::service::acknowledgements::asks;
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
                asks: asks().0,
            });
        }
        let roster = Roster { links, is_complete: true };
        (senders, Board::new(watch::channel(roster).1, clock))
    }

    #[test]
    fn a_process_is_ready_once_every_link_has_settled_and_stays_so() {
        let (links, board) = board(&[Phase::Preflight, Phase::Preflight]);
        links[0].send_modify(|status| status.settled = true);
        let waiting: Vec<String> = board.unsettled().into_iter().map(|seen| seen.link).collect();
        assert_eq!((waiting, board.is_ready()), (vec!["link-1".to_owned()], false));
        links[1].send_modify(|status| status.settled = true);
        assert!(board.is_ready());
        links[1].send_modify(|status| *status = Status::default());
        assert!(board.is_ready(), "once is enough");
    }

    #[test]
    fn a_process_whose_links_are_not_all_known_is_not_ready() {
        let (sender, roster) = watch::channel(Roster::default());
        let board = Board::new(roster, SystemClock::start());
        assert!(!board.is_ready());
        sender.send_replace(Roster { is_complete: true, ..Roster::default() });
        assert!(board.is_ready(), "there is nothing to wait for");
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
