//! A run: lives of the link with trouble, then quiet, and the invariants.

use std::time::Duration;

use schema_mirror::core::rules::DriftPolicy;
use schema_mirror::service::definition::Once;
use schema_mirror::service::status::Phase;
use schema_mirror::service::worker::End;

use super::audit::audit;
use super::check;
use super::group;
use super::ports::DELETE_RETENTION;
use super::scene;
use super::scene::Instance;
use super::scene::Start;
use super::storm;
use super::swarm::Chaos;
use super::swarm::Disaster;
use super::swarm::Sabotage;
use super::swarm::Topology;
use super::world::Run;
use super::world::Sim;
use super::world::World;

/// Quiet is this long without a write.
const QUIET: Duration = Duration::from_secs(12);
/// Everything has to come to rest within this time.
const QUIET_LIMIT: Duration = Duration::from_secs(900);

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) violations: Vec<String>,
    pub(crate) notes: Vec<String>,
    /// Every byte of every log at the end.
    pub(crate) logs: Vec<String>,
    pub(crate) topology: Topology,
    pub(crate) swarm: String,
}

pub(crate) fn run(seed: u64, sabotage: Option<Sabotage>, noted: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let sim = Sim::new(World::new(seed, sabotage, noted));
        tokio::spawn(group::coordinate(sim.clone()));
        let mut play = Play { sim: sim.clone(), instances: Vec::new(), graveyard: Vec::new() };
        play.run().await;
        let mut world = sim.lock();
        let violations = std::mem::take(&mut world.violations);
        Report {
            violations,
            notes: world.notes(),
            logs: world.logs(),
            topology: world.swarm.topology,
            swarm: world.swarm.shown(),
        }
    })
}

pub(crate) struct Play {
    pub(crate) sim: Sim,
    pub(crate) instances: Vec<Instance>,
    graveyard: Vec<Instance>,
}

impl Play {
    async fn run(&mut self) {
        self.sim.with(|world| {
            let line = world_line(world);
            world.note(|| line);
            scene::set(world);
            for _ in 0..world.rng.below(40) {
                storm::sources_act(world);
            }
        });
        if self.has(Chaos::Backfill) {
            self.backfills().await;
            return;
        }
        let lives = 1 + self.sim.lock().rng.below(4);
        for _ in 0..lives {
            self.life().await;
            if self.failed() {
                return;
            }
        }
        self.settle().await;
        if self.failed() {
            return;
        }
        super::disaster::strike(self).await;
        if self.failed() {
            return;
        }
        self.restart_in_sync().await;
    }

    pub(crate) fn has(&self, chaos: Chaos) -> bool {
        self.sim.lock().swarm.has(chaos)
    }

    pub(crate) fn failed(&self) -> bool {
        !self.sim.lock().violations.is_empty()
    }

    pub(crate) fn bury(&mut self, instance: Instance) {
        self.graveyard.push(instance);
    }

    pub(crate) fn start(&mut self, name: &str, start: Start) {
        let instance = scene::start(&self.sim, name, start);
        self.instances.push(instance);
    }

    async fn life(&mut self) {
        self.sim.lock().stormy = true;
        if self.instances.is_empty() {
            self.start("host-1", Start::default());
        }
        if self.has(Chaos::Standby) && self.instances.len() < 2 {
            let name = if self.instances[0].name == "host-1" { "host-2" } else { "host-1" };
            self.start(name, Start::default());
        }
        let steps = 5 + self.sim.lock().rng.below(25);
        for _ in 0..steps {
            let most = Duration::from_secs(4);
            let pause = self.sim.lock().rng.pause(most);
            tokio::time::sleep(pause).await;
            storm::step(self);
            if self.sim.lock().rng.chance(4) {
                self.go_away().await;
                self.sim.lock().stormy = true;
                if self.instances.is_empty() {
                    self.start("host-1", Start::default());
                }
            }
            if self.failed() {
                return;
            }
        }
        self.go_away().await;
        self.settle().await;
        let leaves = self.sim.lock().rng.chance(40);
        if leaves && !self.failed() {
            self.go_away().await;
        }
    }

