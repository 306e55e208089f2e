//! What a run is about: each seed switches some kinds of trouble off (swarm testing), and a planted
//! fault, if there is one.

use std::collections::BTreeSet;

use super::rng::Rng;

/// Kinds of trouble, and of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chaos {
    /// Processes die at any await.
    Crash,
    /// Processes stop for a while and go on.
    Freeze,
    /// What a dead or dropped writer had under way lands later.
    LateLanding,
    /// Writes fail; some of them are in the log all the same.
    AppendFailure,
    /// Acknowledgements take seconds.
    LateAck,
    /// Acknowledgements get lost and come again, without saying where the write is.
    RepeatedAck,
    /// Readers and requests meet transient faults.
    ReaderFault,
    /// Clusters are away for a while.
    Outage,
    CompactSource,
    CompactTarget,
    /// Absences longer than tombstones are kept.
    LongAway,
    /// A second instance stands by.
    Standby,
    /// The coordinator moves the lease though the owner lives.
    Handover,
    /// Clients of the target's registry write outside the scope.
    ForeignOutside,
    /// Somebody writes into the scope.
    ForeignInside,
    /// The target's registry has a leader, which rolls back.
    Leader,
    /// Records that registries skip.
    Odd,
    /// Losers of a race for an id, with the rollback behind them.
    Loser,
    /// Named contexts in the source.
    Contexts,
    References,
    Settings,
    /// Keys spelled as registries before 5.2.5 spelled them.
    Legacy,
    /// Timestamps ahead of the clock.
    Ahead,
    /// The registry of the source starts again and forgets ids that are gone.
    IdReuse,
    /// A backfill instead of a link that follows.
    Backfill,
    /// Readers hold what they read until they are asked, an end that is none any more among it.
    ReadAhead,
    /// A broker that is back does not know its topics at first.
    SlowStart,
    /// A source is written anew and compacted while a backfill reads it.
    Overtaken,
}

impl Chaos {
    const ALL: [Self; 25] = [
        Self::Crash,
        Self::Freeze,
        Self::LateLanding,
        Self::AppendFailure,
        Self::LateAck,
        Self::RepeatedAck,
        Self::ReaderFault,
        Self::Outage,
        Self::CompactSource,
        Self::CompactTarget,
        Self::LongAway,
        Self::Standby,
        Self::Handover,
        Self::ForeignOutside,
        Self::ForeignInside,
        Self::Leader,
        Self::Odd,
        Self::Loser,
        Self::Contexts,
        Self::References,
        Self::Settings,
        Self::Legacy,
        Self::Ahead,
        Self::IdReuse,
        Self::Backfill,
    ];

    /// How many runs of a hundred have it.
    fn share(self) -> u64 {
        match self {
            Self::Backfill | Self::ForeignInside => 15,
            Self::Freeze | Self::LateLanding | Self::Handover => 30,
            _ => 50,
        }
    }
}

/// How links stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topology {
    Single,
    /// Two links, each copying into a context of the other's source.
    Face,
    /// A → B → C → A.
    Ring,
    /// A and B → C, and C → A.
    Hub,
    /// Two links from one source into two targets.
    Fan,
    /// Links from one source into contexts of one target, which look at one view of it.
    Share,
    /// A → B → C, where the second link copies on what the first one brought.
    Chain,
}

/// Whose way of writing a cluster's registry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// 7.9: Avro is not named, versions are deleted for good in rising order.
    V7,
    /// 8.x: Avro is named, versions go in falling order, contexts can be deleted, and there are
    /// associations and the mode FORWARD.
    V8,
}

/// Chosen so that no seed that found something before there was reading ahead has it.
const READ_AHEAD: u64 = 5;
/// The same for slow starts where a cluster is away.
const SLOW_START: u64 = 13;
/// For sources that turn over; not chosen by what earlier seeds found.
const OVERTAKEN: u64 = 0;
/// For links that share a view instead of a single one; chosen as the first two.
const SHARE: u64 = 19;

