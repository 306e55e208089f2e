//! The stage of a run: which clusters there are, which links between them, and who runs them.

use std::collections::BTreeMap;
use std::time::Duration;

use schema_mirror::core::link::leave::Steered;
use schema_mirror::core::rules::DeleteLimit;
use schema_mirror::core::rules::DriftPolicy;
use schema_mirror::core::rules::Fence;
use schema_mirror::service::definition::LinkDefinition;
use schema_mirror::service::definition::Once;
use schema_mirror::service::status::Phase;
use schema_mirror::service::status::Status;
use schema_mirror::service::supervisor::Assignment;
use schema_mirror::service::supervisor::Fleet;
use schema_mirror::service::worker::End;
use schema_mirror::service::worker::Goal;

use super::links::LinkSpec;
use super::ports::SimClock;
use super::ports::SimCluster;
use super::rng::Rng;
use super::swarm::Chaos;
use super::swarm::Topology;
use super::world::ClusterState;
use super::world::Pid;
use super::world::Process;
use super::world::Run;
use super::world::SCHEMAS;
use super::world::STATE;
use super::world::Sim;
use super::world::World;

/// A process that drains takes no longer than supervisors wait.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// Drawn apart, as in the swarm, so that what the other choices lead to stays what it was; chosen so
/// that no seed beyond the first ones that found something before has it.
const RENAMES: u64 = 4;

/// Clusters and links of the run.
pub(crate) fn set(world: &mut World) {
    let releases = world.swarm.releases;
    for (name, release) in ["A", "B", "C"].into_iter().zip(releases) {
        world.clusters.push(ClusterState::new(name, release));
    }
    world.links = match world.swarm.topology {
        Topology::Single => vec![single(world)],
        Topology::Face => {
            let all = world.rng.chance(50);
            let pattern = if all { ":*:" } else { "*" };
            vec![spec(world, (0, 1), ".a", pattern), spec(world, (1, 0), ".b", pattern)]
        }
        Topology::Ring => {
            let (a, b, c) = ((0, 1), (1, 2), (2, 0));
            vec![
                spec(world, a, ".a", ":*:"),
                spec(world, b, ".b", ":*:"),
                spec(world, c, ".c", ":*:"),
            ]
        }
        Topology::Hub => {
            let (a, b, back) = ((0, 2), (1, 2), (2, 0));
            vec![
                spec(world, a, ".a", "*"),
                spec(world, b, ".b", ":*:"),
                spec(world, back, ".hub", ":*:"),
            ]
        }
        Topology::Fan => {
            vec![spec(world, (0, 1), ".a", "*"), spec(world, (0, 2), ".a", ":*:")]
        }
        Topology::Share => share(world),
        Topology::Chain => {
            let first = *world.rng.pick(&["*", ":*:"]);
            let onward = *world.rng.pick(&[":.a:*", ":*:"]);
            vec![spec(world, (0, 1), ".a", first), spec(world, (1, 2), ".b", onward)]
        }
    };
}

fn spec(world: &mut World, (from, to): (usize, usize), into: &str, pattern: &str) -> LinkSpec {
    LinkSpec {
        name: format!("{from}-to-{to}"),
        from,
        to,
        into: Some(into.to_owned()),
        patterns: vec![pattern.to_owned()],
        renames: false,
        follow: world.rng.chance(50),
        fence: *world.rng.pick(&[Fence::Readonly, Fence::Readonly, Fence::Import, Fence::None]),
        drift: *world.rng.pick(&[DriftPolicy::Repair, DriftPolicy::Repair, DriftPolicy::Report]),
        delete_limit: DeleteLimit { share_max: 1.0, subjects_min: 1_000 },
    }
}

/// A link that takes a part of its source.
pub(crate) fn part(world: &mut World, into: &str, pattern: &str) -> LinkSpec {
    let mut link = spec(world, (0, 1), into, pattern);
    link.name = format!("to{into}");
    link
}

/// Two to four links, whose choices may overlap.
fn share(world: &mut World) -> Vec<LinkSpec> {
    let choices: [&[&str]; 7] = [
        &["*"],
        &[":*:"],
        &["*", ":.st:*"],
        &["a*", "c-value"],
        &["b*"],
        &["c*"],
        &[":.st:*", ":.x:a*"],
    ];
    let links = 2 + world.rng.index(3);
    let mut shared = Vec::new();
    for into in [".a", ".b", ".c", ".d"].into_iter().take(links) {
        let mut link = part(world, into, "*");
        link.patterns = world.rng.pick(&choices).iter().map(|&p| p.to_owned()).collect();
        shared.push(link);
    }
    shared
}