    /// All instances die or end, or stay; while they are gone the world goes on.
    async fn go_away(&mut self) {
        let (choice, crash) = {
            let mut world = self.sim.lock();
            (world.rng.below(3), world.swarm.has(Chaos::Crash))
        };
        match choice {
            0 if crash => self.kill_all(),
            1 => self.stop_all().await,
            _ => return,
        }
        let longer = self.has(Chaos::LongAway);
        self.sim.with(|world| {
            for _ in 0..world.rng.below(25) {
                storm::sources_act(world);
            }
            storm::compact(world, true);
        });
        if longer {
            tokio::time::sleep(DELETE_RETENTION * 2).await;
            self.sim.with(|world| {
                for cluster in &mut world.clusters {
                    cluster.up = true;
                }
                storm::compact(world, true);
                if world.rng.chance(50) {
                    storm::sources_act(world);
                }
            });
        }
    }

    pub(crate) fn kill_all(&mut self) {
        for instance in self.instances.drain(..) {
            instance.kill(&self.sim);
            self.graveyard.push(instance);
        }
    }

    pub(crate) async fn stop_all(&mut self) {
        self.calm();
        for mut instance in std::mem::take(&mut self.instances) {
            instance.stop(&self.sim).await;
            self.graveyard.push(instance);
        }
    }

    /// No more trouble from here on.
    fn calm(&self) {
        self.sim.with(|world| {
            world.stormy = false;
            for cluster in &mut world.clusters {
                cluster.up = true;
            }
            storm::thaw(world);
        });
    }

    /// Trouble ends; the links have to bring everything to rest, and every invariant has to hold.
    pub(crate) async fn settle(&mut self) {
        self.rest().await;
        self.hold_invariants().await;
    }

    pub(crate) async fn hold_invariants(&self) {
        if self.failed() {
            return;
        }
        self.sim.with(|world| {
            world.note(|| "quiet".to_owned());
            check::on_quiet(world);
        });
        if !self.failed() {
            audit(self).await;
        }
    }

