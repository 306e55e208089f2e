//! A source that is written anew and compacted while a backfill reads it: records vanish behind the
//! end that was asked for, and stand again behind it.

use super::said::LogKey;
use super::source;
use super::storm;
use super::swarm::Chaos;
use super::world::SCHEMAS;
use super::world::World;

/// How often a source turns over in one backfill at most.
const TURNS: u32 = 5;

/// Somebody reads a topic: now and then its records are other ones by then.
pub(crate) fn turn(world: &mut World, cluster: usize, topic: &str) {
    let is_source = world.links.iter().any(|link| link.from == cluster);
    if world.turns_left == 0 || topic != SCHEMAS || !is_source || !world.rng.chance(25) {
        return;
    }
    world.turns_left -= 1;
    let keys: Vec<LogKey> = world.clusters[cluster].registry.keys.keys().cloned().collect();
    for key in keys {
        if matches!(key, LogKey::Schema(..) | LogKey::Config(_)) && world.rng.chance(50) {
            source::write_again(world, cluster, &key);
        }
    }
    let (end, now) = (world.clusters[cluster].schemas().end, world.now());
    world.note(|| format!("cluster {cluster} turns over below {end}"));
    let retention = super::ports::DELETE_RETENTION;
    world.clusters[cluster].schemas_mut().compact(end, now, retention);
}

impl super::run::Play {
    /// A backfill whose source turns over. What it says the same all the time has to be in the
    /// target when that ends as complete.
    pub(crate) async fn overtaken_backfill(&mut self) {
        if !self.has(Chaos::Overtaken) {
            return;
        }
        self.sim.with(|world| {
            storm::sources_act(world);
            world.turns_left = TURNS;
        });
        let done = self.backfill(true).await;
        self.sim.with(|world| world.turns_left = 0);
        if done && !self.failed() {
            self.hold_invariants().await;
        }
    }
}