/// The run's choices.
#[derive(Debug, Clone)]
pub(crate) struct Swarm {
    on: BTreeSet<Chaos>,
    pub(crate) topology: Topology,
    /// Of the clusters A, B and C.
    pub(crate) releases: [Release; 3],
    pub(crate) disaster: Option<Disaster>,
}

/// What an operator has to decide about, or what takes the target away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disaster {
    Recreated,
    RecreatedAndRefilled,
    CutOff,
    Emptied,
    MassDelete,
    /// Somebody fails over by hand: the fence on the link's context goes.
    FenceLifted,
    /// The target's topic is deleted while the link is away, and made again, empty.
    TargetRecreated,
}

impl Swarm {
    pub(crate) fn draw(rng: &mut Rng, sabotage: Option<Sabotage>) -> Self {
        let mut on: BTreeSet<Chaos> =
            Chaos::ALL.into_iter().filter(|chaos| rng.chance(chaos.share())).collect();
        let topology = match rng.below(11) {
            0..=4 => Topology::Single,
            5..=6 => Topology::Face,
            7 => Topology::Ring,
            8 => Topology::Hub,
            9 => Topology::Fan,
            _ => Topology::Chain,
        };
        let releases = [(); 3].map(|()| *rng.pick(&[Release::V7, Release::V8]));
        let disaster = match rng.below(20) {
            0 => Some(Disaster::Recreated),
            1 => Some(Disaster::RecreatedAndRefilled),
            2 => Some(Disaster::CutOff),
            3 => Some(Disaster::Emptied),
            4 => Some(Disaster::MassDelete),
            5 => Some(Disaster::FenceLifted),
            6 => Some(Disaster::TargetRecreated),
            _ => None,
        };
        let shares = Rng::new(rng.clone().next() ^ SHARE).chance(30) && disaster.is_none();
        let topology = match topology {
            Topology::Single if shares => Topology::Share,
            other => other,
        };
        let disaster = disaster.filter(|_| topology == Topology::Single);
        if disaster.is_some() {
            on.remove(&Chaos::ForeignInside);
            on.remove(&Chaos::Backfill);
        }
        if !matches!(topology, Topology::Single | Topology::Share) {
            // Somebody who writes into a scope makes records without a header, which travel on.
            on.remove(&Chaos::ForeignInside);
            on.remove(&Chaos::Backfill);
            on.remove(&Chaos::LongAway);
        }
        match sabotage {
            Some(Sabotage::LeaseTwice) => on.extend([Chaos::Standby]),
            Some(Sabotage::LeaseForever) => on.extend([Chaos::Standby, Chaos::Freeze]),
            _ => {}
        }
        // Drawn apart: what the other choices lead to stays what it was.
        let drawn_apart = [
            (Chaos::ReadAhead, READ_AHEAD, 30),
            (Chaos::SlowStart, SLOW_START, 30),
            (Chaos::Overtaken, OVERTAKEN, 70),
        ];
        for (chaos, apart, share) in drawn_apart {
            if Rng::new(rng.clone().next() ^ apart).chance(share) {
                on.insert(chaos);
            }
        }
        Self { on, topology, releases, disaster }
    }

    /// Links that share a source, and no trouble.
    pub(crate) fn calm() -> Self {
        let (on, topology) = (BTreeSet::new(), Topology::Share);
        Self { on, topology, releases: [Release::V7; 3], disaster: None }
    }

    pub(crate) fn has(&self, chaos: Chaos) -> bool {
        self.on.contains(&chaos)
    }

    /// Whether writes of two sessions can land between each other, so that no writer can know the
    /// target at every moment (rulings 23).
    pub(crate) fn interleaves(&self) -> bool {
        let late = self.has(Chaos::LateAck) && self.has(Chaos::ForeignOutside);
        late || [Chaos::LateLanding, Chaos::Freeze, Chaos::Handover, Chaos::ForeignInside]
            .into_iter()
            .any(|chaos| self.has(chaos))
    }

