//! What a link is doing, for whoever watches.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::core::link::Outcome;
use crate::core::link::ledger::About;
use crate::core::link::ledger::Ledger;
use crate::core::record::Offset;
use crate::service::definition::LinkDefinition;
use crate::service::exported::Exported;
use crate::service::journal::Journal;
use crate::service::lag::Lag;
use crate::service::latency::Latencies;
use crate::service::purged::Purged;
use crate::service::set_aside::SetAside;

/// Where a link is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It looks at clusters and topics.
    Preflight,
    /// It waits until it is the writer of its scope.
    Standby,
    /// It reads the target.
    ReadingTarget,
    /// It reads the source.
    ReadingSource,
    /// It brings the target to what the source says.
    Reconciling,
    /// It copies a source straight through into an empty scope.
    CatchingUp,
    /// It follows both logs.
    Running,
    /// It waits for something outside to come back.
    Waiting(String),
    /// It stands still until an operator decides.
    Halted(String),
    /// It stands still because an operator wants it so.
    Paused,
    /// It takes away what it wrote.
    Purging,
    /// It has done what it was asked for.
    Done,
}

impl Phase {
    /// One word for logs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Standby => "standby",
            Self::ReadingTarget => "reading_target",
            Self::ReadingSource => "reading_source",
            Self::Reconciling => "reconciling",
            Self::CatchingUp => "catching_up",
            Self::Running => "running",
            Self::Waiting(_) => "waiting",
            Self::Halted(_) => "halted",
            Self::Paused => "paused",
            Self::Purging => "purging",
            Self::Done => "done",
        }
    }

    /// Whether a link that is here has reconciled, or says why it does not: it is purged, for one.
    #[must_use]
    pub fn settles(&self) -> bool {
        match self {
            Self::Running | Self::Halted(_) | Self::Paused | Self::Purging | Self::Done => true,
            Self::Preflight
            | Self::Standby
            | Self::ReadingTarget
            | Self::ReadingSource
            | Self::Reconciling
            | Self::CatchingUp
            | Self::Waiting(_) => false,
        }
    }

    /// Whether its lag is known: whoever stands by, or takes its copy away, does not read the source.
    #[must_use]
    pub fn knows_its_lag(&self) -> bool {
        !matches!(self, Self::Standby | Self::Purging)
    }

    /// The reason for standing still, or waiting.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Waiting(reason) | Self::Halted(reason) => reason,
            Self::Preflight
            | Self::Standby
            | Self::ReadingTarget
            | Self::ReadingSource
            | Self::Reconciling
            | Self::CatchingUp
            | Self::Running
            | Self::Paused
            | Self::Purging
            | Self::Done => "",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What became of the records that were read, and what was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records of the source, by what became of them. Their sum is what was read.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Puts that the target acknowledged or still has under way.
    pub puts: u64,
    /// Deletions likewise.
    pub deletions: u64,
}

impl Counts {
    /// The writes alone: a new life reads the source from its start again.
    #[must_use]
    pub fn written_only(&self) -> Self {
        Self { outcomes: BTreeMap::new(), ..self.clone() }
    }

    /// Counts a record.
    pub fn outcome(&mut self, outcome: Outcome) {
        let count = self.outcomes.entry(outcome).or_default();
        *count = count.saturating_add(1);
    }

    /// So many records that seemed in sync came to something else.
    pub fn shift(&mut self, records: u64, outcome: Outcome) {
        self.shift_from(Outcome::InSync, records, outcome);
    }

    /// A record that was to be written could not be.
    pub fn set_aside(&mut self) {
        let from = if self.of(Outcome::Written) > 0 { Outcome::Written } else { Outcome::InSync };
        self.shift_from(from, 1, Outcome::Incident);
    }

    fn shift_from(&mut self, before: Outcome, records: u64, outcome: Outcome) {
        let moved = records.min(self.of(before));
        for (from, delta) in [(before, false), (outcome, true)] {
            let count = self.outcomes.entry(from).or_default();
            *count = if delta { count.saturating_add(moved) } else { count.saturating_sub(moved) };
        }
    }

    /// Records with this outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }

    /// Records of the source that were read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Records written to the target.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.puts.saturating_add(self.deletions)
    }
}

/// Incidents that stand, by what they are about, but for those that operators have acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Incidents {
    /// Keys of the source whose newest record can't be copied, and subjects that get no name of their
    /// own in the target.
    pub source: usize,
    /// Keys of the target that can't be brought to what the source says.
    pub target: usize,
    /// Records of the source whose key nobody can read.
    pub unreadable: usize,
    /// Those of all three that are acknowledged.
    pub acknowledged: usize,
}

