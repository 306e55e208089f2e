//! What links that share a source cost, counted in records that readers gave.

use std::time::Duration;

use schema_mirror::service::worker::End;
use serde_json::json;

use super::said::LogKey;
use super::said::Place;
use super::scene;
use super::scene::Start;
use super::source;
use super::swarm::Swarm;
use super::world::Sim;
use super::world::World;

/// Subjects of the source, each of which belongs to a part.
const SUBJECTS: usize = 48;
/// Versions of each; the log goes round the subjects.
const VERSIONS: u32 = 4;
/// A link takes one of these, or all.
pub(crate) const PARTS: usize = 12;

/// Records that readers of the source and of the target gave to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) source: usize,
    pub(crate) target: usize,
    /// Where the target ended then.
    pub(crate) written: usize,
}

/// Backfills a source twice, through one link or through one for each part of it: what the first run
/// took, and the second, which has nothing to do.
pub(crate) fn backfilled_twice(in_parts: bool) -> [Given; 2] {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let sim = Sim::new(World::new(0, None, false));
        tokio::spawn(super::group::coordinate(sim.clone()));
        sim.with(|world| {
            world.swarm = Swarm::calm();
            scene::set(world);
            world.links = if in_parts {
                let part = |part| scene::part(world, &format!(".p{part}"), &format!("p{part}-*"));
                (0..PARTS).map(part).collect()
            } else {
                vec![scene::part(world, ".all", "p*")]
            };
            fill(world);
        });
        let mut runs = Vec::new();
        for _ in 0..2 {
            let start = Start { backfill: true, ..Start::default() };
            let mut instance = scene::start(&sim, "host-1", start);
            assert!(instance.ended(&sim, Duration::from_secs(600)).await);
            assert!(instance.ends.values().all(|end| *end == End::Done), "{:?}", instance.ends);
            instance.kill(&sim);
            tokio::time::sleep(Duration::from_secs(20)).await;
            let world = sim.lock();
            let given = |cluster| {
                let reader = (instance.process, cluster);
                world.given.get(&reader).copied().unwrap_or_default()
            };
            let written = usize::try_from(world.clusters[1].schemas().end).unwrap();
            runs.push(Given { source: given(0), target: given(1), written });
        }
        [runs[0], runs[1]]
    })
}

fn fill(world: &mut World) {
    for version in 1..=VERSIONS {
        for number in 0..SUBJECTS {
            let place = Place::new(".", &format!("p{}-s{number}", number % PARTS));
            let id = usize::try_from(version).unwrap() * SUBJECTS + number;
            let value = json!({
                "subject": place.spelled(), "version": version, "id": id, "schema": id.to_string(),
                "deleted": false,
            });
            let key = LogKey::Schema(place, version).bytes();
            source::put(world, 0, key, Some(value.to_string().into_bytes()));
        }
    }
}