    async fn rest(&mut self) {
        self.calm();
        if self.instances.is_empty() {
            self.start("host-1", Start::default());
        }
        let deadline = self.sim.lock().now() + QUIET_LIMIT;
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if self.failed() {
                return;
            }
            if self.is_quiet() {
                return;
            }
            self.release_brake().await;
            if self.sim.lock().now() > deadline {
                let phases = self.phases();
                self.sim.with(|world| {
                    world
                        .violated(format!("convergence: no rest within {QUIET_LIMIT:?}: {phases}"));
                });
                return;
            }
        }
    }

    fn phases(&self) -> String {
        let mut phases = String::new();
        for instance in &self.instances {
            for link in 0..instance.fleet.watched().len() {
                let status = instance.status(link);
                phases += &format!(
                    "{} {link}: {:?} read {} done {} of {}; ",
                    instance.name,
                    status.phase,
                    status.source_next,
                    status.done_before,
                    status.source_end
                );
            }
        }
        phases
    }

    fn is_quiet(&self) -> bool {
        let world = self.sim.lock();
        let still = world.now().saturating_sub(world.last_write_at) > QUIET;
        let ends: Vec<i64> =
            world.links.iter().map(|l| world.clusters[l.from].schemas().end).collect();
        drop(world);
        still
            && ends.iter().enumerate().all(|(link, end)| {
                self.instances.iter().any(|instance| {
                    let status = instance.status(link);
                    status.phase == Phase::Running
                        && status.source_next == *end
                        && status.done_before == *end
                })
            })
    }

    /// A source that holds nothing any more halts the link rightly; the operator releases it.
    async fn release_brake(&mut self) {
        let links = self.sim.lock().links.clone();
        let mut release = false;
        for instance in &self.instances {
            for (number, link) in links.iter().enumerate() {
                let Some(reason) = instance.halted(number) else { continue };
                let empty = super::disaster::was_empty(&self.sim.lock(), link, &reason);
                if reason.contains("brake") && empty {
                    release = true;
                } else {
                    let what = format!("life: {} halted without need: {reason}", link.name);
                    self.sim.with(|world| world.violated(what));
                    return;
                }
            }
        }
        if release {
            self.stop_all().await;
            let once = Once { allow_deletes: true, fence_again: false };
            self.start("host-1", Start { once, ..Start::default() });
        }
    }

    /// A start with nothing to do writes nothing, and counts every record once.
    async fn restart_in_sync(&mut self) {
        let other_state = {
            let mut world = self.sim.lock();
            let meddled = world.swarm.has(Chaos::ForeignInside)
                || world.swarm.disaster == Some(Disaster::FenceLifted);
            let reports =
                meddled && world.links.iter().any(|link| link.drift == DriftPolicy::Report);
            world.registries_restart() || reports
        };
        if other_state {
            // What somebody deleted while the link ran is reported; a start can't tell it from what
            // was never written, and writes it. And compaction may have brought back what an odd
            // record hid: then the source itself says something else from its next start on.
            self.stop_all().await;
            self.settle().await;
        }
        self.stop_all().await;
        let before = self.sim.lock().link_writes;
        self.start("host-1", Start::default());
        self.settle().await;
        if self.failed() {
            return;
        }
        let instance = &self.instances[self.instances.len() - 1];
        self.sim.with(|world| {
            if world.link_writes != before {
                let more = world.link_writes - before;
                world.violated(format!("idempotence: a start in sync wrote {more} records"));
            }
            for (number, link) in world.links.clone().iter().enumerate() {
                let counts = instance.status(number).counts;
                let held = world.clusters[link.from].schemas().stored.len();
                let read = usize::try_from(counts.read()).unwrap();
                if read != held {
                    let what = format!("one outcome: {read} outcomes of {held} records");
                    world.violated(what);
                }
                if counts.written() != 0 {
                    world.violated(format!("one outcome: {counts:?} in sync"));
                }
            }
        });
        self.stop_all().await;
    }

    /// Backfills amid trouble, then one in peace and one that finds nothing to do.
    async fn backfills(&mut self) {
        let troubled = self.sim.lock().rng.below(3);
        for _ in 0..troubled {
            self.backfill(false).await;
            self.sim.with(|world| {
                for _ in 0..world.rng.below(15) {
                    storm::sources_act(world);
                }
                storm::compact(world, true);
            });
            if self.failed() {
                return;
            }
        }
        self.calm();
        self.overtaken_backfill().await;
        if self.failed() {
            return;
        }
        for round in 0..2 {
            let before = self.sim.lock().link_writes;
            let done = self.backfill(true).await;
            if self.failed() || !done {
                return;
            }
            self.hold_invariants().await;
            self.sim.with(|world| {
                if round == 1 && world.link_writes != before {
                    world.violated("idempotence: a second backfill wrote something".to_owned());
                }
            });
        }
    }

    pub(crate) async fn backfill(&mut self, peace: bool) -> bool {
        self.sim.lock().stormy = !peace;
        let allow_deletes = peace;
        let once = Once { allow_deletes, fence_again: false };
        let start = Start { backfill: true, once, ..Start::default() };
        let mut instance = scene::start(&self.sim, "host-1", start);
        if !peace && self.has(Chaos::Crash) {
            let pause = self.sim.lock().rng.pause(Duration::from_secs(40));
            tokio::time::sleep(pause).await;
        } else {
            instance.ended(&self.sim, QUIET_LIMIT).await;
        }
        let done = instance.ends.values().all(|end| *end == End::Done);
        if peace && (!done || instance.ends.is_empty()) {
            let ends = format!("{:?}", instance.ends);
            self.sim.with(|world| {
                world.violated(format!("convergence: a backfill in peace ended with {ends}"))
            });
        }
        instance.kill(&self.sim);
        self.graveyard.push(instance);
        // A dead writer's session has to end before another may backfill.
        tokio::time::sleep(Duration::from_secs(12)).await;
        self.sim.with(|world| {
            for process in &mut world.processes[1..] {
                process.run = Run::Dead;
            }
        });
        done
    }
}

fn world_line(world: &World) -> String {
    format!("run {} sabotage {:?}", world.swarm.shown(), world.sabotage)
}