impl Incidents {
    /// Counts a ledger's.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        let mut counts = Self::default();
        for (about, incident) in ledger.incidents() {
            let count = match about {
                _ if ledger.acknowledgement(about, incident).is_some() => &mut counts.acknowledged,
                About::Source(_) | About::Name(_) => &mut counts.source,
                About::Target(_) => &mut counts.target,
                About::Unreadable(_) => &mut counts.unreadable,
            };
            *count = count.saturating_add(1);
        }
        counts
    }

    /// All that nobody has acknowledged.
    #[must_use]
    pub fn open(self) -> usize {
        self.source.saturating_add(self.target).saturating_add(self.unreadable)
    }
}

/// A link as it stands.
#[derive(Debug, Clone)]
pub struct Status {
    /// What it was told to do, once its context is known.
    pub definition: Option<Arc<LinkDefinition>>,
    /// Where it is in its life.
    pub phase: Phase,
    /// What it has done since it started.
    pub counts: Counts,
    /// Everything before this source offset was read.
    pub source_next: Offset,
    /// The source's end, when it was last seen.
    pub source_end: Offset,
    /// Everything before this source offset is in the target.
    pub done_before: Offset,
    /// The newest record that the link copied, or found there; `None` before the first.
    pub exported: Option<Exported>,
    /// When it came to where it is in its life; monotonic.
    pub since: Duration,
    /// It ran, halted or was done once since the process started.
    pub settled: bool,
    /// Lives that it began: one, and one more for every time that something ended one.
    pub lives: u64,
    /// How far it is behind its source.
    pub lag: Lag,
    /// How long its writes took.
    pub latencies: Latencies,
    /// Writes that are not acknowledged yet.
    pub writes_in_flight: u64,
    /// When its checkpoint was last kept, or was found to say the same; monotonic.
    pub checkpoint_at: Option<Duration>,
    /// Keys of the scope that someone else changed and that were written again.
    pub repairs: u64,
    /// Keys of the scope that someone else changed since their source record did, repaired or not.
    pub drifted: usize,
    /// Incidents that stand, by what they are about.
    pub incidents: Incidents,
    /// Keys that are held.
    pub held: usize,
    /// The first of the incidents and held keys, each with its cause.
    pub set_aside: Arc<[SetAside]>,
    /// What its purge came to, once that is complete.
    pub purged: Option<Arc<Purged>>,
    /// What it wrote last.
    pub journal: Journal,
    /// Time from the start to the first write or comparison, spent waiting for the lease.
    pub joined_after: Duration,
}

impl Status {
    /// Keys that are not copied, whatever the reason.
    #[must_use]
    pub fn keys_set_aside(&self) -> usize {
        let Incidents { acknowledged, .. } = self.incidents;
        self.incidents.open().saturating_add(acknowledged).saturating_add(self.held)
    }

    /// The source was seen to end here.
    pub fn saw_end(&mut self, end: Offset, now: Duration) {
        self.source_end = end;
        self.lag.saw(end, now);
    }

    /// The status that a link begins with after its configuration was read again: what is counted
    /// for the whole process goes on.
    #[must_use]
    pub fn of_next_round(&self) -> Self {
        Self {
            counts: self.counts.written_only(),
            lives: self.lives,
            exported: self.exported,
            latencies: self.latencies.clone(),
            repairs: self.repairs,
            journal: self.journal.clone(),
            ..Self::default()
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self {
            definition: None,
            phase: Phase::Preflight,
            counts: Counts::default(),
            source_next: 0,
            source_end: 0,
            done_before: 0,
            exported: None,
            since: Duration::ZERO,
            settled: false,
            lives: 0,
            lag: Lag::default(),
            latencies: Latencies::default(),
            writes_in_flight: 0,
            checkpoint_at: None,
            repairs: 0,
            drifted: 0,
            incidents: Incidents::default(),
            held: 0,
            set_aside: Arc::default(),
            purged: None,
            journal: Journal::default(),
            joined_after: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_could_not_be_written_is_an_incident_and_the_sum_stays() {
        let mut counts = Counts::default();
        counts.outcome(Outcome::Written);
        counts.outcome(Outcome::InSync);
        counts.set_aside();
        assert_eq!((counts.of(Outcome::Written), counts.of(Outcome::Incident)), (0, 1));
        counts.set_aside();
        assert_eq!((counts.read(), counts.of(Outcome::Incident)), (2, 2));
    }
}
