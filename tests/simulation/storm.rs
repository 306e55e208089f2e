//! Trouble, one step at a time.

use std::time::Duration;

use schema_mirror::core::record::Outgoing;
use serde_json::Value;

use super::links::LinkSpec;
use super::ports::DELETE_RETENTION;
use super::run::Play;
use super::said::LogKey;
use super::said::Place;
use super::source;
use super::swarm::Chaos;
use super::world::Author;
use super::world::Run;
use super::world::SCHEMAS;
use super::world::Sim;
use super::world::World;

/// How long a broker that is back does not know its topics.
const TOPICS_UNKNOWN_FOR: Duration = Duration::from_secs(4);

/// Somebody uses one of the registries that links read.
pub(crate) fn sources_act(world: &mut World) {
    let from: Vec<usize> = world.links.iter().map(|link| link.from).collect();
    let cluster = *world.rng.pick(&from);
    source::act(world, cluster);
}

pub(crate) fn step(play: &mut Play) {
    let sim = play.sim.clone();
    sim.with(|world| {
        for _ in 0..world.rng.below(4) {
            sources_act(world);
        }
        if world.strikes(Chaos::ForeignOutside, 20) {
            foreign_outside(world);
        }
        if world.strikes(Chaos::ForeignInside, 12) {
            foreign_inside(world);
        }
        if world.rng.chance(20) {
            compact(world, false);
        }
    });
    outage(&sim);
    freeze(play);
    let dies = sim.lock().strikes(Chaos::Crash, 6);
    if dies && !play.instances.is_empty() {
        let which = sim.lock().rng.index(play.instances.len());
        play.replace(which);
    }
}

impl Play {
    /// An instance dies and comes back, under its own name.
    fn replace(&mut self, which: usize) {
        let instance = self.instances.remove(which);
        instance.kill(&self.sim);
        let name = instance.name.clone();
        self.bury(instance);
        self.start(&name, super::scene::Start::default());
    }
}

pub(crate) fn compact(world: &mut World, all: bool) {
    let now = world.now();
    for cluster in 0..world.clusters.len() {
        let chaos = if cluster == 0 { Chaos::CompactSource } else { Chaos::CompactTarget };
        if !world.swarm.has(chaos) {
            continue;
        }
        let end = world.clusters[cluster].schemas().end;
        let active = if all { 0 } else { i64::try_from(world.rng.below(10)).unwrap() };
        world.note(|| format!("compaction of cluster {cluster} below {}", end - active));
        world.clusters[cluster].schemas_mut().compact(end - active, now, DELETE_RETENTION);
    }
}

fn outage(sim: &Sim) {
    let mut world = sim.lock();
    if !world.strikes(Chaos::Outage, 6) {
        return;
    }
    let cluster = world.rng.index(3);
    let pause = world.rng.pause(Duration::from_secs(60));
    world.clusters[cluster].up = false;
    world.note(|| format!("cluster {cluster} is away for {pause:?}"));
    drop(world);
    sim.wake();
    let sim = sim.clone();
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        sim.with(|world| back(world, cluster));
    });
}

fn back(world: &mut World, cluster: usize) {
    let now = world.now();
    let is_slow = world.swarm.has(Chaos::SlowStart);
    let back = &mut world.clusters[cluster];
    // In quiet it is back already, and knows its topics.
    if back.up {
        return;
    }
    back.up = true;
    if is_slow {
        back.starts_until = now + TOPICS_UNKNOWN_FOR;
    }
}

fn freeze(play: &Play) {
    let mut world = play.sim.lock();
    if play.instances.is_empty() || !world.strikes(Chaos::Freeze, 8) {
        return;
    }
    let process = play.instances[world.rng.index(play.instances.len())].process;
    let pause = world.rng.pause(Duration::from_secs(30));
    if world.processes[process].run != Run::Up {
        return;
    }
    world.processes[process].run = Run::Frozen;
    world.note(|| format!("process {process} is stopped for {pause:?}"));
    drop(world);
    let sim = play.sim.clone();
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        sim.with(|world| thaw_one(world, process));
    });
}

fn thaw_one(world: &mut World, process: usize) {
    if world.processes[process].run == Run::Frozen {
        let now = world.now();
        world.note(|| format!("process {process} goes on"));
        world.processes[process].run = Run::Up;
        world.processes[process].thawed_at = Some(now);
    }
}

pub(crate) fn thaw(world: &mut World) {
    for process in 0..world.processes.len() {
        thaw_one(world, process);
    }
}

/// A client of a target's registry does something where no link writes.
fn foreign_outside(world: &mut World) {
    let links = world.links.clone();
    let link = world.rng.pick(&links).clone();
    let names = ["z1", "z2", "z3"];
    let name = *world.rng.pick(&names);
    let context = if link.into.is_some() { "." } else { ".other" };
    let free = Place::new(context, name);
    let beside = Place::new(".", name);
    let place = if world.rng.chance(50) && !link.selects(&beside) { beside } else { free };
    let key = LogKey::Schema(place.clone(), 1);
    if !owned(&links, link.to, &key) {
        source::act_at(world, link.to, &place);
    }
}

fn owned(links: &[LinkSpec], cluster: usize, key: &LogKey) -> bool {
    links.iter().any(|link| link.to == cluster && link.may_write(key))
}

/// Somebody writes into a link's scope.
fn foreign_inside(world: &mut World) {
    if world.link_writes < 3 {
        return;
    }
    let link = world.links[0].clone();
    let target = &world.clusters[link.to];
    let keys: Vec<LogKey> = target
        .registry
        .keys
        .keys()
        .filter(|key| link.may_write(key) && !matches!(key, LogKey::Mode(_)))
        .filter(|key| target.touched.get(&format!("{key:?}")).copied().unwrap_or_default() < 2)
        .cloned()
        .collect();
    if keys.is_empty() {
        return;
    }
    let key = world.rng.pick(&keys).clone();
    let mut value = world.clusters[link.to].registry.keys[&key].value.clone();
    let value = match (&key, world.rng.below(3)) {
        (_, 0) => None,
        (LogKey::Schema(..), 1) => {
            value.insert("deleted".into(), true.into());
            Some(value)
        }
        (LogKey::Schema(place, version), _) => {
            let id = 5_000 + world.rng.below(100_000);
            let text = format!("\"foreign {id}\"");
            foreign_schema(world, &link, place, *version + 50, id, &text);
            return;
        }
        (LogKey::Config(_), _) => {
            let other: Value = "FULL_TRANSITIVE".into();
            value.insert("compatibilityLevel".into(), other);
            Some(value)
        }
        (LogKey::Context(_) | LogKey::Mode(_), _) => return,
    };
    let value = value.map(|value| serde_json::to_vec(&value).unwrap());
    let write = Outgoing { key: key.bytes(), value, ..Outgoing::default() };
    world.land(link.to, SCHEMAS, 0, write, Author::Foreign).unwrap();
}

fn foreign_schema(
    world: &mut World,
    link: &LinkSpec,
    place: &Place,
    version: u32,
    id: u64,
    text: &str,
) {
    let key = LogKey::Schema(place.clone(), version);
    let subject = Value::from(place.spelled());
    let text = Value::from(text);
    let value = format!(
        r#"{{"subject":{subject},"version":{version},"id":{id},"schema":{text},"deleted":false}}"#
    );
    let write =
        Outgoing { key: key.bytes(), value: Some(value.into_bytes()), ..Outgoing::default() };
    world.land(link.to, SCHEMAS, 0, write, Author::Foreign).unwrap();
}