fn single(world: &mut World) -> LinkSpec {
    let mut link = spec(world, (0, 1), ".src", "*");
    let choices: [&[&str]; 6] =
        [&["*"], &["*"], &[":*:"], &["*", ":.st:*"], &["a*", "c-value"], &[":.st:*", ":.x:a*"]];
    link.patterns = world.rng.pick(&choices).iter().map(|&pattern| pattern.to_owned()).collect();
    if world.rng.chance(25) {
        link.into = None;
    }
    if link.into.is_none() {
        // Somebody else's subjects could be pointed to there.
        link.follow &= !world.swarm.has(Chaos::ForeignOutside);
    }
    link.renames = link.into.is_some() && Rng::new(world.rng.clone().next() ^ RENAMES).chance(25);
    link
}

/// A process of ours with all links.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) process: Pid,
    pub(crate) name: String,
    pub(crate) fleet: Fleet,
    pub(crate) ends: BTreeMap<usize, End>,
}

/// What an instance is started with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Start {
    pub(crate) once: Once,
    pub(crate) allow_deletes_until: Option<i64>,
    pub(crate) backfill: bool,
}

pub(crate) fn start(sim: &Sim, name: &str, start: Start) -> Instance {
    let (process, links) = sim.with(|world| {
        world.processes.push(Process { run: Run::Up, thawed_at: None });
        let process = world.processes.len() - 1;
        world.note(|| format!("process {process} {name} starts {start:?}"));
        (process, world.links.clone())
    });
    let rate = sim.with(|world| *world.rng.pick(&[None, None, Some(20_000), Some(20)]));
    let assignments = links
        .into_iter()
        .map(|link| Assignment {
            source: cluster(sim, process, link.from),
            target: cluster(sim, process, link.to),
            write_rate_max: rate,
            definition: definition(&link, name, start),
        })
        .collect();
    let clock = SimClock { sim: sim.clone(), process };
    let goal = if start.backfill { Goal::Backfill } else { Goal::Follow };
    let fleet = Fleet::start(assignments, &clock, goal);
    Instance { process, name: name.to_owned(), fleet, ends: BTreeMap::new() }
}

/// A cluster as a process reaches it.
pub(crate) fn cluster(sim: &Sim, process: Pid, cluster: usize) -> SimCluster {
    let name = sim.lock().clusters[cluster].name.clone();
    SimCluster { sim: sim.clone(), process, cluster, name }
}

pub(crate) fn definition(link: &LinkSpec, instance: &str, start: Start) -> LinkDefinition {
    LinkDefinition {
        rules: link.rules(),
        source_topic: SCHEMAS.to_owned(),
        target_topic: SCHEMAS.to_owned(),
        state_topic: STATE.to_owned(),
        source_state_topic: STATE.to_owned(),
        create_topics: true,
        adopt: false,
        context: schema_mirror::service::definition::ContextNamedBy::Configuration,
        allow_deletes_until: start.allow_deletes_until,
        once: start.once,
        steered: Steered::AtStart,
        instance: instance.to_owned(),
    }
}

impl Instance {
    pub(crate) fn status(&self, link: usize) -> Status {
        self.fleet.watched()[link].status.borrow().clone()
    }

    pub(crate) fn halted(&self, link: usize) -> Option<String> {
        match self.status(link).phase {
            Phase::Halted(reason) => Some(reason),
            _ => None,
        }
    }

    /// kill -9.
    pub(crate) fn kill(&self, sim: &Sim) {
        sim.with(|world| {
            world.note(|| format!("process {} {} is killed", self.process, self.name));
            world.processes[self.process].run = Run::Dead;
        });
    }

    /// SIGTERM; whoever does not end in time is killed.
    pub(crate) async fn stop(&mut self, sim: &Sim) {
        sim.with(|world| {
            world.note(|| format!("process {} {} is told to end", self.process, self.name));
            world.processes[self.process].run = Run::Up;
        });
        self.fleet.shut_down();
        let ended = self.ended(sim, DRAIN_MAX).await;
        if !ended {
            let what = format!("life: process {} did not end within {DRAIN_MAX:?}", self.process);
            sim.with(|world| world.violated(what));
        }
        self.kill(sim);
    }

    /// Waits for all links to end.
    pub(crate) async fn ended(&mut self, sim: &Sim, limit: Duration) -> bool {
        let Self { fleet, ends, .. } = self;
        let ended = tokio::time::timeout(limit, fleet.join(ends)).await.is_ok();
        for end in ends.values() {
            if let End::Panicked(why) = end {
                sim.with(|world| world.violated(format!("panic: {why}")));
            }
        }
        ended
    }
}