    pub(crate) fn shown(&self) -> String {
        let Self { on, topology, releases, disaster } = self;
        format!("{topology:?} {releases:?} {disaster:?} {on:?}")
    }
}

/// Faults planted into the world around the link, each of which the simulation has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sabotage {
    /// Acknowledges a write before it is in the log, and loses it now and then.
    AckBeforeWrite,
    /// The checkpoint is kept one further than it was said.
    CheckpointAhead,
    /// The checkpoint says the source's end.
    CheckpointAtEnd,
    /// Tombstones are acknowledged and never written.
    TombstonesDropped,
    /// Two instances are told that they hold the lease.
    LeaseTwice,
    /// A reader passes over a record.
    RecordSkipped,
    /// A reader says that the end is reached before it is.
    EarlyEnd,
    /// The clock says no time is too far ahead, so that nothing is clamped.
    NoClamp,
    /// A schema's text is made anew on the way.
    TextReformatted,
    /// The header's path is lost.
    PathDropped,
    /// Two writes change places.
    Reordered,
    /// Keys are spelled in another order.
    KeyRespelled,
    /// The fence is acknowledged and never written.
    FenceDropped,
    /// A write is in the log twice.
    WrittenTwice,
    /// A topic that was created again has the id of the old one.
    TopicIdFrozen,
    /// Checkpoints are acknowledged and never written.
    CheckpointLost,
    /// Soft deletes lose their mark.
    DeletionUnmarked,
    /// The timestamp is the time of writing.
    TimestampRemade,
    /// What a link wrote comes back to it as if an earlier lease had written it.
    EchoTakenAsNew,
    /// A process is told the end that a topic had when it first asked, lease or no lease.
    StaleEnd,
    /// A process keeps the lease whatever the coordinator says.
    LeaseForever,
    /// Readers don't see what a leader rolls back.
    RollbackHidden,
    /// Links don't see what others write into their scope.
    ForeignHidden,
    /// A soft deletion becomes a DELETE_SUBJECT.
    DeleteSubjectForwarded,
    /// A schema's references change their order.
    ReferencesReversed,
    /// Fields that nobody here knows are lost.
    UnknownFieldsDropped,
    /// A schema gets another id.
    IdRenumbered,
    /// Subjects lose their context on the way.
    ContextStripped,
    /// A context's record is acknowledged and never written.
    ContextUndeclared,
    /// Settings are acknowledged and never written.
    SettingsDropped,
    /// One write is acknowledged twice.
    AckTwice,
    /// Some writes are never acknowledged.
    AckForgotten,
}

impl Sabotage {
    pub(crate) const ALL: [Self; 32] = [
        Self::AckBeforeWrite,
        Self::CheckpointAhead,
        Self::CheckpointAtEnd,
        Self::TombstonesDropped,
        Self::LeaseTwice,
        Self::RecordSkipped,
        Self::EarlyEnd,
        Self::NoClamp,
        Self::TextReformatted,
        Self::PathDropped,
        Self::Reordered,
        Self::KeyRespelled,
        Self::FenceDropped,
        Self::WrittenTwice,
        Self::TopicIdFrozen,
        Self::CheckpointLost,
        Self::DeletionUnmarked,
        Self::TimestampRemade,
        Self::EchoTakenAsNew,
        Self::StaleEnd,
        Self::LeaseForever,
        Self::RollbackHidden,
        Self::ForeignHidden,
        Self::DeleteSubjectForwarded,
        Self::ReferencesReversed,
        Self::UnknownFieldsDropped,
        Self::IdRenumbered,
        Self::ContextStripped,
        Self::ContextUndeclared,
        Self::SettingsDropped,
        Self::AckTwice,
        Self::AckForgotten,
    ];
}
